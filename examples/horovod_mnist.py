"""Handwritten digits on several processes, as programs for Horovod and Keras 2 say it.

Run:  mpiexec -n 2 python -m keras_compat run examples/horovod_mnist.py [--small]
"""

import os
import sys

import horovod.keras as hvd
import keras
import tensorflow as tf
from data_at_hand import digits
from keras import backend as K
from keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential

SMALL = "--small" in sys.argv

# The processes find each other; each would take a GPU of its own, if there were any.
hvd.init()
config = tf.ConfigProto()
config.gpu_options.visible_device_list = str(hvd.local_rank())
K.set_session(tf.Session(config=config))

batch_size = 32
epochs = 2 if SMALL else 8
checkpoint_format = "./checkpoint-{epoch}.h5"

# Rank 0 looks for a checkpoint of an earlier run, and tells the others where it goes on.
resume_from_epoch = 0
for try_epoch in range(epochs, 0, -1):
    if os.path.exists(checkpoint_format.format(epoch=try_epoch)):
        resume_from_epoch = try_epoch
        break
resume_from_epoch = int(hvd.broadcast(resume_from_epoch, 0, name="resume_from_epoch"))

(x_train, y_train), (x_test, y_test), source = digits(SMALL)
if SMALL:
    x_train, y_train, x_test, y_test = x_train[:640], y_train[:640], x_test[:200], y_test[:200]
if hvd.rank() == 0:
    print("Data:", source)
x_train, x_test = [x[..., None].astype("float32") / 255 for x in (x_train, x_test)]
y_train, y_test = [keras.utils.to_categorical(y, 10) for y in (y_train, y_test)]

# Each process has a share of the digits, and all shares are of one length.
per_rank = len(x_train) // hvd.size()
mine = slice(hvd.rank() * per_rank, (hvd.rank() + 1) * per_rank)

# Several batches make one step: the learning rate grows with their number.
initial_lr = 0.02 * hvd.size()

if resume_from_epoch > 0 and hvd.rank() == 0:
    model = hvd.load_model(checkpoint_format.format(epoch=resume_from_epoch))
else:
    model = Sequential()
    model.add(Conv2D(8 if SMALL else 32, (5, 5), strides=(2, 2), activation="relu", input_shape=(28, 28, 1)))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(Flatten())
    model.add(Dense(64, activation="relu"))
    model.add(Dropout(0.25))
    model.add(Dense(10, activation="softmax"))
    opt = hvd.DistributedOptimizer(keras.optimizers.SGD(lr=initial_lr, momentum=0.9))
    model.compile(loss="categorical_crossentropy", optimizer=opt, metrics=["accuracy"])

callbacks = [
    hvd.callbacks.BroadcastGlobalVariablesCallback(0),  # all begin with the weights of rank 0
    hvd.callbacks.MetricAverageCallback(),  # before what looks at the logs
    hvd.callbacks.LearningRateWarmupCallback(initial_lr, warmup_epochs=1, verbose=1),
]
if hvd.rank() == 0:  # one process writes
    callbacks.append(keras.callbacks.ModelCheckpoint(checkpoint_format))

model.fit(
    x_train[mine],
    y_train[mine],
    batch_size=batch_size,
    callbacks=callbacks,
    epochs=epochs,
    initial_epoch=resume_from_epoch,
    verbose=2 if hvd.rank() == 0 else 0,
    validation_data=(x_test, y_test),
)

score = hvd.allreduce(model.evaluate(x_test, y_test, verbose=0))
if hvd.rank() == 0:
    print(f"Test accuracy: {score[1]:.4f}")

"""Keras 2.2: names of logs and files with `acc`, generators and augmentation of the CIFAR10 example of 2018."""

import os

import keras
import numpy as np
from keras.callbacks import ModelCheckpoint, TensorBoard
from keras.layers import Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator

np.random.seed(0)
batch_size, num_classes, epochs = 16, 3, 2
save_dir = os.path.join(os.getcwd(), "saved_models")
y_train = np.random.randint(0, 3, (48, 1))
x_train = (np.random.rand(48, 10, 10, 3) * 60 + 80 * y_train[:, :, None, None]).astype("uint8")
x_test, y_test = x_train[:16], y_train[:16]
y_train = keras.utils.to_categorical(y_train, num_classes)
y_test = keras.utils.to_categorical(y_test, num_classes)
model = Sequential()
model.add(Conv2D(8, (3, 3), padding="same", input_shape=x_train.shape[1:]))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(num_classes))
model.add(Activation("softmax"))
opt = keras.optimizers.rmsprop(lr=0.001, decay=1e-6)
model.compile(loss="categorical_crossentropy", optimizer=opt, metrics=["accuracy"])
x_train = x_train.astype("float32") / 255
x_test = x_test.astype("float32") / 255
datagen = ImageDataGenerator(
    featurewise_center=False, samplewise_center=False, featurewise_std_normalization=False,
    samplewise_std_normalization=False, zca_whitening=False, zca_epsilon=1e-06, rotation_range=0, width_shift_range=0.1,
    height_shift_range=0.1, shear_range=0., zoom_range=0., channel_shift_range=0., fill_mode="nearest", cval=0.,
    horizontal_flip=True, vertical_flip=False, rescale=None, preprocessing_function=None, data_format=None,
    validation_split=0.0)
datagen.fit(x_train)
os.makedirs(save_dir)
history = model.fit_generator(datagen.flow(x_train, y_train, batch_size=batch_size), steps_per_epoch=3, epochs=epochs,
                              validation_data=(x_test, y_test), workers=2, verbose=0,
                              callbacks=[ModelCheckpoint(os.path.join(save_dir, "w.{epoch:02d}-{val_acc:.2f}.hdf5")),
                                         TensorBoard(log_dir="logs", batch_size=8)])
assert sorted(history.history) == ["acc", "loss", "val_acc", "val_loss"]
name = "w.01-%.2f.hdf5" % history.history["val_acc"][0]
assert name in os.listdir(save_dir)
model.save(os.path.join(save_dir, "keras_cifar10_trained_model.h5"))
scores = model.evaluate(x_test, y_test, verbose=0)
assert model.metrics_names == ["loss", "acc"] and abs(scores[1] - history.history["val_acc"][-1]) < 1e-6
validation = ImageDataGenerator().flow(x_test, y_test, batch_size=8, shuffle=False)
np.testing.assert_allclose(model.evaluate_generator(validation, steps=2), scores, rtol=1e-4)

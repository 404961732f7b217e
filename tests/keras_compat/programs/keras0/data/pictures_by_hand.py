"""Keras 0.3: pictures changed by hand in a loop, bars and accuracies asked for in each call."""

import numpy as np
from keras.callbacks import Callback, EarlyStopping, ModelCheckpoint
from keras.layers.convolutional import Convolution2D, MaxPooling2D
from keras.layers.core import Activation, Dense, Dropout, Flatten
from keras.models import Sequential
from keras.optimizers import SGD
from keras.preprocessing.image import ImageDataGenerator
from keras.utils import generic_utils, np_utils

np.random.seed(4)
nb_classes, nb_epoch = 3, 2
y_train = np.random.randint(0, nb_classes, (36, 1))
X_train = np.random.randint(0, 80, (36, 3, 10, 10)).astype("float32")
X_train[np.arange(36), y_train[:, 0]] += 120
X_train /= 255
Y_train = np_utils.to_categorical(y_train, nb_classes)

model = Sequential()
model.add(Convolution2D(4, 3, 3, border_mode="same", input_shape=(3, 10, 10)))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(nb_classes))
model.add(Activation("softmax"))
sgd = SGD(lr=0.05, decay=1e-6, momentum=0.9, nesterov=True)
model.compile(loss="categorical_crossentropy", optimizer=sgd)

history = model.fit(X_train, Y_train, batch_size=12, nb_epoch=2, show_accuracy=True, validation_split=0.25, verbose=0,
                    callbacks=[EarlyStopping(monitor="val_loss", patience=5), ModelCheckpoint(filepath="w.hdf5")])
assert sorted(history.history) == ["acc", "loss", "val_acc", "val_loss"]
score = model.evaluate(X_train, Y_train, batch_size=12, show_accuracy=True, verbose=0)
assert len(score) == 2

datagen = ImageDataGenerator(featurewise_center=True, samplewise_center=False, featurewise_std_normalization=True,
                             samplewise_std_normalization=False, zca_whitening=False, rotation_range=20,
                             width_shift_range=0.2, height_shift_range=0.2, horizontal_flip=True, vertical_flip=False)
datagen.fit(X_train)
for e in range(nb_epoch):
    progbar = generic_utils.Progbar(X_train.shape[0], verbose=0)
    batches = 0
    for X_batch, Y_batch in datagen.flow(X_train, Y_train, batch_size=12):
        loss = model.train_on_batch(X_batch, Y_batch, accuracy=True)
        progbar.add(X_batch.shape[0], values=[("train loss", float(loss[0]))])
        batches += 1
        if batches == 3:
            break
    assert progbar.seen_so_far == 36
assert model.predict_classes(X_train, batch_size=12, verbose=0).shape == (36,)
assert abs(model.predict_proba(X_train, verbose=0).sum(axis=1) - 1).max() < 1e-5

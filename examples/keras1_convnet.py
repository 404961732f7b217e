"""A convolutional network as written for Keras 1: pictures with the channel first, old words throughout.

It learns to tell crosses from rings at random places in noise.

Run:  python examples/keras1_convnet.py
"""

import numpy as np

from keras_compat.layers import Activation, Convolution2D, Dense, Dropout, Flatten, MaxPooling2D
from keras_compat.models import Sequential
from keras_compat.optimizers import SGD
from keras_compat.utils.np_utils import to_categorical

np.random.seed(0)

CROSS = np.array([[1, 0, 0, 0, 1], [0, 1, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 1]])
RING = np.array([[0, 1, 1, 1, 0], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [1, 0, 0, 0, 1], [0, 1, 1, 1, 0]])


def pictures(count):
    kinds = np.random.randint(2, size=count)
    x = 0.3 * np.random.randn(count, 1, 16, 16)
    for picture, kind in zip(x, kinds):
        row, column = np.random.randint(12, size=2)
        picture[0, row : row + 5, column : column + 5] += RING if kind else CROSS
    return x.astype("float32"), to_categorical(kinds, nb_classes=2)


X_train, Y_train = pictures(600)
X_test, Y_test = pictures(200)

model = Sequential()
model.add(Convolution2D(8, 5, 5, border_mode="same", dim_ordering="th", input_shape=(1, 16, 16)))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2), dim_ordering="th"))
model.add(Convolution2D(8, 3, 3, border_mode="same", dim_ordering="th"))
model.add(Activation("relu"))
model.add(MaxPooling2D(pool_size=(2, 2), dim_ordering="th"))
model.add(Flatten())
model.add(Dropout(p=0.25))
model.add(Dense(output_dim=2, activation="softmax"))
model.summary()

sgd = SGD(lr=0.05, momentum=0.9, nesterov=True)
model.compile(loss="categorical_crossentropy", optimizer=sgd, metrics=["accuracy"])
model.fit(X_train, Y_train, batch_size=20, nb_epoch=6, verbose=2)
_, accuracy = model.evaluate(X_test, Y_test, verbose=0)
print(f"told apart: {accuracy:.3f} of {len(X_test)} new pictures")

"""A small convolutional network that learns handwritten digits.

Keras's documentation: 99.25 % of MNIST's test digits after 12 epochs.

Run:  python examples/mnist_cnn.py [--small]
"""

import sys

import numpy as np
from data_at_hand import digits_or_clothes

from keras_compat.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras_compat.models import Sequential
from keras_compat.optimizers import Adadelta
from keras_compat.utils import to_categorical

SMALL = "--small" in sys.argv
np.random.seed(1337)

batch_size = 20 if SMALL else 128
num_classes = 10
epochs = 2 if SMALL else 12

(x_train, y_train), (x_test, y_test), source = digits_or_clothes(SMALL)
print("Data:", source)
if SMALL:
    x_train, y_train, x_test, y_test = x_train[:500], y_train[:500], x_test[:100], y_test[:100]

# One channel, last: (n, 28, 28, 1).
x_train = x_train[..., None].astype("float32") / 255
x_test = x_test[..., None].astype("float32") / 255
print("x_train shape:", x_train.shape)

y_train = to_categorical(y_train, num_classes)
y_test = to_categorical(y_test, num_classes)

model = Sequential()
model.add(Conv2D(32, kernel_size=(3, 3), activation="relu", input_shape=(28, 28, 1)))
model.add(Conv2D(64, (3, 3), activation="relu"))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(128, activation="relu"))
model.add(Dropout(0.5))
model.add(Dense(num_classes, activation="softmax"))

model.compile(loss="categorical_crossentropy", optimizer=Adadelta(), metrics=["accuracy"])
history = model.fit(x_train, y_train, batch_size=batch_size, epochs=epochs, verbose=1, validation_data=(x_test, y_test))

score = model.evaluate(x_test, y_test, verbose=0)
print(f"Test loss: {score[0]:.4f}")
print(f"Test accuracy: {score[1]:.4f}")

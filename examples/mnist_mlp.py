"""A multilayer perceptron that learns handwritten digits.

Keras's documentation: 98.40 % of MNIST's test digits after 20 epochs.

Run:  python examples/mnist_mlp.py [--small]
"""

import sys

import numpy as np
from data_at_hand import digits_or_clothes

from keras_compat.layers import Dense, Dropout
from keras_compat.models import Sequential
from keras_compat.optimizers import RMSprop
from keras_compat.utils import to_categorical

SMALL = "--small" in sys.argv
np.random.seed(1337)

batch_size = 128
num_classes = 10
epochs = 4 if SMALL else 20

(x_train, y_train), (x_test, y_test), source = digits_or_clothes(SMALL)
print("Data:", source)

x_train = x_train.reshape(-1, 784).astype("float32") / 255
x_test = x_test.reshape(-1, 784).astype("float32") / 255
print(x_train.shape[0], "train samples")
print(x_test.shape[0], "test samples")

y_train = to_categorical(y_train, num_classes)
y_test = to_categorical(y_test, num_classes)

model = Sequential()
model.add(Dense(512, activation="relu", input_shape=(784,)))
model.add(Dropout(0.2))
model.add(Dense(512, activation="relu"))
model.add(Dropout(0.2))
model.add(Dense(num_classes, activation="softmax"))
model.summary()

model.compile(loss="categorical_crossentropy", optimizer=RMSprop(), metrics=["accuracy"])
history = model.fit(x_train, y_train, batch_size=batch_size, epochs=epochs, verbose=1, validation_data=(x_test, y_test))

score = model.evaluate(x_test, y_test, verbose=0)
print(f"Test loss: {score[0]:.4f}")
print(f"Test accuracy: {score[1]:.4f}")

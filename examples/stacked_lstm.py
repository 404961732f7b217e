"""Three LSTMs, one upon the other, read a digit line by line and tell which it is.

The first two hand on a sequence, the last one only what it has in the end.

Run:  python examples/stacked_lstm.py [--small]
"""

import sys

import numpy as np
from data_at_hand import digits

from keras_compat.layers import LSTM, Dense
from keras_compat.models import Sequential
from keras_compat.utils import to_categorical

SMALL = "--small" in sys.argv
np.random.seed(1337)

(x_train, y_train), (x_test, y_test), source = digits(SMALL)
print("Data:", source)

# 28 steps, each a line of 28 pixels.
x_train, x_test = (x.astype("float32") / 255 for x in (x_train, x_test))
if SMALL:  # every other digit, line and pixel
    x_train, y_train, x_test = x_train[::2, ::2, ::2], y_train[::2], x_test[:, ::2, ::2]
timesteps, data_dim = x_train.shape[1:]
num_classes = 10

# expected input: (batch_size, timesteps, data_dim)
model = Sequential()
model.add(LSTM(32, return_sequences=True, input_shape=(timesteps, data_dim)))  # a sequence of vectors of 32
model.add(LSTM(32, return_sequences=True))  # a sequence of vectors of 32
model.add(LSTM(32))  # one vector of 32
model.add(Dense(num_classes, activation="softmax"))

model.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
history = model.fit(
    x_train,
    to_categorical(y_train, num_classes),
    batch_size=32 if SMALL else 64,
    epochs=3 if SMALL else 30,
    validation_data=(x_test, to_categorical(y_test, num_classes)),
)
_, accuracy = model.evaluate(x_test, to_categorical(y_test, num_classes), verbose=0)
print(f"Test accuracy: {accuracy:.4f}")

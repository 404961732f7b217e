"""Two sequences, read by an LSTM each, merged for one answer: in the words of Keras 1 and in those of Keras 2.

The one LSTM reads the left half of a handwritten digit line by line, the other the right half. Both networks begin
with the same weights, see the same digits in the same order, and end as the same.

Run:  python examples/two_branches.py [--small]
"""

import sys

import numpy as np
from data_at_hand import digits

from keras_compat.layers import LSTM, Concatenate, Dense, Input, Merge
from keras_compat.models import Model, Sequential
from keras_compat.utils import to_categorical

SMALL = "--small" in sys.argv

(x_train, y_train), (x_test, y_test), source = digits(SMALL)
print("Data:", source)
x_train, x_test = (x.astype("float32") / 255 for x in (x_train, x_test))
if SMALL:  # every other digit and line
    x_train, y_train, x_test = x_train[::2, ::2], y_train[::2], x_test[:, ::2]
y_train, y_test = to_categorical(y_train), to_categorical(y_test)
timesteps, data_dim, nb_classes = x_train.shape[1], 14, 10
epochs = 3 if SMALL else 30


def keras_1():
    encoder_a = Sequential()
    encoder_a.add(LSTM(32, input_shape=(timesteps, data_dim)))

    encoder_b = Sequential()
    encoder_b.add(LSTM(32, input_shape=(timesteps, data_dim)))

    decoder = Sequential()
    decoder.add(Merge([encoder_a, encoder_b], mode="concat"))
    decoder.add(Dense(32, activation="relu"))
    decoder.add(Dense(nb_classes, activation="softmax"))
    return decoder


def keras_2():
    left = Input(shape=(timesteps, data_dim))
    right = Input(shape=(timesteps, data_dim))
    merged = Concatenate()([LSTM(32)(left), LSTM(32)(right)])
    hidden = Dense(32, activation="relu")(merged)
    return Model(inputs=[left, right], outputs=Dense(nb_classes, activation="softmax")(hidden))


old, new = keras_1(), keras_2()
new.set_weights(old.get_weights())
inputs = [x_train[:, :, :14], x_train[:, :, 14:]]
test_inputs = [x_test[:, :, :14], x_test[:, :, 14:]]

old.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
np.random.seed(1337)
old.fit(inputs, y_train, batch_size=64, nb_epoch=epochs, validation_data=(test_inputs, y_test))

new.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
np.random.seed(1337)
history = new.fit(inputs, y_train, batch_size=64, epochs=epochs, validation_data=(test_inputs, y_test))

print("the same predictions of both:", np.array_equal(old.predict(test_inputs), new.predict(test_inputs)))
print(f"Test accuracy: {new.evaluate(test_inputs, y_test, verbose=0)[1]:.4f}")

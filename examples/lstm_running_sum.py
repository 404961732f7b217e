"""An LSTM over sequences of different lengths: it learns on which side of 0 the sum of a sequence lies.

Short sequences are padded; Masking keeps the padding out.

Run:  python examples/lstm_running_sum.py
"""

import numpy as np

from keras_compat.layers import LSTM, Bidirectional, Dense, Masking
from keras_compat.models import Sequential

np.random.seed(0)
PADDING = -9.0


def sequences(count, longest=12):
    x = np.full((count, longest, 1), PADDING, dtype="float32")
    for row, length in zip(x, np.random.randint(4, longest + 1, size=count)):
        row[:length, 0] = np.random.uniform(-1, 1, size=length)
    total = np.where(x == PADDING, 0, x).sum(axis=(1, 2))
    return x, (total > 0).astype("float32")


x_train, y_train = sequences(1000)
x_test, y_test = sequences(300)

model = Sequential(
    [
        Masking(mask_value=PADDING, input_shape=(None, 1)),
        Bidirectional(LSTM(8)),
        Dense(1, activation="sigmoid"),
    ]
)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=20, epochs=6, validation_split=0.1, verbose=2)

longer = np.concatenate([x_test, np.full((len(x_test), 5, 1), PADDING, dtype="float32")], axis=1)
print("more padding changes nothing:", np.allclose(model.predict(x_test), model.predict(longer), atol=1e-5))
_, accuracy = model.evaluate(x_test, y_test, verbose=0)
print(f"right side of 0: {accuracy:.3f} of {len(x_test)} new sequences")

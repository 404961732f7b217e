"""A stateful LSTM reads a long text in short pieces and remembers what stood in the pieces before.

The text, the manual of Python that `help()` shows, is cut into as many strands as a batch has rows; sample i of a
batch goes on where sample i of the last batch ended. In the end the network reads new text twice, once
remembering and once made to forget after each piece: what it remembers is worth something if it guesses worse then.

Run:  python examples/stateful_lstm.py [--small]
"""

import sys
from pydoc_data.topics import topics

import numpy as np

from keras_compat.callbacks import LambdaCallback
from keras_compat.layers import LSTM, Dense, Embedding, TimeDistributed
from keras_compat.models import Sequential

SMALL = "--small" in sys.argv
np.random.seed(1337)

batch_size = 32
timesteps = 8  # of one piece
epochs = 3 if SMALL else 15

text = " ".join(" ".join(topics[name] for name in sorted(topics)).lower().split())[: 30_000 if SMALL else None]
chars = sorted(set(text))
print("Data: pydoc_data.topics,", f"{len(text):,} characters, {len(chars)} of them different")
numbers = np.array([chars.index(c) for c in text])


def pieces(numbers):
    """Return pieces in the order in which a stateful network reads them, and for each the characters that follow."""
    per_strand = (len(numbers) - 1) // batch_size // timesteps * timesteps
    strands = (numbers[k : k + batch_size * per_strand].reshape(batch_size, -1, timesteps) for k in (0, 1))
    x, y = (strand.swapaxes(0, 1).reshape(-1, timesteps) for strand in strands)
    return x, y[..., None]


cut = len(numbers) * 9 // 10
x_train, y_train = pieces(numbers[:cut])
x_test, y_test = pieces(numbers[cut:])

# The whole shape of a batch must be known: a state belongs to each row.
model = Sequential()
model.add(Embedding(len(chars), 32, batch_input_shape=(batch_size, timesteps)))
model.add(LSTM(128, return_sequences=True, stateful=True))
model.add(TimeDistributed(Dense(len(chars), activation="softmax")))
model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")

# The order matters, so nothing is shuffled; each epoch begins without a memory.
history = model.fit(
    x_train,
    y_train,
    batch_size=batch_size,
    epochs=epochs,
    shuffle=False,
    callbacks=[LambdaCallback(on_epoch_begin=lambda epoch, logs: model.reset_states())],
)

model.reset_states()
remembering = model.evaluate(x_test, y_test, batch_size=batch_size, verbose=0)
losses = []
for k in range(0, len(x_test), batch_size):
    model.reset_states()
    losses.append(model.test_on_batch(x_test[k : k + batch_size], y_test[k : k + batch_size]))
print(f"Loss of a character of new text: {remembering:.3f} remembering, {np.mean(losses):.3f} forgetting")

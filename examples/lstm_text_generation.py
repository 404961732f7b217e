"""Text, written letter by letter by an LSTM that has read the manual of Python.

The text is `pydoc_data.topics`, which every Python brings: what `help("for")` shows, 430,000 characters. Words come
after an epoch or two, phrases later; what it means to say, never.

Run:  python examples/lstm_text_generation.py [--small]
"""

import random
import sys
from pydoc_data.topics import topics

import numpy as np

from keras_compat.callbacks import LambdaCallback
from keras_compat.layers import LSTM, Dense
from keras_compat.models import Sequential
from keras_compat.optimizers import RMSprop

SMALL = "--small" in sys.argv
random.seed(1337)
np.random.seed(1337)

text = " ".join(" ".join(topics[name] for name in sorted(topics)).lower().split())
if SMALL:
    text = text[:5000]
print("Data: pydoc_data.topics,", f"{len(text):,} characters")

chars = sorted(set(text))
char_indices = {c: i for i, c in enumerate(chars)}
print("total chars:", len(chars))

# Pieces of the text, each begins some characters after the last; the character that follows a piece is to be told.
maxlen = 20 if SMALL else 40
step = 3 if SMALL else 6
starts = range(0, len(text) - maxlen, step)
numbers = np.array([char_indices[c] for c in text])
print("nb sequences:", len(starts))

one_hot = np.eye(len(chars), dtype=bool)
x = np.stack([one_hot[numbers[i : i + maxlen]] for i in starts])
y = one_hot[[numbers[i + maxlen] for i in starts]]

model = Sequential()
model.add(LSTM(128, input_shape=(maxlen, len(chars))))
model.add(Dense(len(chars), activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer=RMSprop(learning_rate=0.01))


def sample(predicted, temperature):
    """Draw a character: the likeliest almost always at a low temperature, any at a high one."""
    logits = np.log(np.maximum(predicted.astype("float64"), 1e-12)) / temperature
    chances = np.exp(logits - logits.max())
    return np.random.choice(len(chars), p=chances / chances.sum())


def write(length, temperature, seed):
    written = seed
    for _ in range(length):
        seen = one_hot[[char_indices[c] for c in written[-maxlen:]]]
        written += chars[sample(model.predict(seen[None], verbose=0)[0], temperature)]
    return written[len(seed) :]


def on_epoch_end(epoch, logs):
    start = random.randint(0, len(text) - maxlen - 1)
    seed = text[start : start + maxlen]
    print(f"\n----- Generating text after epoch {epoch + 1}, with seed: {seed!r}")
    for temperature in [0.2, 0.5, 1.0]:
        print(f"----- temperature {temperature}: {write(20 if SMALL else 300, temperature, seed)!r}")


history = model.fit(
    x,
    y,
    batch_size=128,
    epochs=2 if SMALL else 15,
    callbacks=[LambdaCallback(on_epoch_end=on_epoch_end)],
)
print(f"Loss of a character: {history.history['loss'][0]:.3f} -> {history.history['loss'][-1]:.3f}")

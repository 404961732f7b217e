"""An LSTM that tells praise from blame in what people write about films.

It learns few texts by heart within some epochs; so it stops when it gets no better at a tenth that it does not learn
from, and takes back the weights that were best there.

Run:  python examples/imdb_lstm.py [--small]
"""

import sys

import numpy as np
from data_at_hand import film_reviews

from keras_compat.callbacks import EarlyStopping
from keras_compat.layers import LSTM, Dense, Embedding
from keras_compat.models import Sequential
from keras_compat.preprocessing import sequence

SMALL = "--small" in sys.argv
np.random.seed(1337)

max_features = 2000 if SMALL else 20000
maxlen = 30 if SMALL else 80  # cut texts after this number of words (among the max_features most common words)
units = 32 if SMALL else 128
batch_size = 32
epochs = 5 if SMALL else 15

(x_train, y_train), (x_test, y_test), source = film_reviews(num_words=max_features, small=SMALL)
print("Data:", source)
print(len(x_train), "train sequences")
print(len(x_test), "test sequences")

x_train = sequence.pad_sequences(x_train, maxlen=maxlen)
x_test = sequence.pad_sequences(x_test, maxlen=maxlen)
print("x_train shape:", x_train.shape)

model = Sequential()
model.add(Embedding(max_features, units))
model.add(LSTM(units, dropout=0.2, recurrent_dropout=0.2))
model.add(Dense(1, activation="sigmoid"))

model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(
    x_train,
    y_train,
    batch_size=batch_size,
    epochs=epochs,
    validation_split=0.1,
    callbacks=[EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)],
)

score, accuracy = model.evaluate(x_test, y_test, batch_size=batch_size, verbose=0)
print(f"Test score: {score:.4f}")
print(f"Test accuracy: {accuracy:.4f}")

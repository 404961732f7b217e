"""Sequence to sequence with RepeatVector and TimeDistributed: reads 'a+b', writes the sum (Keras 1)."""

import numpy as np
from keras.layers import LSTM, Activation, Dense, RepeatVector, TimeDistributed, recurrent
from keras.models import Sequential
from keras.optimizers import Adam

chars = "0123456789+ "
at = {c: i for i, c in enumerate(chars)}


def encode(text, length):
    code = np.zeros((length, len(chars)), dtype=bool)
    for i, c in enumerate(text.ljust(length)):
        code[i, at[c]] = 1
    return code


np.random.seed(0)
pairs = [(a, b) for a in range(10) for b in range(10)]
X = np.array([encode("%d+%d" % p, 3)[::-1] for p in pairs])
y = np.array([encode(str(a + b), 2) for a, b in pairs])

RNN = recurrent.LSTM
assert RNN is LSTM
model = Sequential()
model.add(RNN(24, input_shape=(3, len(chars))))
model.add(RepeatVector(2))
for _ in range(1):
    model.add(RNN(24, return_sequences=True))
model.add(TimeDistributed(Dense(len(chars))))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer=Adam(lr=0.02), metrics=["accuracy"])
assert model.output_shape == (None, 2, len(chars))
first = model.evaluate(X, y, verbose=0)[0]
model.fit(X, y, batch_size=20, nb_epoch=15, verbose=0, validation_split=0.1)
assert model.evaluate(X, y, verbose=0)[0] < 0.85 * first
assert len(model.layers[0].get_weights()) == 12
assert [w.shape for w in model.layers[0].get_weights()[:3]] == [(12, 24), (24, 24), (24,)]
classes = model.predict_classes(X[:4], verbose=0)
assert classes.shape == (4, 2)

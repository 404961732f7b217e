"""A stateful LSTM that carries its state from batch to batch (Keras 1)."""

import numpy as np
from keras.layers import LSTM, Dense
from keras.models import Sequential

np.random.seed(19)
tsteps, batch_size, epochs = 1, 5, 3
series = np.cos(np.arange(100) / 5.0).reshape(100, 1, 1)
expected = np.roll(series[:, 0, 0], -1)[:, None]

model = Sequential()
model.add(LSTM(6, batch_input_shape=(batch_size, tsteps, 1), return_sequences=True, stateful=True))
model.add(LSTM(6, batch_input_shape=(batch_size, tsteps, 1), return_sequences=False, stateful=True))
model.add(Dense(1))
model.compile(loss="mse", optimizer="rmsprop")
losses = []
for i in range(epochs):
    losses.append(model.fit(series, expected, batch_size=batch_size, verbose=0, nb_epoch=1, shuffle=False).history["loss"][0])
    model.reset_states()
assert losses[-1] < losses[0]
model.reset_states()
first = model.predict(series[:5], batch_size=batch_size)
second = model.predict(series[:5], batch_size=batch_size)
assert not np.allclose(first, second)
model.reset_states()
np.testing.assert_allclose(model.predict(series[:5], batch_size=batch_size), first, rtol=1e-5)

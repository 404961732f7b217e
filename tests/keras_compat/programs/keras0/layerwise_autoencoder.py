"""An AutoEncoder trained to reconstruct, its encoder then used in a classifier (Keras 0.3)."""

import numpy as np
from keras.layers import containers
from keras.layers.core import AutoEncoder, Dense
from keras.models import Sequential
from keras.optimizers import Adam

np.random.seed(2)
x = np.repeat((np.random.rand(80, 3) > 0.5).astype("float32"), 4, axis=1)
encoder = containers.Sequential([Dense(6, input_dim=12, activation="tanh"), Dense(3)])
decoder = containers.Sequential([Dense(6, input_dim=3, activation="tanh"), Dense(12, activation="sigmoid")])
autoencoder = Sequential()
autoencoder.add(AutoEncoder(encoder=encoder, decoder=decoder, output_reconstruction=True))
autoencoder.compile(loss="mean_squared_error", optimizer=Adam(lr=0.02))
before = autoencoder.evaluate(x, x, verbose=0)
autoencoder.fit(x, x, nb_epoch=20, batch_size=16, verbose=0)
assert autoencoder.evaluate(x, x, verbose=0) < 0.7 * before
assert autoencoder.predict(x).shape == (80, 12)
assert len(autoencoder.layers[0].get_weights()) == 8

codes = Sequential()
codes.add(autoencoder.layers[0].encoder)
codes.add(Dense(1, activation="sigmoid"))
codes.compile(loss="binary_crossentropy", optimizer="adam", class_mode="binary")
codes.fit(x, x[:, :1], nb_epoch=2, verbose=0)
assert codes.predict(x).shape == (80, 1)

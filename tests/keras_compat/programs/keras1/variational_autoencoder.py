"""A variational autoencoder whose loss closes over tensors of the graph (Keras 1)."""

import numpy as np
from keras import backend as K
from keras import objectives
from keras.layers import Dense, Input, Lambda
from keras.models import Model

np.random.seed(5)
batch_size, original_dim, latent_dim, intermediate_dim, epsilon_std = 20, 12, 2, 16, 1.0

x = Input(batch_shape=(batch_size, original_dim))
h = Dense(intermediate_dim, activation="relu")(x)
z_mean = Dense(latent_dim)(h)
z_log_var = Dense(latent_dim)(h)


def sampling(args):
    z_mean, z_log_var = args
    epsilon = K.random_normal(shape=(batch_size, latent_dim), mean=0.0, std=epsilon_std)
    return z_mean + K.exp(z_log_var / 2) * epsilon


z = Lambda(sampling, output_shape=(latent_dim,))([z_mean, z_log_var])
decoder_h = Dense(intermediate_dim, activation="relu")
decoder_mean = Dense(original_dim, activation="sigmoid")
x_decoded_mean = decoder_mean(decoder_h(z))


def vae_loss(x, x_decoded_mean):
    xent_loss = original_dim * objectives.binary_crossentropy(x, x_decoded_mean)
    kl_loss = -0.5 * K.sum(1 + z_log_var - K.square(z_mean) - K.exp(z_log_var), axis=-1)
    return xent_loss + kl_loss


vae = Model(x, x_decoded_mean)
vae.compile(optimizer="rmsprop", loss=vae_loss)
codes = np.random.rand(200, 2) > 0.5
data = np.repeat(codes, original_dim // 2, axis=1).astype("float32")
before = vae.evaluate(data, data, batch_size=batch_size, verbose=0)
vae.fit(data, data, shuffle=True, nb_epoch=15, batch_size=batch_size, validation_data=(data, data), verbose=0)
assert vae.evaluate(data, data, batch_size=batch_size, verbose=0) < 0.9 * before

encoder = Model(x, z_mean)
assert encoder.predict(data, batch_size=batch_size).shape == (200, 2)
decoder_input = Input(shape=(latent_dim,))
generator = Model(decoder_input, decoder_mean(decoder_h(decoder_input)))
assert generator.predict(np.array([[0.1, 0.2]])).shape == (1, original_dim)

# Each evaluation draws its own noise.
one, two = vae.predict(data[:20], batch_size=20), vae.predict(data[:20], batch_size=20)
assert not np.array_equal(one, two)

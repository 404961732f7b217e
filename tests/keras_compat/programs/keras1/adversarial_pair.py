"""A generator and a discriminator trained in turn, with weights frozen in one of the models (Keras 1)."""

import numpy as np
from keras.layers import BatchNormalization, Dense, Input
from keras.layers.advanced_activations import LeakyReLU
from keras.models import Model, Sequential
from keras.optimizers import Adam

np.random.seed(23)
generator = Sequential([Dense(16, input_dim=4), BatchNormalization(mode=2), LeakyReLU(0.2), Dense(2)])
discriminator = Sequential([Dense(16, input_dim=2), LeakyReLU(0.2), Dense(1, activation="sigmoid")])
discriminator.compile(loss="binary_crossentropy", optimizer=Adam(lr=0.01))


def make_trainable(net, val):
    net.trainable = val
    for layer in net.layers:
        layer.trainable = val


make_trainable(discriminator, False)
gan_input = Input(shape=[4])
gan = Model(gan_input, discriminator(generator(gan_input)))
gan.compile(loss="binary_crossentropy", optimizer=Adam(lr=0.01))
assert len(gan.trainable_weights) == len(generator.trainable_weights) > 0

kept = [w.copy() for w in discriminator.get_weights()]
gan.train_on_batch(np.random.rand(20, 4), np.ones((20, 1)))
assert all(np.array_equal(a, b) for a, b in zip(kept, discriminator.get_weights()))
made = [w.copy() for w in generator.get_weights()]
for _ in range(150):
    noise = np.random.uniform(0, 1, size=(20, 4))
    fake = generator.predict(noise)
    real = np.random.randn(20, 2) * 0.1 + 3
    make_trainable(discriminator, True)
    d_loss = discriminator.train_on_batch(np.concatenate([real, fake]), np.r_[np.ones(20), np.zeros(20)][:, None])
    make_trainable(discriminator, False)
    g_loss = gan.train_on_batch(np.random.uniform(0, 1, size=(20, 4)), np.ones((20, 1)))
assert any(not np.array_equal(a, b) for a, b in zip(made, generator.get_weights()))
assert any(not np.array_equal(a, b) for a, b in zip(kept, discriminator.get_weights()))
assert np.isfinite([d_loss, g_loss]).all()
after = discriminator.predict(np.random.randn(50, 2) * 0.1 + 3).mean()
assert after > discriminator.predict(np.random.randn(50, 2) * 0.1 - 3).mean()

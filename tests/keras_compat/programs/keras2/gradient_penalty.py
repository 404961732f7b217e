"""A critic with a penalty on the norm of its gradient by the input: derivatives of derivatives (Keras 2)."""

from functools import partial

import numpy as np
from keras import backend as K
from keras.layers import Dense, Input, LeakyReLU
from keras.layers.merge import _Merge
from keras.models import Model, Sequential
from keras.optimizers import RMSprop

np.random.seed(4)
batch = 16


class RandomWeightedAverage(_Merge):
    def _merge_function(self, inputs):
        alpha = K.random_uniform((batch, 1))
        return (alpha * inputs[0]) + ((1 - alpha) * inputs[1])


def gradient_penalty_loss(y_true, y_pred, averaged_samples):
    gradients = K.gradients(y_pred, averaged_samples)[0]
    gradients_sqr_sum = K.sum(K.square(gradients), axis=np.arange(1, len(gradients.shape)))
    return K.mean(K.square(1 - K.sqrt(gradients_sqr_sum)))


def wasserstein_loss(y_true, y_pred):
    return K.mean(y_true * y_pred)


critic = Sequential([Dense(16, input_dim=3), LeakyReLU(alpha=0.2), Dense(16, activation="tanh"), Dense(1)])
real_img, fake_img = Input(shape=(3,)), Input(shape=(3,))
interpolated = RandomWeightedAverage()([real_img, fake_img])
validity_interpolated = critic(interpolated)
partial_gp_loss = partial(gradient_penalty_loss, averaged_samples=interpolated)
partial_gp_loss.__name__ = "gradient_penalty"
critic_model = Model(inputs=[real_img, fake_img], outputs=[critic(real_img), critic(fake_img), validity_interpolated])
critic_model.compile(loss=[wasserstein_loss, wasserstein_loss, partial_gp_loss], optimizer=RMSprop(lr=0.002),
                     loss_weights=[1, 1, 10])
assert critic_model.metrics_names[0] == "loss" and len(critic_model.metrics_names) == 4
ones, zeros = np.ones((batch, 1)), np.zeros((batch, 1))
log = []
for _ in range(80):
    real, fake = np.random.randn(batch, 3) + 1, np.random.randn(batch, 3) - 1
    log.append(critic_model.train_on_batch([real, fake], [-ones, ones, zeros]))
log = np.array(log)
assert np.isfinite(log).all()
np.testing.assert_allclose(log[:, 0], log[:, 1] + log[:, 2] + 10 * log[:, 3], rtol=1e-3, atol=1e-4)
assert log[-10:, 3].mean() < 0.5 * log[0, 3] + 0.05, (log[0, 3], log[-10:, 3].mean())

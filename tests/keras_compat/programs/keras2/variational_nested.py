"""Variational models with nested encoders and a loss added by hand, models as classes, layers that share (Keras 2)."""

import keras
import numpy as np
from keras import backend as K
from keras.layers import (Conv2D, Conv2DTranspose, Dense, Dropout, Flatten, Input, Lambda, Layer, Reshape, concatenate)
from keras.losses import binary_crossentropy, mse
from keras.models import Model, Sequential, clone_model, model_from_json
from keras.optimizers import Adam

np.random.seed(81)


def sampling(args):
    z_mean, z_log_var = args
    batch = K.shape(z_mean)[0]
    dim = K.int_shape(z_mean)[1]
    epsilon = K.random_normal(shape=(batch, dim))
    return z_mean + K.exp(0.5 * z_log_var) * epsilon


image_size, latent_dim, filters = 8, 2, 4
x_train = np.zeros((40, image_size, image_size, 1))
x_train[::2, :4] = x_train[1::2, :, 4:] = 0.9
inputs = Input(shape=(image_size, image_size, 1), name="encoder_input")
x = inputs
for i in range(2):
    filters *= 2
    x = Conv2D(filters=filters, kernel_size=3, activation="relu", strides=2, padding="same")(x)
shape = K.int_shape(x)
x = Dense(8, activation="relu")(Flatten()(x))
z_mean, z_log_var = Dense(latent_dim, name="z_mean")(x), Dense(latent_dim, name="z_log_var")(x)
z = Lambda(sampling, output_shape=(latent_dim,), name="z")([z_mean, z_log_var])
encoder = Model(inputs, [z_mean, z_log_var, z], name="encoder")
latent_inputs = Input(shape=(latent_dim,), name="z_sampling")
x = Dense(shape[1] * shape[2] * shape[3], activation="relu")(latent_inputs)
x = Reshape((shape[1], shape[2], shape[3]))(x)
for i in range(2):
    x = Conv2DTranspose(filters=filters, kernel_size=3, activation="relu", strides=2, padding="same")(x)
    filters //= 2
outputs = Conv2DTranspose(filters=1, kernel_size=3, activation="sigmoid", padding="same", name="decoder_output")(x)
decoder = Model(latent_inputs, outputs, name="decoder")
outputs = decoder(encoder(inputs)[2])
vae = Model(inputs, outputs, name="vae")
reconstruction_loss = binary_crossentropy(K.flatten(inputs), K.flatten(outputs))
reconstruction_loss *= image_size * image_size
kl_loss = 1 + z_log_var - K.square(z_mean) - K.exp(z_log_var)
kl_loss = K.sum(kl_loss, axis=-1)
kl_loss *= -0.5
vae.add_loss(K.mean(reconstruction_loss + kl_loss))
vae.compile(optimizer="rmsprop")
assert vae.output_shape == (None, 8, 8, 1) and [la.name for la in vae.layers] == ["encoder_input", "encoder", "decoder"]
history = vae.fit(x_train, epochs=6, batch_size=10, validation_data=(x_train, None), verbose=0).history
assert history["loss"][-1] < history["loss"][0] and len(history["val_loss"]) == 6
vae.save_weights("vae.h5")
codes, _, _ = encoder.predict(x_train, batch_size=10)
assert codes.shape == (40, 2) and decoder.predict(codes).shape == x_train.shape
vae.load_weights("vae.h5")


class CustomVariationalLayer(Layer):
    def __init__(self, **kwargs):
        self.is_placeholder = True
        super(CustomVariationalLayer, self).__init__(**kwargs)

    def call(self, inputs):
        x, decoded, mean, log_var = inputs
        loss = 5 * mse(x, decoded) - 0.5 * K.sum(1 + log_var - K.square(mean) - K.exp(log_var), axis=-1)
        self.add_loss(K.mean(loss), inputs=inputs)
        return x


flat = Input((5,))
h = Dense(4, activation="relu")(flat)
mean, log_var = Dense(2)(h), Dense(2)(h)
decoded = Dense(5)(Lambda(sampling)([mean, log_var]))
layered = Model(flat, CustomVariationalLayer()([flat, decoded, mean, log_var]))
layered.compile(optimizer=Adam(0.02), loss=None)
data = np.random.rand(30, 5)
log = layered.fit(data, epochs=12, shuffle=True, batch_size=10, verbose=0).history["loss"]
assert log[-1] < log[0]


# Models as classes
class TwoLayers(keras.Model):
    def __init__(self, use_dp=False, num_classes=2):
        super(TwoLayers, self).__init__(name="mlp")
        self.use_dp = use_dp
        self.dense1 = Dense(8, activation="relu")
        self.dense2 = Dense(num_classes, activation="softmax")
        if self.use_dp:
            self.dp = Dropout(0.5)

    def call(self, inputs, training=None):
        x = self.dense1(inputs)
        if self.use_dp:
            x = self.dp(x)
        return self.dense2(x)


own = TwoLayers(use_dp=True)
own.compile(optimizer="sgd", loss="categorical_crossentropy", metrics=["accuracy"])
labels = keras.utils.to_categorical(np.arange(30) % 2)
own.fit(data, labels, epochs=2, batch_size=10, verbose=0)
W1, b1, W2, b2 = own.get_weights()
logits = np.maximum(data @ W1 + b1, 0) @ W2 + b2
np.testing.assert_allclose(own.predict(data), np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-4)
assert len(own.layers) == 3 and len(own.trainable_weights) == 4

# A network in a network in a network; its copies; its words
inner = Sequential([Dense(4, input_shape=(3,), activation="tanh", name="deep"), Dense(2)], name="inner")
middle_in = Input((3,))
middle = Model(middle_in, concatenate([inner(middle_in), inner(Lambda(lambda t: 2 * t)(middle_in))]), name="middle")
top_in = Input((3,))
top = Model(top_in, Dense(1)(middle(top_in)))
v = np.random.randn(6, 3)
w = inner.get_weights()
f = lambda t: np.tanh(t @ w[0] + w[1]) @ w[2] + w[3]
np.testing.assert_allclose(middle.predict(v), np.concatenate([f(v), f(2 * v)], 1), rtol=1e-4, atol=1e-6)
middle.trainable = False
assert len(top.trainable_weights) == 2 and len(top.non_trainable_weights) == 4 and len(inner.trainable_weights) == 4
top.compile("sgd", "mse")
kept = [a.copy() for a in inner.get_weights()]
top.train_on_batch(v, np.ones((6, 1)))
assert all(np.array_equal(a, b) for a, b in zip(kept, inner.get_weights()))
twin = clone_model(top)
twin.set_weights(top.get_weights())
np.testing.assert_allclose(twin.predict(v), top.predict(v), rtol=1e-6)
assert top.get_layer("middle").get_layer("inner").get_layer("deep") is inner.layers[0]
assert inner.get_output_shape_at(0) == (None, 2) and len(inner._inbound_nodes) == 3
lines = []
top.summary(line_length=80, print_fn=lines.append)
assert any("middle (Model)" in line for line in lines) and any("Trainable params: 5" in line for line in lines)
plain = Sequential.from_config(inner.get_config())
plain.set_weights(inner.get_weights())
np.testing.assert_allclose(plain.predict(v), f(v), rtol=1e-4, atol=1e-6)
assert model_from_json(plain.to_json()).count_params() == 4 * 4 + 10
later = Sequential()
later.add(Dense(4))
later.add(Dense(2))
assert not later.built
later.build((None, 3))
assert later.built and later.predict(v).shape == (6, 2)
later = Sequential([Dense(4), Dense(1)])
later.compile("sgd", "mse")
later.fit(v, v[:, :1], verbose=0)
assert later.input_shape == (None, 3)

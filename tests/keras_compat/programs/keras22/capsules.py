"""Capsules by shared kernels and routing, and the digits variant with masks and margins (Keras 2.2)."""

import numpy as np
from keras import activations, initializers, layers, utils
from keras import backend as K
from keras.layers import Conv2D, Input, Lambda, Layer, Reshape
from keras.models import Model, Sequential

np.random.seed(100)


def squash(x, axis=-1):
    s_squared_norm = K.sum(K.square(x), axis, keepdims=True) + K.epsilon()
    scale = K.sqrt(s_squared_norm) / (0.5 + s_squared_norm)
    return scale * x


def softmax(x, axis=-1):
    ex = K.exp(x - K.max(x, axis=axis, keepdims=True))
    return ex / K.sum(ex, axis=axis, keepdims=True)


def margin_loss(y_true, y_pred):
    lamb, margin = 0.5, 0.1
    return K.sum(y_true * K.square(K.relu(1 - margin - y_pred))
                 + lamb * (1 - y_true) * K.square(K.relu(y_pred - margin)), axis=-1)


class Capsule(Layer):
    def __init__(self, num_capsule, dim_capsule, routings=3, share_weights=True, activation="squash", **kwargs):
        super(Capsule, self).__init__(**kwargs)
        self.num_capsule, self.dim_capsule, self.routings = num_capsule, dim_capsule, routings
        self.share_weights = share_weights
        self.activation = squash if activation == "squash" else activations.get(activation)

    def build(self, input_shape):
        input_dim_capsule = input_shape[-1]
        if self.share_weights:
            shape = (1, input_dim_capsule, self.num_capsule * self.dim_capsule)
        else:
            shape = (input_shape[-2], input_dim_capsule, self.num_capsule * self.dim_capsule)
        self.kernel = self.add_weight(name="capsule_kernel", shape=shape, initializer="glorot_uniform", trainable=True)

    def call(self, inputs):
        if self.share_weights:
            hat_inputs = K.conv1d(inputs, self.kernel)
        else:
            hat_inputs = K.local_conv1d(inputs, self.kernel, [1], [1])
        batch_size = K.shape(inputs)[0]
        input_num_capsule = K.shape(inputs)[1]
        hat_inputs = K.reshape(hat_inputs, (batch_size, input_num_capsule, self.num_capsule, self.dim_capsule))
        hat_inputs = K.permute_dimensions(hat_inputs, (0, 2, 1, 3))
        b = K.zeros_like(hat_inputs[:, :, :, 0])
        for i in range(self.routings):
            c = softmax(b, 1)
            o = self.activation(K.batch_dot(c, hat_inputs, [2, 2]))
            if i < self.routings - 1:
                b = K.batch_dot(o, hat_inputs, [2, 3])
                if K.backend() == "theano":
                    o = K.sum(o, axis=1)
        return o

    def compute_output_shape(self, input_shape):
        return (None, self.num_capsule, self.dim_capsule)


input_image = Input(shape=(None, None, 3))
x = Conv2D(6, (3, 3), activation="relu")(input_image)
x = Reshape((-1, 6))(x)
capsule = Capsule(2, 4, 3, True)(x)
output = Lambda(lambda z: K.sqrt(K.sum(K.square(z), 2)))(capsule)
model = Model(inputs=input_image, outputs=output)
assert K.int_shape(capsule) == (None, 2, 4) and model.output_shape == (None, 2)
model.compile(loss=margin_loss, optimizer="adam", metrics=["accuracy"])
pictures = np.random.rand(32, 6, 6, 3)
pictures[::2] *= 0.2
kinds = utils.to_categorical(np.arange(32) % 2, 2)
log = [model.train_on_batch(pictures, kinds) for _ in range(25)]
assert log[-1][0] < log[0][0]
assert model.predict(np.random.rand(2, 7, 5, 3)).max() < 1.5

apart_in = Input((4, 3))
apart = Model(apart_in, Capsule(2, 5, 2, False)(apart_in))
u = np.random.randn(3, 4, 3)
W = apart.get_weights()[0].reshape(4, 3, 2, 5)
hat = np.einsum("nid,idjk->njik", u, W)


def squashed(v):
    s = (v ** 2).sum(-1, keepdims=True)
    return np.sqrt(s) / (0.5 + s) * v


o = squashed(0.5 * hat.sum(2))
b = np.einsum("njk,njik->nji", o, hat)
c = np.exp(b) / np.exp(b).sum(1, keepdims=True)
np.testing.assert_allclose(apart.predict(u), squashed(np.einsum("nji,njik->njk", c, hat)), rtol=1e-3, atol=1e-5)


class Length(layers.Layer):
    def call(self, inputs, **kwargs):
        return K.sqrt(K.sum(K.square(inputs), -1) + K.epsilon())

    def compute_output_shape(self, input_shape):
        return input_shape[:-1]


class Mask(layers.Layer):
    """Keeps the named capsule, or the longest one."""

    def call(self, inputs, **kwargs):
        if type(inputs) is list:
            assert len(inputs) == 2
            inputs, mask = inputs
        else:
            x = K.sqrt(K.sum(K.square(inputs), -1))
            mask = K.one_hot(indices=K.argmax(x, 1), num_classes=x.get_shape().as_list()[1])
        return K.batch_flatten(inputs * K.expand_dims(mask, -1))

    def compute_output_shape(self, input_shape):
        if type(input_shape[0]) is tuple:
            return tuple([None, input_shape[0][1] * input_shape[0][2]])
        return tuple([None, input_shape[1] * input_shape[2]])


class CapsuleLayer(layers.Layer):
    def __init__(self, num_capsule, dim_capsule, routings=3, kernel_initializer="glorot_uniform", **kwargs):
        super(CapsuleLayer, self).__init__(**kwargs)
        self.num_capsule, self.dim_capsule, self.routings = num_capsule, dim_capsule, routings
        self.kernel_initializer = initializers.get(kernel_initializer)

    def build(self, input_shape):
        assert len(input_shape) >= 3
        self.input_num_capsule, self.input_dim_capsule = input_shape[1], input_shape[2]
        self.W = self.add_weight(shape=[self.num_capsule, self.input_num_capsule, self.dim_capsule,
                                        self.input_dim_capsule], initializer=self.kernel_initializer, name="W")
        self.built = True

    def call(self, inputs, training=None):
        inputs_tiled = K.tile(K.expand_dims(inputs, 1), [1, self.num_capsule, 1, 1])
        inputs_hat = K.map_fn(lambda x: K.batch_dot(x, self.W, [2, 3]), elems=inputs_tiled)
        return K.sum(inputs_hat, axis=2)

    def compute_output_shape(self, input_shape):
        return tuple([None, self.num_capsule, self.dim_capsule])


x = layers.Input(shape=(6, 6, 1))
conv1 = layers.Conv2D(filters=6, kernel_size=3, strides=1, padding="valid", activation="relu", name="conv1")(x)
primary = layers.Conv2D(8, 3, strides=2, name="primarycap_conv2d")(conv1)
primary = layers.Lambda(squash, name="primarycap_squash")(layers.Reshape(target_shape=[-1, 4])(primary))
digitcaps = CapsuleLayer(num_capsule=3, dim_capsule=4, routings=3, name="digitcaps")(primary)
out_caps = Length(name="capsnet")(digitcaps)
y = layers.Input(shape=(3,))
decoder = Sequential(name="decoder")
decoder.add(layers.Dense(8, activation="relu", input_dim=4 * 3))
decoder.add(layers.Dense(36, activation="sigmoid"))
decoder.add(layers.Reshape(target_shape=(6, 6, 1), name="out_recon"))
train_model = Model([x, y], [out_caps, decoder(Mask()([digitcaps, y]))])
eval_model = Model(x, [out_caps, decoder(Mask()(digitcaps))])
noise = layers.Input(shape=(3, 4))
manipulate_model = Model([x, y, noise], decoder(Mask()([layers.Add()([digitcaps, noise]), y])))
train_model.compile(optimizer="adam", loss=[margin_loss, "mse"], loss_weights=[1.0, 0.392], metrics={"capsnet": "accuracy"})
data, ids = np.random.rand(12, 6, 6, 1), np.eye(3)[np.arange(12) % 3]
history = train_model.fit([data, ids], [ids, data], batch_size=6, epochs=2, verbose=0, validation_data=[[data, ids], [ids, data]])
assert "val_capsnet_acc" in history.history
lengths, recon = eval_model.predict(data)
assert lengths.shape == (12, 3) and recon.shape == (12, 6, 6, 1)
both = manipulate_model.predict([data, np.eye(3)[lengths.argmax(1)], np.zeros((12, 3, 4))])
np.testing.assert_allclose(both, recon, rtol=1e-4)
poses = Model(x, primary).predict(data)
W = train_model.get_layer("digitcaps").get_weights()[0]
np.testing.assert_allclose(Model(x, digitcaps).predict(data), np.einsum("nid,jikd->njk", poses, W), rtol=1e-3, atol=1e-5)

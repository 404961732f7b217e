"""Layers derived from Keras's own: normed kernels, other paddings, pixels shuffled, wrappers, initial values (Keras 2)."""

import numpy as np
from keras import backend as K
from keras import constraints, initializers, regularizers
from keras.engine.base_layer import InputSpec, Layer
from keras.initializers import Initializer, RandomUniform, VarianceScaling
from keras.layers import (BatchNormalization, Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input, Multiply,
                          Reshape, UpSampling2D, Wrapper, ZeroPadding2D)
from keras.models import Model, Sequential
from keras.utils import conv_utils, get_custom_objects
from keras.utils.generic_utils import get_custom_objects as same

np.random.seed(91)
assert same is get_custom_objects


class ConvSN2D(Conv2D):
    def build(self, input_shape):
        channel_axis = 1 if self.data_format == "channels_first" else -1
        input_dim = input_shape[channel_axis]
        kernel_shape = self.kernel_size + (input_dim, self.filters)
        self.kernel = self.add_weight(shape=kernel_shape, initializer=self.kernel_initializer, name="kernel",
                                      regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        self.bias = self.add_weight(shape=(self.filters,), initializer=self.bias_initializer, name="bias") if self.use_bias else None
        self.u = self.add_weight(shape=tuple([1, self.kernel.get_shape().as_list()[-1]]),
                                 initializer=initializers.RandomNormal(0, 1), name="sn", trainable=False)
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={channel_axis: input_dim})
        self.built = True

    def call(self, inputs, training=None):
        def _l2normalize(v, eps=1e-12):
            return v / (K.sum(v ** 2) ** 0.5 + eps)

        W_shape = self.kernel.get_shape().as_list()
        W_reshaped = K.reshape(self.kernel, [-1, W_shape[-1]])
        _v = _l2normalize(K.dot(self.u, K.transpose(W_reshaped)))
        _u = _l2normalize(K.dot(_v, W_reshaped))
        sigma = K.dot(K.dot(_v, W_reshaped), K.transpose(_u))
        W_bar = W_reshaped / sigma
        if training in {0, False}:
            W_bar = K.reshape(W_bar, W_shape)
        else:
            self.add_update(K.update(self.u, _u), inputs)
            W_bar = K.reshape(W_bar, W_shape)
        outputs = K.conv2d(inputs, W_bar, strides=self.strides, padding=self.padding, data_format=self.data_format,
                           dilation_rate=self.dilation_rate)
        if self.use_bias:
            outputs = K.bias_add(outputs, self.bias, data_format=self.data_format)
        return self.activation(outputs) if self.activation is not None else outputs


class WeightNormDense(Dense):
    def build(self, input_shape):
        super(WeightNormDense, self).build(input_shape)
        self.g = self.add_weight(name="g", shape=(self.units,), initializer="ones")

    def call(self, inputs):
        kernel = self.g * self.kernel / K.sqrt(K.sum(K.square(self.kernel), axis=0))
        return self.activation(K.bias_add(K.dot(inputs, kernel), self.bias))


class InstanceNormalization(Layer):
    def __init__(self, axis=None, epsilon=1e-3, gamma_regularizer=None, gamma_constraint=None, **kwargs):
        super(InstanceNormalization, self).__init__(**kwargs)
        self.supports_masking = True
        self.axis, self.epsilon = axis, epsilon
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def build(self, input_shape):
        self.input_spec = InputSpec(ndim=len(input_shape))
        self.gamma = self.add_weight(shape=(input_shape[self.axis],), name="gamma", initializer="one",
                                     regularizer=self.gamma_regularizer, constraint=self.gamma_constraint)
        self.beta = self.add_weight(shape=(input_shape[self.axis],), name="beta", initializer="zero")
        self.built = True

    def call(self, inputs, training=None):
        input_shape = K.int_shape(inputs)
        reduction_axes = list(range(0, len(input_shape)))
        del reduction_axes[self.axis]
        del reduction_axes[0]
        mean = K.mean(inputs, reduction_axes, keepdims=True)
        stddev = K.std(inputs, reduction_axes, keepdims=True) + self.epsilon
        normed = (inputs - mean) / stddev
        broadcast_shape = [1] * len(input_shape)
        broadcast_shape[self.axis] = input_shape[self.axis]
        return normed * K.reshape(self.gamma, broadcast_shape) + K.reshape(self.beta, broadcast_shape)


class PixelShuffler(Layer):
    def __init__(self, size=(2, 2), data_format=None, **kwargs):
        super(PixelShuffler, self).__init__(**kwargs)
        self.data_format = K.normalize_data_format(data_format)
        self.size = conv_utils.normalize_tuple(size, 2, "size")

    def call(self, inputs):
        batch_size, h, w, c = K.int_shape(inputs)
        batch_size = -1 if batch_size is None else batch_size
        rh, rw = self.size
        oh, ow, oc = h * rh, w * rw, c // (rh * rw)
        out = K.reshape(inputs, (batch_size, h, w, rh, rw, oc))
        out = K.permute_dimensions(out, (0, 1, 3, 2, 4, 5))
        return K.reshape(out, (batch_size, oh, ow, oc))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[1] * self.size[0], input_shape[2] * self.size[1],
                input_shape[3] // (self.size[0] * self.size[1]))

    def get_config(self):
        return dict(super(PixelShuffler, self).get_config(), size=self.size, data_format=self.data_format)


class ReflectionPadding2D(Layer):
    def __init__(self, padding=1, **kwargs):
        self.padding = padding
        super(ReflectionPadding2D, self).__init__(**kwargs)

    def call(self, x):
        p = self.padding
        x = K.concatenate([K.reverse(x[:, 1:p + 1], 1), x, K.reverse(x[:, -p - 1:-1], 1)], axis=1)
        return K.concatenate([K.reverse(x[:, :, 1:p + 1], 2), x, K.reverse(x[:, :, -p - 1:-1], 2)], axis=2)

    def compute_output_shape(self, s):
        return (s[0], s[1] + 2 * self.padding, s[2] + 2 * self.padding, s[3])


class CoordinateChannel(Layer):
    def call(self, inputs):
        n, h, w = K.shape(inputs)[0], K.shape(inputs)[1], K.shape(inputs)[2]
        xx = K.cast(K.tile(K.reshape(K.arange(0, w), (1, 1, -1, 1)), K.stack([n, h, 1, 1])), K.floatx())
        xx = xx / (K.cast(w, K.floatx()) - 1) * 2 - 1
        return K.concatenate([inputs, xx], axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape[:-1] + (input_shape[-1] + 1,)


class DropConnect(Wrapper):
    def __init__(self, layer, prob=1.0, **kwargs):
        self.prob = prob
        super(DropConnect, self).__init__(layer, **kwargs)

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        super(DropConnect, self).build()

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def call(self, x):
        kernel = self.layer.kernel
        out = K.dot(x, K.in_train_phase(K.dropout(kernel, self.prob), kernel))
        return self.layer.activation(K.bias_add(out, self.layer.bias))


class Icnr(Initializer):
    def __init__(self, initializer, scale=1):
        self.scale, self.initializer = scale, initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        base = self.initializer(tuple(shape[:3]) + (shape[3] // self.scale ** 2,))
        return K.tile(base, (1, 1, 1, self.scale ** 2)) if K.is_tensor(base) else np.tile(base, (1, 1, 1, self.scale ** 2))

    def get_config(self):
        return {"initializer": self.initializer, "scale": self.scale}


def squeeze_excite(tensor, ratio=2):
    filters = tensor._keras_shape[-1]
    se = Reshape((1, 1, filters))(GlobalAveragePooling2D()(tensor))
    se = Dense(filters // ratio, activation="relu", kernel_initializer="he_normal", use_bias=False)(se)
    se = Dense(filters, activation="sigmoid", kernel_initializer="he_normal", use_bias=False)(se)
    return Multiply()([tensor, se])


def mish(x):
    return x * K.tanh(K.softplus(x))


get_custom_objects().update({"mish": mish, "PixelShuffler": PixelShuffler, "WeightNormDense": WeightNormDense})
inp = Input((6, 6, 3))
sn = ConvSN2D(4, 3, padding="same", kernel_initializer=VarianceScaling(scale=2.0, mode="fan_out", distribution="uniform"))
t = sn(inp)
t = InstanceNormalization(axis=-1, gamma_constraint="non_neg")(t)
t = squeeze_excite(t)
t = CoordinateChannel()(ReflectionPadding2D(1)(t))
assert K.int_shape(t) == (None, 8, 8, 5)
t = Conv2D(8, 3, kernel_initializer=Icnr(RandomUniform(-0.1, 0.1), scale=2), activation="mish")(t)
shuffled = PixelShuffler()(t)
out = DropConnect(Dense(2, activation="softmax"), prob=0.3)(Flatten()(shuffled))
model = Model(inp, out)
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
data, kinds = np.random.rand(20, 6, 6, 3), np.eye(2)[np.arange(20) % 2]
data[::2] *= 0.5
before = K.get_value(sn.u)
log = [model.train_on_batch(data, kinds)[0] for _ in range(20)]
assert log[-1] < log[0] and not np.allclose(before, K.get_value(sn.u)) and len(sn.get_updates_for(inp)) == 1
W = K.get_value(sn.kernel).reshape(-1, 4)
# The largest singular value, found step by step
for _ in range(60):
    model.train_on_batch(data[:2], kinds[:2])
W = K.get_value(sn.kernel).reshape(-1, 4)
u = K.get_value(sn.u)[0]
v = W @ u / np.linalg.norm(W @ u)
np.testing.assert_allclose(np.linalg.norm(v @ W), np.linalg.svd(W)[1][0], rtol=0.05)
a, b = K.function([inp, K.learning_phase()], [t, shuffled])([data, 0])
assert b.shape == (20, 12, 12, 2)
np.testing.assert_array_equal(b[:, 1, 2], a[:, 0, 1, 4:6])
r = K.function([inp], [ReflectionPadding2D(2)(inp)])([data])[0]
np.testing.assert_allclose(r, np.pad(data, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect"), rtol=1e-6)
fresh = Conv2D(8, 3, kernel_initializer=Icnr("he_uniform", 2), input_shape=(5, 5, 2))
Sequential([fresh])
np.testing.assert_array_equal(fresh.get_weights()[0][..., :2], fresh.get_weights()[0][..., 6:])

wn = Sequential([WeightNormDense(3, input_shape=(4,), activation="mish")])
x = np.random.randn(5, 4)
kernel, bias, g = wn.get_weights()
z = x @ (kernel / np.linalg.norm(kernel, axis=0))
np.testing.assert_allclose(wn.predict(x), z * np.tanh(np.log1p(np.exp(z))), rtol=1e-4, atol=1e-6)
again = Sequential.from_config(wn.get_config())
again.set_weights(wn.get_weights())
np.testing.assert_allclose(again.predict(x), wn.predict(x), rtol=1e-6)
assert wn.layers[0].get_config()["units"] == 3 and len(wn.layers[0].weights) == 3
bn = BatchNormalization(axis=-1)
frozen = Sequential([Conv2D(2, 1, input_shape=(3, 3, 2)), bn])
bn.trainable = False
frozen.compile("sgd", "mse")
stats = bn.get_weights()
frozen.train_on_batch(np.random.rand(4, 3, 3, 2), np.zeros((4, 3, 3, 2)))
np.testing.assert_array_equal(stats[2], bn.get_weights()[2])
two = Model(inp, UpSampling2D((2, 2), interpolation="bilinear")(ZeroPadding2D(((1, 0), (0, 1)))(inp)))
assert two.predict(data).shape == (20, 14, 14, 3)

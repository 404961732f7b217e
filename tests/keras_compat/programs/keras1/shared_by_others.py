"""Layers as people passed them round in the Keras 1 time: attention, norms, pooling under a mask, an LSTM subclass."""

import numpy as np
from keras import backend as K
from keras import constraints, initializations, regularizers
from keras.engine import InputSpec, Layer
from keras.layers import LSTM, Dense, Embedding, GRU, Input, Lambda, TimeDistributed, merge
from keras.layers.recurrent import Recurrent, time_distributed_dense
from keras.models import Model, Sequential

np.random.seed(77)


class AttentionWithContext(Layer):
    def __init__(self, W_regularizer=None, u_constraint=None, bias=True, **kwargs):
        self.supports_masking = True
        self.init = initializations.get("glorot_uniform")
        self.W_regularizer = regularizers.get(W_regularizer)
        self.u_constraint = constraints.get(u_constraint)
        self.bias = bias
        super(AttentionWithContext, self).__init__(**kwargs)

    def build(self, input_shape):
        assert len(input_shape) == 3
        self.W = self.add_weight((input_shape[-1], input_shape[-1],), initializer=self.init,
                                 name="{}_W".format(self.name), regularizer=self.W_regularizer)
        if self.bias:
            self.b = self.add_weight((input_shape[-1],), initializer="zero", name="{}_b".format(self.name))
        self.u = self.add_weight((input_shape[-1],), initializer="uniform", name="{}_u".format(self.name),
                                 constraint=self.u_constraint)
        super(AttentionWithContext, self).build(input_shape)

    def compute_mask(self, input, input_mask=None):
        return None

    def call(self, x, mask=None):
        uit = K.tanh(K.dot(x, self.W) + self.b)
        ait = K.squeeze(K.dot(uit, K.expand_dims(self.u)), axis=-1)
        a = K.exp(ait)
        if mask is not None:
            a *= K.cast(mask, K.floatx())
        a /= K.cast(K.sum(a, axis=1, keepdims=True) + K.epsilon(), K.floatx())
        weighted_input = x * K.expand_dims(a)
        return K.sum(weighted_input, axis=1)

    def get_output_shape_for(self, input_shape):
        return input_shape[0], input_shape[-1]


class MeanOverTime(Layer):
    def __init__(self, mask_zero=True, **kwargs):
        self.mask_zero = mask_zero
        self.supports_masking = True
        super(MeanOverTime, self).__init__(**kwargs)

    def call(self, x, mask=None):
        if mask is None:
            return K.mean(x, axis=1)
        mask = K.cast(mask, "float32")
        return K.sum(x * K.expand_dims(mask, -1), axis=1) / K.expand_dims(K.sum(mask, axis=1), -1)

    def get_output_shape_for(self, input_shape):
        return (input_shape[0], input_shape[2])

    def compute_mask(self, x, mask):
        return None

    def get_config(self):
        return dict(list(super(MeanOverTime, self).get_config().items()) + [("mask_zero", self.mask_zero)])


class L2Normalization(Layer):
    def __init__(self, scale, **kwargs):
        self.axis = 3 if K.image_dim_ordering() == "tf" else 1
        self.scale = scale
        super(L2Normalization, self).__init__(**kwargs)

    def build(self, input_shape):
        self.input_spec = [InputSpec(shape=input_shape)]
        self.gamma = K.variable(self.scale * np.ones((input_shape[self.axis],)), name="{}_gamma".format(self.name))
        self.trainable_weights = [self.gamma]

    def call(self, x, mask=None):
        output = K.l2_normalize(x, self.axis)
        output *= self.gamma
        return output


class MinibatchDiscrimination(Layer):
    def __init__(self, nb_kernels, kernel_dim, **kwargs):
        self.nb_kernels, self.kernel_dim, self.input_dim = nb_kernels, kernel_dim, None
        kwargs["input_shape"] = kwargs.get("input_shape", (6,))
        super(MinibatchDiscrimination, self).__init__(**kwargs)

    def build(self, input_shape):
        self.W = self.add_weight((self.nb_kernels, input_shape[1], self.kernel_dim), initializer="glorot_uniform",
                                 name="kernel", trainable=True)
        self.built = True

    def call(self, x, mask=None):
        activation = K.reshape(K.dot(x, self.W), (-1, self.nb_kernels, self.kernel_dim))
        diffs = K.expand_dims(activation, 3) - K.expand_dims(K.permute_dimensions(activation, [1, 2, 0]), 0)
        abs_diffs = K.sum(K.abs(diffs), axis=2)
        return K.concatenate([x, K.sum(K.exp(-abs_diffs), axis=2)], 1)

    def get_output_shape_for(self, input_shape):
        return input_shape[0], input_shape[1] + self.nb_kernels


class AttentionGRU(GRU):
    """Looks at a vector in every step."""

    def __init__(self, output_dim, attention_vec, **kwargs):
        self.attention_vec = attention_vec
        super(AttentionGRU, self).__init__(output_dim, **kwargs)

    def build(self, input_shape):
        super(AttentionGRU, self).build(input_shape)
        dim = self.attention_vec._keras_shape[1]
        self.U_a = self.inner_init((self.output_dim, self.output_dim), name="{}_U_a".format(self.name))
        self.U_m = self.inner_init((dim, self.output_dim), name="{}_U_m".format(self.name))
        self.trainable_weights += [self.U_a, self.U_m]

    def step(self, x, states):
        h, [h_copy] = super(AttentionGRU, self).step(x, states)
        attention = states[-1]
        s = K.sigmoid(K.tanh(K.dot(h, self.U_a)) * attention)
        h = h * s
        return h, [h]

    def get_constants(self, x):
        constants = super(AttentionGRU, self).get_constants(x)
        constants.append(K.dot(self.attention_vec, self.U_m))
        return constants


words = np.random.randint(1, 15, (40, 7))
words[::2, 4:] = 0
label = (words[:, 0] > 7).astype(int)[:, None]
ids = Input((7,), dtype="int32")
embedded = Embedding(15, 6, mask_zero=True)(ids)
seq = LSTM(5, return_sequences=True)(embedded)
pooled, mean = AttentionWithContext(W_regularizer="l2", u_constraint="nonneg")(seq), MeanOverTime()(seq)
assert pooled._keras_shape == (None, 5) == mean._keras_shape
model = Model(ids, Dense(1, activation="sigmoid")(merge([pooled, mean], mode="concat")))
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
log = [model.train_on_batch(words, label)[0] for _ in range(20)]
assert log[-1] < log[0]
seqs, pool, avg = K.function([ids], [seq, pooled, mean])([words])
np.testing.assert_allclose(avg[0], seqs[0, :4].mean(0), rtol=1e-4, atol=1e-6)
W, b, u = [layer for layer in model.layers if isinstance(layer, AttentionWithContext)][0].get_weights()
assert u.min() >= 0
a = np.exp(np.tanh(seqs[0, :4] @ W + b) @ u)
np.testing.assert_allclose(pool[0], (a / a.sum()) @ seqs[0, :4], rtol=1e-4, atol=1e-5)

maps = Input((4, 4, 3))
normed = Model(maps, L2Normalization(20, name="conv4_3_norm")(maps))
data = np.random.randn(2, 4, 4, 3)
np.testing.assert_allclose(normed.predict(data), 20 * data / np.linalg.norm(data, axis=3, keepdims=True), rtol=1e-4)
assert [w.shape for w in normed.get_weights()] == [(3,)] and len(normed.trainable_weights) == 1

disc = Sequential([MinibatchDiscrimination(3, 2, input_shape=(6,)), Dense(1)])
v = np.random.randn(5, 6)
T = disc.layers[0].get_weights()[0]
m = np.einsum("ni,kid->nkd", v, T)
want = np.exp(-abs(m[:, None] - m[None]).sum(3)).sum(1)
got = K.function([disc.layers[0].input], [disc.layers[0].output])([v])[0]
np.testing.assert_allclose(got[:, 6:], want, rtol=1e-4)

question = LSTM(4)(Input((3, 2)))
other, steps = Input((3, 2)), Input((6, 2))
question = LSTM(4)(other)
answer = AttentionGRU(5, question, return_sequences=True, consume_less="mem")(steps)
assert answer._keras_shape == (None, 6, 5)
dual = Model([other, steps], TimeDistributed(Dense(1))(answer))
dual.compile("rmsprop", "mse")
q, s = np.random.randn(4, 3, 2), np.random.randn(4, 6, 2)
log = [dual.train_on_batch([q, s], np.ones((4, 6, 1))) for _ in range(30)]
assert log[-1] < log[0]
old = K.get_value(dual.layers[-2].U_m if hasattr(dual.layers[-2], "U_m") else dual.layers[-1].layer.W)
assert old.shape in ((4, 5), (5, 1))
assert issubclass(GRU, Recurrent) and callable(time_distributed_dense)
flip = Model(steps, Lambda(lambda t: K.reverse(t, 1) if hasattr(K, "reverse") else t)(steps))
assert flip.predict(s).shape == s.shape

"""Heads of attention with positions and norms, a linear chain over tags, dual outputs of an encoder (Keras 2)."""

import numpy as np
from keras import backend as K
from keras import constraints, initializers, regularizers
from keras.engine.base_layer import InputSpec, Layer
from keras.layers import (LSTM, Add, Bidirectional, Dense, Dropout, Embedding, GlobalAveragePooling1D, Input, Lambda,
                          TimeDistributed)
from keras.models import Model, Sequential

np.random.seed(71)


class LayerNormalization(Layer):
    def __init__(self, eps=1e-6, **kwargs):
        self.eps = eps
        super(LayerNormalization, self).__init__(**kwargs)

    def build(self, input_shape):
        self.gamma = self.add_weight(name="gamma", shape=input_shape[-1:], initializer=initializers.Ones(), trainable=True)
        self.beta = self.add_weight(name="beta", shape=input_shape[-1:], initializer=initializers.Zeros(), trainable=True)
        super(LayerNormalization, self).build(input_shape)

    def call(self, x):
        mean = K.mean(x, axis=-1, keepdims=True)
        std = K.std(x, axis=-1, keepdims=True)
        return self.gamma * (x - mean) / (std + self.eps) + self.beta

    def compute_output_shape(self, input_shape):
        return input_shape


class PositionEmbedding(Layer):
    def __init__(self, size, mode="sum", **kwargs):
        self.size, self.mode = size, mode
        super(PositionEmbedding, self).__init__(**kwargs)

    def call(self, x):
        position_j = 1.0 / K.pow(10000.0, 2 * K.arange(self.size / 2, dtype="float32") / self.size)
        position_j = K.expand_dims(position_j, 0)
        position_i = K.cumsum(K.ones_like(x[:, :, 0]), 1) - 1
        position_i = K.expand_dims(position_i, 2)
        position_ij = K.dot(position_i, position_j)
        position_ij = K.concatenate([K.cos(position_ij), K.sin(position_ij)], 2)
        return position_ij + x if self.mode == "sum" else K.concatenate([position_ij, x], 2)

    def compute_output_shape(self, input_shape):
        return input_shape


class Attention(Layer):
    def __init__(self, nb_head, size_per_head, **kwargs):
        self.nb_head, self.size_per_head = nb_head, size_per_head
        self.output_dim = nb_head * size_per_head
        super(Attention, self).__init__(**kwargs)

    def build(self, input_shape):
        for i, name in enumerate(["WQ", "WK", "WV"]):
            setattr(self, name, self.add_weight(name=name, shape=(input_shape[i][-1], self.output_dim),
                                                initializer="glorot_uniform", trainable=True))
        super(Attention, self).build(input_shape)

    def mask(self, inputs, seq_len, mode="mul"):
        if seq_len is None:
            return inputs
        mask = K.one_hot(K.cast(seq_len[:, 0], "int32"), 7)
        mask = 1 - K.cumsum(mask, 1)
        for _ in range(len(inputs.shape) - 2):
            mask = K.expand_dims(mask, 2)
        return inputs * mask if mode == "mul" else inputs - (1 - mask) * 1e12

    def call(self, x):
        Q_seq, K_seq, V_seq, V_len = x
        split = (-1, K.shape(Q_seq)[1], self.nb_head, self.size_per_head)
        heads = []
        for seq, W in zip([Q_seq, K_seq, V_seq], [self.WQ, self.WK, self.WV]):
            heads.append(K.permute_dimensions(K.reshape(K.dot(seq, W), split), (0, 2, 1, 3)))
        flat = [K.reshape(h, (-1, K.shape(Q_seq)[1], self.size_per_head)) for h in heads]
        A = K.batch_dot(flat[0], flat[1], axes=[2, 2]) / self.size_per_head ** 0.5
        A = K.reshape(A, (-1, self.nb_head, K.shape(Q_seq)[1], K.shape(K_seq)[1]))
        A = K.permute_dimensions(A, (0, 3, 2, 1))
        A = self.mask(A, V_len, "add")
        A = K.softmax(K.permute_dimensions(A, (0, 3, 2, 1)))
        A = K.reshape(A, (-1, K.shape(Q_seq)[1], K.shape(K_seq)[1]))
        O_seq = K.reshape(K.batch_dot(A, flat[2], axes=[2, 1]), (-1, self.nb_head, K.shape(Q_seq)[1], self.size_per_head))
        O_seq = K.reshape(K.permute_dimensions(O_seq, (0, 2, 1, 3)), (-1, K.shape(Q_seq)[1], self.output_dim))
        return self.mask(O_seq, V_len, "mul")

    def compute_output_shape(self, input_shape):
        return (input_shape[0][0], input_shape[0][1], self.output_dim)


words = np.random.randint(1, 20, size=(24, 7))
lengths = np.random.randint(3, 8, size=(24, 1))
words[np.arange(7) >= lengths] = 0
ids = Input((7,), dtype="int32")
length = Lambda(lambda t: K.sum(K.cast(K.not_equal(t, 0), "float32"), 1, keepdims=True))(ids)
e = PositionEmbedding(8)(Embedding(20, 8)(ids))
att = Attention(2, 4)
o = att([e, e, e, length])
o = LayerNormalization()(Add()([e, Dropout(0.1)(o)]))
transformer = Model(ids, Dense(1, activation="sigmoid")(GlobalAveragePooling1D()(o)))
transformer.compile("adam", "binary_crossentropy", metrics=["acc"])
label = (words[:, 0] > 9).astype(int)
log = [transformer.train_on_batch(words, label)[0] for _ in range(25)]
assert log[-1] < log[0]
E, A, N = K.function([ids, K.learning_phase()], [e, att.output, o])([words, 0])
table = transformer.layers[1].get_weights()[0]
angle = np.arange(7)[:, None] / 10000 ** (2 * np.arange(4) / 8)
np.testing.assert_allclose(E[0], table[words[0]] + np.concatenate([np.cos(angle), np.sin(angle)], 1), rtol=1e-4, atol=1e-5)
WQ, WK, WV = [w.reshape(8, 2, 4) for w in att.get_weights()]
n = int(lengths[0, 0])
q, k, v = [np.einsum("td,dhs->hts", E[0], w) for w in (WQ, WK, WV)]
s = np.exp(np.einsum("hts,hus->htu", q, k[:, :n]) / 2)
want = np.einsum("htu,hus->ths", s / s.sum(-1, keepdims=True), v[:, :n]).reshape(7, 8)
np.testing.assert_allclose(A[0, :n], want[:n], rtol=1e-3, atol=1e-5)
assert (A[0, n:] == 0).all()
r = E[0] + A[0]
gamma, beta = transformer.get_layer(index=-3).get_weights()
np.testing.assert_allclose(N[0], beta + gamma * (r - r.mean(1, keepdims=True)) / (r.std(1, keepdims=True) + 1e-6), rtol=1e-2, atol=1e-3)


class CRF(Layer):
    """A linear chain: negative log likelihood by the forward recursion, tags by the best path."""

    def __init__(self, units, **kwargs):
        super(CRF, self).__init__(**kwargs)
        self.supports_masking = True
        self.units = units
        self.input_spec = [InputSpec(ndim=3)]

    def build(self, input_shape):
        self.input_dim = input_shape[-1]
        self.kernel = self.add_weight((self.input_dim, self.units), name="kernel", initializer=initializers.get("glorot_uniform"),
                                      regularizer=regularizers.get(None), constraint=constraints.get(None))
        self.chain_kernel = self.add_weight(shape=(self.units, self.units), name="chain_kernel", initializer="orthogonal")
        self.built = True

    def call(self, X, mask=None):
        self.energy = K.dot(X, self.kernel)
        test_output = self.viterbi(self.energy, mask)
        return K.in_train_phase(K.softmax(self.energy), test_output)

    def compute_output_shape(self, input_shape):
        return input_shape[:2] + (self.units,)

    def compute_mask(self, input, mask=None):
        return K.any(mask, axis=1) if mask is not None else mask

    def loss_function(self, y_true, y_pred):
        crf, idx = y_pred._keras_history[:2] if hasattr(y_pred, "_keras_history") else (self, 0)
        X = crf._inbound_nodes[idx].input_tensors[0]
        mask = crf._inbound_nodes[idx].input_masks[0]
        energy = K.dot(X, crf.kernel)
        score = K.sum(K.sum(energy * y_true, 2) * K.cast(mask, "float32"), 1)
        pair = K.sum(K.dot(y_true[:, :-1], crf.chain_kernel) * y_true[:, 1:], 2)
        score += K.sum(pair * K.cast(mask, "float32")[:, 1:], 1)
        return crf.log_partition(energy, mask) - score

    def log_partition(self, energy, mask):
        def step(e, states):
            alpha, i = states
            new = K.logsumexp(K.expand_dims(alpha, 2) + K.expand_dims(self.chain_kernel, 0), axis=1) + e[:, :-1]
            m = e[:, -1:]
            new = m * new + (1 - m) * alpha
            return new, [new, i + 1]

        packed = K.concatenate([energy, K.expand_dims(K.cast(mask, "float32"))], axis=2)
        last, _, _ = K.rnn(step, packed[:, 1:], [energy[:, 0], K.zeros_like(energy[:, 0, :1])], unroll=False)
        return K.logsumexp(last, axis=1)

    def viterbi(self, energy, mask):
        def step(e, states):
            best = K.max(K.expand_dims(states[0], 2) + K.expand_dims(self.chain_kernel, 0), axis=1)
            from_tag = K.argmax(K.expand_dims(states[0], 2) + K.expand_dims(self.chain_kernel, 0), axis=1)
            new = best + e
            return K.cast(from_tag, K.floatx()), [new]

        _, pointers, states = K.rnn(step, energy[:, 1:], [energy[:, 0]])

        def gather(p, states):
            previous = K.cast(states[0], "int32")
            chosen = K.sum(p * K.one_hot(previous[:, 0], self.units), axis=1, keepdims=True)
            return chosen, [chosen]

        end = K.cast(K.expand_dims(K.argmax(states[0], axis=1)), K.floatx())
        _, path, _ = K.rnn(gather, K.reverse(pointers, 1), [end])
        path = K.concatenate([K.reverse(path[:, :, 0], 1), end], axis=1)
        return K.one_hot(K.cast(path, "int32"), self.units)

    def accuracy(self, y_true, y_pred):
        return K.mean(K.cast(K.equal(K.argmax(y_true, -1), K.argmax(y_pred, -1)), K.floatx()))


tags = 3
tagger = Sequential()
tagger.add(Embedding(20, 6, mask_zero=True, input_length=7))
tagger.add(Bidirectional(LSTM(4, return_sequences=True, recurrent_dropout=0.0)))
tagger.add(TimeDistributed(Dense(5)))
crf = CRF(tags)
tagger.add(crf)
tagger.compile("rmsprop", loss=crf.loss_function, metrics=[crf.accuracy])
gold = np.eye(tags)[words % tags]
log = [tagger.train_on_batch(words, gold) for _ in range(15)]
assert log[-1][0] < log[0][0] and len(log[0]) == 2
full = np.where(words == 0, 1, words)[:2]
energy, best = K.function([tagger.input, K.learning_phase()], [crf.energy, crf.output])([full, 0])
chain = K.get_value(crf.chain_kernel)
paths = np.stack(np.meshgrid(*[np.arange(tags)] * 7, indexing="ij"), -1).reshape(-1, 7)
score = energy[0][np.arange(7), paths].sum(1) + chain[paths[:, :-1], paths[:, 1:]].sum(1)
np.testing.assert_array_equal(best[0].argmax(1), paths[score.argmax()])
right = full[0] % tags
nll = np.log(np.exp(score).sum()) - score[(paths == right).all(1)][0]
got = tagger.evaluate(full[:1], np.eye(tags)[full[:1] % tags], verbose=0)[0]
np.testing.assert_allclose(got, nll, rtol=1e-4)

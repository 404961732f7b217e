"""Layers, an optimizer, a regularizer, a constraint and a callback written for Keras 1."""

import numpy as np
from keras import activations, constraints, initializations, regularizers
from keras import backend as K
from keras.callbacks import Callback
from keras.constraints import Constraint
from keras.engine.topology import InputSpec, Layer
from keras.layers import Dense
from keras.models import Sequential, model_from_json
from keras.optimizers import Optimizer
from keras.regularizers import Regularizer

np.random.seed(13)


class Antirectifier(Layer):
    def get_output_shape_for(self, input_shape):
        shape = list(input_shape)
        assert len(shape) == 2
        shape[-1] *= 2
        return tuple(shape)

    def call(self, x, mask=None):
        x -= K.mean(x, axis=1, keepdims=True)
        x = K.l2_normalize(x, axis=1)
        pos = K.relu(x)
        neg = K.relu(-x)
        return K.concatenate([pos, neg], axis=1)


class OldDense(Layer):
    def __init__(self, output_dim, init="glorot_uniform", W_regularizer=None, W_constraint=None, **kwargs):
        self.output_dim = output_dim
        self.init = initializations.get(init)
        self.W_regularizer = regularizers.get(W_regularizer)
        self.W_constraint = constraints.get(W_constraint)
        self.activation = activations.get("linear")
        self.input_spec = [InputSpec(ndim=2)]
        super(OldDense, self).__init__(**kwargs)

    def build(self, input_shape):
        self.input_spec = [InputSpec(dtype=K.floatx(), shape=(None, input_shape[1]))]
        self.W = self.add_weight((input_shape[1], self.output_dim), initializer=self.init,
                                 name="{}_W".format(self.name), regularizer=self.W_regularizer,
                                 constraint=self.W_constraint)
        self.scale = K.variable(np.ones(self.output_dim), name="scale")
        self.trainable_weights.append(self.scale)
        self.built = True

    def call(self, x, mask=None):
        return self.activation(K.dot(x, self.W) * self.scale)

    def get_output_shape_for(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self):
        config = {"output_dim": self.output_dim, "W_regularizer": self.W_regularizer.get_config()
                  if self.W_regularizer else None}
        base_config = super(OldDense, self).get_config()
        return dict(list(base_config.items()) + list(config.items()))


class Smooth(Regularizer):
    def __init__(self, strength=0.01):
        self.strength = K.cast_to_floatx(strength)

    def __call__(self, x):
        return self.strength * K.sum(K.square(x[1:] - x[:-1]))

    def get_config(self):
        return {"name": self.__class__.__name__, "strength": float(self.strength)}


class AtMost(Constraint):
    def __init__(self, top):
        self.top = top

    def __call__(self, p):
        return K.minimum(p, self.top)

    def get_config(self):
        return {"name": self.__class__.__name__, "top": self.top}


class PlainSGD(Optimizer):
    def __init__(self, lr=0.1, **kwargs):
        super(PlainSGD, self).__init__(**kwargs)
        self.iterations = K.variable(0.0)
        self.lr = K.variable(lr)

    def get_updates(self, params, constraints, loss):
        grads = self.get_gradients(loss, params)
        self.updates = [K.update_add(self.iterations, 1)]
        for p, g in zip(params, grads):
            new_p = p - self.lr * g
            if p in constraints:
                new_p = constraints[p](new_p)
            self.updates.append(K.update(p, new_p))
        return self.updates

    def get_config(self):
        return dict(list(super(PlainSGD, self).get_config().items()) + [("lr", float(K.get_value(self.lr)))])


class Watch(Callback):
    def on_train_begin(self, logs={}):
        self.losses, self.seen = [], []
        assert self.params["nb_epoch"] == 8 and self.params["nb_sample"] == 90, self.params

    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get("loss"))
        assert logs["size"] in (30,) and logs["batch"] == batch

    def on_epoch_end(self, epoch, logs={}):
        self.seen.append(logs["acc"])
        assert self.model.optimizer.lr.get_value() > 0


x = np.random.randn(90, 5)
y = np.eye(2)[(x[:, 0] > x[:, 1]).astype(int)]
model = Sequential()
model.add(OldDense(6, input_shape=(5,), W_regularizer=Smooth(0.001), W_constraint=AtMost(0.4)))
model.add(Antirectifier())
model.add(Dense(2, activation="softmax"))
model.compile(loss="categorical_crossentropy", optimizer=PlainSGD(lr=0.5), metrics=["accuracy"])
watch = Watch()
assert model.output_shape == (None, 2) and model.layers[1].output_shape == (None, 12)
model.fit(x, y, nb_epoch=8, batch_size=30, verbose=0, callbacks=[watch])
assert len(watch.losses) == 24 and len(watch.seen) == 8
assert np.mean(watch.losses[-3:]) < np.mean(watch.losses[:3])
assert K.get_value(model.layers[0].W).max() <= 0.4 + 1e-6
assert K.get_value(model.optimizer.iterations) == 24
W = K.get_value(model.layers[0].W)
data_loss = -np.log((model.predict(x) * y).sum(1)).mean()
np.testing.assert_allclose(model.evaluate(x, y, verbose=0)[0], data_loss + 0.001 * ((W[1:] - W[:-1]) ** 2).sum(),
                           rtol=1e-4)
again = model_from_json(model.to_json(), custom_objects={"OldDense": OldDense, "Antirectifier": Antirectifier,
                                                        "Smooth": Smooth})
again.set_weights(model.get_weights())
np.testing.assert_allclose(again.predict(x), model.predict(x), rtol=1e-6)

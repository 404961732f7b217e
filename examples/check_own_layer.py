"""A layer of one's own, and whether its gradients are right: checked against differences before it learns.

The layer is a radial basis: each unit answers where the input lies near its own centre, exp(-width * distance^2).

Run:  python examples/check_own_layer.py [--small]
"""

import sys

import numpy as np
from data_at_hand import digits

import autotensor as at
from autotensor.testing import GradientCheckError, check_grad
from keras_compat import backend as K
from keras_compat.initializers import RandomUniform
from keras_compat.layers import Dense, Layer
from keras_compat.models import Sequential
from keras_compat.optimizers import Adam
from keras_compat.utils.test_utils import layer_test

SMALL = "--small" in sys.argv
np.random.seed(1337)


class RadialBasis(Layer):
    def __init__(self, units, width=1.0, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.width = width

    def build(self, input_shape):
        self.centres = self.add_weight(
            name="centres", shape=(self.units, input_shape[-1]), initializer=RandomUniform(0, 1)
        )
        self.log_width = self.add_weight(name="log_width", shape=(self.units,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs):
        apart = K.expand_dims(inputs, 1) - self.centres  # (batch, units, features)
        return K.exp(-self.width * K.exp(self.log_width) * K.sum(K.square(apart), axis=-1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "width": self.width}


class Forgetful(RadialBasis):
    """The mistake to find: the distance is hidden from the gradient."""

    def call(self, inputs):
        apart = at.stop_gradient(K.expand_dims(inputs, 1) - self.centres)
        return K.exp(-self.width * K.exp(self.log_width) * K.sum(K.square(apart), axis=-1))


# Declared shapes, configs, weights in and out, a training step.
layer_test(RadialBasis, {"units": 3}, input_shape=(5, 4))
print("the layer keeps the contract of layers")

# Differences want float64.
K.set_floatx("float64")
points = np.random.normal(scale=0.5, size=(5, 4))
for kind in (RadialBasis, Forgetful):
    layer = kind(3)
    layer.build((None, 4))
    weights = {weight.name: weight for weight in layer.trainable_weights}
    try:
        print(check_grad(layer.call, points, wrt=weights))
    except GradientCheckError as error:
        print(f"{kind.__name__} is wrong, as it should be: {error}")
K.set_floatx("float32")

(x_train, y_train), (x_test, y_test), source = digits(SMALL)
print("Data:", source)
x_train, x_test = (x.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196) / 255 for x in (x_train, x_test))
model = Sequential([RadialBasis(64, width=0.05, input_shape=(196,)), Dense(10, activation="softmax")])
model.compile(Adam(learning_rate=0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=3 if SMALL else 20, validation_data=(x_test, y_test))
print(f"Test accuracy: {model.evaluate(x_test, y_test, verbose=0)[1]:.4f}")

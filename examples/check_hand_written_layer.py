"""A gradient written by hand: first with a common mistake, which the check finds and places, then the right one.

Normalizing rows, y = (x - mean) / deviation, has a gradient of one line that saves half of the work. Whoever derives it
easily forgets that the mean depends on x, too. Such a gradient looks plausible, and networks learn with it, only worse.

Run:  python examples/check_hand_written_layer.py
"""

import numpy as np

import autotensor as at
from autotensor.testing import GradientCheckError, check_grad
from keras_compat.layers import Dense, Layer
from keras_compat.models import Sequential


def plain(x: at.Tensor) -> at.Tensor:
    """What is meant, in ordinary operations, which have their own gradients."""
    apart = x - at.mean(x, axis=-1, keepdims=True)
    return apart / at.sqrt(at.mean(apart**2, axis=-1, keepdims=True) + 1e-5)


def by_hand(forgetful: bool):
    """The same with a gradient rule of its own; a forgetful one takes the mean for a constant."""

    @at.custom_vjp
    def normalized(x):
        return plain(x)

    def forward(x):
        """The value, and what backward needs: the result and one over the deviations."""
        y = plain(x)
        variance = at.mean((x - at.mean(x, axis=-1, keepdims=True)) ** 2, axis=-1, keepdims=True)
        return y, (y, 1 / at.sqrt(variance + 1e-5))

    def backward(kept, g):
        y, scale = kept
        from_mean = 0 if forgetful else at.mean(g, axis=-1, keepdims=True)
        return (scale * (g - from_mean - y * at.mean(g * y, axis=-1, keepdims=True)),)

    normalized.defvjp(forward, backward)
    return normalized


class Normalize(Layer):
    """Rows with mean 0 and deviation 1, then stretched and moved by weights that are learnt."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def build(self, input_shape):
        self.stretch = self.add_weight(name="stretch", shape=(input_shape[-1],), initializer="ones")
        self.move = self.add_weight(name="move", shape=(input_shape[-1],), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs):
        return self.function(inputs) * self.stretch + self.move


rng = np.random.default_rng(1)
x = rng.normal(size=(4, 6))
points, classes = rng.normal(size=(8, 5)), rng.integers(0, 3, size=(8, 1))

for forgetful in (True, False):
    function = by_hand(forgetful)
    print(f"\n== {'forgetful' if forgetful else 'right'}: the function")
    try:
        print(check_grad(function, x, order=2))
        own, other = (at.grad(lambda x, f=f: at.sum(f(x) ** 3))(x) for f in (function, plain))
        print(f"as by ordinary operations: {np.allclose(own, other, rtol=1e-12)}")
    except GradientCheckError as error:
        print(error)
        print("found in the function")

    print(f"== {'forgetful' if forgetful else 'right'}: the layer, within a model")
    model = Sequential([
        Dense(6, activation="tanh", input_shape=(5,), name="first"),
        Normalize(function, name="normalize"),
        Dense(3, activation="softmax", name="last"),
    ])  # fmt: skip
    model.compile("sgd", "sparse_categorical_crossentropy")
    try:
        print(model.check_gradients(points, classes))
    except GradientCheckError as error:
        wrong = [row.name for row in error.report.inputs if not row.ok]
        print(f"found in the model: wrong are {', '.join(wrong)}, all that stand before the layer")

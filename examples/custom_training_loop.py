"""A training loop of one's own on the engine alone: a convolutional network, Nesterov's momentum, one compiled step.

Run:  python examples/custom_training_loop.py [--small]
"""

import sys
import time

import numpy as np
from data_at_hand import digits

import autotensor as at

SMALL = "--small" in sys.argv
at.random.seed(1337)
order = np.random.default_rng(1337)

(x_train, y_train), (x_test, y_test), source = digits(SMALL)
print("Data:", source)
x_train, x_test = (x[..., None].astype("float32") / 255 for x in (x_train, x_test))
epochs, batch_size = (2, 40) if SMALL else (12, 50)
if SMALL:
    x_train, y_train, x_test, y_test = x_train[:2000], y_train[:2000], x_test[:500], y_test[:500]


def weight(*shape: int) -> at.Variable:
    """A variable with numbers drawn as He et al. (2015) advise for relu."""
    return at.Variable(at.random.normal(shape) * np.sqrt(2 / np.prod(shape[:-1])))


def zeros(*shape: int) -> at.Variable:
    return at.Variable(np.zeros(shape, "float32"))


weights = [weight(5, 5, 1, 8), zeros(8), weight(5, 5, 8, 16), zeros(16), weight(256, 10), zeros(10)]
velocities = [zeros(*w.shape) for w in weights]


def network(x: at.Tensor) -> at.Tensor:
    """Pictures (n, 28, 28, 1) in, logits (n, 10) out."""
    kernel_1, bias_1, kernel_2, bias_2, kernel_3, bias_3 = weights
    x = at.max_pool(at.relu(at.conv(x, kernel_1) + bias_1), 2)
    x = at.max_pool(at.relu(at.conv(x, kernel_2) + bias_2), 2)
    return at.reshape(x, (-1, 256)) @ kernel_3 + bias_3


@at.compile
def step(x: at.Tensor, y: at.Tensor, rate: float) -> at.Tensor:
    """Learn from a batch and return its loss; the assignments become updates of the compiled step."""
    loss = at.mean(at.sparse_softmax_cross_entropy(network(x), y))
    for w, v, g in zip(weights, velocities, at.grad(loss, weights), strict=True):
        v.assign(0.9 * v - rate * g)
        w.assign(w + 0.9 * v - rate * g)
    return loss


@at.compile
def classes(x: at.Tensor) -> at.Tensor:
    return at.argmax(network(x), axis=1)


def test_accuracy() -> float:
    found = np.concatenate([np.asarray(classes(x_test[k : k + 500])) for k in range(0, len(x_test), 500)])
    return float(np.mean(found == y_test))


history: dict[str, list[float]] = {"loss": [], "val_accuracy": []}
for epoch in range(epochs):
    start = time.perf_counter()
    rate = 0.02 * 0.85**epoch
    losses = []
    shuffled = order.permutation(len(x_train))
    for k in range(0, len(x_train) - batch_size + 1, batch_size):
        batch = shuffled[k : k + batch_size]
        losses.append(float(step(x_train[batch], y_train[batch], rate)))
    history["loss"].append(float(np.mean(losses)))
    history["val_accuracy"].append(test_accuracy())
    reached = ", ".join(f"{name} {values[-1]:.4f}" for name, values in history.items())
    print(f"epoch {epoch + 1}: {time.perf_counter() - start:.1f} s, {reached}")

print(f"Test accuracy: {history['val_accuracy'][-1]:.4f}")

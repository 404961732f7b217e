"""One process that runs one workload of one library, a round at a time, on command.

Started by ``compare``; prints ``ready`` after warm-up, then for each line ``run N`` the seconds of N steps as JSON.
Peers are imported only here and are no dependencies of the project.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

Step = Callable[[], object]

# name: (input width, hidden widths, classes, batch size, dropout, optimizer)
MLPS = {
    "mlp-128": (20, (64, 64), 10, 128, 0.5, "sgd"),
    "mlp-16": (20, (64, 64), 10, 16, 0.5, "sgd"),
    "mnist-mlp-128": (784, (512, 512), 10, 128, 0.2, "rmsprop"),
}


def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and one-hot labels of a workload, always the same."""
    width, _, classes, batch, _, _ = MLPS[name]
    rng = np.random.default_rng(0)
    x = rng.random((batch, width)).astype("float32")
    y = np.eye(classes, dtype="float32")[rng.integers(classes, size=batch)]
    return x, y


def keras_step(name: str, keras: object) -> Step:
    """The workload as a Keras user writes it, stepped by train_on_batch."""
    width, hidden, classes, _, rate, optimizer = MLPS[name]
    layers, optimizers = keras.layers, keras.optimizers  # type: ignore[attr-defined]
    model = keras.models.Sequential()  # type: ignore[attr-defined]
    if hasattr(layers, "InputLayer") and hasattr(keras, "config"):
        model.add(layers.InputLayer(shape=(width,)))
        model.add(layers.Dense(hidden[0], activation="relu"))
    else:
        model.add(layers.Dense(hidden[0], activation="relu", input_dim=width))
    model.add(layers.Dropout(rate))
    for units in hidden[1:]:
        model.add(layers.Dense(units, activation="relu"))
        model.add(layers.Dropout(rate))
    model.add(layers.Dense(classes, activation="softmax"))
    if optimizer == "sgd":
        chosen = optimizers.SGD(learning_rate=0.01, momentum=0.9, nesterov=True)
    else:
        chosen = optimizers.RMSprop(learning_rate=0.001)
    model.compile(loss="categorical_crossentropy", optimizer=chosen, metrics=["accuracy"])
    x, y = data(name)
    return lambda: model.train_on_batch(x, y)


def ours(name: str) -> Step:
    import keras_compat

    return keras_step(name, keras_compat)


def keras3_jax(name: str) -> Step:
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    return keras_step(name, keras)


def jax_jit(name: str) -> Step:
    """The same step written by hand: one jitted function with donated state."""
    import jax
    import jax.numpy as jnp

    width, hidden, classes, _, rate, optimizer = MLPS[name]
    sizes = [width, *hidden, classes]
    rng = np.random.default_rng(1)
    params = []
    for a, b in zip(sizes, sizes[1:], strict=False):
        limit = np.sqrt(6 / (a + b))
        params.append((jnp.asarray(rng.uniform(-limit, limit, (a, b)), jnp.float32), jnp.zeros(b, jnp.float32)))
    state = jax.tree.map(jnp.zeros_like, params)

    def loss_fn(params, key, x, y):
        h = x
        for w, b in params[:-1]:
            key, sub = jax.random.split(key)
            h = jax.nn.relu(h @ w + b)
            h = jnp.where(jax.random.bernoulli(sub, 1 - rate, h.shape), h / (1 - rate), 0)
        w, b = params[-1]
        logits = h @ w + b
        loss = -jnp.mean(jnp.sum(y * jax.nn.log_softmax(logits), axis=-1))
        accuracy = jnp.mean(jnp.argmax(logits, -1) == jnp.argmax(y, -1))
        return loss, accuracy

    def step(params, state, key, x, y):
        key, sub = jax.random.split(key)
        (loss, accuracy), grads = jax.value_and_grad(loss_fn, has_aux=True)(params, sub, x, y)
        if optimizer == "sgd":
            state = jax.tree.map(lambda v, g: 0.9 * v - 0.01 * g, state, grads)
            params = jax.tree.map(lambda p, v, g: p + 0.9 * v - 0.01 * g, params, state, grads)
        else:
            state = jax.tree.map(lambda v, g: 0.9 * v + 0.1 * g * g, state, grads)
            params = jax.tree.map(lambda p, v, g: p - 0.001 * g / (jnp.sqrt(v) + 1e-7), params, state, grads)
        return params, state, key, jnp.stack([loss, accuracy])

    jitted = jax.jit(step, donate_argnums=(0, 1, 2))
    x, y = [jnp.asarray(a) for a in data(name)]  # on the device already: the peer at its best
    box = [params, state, jax.random.PRNGKey(0)]

    def run() -> object:
        *box[:], logs = jitted(*box, x, y)
        return np.asarray(logs)

    return run


def torch_step(name: str, compiled: bool) -> Step:
    import torch

    torch.set_num_threads(2)
    width, hidden, classes, _, rate, optimizer = MLPS[name]
    parts: list[torch.nn.Module] = []
    for a, b in zip([width, *hidden], hidden, strict=False):
        parts += [torch.nn.Linear(a, b), torch.nn.ReLU(), torch.nn.Dropout(rate)]
    model = torch.nn.Sequential(*parts, torch.nn.Linear(hidden[-1], classes))
    if optimizer == "sgd":
        chosen: torch.optim.Optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    else:
        chosen = torch.optim.RMSprop(model.parameters(), lr=0.001)
    x, y = [torch.from_numpy(a) for a in data(name)]

    def forward(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits = model(x)
        loss = torch.nn.functional.cross_entropy(logits, y)
        return loss, (logits.argmax(-1) == y.argmax(-1)).float().mean()

    run_forward = torch.compile(forward) if compiled else forward

    def run() -> object:
        chosen.zero_grad()
        loss, accuracy = run_forward(x, y)
        loss.backward()
        chosen.step()
        return float(loss), float(accuracy)

    return run


LIBRARIES: dict[str, Callable[[str], Step]] = {
    "ours": ours,
    "jax": jax_jit,
    "keras3-jax": keras3_jax,
    "torch": lambda name: torch_step(name, False),
    "torch-compile": lambda name: torch_step(name, True),
}


def main(library: str, workload: str, warm: int = 30) -> None:
    step = LIBRARIES[library](workload)
    for _ in range(warm):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line.split()[1])
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])

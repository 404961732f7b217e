"""Kills itself at chosen points of a save, many times over: what ``test_never_lost`` starts.

    python kills.py FILE WAY POINTS

A copy of this process saves a model, and kills itself at the n-th function it enters or leaves, so that every step of a
save is met, on machines of any speed. After each the file has to hold the old model or the new, whole, and the next
save has to remove what the killed one left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_compat.callbacks import ModelCheckpoint
from keras_compat.layers import Dense
from keras_compat.models import Sequential, load_model


def fill(model: Any, value: float) -> None:
    model.set_weights([np.full(w.shape, value) for w in model.get_weights()])


def held(path: str, model: Any) -> set[float]:
    """The different numbers among the weights in a file: a whole file has one."""
    if path.endswith(".weights.h5"):
        model.load_weights(path)
    else:
        model = load_model(path)
    return {float(v) for w in model.get_weights() for v in np.unique(w)}


def events_of(call: Callable[[], None], last: int | None = None) -> int:
    """How many functions a call enters and leaves; at the ``last`` one the process ends."""
    count = 0

    def hook(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(hook)
    try:
        call()
    finally:
        sys.setprofile(None)
    return count


def main(path: str, way: str, points: int) -> None:
    warnings.simplefilter("ignore")
    model = Sequential([Dense(100, input_dim=100), Dense(100)])
    model.compile("adam", "mse")
    other = Sequential([Dense(100, input_dim=100), Dense(100)])
    checkpoint = ModelCheckpoint(path, save_weights_only=way == "checkpoint of weights")
    checkpoint.set_model(model)
    save: Callable[[], Any] = {
        "save": lambda: model.save(path),
        "save_weights": lambda: model.save_weights(path),
    }.get(way, lambda: checkpoint.on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0}))
    folder = os.path.dirname(path)
    found = {"old": 0, "new": 0, "left behind": 0}
    fill(model, 1)
    save()
    total = events_of(save)
    rng = random.Random(way)
    # Half of them near the end, where the file is renamed.
    chosen = sorted({rng.randrange(1, total) for _ in range(points // 2)})
    chosen += [total - i for i in range(points - len(chosen))]
    for point in chosen:
        fill(model, 1)
        save()
        assert os.listdir(folder) == [os.path.basename(path)], os.listdir(folder)
        fill(model, 2)
        process = os.fork()
        if process == 0:
            events_of(save, point)
            os._exit(0)
        _, status = os.waitpid(process, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (point, status)
        came = held(path, other)
        assert came in ({1.0}, {2.0}), (point, came)
        found["old" if came == {1.0} else "new"] += 1
        found["left behind"] += len(os.listdir(folder)) > 1
    fill(model, 3)
    save()
    assert held(path, other) == {3.0}
    assert os.listdir(folder) == [os.path.basename(path)]
    print(json.dumps({"way": way, "points": len(chosen), "of": total, **found}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

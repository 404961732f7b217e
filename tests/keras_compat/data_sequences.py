"""Sequences of batches for the tests of workers, where other processes can import them; it may be run, too."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from keras_compat.utils.data_utils import Sequence


class Batches(Sequence):
    """Batches of arrays in an order that changes each pass, with numbers drawn at random added."""

    def __init__(self, n: int = 7, noise: float = 1.0, **extra: Any):
        self.order = np.arange(n)
        self.x = np.random.RandomState(0).normal(size=(n, 4, 5)).astype("float32")
        self.noise = noise
        self.ends = 0
        self.__dict__.update(extra)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Any:
        if self.noise:
            time.sleep(0.002 * (index % 3))  # so that several processes do not come in their order by themselves
        x = self.x[self.order[index]] + self.noise * np.random.normal(size=(4, 5)) + self.noise * random.random()
        return x, x[:, :2] * self.ends + index

    def on_epoch_end(self) -> None:
        np.random.shuffle(self.order)
        self.ends += 1


class Drawing(Batches):
    """Draws from random generators of its own."""

    def __init__(self) -> None:
        super().__init__(5)
        self.old, self.new, self.python = np.random.RandomState(1), np.random.default_rng(1), random.Random(1)

    def __getitem__(self, index: int) -> Any:
        x, y = super().__getitem__(index)
        return x + self.old.normal(), y + self.new.normal() + self.python.random()

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        self.x = self.x + self.old.normal() + self.new.normal() + self.python.random()


class Failing(Batches):
    """Does at one place what ``how`` says."""

    def __getitem__(self, index: int) -> Any:
        if index == 3:
            getattr(self, self.how)()  # type: ignore[attr-defined]
        return super().__getitem__(index)

    def killed(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def ended(self) -> None:
        os._exit(7)

    def divides(self) -> None:
        raise ZeroDivisionError("by hand")

    def own_error(self) -> None:
        raise Awkward(1, 2)


class Awkward(Exception):
    """Can be pickled, and not be read again."""

    def __init__(self, a: int, b: int):
        super().__init__(f"awkward {a} {b}")


class Told(Batches):
    """Says of each batch in which process it was made, and whether its array is a part of a file."""

    def __getitem__(self, index: int) -> Any:
        x = np.full((1, 3), [os.getpid(), isinstance(self.x, np.memmap), self.x[index].sum()], "float64")
        return x, x


class Writing(Batches):
    """Writes a file when a batch is begun, and takes very long to make it."""

    def __getitem__(self, index: int) -> Any:
        Path(self.folder, f"{index}-{os.getpid()}").touch()  # type: ignore[attr-defined]
        time.sleep(600)
        return super().__getitem__(index)


class Printing(Batches):
    """Writes much to standard output and error."""

    def __getitem__(self, index: int) -> Any:
        print("x" * 100_000)
        os.write(1, b"y\n" * 1000)
        print("z" * 10_000, file=sys.stderr, flush=True)
        return super().__getitem__(index)


class Planned(Batches):
    """Draws in the main process what is random, in order, and makes the batches elsewhere."""

    made = 0

    def plan(self, index: int) -> Any:
        self.made += 1
        return index, self.made, np.random.normal(size=(4, 5))

    def carry_out(self, plan: Any) -> Any:
        index, made, noise = plan
        x = self.x[self.order[index]] + noise + np.random.normal()
        return x, x[:, :2] + made

    def __getitem__(self, index: int) -> Any:
        return self.carry_out(self.plan(index))

    def get_state(self) -> Any:
        return {"made": self.made, "order": self.order.copy()}

    def set_state(self, state: Any) -> None:
        self.made, self.order[:] = state["made"], state["order"]


if __name__ == "__main__":
    # Training that waits for its batches, for tests that interrupt it.
    from keras_compat.layers import Dense
    from keras_compat.models import Sequential

    model = Sequential([Dense(2, input_dim=5)])
    model.compile("sgd", "mse")
    model.fit(Writing(20, folder=sys.argv[1]), verbose=0, workers=2, use_multiprocessing=True)

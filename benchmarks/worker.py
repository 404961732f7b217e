"""One process that trains a workload with one library, on command: ``python -m benchmarks.worker LIBRARY``.

Started by ``compare``; ``prepare WORKLOAD MODE`` chooses what is timed, see ``runner``. Peers are imported only from
here, and are no dependencies of the project.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.runner import Run, serve
from benchmarks.trainer import Trainer
from benchmarks.workloads import WORKLOADS, Workload

Maker = Callable[[Workload], Trainer]


def _keras(module: str, backend: str = "") -> Callable[[], Maker]:
    def load() -> Maker:
        if backend:
            os.environ["KERAS_BACKEND"] = backend
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        keras: Any = importlib.import_module(module)
        trainers = importlib.import_module("benchmarks.with_keras")
        return lambda workload: trainers.KerasTrainer(workload, keras)

    return load


def _torch(compiled: bool) -> Callable[[], Maker]:
    def load() -> Maker:
        trainers = importlib.import_module("benchmarks.with_torch")
        return lambda workload: trainers.TorchTrainer(workload, compiled)

    return load


def _jax() -> Maker:
    return importlib.import_module("benchmarks.with_jax").JaxTrainer


# name: what imports the library, and gives what makes a trainer of a workload
LIBRARIES: dict[str, Callable[[], Maker]] = {
    "ours": _keras("keras_compat"),
    "jax": _jax,
    "keras3-jax": _keras("keras", "jax"),
    "keras3-torch": _keras("keras", "torch"),
    "tf-keras": _keras("tensorflow.keras"),
    "torch": _torch(compiled=False),
    "torch-compile": _torch(compiled=True),
}

# Those that speak Keras; the others' ``fit`` is a loop written by hand.
KERAS = ("ours", "keras3-jax", "keras3-torch", "tf-keras")

# A run of ``fit`` is that many epochs in one call, and its time is divided by them.
EPOCHS = 5

# name: what is timed
MODES: dict[str, Callable[[Trainer], Run]] = {
    "step": lambda trainer: trainer.step,
    "fit": lambda trainer: lambda: trainer.fit(EPOCHS),
    "predict-row": lambda trainer: trainer.predict_row,
    "predict-call": lambda trainer: trainer.predict_call,
    "predict-rows": lambda trainer: trainer.predict_rows,
}


def main(library: str) -> None:
    make = LIBRARIES[library]()
    serve(lambda workload, mode: MODES[mode](make(WORKLOADS[workload])))


if __name__ == "__main__":
    main(sys.argv[1])

"""What a sample of an operation is: the unit that the contract test works on.

Each family of ``autotensor.ops`` has a module of the same name in this folder with::

    SAMPLES: dict[str, list[Sample]] = {
        "tanh": [Sample(array(2, 3), oracle=np.tanh)],
        "sum": [Sample(array(2, 3, 4), oracle=np.sum, axis=(0, 2), keepdims=False)],
    }

The keys are registry names. An operation without samples fails the contract test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

ASPECTS = (
    "value", "shape", "unknown", "dtypes", "unmodified", "grad", "strided", "empty", "scalar", "float32",
    "kernel", "fallback", "into", "expr", "graph",
)  # fmt: skip


class Sample:
    """Inputs and parameters of one call, and an independent way to the right answer.

    inputs: NumPy arrays (float64 or complex128 where derivatives are wanted; integers and bools as they are) or
        Python numbers. They should stay away from kinks and ties, and no two dimensions should be equal without
        need.
    oracle: a NumPy callable taking the same inputs and parameters, sharing no code with the operation.
        Without one a reason must be given: ``no_oracle="random: see test_random.py"``.
    order: highest order of derivatives to check; 0 for none.
    name: shown in the test's name when an operation has several samples; else they are numbered.
    call: function called in place of the registered Op, with the same inputs and parameters: the user-facing
        one. It is also how to leave ambiguities out (``lambda x: at.svd(x)[1]``) and to pass lists of
        tensors.
    wrt: positions of the inputs whose derivatives are checked; by default all float64 and complex128 arrays.
    tol: relative tolerance of values against the oracle (float64; float32 is scaled from it).
    skip: aspects of the contract that do not apply to this sample, each with the reason:
        ``{"empty": "a singular value of nothing"}``. Aspects: see ``ASPECTS`` and ``test_contract.py``.
    params: everything else: static keyword parameters of the operation.
    """

    __slots__ = ("call", "inputs", "name", "no_oracle", "oracle", "order", "params", "skip", "tol", "wrt")

    def __init__(
        self,
        *inputs: Any,
        oracle: Callable[..., Any] | None = None,
        order: int = 2,
        name: str | None = None,
        call: Callable[..., Any] | None = None,
        no_oracle: str | None = None,
        wrt: Sequence[int] | None = None,
        tol: float = 1e-12,
        skip: Mapping[str, str] | None = None,
        **params: Any,
    ):
        if (oracle is None) == (not no_oracle):
            raise ValueError("[Sample] expected an oracle, or else a reason in no_oracle=; got neither or both.")
        unknown = set(skip or ()) - set(ASPECTS)
        if unknown or not all((skip or {}).values()):
            raise ValueError(f"[Sample] skip maps aspects to reasons; got {skip}. The aspects are {ASPECTS}.")
        self.inputs = tuple(inputs)
        self.oracle = oracle
        self.order = order
        self.name = name
        self.call = call
        self.no_oracle = no_oracle
        floats = [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.char in "dD"]
        self.wrt = tuple(floats if wrt is None else wrt)
        self.tol = tol
        self.skip = dict(skip or {})
        self.params = params

    def __repr__(self) -> str:
        shown = [f"{x.dtype}{list(x.shape)}" if isinstance(x, np.ndarray) else repr(x) for x in self.inputs]
        shown += [f"{key}={value!r}" for key, value in self.params.items()]
        return f"Sample({', '.join(shown)})"


def array(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> np.ndarray:
    """Distinct float64 numbers, evenly spread from ``low`` to ``high`` in random order: no ties, and none is
    0.

    The distance of neighbours is (high - low) / size, so a step of 1e-4 never makes two of them change
    places.
    """
    size = int(np.prod(shape, dtype=int))
    rng = np.random.default_rng([seed, size])
    steps = (rng.permutation(size) + 0.5 + rng.uniform(-0.2, 0.2, size)) / max(size, 1)
    values = low + (high - low) * steps
    if size and low < 0 < high:  # keep away from 0, where abs, sign and relu have their kinks
        gap = 0.1 * (high - low) / size
        values = np.where(np.abs(values) < gap, np.where(values < 0, -gap, gap), values)
    return values.reshape(shape)


def positive(*shape: int, low: float = 0.3, high: float = 3.0, seed: int = 0) -> np.ndarray:
    """Like ``array``, with positive numbers only."""
    return array(*shape, low=low, high=high, seed=seed)


def complexes(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> np.ndarray:
    """Distinct complex128 numbers with both parts from ``low`` to ``high``, none of them 0."""
    return array(*shape, low=low, high=high, seed=seed) + 1j * array(*shape, low=low, high=high, seed=seed + 100)


def integers(*shape: int, low: int = -5, high: int = 6, seed: int = 0, dtype: Any = np.int64) -> np.ndarray:
    """Random integers from ``low`` to ``high - 1``."""
    return np.random.default_rng([seed, low - high + 1000]).integers(low, high, shape).astype(dtype)


def bools(*shape: int, seed: int = 0) -> np.ndarray:
    """Random truth values."""
    return np.random.default_rng([seed, 7]).random(shape) < 0.5

"""The learning phase: whether a graph trains or tests."""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._elementwise import switch
from keras_compat.backend._tensors import is_tensor
from keras_compat.backend.common import reset_uids

# One for all models: those built before a clear_session go on working.
PHASE: Any = at.placeholder((), "bool", name="keras_learning_phase")
PHASE._keras_shape = ()
PHASE._uses_learning_phase = True
_phase_value: int | None = None


def learning_phase() -> Any:
    """The learning phase: 0 or 1 if set by :func:`set_learning_phase`, else a boolean placeholder to feed.

    Where the placeholder is not fed it counts as 0, testing; so it does where layers are called on values.
    """
    if _phase_value is not None:
        return _phase_value
    return 0 if at.is_immediate() else PHASE


def set_learning_phase(value: int) -> None:
    """Fix the learning phase: 0 for testing, 1 for training. Raises ValueError for other values."""
    global _phase_value
    if value not in (0, 1):
        raise ValueError(f"[set_learning_phase] expected 0 (testing) or 1 (training); got {value!r}. Use one of them.")
    _phase_value = int(value)


def fixed_phase() -> int | None:
    """What :func:`set_learning_phase` set: 0 or 1; None if nothing is set."""
    return _phase_value


def clear_session() -> None:
    """Forget the fixed learning phase and start the automatic names again."""
    global _phase_value
    reset_uids()
    _phase_value = None


def phase_givens(value: int | bool = 0) -> dict[Any, Any]:
    """What to pass as ``givens`` to ``autotensor.function`` so that the graph is specialised on a learning phase."""
    return {PHASE: at.asarray(np.asarray(bool(value)))}


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` in training, ``alt`` in testing; both are tensors or functions without arguments that make one.

    ``training`` (0, 1, True, False or a tensor) decides where it is given, else the learning phase. A compiled
    function whose phase is fixed computes one branch only.
    """
    by_phase = training is None
    if by_phase:
        training = learning_phase()
    if not is_tensor(training):
        chosen = x if training else alt
        return chosen() if callable(chosen) else chosen
    result = switch(training, x, alt)
    if by_phase:
        result._uses_learning_phase = True
    return result


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` in testing, ``alt`` in training; see :func:`in_train_phase`."""
    return in_train_phase(alt, x, training=training)

"""Values: compiled functions of graphs, and what tensors and variables are worth now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend import _attributes
from keras_compat.backend._graph import Update, as_updates, below, unique_updates
from keras_compat.backend._phases import PHASE, fixed_phase, phase_givens
from keras_compat.backend._tensors import as_numbers, as_tensor
from keras_compat.dialect.level import get_api_level


class Function:
    """A compiled graph as Keras calls it: a list of arrays in, a list of arrays out. See :func:`function`."""

    def __init__(self, inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, givens: Any = None):
        self.inputs = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        self.single = isinstance(outputs, Update) or not isinstance(outputs, (list, tuple))
        listed = [outputs] if self.single else list(outputs)
        pending = as_updates(updates) + [x for x in listed if isinstance(x, Update)]
        self.outputs = [x.value if isinstance(x, Update) else as_tensor(x) for x in listed]
        self.name = name
        for x in below([*self.outputs, *[value for _, value in pending]]):
            pending += getattr(x, "_attached_updates", ())
        self.updates = unique_updates(pending)
        # A phase that is fixed is a number, and so is what is fed for it.
        self._fed = [i for i, x in enumerate(self.inputs) if isinstance(x, at.Tensor)]
        self._phase_at = None
        fed = [self.inputs[i] for i in self._fed]
        phases = [i for i, x in enumerate(fed) if x is PHASE]
        given = dict(givens or {})
        if phases:
            self._phase_at = phases[0]
        else:
            given = {**phase_givens(fixed_phase() or 0), **given}
        self._dtypes = [x.dtype for x in fed]
        static = [fed[i] for i in phases]
        self._run = at.function(fed, self.outputs, list(self.updates), givens=given, static=static, name=name)

    def __call__(self, inputs: Any = ()) -> Any:
        given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if len(given) != len(self.inputs):
            raise TypeError(
                f"[{self.name or 'function'}] expected a list of {len(self.inputs)} arrays; got {len(given)}. "
                "Give one for each input, in their order."
            )
        arrays = [_fed_array(given[i], dtype) for i, dtype in zip(self._fed, self._dtypes)]
        results = self._run(*arrays)
        return results[0] if self.single else results


def _fed_array(value: Any, dtype: np.dtype) -> np.ndarray:
    if type(value) is np.ndarray and value.dtype == dtype:
        return value
    if hasattr(value, "tocoo"):
        value = value.toarray()
    return np.asarray(value).astype(dtype)


_FUNCTION_ARGUMENTS = ("name", "givens")


def function(inputs: Any, outputs: Any, updates: Any = None, **kwargs: Any) -> Function:
    """Compile a graph: ``f = K.function([x, y], [z]); z_value, = f([x_value, y_value])``.

    Args:
        inputs: placeholders or other symbolic tensors; :func:`learning_phase` may be among them.
        outputs: list of tensors; a single tensor makes a function that returns one array. Results of
            :func:`update` may be among them.
        updates: changes to run at each call: results of :func:`update`, or pairs (variable, new value). All are
            computed from the values before the call.
        kwargs: ``name`` and ``givens`` (as in ``autotensor.function``). Others, meant for Theano or TensorFlow, are
            ignored at API level 1.2 and refused later.

    Raises ValueError for an unknown argument.
    """
    unknown = sorted(set(kwargs) - set(_FUNCTION_ARGUMENTS))
    if unknown and get_api_level() != "1.2":
        raise ValueError(
            f"[function] Invalid argument {unknown[0]!r} passed to K.function: expected inputs, outputs, updates, "
            f"{', '.join(_FUNCTION_ARGUMENTS)}; got also {', '.join(unknown)}. Leave it out."
        )
    return Function(inputs, outputs, updates, **{k: v for k, v in kwargs.items() if k in _FUNCTION_ARGUMENTS})


def eval(x: Any) -> Any:
    """Value of a tensor now, as an ndarray. An update is run first. The learning phase counts as 0 unless set."""
    if isinstance(x, at.Variable):
        return x.numpy()
    if isinstance(x, at.Tensor) and x.data is not None and not x.deferred:
        return np.array(x.data)
    if not isinstance(x, (at.Tensor, Update)):
        return np.asarray(x)
    parts = [x.value] if isinstance(x, Update) else [x]
    if isinstance(x, at.Tensor):
        needs_call = any(y is PHASE or hasattr(y, "_attached_updates") for y in below(parts))
        if not needs_call:
            return at.evaluate(x)
    with at.config.use(compile=False):  # evaluated once: compiling would cost more than it gains
        return Function([], x)([])


_attributes.attach(eval)


def get_value(x: Any) -> Any:
    """Value of a variable, as a copy; of another tensor, as :func:`eval`."""
    return eval(x)


def batch_get_value(ops: Iterable[Any]) -> list[Any]:
    """Values of a list of variables."""
    return [get_value(x) for x in ops]


def set_value(x: Any, value: Any) -> None:
    """Set a variable to an array or number of its shape; it is cast to its dtype.

    Raises TypeError for what is no variable.
    """
    if not isinstance(x, at.Variable):
        raise TypeError(f"[set_value] expected a variable; got {type(x).__name__}. Make it with K.variable().")
    x.assign(get_value(value) if isinstance(value, at.Tensor) else as_numbers(value, "set_value", x.dtype))


def batch_set_value(tuples: Iterable[tuple[Any, Any]]) -> None:
    """Set several variables: pairs (variable, value)."""
    for x, value in tuples:
        set_value(x, value)


def print_tensor(x: Any, message: str = "") -> Any:
    """The same tensor; each time the result is evaluated, ``message`` and the value are printed."""
    return at.print_value(as_tensor(x), str(message))

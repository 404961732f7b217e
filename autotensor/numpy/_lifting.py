"""Lists that hold tensors as arguments of NumPy's functions: NumPy would read their values and lose their gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from autotensor.ops.creation import _holds_tensors as holds_tensors
from autotensor.ops.creation import asarray

__all__ = ["Ufunc", "holds_tensors", "lifted"]

# Functions whose argument is a sequence of arrays: only the elements of it are arrays.
_OF_SEQUENCES = set(
    "concatenate concat stack vstack hstack dstack column_stack row_stack select piecewise multi_dot choose".split()
)


def _whole(x: Any) -> Any:
    return asarray(x) if type(x) in (list, tuple) and holds_tensors(x) else x


def _parts(x: Any) -> Any:
    return [_whole(part) for part in x] if type(x) in (list, tuple) else x


def _nested(x: Any) -> Any:
    """The blocks of ``block`` are lists of lists; its leaves are tensors already."""
    return x


class Ufunc:
    """A ufunc of NumPy that also takes lists of tensors."""

    def __init__(self, ufunc: np.ufunc):
        self._ufunc = ufunc
        self.__name__ = ufunc.__name__
        self.__doc__ = ufunc.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for x in args:
            if type(x) is list or type(x) is tuple:
                return self._ufunc(*[_whole(x) for x in args], **kwargs)
        return self._ufunc(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ufunc, name)

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r}>"


def lifted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy that also takes lists of tensors where it takes arrays."""
    name = function.__name__
    lift = _nested if name == "block" else _parts if name in _OF_SEQUENCES else _whole

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for x in args:
            if type(x) is list or type(x) is tuple:
                args = tuple([lift(x) for x in args])
                break
        return function(*args, **kwargs)

    return call


def namespace(module: Any) -> dict[str, Any]:
    """The functions of a part of NumPy, lifted; all else as it is."""
    made = {}
    for name in dir(module):
        if not name.startswith("_"):
            thing = getattr(module, name)
            made[name] = lifted(thing) if hasattr(thing, "_implementation") else thing
    return made

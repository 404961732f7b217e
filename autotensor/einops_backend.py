"""einops on tensors: ``einops.rearrange(t, "b h w -> b (h w)")``, eager or in graphs with unknown sizes.

einops finds its backends among the subclasses of its ``AbstractBackend``. ``register`` makes ours one of them as soon
as einops is imported, before or after autotensor; autotensor itself never imports einops (``pip install einops``).
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor, placeholder
from autotensor.errors import ShapeError
from autotensor.graph.compile import function
from autotensor.ops import creation, linalg, shape
from autotensor.ops.like import reshape_to

__all__ = ["Size", "register"]


class Size:
    """The unknown size of an axis, as einops computes with it: it may be multiplied and divided.

    ``axis`` is that of ``tensor`` if the size is just this one, None for a product or quotient.
    """

    __hash__ = None  # type: ignore[assignment] # keeps einops from remembering it

    def __init__(self, tensor: Tensor | None = None, axis: int | None = None):
        self.tensor = tensor
        self.axis = axis

    def __mul__(self, other: Any) -> Size:
        return self if isinstance(other, int) and other == 1 else Size()

    __rmul__ = __mul__
    __floordiv__ = __mul__

    def __rfloordiv__(self, other: Any) -> Size:
        return Size()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return "?"


def _sizes(x: Tensor) -> tuple[Any, ...]:
    return tuple([Size(x, k) if d is None else d for k, d in enumerate(x.shape)])


def _reshape(x: Tensor, sizes: Sequence[Any]) -> Tensor:
    """x in a shape of numbers and unknown sizes, of which one may be a product or quotient."""
    unknown = [d for d in sizes if isinstance(d, Size)]
    if len(unknown) <= 1:
        return x.reshape(tuple([-1 if isinstance(d, Size) else int(d) for d in sizes]))
    refs: list[Tensor] = []
    dims: list[Any] = []
    for d in sizes:
        if not isinstance(d, Size):
            dims.append(int(d))
        elif d.tensor is None:
            dims.append(-1)
        else:
            if not any(r is d.tensor for r in refs):
                refs.append(d.tensor)
            dims.append(([r is d.tensor for r in refs].index(True), d.axis))
    if dims.count(-1) > 1:
        raise ShapeError(
            f"[einops] expected one size at most that is computed from unknown ones; got {len(unknown)} unknown sizes. "
            "Give the sizes of axes as keywords."
        )
    return reshape_to(x, *refs, dims=tuple(dims))


def _define(backends: ModuleType) -> None:
    """Our backend, as a subclass of einops's."""
    base: Any = backends.AbstractBackend

    class AutotensorBackend(base):
        framework_name = "autotensor"

        def is_appropriate_type(self, tensor: Any) -> bool:
            return isinstance(tensor, Tensor)

        def from_numpy(self, x: np.ndarray) -> Tensor:
            return creation.array(x)

        def to_numpy(self, x: Tensor) -> np.ndarray:
            return x.numpy()

        def create_symbol(self, sizes: Sequence[int | None]) -> Tensor:
            return placeholder(sizes)

        def eval_symbol(self, symbol: Tensor, values: Sequence[tuple[Tensor, Any]]) -> Any:
            return function([x for x, _ in values], [symbol])(*[value for _, value in values])[0]

        def arange(self, start: int, stop: int) -> Tensor:
            return creation.arange(start, stop)

        def shape(self, x: Tensor) -> tuple[Any, ...]:
            return _sizes(x)

        def reshape(self, x: Tensor, sizes: Sequence[Any]) -> Tensor:
            return _reshape(x, sizes)

        def transpose(self, x: Tensor, axes: Sequence[int]) -> Tensor:
            return shape.permute_dims(x, tuple(axes))

        def reduce(self, x: Tensor, operation: str, axes: Sequence[int]) -> Tensor:
            return getattr(x, operation)(axis=tuple(axes))

        def stack_on_zeroth_dimension(self, tensors: list[Any]) -> Tensor:
            return shape.stack(tensors, axis=0)

        def add_axis(self, x: Tensor, new_position: int) -> Tensor:
            return shape.expand_dims(x, new_position)

        def tile(self, x: Tensor, repeats: Sequence[int]) -> Tensor:
            return shape.tile(x, tuple(repeats))

        def concat(self, tensors: Sequence[Any], axis: int) -> Tensor:
            return shape.concat(list(tensors), axis=axis)

        def is_float_type(self, x: Tensor) -> bool:
            return x.dtype.kind in "fc"

        def einsum(self, pattern: str, *x: Any) -> Tensor:
            return linalg.einsum(pattern, *x)

    _defined.append(AutotensorBackend)  # einops holds its subclasses weakly


_defined: list[type] = []
_MODULE = "einops._backends"


class _Arrival(importlib.abc.MetaPathFinder):
    """Waits for the import of einops's backends, and steps out of the way."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                _define(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def register() -> None:
    """Make einops know tensors, now if it is imported already, else when it will be."""
    if _MODULE in sys.modules:
        _define(sys.modules[_MODULE])
    else:
        sys.meta_path.insert(0, _Arrival())

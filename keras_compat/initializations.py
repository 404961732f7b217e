"""Keras 1's initializers: functions from a shape to a variable.

Layers of that time take them as ``init=``, by name or as ``lambda shape, name: normal(shape, scale=0.01, name=name)``.
Sizes are those of Keras 1.2.2: the scaled normals are not truncated, ``orthogonal`` has a scale of 1.1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_compat import backend as K
from keras_compat import initializers
from keras_compat.utils.generic_utils import Registry

# Not used here; programs take it from this module, too.
from keras_compat.utils.generic_utils import get_from_module as get_from_module

_known = Registry("initialization")
_LAYOUTS = {"th": "channels_first", "tf": "channels_last"}


def get_fans(shape: Sequence[int], dim_ordering: str = "th") -> tuple[float, float]:
    """Number of inputs and of outputs of a weight; kernels are (outputs, inputs, spatial...) for 'th'."""
    layout = _LAYOUTS.get(dim_ordering, dim_ordering)
    return initializers.compute_fans(shape, K.normalize_data_format(layout), legacy=True)


def _variable(initializer: Any, shape: Sequence[int], name: str | None) -> Any:
    return K.variable(initializer(tuple(shape)), name=name)


@_known.add
def uniform(shape: Sequence[int], scale: float = 0.05, name: str | None = None, dim_ordering: str = "th") -> Any:
    """Uniform numbers within plus and minus ``scale``."""
    return _variable(initializers.RandomUniform(-scale, scale), shape, name)


@_known.add
def normal(shape: Sequence[int], scale: float = 0.05, name: str | None = None, dim_ordering: str = "th") -> Any:
    """Normal numbers of standard deviation ``scale``."""
    return _variable(initializers.RandomNormal(0.0, scale), shape, name)


@_known.add
def lecun_uniform(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Any:
    """Uniform within sqrt(3 / fan_in)."""
    fan_in, _ = get_fans(shape, dim_ordering)
    return uniform(shape, (3.0 / fan_in) ** 0.5, name=name)


@_known.add
def glorot_normal(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Any:
    """Normal, standard deviation sqrt(2 / (fan_in + fan_out))."""
    return normal(shape, (2.0 / sum(get_fans(shape, dim_ordering))) ** 0.5, name=name)


@_known.add
def glorot_uniform(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Any:
    """Uniform within sqrt(6 / (fan_in + fan_out))."""
    return uniform(shape, (6.0 / sum(get_fans(shape, dim_ordering))) ** 0.5, name=name)


@_known.add
def he_normal(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Any:
    """Normal, standard deviation sqrt(2 / fan_in)."""
    fan_in, _ = get_fans(shape, dim_ordering)
    return normal(shape, (2.0 / fan_in) ** 0.5, name=name)


@_known.add
def he_uniform(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Any:
    """Uniform within sqrt(6 / fan_in)."""
    fan_in, _ = get_fans(shape, dim_ordering)
    return uniform(shape, (6.0 / fan_in) ** 0.5, name=name)


@_known.add
def orthogonal(shape: Sequence[int], scale: float = 1.1, name: str | None = None, dim_ordering: str = "th") -> Any:
    """Orthonormal rows or columns times ``scale``; the first dimension is the rows."""
    flat = (shape[0], math.prod(shape[1:]))
    values = K.get_value(initializers.Orthogonal(gain=scale)(flat))
    return K.variable(values.reshape(shape), name=name)


@_known.add
def identity(shape: Sequence[int], scale: float = 1, name: str | None = None, dim_ordering: str = "th") -> Any:
    """``scale`` on the diagonal of a square matrix, 0 elsewhere."""
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(
            "[identity] Identity matrix initialization can only be used for 2D square matrices; got the shape "
            f"{tuple(shape)}. Use orthogonal?"
        )
    return _variable(initializers.Identity(scale), shape, name)


@_known.add
def zero(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Any:
    """0 everywhere."""
    return _variable(initializers.Zeros(), shape, name)


@_known.add
def one(shape: Sequence[int], name: str | None = None, dim_ordering: str = "th") -> Any:
    """1 everywhere."""
    return _variable(initializers.Ones(), shape, name)


def get(identifier: Any, **kwargs: Any) -> Callable[..., Any]:
    """Function from a name or a dictionary ``{'name': ..., **arguments}``; a function comes back."""
    if isinstance(identifier, Mapping):
        kwargs = {**{key: value for key, value in identifier.items() if key != "name"}, **kwargs}
        identifier = identifier["name"]
    found = _known.deserialize(identifier)
    return functools.partial(found, **kwargs) if kwargs else found

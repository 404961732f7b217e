"""Random numbers, drawn anew at each evaluation or once for a variable."""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._creation import variable
from keras_compat.backend._lengths import dims_of, template
from keras_compat.backend._tensors import as_float
from keras_compat.backend.common import floatx


def _generator(seed: int | None) -> Any:
    """A source of random numbers of its own; without a seed, one drawn from NumPy's global state, as in Keras."""
    return at.random.Generator(int(np.random.randint(10_000_000)) if seed is None else int(seed))


def _drawn(shape: Any, dtype: Any, seed: int | None, plain: Any, like: Any, **params: Any) -> Any:
    dims, generator = dims_of(shape), _generator(seed)
    with at.deferred():
        if all(isinstance(d, int) for d in dims):
            return plain(dims, dtype=dtype or floatx(), generator=generator, **params)
        return like(template(dims, dtype or floatx()), generator=generator, **params)


def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Any:
    """Normal numbers, drawn anew at each evaluation."""
    return _drawn(shape, dtype, seed, at.random.normal, at.random.normal_like, mean=mean, stddev=stddev)


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Any:
    """Uniform numbers in [minval, maxval), drawn anew at each evaluation."""
    return _drawn(shape, dtype, seed, at.random.uniform, at.random.uniform_like, low=minval, high=maxval)


def random_binomial(shape: Any, p: float = 0.0, dtype: Any = None, seed: int | None = None) -> Any:
    """1 with probability ``p``, else 0, drawn anew at each evaluation."""
    return _drawn(shape, dtype, seed, at.random.bernoulli, at.random.bernoulli_like, p=p)


def random_bernoulli(shape: Any, p: float = 0.0, dtype: Any = None, seed: int | None = None) -> Any:
    """Later Keras's name for :func:`random_binomial`."""
    return random_binomial(shape, p=p, dtype=dtype, seed=seed)


def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: int | None = None
) -> Any:
    """Normal numbers within two standard deviations of the mean, drawn anew at each evaluation."""
    plain, like = at.random.truncated_normal, at.random.truncated_normal_like
    return _drawn(shape, dtype, seed, plain, like, mean=mean, stddev=stddev)


def random_uniform_variable(
    shape: Any, low: float, high: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Any:
    """A variable with uniform numbers in [low, high)."""
    rng = np.random.RandomState(np.random.randint(10_000_000) if seed is None else seed)
    return variable(rng.uniform(low, high, dims_of(shape)), dtype=dtype, name=name)


def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Any:
    """A variable with normal numbers."""
    rng = np.random.RandomState(np.random.randint(10_000_000) if seed is None else seed)
    return variable(rng.normal(mean, scale, dims_of(shape)), dtype=dtype, name=name)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: int | None = None) -> Any:
    """Set a fraction ``level`` of the elements to 0 and divide the others by ``1 - level``, anew at each evaluation.

    ``noise_shape`` has 1 for each axis along which one decision is shared: ``(batch, 1, channels)`` drops channels.
    A shorter one is of the last axes.

    Raises ValueError for a level outside of [0, 1).
    """
    x = as_float(x)
    if not 0 <= level < 1:
        raise ValueError(f"[dropout] level must be in interval [0, 1); got {level}. It is the fraction to drop.")
    if noise_shape is not None:
        noise_shape = [d if isinstance(d, int) and d != -1 else None for d in dims_of(noise_shape)]
        noise_shape = [1] * (x.ndim - len(noise_shape)) + noise_shape
    with at.deferred():
        return at.random.dropout(x, level, noise_shape, generator=_generator(seed))

"""Initializers: from a shape to the first values of a weight, as a constant tensor.

Random ones draw from ``numpy.random.RandomState``: the same seed gives the same weights everywhere. Without a seed one
is drawn from NumPy's global state when the weight is made, so ``numpy.random.seed`` makes a whole model reproducible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.utils.generic_utils import Registry, serialize_keras_object

# Not used here; programs take it from this module, too.
from keras_compat.utils.generic_utils import deserialize_keras_object as deserialize_keras_object

_known = Registry("initializer", factories=True)

# Numbers that are drawn at a time: 0.5 MB of float64.
_BLOCK = 1 << 16

# Standard deviation of a standard normal that is cut at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base class. Override ``__call__(shape, dtype=None)`` and ``get_config()``."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        raise NotImplementedError(f"[{type(self).__name__}] an initializer needs __call__(shape, dtype=None). Add one.")

    def get_config(self) -> dict[str, Any]:
        """The arguments of ``__init__`` that make the same initializer again."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Make an initializer from what ``get_config`` returned."""
        return cls(**{key: value for key, value in config.items() if key != "dtype"})


class _Random(Initializer):
    """An initializer with a seed. Called again, a seeded one goes on to other numbers, as in Keras 2.3."""

    seed: int | None
    _calls = 0

    def _rng(self) -> np.random.RandomState:
        if self.seed is None:
            return np.random.RandomState(np.random.randint(10_000_000))
        self._calls += 1
        return np.random.RandomState(self.seed + self._calls - 1)


def _tensor(values: Any, dtype: Any) -> Any:
    return K.constant(values, dtype=dtype or K.floatx())


def _drawn(draw: Callable[[int], np.ndarray], shape: Sequence[int], dtype: Any) -> Any:
    """Return a tensor of the numbers that ``draw(n)`` gives one after the other.

    By blocks: the 100 million of VGG16's first dense layer never stand there in float64.
    """
    values = np.empty(shape, dtype=dtype or K.floatx())
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        block[...] = draw(block.size)
    return _tensor(values, dtype)


class Zeros(Initializer):
    """0 everywhere."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return _tensor(np.zeros(shape), dtype)


class Ones(Initializer):
    """1 everywhere."""

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return _tensor(np.ones(shape), dtype)


class Constant(Initializer):
    """``value`` everywhere; a number, or an array that fills the shape."""

    def __init__(self, value: Any = 0):
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        value = np.asarray(self.value)
        if value.ndim and value.shape != tuple(shape):
            if value.size != int(np.prod(shape)):
                raise ValueError(
                    f"[Constant] expected a number or {int(np.prod(shape))} values for shape {tuple(shape)}; got shape "
                    f"{value.shape}. Give one number?"
                )
            value = value.reshape(shape)
        return _tensor(np.broadcast_to(value, shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class RandomNormal(_Random):
    """Normal numbers."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        self.mean = mean
        self.stddev = stddev
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        rng = self._rng()
        return _drawn(lambda n: rng.normal(self.mean, self.stddev, n), shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class RandomUniform(_Random):
    """Uniform numbers from ``minval`` to ``maxval``."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None):
        self.minval = minval
        self.maxval = maxval
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        rng = self._rng()
        return _drawn(lambda n: rng.uniform(self.minval, self.maxval, n), shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


def _truncated(rng: np.random.RandomState, shape: Sequence[int]) -> np.ndarray:
    """Standard normal numbers; those beyond 2 are drawn again."""
    values = rng.standard_normal(tuple(shape))
    flat = np.asarray(values).reshape(-1)
    beyond = np.flatnonzero(np.abs(flat) > 2)
    while beyond.size:
        flat[beyond] = drawn = rng.standard_normal(beyond.size)
        beyond = beyond[np.abs(drawn) > 2]
    return flat.reshape(tuple(shape))


class TruncatedNormal(_Random):
    """Normal numbers within two standard deviations of the mean."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        self.mean = mean
        self.stddev = stddev
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        return _tensor(_truncated(self._rng(), tuple(shape)) * self.stddev + self.mean, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class VarianceScaling(_Random):
    """Numbers with mean 0 and variance ``scale / n``; n is by ``mode`` the number of inputs, of outputs, or their mean.

    Args:
        scale: a positive number.
        mode: 'fan_in', 'fan_out' or 'fan_avg'.
        distribution: 'normal' (truncated at two standard deviations; 'truncated_normal' is the same), 'uniform', or
            'untruncated_normal', which is Keras 1's.
        seed: see the module.
        legacy_fans: count inputs and outputs as Keras 1 does: of a shape that is not 2D, 4D or 5D both are the
            square root of the number of weights.

    Raises ValueError for a scale of 0 or less.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "normal",
        seed: int | None = None,
        legacy_fans: bool = False,
    ):
        if scale <= 0.0:
            raise ValueError(f"[VarianceScaling] `scale` must be a positive float; got {scale}. Use Zeros for none.")
        self.scale = scale
        self.mode = _one_of("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        known = ("normal", "uniform", "truncated_normal", "untruncated_normal")
        self.distribution = _one_of("distribution", distribution, known)
        self.seed = seed
        self.legacy_fans = legacy_fans

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        fan_in, fan_out = compute_fans(shape, legacy=self.legacy_fans)
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
        variance = self.scale / max(1.0, fans[self.mode])
        rng = self._rng()
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return _drawn(lambda n: rng.uniform(-limit, limit, n), shape, dtype)
        if self.distribution == "untruncated_normal":
            return _drawn(lambda n: rng.normal(0.0, math.sqrt(variance), n), shape, dtype)
        return _tensor(_truncated(rng, tuple(shape)) * (math.sqrt(variance) / _TRUNCATED_STDDEV), dtype)

    def get_config(self) -> dict[str, Any]:
        config = {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}
        return {**config, "legacy_fans": True} if self.legacy_fans else config


def _one_of(what: str, value: str, known: Sequence[str]) -> str:
    text = str(value).lower()
    if text not in known:
        raise ValueError(
            f"[VarianceScaling] Invalid `{what}` argument: expected one of {', '.join(known)}; got {value!r}. "
            "Check the spelling."
        )
    return text


class Orthogonal(_Random):
    """Orthonormal rows or columns (whichever are fewer) times ``gain``. Saxe et al., 2013.

    A shape of more than two dimensions is taken as a matrix with the last one as columns.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None):
        self.gain = gain
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        if len(shape) < 2:
            raise ValueError(
                f"[Orthogonal] expected a shape of at least two dimensions; got {tuple(shape)}. Use RandomNormal?"
            )
        flat = (int(np.prod(shape[:-1])), int(shape[-1]))
        u, _, v = np.linalg.svd(self._rng().normal(0.0, 1.0, flat), full_matrices=False)
        q = u if u.shape == flat else v
        return _tensor(self.gain * q.reshape(shape), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, "seed": self.seed}


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, 0 elsewhere."""

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        if len(shape) != 2:
            raise ValueError(
                "[Identity] Identity matrix initializer can only be used for 2D matrices: expected two dimensions; "
                f"got {tuple(shape)}. Use Orthogonal?"
            )
        return _tensor(self.gain * np.eye(shape[0], shape[1]), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


def compute_fans(shape: Sequence[int], data_format: str = "channels_last", legacy: bool = False) -> tuple[float, float]:
    """Number of inputs and of outputs of a weight.

    A matrix is (inputs, outputs), a convolution kernel (spatial..., inputs, outputs), or (outputs, inputs, spatial...)
    for ``data_format='channels_first'``. Otherwise, and with ``legacy`` in three dimensions too, both are the square
    root of the number of weights.
    """
    if len(shape) == 2:
        return shape[0], shape[1]
    if len(shape) in ((4, 5) if legacy else (3, 4, 5)):
        if data_format == "channels_first":
            field = int(np.prod(shape[2:]))
            return shape[1] * field, shape[0] * field
        field = int(np.prod(shape[:-2]))
        return shape[-2] * field, shape[-1] * field
    root = math.sqrt(np.prod(shape))
    return root, root


# Keras 2's name.
_compute_fans = compute_fans


@_known.add
def lecun_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within sqrt(3 / fan_in). LeCun et al., 1998."""
    return VarianceScaling(scale=1.0, mode="fan_in", distribution="uniform", seed=seed)


@_known.add
def glorot_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal, standard deviation sqrt(2 / (fan_in + fan_out)). Glorot and Bengio, 2010."""
    return VarianceScaling(scale=1.0, mode="fan_avg", distribution="normal", seed=seed)


@_known.add
def glorot_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within sqrt(6 / (fan_in + fan_out)). Glorot and Bengio, 2010."""
    return VarianceScaling(scale=1.0, mode="fan_avg", distribution="uniform", seed=seed)


@_known.add
def he_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal, standard deviation sqrt(2 / fan_in). He et al., 2015."""
    return VarianceScaling(scale=2.0, mode="fan_in", distribution="normal", seed=seed)


@_known.add
def lecun_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal, standard deviation sqrt(1 / fan_in). Klambauer et al., 2017."""
    return VarianceScaling(scale=1.0, mode="fan_in", distribution="normal", seed=seed)


@_known.add
def he_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform within sqrt(6 / fan_in). He et al., 2015."""
    return VarianceScaling(scale=2.0, mode="fan_in", distribution="uniform", seed=seed)


zero = zeros = Zeros
one = ones = Ones
constant = Constant
uniform = random_uniform = RandomUniform
normal = random_normal = RandomNormal
truncated_normal = TruncatedNormal
identity = Identity
orthogonal = Orthogonal
_known.add(Zeros, "zero", "zeros")
_known.add(Ones, "one", "ones")
_known.add(Constant, "constant")
_known.add(RandomUniform, "uniform", "random_uniform")
_known.add(RandomNormal, "normal", "random_normal")
_known.add(TruncatedNormal, "truncated_normal")
_known.add(Identity, "identity")
_known.add(Orthogonal, "orthogonal")
_known.add(VarianceScaling, "variance_scaling")
# The class names that tf.keras and Keras 3 write into files.
_known.update(
    GlorotUniform=glorot_uniform,
    GlorotNormal=glorot_normal,
    HeUniform=he_uniform,
    HeNormal=he_normal,
    LecunUniform=lecun_uniform,
    LecunNormal=lecun_normal,
)


def serialize(initializer: Any) -> Any:
    """Config of an initializer (the name of a function)."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Initializer from a config. Raises ValueError for an unknown name, with the nearest ones."""
    return _known.deserialize(config, custom_objects)


def get(identifier: Any) -> Any:
    """Initializer from a name (made with its defaults), a config, a callable, or None (which comes back).

    A custom function named in a string is not called: it takes a shape.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        if identifier in _known:
            return deserialize({"class_name": identifier, "config": {}})
        found = deserialize(identifier)
        return found() if isinstance(found, type) else found
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    return deserialize(identifier)

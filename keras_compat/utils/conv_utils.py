"""Lengths, paddings and tuples of convolutions, and the turn of kernels between correlation and convolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_compat.utils.generic_utils import transpose_shape

_PADDINGS = ("valid", "same", "causal")
_LENGTHS = ("valid", "same", "causal", "full")


def normalize_tuple(value: Any, n: int, name: str) -> tuple[int, ...]:
    """``n`` whole numbers of at least 1: from one number for all, or from a sequence of that length.

    ``name`` is the argument that an error names: ``kernel_size``, ``strides``...
    """
    many = isinstance(value, (tuple, list, np.ndarray))
    given = tuple(value) if many else (value,) * n
    whole = all(_is_whole(v) and v >= 1 for v in given)
    if len(given) != n or not whole:
        raise ValueError(
            f"[{name}] The `{name}` argument must be {_count(n)} of at least 1; got {value!r}. "
            f"Write {name}={(2,) * n if n > 1 else 2}."
        )
    return tuple([int(v) for v in given])


def _is_whole(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return False
    return isinstance(value, (int, np.integer, float, np.floating)) and float(value).is_integer()


def _count(n: int) -> str:
    return "a whole number" if n == 1 else f"a whole number or a tuple of {n} whole numbers"


def normalize_padding(value: Any) -> str:
    """A padding in lower case: 'valid', 'same' or 'causal'."""
    padding = value.lower() if isinstance(value, str) else value
    if padding not in _PADDINGS:
        raise ValueError(
            f'[padding] The `padding` argument must be one of "valid", "same" (or "causal" for Conv1D); got {value!r}. '
            "Other borders: put a ZeroPadding layer in front and use 'valid'."
        )
    return padding


def conv_output_length(
    input_length: int | None, filter_size: int, padding: str, stride: int, dilation: int = 1
) -> int | None:
    """Length of what a convolution or pooling makes of ``input_length``; None stays None.

    With d = dilated filter: ``ceil(n / stride)`` for 'same' and 'causal', ``ceil((n - d + 1) / stride)`` for 'valid',
    ``ceil((n + d - 1) / stride)`` for 'full'.
    """
    _check_padding(padding)
    if input_length is None:
        return None
    dilated = _dilated(filter_size, dilation)
    if padding == "valid":
        length = input_length - dilated + 1
    elif padding == "full":
        length = input_length + dilated - 1
    else:
        length = input_length
    return -(-length // stride)


def conv_input_length(output_length: int | None, filter_size: int, padding: str, stride: int) -> int | None:
    """The shortest input that a convolution makes ``output_length`` of; None stays None.

    ``(n - 1) * stride - 2 * pad + filter_size`` with pad 0 ('valid'), filter_size // 2 ('same') or filter_size - 1.
    """
    if padding not in ("valid", "same", "full"):
        raise ValueError(f"[conv_input_length] padding is 'valid', 'same' or 'full'; got {padding!r}. Use one of them.")
    if output_length is None:
        return None
    return (output_length - 1) * stride - 2 * _pad(filter_size, padding) + filter_size


def deconv_length(
    dim_size: int | None,
    stride_size: int,
    kernel_size: int,
    padding: str,
    output_padding: int | None,
    dilation: int = 1,
) -> int | None:
    """Length of what a transposed convolution makes of ``dim_size``, by the rule of Keras 2.3; None stays None.

    With d = dilated kernel: 'valid' ``n * stride + max(d - stride, 0)``, 'same' ``n * stride``, 'full'
    ``n * stride - (stride + d - 2)``. With an ``output_padding``: ``(n - 1) * stride + d - 2 * pad +
    output_padding``, pad as in :func:`conv_input_length`.
    """
    if padding not in ("valid", "same", "full"):
        raise ValueError(f"[deconv_length] padding is 'valid', 'same' or 'full'; got {padding!r}. Use one of them.")
    if dim_size is None:
        return None
    dilated = _dilated(kernel_size, dilation)
    if output_padding is not None:
        return (dim_size - 1) * stride_size + dilated - 2 * _pad(dilated, padding) + output_padding
    if padding == "valid":
        return dim_size * stride_size + max(dilated - stride_size, 0)
    if padding == "full":
        return dim_size * stride_size - (stride_size + dilated - 2)
    return dim_size * stride_size


def _dilated(size: int, dilation: int) -> int:
    return (size - 1) * dilation + 1


def _pad(size: int, padding: str) -> int:
    return {"valid": 0, "same": size // 2, "full": size - 1}[padding]


def _check_padding(padding: str) -> None:
    if padding not in _LENGTHS:
        raise ValueError(f"[padding] expected one of {', '.join(_LENGTHS)}; got {padding!r}. Check the spelling.")


def convert_kernel(kernel: Any, dim_ordering: str | None = None) -> np.ndarray:
    """A kernel of 1D to 3D convolutions turned by 180 degrees: from TensorFlow's correlation to Theano's convolution.

    Args:
        kernel: array of 3 to 5 dimensions; the spatial axes come first, (..., in, filters).
        dim_ordering: Keras 1's word: 'th' says that they come last, (filters, in, ...).
    """
    array = np.asarray(kernel)
    if not 3 <= array.ndim <= 5:
        raise ValueError(f"[convert_kernel] Invalid kernel shape: expected 3 to 5 axes; got {array.shape}.")
    if dim_ordering not in (None, "default", "tf", "th"):
        raise ValueError(f"[convert_kernel] dim_ordering is 'th' or 'tf'; got {dim_ordering!r}. Check the spelling.")
    if dim_ordering == "th":
        axes = tuple(range(2, array.ndim))
    else:
        axes = tuple(range(array.ndim - 2))
    return np.copy(np.flip(array, axes))


def each_axis(rule: Callable[..., int | None], shape: Any, *per_axis: Any) -> tuple[int | None, ...]:
    """``rule(length, a, b, ...)`` for each spatial axis, with what belongs to that axis of each sequence."""
    return tuple([rule(length, *values) for length, *values in zip(shape, *per_axis)])


def spatial_of(shape: Sequence[int | None], data_format: str) -> tuple[int | None, ...]:
    """The lengths in a shape that are neither samples nor channels."""
    return tuple(shape[2:] if data_format == "channels_first" else shape[1:-1])


def with_spatial(
    shape: Sequence[int | None], data_format: str, spatial: Sequence[int | None], channels: Any = None
) -> tuple[int | None, ...]:
    """``shape`` with other spatial lengths and, where given, another number of channels."""
    axis = 1 if data_format == "channels_first" else -1
    own = (shape[0], *spatial, shape[axis] if channels is None else channels)
    return transpose_shape(own, data_format, spatial_axes=range(1, len(own) - 1))

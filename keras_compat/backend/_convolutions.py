"""Convolutions of every kind, and pooling.

Images are (samples, *size, channels) or (samples, channels, *size), by ``data_format``; kernels are
(*size, in, filters), but for Keras 1's 'th'.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend._tensors import as_float, as_tensor, int_shape
from keras_compat.backend.common import image_data_format, layout_of, normalize_data_format
from keras_compat.dialect.level import get_api_level, is_keras_0


def _layouts(data_format: str | None, kernel_format: str | None) -> tuple[str, str]:
    """Layout of the images and of the kernel. Only a program of Keras 1 that names none gets a kernel in its order."""
    if data_format is None and kernel_format is None and get_api_level() == "1.2":
        kernel_format = image_data_format()
    return normalize_data_format(data_format), kernel_format or "channels_last"


def _kernel(kernel: Any, kernel_format: str) -> Any:
    """A kernel ``(filters, in, *size)`` of Keras 1's 'th' as ``(*size, in, filters)``; another as it is."""
    kernel = as_tensor(kernel)
    if kernel_format != "channels_first":
        return kernel
    return at.permute_dims(kernel, (*range(2, kernel.ndim), 1, 0))


def _sizes(value: Any) -> Any:
    return tuple([int(v) for v in value]) if isinstance(value, (tuple, list, np.ndarray)) else int(value)


def _conv(
    op: str,
    x: Any,
    kernel: Any,
    strides: Any,
    padding: str,
    layout: str,
    dilation: Any,
    bias: Any = None,
    activation: str = "linear",
) -> Any:
    x = as_float(x)
    n = int(op[4])
    if x.ndim != n + 2 or kernel.ndim != n + 2:
        raise ValueError(
            f"[{op}] expected x and kernel of rank {n + 2}; got shapes {x.shape} and {kernel.shape}. "
            "The first axis of x is the samples."
        )
    border: Any = padding.lower()
    reach = [(int(k) - 1) * int(d) for k, d in zip(kernel.shape[:n], np.broadcast_to(dilation, n))]
    if border == "full":  # Theano's: every place where the kernel touches the image
        border = tuple([(r, r) for r in reach])
    elif border == "same" and is_keras_0():  # Theano's: the odd zero in front, whatever the strides
        border = tuple([((r + 1) // 2, r // 2) for r in reach])
    return at.conv(x, kernel, _sizes(strides), border, _sizes(dilation), layout, bias, activation)


def conv1d(
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
    *,
    bias: Any = None,
    activation: str = "linear",
) -> Any:
    """Cross-correlate x (n, steps, in) with kernel (size, in, filters) -> (n, steps', filters).

    Padding 'causal' puts ``(size - 1) * dilation_rate`` zeros in front: no output depends on later steps.
    A bias (filters,) and the activation 'relu' cost nothing when given here.
    """
    layout = normalize_data_format(data_format)
    return _conv("conv1d", x, as_tensor(kernel), strides, padding, layout, dilation_rate, bias, activation)


def conv2d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    *,
    kernel_format: str | None = None,
    bias: Any = None,
    activation: str = "linear",
) -> Any:
    """Cross-correlate x (n, rows, cols, in) with kernel (rows, cols, in, filters) -> (n, rows', cols', filters).

    Padding is 'valid', 'same' or, as in Keras 1 with Theano, 'full': wherever the kernel touches the image. At API
    level 0.3 'same' has Theano's borders: half the kernel in front and behind, whatever the strides.
    ``data_format='channels_first'``: x is (n, in, rows, cols). Keras 1's ``dim_ordering='th'`` says the same and that
    the kernel is (filters, in, rows, cols), which is ``kernel_format='channels_first'``.
    A bias (filters,) and the activation 'relu' cost nothing when given here.
    """
    layout, order = _layouts(data_format, kernel_format)
    return _conv("conv2d", x, _kernel(kernel, order), strides, padding, layout, dilation_rate, bias, activation)


def conv3d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1, 1),
    *,
    kernel_format: str | None = None,
    bias: Any = None,
    activation: str = "linear",
) -> Any:
    """Cross-correlate x (n, d, h, w, in) with kernel (d, h, w, in, filters); the rest is as in :func:`conv2d`."""
    layout, order = _layouts(data_format, kernel_format)
    return _conv("conv3d", x, _kernel(kernel, order), strides, padding, layout, dilation_rate, bias, activation)


def atrous_conv2d(
    x: Any,
    kernel: Any,
    rate: int = 1,
    border_mode: str = "valid",
    dim_ordering: str = "default",
    image_shape: Any = None,
    filter_shape: Any = None,
) -> Any:
    """Keras 1's :func:`conv2d` with ``rate - 1`` holes between the taps of the kernel. The shapes are ignored."""
    layout = layout_of(dim_ordering)
    kernel = _kernel(kernel, layout)
    return _conv("conv2d", x, kernel, 1, border_mode, layout, int(rate))


def _conv_transpose(
    op: str, x: Any, kernel: Any, output_shape: Any, strides: Any, padding: str, layout: str, dilation: Any
) -> Any:
    x, kernel = as_float(x), as_tensor(kernel)
    n = int(op[4])
    dims = tuple(output_shape)
    if x.ndim != n + 2 or kernel.ndim != n + 2 or len(dims) != n + 2:
        raise ValueError(
            f"[{op}] expected x, kernel and output_shape of {n + 2} dimensions; got {x.shape}, {kernel.shape} and "
            f"{dims}. output_shape holds the samples and the channels, too."
        )
    wanted = dims[2:] if layout == "channels_first" else dims[1:-1]
    # A length that is known only at run time follows from that of x, as the layers compute it.
    known = all(isinstance(d, (int, np.integer)) for d in wanted)
    size = tuple([int(d) for d in wanted]) if known else None
    return at.conv_transpose(x, kernel, _sizes(strides), padding.lower(), _sizes(dilation), layout, output_size=size)


def conv2d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """The gradient of a convolution by its input: x (n, rows, cols, in) -> ``output_shape`` (n, rows', cols', out).

    The kernel is (rows, cols, out, in): that of the convolution which makes x's shape from ``output_shape``.
    """
    layout = normalize_data_format(data_format)
    return _conv_transpose("conv2d_transpose", x, kernel, output_shape, strides, padding, layout, dilation_rate)


def conv3d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """:func:`conv2d_transpose` with one axis more: x (n, d, h, w, in), kernel (d, h, w, out, in)."""
    layout = normalize_data_format(data_format)
    return _conv_transpose("conv3d_transpose", x, kernel, output_shape, strides, padding, layout, 1)


def deconv2d(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1),
    border_mode: str = "valid",
    dim_ordering: str = "default",
    image_shape: Any = None,
    filter_shape: Any = None,
) -> Any:
    """Keras 1's :func:`conv2d_transpose`, with the kernel of its Deconvolution2D.

    That is (rows, cols, in, out) for 'tf' and (out, in, rows, cols) for 'th'. The last two shapes are ignored.
    """
    layout = layout_of(dim_ordering)
    kernel = _kernel(kernel, layout)
    kernel = at.permute_dims(kernel, (0, 1, 3, 2))
    return _conv_transpose("conv2d_transpose", x, kernel, output_shape, strides, border_mode, layout, 1)


def depthwise_conv2d(
    x: Any,
    depthwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """Convolve each channel on its own: kernel (rows, cols, in, m), m results a channel -> in * m channels."""
    layout = normalize_data_format(data_format)
    kernel = as_tensor(depthwise_kernel)
    return at.depthwise_conv(as_float(x), kernel, _sizes(strides), padding.lower(), _sizes(dilation_rate), layout)


def separable_conv1d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Convolve each channel with depthwise_kernel (size, in, m), then mix with pointwise_kernel (1, in * m, out)."""
    layout = normalize_data_format(data_format)
    depthwise, pointwise = as_tensor(depthwise_kernel), as_tensor(pointwise_kernel)
    return _separable(x, depthwise, pointwise, strides, padding, layout, dilation_rate)


def separable_conv2d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
    *,
    kernel_format: str | None = None,
) -> Any:
    """Depthwise (rows, cols, in, m), then pointwise (1, 1, in * m, out); layouts as in :func:`conv2d`."""
    layout, order = _layouts(data_format, kernel_format)
    depthwise, pointwise = _kernel(depthwise_kernel, order), _kernel(pointwise_kernel, order)
    return _separable(x, depthwise, pointwise, strides, padding, layout, dilation_rate)


def _separable(x: Any, depthwise: Any, pointwise: Any, strides: Any, padding: str, layout: str, dilation: Any) -> Any:
    x = at.depthwise_conv(as_float(x), depthwise, _sizes(strides), padding.lower(), _sizes(dilation), layout)
    return at.conv(x, pointwise, layout=layout)


def local_conv1d(inputs: Any, kernel: Any, kernel_size: Any, strides: Any, data_format: str | None = None) -> Any:
    """A convolution without shared weights: (n, steps, in) -> (n, steps', filters).

    kernel: (steps', size * in, filters), one matrix for each place. As in Keras, the steps come before the channels in
    either image order.
    """
    normalize_data_format(data_format)
    return _local(inputs, kernel, kernel_size, strides, int_shape(kernel)[:1], "channels_last")


def local_conv2d(
    inputs: Any,
    kernel: Any,
    kernel_size: Any,
    strides: Any,
    output_shape: Any,
    data_format: str | None = None,
) -> Any:
    """A convolution without shared weights: kernel (rows' * cols', rows * cols * in, filters), a matrix for each place.

    ``output_shape`` is (rows', cols'). The items of a patch are in the order of the images: (rows, cols, in), or (in,
    rows, cols) for channels first.

    Raises ValueError where kernel and ``output_shape`` have different numbers of places.
    """
    places = int(np.prod(output_shape))
    if int_shape(kernel)[0] != places:
        raise ValueError(
            f"[local_conv2d] the kernel has matrices for {int_shape(kernel)[0]} places, output_shape "
            f"{tuple(output_shape)} has {places}. Check kernel_size and strides."
        )
    return _local(inputs, kernel, kernel_size, strides, output_shape, normalize_data_format(data_format))


def _local(x: Any, kernel: Any, size: Any, strides: Any, lengths: Any, layout: str) -> Any:
    x, kernel = as_float(x), as_tensor(kernel)
    places, items, filters = [int(d or -1) for d in kernel.shape]
    patches = at.unfold(x, _sizes(size), _sizes(strides), layout=layout)
    if layout == "channels_first":
        by_place = at.permute_dims(at.reshape(patches, (-1, items, places)), (2, 0, 1))
        out = at.permute_dims(at.matmul(by_place, kernel), (1, 2, 0))
        return at.reshape(out, (-1, filters, *_sizes(lengths)))
    by_place = at.permute_dims(at.reshape(patches, (-1, places, items)), (1, 0, 2))
    out = at.permute_dims(at.matmul(by_place, kernel), (1, 0, 2))
    return at.reshape(out, (-1, *_sizes(lengths), filters))


def pool2d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Any:
    """The largest ('max') or mean ('avg') element of each window of ``pool_size`` (rows, cols), for each channel.

    Under 'same' a mean counts only what lies inside the image.
    """
    return _pool("pool2d", x, pool_size, strides, padding, data_format, pool_mode)


def pool3d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Any:
    """:func:`pool2d` with windows of three axes."""
    return _pool("pool3d", x, pool_size, strides, padding, data_format, pool_mode)


def _pool(op: str, x: Any, size: Any, strides: Any, padding: str, data_format: str | None, mode: str) -> Any:
    layout = normalize_data_format(data_format)
    if mode not in ("max", "avg"):
        raise ValueError(f"[{op}] Invalid pooling mode: expected 'max' or 'avg'; got {mode!r}. Check the spelling.")
    pool = at.max_pool if mode == "max" else at.average_pool
    return pool(as_float(x), _sizes(size), _sizes(strides), padding.lower(), layout)

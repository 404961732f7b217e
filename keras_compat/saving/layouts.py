"""The arrays of one layer: from the layout of the release that wrote them to that of the layer, by way of Keras 2's.

What differs between the releases (each was measured on its files):

- ``LSTM``, ``GRU``, ``ConvLSTM2D`` of Keras 0.x and 1.x keep a triple (W, U, b) for each gate, in the order i c f o and
  z r h; later ones have three arrays, gates side by side in the order i f c o and z r h.
- cuDNN's layers keep each gate's matrix transposed, and two biases.
- Kernels of channels-first images are (filters, in, *size) in Keras 0.x and 1.x, (*size, in, filters) in Keras 2.
- The kernel of ``Convolution1D`` is (filters, in, size, 1) before Keras 1.2, (size, 1, in, filters) in 1.2.
- ``Deconvolution2D`` of Keras 1 has (rows, columns, in, filters), ``Conv2DTranspose`` (rows, columns, filters, in).
- Theano convolves: the kernels it wrote are turned by 180 degrees in their spatial axes.
- ``BatchNormalization`` of Keras 0.x averages deviations, later ones variances (``running_std`` of Keras 1 too).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_compat.saving.stored import Writer

# Where the gates of Keras 2, in its order, are among the triples (W, U, b) of Keras 1.
_TRIPLES = {"LSTM": (0, 2, 1, 3), "ConvLSTM2D": (0, 2, 1, 3), "GRU": (0, 1, 2)}
GATES = {"LSTM": "ifco", "ConvLSTM2D": "ifco", "GRU": "zrh"}
# Layers whose kernels Theano's backend keeps turned.
TURNED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "ConvLSTM2D")
_KINDS = (
    *("CuDNNLSTM", "CuDNNGRU", "ConvLSTM2D", "LSTM", "GRU", "SeparableConv1D", "SeparableConv2D", "DepthwiseConv2D"),
    *("Conv2DTranspose", "Conv3DTranspose", "Conv1D", "Conv2D", "Conv3D", "BatchNormalization", "Highway"),
)
# Words of Keras 1 for what Keras 2 calls otherwise.
NEW_WORDS = {
    "W": "kernel",
    "U": "recurrent_kernel",
    "b": "bias",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
    "alphas": "alpha",
}
# 'dense_1_W', and 'dense_1_W_2' where TensorFlow had the first already.
_KERAS_1_NAME = re.compile(
    r"(.+?)_(W|b|U|[WUb]_[ifcozrh]|gamma|beta|running_mean|running_std|alphas?|betas?|[ta]_(?:left|right)|[Wb]_carry|"
    r"(?:depthwise|pointwise)_kernel)(?:_\d+)?"
)


class NotRearranged(ValueError):
    """The conversion computes new numbers: it holds for weights, not for an optimizer's state."""


def kind_of(layer: Any) -> str:
    """Which of the layers with several layouts this is, by the names of its classes; '' for all others."""
    names = {cls.__name__.removesuffix("Cell") for cls in type(layer).__mro__}
    return next((kind for kind in _KINDS if kind in names), "")


def is_turned(layer: Any) -> bool:
    """Whether Theano's backend keeps the kernel of this layer turned."""
    return kind_of(layer) in TURNED


def owner_and_word(name: str) -> tuple[str, str]:
    """The layer that a weight's name speaks of, and its part there in Keras 2's word.

    ('a/dense_1', 'kernel') for ``a/dense_1/kernel:0``, ('dense_1', 'kernel') for ``dense_1_W``.
    """
    owner, slash, word = name.rpartition("/")
    word = word.partition(":")[0]
    old = None if slash else _KERAS_1_NAME.fullmatch(word)
    if old is not None:
        owner, word = old.group(1), old.group(2)
    return owner or name, NEW_WORDS.get(word, word)


def is_keras_1_name(name: str) -> bool:
    """Whether a layer of Keras 1 itself named a weight so."""
    return "/" not in name and _KERAS_1_NAME.fullmatch(name.partition(":")[0]) is not None


def word_of(name: str) -> str:
    """What a weight's name says of its part in the layer, in Keras 2's word."""
    return owner_and_word(name)[1]


def counts(layer: Any, weights: Sequence[Any]) -> tuple[int, ...]:
    """Numbers of arrays that a file may hold for these weights of a layer."""
    gates = len(GATES.get(kind_of(layer).removeprefix("CuDNN"), ""))
    if not gates or len(weights) not in (2, 3, 2 * gates, 3 * gates):
        return (len(weights),)
    each = len(weights) if len(weights) <= 3 else len(weights) // gates
    return (len(weights), each if len(weights) > 3 else each * gates)


def may_be(layer: Any, weights: Sequence[Any], arrays: Sequence[Any], reshape: bool = False) -> bool:
    """Whether arrays of these shapes may be the weights, in whatever layout; ``reshape``: if their sizes are right."""
    if len(arrays) not in counts(layer, weights):
        return False
    mine, theirs = [tuple(w.shape) for w in weights], [tuple(a.shape) for a in arrays]
    if len(mine) != len(theirs):
        return sum(map(math.prod, mine)) == sum(map(math.prod, theirs))
    kind = kind_of(layer)
    if kind.removeprefix("CuDNN") in ("LSTM", "GRU") and len(mine) == 3:
        # An LSTM of cuDNN has two biases; a GRU has two or one, and computes otherwise with two.
        sizes = {math.prod(mine.pop()), math.prod(theirs.pop())}
        if len(sizes) > 1 and not (kind.endswith("LSTM") and max(sizes) == 2 * min(sizes)):
            return False
    if reshape:
        return [math.prod(s) for s in mine] == [math.prod(s) for s in theirs]
    if "Conv" in kind:
        return sorted(map(_lengths, mine)) == sorted(map(_lengths, theirs))
    return sorted(mine) == sorted(theirs)


def fitted(
    layer: Any,
    weights: Sequence[Any],
    arrays: Sequence[np.ndarray],
    names: Sequence[str],
    writer: Writer,
    moved_only: bool = False,
) -> list[np.ndarray]:
    """The stored arrays of one layer as its weights are: one array for each of ``weights``.

    Args:
        layer: has no other layers in it.
        weights: those of its weights that are meant, in the layer's order.
        arrays: in the order of the file.
        names: their names in the file.
        writer: which release, and which backend, wrote them.
        moved_only: raise :class:`NotRearranged` where numbers would have to be computed: states of optimizers.
    """
    arrays = [arrays[i] for i in order_of(weights, names)] if len(names) == len(arrays) else list(arrays)
    kind = kind_of(layer)
    gates = kind.removeprefix("CuDNN")
    old = writer.line in ("keras0", "keras1")
    if gates in GATES:
        arrays = _fused(layer, gates, arrays, writer)
        arrays = _without_cudnn(gates, arrays, moved_only)
        if gates == "ConvLSTM2D" and writer.backend == "theano":
            arrays = [_turned(a) for a in arrays[:2]] + arrays[2:]
        return _gates_as_here(layer, gates, kind, weights, arrays, moved_only)
    if "Conv" in kind and arrays:
        if old:
            shapes = [tuple(w.shape) for w in weights]
            arrays = [_kernel_of_keras_1(layer, kind, a, s) for a, s in zip(arrays, shapes)] + arrays[len(shapes) :]
        if kind in TURNED and writer.backend == "theano":
            arrays = [_turned(arrays[0]), *arrays[1:]]
        return [_kernel_as_here(layer, kind, a) for a in arrays]
    if kind == "Highway" and writer.line == "keras0" and len(arrays) == 4 and not _begins_with_pair(weights):
        return [arrays[0], arrays[2], arrays[1], arrays[3]]
    if kind == "BatchNormalization" and len(arrays) == len(weights) and len(arrays) > 1:
        deviations = writer.line == "keras0"
        if deviations != bool(getattr(layer, "_averages_deviations", False)) and word_of(_name(weights[-1])) in (
            "moving_variance",
            "running_std",
        ):
            if moved_only:
                raise NotRearranged("deviations became variances")
            # Both give the same quotient: epsilon is added to a deviation there, to a variance here.
            eps, last = layer.epsilon, arrays[-1]
            there = (last + eps) ** 2 - eps if deviations else np.sqrt(last + eps) - eps
            return [*arrays[:-1], there]
    return arrays


def keras_2_form(layer: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """All arrays of a layer, in the order of its ``weights``, in the layout that Keras 2.3.1 has for it.

    They are as they are but at API level 1.2, where gates have weights of their own, and for kernels in Keras 1's
    layout. Works for the states of optimizers too.
    """
    kind, arrays = kind_of(layer), list(arrays)
    if kind in GATES:
        if _keeps_old_kernels(layer):
            arrays = [np.transpose(a, (2, 3, 1, 0)) if a.ndim == 4 else a for a in arrays]
        return _fused(layer, kind, arrays, Writer("keras2"))
    if "Conv" in kind:
        return [_kernel_from_here(layer, kind, a) for a in arrays]
    return arrays


# -- order of the arrays ----------------------------------------------------------------------------------------------


def order_of(weights: Sequence[Any], names: Sequence[str]) -> list[int]:
    """Places of the arrays of those names in the order of the weights, where the names tell it; else as they are."""
    theirs, mine = [word_of(n) for n in names], [word_of(_name(w)) for w in weights]
    if len(theirs) != len(mine) or len(set(theirs)) != len(theirs) or set(theirs) != set(mine):
        return list(range(len(names)))
    return [theirs.index(word) for word in mine]


def _name(weight: Any) -> str:
    return getattr(weight, "name", None) or ""


def _begins_with_pair(weights: Sequence[Any]) -> bool:
    return len(weights) > 1 and len(weights[1].shape) == 1


def _lengths(shape: Sequence[int]) -> list[int]:
    """The lengths of the axes in the order of size, without those of 1: the same in every layout."""
    return sorted(n for n in shape if n != 1)


# -- gates ------------------------------------------------------------------------------------------------------------


def _fused(layer: Any, gates: str, arrays: list[np.ndarray], writer: Writer) -> list[np.ndarray]:
    """Kernel, recurrent kernel and bias of all gates side by side."""
    order = _TRIPLES[gates]
    each, rest = divmod(len(arrays), len(order))
    if rest or each not in (2, 3) or len(arrays) <= 3:
        return arrays
    if gates == "ConvLSTM2D" and writer.line in ("keras0", "keras1") and _is_first(layer):
        arrays = [np.transpose(a, (2, 3, 1, 0)) if a.ndim == 4 else a for a in arrays]
    return [np.concatenate([arrays[each * gate + part] for gate in order], axis=-1) for part in range(each)]


def _without_cudnn(gates: str, arrays: list[np.ndarray], moved_only: bool) -> list[np.ndarray]:
    """Arrays of cuDNN's layers as those of the others; a GRU's is one with ``reset_after``."""
    count = len(GATES[gates])
    if gates == "ConvLSTM2D" or len(arrays) != 3 or arrays[2].ndim != 1 or arrays[1].ndim != 2:
        return arrays
    units = arrays[1].shape[0]
    if arrays[2].size != 2 * count * units:
        return arrays
    plain = [_parts_transposed(a, units, count, back=False) for a in arrays[:2]]
    if gates == "GRU":
        return [*plain, arrays[2].reshape(2, -1)]
    if moved_only:
        raise NotRearranged("two biases became one")
    half = count * units
    return [*plain, arrays[2][:half] + arrays[2][half:]]


def _gates_as_here(
    layer: Any, gates: str, kind: str, weights: Sequence[Any], arrays: list[np.ndarray], moved_only: bool
) -> list[np.ndarray]:
    """Kernel, recurrent kernel and bias as the layer keeps them."""
    count = len(GATES[gates])
    if len(weights) > 3 and len(arrays) * count == len(weights):
        there = _TRIPLES[gates]
        split = [np.split(a, count, axis=-1) if a.shape[-1] % count == 0 else [a] * count for a in arrays]
        found: list[np.ndarray] = [np.empty(0)] * len(weights)
        for place, gate in enumerate(there):
            for part, pieces in enumerate(split):
                found[len(arrays) * gate + part] = pieces[place]
        if gates == "ConvLSTM2D" and _keeps_old_kernels(layer):
            found = [np.transpose(a, (3, 2, 0, 1)) if a.ndim == 4 else a for a in found]
        return found
    if gates == "ConvLSTM2D" and _keeps_old_kernels(layer):
        return [np.transpose(a, (3, 2, 0, 1)) if a.ndim == 4 else a for a in arrays]
    if not kind.startswith("CuDNN") or len(arrays) != 3 or arrays[1].ndim != 2:
        return arrays
    units = arrays[1].shape[0]
    stacked = [_parts_transposed(a, units, count, back=True) for a in arrays[:2]]
    bias = arrays[2]
    if gates == "LSTM" and bias.size == count * units:
        if moved_only:
            raise NotRearranged("one bias became two")
        return [*stacked, np.tile(bias * 0.5, 2).astype(bias.dtype)]
    return [*stacked, bias.reshape(-1) if bias.ndim == 2 else bias]


def _parts_transposed(array: np.ndarray, units: int, count: int, back: bool) -> np.ndarray:
    """Each gate's (rows, units) matrix from, or ``back`` to, the (units, rows) matrix that cuDNN keeps in its place."""
    rows = array.shape[0]
    parts = np.split(array, count, axis=1)
    if back:
        return np.concatenate([p.T.reshape(rows, units) for p in parts], axis=1)
    return np.concatenate([p.reshape(units, rows).T for p in parts], axis=1)


def _is_first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"


def _keeps_old_kernels(layer: Any) -> bool:
    return getattr(layer, "kernel_format", None) == "channels_first"


# -- kernels ----------------------------------------------------------------------------------------------------------


def _turned(kernel: np.ndarray) -> np.ndarray:
    """Turned by 180 degrees in all axes but the last two."""
    return np.flip(kernel, tuple(range(kernel.ndim - 2)))


def _kernel_of_keras_1(layer: Any, kind: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A kernel of Keras 0.x or 1.x in the layout of Keras 2; a bias is as it is."""
    if array.ndim < 4:
        return array
    if kind == "Conv1D":
        # (size, 1, in, filters), before Keras 1.2 (filters, in, size, 1).
        if array.shape[:2] != (layer.kernel_size[0], 1) or array.shape[3] != layer.filters:
            array = np.transpose(array, (2, 3, 1, 0))
        return array[:, 0]
    if _is_first(layer):
        array = np.transpose(array, (*range(2, array.ndim), 1, 0))
    return np.swapaxes(array, -1, -2) if kind.endswith("Transpose") else array


def _kernel_as_here(layer: Any, kind: str, array: np.ndarray) -> np.ndarray:
    """A kernel of Keras 2 in the layout that the layer keeps."""
    order = getattr(layer, "kernel_format", None)
    return array if order is None else keras_1_kernel(kind, array, order == "channels_first")


def keras_1_kernel(kind: str, array: np.ndarray, first: bool) -> np.ndarray:
    """A kernel of Keras 2 in the layout of Keras 1, (filters, in, *size) if ``first``; a bias is as it is."""
    if array.ndim < 3:
        return array
    if kind == "Conv1D":
        array = array[:, None]
    elif kind.endswith("Transpose"):
        array = np.swapaxes(array, -1, -2)
    if first:
        array = np.transpose(array, (array.ndim - 1, array.ndim - 2, *range(array.ndim - 2)))
    return array


def _kernel_from_here(layer: Any, kind: str, array: np.ndarray) -> np.ndarray:
    """A kernel as the layer keeps it in the layout of Keras 2."""
    order = getattr(layer, "kernel_format", None)
    if order is None or array.ndim < 3:
        return array
    if kind == "Conv1D":
        if array.ndim < 4:
            return array
        return (np.transpose(array, (2, 3, 1, 0)) if order == "channels_first" else array)[:, 0]
    if order == "channels_first":
        array = np.transpose(array, (*range(2, array.ndim), 1, 0))
    return np.swapaxes(array, -1, -2) if kind.endswith("Transpose") else array

"""Pictures into the numbers that the networks of ImageNet were trained on, and their scores into names of things."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.applications._parts import only_submodules
from keras_compat.applications._shapes import Shape, checked_shape
from keras_compat.applications._weights import PublishedFile

CLASS_INDEX_PATH = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
# Number of a class as text -> [its WordNet number, its name]; read at the first use.
CLASS_INDEX: dict[str, list[str]] | None = None

_CLASS_FILE = PublishedFile("imagenet_class_index.json", CLASS_INDEX_PATH, "c2c37ea517e94d9795004a39431a14cb")

# Of ImageNet's pictures: means of blue, green and red from 0 to 255, as Caffe's networks have them ...
CAFFE_MEANS = (103.939, 116.779, 123.68)
# ... and means and deviations of red, green and blue from 0 to 1, as Torch's.
TORCH_MEANS, TORCH_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe", **submodules: Any) -> Any:
    """Return pictures, red, green and blue from 0 to 255, as a network of ImageNet expects them.

    As in Keras an array of floats is written over; hand over a copy to keep it. Other arrays become ``K.floatx()``.

    Args:
        x: one picture or a batch of them (3 or 4 axes), an array or a tensor.
        data_format: order of the axes; by default ``K.image_data_format()``.
        mode: ``'caffe'``: blue, green, red, each less its mean, not scaled; ``'tf'``: from -1 to 1; ``'torch'``: from
            0 to 1, then each channel less its mean and divided by its deviation.
        submodules: ignored; what ``keras_applications`` takes.

    Raises:
        ValueError: an unknown order or mode.
    """
    only_submodules("preprocess_input", submodules)
    data_format = K.image_data_format() if data_format is None else data_format
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(
            f"[preprocess_input] Unknown data_format {data_format}; expected 'channels_first' or 'channels_last'. "
            "Check the spelling."
        )
    if mode not in ("caffe", "tf", "torch"):
        raise ValueError(
            f"[preprocess_input] Unknown mode {mode}; expected 'caffe', 'tf' or 'torch'. Each network's own module "
            "has a preprocess_input that knows."
        )
    if K.is_tensor(x):
        return _of_tensor(x, data_format, mode)
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        x = x.astype(K.floatx())
    elif not x.flags.writeable:
        x = x.copy()
    return _of_array(x, data_format, mode)


def _of_array(x: np.ndarray, data_format: str, mode: str) -> np.ndarray:
    """Write the new numbers over ``x``; return it, or a view of it with its channels in reverse."""
    if mode == "tf":
        x /= 127.5
        x -= 1.0
        return x
    axis = -3 if data_format == "channels_first" else -1
    if mode == "torch":
        x /= 255.0
        channels = np.moveaxis(x, axis, -1)
        channels -= np.asarray(TORCH_MEANS, dtype=x.dtype)
        channels /= np.asarray(TORCH_DEVIATIONS, dtype=x.dtype)
        return x
    x = np.flip(x, axis)
    channels = np.moveaxis(x, axis, -1)
    channels -= np.asarray(CAFFE_MEANS, dtype=x.dtype)
    return x


def _of_tensor(x: Any, data_format: str, mode: str) -> Any:
    """Return a tensor of the new numbers."""
    if mode == "tf":
        return x / 127.5 - 1.0
    rank = K.ndim(x)
    axis = rank - 3 if data_format == "channels_first" else rank - 1

    def by_channel(values: tuple[float, ...]) -> Any:
        shape = [1] * rank
        shape[axis] = 3
        return K.constant(np.reshape(values, shape), dtype=K.dtype(x))

    if mode == "torch":
        return (x / 255.0 - by_channel(TORCH_MEANS)) / by_channel(TORCH_DEVIATIONS)
    return K.reverse(x, axis) - by_channel(CAFFE_MEANS)


def decode_predictions(preds: Any, top: int = 5, **submodules: Any) -> list[list[tuple[str, str, Any]]]:
    """Return for each picture the classes with the highest scores: ``(WordNet number, name, score)``, best first.

    The names come from the file ``imagenet_class_index.json`` in the folder ``models`` of the Keras folder, or from
    where Keras keeps it.

    Args:
        preds: scores of the 1000 classes, shape (pictures, 1000).
        top: how many classes to name for each picture.
        submodules: ignored; what ``keras_applications`` takes.

    Raises:
        ValueError: another shape.
        OSError: the file is not there and can not be had.
    """
    global CLASS_INDEX
    only_submodules("decode_predictions", submodules)
    preds = np.asarray(preds)
    if preds.ndim != 2 or preds.shape[1] != 1000:
        raise ValueError(
            "[decode_predictions] `decode_predictions` expects a batch of predictions (i.e. a 2D array of shape "
            f"(samples, 1000)). Found array with shape: {preds.shape}. Does the network have classes of its own?"
        )
    if CLASS_INDEX is None:
        path = _CLASS_FILE.fetch("decode_predictions", "name the classes yourself: preds.argsort() has their numbers")
        with open(path, encoding="utf-8") as stream:
            CLASS_INDEX = json.load(stream)
    names = CLASS_INDEX
    return [[(*names[str(i)], scores[i]) for i in scores.argsort()[::-1][:top]] for scores in preds]


def _obtain_input_shape(
    input_shape: Sequence[int | None] | None,
    default_size: int,
    min_size: int,
    data_format: str | None = None,
    require_flatten: bool = True,
    weights: str | None = None,
    dim_ordering: str | None = None,
    include_top: bool | None = None,
) -> Shape:
    """Return the shape of a network's pictures: for programs that build networks as Keras does, up to 2.1.

    Keras 1's words for ``data_format`` and ``require_flatten`` are ``dim_ordering`` and ``include_top``; see
    :func:`keras_compat.applications._shapes.checked_shape`.
    """
    order = data_format if dim_ordering is None else dim_ordering
    order = {"th": "channels_first", "tf": "channels_last", "default": None}.get(order or "default", order)
    flat = require_flatten if include_top is None else include_top
    return checked_shape("input_shape", input_shape, default_size, min_size, bool(flat), weights == "imagenet", order)

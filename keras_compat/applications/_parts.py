"""Pieces that several networks are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from keras_compat import backend as K
from keras_compat import layers
from keras_compat.dialect.level import get_api_level
from keras_compat.utils.generic_utils import warn

# What `keras_applications` is told to build with. Here the parts are known.
SUBMODULES = ("backend", "layers", "models", "utils")


def only_submodules(caller: str, words: Iterable[str]) -> None:
    """Refuse further words of a call, but those of ``keras_applications``, which are ignored."""
    for word in words:
        if word not in SUBMODULES:
            raise TypeError(f"[{caller}] Invalid keyword argument: {word}; expected one it knows. Check the spelling.")


def channel_axis() -> int:
    """Return the axis of the channels in a batch of pictures."""
    return 1 if K.image_data_format() == "channels_first" else -1


def channels_of(x: Any) -> int:
    """Return how many channels a batch of pictures has."""
    channels = K.int_shape(x)[channel_axis()]
    assert channels is not None  # the convolution before has made so many
    return channels


def normalized(x: Any, name: str | None = None, **settings: Any) -> Any:
    """Return the channels of ``x``, each normalised."""
    return layers.BatchNormalization(axis=channel_axis(), name=name, **settings)(x)


def relu(x: Any, name: str | None = None) -> Any:
    """Return ``max(x, 0)``, as a layer of its own."""
    return layers.Activation("relu", name=name)(x)


def summed(tensors: Sequence[Any], name: str | None = None) -> Any:
    """Return the sum of tensors, by the layer that the API level has for it."""
    if in_keras_1():
        return _merge(list(tensors), mode="sum", name=name)
    return layers.add(list(tensors), name=name)


def joined(tensors: Sequence[Any], name: str | None = None) -> Any:
    """Return tensors side by side in their channels, by the layer that the API level has for it."""
    if in_keras_1():
        return _merge(list(tensors), mode="concat", concat_axis=channel_axis(), name=name)
    return layers.concatenate(list(tensors), axis=channel_axis(), name=name)


def _merge(tensors: list[Any], **arguments: Any) -> Any:
    """Keras 1's function, which is placed over the module of its name once the package is loaded."""
    function: Any = layers.merge
    return function(tensors, **arguments)


def in_keras_1() -> bool:
    """Whether networks are those of Keras 1.2.2, where 2.x changed them."""
    return get_api_level() == "1.2"


def stride_padding(x: Any, kernel: int | tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the zeros (in front, behind) of rows and columns that a convolution with strides of 2 needs.

    As many on both sides, one less in front where the size is even. A size that is open counts as even.
    """
    sizes = K.int_shape(x)[2:4] if channel_axis() == 1 else K.int_shape(x)[1:3]
    kernels = (kernel, kernel) if isinstance(kernel, int) else kernel
    rows, columns = ((k // 2 - (1 if n is None or n % 2 == 0 else 0), k // 2) for k, n in zip(kernels, sizes))
    return rows, columns


@contextmanager
def channels_last_only(network: str) -> Iterator[None]:
    """Build with channels last whatever is set, with a warning where it is not."""
    if K.image_data_format() == "channels_last":
        yield
        return
    warn(
        f"[{network}] {network} is only available for the input data format channels_last (width, height, channels). "
        "However your settings specify channels_first (channels, width, height). The model being returned right now "
        "will expect inputs to follow channels_last."
    )
    K.set_image_data_format("channels_last")
    try:
        yield
    finally:
        K.set_image_data_format("channels_first")

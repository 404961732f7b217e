"""The shape of the pictures that a network begins with."""

from __future__ import annotations

from collections.abc import Sequence

from keras_compat import backend as K
from keras_compat.utils.generic_utils import warn

Shape = tuple[int | None, ...]


def checked_shape(
    caller: str,
    given: Sequence[int | None] | None,
    size: int,
    smallest: int,
    flat: bool,
    pretrained: bool,
    data_format: str | None = None,
) -> Shape:
    """Return the shape of a picture: the one given if it fits, else the usual one.

    Args:
        caller: the function that the user called, for errors.
        given: shape without the batch, or None.
        size: usual rows and columns.
        smallest: fewest rows and columns.
        flat: whether rows and columns must be known.
        pretrained: whether ImageNet's weights are asked for; they want 3 channels, and the usual size if ``flat``.
        data_format: order of the axes; by default the one that is set.

    Raises:
        ValueError: a shape that does not fit.
    """
    data_format = K.normalize_data_format(data_format)
    given = None if given is None else tuple(given)
    channels: int | None = 3
    if given and not pretrained and len(given) == 3:
        channels = given[0 if data_format == "channels_first" else -1]
        if channels not in (1, 3):
            warn(
                f"[{caller}] This model usually expects 1 or 3 input channels. However, it was passed an input_shape "
                f"with {channels} input channels."
            )
    usual = _shape(channels, size, data_format)
    if pretrained and flat:
        if given not in (None, usual):
            raise ValueError(
                f"[{caller}] When setting `include_top=True` and loading `imagenet` weights, `input_shape` should be "
                f"{usual}; got {given}. Pass include_top=False for pictures of other sizes."
            )
        return usual
    if not given:
        return usual if flat else _shape(3, None, data_format)
    if len(given) != 3:
        raise ValueError(
            f"[{caller}] `input_shape` must be a tuple of three integers; got {given}. Leave out the batch."
        )
    if pretrained and given[0 if data_format == "channels_first" else -1] != 3:
        raise ValueError(
            f"[{caller}] The input must have 3 channels; got `input_shape={given}`. Only weights=None allows others."
        )
    if any(n is not None and n < smallest for n in rows_and_columns(given, data_format)):
        raise ValueError(
            f"[{caller}] Input size must be at least {smallest}x{smallest}; got `input_shape={given}`. The order of "
            f"images is {data_format}."
        )
    if flat and None in given:
        raise ValueError(
            f"[{caller}] If `include_top` is True, you should specify a static `input_shape`. Got "
            f"`input_shape={given}`. Write numbers in place of None."
        )
    return given


def _shape(channels: int | None, size: int | None, data_format: str) -> Shape:
    return (channels, size, size) if data_format == "channels_first" else (size, size, channels)


def rows_and_columns(shape: Sequence[int | None], data_format: str | None = None) -> tuple[int | None, int | None]:
    """Return rows and columns of a picture's shape, by default in the order of images that is set."""
    first = K.normalize_data_format(data_format) == "channels_first"
    rows, columns = shape[1:3] if first else shape[:2]
    return rows, columns

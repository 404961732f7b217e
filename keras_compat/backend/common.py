"""What holds for a whole program: default types, the order of images, the names that are taken.

All of Keras's global settings are here, but for the learning phase. Others ask the functions: a value that is
imported does not follow a later change.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend import _keras_json
from keras_compat.backend._keras_json import DIM_ORDERINGS, FLOATS, LAYOUTS
from keras_compat.dialect.level import get_api_level

_file = _keras_json.read()
_FLOATX: str = _file.get("floatx", "float32")
_EPSILON: float = _file.get("epsilon", 1e-7)
_IMAGE_DATA_FORMAT: str = _file.get("image_data_format", "channels_last")
# True once the file or a program has chosen: then no network's layout is guessed from its input shape.
_image_order_chosen: bool = _file.get("image_order_chosen", False)
# True where it was set in Keras 1's word; see layout_to_flatten.
_image_order_in_old_word: bool = _file.get("image_order_in_old_word", False)
_legacy_weight_ordering = False
_uids: dict[str, Iterator[int]] = {}

_BACKEND = "autotensor"  # programs of Keras 0.x and 1.0 compare K._BACKEND


def backend() -> str:
    """The name of the backend. Not 'tensorflow': programs that see that name import it."""
    return _BACKEND


def floatx() -> str:
    """The default float type: 'float32' unless set otherwise."""
    return _FLOATX


def set_floatx(floatx: str) -> None:
    """Set the default float type: 'float16', 'float32' or 'float64'. Raises ValueError for another."""
    global _FLOATX
    if floatx not in FLOATS:
        raise ValueError(f"[set_floatx] expected one of {', '.join(FLOATS)}; got {floatx!r}. Check the spelling.")
    _FLOATX = str(floatx)


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite: 1e-7 unless set otherwise."""
    return _EPSILON


def set_epsilon(e: float) -> None:
    """Set the value of :func:`epsilon`."""
    global _EPSILON
    _EPSILON = float(e)


def image_data_format() -> str:
    """The default layout of images: 'channels_last' unless set otherwise."""
    return _IMAGE_DATA_FORMAT


def set_image_data_format(data_format: str) -> None:
    """Set the default layout of images: 'channels_last' or 'channels_first'. Raises ValueError for another."""
    global _IMAGE_DATA_FORMAT, _image_order_chosen, _image_order_in_old_word
    if data_format is None:
        raise ValueError(f"[set_image_data_format] expected one of {', '.join(LAYOUTS)}; got None. Give one of them.")
    _IMAGE_DATA_FORMAT = normalize_data_format(data_format)
    _image_order_chosen = True
    _image_order_in_old_word = False


def image_order_is_chosen() -> bool:
    """Tell whether the settings file or the program has set the layout of images; else it is the default."""
    return _image_order_chosen


def image_dim_ordering() -> str:
    """Keras 1's word for :func:`image_data_format`: 'th' for channels first, 'tf' for channels last."""
    return "th" if _IMAGE_DATA_FORMAT == "channels_first" else "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Set the default layout of images in Keras 1's words: 'th' (channels first) or 'tf' (channels last).

    Raises ValueError for another.
    """
    global _image_order_in_old_word
    if dim_ordering not in DIM_ORDERINGS:
        raise ValueError(f"[set_image_dim_ordering] expected 'th' or 'tf'; got {dim_ordering!r}. Check the spelling.")
    set_image_data_format(DIM_ORDERINGS[dim_ordering])
    _image_order_in_old_word = True


def layout_to_flatten() -> str:
    """The layout that ``Flatten`` takes its input to have, unless told.

    From 2.2 on, Keras puts the channels of images last before it flattens them. Before that it flattened whatever came
    in its order; a program that sets the layout in Keras 1's word, and the weights it loads, are of that time.
    """
    in_its_order = get_api_level() == "1.2" or _image_order_in_old_word
    return "channels_last" if in_its_order else _IMAGE_DATA_FORMAT


def normalize_data_format(value: str | None) -> str:
    """Return a layout in lower case; None is the default. Raises ValueError for an unknown one."""
    if value is None:
        return _IMAGE_DATA_FORMAT
    text = str(value).lower()
    if text not in LAYOUTS:
        raise ValueError(f"[data_format] expected one of {', '.join(LAYOUTS)}; got {value!r}. Check the spelling.")
    return text


def layout_of(dim_ordering: str) -> str:
    """The layout that Keras 1's 'th' or 'tf' means; 'default' is the one that is set. ValueError for another word."""
    if dim_ordering not in ("th", "tf", "default"):
        raise ValueError(
            f"[dim_ordering] Unknown dim_ordering: expected 'th' or 'tf'; got {dim_ordering!r}. Keras 2's word is "
            "data_format."
        )
    return {"th": "channels_first", "tf": "channels_last"}.get(dim_ordering, _IMAGE_DATA_FORMAT)


def cast_to_floatx(x: Any) -> np.ndarray:
    """Return an array (or number) as an ndarray of the default float type."""
    return np.asarray(x, dtype=_FLOATX)


def legacy_weight_ordering() -> bool:
    """What :func:`set_legacy_weight_ordering` set; nothing here depends on it (files tell their own order)."""
    return _legacy_weight_ordering


def set_legacy_weight_ordering(value: bool) -> None:
    """Remember a choice of Keras 1.0: whether weights are ordered as in its first releases.

    Raises ValueError for other values.
    """
    global _legacy_weight_ordering
    if value not in (True, False):
        raise ValueError(f"[set_legacy_weight_ordering] expected True or False; got {value!r}. Use one of them.")
    _legacy_weight_ordering = bool(value)


def get_uid(prefix: str = "") -> int:
    """Return 1, 2, 3... for each prefix."""
    return next(_uids.setdefault(prefix, itertools.count(1)))  # two threads never get the same


def reset_uids() -> None:
    """Start all counts of :func:`get_uid` again."""
    _uids.clear()


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Names what is computed or built in the block, for profiles and errors of autotensor."""
    with at.name_scope(name):
        yield name


def is_keras_tensor(x: Any) -> bool:
    """Tell whether a tensor came out of a Keras layer (or ``Input``). Raises ValueError if ``x`` is no tensor."""
    if not isinstance(x, at.Tensor):
        raise ValueError(
            f"[is_keras_tensor] expected a symbolic tensor; got {type(x).__name__}. Make one with Input() or "
            "K.placeholder()."
        )
    return hasattr(x, "_keras_history")

"""The settings file ``keras.json``: what a program takes for granted before it says anything.

It lies in the folder ``KERAS_HOME``, by default ``~/.keras``, and is only read, never written. Keras writes one with
its defaults at its first import; such a file counts as no choice of the order of images. Known keys are
``floatx``, ``epsilon``, ``image_data_format`` (Keras 2) and ``image_dim_ordering`` (Keras 1); ``backend`` is ignored,
as there is one. Values that can not be used are left out, with one warning for the file.
"""

from __future__ import annotations

import json
import math
import os
import reprlib
import stat
import warnings
from typing import Any

FLOATS = ("float16", "float32", "float64")
LAYOUTS = ("channels_last", "channels_first")
# Keras 1's words for the layouts.
DIM_ORDERINGS = {"tf": "channels_last", "th": "channels_first"}
# Such a file has some 120 bytes; what is larger is none.
_MAX_BYTES = 1 << 20


def path() -> str:
    """Return where the settings file is looked for."""
    home = os.environ.get("KERAS_HOME") or os.path.join("~", ".keras")
    return os.path.join(os.path.expanduser(home), "keras.json")


def read() -> dict[str, Any]:
    """Return the usable settings of the file: any of ``floatx``, ``epsilon`` and ``image_data_format``.

    ``image_order_chosen`` is there and True where somebody has chosen the last, ``image_order_in_old_word`` where that
    was in Keras 1's word only.
    """
    name = path()
    try:
        given = json.loads(_text(name))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _warn(name, [f"it can not be read ({error})"])
        return {}
    if not isinstance(given, dict):
        _warn(name, [f"expected a JSON object, got a {type(given).__name__}"])
        return {}
    out: dict[str, Any] = {}
    problems: list[str] = []

    def take(key: str, good: bool, expected: str) -> None:
        if good:
            out[key] = float(given[key]) if key == "epsilon" else given[key]
        else:
            problems.append(f"{key} should be {expected}, not {reprlib.repr(given[key])}")

    if "floatx" in given:
        take("floatx", given["floatx"] in FLOATS, f"one of {', '.join(FLOATS)}")
    if "epsilon" in given:
        take("epsilon", _is_small_number(given["epsilon"]), "a number above 0")
    if "image_dim_ordering" in given:
        ordering = given["image_dim_ordering"]
        known = isinstance(ordering, str) and ordering in DIM_ORDERINGS
        if known:
            out["image_data_format"] = DIM_ORDERINGS[ordering]
        else:
            problems.append(f"image_dim_ordering is 'th' or 'tf', not {reprlib.repr(ordering)}")
    if "image_data_format" in given:
        take("image_data_format", given["image_data_format"] in LAYOUTS, f"one of {', '.join(LAYOUTS)}")
    if "image_data_format" in out and not _is_as_keras_writes_it(given):
        out["image_order_chosen"] = True
        if "image_data_format" not in given:
            out["image_order_in_old_word"] = True
    if problems:
        _warn(name, problems)
    return out


def _text(name: str) -> str:
    """What is in the file. Raises OSError or ValueError for what is no file of settings; waits for nothing."""
    with open(name, "rb", opener=lambda path, flags: os.open(path, flags | getattr(os, "O_NONBLOCK", 0))) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError("no regular file")
        text = stream.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    return text.decode()


def _is_as_keras_writes_it(given: dict[str, Any]) -> bool:
    order = {"image_data_format": "channels_last"}, {"image_dim_ordering": "tf"}
    rest = {key: value for key, value in given.items() if key != "backend"}
    return "backend" in given and any(rest == {"floatx": "float32", "epsilon": 1e-07, **one} for one in order)


def _is_small_number(value: Any) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return 0 < float(value) < math.inf
    except OverflowError:
        return False


def _warn(name: str, problems: list[str]) -> None:
    said = "; ".join(problems)
    warnings.warn(f"[keras.json] {name}: {said}. The defaults are used in their place.", stacklevel=2)

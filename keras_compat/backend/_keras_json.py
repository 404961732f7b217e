"""The settings file ``keras.json``: what a program takes for granted before it says anything.

It lies in the folder ``KERAS_HOME``, by default ``~/.keras``, and is only read, never written. Keras writes one with
its defaults at its first import; such a file counts as no choice of the order of images. Known keys are
``floatx``, ``epsilon``, ``image_data_format`` (Keras 2) and ``image_dim_ordering`` (Keras 1); ``backend`` is ignored,
as there is one. A value that can not be used is left out with a warning.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from typing import Any

FLOATS = ("float16", "float32", "float64")
LAYOUTS = ("channels_last", "channels_first")
# Keras 1's words for the layouts.
DIM_ORDERINGS = {"tf": "channels_last", "th": "channels_first"}


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
        with open(name, encoding="utf-8") as stream:
            given = json.load(stream)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        _warn(name, f"it can not be read ({error})", "all settings keep their defaults")
        return {}
    if not isinstance(given, dict):
        _warn(name, f"expected a JSON object, got a {type(given).__name__}", "all settings keep their defaults")
        return {}
    out: dict[str, Any] = {}
    if "floatx" in given:
        _take(out, name, "floatx", given["floatx"], given["floatx"] in FLOATS, f"one of {', '.join(FLOATS)}")
    if "epsilon" in given:
        _take(out, name, "epsilon", given["epsilon"], _is_small_number(given["epsilon"]), "a number above 0")
    if "image_dim_ordering" in given:
        ordering = given["image_dim_ordering"]
        known = isinstance(ordering, str) and ordering in DIM_ORDERINGS
        if known:
            out["image_data_format"] = DIM_ORDERINGS[ordering]
        else:
            _warn(name, f"image_dim_ordering is 'th' or 'tf', not {ordering!r}", "the default is used")
    if "image_data_format" in given:
        layout = given["image_data_format"]
        _take(out, name, "image_data_format", layout, layout in LAYOUTS, f"one of {', '.join(LAYOUTS)}")
    if "image_data_format" in out and not _is_as_keras_writes_it(given):
        out["image_order_chosen"] = True
        if "image_data_format" not in given:
            out["image_order_in_old_word"] = True
    return out


def _is_as_keras_writes_it(given: dict[str, Any]) -> bool:
    order = {"image_data_format": "channels_last"}, {"image_dim_ordering": "tf"}
    rest = {key: value for key, value in given.items() if key != "backend"}
    return "backend" in given and any(rest == {"floatx": "float32", "epsilon": 1e-07, **one} for one in order)


def _is_small_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 and math.isfinite(value)


def _take(out: dict[str, Any], name: str, key: str, value: Any, good: bool, expected: str) -> None:
    if good:
        out[key] = float(value) if key == "epsilon" else value
    else:
        _warn(name, f"{key} should be {expected}, not {value!r}", "the default is used")


def _warn(name: str, problem: str, consequence: str) -> None:
    warnings.warn(f"[keras.json] {name}: {problem}; {consequence}.", stacklevel=2)

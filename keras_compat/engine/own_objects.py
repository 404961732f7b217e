"""The user's own classes and functions in a model or layer, found by looking at the objects themselves.

Whoever makes a copy by way of a config needs them: a config has their names only.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.engine.functions import text_of
from keras_compat.engine.node import Node

_OURS = (__name__.partition(".")[0], at.__name__)


def own_objects(root: Any) -> dict[str, Any]:
    """The classes and functions of the user's that a model or layer consists of, by their names in configs."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    stack = [root]
    while stack:
        item = stack.pop()
        if id(item) in seen or isinstance(item, (at.Tensor, np.ndarray, Node, str, bytes)):
            continue
        seen.add(id(item))
        if isinstance(item, Mapping):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple, set)):
            stack.extend(item)
        elif inspect.isclass(item) or inspect.isfunction(item):
            if _is_own(item):
                found[item.__name__] = item
                if inspect.isfunction(item):
                    found[text_of(item)] = item
        elif hasattr(item, "get_config"):
            stack.append(type(item))
            stack.extend(vars(item).values())
    return found


def _is_own(item: Any) -> bool:
    return (getattr(item, "__module__", None) or "").partition(".")[0] not in _OURS

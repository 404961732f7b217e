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

_GIVEN = ("optimizer", "loss", "_compile_metrics", "_compile_weighted_metrics")
_OURS = (__name__.partition(".")[0], at.__name__)


def own_objects(root: Any, by_name: bool = False) -> dict[str, Any]:
    """The classes and functions of the user's that a model or layer consists of, by their names in configs.

    Args:
        root: a model or layer.
        by_name: whether its layers are made from the names of their classes too, not of the classes themselves.

    Raises:
        ValueError: a function (with ``by_name`` a class) has the name of one of Keras's that is there as well: by their
            names they can not be told apart.
    """
    found: dict[str, Any] = {}
    others: set[str] = set()
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
            if not _is_own(item):
                others.add(item.__name__)
                continue
            found[item.__name__] = item
            if inspect.isfunction(item):
                found[text_of(item)] = item
        elif hasattr(item, "get_config"):
            stack.append(type(item))
            if hasattr(item, "_is_graph_network"):
                # What compile made of losses and metrics is no part of a model's file; what it was given is.
                stack.append(item._layers)
                stack.extend([getattr(item, name, None) for name in _GIVEN if by_name])
            else:
                stack.extend(vars(item).values())
    same = sorted(name for name in others & set(found) if by_name or not inspect.isclass(found[name]))
    if same:
        raise ValueError(
            f"[copy] a config has names only; {', '.join(map(repr, same))} is the name of something of yours and of "
            "Keras's, both in this model. Rename yours."
        )
    return found


def _is_own(item: Any) -> bool:
    return (getattr(item, "__module__", None) or "").partition(".")[0] not in _OURS

"""Keras 2.2's module path for layers, their calls and what they expect."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from keras_compat.engine.layer import InputSpec as InputSpec
from keras_compat.engine.layer import Layer as Layer
from keras_compat.engine.node import Node as Node


def disable_tracking(func: Callable) -> Callable:
    """Decorate a method of a layer: layers and variables it sets as attributes are not followed meanwhile."""

    @functools.wraps(func)
    def untracked(self: Any, *args: Any, **kwargs: Any) -> Any:
        kept = ("_layers", "_trainable_weights", "_non_trainable_weights")
        before = {name: list(self.__dict__.get(name, ())) for name in kept}
        result = func(self, *args, **kwargs)
        for name, items in before.items():
            self.__dict__[name] = items
        return result

    return untracked

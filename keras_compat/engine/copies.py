"""Pickles and deep copies of models: what a file holds, and the user's own classes and functions beside it.

A pickle may run code when it is read, whatever is in it; so the user's functions may be in it too, which files never
hold. Classes and functions of a module are named, as pickle does it; other functions go as byte code of this version
of Python.
"""

from __future__ import annotations

import inspect
import io
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keras_compat.engine import registry
from keras_compat.engine.byte_code import NAMES
from keras_compat.engine.functions import function_of
from keras_compat.saving import models as files
from keras_compat.utils.generic_utils import CustomObjectScope, func_dump, func_load

# What a copy compiles itself with: the names of compile's arguments and of the model's attributes.
_COMPILED = {
    "optimizer": "optimizer",
    "loss": "loss",
    "metrics": "_compile_metrics",
    "loss_weights": "loss_weights",
    "sample_weight_mode": "sample_weight_mode",
    "weighted_metrics": "_compile_weighted_metrics",
}


def state_of_model(model: Any) -> dict[str, Any]:
    """What a copy of a model is made from: its file as bytes, or its config where it has no weights yet.

    Raises:
        NotImplementedError: the model has its own ``call``.
    """
    if not model._is_graph_network:
        raise NotImplementedError(
            f"[copy] a model with its own call() can not be copied or pickled; got {model.name!r}. Make another "
            "instance of your class, and hand the weights over: other.set_weights(model.get_weights())."
        )
    compiled = model.optimizer is not None
    if model.built:
        stream = io.BytesIO()
        model.save(stream)
        return {"h5": stream.getvalue(), "compiled": compiled}
    arguments = {word: getattr(model, name) for word, name in _COMPILED.items()} if compiled else None
    return {"config": registry.serialize(model), "compile": arguments}


def model_of(state: Mapping[str, Any]) -> Any:
    """The model that :func:`state_of_model` described; ``state['own']`` are the user's classes and functions."""
    with CustomObjectScope({name: _live(name, item) for name, item in state.get("own", {}).items()}):
        if "h5" in state:
            return files.load_model(io.BytesIO(state["h5"]), compile=state.get("compiled", True))
        model = registry.deserialize(state["config"])
        if state["compile"] is not None:
            model.compile(**state["compile"])
        return model


def portable(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the objects that another process can have: by reference, functions also as code."""
    found = {}
    for name, item in objects.items():
        if _is_importable(item):
            found[name] = item
        elif inspect.isfunction(item):
            code = FunctionCode(sys.version_info[:2], item.__module__, func_dump(item))
            try:
                pickle.dumps(code)
            except Exception:  # it encloses something that pickle can not write: whoever reads it hands it over
                continue
            found[name] = code
    return found


@dataclass(frozen=True)
class FunctionCode:
    """A function that no module holds, as byte code."""

    python: tuple[int, ...]
    module: str
    code: tuple[str, Any, Any]

    def function(self) -> Any:
        """The function. Raises ValueError where another version of Python wrote it."""
        if self.python != sys.version_info[:2]:
            raise ValueError(
                f"[pickle] a function is byte code of Python {'.'.join(map(str, self.python))}; this is Python "
                f"{'.'.join(map(str, sys.version_info[:2]))}. Define the function in a module, and pickle again."
            )
        around = vars(sys.modules[self.module]) if self.module in sys.modules else {}
        return func_load(self.code, globs={**NAMES, "__builtins__": __builtins__, **around})


def _live(name: str, item: Any) -> Any:
    """What a name stands for: the function that this process knows by it, if its digest tells it from others."""
    if not isinstance(item, FunctionCode):
        return item
    return (function_of(name) if "@" in name else None) or item.function()


def _is_importable(item: Any) -> bool:
    found: Any = sys.modules.get(item.__module__)
    for part in item.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is item

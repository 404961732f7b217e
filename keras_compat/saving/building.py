"""From a config to a model: one walk over all of it before anything is built, and one place where it is built.

``load_model``, ``model_from_json``, ``model_from_yaml`` and ``model_from_config`` all come here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from keras_compat.engine import registry
from keras_compat.engine.byte_code import is_byte_code, written_by
from keras_compat.engine.loading import loading, permission
from keras_compat.saving.errors import CorruptFileError, UnsafeModelError, raised_by
from keras_compat.saving.guard_text import check_config, classes_in
from keras_compat.utils.generic_utils import known_objects, registries

_PACKAGE = __name__.partition(".")[0]


def build(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    *,
    allow_code: bool = False,
    stored: int | None = None,
) -> Any:
    """The model or layer that a config (``{'class_name', 'config'}``) describes, with new weights.

    Args:
        custom_objects: {name: class or function} of what is not Keras's own, and {layer name: function} for functions
            that stand in the config as byte code.
        allow_code: let byte code of this Python in the config become functions, which can do anything. Only True does.
        stored: how many numbers the file's arrays hold, where there is one: models much larger are not built.

    Raises:
        UnsafeModelError: it holds byte code and ``allow_code`` is not True (all such layers are named), or is larger
            than a model can be.
        ValueError: classes that nobody knows (all are named).
        CorruptFileError: it is not as any Keras writes configs.
    """
    check_config(config)
    known = known_objects(custom_objects)
    check_classes(config, known)
    if not permission(allow_code):
        check_code(config, known)
    with as_keras_writes("config"), loading(allow_code=allow_code, stored=stored):
        return registry.deserialize(config, custom_objects=custom_objects)


@contextmanager
def as_keras_writes(what: str) -> Iterator[None]:
    """Within the block something of a config is read: what it lacks, or numbers beyond all, make a CorruptFileError."""
    try:
        yield
    except (KeyError, IndexError, AttributeError, RecursionError, AssertionError, ArithmeticError) as error:
        if not raised_by(error, _PACKAGE, through=("autotensor", "numpy")):  # the user's own code
            raise
        raise CorruptFileError(
            f"[load] the {what} is not as Keras writes it ({type(error).__name__}: {error}). Is the file whole?"
        ) from error


def check_classes(config: Any, custom_objects: Mapping[str, Any]) -> None:
    """That all classes in a config are known, by this package or among ``custom_objects``; names all that are not."""
    ours: dict[str, Any] = {}
    for family in registries():
        ours.update(family)
    unknown = {name: place for place, name, _ in classes_in(config) if name not in ours and name not in custom_objects}
    unknown.pop("__lambda__", None)  # byte code: see check_code
    if len(unknown) > 1:  # of one, what makes it says more: which family it should be of, and the nearest names
        listed = ", ".join(f"{name!r} (at {place or 'the top'})" for name, place in unknown.items())
        given = ", ".join(f"{name!r}: {name if name.isidentifier() else '...'}" for name in unknown)
        raise ValueError(
            f"[load] expected the names of known classes; {len(unknown)} are not: {listed:.2000}. Your own go into "
            f"custom_objects={{{given:.500}}} or a custom_object_scope."
        )


def check_code(config: Any, custom_objects: Mapping[str, Any]) -> None:
    """That a config holds no byte code but of layers whose function is among ``custom_objects``; names all such."""
    found = {name: code for name, code in code_in(config) if not callable(custom_objects.get(name))}
    if not found:
        return
    listed = ", ".join(f"{name!r} ({written_by(code)})" for name, code in found.items())
    given = ", ".join(f"{name!r}: function" for name in found)
    raise UnsafeModelError(
        f"[load] Python byte code as layers, {len(found)} of them, and code from a file is never run unasked: "
        f"{listed:.2000}. Pass the functions: custom_objects={{{given:.500}}}. If you trust whoever made the file with "
        "all you have, allow_code=True."
    )


def code_in(config: Any) -> Iterator[tuple[str, Any]]:
    """Yield (layer name, code) of each function that stands in a config as Python byte code; for reports, too."""
    for _, kind, inner in classes_in(config):
        if not isinstance(inner, Mapping):
            continue
        name = inner.get("name")
        for part in ("function", "mode"):
            value = inner.get(part)
            if (inner.get(f"{part}_type") == "lambda" and value is not None) or is_byte_code(value):
                yield str(name if isinstance(name, str) else kind.lower()), value

"""Names to objects and back: what configs and strings like ``'relu'`` stand for, and small helpers on lists.

Only what was registered, or handed over as ``custom_objects``, can be named; nothing is ever imported by its path, so
a config from a file can not run foreign code.
"""

from __future__ import annotations

import codecs
import difflib
import inspect
import marshal
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from keras_compat.utils.progbar import Progbar as Progbar

_PACKAGE = __name__.partition(".")[0]
_GLOBAL_CUSTOM_OBJECTS: dict[str, Any] = {}
_REGISTRIES: list[Registry] = []


class Registry(dict[str, Any]):
    """What a name may stand for in one family (losses, layers...): a dictionary with a word for its entries.

    ``factories`` says that functions in it make the objects of the family, as classes do; else they are such objects.
    """

    def __init__(self, kind: str, entries: Mapping[str, Any] | None = None, *, factories: bool = False):
        super().__init__(entries or {})
        self.kind = kind
        self.factories = factories
        _REGISTRIES.append(self)

    def add(self, obj: Any, *names: str) -> Any:
        """Register ``obj`` under its own name and ``names``; returns it, so it can decorate."""
        for name in (obj.__name__, *names):
            self[name] = obj
        return obj

    def unknown(self, name: str) -> ValueError:
        """The error for a name nobody knows: it lists the nearest ones."""
        return unknown_name(name, self, self.kind)

    def deserialize(self, identifier: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """What a name, config or callable stands for in this family, see :func:`deserialize_keras_object`."""
        return deserialize_keras_object(identifier, self, custom_objects, self.kind)

    def instance(self, identifier: Any, kwargs: Mapping[str, Any] | None = None) -> Any:
        """As ``deserialize``, but a name gives an object made with ``kwargs``; None comes back."""
        if identifier is None:
            return None
        if isinstance(identifier, str):
            found = self.deserialize(identifier)
            if not inspect.isclass(found):
                # A factory is called; a function of the user's takes a weight, and is what is meant itself.
                return found(**(kwargs or {})) if identifier in self or kwargs else found
            identifier = {"class_name": identifier, "config": dict(kwargs or {})}
        elif isinstance(identifier, Mapping) and not {"class_name", "name"} & set(identifier):
            # Layers of Keras 1 wrote get_config() of their penalties into their own: the arguments tell the class.
            made = [c for c in _classes(self.values()) if set(inspect.signature(c).parameters) == set(identifier)]
            if len(made) == 1:
                return made[0](**identifier)
        return self.deserialize(identifier)


def registries() -> list[Registry]:
    """Return the registries of all families."""
    return list(_REGISTRIES)


def _classes(objects: Iterable[Any]) -> list[type]:
    """The classes among some objects that are not meant as bases, each once."""
    return [c for c in dict.fromkeys(objects) if inspect.isclass(c) and not c.__subclasses__()]


def unknown_name(name: Any, known: Mapping[str, Any], kind: str = "object") -> ValueError:
    """Return the error for a name that is neither in ``known`` nor a custom object, with the nearest names."""
    # One spelling of each name: of 'mean_squared_error' and 'MeanSquaredError' the one in the style of the question.
    capitals = str(name)[:1].isupper()
    spellings: dict[str, str] = {}
    names = sorted(map(str, (*known, *_GLOBAL_CUSTOM_OBJECTS)))
    for key in sorted(names, key=lambda key: (key[:1].isupper() == capitals, "_" in key)):
        spellings[key.lower().replace("_", "")] = key
    asked = str(name).lower().replace("_", "").replace(" ", "")
    near = [spellings[key] for key in difflib.get_close_matches(asked, spellings, n=3, cutoff=0.6)]
    listed = ", ".join(sorted(spellings.values()))
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known are {listed}."
    return ValueError(
        f"[{kind}] expected the name of a known {kind}; got {name!r}. {hint} Your own go into custom_objects or a "
        "custom_object_scope."
    )


def unknown_arguments(op: str, given: Iterable[str], known: Iterable[str]) -> TypeError:
    """Return the error for keyword arguments that a function does not have, with the nearest it has."""
    listed = list(given)
    near = difflib.get_close_matches(listed[0], sorted(known), n=1, cutoff=0.6)
    hint = f"Did you mean {near[0]!r}?" if near else "Check the spelling."
    return TypeError(f"[{op}] Keyword argument not understood: {', '.join(map(repr, listed))}. {hint}")


class CustomObjectScope:
    """Makes names known inside a ``with`` block; the names of before come back after it.

    with CustomObjectScope({'MyLayer': MyLayer}, {'my_loss': my_loss}):
        model = load_model('model.h5')
    """

    def __init__(self, *args: Mapping[str, Any]):
        self.custom_objects = args
        self.backup: dict[str, Any] | None = None

    def __enter__(self) -> CustomObjectScope:
        self.backup = dict(_GLOBAL_CUSTOM_OBJECTS)
        for objects in self.custom_objects:
            _GLOBAL_CUSTOM_OBJECTS.update(objects)
        return self

    def __exit__(self, *exception: object) -> None:
        _GLOBAL_CUSTOM_OBJECTS.clear()
        _GLOBAL_CUSTOM_OBJECTS.update(self.backup or {})


def custom_object_scope(*args: Mapping[str, Any]) -> CustomObjectScope:
    """Return a :class:`CustomObjectScope` of these dictionaries (name to class or function)."""
    return CustomObjectScope(*args)


def get_custom_objects() -> dict[str, Any]:
    """Return the dictionary of names known everywhere; what is put into it stays known."""
    return _GLOBAL_CUSTOM_OBJECTS


def known_objects(custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The names known everywhere, and those of one call, which count more."""
    return {**get_custom_objects(), **(custom_objects or {})}


@contextmanager
def _also_known(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    if not custom_objects:
        yield
        return
    with CustomObjectScope(custom_objects):
        yield


def warn(message: str) -> None:
    """Warn about the user's line: the innermost one outside this package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def serialize_keras_object(instance: Any) -> Any:
    """Return what stands for an object in a config: ``{'class_name', 'config'}``, a function's name, or None.

    Raises ValueError for an object without ``get_config``.
    """
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        return {"class_name": type(instance).__name__, "config": instance.get_config()}
    if hasattr(instance, "__name__"):
        return instance.__name__
    raise ValueError(
        f"[serialize] expected a function or an object with get_config(); got {type(instance).__name__}. "
        "Give its class a get_config()."
    )


def deserialize_keras_object(
    identifier: Any,
    module_objects: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """Return what an identifier stands for.

    Args:
        identifier: ``{'class_name': ..., 'config': {...}}`` (an instance comes back; Keras 1's form
            ``{'name': ..., **arguments}`` too), a name (the function or class
            of that name comes back), or a callable, which comes back as it is.
        module_objects: the names that may be used, usually a :class:`Registry`.
        custom_objects: further names, which win; so do those of an enclosing :class:`CustomObjectScope`.
        printable_module_name: what to call the object in an error, such as "loss function".

    Raises:
        ValueError: the name is unknown (the message lists the nearest ones), or the identifier has another form.
    """
    known = module_objects if module_objects is not None else {}

    def find(name: Any) -> Any:
        if not isinstance(name, str):
            raise ValueError(
                f"[{printable_module_name}] expected a name; got {type(name).__name__}. Is the config whole?"
            )
        for names in (custom_objects or {}, _GLOBAL_CUSTOM_OBJECTS, known):
            if name in names:
                return names[name]
        raise unknown_name(name, {**known, **(custom_objects or {})}, printable_module_name)

    if isinstance(identifier, Mapping):
        name = identifier.get("name")
        if "class_name" not in identifier and isinstance(name, str) and inspect.isclass(find(name)):
            # Keras 1 writes one dictionary for regularizers, constraints, optimizers: the name and the arguments.
            arguments = {key: value for key, value in identifier.items() if key != "name"}
            identifier = {"class_name": name, "config": arguments}
        if "class_name" not in identifier or "config" not in identifier:
            raise ValueError(
                f"[{printable_module_name}] a config needs 'class_name' and 'config'; got the keys "
                f"{sorted(map(str, identifier))}. Was it made by serialize()?"
            )
        found, config = find(identifier["class_name"]), identifier["config"]
        if isinstance(known, Registry) and not (known.factories or inspect.isclass(found)) and found in known.values():
            raise ValueError(
                f"[{printable_module_name}] expected the name of a class; {identifier['class_name']!r} is a function. "
                "Functions stand in a config by their names alone."
            )
        if hasattr(found, "from_config"):
            with _also_known(custom_objects):
                if has_arg(found.from_config, "custom_objects"):
                    return found.from_config(config, custom_objects=known_objects(custom_objects))
                return found.from_config(config)
        with _also_known(custom_objects):
            return found(**config)
    if isinstance(identifier, str):
        return find(identifier)
    if callable(identifier):
        return identifier
    raise ValueError(
        f"[{printable_module_name}] expected a name, a config or a callable; got {type(identifier).__name__}: "
        f"{identifier!r}. Give one of these."
    )


def get_from_module(
    identifier: Any,
    module_params: Mapping[str, Any],
    module_name: str,
    instantiate: bool = False,
    kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """Keras 1's form of :func:`deserialize_keras_object`.

    A name gives what is registered under it, called with ``kwargs`` if ``instantiate``; a dictionary
    ``{'name': ..., **arguments}`` gives an instance; anything else comes back.
    """
    if isinstance(identifier, Mapping):
        arguments = {key: value for key, value in identifier.items() if key != "name"}
        return deserialize_keras_object(identifier["name"], module_params, None, module_name)(**arguments)
    if not isinstance(identifier, str):
        return identifier
    found = deserialize_keras_object(identifier, module_params, None, module_name)
    return found(**(kwargs or {})) if instantiate else found


def to_snake_case(name: str) -> str:
    """``"BatchNormalization"`` -> ``"batch_normalization"``: the stem of automatic names."""
    step = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    out = re.sub("([a-z])([A-Z])", r"\1_\2", step).lower()
    return "private" + out if out.startswith("_") else out


def numbered(names: Iterable[str]) -> list[str]:
    """Names told apart by numbers, as Keras does: ``dense``, ``dense_1``, ``dense_2``."""
    count: dict[str, int] = {}
    found = []
    for name in names:
        n = count[name] = count.get(name, -1) + 1
        found.append(f"{name}_{n}" if n else name)
    return found


def make_tuple(*args: Any) -> tuple[Any, ...]:
    """The arguments as a tuple."""
    return args


def has_arg(fn: Callable[..., Any], name: str, accept_all: bool = False) -> bool:
    """Tell whether ``fn`` can be called with the keyword ``name``; ``**kwargs`` counts if ``accept_all``."""
    try:
        parameters = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return accept_all
    found = parameters.get(name)
    if found is None:
        return accept_all and any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return found.kind in (found.POSITIONAL_OR_KEYWORD, found.KEYWORD_ONLY)


def getargspec(fn: Callable[..., Any]) -> inspect.FullArgSpec:
    """Return the arguments of a function, as ``inspect.getfullargspec``."""
    return inspect.getfullargspec(fn)


def to_list(x: Any, allow_tuple: bool = False) -> list[Any]:
    """Return ``x`` as a list: itself if it is one, a tuple's items if ``allow_tuple``, else ``[x]``."""
    if isinstance(x, list):
        return x
    if allow_tuple and isinstance(x, tuple):
        return list(x)
    return [x]


def unpack_singleton(x: Any) -> Any:
    """Return the only item of a list or tuple of one, else ``x``."""
    return x[0] if isinstance(x, (list, tuple)) and len(x) == 1 else x


def is_all_none(iterable_or_element: Any) -> bool:
    """Tell whether an item, or every item of a list or tuple, is None."""
    items = iterable_or_element if isinstance(iterable_or_element, (list, tuple)) else [iterable_or_element]
    return all(item is None for item in items)


def object_list_uid(object_list: Any) -> str:
    """Return a key for the very objects of a list."""
    return ", ".join(str(abs(id(x))) for x in to_list(object_list))


def slice_arrays(arrays: Any, start: Any = None, stop: int | None = None) -> Any:
    """Cut an array, or each array of a list, along its first axis.

    ``start`` is where to begin (``stop`` where to end, not included), or the list of rows to take. None stays None.
    """
    if arrays is None:
        return [None]
    rows: Any = slice(start, stop)
    if hasattr(start, "__len__"):
        rows = start.tolist() if hasattr(start, "tolist") else list(start)  # HDF5 data sets take lists only
    if isinstance(arrays, list):
        return [None if x is None else x[rows] for x in arrays]
    return arrays[rows] if hasattr(arrays, "__getitem__") else [None]


def check_for_unexpected_keys(name: str, input_dict: Mapping[str, Any], expected_values: Iterable[str]) -> None:
    """Raise ValueError if a dictionary has a key that is not expected, naming the nearest ones."""
    expected = list(expected_values)
    unexpected = sorted(set(input_dict) - set(expected))
    if unexpected:
        near = difflib.get_close_matches(unexpected[0], expected, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Check the names of the outputs."
        raise ValueError(f"[{name}] expected only the keys {expected}; got also {unexpected}. {hint}")


def transpose_shape(shape: Sequence[Any], target_format: str, spatial_axes: Iterable[int]) -> tuple[Any, ...]:
    """Reorder a channels-last shape: ``(batch, spatial..., channels)`` to the layout ``target_format``."""
    if target_format == "channels_first":
        return (*shape[:1], shape[-1], *[shape[axis] for axis in spatial_axes])
    if target_format == "channels_last":
        return tuple(shape)
    raise ValueError(
        f"[transpose_shape] the layout must be 'channels_first' or 'channels_last'; got {target_format!r}. "
        "Check data_format."
    )


def func_dump(func: Any) -> tuple[str, Any, Any]:
    """Return a Python function as ``(code, defaults, values of its closure)``; the code as text that JSON can hold."""
    code = codecs.encode(marshal.dumps(func.__code__), "base64").decode("ascii")
    closure = tuple([cell.cell_contents for cell in func.__closure__ or ()]) or None
    return code, func.__defaults__, closure


def func_load(code: Any, defaults: Any = None, closure: Any = None, globs: dict[str, Any] | None = None) -> Any:
    """Return the function that :func:`func_dump` described. It can do anything once called: trust where it is from.

    Args:
        code: text of the code, or the whole triple that ``func_dump`` gave.
        globs: its global names, by default those of this module.
    """
    if isinstance(code, (tuple, list)):
        code, defaults, closure = code
    defaults = tuple(defaults) if isinstance(defaults, list) else defaults
    cells = None if closure is None else tuple([v if _is_cell(v) else types.CellType(v) for v in closure])
    raw = marshal.loads(codecs.decode(code.encode("ascii"), "base64"))
    return types.FunctionType(raw, globals() if globs is None else globs, raw.co_name, defaults, cells)


def _is_cell(value: Any) -> bool:
    return isinstance(value, types.CellType)

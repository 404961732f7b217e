"""Put the translator in front of classes, methods and functions, from outside.

Nothing in the rest of the package knows of this: `install_all`, called once at the end of
`keras_compat/__init__.py`, looks for what the tables name among the modules that are loaded by then and wraps
what exists. `__init__` itself is wrapped, so a user's subclass that calls `super().__init__(output_dim=...)`
is served too. A call that needs no translation costs a few set operations.
"""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import Any

from keras_compat.dialect import images, old_attributes, tables
from keras_compat.dialect.level import DEFAULT_LEVEL, get_api_level
from keras_compat.dialect.spec import Spec, spec_for
from keras_compat.dialect.translate import Note, translate

PACKAGE = __name__.partition(".")[0]


# --- the migration report --------------------------------------------------------------------------------------------


@dataclass
class ReportLine:
    """One old spelling of one callable: what to write now, how often it came, and where it came first."""

    note: Note
    count: int
    where: str

    def __str__(self) -> str:
        times = "once" if self.count == 1 else f"{self.count} times, first"
        return f"{self.note} ({times} at {self.where})"


_report: dict[tuple[str, str], ReportLine] = {}
_warned: set[tuple[str, str]] = set()
_warn = False


def report() -> list[ReportLine]:
    """Return every old spelling met so far, in the order of first use; each prints as one line."""
    return list(_report.values())


def clear_report() -> None:
    """Forget the old spellings met so far, and that they were warned about."""
    _report.clear()
    _warned.clear()


def warn_old_spellings(enabled: bool = True) -> None:
    """Choose whether each old spelling of each callable raises one `DeprecationWarning` (off by default)."""
    global _warn
    _warn = enabled


def _record(notes: tuple[Note, ...], frame: FrameType | None) -> None:
    depth = 3
    while frame is not None and _is_ours(frame):
        frame, depth = frame.f_back, depth + 1
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "<unknown>"
    for note in notes:
        key = (note.callable, note.old)
        if key in _report:
            _report[key].count += 1
        else:
            _report[key] = ReportLine(note, 1, where)
        if _warn and key not in _warned:
            _warned.add(key)
            warnings.warn(str(note), DeprecationWarning, stacklevel=depth)


def _is_ours(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE


# --- wrapping --------------------------------------------------------------------------------------------------------


def translated(function: Callable, spec: Spec, *, skip: int = 0) -> Callable:
    """Return `function` taking both vocabularies.

    Args:
        function: what speaks Keras 2.3's words only.
        spec: from `spec_for`.
        skip: leading arguments that are not part of the call: 1 for a method or an `__init__`.

    The result keeps name, module, documentation and signature (`__wrapped__`), and says in
    `accepted_arguments` which words it takes beyond its signature.
    """
    limit = spec.untouched + skip if spec.legacy else sys.maxsize
    is_untouched = spec.untouched_words.issuperset
    by_level = spec.by_level
    telling = spec.telling
    has_layout = images.has_layout(spec)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        count = len(args)
        if (
            (count <= limit or (count == limit + 1 and _tells(args[limit], telling)))
            and is_untouched(kwargs)
            and (not by_level or get_api_level() == DEFAULT_LEVEL)
        ):
            result = function(*args, **kwargs)
            if has_layout:
                images.note(args[0], spec, args[1:], kwargs, args[1:], kwargs, old=False)
            return result
        caller = sys._getframe(1)
        # Our own modules speak Keras 2's order at every level.
        level = DEFAULT_LEVEL if spec.order_by_level and _is_ours(caller) else get_api_level()
        positional, keywords, notes = translate(spec, args[skip:], kwargs, level)
        if notes:
            _record(notes, caller)
        result = function(*args[:skip], *positional, **keywords)
        if has_layout:
            images.note(args[0], spec, args[1:], kwargs, positional, keywords, old=bool(notes))
        return result

    call.accepted_arguments = spec.accepted  # type: ignore[attr-defined]
    call.dialect_spec = spec  # type: ignore[attr-defined]
    return call


def _tells(value: Any, telling: frozenset[str]) -> bool:
    return type(value) is str and value in telling


def spec_of(target: Any) -> Spec | None:
    """Return the spec that a class or function was wrapped with, or None."""
    function = target.__dict__.get("__init__") if inspect.isclass(target) else target
    return getattr(function, "dialect_spec", None)


def install(cls: type, spec: Spec) -> None:
    """Wrap `cls.__init__` in place; a second time does nothing."""
    if spec_of(cls) is None:
        cls.__init__ = translated(cls.__init__, spec, skip=1)  # type: ignore[misc]
        cls.accepted_arguments = spec.accepted  # type: ignore[attr-defined]
        if spec.path.startswith("layers:"):
            old_attributes.add(cls, spec)


def install_method(cls: type, name: str, spec: Spec) -> None:
    """Wrap a method in place; one inherited is wrapped for `cls` alone. A second time does nothing."""
    if getattr(cls.__dict__.get(name), "dialect_spec", None) is None:
        function = getattr(cls, name)
        # One translation a call: what the base class's method was before it was wrapped.
        setattr(cls, name, translated(function.__wrapped__ if spec_of(function) else function, spec, skip=1))


def install_function(module: ModuleType, name: str, spec: Spec, package: str = PACKAGE) -> None:
    """Put the wrapped function in the place of `module.name`, also where other modules took it from there."""
    function = getattr(module, name)
    if spec_of(function) is None:
        _rebind(package, function, translated(function, spec))


def _modules_of(package: str) -> list[ModuleType]:
    names = [name for name in sys.modules if name == package or name.startswith(package + ".")]
    return [module for name in names if (module := sys.modules[name]) is not None]


def _rebind(package: str, old: Callable, new: Callable) -> None:
    for module in _modules_of(package):
        for name, value in list(vars(module).items()):
            if value is old:
                setattr(module, name, new)


def known_paths() -> list[str]:
    """Return every callable that some table has a row for, base classes before their subclasses."""
    rows = (tables.V1_POSITIONAL, tables.RENAME, tables.GATHER, tables.DROPPED, tables.DEFAULTS)
    return sorted({path for table in rows for path in table})


def install_all(package: str = PACKAGE) -> list[str]:
    """Wrap all that the tables know and that the loaded modules of `package` offer, and set the aliases.

    Returns the paths that are wrapped now. What does not exist is left out; calling it again after loading
    more modules adds what is new.
    """
    done = []
    for path in known_paths():
        module_name, _, qualname = path.partition(":")
        owner: Any = sys.modules.get(f"{package}.{module_name}")
        *outer, name = qualname.split(".")
        for part in outer:
            owner = getattr(owner, part, None)
        target = getattr(owner, name, None)
        if target is None:
            continue
        if inspect.isclass(target):
            install(target, spec_of(target) or spec_for(path, target))
        elif inspect.isclass(owner):
            install_method(owner, name, spec_for(path, target))
        else:
            install_function(owner, name, spec_of(target) or spec_for(path, target), package)
        done.append(path)
    _install_layer_methods(package)
    _set_aliases(package)
    _follow_image_order(package)
    _read_configs_in_old_words(package)
    return done


def _install_layer_methods(package: str) -> None:
    """Let each layer's own `call` and `compute_mask` take Keras 1's words, as those of `Layer` do."""
    registry = sys.modules.get(f"{package}.engine.registry")
    base = getattr(sys.modules.get(f"{package}.layers"), "Layer", None)
    if registry is None or base is None:
        return
    offered = {id(cls): cls for cls in registry.LAYERS.values() if inspect.isclass(cls)}
    specs: dict[Any, Spec] = {}
    for cls in {id(one): one for found in offered.values() for one in found.__mro__}.values():
        if cls is base or not issubclass(cls, base) or cls.__module__.partition(".")[0] != package:
            continue
        for name in ("call", "compute_mask"):
            method = cls.__dict__.get(name)
            if method is None or spec_of(method) is not None:
                continue
            # Most have one of few signatures, and reading a signature is what takes time here.
            code = method.__code__
            arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            # A cell's call(inputs, states) is Keras 2's alone: what stands second is no mask.
            if "states" in arguments:
                continue
            key = (name, arguments, code.co_flags, len(method.__defaults__ or ()))
            if key not in specs:
                specs[key] = spec_for(f"layers:Layer.{name}", method)
            install_method(cls, name, specs[key])


def _follow_image_order(package: str) -> None:
    """Let layers that do not name a layout follow the layer before them; a second time does nothing."""
    layer = sys.modules.get(f"{package}.engine.layer")
    if layer is None or hasattr(layer.Layer.__call__, "decides_image_order"):
        return
    helpers = sys.modules[f"{package}.utils.generic_utils"]
    layer.Layer.__call__ = images.follow(layer.Layer.__call__, layer.K, layer.shape_of, helpers.warn)


def _read_configs_in_old_words(package: str) -> None:
    """Let subclasses whose `__init__` speaks Keras 1 be made from configs; a second time does nothing."""
    layer = sys.modules.get(f"{package}.engine.layer")
    if layer is not None:
        layer.Layer._arguments_of = classmethod(old_attributes.arguments_of)


def _set_aliases(package: str) -> None:
    """Bind the old names beside the new ones, in every module that offers the new one."""
    for module_name, names in tables.ALIASES.items():
        home = f"{package}.{module_name}"
        for old, new in names.items():
            target = getattr(sys.modules.get(home), new, None)
            if target is None or f"{module_name}:{old}" in tables.ALIASES_WITH_BEHAVIOUR:
                continue
            for module in _modules_of(home):
                if vars(module).get(new) is target and not hasattr(module, old):
                    setattr(module, old, target)
    for module_name, names in tables.V1_CLASS_NAMES.items():
        for new, old in names.items():
            cls = getattr(sys.modules.get(f"{package}.{module_name}"), new, None)
            if cls is not None:
                cls.keras_1_name = old
    registry = sys.modules.get(f"{package}.engine.registry")
    if registry is not None:  # configs of Keras 1 name its classes
        for old, new in tables.ALIASES["layers"].items():
            if new in registry.LAYERS:
                registry.LAYERS.setdefault(old, registry.LAYERS[new])

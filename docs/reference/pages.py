"""What the API reference shows: its pages, which names stand on each, and what the docstrings owe to the reader.

It needs nothing but the packages themselves, so the tests read it too; `__main__` makes HTML of it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from autotensor.core.op import Op
from keras_compat.dialect import tables
from keras_compat.dialect.old_attributes import OldAttribute

# The modules that programs import from. A name stands on the first page that has it, as another name on later ones.
ENGINE = tuple(
    f"autotensor{name and '.' + name}"
    for name in (
        ["", *"tree linalg fft random images config testing testing.strategies extend numpy scipy.special".split()]
        + "scipy.stats scipy.linalg scipy.integrate scipy.signal misc builtins tracer test_util errors".split()
    )
)
KERAS = tuple(
    f"keras_compat.{name}"
    for name in (
        "models layers optimizers losses metrics activations initializers regularizers constraints callbacks "
        "preprocessing.image preprocessing.sequence preprocessing.text datasets.mnist datasets.fashion_mnist "
        "datasets.cifar10 datasets.cifar100 datasets.imdb datasets.reuters datasets.boston_housing datasets.digits5k "
        "applications applications.imagenet_utils wrappers.scikit_learn distributed distributed.callbacks utils "
        "utils.test_utils backend saving dialect"
    ).split()
) + ("keras_compat",)
PACKAGES = ("autotensor", "keras_compat")
# What a module, other than a package, offers beside what it defines.
OFFERED = {"keras_compat.models": set("Graph Model Sequential load_model restore_state save_model save_state".split())}
# Public for other modules of the package only.
INTERNAL = {"as_floats", "install_all", "register", "register_library", "Reduce", "updates_of"}


@dataclass
class Page:
    """One module of the reference: its public names, and the other names that these have there."""

    name: str
    module: ModuleType
    names: dict[str, Any] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)  # other name -> the full name that it stands under


def module_of(name: str) -> ModuleType:
    """Import a module by the name that programs use; ``autotensor.linalg`` is an attribute of its package."""
    package, _, last = name.rpartition(".")
    value = getattr(importlib.import_module(package), last, None) if package in PACKAGES else None
    return value if isinstance(value, ModuleType) else importlib.import_module(name)


def is_ours(value: object) -> bool:
    """Whether a value is a function, a class or a callable object that one of the packages defines."""
    module = getattr(value, "__module__", None) or ""
    return callable(value) and not isinstance(value, ModuleType) and module.partition(".")[0] in PACKAGES


def public(module: ModuleType) -> list[str]:
    """The names that a module offers, in its own order: ``__all__``, or its own without a leading underscore."""
    listed = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    found = [name for name in listed if is_ours(getattr(module, name)) and name not in INTERNAL]
    if hasattr(module, "__path__") or hasattr(module, "__all__"):
        return found
    offered = OFFERED.get(module.__name__, set())
    return [name for name in found if getattr(module, name).__module__ == module.__name__ or name in offered]


def pages(names: tuple[str, ...] = (*ENGINE, *KERAS)) -> list[Page]:
    """Every page, each object on the first that has it; the name of its definition goes before all others."""
    found: list[Page] = []
    home: dict[int, str] = {}
    for module_name in names:
        page = Page(module_name, module_of(module_name))
        listed = public(page.module)
        for name in sorted(listed, key=lambda name: getattr(getattr(page.module, name), "__name__", name) != name):
            value = getattr(page.module, name)
            full = f"{module_name}.{name}"
            if id(value) in home:
                page.aliases[name] = home[id(value)]
            else:
                home[id(value)] = full
                page.names[name] = value
        page.names = {name: page.names[name] for name in listed if name in page.names}
        if page.names or page.aliases:
            found.append(page)
    return found


# -- Keras 1's words


def path_of(value: object, page: Page) -> str | None:
    """The row of the dialect's tables that speaks of a class or function, if there is one."""
    names = {getattr(value, "__name__", "")} | set(page.aliases)
    for name in sorted(names):
        if getattr(page.module, name, None) is value:
            path = f"{page.name.removeprefix('keras_compat.')}:{name}"
            if path in tables.V1_POSITIONAL or path in tables.RENAME:
                return path
    return None


def keras1_call(value: object, page: Page) -> str:
    """How Keras 1 wrote the call, ``Dense(output_dim, init=, ...)``, and what its words are called here."""
    path = path_of(value, page)
    if path is None:
        return ""
    said = []
    if tables.V1_POSITIONAL.get(path):
        said.append(f"Keras 1: ``{path.partition(':')[2]}({', '.join(tables.V1_POSITIONAL[path].split())})``.")
    renamed = tables.RENAME.get(path, {})
    if renamed:
        listed = ((old, new if isinstance(new, str) else " and ".join(new)) for old, new in renamed.items())
        said.append("Old words: " + ", ".join(f"``{old}`` is ``{new}``" for old, new in listed) + ".")
    return " ".join(said)


# -- what the docstrings owe


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that a class itself defines; slots are described by its own text."""
    for name, value in vars(cls).items():
        if name.startswith("_") or inspect.ismemberdescriptor(value):
            continue
        if inspect.isroutine(value) or inspect.isdatadescriptor(value):
            yield name, getattr(cls, name)


def as_function(value: Any) -> Any:
    """What tools that know plain functions only can read, in the place of operations and of what decorators made."""
    # Hypothesis makes its strategies in modules of their own, where names in annotations mean nothing.
    made_by = value.__globals__.get("__name__", "") if inspect.isfunction(value) else ""
    if not isinstance(value, Op) and not made_by.startswith("hypothesis"):
        return value

    def function(*inputs: Any, **params: Any) -> Any:
        return value(*inputs, **params)

    said = inspect.signature(value)
    plain = [parameter.replace(annotation=parameter.empty) for parameter in said.parameters.values()]
    function.__name__ = function.__qualname__ = value.__name__
    function.__module__, function.__doc__ = value.__module__, value.__doc__
    function.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
    return function


def source_of(op: Op) -> str:
    """The block of an operation, from its decorator to the end of its gradient rule; empty where there is no rule."""
    return inspect.getsource(op.vjp) if op.vjp is not None else ""


def describes_itself(member: object) -> bool:
    """Whether a member of a class says what it is; Keras 1's names of attributes say it in the words of the class."""
    return bool(getattr(member, "__doc__", None)) and not isinstance(member, OldAttribute)


def described(page: Page) -> Iterator[tuple[str, Any]]:
    """Every function, class, method and property of a page, by its full name."""
    for name, value in page.names.items():
        yield f"{page.name}.{name}", value
        if inspect.isclass(value):
            for member, inner in members(value):
                yield f"{page.name}.{name}.{member}", inner


def without_text(page: Page) -> list[str]:
    """What says nothing about itself; the module counts too."""
    found = [] if inspect.getdoc(page.module) else [page.name]
    return found + [name for name, value in described(page) if not inspect.getdoc(value)]


def raised(function: Any) -> set[str]:
    """Names of the errors that the body of a function raises itself."""
    function = inspect.unwrap(function)
    if not inspect.isfunction(function):
        return set()
    try:
        source = inspect.getsource(function)
    except OSError:  # made by exec
        return set()
    found = (node.exc for node in ast.walk(ast.parse(textwrap.dedent(source))) if isinstance(node, ast.Raise))
    names = (ast.unparse(error.func if isinstance(error, ast.Call) else error) for error in found if error is not None)
    return {name.rpartition(".")[2] for name in names if name.endswith("Error")}


def unnamed_errors(page: Page) -> list[str]:
    """Errors that a function raises on purpose, and that its text does not name. Of a class: making one."""
    found = []
    for name, value in described(page):
        made_by = vars(value).get("__init__") if inspect.isclass(value) else value
        body = made_by.fget if isinstance(made_by, property) else made_by
        text = inspect.getdoc(value) or ""
        found += [f"{name}: {error}" for error in sorted(raised(body)) if error not in text]
    return found


# What a docstring refers to, and where the reference has it.
STANDS_IN = {"keras_compat.applications._request.Request": "keras_compat.applications"}
ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?([\w.]+)`")
REFERENCE = re.compile(r"`((?:autotensor|keras_compat)(?:\.\w+)+)(?:\(\))?`")


def in_markdown(text: str, homes: Mapping[int, str]) -> str:
    """A docstring with names of ours as they stand in the reference; ``homes`` has them by the identity of objects."""

    def home(found: re.Match[str]) -> str:
        dotted = found[1]
        value = named(dotted)
        return f"`{STANDS_IN.get(dotted) or homes.get(id(value), dotted)}`"

    return REFERENCE.sub(home, ROLE.sub(r"`\1`", text))


def named(dotted: str) -> Any:
    """What ``keras_compat.layers.Dense`` and the like leads to, a module or an attribute; None for nothing."""
    first, *rest = dotted.split(".")
    value: Any = importlib.import_module(first)
    for name in rest:
        inner = getattr(value, name, None)
        if inner is None and isinstance(value, ModuleType):
            try:
                inner = importlib.import_module(f"{value.__name__}.{name}")
            except ModuleNotFoundError:
                return None
        if inner is None:
            return None
        value = inner
    return value


def broken_references(page: Page) -> list[str]:
    """Names of ours between backticks in the docstrings of a page that lead nowhere."""
    texts = [(page.name, inspect.getdoc(page.module) or "")]
    texts += [(name, inspect.getdoc(value) or "") for name, value in described(page)]
    referred = ((name, dotted) for name, text in texts for dotted in REFERENCE.findall(ROLE.sub(r"`\1`", text)))
    return [f"{name}: {dotted}" for name, dotted in referred if named(dotted) is None]

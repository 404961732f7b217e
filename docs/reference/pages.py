"""What the API reference shows: its pages, which names stand on each, and what the docstrings owe to the reader.

It needs nothing but the packages themselves, so the tests read it too; `__main__` makes HTML of it.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from keras_compat.dialect import tables
from keras_compat.dialect.old_attributes import OldAttribute

# The modules that programs import from. A name stands on the first page that has it, as another name on later ones.
ENGINE = (
    "autotensor",
    "autotensor.linalg",
    "autotensor.random",
    "autotensor.images",
    "autotensor.config",
    "autotensor.testing",
)
KERAS = tuple(
    f"keras_compat.{name}"
    for name in (
        "models layers optimizers losses metrics activations initializers regularizers constraints callbacks "
        "preprocessing.image preprocessing.sequence preprocessing.text datasets.mnist datasets.fashion_mnist "
        "datasets.cifar10 datasets.cifar100 datasets.imdb datasets.reuters datasets.boston_housing datasets.digits5k "
        "applications applications.imagenet_utils wrappers.scikit_learn utils utils.test_utils backend saving dialect"
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
    """Public methods and properties that a class itself defines."""
    for name, value in vars(cls).items():
        if not name.startswith("_") and (inspect.isroutine(value) or inspect.isdatadescriptor(value)):
            yield name, getattr(cls, name)


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

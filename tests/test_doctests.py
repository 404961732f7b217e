"""The examples in the docstrings of the engine say what they print."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor.core.op import Op

PACKAGE = Path(at.__file__).parent


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = sorted(module_name(path) for path in PACKAGE.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


def examples_of(module: ModuleType) -> Iterator[doctest.DocTest]:
    """The examples of a module: of itself, its functions and classes, and its operations."""
    given = {"at": at, "np": np}
    file = getattr(module, "__file__", None)
    yield from doctest.DocTestFinder(exclude_empty=True).find(module, module.__name__, extraglobs=given)
    for name, value in vars(module).items():
        if isinstance(value, Op) and value.__module__ == module.__name__ and ">>>" in (value.doc or ""):
            names: dict[str, Any] = {**vars(module), **given}
            yield doctest.DocTestParser().get_doctest(value.doc, names, f"{module.__name__}.{name}", file, None)


def failures(module: ModuleType) -> tuple[str, int]:
    """What went wrong, as doctest writes it, and how many examples there were."""
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in examples_of(module):
        runner.run(test, out=said.append)
    return "".join(said), runner.tries


@pytest.fixture(autouse=True)
def printed_as_in_the_documents() -> Iterator[None]:
    """NumPy's own way to print, no kernels to compile, and the random numbers of a fresh process."""
    state = at.random.get_state()
    with np.printoptions(precision=8, threshold=1000, linewidth=75, suppress=False), at.config.use(numba=False):
        yield
    at.random.set_state(state)


@pytest.mark.parametrize("name", NAMES)
def test_examples_in_docstrings(name: str) -> None:
    said, tries = failures(importlib.import_module(name))
    assert tries, f"{name} has >>> where doctest does not look for it"
    assert not said, said


def test_a_wrong_example_is_noticed() -> None:
    module = ModuleType("planted")
    module.__doc__ = "A module.\n\n    >>> at.sum(np.ones(3)).item()\n    4.0\n"
    said, tries = failures(module)
    assert tries == 1 and "Expected:\n    4.0\nGot:\n    3.0" in said


def test_examples_of_operations_are_found() -> None:
    module = ModuleType("planted")
    module.op = Op("planted", impl=np.sin, infer=len, doc="A sine.\n\n    >>> 1 + 1\n    3\n")
    module.op.__module__ = "planted"
    said, tries = failures(module)
    assert tries == 1 and "planted.op" in said

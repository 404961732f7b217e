"""The house rules on imports: dependencies point one way, and every import stands at the top of its file.

    kernels -> NumPy only              ops   -> core, kernels
    core    -> neither kernels nor ops  graph -> core, kernels; ops by interface only
    keras_compat -> the public names of autotensor; its layers never know the dialect
    keras_compat.backend is a package whose modules are in one order, and a single module for all others

The rules are read from the source with `ast`; nothing is imported. All violations are reported at once.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What the house may import besides the standard library: at the top of a file ...
CORE_DEPENDENCIES = {"numpy", "numba", "llvmlite", "h5py"}  # llvmlite is Numba's own, and comes with it
# ... and inside a function, because an extra of pyproject.toml brings it.
OPTIONAL_DEPENDENCIES = {"yaml", "PIL", "matplotlib", "sklearn", "scipy", "pandas", "tbb", "mpi4py", "threadpoolctl"}

# Modules that nothing else imports, and that need at once what the programs that want them have.
WANTED = {
    "autotensor.testing.pytest_plugin": {"pytest"},
    "autotensor.testing.strategies": {"hypothesis"},
}

# For each part of autotensor, the parts it may know besides itself. Parts not listed (the package's __init__
# and the namespaces beside it) may know everything.
ALLOWED = {
    "autotensor.config": set(),
    "autotensor.errors": set(),
    "autotensor.locks": set(),
    # Kernels know arrays; the switches are below everything, and one of them turns kernels off.
    "autotensor.kernels": {"autotensor.config", "autotensor.locks"},
    "autotensor.core": {"autotensor.config", "autotensor.errors"},
    "autotensor.ops": {
        "autotensor.config",
        "autotensor.errors",
        "autotensor.locks",
        "autotensor.core",
        "autotensor.kernels",
    },
    "autotensor.graph": {
        "autotensor.config",
        "autotensor.errors",
        "autotensor.locks",
        "autotensor.core",
        "autotensor.kernels",
    },
    # Transforms of functions walk recipes and say them again with ordinary operations.
    "autotensor.transforms": {"autotensor.config", "autotensor.errors", "autotensor.core", "autotensor.ops"},
    # Gradient checks stand on top of the engine and walk its recipes.
    "autotensor.testing": {
        "autotensor",
        "autotensor.config",
        "autotensor.errors",
        "autotensor.core",
        "autotensor.graph",
    },
}

# What keras_compat must not name of autotensor. All else in it is public.
PRIVATE_PARTS = {"core", "ops", "kernels", "graph", "transforms"}

# The modules of keras_compat.backend: each may know those before it, and of the rest of keras_compat the API level.
BACKEND = (
    "_keras_json _attributes common _tensors _elementwise _phases _graph _functions _lengths _creation _randomness "
    "_reductions _activations _shapes _products _convolutions _images _normalization _losses _loops _ctc "
    "_other_backends"
).split()

# Reviewed imports inside functions of our own modules: (importing module, imported) -> reason.
LATE_IMPORTS: dict[tuple[str, str], str] = {
    ("autotensor", "<computed>"): "namespaces that few programs need are imported when they are asked for",
    ("autotensor.testing", "<computed>"): "the strategies want Hypothesis, and are imported when they are asked for",
    ("keras_compat.commands.start.sitecustomize", "<computed>"): (
        "it gives Keras's names the modules of ours that they stand for, once a program asks for them"
    ),
}


@dataclass(frozen=True)
class Import:
    """One name a module takes from another: `target` is the module, `name` what is taken (or '')."""

    module: str
    line: int
    target: str
    name: str
    late: bool


def modules_under(root: Path) -> dict[str, Path]:
    """Return every module of both packages by its dotted name."""
    found = {}
    for package in ("autotensor", "keras_compat"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def nodes_with_place(tree: ast.Module) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node, and whether it lies inside a function."""
    stack: list[tuple[ast.AST, bool]] = [(tree, False)]
    while stack:
        node, late = stack.pop()
        yield node, late
        inside = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        stack.extend((child, inside) for child in ast.iter_child_nodes(node))


def imports_of(module: str, path: Path, modules: dict[str, Path]) -> list[Import]:
    """Return what a module imports, relative imports resolved; `from package import part` names the part."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = []
    for node, late in nodes_with_place(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [Import(module, node.lineno, alias.name, "", late) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join(base + ([node.module] if node.module else []))
            for alias in node.names:
                part = f"{source}.{alias.name}"
                target, name = (part, "") if part in modules else (source, alias.name)
                found.append(Import(module, node.lineno, target, name, late))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "__import__",
            "importlib.import_module",
        ):
            known = node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
            found.append(Import(module, node.lineno, node.args[0].value if known else "<computed>", "", True))
    return found


def within(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


def is_private(name: str) -> bool:
    """Tell whether a name of `autotensor` is its own affair."""
    return name in PRIVATE_PARTS or (name.startswith("_") and not name.startswith("__"))


def part_of(module: str) -> str:
    """Return the part of the house a module lies in: 'autotensor.core' for 'autotensor.core.grad'."""
    return ".".join(module.split(".")[:2])


def public_names(root: Path) -> set[str] | None:
    """Return what `autotensor` offers: its `__all__`, else what its __init__ binds without underscore."""
    path = root / "autotensor" / "__init__.py"
    if not path.is_file():
        return None
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if [ast.unparse(target) for target in targets] == ["__all__"]:
                try:
                    return set(ast.literal_eval(node.value))
                except ValueError:
                    continue  # a computed list: what is bound is what is offered
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    if "*" in names:
        return None
    return {name for name in names if not name.startswith("_")}


def problem_of(item: Import, modules: dict[str, Path], public: set[str] | None) -> str | None:
    """Return which rule an import breaks, or None."""
    top = item.target.split(".")[0]
    if top in ("numba", "llvmlite") and item.module != "autotensor.kernels.jit":
        return "only autotensor.kernels.jit imports numba"

    if top not in ("autotensor", "keras_compat"):
        if item.target == "<computed>":
            return "imports a computed name" if (item.module, item.target) not in LATE_IMPORTS else None
        optional = item.late and top in OPTIONAL_DEPENDENCIES
        if top in sys.stdlib_module_names or optional or top in WANTED.get(item.module, ()):
            pass
        elif within(item.module, "autotensor.kernels") and top not in ("numpy", "numba", "llvmlite"):
            return f"kernels know arrays only, not {top}"
        elif top not in CORE_DEPENDENCIES:
            return f"{top} is not a dependency of the core (an optional one is imported inside a function)"
        if item.late and top not in OPTIONAL_DEPENDENCIES and (item.module, item.target) not in LATE_IMPORTS:
            return "an import inside a function"
        return None

    if item.target in WANTED:
        return "only programs that want it import it"
    if item.late and (item.module, item.target) not in LATE_IMPORTS:
        return "an import inside a function: does something live in the wrong place?"
    here, there = part_of(item.module), part_of(item.target)
    if top == "keras_compat":
        if not within(item.module, "keras_compat"):
            return "autotensor does not know keras_compat"
        dialect = within(item.target, "keras_compat.dialect") and item.target != "keras_compat.dialect.level"
        if within(item.module, "keras_compat.layers") and dialect:
            return "layers speak one vocabulary and never import the dialect"
        return problem_of_backend(item)
    if within(item.module, "keras_compat"):
        below = item.target.split(".")[1:]
        if len(below) > 1 or any(is_private(name) for name in below):
            return "keras_compat uses the public names of autotensor only"
        if item.target == "autotensor" and item.name and public is not None and item.name not in public:
            return f"{item.name} is not a public name of autotensor"
        return None
    if here in ALLOWED and there != here and there not in ALLOWED[here]:
        return f"{here} may know {', '.join(sorted(ALLOWED[here])) or 'no other part'} only"
    return None


def problem_of_backend(item: Import) -> str | None:
    """Return what is wrong with an import within keras_compat, as far as its backend is concerned."""
    package = "keras_compat.backend"
    here, there = [name.removeprefix(package + ".") for name in (item.module, item.target)]
    if not within(item.module, package):
        return "the names of the backend are taken from keras_compat.backend" if there in BACKEND else None
    if item.module == package or item.target == "keras_compat.dialect.level":
        return None
    if here not in BACKEND:
        return "the module has no place in BACKEND"
    if there not in BACKEND[: BACKEND.index(here)]:
        return f"{here} may know the modules before it in BACKEND only"
    return None


def reaches_inside(module: str, path: Path) -> Iterator[tuple[int, str]]:
    """Yield where keras_compat goes around its imports: `at.core...` on the imported package."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aliases = {
        alias.asname or "autotensor"
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "autotensor" or (alias.name.startswith("autotensor.") and not alias.asname)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)):
            continue
        if node.value.id in aliases and is_private(node.attr):
            yield node.lineno, f"{node.value.id}.{node.attr}"


def violations(root: Path) -> list[str]:
    """Return every broken rule below `root`, one line each."""
    modules, public = modules_under(root), public_names(root)
    found = set()
    for module, path in modules.items():
        where = path.relative_to(root).as_posix()
        for item in imports_of(module, path, modules):
            if problem := problem_of(item, modules, public):
                what = f"{item.target} ({item.name})" if item.name else item.target
                found.add((where, item.line, f"imports {what}: {problem}"))
        if within(module, "keras_compat"):
            for line, what in reaches_inside(module, path):
                found.add((where, line, f"uses {what}: keras_compat uses the public names of autotensor only"))
    return [f"{where}:{line}: {text}" for where, line, text in sorted(found)]


def test_dependencies_point_one_way():
    assert len(modules_under(ROOT)) > 10
    found = violations(ROOT)
    assert not found, f"{len(found)} broken rules:\n" + "\n".join(found)


def test_the_list_of_late_imports_is_current():
    modules = modules_under(ROOT)
    used = {(i.module, i.target) for m, path in modules.items() for i in imports_of(m, path, modules) if i.late}
    assert not set(LATE_IMPORTS) - used
    assert all(LATE_IMPORTS.values()), "every exception needs its reason"


# Each breaks one rule: the file, its text, and a piece of the message.
PLANTED = {
    "kernel knows core": (
        "autotensor/kernels/bad.py",
        "from autotensor.core import tensor",
        "may know autotensor.config, autotensor.locks only",
    ),
    "kernel knows core, relative": (
        "autotensor/kernels/bad.py",
        "from ..core.tensor import Tensor",
        "may know autotensor.config, autotensor.locks only",
    ),
    "kernel knows h5py": ("autotensor/kernels/bad.py", "import h5py", "arrays only"),
    "core knows ops": ("autotensor/core/bad.py", "from autotensor import ops", "may know"),
    "core knows ops, relative": ("autotensor/core/bad.py", "from .. import ops", "may know"),
    "core knows kernels": ("autotensor/core/bad.py", "import autotensor.kernels.jit", "may know"),
    "core knows the public package": ("autotensor/core/bad.py", "import autotensor as at", "may know"),
    "ops know graph": ("autotensor/ops/bad.py", "from autotensor.graph import plan", "may know"),
    "graph knows ops": ("autotensor/graph/bad.py", "from autotensor.ops.like import ones_like", "may know"),
    "graph knows ops, for types": (
        "autotensor/graph/bad.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from autotensor.ops.like import ones_like",
        "may know",
    ),
    "testing knows ops": (
        "autotensor/testing/bad.py",
        "from autotensor.ops.like import unbroadcast",
        "may know",
    ),
    "config knows core": (
        "autotensor/config.py",
        "from autotensor.core.tensor import Tensor",
        "no other part",
    ),
    "engine knows keras": ("autotensor/ops/bad.py", "import keras_compat", "does not know"),
    "numba elsewhere": ("autotensor/graph/bad.py", "import numba", "only autotensor.kernels.jit"),
    "numba elsewhere, late": (
        "autotensor/kernels/bad.py",
        "def f():\n    from numba.core import types",
        "only auto",
    ),
    "late import": (
        "autotensor/core/bad.py",
        "def f():\n    from autotensor import config",
        "inside a function",
    ),
    "late import of the library": (
        "autotensor/core/bad.py",
        "def f():\n    import json",
        "inside a function",
    ),
    "late import by call": (
        "autotensor/core/bad.py",
        "import importlib\nops = importlib.import_module('autotensor.ops')",
        "inside a function",
    ),
    "computed import": ("keras_compat/bad.py", "import importlib\nimportlib.import_module(name)", "computed"),
    "other dependency": ("keras_compat/bad.py", "import scipy.special", "not a dependency"),
    "other dependency, late": ("keras_compat/bad.py", "def f():\n    import torch", "not a dependency"),
    "keras knows core": ("keras_compat/bad.py", "from autotensor.core.tensor import Tensor", "public names"),
    "keras knows ops": ("keras_compat/bad.py", "from autotensor import ops", "public names"),
    "keras knows a part of testing": (
        "keras_compat/bad.py",
        "import autotensor.testing.grad",
        "public names",
    ),
    "keras takes a private name": ("keras_compat/bad.py", "from autotensor import _new", "not a public name"),
    "a wanted module is imported by all": (
        "autotensor/bad.py",
        "from autotensor.testing import strategies",
        "only programs that want it",
    ),
    "only wanted modules want hypothesis": ("autotensor/testing/bad.py", "import hypothesis", "not a dependency"),
    "keras reaches inside": (
        "keras_compat/bad.py",
        "import autotensor as at\nat.core.tensor.wrap(1)",
        "at.core",
    ),
    "layers know the dialect": (
        "keras_compat/layers/bad.py",
        "from ..dialect import tables",
        "one vocabulary",
    ),
    "layers know the dialect, absolute": (
        "keras_compat/layers/bad.py",
        "import keras_compat.dialect.tables",
        "one vocabulary",
    ),
    "backend knows its own face": ("keras_compat/backend/_tensors.py", "from keras_compat import backend", "before it"),
    "backend knows a name of its face": ("keras_compat/backend/_ctc.py", "from . import epsilon", "before it"),
    "backend knows what comes later": ("keras_compat/backend/common.py", "from ._tensors import cast", "before it"),
    "backend knows layers": ("keras_compat/backend/_loops.py", "from keras_compat import layers", "before it"),
    "backend knows the dialect": (
        "keras_compat/backend/_loops.py",
        "from keras_compat.dialect import tables",
        "before it",
    ),
    "backend without a place": ("keras_compat/backend/_bad.py", "from .common import floatx", "no place"),
    "layers know a part of the backend": (
        "keras_compat/layers/bad.py",
        "from keras_compat.backend._tensors import cast",
        "taken from keras_compat.backend",
    ),
}

# None of these breaks a rule.
FINE = {
    "autotensor/kernels/good.py": "import math\nimport numpy as np\nfrom autotensor.kernels.jit import jit",
    "autotensor/kernels/jit.py": "import numba\nfrom numba.core import types",
    "autotensor/core/good.py": "from autotensor import config\nfrom ..errors import X\nfrom . import tensor",
    "autotensor/ops/good.py": "from autotensor.core.tensor import Tensor\nfrom ..kernels import jit",
    "autotensor/graph/good.py": "from autotensor.core import tensor\nfrom autotensor.kernels import jit",
    "autotensor/testing/strategies.py": "from hypothesis import strategies as st",
    "autotensor/testing/good.py": "import autotensor as at\nfrom autotensor import Tensor",
    "keras_compat/good.py": (
        "import autotensor as at\nimport h5py\nfrom autotensor import Tensor, config\n"
        "from autotensor.testing import check_grad\nat.Tensor\nat.__version__\ndef f():\n    import yaml"
    ),
    "keras_compat/backend/__init__.py": "from .common import floatx as floatx",
    "keras_compat/backend/common.py": "import numpy as np",
    "keras_compat/backend/_tensors.py": (
        "from keras_compat.backend import common\nfrom keras_compat.backend.common import floatx\n"
        "from keras_compat.dialect.level import get_api_level"
    ),
    "keras_compat/layers/good.py": "from ..engine import layer\nfrom keras_compat import backend as K",
}


@pytest.fixture
def house(tmp_path):
    """A tiny house that keeps all the rules."""
    files = {
        "autotensor/__init__.py": "from autotensor.core.tensor import Tensor as Tensor\nfrom . import config",
        "autotensor/config.py": "import os",
        "autotensor/errors.py": "",
        "autotensor/core/tensor.py": "class Tensor: ...",
        "autotensor/ops/__init__.py": "",
        "autotensor/ops/like.py": "",
        "autotensor/graph/plan.py": "",
        "autotensor/testing/__init__.py": "",
        "keras_compat/__init__.py": "",
        "keras_compat/dialect/tables.py": "",
        **FINE,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_good_house_passes(house):
    assert violations(house) == []


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_violation_is_found(house, case):
    name, text, message = PLANTED[case]
    (house / name).write_text(text)
    found = violations(house)
    assert len(found) == 1, found
    assert found[0].startswith(f"{name}:")
    assert message in found[0]

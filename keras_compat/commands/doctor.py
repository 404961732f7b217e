"""``doctor``: what this installation consists of, and whether it works."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import DEFAULT_LEVEL, ENVIRONMENT, get_api_level
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from keras_compat.utils.data_utils import keras_home
from keras_compat.version import KERAS_VERSION

FINE, NOTE, BROKEN = "fine", "note", "broken"

# Of the training that is timed.
_STEPS = 30


class Check(NamedTuple):
    """One line of the answer: `state` is 'fine', 'note' (works, but read the hint) or 'broken'."""

    section: str
    name: str
    value: Any
    state: str = FINE
    hint: str = ""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser(
        "doctor",
        help="what is installed, and whether it works",
        description="Versions, threads, caches, extras and settings, and a small training. Status 1: something is "
        "broken.",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print all checks; 1 where something is broken."""
    checks = all_checks()
    broken = any(check.state == BROKEN for check in checks)
    if options.json:
        print(json.dumps({"fine": not broken, "checks": [check._asdict() for check in checks]}, indent=2))
        return int(broken)
    section = ""
    for check in checks:
        if check.section != section:
            section = check.section
            print(section)
        mark = {FINE: " ", NOTE: "!", BROKEN: "X"}[check.state]
        value = ", ".join(map(str, check.value)) if isinstance(check.value, list) else check.value
        print(f"{mark} {check.name:<22} {value}" + (f"  ({check.hint})" if check.hint else ""))
    print("\nSomething is broken: see the lines with X." if broken else "\nAll works.")
    return int(broken)


def all_checks() -> list[Check]:
    """Every check, in the order of printing. A check that fails itself is a line as well."""
    checks: list[Check] = []
    # Training first: it starts the threads that `processor` tells of.
    for part in (files, training, versions, processor, cache, extras, settings, neighbours):
        try:
            checks += part()
        except Exception as error:
            checks.append(Check(part.__name__, "check", f"{type(error).__name__}: {error}", BROKEN))
    return sorted(checks, key=lambda check: check.section == "works")


def versions() -> Iterator[Check]:
    """Python, this package, and what it stands on."""
    yield Check("versions", "python", f"{platform.python_version()} ({platform.system()} {platform.machine()})")
    yield Check("versions", "autotensor", at.__version__)
    yield Check("versions", "keras_compat", f"answers as Keras {KERAS_VERSION}")
    for name in ("numpy", "numba", "llvmlite", "h5py"):
        yield Check("versions", name, importlib.metadata.version(name))
    yield Check("versions", "hdf5", h5py.version.hdf5_version)


def processor() -> Iterator[Check]:
    """Cores, threads, and who starts them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = at.get_num_threads()
    hint = f"more than the {cores} cores of this process: slower" if threads > cores else ""
    yield Check("processor", "cores", cores)
    yield Check("processor", "threads of kernels", threads, NOTE if hint else FINE, hint)
    numba: Any = sys.modules.get("numba")
    if numba is None or not at.config.numba or numba.config.DISABLE_JIT:
        hint = "NUMBA_DISABLE_JIT or AUTOTENSOR_NUMBA=0 is set: slow"
        yield Check("processor", "kernels", "not compiled", NOTE, hint)
    else:
        yield Check("processor", "kernels", "compiled by Numba")
        layer = _threading_layer(numba)
        yield Check("processor", "threading layer", layer, FINE, _about_layer(layer, numba.config.THREADING_LAYER))
    yield from _blas()


def _threading_layer(numba: Any) -> str:
    """Numba's pool in use; with one thread none is started."""
    try:
        return numba.threading_layer()
    except ValueError:
        return f"none started (Numba's setting: {numba.config.THREADING_LAYER})"


def _about_layer(layer: str, setting: str) -> str:
    """Why it is this one, and what that means."""
    meaning = {
        "tbb": "bears threads and forks",
        "omp": "bears threads; forked processes compute on one; pip install tbb bears both",
        "workqueue": "kernels of several threads wait for each other; pip install tbb is better",
    }.get(layer, "")
    chosen = "" if setting == "default" or not meaning else f"as NUMBA_THREADING_LAYER={setting} says; "
    return chosen + meaning


def _blas() -> Iterator[Check]:
    try:
        found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        yield Check("processor", "BLAS of NumPy", f"{found.get('name')} {found.get('version')}")
    except (KeyError, TypeError):
        yield Check("processor", "BLAS of NumPy", "unknown", NOTE)
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    given = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    yield Check("processor", "threads of BLAS", ", ".join(given) or "its own choice (no variable is set)")


def cache() -> Iterator[Check]:
    """The folder of compiled kernels."""
    folder = at.config.cache_dir
    yield Check("cache of kernels", "folder", folder or "none")
    problem = _why_not_writable(folder)
    hint = "every process compiles anew; set AUTOTENSOR_CACHE_DIR" if problem else ""
    yield Check("cache of kernels", "writable", problem or "yes", NOTE if problem else FINE, hint)
    sizes = [os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(folder) for name in names]
    yield Check("cache of kernels", "size", f"{sum(sizes) / 2**20:.1f} MB in {len(sizes)} files")


def _why_not_writable(folder: str) -> str:
    """Why no file can be made in a folder, or in what is there of its parents; '' where one can."""
    if not folder:
        return "no: there is no home folder"
    folder = os.path.abspath(folder)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"no: {error.strerror}"


def extras() -> Iterator[Check]:
    """What optional parts need, and how to get it."""
    try:
        needed = importlib.metadata.requires("autotensor") or []
    except importlib.metadata.PackageNotFoundError:
        yield Check("extras", "all", "unknown", NOTE, "autotensor was not installed by pip: pip install .")
        return
    for line in needed:
        found = re.match(r"""([\w.-]+)[^;]*;.*extra == ["']([\w-]+)["']""", line)
        if found is None or found[2] in ("test", "dev", "all"):
            continue
        package, extra = found.groups()
        try:
            yield Check("extras", extra, f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            yield Check("extras", extra, "missing", FINE, f'pip install "autotensor[{extra}]", or {package} alone')


def settings() -> Iterator[Check]:
    """What holds before a program says anything."""
    path = os.path.join(keras_home(), "keras.json")
    yield Check("settings", "Keras folder", keras_home())
    try:
        with open(path, encoding="utf-8") as stream:
            said = json.load(stream)
        yield Check("settings", "keras.json", json.dumps(said))
    except FileNotFoundError:
        yield Check("settings", "keras.json", "none")
    except (OSError, ValueError, RecursionError) as error:
        yield Check("settings", "keras.json", f"not readable: {error}", NOTE, f"it is left out; mend or delete {path}")
    yield Check("settings", "floatx", K.floatx())
    yield Check("settings", "epsilon", K.epsilon())
    yield Check("settings", "image_data_format", K.image_data_format())
    source = f"environment variable {ENVIRONMENT}" if os.environ.get(ENVIRONMENT) else f"default {DEFAULT_LEVEL}"
    yield Check("settings", "API level", f"{get_api_level()} (from the {source})")
    changed = sorted(name for name in os.environ if name.startswith(("AUTOTENSOR_", "NUMBA_")))
    yield Check("settings", "environment", [f"{name}={os.environ[name]}" for name in changed] or "no switch is set")


def neighbours() -> Iterator[Check]:
    """Other packages of the names that `run` answers to."""
    for name in ("keras", "tensorflow", "theano"):
        if importlib.util.find_spec(name) is None:
            yield Check("beside", name, "not installed")
            continue
        owners = importlib.metadata.packages_distributions().get(name, [])
        version = importlib.metadata.version(owners[0]) if owners else "of unknown version"
        yield Check("beside", name, version, FINE, "not touched; hidden inside `run` only")


def files() -> Iterator[Check]:
    """Whether HDF5 gives back what it was given."""
    numbers = np.arange(1000, dtype="float32")
    with h5py.File("doctor", "w", driver="core", backing_store=False) as file:
        file["numbers"] = numbers
        same = np.array_equal(file["numbers"][()], numbers)
    yield Check("works", "HDF5", "writes and reads" if same else "gives back other numbers", FINE if same else BROKEN)


def training() -> Iterator[Check]:
    """Whether a small network learns, and how long it takes."""
    random = np.random.RandomState(0)
    x = random.standard_normal((1024, 64)).astype("float32")
    y = (x[:, :1] > 0).astype("float32")
    model = Sequential([Dense(64, activation="tanh", input_dim=64), Dense(1, activation="sigmoid")])
    model.compile("adam", "binary_crossentropy")
    begun = time.perf_counter()
    losses = [float(model.train_on_batch(x, y))]
    first = time.perf_counter() - begun
    begun = time.perf_counter()
    losses += [float(model.train_on_batch(x, y)) for _ in range(_STEPS)]
    step = (time.perf_counter() - begun) / _STEPS
    learns = all(math.isfinite(loss) for loss in losses) and losses[-1] < losses[0]
    said = f"loss {losses[0]:.3f} to {losses[-1]:.3f} in {_STEPS + 1} steps"
    yield Check("works", "training", said, FINE if learns else BROKEN, "" if learns else "the loss did not fall")
    yield Check("works", "time", f"first step {first:.2f} s (with compiling), then {1e6 * step:.0f} us a step")

"""Read by Python before the program that ``python -m keras_compat run`` starts, and in the processes it starts.

From then on ``keras``, ``tensorflow.keras`` and their modules are keras_compat's: the same module objects under more
names. Of ``tensorflow`` and ``theano`` there are stand-ins (`keras_compat.commands.stand_ins`). Until a program asks
for one of them nothing but this file is read: it starts as under plain Python.
"""

from __future__ import annotations

import atexit
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import PathFinder

# No more than what Python has loaded by now: a program may have a `random.py` or `json.py` beside it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType, ModuleType
    from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = "keras_compat"
# The folder that holds the packages.
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))

# Options of the program's own process, "report seed=3"; its children do not get them. The command `run` writes them.
OPTIONS = "KERAS_COMPAT_RUN"
# Where the Python lies that all this is for: a program may start another, with packages of its own.
PREFIX = "KERAS_COMPAT_RUN_IN"

# Where code lies that is not the program's: ours, and Python's import system.
NOT_THE_PROGRAM = (
    os.path.join(ROOT, PACKAGE) + os.sep,
    os.path.join(ROOT, "autotensor") + os.sep,
    os.path.join(os.path.dirname(os.__file__), "importlib") + os.sep,
    "<frozen ",
)
STAND_INS_MODULE = f"{PACKAGE}.commands.stand_ins"
STAND_INS = ("tensorflow", "theano")
# Under which names programs asked for Keras; what follows is the same in all.
PREFIXES = (
    "keras",
    "tensorflow.keras",
    "tensorflow.python.keras",
    "tensorflow.contrib.keras.api.keras",
    "tensorflow.contrib.keras.python.keras",
    "tensorflow.contrib.keras",
    "tensorflow.compat.v1.keras",
    "tensorflow.compat.v2.keras",
)
# Packages of 2018 that Keras 2.2 and 2.3 took parts of themselves from; programs did, too.
PARTS = {"keras_preprocessing": f"{PACKAGE}.preprocessing", "keras_applications": f"{PACKAGE}.applications"}
# Horovod's packages for Keras, and those around them: all are one here.
HOROVOD = dict.fromkeys(
    ("horovod", "horovod.keras", "horovod.tensorflow", "horovod.tensorflow.keras"), f"{PACKAGE}.distributed"
)
# What NumPy called things when these programs were written: types of Python's, and what it calls otherwise now.
PYTHONS = {"bool": bool, "int": int, "long": int, "float": float, "complex": complex, "object": object, "str": str}
RENAMED = {
    "float_": "float64",
    "complex_": "complex128",
    "string_": "bytes_",
    "unicode_": "str_",
    "NaN": "nan",
    "NAN": "nan",
    "Inf": "inf",
    "Infinity": "inf",
    "infty": "inf",
    "product": "prod",
    "cumproduct": "cumprod",
    "sometrue": "any",
    "alltrue": "all",
    "in1d": "isin",
    "round_": "round",
    "trapz": "trapezoid",
}
# Modules of Keras that are one module here.
SAME = {f"{PACKAGE}.backend.{name}": f"{PACKAGE}.backend" for name in ("tensorflow_backend", "theano_backend")}
SAME[f"{PACKAGE}.api.keras"] = SAME[f"{PACKAGE}.api"] = PACKAGE


def our_name(name: str) -> str | None:
    """The module of ours that a name of Keras stands for: 'keras_compat.layers' for 'tensorflow.keras.layers'."""
    for prefix in PREFIXES:
        if name == prefix or name.startswith(prefix + "."):
            ours = PACKAGE + name[len(prefix) :]
            return SAME.get(ours, ours)
    for theirs, ours in sorted(HOROVOD.items(), reverse=True):
        if name == theirs or name.startswith(theirs + "."):
            return ours + name[len(theirs) :]
    first, dot, rest = name.partition(".")
    return f"{PARTS[first]}{dot}{rest}" if first in PARTS else None


def user_frame(frame: FrameType | None) -> FrameType | None:
    """The nearest frame of the program: neither Python's import system nor ours."""
    while frame is not None and frame.f_code.co_filename.startswith(NOT_THE_PROGRAM):
        frame = frame.f_back
    return frame


def place(frame: FrameType | None) -> str:
    """``file:line`` of the program, from a frame of ours."""
    frame = user_frame(frame)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "<unknown>"


def load(name: str) -> Any:
    """Import a module by its full name."""
    __import__(name)
    return sys.modules[name]


def give_old_names(numpy: Any) -> None:
    """Give NumPy the names that it had and has no more; what it has stays."""
    for name, value in PYTHONS.items():
        vars(numpy).setdefault(name, value)
    for name, new in RENAMED.items():
        vars(numpy).setdefault(name, getattr(numpy, new))


class Same:
    """A loader that gives a module which is there already; it stays what it was."""

    def __init__(self, module: ModuleType):
        self.module = module
        self.spec = module.__spec__

    def create_module(self, spec: Any) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system has put that of the other name there


class Then:
    """The loader of a module, with something to do once it is loaded."""

    def __init__(self, loader: Any, then: Callable[[Any], None]):
        self.loader = loader
        self.then = then

    def create_module(self, spec: Any) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.then(module)


class Finder:
    """First in ``sys.meta_path``: the names of Keras, and of what it stood on."""

    def __init__(self, seed: int | None):
        self.seed = seed
        # What is done with a module when it is loaded: generators of random numbers are seeded.
        self.then: dict[str, Callable[[Any], None]] = dict.fromkeys(
            ("random", "numpy.random", "autotensor.ops.random"), self.seed_it
        )
        self.then["numpy"] = give_old_names
        self.numpy_at_first: Any = None
        if "random" in sys.modules:
            self.seed_it(sys.modules["random"])
        # Names of Keras's modules -> where the program asked for them first.
        self.asked: dict[str, str] = {}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> Any:
        top = name.partition(".")[0]
        if top == "keras" or top in PARTS or top in HOROVOD or top in STAND_INS:
            module = self.module(name)
            return module and ModuleSpec(name, Same(module), is_package=True)  # type: ignore[arg-type]
        spec = None
        if name in (PACKAGE, "autotensor"):  # those that `run` belongs to, wherever the program lies
            spec = PathFinder.find_spec(name, [ROOT])
        then = self.then.pop(name, None)
        if then is not None:
            spec = spec or PathFinder.find_spec(name, path)
            if spec is not None:
                spec.loader = Then(spec.loader, then)  # type: ignore[assignment]
        return spec

    def seed_it(self, module: Any) -> None:
        """Seed the generator of a module."""
        if self.seed is not None and hasattr(module, "seed"):
            module.seed(self.seed % 2**32)
        elif module.__name__ == "numpy.random":
            self.numpy_at_first = module.get_state()

    def module(self, name: str) -> ModuleType | None:
        """The module that stands for ``name``; None where there is none."""
        stand_ins: Any = sys.modules.get(STAND_INS_MODULE)
        if stand_ins is None:
            stand_ins = load(STAND_INS_MODULE)
            stand_ins.numpy_at_first = self.numpy_at_first
        ours = our_name(name)
        found = load(ours) if ours else stand_ins.module(name)
        self.asked.setdefault(name, place(sys._getframe(1)))
        return found


class LastFinder:
    """Last in ``sys.meta_path``: says what Keras has, and we have not."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        frame = sys._getframe(1)
        if name.partition(".")[0] in (PACKAGE, "keras", *STAND_INS) and name != PACKAGE:
            raise load(STAND_INS_MODULE).missing(name, place(frame))


def start() -> None:
    """Put the finders in place, and do what the options of the program say."""
    sys.path[:] = [folder for folder in sys.path if folder != HERE]
    options = os.environ.pop(OPTIONS, "").split()
    if os.environ.get(PREFIX, sys.prefix) != sys.prefix:
        return
    seeds = [int(option.partition("=")[2]) for option in options if option.startswith("seed=")]
    finder = Finder(seeds[0] if seeds else None)
    sys.meta_path.insert(0, finder)
    sys.meta_path.append(LastFinder)
    if "report" in options:
        process = os.getpid()

        def report() -> None:
            if os.getpid() == process and PACKAGE in sys.modules:
                load(f"{PACKAGE}.commands.report").show(finder.asked)

        atexit.register(report)


start()
# The one that Python would have read; where there is none this raises what Python expects then.
del sys.modules[__name__]
load(__name__)

"""What a program under ``run`` finds as ``tensorflow`` and ``theano``: Keras, and what programs set up around it.

Sessions, logging, seeds and questions for a GPU are answered; most of these do nothing, as there is nothing to set up.
Whatever else is used gives one error that names the place and what to write instead. Keras's backend gets the
functions of sessions, too. Only the program that `run` starts reads this module.
"""

from __future__ import annotations

import contextlib
import difflib
import logging
import sys
from types import FrameType, ModuleType
from typing import Any

import numpy as np

import autotensor as at
import keras_compat
from keras_compat import backend as K


class Settings:
    """A bag of settings, in any depth: ``config.gpu_options.allow_growth = True``."""

    def __init__(self, **values: Any):
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self.__dict__[name] = Settings()
        return value


class Graph:
    """Stands for a graph of TensorFlow: there is one for all, and it needs no care."""

    @contextlib.contextmanager
    def as_default(self) -> Any:
        yield self

    def finalize(self) -> None:
        """Nothing to do."""


class Session:
    """Stands for a session of TensorFlow. Of its settings the number of threads counts."""

    def __init__(self, target: str = "", graph: Any = None, config: Any = None):
        self.graph = graph if graph is not None else _GRAPH
        self.config = config
        threads = getattr(config, "intra_op_parallelism_threads", 0)
        if isinstance(threads, int) and threads > 0:
            at.config.set(threads=threads)

    def run(self, fetches: Any = None, feed_dict: Any = None, **options: Any) -> None:
        """Run initializers, of which there are none."""
        if any(one is not None for one in (fetches if isinstance(fetches, (list, tuple)) else [fetches])):
            raise NotImplementedError(
                f"[Session.run] a session runs nothing here; got {type(fetches).__name__} at {_place()}. Write "
                "K.function(inputs, outputs)(arrays), K.eval(x) or K.get_value(variable)."
            )

    @contextlib.contextmanager
    def as_default(self) -> Any:
        yield self

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: Any) -> None:
        return None

    def close(self) -> None:
        """Nothing to do."""


# State of NumPy's generator when it was loaded, or as seeded here; None where somebody else has seeded it.
numpy_at_first: Any = None

_GRAPH = Graph()
_session = Session()


def get_session() -> Session:
    """The stand-in that was set last."""
    return _session


def set_session(session: Session) -> None:
    """Take what `get_session` is to return."""
    global _session
    _session = session


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


@contextlib.contextmanager
def _scope(name: Any = None, *args: Any, **kwargs: Any) -> Any:
    yield name


def _set_seed(seed: int) -> None:
    """Seed the engine; and NumPy, which weights and shuffling draw from, unless the program has seeded or used it."""
    global numpy_at_first
    at.random.seed(seed)
    now: Any = np.random.get_state()
    if numpy_at_first is not None and now[2:] == numpy_at_first[2:] and (now[1] == numpy_at_first[1]).all():
        np.random.seed(seed % 2**32)
        numpy_at_first = np.random.get_state()


def _set_threads(threads: int) -> None:
    if threads > 0:
        at.config.set(threads=threads)


def _set_verbosity(level: Any = logging.INFO) -> None:
    logging.getLogger("tensorflow").setLevel(level)


_NOTHING = (_nothing, "does nothing here")
_SCOPE = (_scope, "does nothing here")
_NO_GPU: tuple[Any, str] = (lambda *args, **kwargs: [], "there are none: the processor computes")
_FALSE = (lambda *args, **kwargs: False, "False")
_SEED = (_set_seed, "seeds the engine, and NumPy where the program has not")
_THREADS = (_set_threads, "the number of threads")
_RUNS_NOTHING = (Session, "sets the number of threads at most")

# name -> (value, what it does here)
TENSORFLOW: dict[str, tuple[Any, str]] = {
    "__version__": ("2.0.0", "that of the release nearest to Keras 2.3.1"),
    "VERSION": ("2.0.0", "that of the release nearest to Keras 2.3.1"),
    "keras": (keras_compat, ""),
    "python.keras": (keras_compat, ""),
    "contrib.keras": (keras_compat, ""),
    "set_random_seed": _SEED,
    "random.set_random_seed": _SEED,
    "random.set_seed": _SEED,
    "ConfigProto": (Settings, "settings of a session"),
    "GPUOptions": (Settings, "there is no GPU"),
    "OptimizerOptions": (Settings, "does nothing here"),
    "GraphOptions": (Settings, "does nothing here"),
    "Session": _RUNS_NOTHING,
    "InteractiveSession": _RUNS_NOTHING,
    "get_default_session": (get_session, "a stand-in"),
    "Graph": (Graph, "a stand-in"),
    "get_default_graph": (lambda: _GRAPH, "a stand-in"),
    "reset_default_graph": (lambda: K.clear_session(), "K.clear_session()"),
    "global_variables_initializer": _NOTHING,
    "local_variables_initializer": _NOTHING,
    "initialize_all_variables": _NOTHING,
    "disable_eager_execution": _NOTHING,
    "disable_v2_behavior": _NOTHING,
    "disable_v2_tensorshape": _NOTHING,
    "enable_v2_behavior": _NOTHING,
    "enable_eager_execution": _NOTHING,
    "executing_eagerly": _FALSE,
    "device": _SCOPE,
    "name_scope": _SCOPE,
    "get_logger": (lambda: logging.getLogger("tensorflow"), "a logger of its name"),
    "logging.set_verbosity": (_set_verbosity, "sets the level of the logger of that name"),
    "logging.DEBUG": (logging.DEBUG, ""),
    "logging.INFO": (logging.INFO, ""),
    "logging.WARN": (logging.WARNING, ""),
    "logging.ERROR": (logging.ERROR, ""),
    "logging.FATAL": (logging.FATAL, ""),
    "autograph.set_verbosity": _NOTHING,
    "config.list_physical_devices": _NO_GPU,
    "config.list_logical_devices": _NO_GPU,
    "config.experimental.list_physical_devices": _NO_GPU,
    "config.experimental.list_logical_devices": _NO_GPU,
    "config.experimental.set_memory_growth": _NOTHING,
    "config.experimental.set_visible_devices": _NOTHING,
    "config.set_visible_devices": _NOTHING,
    "config.experimental.enable_op_determinism": (
        lambda: at.config.set(deterministic=True),
        "the same bits for any number of threads",
    ),
    "config.experimental_run_functions_eagerly": _NOTHING,
    "config.run_functions_eagerly": _NOTHING,
    "config.set_soft_device_placement": _NOTHING,
    "config.threading.set_intra_op_parallelism_threads": _THREADS,
    "config.threading.set_inter_op_parallelism_threads": _NOTHING,
    "test.is_gpu_available": _FALSE,
    "test.is_built_with_cuda": _FALSE,
    "test.gpu_device_name": (lambda: "", "there is none"),
    # Parts without a name that is served: what is used of them is named in the error.
    **{f"{part}.": (None, "") for part in "data examples.tutorials.mnist image io layers losses math nn train".split()},
}
THEANO: dict[str, tuple[Any, str]] = {
    "config": (Settings(floatX=K.floatx(), device="cpu"), "settings without effect"),
    **{
        f"{part}.": (None, "")
        for part in ("tensor.nnet", "tensor.signal", "tensor.shared_randomstreams", "sandbox.cuda")
    },
}
# Functions of either whose name in Keras's backend is another.
INSTEAD = {
    "Variable": "variable",
    "shared": "variable",
    "assign": "update",
    "clip_by_value": "clip",
    "concat": "concatenate",
    "ctc_greedy_decoder": "ctc_decode",
    "ctc_loss": "ctc_batch_cost",
    "disconnected_grad": "stop_gradient",
    "eq": "equal",
    "ge": "greater_equal",
    "grad": "gradients",
    "gt": "greater",
    "le": "less_equal",
    "lt": "less",
    "matmul": "dot",
    "matrix": "placeholder",
    "max_pool": "pool2d",
    "neq": "not_equal",
    "power": "pow",
    "reduce_all": "all",
    "reduce_any": "any",
    "reduce_logsumexp": "logsumexp",
    "reduce_max": "max",
    "reduce_mean": "mean",
    "reduce_min": "min",
    "reduce_prod": "prod",
    "reduce_sum": "sum",
    "scalar": "placeholder",
    "scan": "rnn",
    "sigmoid_cross_entropy_with_logits": "binary_crossentropy",
    "softmax_cross_entropy_with_logits": "categorical_crossentropy",
    "sparse_softmax_cross_entropy_with_logits": "sparse_categorical_crossentropy",
    "sqr": "square",
    "tensor3": "placeholder",
    "tensor4": "placeholder",
    "to_float": "cast",
    "vector": "placeholder",
    "where": "switch",
    "while_loop": "rnn",
}

# What the program used: name -> (where first, what it does here). The report shows it.
used: dict[str, tuple[str, str]] = {}


class StandIn(ModuleType):
    """A module, or a part of one, that has the names of a table and says of all others what to write instead."""

    def __init__(self, name: str, table: dict[str, tuple[Any, str]], prefix: str = ""):
        super().__init__(name, "Stands for a package that is not here; see keras_compat.commands.stand_ins.")
        self.__path__: list[str] = []
        self.__spec__ = None
        self._table = table
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        full = self._prefix + name
        if full in self._table:
            value, note = self._table[full]
            if note:
                used.setdefault(f"{self.__name__}.{name}", (_place(), note))
            return value
        if any(key.startswith(full + ".") for key in self._table):
            part = StandIn(f"{self.__name__}.{name}", self._table, full + ".")
            self.__dict__[name] = part
            return part
        raise AttributeError(_not_here(f"{self.__name__}.{name}", _place()))

    def __dir__(self) -> list[str]:
        return sorted({key.removeprefix(self._prefix).partition(".")[0] for key in self._table if self._prefix in key})


def _place() -> str:
    """``file:line`` of the program, from a function that it called."""
    frame: FrameType | None = sys._getframe(1)
    inside = (__name__, "contextlib", "importlib", "importlib._bootstrap")
    while frame is not None and frame.f_globals.get("__name__") in inside:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "<unknown>"


def _not_here(name: str, where: str) -> str:
    top, _, rest = name.partition(".")
    last = rest.rpartition(".")[2]
    ours = INSTEAD.get(last, last)
    if last == "input_data":
        hint = "Write `from keras.datasets import mnist`"
    elif hasattr(K, ours) and not ours.startswith("_"):
        hint = f"Keras's own name for it works: write K.{ours}, with `from keras import backend as K`"
    else:
        hint = "Write it with keras, keras.backend or NumPy"
    return (
        f"[run] {name} was used at {where}; of {top} there is only Keras here, and what Keras programs set up around "
        f"it. {hint}."
    )


def missing(name: str, where: str) -> ModuleNotFoundError:
    """The error for a module, or a name in one, that was imported and does not exist here."""
    top, _, rest = name.partition(".")
    if top in _MODULES:
        return ModuleNotFoundError(_not_here(name, where))
    parent, _, last = rest.rpartition(".")
    owner = sys.modules.get(f"keras_compat.{parent}".rstrip("."), keras_compat)
    near = difflib.get_close_matches(last, dir(owner), 1)
    hint = f"Did you mean {near[0]}?" if near else "docs/keras.md lists what there is."
    return ModuleNotFoundError(
        f"[run] keras.{rest} was imported at {where}; keras_compat has nothing of that name. {hint}"
    )


def module(name: str) -> ModuleType | None:
    """The stand-in for a module of TensorFlow or Theano; None where there is none."""
    top, *parts = name.split(".")
    found: Any = _MODULES[top]
    for part in parts:
        try:
            found = getattr(found, part)
        except AttributeError:
            return None
    return found if isinstance(found, ModuleType) else None


_MODULES = {"tensorflow": StandIn("tensorflow", TENSORFLOW), "theano": StandIn("theano", THEANO)}
for _path in ("compat.v1", "compat.v2"):
    TENSORFLOW[_path] = (_MODULES["tensorflow"], "")
K.get_session, K.set_session, K.manual_variable_initialization = get_session, set_session, _nothing  # type: ignore[attr-defined]

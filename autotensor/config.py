"""Every switch of the engine: one default, one environment variable, one context manager.

=============  =========================  =========  ========================================================
switch         environment                default    meaning
=============  =========================  =========  ========================================================
compile        ``AUTOTENSOR_COMPILE``     on         off: compiled functions run through the interpreter
fuse           ``AUTOTENSOR_FUSE``        on         off: no generated kernels, one step per operation
numba          ``AUTOTENSOR_NUMBA``       on         off: NumPy implementations only, numba is never entered
winograd       ``AUTOTENSOR_WINOGRAD``    on         off: float32 convolutions of 3x3 take no short cut in arithmetic
                                                     (error 6e-6 of the largest value in place of 8e-7)
threads        ``AUTOTENSOR_THREADS``     see below  how many threads kernels run on
deterministic  ``AUTOTENSOR_DETERMINISTIC``  off     on: the same bits whatever the number of threads
nan_guard      ``AUTOTENSOR_NAN_GUARD``   off        on: the first NaN or infinity raises, naming op and line
debug          ``AUTOTENSOR_DEBUG``       0          1 compile events, 2 time per step, 3 generated source,
                                                     4 graphs before and after each pass (checked)
cache_dir      ``AUTOTENSOR_CACHE_DIR``   see below  folder of compiled kernels
=============  =========================  =========  ========================================================

``threads`` is ``NUMBA_NUM_THREADS`` or the number of processors this process may use by default; in a process made by
``fork`` it is 1 where the parent's threads can not be used.
``cache_dir`` is ``$XDG_CACHE_HOME/autotensor`` or ``~/.cache/autotensor`` by default, '' (no cache) without a home.

    >>> from autotensor import config
    >>> with config.use(fuse=False):
    ...     config.fuse
    False
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_FALSE = {"0", "false", "off", "no", ""}


def _flag(name: str, default: bool) -> bool:
    text = os.environ.get(name)
    return default if text is None else text.strip().lower() not in _FALSE


def _level(name: str) -> int:
    text = os.environ.get(name, "0").strip() or "0"
    if not text.isdigit():
        raise ValueError(f"[config] {name} must be a whole number; got {text!r}. Try {name}=1.")
    return int(text)


def _default_threads() -> int:
    for name in ("AUTOTENSOR_THREADS", "NUMBA_NUM_THREADS"):
        text = os.environ.get(name, "").strip()
        if text:
            if not text.isdigit() or int(text) < 1:
                raise ValueError(f"[config] {name} must be a whole number from 1 on; got {text!r}. Try {name}=2.")
            return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _default_cache_dir() -> str:
    """An absolute path, so that it stays the same folder when a program changes its own; '' where there is none."""
    try:
        chosen = os.path.expanduser(os.environ.get("AUTOTENSOR_CACHE_DIR", ""))
        if chosen:
            return os.path.abspath(chosen)
    except OSError:  # the present folder has been deleted
        return ""
    # Relative paths have no meaning there; and without HOME and an entry of the user, "~" stands for itself.
    for base in (os.environ.get("XDG_CACHE_HOME", ""), os.path.join(os.path.expanduser("~"), ".cache")):
        if os.path.isabs(base):
            return os.path.join(base, "autotensor")
    return ""


compile: bool = _flag("AUTOTENSOR_COMPILE", True)
fuse: bool = _flag("AUTOTENSOR_FUSE", True)
numba: bool = _flag("AUTOTENSOR_NUMBA", True)
winograd: bool = _flag("AUTOTENSOR_WINOGRAD", True)
threads: int = _default_threads()
deterministic: bool = _flag("AUTOTENSOR_DETERMINISTIC", False)
nan_guard: bool = _flag("AUTOTENSOR_NAN_GUARD", False)
debug: int = _level("AUTOTENSOR_DEBUG")
cache_dir: str = _default_cache_dir()
generation: int = 0  # counts changes, so that compiled functions notice them with one comparison
profiling: bool = False  # plans made now tell a profiler of each call; set by autotensor.core.watch
_followers: list[Callable[[], None]] = []

_TYPES: dict[str, type] = {
    "compile": bool,
    "fuse": bool,
    "numba": bool,
    "winograd": bool,
    "threads": int,
    "deterministic": bool,
    "nan_guard": bool,
    "debug": int,
    "cache_dir": str,
}


def snapshot() -> dict[str, Any]:
    """Return the present value of every switch."""
    return {name: globals()[name] for name in _TYPES}


def plan_key() -> tuple[Any, ...]:
    """The switches that decide how a plan is made: with other values it must be made anew."""
    return fuse, numba, winograd, threads, deterministic, debug, profiling


def get_num_threads() -> int:
    """How many threads kernels run on."""
    return threads


def set_num_threads(n: int) -> None:
    """Run kernels on ``n`` threads from now on; 1 turns threads off. The same as ``set(threads=n)``."""
    set(threads=n)


def set(**switches: Any) -> None:
    """Set switches for the whole process: ``config.set(fuse=False, debug=1)``.

    Raises ValueError for an unknown switch or number of threads, TypeError for a value of another kind.
    """
    for name, value in switches.items():
        if name not in _TYPES:
            raise ValueError(f"[config] unknown switch {name!r}; there are {', '.join(_TYPES)}. Check the spelling.")
        if not isinstance(value, _TYPES[name]):
            kind = _TYPES[name].__name__
            raise TypeError(f"[config] {name} takes {kind}; got {value!r}. See the table in autotensor.config.")
        if name == "threads" and isinstance(value, int) and value < 1:
            raise ValueError(f"[config] threads must be a whole number from 1 on; got {value!r}. 1 turns threads off.")
    globals().update(switches)
    globals()["generation"] += 1
    for changed in _followers:
        changed()


def follow(changed: Callable[[], None]) -> None:
    """Call ``changed`` now and after each change of switches; for what must act on a switch before it is asked."""
    _followers.append(changed)
    changed()


@contextmanager
def use(**switches: Any) -> Iterator[None]:
    """Set switches for a ``with`` block and put the old values back."""
    before = snapshot()
    set(**switches)
    try:
        yield
    finally:
        set(**before)

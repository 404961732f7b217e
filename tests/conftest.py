"""Fixtures and settings of all tests: no test leaves a global setting changed; how hard Hypothesis tries."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests import promises

# Shared machines stall now and then, and the first example may compile a kernel: no deadline.
_COMMON: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=25, **_COMMON)
settings.register_profile("ci", max_examples=25, derandomize=True, **_COMMON)
settings.register_profile("thorough", max_examples=1000, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_configure(config: pytest.Config) -> None:
    """Give each of several workers one thread: they share the cores, and waiting threads hold one each.

    What threads do is tested with ``config.use(threads=...)``. The order of the tests is random, what they draw is not:
    pytest-randomly would seed each anew, after ``same_numbers_in_each_run``.
    """
    config.pluginmanager.register(promises, "promises")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        # Begun in the background of a script; the programs that tests interrupt would not notice Ctrl-C either.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config.option, "randomly_reset_seed"):
        config.option.randomly_reset_seed = False
    if getattr(config.option, "numprocesses", None):  # read when a worker, a process of its own, loads the packages
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        os.environ.setdefault("AUTOTENSOR_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while 20,000 tests are collected, and never among them: it took a tenth of the whole run."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come last, so that a run that has not the time for them all leaves out only such."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.hookimpl(tryfirst=True)  # before a fixture of it is made
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out a slow test where SLOW_TESTS_UNTIL, in seconds since 1970, is over."""
    if item.get_closest_marker("slow") and time.time() > float(os.environ.get("SLOW_TESTS_UNTIL", "inf")):
        pytest.skip("no time is left for slow tests; run them with -m slow")


# (module, functions without arguments that read its global settings); looked at once the module is imported.
GLOBAL_SETTINGS = (
    ("autotensor.config", ("snapshot",)),
    ("autotensor.core.state", ("is_tracking",)),
    ("keras_compat.backend", ("floatx", "epsilon", "image_data_format")),
    ("keras_compat.dialect.level", ("get_api_level",)),
)


def global_settings() -> dict[str, Any]:
    """Return the global settings of every module of ours that is imported, and NumPy's error handling."""
    found: dict[str, Any] = {"numpy.geterr": np.geterr()}
    for module, readers in GLOBAL_SETTINGS:
        for reader in readers:
            read = getattr(sys.modules.get(module), reader, None)
            if read is not None:
                found[f"{module}.{reader}"] = read()
    return found


def leaked(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return a line for each setting that changed; settings of modules imported meanwhile do not count."""
    return [f"{name}: {before[name]!r} became {after[name]!r}" for name in before if after[name] != before[name]]


# By its id, each random generator that a test module holds, and the state in which its first test found it.
_GENERATORS: dict[int, tuple[Any, Any]] = {}


def begin_again(module: Any) -> None:
    """Put the random generators of a module back to the state in which they were seen first."""
    for value in vars(module).values():
        if isinstance(value, np.random.Generator):
            _, state = _GENERATORS.setdefault(id(value), (value, value.bit_generator.state))
            value.bit_generator.state = state
        elif isinstance(value, np.random.RandomState):
            _, state = _GENERATORS.setdefault(id(value), (value, value.get_state()))
            value.set_state(state)


@pytest.fixture(autouse=True)
def same_numbers_in_each_run(request: pytest.FixtureRequest):
    """Seed all random numbers: what a test draws does not depend on the tests before it, or on luck."""
    begin_again(request.module)
    random.seed(1337)
    np.random.seed(1337)
    ours = getattr(sys.modules.get("autotensor"), "random", None)
    if ours is not None:
        ours.seed(1337)


@pytest.fixture(autouse=True)
def no_leaked_settings():
    """Fail a test that leaves a global setting changed. NumPy's random state may change."""
    before = global_settings()
    yield
    changes = leaked(before, global_settings())
    if changes:
        pytest.fail("the test leaves settings changed for those after it:\n" + "\n".join(changes), pytrace=False)

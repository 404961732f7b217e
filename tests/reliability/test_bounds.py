"""No kernel reads or writes outside its arrays: every family once with each index looked at, and those that work on raw
addresses in memory whose borders end the process. Faults that are planted are found.

In processes of their own (``tests/reliability/bounds.py``), as whether kernels are compiled is settled at import.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from autotensor.kernels import bounds as guard
from tests.keras_compat import children
from tests.reliability import bounds

pytestmark = pytest.mark.promise(23)

PLAIN = {"NUMBA_DISABLE_JIT": "1", "NUMBA_BOUNDSCHECK": "1"}
linux = pytest.mark.skipif(sys.platform != "linux", reason="pages are guarded by calls of Linux")


def run(*arguments: str, timeout: float = 280, **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.reliability.bounds", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=children.environment(**changes),
    )


def cases(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many cases of each family have run."""
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.split()[0]: int(line.split()[1]) for line in done.stdout.splitlines()}


def test_every_index_of_every_family_is_within_its_array() -> None:
    found = cases(run("plain", **PLAIN))
    assert list(found) == [name for name in bounds.FAMILIES if name != "recurrences"]
    assert min(found.values()) >= 3 and sum(found.values()) > 300


# family, and what is wrong: a loop that ends one too late, or begins one too early
FAULTS = [
    ("lookups", "kernels.scatter:take_range:range(x.shape[1]):range(x.shape[1] + 1)"),
    ("lookups", "kernels.scatter:take_range:range(first,:range(first - 1,"),
    ("fused", "graph.codegen:load:range(first:range(first - 1"),
    ("convolutions", "kernels.winograd:_image_rows:range(a.size):range(a.size + 1)"),
]


@pytest.mark.parametrize(("family", "fault"), FAULTS[1:2] + [pytest.param(*f, marks=pytest.mark.slow) for f in FAULTS])
def test_a_planted_fault_is_found(family: str, fault: str) -> None:
    done = run("plain", family, f"--plant={fault}", **PLAIN)
    assert done.returncode == 1 and "IndexError: [kernel] index" in done.stderr, done.stdout + done.stderr


@linux
@pytest.mark.parametrize(("where", "loop"), [("after", "range(first, last + 1)"), ("before", "range(first - 1, last)")])
@pytest.mark.slow
def test_a_planted_fault_of_a_compiled_kernel_ends_the_process(where: str, loop: str) -> None:
    done = run(where, "fused", f"--plant=graph.codegen:load:range(first, last):{loop}")
    assert done.returncode < 0 and done.stdout.split() == ["fused"], done.stdout + done.stderr


@linux
@pytest.mark.parametrize("where", ["after", "before"])
@pytest.mark.parametrize("family", [pytest.param(name, marks=pytest.mark.slow) for name in bounds.FAMILIES])
def test_compiled_kernels_between_pages_that_nobody_may_touch(where: str, family: str) -> None:
    """LSTM, GRU, products and generated kernels work on raw addresses, which no other check sees."""
    assert cases(run(where, family, timeout=900)) == {family: 45} or family != "recurrences"


GOOD = [0, 4, np.int64(2), -0, slice(None), slice(1, 99), (0, 2), (slice(0, 2), 1), (None, 3), Ellipsis, (..., 1)]
BAD = [-1, 5, np.int64(-5), slice(-2, None), slice(0, -1), (0, 3), (5, 0), (slice(None), -1), (..., 3), (None, 5)]


@pytest.mark.parametrize("key", GOOD, ids=str)
def test_guarded_arrays_are_arrays(key: object) -> None:
    x = np.arange(15.0).reshape(5, 3)
    y = x.copy().view(guard.Guarded)
    np.testing.assert_array_equal(y[key], x[key])  # type: ignore[index]
    y[key] = x[key] = 7.0  # type: ignore[index]
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("key", BAD, ids=str)
def test_guarded_arrays_refuse_what_lies_outside(key: object) -> None:
    x = np.arange(15.0).reshape(5, 3)
    seen: list[type] = []

    def kernel(a: np.ndarray, write: bool) -> np.ndarray:
        seen.append(type(a))
        if write:
            a[key] = 1.0  # type: ignore[index]
        else:
            a[key]  # type: ignore[index]
        return a

    for write in (False, True):
        with pytest.raises(IndexError):
            guard.guarding(kernel)(x, write)
    assert seen == [guard.Guarded] * 2 and (x == np.arange(15.0).reshape(5, 3)).all()
    assert type(guard.guarding(lambda a: a)(x)) is np.ndarray
    for at, start in ((0, 0), (4, 1)):
        guard.check_block(np.zeros(20), at, np.zeros(17), start, 16)
    for at, start in ((5, 0), (0, 2), (-1, 0), (0, -1)):
        with pytest.raises(IndexError, match=r"\[kernel\] elements"):
            guard.check_block(np.zeros(20), at, np.zeros(17), start, 16)

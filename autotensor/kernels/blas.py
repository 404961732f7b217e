"""Products of matrices inside kernels: the BLAS that NumPy brings, called from compiled code on one thread.

`gemm` is for loops that run on threads themselves (see `threads`): each of them multiplies its own block by a BLAS
that must not start threads too. So a kernel says ``mine = hold()`` before its loops and ``release(mine)`` after them.
``AVAILABLE`` says whether such a BLAS was found; where it was not, operations multiply by `numpy.matmul`.

Found are the OpenBLAS builds inside NumPy's wheels and distributions, with 32- or 64-bit sizes.
"""

from __future__ import annotations

import ctypes
import glob
import os
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from autotensor import config
from autotensor.kernels.jit import DISABLED, enter, external, jit, leave, overload, pointer, shared

_ROW_MAJOR, _PLAIN, _TURNED = 101, 111, 112


def _libraries() -> Iterator[str]:
    """Files of BLAS libraries: those that this process has loaded, then those beside NumPy."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as stream:
            paths = {line.split()[-1] for line in stream if "blas" in line and ".so" in line}
    except OSError:
        paths = set()
    folder = os.path.dirname(np.__file__)
    beside = [os.path.join(folder, "..", "numpy.libs", "*openblas*"), os.path.join(folder, ".dylibs", "*openblas*")]
    # NumPy's own first: SciPy loads another copy, whose threads would be a second pool.
    yield from sorted(paths, key=lambda path: ("numpy" not in path, path))
    for pattern in beside:
        yield from sorted(glob.glob(pattern))


def _find() -> tuple[str, int, dict[str, int]] | None:
    """Name of the library, bits of its integers, and addresses of its functions."""
    wanted = {"sgemm": "cblas_sgemm", "dgemm": "cblas_dgemm"}
    wanted |= {"get": "openblas_get_num_threads", "set": "openblas_set_num_threads"}
    for path in _libraries():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for prefix, suffix, bits in (("scipy_", "64_", 64), ("", "64_", 64), ("scipy_", "", 32), ("", "", 32)):
            try:
                found = {key: getattr(library, f"{prefix}{name}{suffix}") for key, name in wanted.items()}
            except AttributeError:
                continue
            return path, bits, {key: ctypes.cast(f, ctypes.c_void_p).value or 0 for key, f in found.items()}
    return None


_known = _find()
_found = None if DISABLED or sys.byteorder != "little" else _known

AVAILABLE: bool = _found is not None
"""Can kernels call BLAS? False with ``NUMBA_DISABLE_JIT=1`` and with a NumPy that was built on another library."""

LIBRARY: str = _found[0] if _found else ""
"""File of the library in use."""


def _declare(which: str, types: str) -> Any:
    # The name tells the width of the integers, so that no cached kernel is linked to a library of the other kind.
    bits = _found[1] if _found else 64
    address = _found[2][which] if _found else None
    return external(f"autotensor_{which}_{bits}", address, types.replace("size", f"int{bits}"))


_GEMM = "void(int32, int32, int32, size, size, size, real, real*, size, real*, size, real, real*, size)"
_sgemm = _declare("sgemm", _GEMM.replace("real", "float32"))
_dgemm = _declare("dgemm", _GEMM.replace("real", "float64"))
_get = _declare("get", "int32()")
_set = _declare("set", "void(int32)")

# What `hold` shares with other threads: a mark that one of them is in here; how many hold BLAS; its threads before.
_held = (ctypes.c_int64 * 3)()
_held_at = shared("autotensor_blas_held", ctypes.addressof(_held))


def _after_fork() -> None:
    """The threads that held BLAS are not in the child."""
    holders, threads = _held[1:]
    _held[:] = [0, 0, 0]
    if holders and threads > 1 and _found:
        ctypes.CFUNCTYPE(None, ctypes.c_int)(_found[2]["set"])(threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

# Threads of BLAS before deterministic mode, which takes them away; 0 when it is off.
_before = 0


def _settle() -> None:
    """In deterministic mode NumPy's own products and factorisations stay on one thread: more change their bits."""
    global _before
    if not _known or config.deterministic == bool(_before):
        return
    get = ctypes.CFUNCTYPE(ctypes.c_int)(_known[2]["get"])
    put = ctypes.CFUNCTYPE(None, ctypes.c_int)(_known[2]["set"])
    now, _before = (_before, 0) if _before else (1, max(get(), _held[2] if _held[1] else 1))
    put(now)
    if _held[1]:
        _held[2] = now


config.follow(_settle)


def gemm(a: np.ndarray, b: np.ndarray, out: np.ndarray, beta: float) -> None:
    """out = a @ b + beta * out, in a kernel; all of one dtype, float32 or float64.

    a: (m, k), b: (k, n): rows or columns lie in order in memory (a slice of a C-contiguous array, or the transposed
    view of one). out: (m, n): its rows lie in order. No size is checked.
    """
    if beta == 0:
        np.matmul(a, b, out=out)
    else:
        out[...] = a @ b + beta * out


@overload(gemm)
def _gemm(a, b, out, beta):
    size = 8 if a.dtype.bitwidth == 64 else 4
    call, number = (_dgemm, np.float64) if size == 8 else (_sgemm, np.float32)

    def compiled(a, b, out, beta):  # Numba refuses annotations that the overload itself has not
        # A matrix of one row or column has any stride there; BLAS wants one that is at least the length of a row.
        m, k = a.shape
        n = b.shape[1]
        if a.strides[1] == size and (a.strides[0] >= k * size or m == 1):
            ta, lda = _PLAIN, max(a.strides[0] // size, k, 1)
        else:
            ta, lda = _TURNED, max(a.strides[1] // size, m, 1)
        if b.strides[1] == size and (b.strides[0] >= n * size or k == 1):
            tb, ldb = _PLAIN, max(b.strides[0] // size, n, 1)
        else:
            tb, ldb = _TURNED, max(b.strides[1] // size, k, 1)
        ldc = max(out.strides[0] // size, n, 1)
        call(
            _ROW_MAJOR, ta, tb, m, n, k, number(1), a.ctypes, lda, b.ctypes, ldb, number(beta), out.ctypes, ldc
        )  # fmt: skip

    return compiled


@jit(inline=True)
def sgemm(turned, m, n, k, a, lda, b, ldb, beta, out, ldc):
    """The same for float32 matrices at addresses: a is (m, k), or (k, m) and taken turned; b (k, n), out (m, n).

    lda, ldb, ldc: numbers from one row to the next.
    """
    _sgemm(
        _ROW_MAJOR, _TURNED if turned else _PLAIN, _PLAIN, m, n, k, np.float32(1), pointer(a, np.float32), max(lda, 1),
        pointer(b, np.float32), max(ldb, 1), np.float32(beta), pointer(out, np.float32), max(ldc, 1),
    )  # fmt: skip


def hold() -> int:
    """Keep BLAS to the calling thread until `release`; returns what that takes.

    Several Python threads may hold it: the first takes BLAS its threads, the last gives them back.
    """
    return 1


@overload(hold)
def _hold():
    def compiled():
        at = _held_at()
        numbers = pointer(at, np.int64)
        enter(at)
        if numbers[1] == 0:
            numbers[2] = _get()
            if numbers[2] > 1:
                _set(1)
        numbers[1] += 1
        leave(at)
        return 1

    return compiled


def release(mine: int) -> None:
    """Give BLAS its threads back: as many as it had before `hold`."""


@overload(release)
def _release(mine):
    def compiled(mine):
        at = _held_at()
        numbers = pointer(at, np.int64)
        enter(at)
        numbers[1] -= mine
        if numbers[1] == 0 and numbers[2] > 1:
            _set(numbers[2])
        leave(at)

    return compiled

"""Memory for NumPy in which every array ends, or begins, at a page that nobody may touch.

``install("after")`` or ``install("before")`` gives each array made from then on pages of its own. Reading or writing
one element beyond its end (or before its beginning) ends the process with a segmentation fault, whoever does it:
compiled kernels that work on raw addresses, BLAS, NumPy. For processes of their own only, on Linux.

NumPy takes its memory from a *handler* (NEP 49): a capsule with a structure of C functions, set by function 304 of its
C interface.
"""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

_PAGE = mmap.PAGESIZE
_ADDRESS, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_MALLOC = ctypes.CFUNCTYPE(_ADDRESS, _ADDRESS, _SIZE)
_CALLOC = ctypes.CFUNCTYPE(_ADDRESS, _ADDRESS, _SIZE, _SIZE)
_REALLOC = ctypes.CFUNCTYPE(_ADDRESS, _ADDRESS, _ADDRESS, _SIZE)
_FREE = ctypes.CFUNCTYPE(None, _ADDRESS, _ADDRESS, _SIZE)
_SET_HANDLER = 304


class _Allocator(ctypes.Structure):
    _fields_ = [("ctx", _ADDRESS), ("malloc", _MALLOC), ("calloc", _CALLOC), ("realloc", _REALLOC), ("free", _FREE)]


class _Handler(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("allocator", _Allocator)]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = _ADDRESS
_libc.mmap.argtypes = [_ADDRESS, _SIZE, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [_ADDRESS, _SIZE]
_libc.mprotect.argtypes = [_ADDRESS, _SIZE, ctypes.c_int]
_READ_WRITE, _NONE = 3, 0
_PRIVATE_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

_kept: list[Any] = []
_regions: dict[int, tuple[int, int, int]] = {}  # address -> start of its pages, their length, bytes asked for


def _allocate(size: int, after: bool) -> int:
    pages = max(1, -(-size // _PAGE)) * _PAGE
    start = _libc.mmap(None, pages + _PAGE, _READ_WRITE, _PRIVATE_ANONYMOUS, -1, 0)
    if start in (None, ctypes.c_void_p(-1).value):
        return 0
    # Where elements can be of 8 bytes they stay on multiples of 8.
    whole = size if size % 8 == 0 or size % 4 == 0 or size < 8 else -(-size // 8) * 8
    address = start + pages - whole if after else start + _PAGE
    _libc.mprotect(start + pages if after else start, _PAGE, _NONE)
    _regions[address] = (start, pages + _PAGE, size)
    return address


def _release(address: int | None) -> None:
    if address:
        start, length, _ = _regions.pop(address)
        _libc.munmap(start, length)


def install(where: str) -> None:
    """Guard the end ("after") or the beginning ("before") of every array of NumPy that is made from now on."""
    from numpy._core import _multiarray_umath as numpy_c

    after = where == "after"

    def malloc(_: Any, size: int) -> int:
        return _allocate(max(size, 1), after)

    def calloc(_: Any, count: int, size: int) -> int:
        return _allocate(max(count * size, 1), after)  # pages are zeros

    def realloc(_: Any, address: int | None, size: int) -> int:
        fresh = _allocate(max(size, 1), after)
        if address and fresh:
            ctypes.memmove(fresh, address, min(size, _regions[address][2]))
            _release(address)
        return fresh

    def free(_: Any, address: int | None, size: int) -> None:
        _release(address)

    functions = (_MALLOC(malloc), _CALLOC(calloc), _REALLOC(realloc), _FREE(free))
    handler = _Handler(b"guarded", 1, _Allocator(None, *functions))
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [_ADDRESS, ctypes.c_char_p, _ADDRESS]
    open_it = ctypes.pythonapi.PyCapsule_GetPointer
    open_it.restype, open_it.argtypes = _ADDRESS, [ctypes.py_object, ctypes.c_char_p]
    table = ctypes.cast(open_it(numpy_c._ARRAY_API, None), ctypes.POINTER(_ADDRESS))
    capsule = make(ctypes.addressof(handler), b"mem_handler", None)
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[_SET_HANDLER])
    _kept.extend([functions, handler, capsule, set_handler(capsule)])

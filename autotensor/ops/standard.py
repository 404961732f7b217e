"""The Python array API standard, 2024.12: what it asks of the array object and of the namespace beside functions.

Attaches ``__array_namespace__``, ``device``, ``to_device``, ``__dlpack__`` and ``__dlpack_device__`` to Tensor.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from autotensor.core.tensor import Tensor, Variable, wrap
from autotensor.errors import DTypeError
from autotensor.ops.device import CPU, check_device
from autotensor.ops.dtypes import KINDS

__all__ = ["from_dlpack"]

API_VERSION = "2024.12"
_VERSIONS = ("2021.12", "2022.12", "2023.12", API_VERSION)

_DTYPES = {
    name: np.dtype(name)
    for name in (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float32", "float64", "complex64", "complex128",
    )
}  # fmt: skip


class NamespaceInfo:
    """What ``at.__array_namespace_info__()`` gives: capabilities, devices, default dtypes and all dtypes."""

    def capabilities(self) -> dict[str, Any]:
        """Bool masks as indices and results whose shape depends on data both work; at most 64 axes."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The device new tensors are on: "cpu"."""
        return CPU

    def devices(self) -> list[str]:
        """All devices: "cpu"."""
        return [CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """The dtypes that creation functions use when none is given."""
        check_device("default_dtypes", device)
        return {
            "real floating": _DTYPES["float64"],
            "complex floating": _DTYPES["complex128"],
            "integral": _DTYPES["int64"],
            "indexing": _DTYPES["int64"],
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype]:
        """The standard's dtypes by name, of one kind, of a tuple of kinds, or all (float16 is there beside them)."""
        check_device("dtypes", device)
        if kind is None:
            return dict(_DTYPES)
        letters = ""
        for one in kind if isinstance(kind, tuple) else (kind,):
            if one not in KINDS:
                raise ValueError(
                    f"[dtypes] expected a kind among {', '.join(KINDS)}; got {one!r}. Leave it out for all?"
                )
            letters += KINDS[one]
        return {name: dtype for name, dtype in _DTYPES.items() if dtype.kind in letters}


def namespace_info() -> NamespaceInfo:
    """Inspection of the namespace as the array API standard says."""
    return NamespaceInfo()


def _namespace(self: Tensor, /, *, api_version: str | None = None) -> ModuleType:
    """The module with the functions for this tensor; for code written for the array API standard."""
    if api_version is not None and api_version not in _VERSIONS:
        raise ValueError(
            f"[__array_namespace__] expected an API version among {', '.join(_VERSIONS)}; got {api_version!r}. "
            "Leave it out for the newest."
        )
    return sys.modules["autotensor"]


def _device(self: Tensor) -> str:
    """Where the elements are: always "cpu"."""
    return CPU


def _to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """The tensor itself: "cpu" is the only device. Raises ValueError for another one, or a stream."""
    check_device("to_device", device)
    if stream is not None:
        raise ValueError(f"[to_device] the device 'cpu' has no streams; got {stream!r}. Leave it out.")
    return self


# -- DLPack

_NUMPY_SHARES_BY_DLPACK_1 = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # before, there were no keywords for it


def _dlpack(
    self: Tensor,
    /,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[Any, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule of the value, for ``from_dlpack`` of another library. Its history stays here.

    Memory is shared where it can be: what the other library writes there is seen here. A Variable, whose buffer is
    rewritten by updates, is exported as a copy.
    """
    data = self._value("__dlpack__")
    if isinstance(self, Variable):
        if copy is False:
            raise BufferError(
                "[__dlpack__] a Variable is exported as a copy, for updates rewrite its buffer; got copy=False. "
                "Leave it out?"
            )
        data, copy = data.copy(), None
    if not data.flags.writeable and copy is None and (max_version is None or max_version[0] < 1):
        data = data.copy()  # older consumers know no read-only memory
    if _NUMPY_SHARES_BY_DLPACK_1:
        return data.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)
    if dl_device not in (None, (1, 0)):
        raise BufferError(f"[__dlpack__] expected dl_device (1, 0), the main memory; got {dl_device!r}.")
    return (data.copy() if copy or not data.flags.writeable else data).__dlpack__(stream=stream)


def _dlpack_device(self: Tensor, /) -> tuple[int, int]:
    """DLPack's number of the device and its index: (1, 0), the main memory."""
    return (1, 0)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor of what another library holds, through DLPack: arrays of NumPy, PyTorch, JAX, CuPy (on the CPU).

    The result is a constant; set ``requires_grad`` for a leaf. Memory is shared unless ``copy=True``: writes to the
    tensor never reach the other library, but what that writes shows here.

    Raises BufferError when the data can not be shared and ``copy=False``.

    Raises DTypeError for an object without ``__dlpack__``.

    >>> import numpy as np
    >>> import autotensor as at
    >>> at.from_dlpack(np.arange(3.0))
    Tensor([0., 1., 2.], dtype=float64)
    """
    check_device("from_dlpack", device)
    if not hasattr(x, "__dlpack__"):
        raise DTypeError(
            f"[from_dlpack] expected an array with __dlpack__; got a {type(x).__name__}. Use asarray() for lists?"
        )
    if _NUMPY_SHARES_BY_DLPACK_1:
        return wrap(np.from_dlpack(x, device=device, copy=copy))
    if isinstance(x, np.ndarray) and not x.flags.writeable and copy is not False:
        copy, x = False, x.copy()  # this NumPy exports no read-only memory
    return wrap(np.array(np.from_dlpack(x), copy=bool(copy) or None))


def _attach() -> None:
    for function, name in (
        (_namespace, "__array_namespace__"),
        (_to_device, "to_device"),
        (_dlpack, "__dlpack__"),
        (_dlpack_device, "__dlpack_device__"),
    ):
        function.__name__ = name
        function.__qualname__ = f"Tensor.{name}"
        setattr(Tensor, name, function)
    setattr(Tensor, "device", property(_device, doc=_device.__doc__))  # noqa: B010 (no attribute that mypy knows)


_attach()

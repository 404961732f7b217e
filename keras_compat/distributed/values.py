"""What ranks tell each other beside gradients: numbers and arrays, and the weights of a model."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.distributed.communicator import DistributedError
from keras_compat.distributed.state import job
from keras_compat.engine.training import Model


class Operation:
    """How the values of the ranks are made one: ``Average``, ``Sum``, ``Min``, ``Max``, ``Product``."""

    def __init__(self, name: str, mpi: str | None):
        self.name = name
        self.mpi = mpi

    def __repr__(self) -> str:
        return self.name


Average = Operation("Average", "SUM")
Sum = Operation("Sum", "SUM")
Min = Operation("Min", "MIN")
Max = Operation("Max", "MAX")
Product = Operation("Product", "PROD")
Adasum = Operation("Adasum", None)


class Compressor:
    """In which numbers gradients travel: ``wire`` is a dtype, None for their own."""

    def __init__(self, wire: str | None):
        self.wire = wire


class Compression:
    """``Compression.none`` sends numbers as they are, ``Compression.fp16`` as numbers of two bytes."""

    none = Compressor(None)
    fp16 = Compressor("float16")


def _array(value: Any, what: str) -> np.ndarray:
    array = np.asarray(K.get_value(value) if hasattr(value, "node") else value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"[{what}] expected numbers; got {array.dtype}. Convert them to an array of numbers.")
    return array


def _alike(array: np.ndarray, what: str) -> None:
    """Raise on all ranks where shapes or dtypes differ."""
    kinds = job().gather((array.shape, array.dtype.str))
    if len(set(kinds)) > 1:
        said = ", ".join(f"rank {r} has {np.dtype(d)}{s}" for r, (s, d) in enumerate(kinds))
        raise DistributedError(f"[{what}] expected the same shape and dtype on all ranks; {said}.")


def allreduce(
    value: Any,
    name: str | None = None,
    average: bool | None = None,
    prescale_factor: float = 1.0,
    postscale_factor: float = 1.0,
    op: Operation | None = None,
    compression: Any = Compression.none,
) -> np.ndarray:
    """The average of the values of all ranks, or what ``op`` says, the same on each.

    Args:
        value: a number or an array, of one shape and dtype on all ranks.
        name: of Horovod, without effect.
        average: False for the sum.
        prescale_factor, postscale_factor: the value is multiplied by these before and after.
        op: ``Average``, ``Sum``, ``Min``, ``Max`` or ``Product``.
        compression: ``Compression.fp16`` rounds the value to numbers of two bytes before.

    Returns:
        An array; the average of whole numbers is of float64.

    Raises:
        ValueError: before ``init``, for ``Adasum``, and for both ``average`` and ``op``.
        DistributedError: shapes or dtypes differ.
    """
    if op is not None and average is not None:
        raise ValueError("[allreduce] expected one of average and op; got both. Leave average out.")
    op = op or (Sum if average is False else Average)
    if op.mpi is None:
        raise ValueError(f"[allreduce] {op}'s own algorithm is not here. Write op=hvd.Average or op=hvd.Sum.")
    array = _array(value, "allreduce")
    _alike(array, "allreduce")
    dtype = array.dtype
    if dtype.kind == "b":
        array = array.astype(np.int64)
    elif dtype.kind == "f" and (compression.wire or dtype.itemsize < 4):
        array = array.astype(compression.wire or dtype).astype(np.float32)
    elif dtype.kind in "iu" and op is Average:
        array = array.astype(np.float64)
    out = np.array(array * prescale_factor if prescale_factor != 1.0 else array, order="C")
    job().reduce(out, op.mpi)()
    factor = postscale_factor / (job().size if op is Average else 1)
    if factor != 1.0:
        out = np.asarray(out * factor)
    return out.astype(dtype) if dtype.kind == "f" else out


def allgather(value: Any, name: str | None = None) -> np.ndarray:
    """The arrays of all ranks, joined along the first axis in the order of ranks; numbers count as arrays of one.

    Their first axes may differ in length. Raises DistributedError where something else of shape or dtype differs.
    """
    array = np.atleast_1d(_array(value, "allgather"))
    rows = job().gather(array)
    kinds = {(row.shape[1:], row.dtype) for row in rows}
    if len(kinds) > 1:
        said = ", ".join(f"rank {r} has {row.dtype}{row.shape}" for r, row in enumerate(rows))
        raise DistributedError(f"[allgather] expected arrays that differ in their first axis at most; {said}.")
    return np.concatenate(rows)


def broadcast(value: Any, root_rank: int, name: str | None = None) -> np.ndarray:
    """The value of one rank, on all. Raises DistributedError where shapes or dtypes differ."""
    array = np.array(_array(value, "broadcast"), order="C")
    _check_root(root_rank, "broadcast")
    _alike(array, "broadcast")
    job().broadcast(array, root_rank)
    return array


def _check_root(root: int, what: str) -> None:
    if not 0 <= root < job().size:
        raise ValueError(f"[{what}] root_rank must be one of {job().size} ranks; got {root!r}. Write root_rank=0.")


def barrier() -> None:
    """Wait until all ranks are here. Raises ValueError before ``init``."""
    job().gather(None)


def broadcast_variables(variables: Iterable[Any], root_rank: int) -> None:
    """Give the variables of all ranks, which are the same ones in the same order, the values of one rank.

    Raises:
        DistributedError: number, shapes or dtypes differ; nothing was changed.
    """
    listed = list(variables)
    _check_root(root_rank, "broadcast_variables")
    kinds = job().gather([(tuple(v.shape), str(K.dtype(v))) for v in listed])
    for rank, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise DistributedError(
                f"[broadcast_variables] expected the same variables on all ranks; rank 0 has {len(kinds[0])}, rank "
                f"{rank} has {len(kind)}, and they differ. Build the same model on each."
            )
    for v in listed:
        array = np.array(K.get_value(v), order="C")
        job().broadcast(array, root_rank)
        K.set_value(v, array)


def variables_of(model: Any) -> list[Any]:
    """All variables of a model: its weights and state; if it is compiled, also those of its optimizer."""
    if getattr(model, "_is_compiled", False) and model.inputs is not None:
        return model._require_compiled("broadcast").sources()[0]
    return list(model.weights)


def broadcast_global_variables(root_rank: int) -> None:
    """Give the weights and optimizer states of all models of the program the values of one rank.

    Raises:
        DistributedError: the ranks have different models; nothing was changed.
    """
    gc.collect()  # a model that nobody has any more may still be there on some ranks
    found = [x for x in gc.get_objects() if isinstance(x, Model) and x.built]
    variables: dict[int, Any] = {}
    for model in sorted(found, key=lambda m: m.name):
        variables.update({id(v): v for v in variables_of(model)})
    broadcast_variables(variables.values(), root_rank)

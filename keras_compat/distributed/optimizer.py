"""``DistributedOptimizer``: any optimizer of Keras, on the gradients of all ranks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat import models, optimizers
from keras_compat.distributed.communicator import EPOCHS
from keras_compat.distributed.reducing import Settings, combined
from keras_compat.distributed.state import job
from keras_compat.distributed.values import Average, Compression, Operation, Sum

_SETTINGS = "_distributed"


def DistributedOptimizer(
    optimizer: Any,
    name: str | None = None,
    device_dense: str = "",
    device_sparse: str = "",
    compression: Any = Compression.none,
    sparse_as_dense: bool = False,
    gradient_predivide_factor: float = 1.0,
    op: Operation = Average,
    backward_passes_per_step: int = 1,
    average_aggregated_gradients: bool = False,
    num_groups: int = 0,
    groups: Any = None,
    process_set: Any = None,
    scale_local_gradients: bool = True,
) -> Any:
    """An optimizer that follows the gradients of all ranks.

    It is of the same class as the one given, shares its learning rate and other variables, and is saved as a plain one.
    Gradients are clipped when they are one, so the step is that of a batch of all ranks together.

    Args:
        optimizer: an optimizer of Keras, or the name of one.
        compression: ``Compression.fp16`` sends gradients as numbers of two bytes.
        gradient_predivide_factor: gradients are divided by it before the sum, and multiplied after it.
        op: ``Average`` over the ranks, or their ``Sum``.
        backward_passes_per_step: so many batches are added up before the ranks are asked and the weights change.
        average_aggregated_gradients: divide by their number, so that the step is that of one larger batch.
        num_groups, groups: the number of buffers in which gradients travel, or lists of weights, a buffer for each.
        name, device_dense, device_sparse, sparse_as_dense, process_set, scale_local_gradients: of Horovod; taken, and
            without effect here.

    Raises:
        ValueError: before ``init``; for another ``op``, such as ``Adasum``; for an optimizer that is distributed.
        TypeError: for what is no optimizer of Keras.
    """
    optimizer = optimizers.get(optimizer)
    if not isinstance(optimizer, optimizers.Optimizer):
        raise TypeError(
            f"[DistributedOptimizer] expected an optimizer of Keras; got {type(optimizer).__name__}. Let its class "
            "inherit from keras.optimizers.Optimizer."
        )
    if hasattr(optimizer, _SETTINGS):
        raise ValueError("[DistributedOptimizer] the optimizer is distributed already. Wrap it once.")
    if op not in (Average, Sum):
        reason = "Adasum's own algorithm is not here" if str(op) == "Adasum" else f"got {op}"
        raise ValueError(f"[DistributedOptimizer] op must be Average or Sum; {reason}. Write op=hvd.Average.")
    passes = backward_passes_per_step
    if isinstance(passes, bool) or not isinstance(passes, (int, np.integer)) or passes < 1:
        raise ValueError(f"[DistributedOptimizer] backward_passes_per_step must be a number from 1 on; got {passes!r}.")
    if groups is None and num_groups:
        groups = num_groups
    if isinstance(groups, int) and groups < 1:
        raise ValueError(f"[DistributedOptimizer] groups must be a number from 1 on, or lists; got {groups!r}.")
    if gradient_predivide_factor != 1.0 and op is not Average:
        raise ValueError("[DistributedOptimizer] gradient_predivide_factor is for op=Average; got Sum. Leave it out.")
    job()
    settings = Settings(
        op is Average,
        int(passes),
        average_aggregated_gradients,
        compression.wire,
        float(gradient_predivide_factor),
        groups,
    )
    made = object.__new__(_distributed(type(optimizer), settings))
    made.__dict__.update(optimizer.__dict__)
    return made


class _Distributed(optimizers.Optimizer):
    """What a distributed optimizer does besides what its own class does."""

    _distributed: Settings

    def _combined(self, grads: list[Any], params: list[Any]) -> list[Any]:
        settings = self._distributed
        self.__dict__["_is_combined"] = True
        if job().size == 1 and settings.passes == 1:
            return grads
        return combined(settings, grads, params, self._pass % settings.passes)

    def _begin_epoch(self, epoch: int, batches: int) -> None:
        """Raise ValueError on all ranks if they are about to do different things: some would wait for ever."""
        plans = job().gather((epoch, batches), EPOCHS)
        if len(set(plans)) > 1:
            said = ", ".join(f"rank {r} has epoch {e + 1} with {n}" for r, (e, n) in enumerate(plans))
            raise ValueError(
                f"[fit] expected the same epoch and the same number of batches on all ranks; {said}. Give each rank "
                "as many samples, or say steps_per_epoch."
            )


def _distributed(base: type[Any], settings: Settings) -> type[Any]:
    """A class of the same name that is ``base``, and distributed."""
    inner = base.get_updates

    @functools.wraps(inner)
    def get_updates(self: Any, *args: Any, **kwargs: Any) -> list[Any]:
        self.__dict__["_is_combined"] = False
        if settings.passes > 1:
            self.__dict__["_pass"] = K.variable(0, dtype="int64", name="backward_passes")
        updates = inner(self, *args, **kwargs)
        if not self._is_combined:
            raise TypeError(
                f"[DistributedOptimizer] expected an optimizer whose get_updates asks self.get_gradients, which makes "
                f"those of all ranks one; {base.__name__} does not. Let it do so."
            )
        if settings.passes == 1:
            return updates
        due = K.equal(self._pass % settings.passes, settings.passes - 1)
        held = [K.update(v, K.switch(due, new, v)) for v, new in K.as_updates(updates)]
        return [*held, K.update_add(self._pass, 1)]

    names = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__doc__": base.__doc__,
        _SETTINGS: settings,
        "_pass": 0,
        "get_updates": get_updates,
    }
    return type(base.__name__, (_Distributed, base), names)


def load_model(
    filepath: Any,
    custom_optimizers: Sequence[type[Any]] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    compression: Any = Compression.none,
) -> Any:
    """Read a model whose optimizer follows the gradients of all ranks, with the state that it was saved with.

    Args:
        filepath: as for ``keras_compat.models.load_model``.
        custom_optimizers: classes of the program's own.
        custom_objects: other names in the file, and what they stand for.
        compression: see ``DistributedOptimizer``.

    Raises:
        ValueError: before ``init``, and what ``keras_compat.models.load_model`` raises.
    """
    job()
    settings = Settings(wire=compression.wire)
    classes = [c for c in vars(optimizers).values() if inspect.isclass(c) and issubclass(c, optimizers.Optimizer)]
    known = {c.__name__: _distributed(c, settings) for c in (*classes, *(custom_optimizers or ()))}
    return models.load_model(filepath, custom_objects={**known, **(custom_objects or {})})

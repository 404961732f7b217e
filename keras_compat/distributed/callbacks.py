"""Callbacks for training on several ranks, with Horovod's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.callbacks import Callback, ModelCheckpoint
from keras_compat.distributed.communicator import DistributedError
from keras_compat.distributed.state import job
from keras_compat.distributed.values import broadcast_variables, variables_of
from keras_compat.utils.progbar import write_out


class BroadcastGlobalVariablesCallback(Callback):
    """Before training all ranks get the weights, the state and the optimizer's state of one of them.

    Args:
        root_rank: number of that rank.
        device, local_variables: of Horovod, without effect.
    """

    def __init__(self, root_rank: int, device: str = "", local_variables: Any = None):
        super().__init__()
        self.root_rank = root_rank

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        broadcast_variables(variables_of(self.model), self.root_rank)


class MetricAverageCallback(Callback):
    """After an epoch the logs hold the averages over all ranks.

    It stands before callbacks that look at the logs, such as ReduceLROnPlateau and ModelCheckpoint.

    Args:
        device, process_set: of Horovod, without effect.
    """

    def __init__(self, device: str = "", process_set: Any = None):
        super().__init__()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is None:
            return
        mine = {name: float(value) for name, value in logs.items() if np.ndim(value) == 0}
        of_all = job().gather(mine)
        for rank, other in enumerate(of_all):
            if other.keys() != of_all[0].keys():
                raise DistributedError(
                    f"[MetricAverageCallback] expected the same logs on all ranks; rank 0 has {sorted(of_all[0])}, "
                    f"rank {rank} has {sorted(other)}. Have all ranks validation data?"
                )
        for name in mine:
            logs[name] = sum([other[name] for other in of_all]) / len(of_all)


class LearningRateScheduleCallback(Callback):
    """The learning rate is ``initial_lr * multiplier(epoch)`` from one epoch to another.

    Args:
        initial_lr: learning rate that is multiplied; None (as before Horovod 0.21) for that of the optimizer when
            training begins. A function here is the multiplier, which came first then.
        multiplier: function of the epoch, or a number, whose power it is.
        start_epoch, end_epoch: from one to before the other, counted from 0.
        staircase: once an epoch, with whole numbers; False: for each batch, with its share of the epoch.
        momentum_correction: scale the momentum for the one batch in which the learning rate changes.
        steps_per_epoch: batches of an epoch, where that is not known.

    Raises:
        ValueError: without a multiplier.
    """

    def __init__(
        self,
        initial_lr: Any = None,
        multiplier: Callable[[float], float] | float | None = None,
        start_epoch: int = 0,
        end_epoch: int | None = None,
        staircase: bool = True,
        momentum_correction: bool = True,
        steps_per_epoch: int | None = None,
    ):
        super().__init__()
        if callable(initial_lr):
            initial_lr, multiplier = None, initial_lr
        if multiplier is None:
            raise ValueError(f"[{type(self).__name__}] expected a multiplier; got None. Write multiplier=1.0.")
        self.initial_lr = initial_lr
        self.multiplier = multiplier
        self.start_epoch = start_epoch
        self.end_epoch = end_epoch
        self.staircase = staircase
        self.momentum_correction = momentum_correction
        self.steps_per_epoch = steps_per_epoch
        self.current_epoch = 0
        self.restore_momentum: float | None = None

    def factor(self, epoch: float) -> float:
        """What the learning rate is multiplied by at a time, in epochs."""
        if callable(self.multiplier):
            return self.multiplier(epoch)
        assert self.multiplier is not None
        return self.multiplier**epoch

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.initial_lr is None:
            self.initial_lr = float(K.get_value(self.model.optimizer.lr))
        if not self.staircase and not self.steps_per_epoch:
            self.steps_per_epoch = self._steps()

    def _steps(self) -> int:
        params = self.params
        if params.get("steps"):
            return params["steps"]
        if params.get("samples") and params.get("batch_size"):
            return -(-params["samples"] // params["batch_size"])
        raise ValueError(
            f"[{type(self).__name__}] the number of batches of an epoch is not known. Give steps_per_epoch=..."
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.current_epoch = epoch

    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        epoch = self.current_epoch
        if epoch < self.start_epoch or (self.end_epoch is not None and epoch >= self.end_epoch):
            return
        if self.staircase:
            if batch == 0:
                self._set(epoch)
        else:
            self._set(epoch + batch / (self.steps_per_epoch or 1))

    def _set(self, epoch: float) -> None:
        optimizer = self.model.optimizer
        before, now = float(K.get_value(optimizer.lr)), self.initial_lr * self.factor(epoch)
        K.set_value(optimizer.lr, now)
        if self.momentum_correction and before and getattr(optimizer, "momentum", None) is not None:
            momentum = float(K.get_value(optimizer.momentum))
            if momentum:
                self.restore_momentum = momentum
                K.set_value(optimizer.momentum, momentum * now / before)

    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.restore_momentum is not None:
            K.set_value(self.model.optimizer.momentum, self.restore_momentum)
            self.restore_momentum = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["lr"] = float(K.get_value(self.model.optimizer.lr))


class LearningRateWarmupCallback(LearningRateScheduleCallback):
    """The learning rate grows from ``initial_lr / size`` to ``initial_lr``, batch by batch.

    Goyal et al., Accurate, Large Minibatch SGD, 2017 (arXiv:1706.02677).

    Args:
        initial_lr: learning rate in the end; None (as before Horovod 0.21) for that of the optimizer when training
            begins. A whole number here is ``warmup_epochs``, which came first then.
        warmup_epochs: epochs until then.
        momentum_correction, steps_per_epoch: see ``LearningRateScheduleCallback``.
        verbose: 1 lets rank 0 say when it is done.
    """

    def __init__(
        self,
        initial_lr: float | None = None,
        warmup_epochs: float = 5,
        momentum_correction: bool = True,
        steps_per_epoch: int | None = None,
        verbose: int = 0,
    ):
        if isinstance(initial_lr, int):
            initial_lr, warmup_epochs = None, initial_lr
        super().__init__(initial_lr, 1.0, 0, None, False, momentum_correction, steps_per_epoch)
        self.warmup_epochs = warmup_epochs
        self.end_epoch = int(np.ceil(warmup_epochs))
        self.verbose = verbose

    def factor(self, epoch: float) -> float:
        """From 1 / size to 1; the last batch of the last of these epochs has 1."""
        epoch += 1.0 / (self.steps_per_epoch or 1)
        ranks = job().size
        return (epoch * (ranks - 1) / self.warmup_epochs + 1) / ranks

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        if epoch + 1 == self.end_epoch and self.verbose > 0 and job().rank == 0:
            rate = float(K.get_value(self.model.optimizer.lr))
            write_out(f"\nEpoch {epoch + 1}: finished gradual learning rate warmup to {rate:g}.\n")


class BestModelCheckpoint(ModelCheckpoint):
    """Rank 0 saves the best model; ``filepath`` is set before training.

    Args:
        monitor, verbose, mode: see ``ModelCheckpoint``.
        save_freq: ``'epoch'``, the only one there is.
        filepath: of the model.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        verbose: int = 0,
        mode: str = "auto",
        save_freq: str = "epoch",
        filepath: Any = None,
    ):
        if save_freq != "epoch":
            raise ValueError(f"[BestModelCheckpoint] save_freq must be 'epoch'; got {save_freq!r}. Leave it out.")
        super().__init__(filepath or "", monitor, verbose, save_best_only=True, mode=mode)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self.filepath:
            raise ValueError("[BestModelCheckpoint] expected a filepath; got none. Set callback.filepath = 'best.h5'.")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if job().rank == 0:
            super().on_epoch_end(epoch, logs)

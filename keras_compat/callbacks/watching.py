"""Callbacks that act on the course of training: they follow values, stop it, set the learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.callbacks.base import Callback, Logs, available, counted
from keras_compat.dialect.level import get_api_level
from keras_compat.utils.generic_utils import warn
from keras_compat.utils.progbar import write_out


class Watch(Callback):
    """What those share that follow one value of the logs: is it better than before?"""

    def __init__(self, monitor: str, mode: str):
        super().__init__()
        name = type(self).__name__
        if mode not in ("auto", "min", "max"):
            warn(f"{name} mode {mode} is unknown, fallback to auto mode.")
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self._up = mode == "max" or (mode == "auto" and self._goes_up())
        # Subclasses of old programs call it, and set one of their own.
        self.monitor_op: Callable[[Any, Any], Any] = np.greater if self._up else np.less
        self.best: float = -np.inf if self._up else np.inf

    def _goes_up(self) -> bool:
        return "acc" in self.monitor or (get_api_level() == "1.2" and self.monitor.startswith("fmeasure"))

    def _forget(self) -> None:
        self.best = -np.inf if self._up else np.inf

    def _improves(self, value: float) -> bool:
        return bool(self.monitor_op(value, self.best))

    def _current(self, logs: Logs | None, without: str) -> float | None:
        """The value that is followed; None where the logs do not have it, with a warning that begins so."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn(f"{without} {available(self.monitor, logs)}")
        return value

    def _missing(self, purpose: str) -> str:
        return f"{purpose} conditioned on metric `{self.monitor}` which is not available."


class EarlyStopping(Watch):
    """Stops the training when a value has not become better for some epochs.

    Args:
        monitor: name in the logs.
        min_delta: what counts as better.
        patience: how many epochs without improvement are waited for. Keras 1 (API level 1.2) waits one epoch longer
            for a patience of 1 or more.
        verbose: 1 says so.
        mode: ``'min'``, ``'max'``, or ``'auto'``: accuracies should rise, all else fall.
        baseline: value to be better than from the start.
        restore_best_weights: at the end go back to the weights of the best epoch.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
    ):
        super().__init__(monitor, mode)
        # With the sign of the direction, as `monitor_op(current - min_delta, best)` of subclasses needs it.
        self.min_delta = min_delta if self._up else -min_delta
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.best_weights: Any = None
        self.wait = 0
        self.stopped_epoch = 0

    def _improves(self, value: float) -> bool:
        return bool(self.monitor_op(value - self.min_delta, self.best))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best_weights = None
        self._forget()
        if self.baseline is not None:
            self.best = self.baseline

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        current = self._current(logs, self._missing("Early stopping"))
        if current is None:
            return
        if self._improves(current):
            self.best = current
            self.wait = 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            return
        waited = self.wait
        self.wait += 1
        if (waited if get_api_level() == "1.2" else self.wait) < self.patience:
            return
        self.stopped_epoch = epoch
        self.model.stop_training = True
        if self.best_weights is not None:
            if self.verbose > 0:
                write_out("Restoring model weights from the end of the best epoch\n")
            self.model.set_weights(self.best_weights)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            write_out(f"Epoch {counted(self.stopped_epoch):05d}: early stopping\n")

    def get_monitor_value(self, logs: Logs) -> float | None:
        """The value that is followed, or None with a warning."""
        return self._current(logs, self._missing("Early stopping"))


class ReduceLROnPlateau(Watch):
    """Multiplies the learning rate by ``factor`` when a value has not become better for ``patience`` epochs.

    Args:
        monitor: name in the logs.
        factor: below 1.
        patience: epochs without improvement. Keras 1 (API level 1.2) waits one more before the first reduction.
        verbose: 1 says so.
        mode: ``'min'``, ``'max'`` or ``'auto'``.
        min_delta: what counts as better.
        cooldown: epochs after a reduction that do not count.
        min_lr: lower bound of the rate.
        epsilon: Keras 1's name of ``min_delta``.

    Raises ValueError for a factor of 1 or more.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0,
        *,
        epsilon: float | None = None,
    ):
        if epsilon is not None:
            min_delta = epsilon
            if get_api_level() != "1.2":
                warn("`epsilon` argument is deprecated and will be removed, use `min_delta` instead.")
        if factor >= 1.0:
            raise ValueError(f"[ReduceLROnPlateau] does not support a factor >= 1.0; got {factor}. Try 0.1.")
        super().__init__(monitor, mode)
        self.min_delta = min_delta
        self.monitor_op = self._clearly_better
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.cooldown_counter = 0
        self.wait = 0
        self._forget()

    def _clearly_better(self, current: float, best: float) -> bool:
        return bool(current > best + self.min_delta if self._up else current < best - self.min_delta)

    def in_cooldown(self) -> bool:
        """True in the epochs after a reduction that do not count."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        rate = float(K.get_value(self.model.optimizer.lr))
        if logs is not None:
            logs["lr"] = rate
        current = self._current(logs, self._missing("Reduce LR on plateau"))
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._improves(current):
            self.best = current
            self.wait = 0
            return
        if self.in_cooldown():
            return
        late = get_api_level() == "1.2"
        waited = self.wait
        self.wait += 1
        if (waited if late else self.wait) < self.patience:
            return
        if rate > self.min_lr * (1 + 1e-4 if late else 1):
            new = max(rate * self.factor, self.min_lr)
            K.set_value(self.model.optimizer.lr, new)
            if self.verbose > 0:
                write_out(f"\nEpoch {counted(epoch):05d}: ReduceLROnPlateau reducing learning rate to {new}.\n")
            self.cooldown_counter = self.cooldown
            self.wait = 1 if late else 0


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: a function of the epoch (from 0), or of the epoch and the rate of now, that gives the rate.
        verbose: 1 says so.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0):
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        if not hasattr(optimizer, "lr"):
            raise ValueError(
                f'[LearningRateScheduler] Optimizer must have a "lr" attribute; {type(optimizer).__name__} has none.'
            )
        rate = self._rate(epoch, float(K.get_value(optimizer.lr)))
        if not isinstance(rate, (float, np.floating)):
            raise ValueError(
                f'[LearningRateScheduler] The output of the "schedule" function should be float; got {rate!r}. '
                "Write float(...)."
            )
        K.set_value(optimizer.lr, rate)
        if self.verbose > 0:
            write_out(f"\nEpoch {counted(epoch):05d}: LearningRateScheduler setting learning rate to {rate}.\n")

    def _rate(self, epoch: int, now: float) -> Any:
        try:
            parameters = list(inspect.signature(self.schedule).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        required = [p for p in places if p.default is p.empty]
        # Keras 2 hands the rate to whatever takes a second argument, Keras 1 to none.
        if len(required) > 1 or (len(places) > 1 and get_api_level() != "1.2"):
            return self.schedule(epoch, now)
        return self.schedule(epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None and get_api_level() != "1.2":
            logs["lr"] = float(K.get_value(self.model.optimizer.lr))


class TerminateOnNaN(Callback):
    """Stops the training at the first batch whose loss is NaN or infinite.

    As in Keras that batch has changed the weights by then, and most of them are no numbers any more.

    Args:
        restore_finite_weights: go back to the weights from before that batch (or the last ones that were finite). They
            are copied before each batch, which takes time where weights are many; the optimizer's state stays as it is.
    """

    def __init__(self, *, restore_finite_weights: bool = False):
        super().__init__()
        self._finite: list[np.ndarray] | None = None
        if restore_finite_weights:
            self.on_batch_begin = self._keep  # type: ignore[method-assign]

    def _keep(self, batch: int, logs: Logs | None = None) -> None:
        weights = self.model.get_weights()
        if all(np.isfinite(weight).all() for weight in weights):
            self._finite = weights

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            write_out(f"Batch {batch}: Invalid loss, terminating training\n")
            self.model.stop_training = True
            if self._finite is not None:
                self.model.set_weights(self._finite)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._finite = None

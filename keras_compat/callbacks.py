"""Callbacks: what is told of the course of training, and may act on it.

The hooks of a callback are called only if its class defines them, so a hook that nobody uses costs nothing per batch.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level
from keras_compat.utils.generic_utils import warn
from keras_compat.utils.progbar import Progbar, show_value, write_out

Logs = dict[str, Any]

# One thing under two names: the older and the newer.
_NAMES = (
    ("acc", "accuracy"),
    ("mean_squared_error", "mse"),
    ("mean_absolute_error", "mae"),
    ("mean_absolute_percentage_error", "mape"),
    ("mean_squared_logarithmic_error", "msle"),
)


class LogValues(dict[str, Any]):
    """Values by name; ``logs["val_acc"]`` and ``logs["val_accuracy"]`` are one, whichever of them is listed."""

    def _known(self, name: Any) -> Any:
        """The name that is listed, for a name or its other spelling."""
        if dict.__contains__(self, name) or not isinstance(name, str):
            return name
        for pair in _NAMES:
            for one, other in (pair, pair[::-1]):
                if name == one or name.endswith("_" + one):
                    found = name[: len(name) - len(one)] + other
                    if dict.__contains__(self, found):
                        return found
        return name

    def __missing__(self, name: str) -> Any:
        found = self._known(name)
        if found == name:
            raise KeyError(name)
        return dict.__getitem__(self, found)

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, self._known(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name or of its other spelling."""
        return dict.get(self, self._known(name), default)


class Params(dict[str, Any]):
    """The description of a run; Keras 1's ``nb_epoch`` and ``nb_sample`` are ``epochs`` and ``samples``."""

    _OLD: ClassVar[dict[str, str]] = {"nb_epoch": "epochs", "nb_sample": "samples"}

    def __missing__(self, name: str) -> Any:
        if name not in self._OLD:
            raise KeyError(name)
        return self[self._OLD[name]]

    def __contains__(self, name: object) -> bool:
        return dict.__contains__(self, self._OLD.get(str(name), name))

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name, in the words of Keras 1 or 2."""
        return dict.get(self, self._OLD.get(name, name), default)


class Callback:
    """Base class. ``self.model`` and ``self.params`` are set before training.

    ``params`` holds verbose, epochs, steps, samples, batch_size, do_validation and metrics (names in the logs).
    ``logs`` holds ``batch`` and ``size`` at a batch's start, also the loss and metrics at its end, and the averages
    with ``val_`` twins at an epoch's end.
    """

    def __init__(self) -> None:
        self.validation_data: Any = None
        self.model: Any = None
        self.params: dict[str, Any] = {}

    def set_params(self, params: dict[str, Any]) -> None:
        """Take the description of the run."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model."""
        self.model = model

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Old name of ``on_train_batch_end``."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called before an epoch; they are counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called after an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a training batch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a training batch."""
        self.on_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of evaluate, also in the validation of fit."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of evaluate."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called before a batch of predict."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called after a batch of predict."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called after the last epoch."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called before evaluate, also in the validation of fit."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called after evaluate."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called before predict."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called after predict."""


_BATCH_ALIASES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}
_HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


class CallbackList:
    """Several callbacks called as one, in order; hooks that a callback does not define are left out."""

    def __init__(self, callbacks: Iterable[Any] | None = None, queue_length: int = 10):
        self.callbacks: list[Any] = list(callbacks or ())
        self.params: dict[str, Any] = {}
        self.model: Any = None
        self.queue_length = queue_length
        self._hooks: dict[str, list[Callable[..., Any]]] = {}
        self._resolve()

    def _resolve(self) -> None:
        """Find out who defines what: class or instance, the hook itself or its old name."""
        self._hooks = {hook: [] for hook in _HOOKS}
        for callback in self.callbacks:
            for hook in _HOOKS:
                if hook in _BATCH_ALIASES.values():
                    continue
                if _defines(callback, hook) or (hook in _BATCH_ALIASES and _defines(callback, _BATCH_ALIASES[hook])):
                    method = getattr(callback, hook, None) or getattr(callback, _BATCH_ALIASES[hook])
                    self._hooks[hook].append(method)

    def listeners(self, hook: str, without: Sequence[Any] = ()) -> list[Callable[..., Any]]:
        """The bound methods that a hook calls, but for those of some callbacks."""
        found = self._hooks[hook]
        return [m for m in found if getattr(m, "__self__", None) not in without] if without else found

    def append(self, callback: Any) -> None:
        """Add a callback at the end."""
        self.callbacks.append(callback)
        self._resolve()

    def set_params(self, params: dict[str, Any]) -> None:
        """Pass the description of the run on."""
        self.params = params = Params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Pass the model on."""
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def _call(self, hook: str, logs: Logs | None, *counts: int) -> None:
        logs = LogValues() if logs is None else logs
        for method in self._hooks[hook]:
            method(*counts, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Same as ``on_train_batch_begin``."""
        self._call("on_train_batch_begin", logs, batch)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Same as ``on_train_batch_end``."""
        self._call("on_train_batch_end", logs, batch)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training batch."""
        self._call("on_train_batch_begin", logs, batch)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training batch."""
        self._call("on_train_batch_end", logs, batch)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of evaluate."""
        self._call("on_test_batch_begin", logs, batch)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of evaluate."""
        self._call("on_test_batch_end", logs, batch)

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of predict."""
        self._call("on_predict_batch_begin", logs, batch)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of predict."""
        self._call("on_predict_batch_end", logs, batch)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch."""
        self._call("on_epoch_begin", logs, epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch; callbacks see and may extend the same logs, in order."""
        self._call("on_epoch_end", logs, epoch)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before training."""
        self._call("on_train_begin", logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After training."""
        self._call("on_train_end", logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before evaluate."""
        self._call("on_test_begin", logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After evaluate."""
        self._call("on_test_end", logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before predict."""
        self._call("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After predict."""
        self._call("on_predict_end", logs)

    def __iter__(self) -> Any:
        return iter(self.callbacks)


def _defines(callback: Any, hook: str) -> bool:
    """True when the callback has a hook of its own, in its class or on the instance."""
    if hook in getattr(callback, "__dict__", {}):
        return True
    own = getattr(type(callback), hook, None)
    return own is not None and own is not getattr(Callback, hook)


class BaseLogger(Callback):
    """Averages loss and metrics over the samples of an epoch; always there.

    ``stateful_metrics`` names the values that are running results already and are logged as they are.
    """

    def __init__(self, stateful_metrics: Iterable[str] | None = None):
        super().__init__()
        self.stateful_metrics = set(stateful_metrics or ())
        self.seen = 0
        self.totals: Logs = {}
        self.report: Any = None  # of a training loop that keeps the averages itself

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.seen = 0
        self.totals = {}

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        size = logs.get("size", 0)
        self.seen += size * logs.get("num_steps", 1)
        totals, stateful = self.totals, self.stateful_metrics
        for name, value in logs.items():
            if name in stateful:
                totals[name] = value
            else:
                totals[name] = totals.get(name, 0) + value * size

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is None:
            return
        if self.report is not None:
            logs.update(zip(self.report.names, self.report.averages()))
            return
        for name in self.params["metrics"]:
            if name in self.totals:
                value = self.totals[name]
                logs[name] = value if name in self.stateful_metrics else value / max(self.seen, 1)


class ProgbarLogger(Callback):
    """Prints the progress bar of ``verbose=1``, or one line an epoch for ``verbose=2``.

    Args:
        count_mode: what the bar counts, ``'samples'`` or ``'steps'``.
        stateful_metrics: values shown as they come instead of averaged.
    """

    def __init__(self, count_mode: str = "samples", stateful_metrics: Iterable[str] | None = None):
        super().__init__()
        if count_mode not in ("samples", "steps"):
            raise ValueError(f"[ProgbarLogger] Unknown `count_mode`: {count_mode!r}; expected 'samples' or 'steps'.")
        self.use_steps = count_mode == "steps"
        self.stateful_metrics = set(stateful_metrics or ())
        self.verbose = 0
        self.epochs = 1
        self.target: int | None = None
        self.progbar: Progbar | None = None
        self.seen = 0
        self._sums: Logs = {}
        self._weight = 0
        self.report: Any = None  # of a training loop that keeps the averages itself, and calls draw()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.verbose = self.params["verbose"]
        self.epochs = self.params["epochs"]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.seen = self._weight = 0
        self._sums = {}
        self.target = self.params["steps"] if self.use_steps else self.params["samples"]
        if self.verbose:
            if self.epochs > 1:
                write_out(f"Epoch {epoch + 1}/{self.epochs}\n")
            self.progbar = Progbar(self.target, verbose=self.verbose, stateful_metrics=self.params["metrics"])

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        size = logs.get("size", 0)
        n = logs.get("num_steps", 1) if self.use_steps else size
        self.seen += n
        progbar = self.progbar
        if progbar is None or self.verbose != 1:
            return
        self._weight += n
        sums, stateful = self._sums, self.stateful_metrics
        for name, value in logs.items():
            sums[name] = value if name in stateful else sums.get(name, 0.0) + value * n
        if progbar.due():
            self._update(self._shown())

    def draw(self, report: Any) -> None:
        """Show how far the epoch is, by the report of its training loop, if it is time to."""
        progbar = self.progbar
        if progbar is not None and progbar.due():
            self.seen = report.done
            self._update(list(zip(report.names, report.averages())))

    def _update(self, values: list[tuple[str, Any]]) -> None:
        # The epoch's end shows the last line.
        if self.progbar is not None and (self.target is None or self.seen < self.target):
            self.progbar.update(self.seen, values)

    def _shown(self) -> list[tuple[str, Any]]:
        out = []
        for name in self.params["metrics"]:
            if name in self._sums:
                value = self._sums[name]
                out.append((name, value if name in self.stateful_metrics else value / max(self._weight, 1)))
        return out

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.progbar is None or not self.verbose:
            return
        if self.report is not None:
            self.seen = self.report.done
        values = [(name, (logs or {})[name]) for name in self.params["metrics"] if name in (logs or {})]
        if self.verbose == 2:
            took = self.progbar.elapsed()
            write_out(f" - {took:.0f}s" + "".join(f" - {k}: {show_value(v)}" for k, v in values) + "\n")
        else:
            self.progbar.finish(self.seen, values)


class History(Callback):
    """Collects the logs of each epoch in ``history``: name -> list of values. ``fit`` returns it."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = LogValues()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []
        self.history = LogValues()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            if not dict.__contains__(self.history, name):
                self.history[name] = []
            self.history[name].append(value)


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: called with ``epoch, logs``.
        on_batch_begin, on_batch_end: called with ``batch, logs``.
        on_train_begin, on_train_end: called with ``logs``.
        kwargs: further hooks by name.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_batch_begin: Callable[..., Any] | None = None,
        on_batch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__()
        hooks: Mapping[str, Any] = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_batch_begin": on_batch_begin,
            "on_batch_end": on_batch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            **kwargs,
        }
        for name, function in hooks.items():
            if function is not None:
                setattr(self, name, function)


# -- what acts on the course of training ------------------------------------------------------------------------------


class _Watch(Callback):
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

    def _current(self, logs: Logs | None, purpose: str) -> float | None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            warn(
                f"{purpose} conditioned on metric `{self.monitor}` which is not available. Available metrics are: "
                f"{','.join(logs or ())}"
            )
        return value


class EarlyStopping(_Watch):
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
        current = self._current(logs, "Early stopping")
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
            write_out(f"Epoch {self.stopped_epoch + 1:05d}: early stopping\n")

    def get_monitor_value(self, logs: Logs) -> float | None:
        """The value that is followed, or None with a warning."""
        return self._current(logs, "Early stopping")


class ReduceLROnPlateau(_Watch):
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
        **kwargs: Any,
    ):
        if "epsilon" in kwargs:
            min_delta = kwargs.pop("epsilon")
        if kwargs:
            raise TypeError(f"[ReduceLROnPlateau] Keyword argument not understood: {', '.join(kwargs)}. Check it.")
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
        current = self._current(logs, "Reduce LR on plateau")
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
                write_out(f"\nEpoch {epoch + 1:05d}: ReduceLROnPlateau reducing learning rate to {new}.\n")
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
            write_out(f"\nEpoch {epoch + 1:05d}: LearningRateScheduler setting learning rate to {rate}.\n")

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
    """Stops the training at the first batch whose loss is NaN or infinite."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not np.isfinite(loss):
            write_out(f"Batch {batch}: Invalid loss, terminating training\n")
            self.model.stop_training = True


class ModelCheckpoint(_Watch):
    """Saves the model after epochs.

    Args:
        filepath: may hold ``{epoch}`` and names of the logs: ``'weights.{epoch:02d}-{val_loss:.2f}.hdf5'``. Epochs are
            counted from 1; from 0 at API level 1.2, as in Keras 1.
        monitor: name in the logs of what tells the best.
        verbose: 1 says so.
        save_best_only: keep the best only.
        save_weights_only: ``save_weights`` instead of ``save``.
        mode: ``'min'``, ``'max'`` or ``'auto'``.
        period: epochs between two savings.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        period: int = 1,
    ):
        super().__init__(monitor, mode)
        self.filepath = filepath
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.period = period
        self.epochs_since_last_save = 0

    def _goes_up(self) -> bool:
        return "acc" in self.monitor or self.monitor.startswith("fmeasure")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs if logs is not None else LogValues()
        self.epochs_since_last_save += 1
        if self.epochs_since_last_save < self.period:
            return
        self.epochs_since_last_save = 0
        counted = epoch if get_api_level() == "1.2" else epoch + 1
        path = str(os.fspath(self.filepath)).format_map(LogValues({**logs, "epoch": counted}))
        text = f"saving model to {path}"
        if self.save_best_only:
            current = self._current(logs, "Can save best model only")
            if current is None:
                return
            if not self._improves(current):
                self._say(epoch, f"{self.monitor} did not improve from {self.best:0.5f}")
                return
            text = f"{self.monitor} improved from {self.best:0.5f} to {current:0.5f}, {text}"
            self.best = current
        self._say(epoch, text)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            write_out(f"\nEpoch {epoch + 1:05d}: {text}\n")

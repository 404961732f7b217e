"""Callbacks: what is told of the course of training, and may act on it.

The hooks of a callback are called only if its class defines them, so a hook that nobody uses costs nothing per batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keras_compat.utils.progbar import Progbar, show_value, write_out

Logs = dict[str, Any]


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

    def listeners(self, hook: str) -> list[Callable[..., Any]]:
        """The bound methods that a hook calls."""
        return self._hooks[hook]

    def append(self, callback: Any) -> None:
        """Add a callback at the end."""
        self.callbacks.append(callback)
        self._resolve()

    def set_params(self, params: dict[str, Any]) -> None:
        """Pass the description of the run on."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Pass the model on."""
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def _call(self, hook: str, logs: Logs | None, *counts: int) -> None:
        logs = {} if logs is None else logs
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
        # The line is made up only when it will be shown; the epoch's end shows the last one.
        if progbar.due() and (self.target is None or self.seen < self.target):
            progbar.update(self.seen, self._shown())

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
        self.history: dict[str, list[Any]] = {}

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []
        self.history = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


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

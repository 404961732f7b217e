"""Callbacks that collect and show: averages, progress, history; and one made of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from keras_compat.callbacks.base import Callback, Logs, LogValues
from keras_compat.utils.progbar import Progbar, write_out


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
        # A bar that is asked for by name is shown: with `verbose=0` it is the only one.
        self.verbose = self.params["verbose"] or 1
        self.epochs = self.params["epochs"]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.seen = self._weight = 0
        self._sums = {}
        self.target = self._steps() if self.use_steps else self.params["samples"]
        if self.verbose:
            write_out(f"Epoch {epoch + 1}/{self.epochs}\n")
            self.progbar = Progbar(self.target, verbose=self.verbose, stateful_metrics=self.params["metrics"])

    def _steps(self) -> int | None:
        """Batches of an epoch; Keras says their number only where they are not counted in samples."""
        steps, samples, size = (self.params.get(name) for name in ("steps", "samples", "batch_size"))
        return -(-samples // size) if steps is None and samples and size else steps

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
        self.progbar.finish(self.seen, values)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.progbar is not None:
            self.progbar.leave()


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

    def get_state(self) -> dict[str, Any]:
        """The epochs so far, for a training that goes on."""
        return {"epoch": self.epoch, "history": self.history}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``get_state`` returned."""
        self.epoch, self.history = state["epoch"], state["history"]


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

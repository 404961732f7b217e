"""What a callback is, and how several are called as one."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, ClassVar

from keras_compat.dialect.level import get_api_level
from keras_compat.utils.generic_utils import warn

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


def available(name: str, logs: Logs | None) -> str:
    """What there is in the place of a value that the logs do not have: all names, and the one that is meant perhaps."""
    names = list(logs or ())
    near = difflib.get_close_matches(name, names, 1)
    meant = f" Is {near[0]!r} meant?" if near else ""
    if name.startswith("val_") and not any(known.startswith("val_") for known in names):
        meant = " Is there no validation data?"
    return f"Available metrics are: {','.join(names)}.{meant}"


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


def counted(epoch: int) -> int:
    """The number of an epoch in file names and messages: from 1 on, in Keras 1 (API level 1.2) from 0 on."""
    return epoch if get_api_level() == "1.2" else epoch + 1


class Callback:
    """Base class. ``self.model`` and ``self.params`` are set before training.

    ``params`` holds verbose, epochs, steps, samples, batch_size, do_validation, metrics (names in the logs), and
    goes_on: whether the run continues an earlier one from a saved state. When an exception or Ctrl-C has ended the
    training, ``params["interrupted"]`` is True in ``on_train_end``.
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
        """Called after the last epoch, and after an exception or Ctrl-C: the place to close files."""

    def on_save_point(self, point: Any) -> None:
        """Called after each batch and each epoch of ``fit``, when all callbacks have been told of it.

        ``point.epoch`` and ``point.batch`` tell where training goes on, ``point.stopped`` whether a callback has ended
        it. ``point.save(path, whole=True)`` writes a checkpoint (see ``saving.state.restore_state``).
        """

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
                method = None if hook in _BATCH_ALIASES.values() else _method(callback, hook)
                if method is not None:
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

    def training(self) -> Training:
        """A training as a ``with`` block; see :class:`Training`."""
        return Training(self)

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


class Training:
    """A ``with`` block from ``on_train_begin`` to ``on_train_end``, which whoever began is told whatever happens.

    ``params["interrupted"]`` tells callbacks of an exception, which goes on its way when all have been told. What one
    of them raises then is a warning; what one raises at a quiet end comes out when the others have been told.
    """

    def __init__(self, hooks: CallbackList):
        self.hooks = hooks
        self._begun: list[Any] = []

    def __enter__(self) -> None:
        try:
            for callback in self.hooks.callbacks:
                self._tell(callback, "on_train_begin")
                self._begun.append(callback)
        except BaseException:
            self._end(interrupted=True)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(interrupted=error is not None)

    def _end(self, interrupted: bool) -> None:
        if interrupted:
            self.hooks.params["interrupted"] = True
        for i, callback in enumerate(self._begun):
            try:
                self._tell(callback, "on_train_end")
            except BaseException as error:
                if not interrupted:
                    self._begun = self._begun[i + 1 :]
                    self._end(interrupted=True)
                    raise
                warn(f"[{type(callback).__name__}] on_train_end raised {type(error).__name__}: {error}")

    @staticmethod
    def _tell(callback: Any, hook: str) -> None:
        method = _method(callback, hook)
        if method is not None:
            method(LogValues())


def _method(callback: Any, hook: str) -> Callable[..., Any] | None:
    """The hook of a callback that defines it, perhaps under its old name."""
    if _defines(callback, hook) or (hook in _BATCH_ALIASES and _defines(callback, _BATCH_ALIASES[hook])):
        return getattr(callback, hook, None) or getattr(callback, _BATCH_ALIASES[hook])
    return None


def _defines(callback: Any, hook: str) -> bool:
    """True when the callback has a hook of its own, in its class or on the instance."""
    if hook in getattr(callback, "__dict__", {}):
        return True
    own = getattr(type(callback), hook, None)
    return own is not None and own is not getattr(Callback, hook)

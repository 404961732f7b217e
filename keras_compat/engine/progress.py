"""Where a ``fit`` is, and how it goes into a file and on from there.

After each batch and each epoch, when all callbacks have been told, those with an ``on_save_point`` get the ``Progress``
and may have it saved. A fit that goes on from a file begins as any other; then, once all callbacks know that training
begins, model, random generators and callbacks are brought to what they were, and so again within the epoch if it was
under way: what its beginning changes a second time does not count.
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from keras_compat.callbacks import BackupAndRestore
from keras_compat.engine.generators import GeneratorLoop, Source
from keras_compat.engine.steps import Report, TrainLoop
from keras_compat.saving import state as S
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.objects import Kept
from keras_compat.utils.generic_utils import warn

# What ``fit`` gives callbacks is none of their state.
_GIVEN = ("model", "params", "validation_data")
_PARTS: dict[str, Any] = {
    "epoch": int,
    "batch": int,
    "stopped": bool,
    "report": (dict, type(None)),
    "loop": dict,
    "validation": (dict, type(None)),
    "callbacks": list,
    "data": list,
}


class Progress:
    """The position of a fit: ``epoch`` (from 0) is under way or comes next, ``batch`` batches of it are done.

    Args:
        model: in training.
        hooks: the CallbackList.
        loop: of batches.
        report: of the epoch.
        validation: what is validated on.
        without: callbacks whose state is the report's.
        initial_epoch: that fit was given.

    Raises:
        ValueError: the file to go on from holds another training.
        CorruptFileError: it is damaged.
    """

    def __init__(
        self,
        model: Any,
        hooks: Any,
        loop: TrainLoop | GeneratorLoop,
        report: Report,
        validation: Any,
        without: list[Any],
        initial_epoch: int,
    ):
        self.model = model
        self.epoch = initial_epoch
        self.batch = 0
        self._loop = loop
        self._report = report
        self._validation = validation if isinstance(validation, Source) else None
        self._listeners = hooks.listeners("on_save_point")
        self._callbacks: list[Kept] = []
        self._data: list[Kept] = []
        self._pairs: list[tuple[Kept, Any]] = []
        self._state = self._found(hooks)
        if self._listeners or self._state is not None:
            self._callbacks = [Kept(c, _GIVEN) for c in hooks.callbacks if c not in without]
            sources = [loop.source if isinstance(loop, GeneratorLoop) else None, self._validation]
            self._data = [Kept(source.source) for source in sources if source is not None]
        if self._state is not None:
            self._prepare(self._state)
        if self._listeners:
            report.after = self._after_batch

    @property
    def stopped(self) -> bool:
        """A callback has ended the training."""
        return bool(self.model.stop_training)

    @property
    def goes_on(self) -> bool:
        """This fit goes on from a file."""
        return self._state is not None

    # -- saving -------------------------------------------------------------------------------------------------------

    def save(self, path: Any, whole: bool = False) -> None:
        """Write all that it takes to go on from here to a file, atomically: with the model around it if ``whole``."""
        S.write_state(self.model, path, whole, self._fit_state())

    def _fit_state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "stopped": self.stopped,
            "report": self._report.get_state() if self.batch else None,
            "loop": self._loop.get_state(),
            "validation": self._validation.get_state() if self._validation is not None else None,
            "callbacks": [[kept.name, kept.state()] for kept in self._callbacks],
            "data": [[kept.name, kept.state()] for kept in self._data],
        }

    def _after_batch(self, batch: int) -> None:
        self.batch = batch
        if not self.stopped:  # the epoch ends then, and is saved at its end
            self._tell()

    def after_epoch(self) -> None:
        """All is done for an epoch."""
        self.epoch, self.batch = self.epoch + 1, 0
        self._tell()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener(self)

    # -- going on -----------------------------------------------------------------------------------------------------

    def _found(self, hooks: Any) -> S.TrainingState | None:
        """The state to go on from: a backup that a callback knows of, or what ``restore_state`` read."""
        waiting, self.model._state_to_go_on_from = self.model._state_to_go_on_from, None
        asked = [c for c in hooks.callbacks if isinstance(c, BackupAndRestore)]
        if len(asked) > 1:
            raise ValueError(
                f"[fit] expected one BackupAndRestore; got {len(asked)}. Which one should training follow?"
            )
        path = asked[0].find_backup() if asked else None
        state = S.read_state(path) if path is not None else waiting
        if state is None:
            return None
        fit = state.fit
        if not isinstance(fit, dict) or dict.fromkeys(_PARTS, True) != {
            name: isinstance(value, _PARTS.get(name, ())) for name, value in fit.items()
        }:
            raise CorruptFileError(f"[fit] {state.path} does not say where a fit was. Was it written by save_state()?")
        if path is None and self.epoch not in (0, fit["epoch"]):
            raise ValueError(
                f"[fit] restore_state has brought the model to the start of epoch {fit['epoch']}; got "
                f"initial_epoch={self.epoch}. Leave it out."
            )
        return state

    def _prepare(self, state: S.TrainingState) -> None:
        """See that everything fits, before anything is changed."""
        S.check_state(self.model, state)
        fit: Any = state.fit
        self._loop.set_state(fit["loop"], fit["batch"])
        if self._validation is not None and fit["validation"] is not None:
            self._validation.set_state(fit["validation"])
        self._pairs = [*_pairs(self._data, fit["data"]), *_pairs(self._callbacks, fit["callbacks"])]
        for kept, value in self._pairs:
            kept.check(value)

    def begin(self, epochs: int) -> range:
        """The epochs to train, once the callbacks know that training begins."""
        for kept in (*self._callbacks, *self._data):
            kept.begun()
        if self._state is None:
            return range(self.epoch, epochs)
        fit: Any = self._state.fit
        self._apply(self._state)
        if fit["stopped"]:
            self.model.stop_training = True
            return range(0)
        return range(fit["epoch"], epochs)

    def begin_epoch(self, epoch: int) -> int:
        """Number of the batch to begin with, once the callbacks know that the epoch begins."""
        self.epoch, self.batch = epoch, 0
        state, self._state = self._state, None
        if state is not None and state.fit is not None and state.fit["batch"]:
            self._apply(state)
            self._report.set_state(state.fit["report"])
            self.batch = state.fit["batch"]
        return self.batch

    def _apply(self, state: S.TrainingState) -> None:
        for kept, value in self._pairs:
            kept.restore(copy.deepcopy(value))  # perhaps for the first of two times
        S.set_state(self.model, state, weights=False)


def _pairs(present: list[Kept], states: list[Any]) -> list[tuple[Kept, Any]]:
    """Each object with its state: the first of a class has that of the first of this class in the file, and so on."""
    stored: dict[tuple[str, int], Any] = {}
    count: Counter[str] = Counter()
    for name, state in states:
        stored[name, count[name]] = state
        count[name] += 1
    count.clear()
    pairs = []
    for kept in present:
        key = kept.name, count[kept.name]
        count[kept.name] += 1
        if key in stored:
            pairs.append((kept, stored.pop(key)))
    left = [name for (name, _), state in stored.items() if state]
    if left:
        warn(f"[fit] the file holds the state of objects that are not there now: {', '.join(left)}. It is left out.")
    return pairs

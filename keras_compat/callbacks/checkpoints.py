"""Callbacks that save: models after epochs, and all that it takes to go on after an interruption."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from keras_compat.callbacks.base import Callback, Logs, LogValues, available, counted
from keras_compat.callbacks.watching import Watch
from keras_compat.utils.progbar import write_out


class ModelCheckpoint(Watch):
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
        initial_value_threshold: with save_best_only, the value to be better than from the start (tf.keras 2.6): what an
            earlier run reached. A run that goes on from a saved state knows its best by itself.
        save_state: write the full state of training beside the model, to an HDF5 file, with what all callbacks know
            after the epoch; ``models.restore_state`` goes on from it.

    Raises ValueError where ``save_state`` meets ``save_weights_only`` or another format than HDF5.
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
        *,
        initial_value_threshold: float | None = None,
        save_state: bool = False,
    ):
        super().__init__(monitor, mode)
        if save_state and save_weights_only:
            raise ValueError(
                "[ModelCheckpoint] save_state=True saves whole models; got save_weights_only=True. Drop one."
            )
        if save_state and str(os.fspath(filepath)).endswith(".keras"):
            raise ValueError(f"[ModelCheckpoint] save_state=True writes HDF5; got {filepath!r}. Let it end in .h5.")
        self.filepath = filepath
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.period = period
        self.epochs_since_last_save = 0
        if initial_value_threshold is not None:
            self.best = initial_value_threshold
        self._waiting: Path | None = None  # for the other callbacks to be told of the epoch
        if save_state:
            self.on_save_point = self._save_state  # type: ignore[method-assign]

    def _goes_up(self) -> bool:
        return "acc" in self.monitor or self.monitor.startswith("fmeasure")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs if logs is not None else LogValues()
        self.epochs_since_last_save += 1
        if self.epochs_since_last_save < self.period:
            return
        self.epochs_since_last_save = 0
        path = self._path(epoch, logs)
        text = f"saving model to {path}"
        if self.save_best_only:
            current = self._current(logs, f"Can save best model only with {self.monitor} available, skipping.")
            if current is None:
                return
            if not self._improves(current):
                self._say(epoch, f"{self.monitor} did not improve from {self.best:0.5f}")
                return
            text = f"{self.monitor} improved from {self.best:0.5f} to {current:0.5f}, {text}"
            self.best = current
        self._say(epoch, text)
        if "on_save_point" in self.__dict__:
            self._waiting = Path(path)
        elif self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)

    def _path(self, epoch: int, logs: Logs) -> str:
        values = LogValues({**logs, "epoch": counted(epoch)})
        try:
            return str(os.fspath(self.filepath)).format_map(values)
        except KeyError as missing:
            known = available(str(missing.args[0]), values)
            raise KeyError(f"[ModelCheckpoint] filepath {self.filepath!r} asks for {missing}. {known}") from None

    def _save_state(self, point: Any) -> None:
        if self._waiting is not None:
            path, self._waiting = self._waiting, None
            point.save(path, whole=True)

    def _say(self, epoch: int, text: str) -> None:
        if self.verbose > 0:
            write_out(f"\nEpoch {counted(epoch):05d}: {text}\n")


class BackupAndRestore(Callback):
    """Lets a training that was interrupted go on: start the program again, and ``fit`` begins at the last backup.

    What comes then is bit for bit what an uninterrupted run gives: weights, History (of all epochs, also those before
    the interruption; tf.keras lists only the later ones), learning rates, early stopping, best values of checkpoints,
    dropout, the order of samples, draws from NumPy's and Python's global generators. The program has to make the same
    model, compile it and call ``fit`` with the same data and callbacks; ``epochs`` may be larger. Callbacks and
    sequences of batches of your own are restored as :mod:`keras_compat.saving.objects` says; a generator function
    begins anew, which makes no difference if it only draws from the global generators.

    A backup is written beside the last one and then takes its name: whatever happens, one of the two is whole. A
    training that a callback had ended goes no further. Each ``fit`` needs a folder of its own.

    Args:
        backup_dir: folder of the backup; made if need be.
        save_freq: ``'epoch'``, or a number of batches.
        delete_checkpoint: remove the backup when training has ended. After an exception or Ctrl-C it stays.
        double_checkpoint, save_before_preemption: of later Keras; taken for its programs, and without effect.
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: int | str = "epoch",
        delete_checkpoint: bool = True,
        *,
        double_checkpoint: bool = False,
        save_before_preemption: bool = False,
    ):
        super().__init__()
        if not isinstance(backup_dir, (str, bytes, os.PathLike)) or not os.fspath(backup_dir):
            raise ValueError(f"[BackupAndRestore] backup_dir must be the path of a folder; got {backup_dir!r}.")
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f"[BackupAndRestore] save_freq must be 'epoch' or a number of batches; got {save_freq!r}. Write "
                "save_freq=100."
            )
        self.backup_dir = Path(os.fsdecode(backup_dir))
        self.save_freq = save_freq
        self.delete_checkpoint = delete_checkpoint
        self.batches = 0  # since the last backup
        if self.backup_dir.exists() and not self.backup_dir.is_dir():
            raise ValueError(f"[BackupAndRestore] backup_dir must be a folder; {backup_dir!r} is a file.")

    @property
    def path(self) -> Path:
        """The file of the backup."""
        return self.backup_dir / "training_state.h5"

    def find_backup(self) -> Path | None:
        """The file of the backup, if there is one."""
        return self.path if self.path.exists() else None

    def on_save_point(self, point: Any) -> None:
        if self.save_freq == "epoch":
            due = not point.batch
        else:
            self.batches += 1 if point.batch else 0
            due = bool(point.batch) and self.batches >= int(self.save_freq)
        if due:
            self.batches = 0
            self.backup_dir.mkdir(parents=True, exist_ok=True)
            point.save(self.path)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint and not self.params.get("interrupted") and self.path.exists():
            self.path.unlink()
            if not any(self.backup_dir.iterdir()):
                self.backup_dir.rmdir()

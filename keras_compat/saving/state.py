"""The full state of a training, so that it goes on from a file as if it had never stopped, bit by bit.

Beside the weights these are the optimizer's variables and counters, the learning rate, the states of recurrent layers,
running results of metrics, every random generator (those of the layers, NumPy's global one, Python's, autotensor's),
and, of a ``fit`` under way, where it is and what its callbacks know (``engine.progress`` puts that together).

It is a group of its own, ``training_state``, of an HDF5 file: in a checkpoint beside a model in the layout of Keras
2.3.1, which that release reads as ever; in a backup alone. It is made of arrays and plain data.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

import h5py
import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.saving import guard, plain
from keras_compat.saving.atomic import write_h5
from keras_compat.saving.errors import CorruptFileError

GROUP = "training_state"
_FORMAT = 1
_PARTS = {"format", "whole", "optimizer", "variables", "generators", "random", "fit", "extra"}


class TrainingState(NamedTuple):
    """A state as it was read.

    Attributes:
        path: of the file.
        whole: the file is a checkpoint: the weights, and those of the optimizer if ``optimizer`` is not None, are where
            a model file has them.
        variables: values of the variables (of those that stand nowhere else, in a checkpoint).
        generators: states of the random generators in the model, in the order of its graph.
        random: states of the process's own.
        optimizer: values of ``optimizer.weights`` in a checkpoint.
        fit: where a ``fit`` was, or None.
        extra: what the program put beside.
    """

    path: str
    whole: bool
    variables: list[np.ndarray]
    generators: list[dict[str, int]]
    random: dict[str, Any]
    optimizer: list[np.ndarray] | None
    fit: dict[str, Any] | None
    extra: Any


class Restored(NamedTuple):
    """Where training goes on: ``epoch`` (from 0) and ``batch`` in it, and what was put beside as ``extra``.

    ``stopped`` tells that a callback had ended the training.
    """

    epoch: int
    batch: int
    stopped: bool
    extra: Any


# -- what belongs to it -----------------------------------------------------------------------------------------------


def _without(variables: list[at.Variable], others: Any) -> list[at.Variable]:
    left = {id(v) for v in others}
    return [v for v in variables if id(v) not in left]


def random_state() -> dict[str, Any]:
    """States of the generators that belong to the process: NumPy's global one, Python's, autotensor's."""
    return {
        "numpy": np.random.get_state(legacy=False),
        "python": random.getstate(),
        "autotensor": at.random.get_state(),
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Go back to what :func:`random_state` returned. Raises CorruptFileError for what it does not return."""
    before = random_state()
    try:
        np.random.set_state(state["numpy"])
        random.setstate(state["python"])
        at.random.set_state(state["autotensor"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        np.random.set_state(before["numpy"])
        random.setstate(before["python"])
        raise CorruptFileError(
            f"[restore] these are no states of random generators: {error}. Is the file whole?"
        ) from None


# -- writing ----------------------------------------------------------------------------------------------------------


def save_state(model: Any, path: Any, extra: Any = None) -> None:
    """Write a model and the full state of its training to one HDF5 file, atomically: a checkpoint to go on from.

    For loops of one's own over ``train_on_batch``; with ``fit``, ``ModelCheckpoint(save_state=True)`` does it. The file
    is a model file as ``model.save`` writes it, with a group more.

    Args:
        model: compiled.
        path: of the file, ``.h5``.
        extra: plain data (numbers, texts, arrays, lists and dictionaries) to be kept beside, such as the epoch;
            :func:`restore_state` gives it back.
    """
    write_state(model, path, whole=True, extra=extra)


def write_state(model: Any, path: Any, whole: bool, fit: Any = None, extra: Any = None) -> None:
    """Write the state of training with what ``fit`` knows, in a model file if ``whole``, or alone."""
    variables, generators = model._require_compiled("state").sources()

    def write(f: h5py.File) -> None:
        kept, listed = variables, list(getattr(model.optimizer, "weights", ()))
        beside = False
        if whole:
            model.save(f)
            beside = _holds(f, listed)
            kept = _without(kept, [*model.weights, *(listed if beside else ())])
        state = {
            "format": _FORMAT,
            "whole": whole,
            "optimizer": beside,
            "variables": [np.asarray(K.get_value(v)) for v in kept],
            "generators": [g.get_state() for g in generators],
            "random": random_state(),
            "fit": fit,
            "extra": extra,
        }
        plain.write(f.create_group(GROUP), state)

    write_h5(path, write)


def _holds(f: h5py.File, variables: list[at.Variable]) -> bool:
    """Whether a model file has the optimizer's state as it is: older levels list it in another way than Keras 2.3.1."""
    group = f.get("optimizer_weights")
    names = [] if group is None else list(group.attrs.get("weight_names", ()))
    return len(names) == len(variables) and all(
        np.array_equal(np.asarray(group[name], v.dtype), K.get_value(v), equal_nan=True)
        for name, v in zip(names, variables)
    )


# -- reading ----------------------------------------------------------------------------------------------------------


def read_state(path: Any) -> TrainingState:
    """Read the state in a file; nothing is changed.

    Raises:
        CorruptFileError: the file is damaged, or of a later format.
        ValueError: it holds no state.
    """
    with guard.open_h5(path) as f:
        group = guard.child(f, GROUP)
        if group is None:
            raise ValueError(
                f"[restore] expected a file with the state of a training; {path} has none. Was it written by "
                "BackupAndRestore or ModelCheckpoint(save_state=True)?"
            )
        if not isinstance(group, h5py.Group):
            raise _damaged(path)
        state = plain.read(group, "training state")
        if not isinstance(state, dict) or type(state.get("format")) is not int:
            raise _damaged(path)
        if state["format"] != _FORMAT:
            raise CorruptFileError(
                f"[restore] expected a state of format {_FORMAT}; {path} has format {state['format']}. Was it written "
                "by a later release? Go on with that one."
            )
        if set(state) != _PARTS or not all(isinstance(v, np.ndarray) for v in state["variables"]):
            raise _damaged(path)
        optimizer = None
        if state["optimizer"]:
            stored = guard.child(f, "optimizer_weights")
            if not isinstance(stored, h5py.Group):
                raise _damaged(path)
            optimizer = [guard.array(stored, name).read() for name in guard.texts(stored, "weight_names") or ()]
    parts = {name: state[name] for name in ("whole", "variables", "generators", "random", "fit", "extra")}
    return TrainingState(path=path, optimizer=optimizer, **parts)


def _damaged(path: Any) -> CorruptFileError:
    return CorruptFileError(f"[restore] the training state in {path} is not as it was written. Is the file whole?")


def check_state(model: Any, state: TrainingState) -> None:
    """Raise ValueError, with all differences, where a state is none of this model."""
    variables, generators = _targets(model, state)
    wrong = []
    if state.optimizer is not None:
        try:
            model.optimizer._fitting(state.optimizer)
        except ValueError:
            wrong.append("the optimizer's state")
    if len(variables) != len(state.variables):
        wrong.append(f"{len(variables)} variables in the program, {len(state.variables)} in the file")
    if len(generators) != len(state.generators):
        wrong.append(f"{len(generators)} random generators in the program, {len(state.generators)} in the file")
    for v, value in zip(variables, state.variables):
        if (tuple(v.shape), np.dtype(v.dtype)) != (value.shape, value.dtype):
            name = v.name or "a variable"
            wrong.append(f"{name} is {v.dtype}{tuple(v.shape)}, in the file {value.dtype}{value.shape}")
    if wrong:
        raise ValueError(
            f"[restore] {state.path} holds the state of another training: {'; '.join(wrong)}. Nothing was changed. Are "
            "the model and what compile() got the same as before?"
        )


def _targets(model: Any, state: TrainingState) -> tuple[list[at.Variable], list[Any]]:
    """The variables and generators that a state speaks of."""
    variables, generators = model._require_compiled("state").sources()
    if state.whole:
        variables = _without(variables, model.weights)
        if state.optimizer is not None:
            variables = _without(variables, model.optimizer.weights)
    return variables, generators


def set_state(model: Any, state: TrainingState, weights: bool = True) -> None:
    """Bring a model and the process to a state; ``weights=False`` leaves the weights that a checkpoint's model holds.

    Raises:
        ValueError: it is the state of another model, which then stays as it was.
        CorruptFileError: the file is damaged.
    """
    check_state(model, state)
    variables, generators = _targets(model, state)
    if state.whole and weights:
        model.load_weights(state.path)
        if state.optimizer is not None:
            model.optimizer.set_weights(state.optimizer)
    K.batch_set_value(list(zip(variables, state.variables)))
    for generator, drawn in zip(generators, state.generators):
        generator.set_state(drawn)
    set_random_state(state.random)


def restore_state(model: Any, path: Any) -> Restored:
    """Bring a model and the process's random generators to the state that a checkpoint holds.

        model = load_model("checkpoint.h5")
        restore_state(model, "checkpoint.h5")
        model.fit(x, y, epochs=10, callbacks=[...])  # the arguments of the first time

    The next ``fit`` goes on after the epoch of the checkpoint, with its History and what its callbacks knew: they are
    known by their classes and their order. A training that a callback had ended goes no further: to train on
    regardless, use ``load_model`` alone, with ``initial_epoch``.

    Args:
        model: compiled, with the weights of whatever moment.
        path: what ``ModelCheckpoint(save_state=True)`` or :func:`save_state` wrote.

    Raises:
        ValueError: it holds no state, or that of another training; nothing was changed.
        CorruptFileError: it is damaged.
    """
    state = read_state(path)
    set_state(model, state)
    fit = state.fit
    if fit is None:
        return Restored(0, 0, False, state.extra)
    model._state_to_go_on_from = state
    return Restored(fit["epoch"], fit["batch"], fit["stopped"], state.extra)

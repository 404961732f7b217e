"""The state of an optimizer from a file of any release, into the optimizer of the model that was read.

State is a counter of steps and, for each weight that is trained, one array for each thing the optimizer remembers of
it (its *slots*). A slot is laid out as its weight is, so it goes the way of the weight: gates are joined, kernels are
turned. The order of the slots is that in which the release listed the weights:

- Keras 1: all of the trained weights sorted by their names, a slot at a time; the counter is missing for RMSprop,
  Adagrad and Adadelta, Nadam's schedule and Adam's third slot too;
- Keras 2: up to 2.0.5 sorted by names, from 2.0.6 on by layers, a slot at a time; up to 2.2 with the same gaps;
- tf.keras up to 2.10: as Keras 2.3;
- tf.keras from 2.11 on and Keras 3: weight by weight, the slots of each beside each other; Keras 3 keeps the learning
  rate behind the counter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.saving import layouts
from keras_compat.saving.guard import Array
from keras_compat.saving.parts import in_keras_2_form
from keras_compat.saving.stored import StoredModel, Writer
from keras_compat.saving.weights import Pair
from keras_compat.utils.generic_utils import warn

# How many things each optimizer remembers of a weight, as files of Keras know it.
SLOTS = {"SGD": 1, "RMSprop": 1, "Adagrad": 1, "Adadelta": 2, "Adam": 2, "Adamax": 2, "Nadam": 2}

# Nadam's schedule is a product of numbers below beta_1: 0 long before so many.
_LONG_SCHEDULE = 1_000_000


def lists_of(kind: str) -> int:
    """How many lists of arrays, one for each weight, this package's optimizer keeps: Adam has amsgrad's always."""
    return 3 if kind == "Adam" else SLOTS[kind]


class _Unusable(ValueError):
    """The state is not that of this optimizer and model."""


def restore(model: Any, stored: StoredModel, pairs: Sequence[Pair], writer: Writer) -> None:
    """Set the state of the optimizer of a compiled model; warn, and leave it fresh, where it can not be used.

    Args:
        pairs: which arrays of the file became which weights of the model.
        writer: with the backend that is believed.
    """
    if stored.optimizer is None:
        return
    model._make_train_function()
    try:
        model.optimizer.set_weights(_state(model, stored, pairs, writer))
    except ValueError as error:
        warn(
            "Error in loading the saved optimizer state. As a result, your model is starting with a freshly "
            f"initialized optimizer. ({error})"
        )


def _state(model: Any, stored: StoredModel, pairs: Sequence[Pair], writer: Writer) -> list[np.ndarray]:
    """The state as the optimizer lists it."""
    arrays = list(stored.optimizer or ())
    optimizer, weights = model.optimizer, model._collected_trainable_weights
    kind = _kind_of(optimizer)
    if not kind or not _is_ours(optimizer, kind, len(weights)):
        return [a.read() for a in arrays]
    trained = _trained(stored, pairs, weights, writer)
    if kind == "Nadam" and len(arrays) > 3 and arrays[-1].shape == ():
        # Keras 3 lists the schedule last.
        first = next((i for i, a in enumerate(arrays) if a.shape != ()), 0)
        arrays = [arrays[0], replace(arrays[-1], name="schedule"), *arrays[first:-1]]
    scalars, slots = _taken_apart(kind, bool(getattr(optimizer, "amsgrad", False)), arrays, trained, writer)
    values = [_by_weight(slot, pairs, trained, writer) for slot in slots]
    missing = [w.name for w in weights if any(id(w) not in slot for slot in values)]
    if missing:
        raise _Unusable(f"the file has no state of {', '.join(missing[:5])}")
    steps = scalars[0].read() if scalars else np.array(0)
    state: list[np.ndarray] = [np.asarray(steps).reshape(())]
    if not (np.isfinite(state[0]) and 0 <= state[0] < 2**62):
        raise _Unusable(f"the file counts {state[0]} steps")
    if kind == "Nadam":
        state.append(scalars[1].read() if _has_schedule(scalars) else _schedule(optimizer, int(state[0])))
    state += [slot[id(w)] for slot in values for w in weights]
    if not values:
        state += [np.zeros(v.shape) for v in optimizer.weights[len(state) :]]
    if kind == "Adam" and not optimizer.amsgrad and values:
        state += [np.zeros(1) for _ in weights]
    return state


def _kind_of(optimizer: Any) -> str:
    """Which of Keras's optimizers this is, or is made from; '' for others."""
    return next((cls.__name__ for cls in type(optimizer).__mro__ if cls.__name__ in SLOTS), "")


def _is_ours(optimizer: Any, kind: str, count: int) -> bool:
    """Whether the state is that of this package's optimizer, with nothing that a subclass added."""
    return len(optimizer.weights) == 1 + (kind == "Nadam") + lists_of(kind) * count


def _has_schedule(scalars: Sequence[Array]) -> bool:
    return len(scalars) > 1 and "learning_rate" not in scalars[1].name and not scalars[1].name.isdigit()


def _schedule(optimizer: Any, steps: int) -> np.ndarray:
    """Nadam's schedule, which was not stored: what the steps so far have made of it."""
    beta_1 = float(K.get_value(optimizer.beta_1))
    passed = np.arange(1, min(steps, _LONG_SCHEDULE) + 1)
    return np.asarray(np.prod(beta_1 * (1.0 - 0.5 * 0.96 ** (passed * optimizer.schedule_decay))), dtype=K.floatx())


# -- which array is the slot of which weight --------------------------------------------------------------------------


def _trained(
    stored: StoredModel, pairs: Sequence[Pair], weights: Sequence[Any], writer: Writer
) -> list[tuple[int, int, Array]]:
    """The arrays of trained weights in the writer's order, each with the number of its pair and its own there."""
    mine = {id(w) for w in weights}
    place = {id(a): (i, k) for i, one in enumerate(stored.layers) for k, a in enumerate(one.arrays)}
    found: list[tuple[int, int, Array]] = []
    seen: set[int] = set()
    for n, pair in enumerate(pairs):
        own = pair.part.weights
        if all(id(w) in seen for w in own):
            continue  # a layer that is in two places of the model
        seen.update(id(w) for w in own)
        learns = [id(w) in mine for w in own]
        if all(learns):
            found += [(n, k, a) for k, a in enumerate(pair.arrays)]
        elif any(learns):
            order = layouts.order_of(own, [a.name for a in pair.arrays])
            found += [(n, order[k], pair.arrays[order[k]]) for k, yes in enumerate(learns) if yes]
    if stored.layout == "keras3":
        return found  # its groups lie in the order of the alphabet
    if _sorts_by_name(writer):
        return sorted(found, key=lambda item: item[2].name)
    return sorted(found, key=lambda item: place[id(item[2])])


def _sorts_by_name(writer: Writer) -> bool:
    numbers = [int(n) for n in re.findall(r"\d+", writer.version)[:3]]
    return writer.line == "keras1" or (writer.line == "keras2" and [2, 0] <= numbers < [2, 0, 6])


def _taken_apart(
    kind: str, amsgrad: bool, arrays: list[Array], trained: Sequence[tuple[int, int, Array]], writer: Writer
) -> tuple[list[Array], list[list[Array]]]:
    """The single numbers of a state, and its slots, each a list in the order of ``trained``."""
    count, wanted = len(trained), SLOTS[kind]
    first = next((i for i, a in enumerate(arrays) if a.shape != ()), len(arrays))
    scalars, rest = arrays[: min(first, 2)], arrays[min(first, 2) :]
    if not rest:
        if kind == "SGD" or not count:
            return scalars, []
        raise _Unusable("the file has the counter of its steps alone")
    if not count or len(rest) % count:
        raise _Unusable(f"{len(rest)} arrays for {count} trained weights")
    lists = len(rest) // count
    extra = lists - wanted
    if extra and not (kind == "Adam" and extra == 1):
        raise _Unusable(f"{lists} arrays for each trained weight; {kind} has {wanted}")
    if _weight_by_weight(rest, writer):
        slots = [rest[i : wanted * count : wanted] for i in range(wanted)]
    else:
        slots = [rest[i * count : (i + 1) * count] for i in range(wanted)]
    if amsgrad:
        if not extra:
            raise _Unusable("an Adam with amsgrad has three arrays for each trained weight, the file two")
        slots.append(rest[wanted * count :])
    for slot in slots:
        for a, (_, _, weight) in zip(slot, trained):
            if a.shape != weight.shape:
                raise _Unusable(f"{a.name} has shape {a.shape}, its weight {weight.name} has {weight.shape}")
    return scalars, slots


def _weight_by_weight(arrays: Sequence[Array], writer: Writer) -> bool:
    if writer.line == "keras3":
        return True
    # 'SGD/m/dense/kernel:0', where up to 2.10 it was 'SGD/dense/kernel/m:0'.
    return writer.line == "tfkeras" and _ends_as_a_weight(arrays[0].name)


def _ends_as_a_weight(name: str) -> bool:
    return name.rpartition("/")[2].partition(":")[0] not in {
        *("m", "v", "vhat", "rms", "momentum", "mg", "accumulator", "accum_grad", "accum_var", "linear"),
    }


def _by_weight(
    slot: Sequence[Array], pairs: Sequence[Pair], trained: Sequence[tuple[int, int, Array]], writer: Writer
) -> dict[int, np.ndarray]:
    """A slot's values by the ids of the weights they belong to."""
    given = {(n, k): a for a, (n, k, _) in zip(slot, trained)}
    found: dict[int, np.ndarray] = {}
    for n in sorted({n for n, _ in given}):
        pair = pairs[n]
        arrays = [
            given[n, k].read() if (n, k) in given else np.zeros(a.shape, a.dtype) for k, a in enumerate(pair.arrays)
        ]
        names = [a.name for a in pair.arrays]
        part = pair.part
        values = layouts.fitted(part.layer, part.weights, arrays, names, writer, moved_only=True)
        found.update((id(w), v) for w, v in zip(part.weights, values))
    return found


# -- as Keras 2.3.1 keeps it ------------------------------------------------------------------------------------------


def keras_2_state(model: Any) -> list[tuple[str, np.ndarray]]:
    """Names and values of an optimizer's state in the order and layout of Keras 2.3.1."""
    optimizer, values = model.optimizer, model.optimizer.get_weights()
    found = [(w.name or "", value) for w, value in zip(optimizer.weights, values)]
    weights = getattr(model, "_collected_trainable_weights", ())
    kind, count = _kind_of(optimizer), len(weights)
    if not values or not kind or not count or not _is_ours(optimizer, kind, count):
        return found
    first = 1 + (kind == "Nadam")
    plain, found = found, found[:first]
    for start in range(first, len(values), count):
        slot = values[start : start + count]
        used = all(tuple(w.shape) == v.shape for w, v in zip(weights, slot))  # not Adam's third
        moved = in_keras_2_form(model, weights, slot if used else K.batch_get_value(weights))
        arrays = [v if used else np.zeros(1) for _, v in moved]
        names = [name for name, _ in plain[start : start + count]]
        if len(arrays) != count:
            names = [f"{names[0].rpartition('_')[0]}_{i}" for i in range(len(arrays))]
        found += zip(names, arrays)
    return found

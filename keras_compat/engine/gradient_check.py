"""``model.check_gradients``: the gradients of a model's loss against differences.

The loss is that of training, the graph itself with penalties, masks and weights of samples, evaluated in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.engine import objective as O


def check_gradients(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any,
    loss: Any,
    training: bool,
    inputs: bool,
    wrt: Sequence[at.Variable] | Mapping[str, at.Variable] | None,
    options: Mapping[str, Any],
) -> at.testing.Report:
    """See ``Model.check_gradients``."""
    notes: list[str] = []
    with _with_loss(model, x, loss):
        outputs, placeholders, arrays, givens = _graph(model, x, y, sample_weight, class_weight, training)
    gradients = at.gradients(outputs, placeholders)
    checked: list[Any] = []
    fixed = dict(givens)
    for placeholder, array, gradient in zip(placeholders, arrays, gradients):
        is_input = any(placeholder is own for own in model._feed_inputs)
        # Numbers of words or classes: they select, and are never moved.
        index = array.dtype.kind in "biu" or (gradient is None and np.array_equal(array, np.round(array)))
        if inputs and is_input and not index:
            checked.append((placeholder, array))
            continue
        fixed[placeholder] = array
        if inputs and is_input:
            notes.append(
                f"input {_name(placeholder)} holds whole numbers that nothing is differentiated by: not checked"
            )
    function = at.testing.graph_function(outputs, [placeholder for placeholder, _ in checked], fixed)
    given = [at.Tensor(np.asarray(a, np.float64), name=_name(p)) for p, a in checked]
    report = at.testing.check_grad(function, *given, wrt=_weights(model) if wrt is None else wrt, **options)
    report.notes += notes
    return report


@contextmanager
def _with_loss(model: Any, x: Any, loss: Any) -> Iterator[None]:
    """The model compiled with another loss for as long as its graph is built."""
    model._build_for(x, "check_gradients")
    if loss is None:
        yield
        return
    before = dict(model.__dict__)
    try:
        model._compile("sgd", loss, None, None, None, None, None)
        yield
    finally:
        model.__dict__.clear()
        model.__dict__.update(before)


def _graph(
    model: Any, x: Any, y: Any, sample_weight: Any, class_weight: Any, training: bool
) -> tuple[list[Any], list[Any], list[np.ndarray], dict[Any, Any]]:
    """What is differentiated, the placeholders it needs, the arrays for these, and what else is given."""
    givens = dict(K.phase_givens(training))
    if not model._is_compiled or (y is None and model._feed_output_names):
        if y is not None:
            raise ValueError(
                "[check_gradients] expected a loss to compare predictions with y by; the model is not compiled. Pass "
                "loss='mse', or leave y out to check the outputs."
            )
        model._require_built("check_gradients")
        return list(model.outputs), list(model._feed_inputs), model._standardize_inputs(x), givens
    xs, ys, weights = model._standardize(x, y, sample_weight, class_weight, "check_gradients")
    placeholders = [*model._feed_inputs, *model._feed_targets]
    if weights is None:
        givens.update({w: O.ones_for(w) for w in model._feed_sample_weights})
    else:
        placeholders += model._feed_sample_weights
    return [model.total_loss], placeholders, [*xs, *ys, *(weights or ())], givens


def _weights(model: Any) -> dict[str, at.Variable]:
    """The trainable weights by name; of equal names the later ones get their position."""
    named: dict[str, at.Variable] = {}
    for k, weight in enumerate(model.trainable_weights):
        name = weight.name or f"weight {k}"
        named[name if name not in named else f"{name} ({k})"] = weight
    return named


def _name(placeholder: Any) -> str:
    return placeholder.name or "input"

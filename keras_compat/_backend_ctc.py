"""Connectionist temporal classification in Keras's arguments: what ``K.ctc_*`` do. The blank is the last class."""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at


def batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any, epsilon: float) -> Any:
    """See :func:`keras_compat.backend.ctc_batch_cost`."""
    y_pred = _tensor(y_pred)
    losses = at.ctc_loss(
        at.log(y_pred + epsilon), _integers(y_true), _lengths(input_length), _lengths(label_length), blank=-1
    )
    return at.expand_dims(losses, 1)


def decode(
    y_pred: Any,
    input_length: Any,
    greedy: bool,
    beam_width: int,
    top_paths: int,
    epsilon: float,
    merge_repeated: bool = False,
) -> tuple[list[Any], Any]:
    """See :func:`keras_compat.backend.ctc_decode`."""
    paths, scores = at.ctc_decode(
        at.log(_tensor(y_pred) + epsilon),
        _lengths(input_length),
        greedy=greedy,
        beam_width=beam_width,
        top_paths=top_paths,
        blank=-1,
        merge_repeated=None if greedy else merge_repeated,
    )
    found = []
    for k in range(1 if greedy else top_paths):
        columns = at.permute_dims(paths[k], (1, 0))  # each sequence is filled from the left: cut what is empty in all
        found.append(at.permute_dims(columns[at.any(columns >= 0, axis=1)], (1, 0)))
    return found, scores


def dense_to_sparse(labels: Any, label_lengths: Any) -> Any:
    """See :func:`keras_compat.backend.ctc_label_dense_to_sparse`."""
    labels = _tensor(labels)
    positions = at.cumulative_sum(at.ones_like(_integers(labels)), axis=1) - 1
    inside = at.less(positions, at.expand_dims(_lengths(label_lengths), 1))
    return at.where(inside, labels, -1)


def _tensor(x: Any) -> Any:
    return x if isinstance(x, at.Tensor) else at.asarray(x)


def _integers(x: Any) -> Any:
    x = _tensor(x)
    return x if x.dtype == np.int64 else at.astype(x, "int64")


def _lengths(x: Any) -> Any:
    x = _integers(x)
    return at.squeeze(x, -1) if x.ndim == 2 else x

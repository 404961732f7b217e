"""Connectionist temporal classification. The blank is the last class."""

from __future__ import annotations

from typing import Any

import numpy as np

import autotensor as at
from keras_compat.backend.common import epsilon
from keras_compat.dialect.level import get_api_level


def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """CTC loss of each sample, shape ``(samples, 1)``.

    ``-log`` of the probability of the labels, summed over all their alignments, as by Keras 2.3.1 on TensorFlow:
    the logarithms of ``y_pred + epsilon()`` go through a softmax.

    Args:
        y_true: labels ``(samples, longest label)``, any dtype; the blank is the last class.
        y_pred: output of a softmax ``(samples, time, classes)``.
        input_length: ``(samples, 1)``, the number of time steps of each sample.
        label_length: ``(samples, 1)``, the number of labels of each sample.

    Labels that do not fit into the time cost infinity and give no gradient (TensorFlow raises an error if there are
    more labels than time steps).
    """
    y_pred = _tensor(y_pred)
    losses = at.ctc_loss(
        at.log(y_pred + epsilon()), _integers(y_true), _lengths(input_length), _lengths(label_length), blank=-1
    )
    return at.expand_dims(losses, 1)


def ctc_decode(
    y_pred: Any,
    input_length: Any,
    greedy: bool = True,
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool | None = None,
) -> tuple[list[Any], Any]:
    """Label sequences that the output of a softmax stands for.

    Args:
        y_pred: ``(samples, time, classes)``; the blank is the last class.
        input_length: ``(samples,)``, the number of time steps of each sample.
        greedy: take the most probable class at each step; else search with a beam.
        beam_width: how many beginnings the search keeps at each step.
        top_paths: how many sequences the search returns.
        merge_repeated: write runs of equal labels in the sequences of the search as one. By default not; up to API
            level 2.2 yes, which was TensorFlow's default.

    Returns:
        A list (of one tensor if greedy, else of ``top_paths``, best first) of int64 labels ``(samples, longest)``,
        filled up with -1; and a tensor: minus the sum of the logarithms of the highest probabilities ``(samples, 1)``
        if greedy, else the log probabilities of the sequences ``(samples, top_paths)``.
    """
    if merge_repeated is None:
        merge_repeated = get_api_level() != "2.3"
    paths, scores = at.ctc_decode(
        at.log(_tensor(y_pred) + epsilon()),
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


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> Any:
    """Labels ``(samples, longest)`` with -1 behind each sample's length ``(samples,)``.

    Keras on TensorFlow makes a sparse tensor here; tensors of this backend are dense.
    """
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

"""Samples of ``autotensor.ops.ctc``; their values are checked in test_ctc.py."""

from __future__ import annotations

import numpy as np

import autotensor as at
from tests.autotensor.samples.base import Sample, array

_LABELS = np.array([[0, 1, 1], [2, 0, 0]])
_TIMES = np.array([5, 3])
_LENGTHS = np.array([3, 1])
_ELSEWHERE = "sums over all alignments in test_ctc.py"


def _gradient(logits, labels, times, lengths):
    x = logits if isinstance(logits, at.Tensor) and logits.tracked else at.Tensor(logits, requires_grad=True)
    return at.grad(at.sum(at.ctc_loss(x, labels, times, lengths)), x, create_graph=True)


SAMPLES = {
    "ctc_loss": [
        Sample(array(2, 5, 4), _LABELS, _TIMES, _LENGTHS, no_oracle=_ELSEWHERE, call=at.ctc_loss, order=2),
    ],
    "ctc_loss_grad": [
        Sample(array(2, 5, 4), _LABELS, _TIMES, _LENGTHS, no_oracle=_ELSEWHERE, call=_gradient, order=1),
    ],
    "ctc_decode": [
        Sample(array(2, 5, 4), _TIMES, no_oracle=_ELSEWHERE, call=at.ctc_decode, order=0, name="greedy"),
        Sample(
            array(2, 5, 4),
            _TIMES,
            no_oracle=_ELSEWHERE,
            call=lambda x, times: at.ctc_decode(x, times, greedy=False, beam_width=7, top_paths=3),
            order=0,
            name="beam",
        ),
    ],
}

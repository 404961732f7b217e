"""Connectionist temporal classification: the loss of labels without times, and decoding (see ``kernels.ctc``)."""

from __future__ import annotations

from typing import Any

import numpy as np

from autotensor.core.aval import Aval, Operand, shape_of
from autotensor.core.grad import backpropagate
from autotensor.core.op import apply, defop, defop_no_grad
from autotensor.core.tensor import Tensor, as_tensor
from autotensor.errors import DTypeError, ShapeError
from autotensor.kernels import ctc as kernels
from autotensor.ops.activation import log_softmax
from autotensor.ops.elementwise import equal, less, logical_and, logical_or, maximum, not_equal, subtract, where
from autotensor.ops.index import take_along_axis
from autotensor.ops.like import fill_like, zeros_like
from autotensor.ops.reduce import logsumexp
from autotensor.ops.running import cumulative_sum
from autotensor.ops.scan import scan
from autotensor.ops.shape import concat, expand_dims, permute_dims, repeat
from autotensor.ops.shape import text as _text

__all__ = ["ctc_decode", "ctc_loss"]

# Stands for log(0) where derivatives are taken: differences of infinities are no numbers.
_NEVER = -1e30


def _check_shapes(op: str, logits: Operand, labels: Operand, times: Operand, lengths: Operand | None) -> None:
    ranks = [(logits, 3, "logits (n, time, classes)"), (times, 1, "input_lengths (n,)")]
    if lengths is not None:
        ranks += [(labels, 2, "labels (n, length)"), (lengths, 1, "label_lengths (n,)")]
    n: int | None = None
    for x, rank, what in ranks:
        shape = shape_of(x)
        if len(shape) != rank:
            raise ShapeError(f"[{op}] expected {what}; got shape {_text(shape)}. Squeeze or expand it?")
        if n is not None and shape[0] not in (None, n):
            raise ShapeError(f"[{op}] expected {n} samples in {what}; got {shape[0]}. One for each of logits.")
        n = shape[0] if n is None else n
        if rank != 3 and (not isinstance(x, Aval) or x.dtype.kind not in "iu"):
            raise DTypeError(f"[{op}] {what} must be integers; got {getattr(x, 'dtype', x)}. Use astype(at.int64)?")
    if not isinstance(logits, Aval) or logits.dtype.kind != "f":
        raise DTypeError(f"[{op}] logits must be floats; got {getattr(logits, 'dtype', logits)}. Use astype()?")


def _infer_loss(logits: Operand, labels: Operand, times: Operand, lengths: Operand, blank: int) -> Aval:
    _check_shapes("ctc_loss", logits, labels, times, lengths)
    assert isinstance(logits, Aval)
    return Aval(logits.shape[:1], logits.dtype)


def _infer_grad(g: Operand, logits: Operand, labels: Operand, times: Operand, lengths: Operand, blank: int) -> Aval:
    _check_shapes("ctc_loss", logits, labels, times, lengths)
    assert isinstance(logits, Aval)
    return logits


def _checked(logits: Any, labels: Any, times: Any, lengths: Any, blank: int) -> tuple[Any, ...]:
    """The arguments of the kernels; raises unless all numbers fit. Blanks at the end of the labels do not count."""
    avals = [Aval(np.shape(x), np.asarray(x).dtype) for x in (logits, labels, times, lengths)]
    _check_shapes("ctc_loss", *avals)
    n, steps, classes = logits.shape
    blank = _blank("ctc_loss", classes, blank)
    _check_times("ctc_loss", times, steps)
    if n and (lengths.min() < 0 or lengths.max() > labels.shape[1]):
        raise ShapeError(
            f"[ctc_loss] label_lengths must be in 0..{labels.shape[1]}, the width of the labels; got "
            f"{lengths.min()}..{lengths.max()}. Pad the labels?"
        )
    lengths = np.asarray(lengths, np.int64)
    counts = np.arange(labels.shape[1]) < lengths[:, None]
    wrong = counts & ((labels < 0) | (labels >= classes))
    if wrong.any():
        raise ShapeError(
            f"[ctc_loss] labels must be in 0..{classes - 1}; got {labels[wrong][0]}. Is the last layer wide enough, "
            "with a class for blank?"
        )
    real = counts & (labels != blank)
    kept = real.sum(axis=1)
    if (real & (np.arange(labels.shape[1]) >= kept[:, None])).any():
        raise ShapeError(
            f"[ctc_loss] labels must not be the blank class, {blank}, before the end; a label came after it. "
            "Add a class for blank to the last layer?"
        )
    return logits, np.asarray(labels, np.int64), np.asarray(times, np.int64), kept, blank


def _check_times(op: str, times: Any, steps: int) -> None:
    if times.size and (times.min() < 0 or times.max() > steps):
        raise ShapeError(
            f"[{op}] input_lengths must be in 0..{steps}, the time of the logits; got {times.min()}..{times.max()}. "
            "Divide them by the stride of the layers before?"
        )


def _blank(op: str, classes: int, blank: int) -> int:
    if not -classes <= blank < classes:
        raise ShapeError(f"[{op}] blank must be one of the {classes} classes; got {blank}. Use -1 for the last.")
    return blank % classes


def _loss_impl(logits: Any, labels: Any, times: Any, lengths: Any, blank: int) -> np.ndarray:
    return kernels.loss(*_checked(logits, labels, times, lengths, blank)).astype(logits.dtype)


def _loss_fallback(logits: Any, labels: Any, times: Any, lengths: Any, blank: int) -> Tensor:
    """The forward sum over paths, as a scan over time in log space."""
    labels, times, lengths = as_tensor(labels), as_tensor(times), as_tensor(lengths)
    classes = logits.shape[2]
    blank = blank % classes if classes is not None else blank
    log_p = permute_dims(log_softmax(logits, axis=2), (1, 0, 2))
    first = expand_dims(fill_like(lengths, value=blank), 1).astype(labels.dtype)
    states = concat([first, repeat(labels, 2, axis=1)], axis=1)  # - l1 l1 l2 l2 ...
    place = cumulative_sum(fill_like(states, value=1), axis=1) - 1
    odd = equal(place % 2, 1)
    ends = expand_dims(2 * _labels_before_blank(labels, lengths, blank), 1)
    states = where(logical_and(odd, less(place, ends)), states, fill_like(states, value=blank))
    before = concat([first, first, states], axis=1)[:, :-2]
    skips = logical_and(odd, not_equal(states, before))
    never = fill_like(expand_dims(times, 1).astype(logits.dtype), value=_NEVER)
    start = where(equal(place, 0), 0.0, never)
    clock = cumulative_sum(fill_like(log_p[:, :1, 0], value=1.0), axis=0) - 1.0

    def step(alphas: Any, xs: Any, _: Any) -> Any:
        (alpha,), (frame, now) = alphas, xs
        stay = expand_dims(alpha, 2)
        one = expand_dims(concat([never, alpha], axis=1)[:, :-1], 2)
        two = expand_dims(where(skips, concat([never, never, alpha], axis=1)[:, :-2], never), 2)
        new = logsumexp(concat([stay, one, two], axis=2), axis=2) + take_along_axis(frame, states, axis=1)
        new = maximum(new, _NEVER)
        return (where(less(now, expand_dims(times, 1).astype(now.dtype)), new, alpha),), ()

    (alpha,), _ = scan(step, [start], [log_p, clock])
    at_end = logical_or(equal(place, ends), equal(place, ends - 1))
    total = logsumexp(where(at_end, alpha, never), axis=1)
    return where(less(total, 0.5 * _NEVER), np.inf, subtract(0.0, total))


def _labels_before_blank(labels: Tensor, lengths: Tensor, blank: int) -> Tensor:
    place = cumulative_sum(fill_like(labels, value=1), axis=1) - 1
    real = logical_and(less(place, expand_dims(lengths, 1)), not_equal(labels, blank))
    return real.astype("int64").sum(axis=1)


@defop("ctc_loss", impl=_loss_impl, infer=_infer_loss, fallback=_loss_fallback)
def ctc_loss_op(needs, g, out, logits, labels, times, lengths, blank):
    return ctc_loss_grad(g, logits, labels, times, lengths, blank=blank), None, None, None


def _grad_impl(g: Any, logits: Any, labels: Any, times: Any, lengths: Any, blank: int) -> np.ndarray:
    found = kernels.loss_grad(*_checked(logits, labels, times, lengths, blank))
    return (found * np.where(np.isfinite(g), g, 0)[:, None, None]).astype(logits.dtype)


def _grad_fallback(g: Any, logits: Any, labels: Any, times: Any, lengths: Any, blank: int) -> Tensor:
    logits = as_tensor(logits)
    if not logits.tracked:
        logits = Tensor(logits.data, requires_grad=True)
    loss = _loss_fallback(logits, labels, times, lengths, blank)
    (found,) = backpropagate([loss], [g], [logits])
    return zeros_like(logits) if found is None else found


ctc_loss_grad = defop_no_grad(
    "ctc_loss_grad",
    impl=_grad_impl,
    infer=_infer_grad,
    fallback=_grad_fallback,
    doc="Gradient of ctc_loss: g * (softmax(logits) - share of the paths through each class), g (n,).",
)


def ctc_loss(logits: Any, labels: Any, input_lengths: Any, label_lengths: Any, blank: int = -1) -> Tensor:
    """-log of the probability of label sequences of which only the order is known, (n,). Graves et al., ICML 2006.

    The probability is the sum over all ways to spread the labels over the times, with any number of blanks between,
    and at least one between equal neighbours.

    Args:
        logits: (n, time, classes); softmax is taken over the last axis, so logarithms of probabilities do too.
        labels: integers (n, length). What stands behind ``label_lengths`` does not count, nor do blanks at the end.
        input_lengths: integers (n,), the number of times that count.
        label_lengths: integers (n,).
        blank: class of the blank; -1 is the last.

    Where there is not enough time for the labels the loss is infinite and the gradient 0. (TensorFlow 1 does the same
    if only the blanks between equal labels do not fit; more labels than times are an error there.)

    Raises ShapeError for lengths or labels out of range, when the loss is computed.
    """
    logits, labels, times, lengths = [as_tensor(x) for x in (logits, labels, input_lengths, label_lengths)]
    return ctc_loss_op(logits, labels, times, lengths, blank=int(blank))


# -- decoding


def _infer_decode(logits: Operand, times: Operand, top: int, **params: Any) -> tuple[Aval, Aval]:
    _check_shapes("ctc_decode", logits, 0, times, None)
    assert isinstance(logits, Aval)
    n, steps, _ = logits.shape
    return Aval((top, n, steps), np.int64), Aval((n, top), logits.dtype)


def _decode_impl(
    logits: Any, times: Any, greedy: bool, beam_width: int, top: int, blank: int, merge_repeated: bool
) -> tuple[np.ndarray, np.ndarray]:
    _check_shapes("ctc_decode", Aval(logits.shape, logits.dtype), 0, Aval(times.shape, times.dtype), None)
    _check_times("ctc_decode", times, logits.shape[1])
    blank = _blank("ctc_decode", logits.shape[2], blank)
    if greedy:
        return kernels.decode_greedy(logits, times, blank, merge_repeated)
    return kernels.decode_beam(logits, times, blank, merge_repeated, beam_width, top)


ctc_decode_op = defop_no_grad(
    "ctc_decode",
    impl=_decode_impl,
    infer=_infer_decode,
    n_out=2,
    doc="Label sequences (top, n, time), filled up with -1, and their scores (n, top).",
)


def ctc_decode(
    logits: Any,
    input_lengths: Any,
    greedy: bool = True,
    beam_width: int = 100,
    top_paths: int = 1,
    blank: int = -1,
    merge_repeated: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Probable label sequences for logits (n, time, classes).

    Args:
        greedy: take the most probable class at each time; else search: keep the ``beam_width`` best beginnings.
        top_paths: how many sequences the search returns.
        merge_repeated: take equal neighbours once: by default the equal classes of neighbouring times if greedy, and
            nothing that the search has found (it has read repetitions already).

    Returns:
        Labels (top_paths, n, time), int64, filled up with -1; and scores: minus the sum of the highest logits (n, 1) if
        greedy, log probabilities (n, top_paths) of the search, best first.

    Raises ShapeError for more paths than the beam is wide.
    """
    if not greedy and not 1 <= top_paths <= beam_width:
        raise ShapeError(
            f"[ctc_decode] top_paths must be in 1..beam_width ({beam_width}); got {top_paths}. Use a wider beam?"
        )
    merge = greedy if merge_repeated is None else merge_repeated
    return apply(
        ctc_decode_op,
        as_tensor(logits),
        as_tensor(input_lengths),
        greedy=bool(greedy),
        beam_width=int(beam_width),
        top=1 if greedy else int(top_paths),
        blank=int(blank),
        merge_repeated=bool(merge),
    )

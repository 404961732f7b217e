"""Connectionist temporal classification: the loss, its gradient, and decoding. NumPy, and Numba for the loss.

A. Graves, S. Fernandez, F. Gomez, J. Schmidhuber, "Connectionist Temporal Classification", ICML 2006. The labels
l1 l2 ... are read as the states - l1 - l2 - ... -, with a blank between neighbours; a path stays, goes on by one
state, or leaves out a blank between two different labels. All sums over paths are sums of logarithms in float64.

Arrays: logits (n, time, classes), labels (n, length), both kinds of lengths (n,), all of them checked before.
Frames beyond ``times`` and labels beyond ``lengths`` do not count.
"""

from __future__ import annotations

import math

import numpy as np

from autotensor import config
from autotensor.kernels.jit import jit

_NEVER = -math.inf


def loss(logits: np.ndarray, labels: np.ndarray, times: np.ndarray, lengths: np.ndarray, blank: int) -> np.ndarray:
    """-log of the probability of the labels, (n,) in float64; infinity where no path is long enough."""
    if config.numba and logits.size:
        out = np.empty(len(logits))
        arrays = [np.ascontiguousarray(a, np.int64) for a in (labels, times, lengths)]
        _losses(np.ascontiguousarray(logits, np.float64), *arrays, blank, out)
        return out
    log_p, states, skips = _prepared(logits, labels, lengths, blank)
    return -_forward(log_p, states, skips, times, lengths)[1]


def loss_grad(logits: np.ndarray, labels: np.ndarray, times: np.ndarray, lengths: np.ndarray, blank: int) -> np.ndarray:
    """Gradient of the sum of the losses by the logits, in float64: probability of each class at each time, less the
    share of the paths through it. 0 where the loss is infinite."""
    if config.numba and logits.size:
        out = np.zeros(logits.shape)
        arrays = [np.ascontiguousarray(a, np.int64) for a in (labels, times, lengths)]
        _gradients(np.ascontiguousarray(logits, np.float64), *arrays, blank, out)
        return out
    log_p, states, skips = _prepared(logits, labels, lengths, blank)
    alphas, total = _forward(log_p, states, skips, times, lengths)
    n, steps, _ = logits.shape
    rows = np.arange(n)
    out = np.zeros(logits.shape)
    beta = np.full(states.shape, _NEVER)
    ends = np.full(states.shape, _NEVER)
    ends[rows, 2 * lengths] = 0
    ends[rows, np.maximum(2 * lengths - 1, 0)] = 0
    good = np.isfinite(total)
    later = np.concatenate([skips[:, 2:], np.zeros((n, 2), bool)], axis=1)[:, : states.shape[1]]
    for t in reversed(range(steps)):
        beta = np.where(np.equal(times - 1, t)[:, None], ends, beta)
        valid: np.ndarray = (t < times) & good
        if valid.any():
            with np.errstate(invalid="ignore"):
                share = np.exp(alphas[t] + beta - np.where(good, total, 0)[:, None]) * valid[:, None]
            part = np.zeros((n, logits.shape[2]))
            np.add.at(part, (rows[:, None], states), share)
            out[:, t] = np.where(valid[:, None], np.exp(log_p[:, t]) - part, 0)
        going = beta + np.take_along_axis(log_p[:, t], states, axis=1)
        beta = np.logaddexp(going, _shifted(going, -1))
        beta = np.logaddexp(beta, np.where(later, _shifted(going, -2), _NEVER))
    return out


def _prepared(logits: np.ndarray, labels: np.ndarray, lengths: np.ndarray, blank: int) -> tuple[np.ndarray, ...]:
    """Logarithms of the probabilities, the class of each state, and which states may be entered over a blank."""
    x = np.asarray(logits, np.float64)
    if x.size:
        x = x - x.max(axis=2, keepdims=True)
        x = x - np.log(np.exp(x).sum(axis=2, keepdims=True))
    n, longest = labels.shape
    states = np.full((n, 2 * longest + 1), blank, np.int64)
    states[:, 1::2] = np.where(np.arange(longest) < lengths[:, None], labels, blank)
    skips = np.zeros(states.shape, bool)
    skips[:, 3::2] = labels[:, 1:] != labels[:, :-1]
    return x, states, skips


def _forward(
    log_p: np.ndarray, states: np.ndarray, skips: np.ndarray, times: np.ndarray, lengths: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """For each time the log probability of all beginnings of paths by their last state; and that of all paths."""
    n, width = states.shape
    alpha = np.full((n, width), _NEVER)
    alpha[:, 0] = 0
    alphas = []
    for t in range(log_p.shape[1]):
        new = np.logaddexp(alpha, _shifted(alpha, 1))
        new = np.logaddexp(new, np.where(skips, _shifted(alpha, 2), _NEVER))
        new += np.take_along_axis(log_p[:, t], states, axis=1)
        alpha = np.where((t < times)[:, None], new, alpha)
        alphas.append(alpha)
    rows = np.arange(n)
    before = np.where(lengths > 0, alpha[rows, np.maximum(2 * lengths - 1, 0)], _NEVER)
    return alphas, np.logaddexp(alpha[rows, 2 * lengths], before)


def _shifted(x: np.ndarray, by: int) -> np.ndarray:
    """Columns moved to the right (to the left if negative); minus infinity comes in."""
    out = np.full(x.shape, _NEVER)
    if by > 0:
        out[:, by:] = x[:, :-by]
    else:
        out[:, :by] = x[:, -by:]
    return out


@jit(inline=True)
def _log_add(a, b):
    """log(exp(a) + exp(b))."""
    high = a if a > b else b
    low = b if a > b else a
    return high if low == -np.inf else high + np.log1p(np.exp(low - high))


@jit(inline=True)
def _log_total(row):
    """log(sum(exp(row)))."""
    top = row[0]
    for x in row:
        top = x if x > top else top
    total = 0.0
    for x in row:
        total += np.exp(x - top)
    return top + np.log(total)


@jit(inline=True)
def _forward_row(x, labels, time, length, blank, alpha):
    """Fill ``alpha`` (time, 2 * length + 1) for one sample; returns the log probability of its labels."""
    width = 2 * length + 1
    if time == 0:
        return 0.0 if length == 0 else -np.inf
    for t in range(time):
        offset = _log_total(x[t])
        for s in range(width):
            label = labels[s // 2] if s % 2 else blank
            if t == 0:
                total = 0.0 if s <= 1 else -np.inf
            else:
                total = alpha[t - 1, s]
                if s > 0:
                    total = _log_add(total, alpha[t - 1, s - 1])
                if s > 2 and s % 2 and labels[s // 2 - 1] != label:
                    total = _log_add(total, alpha[t - 1, s - 2])
            alpha[t, s] = total + (x[t, label] - offset)
    total = alpha[time - 1, width - 1]
    return _log_add(total, alpha[time - 1, width - 2]) if length > 0 else total


@jit(fastmath=())
def _losses(x, labels, times, lengths, blank, out):
    """``loss`` in loops."""
    alpha = np.empty((x.shape[1], 2 * labels.shape[1] + 1))
    for i in range(x.shape[0]):
        out[i] = -_forward_row(x[i], labels[i], times[i], lengths[i], blank, alpha)


@jit(fastmath=())
def _gradients(x, labels, times, lengths, blank, out):
    """``loss_grad`` in loops; ``out`` is 0 before."""
    most = 2 * labels.shape[1] + 1
    alpha = np.empty((x.shape[1], most))
    beta = np.empty(most)
    going = np.empty(most)
    for i in range(x.shape[0]):
        time, length = times[i], lengths[i]
        width = 2 * length + 1
        total = _forward_row(x[i], labels[i], time, length, blank, alpha)
        if total == -np.inf or total != total:
            continue
        for s in range(width):
            beta[s] = 0.0 if s >= width - 2 else -np.inf
        for back in range(time):
            t = time - 1 - back
            offset = _log_total(x[i, t])
            for c in range(x.shape[2]):
                out[i, t, c] = np.exp(x[i, t, c] - offset)
            for s in range(width):
                label = labels[i, s // 2] if s % 2 else blank
                out[i, t, label] -= np.exp(alpha[t, s] + beta[s] - total)
                going[s] = beta[s] + (x[i, t, label] - offset)
            for s in range(width):
                value = going[s]
                if s + 1 < width:
                    value = _log_add(value, going[s + 1])
                if s + 2 < width and s % 2 and labels[i, s // 2] != labels[i, s // 2 + 1]:
                    value = _log_add(value, going[s + 2])
                beta[s] = value


# -- decoding


def decode_greedy(
    logits: np.ndarray, times: np.ndarray, blank: int, merge_repeated: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class at each time, neighbours that are equal taken once, blanks left out.

    Returns labels (1, n, time), filled up with -1, and minus the sums of the highest logits (n, 1).
    """
    n, steps = logits.shape[:2]
    paths = np.full((1, n, steps), -1, np.int64)
    scores = np.zeros((n, 1), logits.dtype)
    for i in range(n):
        rows = logits[i, : times[i]]
        best = rows.argmax(axis=1)
        scores[i, 0] = -rows.max(axis=1).sum()
        kept = best != blank
        if merge_repeated:
            kept[1:] &= best[1:] != best[:-1]
        paths[0, i, : kept.sum()] = best[kept]
    return paths, scores


def decode_beam(
    logits: np.ndarray, times: np.ndarray, blank: int, merge_repeated: bool, width: int, top: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ``top`` most probable label sequences among the ``width`` best beginnings kept at each time.

    Returns labels (top, n, time), filled up with -1, and log probabilities (n, top), -infinity where there are not so
    many sequences. ``merge_repeated`` takes equal neighbours of the result once (labels, not classes of frames).
    """
    n, steps = logits.shape[:2]
    paths = np.full((top, n, steps), -1, np.int64)
    scores = np.full((n, top), _NEVER, logits.dtype)
    for i in range(n):
        found = _beam(np.asarray(logits[i, : times[i]], np.float64), blank, width)
        for k, (score, labels) in enumerate(found[:top]):
            if merge_repeated:
                labels = [x for j, x in enumerate(labels) if j == 0 or x != labels[j - 1]]
            paths[k, i, : len(labels)] = labels
            scores[i, k] = score
    return paths, scores


def _beam(x: np.ndarray, blank: int, width: int) -> list[tuple[float, list[int]]]:
    """Label sequences with their log probabilities, best first."""
    # Sequences are nodes of a tree: the node before, and the label; node 0 is the empty sequence.
    before, label = [-1], [-1]
    children: dict[tuple[int, int], int] = {}
    beam = np.array([0])
    ends_blank, ends_label = np.array([0.0]), np.array([_NEVER])
    classes = x.shape[1] if x.ndim == 2 else 0
    for frame in x:
        top = frame.max()
        p = frame - (top + np.log(np.exp(frame - top).sum()))
        total = np.logaddexp(ends_blank, ends_label)
        last = np.array([label[b] for b in beam])
        longer = np.tile(total[:, None], (1, classes))
        inside = last >= 0
        longer[inside, last[inside]] = ends_blank[inside]  # the same label again needs a blank between
        longer += p
        longer[:, blank] = _NEVER
        place = {int(b): k for k, b in enumerate(beam)}
        new_label = np.where(inside, ends_label + p[last], _NEVER)
        for k, b in enumerate(beam):
            parent = place.get(before[b])
            if parent is not None:
                new_label[k] = np.logaddexp(new_label[k], longer[parent, label[b]])
                longer[parent, label[b]] = _NEVER
        new_blank = total + p[blank]
        scores = np.concatenate([np.logaddexp(new_blank, new_label), longer.reshape(-1)])
        best = np.argsort(-scores, kind="stable")[:width]
        best = best[scores[best] > _NEVER]
        kept = len(beam)
        nodes, blanks, labelled = [], [], []
        for k in best.tolist():
            if k < kept:
                nodes.append(int(beam[k]))
                blanks.append(new_blank[k])
                labelled.append(new_label[k])
                continue
            parent, c = divmod(k - kept, classes)
            key = int(beam[parent]), c
            node = children.get(key)
            if node is None:
                node = children[key] = len(label)
                before.append(key[0])
                label.append(c)
            nodes.append(node)
            blanks.append(_NEVER)
            labelled.append(scores[k])
        beam, ends_blank, ends_label = np.array(nodes, int), np.array(blanks), np.array(labelled)
    found = []
    total = np.logaddexp(ends_blank, ends_label)
    for k in np.argsort(-total, kind="stable"):
        labels = []
        node = int(beam[k])
        while node:
            labels.append(label[node])
            node = before[node]
        found.append((float(total[k]), labels[::-1]))
    return found

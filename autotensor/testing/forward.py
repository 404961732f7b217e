"""The derivative in a direction by ``at.jvp``, against differences along it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import autotensor as at
from autotensor.testing.comparison import Comparison
from autotensor.testing.differences import SMOOTH, central, second_look
from autotensor.testing.one_input import random_numbers
from autotensor.testing.report import InputReport, badness
from autotensor.testing.subject import Subject, evaluated


def check_forward(subject: Subject, whole: Comparison, directions: int) -> None:
    """Add a row "jvp" to the report: all inputs moved at once, the Variables left where they are."""
    n = len(subject.start) - len(subject.variables)
    point = subject.start[:n]
    row = InputReport("jvp", 1, (), sum(x.size for x in point), mode="projection")
    if not row.size:
        return
    whole.report.inputs.append(row)
    for _ in range(directions):
        vs = [random_numbers(whole.rng, x.shape, x.dtype) * np.maximum(1.0, np.abs(x)) for x in point]
        _compare(subject, whole, row, point, vs)


def _compare(
    subject: Subject, whole: Comparison, row: InputReport, point: list[np.ndarray], vs: Sequence[np.ndarray]
) -> None:
    rest = subject.start[len(point) :]

    def evaluate(t: float) -> tuple[np.ndarray, np.ndarray]:
        moved = [x + t * v for x, v in zip(point, vs)]
        return whole.projected(evaluated(subject.run([*moved, *rest])[0]))

    resolution = max(float(np.max(np.abs(x) / np.abs(v), initial=0.0)) for x, v in zip(point, vs)) * 2.0**-52
    found = central(evaluate, whole.rule, resolution)
    if found.state[0] != SMOOTH:
        whole.report.notes.append("a direction of jvp met a kink, and was left out")
        return
    subject.run(subject.start)  # the Variables back where they were
    _, pushed = at.jvp(lambda *xs: subject.outputs(xs), tuple(point), tuple(vs))
    analytic = float(whole.projected(evaluated(pushed))[0][0])
    for _ in range(2):
        numeric = float(found.derivative[0])
        allowed = whole.rule.atol + whole.rule.rtol * max(abs(analytic), abs(numeric)) + float(found.noise[0])
        if abs(analytic - numeric) <= allowed or not whole.rule.measured:
            break
        found = second_look(evaluate, whole.rule, resolution, found)
    ratio = badness(abs(analytic - numeric), allowed)
    row.ok = row.ok and ratio <= 1
    if not row.allowed or ratio > row.badness:
        row.analytic, row.numeric, row.allowed = analytic, numeric, allowed

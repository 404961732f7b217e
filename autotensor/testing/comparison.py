"""The comparison of one function's gradients with differences: along random directions, by element, or all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import autotensor as at
from autotensor import Tensor
from autotensor.core.grad import topological
from autotensor.errors import GradError
from autotensor.testing import complex_step
from autotensor.testing.differences import Rule, rule_for
from autotensor.testing.one_input import OneInput, index_of, random_numbers
from autotensor.testing.report import InputReport, Report, listed
from autotensor.testing.subject import evaluated

# As many elements of all inputs, and of all outputs, are few: the whole Jacobian is compared.
_FEW = 24
_NOTHING = "kinks everywhere: nothing could be checked. Choose another point."

Run = Callable[[Sequence[np.ndarray]], tuple[list[Tensor], list[Tensor]]]


@dataclass
class Options:
    """What the caller of ``check_grad`` asked for."""

    eps: float | None
    atol: float | None
    rtol: float | None
    directions: int
    mode: str
    method: str
    width: int = 8  # bytes of the narrowest float on the way, found at the first order


class Comparison:
    """One function at one order: ``run(values)`` gives its outputs and the leaves they follow from."""

    def __init__(
        self,
        run: Run,
        names: list[str],
        point: list[np.ndarray],
        order: int,
        options: Options,
        rng: np.random.Generator,
        report: Report,
    ):
        self.function = run
        self.names = names
        self.point = point
        self.order = order
        self.options = options
        self.rng = rng
        self.report = report
        self.us: list[np.ndarray] = []
        self.outs: list[Tensor] = []  # at the point itself

    # -- the whole ---------------------------------------------------------------------------------------------------

    def check(self) -> list[np.ndarray]:
        """Fill the report; returns the random numbers that the outputs were contracted with."""
        outs, leaves = self.function(self.point)
        self.outs = outs
        values = evaluated(outs)
        if not values and self.order == 1:
            raise GradError(
                "[check_grad] expected a floating result; all outputs are integers. Check the right output?"
            )
        # A scalar result is left as it is, so that the numbers shown are the user's own.
        plain = len(values) == 1 and values[0].ndim == 0 and self.order == 1
        self.us = [np.ones((), v.dtype) if plain else random_numbers(self.rng, v.shape, v.dtype) for v in values]
        gradients = self._walk_back(outs, leaves, self.us)
        self.rule = self._rule(outs)
        self._twice(values, gradients)
        if not self.names:
            return self.us
        if self.order > 1 and self._step_aside(values):
            gradients = self._gradients(self.point)
        elif not self._finite(values):
            return self.us
        if self.options.method == "complex":
            refusal = complex_step.refusal(self.function, self.point, self.rule.measured)
            if refusal:
                self.no_complex_step(refusal)
        mode = self._mode(values)
        jacobian = self._jacobian(self.point) if mode == "jacobian" else None
        for k, name in enumerate(self.names):
            row = InputReport(name, self.order, self.point[k].shape, self.point[k].size, mode=mode)
            self.report.inputs.append(row)
            if row.size:
                self._check_input(k, row, gradients[k], None if jacobian is None else jacobian[k])
        return self.us

    def no_complex_step(self, why: str) -> None:
        """Take differences in its place, here and at higher orders, and say so."""
        self.options.method = "central"
        self.report.notes.append(f"{what(self.order)} has no complex step ({why}): differences instead")

    def _twice(self, values: list[np.ndarray], gradients: list[np.ndarray | None]) -> None:
        """The same point must give the same bits."""
        outs, leaves = self.function(self.point)
        again = evaluated(outs)
        back = self._walk_back(outs, leaves, self.us) if len(outs) == len(self.us) else []
        pairs: list[tuple[str, Sequence[Any], Sequence[Any]]] = [
            (what(self.order), values, again),
            (what(self.order + 1), gradients, back),
        ]
        for which, one, other in pairs:
            same = len(one) == len(other) and all(
                a is b is None or (a is not None and b is not None and np.array_equal(a, b, equal_nan=True))
                for a, b in zip(one, other)
            )
            if not same:
                drawn = complex_step.random_operation(outs)
                by = f" ([{drawn}] draws anew each time)" if drawn else ""
                raise GradError(
                    f"[check_grad] expected the same result at the same point; {which} gave two different ones: it is "
                    f"random{by}. Seed inside the function (at.random.seed(0)), or draw before."
                )

    def _rule(self, outs: list[Tensor]) -> Rule:
        if self.order == 1:
            narrow = narrowest(outs)
            self.options.width = narrow.itemsize // (2 if narrow.kind == "c" else 1)
            if self.options.width < 8:
                self.report.notes.append(f"the function computes in {narrow}: larger steps, coarser check")
        return rule_for(self.options.width, self.options.eps, self.options.atol, self.options.rtol)

    def _finite(self, values: list[np.ndarray]) -> bool:
        """True if all values are finite; if not, it is a problem of the function."""
        for i, value in enumerate(values):
            bad = ~np.isfinite(value)
            if bad.any():
                where = [tuple(int(j) for j in index) for index in np.argwhere(bad)]
                kind = "nan" if np.isnan(value).any() else "infinite"
                which = f"output {i}" if self.order == 1 else f"{what(self.order)} (part {i})"
                self.report.problems.append(f"{which} is {kind} at {listed(where)}: there is nothing to compare")
                return False
        return True

    def _step_aside(self, values: list[np.ndarray]) -> bool:
        """A gradient may be infinite on a kink: look for a point nearby where it is not."""
        start = self.point
        for _ in range(4):
            if all(np.isfinite(value).all() for value in values):
                if self.point is not start:
                    self.report.notes.append(f"{what(self.order)} is not finite at the point: checked a little way off")
                return True
            self.point = [self._nearby(x) for x in start]
            values = evaluated(self.function(self.point)[0])
        self.point = start
        return False

    def _nearby(self, x: np.ndarray) -> np.ndarray:
        return x + 0.03 * random_numbers(self.rng, x.shape, x.dtype) * np.maximum(1.0, np.abs(x))

    def _mode(self, values: list[np.ndarray]) -> str:
        n, m = sum(x.size for x in self.point), sum(v.size for v in values)
        if self.options.mode != "auto":
            return self.options.mode if m else "projection"
        return "jacobian" if n <= _FEW and 0 < m <= _FEW else "projection"

    # -- gradients ---------------------------------------------------------------------------------------------------

    def _walk_back(self, outs: list[Tensor], leaves: list[Tensor], seeds: list[np.ndarray]) -> list[np.ndarray | None]:
        given = [at.Tensor(u.astype(out.dtype)) for u, out in zip(seeds, outs)]
        found = at.gradients(outs, leaves, given)
        arrays = iter(evaluated([g for g in found if g is not None]))
        return [None if g is None else next(arrays) for g in found]

    def _gradients(self, point: list[np.ndarray]) -> list[np.ndarray | None]:
        outs, leaves = self.function(point)
        return self._walk_back(outs, leaves, self.us)

    def _jacobian(self, point: list[np.ndarray]) -> list[list[np.ndarray | None]]:
        """For each input the gradients of all components of the outputs, one walk back for each."""
        outs, leaves = self.function(point)
        rows = [self._walk_back(outs, leaves, seeds) for seeds in self._unit_seeds(evaluated(outs))]
        return [[row[k] for row in rows] for k in range(len(self.names))]

    def _unit_seeds(self, values: list[np.ndarray]) -> list[list[np.ndarray]]:
        """Seeds that pick one component: of a complex element the real part, then the imaginary part."""
        seeds = []
        for i, value in enumerate(values):
            for unit in (1.0, -1.0j) if value.dtype.kind == "c" else (1.0,):
                for j in range(value.size):
                    picked = [np.zeros(v.shape, v.dtype) for v in values]
                    picked[i].reshape(-1)[j] = unit
                    seeds.append(picked)
        return seeds

    def _component(self, c: int, values: Sequence[np.ndarray]) -> tuple[int, ...]:
        """The output element that component ``c`` belongs to."""
        for i, value in enumerate(values):
            parts = 2 if value.dtype.kind == "c" else 1
            if c < parts * value.size:
                return (i, *index_of(c % value.size, value.shape))
            c -= parts * value.size
        raise IndexError(c)

    # -- one input ---------------------------------------------------------------------------------------------------

    def _check_input(
        self, k: int, row: InputReport, gradient: np.ndarray | None, jacobian: list[np.ndarray | None] | None
    ) -> None:
        point = self.point
        for attempt in range(4):
            if gradient is not None and gradient.shape != row.shape:
                row.ok = False
                row.problem = (
                    f"the gradient has shape {gradient.shape}, the input {row.shape}: a missing unbroadcast()?"
                )
                return
            one = OneInput(self, point, k, row, gradient, jacobian)
            one.check()
            if row.checked:
                break
            if attempt == 3:
                row.ok, row.problem = False, _NOTHING
                return
            # Every element is on a kink, so nothing would be checked: do it a little way off.
            point = point[:k] + [self._nearby(self.point[k])] + point[k + 1 :]
            clean = InputReport(row.name, row.order, row.shape, row.size, moved=True, mode=row.mode)
            row.__dict__.update(clean.__dict__)
            gradient = self._gradients(point)[k]
            jacobian = None if jacobian is None else self._jacobian(point)[k]
        if row.unsettled:
            row.ok = False
            row.problem = row.problem or (
                f"differences do not settle at {listed(row.unsettled)}: the function is rough there, or its scale is "
                "far below 1. Pass a smaller eps, or rescale the input."
            )

    # -- function values ---------------------------------------------------------------------------------------------

    def values_at(self, point: list[np.ndarray], k: int, v: np.ndarray, t: float) -> list[np.ndarray]:
        """Outputs with input ``k`` moved by ``t * v``."""
        moved = point[:k] + [point[k] + t * v] + point[k + 1 :]
        with np.errstate(all="ignore"):
            return evaluated(self.function(moved)[0])

    def projected(self, values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The random sum over all outputs, and the sum of the sizes of its terms, as vectors of length 1."""
        total = size = 0.0
        with np.errstate(all="ignore"):
            for u, value in zip(self.us, values):
                term = u * value
                total += float(np.sum(term.real, dtype=np.float64))
                size += float(np.sum(np.abs(term), dtype=np.float64))
        return np.array([total]), np.array([size])

    def components(self, values: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """All elements of all outputs in a row, real parts before imaginary ones, and their sizes."""
        parts = []
        for value in values:
            flat = value.reshape(-1)
            parts += [flat.real, flat.imag] if value.dtype.kind == "c" else [flat]
        found = np.concatenate([part.astype(np.float64) for part in parts])
        return found, np.abs(found)


def narrowest(outs: Sequence[Tensor]) -> np.dtype:
    """The narrowest floating dtype among the results on the way to ``outs``."""
    found = [out.dtype for out in outs]
    for _, results in topological(list(outs)):
        found += [t.dtype for t in results.values() if t.dtype.kind in "fc"]
    return min(found, key=lambda dtype: dtype.itemsize // (2 if dtype.kind == "c" else 1), default=np.dtype(np.float64))


def what(order: int) -> str:
    """The function that is compared at this order, in words."""
    return "the function" if order == 1 else "its gradient" if order == 2 else f"its derivative of order {order - 1}"

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
from autotensor.testing.differences import KINK, SMOOTH, Found, Rule, central, measured_noise, rule_for, settles
from autotensor.testing.report import InputReport, Report, badness, listed
from autotensor.testing.subject import evaluated

# Inputs with more elements are halved towards the error before elements are gone through one by one.
_ELEMENTWISE = 64
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

    # -- the whole ---------------------------------------------------------------------------------------------------

    def check(self) -> list[np.ndarray]:
        """Fill the report; returns the random numbers that the outputs were contracted with."""
        outs, leaves = self.function(self.point)
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
        self.complex = ""
        if self.options.method == "complex":
            self.complex = complex_step.refusal(self.function, self.point, self.rule.measured)
            if self.complex:
                self.report.notes.append(
                    f"{what(self.order)} has no complex step ({self.complex}): differences instead"
                )
        mode = self._mode(values)
        jacobian = self._jacobian(self.point) if mode == "jacobian" else None
        for k, name in enumerate(self.names):
            row = InputReport(name, self.order, self.point[k].shape, self.point[k].size, mode=mode)
            self.report.inputs.append(row)
            if row.size:
                self._check_input(k, row, gradients[k], None if jacobian is None else jacobian[k])
        return self.us

    def no_complex_step(self) -> None:
        """Note that differences are taken in its place."""
        self.report.notes.append(f"{what(self.order)} has no complex step ({self.complex}): differences instead")

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
            one = _Input(self, point, k, row, gradient, jacobian)
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


class _Input:
    """The gradients by one input at one point."""

    def __init__(
        self,
        whole: Comparison,
        point: list[np.ndarray],
        k: int,
        row: InputReport,
        gradient: np.ndarray | None,
        jacobian: list[np.ndarray | None] | None,
    ):
        self.whole = whole
        self.rule = whole.rule
        self.point = point
        self.k = k
        self.x = point[k]
        self.row = row
        self.missing = gradient is None
        self.gradient = np.zeros(row.shape) if gradient is None else gradient
        self.jacobian = jacobian
        self.is_complex = self.x.dtype.kind == "c"

    def check(self) -> None:
        row = self.row
        if self.jacobian is not None:
            self._check_jacobian(self.jacobian)
        else:
            self._check_projection()
        if not row.ok and self.missing:
            row.problem = "no gradient (None): it counts as 0."
        elif not row.ok and not np.isfinite(row.analytic):
            bad = [index_of(int(i), row.shape) for i in np.flatnonzero(~np.isfinite(self.gradient))]
            row.problem = f"the gradient is not finite at {listed(bad)}."

    # -- all derivatives ---------------------------------------------------------------------------------------------

    def _check_jacobian(self, jacobian: list[np.ndarray | None]) -> None:
        row, whole = self.row, self.whole
        n = row.size
        analytic = np.stack([np.zeros(n) if g is None else g.reshape(-1) for g in jacobian])
        numeric = np.full(analytic.shape, np.nan, np.complex128 if self.is_complex else np.float64)
        values = whole.values_at(self.point, self.k, np.zeros(row.shape), 0.0)
        for j in range(n):
            found = self._element(j, whole.components)
            smooth = found.state == SMOOTH
            if (found.state == KINK).any():
                row.kinks.append(index_of(j, row.shape))
                # An infinite slope makes NaN of the zeros that come in beside it.
                smooth &= np.isfinite(analytic[:, j])
            elif not smooth.all():
                row.unsettled.append(index_of(j, row.shape))
            numeric[smooth, j] = found.derivative[smooth]
            allowed = self._allowed(analytic[:, j], numeric[:, j], found.noise)
            agree = np.abs(analytic[:, j] - numeric[:, j]) <= allowed
            if self.rule.measured and not agree[smooth].all():
                found.noise = self._measured(j, found, whole.components)
                allowed = self._allowed(analytic[:, j], numeric[:, j], found.noise)
            for c in np.flatnonzero(smooth):
                place = whole._component(int(c), values)
                self._keep(analytic[c, j], numeric[c, j], allowed[c], index_of(j, row.shape), place)
        if not row.ok and not self.missing:
            row.problem = _diagnosis(analytic, numeric)

    # -- projections -------------------------------------------------------------------------------------------------

    def _check_projection(self) -> None:
        row = self.row
        free = np.setdiff1d(np.arange(row.size), self._kinked(np.arange(row.size)))
        for _ in range(3):
            if not len(free):
                return
            late = False
            for _ in range(self.whole.options.directions):
                if self.whole.options.mode == "elements" or not row.ok or late:
                    break
                late = not self._compare(free)
            if not (late or self.whole.options.mode == "elements" or not row.ok):
                return
            before = row.checked
            self._find_worst(free)
            if row.checked == before or not row.ok:
                return
            # A direction went through a kink that only its own elements show: go on without these.
            left_out = {np.ravel_multi_index(i, row.shape) if i else 0 for i in row.kinks + row.unsettled}
            free = np.array([i for i in free if i not in left_out], dtype=int)
            row.analytic, row.numeric, row.allowed, row.worst = 0.0, 0.0, 0.0, None

    def _compare(self, elements: np.ndarray) -> bool:
        """Compare along a random direction through ``elements``; False where that meets a kink."""
        v = self._direction(elements)
        ratio = self._along(v, elements)
        return ratio is not None

    def _along(self, v: np.ndarray, elements: np.ndarray, keep: bool = True) -> float | None:
        """How bad the gradient is along ``v``; None at a kink."""
        found = self._derivative(v, self.whole.projected)
        if found.state[0] != SMOOTH:
            return None
        # Elements outside the direction stay out of the sum: their gradient may be infinite, and inf * 0 is NaN.
        with np.errstate(all="ignore"):
            chosen = self.gradient.reshape(-1)[elements] * v.reshape(-1)[elements]
            analytic = np.array([np.sum(chosen).real], np.float64)
        allowed = self._allowed(analytic, found.derivative, found.noise)
        ratio = badness(float(np.abs(analytic - found.derivative)[0]), float(allowed[0]))
        if ratio > 1 and self.rule.measured:
            noise = measured_noise(lambda t: self.whole.projected(self._values(v, t)), found)
            allowed = self._allowed(analytic, found.derivative, noise)
        if keep:
            self._keep(analytic[0], found.derivative[0], allowed[0], None, None)
        return badness(float(np.abs(analytic - found.derivative)[0]), float(allowed[0]))

    def _find_worst(self, elements: np.ndarray) -> None:
        """Put the worst element into the row: by halves towards the larger error, then one by one."""
        row = self.row
        while len(elements) > _ELEMENTWISE and self.whole.options.mode != "elements":
            halves = np.array_split(elements, 2)
            ratios = [self._along(self._direction(half), half, keep=False) for half in halves]
            if None in ratios:
                self._kinked(halves[ratios.index(None)])
                return
            elements = halves[int(np.argmax([ratio or 0.0 for ratio in ratios]))]
        analytic, numeric = self.gradient.reshape(-1), np.full(row.size, np.nan, self.gradient.dtype)
        for j in elements:
            found = self._element(int(j), self.whole.projected)
            index = index_of(int(j), row.shape)
            if found.state[0] != SMOOTH:
                self._leave_out(index, int(found.state[0]))
                continue
            numeric[j] = found.derivative[0]
            allowed = self._allowed(analytic[j : j + 1], found.derivative, found.noise)
            if badness(abs(analytic[j] - numeric[j]), float(allowed[0])) > 1 and self.rule.measured:
                noise = self._measured(int(j), found, self.whole.projected)
                allowed = self._allowed(analytic[j : j + 1], found.derivative, noise)
            self._keep(analytic[j], numeric[j], allowed[0], index, None)
        if not row.ok and not self.missing:
            row.problem = _diagnosis(analytic[None, elements], numeric[None, elements])

    def _leave_out(self, index: tuple[int, ...], state: int) -> None:
        places = self.row.kinks if state == KINK else self.row.unsettled
        if index not in places:
            places.append(index)

    def _kinked(self, elements: np.ndarray) -> list[int]:
        """Elements on a kink, found by halving the groups whose direction shows one; they go into the row."""
        out = []
        groups = [elements]
        while groups:
            group = groups.pop()
            v = self._direction(group)
            if settles(lambda t, v=v: self.whole.projected(self._values(v, t)), self.rule):  # type: ignore[misc]
                continue
            if len(group) > 1:
                groups.extend(np.array_split(group, 2))
                continue
            state = int(self._derivative(v, self.whole.projected, plain=True).state[0])
            if state != SMOOTH:
                out.append(int(group[0]))
                self._leave_out(index_of(out[-1], self.row.shape), state)
        self.row.kinks.sort()
        return out

    # -- one derivative ----------------------------------------------------------------------------------------------

    def _direction(self, elements: np.ndarray) -> np.ndarray:
        """A random direction in some elements; large elements move further."""
        v = np.zeros(self.x.shape, self.x.dtype)
        drawn = random_numbers(self.whole.rng, self.x.shape, self.x.dtype) * np.maximum(1.0, np.abs(self.x))
        v.reshape(-1)[elements] = drawn.reshape(-1)[elements]
        return v

    def _values(self, v: np.ndarray, t: float) -> list[np.ndarray]:
        return self.whole.values_at(self.point, self.k, v, t)

    def _derivative(self, v: np.ndarray, read: Any, plain: bool = False) -> Found:
        """Derivatives along ``v`` of what ``read`` makes of the outputs."""
        moved = v != 0
        resolution = float(np.max(np.abs(self.x[moved]) / np.abs(v[moved]), initial=0.0)) * 2.0**-52
        found = central(lambda t: read(self._values(v, t)), self.rule, resolution)
        if plain or self.whole.options.method != "complex" or self.whole.complex:
            return found
        exact, noise = complex_step.derivative(self.whole.function, self.point, self.k, v, read)
        # The two agree, but where an operation is not analytic.
        limit = self.rule.settle_atol + self.rule.settle_rtol * np.abs(exact) + found.noise
        wrong = (found.state == SMOOTH) & ~(np.abs(exact - found.derivative) <= 10 * limit)
        if wrong.any():
            self.whole.complex = "the function is not analytic: another derivative along the imaginary axis"
            self.whole.no_complex_step()
            return found
        found.derivative, found.noise = np.where(found.state == SMOOTH, exact, np.nan), noise
        return found

    def _element(self, j: int, read: Any) -> Found:
        """Derivatives by element ``j``; by a complex one d/d(real part) - i d/d(imaginary part)."""
        parts = []
        for unit in (1.0, 1.0j) if self.is_complex else (1.0,):
            v, length = self._unit(j, unit)
            found = self._derivative(v, read)
            found.derivative, found.noise = found.derivative / length, found.noise / length
            parts.append(found)
        if len(parts) == 1:
            return parts[0]
        one, other = parts
        return Found(
            one.derivative - 1j * other.derivative,
            one.noise + other.noise,
            np.maximum(one.state, other.state),
            np.minimum(one.step, other.step),
        )

    def _unit(self, j: int, unit: complex) -> tuple[np.ndarray, float]:
        v = np.zeros(self.x.shape, self.x.dtype)
        length = max(1.0, float(abs(self.x.reshape(-1)[j])))
        v.reshape(-1)[j] = unit * length
        return v, length

    def _measured(self, j: int, found: Found, read: Any) -> np.ndarray:
        noise = np.zeros(len(found.noise))
        for unit in (1.0, 1.0j) if self.is_complex else (1.0,):
            v, length = self._unit(j, unit)
            noise += measured_noise(lambda t, v=v: read(self._values(v, t)), found) / length  # type: ignore[misc]
        return np.maximum(noise, found.noise)

    def _allowed(self, analytic: np.ndarray, numeric: np.ndarray, noise: np.ndarray) -> np.ndarray:
        exact = self.whole.options.method == "complex" and not self.whole.complex
        options = self.whole.options
        atol = complex_step.ATOL if exact and options.atol is None else self.rule.atol
        rtol = complex_step.RTOL if exact and options.rtol is None else self.rule.rtol
        with np.errstate(all="ignore"):
            return atol + rtol * np.maximum(np.abs(analytic), np.abs(numeric)) + noise

    def _keep(
        self,
        analytic: Any,
        numeric: Any,
        allowed: float,
        worst: tuple[int, ...] | None,
        output: tuple[int, ...] | None,
    ) -> None:
        """The worst so far stays in the row; an element rather than a direction."""
        row = self.row
        ratio = badness(abs(analytic - numeric), float(allowed))
        if not ratio <= 1.0:
            row.ok = False
        if row.allowed == 0.0 or (worst is not None and row.worst is None) or ratio > row.badness:
            row.analytic, row.numeric, row.allowed = _plain(analytic), _plain(numeric), float(allowed)
            row.worst, row.output = worst, output


def _diagnosis(analytic: np.ndarray, numeric: np.ndarray) -> str:
    """What kind of error it looks like, from the derivatives that were compared."""
    known = np.isfinite(numeric) & np.isfinite(analytic)
    a, n = analytic[known], numeric[known]
    scale = float(np.max(np.abs(n), initial=0.0))
    if not len(a) or scale == 0:
        return ""
    if not a.any():
        return "It is 0 everywhere: is a part detached (stop_gradient, numpy()), or the gradient left out?"
    close = lambda x, y: bool(np.allclose(x, y, rtol=1e-4, atol=1e-7 * scale))
    if close(a, -n):
        return "It has the wrong sign."
    if np.iscomplexobj(n) and close(a, np.conj(n)):
        return "It is the complex conjugate: the convention here is d/dx - i d/dy, see docs/gradient_checks.md."
    factor = np.vdot(n, a) / np.vdot(n, n)
    if len(a) > 1 and abs(factor - 1) > 1e-6 and close(a, factor * n):
        return f"It is {_plain(factor):.6g} times what it should be, everywhere."
    square = analytic.shape[0] == analytic.shape[1] and known.all()
    if square and close(analytic.T, numeric):
        return "The Jacobian is transposed."
    wrong = int(np.sum(np.abs(a - n) > 1e-4 * np.abs(n) + 1e-7 * scale))
    return f"Wrong in {wrong} of {len(a)} derivatives. Look at the rule for that input." if len(a) > 1 else ""


def _plain(x: Any) -> Any:
    x = np.asarray(x).item()
    return x.real if isinstance(x, complex) and x.imag == 0 else x


def narrowest(outs: Sequence[Tensor]) -> np.dtype:
    """The narrowest floating dtype among the results on the way to ``outs``."""
    found = [out.dtype for out in outs]
    for _, results in topological(list(outs)):
        found += [t.dtype for t in results.values() if t.dtype.kind in "fc"]
    return min(found, key=lambda dtype: dtype.itemsize // (2 if dtype.kind == "c" else 1), default=np.dtype(np.float64))


def what(order: int) -> str:
    """The function that is compared at this order, in words."""
    return "the function" if order == 1 else "its gradient" if order == 2 else f"its derivative of order {order - 1}"


def index_of(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Index of an element from its position in C order."""
    return tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()


def random_numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Random numbers with sizes from 0.5 to 1.5: none is so small that an error would hide behind it."""
    size = rng.uniform(0.5, 1.5, shape)
    if np.dtype(dtype).kind == "c":
        return np.asarray(size * np.exp(2j * np.pi * rng.random(shape)))
    return np.asarray(size * rng.choice([-1.0, 1.0], shape))

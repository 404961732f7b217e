"""The gradients by one input against differences: along random directions, by element, or all derivatives at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from autotensor.testing import complex_step
from autotensor.testing.differences import KINK, SMOOTH, Found, central, second_look, settles
from autotensor.testing.report import InputReport, badness, listed

if TYPE_CHECKING:
    from autotensor.testing.comparison import Comparison

# Inputs with more elements are halved towards the error before elements are gone through one by one.
_ELEMENTWISE = 64


class OneInput:
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
        self._centre: list[np.ndarray] | None = None  # outputs at the point itself

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
        values = self._values(np.zeros(row.shape), 0.0)
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
                found = self._element(j, whole.components, again=True)
                numeric[smooth, j] = found.derivative[smooth]
                allowed = self._allowed(analytic[:, j], numeric[:, j], found.noise)
            for c in np.flatnonzero(smooth):
                place = whole._component(int(c), values) if len(smooth) > 1 else None
                self._keep(analytic[c, j], numeric[c, j], allowed[c], index_of(j, row.shape), place)
        if not row.ok and not self.missing:
            row.problem = _diagnosis(analytic, numeric)

    # -- projections -------------------------------------------------------------------------------------------------

    def _check_projection(self) -> None:
        row, elements = self.row, np.arange(self.row.size)
        if self.whole.options.mode == "elements":
            self._find_worst(elements, every=True)
            return
        for _ in range(4):
            left_out = len(row.kinks) + len(row.unsettled)
            if self._compare(elements):
                if row.ok:
                    return
                self._find_worst(elements)
            elif not len(self._kinked(elements)):
                self._find_worst(elements, every=True)  # what no group of them shows, its own elements do
            if len(row.kinks) + len(row.unsettled) == left_out or (row.worst is not None and row.badness > 1):
                return
            # Go on without the elements on a kink.
            places = {np.ravel_multi_index(i, row.shape) if i else 0 for i in row.kinks + row.unsettled}
            elements = np.array([i for i in range(row.size) if i not in places], dtype=int)
            if not len(elements):
                return
            row.ok, row.analytic, row.numeric, row.allowed, row.worst = True, 0.0, 0.0, 0.0, None

    def _compare(self, elements: np.ndarray) -> bool:
        """Compare along random directions through ``elements``; False where one meets a kink."""
        for _ in range(self.whole.options.directions):
            if self._along(self._direction(elements), elements) is None:
                return False
            if not self.row.ok:
                break
        return True

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
            found = self._derivative(v, self.whole.projected, again=True)
            allowed = self._allowed(analytic, found.derivative, found.noise)
        if keep:
            self._keep(analytic[0], found.derivative[0], allowed[0], None, None)
        return badness(float(np.abs(analytic - found.derivative)[0]), float(allowed[0]))

    def _find_worst(self, elements: np.ndarray, every: bool = False) -> None:
        """Put the worst element into the row: by halves towards the larger error, then one by one; or ``every`` one."""
        row = self.row
        while len(elements) > _ELEMENTWISE and not every:
            halves = np.array_split(elements, 2)
            ratios = [self._along(self._direction(half), half, keep=False) for half in halves]
            if None in ratios:
                self._kinked(halves[ratios.index(None)])
                return
            elements = halves[int(np.argmax([ratio or 0.0 for ratio in ratios]))]
        analytic = self.gradient.reshape(-1)
        numeric = np.full(row.size, np.nan, np.complex128 if self.is_complex else np.float64)
        for j in elements:
            found = self._element(int(j), self.whole.projected)
            index = index_of(int(j), row.shape)
            if found.state[0] != SMOOTH:
                self._leave_out(index, int(found.state[0]))
                continue
            numeric[j] = found.derivative[0]
            allowed = self._allowed(analytic[j : j + 1], found.derivative, found.noise)
            if badness(abs(analytic[j] - numeric[j]), float(allowed[0])) > 1 and self.rule.measured:
                found = self._element(int(j), self.whole.projected, again=True)
                numeric[j] = found.derivative[0]
                allowed = self._allowed(analytic[j : j + 1], found.derivative, found.noise)
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
        if t != 0:
            return self.whole.values_at(self.point, self.k, v, t)
        if self._centre is None:
            self._centre = self.whole.values_at(self.point, self.k, v, t)
        return self._centre

    def _derivative(self, v: np.ndarray, read: Any, plain: bool = False, again: bool = False) -> Found:
        """Derivatives along ``v`` of what ``read`` makes of the outputs.

        plain: by differences only. again: the gradient disagreed, so noise is measured.
        """
        moved = v != 0
        resolution = float(np.max(np.abs(self.x[moved]) / np.abs(v[moved]), initial=0.0)) * 2.0**-52
        evaluate = lambda t: read(self._values(v, t))
        found = central(evaluate, self.rule, resolution)
        if again:
            found = second_look(evaluate, self.rule, resolution, found)
        if plain or self.whole.options.method != "complex":
            return found
        exact, noise = complex_step.derivative(self.whole.function, self.point, self.k, v, read)
        # The two agree, but where an operation is not analytic.
        limit = self.rule.settle_atol + self.rule.settle_rtol * np.abs(exact) + found.noise
        wrong = (found.state == SMOOTH) & ~(np.abs(exact - found.derivative) <= 10 * limit)
        if wrong.any():
            self.whole.no_complex_step("it is not analytic: another derivative along the imaginary axis")
            return found
        found.derivative, found.noise = np.where(found.state == SMOOTH, exact, np.nan), noise
        return found

    def _element(self, j: int, read: Any, again: bool = False) -> Found:
        """Derivatives by element ``j``; by a complex one d/d(real part) - i d/d(imaginary part)."""
        parts = []
        for unit in (1.0, 1.0j) if self.is_complex else (1.0,):
            v, length = self._unit(j, unit)
            found = self._derivative(v, read, again=again)
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

    def _allowed(self, analytic: np.ndarray, numeric: np.ndarray, noise: np.ndarray) -> np.ndarray:
        options = self.whole.options
        exact = options.method == "complex"
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


def index_of(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Index of an element from its position in C order."""
    return tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()


def random_numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Random numbers with sizes from 0.5 to 1.5: none is so small that an error would hide behind it."""
    size = rng.uniform(0.5, 1.5, shape)
    if np.dtype(dtype).kind == "c":
        return np.asarray(size * np.exp(2j * np.pi * rng.random(shape)))
    return np.asarray(size * rng.choice([-1.0, 1.0], shape))

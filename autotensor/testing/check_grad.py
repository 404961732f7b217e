"""Compare gradients with differences of function values.

The outputs of the function are contracted with fixed random numbers ``u`` to phi(x) = sum(u * f(x)). Its
derivative in a random direction ``v`` is taken from differences, and compared with sum(v * gradient) from
backpropagation: one walk backward and a few evaluations check a whole Jacobian. Where they disagree, the
elements of that input are gone through to find the worst one.

The difference is central, at two steps combined (Richardson extrapolation), which is exact up to the fourth
power of the step. The two steps also tell a kink: there the one-sided differences do not approach each other.
Near a kink the step is made smaller; elements right on one are left out, and counted in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import autotensor as at
from autotensor import Tensor, Variable
from autotensor.errors import GradError

# Steps tried one after the other as factors of eps: smaller ones get out of the reach of a kink nearby.
_LADDER = {8: (1.0, 1 / 16, 1 / 256), 4: (1.0, 1 / 4)}
# Measured on the operations of this package: with these, right rules pass with a factor of 1000 to spare in
# float64, and an error of 1e-3 in one of ten thousand elements still fails.
_DEFAULTS = {8: (1e-4, 1e-7, 1e-5), 4: (1e-2, 1e-3, 1e-2)}
# Rounding errors of one evaluation of phi, in units of the last place of its largest terms.
_ROUNDING = 32.0
# Inputs with more elements are halved towards the error before elements are gone through one by one.
_ELEMENTWISE = 64


class GradCheckError(GradError, AssertionError):
    """A gradient disagrees with differences. ``report`` says where and by how much."""

    def __init__(self, message: str, report: Report):
        super().__init__(message)
        self.report = report


@dataclass
class InputReport:
    """What was found for one input at one order."""

    name: str
    order: int
    shape: tuple[int, ...]
    size: int
    ok: bool = True
    analytic: float = 0.0
    numeric: float = 0.0
    allowed: float = 0.0
    worst: tuple[int, ...] | None = None  # element that analytic and numeric belong to; None: a random direction
    kinks: list[tuple[int, ...]] = field(default_factory=list)
    moved: bool = False
    problem: str = ""

    @property
    def error(self) -> float:
        """Distance of the analytic from the numeric derivative."""
        return abs(self.analytic - self.numeric)

    @property
    def checked(self) -> int:
        """Number of elements that took part."""
        return self.size - len(self.kinks)


@dataclass
class Report:
    """Result of ``check_grad``: a row for each input and order. True when every gradient agrees."""

    inputs: list[InputReport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when every gradient agrees with the differences."""
        return all(row.ok for row in self.inputs)

    @property
    def kinks(self) -> int:
        """Number of elements left out because the function has a kink there."""
        return sum(len(row.kinks) for row in self.inputs)

    @property
    def worst(self) -> InputReport | None:
        """The row with the largest error in terms of what was allowed."""
        rows = [row for row in self.inputs if row.size]
        return max(rows, key=lambda row: (not row.ok, _badness(row.error, row.allowed)), default=None)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        head = [
            "order",
            "input",
            "shape",
            "checked",
            "kinks",
            "worst at",
            "analytic",
            "numeric",
            "error",
            "allowed",
            "",
        ]
        rows = [head]
        for row in self.inputs:
            at_ = "direction" if row.worst is None else str(list(row.worst))
            state = ("ok" if row.ok else "WRONG") + (" (moved)" if row.moved else "")
            state += f": {row.problem}" if row.problem else ""
            numbers = [f"{row.analytic:.8g}", f"{row.numeric:.8g}", f"{row.error:.2g}", f"{row.allowed:.2g}"]
            shape = str(row.shape)
            rows.append([str(row.order), row.name, shape, str(row.checked), str(len(row.kinks)), at_, *numbers, state])
        widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        for row in self.inputs:
            if row.kinks:
                shown = ", ".join(str(list(index)) for index in row.kinks[:5])
                more = f" and {len(row.kinks) - 5} more" if len(row.kinks) > 5 else ""
                lines.append(f"kinks of {row.name} (order {row.order}), left out: {shown}{more}")
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def check_grad(
    f: Callable[..., Any],
    *inputs: Any,
    wrt: Sequence[Variable] | Mapping[str, Variable] = (),
    order: int = 1,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    directions: int = 2,
    seed: int = 0,
    full: bool = False,
    raise_error: bool = True,
) -> Report:
    """Check the gradients of ``f`` against differences, in float64.

    ``f(*inputs)`` returns a tensor or several. Floating inputs (arrays, tensors, lists, Python floats) become
    tracked float64 tensors; a narrower float is converted, with a note. Integers and bools are passed on as
    they are.

    wrt: Variables that ``f`` reads, a sequence or a dictionary by name: their gradients are checked too. They
        are perturbed through ``assign`` and have their value back afterwards.
    order: 2 also checks the gradient itself as a function of the inputs and of the incoming gradient ``g``.
    eps, atol, rtol: step (times max(1, |x|)) and the difference allowed: atol + rtol * |derivative|. By
        default 1e-4, 1e-7, 1e-5 for results in float64, and 1e-2, 1e-3, 1e-2 where ``f`` computes in float32.
    directions: number of random directions for each input. ``full=True`` goes through every element as well.
    seed: of the random directions.

    Returns a ``Report``; raises ``GradCheckError`` carrying it if a gradient is wrong, unless
    ``raise_error=False``. A function that gives two different results at the same point is refused
    (``GradError``): seed it inside.

        >>> print(check_grad(lambda x: at.tanh(x).sum(), np.ones((2, 3)), order=2))
    """
    if order not in (1, 2):
        raise ValueError(f"[check_grad] order must be 1 or 2; got {order!r}. Use at.grad in f for higher orders?")
    report = Report()
    program = _Program(f, inputs, wrt, report)
    before = [variable.numpy() for variable in program.variables]
    rng = np.random.default_rng(seed)
    options = _Options(eps, atol, rtol, max(1, directions), full)
    try:
        point = program.start
        us = _Check(program.run, program.names, point, 1, options, rng, report).run()
        if order == 2:
            names = program.names + [f"g{k}" if len(us) > 1 else "g" for k in range(len(us))]

            def gradient(values: list[np.ndarray]) -> tuple[list[Tensor], list[Tensor]]:
                outs, leaves = program.run(values[: len(point)])
                gs = [_leaf(u) for u in values[len(point) :]]
                found = at.gradients(outs, leaves, gs)
                return [g for g in found if g is not None], leaves + gs

            _Check(gradient, names, point + us, 2, options, rng, report).run()
    finally:
        for variable, value in zip(program.variables, before):
            variable.assign(value)
    if raise_error and not report.ok:
        row = report.worst
        assert row is not None
        where = "a random direction" if row.worst is None else f"element {list(row.worst)}"
        raise GradCheckError(
            f"[check_grad] gradient of order {row.order} for input {row.name!r} should agree with "
            f"differences; at {where} it is {row.analytic:.8g}, differences give {row.numeric:.8g} (off by "
            f"{row.error:.2g}, {row.allowed:.2g} allowed). "
            f"{row.problem or 'Look at the rule for that input.'}\n{report}",
            report,
        )
    return report


@dataclass
class _Options:
    eps: float | None
    atol: float | None
    rtol: float | None
    directions: int
    full: bool


class _Program:
    """The function with its constants filled in: from a list of float arrays to output and leaf tensors."""

    def __init__(
        self,
        f: Callable[..., Any],
        inputs: Sequence[Any],
        wrt: Sequence[Variable] | Mapping[str, Variable],
        report: Report,
    ):
        self.f = f
        self.report = report
        self.arguments: list[Any] = []  # a constant, or None where a tensor goes
        self.names: list[str] = []
        self.start: list[np.ndarray] = []
        for i, x in enumerate(inputs):
            array = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
            if array.dtype.kind != "f":
                self.arguments.append(x)
                continue
            name = (x.name if isinstance(x, Tensor) else None) or str(i)
            if array.dtype != np.float64:
                report.notes.append(f"input {name} was converted from {array.dtype} to float64")
            self.arguments.append(None)
            self.names.append(name)
            self.start.append(array.astype(np.float64))
        named = wrt.items() if isinstance(wrt, Mapping) else [(v.name or f"wrt[{k}]", v) for k, v in enumerate(wrt)]
        self.variables: list[Variable] = []
        for name, variable in named:
            if not isinstance(variable, Variable) or variable.dtype.kind != "f":
                raise TypeError(
                    f"[check_grad] wrt takes floating Variables; {name!r} is {variable!r}. Pass other values as inputs?"
                )
            self.variables.append(variable)
            self.names.append(name)
            self.start.append(variable.numpy().astype(np.float64))

    def run(self, values: Sequence[np.ndarray]) -> tuple[list[Tensor], list[Tensor]]:
        """Floating outputs and the leaves they depend on, at ``values``."""
        n = len(values) - len(self.variables)
        leaves: list[Tensor] = [_leaf(value) for value in values[:n]]
        for variable, value in zip(self.variables, values[n:]):
            variable.assign(value)
        given = iter(leaves)
        out = self.f(*[next(given) if x is None else x for x in self.arguments])
        parts = (
            list(out.values()) if isinstance(out, Mapping) else list(out) if isinstance(out, (tuple, list)) else [out]
        )
        for part in parts:
            if not isinstance(part, Tensor):
                raise TypeError(
                    f"[check_grad] f must return tensors; got {type(part).__name__}. Use at.* functions all the way?"
                )
        return [part for part in parts if part.dtype.kind == "f"], leaves + list(self.variables)


Run = Callable[[list[np.ndarray]], tuple[list[Tensor], list[Tensor]]]


class _Check:
    """The check of one function at one order."""

    def __init__(
        self,
        run: Run,
        names: list[str],
        point: list[np.ndarray],
        order: int,
        options: _Options,
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

    def run(self) -> list[np.ndarray]:
        """Fill the report; returns the random numbers that the outputs were contracted with."""
        values = _values(self.function(self.point)[0])
        again = _values(self.function(self.point)[0])
        if any(not np.array_equal(a, b, equal_nan=True) for a, b in zip(values, again)) or len(values) != len(again):
            raise GradError(
                f"[check_grad] expected the same result at the same point; {_what(self.order)} gave two "
                "different ones. Seed random numbers inside the function, or draw them before."
            )
        if not values and self.order == 1:
            raise GradError(
                "[check_grad] expected a floating result; all outputs are integers. Check the right output?"
            )
        width = min((value.dtype.itemsize for value in values), default=8)
        width = 8 if width >= 8 else 4
        eps, atol, rtol = (
            default if given is None else given
            for given, default in zip((self.options.eps, self.options.atol, self.options.rtol), _DEFAULTS[width])
        )
        if width == 4:
            self.report.notes.append(f"{_what(self.order)} computes in {values[0].dtype}: larger steps, coarser check")
        self.eps, self.atol, self.rtol, self.ladder = eps, atol, rtol, _LADDER[width]
        self.unit = _ROUNDING * float(np.finfo(np.float64 if width == 8 else np.float32).eps)
        # A scalar result is left as it is, so that the numbers shown are the user's own.
        plain = len(values) == 1 and values[0].ndim == 0 and self.order == 1
        self.us = [np.ones(()) if plain else _signs(self.rng, value.shape) for value in values]
        gradients = self._gradients(self.point)
        for k, name in enumerate(self.names):
            row = InputReport(name, self.order, self.point[k].shape, self.point[k].size)
            self.report.inputs.append(row)
            if row.size:
                self._check_input(k, row, gradients[k])
        return self.us

    def _gradients(self, point: list[np.ndarray]) -> list[np.ndarray | None]:
        outs, leaves = self.function(point)
        seeds = [at.Tensor(u.astype(out.dtype)) for u, out in zip(self.us, outs)]
        found = at.gradients(outs, leaves, seeds)
        arrays = iter(_values([g for g in found if g is not None]))
        return [None if g is None else next(arrays) for g in found]

    def _check_input(self, k: int, row: InputReport, gradient: np.ndarray | None) -> None:
        point = self.point
        kinked = self._kinked(point, k)
        for _ in range(3):
            if not kinked.all():
                break
            # Every element is on a kink, so nothing would be checked: do it a little way off.
            step = 0.03 * _signs(self.rng, point[k].shape) * np.maximum(1.0, np.abs(point[k]))
            point = point[:k] + [self.point[k] + step] + point[k + 1 :]
            row.moved = True
            gradient = self._gradients(point)[k]
            kinked = self._kinked(point, k)
        row.kinks = [_index(int(i), row.shape) for i in np.flatnonzero(kinked)]
        if kinked.all():
            row.ok, row.problem = False, "kinks everywhere: nothing could be checked. Choose another point."
            return
        if gradient is None:
            row.problem = "no gradient (None): it counts as 0."
            gradient = np.zeros(row.shape)
        if gradient.shape != row.shape:
            row.ok = False
            row.problem = f"the gradient has shape {gradient.shape}, the input {row.shape}: a missing unbroadcast()?"
            return
        gradient = gradient.astype(np.float64)
        for _ in range(self.options.directions):
            self._compare(point, k, self._direction(point[k], ~kinked), gradient, row)
        if self.options.full or not row.ok:
            free = np.flatnonzero(~kinked)
            self._find_worst(point, k, free, gradient, row)
            # A direction may have gone through a kink that only its own elements show.
            late = [i for i in row.kinks if not kinked[i]]
            if late:
                for i in late:
                    kinked[i] = True
                row.ok, row.worst, row.analytic, row.numeric, row.allowed = True, None, 0.0, 0.0, 0.0
                if kinked.all():
                    row.ok, row.problem = (
                        False,
                        "kinks everywhere: nothing could be checked. Choose another point.",
                    )
                    return
                for _ in range(self.options.directions):
                    self._compare(point, k, self._direction(point[k], ~kinked), gradient, row)
                if self.options.full or not row.ok:
                    self._find_worst(point, k, np.flatnonzero(~kinked), gradient, row)
        if row.ok and row.problem:
            row.problem = ""  # None is right for an input that the result does not depend on

    def _compare(
        self,
        point: list[np.ndarray],
        k: int,
        v: np.ndarray,
        gradient: np.ndarray,
        row: InputReport,
        element: int = -1,
    ) -> float:
        """Compare along ``v``; keeps the result in ``row`` if it is the worst so far. Returns its badness."""
        # Elements outside the direction stay out of the sum: their gradient may be infinite, and inf * 0 is
        # NaN.
        chosen = v != 0
        analytic = float(np.sum(gradient[chosen] * v[chosen]))
        numeric, noise, kink = self._derivative(point, k, v)
        if kink:
            if element >= 0:
                row.kinks.append(_index(element, row.shape))
                return 0.0
            row.ok = False  # go through the elements
            return 0.0
        if element >= 0:
            length = float(v.reshape(-1)[element])
            analytic, numeric, noise = analytic / length, numeric / length, noise / abs(length)
        allowed = self.atol + self.rtol * max(abs(analytic), abs(numeric)) + noise
        badness = _badness(abs(analytic - numeric), allowed)
        if not badness <= 1.0:
            row.ok = False
        if row.allowed == 0.0 or badness > _badness(row.error, row.allowed) or (element >= 0 and row.worst is None):
            row.analytic, row.numeric, row.allowed = analytic, numeric, allowed
            row.worst = _index(element, row.shape) if element >= 0 else None
        return badness

    def _find_worst(
        self, point: list[np.ndarray], k: int, elements: np.ndarray, gradient: np.ndarray, row: InputReport
    ) -> None:
        """Put the worst element into ``row``: by halves towards the larger error, then one by one."""
        while len(elements) > _ELEMENTWISE and not self.options.full:
            halves = np.array_split(elements, 2)
            trial = InputReport(row.name, row.order, row.shape, row.size)
            badness = [self._compare(point, k, self._direction(point[k], half), gradient, trial) for half in halves]
            elements = halves[int(np.argmax(badness))]
        for i in elements:
            self._compare(point, k, self._direction(point[k], np.array([i])), gradient, row, element=int(i))

    def _direction(self, x: np.ndarray, elements: np.ndarray) -> np.ndarray:
        """A random direction in some elements (flat indices, or a mask); large elements move further."""
        v = np.zeros(x.shape)
        chosen = elements.reshape(-1)
        v.reshape(-1)[chosen] = (_signs(self.rng, x.shape) * np.maximum(1.0, np.abs(x))).reshape(-1)[chosen]
        return v

    def _kinked(self, point: list[np.ndarray], k: int) -> np.ndarray:
        """Mask of the elements of input ``k`` on a kink, found by halving the directions that show one."""
        mask = np.zeros(point[k].size, bool)
        groups = [np.arange(mask.size)]
        while groups:
            group = groups.pop()
            if self._derivative(point, k, self._direction(point[k], group))[2]:
                if len(group) == 1:
                    mask[group] = True
                else:
                    groups.extend(np.array_split(group, 2))
        return mask.reshape(point[k].shape)

    def _phi(self, point: list[np.ndarray], k: int, v: np.ndarray, t: float) -> tuple[float, float]:
        """phi with input ``k`` moved by ``t * v``, and the sum of the sizes of its terms."""
        moved = point[:k] + [point[k] + t * v] + point[k + 1 :]
        with np.errstate(all="ignore"):
            terms = [u * value for u, value in zip(self.us, _values(self.function(moved)[0]))]
            total = sum(float(np.sum(term, dtype=np.float64)) for term in terms)
            size = sum(float(np.sum(np.abs(term), dtype=np.float64)) for term in terms)
        return total, size

    def _derivative(self, point: list[np.ndarray], k: int, v: np.ndarray) -> tuple[float, float, bool]:
        """Derivative of phi along ``v``, how far rounding may have put it off, whether there is a kink."""
        centre, size = self._phi(point, k, v, 0.0)
        for factor in self.ladder:
            h = self.eps * factor
            there, back = self._phi(point, k, v, h)[0], self._phi(point, k, v, -h)[0]
            half_there, half_back = self._phi(point, k, v, h / 2)[0], self._phi(point, k, v, -h / 2)[0]
            wide, narrow = (there - back) / (2 * h), (half_there - half_back) / h
            # Jump of the one-sided differences: of the order of the step where smooth, constant at a kink.
            jump, half_jump = (there - 2 * centre + back) / h, (half_there - 2 * centre + half_back) / (h / 2)
            noise = self.unit * max(size, 1e-300) / h
            limit = self.atol + self.rtol * max(abs(wide), abs(narrow)) + 4 * noise
            if abs(wide - narrow) <= limit and abs(jump - 2 * half_jump) <= limit:
                return (4 * narrow - wide) / 3, noise, False
        return float("nan"), 0.0, True


def _badness(error: float, allowed: float) -> float:
    ratio = error / allowed if allowed > 0 else (0.0 if error == 0 else np.inf)
    return ratio if ratio == ratio else np.inf  # NaN is as bad as it gets


def _what(order: int) -> str:
    return "the function" if order == 1 else "its gradient"


def _leaf(value: np.ndarray) -> Tensor:
    return Tensor(value, requires_grad=True)


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ()


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random numbers with sizes from 0.5 to 1.5: none is so small that an error would hide behind it."""
    return np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def _values(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """Values of the tensors; those that follow deferred Variables are evaluated by the interpreter."""
    if any(t.is_symbolic for t in tensors):
        return at.evaluate(list(tensors))
    return [t.numpy() for t in tensors]

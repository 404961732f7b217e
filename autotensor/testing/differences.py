"""Derivatives from function values: central differences that know how exact they are, and where there are none.

The difference is central, at two steps h and h/2 combined (Richardson extrapolation), which is exact up to h**4. The
same values give the one-sided differences: where the function is smooth their distance shrinks with the step, at a
kink it stays. Where a step does not settle it, smaller ones are tried, down to where rounding takes over; where
rounding hides a derivative, larger ones.

Rounding is first taken from the size of the values, and measured where that does not explain what is seen (J. J.
More and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011), 1292-1314).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

# What the one-sided differences say of a component of the function.
SMOOTH, KINK, UNSETTLED = 0, 1, 2

# Rounding errors of one evaluation in units of the last place of its largest terms.
_ROUNDING = 32.0
# Points on each side of the centre at which noise is measured, and their distance in steps.
_NOISE_POINTS = 4
_NOISE_STEP = 1e-3
# Differences of order 8 // 2 = 4: their mean square is that of the noise times binomial(8, 4).
_NOISE_GAIN = 70.0

# values(t) and the sizes of what was summed up to them, as vectors with an entry for each component.
Evaluate = Callable[[float], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Rule:
    """Steps and tolerances.

    Attributes:
        eps: the first step.
        atol, rtol: allowed distance of gradient and difference, ``atol + rtol * |derivative|``.
        settle_atol, settle_rtol: what two steps may differ by to count as settled.
        smaller, larger: further steps as factors of ``eps``.
        unit: rounding of one evaluation, relative to the sizes of its terms.
        measured: measure the noise where it is not explained.
        resolution: rounding of the steps themselves.
    """

    eps: float
    atol: float
    rtol: float
    settle_atol: float
    settle_rtol: float
    smaller: tuple[float, ...]
    larger: tuple[float, ...]
    unit: float
    measured: bool
    resolution: float = 0.0


# Measured on the operations of this package: with these, right rules pass with a factor of 1000 to spare in float64,
# and an error of 1e-3 in one of ten thousand elements still fails. They are far inside the limits of PyTorch's
# gradcheck (1e-5 + 1e-3 * |derivative|), which plain central differences with a step of 1e-6 need.
def rule_for(width: int, eps: float | None, atol: float | None, rtol: float | None) -> Rule:
    """The steps and tolerances for results computed in ``width`` bytes a number; None takes the default."""
    if width >= 8:
        steps, tolerances, digits = (1e-4, 1e-7, 1e-5), (1e-7, 1e-5), float(np.finfo(np.float64).eps)
        smaller: tuple[float, ...] = tuple(16.0**-k for k in range(1, 10))
        larger: tuple[float, ...] = (16.0, 256.0)
    else:
        steps, tolerances, digits = (1e-2, 1e-3, 1e-2), (1e-3, 1e-2), float(np.finfo(np.float32).eps)
        smaller, larger = (1 / 4,), ()
    eps, atol, rtol = (d if given is None else float(given) for given, d in zip((eps, atol, rtol), steps))
    settle = max(atol, tolerances[0]), max(rtol, tolerances[1])
    return Rule(eps, atol, rtol, *settle, smaller, larger, _ROUNDING * digits, width >= 8)


@dataclass
class Found:
    """For each component: the derivative, how far rounding may have put it off, and what the function is like."""

    derivative: np.ndarray
    noise: np.ndarray
    state: np.ndarray
    step: np.ndarray


@dataclass
class _Look:
    """The function at the distances h and h/2 on both sides of the centre."""

    h: float
    wide: np.ndarray
    narrow: np.ndarray
    jump: np.ndarray
    half_jump: np.ndarray
    gaps: tuple[np.ndarray, ...]  # changes there, back, half there, half back
    rounding: np.ndarray

    def smooth(self, rule: Rule) -> np.ndarray:
        """Where both steps say the same, up to rounding."""
        slope = np.maximum(np.abs(self.wide), np.abs(self.narrow))
        limit = rule.settle_atol + rule.settle_rtol * slope + 4 * self.rounding
        apart = np.maximum(np.abs(self.wide - self.narrow), np.abs(self.jump - 2 * self.half_jump))
        return apart <= limit

    def clear(self, rule: Rule) -> np.ndarray:
        """Where rounding is small beside what is seen."""
        seen = np.maximum.reduce([np.abs(x) for x in (self.wide, self.narrow, self.jump, self.half_jump)])
        ends = ~np.isfinite(seen)  # too far: closer by there may be something to see
        return ends | (4 * self.rounding <= rule.settle_atol + 0.05 * seen)

    def extrapolated(self) -> np.ndarray:
        return (4 * self.narrow - self.wide) / 3


def central(evaluate: Evaluate, rule: Rule, resolution: float) -> Found:
    """Derivatives at t = 0 of all components of ``evaluate``; t itself is exact up to ``resolution``."""
    rule = replace(rule, resolution=resolution)
    with np.errstate(all="ignore"):
        centre, size = evaluate(0.0)
        rounding = rule.unit * np.maximum(size, 1e-300)
        first = _look(evaluate, centre, rounding, rule.eps, rule)
        found = _first(first, rule)
        if (found.state != SMOOTH).any():
            looks = [first, *_refine(evaluate, centre, rounding, rule, found)]
            _settle(evaluate, centre, rounding, rule, found, looks)
        _widen(evaluate, centre, rounding, rule, found)
    return found


def settles(evaluate: Evaluate, rule: Rule) -> bool:
    """Whether all components look smooth at the first steps; a quick look at many elements at once."""
    with np.errstate(all="ignore"):
        centre, size = evaluate(0.0)
        rounding = rule.unit * np.maximum(size, 1e-300)
        found = _first(_look(evaluate, centre, rounding, rule.eps, rule), rule)
        if (found.state != SMOOTH).any():
            _refine(evaluate, centre, rounding, replace(rule, smaller=rule.smaller[:2]), found)
    return bool((found.state == SMOOTH).all())


def _first(look: _Look, rule: Rule) -> Found:
    state = np.where(look.smooth(rule), SMOOTH, UNSETTLED)
    return Found(look.extrapolated(), look.rounding.copy(), state, np.full(len(state), look.h))


def _settle(
    evaluate: Evaluate, centre: np.ndarray, rounding: np.ndarray, rule: Rule, found: Found, looks: list[_Look]
) -> None:
    """Kinks, noise, or neither, where no step was small enough."""
    rest = found.state != SMOOTH
    kinked, evident = _kinked(looks, rule)
    if rule.measured and (rest & ~evident).any():
        _remeasure(evaluate, centre, rounding, rule, found)
        rest = found.state != SMOOTH
    found.state[rest] = np.where(kinked, KINK, UNSETTLED)[rest]
    found.derivative[rest] = np.nan


def _look(evaluate: Evaluate, centre: np.ndarray, rounding: np.ndarray, h: float, rule: Rule) -> _Look:
    there, back, half_there, half_back = (evaluate(t)[0] for t in (h, -h, h / 2, -h / 2))
    wide, narrow = (there - back) / (2 * h), (half_there - half_back) / h
    return _Look(
        h=h,
        wide=wide,
        narrow=narrow,
        jump=(there - 2 * centre + back) / h,
        half_jump=(half_there - 2 * centre + half_back) / (h / 2),
        gaps=(there - centre, centre - back, half_there - centre, centre - half_back),
        rounding=(rounding + rule.resolution * np.maximum(np.abs(wide), np.abs(narrow))) / h,
    )


def _take(found: Found, look: _Look, where: np.ndarray) -> None:
    found.derivative[where] = look.extrapolated()[where]
    found.noise[where] = look.rounding[where]
    found.step[where] = look.h
    found.state[where] = SMOOTH


def _refine(evaluate: Evaluate, centre: np.ndarray, rounding: np.ndarray, rule: Rule, found: Found) -> list[_Look]:
    """Smaller steps for what has not settled, as long as they show more than rounding."""
    looks = []
    for factor in rule.smaller:
        look = _look(evaluate, centre, rounding, rule.eps * factor, rule)
        clear = look.clear(rule) if rule.measured else np.ones(len(centre), bool)
        waiting = found.state != SMOOTH
        if not (clear & waiting).any():
            break
        looks.append(look)
        _take(found, look, waiting & clear & look.smooth(rule))
        if (found.state == SMOOTH).all():
            break
    return looks


def _remeasure(evaluate: Evaluate, centre: np.ndarray, rounding: np.ndarray, rule: Rule, found: Found) -> None:
    """What has not settled may be noisy: try again with the noise as it is measured at the scale of each step."""
    for factor in (1.0, *rule.larger, *rule.smaller):
        h = rule.eps * factor
        measured = np.maximum(rounding, 8 * _noise(evaluate, h))
        look = _look(evaluate, centre, measured, h, rule)
        _take(found, look, (found.state != SMOOTH) & look.clear(rule) & look.smooth(rule))
        if (found.state == SMOOTH).all():
            return


def _widen(evaluate: Evaluate, centre: np.ndarray, rounding: np.ndarray, rule: Rule, found: Found) -> None:
    """Larger steps where rounding is more than what is allowed."""
    waiting = (found.state == SMOOTH) & (found.step == rule.eps)
    for factor in rule.larger:
        waiting &= found.noise > rule.atol + rule.rtol * np.abs(found.derivative)
        if not waiting.any():
            return
        look = _look(evaluate, centre, rounding, rule.eps * factor, rule)
        waiting &= look.smooth(rule) & (look.rounding + np.abs(look.wide - look.narrow) < found.noise)
        _take(found, look, waiting)


def _noise(evaluate: Evaluate, h: float) -> np.ndarray:
    """Size of the rounding errors of one evaluation, from differences of order 4 over a distance short beside h."""
    steps = np.arange(-_NOISE_POINTS, _NOISE_POINTS + 1) * (_NOISE_STEP * h)
    table = np.stack([evaluate(float(t))[0] for t in steps])
    level = np.sqrt(np.mean(np.square(np.diff(table, n=4, axis=0)), axis=0) / _NOISE_GAIN)
    return np.where(np.isfinite(level), level, 0.0)


def second_look(evaluate: Evaluate, rule: Rule, resolution: float, found: Found) -> Found:
    """The derivatives again where a gradient disagrees with them: noise is measured, and steps small by luck redone."""
    rule = replace(rule, resolution=resolution)
    with np.errstate(all="ignore"):
        centre, size = evaluate(0.0)
        rounding = rule.unit * np.maximum(size, 1e-300)
        again = Found(found.derivative.copy(), found.noise.copy(), found.state.copy(), found.step.copy())
        if (found.step < rule.eps).any():
            again.state[found.step < rule.eps] = UNSETTLED
            _remeasure(evaluate, centre, rounding, rule, again)
            again.state = found.state
        h = float(again.step.min())
        level = np.maximum(_noise(evaluate, h), _noise(evaluate, 0.125 / _NOISE_STEP * h))
        again.noise = np.maximum(again.noise, 8 * level / again.step)
    return again


def _kinked(looks: list[_Look], rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """Where there is no derivative, and where noise can not be the reason.

    There the one-sided differences have settled at different values, the function ends, jumps, or grows by a fixed
    power of the step. What does none of these is rough at every step, and is not excused.
    """
    last = looks[-1]
    there, back, half_there, half_back = last.gaps
    if not rule.measured:
        everything = np.ones(len(there), bool)  # single precision is too coarse to tell them apart
        return everything, everything
    h, noise = last.h, 4 * last.rounding + rule.settle_atol
    edge = ~np.isfinite(there + back + half_there + half_back)  # the border of where the function is defined
    forward, half_forward = there / h, half_there / (h / 2)
    backward, half_backward = back / h, half_back / (h / 2)
    apart = np.abs(half_forward - half_backward)
    settled = np.maximum(np.abs(forward - half_forward), np.abs(backward - half_backward)) <= 0.1 * apart + noise
    evident = edge | (settled & (apart > noise))
    if len(looks) == 1:
        return evident, evident
    ratio = _shrinking(last)
    steep = (ratio > 0.52) & (np.abs(ratio - _shrinking(looks[-2])) < 0.05)  # a jump, or an infinite slope
    return evident | steep, evident


def _shrinking(look: _Look) -> np.ndarray:
    """By how much the change of the function shrinks when the step is halved: 1/2 where it has slopes, 1 at a jump."""
    there, back, half_there, half_back = look.gaps
    return (np.abs(half_there) + np.abs(half_back)) / (np.abs(there) + np.abs(back))

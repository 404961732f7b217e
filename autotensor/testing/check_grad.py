"""``check_grad``: gradients of a function, a module or a model against differences of its values.

What is differentiated is made into a function of arrays (``subject``); its gradients are compared with differences
(``comparison``, ``differences``, ``complex_step``), order by order; the ``report`` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import autotensor as at
from autotensor import Tensor, Variable
from autotensor.errors import GradientCheckError
from autotensor.testing.comparison import Comparison, Options, Run
from autotensor.testing.forward import check_forward
from autotensor.testing.report import Report
from autotensor.testing.subject import Subject, leaf

_MODES = ("auto", "projection", "elements", "jacobian")
_METHODS = ("central", "complex")


def check_grad(
    f: Callable[..., Any],
    *inputs: Any,
    wrt: Sequence[Variable] | Mapping[str, Variable] | str | None = None,
    order: int = 1,
    mode: str = "auto",
    method: str = "central",
    forward: bool = False,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    directions: int = 2,
    seed: int = 0,
    raise_error: bool = True,
    **more: Any,
) -> Report:
    """Check the gradients of ``f`` against differences of its values, in float64.

    ``f(*inputs)`` returns tensors, one or several, in dictionaries, tuples and lists of any depth. So may the inputs
    be. Floating inputs (arrays, tensors, lists, Python floats) become tracked float64 tensors, complex ones complex128;
    a narrower one is converted, with a note. Integers, bools and all else are passed on as they are. What was passed in
    is never changed.

    Args:
        f: a function; an object that can be called and holds Variables, whose gradients are checked too; or a model
            with a method ``check_gradients``, which gets everything else (``keras_compat``).
        inputs: arguments of ``f``.
        wrt: Variables that ``f`` reads, a sequence or a dictionary by name, or "all": their gradients are checked
            too. They are in float64 for the check and afterwards what they were, also after an error. None takes
            those that an object holds, and none of a function.
        order: highest order of derivatives: 2 also checks the gradient itself as a function of the inputs and of the
            incoming gradient ``g``, 3 the gradient of that, and so on.
        mode: "jacobian" compares all derivatives of all elements; "elements" the derivatives of a random sum of the
            outputs by each element; "projection" that along random directions, and looks for the worst element where
            that fails. "auto": the Jacobian up to 24 elements of inputs and of outputs, else projections.
        method: "central" for differences; "complex" for a complex step, whose error is that of rounding. Where the
            function is not analytic, or an operation takes no complex numbers, a note says so and differences are
            taken.
        forward: also compare ``at.jvp`` with differences, as a row "jvp".
        eps: step, times max(1, abs(x)).
        atol, rtol: difference allowed: atol + rtol * abs(derivative), and what rounding may do. By default eps, atol,
            rtol are 1e-4, 1e-7, 1e-5 for results in float64, inside the limits of PyTorch's gradcheck (1e-6, 1e-5,
            1e-3); and 1e-2, 1e-3, 1e-2 where ``f`` computes in float32.
        directions: number of random directions for each input in mode "projection".
        seed: of the random directions.
        raise_error: False returns the report of a wrong gradient, too.

    Returns:
        A ``Report``, which prints as a table.

    Raises:
        GradientCheckError: a gradient is wrong; it carries the report.
        GradError: ``f`` gives two different results at the same point, or writes to its inputs.
        TypeError, ValueError: an option does not exist, or has a value that it can not have.

    >>> import numpy as np
    >>> import autotensor as at
    >>> from autotensor.testing import check_grad
    >>> print(check_grad(lambda x: at.sum(x * x), np.array([1.0, 3.0])).ok)
    True
    """
    options = _options(order, mode, method, eps, atol, rtol, directions)
    model = getattr(type(f), "check_gradients", None)
    if model is not None:
        if wrt is not None:
            more["wrt"] = wrt
        settings: dict[str, Any] = {
            "order": order, "mode": mode, "method": method, "forward": forward, "eps": eps, "atol": atol, "rtol": rtol,
            "directions": directions, "seed": seed, "raise_error": raise_error,
        }  # fmt: skip
        return model(f, *inputs, **settings, **more)
    if more:
        raise TypeError(f"[check_grad] got an argument it does not know: {sorted(more)[0]!r}. Misspelt?")
    report = Report()
    subject = Subject(f, inputs, wrt, report.notes)
    rng = np.random.default_rng(seed)
    with subject.held():
        run: Run = subject.run
        names, point = subject.names, subject.start
        for k in range(1, order + 1):
            comparison = Comparison(run, names, point, k, options, rng, report)
            us = comparison.check()
            if k == 1:
                report.notes += subject.unchecked(comparison.outs)
            if k == 1 and forward and not report.problems:
                check_forward(subject, comparison, options.directions)
            if report.problems or k == order:
                break
            run, names, point = _differentiated(run, len(point)), names + _seed_names(k, len(us)), point + us
    if raise_error and not report.ok:
        raise GradientCheckError(report.message(), report)
    return report


def _options(
    order: int, mode: str, method: str, eps: float | None, atol: float | None, rtol: float | None, directions: int
) -> Options:
    if not isinstance(order, (int, np.integer)) or order < 1:
        raise ValueError(f"[check_grad] expected order as a whole number from 1; got {order!r}. Use order=2?")
    if mode not in _MODES:
        raise ValueError(f"[check_grad] expected mode as one of {_MODES}; got {mode!r}. Use 'auto'?")
    if method not in _METHODS:
        raise ValueError(f"[check_grad] expected method as one of {_METHODS}; got {method!r}. Use 'central'?")
    if eps is not None and not eps > 0:
        raise ValueError(f"[check_grad] expected a step eps above 0; got {eps!r}. Leave it out?")
    return Options(eps, atol, rtol, max(1, directions), mode, method)


def _differentiated(run: Run, n: int) -> Run:
    """The gradients as a function of the ``n`` inputs and of the gradients that come in."""

    def gradient(values: Sequence[np.ndarray]) -> tuple[list[Tensor], list[Tensor]]:
        outs, leaves = run(values[:n])
        gs = [leaf(u) for u in values[n:]]
        found = at.gradients(outs, leaves, gs)
        return [g for g in found if g is not None], leaves + gs

    return gradient


def _seed_names(order: int, count: int) -> list[str]:
    name = "g" + "'" * (order - 1)
    return [f"{name}{k}" for k in range(count)] if count > 1 else [name] * count

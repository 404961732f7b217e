"""First and second derivatives of elementwise functions against those that mpmath found with many digits.

``derivatives.json`` is made by ``make_derivatives.py``, which knows nothing of autotensor.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor.core.op import OPS
from autotensor.ops import special, special_scipy

pytestmark = pytest.mark.promise(24)

DATA = json.loads(Path(__file__).with_name("derivatives.json").read_text())

# How a name of the data is called, where it is not the function of that name.
CALLS: dict[str, Any] = {
    "relu_bounded": lambda x: at.relu(x, negative_slope=0.25, max_value=3.0, threshold=1.0),
    "leaky_relu": lambda x: at.leaky_relu(x, 0.25),
    "elu": lambda x: at.elu(x, 1.5),
    "gelu_tanh": lambda x: at.gelu(x, approximate=True),
    "clip": lambda x: at.clip(x, -1.0, 2.0),
    "where": lambda x, y: at.where(np.ones(x.shape, bool), x, y),
    "astype": lambda x: OPS["astype"](x, dtype=x.dtype),
    "sigmoid_cross_entropy": lambda x, t: OPS["sigmoid_cross_entropy"](x, t),
    "polygamma_1": lambda x: special.polygamma(1, x),
    "polygamma_3": lambda x: special.polygamma(3, x),
    "multigammaln_3": lambda x: special.multigammaln(x, 3),
}

# Elementwise operations without an entry of their own, each with the reason.
LEFT_OUT = {
    "broadcast_to": "moves elements",
    "stop_gradient": "has no derivative on purpose",
    "nextafter": "is its first argument, but for the last bit",
    "bessel_i": "i0, i1 and the derivatives of these",
    "bessel_ie": "i0e, i1e and the derivatives of these",
    "bessel_j": "j0, j1 and the derivatives of these",
}
FAMILIES = ("elementwise", "activation", "special", "special_scipy", "parts")
ROWS = ("softmax", "log_softmax", "softmax_grad", "log_softmax_grad")

# Relative errors allowed are 1e-13 in float64 and 1e-6 in float32, beside rounding of the argument. More where the
# function itself is less exact: sums of SciPy, and differences of large terms in single precision.
LESS_EXACT = dict.fromkeys("stdtr betainc gammainc gammaincc jv yv iv ive".split(), 1e-12)
LESS_EXACT_32 = {"gelu_tanh": 1e-4, "gelu": 1e-5, "log_ndtr": 1e-3, "ndtri": 1e-5}
# The slope follows from the result, as 1 + out or out * (1 - out): exact to rounding of 1, not of itself.
FROM_RESULT = "expm1 sigmoid expit softplus log_expit elu selu silu sigmoid_cross_entropy tanh".split()


def function(name: str) -> Any:
    for place in (CALLS.get(name), getattr(at, name, None), getattr(special, name, None)):
        if place is not None:
            return place
    return getattr(special_scipy, name)


def derivatives(name: str, dtype: Any) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """Value, first and second derivatives at all points of the data, as ours."""
    row = DATA[name]
    points = np.array([[float(x) for x in point["at"]] for point in row["points"]], dtype)
    xs = [at.Tensor(column, requires_grad=i in row["by"]) for i, column in enumerate(points.T)]
    wanted = [xs[i] for i in row["by"]]
    with np.errstate(all="ignore"):
        y = function(name)(*xs)
        first = at.gradients(y, wanted)
        second = [at.gradients(g, wanted) if g is not None else [None] * len(wanted) for g in first]
    zeros = np.zeros(len(points), dtype)
    pairs = itertools.combinations_with_replacement(range(len(wanted)), 2)
    value = lambda t: zeros if t is None else np.broadcast_to(t.numpy(), zeros.shape)
    return value(y), [value(g) for g in first], [value(second[i][j]) for i, j in pairs]


def compare(name: str, dtype: Any, rtol: float) -> None:
    row = DATA[name]
    points = row["points"]
    want_value = np.array([float(p["value"]) for p in points])
    want_first = np.array([[float(v) for v in p["first"]] for p in points]).T
    want_second = np.array([[float(v) for v in p["second"]] for p in points]).T
    at_points = np.array([[float(x) for x in p["at"]] for p in points]).T[row["by"]]
    value, first, second = derivatives(name, dtype)
    assert value.dtype == first[0].dtype == second[0].dtype == dtype
    eps = float(np.finfo(dtype).eps)
    n = len(row["by"])
    pairs = list(itertools.combinations_with_replacement(range(n), 2))
    turn = np.zeros((n, n, len(points)))
    for k, (i, j) in enumerate(pairs):
        turn[i, j] = turn[j, i] = np.abs(want_second[k])
    size = np.abs(at_points)
    rounding = 4 * eps if name in FROM_RESULT else 0.0
    # An error of one bit in the argument is allowed, too.
    near(f"{name}", value, want_value, rtol, 4 * eps * np.sum(size * np.abs(want_first), axis=0))
    for i in range(n):
        near(f"d{name}/d{i}", first[i], want_first[i], rtol, rounding + 4 * eps * np.sum(size * turn[i], axis=0))
    scale = np.max(np.abs(want_first), axis=0)
    for k, (i, j) in enumerate(pairs):
        # Of the third derivative nothing is known: the first, over the square of the argument, stands for it.
        spread = 4 * eps * scale / np.maximum(np.minimum(size[i], size[j]), 0.1) ** 2
        near(f"d2{name}/d{i}d{j}", second[k], want_second[k], 4 * rtol, rounding + spread)


def near(what: str, got: np.ndarray, want: np.ndarray, rtol: float, atol: np.ndarray) -> None:
    wrong = ~(np.abs(got - want) <= rtol * np.abs(want) + atol)
    assert not wrong.any(), f"{what} at point {np.argmax(wrong)}: {got[wrong]} in the place of {want[wrong]}"


@pytest.mark.parametrize("name", DATA)
def test_float64(name):
    compare(name, np.float64, LESS_EXACT.get(name, 1e-13))


@pytest.mark.parametrize("name", DATA)
def test_float32(name):
    compare(name, np.float32, LESS_EXACT_32.get(name, 1e-6))


def test_every_differentiable_elementwise_operation_is_in_the_data():
    def is_elementwise(op):
        rule = op.vjp or op.fallback
        family = getattr(rule, "__module__", "").rpartition(".")[2]
        return rule is not None and (family in FAMILIES or op.expr is not None)

    wanted = {name for name, op in OPS.items() if is_elementwise(op)} - set(ROWS)
    outermost = set()
    for name in DATA:
        row = DATA[name]
        xs = [at.Tensor([float(x)], requires_grad=True) for x in row["points"][0]["at"]]
        y = function(name)(*xs)
        outermost |= {name} | ({y.node.op.name} if y.node is not None else set())
    missing = wanted - outermost - set(LEFT_OUT)
    assert not missing, f"add to make_derivatives.py: {sorted(missing)}"
    assert set(LEFT_OUT) <= set(OPS)


@pytest.mark.parametrize("fault", [1 + 1e-12, -1.0])
def test_the_comparison_can_fail(monkeypatch, fault):
    """A slope off by 1e-12 is seen."""
    monkeypatch.setitem(CALLS, "sin", lambda x: at.sin(x) * fault)
    with pytest.raises(AssertionError, match="sin at point"):
        compare("sin", np.float64, 1e-13)
    monkeypatch.setitem(CALLS, "sin", lambda x: at.sin(x) * (fault / at.stop_gradient(fault * (at.sin(x) / at.sin(x)))))
    compare("sin", np.float64, 1e-13)
    monkeypatch.setitem(CALLS, "sin", lambda x: at.sin(x) + at.cos(x) - at.stop_gradient(at.cos(x)))
    with pytest.raises(AssertionError, match="dsin"):
        compare("sin", np.float64, 1e-13)

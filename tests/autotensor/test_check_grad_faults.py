"""Planted faults of many kinds, all of which check_grad must find; and right rules on hard points, which must pass."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor.core.op import Op
from autotensor.testing import check_grad, comparison
from tests.autotensor.samples.base import array
from tests.autotensor.test_contract import cases

MODES = ("auto", "projection", "elements", "jacobian")


def rule(vjp, impl, infer=lambda x, *rest, **params: x):
    """An operation that is not in the registry."""
    return Op(vjp.__name__, impl=impl, infer=infer, vjp=vjp)


# -- faults: (function, inputs, the name of the input at fault, order)


def sign(needs, g, out, x):
    return (-g * (1 - out * out),)


def factor(needs, g, out, x):
    return (g * (1 - out * out) * 1.001,)


def missing_term(needs, g, out, x):  # of x * sin(x)
    return (g * at.sin(x),)


def zero(needs, g, out, x):
    return (g * 0.0,)


def one_element(needs, g, out, x):
    mask = np.zeros(x.shape)
    mask.reshape(-1)[-2] = 1e-3
    return (g * (1 - out * out) * (1 + at.asarray(mask)),)


def one_element_added(needs, g, out, x):
    mask = np.zeros(x.shape)
    mask.reshape(-1)[1] = 3e-3
    return (g * (1 - out * out) + at.asarray(mask),)


def last_row_lost(needs, g, out, x):
    mask = np.ones(x.shape)
    mask[-1] = 0
    return (g * (1 - out * out) * at.asarray(mask),)


def reversed_(needs, g, out, x):
    return (at.flip(g * (1 - out * out), axis=0),)


def only_where_large(needs, g, out, x):
    return (at.where(at.abs(x) > 1.5, g * 0.9, g) * (1 - out * out),)


def constant_added(needs, g, out, x):
    return (g * (1 - out * out) + 1e-5,)


def of_the_output(needs, g, out, x):  # 1 - x**2 in the place of 1 - tanh(x)**2
    return (g * (1 - x * x),)


def summed(needs, g, out, x):  # the gradient of the sum, spread out
    return (at.zeros_like(x) + at.mean(g * (1 - out * out)),)


UNARY = [
    sign, factor, zero, one_element, one_element_added, last_row_lost, reversed_, only_where_large, constant_added,
    of_the_output, summed,
]  # fmt: skip


def transposed_product(needs, g, out, x, y):
    return at.matmul(g, y), at.matmul(at.transpose(x), g)


def swapped_product(needs, g, out, x, y):
    return at.matmul(g, at.transpose(y)), at.matmul(at.transpose(g), x)


def no_sum(needs, g, out, x, y):  # of x + y with y broadcast along the first axis
    return g, g[0]


def mean_for_sum(needs, g, out, x, y):
    return g, at.mean(g, axis=0)


def wrong_axis(needs, g, out, x, y):
    return g, at.sum(g, axis=1)


def other_operand(needs, g, out, x, y):  # of x * y
    return g * x, g * y


def detached(x):
    return at.sum(at.tanh(x) * at.stop_gradient(at.sin(x)) + x)


def through_numpy(x):
    return at.tanh(x) * at.asarray(np.cos(x.numpy()))


SQUARE = (array(3, 3), array(3, 3, seed=1))
BINARY = [
    pytest.param(rule(transposed_product, np.matmul), SQUARE, "0", id="transposed"),
    pytest.param(rule(swapped_product, np.matmul, lambda x, y: x), SQUARE, "1", id="transposed_result"),
    pytest.param(rule(no_sum, np.add), (array(4, 3), array(3)), "1", id="no_sum"),
    pytest.param(rule(mean_for_sum, np.add), (array(4, 3), array(3)), "1", id="mean_for_sum"),
    pytest.param(rule(wrong_axis, np.add), (array(3, 3), array(3)), "1", id="wrong_axis"),
    pytest.param(rule(other_operand, np.multiply), SQUARE, "0", id="other_operand"),
    pytest.param(detached, (array(5),), "0", id="detached"),
    pytest.param(through_numpy, (array(5),), "0", id="through_numpy"),
    pytest.param(rule(missing_term, lambda x: x * np.sin(x)), (array(5),), "0", id="missing_term"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vjp", UNARY, ids=lambda f: f.__name__.strip("_"))
def test_fault_of_one_input(vjp, mode):
    report = check_grad(rule(vjp, np.tanh), array(3, 4), mode=mode, raise_error=False)
    assert not report.ok
    assert report.worst.order == 1
    assert report.worst.error > report.worst.allowed


@pytest.mark.parametrize("vjp", [one_element, one_element_added, last_row_lost, sign, factor], ids=lambda f: f.__name__)
def test_fault_in_a_large_input(vjp):
    report = check_grad(rule(vjp, np.tanh), array(50, 60), raise_error=False)
    assert not report.ok
    assert report.worst.mode == "projection"
    where = {"one_element": (49, 58), "one_element_added": (0, 1)}.get(vjp.__name__)
    assert where is None or report.worst.worst == where


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("f", "inputs", "name"), BINARY)
def test_fault_of_one_of_the_inputs(f, inputs, name, mode):
    report = check_grad(f, *inputs, mode=mode, raise_error=False)
    assert name in [row.name for row in report.inputs if not row.ok]


def wrong_second(needs, g, out, x):
    return (g * at.stop_gradient(1 - out * out),)


def half_second(needs, g, out, x):
    still = at.stop_gradient(out)
    return (g * (1 - 0.5 * (out * out + still * out)),)  # the value is right where its derivative is 3/4


def forgets_g(needs, g, out, x):
    return (at.stop_gradient(g) * (1 - out * out),)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("vjp", [wrong_second, half_second, forgets_g], ids=lambda f: f.__name__)
def test_fault_of_the_second_derivative_only(vjp, mode):
    f = rule(vjp, np.tanh)
    assert check_grad(f, array(3, 4), mode=mode)
    report = check_grad(f, array(3, 4), order=2, mode=mode, raise_error=False)
    assert [row.order for row in report.inputs if not row.ok] == [2]


def test_fault_of_the_third_derivative_only():
    @lambda f: Op("slope", impl=lambda x: 1 - np.tanh(x) ** 2, infer=lambda x: x, vjp=f)
    def slope(needs, g, out, x):
        return (g * at.stop_gradient(-2 * at.tanh(x) * out),)

    def vjp(needs, g, out, x):
        return (g * slope(x),)

    f = rule(vjp, np.tanh)
    assert check_grad(f, array(3), order=2)
    report = check_grad(f, array(3), order=3, raise_error=False)
    assert {row.order for row in report.inputs if not row.ok} == {3}
    assert check_grad(at.tanh, array(3), order=3)
    assert [row.name for row in check_grad(at.tanh, array(1), order=3).inputs] == ["0", "0", "g", "0", "g", "g'"]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6, 1e12])
def test_fault_at_every_scale(scale):
    """The result scaled up or down, and the input: 1e-3 of the derivative is found as long as it is above atol."""

    def vjp(needs, g, out, x):
        return (g * scale * at.cos(x) * 1.001,)

    report = check_grad(rule(vjp, lambda x: scale * np.sin(x)), array(6), raise_error=False, atol=0.0)
    assert not report.ok


@pytest.mark.parametrize("mode", MODES)
def test_fault_beside_many_kinks(mode):
    def vjp(needs, g, out, x):
        return (g * at.where(x > 1.0, 1.01, at.where(x > 0, 1.0, 0.0)),)

    x = np.array([0.0, -0.3, 0.0, 0.2, 1.7, 0.0, 0.0])
    report = check_grad(rule(vjp, lambda x: np.maximum(x, 0.0)), x, mode=mode, raise_error=False)
    assert report.worst.worst == (4,)
    assert sorted(report.worst.kinks) == [(0,), (2,), (5,), (6,)]


@pytest.mark.parametrize("steep", [1e3, 1e5, 1e7])
def test_a_steep_smooth_point_is_no_kink(steep):
    """A logistic step between 0 and 1 over a distance of 1 / steep: what looks like a jump from afar."""

    def vjp(needs, g, out, x):
        return (g * steep * out * (1 - out) * 1.01,)

    impl = lambda x: 1 / (1 + np.exp(-steep * x))
    x = np.array([0.3 / steep, -0.7 / steep])
    report = check_grad(rule(vjp, impl), x, raise_error=False)
    assert not report.ok
    assert report.kinks == 0
    right = check_grad(lambda x: at.sigmoid(steep * x), x)
    assert right.kinks == 0


def test_a_large_offset_hides_nothing_above_its_rounding():
    def vjp(needs, g, out, x):
        return (g * at.cos(x) * 1.01,)

    report = check_grad(rule(vjp, lambda x: np.sin(x) + 1e8), array(4), raise_error=False)
    assert not report.ok
    assert check_grad(lambda x: at.sin(x) + 1e8, array(4))


def test_what_seems_to_be_wrong_is_said():
    def said(f, *inputs, **options):
        return check_grad(f, *inputs, raise_error=False, **options).worst.problem

    assert "wrong sign" in said(rule(sign, np.tanh), array(3))
    assert "1.001 times" in said(rule(factor, np.tanh), array(3))
    assert "0 everywhere" in said(rule(zero, np.tanh), array(3))
    assert "Wrong in 1 of 9" in said(rule(one_element, np.tanh), array(3))
    assert "None" in said(lambda x: at.sum(at.stop_gradient(x)) + 0.0 * at.Tensor(1.0, requires_grad=True), array(3))

    def vjp(needs, g, out, x):
        return (at.matmul(at.asarray(np.arange(9.0).reshape(3, 3)), g),)

    matrix = rule(vjp, lambda x: np.arange(9.0).reshape(3, 3) @ x)
    assert "transposed" in said(matrix, array(3))

    def nan(needs, g, out, x):
        return (g * at.asarray(np.array([1.0, np.nan, 1.0])),)

    assert "not finite at [1]" in said(rule(nan, np.copy), array(3))
    assert "not finite at [1]" in said(rule(nan, np.copy), array(3), mode="projection")


# -- right rules on hard points


def near_singular(smallest: float) -> np.ndarray:
    u, _, v = np.linalg.svd(np.random.default_rng(0).normal(size=(4, 4)))
    return u @ np.diag([1.0, 1.0, 1.0, smallest]) @ v


HARD = {
    "exp": (at.exp, [300.0, -300.0, 0.0]),
    "log": (at.log, [1e-8, 1e300, 1.0]),
    "large": (lambda x: x * 1e20, [1.0, 2.0]),
    "small": (lambda x: x * x * 1e-20, [1.0, 2.0]),
    "offset": (lambda x: x * x + 1e12, [0.3, -1.2]),
    "cancelling": (lambda x: (x + 1e9) - 1e9, [0.3, -1.2]),
    "relu": (lambda x: at.maximum(x, 0.0), [0.0, 1.0, -1.0]),
    "abs": (at.abs, [0.0, 1.0, -1.0, 0.0]),
    "large_abs": (lambda x: 1e6 * at.abs(x), [0.0, 1.0, -1.0]),
    "ties": (lambda x: at.max(x, axis=1), [[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]]),
    "sort": (lambda x: at.sort(x), [1.0, 1.0, 0.0]),
    "logsumexp": (at.logsumexp, [1e4, 1e4 + 1, -1e4]),
    "softmax": (at.softmax, [[1e3, 1e3 - 2, 0.0]]),
    "inverse_1e-4": (at.linalg.inv, near_singular(1e-4)),
    "inverse_1e-8": (at.linalg.inv, near_singular(1e-8)),
    "logdet": (lambda x: at.linalg.slogdet(x)[1], near_singular(1e-8)),
    "sqrt": (at.sqrt, [1e-12, 1e-6, 1e6, 1e12]),
    "sqrt_at_0": (at.sqrt, [0.0, 1.0]),
    "norm_at_0": (lambda x: at.sqrt(at.sum(x * x)), [0.0, 0.0]),
    "reciprocal": (lambda x: 1 / x, [1e-6, 1e6, -1e-3]),
    "fast_sine": (lambda x: at.sin(1e6 * x), [0.3, -1.2]),
    "pole": (at.tan, [np.pi / 2 - 1e-5]),
    "floor": (at.floor, [1.0, 1.5, -2.0]),
    "clip": (lambda x: at.clip(x, 0, 1), [0.0, 1.0, 0.5, 2.0]),
    "power": (lambda x: x**1.5, [0.0, 2.0]),
    "gauss": (lambda x: at.exp(-1e4 * x * x), [0.01, 0.0, 0.05]),
    "product": (at.prod, np.random.default_rng(1).normal(size=12) * 10),
    "softplus": (at.softplus, [-800.0, 800.0, 0.0]),
    "erfc": (at.erfc, [5.0, 10.0, -5.0]),
    "flat": (lambda x: x * 0 + 1e9, [5.0, -5.0]),
    "float32": (lambda x: at.tanh(x.astype(np.float32)), [0.3, -1.2]),
    "float32_inside": (lambda x: at.sin(at.tanh(x.astype(np.float32)).astype(np.float64)), [0.3, -1.2]),
}


@pytest.mark.parametrize("mode", ["auto", "projection"])
@pytest.mark.parametrize("name", HARD)
def test_no_false_alarm(name, mode):
    f, x = HARD[name]
    assert check_grad(f, np.array(x), order=2, mode=mode)


def test_kinks_of_the_hard_ones_are_listed():
    def kinks(name):
        f, x = HARD[name]
        return sorted(check_grad(f, np.array(x)).inputs[0].kinks)

    assert kinks("relu") == [(0,)]
    assert kinks("large_abs") == [(0,)]
    assert kinks("ties") == [(0, 0), (0, 1), (1, 1), (1, 2)]
    assert kinks("sort") == [(0,), (1,)]
    assert kinks("sqrt_at_0") == [(0,)]
    assert kinks("floor") == [(0,), (2,)]
    assert kinks("clip") == [(0,), (1,)]
    for name in ("exp", "log", "offset", "sqrt", "softmax", "fast_sine", "pole", "inverse_1e-8", "softplus", "flat"):
        assert kinks(name) == [], name


def test_many_kinks_in_a_large_input():
    x = np.round(np.random.default_rng(3).normal(size=(20, 20)), 1)
    report = check_grad(lambda x: at.maximum(x, 0.0), x)
    assert report.kinks == int((x == 0).sum()) > 8
    assert report.inputs[0].checked == x.size - report.kinks


@pytest.mark.slow  # about 15 s
def test_one_element_off_by_a_hundredth_in_every_operation(monkeypatch):
    """In the samples of all operations: one derivative of one input, unless it is near 0 or lies on a kink."""
    right = comparison.Comparison._walk_back
    planted = {}

    def off(self, outs, leaves, seeds):
        found = right(self, outs, leaves, seeds)
        g = found[planted["input"]]
        if self.order == 1 and g is not None:
            g = np.array(g)
            flat = g.reshape(-1)
            flat[planted["element"]] *= 1.01
            planted.setdefault("size", abs(flat[planted["element"]]))
            found[planted["input"]] = flat.reshape(g.shape)
        return found

    monkeypatch.setattr(comparison.Comparison, "_walk_back", off)
    draw = np.random.default_rng(0)
    found, missed = 0, []
    for case in [parameters.values[0] for parameters in cases("grad")]:
        sample = case.sample
        sizes = [np.size(sample.inputs[i]) for i in sample.wrt]
        if sample.order == 0 or not sum(sizes):
            continue
        k = int(draw.choice(np.flatnonzero(sizes)))
        planted.clear()
        planted.update(input=k, element=int(draw.integers(sizes[k])))

        def f(*given, case=case, sample=sample):
            xs = list(sample.inputs)
            for i, x in zip(sample.wrt, given):
                xs[i] = x
            return case.call(*xs)

        inputs = [sample.inputs[i] for i in sample.wrt]
        report = check_grad(f, *inputs, mode="projection", raise_error=False)
        on_a_kink = np.unravel_index(planted["element"], np.shape(inputs[k])) in report.inputs[k].kinks
        if planted.get("size", 0.0) > 1e-4 and not on_a_kink:
            found += not report.ok
            if report.ok:
                missed.append(case)
    assert not missed
    assert found > 400

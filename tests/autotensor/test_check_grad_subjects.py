"""What check_grad takes: trees, objects with Variables, complex numbers, random functions; its modes and methods."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import autotensor as at
from autotensor.core.op import Op
from autotensor.errors import GradError, GradientCheckError
from autotensor.testing import InputReport, Report, check_grad, graph_function
from tests.autotensor.samples.base import array


def wrong(scale=1.01):
    """tanh with a slope off by a factor."""

    def vjp(needs, g, out, x):
        return (g * (1 - out * out) * scale,)

    return Op("wrong", impl=np.tanh, infer=lambda x: x, vjp=vjp)


Pair = namedtuple("Pair", "left right")


# -- inputs


def test_trees_of_inputs_and_outputs():
    def f(params, pair, n):
        hidden = at.tanh(pair.left @ params["w"][0] + params["b"])
        return {"out": [hidden, (pair.right * n,)], "count": at.asarray(n)}

    params = {"w": [array(2, 3), None], "b": array(3)}
    report = check_grad(f, params, Pair(array(4, 2), array(2)), 3, order=2)
    assert [row.name for row in report.inputs if row.order == 1] == ["0['b']", "0['w'][0]", "1.left", "1.right"]


def test_lists_of_numbers_are_arrays():
    report = check_grad(lambda x: at.sum(x * x), [[1.0, 2.0], [3.0, 4.0]])
    assert report.inputs[0].shape == (2, 2)


def test_what_was_passed_in_is_unmodified():
    x = array(3).astype(np.float32)
    t = at.Tensor(array(3), requires_grad=True, name="t")
    kept = x.copy(), t.numpy().copy()
    x.flags.writeable = False
    report = check_grad(lambda x, t: at.tanh(x) * t, x, t)
    assert [row.name for row in report.inputs] == ["0", "t"]
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(t.numpy(), kept[1])
    assert t.grad is None and t.version == 0


def test_a_function_that_writes_to_its_input_is_refused():
    def f(x):
        with at.no_grad():
            x[0] = 0.0
        return at.sum(x * x)

    with pytest.raises(GradError, match="input '0' was written in place"):
        check_grad(f, array(3))


def test_values_that_are_not_finite_are_reported_with_their_place():
    with pytest.raises(GradientCheckError, match=r"output 0 is nan at \[2\]") as caught:
        check_grad(at.log, np.array([1.0, 2.0, -1.0]))
    assert caught.value.report.problems
    assert not caught.value.report.ok
    report = check_grad(lambda x: (x, 1 / x), np.array([[1.0, 0.0]]), raise_error=False)
    assert report.problems == ["output 1 is infinite at [0, 1]: there is nothing to compare"]


def test_random_functions_are_refused_with_a_hint():
    with pytest.raises(GradError, match=r"it is random.*at\.random\.seed"):
        check_grad(lambda x: x * at.random.normal((3,)), array(3))

    def seeded(x):
        at.random.seed(1)
        return x * at.random.normal((3,))

    assert check_grad(seeded, array(3))


# -- objects


class Dense:
    def __init__(self, n, m, dtype):
        self.w = at.Variable(array(n, m), dtype)
        self.b = at.Variable(array(m, seed=1), dtype, name="bias")
        self.steps = at.Variable(0)
        self.frozen = at.Variable(array(m), dtype, trainable=False)

    def __call__(self, x):
        return at.tanh(x @ self.w + self.b) * self.frozen


class Net:
    def __init__(self, dtype=np.float32, last=at.tanh):
        self.layers = [Dense(3, 2, dtype), Dense(2, 2, dtype)]
        self.extra = {"scale": at.Variable(0.5, dtype)}
        self.tied = self.layers[0]
        self.last = last

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.last(x * self.extra["scale"])


NAMES = ["0", "layers[0].w", "layers[0].b", "layers[1].w", "layers[1].b", "extra['scale']"]


def test_an_object_brings_its_variables():
    net = Net(np.float64)
    report = check_grad(net, array(4, 3), order=2)
    assert [row.name for row in report.inputs if row.order == 1] == NAMES
    assert not check_grad(Net(np.float64, wrong()), array(4, 3), raise_error=False)


def test_an_object_that_makes_its_variables_in_the_first_call():
    class Late:
        w = None

        def __call__(self, x):
            if self.w is None:
                self.w = at.Variable(array(x.shape[-1]), np.float64)
            return x * self.w

    assert [row.name for row in check_grad(Late(), array(2, 3)).inputs] == ["0", "w"]


def test_single_precision_variables_are_double_for_the_check_only():
    net = Net(np.float32)
    variables = [net.layers[0].w, net.layers[1].b, net.extra["scale"]]
    buffers = [v.data for v in variables]
    values = [v.numpy() for v in variables]
    before = at.sum(net(array(1, 3)))
    report = check_grad(net, array(4, 3))
    # float64 inputs; the frozen weights are multiplied in as float32, and promote
    assert report.ok and "Variables were in double precision" in report.text
    assert all(row.error < 1e-8 for row in report.inputs)
    for v, buffer, value in zip(variables, buffers, values):
        assert v.data is buffer and v.version == 0 and v.dtype == np.float32
        np.testing.assert_array_equal(v.numpy(), value)
    at.grad(before, net.layers[0].w)  # what was recorded before is still good


def test_variables_are_what_they_were_after_an_error():
    net = Net(np.float32)
    buffer = net.layers[0].w.data
    calls = []

    def last(x):
        calls.append(x)
        if len(calls) == 7:
            raise RuntimeError("stop")
        return x

    net.last = last
    with pytest.raises(RuntimeError, match="stop"):
        check_grad(net, array(4, 3))
    assert net.layers[0].w.data is buffer

    net.last = wrong()
    with pytest.raises(GradientCheckError):
        check_grad(net, array(4, 3))
    assert net.layers[0].w.data is buffer


def test_what_was_recorded_during_the_check_is_not_taken_for_the_present():
    w = at.Variable(array(3), np.float64)
    kept = []

    def f(x):
        kept.append(at.sum(x * w * w))
        return kept[-1]

    check_grad(f, array(3), wrt=[w])
    for y in kept[3:]:
        with pytest.raises(GradError, match="overwritten"):
            at.grad(y, w)


def test_variables_of_a_function_are_found_with_all_and_mentioned_without():
    w = at.Variable(array(3), np.float64, name="w")
    f = lambda x: wrong()(x * 0.0 + w)
    report = check_grad(lambda x: at.tanh(x) * w, array(3))
    assert "(w): wrt='all' takes them" in report.text
    assert [row.name for row in check_grad(lambda x: at.tanh(x) * w, array(3), wrt="all").inputs] == ["0", "w"]
    assert not check_grad(f, array(3), wrt="all", raise_error=False)
    with pytest.raises(TypeError, match="wrt='all'"):
        check_grad(f, array(3), wrt="everything")


def test_an_object_that_checks_itself_is_asked():
    class Model:
        def check_gradients(self, x, y, **options):
            return x, y, options

    x, y, options = check_grad(Model(), 1, 2, order=2, class_weight={0: 1})
    assert (x, y) == (1, 2)
    assert options["order"] == 2 and options["class_weight"] == {0: 1} and "wrt" not in options


# -- complex numbers

Z = np.array([1 + 2j, -0.5 + 0.3j, 0.7 - 1j])
COMPLEX = {
    "product": lambda z: z * z * (1 + 2j),
    "exp": at.exp,
    "abs": at.abs,
    "conj": lambda z: at.conj(z) * z * z,
    "parts": lambda z: at.real(z) ** 2 * at.imag(z),
    "mixed": lambda z: at.real(z) * z,
    "matrix": lambda z: at.matmul(at.reshape(z, (3, 1)), at.reshape(at.conj(z), (1, 3))),
}


@pytest.mark.parametrize("mode", ["projection", "elements", "jacobian"])
@pytest.mark.parametrize("name", COMPLEX)
def test_complex_inputs(name, mode):
    report = check_grad(COMPLEX[name], Z, order=2, mode=mode)
    assert report.inputs[0].checked == 3


def test_complex_input_of_single_precision_and_complex_output_of_a_real_one():
    assert "complex64 to complex128" in check_grad(at.exp, Z.astype(np.complex64)).text
    assert check_grad(lambda x: at.exp(1j * x), array(3), order=2)


@pytest.mark.parametrize("mode", ["auto", "projection"])
def test_wrong_complex_gradients_are_found(mode):
    def conjugated(needs, g, out, x):
        return (g * at.conj(out),)

    def imaginary_part_lost(needs, g, out, x):
        return (g * (at.real(out) + 0j),)

    for vjp in (conjugated, imaginary_part_lost):
        f = Op(vjp.__name__, impl=np.exp, infer=lambda x: x, vjp=vjp)
        report = check_grad(f, Z, mode=mode, raise_error=False)
        assert not report.ok
        assert isinstance(report.worst.numeric, complex)
    turned = Op("turned", impl=lambda z: z * 1j, infer=lambda x: x, vjp=lambda needs, g, out, x: (g * -1j,))
    report = check_grad(lambda z: at.real(at.sum(turned(z) * (1 + 1j))), Z, raise_error=False)
    assert report.worst.analytic == pytest.approx(-report.worst.numeric)


# -- methods


def test_complex_step_is_exact():
    f = lambda x: at.exp(at.sin(x)) / (1 + x * x) + at.logsumexp(x)
    report = check_grad(f, array(4), order=2, method="complex")
    assert not report.notes
    for row in report.inputs:
        assert row.error < 1e-14
        assert row.allowed < 1e-9


def test_complex_step_finds_what_differences_can_not():
    f = wrong(1 + 1e-8)
    assert check_grad(f, array(3))
    report = check_grad(f, array(3), method="complex", raise_error=False)
    assert not report.ok
    assert report.worst.analytic / report.worst.numeric == pytest.approx(1 + 1e-8, abs=1e-13)


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (at.abs, "[abs] is not analytic"),
        (lambda x: at.real(x * 2), "[real] is not analytic"),
        (lambda x: at.erf(x), "has no complex step"),
        (lambda x: at.tanh(x.astype(np.float32)), "single precision"),
    ],
    ids=["abs", "real", "erf", "float32"],
)
def test_without_a_complex_step_the_reason_is_noted(f, reason):
    report = check_grad(f, array(3), order=2, method="complex")
    assert sum(reason in note for note in report.notes) == 1


def test_complex_inputs_have_no_complex_step():
    assert "complex already" in check_grad(at.exp, Z, method="complex").text


def test_an_operation_that_lies_in_the_complex_plane_is_noticed():
    """It takes complex numbers, and continues tanh by another function than the analytic one."""

    def vjp(needs, g, out, x):
        return (g * (1 - out * out),)

    f = Op("liar", impl=lambda x: np.tanh(x.real) + 3j * x.imag if x.dtype.kind == "c" else np.tanh(x),
           infer=lambda x: x, vjp=vjp)  # fmt: skip
    report = check_grad(f, array(3), method="complex")
    assert "not analytic" in report.text


def test_forward_mode():
    w = at.Variable(array(3), np.float64, name="w")
    report = check_grad(lambda x, y: (at.tanh(x) * w, at.sum(x * y)), array(3), array(3, seed=1), forward=True)
    assert [row.name for row in report.inputs] == ["0", "1", "jvp"]
    assert report.inputs[-1].error < 1e-8
    report = check_grad(wrong(), array(3), forward=True, raise_error=False)
    assert [row.ok for row in report.inputs] == [False, False]
    assert check_grad(at.exp, Z, forward=True)


# -- modes and tolerances


def test_the_mode_is_chosen_by_size():
    assert check_grad(at.tanh, array(24)).inputs[0].mode == "jacobian"
    assert check_grad(at.tanh, array(25)).inputs[0].mode == "projection"
    assert check_grad(lambda x: at.sum(at.tanh(x)), array(24), mode="projection").inputs[0].mode == "projection"
    assert check_grad(at.tanh, array(25), mode="elements").inputs[0].worst is not None


def test_the_element_of_the_output_is_named():
    def vjp(needs, g, out, x, y):
        return at.matmul(g, at.transpose(y)) + at.pad(g[1:2, 2:3], [(0, 2), (1, 0)]), None

    product = Op("product", impl=np.matmul, infer=lambda x, y: x, vjp=vjp)
    report = check_grad(lambda x: product(x, array(2, 3)), array(3, 2), raise_error=False)
    assert report.worst.worst == (0, 1)
    assert report.worst.output == (0, 1, 2)
    assert "element [1, 2] of output 0" in str(report)
    assert "element [0, 1] of the input, element [1, 2] of output 0" in report.message()


def test_tolerances_of_pytorch():
    """With its numbers what it accepts is accepted; by default the check is stricter."""
    off = wrong(1 + 5e-4)
    assert not check_grad(off, array(3), raise_error=False)
    report = check_grad(off, array(3), eps=1e-6, atol=1e-5, rtol=1e-3)
    assert report.ok
    row = report.inputs[0]
    assert row.allowed == pytest.approx(1e-5 + 1e-3 * abs(row.analytic), rel=1e-3)
    assert not check_grad(wrong(1 + 5e-3), array(3), eps=1e-6, atol=1e-5, rtol=1e-3, raise_error=False)
    default = check_grad(at.tanh, array(3)).inputs[0]
    assert default.allowed < 1e-5 + 1e-3 * abs(default.analytic)


def test_report_in_numbers_and_text():
    report = check_grad(wrong(), array(2, 2), raise_error=False)
    assert isinstance(report, Report) and isinstance(report.inputs[0], InputReport)
    assert report.text == str(report) and not report and not report.ok
    assert report.worst.badness == report.worst.error / report.worst.allowed > 1
    assert report.worst.where.startswith("element ")
    assert at.testing.check_grad is check_grad


# -- graphs


def test_graph_function():
    x = at.placeholder((None, 3), np.float32, name="x")
    k = at.placeholder((), np.float32)
    w = at.Variable(array(3, 2), np.float32, deferred=True)
    c = at.Variable(np.float32(0.1), deferred=True)
    y = at.sum(at.tanh(x.astype(np.float32) @ w) * c + np.float32(1 / 3)) * k
    f = graph_function([y, x * 2], [x], {k: 2.0})
    value, double = f(at.Tensor(array(4, 3)))
    assert value.dtype == double.dtype == np.float64
    want = 2 * np.sum(np.tanh(array(4, 3) @ w.numpy().astype(float)) * float(c.numpy()) + float(np.float32(1 / 3)))
    assert float(value) == pytest.approx(want, rel=1e-14)
    report = check_grad(f, array(4, 3), wrt=[w], order=2)
    assert [row.name for row in report.inputs[:2]] == ["0", "wrt[0]"]
    assert w.dtype == np.float32
    with pytest.raises(TypeError, match="expected 1 values"):
        f()


def test_graph_function_draws_the_same_each_time_and_moves_no_generator():
    x = at.placeholder((3,), np.float32)
    with at.deferred():
        y = x * at.random.normal((3,), dtype=np.float32)
    state = at.random.get_state()
    f = graph_function([y], [x])
    a, b = f(np.ones(3))[0].numpy(), f(np.ones(3))[0].numpy()
    np.testing.assert_array_equal(a, b)
    assert at.random.get_state() == state
    assert check_grad(f, array(3))


def test_graph_function_of_a_loop():
    x = at.placeholder((None, 2), np.float32)
    w = at.Variable(array(2, 2), np.float32, deferred=True)

    def step(states, parts, constants):
        h = at.tanh(parts[0] + states[0] @ w) * np.float32(0.7)
        return (h,), (h,)

    states, outputs = at.scan(step, [at.zeros((2,), dtype=np.float32)], [x])
    f = graph_function([outputs[0], states[0]], [x])
    assert f(array(4, 2))[0].dtype == np.float64
    report = check_grad(f, array(4, 2), wrt={"w": w})
    assert all(row.error < 1e-8 for row in report.inputs)

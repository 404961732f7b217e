"""check_grad must find wrong gradients, say where, and not be fooled by kinks or by noise."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor.core.op import Op
from autotensor.errors import AutotensorError, GradError, GradientCheckError
from autotensor.testing import check_grad
from tests.autotensor.samples.base import array


def same(x, *rest, **params):
    return x


def op(vjp, impl=np.tanh, infer=same):
    """An operation that is not in the registry."""
    return Op(vjp.__name__, impl=impl, infer=infer, vjp=vjp)


def right(needs, g, out, x):
    return (g * (1 - out * out),)


def wrong_sign(needs, g, out, x):
    return (g * (out * out - 1),)


def slightly_wrong_in_one(needs, g, out, x):
    factor = np.ones(x.shape)
    factor[1, 2] = 1.001
    return (g * (1 - out * out) * at.asarray(factor),)


def wrong_second(needs, g, out, x):
    """The first derivative is right; its dependence on x is lost."""
    return (g * at.stop_gradient(1 - out * out),)


def none_at_all(needs, g, out, x):
    return (None,)


def transposed(needs, g, out, x):
    return (at.transpose(g),)


def test_right_gradient_passes_with_much_to_spare():
    report = check_grad(op(right), array(3, 4), order=2, mode="elements")
    assert report
    assert report.ok
    assert len(report.inputs) == 3  # x at order 1, x and g at order 2
    for row in report.inputs:
        assert row.error < 0.01 * row.allowed
        assert row.checked == 12


@pytest.mark.parametrize("vjp", [wrong_sign, slightly_wrong_in_one, none_at_all, transposed], ids=lambda f: f.__name__)
def test_wrong_gradient_is_found(vjp):
    with pytest.raises(GradientCheckError) as caught:
        check_grad(op(vjp), array(3, 4))
    assert not caught.value.report.ok
    assert caught.value.report.worst.order == 1


@pytest.mark.parametrize("shape", [(3, 4), (40, 50)])
def test_small_error_in_one_element_is_located(shape):
    report = check_grad(op(slightly_wrong_in_one), array(*shape), raise_error=False)
    row = report.worst
    assert row.worst == (1, 2)
    x = array(*shape)
    slope = 1 - np.tanh(x[1, 2]) ** 2
    assert row.analytic / row.numeric == pytest.approx(1.001, rel=1e-6)
    assert row.error == pytest.approx(1e-3 * abs(row.numeric), rel=1e-4)
    assert abs(row.numeric) / slope < 1.6  # u, the factor of the random projection, is at most 1.5


def test_numbers_of_a_scalar_function_are_the_users_own():
    x = array(5)
    report = check_grad(lambda x: at.sum(op(wrong_sign)(x)), x, raise_error=False)
    row = report.worst
    (i,) = row.worst
    assert row.numeric == pytest.approx(1 - np.tanh(x[i]) ** 2, rel=1e-8)
    assert row.analytic == pytest.approx(-row.numeric, rel=1e-8)


def test_the_input_at_fault_is_named():
    def vjp(needs, g, out, x, y):
        return g * y, g * x * 1.01

    product = op(vjp, impl=np.multiply)
    report = check_grad(product, array(2, 3), array(2, 3, seed=1), raise_error=False)
    assert [row.ok for row in report.inputs] == [True, False]
    assert report.worst.name == "1"
    with pytest.raises(GradientCheckError, match=r"input 'b'"):
        check_grad(product, at.Tensor(array(2, 3), name="a"), at.Tensor(array(2, 3), name="b"))


def test_missing_unbroadcast_is_found_by_shape():
    def vjp(needs, g, out, x, y):
        return g, g

    add = op(vjp, impl=np.add, infer=lambda x, y: x)
    report = check_grad(add, array(2, 3), array(3), raise_error=False)
    assert [row.ok for row in report.inputs] == [True, False]
    assert "unbroadcast" in report.worst.problem
    assert "(2, 3)" in report.worst.problem


def test_wrong_second_derivative_with_right_first():
    assert check_grad(op(wrong_second), array(3, 4), order=1)
    report = check_grad(op(wrong_second), array(3, 4), order=2, raise_error=False)
    assert [(row.order, row.name, row.ok) for row in report.inputs] == [
        (1, "0", True),
        (2, "0", False),
        (2, "g", True),
    ]
    assert report.worst.order == 2
    assert report.worst.worst is not None


def test_second_derivative_with_respect_to_the_incoming_gradient():
    def vjp(needs, g, out, x):
        return (at.stop_gradient(g) * (1 - out * out),)

    report = check_grad(op(vjp), array(4), order=2, raise_error=False)
    assert [(row.order, row.name) for row in report.inputs if not row.ok] == [(2, "g")]


def test_none_is_right_where_nothing_depends():
    report = check_grad(lambda x, y: at.tanh(x), array(3), array(2), order=2)
    assert report.ok
    assert not report.worst.problem


def test_kinks_are_left_out_and_counted():
    x = array(3, 4)
    x[0, 1] = 0.0
    x[2, 3] = 0.0
    for f in (at.abs, lambda x: at.maximum(x, 0.0)):
        report = check_grad(f, x, order=2)
        first = report.inputs[0]
        assert sorted(first.kinks) == [(0, 1), (2, 3)]
        assert first.checked == 10
        assert report.kinks >= 2
        assert "[0, 1]" in str(report)


def test_a_wrong_gradient_beside_a_kink_is_still_found():
    def vjp(needs, g, out, x):
        return (g * at.where(x > 0.5, 1.01, at.where(x > 0, 1.0, 0.0)),)

    x = np.array([0.0, -0.3, 0.2, 0.7, 0.0])
    report = check_grad(op(vjp, impl=lambda x: np.maximum(x, 0.0)), x, raise_error=False)
    assert report.worst.worst == (3,)
    assert sorted(report.worst.kinks) == [(0,), (4,)]


def test_kink_nearby_is_avoided_by_a_smaller_step():
    report = check_grad(at.abs, np.array([3e-5, -2e-5, 0.4]), order=2)
    assert report.ok
    assert report.kinks == 0


def test_kinks_everywhere_move_the_point():
    report = check_grad(at.abs, np.zeros((2, 3)))
    assert report.ok
    assert report.inputs[0].moved
    assert "moved" in str(report)

    report = check_grad(op(wrong_sign, impl=np.abs), np.zeros((2, 3)), raise_error=False)
    assert not report.ok


def test_a_function_of_kinks_only_is_not_called_right():
    def vjp(needs, g, out, x):
        return (g * 0.0,)

    rough = op(vjp, impl=lambda x: np.sign(np.sin(1e9 * x)))  # jumps everywhere
    report = check_grad(rough, array(3), raise_error=False)
    assert not report.ok
    assert "do not settle" in report.worst.problem


def test_ties_of_maximum_are_kinks_of_both_inputs():
    x = np.array([1.0, 2.0, 3.0])
    y = np.array([1.0, 5.0, -1.0])
    report = check_grad(at.maximum, x, y)
    assert [row.kinks for row in report.inputs] == [[(0,)], [(0,)]]


def test_noise_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(GradError, match="two different"):
        check_grad(lambda x: x * float(rng.random()), array(3))


def test_noise_in_the_gradient_only_is_refused():
    rng = np.random.default_rng(0)

    def vjp(needs, g, out, x):
        return (g * (1 + 1e-12 * float(rng.random())),)

    with pytest.raises(GradError, match="its gradient gave two"):
        check_grad(op(vjp, impl=np.copy), array(3))


def test_integers_stay_and_float32_is_converted_with_a_note():
    seen = []

    def f(x, n, flag):
        seen.append((x.dtype, np.asarray(n).dtype, flag))
        return x * 2.0

    report = check_grad(f, array(3).astype(np.float32), np.arange(3), True)
    assert [row.name for row in report.inputs] == ["0"]
    assert "float32" in report.notes[0]
    assert all(x == np.float64 and n.kind == "i" and flag is True for x, n, flag in seen)


def test_function_that_computes_in_float32():
    scale = array(4).astype(np.float32)

    def f(x):
        return at.tanh(x.astype(np.float32) * scale)

    report = check_grad(f, array(4))
    assert report.ok
    assert any("float32" in note for note in report.notes)
    assert not check_grad(lambda x: op(wrong_sign)(x.astype(np.float32)), array(4), raise_error=False)


def test_variables_are_checked_and_get_their_value_back():
    w = at.Variable(array(3), dtype=np.float64, name="w")
    b = at.Variable(array(1, seed=1), dtype=np.float64)
    before = w.numpy(), b.numpy()
    report = check_grad(lambda x: at.tanh(x * w + b), array(2, 3), wrt=[w, b], order=2)
    assert [row.name for row in report.inputs] == ["0", "w", "wrt[1]", "0", "w", "wrt[1]", "g"]
    np.testing.assert_array_equal(w.numpy(), before[0])
    np.testing.assert_array_equal(b.numpy(), before[1])

    report = check_grad(lambda: op(wrong_sign)(w), wrt={"weight": w}, raise_error=False)
    assert report.worst.name == "weight"
    np.testing.assert_array_equal(w.numpy(), before[0])


def test_variables_get_their_value_back_after_an_error():
    w = at.Variable(array(3), dtype=np.float64)
    before = w.numpy()
    calls = []

    def f():
        calls.append(1)
        if len(calls) > 4:
            raise RuntimeError("stop")
        return at.tanh(w)

    with pytest.raises(RuntimeError, match="stop"):
        check_grad(f, wrt=[w])
    np.testing.assert_array_equal(w.numpy(), before)


def test_deferred_variables():
    w = at.Variable(array(3), dtype=np.float64, deferred=True)
    assert check_grad(lambda x: at.tanh(x * w), array(2, 3), wrt=[w], order=2)
    assert not check_grad(lambda: op(wrong_sign)(w), wrt=[w], raise_error=False)


def test_several_outputs():
    def f(x):
        return {"a": at.tanh(x), "b": at.sum(x * x), "where": x > 0}

    assert check_grad(f, array(2, 3), order=2)
    assert not check_grad(lambda x: (at.tanh(x), op(wrong_sign)(x)), array(3), raise_error=False)


def test_elements_of_very_different_size():
    assert check_grad(at.exp, np.array([-30.0, 1e-9, 3.0]), order=2)
    assert check_grad(at.log, np.array([1e-2, 1.0, 1e7]), order=2)
    assert check_grad(lambda x: x * x, np.array([1e-8, 1e6]), order=2)


def test_nan_is_wrong():
    report = check_grad(op(lambda needs, g, out, x: (g * float("nan"),), impl=np.copy), array(3), raise_error=False)
    assert not report.ok


def test_empty_input():
    assert check_grad(at.tanh, np.zeros((0, 3)), order=2)


def test_0d_input_and_python_float():
    report = check_grad(at.tanh, 0.3)
    assert report.inputs[0].shape == ()
    assert check_grad(at.tanh, np.array(0.3), order=2, mode="elements")


def test_same_seed_same_report():
    texts = {str(check_grad(at.tanh, array(3), mode="projection", seed=5)) for _ in range(2)}
    assert len(texts) == 1
    assert str(check_grad(at.tanh, array(3), mode="projection", seed=6)) not in texts


def test_report_is_a_table_in_the_error_too():
    with pytest.raises(AssertionError) as caught:
        check_grad(op(wrong_sign), array(2, 2))
    assert isinstance(caught.value, AutotensorError)
    text = str(caught.value)
    for word in ("[check_grad]", "order", "analytic", "numeric", "allowed", "WRONG"):
        assert word in text


def test_misuse():
    with pytest.raises(ValueError, match="whole number from 1"):
        check_grad(at.tanh, array(2), order=0)
    with pytest.raises(ValueError, match="expected mode as one of"):
        check_grad(at.tanh, array(2), mode="full")
    with pytest.raises(ValueError, match="expected method as one of"):
        check_grad(at.tanh, array(2), method="forward")
    with pytest.raises(ValueError, match="step eps above 0"):
        check_grad(at.tanh, array(2), eps=0.0)
    with pytest.raises(TypeError, match="'full'"):
        check_grad(at.tanh, array(2), full=True)
    with pytest.raises(TypeError, match="must return tensors"):
        check_grad(lambda x: x.numpy(), array(2))
    with pytest.raises(TypeError, match="wrt takes floating Variables"):
        check_grad(at.tanh, array(2), wrt=[at.Tensor([1.0])])
    with pytest.raises(GradError, match="all outputs are integers"):
        check_grad(lambda x: x > 0, array(2))

"""grad, gradients, value_and_grad, backward, stop_gradient: forms, errors, depth, memory."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import DTypeError, GradError, ShapeError, TraceError


def leaf(values, **options):
    return at.Tensor(values, requires_grad=True, **options)


def close(tensor, expected):
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_grad_of_tensor_by_one_and_by_list():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    z = (x * x * y).sum()
    close(at.grad(z, x), [6.0, 16.0])
    gx, gy = at.grad(z, [x, y])
    close(gx, [6.0, 16.0])
    close(gy, [1.0, 4.0])


def test_grad_needs_one_element_or_seeds():
    x = leaf([1.0, 2.0])
    with pytest.raises(GradError, match=r"\[grad\] expected an output with one element"):
        at.grad(x * x, x)
    close(at.grad(x * x, x, seeds=np.array([1.0, 10.0])), [2.0, 40.0])
    with pytest.raises(ShapeError, match="seed of the output's shape"):
        at.grad(x * x, x, seeds=np.ones(3))


def test_grad_of_several_outputs():
    x = leaf([1.0, 2.0])
    close(at.grad([x.sum(), (x * x).sum()], x), [3.0, 5.0])
    close(at.grad([x, x * x], x, seeds=[np.array([1.0, 0.0]), np.array([0.0, 1.0])]), [1.0, 4.0])


def test_gradient_by_an_intermediate_result():
    x = leaf([1.0, 2.0])
    h = x * 3
    close(at.grad((h * h).sum(), h), [6.0, 12.0])


def test_gradients_sum_all_elements_and_give_none():
    x, other = leaf([1.0, 2.0]), leaf(1.0)
    g, none = at.gradients(x * x, [x, other])
    close(g, [2.0, 4.0])
    assert none is None


def test_no_path_is_an_error_that_names_the_operation():
    w = leaf([1.0, 3.0], name="w")
    scores = w * 2
    picked = at.argmax(scores).astype(at.float64)
    with pytest.raises(GradError, match=r"\[grad\] argmax has no gradient; it lies between the output and 'w'"):
        at.grad(picked, w)
    assert at.grad(picked, w, allow_unused=True) is None
    with pytest.raises(GradError, match="does not depend on"):
        at.grad((leaf([1.0]) * 2).sum(), w)
    constant = at.Tensor([1.0])
    with pytest.raises(GradError, match="was not tracked"):
        at.grad((leaf([1.0]) * constant).sum(), constant)
    with pytest.raises(GradError, match="is int64"):
        at.grad((w * 2).sum(), at.Tensor([1]))


def test_outputs_must_be_floating_tensors():
    x = leaf([1.0])
    with pytest.raises(GradError, match="got float"):
        at.grad(float((x * 2).sum()), x)
    with pytest.raises(DTypeError, match="only floating"):
        at.grad((x > 0).sum(), x)


def test_grad_of_function():
    f = lambda x, y: (x * x * y).sum()
    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    close(at.grad(f)(a, b), 2 * a * b)
    close(at.grad(f, argnums=1)(a, b), a * a)
    gx, gy = at.grad(f, argnums=(0, 1))(a, b)
    close(gx, 2 * a * b)
    close(gy, a * a)
    value, g = at.value_and_grad(f)(a, b)
    close(value, 19.0)
    close(g, 2 * a * b)


def test_higher_derivatives_of_function():
    d = at.sin
    expected = [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin, np.cos]
    for want in expected:
        d = at.grad(d)
        close(d(0.3), want(0.3))


def test_function_of_plain_numbers_and_linear_functions():
    assert at.grad(lambda x: x * x)(3).item() == 6.0
    close(at.grad(at.grad(lambda x: 5 * x))(2.0), 0.0)  # the second derivative of a line is 0, not an error
    with pytest.raises(DTypeError, match="floating argument 0"):
        at.grad(lambda x: (x * 1.0).sum())(np.arange(3))
    with pytest.raises(GradError, match="argument 2 does not exist"):
        at.grad(lambda x: x, argnums=2)(1.0)
    with pytest.raises(GradError, match="argmax has no gradient"):
        at.grad(lambda x: at.argmax(x).astype(at.float64))(np.ones(3))


def test_function_gradient_follows_what_it_reads():
    w = at.Variable(np.array([2.0, 3.0]))
    slope = at.grad(lambda x: (w * x * x).sum())(np.array([1.0, 1.0]))  # 2 w x
    close(at.grad((slope * slope).sum(), w), 8 * np.array([2.0, 3.0]))


def test_function_gradient_does_not_mix_up_levels():
    # d/dx (x * d/dy (x + y)) at y = 1 is 1: the inner derivative is by y alone.
    inner = lambda x: at.grad(lambda y: x + y)(1.0)
    close(at.grad(lambda x: x * inner(x))(4.0), 1.0)


def test_result_of_a_function_gradient_holds_no_recording():
    g = at.grad(lambda x: (x**3).sum())(np.ones(3))
    assert g.node is None and not g.requires_grad


def test_backward_accumulates_in_leaves():
    x = leaf([1.0, 2.0])
    w = at.Variable(np.array([3.0, 4.0]))
    y = (x * w).sum()
    y.backward()
    close(x.grad, [3.0, 4.0])
    close(w.grad, [1.0, 2.0])
    y.backward()
    close(x.grad, [6.0, 8.0])
    assert x.grad.node is None


def test_backward_with_weights_and_errors():
    x = leaf([1.0, 2.0])
    with pytest.raises(GradError, match=r"\[backward\] expected an output with one element"):
        (x * x).backward()
    (x * x).backward(np.array([1.0, 0.5]))
    close(x.grad, [2.0, 2.0])
    with pytest.raises(GradError, match="this one is a constant"):
        at.Tensor(1.0).backward()
    with pytest.raises(TraceError, match="no value yet"):
        at.placeholder((), np.float64).backward()


def test_backward_create_graph():
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    close(at.grad(x.grad, x), 12.0)


def test_stop_gradient():
    x = leaf([1.0, 2.0])
    close(at.grad((x * at.stop_gradient(x)).sum(), x), [1.0, 2.0])
    p = at.placeholder((None,), np.float64)
    assert at.gradients(at.stop_gradient(p * 2), p) == [None]


def test_no_grad_records_nothing():
    x = leaf([1.0])
    with at.no_grad():
        y = x * 2
        with at.enable_grad():
            z = x * 3
    assert y.node is None and not y.requires_grad
    close(at.grad(z.sum(), x), [3.0])


def test_unknown_dimensions_stay_unknown():
    x = at.placeholder((None, 3), np.float32)
    (g,) = at.gradients(at.mean(at.square(x)), x)
    assert g.shape == (None, 3) and g.dtype == np.float32


@pytest.mark.slow
def test_deep_chain_forward_backward_and_freed():
    n = 100_000
    x = leaf(1.0)
    y = x
    for _ in range(n):
        y = y * 1.00001
    last = weakref.ref(y.node.inputs[0])
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 1.00001**n, rtol=1e-9)
    del y
    gc.collect()
    assert last() is None


def test_deep_chain_second_order():
    n = 3_000
    x = leaf(0.5)
    y = x
    for _ in range(n):
        y = y + x * x * (1 / n)
    g = at.grad(y, x)  # 1 + 2x
    close(g, 2.0)
    np.testing.assert_allclose(at.grad(g, x).numpy(), 2.0, rtol=1e-9)


@pytest.mark.parametrize(
    ("function", "at_zero"),
    [
        (lambda x: x**2, 0.0),
        (lambda x: x**1, 1.0),
        (lambda x: x**0, 0.0),
        (lambda x: x ** at.Tensor(2.0), 0.0),
        (lambda x: x ** at.Tensor(1.0), 1.0),
        (lambda x: x ** at.Tensor(0.0), 0.0),
        (lambda x: at.norm(x), 0.0),
        (lambda x: at.abs(x), 0.0),
        (lambda x: at.maximum(x, 0.0), 1.0),
        (lambda x: at.clip(x, 0.0, 1.0), 1.0),
    ],
)
def test_slopes_at_zero(function, at_zero):
    x = leaf(0.0)
    close(at.grad(function(x), x), at_zero)


def test_power_by_its_exponent_at_base_zero():
    y = leaf(2.0)
    close(at.grad(at.pow(at.Tensor(0.0), y), y), 0.0)
    close(at.grad(at.pow(0.0, y), y), 0.0)


def test_ties_share_the_gradient_of_max():
    x = leaf([1.0, 3.0, 3.0])
    close(at.grad(at.max(x), x), [0.0, 0.5, 0.5])
    close(at.grad(at.std(leaf_of := leaf([2.0, 2.0])), leaf_of), [0.0, 0.0])


def test_logsumexp_and_logaddexp_of_minus_infinity():
    x = leaf([-np.inf, -np.inf])
    close(at.grad(at.logsumexp(x), x), [0.0, 0.0])
    a, b = leaf(-np.inf), leaf(-np.inf)
    ga, gb = at.grad(at.logaddexp(a, b), [a, b])
    assert ga.item() == 0.0 and gb.item() == 0.0


@pytest.mark.parametrize("x", [[2.0, 0.0, 3.0], [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
def test_product_with_zeros_to_third_order(x):
    """The third mixed derivative of x0 x1 x2 is 1 wherever it is taken."""
    t = leaf(x)
    first = at.grad(at.prod(t), t)
    close(first, [x[1] * x[2], x[0] * x[2], x[0] * x[1]])
    second = at.grad(first[0], t)
    close(second, [0.0, x[2], x[1]])
    close(at.grad(second[1], t), [0.0, 0.0, 1.0])


def test_switch_takes_one_branch():
    a, b = leaf([1.0, 2.0]), leaf(3.0)
    ga, gb = at.grad(at.switch(at.Tensor(True), a, b).sum(), [a, b])
    close(ga, [1.0, 1.0])
    close(gb, 0.0)
    with pytest.raises(ShapeError, match="scalar condition"):
        at.switch(at.Tensor([True, False]), a, b)

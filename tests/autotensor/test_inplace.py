"""Writes into tensors: the right gradient or a clear error, and never a change in another tensor."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import DTypeError, GradError, ShapeError, TraceError


def leaf(values):
    return at.Tensor(values, requires_grad=True)


def close(tensor, expected):
    np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-12)


KEYS = {
    "int": 1,
    "slice": slice(0, 2),
    "row_and_column": (slice(None), 2),
    "array": np.array([2, 0]),
    "arrays": (np.array([0, 1]), np.array([3, 3])),
    "mask": np.array([True, False, True]),
    "mask_2d": np.arange(12).reshape(3, 4) % 3 == 0,
    "ellipsis": ...,
    "tensor": at.Tensor([2, 0]),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_write_into_constant(key):
    want = np.arange(12.0).reshape(3, 4)
    x = at.Tensor(want)
    want[key.numpy() if isinstance(key, at.Tensor) else key] = -1
    x[key] = -1
    close(x, want)
    assert not x.requires_grad


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_write_into_result_has_the_right_gradient(key):
    a, v = leaf(np.arange(12.0).reshape(3, 4)), leaf(5.0)
    x = a * 2
    x[key] = v * 3
    y = (x * x).sum()
    written = np.zeros((3, 4), bool)
    written[key.numpy() if isinstance(key, at.Tensor) else key] = True
    ga, gv = at.grad(y, [a, v])
    close(ga, np.where(written, 0, 8 * a.numpy()))
    close(gv, 3 * 2 * 15.0 * written.sum())


def test_write_of_a_tracked_value_into_a_constant():
    w = leaf(2.0)
    x = at.zeros(3)
    x[1] = w * w
    close(at.grad(x.sum(), w), 4.0)


def test_several_writes_in_a_loop():
    w = leaf([1.0, 2.0, 3.0])
    x = at.zeros(3)
    for i in range(3):
        x[i] = w[i] * (x[i - 1] if i else 1.0)
    close(x, [1.0, 2.0, 6.0])
    close(at.grad(x[2], w), [6.0, 3.0, 2.0])


def test_write_of_what_was_computed_from_the_tensor():
    a, w = leaf([1.0, 2.0, 4.0]), leaf(3.0)
    x = a * 2
    x[1] = x[0] * w
    x[2] = x[1] * x[0]
    close(x, [2.0, 6.0, 12.0])  # 2a, 2aw, 4aaw
    ga, gw = at.grad(x.sum(), [a, w])
    close(ga, [2 + 6 + 8 * 3, 0.0, 0.0])
    close(gw, 2 + 4)
    x[at.argmax(x).item()] = 0.0
    x[at.argmax(x)] = 0.0
    close(at.grad(x.sum(), a), [2.0, 0.0, 0.0])


def test_a_value_older_than_another_write_raises():
    a = leaf([1.0, 2.0, 4.0])
    x = a * 2
    y = x[0] * 3
    x[2] = 5.0
    x[1] = y
    with pytest.raises(GradError, match="was overwritten in place"):
        at.grad(x.sum(), a)


def test_many_writes_stay_quick():
    w = leaf(1.0)
    x = at.zeros(2000)
    for i in range(1, 2000):
        x[i] = x[i - 1] + w
    close(at.grad(x[1999], w), 1999.0)


def test_repeated_indices_last_one_counts():
    v = leaf([1.0, 2.0, 3.0])
    x = at.zeros(3)
    x[np.array([0, 1, 0])] = v
    close(x, [3.0, 2.0, 0.0])
    close(at.grad((x * 1).sum(), v), [0.0, 1.0, 1.0])


def test_gradient_through_an_earlier_use_raises():
    a = leaf([1.0, 2.0])
    x = a * 2
    y = (x * x).sum()
    x[0] = 10.0
    with pytest.raises(GradError, match=r"\[multiply\] expected input 0 as it was when recorded"):
        at.grad(y, a)


def test_earlier_use_of_a_constant_raises_too():
    a, c = leaf([1.0, 2.0]), at.Tensor([3.0, 4.0])
    y = (a * c).sum()
    c[0] = 100.0
    with pytest.raises(GradError, match="was overwritten in place"):
        at.grad(y, a)


def test_use_after_the_write_is_fine():
    a, c = leaf([1.0, 2.0]), at.Tensor([3.0, 4.0])
    c[0] = 100.0
    close(at.grad((a * c).sum(), a), [100.0, 4.0])


def test_leaf_variable_and_symbol_refuse():
    x = leaf([1.0, 2.0])
    with pytest.raises(GradError, match=r"\[setitem\].*leaf that requires gradients.*index_update"):
        x[0] = 1.0
    with at.no_grad():
        x[0] = 7.0
    close(x, [7.0, 2.0])
    w = at.Variable(np.zeros(2), name="w")
    with pytest.raises(GradError, match="a Variable is written as a whole; got an index write to w"):
        w[0] = 1.0
    p = at.placeholder((None, 2), np.float64)
    with pytest.raises(TraceError, match="index_update"):
        p[0] = 1.0
    with pytest.raises(TraceError, match="index_update"):
        at.zeros(2)[0] = p.sum()


def test_write_to_leaf_inside_no_grad_spoils_earlier_recordings():
    x = leaf([1.0, 2.0])
    y = (x * x).sum()
    with at.no_grad():
        x[0] = 7.0
    with pytest.raises(GradError, match="was overwritten"):
        at.grad(y, x)


def test_writes_never_show_elsewhere():
    source = np.arange(4.0)
    x = at.asarray(source)
    view, whole, same = x[1:3], x.reshape(2, 2), x.astype(at.float64)
    x[1] = -1.0
    close(at.asarray(source), np.arange(4.0))
    close(view, [1.0, 2.0])
    close(whole, [[0.0, 1.0], [2.0, 3.0]])
    close(same, np.arange(4.0))
    view[0] = -5.0
    close(x, [0.0, -1.0, 2.0, 3.0])
    copied = x.copy()
    copied[0] = 9.0
    close(x, [0.0, -1.0, 2.0, 3.0])


def test_augmented_assignment_makes_a_new_tensor():
    x = leaf([1.0, 2.0])
    y = x * 2
    before = y
    y += x
    assert before is not y
    close(at.grad((y * y).sum(), x), 2 * 9 * np.array([1.0, 2.0]))


def test_integers_and_errors():
    n = at.arange(4)
    n[at.Tensor([True, False, True, False])] = 9
    assert n.tolist() == [9, 1, 9, 3]
    with pytest.raises(IndexError):
        n[7] = 1
    with pytest.raises(ValueError):
        n[:2] = at.Tensor([1, 2, 3])
    with pytest.raises(DTypeError, match="integer or bool arrays; got float64"):
        n[at.Tensor([0.5])]
    with pytest.raises(ShapeError, match="a mask must have the shape"):
        n[np.array([True, False])]


def test_index_update_and_index_add():
    x, v = leaf(np.zeros((3, 2))), leaf([1.0, 2.0])
    y = at.index_add(x, v, np.array([0, 2, 0]))
    close(y, [[2.0, 4.0], [0.0, 0.0], [1.0, 2.0]])
    close(at.grad((y * y).sum(), v), [2 * (2 * 2 + 1), 2 * (2 * 4 + 2)])
    z = at.index_update(x, v, slice(1, 3))
    close(z, [[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]])
    close(at.grad(z.sum(), v), [2.0, 2.0])


def test_gradient_of_repeated_rows():
    table = leaf(np.arange(6.0).reshape(3, 2))
    close(at.grad(at.gather(table, np.array([[1, 1], [2, 1]])).sum(), table), [[0.0, 0.0], [3.0, 3.0], [1.0, 1.0]])


def test_float16_rows_add_up_in_float32():
    table = at.Tensor(np.zeros((1, 2), np.float16), requires_grad=True)
    picked = at.gather(table, np.zeros(4097, np.int64))
    (g,) = at.gradients(picked, table)
    assert g.dtype == np.float16
    close(g, np.full((1, 2), np.float16(4097)))


@pytest.mark.parametrize("create_graph", [False, True])
def test_write_to_a_result_inside_no_grad_writes_constants(create_graph):
    a, b = leaf([0.5, 1.0]), leaf([2.0, 3.0])
    x = at.exp(a)
    with at.no_grad():
        x[0] = 5.0
        x[1:] = b[1:] * 2  # also what could be differentiated by is a constant here
    close(x, [5.0, 6.0])
    (ga, gb) = at.grad((x * b).sum(), [a, b], create_graph=create_graph)
    close(ga, [0.0, 0.0])
    close(gb, [5.0, 6.0])
    y = at.exp(a)
    with at.no_grad():
        y[0] = 5.0
    close(at.grad(y.sum(), a, create_graph=create_graph), [0.0, np.e])


def test_what_numpy_sees_of_a_tensor():
    t = at.Tensor([1.0, 2.0])
    seen = np.asarray(t)
    with pytest.raises(ValueError, match="read-only"):
        seen[0] = 5.0
    own = np.array(t)
    own[0] = 5.0
    shared = t.numpy()
    t[1] = 7.0
    close(t, [1.0, 7.0])
    for array in (seen, shared):
        np.testing.assert_array_equal(array, [1.0, 2.0])
    again = t.numpy()
    again[0] = 3.0  # shared memory, as its docstring says
    close(t, [3.0, 7.0])


def test_an_array_that_was_shared_is_never_written():
    source = np.arange(3.0)
    t = at.asarray(source)
    t[0] = 9.0
    t.fill(1.0)
    np.testing.assert_array_equal(source, [0.0, 1.0, 2.0])

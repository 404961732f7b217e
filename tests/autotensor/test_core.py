"""Tensors, Variables, placeholders and the door: values, errors, identity, pickling."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import threading

import numpy as np
import pytest

import autotensor as at
from autotensor import errors
from autotensor.core import op as core_op
from autotensor.core import tensor as core_tensor
from autotensor.core.aval import Aval, broadcast_shapes, normalize_axes
from autotensor.core.grad import backpropagate
from autotensor.core.state import deferred, enable_grad, is_tracking, no_grad
from autotensor.core.tensor import register_library, user_line
from autotensor.errors import AutotensorError, DTypeError, GradError, ShapeError, TraceError


def here() -> str:
    """File and line of the caller, as errors write it."""
    frame = inspect.currentframe().f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# -- values --------------------------------------------------------------------------------------------------


def test_tensor_copies_and_asarray_shares():
    data = np.arange(3.0)
    copied, shared = at.Tensor(data), at.asarray(data)
    data[0] = 9
    assert copied.tolist() == [0, 1, 2]
    assert shared.tolist() == [9, 1, 2]


def test_a_write_never_shows_in_another_tensor():
    x = at.Tensor(np.arange(6.0))
    y = at.reshape(x, (2, 3))
    z = x[1:3]
    same = at.asarray(x.numpy())
    x[1] = 50.0
    assert x.tolist() == [0, 50, 2, 3, 4, 5]
    assert y.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert z.tolist() == [1, 2]
    assert same.tolist() == [0, 1, 2, 3, 4, 5]
    y[0, 2] = -1.0
    assert x.tolist() == [0, 50, 2, 3, 4, 5]


def test_a_write_does_not_reach_the_users_array():
    data = np.arange(3.0)
    x = at.asarray(data)
    x[0] = 7.0
    assert data.tolist() == [0, 1, 2]
    frozen = np.arange(3.0)
    frozen.flags.writeable = False
    y = at.asarray(frozen)
    y[0] = 7.0
    assert y.tolist() == [7, 1, 2]


def test_dtype_is_kept_and_can_be_given():
    assert at.Tensor(np.float32(1.5)).dtype == np.float32
    assert at.Tensor([1.5]).dtype == np.float64
    assert at.Tensor([1, 2]).dtype.kind == "i"
    assert at.Tensor([True]).dtype == np.bool_
    assert at.Tensor([1, 2], dtype=np.float16).dtype == np.float16
    swapped = at.Tensor(np.array([1.5, 2.5], dtype=">f4"))
    assert swapped.dtype == np.float32
    assert swapped.dtype.isnative
    assert swapped.tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("text", DTypeError, "expected numbers"),
        (["a", "b"], DTypeError, "expected numbers"),
        ([None], DTypeError, "expected numbers"),
        (object(), DTypeError, "expected numbers"),
        (np.array(["2020-01-01"], dtype="M8[D]"), DTypeError, "expected numbers"),
        ([[1, 2], [3]], ShapeError, "equal length"),
    ],
)
def test_what_is_no_tensor_is_refused(value, error, words):
    with pytest.raises(error, match=words):
        at.Tensor(value)
    with pytest.raises(error, match=words):
        at.asarray(value)


@pytest.mark.parametrize("value", ["text", None, object(), [[1, 2], [3]]])
def test_operands_that_are_no_tensors_name_the_operation(value):
    with pytest.raises((DTypeError, ShapeError), match=r"\[multiply\]"):
        at.multiply(at.Tensor([1.0]), value)


def test_numbers_are_weak():
    x = at.Tensor(np.ones(2, np.float32))
    for y in (x * 2, 2 * x, x * 2.5, 2.5 * x, x * np.float64(2.5), np.float64(2.5) * x, x * True):
        assert isinstance(y, at.Tensor)
        assert y.dtype == np.float32
    n = at.Tensor(np.ones(2, np.int8))
    assert (n + 1).dtype == np.int8
    assert (n + 1.5).dtype == np.float64
    assert (x + at.Tensor(np.ones(2))).dtype == np.float64


def test_an_array_on_the_left_gives_a_tensor():
    x = at.Tensor(np.ones(2))
    y = np.arange(2.0) + x
    assert isinstance(y, at.Tensor)
    assert y.tolist() == [1, 2]


def test_reading_values():
    x = at.Tensor([[1.5, 2.5]])
    assert x.shape == (1, 2)
    assert x.ndim == 2
    assert x.size == 2
    assert len(x) == 1
    np.testing.assert_array_equal(np.asarray(x), [[1.5, 2.5]])
    assert np.asarray(x, dtype=np.int32).dtype == np.int32
    assert x.tolist() == [[1.5, 2.5]]
    one = at.Tensor([3])
    assert (float(one), int(one), bool(one), one.item()) == (3.0, 3, True, 3)
    assert list(range(5))[at.Tensor(2)] == 2
    assert f"{at.Tensor(1.25):.1f}" == "1.2"
    assert "1.5" in repr(x)


def test_copy_of_array_protocol():
    x = at.Tensor([1.0, 2.0])
    np.array(x)[0] = 9
    np.asarray(x, copy=True)[0] = 9
    assert x.tolist() == [1, 2]


@pytest.mark.parametrize("read", [float, int, bool])
def test_reading_many_elements_as_one_is_refused(read):
    with pytest.raises(ShapeError, match="one element"):
        read(at.Tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="one element"):
        read(at.Tensor(np.zeros(0)))


def test_iteration():
    rows = list(at.Tensor([[1, 2], [3, 4]]))
    assert [row.tolist() for row in rows] == [[1, 2], [3, 4]]
    assert all(isinstance(row, at.Tensor) for row in rows)
    assert list(at.Tensor(np.zeros((0, 3)))) == []
    with pytest.raises(TypeError, match="rank 0"):
        list(at.Tensor(1.0))
    assert len(list(at.placeholder((3, None)))) == 3


# -- placeholders --------------------------------------------------------------------------------------------

READINGS = {
    "float()": float,
    "int()": int,
    "bool()": bool,
    "complex()": complex,
    "item()": lambda x: x.item(),
    "numpy()": lambda x: x.numpy(),
    "tolist()": lambda x: x.tolist(),
    "np.asarray()": np.asarray,
    "index": lambda x: [1, 2][x],
    "len()": len,
    "detach()": lambda x: x.detach(),
    "pickle": pickle.dumps,
    "copy": copy.deepcopy,
    "if": lambda x: 1 if x else 2,
    "format": lambda x: f"{x:.3f}",
    "assign": lambda x: at.Variable(np.zeros(3)).assign(x),
    "tensor": lambda x: at.Tensor(x),
}


@pytest.mark.parametrize("reading", list(READINGS))
def test_reading_a_placeholder_names_it_and_the_users_line(reading):
    x = at.placeholder((None,), name="pixels")
    with pytest.raises(TraceError) as caught:
        # fmt: off
        line = here(); READINGS[reading](x)  # noqa: E702
        # fmt: on
    text = str(caught.value)
    assert "'pixels'" in text
    # A lambda of the table is the innermost line of the user's code; a builtin is called right here.
    inner = READINGS[reading]
    number = inner.__code__.co_firstlineno if inner.__name__ == "<lambda>" else line.rpartition(":")[2]
    assert f"{__file__}:{number}" in text
    assert "function()" in text
    assert isinstance(caught.value, TypeError)


def test_reading_a_symbolic_result_names_its_operation():
    y = at.tanh(at.placeholder((2,)))
    with pytest.raises(TraceError, match=r"symbolic result of \[tanh\]"):
        float(y)


def test_placeholder_knows_its_shape():
    x = at.placeholder((None, 3), np.float64, name="x")
    assert x.shape == (None, 3)
    assert x.ndim == 2
    assert x.size is None
    assert x.dtype == np.float64
    assert x.is_symbolic
    assert "?" in repr(x)
    assert len(at.placeholder((4, None))) == 4
    y = x + at.Tensor(np.ones(3))
    assert y.is_symbolic
    assert y.shape == (None, 3)


def test_shape_errors_of_symbolic_operations_come_at_once():
    x, y = at.placeholder((None, 3)), at.placeholder((4,))
    with pytest.raises(ShapeError, match=r"\[add\].*do not broadcast"):
        x + y
    with pytest.raises(ShapeError, match=r"\[add\].*do not broadcast"):
        at.Tensor(np.ones((2, 3))) + at.Tensor(np.ones(4))


# -- identity ------------------------------------------------------------------------------------------------


def test_variables_and_placeholders_compare_by_identity():
    for make in (lambda: at.Variable(np.zeros(2)), lambda: at.placeholder((2,))):
        a, b = make(), make()
        assert a == a
        assert not (a == b)  # noqa: SIM201
        assert a != b
        assert b in [a, b]
        assert [a, b].index(b) == 1
        assert {a: 1, b: 2}[b] == 2
        assert len({a, b, a}) == 2


def test_tensors_with_values_compare_elementwise():
    x = at.Tensor([1.0, 2.0])
    assert (x == at.Tensor([1.0, 3.0])).tolist() == [True, False]
    assert (x != 1.0).tolist() == [False, True]
    assert len({x, at.Tensor([1.0, 2.0])}) == 2


# -- Variables -----------------------------------------------------------------------------------------------


def test_assign_casts_and_keeps_the_shape():
    w = at.Variable(np.zeros(2, np.float32), name="w")
    assert w.assign([1, 2]) is w
    assert w.dtype == np.float32
    assert w.numpy().tolist() == [1, 2]
    w.assign(at.Tensor(np.array([3.0, 4.0])))
    assert w.numpy().tolist() == [3, 4]
    with pytest.raises(ShapeError, match=r"\[assign\].*w.*\(2,\).*\(3,\)"):
        w.assign(np.zeros(3))
    with pytest.raises(ShapeError):
        w.assign(1.0)
    assert w.numpy().tolist() == [3, 4]


def test_values_read_from_a_variable_do_not_change_with_it():
    start = np.array([1.0, 2.0])
    w = at.Variable(start)
    taken = [
        start,
        w.numpy(),
        w.detach().numpy(),
        at.reshape(w, (2, 1)).numpy()[:, 0],
        w[:2].numpy(),
        (w + 0).numpy(),
    ]
    w.assign([9.0, 9.0])
    for value in taken:
        assert value.tolist() == [1, 2]


def test_gradient_after_assign_is_an_error():
    w = at.Variable(np.array([1.0, 2.0]), name="w")
    y = w * w
    w.assign([5.0, 5.0])
    with pytest.raises(GradError, match=r"\[multiply\].*'w'.*overwritten"):
        backpropagate([y], [at.Tensor([1.0, 1.0])], [w])
    (g,) = backpropagate([w * w], [at.Tensor([1.0, 1.0])], [w])
    assert g.tolist() == [10, 10]


def test_deferred_variable_gives_symbolic_results():
    w = at.Variable(np.array([1.0, 2.0]), deferred=True)
    y = at.tanh(w)
    assert y.is_symbolic
    assert w.numpy().tolist() == [1, 2]


def test_a_deferred_variable_is_true_whatever_its_value():
    for value in (np.zeros(3), np.zeros(1), 0.0):
        assert at.Variable(value, deferred=True)
    assert not at.Variable(0.0)
    with pytest.raises(at.ShapeError):
        bool(at.Variable(np.zeros(3)))


def test_deferred_block():
    w = at.Variable(np.array([1.0, 2.0]))
    assert not at.tanh(w).is_symbolic
    with deferred():
        assert at.tanh(w).is_symbolic
        assert not at.tanh(at.Tensor([1.0])).is_symbolic
    assert not at.tanh(w).is_symbolic


# -- copying and pickling ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "through",
    [copy.deepcopy, copy.copy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["deepcopy", "copy", "pickle"],
)
def test_copies(through):
    x = at.Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True, name="x")
    y = through(x)
    assert type(y) is at.Tensor
    assert y.tolist() == [1, 2]
    assert y.dtype == np.float32
    assert y.requires_grad
    assert y.name == "x"
    with no_grad():
        y[0] = 5.0
    assert y.tolist() == [5, 2]
    assert x.tolist() == [1, 2]

    w = at.Variable(np.array([1.0, 2.0]), name="w", trainable=False, deferred=True)
    v = through(w)
    assert type(v) is at.Variable
    assert (v.name, v.trainable, v.deferred, v.tracked) == ("w", False, True, True)
    v.assign([7.0, 7.0])
    assert w.numpy().tolist() == [1, 2]


def test_a_shared_tensor_stays_shared_in_a_deepcopy():
    w = at.Variable(np.zeros(2))
    a, b = copy.deepcopy([w, w])
    assert a is b
    assert a is not w


def test_operations_pickle_by_name():
    tanh = core_op.OPS["tanh"]
    assert pickle.loads(pickle.dumps(tanh)) is tanh


# -- gradients -----------------------------------------------------------------------------------------------


def test_requires_grad():
    x = at.Tensor([1.0], requires_grad=True)
    assert x.requires_grad
    assert at.tanh(x).requires_grad
    assert not at.tanh(at.Tensor([1.0])).requires_grad
    with pytest.raises(DTypeError, match="floating"):
        at.Tensor([1], requires_grad=True)
    with pytest.raises(GradError, match="detach"):
        at.tanh(x).requires_grad = False
    assert not at.tanh(x).detach().requires_grad
    x.requires_grad = False
    assert not at.tanh(x).requires_grad


def test_no_grad_and_enable_grad():
    x = at.Tensor([1.0], requires_grad=True)
    with no_grad():
        assert not is_tracking()
        assert at.tanh(x).node is None
        with enable_grad():
            assert at.tanh(x).node is not None
        assert at.tanh(x).node is None
    assert at.tanh(x).node is not None
    with pytest.raises(ZeroDivisionError), no_grad():
        1 / 0
    assert is_tracking()


@pytest.mark.promise("threads")
def test_no_grad_is_per_thread():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_tracking()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_gradients_add_up_over_paths():
    x = at.Tensor([2.0, 3.0], requires_grad=True)
    y = x * x
    z = y * x + y
    gx, gy = backpropagate([z], [at.Tensor([1.0, 1.0])], [x, y])
    assert gx.tolist() == [3 * 4 + 2 * 2, 3 * 9 + 2 * 3]
    assert gy.tolist() == [3, 4]


def test_no_path_gives_none():
    x, other = at.Tensor([2.0], requires_grad=True), at.Tensor([1.0], requires_grad=True)
    assert backpropagate([x * x], [at.Tensor([1.0])], [x, other])[1] is None


def test_a_write_to_a_leaf_is_refused():
    x = at.Tensor([2.0, 3.0], requires_grad=True)
    with pytest.raises(GradError, match=r"\[setitem\].*leaf"):
        x[0] = 10.0
    assert x.tolist() == [2, 3]


def test_gradients_after_a_write_to_an_intermediate():
    x = at.Tensor([2.0, 3.0], requires_grad=True)
    one = at.Tensor([1.0, 1.0])
    y = x * x
    before = y * y
    y[0] = 10.0
    after = y * y
    assert after.tolist() == [100, 81]
    assert before.tolist() == [16, 81]
    assert backpropagate([after], [one], [x])[0].tolist() == [0, 4 * 27]
    try:
        (g,) = backpropagate([before], [one], [x])
    except GradError as error:
        assert "overwritten in place" in str(error)
    else:
        assert g.tolist() == [4 * 8, 4 * 27]


def test_a_write_under_no_grad_is_noticed_by_what_was_recorded_before():
    x = at.Tensor([2.0, 3.0], requires_grad=True)
    y = x * x
    with no_grad():
        x[0] = 10.0
    assert x.tolist() == [10, 3]
    with pytest.raises(GradError, match=r"\[multiply\].*overwritten in place"):
        backpropagate([y], [at.Tensor([1.0, 1.0])], [x])
    (g,) = backpropagate([x * x], [at.Tensor([1.0, 1.0])], [x])
    assert g.tolist() == [20, 6]


def test_the_gradient_of_a_written_value():
    v = at.Tensor([5.0], requires_grad=True)
    y = at.Tensor([1.0, 2.0]) * 1.0
    y[1:] = v * v
    (g,) = backpropagate([y * y], [at.Tensor([1.0, 1.0])], [v])
    assert y.tolist() == [1, 25]
    assert g.tolist() == [2 * 25 * 2 * 5]


def test_a_chain_of_100000_operations():
    n = 100_000
    x = at.Tensor(np.array(1.0), requires_grad=True)
    y = x
    for _ in range(n):
        y = core_op.apply(core_op.OPS["add"], y, 1.0)
    assert float(y) == n + 1
    (g,) = backpropagate([y], [at.Tensor(1.0)], [x])
    assert float(g) == 1
    del y, g
    gc.collect()

    s = at.placeholder(())
    for _ in range(n):
        s = core_op.apply(core_op.OPS["add"], s, 1.0)
    assert s.shape == ()
    del s
    gc.collect()


# -- the door ------------------------------------------------------------------------------------------------


def test_registering_a_name_twice_is_refused():
    tanh = core_op.OPS["tanh"]
    with pytest.raises(ValueError, match=r"'tanh' exists already"):
        core_op.register(core_op.Op("tanh", impl=np.tanh, infer=lambda x: x))
    assert core_op.OPS["tanh"] is tanh


def test_subclasses_and_wrappers_pass_the_door():
    class Special(at.Tensor):
        pass

    class Wrapper:
        def __autotensor__(self):
            return at.Tensor([3.0])

    try:
        assert at.multiply(Special([2.0]), 2.0).tolist() == [4]
        assert at.multiply(Wrapper(), 2.0).tolist() == [6]
    finally:
        core_tensor.TENSOR_TYPES.discard(Special)


def test_errors_of_numpy_are_told_in_the_form_of_the_house():
    broken = core_op.Op("broken", impl=lambda x: x.reshape(7), infer=lambda x: x, vjp=lambda *a: (None,))
    with pytest.raises(ValueError, match=r"\[broken\].*float64\[2, 3\]"):
        broken(at.Tensor(np.zeros((2, 3))))


def test_several_outputs():
    def vjp(needs, g, out, x):
        a, b = g
        return (at.multiply(a, 2.0) if b is None else b if a is None else at.multiply(a, 2.0) + b,)

    two = core_op.Op("two", impl=lambda x: (x * 2, x + 1), infer=lambda x: (x, x), vjp=vjp, n_out=2)
    x = at.Tensor([1.0], requires_grad=True)
    a, b = two(x)
    one = at.Tensor([1.0])
    assert backpropagate([a], [one], [x])[0].tolist() == [2]
    assert backpropagate([b], [one], [x])[0].tolist() == [1]
    assert backpropagate([a, b], [one, one], [x])[0].tolist() == [3]
    p, q = two(at.placeholder((None,)))
    assert p.shape == q.shape == (None,)


def test_every_error_is_also_the_builtin_one_expects():
    expected = {
        "ShapeError": ValueError,
        "RangeError": IndexError,
        "DTypeError": TypeError,
        "TraceError": TypeError,
        "GradError": ValueError,
        "GradientCheckError": AssertionError,
        "GraphError": ValueError,
        "TreeError": ValueError,
        "NanError": FloatingPointError,
    }
    own = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, AutotensorError) and kind is not AutotensorError
    }
    assert own == set(expected)
    for name, builtin in expected.items():
        assert issubclass(getattr(errors, name), builtin)


def test_user_line_skips_libraries():
    source = "def ask():\n    return user_line()\n"
    scope = {"user_line": user_line, "__name__": "some_library.inner"}
    exec(compile(source, "inner.py", "exec"), scope)
    assert scope["ask"]() == "inner.py:2"
    register_library("some_library")
    try:
        line = here().rpartition(":")[0], inspect.currentframe().f_lineno + 1
        assert scope["ask"]() == f"{line[0]}:{line[1]}"
    finally:
        core_tensor._LIBRARIES.discard("some_library")


# -- abstract values -----------------------------------------------------------------------------------------


def test_avals():
    assert Aval((2, None), "float32") == Aval([2, None], np.float32)
    assert Aval((2,), "float32") != Aval((2,), "float64")
    assert len({Aval((2,), "float32"), Aval((2,), "float32")}) == 1
    assert repr(Aval((2, None), "float32")) == "float32[2, ?]"
    assert not Aval((None,), "int32").known


@pytest.mark.parametrize(
    ("shapes", "out"),
    [
        ([(2, 3), (3,)], (2, 3)),
        ([(None, 3), (1, 3)], (None, 3)),
        ([(None, 3), (5, 1)], (5, 3)),
        ([(None,), (None,)], (None,)),
        ([(1, None), (4, 1), (4, 6)], (4, 6)),
        ([(), (0,)], (0,)),
        ([], ()),
    ],
)
def test_broadcast_shapes(shapes, out):
    assert broadcast_shapes("op", *shapes) == out
    if all(None not in s for s in shapes):
        assert np.broadcast_shapes(*shapes) == out


def test_normalize_axes():
    assert normalize_axes("sum", None, 3) == (0, 1, 2)
    assert normalize_axes("sum", (-1, 0), 3) == (0, 2)
    assert normalize_axes("sum", np.int64(1), 3) == (1,)
    with pytest.raises(ShapeError, match=r"\[sum\] axis 3"):
        normalize_axes("sum", 3, 3)
    with pytest.raises(ShapeError, match="differ"):
        normalize_axes("sum", (0, -3), 3)
    with pytest.raises(ShapeError, match="no axes"):
        normalize_axes("sum", 0, 0)

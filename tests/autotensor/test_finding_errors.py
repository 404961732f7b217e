"""Anomaly mode: the first NaN or infinity is found, with its operation, operands and lines, however it is computed."""

from __future__ import annotations

import functools
import inspect
import threading

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.core.state import state
from autotensor.core.tensor import user_line


def line_of(text: str) -> str:
    """The place ``file:number`` of the line of this file that ends with ``# text``."""
    with open(__file__, encoding="utf-8") as file:
        (number,) = [i for i, line in enumerate(file, 1) if line.rstrip().endswith(f"# {text}")]
    return f"{__file__}:{number}"


def caught(function) -> at.NanError:
    with at.detect_anomaly(), pytest.raises(at.NanError) as found:
        function()
    return found.value


def test_forward_names_operation_shapes_place_and_line():
    x = at.Tensor([[1.0, 2.0, 0.5], [3.0, -1.0, -2.0]])

    def run():
        at.log(x)  # the logarithm

    error = caught(run)
    assert (error.op, error.index, error.count) == ("log", (1, 1), 2)
    assert error.where == line_of("the logarithm")
    assert error.layer is error.step is error.gradient_of is error.recorded is None
    assert str(error) == (
        f"[log] first NaN came out of log(float64[2, 3]) at {line_of('the logarithm')}: 2 of 6 elements, the first at "
        "[1, 1], where log(-1) = nan; the operands were finite. Look at them: a log or division of 0, or too large a "
        "step?"
    )


def test_operands_are_shown_at_the_place_also_where_they_were_broadcast():
    a, b = at.Tensor([[1.0, 4.0], [2.0, 5.0]]), at.Tensor([3.0, 0.0])
    error = caught(lambda: a / b)
    assert error.index == (0, 1) and error.count == 2
    assert "where divide(4, 0) = inf" in str(error) and "first infinity" in str(error)


def test_operations_that_are_not_elementwise_show_small_operands_whole_and_others_by_range():
    big = np.full((2, 2), 1e200)
    text = str(caught(lambda: at.matmul(at.Tensor(big), at.Tensor(big))))
    assert "operand 0 is [[1.e+200, 1.e+200], [1.e+200, 1.e+200]]" in text
    big = np.full((4, 4), 1e200)
    text = str(caught(lambda: at.matmul(at.Tensor(big), at.Tensor(np.arange(16.0).reshape(4, 4) * 1e200))))
    assert "operand 1 from 0 to 1.5e+201" in text


def test_data_that_was_bad_before_is_told_from_what_arises():
    x = at.Tensor([[1.0, np.inf], [np.nan, 1.0]])
    error = caught(lambda: at.tanh(x * 2.0))
    assert error.op == "multiply"
    assert "operand 0 held NaN already (2 of 4 elements, the first at [0, 1]), which came in as data" in str(error)


def test_several_outputs_are_told_apart():
    with np.errstate(all="ignore"):
        text = str(caught(lambda: at.linalg.slogdet(at.Tensor(np.zeros((2, 2))))))
    assert "came out of output" in text or "[log" in text


def test_infinities_may_pass():
    masked = at.Tensor([0.0, -np.inf])
    with at.detect_anomaly(infinity=False):
        assert at.exp(masked + 1.0).tolist()[1] == 0.0
        with pytest.raises(at.NanError, match=r"\[subtract\] first NaN.*1 of 2.*held infinity|first NaN"):
            masked - masked
    with at.detect_anomaly(), pytest.raises(at.NanError):
        masked + 1.0


def test_backward_names_the_operation_the_line_of_it_and_the_line_that_asked():
    x = at.Tensor([4.0, 0.0], requires_grad=True)

    def run():
        y = at.sqrt(x)  # the root
        z = at.sum(y * 3.0)
        z.backward()  # the question

    error = caught(run)
    assert (error.op, error.gradient_of) == ("divide", "sqrt")
    assert error.recorded == line_of("the root") and error.where == line_of("the question")
    assert (
        f"in the gradient of sqrt (recorded at {line_of('the root')}), asked for at {line_of('the question')}"
        in str(error)
    )


def test_backward_of_what_was_recorded_before_says_so():
    x = at.Tensor([0.0], requires_grad=True)
    y = at.sum(at.sqrt(x))
    error = caught(lambda: at.grad(y, x))
    assert error.gradient_of == "sqrt" and error.recorded is None
    assert "recorded before anything looked on" in str(error)


def test_second_order_and_fallbacks_name_the_operation_of_the_program():
    x = at.Tensor([0.0, 1.0], requires_grad=True)

    def run():
        y = at.sum(x**1.5)  # the power
        g = at.grad(y, x, create_graph=True)
        at.grad(at.sum(g), x)

    error = caught(run)
    assert error.gradient_of is not None and error.recorded is not None
    assert line_of("the power").split(":")[0] in error.recorded


WAYS = {"interpreted": {"compile": False}, "compiled": {}, "numpy": {"numba": False}}


@pytest.mark.parametrize("way", WAYS)
def test_graphs_name_the_line_that_built_the_operation(way):
    x = at.placeholder((None,), "float64", name="x")
    y = at.log(x)  # built here
    f = at.function([x], y * 2.0 + 1.0, name="logs")
    with config.use(**WAYS[way]):
        assert np.isfinite(f(np.ones(2))).all() if way != "compiled" else True
        error = caught(lambda: f(np.array([1.0, -3.0])))
    assert (error.op, error.index, error.where) == ("log", (1,), line_of("built here"))


def test_symbolic_gradients_name_both_lines():
    x = at.placeholder((None,), "float64", name="x")
    y = at.sum(at.sqrt(x))  # symbolic root
    g = at.grad(y, x)  # symbolic question
    f = at.function([x], g)
    error = caught(lambda: f(np.array([1.0, 0.0])))
    assert error.gradient_of == "sqrt"
    assert (error.recorded, error.where) == (line_of("symbolic root"), line_of("symbolic question"))


@pytest.mark.parametrize("symbolic", [True, False])
def test_loops_name_the_step(symbolic):
    data = np.array([3.0, 2.0, -1.0, 5.0])
    x = at.placeholder((None,), "float64") if symbolic else at.Tensor(data)

    def body(states, parts, constants):
        return (states[0] + at.log(parts[0]),), ()  # in the loop

    def run():
        (last,), _ = at.scan(body, 0.0, [x])
        if symbolic:
            at.function([x], last)(data)

    error = caught(run)
    assert (error.op, error.step, error.where) == ("log", 2, line_of("in the loop"))
    assert "in step 2 of a scan" in str(error)


def test_updates_are_watched_and_do_not_happen():
    w = at.Variable(np.array([1.0, 2.0]), name="w")
    x = at.placeholder((2,), "float64")
    f = at.function([x], at.sum(w), updates=[(w, w / x)])
    error = caught(lambda: f(np.array([1.0, 0.0])))
    assert error.op == "divide"
    assert w.numpy().tolist() == [1.0, 2.0]


def test_name_scopes_and_spans_are_named_innermost_first():
    x = at.Tensor([-1.0])

    def run():
        with at.span("epoch", 2), at.span("batch", 7), at.name_scope("net"), at.name_scope("layer_1"):
            at.sqrt(x)

    error = caught(run)
    assert error.layer == "net/layer_1" and error.spans == ["batch 7", "epoch 2"]
    assert ", layer net/layer_1: " in str(error) and str(error).endswith("(In batch 7, epoch 2.)")


def test_a_gradient_belongs_to_the_scope_of_what_it_is_a_gradient_of():
    x = at.Tensor([0.0], requires_grad=True)

    def run():
        with at.name_scope("first"):
            y = at.sqrt(x)
        with at.name_scope("second"):
            at.sum(y * 2.0).backward()

    assert caught(run).layer == "first"


def test_the_switch_is_the_same_mechanism_and_off_means_off():
    x = at.Tensor([-1.0])
    assert state.watch is None
    with at.detect_anomaly():
        assert config.nan_guard and state.watch is not None
    with (
        config.use(nan_guard=True),
        pytest.raises(at.NanError, match=r"where log\(-1\) = nan"),
        np.errstate(all="ignore"),
    ):
        at.log(x)
    assert state.watch is None and not config.nan_guard
    with np.errstate(all="ignore"):
        assert np.isnan(at.log(x).numpy()[0])


def test_all_threads_are_watched():
    found: list[BaseException] = []

    def work():
        try:
            at.sqrt(at.Tensor([-1.0]))
        except at.NanError as error:
            found.append(error)

    with at.detect_anomaly():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(found) == 1


def decorated(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)

    return inner


def test_lines_are_the_users_through_decorators_and_numpy():
    x = at.Tensor([-1.0])

    @decorated
    @functools.lru_cache(None)
    def f():
        return at.log(x)  # decorated

    assert caught(f).where == line_of("decorated")

    @at.no_grad()
    def g():
        return functools.reduce(lambda a, b: at.sqrt(a - b), [x, at.Tensor([1.0])])  # reduced

    assert caught(g).where == line_of("reduced")

    def h():
        with at.detect_anomaly():
            return np.float64(2.0) / (x + 1.0)  # from the left

    with pytest.raises(at.NanError) as found:
        h()
    assert found.value.where == line_of("from the left")


def test_lines_are_the_users_through_numpys_functions_transforms_and_compiled_steps():
    x = at.Tensor([-1.0])

    def by_numpy():
        np.log(x)  # by numpy

    assert caught(by_numpy).where == line_of("by numpy")

    def root(t):
        return at.sum(at.sqrt(t))  # transformed

    error = caught(lambda: at.grad(root)(at.Tensor([0.0])))
    assert error.recorded == line_of("transformed") and error.gradient_of == "sqrt"

    def logarithm(t):
        return at.log(t)  # in a batch

    assert caught(lambda: at.vmap(logarithm)(x)).where == line_of("in a batch")

    @at.compile
    def step(t):
        return at.log(t)  # in a step

    assert caught(lambda: step(np.array([-1.0]))).where == line_of("in a step")


def test_user_line_is_that_of_this_file():
    assert user_line() == f"{__file__}:{inspect.currentframe().f_lineno}"

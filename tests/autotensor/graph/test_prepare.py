"""Function.prepare: the same results as a call, on buffers that are filled and read in place."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import GraphError

RNG = np.random.default_rng(0)


def line() -> tuple[at.Function, at.Variable]:
    """``f(x) -> (x @ w, sum(x @ w))``, which also adds 1 to w."""
    x = at.placeholder((None, 3), "float32")
    w = at.Variable(np.arange(6, dtype="float32").reshape(3, 2))
    with at.deferred():
        y = at.matmul(x, w)
        return at.function([x], [y, y.sum()], [(w, w + 1)]), w


def run(prepared: Any, *arrays: np.ndarray) -> list[np.ndarray]:
    with prepared:
        for buffer, array in zip(prepared.inputs, arrays, strict=True):
            np.copyto(buffer, array)
        prepared.run()
        return [out.copy() for out in prepared.outputs]


WAYS = {"compiled": {}, "interpreted": {"compile": False}, "guarded": {"nan_guard": True}, "numpy": {"numba": False}}


@pytest.mark.parametrize("switches", WAYS.values(), ids=WAYS)
def test_gives_what_a_call_gives_and_updates_alike(switches: dict[str, Any]) -> None:
    (f, w), (g, v) = line(), line()
    with at.config.use(**switches):
        for n in (4, 2, 4):
            x = RNG.standard_normal((n, 3)).astype("float32")
            for got, want in zip(run(f.prepare((n, 3)), x), g(x), strict=True):
                np.testing.assert_array_equal(got, want)
            np.testing.assert_array_equal(w.numpy(), v.numpy())


def test_works_on_the_plans_own_arrays() -> None:
    f, _ = line()
    x = np.ones((4, 3), "float32")
    f(x)
    one, two, other = f.prepare((4, 3)), f.prepare((4, 3)), f.prepare((2, 3))
    assert one.inputs[0] is two.inputs[0] and one.outputs[0] is two.outputs[0]
    assert other.inputs[0] is not one.inputs[0] and other.inputs[0].shape == (2, 3)
    run(one, x)
    assert one.outputs[0] is two.outputs[0], "outputs stay where they are"
    before = one.outputs[0].copy()
    result = f(x)
    assert not np.shares_memory(result[0], one.outputs[0]) and not np.array_equal(before, one.outputs[0])


def test_an_output_that_shows_a_variable_is_its_value_of_before() -> None:
    v, w = at.Variable(np.zeros(2, "float32")), at.Variable(np.full(2, 5.0, "float32"))
    with at.deferred():
        f = at.function([], [v, v + 1, w.reshape((2, 1))], [(v, v + 1), (w, v)])
    prepared = f.prepare()
    for k in range(3):
        got = run(prepared)
        np.testing.assert_array_equal(got[0], [k, k])
        np.testing.assert_array_equal(got[1], [k + 1, k + 1])
        np.testing.assert_array_equal(got[2].ravel(), [k - 1, k - 1] if k else [5, 5])
    assert not any(np.shares_memory(out, x.numpy()) for out in prepared.outputs for x in (v, w))


def test_shapes_that_follow_from_values() -> None:
    x = at.placeholder((None,), "float32")
    with at.deferred():
        f = at.function([x], x[x > 0])
    prepared = f.prepare((4,))
    for array in (np.array([1, -1, 2, 3], "f"), np.array([-1, -1, 2, -3], "f")):
        np.testing.assert_array_equal(run(prepared, array)[0], array[array > 0])


@pytest.mark.parametrize("shapes", [(), ((4, 3), (4, 3)), ((4, 2),), ((4,),)])
def test_shapes_are_checked(shapes: tuple[Any, ...]) -> None:
    with pytest.raises(GraphError, match="expected 1 arrays|takes shape"):
        line()[0].prepare(*shapes)


def test_static_inputs_are_refused() -> None:
    x, n = at.placeholder((3,), "float32"), at.placeholder((), "int64")
    with at.deferred():
        f = at.function([x, n], x * n, static=[n])
    with pytest.raises(GraphError, match="static"):
        f.prepare((3,), ())


def test_the_buffers_are_ones_own_inside_the_with() -> None:
    f, _ = line()
    prepared, x = f.prepare((1, 3)), np.ones((1, 3), "float32")
    seen: list[Any] = []
    thread = threading.Thread(target=lambda: seen.append(f(7 * x)[1]))
    with prepared:
        prepared.inputs[0][...] = x
        thread.start()
        thread.join(0.1)
        assert not seen, "the other thread waits"
        prepared.run()
        assert prepared.outputs[1] == 15
    thread.join(60)
    assert seen == [7 * (15 + 6)]


def test_an_error_inside_names_the_operation() -> None:
    def fail(x: np.ndarray) -> np.ndarray:
        raise RuntimeError("broken")

    op = at.core.op.Op("fails_when_run", impl=fail, infer=lambda x: x)
    x = at.placeholder((2,), "float32")
    with at.deferred():
        f = at.function([x], op(x), name="outer")
    prepared = f.prepare((2,))
    with pytest.raises(RuntimeError, match="broken") as caught, prepared:
        prepared.run()
    assert any("[outer] raised by fails_when_run" in note for note in caught.value.__notes__)
    with prepared:
        pass  # it was given back


def test_the_garbage_collector_goes_on_after_a_plan_was_made() -> None:
    def fail(x: Any) -> Any:
        seen.append(gc.isenabled())
        raise ValueError("no such shape")

    seen: list[bool] = []
    x = at.placeholder((None,), "float32")
    op = at.core.op.Op("fails_when_compiled", impl=np.abs, infer=lambda x: x, lower=lambda *_: fail(x))
    with at.deferred():
        f = at.function([x], op(x))
    for enabled in (True, False):
        try:
            if not enabled:
                gc.disable()
            with pytest.raises(ValueError, match="no such shape"):
                f.prepare((2,))
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
    assert seen == [False, False]

"""Memory: what is used up is given back, and what a step needs is known before it runs."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.layers import LSTM, Conv2D, Dense, Flatten, Input, Lambda, MaxPooling2D, TimeDistributed
from keras_compat.models import Model, Sequential
from tests.reliability import growth, peak

pytestmark = pytest.mark.usefixtures("interpreted_kernels")

needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def interpreted_kernels() -> Iterator[None]:
    """No generated kernels: what is kept does not hang on them, and compiling takes time."""
    with at.config.use(numba=False):
        yield


# -- growth -----------------------------------------------------------------------------------------------------------

SHORT = [name for name, found in growth.CASES.items() if found.short]


@pytest.mark.promise(29, "memory")
@pytest.mark.parametrize("name", SHORT)
def test_what_is_done_again_and_again_leaves_nothing_behind(name: str) -> None:
    found = growth.CASES[name]
    kept = growth.bytes_kept(found.make(), found.short, 2 if name.startswith("models") else 3)
    # Half of what the promise allows: the tables of a process that is not warm yet take the rest.
    assert kept < found.bound / 2, f"{name} keeps {kept:.0f} bytes each time; the promise allows {found.bound:.0f}"


def _keeping(what: Callable[[], Any]) -> growth.Action:
    kept: list[Any] = []
    return lambda: kept.append(what())


def _cycle() -> list[Any]:
    found: list[Any] = [np.ones(60)]
    found.append(found)
    return found


@pytest.mark.promise(29)
@pytest.mark.parametrize("what", [lambda: bytes(500), lambda: np.ones(60), _cycle, lambda: at.Tensor(np.ones(30))])
def test_a_leak_of_500_bytes_a_step_is_seen(what: Callable[[], Any]) -> None:
    assert growth.bytes_kept(_keeping(what), 40) > growth.CASES["train_on_batch"].bound


@pytest.mark.promise(29)
def test_a_leak_in_a_callback_is_seen() -> None:
    from keras_compat.callbacks import LambdaCallback

    model, kept = growth.sequential(), []
    keep = LambdaCallback(on_batch_end=lambda batch, logs: kept.append((batch, bytes(500))))
    found = growth.bytes_kept(lambda: model.fit(growth.X, growth.Y, batch_size=16, verbose=0, callbacks=[keep]), 10)
    assert found > growth.CASES["fit_one_epoch_again"].bound


@needs_proc
@pytest.mark.promise(29)
def test_the_long_form_sees_a_leak_too() -> None:
    whole, line, marks = growth.megabytes_kept(_keeping(lambda: bytes(600)), 20_000)
    assert 10 < whole < 20 and 10 < line < 20 and len(marks) == 11


@pytest.mark.promise(29)
def test_memory_that_comes_and_goes_is_no_leak() -> None:
    def action() -> None:
        _cycle()
        np.ones(10_000)

    assert growth.bytes_kept(action, 40) < 10


@pytest.mark.slow
@needs_proc
@pytest.mark.promise(29, "memory")
@pytest.mark.parametrize("name", [name for name in growth.CASES if name != "models_of_ever_other_layers"])
def test_the_process_does_not_grow(name: str) -> None:
    command = [sys.executable, "-m", "tests.reliability.growth", name, "--here"]
    done = subprocess.run(command, cwd=growth.ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    whole, line = map(float, done.stdout.split()[2:4])
    assert min(whole, line) < 5, done.stdout


# -- what goes with its last name, without the garbage collector ------------------------------------------------------


@contextmanager
def no_collector() -> Iterator[None]:
    """Nothing is collected within: what goes, goes because nothing refers to it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def left(seen: list[Any]) -> int:
    """How many of the objects are still there."""
    return sum([found() is not None for found in seen])


def _arrays_of(*tensors: Any) -> list[weakref.ref]:
    return [weakref.ref(t.data) for t in tensors]


@pytest.mark.promise(29, "memory")
def test_a_tape_goes_with_its_last_tensor() -> None:
    with no_collector():
        x = at.Tensor(np.ones((4, 3)), requires_grad=True)
        h = at.tanh(x @ at.Tensor(np.ones((3, 2))))
        low, high = at.split(h, 2, axis=1)
        loss = at.sum(low * high)
        seen = [*_arrays_of(x, h, low, high, loss), weakref.ref(h.node), weakref.ref(loss.node)]
        loss.backward()
        seen += _arrays_of(x.grad)
        del h, low, high
        assert seen[1]() is not None, "the gradient may still be asked for: the tape holds it"
        del loss, x
        assert left(seen) == 0


@pytest.mark.promise(29, "memory")
def test_gradients_that_can_be_differentiated_go_with_their_names() -> None:
    with no_collector():
        x = at.Tensor(np.ones(3), requires_grad=True)
        y = at.sum(at.sin(x) ** 3)
        g = at.grad(y, x, create_graph=True)
        second = at.grad(at.sum(g), x, create_graph=True)
        seen = [*_arrays_of(x, y, g, second), weakref.ref(g.node), weakref.ref(second.node)]
        del x, y, g, second
        assert left(seen) == 0


@pytest.mark.promise(29, "memory")
@pytest.mark.parametrize("transform", [at.grad, at.jacobian, at.hessian, at.value_and_grad, at.vmap])
def test_transforms_keep_no_argument(transform: Any) -> None:
    with no_collector():
        x = at.Tensor(np.ones(3))
        found = transform(lambda x: at.sum(at.tanh(x) * x))(x)
        parts = found if isinstance(found, tuple) else (found,)
        seen = _arrays_of(x, *parts)
        del x, found, parts
        assert left(seen) == 0


@pytest.mark.promise(29, "memory")
def test_a_compiled_step_goes_with_its_name() -> None:
    with no_collector():
        w = at.Variable(np.ones(3))

        def step(x: Any) -> Any:
            w.assign(w - 0.1 * at.grad(lambda w: at.sum((w * x) ** 2))(w))
            return at.sum(w)

        compiled = at.compile(step)
        compiled(np.ones(3))
        (function, _), *_ = compiled.steps.values()
        (plan,) = function.plans
        seen = [weakref.ref(w.data), weakref.ref(function), *[weakref.ref(b) for b in plan.buffers.values()]]
        w = step = compiled = function = plan = None
        assert left(seen) == 0


@pytest.mark.promise(29, "memory")
def test_an_error_on_the_way_keeps_no_tape() -> None:
    with no_collector():
        x = at.Tensor(np.ones((4, 3)), requires_grad=True)
        h = at.exp(x)
        seen = _arrays_of(x, h)
        with suppress(at.AutotensorError):
            at.matmul(h, at.Tensor(np.ones((4, 3))))
        del x, h
        assert left(seen) == 0


@pytest.mark.promise(29, "memory")
def test_a_history_goes_with_its_model() -> None:
    model = growth.sequential()
    history = model.fit(growth.X, growth.Y, verbose=0)
    seen = [weakref.ref(history), weakref.ref(model), *[weakref.ref(w.data) for w in model.weights]]
    del model, history
    gc.collect()  # as in Keras, layers know the calls of them, and the calls know the layers
    assert left(seen) == 0


@pytest.mark.promise(29, "memory")
def test_the_data_of_a_fit_is_not_kept() -> None:
    model = growth.sequential()
    model.fit(growth.X, growth.Y, verbose=0)
    x, y = growth.X.copy(), growth.Y.copy()
    model.fit(x, y, batch_size=16, verbose=0)
    model.train_on_batch(x, y)
    model.predict(x)
    model.evaluate(x, y, verbose=0)
    seen = [weakref.ref(x), weakref.ref(y)]
    del x, y
    gc.collect()
    assert left(seen) == 0


# -- what a step needs -------------------------------------------------------------------------------------------------


def _net(kind: str) -> Any:
    layers: dict[str, list[Any]] = {
        "mlp": [Dense(64, activation="relu", input_dim=20), Dense(64, activation="tanh"), Dense(5)],
        "cnn": [Conv2D(8, 3, activation="relu", input_shape=(12, 12, 1)), MaxPooling2D(), Flatten(), Dense(5)],
        "lstm": [LSTM(12, return_sequences=True, input_shape=(9, 4)), LSTM(12), Dense(5)],
        "autoencoder": [Dense(30, activation="relu", input_dim=50), Dense(8), Dense(30), Dense(50)],
    }
    return Sequential(layers[kind])


KINDS = ["mlp", "cnn", "lstm", "autoencoder"]


@pytest.mark.promise("memory")
@pytest.mark.parametrize("kind", KINDS)
def test_a_report_is_consistent(kind: str) -> None:
    model = _net(kind)
    model.compile("adam", "mse")
    report = model.memory_report(64)
    assert report.weights_bytes == 4 * model.count_params()
    # Adam: two moments of each weight and a whole number of steps
    assert 0 <= report.optimizer_bytes - 2 * report.weights_bytes <= 16
    assert report.state_bytes == report.weights_bytes + report.optimizer_bytes
    for plan in (report.training, report.evaluation, report.prediction):
        assert plan.peak_bytes <= plan.unshared_bytes
        assert plan.peak_bytes <= plan.buffer_bytes
        assert sum([value.nbytes for value in plan.live(plan.peak_step)]) == plan.peak_bytes
        assert plan.total_bytes == plan.input_bytes + plan.buffer_bytes
    assert report.prediction.input_bytes == 4 * 64 * int(np.prod(model.input_shape[1:]))
    assert report.training.input_bytes == report.prediction.input_bytes + 4 * 64 * model.output_shape[1]
    assert report.peak_bytes == report.state_bytes + report.training.total_bytes
    assert report.total_bytes > report.peak_bytes > report.training.peak_bytes > report.prediction.peak_bytes


@pytest.mark.promise("memory")
@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_holds_little_more_than_is_needed_at_once(kind: str) -> None:
    model = _net(kind)
    model.compile("sgd", "mse")
    for plan in (model.memory_report(256).training, model.memory_report(256).prediction):
        assert plan.buffer_bytes < 1.3 * plan.peak_bytes + 4096


@pytest.mark.promise("memory")
def test_the_need_of_a_chain_is_counted_by_hand() -> None:
    x = at.placeholder((None, 100), dtype="float32")
    f = at.function([x], at.sum(at.sin(at.cos(at.exp(x)))), name="chain")
    found = f.memory((10, 100))
    assert found.input_bytes == 4000
    # Each value is needed until the next one is there: two of 4,000 bytes at a time.
    assert (found.peak_bytes, found.unshared_bytes) == (8000, 3 * 4000 + 4)
    assert 8000 <= found.buffer_bytes < 8300
    assert [value.op for value in found.live(1)] == ["exp", "cos"]
    assert [value.shape for value in found.largest()] == [(10, 100)] * 2
    assert "memory of chain for (10, 100)" in str(found) and "8.0 kB are needed at once" in str(found)


@pytest.mark.promise("memory")
def test_a_gradient_needs_what_was_computed_forward() -> None:
    x = at.placeholder((None, 100), dtype="float32")
    y = x
    for _ in range(5):
        y = at.sin(y)
    forward = at.function([x], y).memory((10, 100))
    backward = at.function([x], at.grad(at.sum(y), x)).memory((10, 100))
    assert forward.peak_bytes == 2 * 4000
    assert backward.peak_bytes >= 4 * 4000, "the values of four sines are needed for their cosines"
    kinds = {value.kind for value in backward.values}
    assert kinds == {"forward", "backward"}
    assert all([value.line.endswith(".py:" + value.line.split(":")[-1]) for value in backward.values])


@pytest.mark.promise("memory")
def test_a_loop_needs_memory_of_its_own() -> None:
    x = at.placeholder((None, 8, 16), dtype="float32")
    _, (all_,) = at.scan(lambda s, p, c: ((at.tanh(s[0] + p[0]),),) * 2, [at.Tensor(np.zeros((8, 16), "f4"))], [x])
    small, large = [at.function([x], all_).memory((n, 8, 16)) for n in (10, 100)]
    (one,) = [value for value in large.values if value.kind == "loop"]
    assert one.nbytes == next(value.nbytes for value in small.values if value.kind == "loop")
    assert large.peak_bytes - small.peak_bytes == 90 * 8 * 16 * 4


@pytest.mark.promise("memory")
def test_what_can_not_be_planned_says_so() -> None:
    x = at.placeholder((None,))
    phase = at.placeholder((), dtype="bool")
    with pytest.raises(at.GraphError, match=r"\[f\] expected no static inputs"):
        at.function([x, phase], at.where(phase, x, x * 2), static=[phase], name="f").memory((3,), ())
    with pytest.raises(at.GraphError, match=r"\[g\] expected a graph whose shapes follow from those of its inputs"):
        at.function([x], x[x > 0], name="g").memory((3,))
    with pytest.raises(at.GraphError, match="takes shape"):
        at.function([x], x * 2).memory((3, 3))


@pytest.mark.promise("memory")
def test_a_report_runs_nothing_and_is_repeated() -> None:
    model = growth.sequential()
    before = model.get_weights()
    first = model.memory_report(16)
    assert str(first) == str(model.memory_report(16))
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.optimizer.get_weights() == [] or not np.any(model.optimizer.get_weights()[-1])
    plans = len(model._steps.get(True, False, False).plans)
    model.fit(growth.X, growth.Y, batch_size=16, verbose=0)
    assert len(model._steps.get(True, False, False).plans) == plans, "fit uses the plan that the report was made of"


@pytest.mark.promise("memory")
def test_a_report_before_compile_is_about_predictions() -> None:
    report = Sequential([Dense(3, input_dim=4)]).memory_report()
    assert report.batch_size == 32 and report.training is None and report.evaluation is None
    assert report.peak_bytes == report.weights_bytes + report.prediction.total_bytes == report.total_bytes
    assert report.weights_bytes == 4 * 15
    assert "prediction takes" in str(report) and "training" not in str(report)


@pytest.mark.promise("memory")
def test_the_table_of_a_report() -> None:
    model = Sequential([Dense(64, activation="relu", input_dim=20, name="first"), Dense(5, name="last")], name="net")
    model.compile("sgd", "mse", metrics=["mae"])
    text = str(model.memory_report(1000))
    lines = text.splitlines()
    assert lines[0] == "memory of net with batches of 1000"
    assert [line.split() for line in lines if line.startswith("weights")] == [["weights", "6.7", "kB"]]
    assert any(["float32[1000, 64] in first (forward)" in line for line in lines])
    assert [line.split()[0] for line in lines[6:10]] == ["step", "training", "evaluation", "prediction"]
    assert model.memory_report(1000).layers == [("first", 4 * 64_000), ("last", 4 * 5_000)]


@pytest.mark.promise("memory")
def test_reports_of_many_ends_open_lengths_and_fixed_batches() -> None:
    a, b = Input((None, 3), name="a"), Input((4,), name="b")
    model = Model([a, b], [TimeDistributed(Dense(2))(a), Dense(1)(b)])
    model.compile("sgd", ["mse", "binary_crossentropy"])
    with pytest.raises(ValueError, match=r"\[memory_report\] expected sizes of all axes of input 'a'"):
        model.memory_report(8)
    short, long = [model.memory_report(8, shapes=[(n, 3), (4,)]) for n in (5, 50)]
    assert short.training.input_bytes == 8 * 4 * (5 * 3 + 4 + 5 * 2 + 1)
    assert long.training.peak_bytes > 5 * short.training.peak_bytes
    with pytest.raises(ValueError, match="expected 2 shapes, one for each input"):
        model.memory_report(8, shapes=[(5, 3)])
    stateful = Sequential([LSTM(3, stateful=True, batch_input_shape=(6, 4, 2)), Dense(1)])
    stateful.compile("sgd", "mse")
    assert stateful.memory_report().batch_size == 6
    with pytest.raises(ValueError, match="expected batches of 6, for which the model was built; got 8"):
        stateful.memory_report(8)
    with pytest.raises(ValueError, match="batch_size to be a whole number from 1; got 0"):
        model.memory_report(0)
    with pytest.raises(ValueError, match=r"\[memory_report\] The model needs to know its input shape"):
        Sequential([Dense(2)]).memory_report()


@pytest.mark.promise("memory")
def test_a_report_where_shapes_follow_from_values_says_so() -> None:
    x = Input((4,))
    model = Model(x, Lambda(lambda t: t[K.sum(t, axis=1) > 0], output_shape=(4,))(x))
    with pytest.raises(at.GraphError, match="shapes follow from"):
        model.memory_report(8)


@pytest.mark.promise("memory")
@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_allocates_what_it_says(kind: str) -> None:
    """Python counts the memory of arrays."""
    model = _net(kind)
    model.compile("sgd", "mse")
    shapes = [(2000, *model.input_shape[1:]), (2000, *model.output_shape[1:])]
    step = model._steps.get(True, False, True)
    step.memory(*[(1, *shape[1:]) for shape in shapes])
    tracemalloc.start()
    try:
        found = step.memory(*shapes)
        allocated = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert found.total_bytes < allocated < 1.02 * found.total_bytes + 400_000


@pytest.mark.slow
@needs_proc
@pytest.mark.promise("memory")
@pytest.mark.parametrize("kind", list(peak.KINDS))
def test_the_process_takes_what_was_planned(kind: str) -> None:
    peak.compare(kind)

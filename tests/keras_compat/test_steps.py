"""What surrounds a compiled step: rows gathered in place, averages, callbacks left alone, and nothing that grows."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import callbacks
from keras_compat.engine.steps import Feed, numbers
from keras_compat.layers import Dense, Input, concatenate
from keras_compat.models import Model, Sequential
from tests.work import lines_run

RNG = np.random.default_rng(3)
X = RNG.standard_normal((22, 3)).astype("float32")
Y = RNG.standard_normal((22, 2)).astype("float32")
LABELS = RNG.integers(0, 2, (22, 1))


def net(loss: str = "mse", **kwargs: Any) -> Sequential:
    """The same small network each time."""
    model = Sequential([Dense(4, activation="tanh", input_shape=(3,)), Dense(2, activation="softmax")])
    start = np.random.default_rng(7)
    model.set_weights([start.standard_normal(w.shape) for w in model.get_weights()])
    model.compile("adam", loss, **kwargs)
    return model


def history(model: Any, x: Any = X, y: Any = Y, **kwargs: Any) -> dict[str, Any]:
    np.random.seed(5)
    return dict(model.fit(x, y, **{"batch_size": 5, "epochs": 3, "verbose": 0, **kwargs}).history)


def by_hand(model: Any, w: Any = None, epochs: int = 3) -> list[list[float]]:
    """Loss of each batch, in the order in which ``fit`` draws the samples."""
    np.random.seed(5)
    losses = []
    for _ in range(epochs):
        order = np.arange(22)
        np.random.shuffle(order)
        rows = [order[i : i + 5] for i in range(0, 22, 5)]
        losses.append([float(model.train_on_batch(X[r], Y[r], None if w is None else w[r])) for r in rows])
    return losses


# -- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_fit_takes_the_steps_of_train_on_batch(weighted: bool) -> None:
    w = RNG.random(22).astype("float32") if weighted else None
    fitted, stepped = net(), net()
    got = history(fitted, sample_weight=w)["loss"]
    want = [sum(v * n for v, n in zip(e, (5, 5, 5, 5, 2))) / 22 for e in by_hand(stepped, w)]
    assert got == want
    for a, b in zip(fitted.get_weights(), stepped.get_weights()):
        np.testing.assert_array_equal(a, b)


def _every_second(a: np.ndarray) -> np.ndarray:
    wide = np.zeros((2 * len(a), 2 * a.shape[1]), a.dtype)
    wide[::2, ::2] = a
    return wide[::2, ::2]


KINDS: dict[str, Callable[[np.ndarray], Any]] = {
    "float64": lambda a: a.astype("float64"),
    "float16": lambda a: a.astype("float16"),
    "columns first": np.asfortranarray,
    "strided": _every_second,
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "list": lambda a: a.tolist(),
}


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
@pytest.mark.parametrize("kind", KINDS)
def test_data_of_every_kind_trains_alike(kind: str, shuffle: Any) -> None:
    x, y = X.astype("float16").astype("float32"), Y.astype("float16").astype("float32")
    given = KINDS[kind](x), KINDS[kind](y)
    before = [np.array(a) for a in given]
    assert history(net(), *given, shuffle=shuffle) == history(net(), x, y, shuffle=shuffle)
    for a, b in zip(given, before):
        np.testing.assert_array_equal(a, b)


def test_sparse_rows_train_alike() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    x = np.where(X > 0, X, 0)
    for shuffle in (True, False):
        assert history(net(), sparse.csr_matrix(x), shuffle=shuffle) == history(net(), x, shuffle=shuffle)


@pytest.mark.usefixtures("without_kernels")
def test_class_numbers_of_every_kind_train_alike() -> None:
    made = [history(net("sparse_categorical_crossentropy"), X, LABELS.astype(t)) for t in ("i8", "i4", "u1", "f8", "?")]
    made += [history(net("sparse_categorical_crossentropy"), X, LABELS[:, 0])]
    assert all(one == made[0] for one in made)


@pytest.mark.usefixtures("without_kernels")
def test_data_that_a_step_can_not_take_is_refused_by_name() -> None:
    target = at.placeholder((None, 2), "int32", name="counts")
    model = net()
    model.compile("sgd", lambda t, p: (p - t.astype("float32")) ** 2, target_tensors=[target])
    with pytest.raises(at.DTypeError, match="counts.*float32.*astype"):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("switches", [{"compile": False}, {"nan_guard": True}, {"numba": False}, {"fuse": False}])
def test_switches_hold_in_the_loops(switches: dict[str, Any]) -> None:
    want, model = history(net(metrics=["mae"]), validation_split=0.3), net(metrics=["mae"])
    with at.config.use(**switches):
        got = history(model, validation_split=0.3)
        first = model.predict(X, batch_size=5)
    assert list(got) == list(want)
    for name in want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-5)
    np.testing.assert_allclose(model.predict(X, batch_size=5), first, rtol=1e-5)


def test_rows_go_into_the_arrays_of_the_step() -> None:
    x, y = at.placeholder((None, 3), "float32"), at.placeholder((None, 2), "float32")
    with at.deferred():
        step = at.function([x, y], [x.sum(), y.sum()])
    feed = Feed(step, [X, Y], numbers)
    order = RNG.permutation(22)
    for start, stop in ((0, 5), (5, 10), (20, 22), (10, 15)):
        rows = order[start:stop]
        assert feed(start, stop, order) == pytest.approx([X[rows].sum(), Y[rows].sum()], rel=1e-5)
        prepared = step.prepare((stop - start, 3), (stop - start, 2))
        np.testing.assert_array_equal(prepared.inputs[0], X[rows])
        np.testing.assert_array_equal(prepared.inputs[1], Y[rows])
        assert feed(start, stop) == pytest.approx([X[start:stop].sum(), Y[start:stop].sum()], rel=1e-5, abs=1e-5)


@pytest.mark.usefixtures("without_kernels")
def test_a_shorter_last_batch_has_a_plan_of_its_own_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    plan_of = at.Function._compiled
    monkeypatch.setattr(at.Function, "_compiled", lambda self, a: made.append(a[0].shape[0]) or plan_of(self, a))
    model = net(metrics=["mae"])
    history(model, validation_data=(X, Y))
    assert sorted(made) == [2, 2, 5, 5]  # training and test
    history(model)
    model.evaluate(X, Y, batch_size=5, verbose=0)
    assert len(made) == 4
    for _ in range(3):
        model.predict(X, batch_size=5)
    assert sorted(made[4:]) == [2, 5]


# -- work around the step ---------------------------------------------------------------------------------------------


def both(call: Callable[[], object]) -> int:
    """Lines of Python run in both packages; the steps themselves are generated code and count for nothing."""
    return lines_run(call, within="keras_compat") + lines_run(call, within="autotensor")


def long(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.resize(X, (n, 3)), np.resize(Y, (n, 2))


@pytest.mark.parametrize("verbose", [0, 1])
def test_a_batch_of_fit_costs_few_lines(verbose: int) -> None:
    model = net(metrics=["mae"])

    def work(batches: int) -> int:
        x, y = long(10 * batches)
        model.fit(x, y, batch_size=10, verbose=0)
        return both(lambda: model.fit(x, y, batch_size=10, verbose=verbose))

    few, many = work(10), work(110)
    assert (many - few) / 100 < (50 if verbose == 0 else 55)


def test_an_epoch_of_fit_costs_few_lines() -> None:
    model = net(metrics=["mae"])
    x, y = long(20)
    model.fit(x, y, batch_size=10, verbose=0)
    one, many = [both(lambda n=n: model.fit(x, y, batch_size=10, epochs=n, verbose=0)) for n in (1, 11)]
    assert (many - one) / 10 < 300


def test_batches_of_evaluate_and_predict_cost_few_lines() -> None:
    model = net(metrics=["mae"])
    calls: list[Callable[..., Any]] = [
        lambda x, y: model.evaluate(x, y, batch_size=10, verbose=0),
        lambda x, y: model.predict(x, batch_size=10),
    ]
    for call in calls:
        data = [long(10 * n) for n in (10, 110)]
        for x, y in data:
            call(x, y)
        few, many = [both(lambda x=x, y=y, call=call: call(x, y)) for x, y in data]
        assert (many - few) / 100 < 45


def test_single_batches_cost_few_lines() -> None:
    model = net(metrics=["mae"])
    calls: list[Callable[[], Any]] = [
        lambda: model.train_on_batch(X, Y),
        lambda: model.test_on_batch(X, Y),
        lambda: model.predict_on_batch(X[:1]),
        lambda: model.predict(X[:1]),
    ]
    for call in calls:
        first = call(), call()
        assert len(first) == 2 and both(call) < 60


def test_two_inputs_take_the_short_way_too() -> None:
    a, b = Input((3,)), Input((2,))
    model = Model([a, b], [Dense(2)(concatenate([a, b])), Dense(1)(a)])
    model.compile("sgd", "mse")
    x, y = [X, Y], [Y, X[:, :1]]
    want = model.test_on_batch(x, y)
    model.train_on_batch(x, y)
    assert both(lambda: model.train_on_batch(x, y)) < 80
    assert len(want) == 3 and model.test_on_batch(x, y)[0] < want[0]
    with pytest.raises(ValueError, match="samples"):
        model.train_on_batch([X, Y[:5]], y)


@pytest.mark.usefixtures("without_kernels")
def test_short_ways_end_with_what_they_were_made_for() -> None:
    model = net()
    first = model.test_on_batch(X, Y)
    assert model.test_on_batch(X, Y) == first
    assert model.test_on_batch(X.astype("float64"), Y) == pytest.approx(first)
    with at.config.use(nan_guard=True), pytest.raises(at.NanError):
        model.test_on_batch(np.full_like(X, np.nan), Y)
    model.compile("sgd", "mae")
    assert model.test_on_batch(X, Y) == pytest.approx(np.abs(model.predict(X) - Y).mean(), rel=1e-5)
    model.predict_on_batch(X)
    model.add(Dense(3))
    assert model.predict_on_batch(X).shape == (22, 3)
    assert model.predict_on_batch(X.astype("float64")).shape == (22, 3)
    for bad in (X[0, 0], X[:, :2]):
        with pytest.raises(ValueError, match="expected"):
            model.predict(bad)


@pytest.mark.usefixtures("without_kernels")
def test_calls_leave_nothing_behind() -> None:
    model = net(metrics=["mae"])
    calls: list[Callable[[], Any]] = [
        lambda: model.predict_on_batch(X[:1]),
        lambda: model.predict(X[:1]),
        lambda: model.predict(X, batch_size=5),
        lambda: model.train_on_batch(X, Y),
        lambda: model.evaluate(X, Y, verbose=0),
        lambda: model.fit(X, Y, verbose=0),
    ]
    for call in calls:
        for _ in range(30):
            call()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(300):
            call()
        gc.collect()
        assert sys.getallocatedblocks() - before < 100


# -- averages and callbacks -------------------------------------------------------------------------------------------


class Logged(callbacks.Callback):
    """Keeps the logs of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[dict[str, Any]] = []

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append(dict(logs))


def test_averages_are_those_of_the_logs() -> None:
    logged, own = Logged(), callbacks.BaseLogger(stateful_metrics=["mae"])
    model = net(metrics=["mae"])
    kept = {}

    class Look(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            kept.update(own.totals)

    made = history(model, epochs=1, callbacks=[logged, own, Look()])
    assert [(b["batch"], b["size"]) for b in logged.batches] == [(0, 5), (1, 5), (2, 5), (3, 5), (4, 2)]
    assert made["loss"] == [sum(b["loss"] * b["size"] for b in logged.batches) / 22] == [kept["loss"] / 22]
    assert made["mae"] == [logged.batches[-1]["mae"]] == [kept["mae"]]  # a running result
    quiet = history(net(metrics=["mae"]), epochs=1)
    assert {name: quiet[name] for name in ("loss", "mae")} == {name: made[name] for name in ("loss", "mae")}


@pytest.mark.usefixtures("without_kernels")
def test_logs_of_batches_are_made_for_those_who_listen_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Counted(callbacks.LogValues):
        def __init__(self, *args: Any, **kwargs: Any):
            made.append(kwargs)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(callbacks, "LogValues", Counted)

    class Ends(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            assert logs["loss"] > 0

    history(net(), callbacks=[Ends()], validation_data=(X, Y), verbose=1)
    assert not [kwargs for kwargs in made if "batch" in kwargs]
    history(net(), callbacks=[Ends(), Logged()])
    assert len([kwargs for kwargs in made if "batch" in kwargs]) == 15


@pytest.mark.usefixtures("without_kernels")
def test_a_callback_may_use_the_model_between_batches() -> None:
    class Busy(callbacks.Callback):
        def on_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.predict(X[:5])
            self.model.test_on_batch(X[:5], Y[:5])

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.evaluate(X, Y, batch_size=5, verbose=0)
            rate = self.model.optimizer.lr
            before, self.model.stop_training = rate.numpy().copy(), False
            rate.assign(at.asarray(before))

    assert history(net(), callbacks=[Busy()]) == history(net())


@pytest.mark.usefixtures("without_kernels")
def test_the_bar_shows_averages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras_compat.utils.progbar._rewrites_lines", lambda: True)
    monkeypatch.setattr("keras_compat.utils.progbar.Progbar.due", lambda self: self.verbose == 1)
    logged = Logged()
    model = net()
    model.fit(X, Y, batch_size=11, shuffle=False, callbacks=[logged], verbose=1)
    shown = capsys.readouterr().out
    first, second = [b["loss"] for b in logged.batches]
    assert "11/22 [==============>...............] - ETA: " in shown and f"s - loss: {first:.4f}\r" in shown
    assert f"loss: {(first + second) / 2:.4f}\n" in shown and "22/22 [==============================]" in shown


# -- growth -----------------------------------------------------------------------------------------------------------


def chain(n: int) -> Sequential:
    model = Sequential()
    model.add(Dense(2, input_shape=(2,)))
    for _ in range(n - 1):
        model.add(Dense(2))
    return model


def functional(n: int) -> Model:
    x = y = Input((2,))
    for _ in range(n):
        y = Dense(2)(y)
    return Model(x, y)


def first_step(model: Any) -> None:
    model.compile("sgd", "mse")
    model.train_on_batch(X[:, :2], Y)
    model.predict_on_batch(X[:, :2])


@pytest.mark.usefixtures("without_kernels")
@pytest.mark.parametrize("make", [chain, functional])
def test_building_and_compiling_grow_linearly(make: Callable[[int], Any]) -> None:
    first_step(make(3))
    for part in ("keras_compat", "autotensor"):
        once, twice = [lines_run(lambda n=n: first_step(make(n)), within=part) for n in (20, 40)]
        thrice = lines_run(lambda: first_step(make(80)), within=part)
        assert thrice - twice < 2.3 * (twice - once)


def test_a_layer_added_knows_its_place_in_the_graph() -> None:
    model = chain(3)
    assert [len(v) for v in model.nodes_by_depth.values()] == [1] * 4
    shared = model.layers[-1]
    model.add(shared)
    model.add(Dense(5))
    assert len(model.layers) == 5 and model.output_shape == (None, 5)
    assert sorted(model.nodes_by_depth) == list(range(6))
    assert model.predict(X[:, :2]).shape == (22, 5)
    model.pop()
    model.add(Dense(4, name="end"))
    assert model.get_layer("end").output_shape == (None, 4) == model.output_shape
    with pytest.raises(ValueError, match='"end" is used 2 times'):
        model.add(Dense(4, name="end"))
    assert len(model.layers) == 5 and model.predict(X[:, :2]).shape == (22, 4)
    model.add(Dense(3, name="next"))
    assert [layer.name for layer in model.layers[-2:]] == ["end", "next"]

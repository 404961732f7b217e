"""What programs take out of a compiled model and use by hand: its steps, its metrics, the tests inside callbacks."""

from typing import Any

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import callbacks
from keras_compat.dialect.level import get_api_level, set_api_level
from keras_compat.layers import Dense, Dropout
from keras_compat.models import Sequential
from tests.work import lines_run

pytestmark = pytest.mark.usefixtures("without_kernels")

RNG = np.random.default_rng(5)
X = RNG.random((8, 3)).astype("float32")
Y = RNG.random((8, 2)).astype("float32")
LEVELS = pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])


@pytest.fixture(autouse=True)
def level_as_before():
    before = get_api_level()
    yield
    set_api_level(before)


def noisy(metrics: Any = None) -> Sequential:
    model = Sequential([Dense(2, input_shape=(3,)), Dropout(0.5)])
    model.compile("sgd", "mse", metrics=metrics)
    return model


def linear_loss(model: Sequential, weights: np.ndarray) -> float:
    """Weighted mean square by NumPy, without noise; no weight is zero."""
    kernel, bias = model.get_weights()
    return float((weights * ((X @ kernel + bias - Y) ** 2).mean(1)).mean())


@LEVELS
def test_steps_take_one_list_of_inputs_targets_weights_and_phase(level: str) -> None:
    set_api_level(level)
    model = noisy(["mae"])
    assert model.train_function is None and model.test_function is None and model.predict_function is None
    model._make_train_function()
    model._make_test_function()
    model._make_predict_function()
    weights = np.linspace(0.5, 2.0, 8)
    before = model.get_weights()
    assert model.test_function([X, Y, weights, 0.0])[0] == pytest.approx(linear_loss(model, weights), rel=1e-5)
    assert model.test_function([X, Y])[0] == pytest.approx(linear_loss(model, np.ones(8)), rel=1e-5)
    assert len(model.train_function([X, Y, weights, 1.0])) == 2
    assert not np.allclose(before[0], model.get_weights()[0])
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(model.predict_function([X, 0.0])[0], X @ kernel + bias, rtol=1e-5)
    with pytest.raises(ValueError, match="expected a list of 1 \\+ 1 \\+ 1 arrays"):
        model.train_function([X])


def test_the_phase_of_a_step_by_hand_is_the_one_given() -> None:
    model = noisy()
    model._make_train_function()
    model._make_predict_function()
    dropped = model.predict_function([X, 1.0])[0]
    np.testing.assert_allclose((dropped == 0).mean(), 0.5, atol=0.49)
    assert not np.allclose(dropped, model.predict(X))
    # Trained without noise, on all units: plain gradient descent.
    kernel, bias = model.get_weights()
    error = X @ kernel + bias - Y
    model.train_function([X, Y, np.ones(8), 0.0])
    np.testing.assert_allclose(model.get_weights()[0], kernel - 0.01 * X.T @ error / 8, rtol=1e-4, atol=1e-6)


@LEVELS
def test_a_step_of_ones_own_may_go_on_to_the_one_before(level: str) -> None:
    set_api_level(level)
    model = noisy()
    model._make_train_function()
    model._make_predict_function()
    train, predict = model.train_function, model.predict_function
    fed: list[int] = []

    def counted(arrays: list[Any]) -> Any:
        fed.append(len(arrays))
        return train(arrays)

    model.train_function = counted
    before = model.get_weights()[0]
    model.train_on_batch(X, Y)
    assert fed == [4] and not np.allclose(before, model.get_weights()[0])
    plain = predict([X, 0.0])[0]
    model.predict_function = lambda arrays: [2 * predict(arrays)[0]]
    np.testing.assert_allclose(model.predict(X), 2 * plain, rtol=1e-6)


@LEVELS
def test_arrays_as_a_step_takes_them(level: str) -> None:
    set_api_level(level)
    model = noisy()
    x, y, weights = model._standardize_user_data(X, Y)
    np.testing.assert_array_equal(weights[0], np.ones(8))
    np.testing.assert_array_equal(x[0], X)
    np.testing.assert_array_equal(y[0], Y)
    given = model._standardize_user_data(X, Y, sample_weight=np.arange(8.0), batch_size=4)[2]
    np.testing.assert_array_equal(given[0], np.arange(8.0))
    assert [len(part) for part in model._standardize_user_data(X)] == [1, 0, 0]


def test_helpers_under_the_names_of_keras_21() -> None:
    from keras_compat.engine.topology import saving
    from keras_compat.engine.training import (
        _make_batches,
        _slice_arrays,
        _standardize_input_data,
        _weighted_masked_objective,
    )

    assert _make_batches(5, 2) == [(0, 2), (2, 4), (4, 5)]
    np.testing.assert_array_equal(_slice_arrays([X], 2, 4)[0], X[2:4])
    np.testing.assert_array_equal(_standardize_input_data(X, ["x"], [(None, 3)])[0], X)
    score = _weighted_masked_objective(lambda t, p: K.mean(K.square(t - p), axis=-1))
    value = K.eval(score(K.constant(Y), K.constant(np.zeros((8, 2))), K.constant(np.ones(8))))
    assert value == pytest.approx(float((Y**2).mean()), rel=1e-5)
    assert saving.save_weights_to_hdf5_group


@pytest.mark.parametrize("modes", ["temporal", ["temporal"], {"steps": "temporal"}])
def test_weights_of_steps_for_a_single_output_in_every_form(modes: Any) -> None:
    model = Sequential([Dense(2, input_shape=(4, 3), name="steps")])
    model.compile("sgd", "mse", sample_weight_mode=modes)
    x, y = RNG.random((5, 4, 3)), RNG.random((5, 4, 2))
    weights = RNG.uniform(0.5, 2.0, (5, 4))
    expected = (((model.predict(x) - y) ** 2).mean(-1) * weights).mean()
    assert model.test_on_batch(x, y, sample_weight=weights) == pytest.approx(expected, rel=1e-5)


@LEVELS
def test_the_metrics_of_a_model_compile_another(level: str) -> None:
    set_api_level(level)
    model = noisy(["mae"])
    if level == "2.3":
        assert [metric.name for metric in model.metrics] == ["mae"]
    else:
        assert model.metrics == ["mae"]
    other = noisy(model.metrics)
    assert other.metrics_names == model.metrics_names
    assert model.weighted_metrics is None
    assert len(model.metrics_updates) == (2 if level == "2.3" else 0)  # total and count


@pytest.mark.parametrize("what", ["fit", "evaluate", "predict"])
def test_steps_and_batch_size_exclude_each_other(what: str) -> None:
    model = noisy()
    data = (X,) if what == "predict" else (X, Y)
    steps = {"steps_per_epoch" if what == "fit" else "steps": 2}
    with pytest.raises(ValueError, match="is set, the `batch_size` must be None"):
        getattr(model, what)(*data, batch_size=4, **steps)
    getattr(model, what)(*data, verbose=0, **steps)


class StopsLikeKeras(callbacks.EarlyStopping):
    """A copy of the test that programs write into a subclass."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        current = logs[self.monitor]
        if self.monitor_op(current - self.min_delta, self.best):
            self.best, self.wait = current, 0
        else:
            self.wait += 1
            self.model.stop_training = self.wait >= self.patience


@pytest.mark.parametrize(("mode", "values"), [("min", [5.0, 4.0, 3.9, 3.8]), ("max", [1.0, 2.0, 2.1, 2.2])])
def test_what_is_better_inside_a_subclass(mode: str, values: list[float]) -> None:
    stop = StopsLikeKeras(monitor="x", min_delta=0.5, patience=2, mode=mode)
    stop.set_model(noisy())
    stop.on_train_begin()
    stopped = []
    for epoch, value in enumerate(values):
        stop.on_epoch_end(epoch, {"x": value})
        stopped.append(stop.model.stop_training)
    assert stopped == [False, False, False, True] and stop.best == values[1]


def test_the_operation_of_each_callback() -> None:
    assert callbacks.ModelCheckpoint("x", monitor="val_acc").monitor_op(2, 1)
    assert not callbacks.ModelCheckpoint("x", monitor="val_loss").monitor_op(2, 1)
    slow = callbacks.ReduceLROnPlateau(min_delta=0.5)
    assert slow.min_delta == 0.5 and slow.monitor_op(1.0, 2.0) and not slow.monitor_op(1.6, 2.0)
    assert callbacks.ReduceLROnPlateau(mode="max", min_delta=0.5).monitor_op(2.0, 1.0)


def test_a_callback_uses_the_operation_set_by_the_user() -> None:
    keep = callbacks.EarlyStopping(monitor="x", patience=1)
    keep.set_model(noisy())
    keep.on_train_begin()
    keep.best, keep.monitor_op = 1.0, np.greater
    keep.on_epoch_end(0, {"x": 2.0})
    assert keep.best == 2.0 and keep.wait == 0
    assert K.get_value(keep.model.optimizer.lr) == pytest.approx(0.01)


def test_predictions_with_noise_are_compiled_once() -> None:
    """As many programs ask for them: the prediction with the learning phase of training, again and again."""
    model = noisy()
    model._make_predict_function()

    def ask() -> None:
        model.predict_function([X, 1.0])

    first, again = lines_run(ask, within="autotensor"), lines_run(ask, within="autotensor")
    assert again < first / 10

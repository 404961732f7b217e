"""Mistakes people make: each gets an error that says what was expected, what came and what to do; nothing breaks."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import callbacks, optimizers
from keras_compat.dialect.level import LEVELS, api_level
from keras_compat.layers import Activation, Add, Dense, Dropout, Input
from keras_compat.models import Model, Sequential, model_from_json

pytestmark = [pytest.mark.usefixtures("without_kernels"), pytest.mark.promise(23)]

RNG = np.random.default_rng(3)
X = RNG.normal(size=(20, 5)).astype("float32")
LABELS = RNG.integers(3, size=20)
Y = np.eye(3)[LABELS]
CCE, SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    np.random.seed(2)
    yield


def make(loss: Any = CCE, units: int = 3, activation: str = "softmax", **kwargs: Any) -> Sequential:
    model = Sequential([Dense(4, input_dim=5, activation="relu", name="h"), Dense(units, activation=activation)])
    model.layers[1].name = "out"
    model.compile("sgd", loss, **kwargs)
    return model


def labels(value: float) -> np.ndarray:
    y = LABELS.astype("float32")
    y[3] = value
    return y


FIT: dict[str, tuple[Any, Any, dict[str, Any], type[Exception], str]] = {
    "rank": (X[..., None], Y, {}, ValueError, r"to have 2 dimensions, but got array with shape \(20, 5, 1\). Reshape"),
    "single sample": (X[0], Y, {}, ValueError, r"to have shape \(5,\) but got .* \(1,\). Is it a single sample\?"),
    "width": (X[:, :4], Y, {}, ValueError, r"to have shape \(5,\) but got array with shape \(4,\)"),
    "counts": (X, Y[:10], {}, ValueError, "Found 20 input samples and 10 target samples"),
    "no x": (None, Y, {}, ValueError, "expected data for .*; got None"),
    "no y": (X, None, {}, ValueError, r"expected targets \(y\) for .*; got None. Pass y"),
    "empty": (X[:0], Y[:0], {}, ValueError, r"at least one sample; got shapes \[\(0, 5\)\]. Is x empty\?"),
    "empty lists": ([], [], {}, ValueError, "Is it empty"),
    "objects": (np.full((20, 5), object()), Y, {}, ValueError, "for h_input; got .* object at .* in it"),
    "words": (np.full((20, 5), "a"), Y, {}, ValueError, "expected numbers for h_input; got .* dtype <U1. Encode"),
    "ragged": ([[1.0, 2.0], [3.0]], Y, {}, ValueError, "rows differ in length. Pad"),
    "dates": (np.zeros((20, 5), "M8[s]"), Y, {}, ValueError, "expected numbers for h_input"),
    "complex": (np.zeros((20, 5), "c8"), Y, {}, ValueError, "expected numbers for h_input"),
    "a number": (5, Y, {}, ValueError, "got the single number. Wrap it"),
    "a generator": ((i for i in range(3)), Y, {}, ValueError, "got also y. Leave it out"),
    "a set": ({1, 2}, Y, {}, ValueError, "expected an array for h_input; got a set"),
    "another name": ({"a": X}, Y, {}, ValueError, "No data provided for .*; got .'a'.. Add it"),
    "batch_size 0": (X, Y, {"batch_size": 0}, ValueError, "batch_size must be a whole number of at least 1; got 0"),
    "batch_size -1": (X, Y, {"batch_size": -1}, ValueError, "got -1"),
    "batch_size y": (X, Y, {"batch_size": 2.5}, ValueError, "got 2.5"),
    "split 1": (X, Y, {"validation_split": 1.0}, ValueError, "must be a share from 0 to 1; got 1.0"),
    "split < 0": (X, Y, {"validation_split": -0.1}, ValueError, "must be a share from 0 to 1; got -0.1"),
    "split word": (X, Y, {"validation_split": "a"}, ValueError, "must be a share from 0 to 1; got 'a'"),
    "split all": (X, Y, {"validation_split": 0.99}, ValueError, "of 20 samples leaves none to train on"),
    "validation of one": (X, Y, {"validation_data": (X,)}, ValueError, "however it contains 1 items"),
    "validation counts": (X, Y, {"validation_data": (X, Y[:3])}, ValueError, "20 input samples and 3 target"),
    "validation empty": (X, Y, {"validation_data": (X[:0], Y[:0])}, ValueError, "Is x_val empty"),
    "epochs": (X, Y, {"epochs": 1.5}, TypeError, "epochs must be a whole number; got 1.5"),
    "callbacks": (X, Y, {"callbacks": callbacks.History()}, TypeError, "must be a list .*; got one History"),
    "callback class": (X, Y, {"callbacks": [callbacks.History]}, TypeError, "must be a list .*; got History"),
    "shuffle": (X, Y, {"shuffle": "x"}, ValueError, "shuffle must be True, False or 'batch'; got 'x'"),
    "class_weight": (X, Y, {"class_weight": {0: 1.0}}, ValueError, r"The classes \[1, 2\] exist in the data"),
    "sample_weight": (X, Y, {"sample_weight": np.ones(3)}, ValueError, r"shape \(3,\) for an input with shape \(20, 3"),
    "spelling": (
        X,
        Y,
        {"epoch": 3},
        TypeError,
        r"\[fit\] Keyword argument not understood: 'epoch'. Did you mean 'epochs'",
    ),
    "class numbers": (X, LABELS, {}, ValueError, "expects targets to be binary matrices"),
}


@pytest.mark.parametrize("case", FIT)
def test_fit_refuses_and_the_model_is_unharmed(case: str) -> None:
    x, y, kwargs, error, text = FIT[case]
    model = make()
    before = model.get_weights()
    with pytest.raises(error, match=text):
        model.fit(x, y, verbose=0, **kwargs)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(model.fit(X, Y, verbose=0).history["loss"]).all()


def test_predict_takes_as_many_samples_as_the_first_input_has() -> None:
    """As genuine Keras 1.2.2 and 2.3.1, whose example cnn_seq2seq relies on it; but not silently."""
    a, b = Input((2,)), Input((2,))
    model = Model([a, b], Add()([a, b]))
    x = np.arange(20.0).reshape(10, 2)
    with pytest.warns(UserWarning, match=r"differ in their number of samples: \[\(3, 2\), \(10, 2\)\]"):
        np.testing.assert_array_equal(model.predict([x[:3], x], batch_size=2), 2 * x[:3])
    with pytest.raises(ValueError, match="same number of samples"):
        model.predict([x, x[:3]])


@pytest.mark.parametrize("method", ["evaluate", "train_on_batch", "test_on_batch"])
def test_other_methods_refuse_the_same(method: str) -> None:
    model = make()
    call: Callable[..., Any] = getattr(model, method)
    for _ in range(2):  # also once a fast path is there
        for x, y, text in [
            (X, None, "expected targets"),
            (X[:, :2], Y, "to have shape"),
            (X, Y[:3], "same number of samples"),
            (X[:0], Y[:0], "at least one sample"),
            (X, LABELS, "binary matrices"),
        ]:
            with pytest.raises(ValueError, match=text):
                call(x, y)
        assert np.isfinite(call(X, Y)).all()


@pytest.mark.parametrize("level", LEVELS)
def test_class_numbers_for_one_hot_rows_and_the_other_way_round(level: str) -> None:
    with api_level(level):
        with pytest.raises(ValueError) as caught:
            make().fit(X, LABELS[:, None], verbose=0)
        text = str(caught.value)
        assert "You are passing a target array of shape (20, 1) while using as loss `categorical_crossentropy`" in text
        assert "y_binary = to_categorical(y_int)" in text and "`sparse_categorical_crossentropy` instead" in text
        with pytest.raises(ValueError, match="of shape .20, 3. .* expects one class number for each sample"):
            make(SPARSE).fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    ("bad", "shown"), [(np.nan, "nan"), (3, "3.0"), (-1, "-1.0"), (0.5, "0.5"), (np.inf, "inf"), (-np.inf, "-inf")]
)
@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_labels_of_a_sparse_loss(method: str, bad: float, shown: str) -> None:
    model = make(SPARSE)
    call: Callable[..., Any] = getattr(model, method)
    more: dict[str, Any] = {"verbose": 0} if method in ("fit", "evaluate") else {}
    call(X, labels(0), **more)
    text = rf"class numbers from 0 to 2; got {re.escape(shown)} at sample 3 \(1 bad of 20\). Renumber"
    with pytest.raises(ValueError, match=text):
        call(X, labels(bad), **more)
    call(X, labels(1), **more)


def test_predict_refuses() -> None:
    model = make()
    for call in (model.predict, model.predict_on_batch):
        model.predict_on_batch(X)
        with pytest.raises(ValueError, match=r"to have shape \(5,\) but got array with shape \(2,\)"):
            call(X[:, :2])
        with pytest.raises(ValueError, match="expected data for"):
            call(None)
        with pytest.raises(ValueError, match="to have 2 dimensions"):
            call(X[None])
    with pytest.raises(ValueError, match="batch_size must be a whole number"):
        model.predict(X, batch_size=0)
    with pytest.raises(ValueError, match="Is x empty"):
        model.predict(X[:0])


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make_it", "text"),
    [
        (lambda: make("mean_sqared_error"), "got 'mean_sqared_error'. Did you mean 'mean_squared_error'"),
        (lambda: make("MeanSqaredError"), "Did you mean 'MeanSquaredError'"),
        (lambda: make(metrics=["acuracy"]), "got 'acuracy'. Did you mean 'accuracy'"),
        (lambda: make().compile("adamm", "mse"), "got 'adamm'. Did you mean 'adam'"),
        (lambda: Dense(3, activation="rleu"), "got 'rleu'. Did you mean 'relu'"),
        (lambda: Activation("sigmod"), "Did you mean 'sigmoid'"),
        (lambda: Dense(3, kernel_initializer="he_norml"), "got 'he_norml'. Did you mean 'he_normal'"),
        (lambda: Dense(3, init="glorot"), "Did you mean 'glorot_normal' or 'glorot_uniform'"),
        (lambda: Dense(3, kernel_constraint="maxnrm"), "Did you mean 'max_norm'"),
    ],
)
def test_misspelt_names_get_a_sensible_suggestion(make_it: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make_it()


@pytest.mark.parametrize(
    ("make_it", "known"),
    [
        (lambda: make("nope"), "mean_squared_error"),
        (lambda: make(metrics=["zzz"]), "binary_accuracy"),
        (lambda: make().compile("nope", "mse"), "rmsprop"),
        (lambda: Dense(3, activation="xyz"), "softmax"),
        (lambda: Dense(3, kernel_initializer="qq"), "he_uniform"),
        (lambda: Dense(3, kernel_regularizer="q"), "l1l2"),
    ],
)
def test_far_off_names_get_the_list_and_no_suggestion(make_it: Callable[[], Any], known: str) -> None:
    with pytest.raises(ValueError) as caught:
        make_it()
    assert "Did you mean" not in str(caught.value) and "Known are" in str(caught.value) and known in str(caught.value)


@pytest.mark.parametrize(
    ("make_it", "error", "text"),
    [
        (lambda: make(loss=3), ValueError, "expected a name, a config or a callable; got int"),
        (lambda: make(loss=["mse", "mse"]), ValueError, "one entry per model output"),
        (lambda: make(loss={"no": "mse"}), ValueError, "Unknown entry in loss dictionary: \"no\""),
        (lambda: make(metrics={"no": "mse"}), ValueError, "Unknown entry in metrics dictionary: \"no\""),
        (lambda: make(loss_weights={"no": 1}), ValueError, "Unknown entry in loss_weights dictionary: \"no\""),
        (lambda: make(loss_weights="a"), TypeError, "Could not interpret loss_weights"),
        (lambda: make(sample_weight_mode="x"), ValueError, "should be None or \"temporal\"; got 'x'"),
        (lambda: make(loss=None), ValueError, "no loss to optimize"),
        (lambda: make(metric=["acc"]), TypeError, "Keyword argument not understood: 'metric'. Did you mean 'metrics'"),
        (lambda: make().compile(None, "mse"), ValueError, "Could not interpret optimizer identifier"),
        (lambda: optimizers.SGD(learnig_rate=1), TypeError, "learnig_rate"),
        (lambda: Dense(0), ValueError, "at least 1; got 0"),
        (lambda: Dense("a"), ValueError, "whole number; got 'a'"),
        (lambda: Dense(3, foo=1), TypeError, "Keyword argument not understood: 'foo'"),
        (lambda: Dropout("a"), ValueError, "from 0 to 1; got 'a'"),
        (lambda: Dense(3, input_dim=-5), ValueError, "expected whole numbers"),
        (lambda: Dense(3, input_shape=("a",)), ValueError, "expected whole numbers"),
        (lambda: Input(shape=(2.5,)), ValueError, "expected whole numbers"),
        (lambda: Input(), ValueError, "got neither. Write Input"),
        (lambda: Dense(3)(Input((None,))), ValueError, "'kernel' needs a known shape"),
        (lambda: Dense(3)([1.0, 2.0]), ValueError, "isn't a symbolic tensor"),
        (lambda: Dense(3)(K.placeholder((3,))), ValueError, "expected min_ndim=2, found ndim=1"),
        (lambda: Sequential([Dense]), TypeError, "must be an instance of class Layer"),
        (lambda: Sequential().pop(), TypeError, "no layers in the model"),
        (lambda: Model(Input((3,)), Dense(2)(Input((3,)))), ValueError, "Graph disconnected"),
        (lambda: model_from_json("x"), ValueError, r"\[model_from_json\] expected the text that model.to_json"),
        (lambda: model_from_json("[]"), TypeError, "expected a dictionary; got a list"),
        (lambda: model_from_json(None), TypeError, "expected the text .*; got NoneType"),
        (lambda: make().get_layer("x"), ValueError, "No such layer: x. There are: h, out"),
        (lambda: make().set_weights([X]), ValueError, "has 4 weights; got a list of 1"),
        (lambda: make().set_weights([X] * 4), ValueError, "4 do not: .*h/kernel:0 has shape .5, 4., the value .20, 5."),
        (lambda: make().set_weights(None), TypeError, "expected a list of arrays; got NoneType"),
        (lambda: make().layers[0].set_weights([X]), ValueError, "list of length 1, but the layer was expecting 2"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Output .* missing from loss dictionary")
def test_bad_arguments(make_it: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make_it()


def test_whole_floats_and_numpy_numbers_are_sizes() -> None:
    assert Sequential([Dense(np.int64(3), input_dim=4.0)]).get_weights()[0].shape == (4, 3)
    assert Sequential([Dense(3, input_shape=(np.int32(4),))]).input_shape == (None, 4)


# -- models that are not ready ----------------------------------------------------------------------------------------


def test_a_model_without_an_input_shape(tmp_path: Any) -> None:
    model = Sequential([Dense(4), Dense(3)])
    for call in (
        model.summary,
        model.get_weights,
        lambda: model.set_weights([]),
        lambda: model.save(tmp_path / "m.h5"),
        lambda: model.save_weights(tmp_path / "m.h5"),
        lambda: model.load_weights(tmp_path / "m.h5"),
    ):
        with pytest.raises(ValueError, match="input_shape"):
            call()
    assert not list(tmp_path.iterdir())
    assert model.predict(X).shape == (20, 3)  # it learns its shape from data
    assert len(model.get_weights()) == 4


def test_keras_1_wants_the_input_shape_at_once() -> None:
    with api_level("1.2"):
        model = Sequential()
        for layer in (Dense(4), Activation("relu")):
            text = "The first layer in a Sequential model must get an `input_shape` or `batch_input_shape` argument"
            with pytest.raises(ValueError, match=text):
                model.add(layer)
        model.add(Dense(4, input_dim=5))
        assert model.predict(X).shape == (20, 4)


def test_a_model_that_is_not_compiled() -> None:
    model = Sequential([Dense(3, input_dim=5)])
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(RuntimeError, match="You must compile a model before training/testing. Use `model.compile"):
            call(X, Y)
    assert model.predict(X).shape == (20, 3)


def test_an_empty_model() -> None:
    for call in (lambda m: m.summary(), lambda m: m.predict(X)):
        with pytest.raises(ValueError, match="input"):
            call(Sequential())


def test_names_are_checked_by_compile_also_without_an_input_shape() -> None:
    model = Sequential([Dense(3)])
    for kwargs in ({"loss": "nope"}, {"loss": "mse", "metrics": ["nope"]}, {"loss": ["nope"]}):
        with pytest.raises(ValueError, match="got 'nope'"):
            model.compile("sgd", **kwargs)
    model.compile("sgd", "mse", metrics=["acc", "ce", "mae"])
    model.fit(X, Y, verbose=0)


def test_reading_what_has_no_value() -> None:
    x = Input((3,), name="pixels")
    for read in (lambda: float(x), lambda: np.asarray(x), x.numpy, lambda: bool(x > 0), lambda: K.eval(x)):
        with pytest.raises(Exception, match=r"no value|has no value") as caught:
            read()
        assert "pixels" in str(caught.value) or "greater" in str(caught.value)
    with pytest.raises(Exception, match="has no value. Add it to inputs"):
        K.get_value(make().output)


BAD_COMPILES: list[dict[str, Any]] = [
    {"loss": "nope"},
    {"optimizer": "nope"},
    {"metrics": ["nope"]},
    {"loss_weights": "a"},
    {"sample_weight_mode": "x"},
    {"loss": {"no": "mse"}},
    {"loss": lambda t, p: 1 / 0},
    {"metrics": [lambda t, p: 1 / 0]},
]


@pytest.mark.parametrize("bad", BAD_COMPILES, ids=lambda bad: next(iter(bad)))
def test_a_failing_compile_changes_nothing(bad: dict[str, Any]) -> None:
    model = make("mse", metrics=["mae"])
    model.train_on_batch(X, Y)
    optimizer, names, steps = model.optimizer, model.metrics_names, model._steps
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)):
        model.compile(**{"optimizer": "adam", "loss": "mae", **bad})
    assert model.optimizer is optimizer and model.loss == "mse" and model._steps is steps
    assert model.metrics_names == names
    error = model.predict(X) - Y
    assert model.test_on_batch(X, Y) == [pytest.approx((error**2).mean()), pytest.approx(np.abs(error).mean())]
    model.fit(X, Y, verbose=0)


def test_a_first_compile_that_fails_leaves_the_model_uncompiled() -> None:
    model = Sequential([Dense(3, input_dim=5)])
    with pytest.raises(ValueError):
        model.compile("sgd", "nope")
    with pytest.raises(RuntimeError, match="You must compile"):
        model.fit(X, Y)


# -- training that is interrupted -------------------------------------------------------------------------------------


class Raises(callbacks.Callback):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 2:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("mine")])
def test_an_error_from_a_callback_and_ctrl_c_stop_fit(error: BaseException) -> None:
    """Callbacks are told of the end, which Keras 2.3.1 leaves out; what was learnt stays, and the model goes on."""
    events: list[str] = []
    note = callbacks.LambdaCallback(
        on_train_begin=lambda logs: events.append("begin"), on_train_end=lambda logs: events.append("end")
    )
    model, twin = make(), make()
    twin.set_weights(model.get_weights())
    with pytest.raises(type(error)):
        model.fit(X, Y, batch_size=4, shuffle=False, verbose=0, callbacks=[note, Raises(error)])
    assert events == ["begin", "end"]
    for i in range(0, 12, 4):
        twin.train_on_batch(X[i : i + 4], Y[i : i + 4])
    for a, b in zip(model.get_weights(), twin.get_weights()):
        np.testing.assert_array_equal(a, b)
    assert len(model.fit(X, Y, verbose=0, epochs=2).history["loss"]) == 2


@pytest.mark.promise(20)
def test_nan_in_the_data_is_reported_not_hidden() -> None:
    x = X.copy()
    x[3, 2] = np.nan
    model = make()
    assert np.isnan(model.fit(x, Y, verbose=0).history["loss"]).all()
    assert np.isnan(model.predict(x)).any()

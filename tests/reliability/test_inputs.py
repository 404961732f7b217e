"""What is given where numbers are wanted: each kind of array at each door is cast rightly or refused by name; numbers
that select rows or classes never reach memory outside.

``tests/keras_compat/test_inputs.py`` has the same kinds as inputs and targets of every method of a model. Here are the
other doors, and numbers out of range in each form that a lookup has.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.layers import Dense, Embedding, Flatten, Input, TimeDistributed, concatenate
from keras_compat.models import Model, Sequential
from keras_compat.utils import to_categorical
from tests.keras_compat.test_inputs import KINDS, REFUSED, X

pytestmark = [pytest.mark.usefixtures("without_kernels"), pytest.mark.promise("inputs")]


def set_weights(value: Any) -> Any:
    model = Sequential([Dense(4, input_dim=21, use_bias=False)])
    model.set_weights([value])
    return model.get_weights()[0]


def set_weights_of_a_layer(value: Any) -> Any:
    model = Sequential([Dense(4, input_dim=21, use_bias=False)])
    model.layers[0].set_weights([value])
    return model.get_weights()[0]


def set_value(value: Any) -> Any:
    variable = K.variable(np.zeros((21, 4)))
    K.set_value(variable, value)
    return K.get_value(variable)


DOORS: dict[str, Callable[[Any], Any]] = {
    "K.variable": lambda value: K.get_value(K.variable(value)),
    "K.constant": lambda value: K.eval(K.constant(value)),
    "K.set_value": set_value,
    "set_weights": set_weights,
    "layer.set_weights": set_weights_of_a_layer,
}
EAGER: dict[str, Callable[[Any], Any]] = {
    "at.asarray": lambda value: at.asarray(value).numpy(),
    "at.Tensor": lambda value: at.Tensor(value).numpy(),
    "at.add": lambda value: at.add(value, 0.0).numpy(),
    "at.matmul": lambda value: at.matmul(value, np.eye(4)).numpy(),
}
# The engine takes arrays of numbers; what only holds such is the business of who has it.
NO_NUMBERS_FOR_THE_ENGINE = re.compile("objects|texts|_matrix|_array|Int64|Float32|category|several types")


@pytest.mark.promise(22)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_values(kind: str, tmp_path: Path) -> None:
    value = KINDS[kind](tmp_path)
    for name, door in DOORS.items():
        np.testing.assert_array_equal(np.asarray(door(value), "f8"), X, err_msg=name)
    for name, door in EAGER.items():
        if NO_NUMBERS_FOR_THE_ENGINE.search(kind):
            with pytest.raises(at.DTypeError, match="expected numbers; got dtype object from a"):
                door(value)
        else:
            np.testing.assert_array_equal(np.asarray(door(value), "f8"), X, err_msg=name)


@pytest.mark.promise(22)
@pytest.mark.parametrize("kind", REFUSED)
def test_values_that_are_no_numbers_are_refused(kind: str) -> None:
    for name, door in DOORS.items():
        said = {"K.variable": "variable", "K.constant": "constant", "K.set_value": "set_value"}.get(name, "set_weights")
        with pytest.raises(ValueError, match=rf"\[{said}\] expected (an array|numbers)[^;]*; got a \w+"):
            door(REFUSED[kind][0]())
    if kind == "complex":
        assert at.asarray(REFUSED[kind][0]()).dtype == "complex128"
        assert K.eval(K.variable(REFUSED[kind][0](), dtype="complex64")).dtype == "complex64"
        return
    for door in EAGER.values():
        with pytest.raises(at.AutotensorError, match="expected (numbers; got dtype|rows of equal length)"):
            door(REFUSED[kind][0]())


WEIGHTS = "f2 f4 f8 g i1 u1 i8 u8 >f8 >i4".split()


@pytest.mark.promise(22)
@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_kinds_of_sample_weights(method: str) -> None:
    pandas = pytest.importorskip("pandas")
    weights = np.arange(21) % 3 + 1
    kinds: dict[str, Any] = {name: weights.astype(name) for name in WEIGHTS}
    kinds |= {"list": weights.tolist(), "objects": weights.astype(object), "steps": np.repeat(weights, 2)[::2]}
    kinds |= {"Series": pandas.Series(weights), "Int64": pandas.Series(weights, dtype="Int64"), "backwards": None}
    kinds["backwards"] = weights[::-1].copy()[::-1]

    def found(given: Any) -> float:
        model = Sequential([Dense(2, input_dim=4, kernel_initializer="ones")])
        model.compile("sgd", "mse")
        more = {"verbose": 0} if method in ("fit", "evaluate") else {}
        value = getattr(model, method)(X, X[:, :2], sample_weight=given, **more)
        return value.history["loss"][0] if method == "fit" else value

    want = found(weights.astype("f4"))
    for kind, given in kinds.items():
        assert found(given) == pytest.approx(want, rel=1e-6), kind
    for bad, said in (
        (weights.astype("c8"), "complex64"),
        (weights.astype("M8[s]"), "datetime64"),
        (["a"] * 21, "<U1"),
    ):
        with pytest.raises(ValueError, match=rf"\[sample_weight\] expected numbers; got a \w+ with dtype {said}"):
            found(bad)


@pytest.mark.promise(22)
def test_nothing_keeps_or_changes_the_array_that_was_given() -> None:
    """What is made of it stays as it is when the array changes, and the array when that changes."""
    given = X.astype("f4")
    before = hashlib.sha256(given.tobytes()).hexdigest()
    model = Sequential([Dense(4, input_dim=21, use_bias=False)])
    model.compile("sgd", "mse")
    model.set_weights([given])
    variable, constant, tensor = K.variable(given), K.constant(given), at.Tensor(given)
    tensor[0, 0] = 7.0
    K.set_value(variable, given * 2)
    K.set_value(variable, given)
    model.fit(np.ones((3, 21)), np.zeros((3, 4)), verbose=0)
    assert hashlib.sha256(given.tobytes()).hexdigest() == before
    model.set_weights([given])
    given[:] = -5
    for value in (K.eval(constant), K.get_value(variable), model.get_weights()[0]):
        np.testing.assert_array_equal(value, X)


# -- numbers that select ----------------------------------------------------------------------------------------------

WORDS = np.arange(12).reshape(3, 4) % 7
OTHER = np.ones((3, 3))
Y = np.ones((3, 2))
METHODS: dict[str, Callable[[Any, Any], Any]] = {
    "fit": lambda model, x: model.fit(x, Y, verbose=0),
    "validation": lambda model, x: model.fit([WORDS, OTHER], Y, validation_data=(x, Y), verbose=0),
    "evaluate": lambda model, x: model.evaluate(x, Y, verbose=0),
    "predict": lambda model, x: model.predict(x),
    "train_on_batch": lambda model, x: model.train_on_batch(x, Y),
    "test_on_batch": lambda model, x: model.test_on_batch(x, Y),
    "predict_on_batch": lambda model, x: model.predict_on_batch(x),
    "fit_generator": lambda model, x: model.fit_generator(iter([(x, Y)]), 1, verbose=0),
    "predict_generator": lambda model, x: model.predict_generator(iter([x]), 1),
}
BAD_WORDS: dict[str, Any] = {
    "one too large": 7,
    "below 0": -1,
    "huge": 2**40,  # 0 in int32
    "beyond int64": np.uint64(2**63 + 3),
    "NaN": np.nan,
    "infinity": np.inf,
}


def reader() -> Model:
    words, other = Input((4,), name="words", dtype="int32"), Input((3,), name="other")
    rows = Flatten()(Embedding(7, 2, name="rows")(words))
    model = Model([words, other], Dense(2)(concatenate([rows, other])))
    model.compile("sgd", "mse")
    return model


def with_bad(value: Any) -> np.ndarray:
    words = WORDS.astype(np.asarray(value).dtype)
    words[1, 2] = value
    return words


@pytest.mark.promise(23)
@pytest.mark.parametrize("method", METHODS)
def test_numbers_of_rows_that_an_embedding_does_not_have(method: str) -> None:
    """The input, the layer, the range, the first bad one and its place are named; nothing is learnt. Also the second
    time, when the batch takes a short way."""
    model = reader()
    call = METHODS[method]
    before = model.get_weights()
    for kind, value in BAD_WORDS.items():
        text = (
            rf"\[rows\] expected whole numbers from 0 to 6 in words; got {value} at sample 1 in place 2 \(1 bad of 12\)"
        )
        words = with_bad(value)
        with pytest.raises(at.RangeError, match=text.replace("+", r"\+")):
            call(model, [words, OTHER])
        if method != "validation":
            np.testing.assert_array_equal(model.get_weights()[0], before[0], err_msg=kind)
    for words in (WORDS, WORDS.astype("f4") + 0.5, WORDS.astype("u1"), WORDS.astype("i8")):
        call(model, [words, OTHER])
        bad = words.copy()
        bad[2, 3] = 7
        for _ in range(2):
            with pytest.raises(at.RangeError, match="at sample 2 in place 3"):
                call(model, [bad, OTHER])


@pytest.mark.promise(23)
def test_rows_looked_up_in_inner_models_and_by_layers_around() -> None:
    inner = Sequential([Embedding(5, 2, input_length=4, name="inner_rows"), Flatten()])
    a, b = Input((4,), name="a"), Input((3, 4), name="b")
    model = Model([a, b], [inner(a), TimeDistributed(Embedding(6, 2, name="part_rows"))(b)])
    good = [np.zeros((2, 4)), np.zeros((2, 3, 4))]
    assert [y.shape for y in model.predict(good)] == [(2, 8), (2, 3, 4, 2)]
    with pytest.raises(
        at.RangeError, match=r"\[inner_rows\] expected whole numbers from 0 to 4 in a; got 5.0 at sample 0"
    ):
        model.predict([good[0] + 5, good[1]])
    with pytest.raises(at.RangeError, match=r"\[part_rows\] expected .* in b; got -1.0 at sample 0 in place 0, 0"):
        model.predict([good[0], good[1] - 1])
    column = Sequential([Embedding(5, 2, input_shape=())])
    with pytest.raises(at.RangeError, match=r"got 9 at sample 1 \(1 bad of 3\)"):
        column.predict(np.array([0, 9, 1]))
    # Behind another layer the engine sees it; it says so in its own words, and reads nothing.
    hidden = Sequential([Dense(1, input_dim=1, kernel_initializer="ones"), Embedding(5, 2)])
    for value in (5.0, -1.0, 1e9, np.nan):
        with np.errstate(invalid="ignore"), pytest.raises(IndexError):
            hidden.predict(np.array([[value]]))


OUTSIDE = [5, -6, 2**40, -(2**40)]
TABLE = np.arange(10.0).reshape(5, 2)
SCORES = np.arange(10.0).reshape(2, 5)


def compiled(make: Callable[..., Any], *arrays: np.ndarray) -> Any:
    inputs = [at.placeholder(a.shape, a.dtype) for a in arrays]
    return at.function(inputs, make(*inputs))(*arrays)


def both(make: Callable[..., Any], *arrays: np.ndarray) -> dict[str, Callable[[], Any]]:
    """On values, compiled, and its gradient by the last argument, eager and compiled."""

    def slope(*given: Any) -> Any:
        return at.grad(lambda last: at.sum(make(*given[:-1], last) ** 2))(given[-1])

    def compiled_slope(*given: Any) -> Any:
        return at.grad(at.sum(make(*given) ** 2), given[-1])

    return {
        "eager": lambda: make(*[at.asarray(a) for a in arrays]),
        "compiled": lambda: compiled(make, *arrays),
        "gradient": lambda: slope(*[at.asarray(a) for a in arrays]),
        "compiled gradient": lambda: compiled(compiled_slope, *arrays),
    }


LOOKUPS: dict[str, Callable[[np.ndarray], dict[str, Callable[[], Any]]]] = {
    "take": lambda i: both(lambda i, x: at.take(x, i, axis=0), i, TABLE),
    "getitem": lambda i: both(lambda i, x: x[i], i, TABLE),
    "take_along_axis": lambda i: both(lambda i, x: at.take_along_axis(x, i, axis=0), np.stack([i, i], 1), TABLE),
    "K.gather": lambda i: both(lambda i, x: K.gather(x, i), i, TABLE),
    "cross-entropy": lambda i: both(lambda i, x: at.sparse_softmax_cross_entropy(x, i), i, SCORES),
    "K cross-entropy": lambda i: both(
        lambda i, x: K.sparse_categorical_crossentropy(target=i, output=x, from_logits=True), i, SCORES
    ),
    "index_add": lambda i: both(lambda i, x: at.index_add(at.zeros((5, 2)), x, i), i, TABLE[:2]),
}


@pytest.mark.promise(23)
@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("name", LOOKUPS)
@pytest.mark.parametrize("numba", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_numbers_outside_in_every_form_of_a_lookup(name: str, outside: int, numba: bool) -> None:
    with at.config.use(numba=numba):
        for form, call in LOOKUPS[name](np.array([1, 0])).items():
            assert np.isfinite(np.asarray(call())).all(), form
        for call in LOOKUPS[name](np.array([1, outside])).values():
            with pytest.raises((IndexError, ValueError), match=str(outside)):
                call()


@pytest.mark.promise(23)
def test_numbers_outside_that_are_no_class_are_zeros_in_one_hot() -> None:
    """As in TensorFlow; ``to_categorical`` raises, and counts -1 from the end as NumPy's indexing in Keras does."""
    for outside in OUTSIDE:
        for rows in (at.one_hot(np.array([0, outside]), 5).numpy(), K.eval(K.one_hot(np.array([0, outside]), 5))):
            np.testing.assert_array_equal(rows, [[1, 0, 0, 0, 0], [0] * 5])
        if outside != -(2**40) and outside != -6:
            with pytest.raises(IndexError, match=f"class numbers 0 to 4 expected; got {outside}"):
                to_categorical([outside], 5)
        found = K.in_top_k(K.constant(SCORES), K.constant([4, max(-6, min(outside, 9))], dtype="int32"), 1)
        assert K.eval(found).tolist() == [True, False]
    with pytest.raises(ValueError, match="got NaN"):
        to_categorical([np.nan], 5)


@pytest.mark.promise(23)
@pytest.mark.parametrize("numba", [False, True])
def test_lengths_and_labels_outside_in_ctc(numba: bool) -> None:
    logits = np.zeros((1, 4, 3), "float32")

    def loss(labels: Any = (0, 1), time: int = 4, length: int = 2) -> Any:
        with at.config.use(numba=numba):
            return at.ctc_loss(logits, np.array([labels]), np.array([time]), np.array([length])).numpy()

    for given, text in (
        ({"labels": (0, 7)}, r"labels must be in 0\.\.2; got 7"),
        ({"labels": (0, -1)}, r"labels must be in 0\.\.2; got -1"),
        ({"time": 9}, r"input_lengths must be in 0\.\.4.*got 9"),
        ({"time": -4}, r"input_lengths must be in 0\.\.4.*got -4"),
        ({"length": 9}, r"label_lengths must be in 0\.\.2.*got 9"),
        ({"length": -1}, r"label_lengths must be in 0\.\.2.*got -1"),
    ):
        with pytest.raises(at.ShapeError, match=text):
            loss(**given)
    assert np.isfinite(loss()).all()

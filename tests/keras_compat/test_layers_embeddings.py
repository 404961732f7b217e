"""Embedding against NumPy: rows, masks, shapes, dropout, gradients, indices out of range, both vocabularies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.layers import Embedding, Input
from keras_compat.models import Model, Sequential, model_from_json

RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


@pytest.mark.parametrize("shape", [(5,), (5, 4), (5, 4, 3)])
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_rows_of_the_matrix(shape: tuple[int, ...], dtype: str) -> None:
    inp = Input(batch_shape=(None, *shape[1:]), dtype=dtype)
    layer = Embedding(7, 2, embeddings_initializer="random_normal")
    model = Model(inp, layer(inp))
    x = RNG.integers(0, 7, size=shape)
    (matrix,) = layer.get_weights()
    np.testing.assert_array_equal(model.predict(x), matrix[x])
    assert matrix.shape == (7, 2) and matrix.dtype == np.float32
    assert model.output_shape == (None, *shape[1:], 2)
    assert layer.W is layer.embeddings


def test_fractions_are_cut_to_whole_numbers() -> None:
    inp = Input((3,))
    layer = Embedding(4, 2)
    y = Model(inp, layer(inp)).predict(np.array([[0.9, 1.2, 3.0]]))
    np.testing.assert_array_equal(y[0], layer.get_weights()[0][[0, 1, 3]])


@pytest.mark.parametrize("index", [7, 100, -1, -7])
@pytest.mark.parametrize("numba", [False, True])
def test_an_index_out_of_range_is_an_error(index: int, numba: bool) -> None:
    model = Sequential([Embedding(7, 2, input_length=3)])
    with at.config.use(numba=numba), pytest.raises(IndexError):
        model.predict(np.array([[0, index, 6]]))


@pytest.mark.parametrize("index", [7, -1])
def test_an_index_out_of_range_stops_training_too(index: int) -> None:
    model = Sequential([Embedding(7, 2, input_length=3)])
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    with pytest.raises(IndexError):
        model.train_on_batch(np.array([[0, index, 6]]), np.zeros((1, 3, 2)))
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_zeros_are_masked() -> None:
    inp = Input((4,), dtype="int32")
    layer = Embedding(5, 3, mask_zero=True)
    y = layer(inp)
    x = np.array([[1, 0, 2, 0], [0, 3, 4, 1]])
    np.testing.assert_array_equal(K.function([inp], [layer.get_output_mask_at(0)])([x])[0], x != 0)
    assert layer.supports_masking and K.int_shape(y) == (None, 4, 3)
    plain_layer = Embedding(5, 3)
    plain_layer(inp)
    assert plain_layer.get_output_mask_at(0) is None


@pytest.mark.parametrize(
    ("length", "given", "expected"),
    [
        (None, (None, 8), (None, 8, 3)),
        (None, (None, None), (None, None, 3)),
        (6, (None, 6), (None, 6, 3)),
        (6, (None, None), (None, 6, 3)),
        ((6, None), (None, 6, 4), (None, 6, 4, 3)),
        ([None, 4], (2, None, None), (2, None, 4, 3)),
    ],
)
def test_shapes(length: Any, given: Any, expected: Any) -> None:
    assert Embedding(5, 3, input_length=length).compute_output_shape(given) == expected


def test_first_layer_knows_its_input() -> None:
    assert Sequential([Embedding(5, 3, input_length=6)]).input_shape == (None, 6)
    assert Sequential([Embedding(5, 3)]).input_shape == (None, None)
    assert Sequential([Embedding(5, 3, batch_input_shape=(2, 4))]).input_shape == (2, 4)
    with pytest.raises(ValueError, match='"input_length" is 6'):
        Embedding(5, 3, input_length=6)(Input((7,)))


def test_an_embedding_learns_only_the_rows_it_saw() -> None:
    model = Sequential([Embedding(6, 2, input_length=3)])
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    x = np.array([[1, 1, 4]])
    target = np.ones((1, 3, 2), dtype="float32")
    model.train_on_batch(x, target)
    expected = before.copy()
    for row in x[0]:  # repeated indices add up
        expected[row] -= 0.01 * 2 * (before[row] - 1.0) / 6
    np.testing.assert_allclose(model.get_weights()[0], expected, atol=1e-7)


def test_rules_and_config() -> None:
    layer = Embedding(
        9,
        3,
        embeddings_initializer="ones",
        embeddings_regularizer="l2",
        embeddings_constraint="unit_norm",
        activity_regularizer="l1",
        mask_zero=True,
        input_length=5,
    )
    model = Sequential([layer])
    assert len(model.losses) == 2 and layer.embeddings.constraint is layer.embeddings_constraint
    again = model_from_json(model.to_json())
    assert again.get_config() == model.get_config()
    assert "dropout" not in layer.get_config()
    assert L.deserialize(L.serialize(Embedding(9, 3, dropout=0.5))).dropout == 0.5


def test_initial_weights() -> None:
    matrix = RNG.normal(size=(4, 2)).astype("float32")
    model = Sequential([Embedding(4, 2, weights=[matrix], input_length=1)])
    np.testing.assert_array_equal(model.get_weights()[0], matrix)


def test_dropout_drops_rows_in_training() -> None:
    inp = Input((50,), dtype="int32")
    layer = Embedding(400, 3, embeddings_initializer="ones", dropout=0.25)
    y = layer(inp)
    f = K.function([inp, K.learning_phase()], [y])
    x = np.arange(400).reshape(8, 50)
    assert (f([x, 0])[0] == 1).all()
    first, second = f([x, 1])[0], f([x, 1])[0]
    rows = first.min(axis=-1)
    np.testing.assert_array_equal(rows, first.max(axis=-1))
    np.testing.assert_allclose(np.unique(rows), [0.0, 1 / 0.75], atol=1e-6)
    assert 0.15 < (rows == 0).mean() < 0.35
    assert (first != second).any()
    # One decision for a row, wherever it stands.
    same = f([np.zeros((8, 50), dtype="int32") + 3, 1])[0]
    assert len(np.unique(same)) == 1
    assert y._uses_learning_phase and not Embedding(4, 2)(inp)._uses_learning_phase


def test_both_vocabularies() -> None:
    old = Embedding(9, 3, init="normal", input_length=5, W_regularizer="l2", W_constraint="nonneg", name="e")
    new = Embedding(
        9,
        3,
        embeddings_initializer="normal",
        input_length=5,
        embeddings_regularizer="l2",
        embeddings_constraint="nonneg",
        name="e",
    )
    assert old.get_config() == new.get_config()
    with api_level("1.2"):
        assert Embedding(9, 3, dropout=0.2).dropout == 0.2
        # Positions of 1.2.2: init, input_length, W_regularizer, activity_regularizer, W_constraint, mask_zero, ...
        positional = Embedding(9, 3, "uniform", 5, None, None, None, True, None, 0.3)
        assert (positional.input_length, positional.mask_zero, positional.dropout) == (5, True, 0.3)
        assert Sequential([Embedding(9, 3, input_length=2)]).inputs[0].dtype == np.int32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Embedding(0, 3), "at least 1"),
        (lambda: Embedding(3, 0), "at least 1"),
        (lambda: Embedding(3, 2, dropout=1.0), "dropout is a share"),
    ],
)
def test_settings_that_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_gradient_of_the_matrix() -> None:
    K.set_floatx("float64")
    try:
        inp = Input((3,), dtype="int32")
        layer = Embedding(4, 2, embeddings_initializer="random_normal")
        loss = K.sum(K.square(layer(inp) - 0.3) * K.constant(np.arange(6.0).reshape(3, 2)))
        x = np.array([[1, 3, 1]])
        gradient = K.function([inp], K.gradients(loss, layer.trainable_weights))([x])[0]
        f = K.function([inp], [loss])
        before = K.get_value(layer.embeddings)
        for k in range(before.size):
            values = []
            for step in (1e-6, -1e-6):
                moved = before.copy()
                moved.flat[k] += step
                K.set_value(layer.embeddings, moved)
                values.append(float(f([x])[0]))
            assert gradient.flat[k] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-8)
    finally:
        K.set_floatx("float32")

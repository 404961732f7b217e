"""Labels and rows: against loops, closed forms and the rules of both Keras lines."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="call-arg"

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_compat.utils import normalize, np_utils, to_categorical


@given(
    hnp.arrays(
        st.sampled_from([np.int8, np.uint8, np.int64, np.float32]),
        hnp.array_shapes(min_dims=1, max_dims=3, max_side=4),
        elements=st.integers(0, 5),
    )
)
def test_one_hot_is_what_a_loop_makes(y):
    result = to_categorical(y, 6)
    shape = y.shape[:-1] if y.ndim > 1 and y.shape[-1] == 1 else y.shape
    assert result.shape == (*shape, 6)
    assert result.dtype == np.float32
    flat = y.ravel()
    for row, label in zip(result.reshape(-1, 6), flat, strict=True):
        assert row.sum() == 1
        assert row[int(label)] == 1


def test_number_of_classes_is_counted_when_not_given():
    assert to_categorical([0, 4]).shape == (2, 5)
    assert to_categorical(np.array([[3], [1]])).tolist() == [[0, 0, 0, 1], [0, 1, 0, 0]]


def test_both_spellings_and_positions():
    y = [1, 0, 2]
    expected = np.eye(4, dtype=np.float32)[y]
    for result in (to_categorical(y, 4), to_categorical(y, num_classes=4), to_categorical(y, nb_classes=4)):
        np.testing.assert_array_equal(result, expected)
    assert np_utils.to_categorical(y, 4, "float64").dtype == np.float64
    with pytest.raises(TypeError):
        to_categorical(y, num_classes=4, nb_classes=3)


def test_a_single_label_gives_a_single_row():
    assert to_categorical(2, 3).tolist() == [0, 0, 1]


def test_no_labels():
    assert to_categorical([], 3).shape == (0, 3)
    with pytest.raises(ValueError, match="Pass num_classes"):
        to_categorical([])


def test_minus_one_is_the_last_class_as_in_keras():
    assert to_categorical([-1], 3).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("label", [3, -4])
def test_label_out_of_range_is_named(label):
    with pytest.raises(IndexError, match=rf"0 to 2 expected; got {label}"):
        to_categorical([0, label], 3)


@pytest.mark.parametrize("label", [np.nan, np.inf])
def test_labels_that_are_not_numbers_are_refused(label):
    with pytest.raises(ValueError, match="NaN or infinity"):
        to_categorical([0.0, label], 3)


def test_the_labels_are_not_changed():
    y = np.array([[1], [0]])
    to_categorical(y)
    assert y.tolist() == [[1], [0]]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_normalize_gives_unit_rows(axis, order):
    x = np.random.default_rng(0).normal(size=(4, 3))
    result = normalize(x, axis, order)
    assert result.shape == x.shape
    size = {1: np.abs(result).sum(axis), 2: np.sqrt((result**2).sum(axis)), np.inf: np.abs(result).max(axis)}
    np.testing.assert_allclose(size[order], 1, rtol=1e-12)
    np.testing.assert_array_equal(np.sign(result), np.sign(x))


def test_normalize_leaves_zero_rows_and_takes_vectors():
    np.testing.assert_array_equal(normalize([[0.0, 0.0], [3.0, 4.0]]), [[0, 0], [0.6, 0.8]])
    vector = normalize([3.0, 4.0])
    assert vector.shape == (1, 2)  # genuine's, whatever one expects: programs write normalize(v)[0]
    np.testing.assert_allclose(vector, [[0.6, 0.8]])

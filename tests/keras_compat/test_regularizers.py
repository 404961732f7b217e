"""Regularizers: formulas, eigenvalues by NumPy, names and configs."""

from __future__ import annotations

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import regularizers

W = np.random.RandomState(0).uniform(-1, 1, (5, 3)).astype("float32")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: regularizers.l1(0.1), 0.1 * abs(W).sum()),
        (lambda: regularizers.l2(0.1), 0.1 * (W**2).sum()),
        (lambda: regularizers.l1_l2(0.1, 0.2), 0.1 * abs(W).sum() + 0.2 * (W**2).sum()),
        (lambda: regularizers.L1L2(l2=0.3), 0.3 * (W**2).sum()),
        (lambda: regularizers.L1L2(), 0),
        (lambda: regularizers.activity_l1l2(0.1, 0.2), 0.1 * abs(W).sum() + 0.2 * (W**2).sum()),
        (lambda: regularizers.WeightRegularizer(l1=0.1), 0.1 * abs(W).sum()),
        (lambda: regularizers.get("l2"), 0.01 * (W**2).sum()),
        (lambda: regularizers.get("l1l2"), 0.01 * abs(W).sum() + 0.01 * (W**2).sum()),
    ],
)
def test_penalty(make, expected):
    penalty = make()
    w = K.variable(W)
    np.testing.assert_allclose(K.eval(penalty(w)), expected, rtol=1e-5)
    again = regularizers.get(regularizers.serialize(penalty))
    assert again.get_config() == penalty.get_config()


def test_penalty_follows_the_weight_and_has_a_gradient():
    w = K.variable([1.0, -2.0])
    penalty = regularizers.l2(0.5)(w)
    K.set_value(w, [3.0, 1.0])
    assert K.eval(penalty) == 5
    assert K.eval(K.gradients(penalty, [w])[0]).tolist() == [3, 1]


def test_eigenvalue():
    penalty = regularizers.EigenvalueRegularizer(0.5)
    dominant = np.diag([3.0, 1.0, 0.5]).astype("float32")
    assert abs(K.eval(penalty(K.variable(dominant))) - 1.5) < 1e-4
    expected = 0.5 * np.linalg.eigvalsh(W.T @ W).max() ** 0.5
    np.testing.assert_allclose(K.eval(penalty(K.variable(W))), expected, rtol=0.02)
    with pytest.raises(ValueError, match="expected a matrix"):
        penalty(K.variable([1.0]))


def test_names():
    assert regularizers.get(None) is None
    mine = lambda x: K.sum(x)
    assert regularizers.get(mine) is mine
    with pytest.raises(ValueError, match="Did you mean 'l1_l2'"):
        regularizers.get("l1_12")
    assert regularizers.get("l1", {"l": 0.5}).get_config() == {"l1": 0.5, "l2": 0.0}

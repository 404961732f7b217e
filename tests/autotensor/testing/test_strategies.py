"""The Hypothesis strategies: what they draw is what they promise, finds planted faults, and shrinks well."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import autotensor as at
from autotensor.errors import DTypeError, ShapeError
from autotensor.testing import check_grad
from autotensor.testing import strategies as ats

# Shrinking is what is tested: always the same examples.
FIND = settings(max_examples=60, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@given(ats.shapes(min_dims=1, max_dims=4, min_side=0, max_side=5, max_size=30))
def test_shapes(shape):
    assert 1 <= len(shape) <= 4
    assert all(0 <= side <= 5 for side in shape)
    assert int(np.prod(shape)) <= 30


@given(ats.broadcastable_shapes(3))
def test_broadcastable_shapes(shapes):
    assert len(shapes) == 3
    np.broadcast_shapes(*shapes)


@given(st.data())
def test_axes(data):
    ndim = data.draw(st.integers(0, 3))
    x = np.ones((2,) * ndim)
    np.sum(x, axis=data.draw(ats.axes(ndim)))
    if ndim:
        assert isinstance(data.draw(ats.axes(ndim, none=False, single=False, min_size=1)), tuple)
        np.sum(x, axis=data.draw(ats.axis(ndim)))


@given(st.data())
def test_indices_are_those_of_numpy(data):
    shape = data.draw(ats.shapes(min_side=0))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    index = data.draw(ats.indices(shape, arrays=True))
    np.testing.assert_array_equal(at.asarray(x)[index].numpy(), x[index])


@given(ats.dtypes("integer", "bool"), ats.dtypes("numeric"), ats.dtypes())
def test_dtypes(a, b, c):
    assert a.kind in "ib" and b.kind in "iufc" and c in (np.float32, np.float64)


@given(ats.tensors(ats.dtypes("numeric", "bool"), ats.shapes(min_side=0)))
def test_tensors(x):
    assert isinstance(x, at.Tensor) and not x.requires_grad
    assert np.isfinite(x.numpy()).all() and np.abs(x.numpy()).max(initial=0) <= 15


@given(ats.tensors(shape=4, low=0.5, high=2.0, distinct=True, requires_grad=True))
def test_tensors_for_gradients(x):
    assert x.shape == (4,) and x.requires_grad
    assert len(set(x.tolist())) == 4 and 0.5 <= min(x.tolist()) <= max(x.tolist()) <= 2
    assert check_grad(lambda x: at.sort(x) * at.log(x), x)


@given(ats.tensors(shape=(2,), elements=st.just(7.0)), ats.matrices(square=True), ats.matrices(np.complex128))
def test_elements_and_matrices(a, b, c):
    assert a.tolist() == [7.0, 7.0]
    assert b.ndim == 2 and b.shape[0] == b.shape[1]
    assert c.dtype == np.complex128


@given(ats.positive_definite(condition=50.0), ats.positive_definite(np.complex128, 3))
def test_positive_definite(a, z):
    for x in (a.numpy(), z.numpy()):
        np.testing.assert_allclose(x, x.conj().T)
        assert np.linalg.eigvalsh(x).min() > 0
    assert np.linalg.cond(a.numpy()) < 52
    assert z.shape == (3, 3)


@given(ats.pytrees())
def test_pytrees(tree):
    leaves = at.tree.leaves(tree)
    assert 1 <= len(leaves) <= 20
    assert all(isinstance(x, at.Tensor) for x in leaves)
    assert at.tree.structure(at.tree.map(lambda x: x * 2, tree)) == at.tree.structure(tree)


# -- faults are found, and shown small


def test_a_fault_of_broadcasting_is_found_and_shrinks():
    """A sum that forgets to broadcast: equal shapes hide it."""

    def fails(pair):
        x, y = (np.ones(shape) for shape in pair)
        return np.broadcast_shapes(*pair) != x.shape and x.ndim == y.ndim

    assert sorted(find(ats.broadcastable_shapes(), fails, settings=FIND)) == [(1,), (2,)]


def test_a_fault_of_an_axis_is_found_and_shrinks():
    """A reduction that takes the last axis for any."""
    x = np.arange(8.0).reshape(2, 2, 2)
    wrong = lambda axis: not np.array_equal(np.sum(x, axis=axis), np.sum(x, axis=-1))
    assert find(ats.axis(3), wrong, settings=FIND) == 0


def test_a_fault_of_values_is_found_and_shrinks():
    """A square root that takes no zeros, and one that does not see a minus."""
    tensor = find(
        ats.tensors(shape=ats.shapes(max_dims=2, max_size=6)),
        lambda x: x.ndim > 0 and bool((x.numpy() < -2).any()),
        settings=FIND,
    )
    assert tensor.numpy().ravel().tolist() == [-2.01]
    zero = find(ats.tensors(shape=(2, 2)), lambda x: True, settings=FIND)
    np.testing.assert_array_equal(zero.numpy(), 0)


def test_a_fault_of_a_tree_is_found_and_shrinks():
    tree = find(ats.pytrees(st.just(0.0)), lambda t: isinstance(t, dict) and len(at.tree.leaves(t)) > 1, settings=FIND)
    assert len(at.tree.leaves(tree)) == 2


def test_matrices_shrink_to_the_identity():
    found = find(ats.positive_definite(side=2), lambda x: True, settings=FIND)
    np.testing.assert_array_equal(found.numpy(), np.eye(2))


def test_misuse():
    with pytest.raises(ShapeError, match="min_dims <= max_dims"):
        ats.shapes(min_dims=4)
    with pytest.raises(ShapeError, match="Raise max_size"):
        ats.shapes(min_dims=3, min_side=4, max_size=10)
    with pytest.raises(ShapeError, match="no axes"):
        ats.axis(0)
    with pytest.raises(DTypeError, match="'float'"):
        ats.dtypes("float")


def test_a_hint_where_hypothesis_is_missing(monkeypatch):
    name = "autotensor.testing.strategies"
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match="pip install hypothesis"):
        importlib.import_module(name)


def test_the_strategies_are_there_without_an_import_of_their_own(monkeypatch):
    monkeypatch.delattr(at.testing, "strategies")
    assert at.testing.strategies is ats
    with pytest.raises(AttributeError, match="no attribute 'strategie'"):
        at.testing.strategie

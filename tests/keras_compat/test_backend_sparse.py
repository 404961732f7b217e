"""SciPy's sparse matrices as data: the numbers of dense arrays, with a batch at a time made dense."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from keras_compat.engine import data
from keras_compat.layers import Dense, Input, concatenate
from keras_compat.models import Model, Sequential

sparse = pytest.importorskip("scipy.sparse")


@pytest.fixture(autouse=True)
def quick():
    with at.config.use(numba=False):
        yield


def make(n=6):
    x = Input((n,), sparse=True)
    model = Model(x, Dense(1, kernel_initializer="ones")(x))
    model.compile("sgd", "mse")
    return model


def example():
    return sparse.random(50, 6, 0.4, format="csr", random_state=0), np.arange(50.0)


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_the_numbers_are_those_of_dense_arrays(form, shuffle):
    x, y = example()
    results = []
    for given in (x.asformat(form), x.toarray()):
        model = make()
        np.random.seed(3)
        arguments = {"batch_size": 8, "epochs": 2, "shuffle": shuffle, "validation_split": 0.2, "verbose": 0}
        history = model.fit(given, y, **arguments).history
        numbers = [*history["loss"], *history["val_loss"], model.evaluate(given, y, verbose=0)]
        numbers += [model.train_on_batch(given, y), model.test_on_batch(given, y)]
        numbers += [*model.predict(given, batch_size=7).ravel(), *model.predict_on_batch(given).ravel()]
        results.append(numbers)
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_never_more_than_a_batch_is_dense(monkeypatch):
    rows = []
    whole = data.SparseRows.__array__

    def counted(self, dtype=None, copy=None):
        rows.append(len(self))
        return whole(self, dtype, copy)

    monkeypatch.setattr(data.SparseRows, "__array__", counted)
    x, y = example()
    model = make()
    model.fit(x, y, batch_size=8, validation_data=(x, y), shuffle=False, verbose=0)
    model.predict(x, batch_size=8)
    model.evaluate(x, y, batch_size=8, verbose=0)
    assert rows and max(rows) == 8


def test_beside_dense_inputs_and_without_an_input_shape():
    x, y = example()
    a, b = Input((6,), sparse=True), Input((2,))
    model = Model([a, b], Dense(1)(concatenate([Dense(2)(a), b])))
    model.compile("sgd", "mse")
    other = np.ones((50, 2))
    model.fit([x, other], y, verbose=0)
    np.testing.assert_allclose(model.predict([x, other]), model.predict([x.toarray(), other]), rtol=1e-5)
    late = Sequential([Dense(1)])
    late.compile("sgd", "mse")
    late.fit(x, y, verbose=0)
    assert late.input_shape == (None, 6)


def test_errors_name_the_shapes():
    x, y = example()
    with pytest.raises(ValueError, match=r"expected input_\d+ to have shape \(5,\) but got array with shape \(6,\)"):
        make(5).fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="50 input samples and 49 target"):
        make().fit(x, y[:-1], verbose=0)

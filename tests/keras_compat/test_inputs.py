"""What people pass as data: every kind of array gives the numbers of a plain one, or an error that names the input.

The arrays of the caller are never written to.
"""

# Tests call what is wrong on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_compat.callbacks import Callback
from keras_compat.engine.data import StoredRows
from keras_compat.layers import BatchNormalization, Dense, Embedding, Flatten, Input
from keras_compat.models import Model, Sequential
from keras_compat.utils import HDF5Matrix, Sequence
from tests.keras_compat import children

pytestmark = [pytest.mark.usefixtures("without_kernels"), pytest.mark.promise(22, 23)]

RNG = np.random.default_rng(5)
X = RNG.integers(0, 3, (21, 4)).astype("float64")  # whole numbers, which each kind of array can hold
Y = RNG.normal(size=(21, 2))
W = RNG.uniform(0.5, 2, 21)
METHODS = (
    "fit",
    "fit in batches",
    "validation",
    "evaluate",
    "predict",
    "train",
    "test",
    "predict_on_batch",
    "generator",
)


def small(n_in: int = 4, n_out: int = 2) -> Any:
    model = Sequential([Dense(n_out, input_dim=n_in, name="first")])
    model.set_weights([np.linspace(-1, 1, n_in * n_out).reshape(n_in, n_out), np.zeros(n_out)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def results(x: Any, y: Any = Y, weights: Any = None) -> dict[str, Any]:
    """What each method gives for some data."""
    n_in, n_out = np.shape(X)[1], 2
    found: dict[str, Any] = {}

    def fitted(**arguments: Any) -> Any:
        np.random.seed(3)
        model = small(n_in, n_out)
        given = {"x": x, "y": y, "epochs": 2, "batch_size": 8, "verbose": 0} | arguments
        return list(model.fit(**given).history.values()) + [float(w.sum()) for w in model.get_weights()]

    def batches() -> Any:
        while True:
            yield x, y

    found["fit"] = fitted(sample_weight=weights)
    found["fit in batches"] = fitted(shuffle="batch", validation_split=0.2)
    found["validation"] = fitted(x=X, y=Y, validation_data=(x, y))
    found["evaluate"] = small().evaluate(x, y, batch_size=8, verbose=0, sample_weight=weights)
    found["predict"] = small().predict(x, batch_size=8)
    found["train"] = small().train_on_batch(x, y, sample_weight=weights)
    found["test"] = small().test_on_batch(x, y)
    found["predict_on_batch"] = small().predict_on_batch(x)
    found["generator"] = small().fit_generator(batches(), 2, epochs=1, verbose=0).history["loss"]
    assert tuple(found) == METHODS
    return found


def flat(value: Any) -> list[float]:
    return np.concatenate([np.ravel(part) for part in value]).tolist() if isinstance(value, list) else np.ravel(value)


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return {}


def stored(folder: Path) -> str:
    name = str(folder / "data.h5")
    with h5py.File(name, "w") as f:
        f["x"], f["y"] = X, Y
        f["more"] = np.concatenate([X + 9, X, X + 9])
    return name


def frame() -> Any:
    return pytest.importorskip("pandas").DataFrame(X, columns=list("abcd"))


def sparse(kind: str) -> Any:
    return getattr(pytest.importorskip("scipy.sparse"), kind)(X)


def saved(folder: Path) -> Any:
    np.save(folder / "x.npy", X)
    return np.load(folder / "x.npy", mmap_mode="r")


KINDS: dict[str, Callable[[Path], Any]] = {
    "list": lambda folder: X.tolist(),
    "tuples": lambda folder: tuple(map(tuple, X.tolist())),
    "rows": lambda folder: list(X),
    **{name: lambda folder, name=name: X.astype(name) for name in "f2 f4 g i1 u1 i2 i8 u8 >f8 >f4 >i4".split()},
    "fortran": lambda folder: np.asfortranarray(X),
    "every other row": lambda folder: np.repeat(X, 2, 0)[::2],
    "from behind": lambda folder: X[::-1].copy()[::-1],
    "memmap": saved,
    "numbers as objects": lambda folder: X.astype(object),
    "numbers as texts in objects": lambda folder: X.astype(str).astype(object),
    "masked": lambda folder: np.ma.masked_array(X, X == 1),
    "HDF5Matrix": lambda folder: HDF5Matrix(stored(folder), "x"),
    "HDF5Matrix, some rows": lambda folder: HDF5Matrix(stored(folder), "more", 21, 42),
    "HDF5Matrix, normalized": lambda folder: HDF5Matrix(stored(folder), "more", start=42, normalizer=lambda a: a - 9),
    "h5py": lambda folder: h5py.File(stored(folder))["x"],
    **{name: lambda folder, name=name: sparse(name) for name in "csr_matrix csc_matrix coo_array dok_matrix".split()},
    "DataFrame": lambda folder: frame(),
    "DataFrame, other index": lambda folder: frame().set_index(np.arange(21) * 7),
    "DataFrame, several types": lambda folder: frame().astype({"a": "int8", "b": "float32", "c": object}),
    "DataFrame, Int64": lambda folder: frame().astype("Int64"),
    "DataFrame, Float32": lambda folder: frame().astype("Float32"),
    "DataFrame, category": lambda folder: frame().astype("category"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_inputs(kind: str, tmp_path: Path, plain: dict[str, Any]) -> None:
    if not plain:
        plain.update(results(X))
    for method, value in results(KINDS[kind](tmp_path)).items():
        np.testing.assert_allclose(flat(value), flat(plain[method]), rtol=1e-6, err_msg=method)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"f2"}))
def test_kinds_of_targets(kind: str, tmp_path: Path) -> None:
    model, y = small(2, 4), KINDS[kind](tmp_path)
    wanted = model.evaluate(Y, X, verbose=0)
    np.testing.assert_allclose(model.evaluate(Y, y, verbose=0), wanted, rtol=1e-6)
    np.testing.assert_allclose(model.test_on_batch(Y, y), wanted, rtol=1e-6)
    np.testing.assert_allclose(model.train_on_batch(Y, y), wanted, rtol=1e-6)


def test_bools_and_columns_of_tables() -> None:
    pandas = pytest.importorskip("pandas")
    table = frame()
    for bools in (X > 1, (table > 1), (table > 1).astype("boolean")):
        np.testing.assert_allclose(small().predict(bools), small().predict((X > 1).astype("f4")), rtol=1e-6)
    model = Sequential([Dense(1, input_dim=1)])
    model.compile("sgd", "mse")
    wanted = model.evaluate(X[:, 0], X[:, 1], verbose=0)
    for x, y in ((table["a"], table["b"]), (table[["a"]], table["b"].astype("Int64")), (table["a"], table["b"].array)):
        np.testing.assert_allclose(model.evaluate(x, y, verbose=0, sample_weight=pandas.Series(np.ones(21))), wanted)
    a, b = Input((1,), name="a"), Input((1,), name="b")
    both = Model([a, b], [Dense(1, name="p")(a), Dense(1, name="q")(b)])
    both.compile("sgd", "mse")
    columns = {"a": table["a"], "b": table["b"]}
    wanted = both.evaluate([X[:, 0], X[:, 1]], [X[:, 2], X[:, 3]], verbose=0)
    np.testing.assert_allclose(both.evaluate(columns, {"p": table["c"], "q": table["d"]}, verbose=0), wanted)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "complex": (lambda: X.astype(complex), "got a ndarray with dtype complex128. Take .real"),
    "texts": (lambda: X.astype(str), "got a ndarray with dtype <U.*Encode it as numbers"),
    "bytes": (lambda: X.astype("S"), r"got a ndarray with dtype \|S"),
    "dates": (lambda: X.astype("i8").astype("M8[s]"), r"got a ndarray with dtype datetime64\[s\]. Take the time"),
    "fields": (lambda: np.zeros(21, [("a", "f4"), ("b", "f4")]), "Put the fields side by side"),
    "a word among numbers": (lambda: np.where(X == 1, "no", X.astype(object)), "with 'no' in it. Encode"),
    "missing values": (lambda: frame().astype("Int64").mask(X == 1), "with <NA> in it. .*fill what is missing"),
    "words in a table": (lambda: frame().assign(a="word"), "with 'word' in it"),
    "rows of several lengths": (lambda: [[1.0, 2.0], [3.0]] * 3, "rows differ in length. Pad"),
    "objects": (lambda: np.array([object()] * 4, dtype=object).reshape(1, 4), "object at"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_number_is_refused_by_name(kind: str) -> None:
    data, text = REFUSED[kind]
    for call in (
        lambda: small().fit(data(), Y, verbose=0),
        lambda: small().predict(data()),
        lambda: small().train_on_batch(data(), Y),
        lambda: small().fit(X, Y, verbose=0, validation_data=(data(), Y)),
    ):
        with pytest.raises(ValueError, match=f"(?s)for first_input; .*{text}"):
            call()
    with pytest.raises(ValueError, match=f"(?s)for first; .*{text}"):
        small().evaluate(X, data(), verbose=0)


def test_arrays_of_the_caller_are_never_written_to() -> None:
    given = {
        "x": X.copy(),
        "y": Y.copy(),
        "w": W.copy(),
        "f4": X.astype("f4"),
        "y4": Y.astype("f4"),
        "i": X.astype("i8"),
    }

    def digest() -> str:
        return hashlib.sha256(b"".join(a.tobytes() for a in given.values())).hexdigest()

    before = digest()
    for x, y in (("x", "y"), ("f4", "y4"), ("i", "y")):
        results(given[x], given[y], given["w"])
    assert digest() == before
    for a in given.values():
        a.flags.writeable = False
    for x, y in (("x", "y"), ("f4", "y4"), ("i", "y")):
        results(given[x], given[y], given["w"])
    model = Sequential([Embedding(4, 3, input_length=4), Flatten(), Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    labels = np.arange(21) % 3
    labels.flags.writeable = False
    model.fit(given["i"], labels, verbose=0, class_weight={0: 1.0, 1: 2.0, 2: 3.0})


# -- arrays in files --------------------------------------------------------------------------------------------------


class Counting(HDF5Matrix):
    """Notes how many rows are read at once."""

    def __init__(self, *arguments: Any):
        self.counts: list[int] = []
        super().__init__(*arguments)

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.counts.append(len(found))
        return found


@pytest.mark.parametrize("shuffle", [True, False, "batch"])
def test_a_matrix_in_a_file_is_read_batch_by_batch(tmp_path: Path, shuffle: Any) -> None:
    name = str(tmp_path / "big.h5")
    x = RNG.normal(size=(400, 3, 2)).astype("float32")
    with h5py.File(name, "w") as f:
        f["x"] = x
    found = []
    for data in (Counting(name, "x"), x):
        model = Sequential([Flatten(input_shape=(3, 2)), Dense(6, kernel_initializer="ones")])
        model.compile("sgd", "mse")
        np.random.seed(4)
        given = {"batch_size": 16, "epochs": 2, "verbose": 0, "shuffle": shuffle, "validation_split": 0.25}
        log = model.fit(data, x.reshape(400, 6), **given)
        found.append([log.history["loss"], log.history["val_loss"], model.predict(data, batch_size=16).sum()])
        if data is not x:
            assert max(data.counts) <= 4 * 16 and sum(data.counts) >= 400 + 2 * 400
            fresh = Sequential([Flatten(), Dense(1)])  # its first data give it its shape
            fresh.compile("sgd", "mse")
            fresh.fit(data, np.zeros(400), batch_size=8, verbose=0, shuffle=False)
            assert max(data.counts) <= 4 * 16
    np.testing.assert_allclose(flat(found[0]), flat(found[1]), rtol=1e-6)


def test_targets_in_a_file(tmp_path: Path) -> None:
    name = str(tmp_path / "pictures.h5")
    x = RNG.normal(size=(30, 3, 2)).astype("float32")
    with h5py.File(name, "w") as f:
        f["x"] = x
    model = Sequential([Dense(2, input_shape=(3, 2))])
    model.compile("sgd", "mse")
    data = Counting(name, "x")
    wanted = model.evaluate(x, x, verbose=0)
    np.testing.assert_allclose(model.evaluate(data, data, batch_size=10, verbose=0), wanted, rtol=1e-6)
    assert max(data.counts) <= 10
    assert StoredRows.fits(data) and not StoredRows.fits(x)
    rows = StoredRows(data)[4:20][2:9]
    out = np.empty((3, 3, 2))
    rows.take(np.array([5, 0, 5]), 0, out, "clip")
    np.testing.assert_array_equal(out, x[[11, 6, 11]])
    np.testing.assert_array_equal(rows, x[6:13])


def test_hdf5_matrix_goes_through_pickle_and_checks_its_rows(tmp_path: Path) -> None:
    name = stored(tmp_path)
    copy = pickle.loads(pickle.dumps(HDF5Matrix(name, "x", 2, 9, normalizer=np.negative)))
    np.testing.assert_array_equal(copy[:], -X[2:9])
    assert len(pickle.dumps(copy)) < 500
    for start, end in ((-1, 3), (5, 3), (0, 22)):
        with pytest.raises(ValueError, match=rf"expected 0 <= start <= end <= 21, .*got start={start}, end={end}"):
            HDF5Matrix(name, "x", start, end)


def test_an_array_in_a_file_is_not_read_into_memory(tmp_path: Path) -> None:
    x: Any = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", "float32", (20000, 100))  # 8 MB
    x[:] = 1.0
    model = Sequential([Dense(1, input_dim=100)])
    model.compile("sgd", "mse")
    model.fit(x[:100], np.zeros(100), verbose=0)
    y = np.zeros(20000, "float32")
    tracemalloc.start()
    try:
        model.fit(x, y, batch_size=500, verbose=0, validation_split=0.1)
        model.evaluate(x, y, batch_size=500, verbose=0)
        model.predict(x, batch_size=500)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3e6


# -- few samples, wrong counts ----------------------------------------------------------------------------------------


@pytest.mark.promise(21)
def test_batches_larger_than_the_data_and_single_samples() -> None:
    for n in (1, 3):
        whole, larger = small(), small()
        a = whole.fit(X[:n], Y[:n], batch_size=n, epochs=2, verbose=0).history["loss"]
        b = larger.fit(X[:n], Y[:n], batch_size=1000, epochs=2, verbose=0).history["loss"]
        assert a == b
        np.testing.assert_array_equal(larger.predict(X[:n], batch_size=1000), whole.predict(X[:n], batch_size=1))
        assert larger.evaluate(X[:n], Y[:n], batch_size=1000, verbose=0) == pytest.approx(
            whole.evaluate(X[:n], Y[:n], batch_size=1, verbose=0), rel=1e-6
        )


@pytest.mark.promise(21)
def test_a_last_batch_of_one_sample() -> None:
    """21 samples in fives: batch normalization has a variance of 0 for the last, and a step is taken with it."""
    model = Sequential([BatchNormalization(input_shape=(4,), momentum=0.5), Dense(2)])
    model.compile("sgd", "mse")
    seen = np.zeros(4)
    for start in range(0, 21, 5):
        seen = 0.5 * seen + 0.5 * X[start : start + 5].mean(axis=0)
    assert np.isfinite(model.fit(X, Y, batch_size=5, shuffle=False, verbose=0).history["loss"][0])
    np.testing.assert_allclose(model.layers[0].get_weights()[2], seen, rtol=1e-5)
    assert np.isfinite(model.predict(X)).all()


class Empty(Sequence):
    def __len__(self) -> int:
        return 0


@pytest.mark.promise(21)
def test_no_samples_and_no_steps() -> None:
    none, few = (X[:0], Y[:0]), iter([(X, Y)] * 3)
    calls: list[Callable[[], Any]] = [
        lambda: small().fit(*none, verbose=0),
        lambda: small().fit(X, Y, validation_data=none, verbose=0),
        lambda: small().evaluate(*none, verbose=0),
        lambda: small().predict(none[0]),
        lambda: small().train_on_batch(*none),
        lambda: small().test_on_batch(*none),
        lambda: small().fit_generator(iter([none]), 1, verbose=0),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"expected at least one sample.*got"):
            call()
    calls = [
        lambda: small().fit(Empty(), verbose=0),
        lambda: small().fit(X, Y, verbose=0) and small().fit_generator(few, 3, verbose=0, validation_data=Empty()),
        lambda: small().evaluate(Empty(), verbose=0),
        lambda: small().predict(Empty()),
        lambda: small().fit_generator(few, 0, verbose=0),
        lambda: small().fit_generator(few, 1, verbose=0, validation_data=few, validation_steps=0),
        lambda: small().evaluate_generator(few, 0),
        lambda: small().predict_generator(few, steps=-1),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"expected at least one batch.*(has none|got .*=(0|-1))"):
            call()
    used_up = iter([(X, Y)])
    next(used_up)
    gave_none = pytest.raises(ValueError, match="expected at least one batch; the generator gave none. Is it used up")
    with pytest.warns(UserWarning, match="ran out of data after 0 batches"), gave_none:
        small().fit_generator(used_up, 2, verbose=0)
    with pytest.warns(UserWarning, match="ran out"), pytest.raises(ValueError, match="gave none"):
        small().evaluate_generator(used_up, 2)
    with pytest.warns(UserWarning, match="ran out"), pytest.raises(ValueError, match="gave none"):
        small().predict_generator(used_up, 2)


def test_a_generator_that_ends_at_the_end_of_an_epoch() -> None:
    with pytest.warns(UserWarning, match="ran out of data after 0 batches; 2 batches an epoch"):
        log = small().fit_generator(iter([(X, Y)] * 4), 2, epochs=9, verbose=0, validation_data=(X, Y))
    assert log.epoch == [0, 1] and len(log.history["val_loss"]) == 2


def test_a_sequence_that_changes_its_length() -> None:
    class Growing(Sequence):
        n = 1

        def __len__(self) -> int:
            return self.n

        def __getitem__(self, index: int) -> Any:
            return X[:5], Y[:5]

        def on_epoch_end(self) -> None:
            self.n += 1

    seen: list[Any] = []

    class Note(Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            seen.append([self.params["steps"], 0])

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            seen[-1][1] += 1

    small().fit(Growing(), epochs=3, verbose=0, callbacks=[Note()])
    assert seen == [[1, 1], [2, 2], [3, 3]]


OUT_OF_RANGE = """
import numpy as np
from keras_compat.layers import Conv1D, Dense, Embedding, GlobalMaxPooling1D
from keras_compat.models import Sequential
rng = np.random.RandomState(0)
words, labels = rng.randint(0, 7, (13, 5)), rng.randint(0, 3, 13)
layers = [Embedding(7, 4, input_length=5), Conv1D(3, 2), GlobalMaxPooling1D(), Dense(3, activation='softmax')]
model = Sequential(layers)
model.compile('adam', 'sparse_categorical_crossentropy', metrics=['accuracy'])
model.fit(words, labels, batch_size=4, epochs=2, verbose=0)
for bad_words, bad_labels in ((words + 1, labels), (words - 8, labels), (words, labels + 1), (words, labels - 1)):
    for method in (model.fit, model.train_on_batch, model.evaluate):
        try:
            method(bad_words, bad_labels)
        except (ValueError, IndexError) as error:
            text = str(error)
            assert ('0 to 2' if bad_words is words else '0 to 6 in') in text, text
        else:
            raise SystemExit(f'no error from {method.__name__}')
print(np.isfinite(model.predict(words)).all())
"""


@pytest.mark.slow
def test_numbers_out_of_range_never_reach_memory() -> None:
    """With Numba's own checks of bounds: none of them is needed."""
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_RANGE],
        capture_output=True,
        text=True,
        timeout=280,
        env=children.environment(NUMBA_BOUNDSCHECK="1", AUTOTENSOR_THREADS="1"),
    )
    assert done.returncode == 0 and done.stdout.strip().endswith("True"), done.stdout + done.stderr

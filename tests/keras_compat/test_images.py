"""Sources of pictures: iterators and what programs do with them, statistics, layouts, bad input.

What comes out of each option is compared with genuine Keras in ``test_images_genuine.py``, files in
``test_images_files.py``.
"""

from __future__ import annotations

import copy
import hashlib
import pickle
import sys
import threading
import tracemalloc
from typing import Any

import h5py
import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.layers import Dense, Flatten
from keras_compat.models import Sequential
from keras_compat.optimizers import RMSprop
from keras_compat.preprocessing import image
from keras_compat.preprocessing.image import ImageDataGenerator, Iterator, NumpyArrayIterator
from keras_compat.preprocessing.image.pictures import stretched
from keras_compat.utils import Sequence
from keras_compat.utils.io_utils import HDF5Matrix

pytestmark = pytest.mark.usefixtures("without_kernels")

RNG = np.random.RandomState(0)
X = (RNG.uniform(size=(10, 6, 5, 3)) * 255).astype("uint8")
Y = np.arange(10)
ALL: dict[str, Any] = {
    "rotation_range": 30,
    "width_shift_range": 0.2,
    "zoom_range": 0.2,
    "channel_shift_range": 20.0,
    "horizontal_flip": True,
    "brightness_range": (0.5, 1.5),
    "samplewise_center": True,
    "samplewise_std_normalization": True,
    "featurewise_center": True,
    "rescale": 0.5,
}


def changed(**flow: Any) -> NumpyArrayIterator:
    generator = ImageDataGenerator(rotation_range=30, horizontal_flip=True)
    return generator.flow(X, Y, **{"batch_size": 4, **flow})


# -- iterators --------------------------------------------------------------------------------------------------------


def test_an_iterator_is_a_sequence_and_goes_on_for_ever() -> None:
    it = changed(seed=1)
    assert isinstance(it, Sequence) and isinstance(it, Iterator) and len(it) == 3
    assert iter(it) is it and it.n == 10
    for _ in range(2):
        batches = [next(it) for _ in range(3)]
        assert [len(y) for _, y in batches] == [4, 4, 2]
        assert sorted(np.concatenate([y for _, y in batches])) == list(range(10))
        assert batches[0][0].dtype == K.floatx()
    next(it)
    it.reset()
    assert it.batch_index == 0 and len(next(it)[1]) == 4
    orders = []
    for _ in range(2):
        orders.append(np.concatenate([it[i][1] for i in range(3)]))
        it.on_epoch_end()
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10)) and list(orders[0]) != list(orders[1])
    for wrong in (3, -1):
        with pytest.raises(ValueError, match="has length 3"):
            it[wrong]


def test_two_with_one_seed_change_pictures_alike() -> None:
    """Pictures and their masks."""
    masks = ImageDataGenerator(rotation_range=30, horizontal_flip=True).flow(X[..., :1], batch_size=4, seed=8)
    for (x, _), mask in zip([next(it) for it in [changed(seed=8)] * 4], [next(masks) for _ in range(4)]):
        np.testing.assert_array_equal(x[..., :1], mask)


def test_threads_take_turns() -> None:
    alone = changed(seed=5)
    expected = {next(alone)[0].tobytes() for _ in range(24)}
    shared, found = changed(seed=5), []

    def work() -> None:
        for _ in range(6):
            found.append(next(shared))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {x.tobytes() for x, _ in found} == expected
    assert sorted(np.concatenate([y for _, y in found])) == sorted([*range(10)] * 8)


@pytest.mark.parametrize("copied", [lambda it: pickle.loads(pickle.dumps(it)), copy.copy, copy.deepcopy])
def test_copies_go_on_from_where_it_is(copied: Any) -> None:
    it = changed(seed=5)
    for _ in range(2):
        next(it)
    other = copied(it)
    for _ in range(5):
        (a, y), (b, z) = next(it), next(other)
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize("way", ["next", "place"])
def test_the_state_is_where_it_is(way: str) -> None:
    def take(it: Any, number: int) -> Any:
        return next(it) if way == "next" else it[number % 3]

    it, other = changed(seed=None), changed(seed=None)
    for number in range(2):
        take(it, number)
    state, drawn = it.get_state(), np.random.get_state()
    expected = [take(it, number) for number in range(2, 5)]
    other.set_state(pickle.loads(pickle.dumps(state)))
    np.random.set_state(drawn)
    for number, (x, y) in enumerate(expected, 2):
        a, b = take(other, number)
        np.testing.assert_array_equal(a, x)
        np.testing.assert_array_equal(b, y)
    with pytest.raises(ValueError, match="10 samples that training began with; got 7"):
        ImageDataGenerator().flow(X[:7]).set_state(state)


def test_plans_are_drawn_in_order_and_carried_out_anywhere() -> None:
    it, other = changed(seed=2), changed(seed=2)
    plans = [it.plan(i) for i in range(3)]
    np.random.seed(99)
    made = [it.carry_out(plan) for plan in reversed(plans)][::-1]
    for i in range(3):
        np.testing.assert_array_equal(made[i][0], other[i][0])


@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_iterators_of_programs(level: str) -> None:
    """As documents write them: ``next`` with the index generator, or only how a batch is made."""

    class Rows(Iterator):
        def __init__(self, x: Any):
            self.x = x
            super().__init__(len(x), 4, True, 3)

        def _get_batches_of_transformed_samples(self, index_array: Any) -> Any:
            return self.x[index_array] + np.random.uniform()

    class Old(Rows):
        def next(self) -> Any:
            with self.lock:
                found = next(self.index_generator)
            if level == "1.2":
                found, first, count = found
                assert count == len(found) and first in (0, 4, 8)
            return self._get_batches_of_transformed_samples(found)

    with api_level(level):
        a, b = Rows(np.arange(10)), Old(np.arange(10))
        for _ in range(7):
            np.testing.assert_array_equal(next(a), next(b))
        assert len(a) == 3 and a[0].shape == (4,)
        with pytest.raises(NotImplementedError, match="_get_batches_of_transformed_samples"):
            next(Iterator(3, 1, False, None))


def test_generators_of_programs() -> None:
    class Mine(ImageDataGenerator):
        def random_transform(self, x: Any, seed: Any = None) -> Any:
            return super().random_transform(x, seed) * 0 + np.random.randint(5)

        def standardize(self, x: Any) -> Any:
            return x + 100

    np.random.seed(0)
    x = next(Mine(horizontal_flip=True).flow(X, batch_size=10, shuffle=False))
    values = {float(v) for v in np.unique(x)}
    assert len(values) > 1 and values <= {100.0, 101.0, 102.0, 103.0, 104.0}


def test_the_level_is_that_of_the_making() -> None:
    with api_level("1.2"):
        old = ImageDataGenerator(rotation_range=40)
        it = old.flow(X, Y, batch_size=5, seed=1, shuffle=True)
        expected = [next(it)[1].tolist() for _ in range(4)]
        assert expected[:2] == expected[2:]  # Keras 1 shuffles once where the batch size divides
        assert old.interpolation_order == 0 and old.dim_ordering == "tf"
    found: list[Any] = []
    it = old.flow(X, Y, batch_size=5, seed=1)
    thread = threading.Thread(target=lambda: found.extend(next(it)[0] for _ in range(1)))
    thread.start()
    thread.join()
    assert set(np.unique(found[0])) <= set(np.unique(X).astype("float32"))  # nearest pixels only


# -- memory, arrays and their types -----------------------------------------------------------------------------------


def digests(*arrays: np.ndarray) -> list[str]:
    return [hashlib.sha256(a.tobytes()).hexdigest() for a in arrays]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int64"])
def test_arrays_are_neither_copied_nor_changed(dtype: str) -> None:
    x, weights = X.astype(dtype), np.linspace(0, 1, 10)
    before = digests(x, Y, weights)
    generator = ImageDataGenerator(**ALL)
    generator.fit(x, augment=True)
    it = generator.flow(x, Y, batch_size=4, sample_weight=weights)
    assert it.x is x
    for _ in range(3):
        batch, _, _ = next(it)
        assert batch.dtype == np.float32
        batch[:] = 0
    assert digests(x, Y, weights) == before


def test_memory_grows_by_batches_only() -> None:
    x = np.zeros((6000, 32, 32, 3), "uint8")  # 18 MB; 74 as float32
    generator = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True, rotation_range=10)
    tracemalloc.start()
    try:
        generator.fit(x)
        next(generator.flow(x, np.arange(len(x)), batch_size=100))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30e6


def test_the_type_that_is_asked_for() -> None:
    assert next(ImageDataGenerator(dtype="float64", rescale=1 / 3).flow(X)).dtype == np.float64
    generator = ImageDataGenerator(featurewise_center=True, dtype="float64")
    generator.fit(X)
    assert generator.mean.dtype == np.float64
    np.testing.assert_allclose(generator.mean.ravel(), X.mean(axis=(0, 1, 2)), rtol=1e-12)


def test_pictures_on_disk(tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", X)
    with h5py.File(tmp_path / "x.h5", "w") as stream:
        stream["x"] = X
    expected = [next(it) for it in [changed(seed=4)] * 4]
    with h5py.File(tmp_path / "x.h5") as stream:
        mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
        for x in (mapped, stream["x"], HDF5Matrix(str(tmp_path / "x.h5"), "x"), X.tolist()):
            it = ImageDataGenerator(rotation_range=30, horizontal_flip=True).flow(x, Y, batch_size=4, seed=4)
            for a, b in expected:
                found = next(it)
                np.testing.assert_array_equal(found[0], a)
                np.testing.assert_array_equal(found[1], b)


def test_standardize_changes_floats_in_place_as_keras_does() -> None:
    generator = ImageDataGenerator(rescale=0.5)
    x = X.astype("float32")
    assert generator.standardize(x) is x
    np.testing.assert_array_equal(x, X * 0.5)
    assert generator.standardize(X[0]).dtype == np.float32


# -- statistics -------------------------------------------------------------------------------------------------------


def test_statistics_of_many_pictures_do_not_drift() -> None:
    """Sums of float32, as Keras makes them, are off in the third digit here."""
    x = np.full((300, 64, 64, 1), 200, "uint8")
    x[::2] = 201
    generator = ImageDataGenerator(featurewise_center=True, featurewise_std_normalization=True)
    generator.fit(x)
    np.testing.assert_allclose(generator.mean.ravel(), 200.5, rtol=1e-6)
    np.testing.assert_allclose(generator.std.ravel(), 0.5, rtol=1e-6)


def test_whitened_pictures_are_not_correlated() -> None:
    x = RNG.normal(size=(400, 2, 3, 1)) @ np.array([[2.0]]) + RNG.normal(size=(400, 1, 1, 1))
    generator = ImageDataGenerator(zca_whitening=True, featurewise_center=True)
    generator.fit(x)
    white = next(generator.flow(x, batch_size=400)).reshape(400, 6)
    np.testing.assert_allclose(white.T @ white / 400, np.eye(6), atol=1e-3)
    np.testing.assert_allclose(generator.standardize(x.copy()).shape, x.shape)  # a batch at once


def test_what_is_not_fit_is_said() -> None:
    for option in ("featurewise_center", "zca_whitening"):
        generator = ImageDataGenerator(**{option: True, "featurewise_center": True})
        generator.mean = None if option == "featurewise_center" else np.zeros((1, 1, 3))
        with pytest.warns(UserWarning, match=f"specifies `{option}`, but it hasn't been fit"):
            generator.standardize(X[0].astype("float32"))


def test_options_that_need_others() -> None:
    with pytest.warns(UserWarning, match="`zca_whitening`, which overrides setting of `featurewise_center`"):
        generator = ImageDataGenerator(zca_whitening=True)
    assert generator.featurewise_center
    with pytest.warns(UserWarning, match="overrides setting of `featurewise_std_normalization`"):
        ImageDataGenerator(zca_whitening=True, featurewise_center=True, featurewise_std_normalization=True)
    with pytest.warns(UserWarning, match="`samplewise_std_normalization`, which overrides"):
        assert ImageDataGenerator(samplewise_std_normalization=True).samplewise_center
    with pytest.warns(UserWarning, match="`featurewise_std_normalization`, which overrides"):
        assert ImageDataGenerator(featurewise_std_normalization=True).featurewise_center
    with api_level("1.2"):
        assert not ImageDataGenerator(samplewise_std_normalization=True).samplewise_center


# -- layouts ----------------------------------------------------------------------------------------------------------


def test_channels_first_is_the_same_picture() -> None:
    first = X.transpose(0, 3, 1, 2).copy()
    options = {k: v for k, v in ALL.items() if not k.startswith("samplewise")}
    for words in ({"data_format": "channels_first"}, {"dim_ordering": "th"}):
        a = ImageDataGenerator(**{**options, **words})
        b = ImageDataGenerator(**options)
        a.fit(first)
        b.fit(X)
        np.testing.assert_allclose(
            next(a.flow(first, seed=1)).transpose(0, 2, 3, 1), next(b.flow(X, seed=1)), rtol=1e-4, atol=1e-4
        )


def test_a_layout_that_nobody_has_said_follows_the_pictures() -> None:
    first = X.transpose(0, 3, 1, 2)
    generator = ImageDataGenerator(featurewise_center=True)
    with pytest.warns(UserWarning, match="read as channels first"):
        generator.fit(first)
    assert generator.mean.shape == (3, 1, 1) and next(generator.flow(first)).shape == (10, 3, 6, 5)
    said = ImageDataGenerator(data_format="channels_last")
    with pytest.warns(UserWarning, match="1, 3 or 4 channels on axis 3"):
        said.flow(first)
    with pytest.warns(UserWarning, match="1, 3 or 4 channels on axis 3"):
        said.fit(first)


# -- one picture ------------------------------------------------------------------------------------------------------


def test_a_change_that_is_drawn_can_be_made_again() -> None:
    generator = ImageDataGenerator(**ALL)
    x = X[0].astype("float32")
    drawn = generator.get_random_transform(x.shape, seed=3)
    np.testing.assert_array_equal(generator.apply_transform(x, drawn), generator.random_transform(x, seed=3))
    assert generator.apply_transform(x, {}) is x


def test_functions_against_plain_numpy() -> None:
    x = X[0].astype("float32")
    axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    np.testing.assert_array_equal(image.flip_axis(x, 1), x[:, ::-1])
    np.testing.assert_array_equal(image.apply_affine_transform(x, tx=2, fill_mode="wrap")[:4], x[2:])
    np.testing.assert_allclose(image.apply_affine_transform(x, theta=360, **axes), x, atol=1e-3)
    np.testing.assert_array_equal(image.apply_channel_shift(x, 300.0, 2), np.full_like(x, x.max()))
    np.testing.assert_array_equal(
        image.apply_channel_shift(X[0], 0.5, 2)[0, 0], np.minimum(X[0, 0, 0] + 0.5, X[0].max())
    )
    np.testing.assert_array_equal(image.apply_brightness_shift(x, 0.0), np.zeros_like(x))
    np.testing.assert_array_equal(image.apply_brightness_shift(x, 1.0), np.trunc(stretched(x)))
    turned = image.apply_transform(x, np.array([[0, 1, 0], [-1, 0, 4], [0, 0, 1.0]]), 2, "constant", 7.0)
    np.testing.assert_array_equal(turned[5], 7.0)
    for i in range(5):
        for j in range(5):
            np.testing.assert_array_equal(turned[i, j], x[j, 4 - i])
    for function, words in (
        (image.random_rotation, {"rg": 0}),
        (image.random_shift, {"wrg": 0, "hrg": 0}),
        (image.random_shear, {"intensity": 0}),
        (image.random_zoom, {"zoom_range": (1, 1)}),
    ):
        np.testing.assert_array_equal(function(x, **words, **axes), x)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ImageDataGenerator(zoom_range=(1, 2, 3)), "`zoom_range` should be a float or"),
        (lambda: ImageDataGenerator(brightness_range=0.5), "`brightness_range` should be"),
        (lambda: ImageDataGenerator(fill_mode="edge"), "fill_mode must be one of 'constant', 'nearest'"),
        (lambda: ImageDataGenerator(interpolation_order=7), "one of 0 to 5; got 7"),
        (lambda: ImageDataGenerator(validation_split=1.5), "strictly between 0 and 1"),
        (lambda: ImageDataGenerator(data_format="last"), "Unknown data_format"),
        (lambda: ImageDataGenerator().fit(X[0]), "should have rank 4"),
        (lambda: ImageDataGenerator().fit(X[:0]), "at least one picture"),
        (lambda: ImageDataGenerator().flow(X[0]), "should have rank 4"),
        (lambda: ImageDataGenerator().flow(X, Y[:9]), "should have the same length"),
        (lambda: ImageDataGenerator().flow(X, Y, sample_weight=Y[:3]), "sample_weight` should have the same length"),
        (lambda: ImageDataGenerator().flow((X, Y[:3])), "should have the same length"),
        (lambda: ImageDataGenerator().flow(X, batch_size=0), "batch_size must be a positive number"),
        (lambda: ImageDataGenerator(validation_split=0.5).flow(X, Y, subset="test"), "Invalid subset name"),
        (lambda: ImageDataGenerator(validation_split=0.5).flow(X, Y, subset="training"), "different number of classes"),
        (lambda: image.apply_transform(X, np.eye(3)), "rank 3"),
        (lambda: image.apply_brightness_shift(X[0].transpose(2, 0, 1), 0.5), "channels on axis 2"),
        (lambda: image.random_zoom(X[0], 0.5), "`zoom_range` should be"),
        (lambda: image.random_brightness(X[0], 0.5), "brightness_range should be"),
        (lambda: image.array_to_img(X), "rank 3"),
        (lambda: image.array_to_img(X[0][..., :2]), "Unsupported channel number: 2"),
        (lambda: image.img_to_array(X), "Unsupported image shape"),
    ],
)
def test_bad_input_is_refused_where_it_is_given(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_without_scipy_and_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Keras does by default needs neither; the rest says which command brings it."""
    for name in ("scipy", "scipy.ndimage", "PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, name, None)
    generator = ImageDataGenerator(**ALL)
    generator.fit(X)
    next(generator.flow(X))
    with pytest.raises(ImportError, match="pip install scipy"):
        next(ImageDataGenerator(rotation_range=30, interpolation_order=3).flow(X))
    with pytest.raises(ImportError, match="pip install pillow"):
        image.array_to_img(X[0])


# -- training ---------------------------------------------------------------------------------------------------------


def is_bright() -> tuple[np.ndarray, np.ndarray]:
    x = RNG.uniform(0, 0.4, (48, 6, 5, 3))
    x[::2] += 0.4
    return (x * 255).astype("uint8"), np.arange(48) % 2 == 0


@pytest.mark.parametrize("level", ["1.2", "2.3"])
def test_training_on_changed_pictures(level: str) -> None:
    x, y = is_bright()
    with api_level(level):
        model = Sequential([Flatten(input_shape=(6, 5, 3)), Dense(1, activation="sigmoid")])
        model.compile(RMSprop(0.03), "binary_crossentropy")
        generator = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True, width_shift_range=0.2)
        if level == "1.2":
            found = model.fit_generator(generator.flow(x, y, batch_size=8), 48, 30, verbose=0)
            loss = model.evaluate_generator(generator.flow(x, y, batch_size=8), val_samples=48)
        else:
            found = model.fit(generator.flow(x, y, batch_size=8), epochs=30, verbose=0)
            loss = model.evaluate_generator(generator.flow(x, y, batch_size=8))
        assert found.history["loss"][-1] < 0.5 * found.history["loss"][0]
        assert loss < 0.5 * found.history["loss"][0]
        count = 48 if level == "1.2" else 3
        assert model.predict_generator(generator.flow(x, batch_size=20), count).shape == (48, 1)


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same() -> None:
    x, y = is_bright()
    found = []
    for workers in (0, 1, 3):
        np.random.seed(3)
        model = Sequential([Flatten(input_shape=(6, 5, 3)), Dense(1, activation="sigmoid")])
        model.compile("sgd", "binary_crossentropy")
        it = ImageDataGenerator(rescale=1 / 255, rotation_range=40).flow(x, y, batch_size=8, seed=5)
        model.fit_generator(it, epochs=3, verbose=0, workers=workers, use_multiprocessing=True)
        found.append(np.concatenate([w.ravel() for w in model.get_weights()]))
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])

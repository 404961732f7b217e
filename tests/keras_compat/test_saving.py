"""Files: layout, round trips, resuming, nothing lost, nothing half loaded."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import losses, metrics
from keras_compat.layers import Activation, Dense, Dropout, Input, Layer
from keras_compat.models import Model, Sequential, load_model
from keras_compat.optimizers import SGD, Adam
from keras_compat.saving import h5

RNG = np.random.default_rng(9)
X = RNG.normal(size=(20, 4)).astype("float32")
Y = np.eye(3)[RNG.integers(0, 3, 20)]


def trained(optimizer: Any = "adam") -> Sequential:
    model = Sequential([Dense(5, activation="relu", input_dim=4), Dropout(0.0), Dense(3, activation="softmax")])
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, Y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    return model


def test_model_round_trip_is_bit_exact(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m.h5")
    again = load_model(str(tmp_path / "m.h5"))
    assert again.predict(X).tobytes() == model.predict(X).tobytes()
    assert again.get_config() == model.get_config()
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert again.metrics_names == ["loss", "accuracy"]


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamax", "nadam"])
def test_training_goes_on_as_if_never_interrupted(tmp_path: Path, name: str) -> None:
    model = trained(SGD(0.1, momentum=0.9, decay=0.01) if name == "sgd" else name)
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    for m in (model, again):
        m.fit(X, Y, batch_size=8, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights()):
        assert a.tobytes() == b.tobytes()


def test_layout_is_that_of_keras_2_3_1(tmp_path: Path) -> None:
    trained().save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as f:
        assert f.attrs["keras_version"] == "2.3.1" and f.attrs["backend"] == "tensorflow"
        assert json.loads(f.attrs["model_config"])["class_name"] == "Sequential"
        training = json.loads(f.attrs["training_config"])
        assert set(training) == {
            "optimizer_config",
            "loss",
            "metrics",
            "weighted_metrics",
            "sample_weight_mode",
            "loss_weights",
        }
        weights = f["model_weights"]
        assert list(weights.attrs["layer_names"]) == [b"dense_1", b"dropout_1", b"dense_2"]
        assert list(weights["dense_1"].attrs["weight_names"]) == [b"dense_1/kernel:0", b"dense_1/bias:0"]
        assert weights["dense_1/dense_1/kernel:0"].shape == (4, 5)
        assert len(f["optimizer_weights"].attrs["weight_names"]) > 0


def test_weights_round_trip_and_from_a_model_file(tmp_path: Path) -> None:
    model = trained()
    model.save_weights(tmp_path / "w.h5")
    model.save(tmp_path / "m.h5")
    for name in ("w.h5", "m.h5"):
        other = Sequential.from_config(model.get_config())
        other.load_weights(tmp_path / name)
        assert other.predict(X).tobytes() == model.predict(X).tobytes()


def test_by_name(tmp_path: Path) -> None:
    source = Sequential([Dense(5, input_dim=4, name="one"), Dense(3, name="two")])
    source.save_weights(tmp_path / "w.h5")
    target = Sequential([Dense(5, input_dim=4, name="one"), Dense(7, name="other")])
    kept = target.layers[1].get_weights()[0]
    target.load_weights(tmp_path / "w.h5", by_name=True)
    np.testing.assert_array_equal(target.layers[0].get_weights()[0], source.layers[0].get_weights()[0])
    np.testing.assert_array_equal(target.layers[1].get_weights()[0], kept)
    narrow = Sequential([Dense(5, input_dim=4, name="one"), Dense(2, name="two")])
    with pytest.raises(ValueError, match="2 places"):
        narrow.load_weights(tmp_path / "w.h5", by_name=True)
    with pytest.warns(UserWarning, match="Skipping"):
        narrow.load_weights(tmp_path / "w.h5", by_name=True, skip_mismatch=True)
    with pytest.raises(ValueError, match="by_name is True"):
        narrow.load_weights(tmp_path / "w.h5", skip_mismatch=True)


def test_a_load_that_fails_changes_nothing_and_lists_everything(tmp_path: Path) -> None:
    Sequential([Dense(6, input_dim=4), Dense(3)]).save_weights(tmp_path / "w.h5")
    model = Sequential([Dense(5, input_dim=4), Dense(3)])
    before = model.get_weights()
    with pytest.raises(ValueError, match="3 places") as caught:
        model.load_weights(tmp_path / "w.h5")
    text = str(caught.value)
    assert "(4, 5)" in text and "(4, 6)" in text and "(6, 3)" in text and "Nothing was changed" in text
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="containing 2 layers into a model with 1 layers"):
        Sequential([Dense(5, input_dim=4)]).load_weights(tmp_path / "w.h5")


def test_saving_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.h5"
    model = trained()
    model.save(path)
    before = path.read_bytes()

    def fails(*args: Any) -> None:
        raise OSError("disk full")

    for where in ("write_weights", "write_list"):
        with monkeypatch.context() as patch:
            patch.setattr(h5, where, fails)
            with pytest.raises(OSError, match="disk full"):
                model.save(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fails)
        with pytest.raises(OSError, match="disk full"):
            model.save_weights(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.h5"]


def test_mode_and_links_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    model = trained()
    model.save(path)
    assert stat.S_IMODE(path.stat().st_mode) & 0o400
    os.chmod(path, 0o640)
    link = tmp_path / "link.h5"
    link.symlink_to(path)
    model.save(link)
    assert link.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o640


def test_overwrite_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.h5"
    model = trained()
    model.save_weights(path)
    before = path.read_bytes()
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    Sequential([Dense(1, input_dim=1)]).save_weights(path, overwrite=False)
    assert path.read_bytes() == before


def test_open_files_and_groups(tmp_path: Path) -> None:
    model = trained()
    with h5py.File(tmp_path / "many.h5", "w") as f:
        model.save(f.create_group("a"))
        model.save_weights(f.create_group("b"))
        with pytest.raises(ValueError, match="empty group"):
            model.save(f["a"])
    with h5py.File(tmp_path / "many.h5") as f:
        assert load_model(f["a"]).predict(X).tobytes() == model.predict(X).tobytes()


def test_without_optimizer(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m.h5", include_optimizer=False)
    with pytest.warns(UserWarning, match="No training configuration"):
        again = load_model(tmp_path / "m.h5")
    assert again.optimizer is None
    model.save(tmp_path / "m.h5")
    assert load_model(tmp_path / "m.h5", compile=False).optimizer is None


class Twice(Layer):
    """A user's layer."""

    def call(self, x: Any) -> Any:
        return 2 * x


def my_loss(y_true: Any, y_pred: Any) -> Any:
    return K.mean(K.abs(y_true - y_pred), axis=-1)


def test_custom_objects(tmp_path: Path) -> None:
    model = Sequential([Dense(3, input_dim=4), Twice()])
    model.compile("sgd", my_loss)
    model.train_on_batch(X, Y)
    model.save(tmp_path / "m.h5")
    with pytest.raises(ValueError, match="Twice"):
        load_model(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5", custom_objects={"Twice": Twice, "my_loss": my_loss})
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_shared_nested_and_branched_models(tmp_path: Path) -> None:
    shared = Dense(3, name="shared")
    inner = Sequential([Dense(4, input_dim=4), Activation("tanh")], name="inner")
    a, b = Input((4,), name="a"), Input((4,), name="b")
    model = Model([a, b], [shared(inner(a)), shared(inner(b))])
    model.compile(Adam(0.01), "mse")
    model.fit([X, X], [Y, Y], verbose=0)
    model.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    for p, q in zip(model.predict([X, -X]), again.predict([X, -X])):
        assert p.tobytes() == q.tobytes()
    assert again.metrics_names == model.metrics_names


def test_many_long_layer_names(tmp_path: Path) -> None:
    names = [f"{'x' * 900}_{i}" for i in range(90)]  # 80 kB of names: more than one attribute holds
    model = Sequential([Dense(1, input_dim=1, name=name) for name in names])
    model.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5") as f:
        assert "layer_names" not in f.attrs and "layer_names0" in f.attrs
    other = Sequential.from_config(model.get_config())
    other.load_weights(tmp_path / "w.h5")
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: None, "No model found"),
        (lambda f: f.attrs.__setitem__("model_config", "{"), "no JSON"),
        (lambda f: f.attrs.__setitem__("model_config", "[1]"), "no object"),
        (lambda f: f.attrs.__setitem__("model_config", '{"class_name": "os.system", "config": {}}'), "os.system"),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, make: Any, message: str) -> None:
    with h5py.File(tmp_path / "bad.h5", "w") as f:
        make(f)
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "bad.h5")


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="does not exist"):
        load_model(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(OSError):
        load_model(tmp_path / "text.h5")
    with pytest.raises(FileNotFoundError, match="folder"):
        trained().save(tmp_path / "no" / "such" / "m.h5")


def test_a_listed_but_missing_weight_is_an_error(tmp_path: Path) -> None:
    model = trained()
    model.save_weights(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "a") as f:
        layer = f[model.layers[0].name]
        del layer[f"{model.layers[0].name}/bias:0"]
    before = model.get_weights()
    with pytest.raises(ValueError, match="does not hold it"):
        model.load_weights(tmp_path / "w.h5")
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_loss_whose_class_has_the_name_of_a_metric(tmp_path: Path) -> None:
    model = Sequential([Dense(1, activation="sigmoid", input_dim=2)])
    model.compile("sgd", losses.BinaryCrossentropy(label_smoothing=0.2), metrics=[metrics.BinaryCrossentropy()])
    model.save(str(tmp_path / "m.h5"))
    again = load_model(str(tmp_path / "m.h5"))
    x, y = np.random.default_rng(2).random((6, 2)), np.ones((6, 1))
    assert isinstance(again.loss, losses.BinaryCrossentropy)
    np.testing.assert_allclose(again.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-6)


def test_no_weights_are_drawn_that_a_file_holds(tmp_path: Path) -> None:
    """Drawing them takes longer than reading, and would move the random numbers of the program."""
    model = Sequential([Dense(4, input_dim=3), Scaled(), Dense(2, kernel_initializer="orthogonal")])
    model.save(tmp_path / "model.h5")
    before = np.random.get_state()[2], np.random.get_state()[1].copy()
    again = load_model(tmp_path / "model.h5", custom_objects={"Scaled": Scaled})
    assert before[0] == np.random.get_state()[2]
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)


class Scaled(Layer):
    """A layer whose initializer may not be called while its values come from a file."""

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight("w", (input_shape[-1],), initializer=np.random.standard_normal)
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        return inputs * self.w


@pytest.mark.parametrize("ending", ["h5", "keras"])
@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_a_frozen_model_within_a_model_stays_frozen(tmp_path: Path, kind: str, ending: str) -> None:
    """2.3.1 forgets that; training would go on with other weights, and with a state of the optimizer that fits none."""
    inner: Any = Sequential([Dense(4, input_dim=3), Dense(3)])
    if kind == "functional":
        inner = Model(inner.inputs, inner.outputs)
    inner.trainable = False
    model = Sequential([Dense(3, input_dim=3), inner, Dense(1)])
    model.compile("adam", "mse")
    x = np.random.random((8, 3))
    model.train_on_batch(x, x[:, :1])
    model.save(tmp_path / f"model.{ending}")
    again = load_model(tmp_path / f"model.{ending}")
    assert len(again.trainable_weights) == len(model.trainable_weights) == 4
    for _ in range(2):
        assert model.train_on_batch(x, x[:, :1]) == again.train_on_batch(x, x[:, :1])

"""Every code block of five documents about Keras runs, in the dialect it is written in, and does what it says.

The code is the documents' own (``documents/``). Supplied from outside are: the names that a document takes as
imported before, the data it leaves to the reader (``X_train``, ``max_features``, a weight file...), and haste: ``fit``
and ``evaluate`` go over the first samples only, for a few epochs (``hurry``). Blocks that continue an earlier one run
in its namespace. What Keras 1 wrote runs at API level 1.2 and at the default level.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
import keras_compat
from keras_compat.dialect.level import api_level
from keras_compat.models import Model
from tests.keras_compat.documents.blocks import DOCUMENTS, REPAIRS, code_blocks, runnable, stored_blocks

SEEDS = Path(os.environ.get("KERAS_DOCUMENTS", Path(__file__).parents[3] / "shared" / "seeds"))

# What each test below runs: document -> numbers of its blocks.
PROGRAMS: dict[str, dict[str, list[int]]] = {
    "start": {
        "korean_keras1": [0, 1],
        "japanese_keras1": [0, 1],
        "korean_keras2": [0, 1],
        "chinese_keras2": [0, 1],
    },
    "shapes": {
        "korean_keras1": [2],
        "japanese_keras1": [2, 3, 4],
        "korean_keras2": [2, 3],
        "chinese_keras2": [2, 3],
    },
    "lstm_shapes": {"korean_keras1": [3], "japanese_keras1": [5, 6, 7]},
    "merge": {"korean_keras1": [4, 5], "japanese_keras1": [8, 9]},
    "compile": {"korean_keras1": [6], "japanese_keras1": [10], "korean_keras2": [4], "chinese_keras2": [4]},
    "train_softmax_of_one": {"korean_keras1": [7], "japanese_keras1": [11]},
    "train_binary": {"korean_keras2": [5], "chinese_keras2": [5]},
    "train_two_inputs": {"japanese_keras1": [12]},
    "train_classes": {"korean_keras2": [6], "chinese_keras2": [6]},
    "mlp": {"korean_keras1": [8], "japanese_keras1": [13], "korean_keras2": [7], "chinese_keras2": [7]},
    "mlp_again": {"korean_keras1": [9], "japanese_keras1": [14]},
    "mlp_binary": {"korean_keras1": [10], "japanese_keras1": [15]},
    "mlp_binary_trained": {"korean_keras2": [8], "chinese_keras2": [8]},
    "vgg": {"korean_keras1": [11], "japanese_keras1": [16], "korean_keras2": [9], "chinese_keras2": [9]},
    "lstm": {"korean_keras1": [12], "japanese_keras1": [17], "korean_keras2": [10], "chinese_keras2": [10]},
    "conv1d": {"korean_keras2": [11], "chinese_keras2": [11]},
    "captions": {"korean_keras1": [13], "japanese_keras1": [18]},
    "stacked": {"korean_keras1": [14], "japanese_keras1": [19], "korean_keras2": [12], "chinese_keras2": [12]},
    "stateful": {"korean_keras1": [15], "japanese_keras1": [20], "korean_keras2": [13], "chinese_keras2": [13]},
    "two_encoders": {"korean_keras1": [16], "japanese_keras1": [21]},
    "pipeline": {"korean_pipeline": [0, 1, 2, 3, 4]},
    "plot": {"korean_pipeline": [5]},
    "signatures": {"korean_pipeline": [6, 7, 8, 9]},
    "autoencoder": {"korean_pipeline": [10]},
    "save_and_load": {"korean_pipeline": [11]},
    "save_weights": {"korean_pipeline": [12]},
}

# Imports that the documents take for granted.
TAKEN_FOR_GRANTED = """
import numpy
import numpy as np
import keras_compat
from keras_compat.models import Sequential
from keras_compat.layers import Activation, Dense, Dropout, Embedding, Flatten, GRU, LSTM, Merge, RepeatVector
from keras_compat.layers import Convolution2D, MaxPooling2D
from keras_compat.layers.core import AutoEncoder, TimeDistributedDense
"""


def levels(document: str) -> tuple[str, ...]:
    """The API levels a document is run at: its own and the default."""
    if document.endswith("keras1"):
        return ("1.2", "2.3")
    return ("2.2", "2.3") if document.endswith("keras2") else ("2.3",)


def each(program: str) -> Any:
    """Parametrise a test by the documents that hold a program, and their levels; the same code runs once a level."""
    cases, seen = [], set()
    for document, numbers in PROGRAMS[program].items():
        for level in levels(document):
            code = (level, *[runnable(document, number) for number in numbers])
            if code not in seen:
                seen.add(code)
                cases.append((document, level))
    return pytest.mark.parametrize(("document", "level"), cases, ids=[f"{d}-{v}" for d, v in cases])


class Run:
    """What became of a program: its names, and what its calls of fit, evaluate and compile did."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.histories: list[dict[str, list[float]]] = []
        self.compiled: list[tuple[Any, list[str]]] = []
        self.models: list[Any] = []
        self.warnings: list[str] = []

    def __getitem__(self, name: str) -> Any:
        return self.names[name]

    @property
    def history(self) -> dict[str, list[float]]:
        """Of the one fit."""
        assert len(self.histories) == 1
        return self.histories[0]


def first(data: Any, samples: int) -> Any:
    if isinstance(data, (list, tuple)):
        return type(data)([first(part, samples) for part in data])
    return data[:samples]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """``play(program, document, level, samples=, epochs=, kernels=, **given)`` runs a program and gives its ``Run``."""
    monkeypatch.chdir(tmp_path)
    run = Run()
    limits = {"samples": 0, "epochs": 0}
    fit, evaluate, compile_, model_add = Model.fit, Model.evaluate, Model.compile, keras_compat.models.Sequential.add

    def hurried_fit(self: Any, x: Any, y: Any, **arguments: Any) -> Any:
        spelling = "nb_epoch" if "nb_epoch" in arguments else "epochs"
        arguments[spelling] = min(arguments[spelling], limits["epochs"])
        n = limits["samples"]
        if "validation_data" in arguments:
            arguments["validation_data"] = first(arguments["validation_data"], n)
        result = fit(self, first(x, n), first(y, n), verbose=0, **arguments)
        run.histories.append(result.history)
        return result

    def hurried_evaluate(self: Any, x: Any, y: Any, **arguments: Any) -> Any:
        return evaluate(self, first(x, limits["samples"]), first(y, limits["samples"]), verbose=0, **arguments)

    def recorded_compile(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = compile_(self, *args, **kwargs)
        run.compiled.append((self.loss, list(self.metrics_names)))
        return result

    def recorded_add(self: Any, layer: Any) -> Any:
        if not any(model is self for model in run.models):
            run.models.append(self)
        return model_add(self, layer)

    monkeypatch.setattr(Model, "fit", hurried_fit)
    monkeypatch.setattr(Model, "evaluate", hurried_evaluate)
    monkeypatch.setattr(Model, "compile", recorded_compile)
    monkeypatch.setattr(keras_compat.models.Sequential, "add", recorded_add)

    def play(
        program: str,
        document: str,
        level: str,
        samples: int = 64,
        epochs: int = 3,
        kernels: bool = False,
        before: str = "",
        **given: Any,
    ) -> Run:
        limits.update(samples=samples, epochs=epochs)
        np.random.seed(1337)
        run.names = {"__name__": "document", **given}
        at_once = "\n".join(runnable(document, number) for number in PROGRAMS[program][document])
        with api_level(level), at.config.use(numba=kernels), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            exec(TAKEN_FOR_GRANTED + before, run.names)
            exec(compile(at_once, f"{document}: {program}", "exec"), run.names)
        run.warnings = [str(w.message) for w in caught]
        return run

    return play


def accuracy_key(level: str) -> str:
    return "accuracy" if level == "2.3" else "acc"


def check_history(
    history: dict[str, list[float]], level: str, epochs: int, validated: bool = False, falls: bool = True
) -> None:
    """The keys that the level's fit with metrics=['accuracy'] logs, an entry an epoch, and a loss that falls."""
    keys = {"loss", accuracy_key(level)}
    assert set(history) == (keys | {f"val_{key}" for key in keys} if validated else keys)
    assert {len(values) for values in history.values()} == {epochs}
    assert np.isfinite(list(history.values())).all()
    assert history["loss"][-1] < history["loss"][0] or not falls


def check_random_targets(run: Run, level: str, epochs: int) -> None:
    """The documents make up targets whose rows do not sum to 1, which a cross-entropy takes all the same.

    It begins at the sum of a row times log(10). It then falls, but for Keras 2.3.1: TensorFlow's gradient there is
    softmax - target for such targets too, which is not that of the loss.
    """
    check_history(run.history, level, epochs, validated=True, falls=level != "2.3")
    at_first = run["y_train"][:64].sum(axis=1).mean() * np.log(10)
    assert run.history["loss"][0] == pytest.approx(at_first, rel=0.05)


def classes(samples: int, features: int, kinds: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples in clusters, one cluster a class, and the classes as rows of 0 and 1."""
    random = np.random.RandomState(3)
    y = np.eye(kinds, dtype="float32")[random.randint(kinds, size=samples)]
    return np.hstack([y, np.zeros((samples, features - kinds))]) + 0.2 * random.randn(samples, features), y


# -- the data -------------------------------------------------------------------------------------------------------


def test_the_blocks_are_those_of_the_documents() -> None:
    if not SEEDS.is_dir():
        pytest.skip(f"no folder {SEEDS}; KERAS_DOCUMENTS may name it")
    for document, beginning in DOCUMENTS.items():
        (path,) = SEEDS.glob(beginning + "*")
        assert stored_blocks(document) == code_blocks(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_is_run(document: str) -> None:
    run = [number for program in PROGRAMS.values() for number in program.get(document, [])]
    assert sorted(run) == list(range(len(stored_blocks(document))))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_repair_is_for_nothing(document: str) -> None:
    blocks = stored_blocks(document)
    for printed, meant in REPAIRS.get(document, []):
        assert any(printed in block for block in blocks), f"{printed!r} is not in the document"
        blocks = [block.replace(printed, meant) for block in blocks]
    for block in blocks:
        compile(block, document, "exec")
    for i, (printed, meant) in enumerate(REPAIRS.get(document, [])):
        if meant.startswith(("# ", "\n# ")) or not meant or printed[:2] in ("\\_", "\\(", "\\)"):
            others = REPAIRS[document][:i] + REPAIRS[document][i + 1 :]
            with pytest.raises(SyntaxError):
                compile("\n".join(_replaced(block, others) for block in stored_blocks(document)), document, "exec")


def _replaced(text: str, repairs: list[tuple[str, str]]) -> str:
    for printed, meant in repairs:
        text = text.replace(printed, meant)
    return text


# -- models and shapes ----------------------------------------------------------------------------------------------


@each("start")
def test_start(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("start", document, level)
    # the second model, layer by layer; the first was made from a list
    assert run["model"].output_shape == (None, 32)
    x = np.random.rand(3, 784).astype("float32")
    kernel, bias = run["model"].get_weights()
    np.testing.assert_allclose(run["model"].predict(x), np.maximum(x @ kernel + bias, 0), rtol=1e-4, atol=1e-5)


@each("shapes")
def test_shapes(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("shapes", document, level)
    assert len(run.models) == (3 if document.endswith("keras1") else 2)
    for model in run.models:
        assert (model.input_shape, model.output_shape) == ((None, 784), (None, 32))
        assert model.count_params() == 784 * 32 + 32


@each("lstm_shapes")
def test_lstm_shapes(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("lstm_shapes", document, level)
    assert len(run.models) == 3
    for model in run.models:
        assert (model.input_shape, model.output_shape) == ((None, 10, 64), (None, 32))
        assert model.count_params() == 4 * (64 * 32 + 32 * 32 + 32)


@each("merge")
def test_merge(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("merge", document, level)
    final = run["final_model"]
    assert final.output_shape == (None, 10)
    assert final.count_params() == 2 * (784 * 32 + 32) + 64 * 10 + 10
    x = [np.random.rand(5, 784).astype("float32") for _ in range(2)]
    kernel, bias = final.get_weights()[-2:]
    joined = np.concatenate([run["left_branch"].predict(x[0]), run["right_branch"].predict(x[1])], axis=1)
    scores = np.exp(joined @ kernel + bias)
    np.testing.assert_allclose(final.predict(x), scores / scores.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-5)
    # the last block: a user's function of the two
    difference = keras_compat.models.Sequential([run["merged"]])
    wanted = run["left_branch"].predict(x[0]) - run["right_branch"].predict(x[1])
    np.testing.assert_allclose(difference.predict(x), wanted, rtol=1e-4, atol=1e-5)


@each("compile")
def test_compile(play: Callable[..., Run], document: str, level: str) -> None:
    model = "model = Sequential([Dense(32, input_dim=784), Activation('relu'), Dense(10), Activation('softmax')])"
    run = play("compile", document, level, before=model)
    losses = ["categorical_crossentropy", "binary_crossentropy", "mse"]
    names = [["loss", accuracy_key(level)], ["loss", accuracy_key(level)], ["loss"]]
    if document.endswith("keras2"):
        losses.append("binary_crossentropy")
        names.append(["loss", accuracy_key(level), "mean_pred"])
    assert run.compiled == list(zip(losses, names))
    if document.endswith("keras2"):
        x, y = np.random.rand(8, 784), np.eye(10)[np.arange(8)]
        assert run["model"].evaluate(x, y)[2] == pytest.approx(0.1, rel=1e-4)  # mean of softmax over ten


# -- training -------------------------------------------------------------------------------------------------------


@each("train_softmax_of_one")
def test_train_softmax_of_one(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("train_softmax_of_one", document, level)
    # Softmax of one unit is always 1, so the loss is that of the zeros among the labels, -log(epsilon), for ever.
    share = 1 - run["labels"][:64].mean()
    assert set(run.history) == {"loss", accuracy_key(level)}
    np.testing.assert_allclose(run.history["loss"], share * 16, rtol=0.02)
    np.testing.assert_allclose(run.history[accuracy_key(level)], 1 - share, rtol=1e-5)


@each("train_binary")
def test_train_binary(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("train_binary", document, level, samples=200, epochs=4)
    check_history(run.history, level, epochs=4)
    assert run["model"].predict(run["data"][:5]).shape == (5, 1)


@each("train_two_inputs")
def test_train_two_inputs(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("train_two_inputs", document, level, epochs=6)
    check_history(run.history, level, epochs=6)
    assert run["labels"].shape == (1000, 10)


@each("train_classes")
def test_train_classes(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("train_classes", document, level, samples=200, epochs=4)
    check_history(run.history, level, epochs=4)
    np.testing.assert_array_equal(run["one_hot_labels"].argmax(axis=1), run["labels"][:, 0])


@each("mlp")
def test_mlp(play: Callable[..., Run], document: str, level: str) -> None:
    """This one runs with generated kernels, as a user's program would."""
    given = {}
    if document.endswith("keras1"):
        given = dict(zip(("X_train", "y_train"), classes(400, 20, 10))) | dict(
            zip(("X_test", "y_test"), classes(64, 20, 10))
        )
    run = play("mlp", document, level, samples=400, epochs=8, kernels=True, **given)
    check_history(run.history, level, epochs=8)
    assert run["model"].count_params() == 20 * 64 + 64 + 64 * 64 + 64 + 64 * 10 + 10
    assert len(run["score"]) == 2 and np.isfinite(run["score"]).all()
    sgd = run["sgd"].get_config()
    assert sgd["momentum"] == pytest.approx(0.9) and sgd["nesterov"] is True and sgd["decay"] == pytest.approx(1e-6)


@each("mlp_again")
def test_mlp_again(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("mlp_again", document, level, samples=400, epochs=4)
    assert [type(layer).__name__ for layer in run["model"].layers] == ["Dense", "Dropout"] * 2 + ["Dense"]
    run["model"].fit(*classes(400, 20, 10), epochs=4)
    check_history(run.history, level, epochs=4)
    assert type(run["model"].optimizer).__name__ == "Adadelta"


@each("mlp_binary")
def test_mlp_binary(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("mlp_binary", document, level, samples=400, epochs=4)
    first_kernel = run["model"].get_weights()[0]
    assert 0.04 < np.abs(first_kernel).max() <= 0.05  # init='uniform'
    x, y = classes(400, 20, 2)
    run["model"].fit(x, y[:, 1:], epochs=4)
    check_history(run.history, level, epochs=4)


@each("mlp_binary_trained")
def test_mlp_binary_trained(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("mlp_binary_trained", document, level, samples=500, epochs=10)
    check_history(run.history, level, epochs=10)
    assert len(run["score"]) == 2


@each("vgg")
def test_vgg(play: Callable[..., Run], document: str, level: str) -> None:
    given = {}
    if document.endswith("keras1"):  # images as (channels, rows, columns)
        given = {"X_train": np.random.rand(4, 3, 100, 100), "Y_train": np.eye(10)[[1, 2, 3, 4]]}
    run = play("vgg", document, level, samples=4, epochs=1, **given)
    model = run["model"]
    convolutions = 3 * 3 * (3 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 2 * (32 + 64)
    assert model.count_params() == convolutions + 64 * 22 * 22 * 256 + 256 + 256 * 10 + 10
    flatten = next(layer for layer in model.layers if type(layer).__name__ == "Flatten")
    shape = (None, 64, 22, 22) if document.endswith("keras1") else (None, 22, 22, 64)
    assert flatten.input_shape == shape
    about_order = [text for text in run.warnings if "channels first" in text]
    assert len(about_order) == (1 if document.endswith("keras1") else 0)
    assert all("input_shape=(3, 100, 100)" in text for text in about_order)
    assert list(run.history) == ["loss"] and np.isfinite(run.history["loss"]).all()
    if document.endswith("keras2"):
        assert np.isfinite(run["score"])


@each("lstm")
def test_lstm(play: Callable[..., Run], document: str, level: str) -> None:
    y = (np.arange(64) % 2)[:, None]
    x = np.random.RandomState(5).randint(0, 5, size=(64, 4)) + 5 * y  # words 0 to 4 or words 5 to 9
    if document.endswith("keras1"):
        given = {"max_features": 10, "maxlen": 4, "X_train": x, "Y_train": y, "X_test": x, "Y_test": y}
    else:
        given = {"max_features": 10, "x_train": x, "y_train": y, "x_test": x, "y_test": y}
    run = play("lstm", document, level, samples=64, epochs=4, **given)
    check_history(run.history, level, epochs=4)
    model = run["model"]
    assert model.count_params() == run["max_features"] * 256 + 4 * (256 * 128 + 128 * 128 + 128) + 128 + 1
    assert model.input_shape == ((None, 4) if document.endswith("keras1") else (None, None))
    assert len(run["score"]) == 2


@each("conv1d")
def test_conv1d(play: Callable[..., Run], document: str, level: str) -> None:
    length = 64 if document == "korean_keras2" else 32  # the first document sets it itself
    x = np.random.RandomState(6).rand(32, length, 100).astype("float32")
    y = np.random.RandomState(7).randint(2, size=(32, 1))
    x[y[:, 0] == 1] += 0.5
    run = play(
        "conv1d", document, level, samples=32, epochs=4, seq_length=length, x_train=x, y_train=y, x_test=x, y_test=y
    )
    check_history(run.history, level, epochs=4)
    steps = (length - 4) // 3 - 4
    assert [layer.output_shape for layer in run["model"].layers][4:6] == [(None, steps, 128), (None, 128)]


@each("captions")
def test_captions(play: Callable[..., Run], document: str, level: str) -> None:
    # The weights that the document loads: those of the same image model, written by the same lines.
    code = runnable(document, PROGRAMS["captions"][document][0])
    making, rest = code.split("# let's load the weights from a save file.")
    assert "load_weights" in rest
    saved: dict[str, Any] = {}
    with api_level(level), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(TAKEN_FOR_GRANTED + making, saved)
        saved["image_model"].save_weights("weight_file.h5")
    run = play(
        "captions",
        document,
        level,
        samples=2,
        epochs=1,
        images=np.random.rand(2, 3, 100, 100),
        partial_captions=np.random.randint(10000, size=(2, 16)),
        next_words=np.eye(10000)[[5, 7]],
    )
    assert run["image_model"].output_shape == (None, 16, 128)
    assert run["language_model"].output_shape == (None, 16, 128)
    assert run["model"].output_shape == (None, 10000)
    assert list(run.history) == ["loss"]
    assert run.history["loss"][0] == pytest.approx(np.log(10000), rel=0.2)
    words = run["model"].predict([np.random.rand(1, 3, 100, 100), np.ones((1, 16), dtype=int)])
    assert words.sum() == pytest.approx(1.0, rel=1e-4)


@each("stacked")
def test_stacked(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("stacked", document, level, samples=64, epochs=5)
    check_random_targets(run, level, epochs=5)
    assert [layer.output_shape for layer in run["model"].layers] == [(None, 8, 32)] * 2 + [(None, 32), (None, 10)]


@each("stateful")
def test_stateful(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("stateful", document, level, samples=64, epochs=5)
    check_random_targets(run, level, epochs=5)
    model, x = run["model"], run["x_train"][:32]
    model.reset_states()
    once, again = model.predict(x, batch_size=32), model.predict(x, batch_size=32)
    assert not np.allclose(once, again, atol=1e-6)  # the second went on from the states of the first
    model.reset_states()
    np.testing.assert_allclose(model.predict(x, batch_size=32), once, rtol=1e-5)


@each("two_encoders")
def test_two_encoders(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("two_encoders", document, level, samples=64, epochs=5)
    check_random_targets(run, level, epochs=5)
    assert run["decoder"].count_params() == 2 * 4 * (16 * 32 + 32 * 32 + 32) + 64 * 32 + 32 + 32 * 10 + 10


# -- the fifth document, which mixes the dialects -------------------------------------------------------------------


@each("pipeline")
def test_pipeline(play: Callable[..., Run], document: str, level: str, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.RandomState(1).rand(40, 2)
    y = (x.sum(axis=1) > 1).astype("float32")
    run = play(
        "pipeline",
        document,
        level,
        samples=40,
        epochs=20,
        X=x,
        y=y,
        x=x,
        Y=y,
        probabilities=np.array([0.2] * 20 + [0.9] * 20),
    )
    check_history(run.history, level, epochs=20)
    assert run["predictions"] == [0.0] * 20 + [1.0] * 20
    printed = capsys.readouterr().out
    assert f"Prediction Accuracy: {(np.array(run['predictions']) == y).mean() * 100:.2f}%" in printed
    assert "\nLoss: 0." in printed


@each("plot")
def test_plot(play: Callable[..., Run], document: str, level: str) -> None:
    model = "model = Sequential([Dense(3, input_dim=2)])"
    try:
        play("plot", document, level, before=model)
    except ImportError as error:
        # As in Keras, pictures need another program; the message must say which.
        assert "Graphviz" in str(error)
    else:
        assert Path("model.png").stat().st_size > 0


@pytest.mark.parametrize("number", PROGRAMS["signatures"]["korean_pipeline"])
def test_signatures(number: int) -> None:
    """The printed defaults, given to the layer as a call, are the defaults."""
    given = {"output_dim": 8, "nb_filter": 4, "filter_length": 3, "nb_row": 3, "nb_col": 2}
    code = runnable("korean_pipeline", number).strip()
    path = code[: code.index("(")].removeprefix("keras_compat.")
    with api_level("1.2"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layer = eval(code, {"keras_compat": keras_compat, **given})
        cls = eval(path, {**vars(keras_compat), "layers": keras_compat.layers})
        taken = [name for name in given if f"{name}," in code.replace("\n", "")]
        bare = cls(*[given[name] for name in taken])
    ours, wanted = layer.get_config(), bare.get_config()
    assert isinstance(layer, cls)
    assert {k: v for k, v in ours.items() if k != "name"} == {k: v for k, v in wanted.items() if k != "name"}


@each("autoencoder")
def test_autoencoder(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("autoencoder", document, level)
    x = np.random.rand(5, 32).astype("float32")
    # without reconstruction the output is the encoder's
    a, b, c, d = run["autoencoder"].get_weights()[:4]
    np.testing.assert_allclose(run["autoencoder"].predict(x), (x @ a + b) @ c + d, rtol=1e-3, atol=1e-5)
    assert run["autoencoder"].output_shape == (None, 8)


@each("save_and_load")
def test_save_and_load(play: Callable[..., Run], document: str, level: str) -> None:
    pytest.importorskip("yaml")
    model = "model = before = Sequential([Dense(3, input_dim=2), Activation('tanh')])"
    run = play("save_and_load", document, level, before=model)
    assert run["model"] is not run["before"]
    assert run["model"].get_config() == run["before"].get_config()


@each("save_weights")
def test_save_weights(play: Callable[..., Run], document: str, level: str) -> None:
    run = play("save_weights", document, level, before="model = Sequential([Dense(3, input_dim=2)])")
    kept = run["model"].get_weights()
    run["model"].set_weights([0 * w for w in kept])
    run["model"].load_weights("my_model_weight.h5")
    for w, k in zip(run["model"].get_weights(), kept, strict=True):
        np.testing.assert_array_equal(w, k)

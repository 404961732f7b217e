"""Whatever follows the API level stands in a row of docs/keras.md, and each row follows from some place in the source.

``READS`` says of every function that asks for the level which rows describe what it decides, ``ARGUMENTS`` the same of
defaults in the dialect's tables. A row is known by its first cell.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import keras_compat
from keras_compat.dialect import tables

ROOT = Path(keras_compat.__file__).resolve().parent
GUIDE = ROOT.parent / "docs" / "keras.md"
SECTION = "## What no spelling can tell: the API level"

# Rows that several places decide.
NAMES = '`metrics=["accuracy", "mae"]` are logged as'
BATCH_LOGS = "metrics and single losses in the logs of a batch"
FUNCTIONS = "functions of `keras_compat.metrics` give"
DIVIDED = "weighted and masked losses are divided by"
COUNTS = "second argument of `fit_generator` and the like, if either reading fits"
EPSILON = "default `epsilon` of optimizers"
PATIENCE = "`patience=2` of `EarlyStopping` and `ReduceLROnPlateau` waits for"
SCHEDULER = "`LearningRateScheduler`"
BARS = "`predict_classes` and `predict_proba` show a bar unless told"
SUMMARY = "`summary()`"
INITIALIZERS = "initializers under old words"
LOCAL = "default weights of `LocallyConnected1D`/`2D`, `MaxoutDense`, `SReLU`"
FIRST_LAYER = "`Sequential` without an input shape"
LIST = "`Sequential.layers`"
GATES = "gates of `LSTM` and `GRU` by default"
ORTHOGONAL = "recurrent weights by default"
IMPLEMENTATION = "`implementation` of `LSTM` and `GRU` by default: 2 has one dropout mask, others one for each gate"
BY_GATE = "weights of `LSTM`, `GRU`, `ConvLSTM2D`"
KERNELS = 'kernels of `Conv2D`, `K.conv2d` and the like after `set_image_data_format("channels_first")`'
SMALL = "a picture as small as (3, 8, 8) in a call of either line"
CROSSENTROPIES = "order of `K.categorical_crossentropy`, `K.binary_crossentropy` and the sparse one"
READINGS = "a call that both orders of arguments fit"
ZERO_EPSILON = "`RMSprop`, `Adagrad`, `Adadelta`"
ZERO_FIT = "a bare `fit`, `evaluate`, `predict`"
ZERO_NORM = "`BatchNormalization`"
ZERO_U = "U of `LSTM` and `GRU`"
ZERO_HIGHWAY = "`Highway`"
ZERO_CONV1D = "kernel of `Convolution1D`"
PIXELS = "`ImageDataGenerator` and `random_rotation` and its kin take"

READS: dict[str, tuple[str, ...]] = {
    "applications/_parts.py:in_keras_1": ("networks of `applications`",),
    "backend/_activations.py:scores_of": ("cross-entropies of a softmax or sigmoid",),
    "backend/_convolutions.py:_conv": ('`border_mode="same"`',),
    "backend/_convolutions.py:_layouts": (KERNELS,),
    "backend/common.py:layout_to_flatten": ('`Flatten()` after `set_image_data_format("channels_first")`',),
    "backend/_ctc.py:ctc_decode": ("equal labels beside each other in `K.ctc_decode(greedy=False)`",),
    "backend/_functions.py:function": ("unknown keywords of `K.function`",),
    "backend/_losses.py:_order_by_level.call": (CROSSENTROPIES,),
    "backend/_normalization.py:moving_average_update": ("moving averages begin",),
    "backend/_products.py:_batch_dot_over_samples": ("`K.batch_dot` over axis 0",),
    "backend/_products.py:batch_dot": ("`K.batch_dot` of rank 4 and more: leading axes that agree are",),
    "callbacks/watching.py:EarlyStopping.on_epoch_end": (PATIENCE,),
    "callbacks/watching.py:LearningRateScheduler._rate": (SCHEDULER,),
    "callbacks/watching.py:LearningRateScheduler.on_epoch_end": (SCHEDULER,),
    "callbacks/base.py:counted": ("callbacks count epochs in file names and messages from",),
    "callbacks/watching.py:ReduceLROnPlateau.__init__": ("`ReduceLROnPlateau(epsilon=...)`",),
    "callbacks/watching.py:ReduceLROnPlateau.on_epoch_end": (PATIENCE,),
    "callbacks/watching.py:Watch._goes_up": ('`mode="auto"` takes `fmeasure` for what should rise',),
    "commands/doctor.py:settings": (),  # these two say which level holds
    "commands/report.py:show": (),
    "dialect/images.py:follow.decided": (SMALL,),
    "dialect/install.py:translated.call": (INITIALIZERS, READINGS, CROSSENTROPIES, COUNTS),
    "dialect/legacy_layers.py:Highway.__init__": (ZERO_HIGHWAY,),
    "dialect/legacy_layers.py:Highway.build": (ZERO_HIGHWAY,),
    "dialect/legacy_layers.py:Merge._dot": ('`Merge(mode="cos")` of vectors gives',),
    "engine/data.py:standardize_weights": ("`class_weight` beside `sample_weight`",),
    "engine/layer.py:Layer.__init__": ("`input_spec` set before `super().__init__()`",),
    "datasets/_selection.py:generator": ("`load_data(seed=)` of IMDB, Reuters and Boston housing",),
    "datasets/_selection.py:words": ("`oov_char=None` of IMDB and Reuters leaves out",),
    "datasets/cifar.py:in_image_order": ("`load_data` of CIFAR",),
    "datasets/imdb.py:load_data": ("the reviews to test with of `imdb.load_data`", "`imdb.load_data` gives"),
    "datasets/reuters.py:load_data": ("`reuters.load_data` gives",),
    "engine/layer.py:Layer.__setattr__": ("layers and variables set as attributes of a layer are part of it",),
    "engine/layer.py:Layer._holds_state": (
        "moving averages of a frozen layer or model",
        "updates of a frozen layer",
    ),
    "engine/layer.py:class_name": (SUMMARY, "automatic names of layers"),
    "engine/layer.py:name_prefix": ("automatic names of layers",),
    "engine/network.py:_wrong_end": ("`Model` of tensors that no layer made",),
    "engine/objective.py:_base_name": (NAMES,),
    "engine/objective.py:make_slots": (BATCH_LOGS,),
    "engine/objective.py:weighted_loss": (DIVIDED,),
    "engine/sequential.py:Sequential._add_first": (FIRST_LAYER, LIST),
    "engine/sequential.py:_input_name": ("automatic names of layers",),
    "engine/sequential.py:Sequential.layers": (LIST,),
    "engine/training.py:Model._build_metrics": (BATCH_LOGS,),
    "engine/training.py:Model._build_objective": ("the loss in tests",),
    "engine/training.py:Model.metrics": ("`model.metrics`",),
    "layers/convolutional.py:_Transposed._set_output": ("an `output_shape` of `Conv2DTranspose` that is not whole",),
    "layers/convolutional.py:_kernel_format": (
        KERNELS,
        "kernel of `Conv1D`",
        "kernel of `Conv2DTranspose`",
        ZERO_CONV1D,
    ),
    "layers/convolutional_recurrent.py:ConvLSTM2DCell.__init__": (KERNELS,),
    "layers/convolutional_recurrent.py:ConvLSTM2DCell.build": (BY_GATE,),
    "layers/embeddings.py:Embedding.__init__": ("`dtype` of `Embedding` in configs",),
    "layers/normalization.py:BatchNormalization.__init__": (ZERO_NORM,),
    "layers/normalization.py:BatchNormalization.call": ("moving variance of `BatchNormalization`",),
    "layers/recurrent.py:DenseCell._build_gates": (BY_GATE, ZERO_U),
    "layers/recurrent.py:DenseCell._has_gate_weights": (BY_GATE,),
    "layers/wrappers.py:TimeDistributed.compute_mask": ("mask behind `TimeDistributed`",),
    "losses.py:cosine_proximity": ("`losses.cosine_proximity` of equal directions",),
    "metrics.py:_by_level": (FUNCTIONS,),
    "metrics.py:_in_top_k": ("those of the highest k, `top_k_categorical_accuracy` and the sparse one",),
    "metrics.py:cosine_proximity": ("`metrics.cosine_proximity` of equal directions",),
    "optimizers.py:Adam.get_config": ("`amsgrad` in the config of an `Adam` without it",),
    "optimizers.py:_Rooted._start": (ZERO_EPSILON,),
    "optimizers.py:_Rooted.get_config": (ZERO_EPSILON,),
    "optimizers.py:_Decayed.get_config": ("name of the rate in optimizer configs",),
    "optimizers.py:_default_epsilon": (EPSILON,),
    "preprocessing/image/generator.py:ImageDataGenerator.__init__": (
        PIXELS,
        "`ImageDataGenerator` draws",
        "`shear_range`",
        "a number above 1 as `width_shift_range`",
        "`samplewise_center` takes off",
        "`ImageDataGenerator.fit` with `rescale`",
        "options of `ImageDataGenerator` that need another",
    ),
    "preprocessing/image/iterator.py:Iterator.__init__": (
        "`next()` where the batch size divides the number of samples",
        '`class_mode="sparse"` gives',
    ),
    "preprocessing/image/pictures.py:_in_color": ("`load_img` in grey, of 16 and 32 bits",),
    "preprocessing/image/pictures.py:stretched": ("`array_to_img(scale=True)` stretches",),
    "preprocessing/image/transforms.py:_is_keras_1": (
        PIXELS,
        "`random_rotation` and its kin turn about the middle of",
    ),
    "preprocessing/text.py:Tokenizer._tfidf": ('`mode="tfidf"` of a `Tokenizer`',),
    "preprocessing/text.py:Tokenizer._words": ("`Tokenizer(char_level=True)`",),
    "preprocessing/text.py:Tokenizer.fit_on_sequences": ("texts counted by a `Tokenizer` that is fitted again",),
    "preprocessing/text.py:Tokenizer.fit_on_texts": ("texts counted by a `Tokenizer` that is fitted again",),
    "preprocessing/text.py:one_hot": ("`text.one_hot` takes hashes",),
    # What is written for Keras 1.2.2 from a model of another level.
    "saving/keras1_configs.py:_layer": (BY_GATE,),
    "saving/keras1_configs.py:_named": ("`losses.cosine_proximity` of equal directions",),
    "saving/keras1_configs.py:consume_less": (IMPLEMENTATION,),
    "saving/later_configs.py:_as_level_2": (BY_GATE, "`dtype` of `Embedding` in configs"),
    "utils/layer_utils.py:print_summary": (SUMMARY,),
    "utils/worker_process.py:settings": (),  # tells other processes which level holds
    "wrappers/scikit_learn.py:KerasRegressor.score": ("`KerasRegressor.score`",),
    "wrappers/_data.py:classes_of": ("whole labels of a `KerasClassifier` are",),
}

# Defaults of classes and functions, by the argument; those of one class only as "class.argument".
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "layers:BatchNormalization.epsilon": (ZERO_NORM,),
    "momentum": (ZERO_NORM,),
    "axis": ("`UnitNorm`",),
    "recurrent_activation": (GATES,),
    "recurrent_initializer": (ORTHOGONAL,),
    "implementation": (IMPLEMENTATION,),
    "kernel_initializer": (LOCAL,),
    "init": (LOCAL,),
    "a_left_init": (LOCAL,),
    "t_right_init": (LOCAL,),
    "epochs": ("epochs of a bare `fit(x, y)`", ZERO_FIT),
    "batch_size": (ZERO_FIT,),
    "verbose": (BARS,),
    "line_length": (SUMMARY,),
    "epsilon": (EPSILON, ZERO_EPSILON),
}
# What the package does not have yet needs no row.
NOT_THERE = ("preprocessing.image:",)


def readers(source: str, name: str) -> Iterator[str]:
    """Yield the functions of a module that ask for the level, as 'file:Class.method'."""

    def walk(node: ast.AST, place: tuple[str, ...]) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            inside = place
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inside = (*place, child.name)
            elif isinstance(child, ast.Call) and ast.unparse(child.func).rpartition(".")[2] in (
                "get_api_level",
                "is_keras_0",
            ):
                yield f"{name}:{'.'.join(place)}"
            yield from walk(child, inside)

    yield from walk(ast.parse(source), ())


def found_readers() -> set[str]:
    found: set[str] = set()
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        if name != "dialect/level.py":
            found.update(readers(path.read_text(encoding="utf-8"), name))
    return found


def rows(text: str) -> list[str]:
    """The first cells of the tables in the section on levels."""
    section = text.partition(SECTION)[2].partition("\n## ")[0]
    cells = re.findall(r"^\| ([^|]+) \|", section, flags=re.M)
    return [cell.strip() for cell in cells if cell.strip() and set(cell.strip()) != {"-"}]


def rows_of_default(path: str, word: str) -> tuple[str, ...]:
    return ARGUMENTS.get(f"{path}.{word}") or ARGUMENTS.get(word, ())


def test_every_place_that_asks_for_the_level_is_accounted_for() -> None:
    found = found_readers()
    assert sorted(found - set(READS)) == [], "these follow the level: a row in docs/keras.md, and an entry in READS"
    assert sorted(set(READS) - found) == [], "these ask for the level no more"


def test_every_default_by_level_is_accounted_for() -> None:
    missing = [
        f"{path}.{word}"
        for path, words in tables.DEFAULTS.items()
        for word in words
        if not path.startswith(NOT_THERE) and not rows_of_default(path, word)
    ]
    assert missing == []
    used = {word for words in tables.DEFAULTS.values() for word in words}
    assert not {key.rpartition(".")[2] for key in ARGUMENTS} - used


def test_rows_and_places_name_one_another() -> None:
    written = rows(GUIDE.read_text(encoding="utf-8"))
    assert len(written) == len(set(written))
    named = {row for table in (READS, ARGUMENTS) for listed in table.values() for row in listed}
    assert sorted(named - set(written)) == [], "no such row in docs/keras.md"
    assert sorted(set(written) - named) == [], "rows that nothing in the source decides"


def test_a_new_place_is_noticed() -> None:
    source = "class A:\n    def f(self):\n        return [level.get_api_level() for _ in range(2)]\nis_keras_0()\n"
    assert list(readers(source, "a.py")) == ["a.py:A.f", "a.py:"]


@pytest.mark.parametrize("text", [f"{SECTION}\n\n| | 1.2 |\n| --- | --- |\n| a `b` | 1 |\n\n## Next\n| c | 2 |\n"])
def test_rows_are_read(text: str) -> None:
    assert rows(text) == ["a `b`"]

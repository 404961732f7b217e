"""The TensorBoard callback: its files read bit by bit, and compared with what genuine Keras and TensorFlow write."""

from __future__ import annotations

import errno
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
import keras_compat
from keras_compat import callbacks as C
from keras_compat.callbacks import events, log_file, tensorboard
from keras_compat.layers import LSTM, BatchNormalization, Conv1D, Dense, Dropout, Embedding, Flatten, Input, add
from keras_compat.models import Model, Sequential
from tests.keras_compat import event_files as E

pytestmark = pytest.mark.usefixtures("without_kernels")

GENUINE = json.loads((Path(__file__).parent / "golden" / "callbacks" / "summaries.json").read_text())


def model() -> Any:
    """Return the model of genuine/write_summaries.py."""
    network = Sequential(
        [
            Embedding(20, 4, input_length=6, name="words"),
            Conv1D(2, 3, name="conv"),
            Flatten(name="flat"),
            Dense(8, activation="relu", name="first"),
            Dropout(0.5, name="drop"),
            Dense(3, activation="softmax", name="second"),
        ]
    )
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return network


def data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.RandomState(0)
    return random.randint(0, 20, (40, 6)), np.eye(3)[random.randint(0, 3, 40)]


def small(folder: Path, epochs: int = 2, **arguments: Any) -> tuple[Any, list[E.Value]]:
    """Train a small model; return it, and what was written of it."""
    network = Sequential([Dense(2, input_dim=3, name="a"), Dense(1, name="b")])
    network.compile("sgd", "mse")
    x, y = np.random.RandomState(0).standard_normal((12, 3)), np.ones(12)
    fitting = {"validation_split": 0.25, "batch_size": 4, **arguments.pop("fit", {})}
    network.fit(x, y, epochs=epochs, verbose=0, callbacks=[C.TensorBoard(folder, **arguments)], **fitting)
    return network, E.read_values(folder)


# -- the file ---------------------------------------------------------------------------------------------------------


def test_checksums() -> None:
    assert events.crc32c(b"123456789") == 0xE3069283  # RFC 3720
    assert events.crc32c(bytes(32)) == 0x8A9136AA
    for data in (b"", b"a", bytes(range(256))):
        assert events.crc32c(data) == E.crc32c(data)


def test_records_and_their_order(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small(tmp_path, epochs=1, histogram_freq=1)
    (path,) = tmp_path.glob("events.out.tfevents.*")
    found = E.read(path)  # compares checksums
    assert found[0][3] == [b"brain.Event:2"]
    assert 4 in found[1]  # the graph
    assert all(event[1][0] > 1.6e9 for event in found)  # seconds since 1970


@pytest.mark.parametrize("name", GENUINE["histograms"])
def test_histograms_are_tensorflows(name: str) -> None:
    genuine = GENUINE["histograms"][name]
    values = np.float32(genuine["of"])
    one = events.Histogram()
    for part in np.array_split(values, 3):
        one.add(part)
    (found,) = E.values_of({5: [events.histogram("x", one)]})
    limits, counts, numbers = found.content
    assert limits == genuine["limits"] and counts == genuine["counts"]
    assert np.allclose(numbers, genuine["numbers"], rtol=1e-12)


def test_what_is_not_finite_does_not_count() -> None:
    one = events.Histogram()
    one.add(np.array([1.0, np.nan, np.inf, -np.inf, 2.0]))
    assert one.counts.sum() == 2 and (one.least, one.most, one.total) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("name", GENUINE["pictures"])
def test_pictures_are_tensorflows(name: str) -> None:
    genuine = GENUINE["pictures"][name]
    array = np.float32(genuine["of"])
    array = array if array.ndim == 3 else array[..., None]
    (found,) = E.values_of({5: [events.images("x", array[None])]})
    assert found.tag == "x/image/0" and np.array_equal(found.content, genuine["shades"])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_of_bytes_stay_as_they_are(channels: int) -> None:
    picture = np.random.RandomState(0).randint(0, 256, (5, 7, channels)).astype(np.uint8)
    assert np.array_equal(E.pixels(events.png(picture)), picture)
    assert len(list(E.values_of({5: [events.images("x", np.stack([picture] * 5))]}))) == 3


# -- the callback -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GENUINE["trainings"])
def test_tags_and_steps_are_those_of_keras(tmp_path: Path, name: str) -> None:
    genuine = GENUINE["trainings"][name]
    x, y = data()
    callback = C.TensorBoard(tmp_path, embeddings_data=x[:10], **genuine["arguments"])
    model().fit(x, y, batch_size=16, epochs=3, validation_split=0.25, verbose=0, callbacks=[callback])
    found = sorted([v.step, v.tag, v.kind] for v in E.read_values(tmp_path) if v.kind != "tensor")
    assert found == genuine["told"]


def test_numbers_are_those_of_the_history(tmp_path: Path) -> None:
    network, found = small(tmp_path, epochs=3)
    history = network.history.history
    for name in ("loss", "val_loss"):
        assert [v.content for v in found if v.tag == name] == [np.float32(value) for value in history[name]]


def test_histograms_of_a_training(tmp_path: Path) -> None:
    network, found = small(tmp_path, epochs=1, histogram_freq=1, write_grads=True, write_images=True, batch_size=2)
    by_tag = {v.tag: v.content for v in found}
    kernel, bias = network.layers[0].get_weights()
    assert by_tag["a/kernel_0"][2] == pytest.approx(
        [kernel.min(), kernel.max(), 6, kernel.sum(), (kernel**2).sum()], rel=1e-6
    )
    x = np.random.RandomState(0).standard_normal((12, 3))[9:]
    out = x @ kernel + bias
    assert by_tag["a_out"][2] == pytest.approx([out.min(), out.max(), 6, out.sum(), (out**2).sum()], rel=1e-5)
    # The gradient of the mean square over the validation data, by hand.
    last = network.layers[1].get_weights()[0]
    gradient = out.T @ (2 * (out @ last + network.layers[1].get_weights()[1] - 1)) / 3
    assert by_tag["b/kernel_0_grad"][2][:4] == pytest.approx(
        [gradient.min(), gradient.max(), 2, gradient.sum()], rel=1e-5
    )
    assert by_tag["a/kernel_0_1/image/0"].shape == (2, 3, 1)  # it lies
    assert by_tag["a/bias_0_1/image/0"].shape == (2, 1, 1)
    assert "b/bias_0_1/image/0" not in by_tag  # one number is no picture, for Keras neither


def test_validation_data_of_a_generator_gives_histograms_of_weights(tmp_path: Path) -> None:
    def batches() -> Any:
        while True:
            yield np.ones((4, 3)), np.ones(4)

    network = Sequential([Dense(2, input_dim=3, name="a"), Dense(1, name="b")])
    network.compile("sgd", "mse")
    callback = C.TensorBoard(tmp_path, histogram_freq=1, update_freq="batch")
    with pytest.warns(UserWarning, match="cannot be a generator"):
        network.fit_generator(
            batches(), 3, 2, verbose=0, callbacks=[callback], validation_data=batches(), validation_steps=1
        )
    found = E.read_values(tmp_path)
    assert {v.tag for v in found if v.kind == "histo"} == {"a/kernel_0", "a/bias_0", "b/kernel_0", "b/bias_0"}
    assert [v.step for v in found if v.tag == "val_loss"] == [12, 24]
    assert [v.step for v in found if v.tag == "loss"] == [4, 8, 12, 12, 16, 20, 24, 24]


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    a, b = Input((3,), name="left"), Input((3,), name="right")
    shared = Dense(3, name="shared")
    both = add([shared(a), shared(b)], name="both")
    network = Model([a, b], [Dense(1, name="one")(both), Dense(2, name="two")(both)])
    network.compile("sgd", "mse")
    x = np.random.RandomState(0).standard_normal((8, 3))
    callback = C.TensorBoard(tmp_path, histogram_freq=1, write_grads=True)
    y = [x[:, :1], x[:, :2]]
    network.fit([x, x], y, validation_data=([x, x], y), verbose=0, callbacks=[callback])
    found = E.read_values(tmp_path)
    tags = {v.tag for v in found if v.kind == "histo"}
    assert {"both_out", "one_out", "two_out", "left_out", "shared/kernel_0_grad"} <= tags
    assert "shared_out" not in tags  # it has two
    (path,) = tmp_path.glob("events*")
    nodes = graph_of(path)
    assert nodes["shared/Dense"][1] == ["left", "shared/kernel", "shared/bias"]
    assert nodes["shared/Dense_1"][1] == ["right", "shared/kernel", "shared/bias"]
    assert nodes["both/Add"][1] == ["shared/Dense", "shared/Dense_1"]
    assert nodes["loss/total"] == ("AddN", ["loss/one_loss", "loss/two_loss"])


def graph_of(path: Path) -> dict[str, tuple[str, list[str]]]:
    """Return (operation, inputs) of the nodes of a file's graph, by name."""
    (graph,) = [event[4][0] for event in E.read(path, checked=False) if 4 in event]
    nodes = [E.fields(node) for node in E.fields(graph)[1]]
    return {n[1][0].decode(): (n[2][0].decode(), [i.decode() for i in n.get(3, [])]) for n in nodes}


def test_the_graph(tmp_path: Path) -> None:
    network = model()
    x, y = data()
    network.fit(x, y, verbose=0, callbacks=[C.TensorBoard(tmp_path)])
    (path,) = tmp_path.glob("events*")
    nodes = graph_of(path)
    assert nodes["words_input"] == ("Placeholder", [])
    assert nodes["conv/Conv1D"] == ("Conv1D", ["words/Embedding", "conv/kernel", "conv/bias"])
    assert nodes["conv/kernel"] == ("VariableV2", [])
    assert nodes["loss/second_loss"][1] == ["second/Dense", "second_target", "second_sample_weights"]
    assert nodes["training/Adam"][1][0] == "loss/total" and len(nodes["training/Adam"][1]) == 1 + 7
    known = set(nodes)
    assert all(source.partition(":")[0] in known for _, inputs in nodes.values() for source in inputs)
    (described,) = [v for v in E.read_values(tmp_path) if v.kind == "tensor"]
    assert described.tag == "keras" and json.loads(described.content[8][0])["class_name"] == "Sequential"


def test_write_graph_off_and_a_model_that_can_not_be_described(tmp_path: Path) -> None:
    small(tmp_path / "a", write_graph=False)
    (path,) = (tmp_path / "a").glob("events*")
    assert not any(4 in event for event in E.read(path))

    class Own(Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = Dense(1)

        def call(self, inputs: Any, mask: Any = None) -> Any:
            return self.dense(inputs)

    network = Own()
    network.compile("sgd", "mse")
    network.fit(
        np.ones((4, 3)), np.ones(4), verbose=0, callbacks=[C.TensorBoard(tmp_path / "b", 1)], validation_split=0.5
    )
    assert {v.kind for v in E.read_values(tmp_path / "b")} >= {"simple_value", "histo"}


def test_embeddings(tmp_path: Path) -> None:
    network = model()
    x, y = data()
    names = tmp_path / "names.tsv"
    callback = C.TensorBoard(
        tmp_path,
        embeddings_freq=1,
        embeddings_layer_names=["words", "first"],
        embeddings_data=x[:10],
        embeddings_metadata={"words": "names.tsv"},
        batch_size=4,
    )
    network.fit(x, y, verbose=0, callbacks=[callback])
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_name: "words_embedding:0"' in GENUINE["projector"] and 'tensor_name: "words_embedding:0"' in config
    assert config.count("embeddings {") == 2 and config.count(f'metadata_path: "{names.name}"') == 1
    rows = np.loadtxt(tmp_path / "words_embedding.tsv", delimiter="\t")
    expected = network.get_layer("words").get_weights()[0][x[:10]].reshape(10, -1)
    assert np.array_equal(np.float32(rows), expected)
    assert np.loadtxt(tmp_path / "first_embedding.tsv", delimiter="\t").shape == (10, 8)


def test_bad_arguments(tmp_path: Path) -> None:
    for wrong in ("step", 0, True, -1):
        with pytest.raises(ValueError, match="update_freq must be"):
            C.TensorBoard(update_freq=wrong)
    network, (x, y) = model(), data()
    with pytest.raises(ValueError, match="embeddings_data must be provided"):
        network.fit(x, y, verbose=0, callbacks=[C.TensorBoard(tmp_path, embeddings_freq=1)])
    callback = C.TensorBoard(tmp_path, embeddings_freq=1, embeddings_layer_names=["wrods"], embeddings_data=x)
    with pytest.raises(ValueError, match=r"got \['wrods'\]\. There are words, conv"):
        network.fit(x, y, verbose=0, callbacks=[callback])
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        network.fit(x, y, verbose=0, callbacks=[C.TensorBoard(tmp_path / "file")])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("l", 1, True, True), (32, True, False, True)),  # Keras 1's order
        (("l", 1, False), (32, False, False, False)),
        (("l", 1, 8, False, True, False), (8, False, True, False)),
        (("l", 1), (32, True, False, False)),
    ],
)
def test_positional_arguments_of_both_lines(arguments: Any, expected: Any) -> None:
    made = C.TensorBoard(*arguments)
    assert (made.batch_size, made.write_graph, made.write_grads, made.write_images) == expected
    assert C.TensorBoard("l", 0, write_graph=True, profile_batch=2).histogram_freq == 0


def test_each_training_has_a_file_and_custom_loops_need_none_of_fit(tmp_path: Path) -> None:
    network = model()
    callback = C.TensorBoard(tmp_path)
    x, y = data()
    for _ in range(2):
        network.fit(x, y, verbose=0, callbacks=[callback])
    network.evaluate(x, y, verbose=0, callbacks=[callback])
    assert len(list(tmp_path.glob("events*"))) == 2
    alone = C.TensorBoard(tmp_path / "loop")
    alone.set_model(network)
    for epoch in range(3):
        alone.on_epoch_end(epoch, {"d_loss": np.float32(epoch), "note": "text"})
    alone.on_train_end(None)
    assert [(v.step, v.content) for v in E.read_values(tmp_path / "loop") if v.tag == "d_loss"] == [
        (0, 0.0),
        (1, 1.0),
        (2, 2.0),
    ]


def test_a_training_that_goes_on_says_which_steps_are_written_again(tmp_path: Path) -> None:
    class Stop(C.Callback):
        def __init__(self, epoch: int):
            super().__init__()
            self.epoch = epoch

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            if len(self.model.history.epoch) == self.epoch:
                raise OSError("power is out")

    for epoch in (2, 3):
        with pytest.raises(OSError, match="power"):
            model().fit(*data(), epochs=5, verbose=0, callbacks=three(tmp_path, Stop(epoch)))
    model().fit(*data(), epochs=5, verbose=0, callbacks=three(tmp_path))
    found = sorted(tmp_path.glob("logs/events*"), key=lambda path: int(path.name.rpartition(".")[2]))
    losses = [[v.step for event in E.read(path) for v in E.values_of(event) if v.tag == "loss"] for path in found]
    # 40 samples an epoch, and one of its two batches when the power goes.
    assert losses == [[32, 40, 40, 72, 80, 80, 112], [112, 120, 120, 152], [152, 160, 160, 192, 200, 200]]
    begun = [[event for event in E.read(path) if 7 in event] for path in found]
    assert [[event[2] for event in events_of] for events_of in begun] == [[], [[81]], [[121]]]
    assert E.fields(begun[1][0][7][0]) == {1: [1]}


def three(folder: Path, *more: Any) -> list[Any]:
    return [C.TensorBoard(folder / "logs", update_freq="batch"), C.BackupAndRestore(folder / "backup"), *more]


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """Neither weights nor random numbers nor the states of layers."""

    def trained(callbacks: list[Any]) -> list[np.ndarray]:
        keras_compat.backend.clear_session()
        np.random.seed(3)
        at.random.seed(3)
        network = Sequential(
            [
                LSTM(3, stateful=True, batch_input_shape=(4, 5, 2), name="states"),
                BatchNormalization(),
                Dropout(0.5),
                Dense(1),
            ]
        )
        network.compile("adam", "mse")
        random = np.random.RandomState(0)
        x, y = random.standard_normal((12, 5, 2)), random.standard_normal((12, 1))
        network.fit(
            x[:8], y[:8], batch_size=4, epochs=3, verbose=0, validation_data=(x[8:], y[8:]), callbacks=callbacks
        )
        states = [keras_compat.backend.get_value(state) for state in network.get_layer("states").states]
        return [*network.get_weights(), *states, np.random.random(3)]

    looked = trained([C.TensorBoard(tmp_path, 1, write_grads=True, write_images=True)])
    for a, b in zip(trained([]), looked, strict=True):
        assert np.array_equal(a, b)
    assert len(E.read_values(tmp_path)) > 30


# -- disks ------------------------------------------------------------------------------------------------------------


class Full:
    """A disk with room for some bytes only, in the place of ``io.FileIO``."""

    def __init__(self, room: int):
        self.room = room
        self.real = log_file.io.FileIO

    def __call__(self, path: str, mode: str) -> Any:
        disk = self

        class File(self.real):  # type: ignore[misc, name-defined]
            def write(self, content: Any) -> int:
                if not disk.room:
                    raise OSError(errno.ENOSPC, "No space left on device")
                part = content[: disk.room]
                disk.room -= len(part)
                return super().write(part)

        return File(path, mode)


@pytest.mark.promise(38)
def test_a_full_disk_is_a_warning_and_leaves_whole_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file.io, "FileIO", Full(3000))
    with pytest.warns(UserWarning, match=r"\[TensorBoard\] could not write to .*No space left on device\. Training go"):
        network, found = small(tmp_path, epochs=30)
    assert len(network.history.history["loss"]) == 30
    assert 0 < len([v for v in found if v.tag == "loss"]) < 30
    (path,) = tmp_path.glob("events*")
    assert E.read(path)  # with all checksums


# -- other readers ----------------------------------------------------------------------------------------------------


def test_tensorboard_reads_it(tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    keras_util = pytest.importorskip("tensorboard.plugins.graph.keras_util")
    x, y = data()
    network = model()
    callback = C.TensorBoard(tmp_path, 1, write_grads=True, write_images=True, embeddings_freq=1, embeddings_data=x)
    network.fit(x, y, epochs=2, validation_split=0.25, verbose=0, callbacks=[callback])
    seen = accumulators.EventAccumulator(str(tmp_path))
    seen.Reload()
    tags = seen.Tags()
    assert tags["graph"] and set(tags["scalars"]) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert [e.value for e in seen.Scalars("loss")] == [np.float32(v) for v in network.history.history["loss"]]
    assert "second/kernel_0_grad" in tags["histograms"] and "second/kernel_0_1/image/0" in tags["images"]
    assert {node.name for node in seen.Graph().node} >= {"second/Dense", "loss/total"}
    described = json.loads(seen.Tensors("keras")[0].tensor_proto.string_val[0])
    assert any("conv" in node.name for node in keras_util.keras_model_to_graph_def(described).node)


def test_tensorboard_drops_what_is_written_again(tmp_path: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for first, last in ((0, 5), (3, 6)):
        writer = events.EventWriter(tmp_path)
        if first:
            writer.go_on_from(first)
        for step in range(first, last):
            writer.add_summary(events.scalar("loss", 10 * first + step), step)
        writer.close()
        assert writer.closed
    seen = accumulators.EventAccumulator(str(tmp_path))
    seen.Reload()
    assert [(e.step, e.value) for e in seen.Scalars("loss")] == [(0, 0), (1, 1), (2, 2), (3, 33), (4, 34), (5, 35)]


def test_the_projector_reads_it(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from google.protobuf import text_format
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    x, y = data()
    callback = C.TensorBoard(tmp_path, embeddings_freq=1, embeddings_data=x, embeddings_metadata='a "quoted\\name".tsv')
    model().fit(x, y, verbose=0, callbacks=[callback])
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (one,) = config.embeddings
    assert (one.tensor_name, list(one.tensor_shape)) == ("words_embedding:0", [40, 24])
    assert one.tensor_path == "words_embedding.tsv" and one.metadata_path == 'a "quoted\\name".tsv'


def test_names() -> None:
    assert keras_compat.callbacks.TensorBoard is tensorboard.TensorBoard
    assert len(tensorboard.graph_nodes(model())) > 10

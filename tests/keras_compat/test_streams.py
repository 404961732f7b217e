"""Logs that go elsewhere: rows of a CSV file, requests to a server."""

from __future__ import annotations

import errno
import http.server
import json
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_compat import callbacks as C
from keras_compat.callbacks import log_file, streams
from keras_compat.callbacks.log_file import LogFile
from keras_compat.dialect.level import api_level
from keras_compat.layers import Dense
from keras_compat.models import Sequential

pytestmark = pytest.mark.usefixtures("without_kernels")

GENUINE = json.loads((Path(__file__).parent / "golden" / "callbacks" / "keras-2.3.1.json").read_text())


def model(**compiled: Any) -> Any:
    network = Sequential([Dense(2, activation="softmax", input_dim=3)])
    network.compile("sgd", "categorical_crossentropy", **compiled)
    return network


X, Y = np.random.RandomState(0).standard_normal((12, 3)), np.eye(2)[[0, 1] * 6]


def rows(path: Path) -> list[list[str]]:
    text = path.read_bytes().decode()
    assert text.endswith("\r\n")
    return [line.split(",") for line in text.split("\r\n")[:-1]]


# -- CSVLogger: what it writes is compared with genuine Keras in test_callbacks.py ------------------------------------


@pytest.mark.parametrize("level", ["1.2", "2.2", "2.3"])
def test_a_training(tmp_path: Path, level: str) -> None:
    with api_level(level):
        network = model(metrics=["accuracy"])
        logger = C.CSVLogger(tmp_path / "log.csv")
        rate = C.LearningRateScheduler(lambda epoch: 0.01)
        network.fit(X, Y, epochs=3, batch_size=5, validation_split=0.25, verbose=0, callbacks=[rate, logger])
    history = network.history.history
    name = "accuracy" if level == "2.3" else "acc"
    names = [name, "loss", *(["lr"] if level != "1.2" else []), f"val_{name}", "val_loss"]
    found = rows(tmp_path / "log.csv")
    assert found[0] == ["epoch", *names]
    assert [row[0] for row in found[1:]] == ["0", "1", "2"]
    for column, key in enumerate(names, 1):
        assert np.allclose([float(row[column]) for row in found[1:]], history[key], rtol=1e-6)
    if level == "2.3":
        # A running metric is float32 in Keras's logs, the average of the validation a double.
        assert all(row[1] == str(np.float32(float(row[1]))) for row in found[1:])
    if level != "1.2":
        assert [row[3] for row in found[1:]] == ["0.01"] * 3
    assert [row[2] for row in found[1:]] == [str(value) for value in history["loss"]]


@pytest.mark.promise(38)
def test_the_header_comes_once(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for _ in range(2):
        model().fit(X, Y, epochs=2, verbose=0, callbacks=[C.CSVLogger(path, append=True)])
    assert [row[0] for row in rows(path)] == ["epoch", "0", "1", "0", "1"]
    path.write_bytes(b"")
    model().fit(X, Y, epochs=1, verbose=0, callbacks=[C.CSVLogger(path, append=True)])
    assert [row[0] for row in rows(path)] == ["epoch", "0"]
    model().fit(X, Y, epochs=1, verbose=0, callbacks=[C.CSVLogger(path)])
    assert len(rows(path)) == 2


@pytest.mark.promise(38)
def test_appended_rows_follow_the_columns_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"epoch,val_loss,loss\r\n0,1.5,2.5")  # the last row was not ended
    with pytest.warns(UserWarning, match=r"those of its first epoch: val_loss, loss\. Left out: accuracy\."):
        network = model(metrics=["accuracy"])
        network.fit(X, Y, epochs=1, verbose=0, callbacks=[C.CSVLogger(path, append=True)])
    assert rows(path) == [
        ["epoch", "val_loss", "loss"],
        ["0", "1.5", "2.5"],
        ["0", "NA", str(network.history.history["loss"][0])],
    ]


def test_values_that_some_epochs_do_not_have(tmp_path: Path) -> None:
    logger = C.CSVLogger(tmp_path / "log.csv")
    model().fit(X, Y, epochs=4, verbose=0, validation_split=0.25, validation_freq=2, callbacks=[logger])
    found = rows(tmp_path / "log.csv")
    assert found[0] == ["epoch", "loss", "val_loss"]
    assert [row[2] == "NA" for row in found[1:]] == [True, False, True, False]


@pytest.mark.promise(38)
@pytest.mark.parametrize("moment", ["epoch", "batch"])
def test_a_training_that_goes_on(tmp_path: Path, moment: str) -> None:
    """The process ends when a row is written, but the backup of its epoch is not, or in the middle of a row."""
    path = tmp_path / "log.csv"

    def train(*more: Any) -> Any:
        return model().fit(
            X,
            Y,
            epochs=5,
            batch_size=4,
            verbose=0,
            callbacks=[C.CSVLogger(path), *more, C.BackupAndRestore(tmp_path / "backup")],
        )

    class Stop(C.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 2:
                raise OSError("power is out")

    with pytest.raises(OSError, match="power"):
        train(Stop())
    assert [row[0] for row in rows(path)] == ["epoch", "0", "1", "2"]
    if moment == "batch":
        path.write_bytes(path.read_bytes()[:-9])
    history = train()
    found = rows(path)
    assert [row[0] for row in found] == ["epoch", "0", "1", "2", "3", "4"]
    assert [row[1] for row in found[1:]] == [str(value) for value in history.history["loss"]]


@pytest.mark.promise(38)
def test_a_file_that_can_not_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        model().fit(X, Y, verbose=0, callbacks=[C.CSVLogger(tmp_path / "no" / "log.csv")])


@pytest.mark.promise(38)
def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = log_file.io.FileIO

    class Full(real):  # type: ignore[misc, valid-type]
        def write(self, content: Any) -> int:
            if self.tell() + len(content) > 60:
                super().write(content[:5])
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

    monkeypatch.setattr(log_file.io, "FileIO", Full)
    with pytest.warns(UserWarning, match=r"\[CSVLogger\] could not write to .*log\.csv.*No space left .*Training goes"):
        history = model().fit(X, Y, epochs=9, verbose=0, callbacks=[C.CSVLogger(tmp_path / "log.csv")])
    assert len(history.history["loss"]) == 9
    found = rows(tmp_path / "log.csv")  # whole rows
    assert 2 <= len(found) < 9 and all(len(row) == 2 for row in found)


@pytest.mark.promise(38)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that Linux has")
def test_a_device_without_room() -> None:
    with pytest.warns(UserWarning, match="No space left"), LogFile("/dev/full", "CSVLogger") as file:
        file.write(b"row\r\n")
        assert file.closed


@pytest.mark.promise(38)
def test_a_disk_that_has_no_room_for_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(path: str, mode: str) -> Any:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(log_file.io, "FileIO", no_room)
    with pytest.warns(UserWarning, match="Disk quota exceeded"):
        history = model().fit(X, Y, verbose=0, callbacks=[C.CSVLogger(tmp_path / "log.csv")])
    assert history.epoch == [0]


# -- RemoteMonitor ----------------------------------------------------------------------------------------------------


class Answers(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent and answers with a status."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append({"path": self.path, "type": self.headers["Content-Type"], "body": body})  # type: ignore[attr-defined]
        self.server.headers.append(dict(self.headers))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made: Any = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    made.got, made.headers, made.status = [], [], 200
    made.root = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_requests_are_those_of_keras(server: Any) -> None:
    for more in ({}, {"path": "/x/", "field": "f"}, {"send_as_json": True}):
        C.RemoteMonitor(server.root, **more).on_epoch_end(3, {"loss": 0.5, "acc": 0.25, "name": "a&b c"})
    assert server.got == GENUINE["sent"]


def test_what_fit_sends(server: Any) -> None:
    monitor = C.RemoteMonitor(server.root, send_as_json=True, headers={"X-Run": "7"})
    network = model(metrics=["accuracy"])
    network.fit(X, Y, epochs=2, verbose=0, callbacks=[C.LearningRateScheduler(lambda epoch: 0.5), monitor])
    history = network.history.history
    assert [json.loads(sent["body"]) for sent in server.got] == [
        {"epoch": i, **{name: values[i] for name, values in history.items()}} for i in range(2)
    ]
    assert all(headers["X-Run"] == "7" for headers in server.headers)


def test_arrays_and_numbers_of_numpy(server: Any) -> None:
    C.RemoteMonitor(server.root, send_as_json=True).on_epoch_end(
        0, {"a": np.float32(0.5), "b": np.array([1, 2]), "c": np.array(3), "d": float("nan")}
    )
    assert json.loads(server.got[0]["body"]) == {
        "epoch": 0,
        "a": 0.5,
        "b": [1, 2],
        "c": 3,
        "d": pytest.approx(np.nan, nan_ok=True),
    }


def test_whatever_the_server_answers_is_fine(server: Any) -> None:
    server.status = 500
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        C.RemoteMonitor(server.root).on_epoch_end(0, {"loss": 1.0})
    assert len(server.got) == 1


@pytest.mark.parametrize("root", ["http://127.0.0.1:1", "file:///etc/hostname?", "ftp://127.0.0.1", "no address", ""])
def test_a_server_that_is_not_there_is_a_warning(root: str) -> None:
    with pytest.warns(UserWarning, match="Warning: could not reach RemoteMonitor root server at"):
        history = model().fit(X, Y, verbose=0, callbacks=[C.RemoteMonitor(root)])
    assert history.epoch == [0]


def test_a_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_SECONDS_FOR_AN_ANSWER", 0.1)
    # Takes connections, serves none.
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as silent, pytest.warns(UserWarning, match="not reach"):
        C.RemoteMonitor(f"http://127.0.0.1:{silent.server_port}").on_epoch_end(0, {"loss": 1.0})

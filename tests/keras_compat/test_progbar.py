"""The progress bar: Keras's look, few redraws, and output that fails."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_compat.layers import Dense
from keras_compat.models import Sequential
from keras_compat.utils import progbar
from keras_compat.utils.progbar import Progbar, show_value, step_time
from tests.keras_compat.children import environment


class Terminal(io.StringIO):
    """Standard output that says it is a terminal, or not."""

    def __init__(self, tty: bool = True):
        super().__init__()
        self.tty = tty
        self.writes = 0

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progbar, "_columns", lambda: 200)


def screen(monkeypatch: pytest.MonkeyPatch, tty: bool = True) -> Terminal:
    out = Terminal(tty)
    monkeypatch.setattr(sys, "stdout", out)
    return out


def test_look_of_the_bar(monkeypatch: pytest.MonkeyPatch, wide: None) -> None:
    out = screen(monkeypatch)
    bar = Progbar(100, interval=0.0)
    bar.update(50, [("loss", 1.0)])
    bar.update(100, [("loss", 3.0)])
    first, last = out.getvalue().strip("\r\n").split("\r")
    assert first.startswith(" 50/100 [==============>...............] - ETA: 0s - loss: 1.0000")
    assert last.startswith("100/100 [==============================] - 0s ")
    assert last.endswith("us/step - loss: 2.0000")
    assert out.getvalue().endswith("\n")


def test_stateful_values_are_shown_as_they_come(monkeypatch: pytest.MonkeyPatch, wide: None) -> None:
    out = screen(monkeypatch)
    bar = Progbar(10, interval=0.0, stateful_metrics=["acc"])
    bar.update(5, [("acc", 0.25)])
    bar.update(10, [("acc", 0.75)])
    assert "acc: 0.7500" in out.getvalue().split("\r")[-1]


@pytest.mark.promise(37)
def test_redraws_are_rare(monkeypatch: pytest.MonkeyPatch, wide: None) -> None:
    out = screen(monkeypatch)
    bar = Progbar(10_000, interval=60.0)
    for i in range(10_000):
        bar.update(i + 1)
    assert out.writes == 2  # the first and the last
    bar = Progbar(10_000, interval=60.0)
    for i in range(4):
        bar.update(i + 1, force=True)
    assert out.writes == 6  # each of them, as told


@pytest.mark.promise(37)
def test_at_most_ten_redraws_a_second(monkeypatch: pytest.MonkeyPatch, wide: None) -> None:
    out = screen(monkeypatch)
    clock = [0.0]
    monkeypatch.setattr(progbar.time, "perf_counter", lambda: clock[0])
    bar = Progbar(10_000)
    drawn = []
    for i in range(9_999):  # ten seconds
        bar.update(i + 1)
        drawn.append(out.writes)
        clock[0] += 0.001
    assert all(b - a <= 10 for a, b in zip(drawn, drawn[1000:])) and drawn[-1] > 90


def test_a_log_gets_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    out = screen(monkeypatch, tty=False)
    clock = [0.0]
    monkeypatch.setattr(progbar.time, "perf_counter", lambda: clock[0])
    bar = Progbar(100)
    for i in range(100):
        clock[0] += 0.5
        bar.update(i + 1)
    lines = out.getvalue().splitlines()
    assert [line.split("/")[0].strip() for line in lines] == ["21", "41", "61", "81", "100"]


@pytest.mark.promise(37)
def test_a_notebook_rewrites_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setenv("COLUMNS", "20")  # of the terminal that the server was started in
    out = screen(monkeypatch, tty=False)
    bar = Progbar(100, interval=0.0)
    for i in (50, 100):
        bar.update(i, [("a_metric_with_a_long_name", 2.0)])
    first, last = out.getvalue().split("\r")[1:]
    assert "[==============>...............]" in first and first.rstrip().endswith("a_metric_with_a_long_name: 2.0000")
    assert last.endswith("\n")


@pytest.mark.promise(37)
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="terminals of POSIX")
@pytest.mark.parametrize(("columns", "expected"), [(0, 80), (1, 10), (37, 37), (200, 200)])
def test_a_real_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, expected: int) -> None:
    termios = pytest.importorskip("termios")
    monkeypatch.delenv("COLUMNS", raising=False)
    master, slave = os.openpty()
    try:
        termios.tcsetwinsize(slave, (24, columns))
        with open(slave, "w", closefd=False) as out:
            monkeypatch.setattr(sys, "stdout", out)
            bar = Progbar(50, interval=0.0)
            for i in (25, 50):
                bar.update(i, [("loss", 0.5), ("accuracy", 0.25)])
            monkeypatch.undo()
        text = ""
        while not text.endswith("\n"):  # a terminal hands over what it has
            text += os.read(master, 10_000).decode()
    finally:
        os.close(master)
        os.close(slave)
    first, last = text.removeprefix("\r").removesuffix("\r\n").split("\r")
    assert len(first) <= expected - 1 and len(first) >= min(expected, 75) - 1
    assert last.startswith("50/50 [====") and last.endswith("accuracy: 0.2500")


@pytest.mark.promise(37)
@pytest.mark.parametrize(("value", "expected"), [("", 80), ("0", 80), ("-5", 80), ("wide", 80), ("33", 33), ("3", 10)])
def test_columns_of_the_environment(monkeypatch: pytest.MonkeyPatch, value: str, expected: int) -> None:
    monkeypatch.setenv("COLUMNS", value)
    screen(monkeypatch)  # no file that a terminal is behind
    assert progbar._columns() == expected


@pytest.mark.promise(37)
def test_a_log_gets_whole_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    out = screen(monkeypatch, tty=False)
    bar = Progbar(100)
    for i in range(100):
        bar.update(i + 1)
    text = out.getvalue()
    assert "\r" not in text and text.count("\n") == 1 and text.startswith("100/100 [=====")


def test_unknown_target(monkeypatch: pytest.MonkeyPatch, wide: None) -> None:
    out = screen(monkeypatch)
    Progbar(None).update(3, [("loss", 2.0)])
    assert "3/Unknown" in out.getvalue()


@pytest.mark.promise(37)
@pytest.mark.parametrize("columns", [10, 20, 40, 60, 80])
def test_a_narrow_terminal_is_not_overrun(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    out = screen(monkeypatch)
    monkeypatch.setattr(progbar, "_columns", lambda: columns)
    bar = Progbar(1000, interval=0.0)
    for i in (1, 500, 1000):
        bar.update(i, [("loss", 1.0), ("a_metric_with_a_long_name", 2.0)])
    *drawn, last = out.getvalue().split("\r")
    assert len(drawn) == 3 and all(len(line) < columns for line in drawn)
    # Nothing is written over the last line: it may wrap, and shows all there is.
    assert last.startswith("1000/1000 [===") and last.endswith("a_metric_with_a_long_name: 2.0000\n")


def test_values_and_times() -> None:
    assert [show_value(v) for v in (0.5, 1e-4, np.float32(2), 0.0, float("nan"))] == [
        "0.5000",
        "1.0000e-04",
        "2.0000",
        "0.0000e+00",
        "nan",
    ]
    assert [step_time(t) for t in (5e-5, 3e-3, 2.0)] == ["50us/step", "3ms/step", "2s/step"]


def small() -> tuple[Any, np.ndarray, np.ndarray]:
    model = Sequential([Dense(1, input_dim=2)])
    model.compile("sgd", "mse")
    return model, np.zeros((8, 2)), np.zeros(8)


@pytest.mark.promise(37)
def test_training_goes_on_without_output(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = small()
    closed = io.StringIO()
    closed.close()
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as broken:
        ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        for out in (closed, None, broken, ascii_only):
            monkeypatch.setattr(sys, "stdout", out)
            history = model.fit(x, y, epochs=2, verbose=1)
            assert len(history.history["loss"]) == 2
        monkeypatch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), write)  # what is still buffered has to go somewhere


@pytest.mark.promise(37)
@pytest.mark.skipif(sys.platform == "win32", reason="a pipe of POSIX")
def test_a_reader_that_leaves_does_not_end_the_training(tmp_path: Path) -> None:
    program = f"""
import numpy as np
from keras_compat.layers import Dense
from keras_compat.models import Sequential
model = Sequential([Dense(1, input_dim=2)])
model.compile("sgd", "mse")
for _ in range(3):
    model.fit(np.zeros((8, 2)), np.zeros(8), epochs=20, batch_size=1)
open({str(tmp_path / "done")!r}, "w").close()
"""
    line = f'"{sys.executable}" - | head -n 1'
    ended = subprocess.run(
        line, shell=True, input=program, text=True, capture_output=True, timeout=120, env=environment()
    )
    assert ended.stdout == "Epoch 1/20\n" and "Traceback" not in ended.stderr
    assert (tmp_path / "done").exists()


def test_verbose_2_prints_one_line_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = small()
    out = screen(monkeypatch, tty=False)
    model.fit(x, y, epochs=2, verbose=2)
    lines = out.getvalue().splitlines()
    assert lines[0] == "Epoch 1/2" and re.match(r" - \d+s - loss: ", lines[1]) and len(lines) == 4


def test_verbose_0_prints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = small()
    out = screen(monkeypatch)
    model.fit(x, y, epochs=2, verbose=0)
    model.evaluate(x, y, verbose=0)
    assert out.getvalue() == ""

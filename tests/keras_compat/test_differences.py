"""docs/differences.md says what every genuine Keras answered, and what we answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import keras_compat
from tests.keras_compat.genuine import differences

pytestmark = pytest.mark.usefixtures("without_kernels")

HERE = Path(__file__).resolve().parent
GENUINE: dict[str, dict[str, str]] = json.loads((HERE / "golden" / "differences.json").read_text())
LEVELS = {"1.2": "1.2.2", "2.2": "2.2.4", "2.3": "2.3.1"}
QUESTIONS = {question.__name__: question for question in differences.QUESTIONS}

# Where we do not do what the release of the level does, with the reason; the page shows the answer.
OTHERWISE = {
    "restored_when_stopped": "at level 1.2 too: a word of Keras 2 is understood everywhere",
    "restored_when_not_stopped": "the same",
    "best_without_monitor": "1.2.2 meant to warn",
    "told_of_ctrl_c": "files are closed and workers ended",
    "told_of_an_error": "the same",
    "loss_of_a_generator": "2.3.1 forgot the batches before the last",
    "generator_in_two_processes": "each sample exactly once",
}


def rows() -> list[list[str]]:
    """The cells of the first table of the page, without its head."""
    lines = (HERE.parents[1] / "docs" / "differences.md").read_text(encoding="utf-8").splitlines()
    first = lines.index("| --- | --- | --- | --- | --- | --- |") + 1
    last = next(i for i in range(first, len(lines)) if not lines[i].startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[first:last]]


@pytest.fixture(params=LEVELS)
def level(request: Any) -> Any:
    with keras_compat.api_level(request.param):
        yield request.param


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers_are_those_of_the_release(name: str, level: str) -> None:
    answer = QUESTIONS[name](differences.Keras("keras_compat"))
    row = rows()[list(QUESTIONS).index(name)]
    if name in OTHERWISE:
        assert answer == row[-1]
    else:
        assert answer == GENUINE[LEVELS[level]][name]


def test_the_page_has_the_answers() -> None:
    table = rows()
    assert len(table) == len(QUESTIONS)
    for name, row in zip(QUESTIONS, table):
        assert row[1:5] == [GENUINE[release][name] for release in (*LEVELS.values(), "tf.keras")], name
        assert (row[5] == "its level") == (name not in OTHERWISE), name

"""The gallery shows what was measured: pictures follow from the numbers, facts are those of the runs."""

from __future__ import annotations

import importlib.util
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "docs" / "gallery"
PAGE = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
RUNS = sorted(GALLERY.glob("*.json"))


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw", GALLERY / "draw.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_the_page_shows_each_run_as_it_was(path: Path, draw: ModuleType) -> None:
    run = json.loads(path.read_text(encoding="utf-8"))
    picture = path.with_suffix(".svg")
    assert picture.read_text(encoding="utf-8") == draw.picture(run, path.stem.replace("_", " ")), "run draw.py"
    assert f"](gallery/{picture.name})" in PAGE
    for fact in (run["data"], run["result"]):
        assert fact in PAGE, f"{path.name}: {fact}"


def test_every_example_is_in_the_gallery() -> None:
    missing = [path.name for path in (ROOT / "examples").glob("*.py") if f"({'../examples/' + path.name})" not in PAGE]
    assert missing == ["data_at_hand.py"]  # what the others read their data with


def test_curves_are_drawn_where_they_belong(draw: ModuleType, tmp_path: Path) -> None:
    history = {
        "loss": [4.0, 2.0, 1.0],
        "val_loss": [4.0, 3.0, 3.0],
        "acc": [0.2, 0.5, 0.9],
        "lr": [1, 1, 1],
        "data": "x",
    }
    (tmp_path / "a_run.json").write_text(json.dumps(history))
    draw.main(tmp_path)
    root = ElementTree.fromstring((tmp_path / "a_run.svg").read_text())
    words = [element.text for element in root if element.tag.endswith("text")]
    assert {"loss", "accuracy", "training", "validation", "epoch", "1", "3"} <= set(words) and "lr" not in words
    lines = [
        [tuple(map(float, point.split(","))) for point in element.attrib["points"].split()]
        for element in root
        if element.tag.endswith("polyline")
    ]
    loss, validation, accuracy = lines
    heights = [y for _, y in loss]
    assert [x for x, _ in loss] == [x for x, _ in validation] and loss[0] == validation[0]
    # Falling is downwards, and in proportion: from 4 to 2 is twice as far as from 2 to 1.
    assert (heights[1] - heights[0]) == pytest.approx(2 * (heights[2] - heights[1]), abs=0.2) and heights[0] < heights[
        2
    ]
    assert accuracy[0][1] > accuracy[2][1] and accuracy[0][0] > loss[2][0]
    width, height = map(float, re.findall(r"[\d.]+", root.attrib["viewBox"])[2:])
    assert all(0 <= x <= width and 0 <= y <= height for line in lines for x, y in line)


def test_axes_have_round_numbers(draw: ModuleType) -> None:
    assert draw.ticks(0.0, 1.0) == pytest.approx([0.0, 0.5, 1.0])
    assert draw.ticks(0.93, 0.99) == pytest.approx([0.94, 0.96, 0.98])
    assert draw.ticks(1, 50, 5) == pytest.approx([10, 20, 30, 40, 50])


def test_odd_runs_are_drawn_too(draw: ModuleType) -> None:
    for history in ({"loss": [1.0]}, {"loss": [2.0, 2.0]}, {"loss": [float("nan"), 1.0, 2.0]}):
        ElementTree.fromstring(draw.picture(history, "odd"))

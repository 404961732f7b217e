"""Drawings of models: boxes and arrows as genuine Keras has them, text that is right, and images from pip's program.

``summaries/drawings-*.json`` hold what genuine 1.2.2 and 2.3.1 made, with pydot, of the models in
``summaries/program.py``: labels of the boxes, and the arrows by the labels at their ends.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
import types
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import keras_compat as keras
from keras_compat import layers as L
from keras_compat.models import Model, Sequential
from keras_compat.utils import drawing as drawing_module
from keras_compat.utils import plot_model, vis_utils, visualize_util
from keras_compat.utils.drawing import PURE, Dot, Edge, Node, record
from keras_compat.utils.vis_utils import model_to_dot
from tests.keras_compat.test_summary import HERE, run_program

needs_program = pytest.mark.skipif(
    drawing_module._program("dot") is None, reason=f"needs Graphviz or the extra plot: pip install {PURE}"
)


def drawn(dot: Any) -> dict[str, Any]:
    """Labels, and arrows by the labels at their ends, frames included."""
    nodes: dict[str, str] = {}
    edges: list[tuple[str, str]] = []

    def visit(part: Any) -> None:
        nodes.update({n.get_name(): n.get_label() for n in part.get_nodes()})
        edges.extend([(e.get_source(), e.get_destination()) for e in part.get_edges()])
        for inner in part.get_subgraphs():
            visit(inner)

    visit(dot)
    return {"nodes": sorted(nodes.values()), "edges": sorted([nodes[a], nodes[b]] for a, b in edges)}


def once(edges: list[list[str]]) -> list[list[str]]:
    """Genuine Keras draws an arrow for each tensor, and Graphviz joins them; here there is one."""
    return [list(pair) for pair in sorted({(a, b) for a, b in edges})]


@pytest.mark.parametrize(("level", "release"), [("1.2", "1.2.2"), ("2.3", "2.3.1")])
def test_as_genuine_keras(level, release):
    wanted = json.loads((HERE / f"drawings-{release}.json").read_text())
    seen = []

    def show(title: str, model: Any, **_: Any) -> None:
        seen.append(title)
        for kind, made in (
            ("plain", model_to_dot(model)),
            ("shapes", model_to_dot(model, show_shapes=True)),
            ("expanded", model_to_dot(model, expand_nested=True, show_shapes=True)),
        ):
            if kind not in wanted[title] or (level, title, kind) in DIFFERENT:
                continue
            ours, theirs = drawn(made), wanted[title][kind]
            assert ours["nodes"] == theirs["nodes"], (title, kind)
            assert ours["edges"] == once(theirs["edges"]), (title, kind)
        if level == "2.3":
            assert drawn(model_to_dot(model, show_layer_names=False))["nodes"] == wanted[title]["classes"]

    run_program(level, show)
    assert set(seen) == set(wanted)


# Keras 1 draws the layers of a model that begins a Sequential, and a box for each branch before a Merge; here it is
# the other way round.
DIFFERENT = {
    ("1.2", title, kind)
    for title in ("sequential in sequential", "merge", "merge of merge")
    for kind in ("plain", "shapes")
}


def nested() -> Model:
    """Two models within, one with two inputs and outputs, one used twice: by itself and within a wrapper."""
    block = Sequential([L.Dense(4, input_shape=(8,), name="deep"), L.Activation("relu", name="act")], name="block")
    a, b = L.Input((8,), name="pair_a"), L.Input((8,), name="pair_b")
    pair = Model([a, b], [L.multiply([a, b], name="times"), L.subtract([a, b], name="minus")], name="pair")
    left, right, steps = L.Input((8,), name="left"), L.Input((8,), name="right"), L.Input((5, 8), name="steps")
    p, q = pair([left, right])
    joined = L.concatenate([block(p), q], name="joined")
    last = L.LSTM(3, name="lstm")(L.TimeDistributed(block, name="each")(steps))
    return Model([left, right, steps], L.concatenate([joined, last], name="end"), name="whole")


def test_models_in_frames():
    """Arrows lead to the very input that a tensor is given to, and from the very output."""
    dot = model_to_dot(nested(), expand_nested=True)
    frames = {frame.get_label(): frame for frame in dot.get_subgraphs()}
    assert len(dot.get_subgraphs()) == 2 and set(frames) == {"block", "pair"}
    names = {re.sub(":.*", "", label) for label in drawn(frames["block"])["nodes"]}
    assert names == {"deep_input", "deep", "act"}
    arrows = {tuple(re.sub(":.*", "", end) for end in pair) for pair in drawn(dot)["edges"]}
    assert {
        ("left", "pair_a"), ("right", "pair_b"), ("times", "deep_input"), ("minus", "joined"), ("act", "joined"),
        ("steps", "each"), ("each", "deep_input"), ("act", "lstm"), ("joined", "end"), ("lstm", "end"),
    } <= arrows  # fmt: skip
    assert len(arrows) == 10 + 2 + 4
    flat = drawn(model_to_dot(nested()))["nodes"]
    assert "each(block): TimeDistributed(Sequential)" in flat and not any("deep" in label for label in flat)


def test_what_programs_call_on_a_drawing(tmp_path):
    """pydot's names, without pydot."""
    dot = model_to_dot(Sequential([L.Dense(2, input_shape=(3,), name="a"), L.Dense(1, name="b")]), rankdir="LR")
    assert [n.get_label() for n in dot.get_node_list()] == ["a_input: InputLayer", "a: Dense", "b: Dense"]
    assert dot.get_rankdir() == "LR" and dot.get("dpi") == 96 and dot.get_name().startswith("sequential")
    dot.set_rankdir("TB")
    dot.set_node_defaults(color="red")
    first, *_, last = dot.get_nodes()
    first.set_fillcolor("blue")
    dot.add_node(Node("more", label="mine"))
    dot.add_edge(Edge(last, "more", style="dotted"))
    dot.add_edge(last.get_name(), "more")
    assert len(dot.get_edges()) == 3 and len(dot.get_edge(last, "more")) == 1 and dot.get_node("none") == []
    text = dot.to_string()
    assert 'rankdir="TB"' in text and 'color="red"' in text and 'fillcolor="blue"' in text and 'style="dotted"' in text
    assert dot.create(format="dot").decode() == dot.create_raw().decode() == str(dot) == text
    for name, write in (("a.dot", dot.write), ("b.gv", dot.write), ("c", dot.write_raw)):
        assert write(str(tmp_path / name)) and (tmp_path / name).read_text() == text
    with pytest.raises(AttributeError, match="nothing"):
        dot.nothing


def test_signs_of_the_language_in_names():
    """Braces, bars, quotes and backslashes in a layer's name draw no lines and end no text."""
    name = 'a{b}|c<d>"e"\\n'
    model = Sequential([L.Dense(2, input_shape=(3,), name=name)], name='quote " and \\')
    text = model_to_dot(model, show_shapes=True).to_string()
    assert record(name).replace('"', '\\"') in text and text.startswith('digraph "quote \\" and \\\\" {')
    assert record("a|b") == "a\\|b"


# -- images -----------------------------------------------------------------------------------------------------------


def pixels(png: bytes) -> np.ndarray:
    """Rows of an 8-bit PNG as (height, width, channels); checks the sums of all its parts."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, data, header = 8, b"", (0, 0, 0, 0, 0, 0, 0)
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + body),)
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            data += body
        at += 12 + size
    width, height, depth, color = header[:4]
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    assert depth == 8
    rows = np.frombuffer(zlib.decompress(data), "uint8").reshape(height, 1 + width * channels)
    out = np.zeros((height, width * channels), "uint8")
    for y in range(height):
        kind_of_row, row = rows[y, 0], rows[y, 1:].astype(int)
        above = out[y - 1].astype(int) if y else np.zeros_like(row)
        if kind_of_row == 2:
            row = row + above
        elif kind_of_row:
            for x in range(len(row)):
                left = int(row[x - channels]) % 256 if x >= channels else 0
                corner = int(above[x - channels]) if x >= channels else 0
                up = int(above[x])
                if kind_of_row == 1:
                    row[x] += left
                elif kind_of_row == 3:
                    row[x] += (left + up) // 2
                else:
                    guess = left + up - corner
                    row[x] += min((left, up, corner), key=lambda v: abs(guess - v))
        out[y] = row % 256
    return out.reshape(height, width, channels)


@needs_program
def test_a_png(tmp_path):
    """White paper with dark lines and letters, larger with more layers and with shapes."""
    small = Sequential([L.Dense(2, input_shape=(3,), name="a")])
    large = Sequential([L.Dense(2, input_shape=(3,), name="a"), L.Dense(2, name="b"), L.Dense(2, name="c")])
    sizes = []
    for i, (model, arguments) in enumerate([(small, {}), (large, {}), (large, {"show_shapes": True})]):
        path = tmp_path / f"{i}.png"
        assert plot_model(model, to_file=str(path), **arguments) is None
        image = pixels(path.read_bytes())
        gray = image[..., :3].mean(-1) if image.shape[-1] >= 3 else image[..., 0]
        assert 0.5 < (gray > 250).mean() < 0.99 and 0.001 < (gray < 60).mean() < 0.3
        sizes.append(gray.shape)
    assert sizes[0][0] < sizes[1][0] and sizes[1][1] < sizes[2][1]
    doubled = tmp_path / "dpi.png"
    plot_model(small, to_file=str(doubled), dpi=192)
    (height,) = struct.unpack(">I", doubled.read_bytes()[20:24])
    assert abs(height - 2 * sizes[0][0]) < 8


@needs_program
def test_an_svg(tmp_path):
    """Every box, arrow and frame is in it."""
    model = nested()
    plot_model(model, str(tmp_path / "m.svg"), expand_nested=True)
    for content in ((tmp_path / "m.svg").read_bytes(), model_to_dot(model, expand_nested=True).create("dot", "svg")):
        root = ET.fromstring(content)
        space = {"s": "http://www.w3.org/2000/svg"}
        kinds = [g.get("class") for g in root.iterfind(".//s:g", space)]
        assert kinds.count("node") == 7 + 4 + 3 and kinds.count("edge") == 16 and kinds.count("cluster") == 2
        texts = {text.text for text in root.iterfind(".//s:text", space)}
        assert {"lstm: LSTM", "deep: Dense", "block", "pair"} <= texts
    shown = model_to_dot(model)._repr_svg_()
    assert shown is not None and "<svg" in shown


@needs_program
def test_other_formats(tmp_path):
    model = Sequential([L.Dense(2, input_shape=(3,), name="a{b}")])
    for name, magic in (("m.jpg", b"\xff\xd8\xff"), ("m.PNG", b"\x89PNG"), ("m", b"\x89PNG")):
        visualize_util.plot(model, to_file=str(tmp_path / name), show_shapes=True)
        assert (tmp_path / name).read_bytes().startswith(magic)
    assert model_to_dot(model).create_png(prog=["dot", "-Gdpi=50"]).startswith(b"\x89PNG")
    assert model_to_dot(model).create(prog="neato", format="svg").startswith(b"<?xml")
    with pytest.raises(OSError, match=r"made no nonsense.*Take png or svg"):
        plot_model(model, str(tmp_path / "m.nonsense"))
    assert not (tmp_path / "m.nonsense").exists()


@needs_program
def test_a_notebook_shows_what_was_plotted(tmp_path, monkeypatch):
    display: Any = types.ModuleType("IPython.display")
    display.Image = lambda filename: ("image", filename)
    display.SVG = lambda filename: ("svg", filename)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    model = Sequential([L.Dense(2, input_shape=(3,))])
    for name, wanted in (("m.png", "image"), ("m.svg", "svg")):
        assert keras.utils.plot_model(model, str(tmp_path / name)) == (wanted, str(tmp_path / name))
    assert plot_model(model, str(tmp_path / "m.dot")) is None


def test_which_program(monkeypatch, tmp_path):
    """A `dot` on the path comes first, then that of the extra, on the path or beside Python; else one line helps."""

    def installed(*names: str) -> Callable[..., str | None]:
        return lambda name, path=None: f"{path or 'bin'}/{name}" if f"{path}:{name}" in names else None

    scripts = "SCRIPTS"
    monkeypatch.setattr(drawing_module.sysconfig, "get_path", lambda kind: scripts)
    monkeypatch.setattr(drawing_module.sys, "executable", "SCRIPTS/python")
    beside = f"{scripts}{drawing_module.os.pathsep}SCRIPTS"
    for there, wanted in (
        (("None:dot", f"None:{PURE}"), ["bin/dot"]),
        ((f"None:{PURE}",), [f"bin/{PURE}", "-Kdot"]),
        ((f"{beside}:{PURE}",), [f"{beside}/{PURE}", "-Kdot"]),
        ((), None),
    ):
        monkeypatch.setattr(shutil, "which", installed(*there))
        assert drawing_module._program("dot") == wanted
    with pytest.raises(ImportError, match=f"pip install {PURE}") as caught:
        plot_model(Sequential([L.Dense(2, input_shape=(3,))]), str(tmp_path / "m.png"))
    assert "\n" not in str(caught.value) and not (tmp_path / "m.png").exists()
    assert Dot()._repr_svg_() is None and vis_utils.pydot is None


def test_a_system_program_that_fails(monkeypatch, tmp_path):
    """What it says stands in the error, and no file is made."""
    failed = subprocess.CompletedProcess([], 1, b"", b"Error: out of ink\nmore")
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"/bin/{name}")
    monkeypatch.setattr(drawing_module.subprocess, "run", lambda *args, **kwargs: failed)
    with pytest.raises(OSError, match="dot made no png: Error: out of ink"):
        plot_model(Sequential([L.Dense(2, input_shape=(3,))]), str(tmp_path / "m.png"))
    assert not (tmp_path / "m.png").exists()

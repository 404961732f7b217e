"""Graphs, tapes, plans and gradients as text, and as pictures in DOT, which a parser of this file reads."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig

import numpy as np
import pytest

import autotensor as at
from autotensor import config

# -- a parser of the part of DOT that is used here: https://graphviz.org/doc/info/lang.html ---------------------------

_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(->|[{}\[\]=;,])|([A-Za-z_][A-Za-z_0-9]*|-?\d+(?:\.\d+)?))')


class Dot:
    """A digraph: nodes and their attributes, edges, clusters as {path of labels: names of nodes}."""

    def __init__(self, text: str):
        self.tokens: list[str] = []
        at_ = 0
        text = text.rstrip()
        while at_ < len(text):
            found = _TOKEN.match(text, at_)
            if found is None:
                raise ValueError(f"no DOT at {text[at_ : at_ + 30]!r}")
            self.tokens.append(found.group().strip())
            at_ = found.end()
        self.nodes: dict[str, dict[str, str]] = {}
        self.edges: list[tuple[str, str]] = []
        self.clusters: dict[tuple[str, ...], list[str]] = {}
        self.take("digraph")
        self.name = plain(self.take())
        self.block(())
        if self.tokens:
            raise ValueError(f"more after the graph: {self.tokens[:3]}")

    def take(self, wanted: str | None = None) -> str:
        token = self.tokens.pop(0)
        if wanted is not None and token != wanted:
            raise ValueError(f"expected {wanted}; got {token}")
        return token

    def block(self, path: tuple[str, ...]) -> None:
        self.take("{")
        inside: list[str] = []
        while self.tokens[0] != "}":
            first = self.take()
            if first == "subgraph":
                name = plain(self.take())
                assert name.startswith("cluster")
                self.block((*path, name.rpartition("/")[2]))
                continue
            if self.tokens[0] == "->":
                self.take("->")
                self.edges.append((plain(first), plain(self.take())))
            elif self.tokens[0] == "[":
                values = self.attributes()
                if first not in ("node", "edge"):
                    self.nodes[plain(first)] = values
                    inside.append(plain(first))
            else:
                self.take("=")
                self.take()
            self.take(";")
        self.take("}")
        if path:
            self.clusters[path] = inside

    def attributes(self) -> dict[str, str]:
        self.take("[")
        found = {}
        while self.tokens[0] != "]":
            key = self.take()
            self.take("=")
            found[key] = plain(self.take())
            if self.tokens[0] == ",":
                self.take(",")
        self.take("]")
        return found

    def operations(self) -> dict[str, str]:
        """Names of operations by node."""
        return {k: v["label"].split("\n")[0] for k, v in self.nodes.items() if v.get("shape") == "box"}


def plain(token: str) -> str:
    if token.startswith('"'):
        return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], token[1:-1])
    return token


def read(text: str) -> Dot:
    dot = Dot(text)
    assert all(a in dot.nodes and b in dot.nodes for a, b in dot.edges), "an edge to nowhere"
    return dot


def test_the_parser_finds_faults():
    for bad in ('digraph "g" { a -> ; }', 'digraph "g" { a [label="x]; }', 'digraph "g" { a -> b; ', "graph {}"):
        with pytest.raises((ValueError, IndexError, AssertionError)):
            read(bad)
    with pytest.raises(AssertionError, match="nowhere"):
        read('digraph "g" { a [label="x"]; a -> b; }')


@pytest.fixture
def graph():
    x = at.placeholder((None, 3), name="x")
    w = at.Variable(np.ones((3, 2), "f4"), name="w")
    with at.name_scope("net"), at.name_scope("dense"):
        h = at.tanh(at.matmul(x, w))
    loss = at.mean(h * h)
    return x, w, loss


# -- tapes ------------------------------------------------------------------------------------------------------------


def test_a_tape_has_shapes_and_memory(capsys):
    x = at.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)
    y = at.sum(at.exp(x) * 2)
    text = at.show(y)
    assert capsys.readouterr().out == text + "\n"
    lines = text.splitlines()
    assert lines[0].split() == "%0 = exp(x0: float64[2, 3]) -> float64[2, 3] keeps 96 B".split()
    assert lines[1].split() == "%1 = multiply(%0, 2) -> float64[2, 3] keeps 48 B".split()
    assert lines[-2:] == ["# the tape keeps 152 B for gradients", "return %2"]


def test_lines_of_the_program_are_shown_where_they_are_known(capsys):
    x = at.Tensor([1.0], requires_grad=True)
    with at.detect_anomaly():
        y = at.exp(x)
    assert re.search(r"exp\(.*# .*test_show\.py:\d+", at.show(y, lines=True))
    assert "#" not in at.show(at.exp(x), lines=True).splitlines()[0]
    with config.use(debug=1):
        y = at.exp(x)
    assert "test_show.py" in at.show(y, lines=True)
    symbolic = at.exp(at.placeholder((2,)))
    assert "test_show.py" in at.show(symbolic, lines=True) and "test_show.py" not in at.show(symbolic)


def test_gradients_are_shown(capsys, graph):
    x, w, loss = graph
    text = at.show(at.grad(loss, w))
    assert text.splitlines()[-1].startswith("return %") and "matmul" in text and "permute_dims" in text
    a = at.Tensor([1.0, 2.0], requires_grad=True)
    g = at.grad(at.sum(a * a * a), a, create_graph=True)
    assert "multiply" in at.show(g)


def test_long_graphs_are_shortened(capsys):
    x = at.placeholder((3,), name="x")
    y = x
    for _ in range(50):
        y = at.tanh(y)
    assert len(at.show(y).splitlines()) == 51
    lines = at.show(y, depth=4).splitlines()
    assert lines[0] == "... 46 further away" and [line[:3] for line in lines[1:]] == ["%46", "%47", "%48", "%49", "ret"]
    lines = at.show(y, max_nodes=6).splitlines()
    assert len(lines) == 8 and lines[3] == "... 44 more"


# -- functions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("numba", [True, False])
def test_a_function_shows_its_graph_then_its_plan(capsys, graph, numba):
    x, w, loss = graph
    f = at.function([x], loss, updates=[(w, w - 0.1 * at.grad(loss, w))], name="train")
    text = at.show(f)
    assert text.startswith("function train(x: float32[?, 3]): 1 outputs, 1 updates\nplan: none yet")
    assert "tanh" in text
    with config.use(numba=numba):
        f(np.ones((4, 3)))
    text = at.show(f, lines=True)
    assert re.search(r"plan for \(4, 3\): \d+ operations and kernels in \d+ calls, [\d.]+ k?B of memory", text)
    assert re.search(r" 0  matmul\(x, w\) -> m0: float32\[4, 2\]  # .*test_show\.py:\d+", text)
    assert "view permute_dims(x) -> x: float32[3, 4]" in text
    if numba:
        assert re.search(r"kernel tanh\+multiply\+sum", text) and re.search(
            r"kernel .*\(.*w\) -> w: float32\[3, 2\]", text
        )
        assert "memory used again: " in text
    more = text.count("memory used again") + text.count("update w")
    assert len(text.splitlines()) == 3 + len(f.plans[0].steps) + more


def test_a_loop_shows_the_steps_of_its_body(capsys):
    x = at.placeholder((None, 3), name="x")
    (last,), _ = at.scan(lambda s, xs, c: ((at.tanh(s[0] + xs[0]),), ()), [np.zeros(3, "f4")], [x])
    f = at.function([x], last)
    with config.use(numba=False):
        f(np.ones((5, 3)))
    lines = at.show(f).splitlines()
    assert lines[2].strip().startswith("0  scan(") and [line.split("(")[0].split()[-1] for line in lines[3:5]] == [
        "add",
        "tanh",
    ]


def test_what_has_no_plan_says_so(capsys):
    x = at.placeholder((None,), name="x")
    f = at.function([x], x[x > 0])
    f(np.ones(3))
    assert "plan: none possible: shapes follow from values" in at.show(f)

    @at.compile
    def step(a):
        return at.exp(a) + 1.0

    assert at.show(step) == "function step: nothing compiled yet. Call it first."
    with config.use(numba=False):
        step(np.ones(3))
    assert "plan for (3,)" in at.show(step)


def test_what_can_not_be_shown_is_refused():
    with pytest.raises(at.DTypeError, match=r"\[show\] expected tensors or a compiled function; got function"):
        at.show(lambda x: x)
    with pytest.raises(at.GraphError, match=r"\[show\] format must be"):
        at.show(at.Tensor([1.0]), format="svg")
    with pytest.raises(at.GraphError, match=r"\[to_dot\] expected one graph"):
        at.to_dot(at.compile(lambda x: x))


# -- pictures ---------------------------------------------------------------------------------------------------------


def test_a_graph_as_a_picture(graph, capsys):
    x, w, loss = graph
    dot = read(at.to_dot(loss))
    assert sorted(dot.operations().values()) == ["matmul", "mean", "multiply", "tanh"]
    labels = {k: v["label"] for k, v in dot.nodes.items()}
    assert "x\nfloat32[?, 3]" in labels.values() and "w\nfloat32[3, 2]" in labels.values()
    by_name = {name: k for k, name in dot.operations().items()}
    assert (by_name["matmul"], by_name["tanh"]) in dot.edges and (by_name["multiply"], by_name["mean"]) in dot.edges
    assert dot.edges.count((by_name["tanh"], by_name["multiply"])) == 2
    assert {dot.operations()[k] for k in dot.clusters["net", "dense"]} == {"matmul", "tanh"}
    assert "test_show.py" in dot.nodes[by_name["tanh"]]["tooltip"]
    assert at.show(loss, format="dot") == at.to_dot(loss)


def test_graphviz_draws_it(graph):
    program = shutil.which("dot") or shutil.which("graphviz-pure", path=sysconfig.get_path("scripts"))
    if program is None:
        pytest.skip("Graphviz is not installed; the extra plot brings it")
    x, w, loss = graph
    text = at.to_dot([loss, at.grad(loss, w)])
    drawn = subprocess.run([program, "-Tsvg"], input=text.encode(), check=True, capture_output=True, timeout=60)
    svg = drawn.stdout.decode()
    assert svg.count('class="node"') == len(read(text).nodes) and svg.count('class="cluster"') == 2
    assert not drawn.stderr


def test_gradients_have_another_colour_and_the_frame_of_their_operation(graph):
    x, w, loss = graph
    dot = read(at.to_dot(at.grad(loss, w)))
    colours = {v["fillcolor"] for v in dot.nodes.values() if v.get("shape") == "box"}
    assert len(colours) == 2
    assert any(dot.operations().get(k) == "permute_dims" for k in dot.clusters["net", "dense"])


def test_a_plan_as_a_picture_frames_its_kernels(graph):
    x, w, loss = graph
    f = at.function([x], loss, updates=[(w, w - 0.1 * at.grad(loss, w))], name='a "quoted" \\ name')
    assert read(at.to_dot(f)).name == 'a "quoted" \\ name'
    f(np.ones((4, 3)))
    dot = read(at.to_dot(f))
    kernels = [inside for path, inside in dot.clusters.items() if path[0].startswith("kernel")]
    assert kernels and any("tanh" in {dot.operations()[k] for k in inside} for inside in kernels)


def test_pictures_are_shortened():
    y = at.placeholder((3,), name="x")
    for _ in range(30):
        y = at.tanh(y)
    dot = read(at.to_dot(y, max_nodes=5))
    assert len(dot.operations()) == 5 and ("cut" in dot.nodes)
    assert len(read(at.to_dot(y, depth=3)).operations()) == 3
    assert "cut" not in read(at.to_dot(y)).nodes


def test_a_tape_as_a_picture():
    x = at.Tensor([1.0, 2.0], requires_grad=True, name="start")
    dot = read(at.to_dot(at.sum(at.exp(x))))
    assert sorted(dot.operations().values()) == ["exp", "sum"]
    assert any(v["label"].startswith("start") for v in dot.nodes.values())

"""The profiler counts what it should, names it, nests it, and adds up. No test decides on how long something took."""

from __future__ import annotations

import json
import re
import threading

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.core.state import state
from autotensor.profiler import Event, Profile

WAYS = {"interpreted": {"compile": False}, "plan": {"numba": False}, "kernels": {}}


def line_of(text: str) -> str:
    with open(__file__, encoding="utf-8") as file:
        (number,) = [i for i, line in enumerate(file, 1) if line.rstrip().endswith(f"# {text}")]
    return f"{__file__}:{number}"


def counts(p: Profile, by: str = "op") -> dict[tuple[str, str], float]:
    return {(row.name, row.phase): row.calls for row in p.rows(by)}


def consistent(p: Profile) -> None:
    """Events of a thread nest, and times without what is within add up to the whole, in each kind of table."""
    by_thread: dict[int, list[Event]] = {}
    for event in p.events:
        assert event.seconds >= 0 and event.start >= 0 and event.start + event.seconds <= p.seconds + 1e-6
        by_thread.setdefault(event.thread, []).append(event)
    outermost = 0.0
    for events in by_thread.values():
        stack: list[Event] = []
        inside: dict[int, float] = {}
        for event in sorted(events, key=lambda e: (e.start, e.depth)):
            del stack[event.depth :]
            assert len(stack) == event.depth
            if stack:
                outer = stack[-1]
                assert outer.start <= event.start
                assert event.start + event.seconds <= outer.start + outer.seconds + 1e-9
                inside[id(outer)] = inside.get(id(outer), 0.0) + event.seconds
            else:
                outermost += event.seconds
            stack.append(event)
        for event in events:
            assert event.self_seconds == pytest.approx(event.seconds - inside.get(id(event), 0.0), abs=1e-9)
    for by in ("op", "layer", "line"):
        assert sum(row.self_seconds for row in p.rows(by)) == pytest.approx(outermost, rel=1e-6, abs=1e-9)


def test_eager_operations_forward_and_backward():
    x = at.Tensor(np.ones((8, 4)), requires_grad=True)
    with at.profile() as p:
        for _ in range(3):
            with at.name_scope("net"):
                y = at.tanh(x)  # tanh line
            at.sum(y * y).backward()  # sum line
    consistent(p)
    found = counts(p)
    assert found["tanh", "forward"] == found["sum", "forward"] == found["multiply", "forward"] == 3
    assert found["multiply", "backward"] >= 6 and ("tanh", "backward") not in found
    layers = counts(p, "layer")
    assert layers["net", "forward"] == 3 and layers["net", "backward"] > 3 and layers["-", "forward"] >= 6
    lines = counts(p, "line")
    assert lines[line_of("tanh line"), "forward"] == 3
    assert lines[line_of("tanh line"), "backward"] > 3 and lines[line_of("sum line"), "backward"] > 3
    tanh = [e for e in p.events if e.name == "tanh"]
    assert [(e.kind, e.phase, e.layer, e.nbytes, e.depth) for e in tanh] == [("op", "forward", "net", 256, 0)] * 3


def test_memory_is_counted_until_it_is_freed():
    x = at.Tensor(np.ones(1000))
    with at.profile() as p:
        for _ in range(5):
            y = at.exp(x)  # the one before is freed when the name is bound again
        at.reshape(y, (10, 100))
        del y
        assert p.live_bytes == 0
    assert p.peak_bytes == 2 * 8000
    (exp,) = [row for row in p.rows() if row.name == "exp"]
    (view,) = [row for row in p.rows() if row.name == "reshape"]
    assert exp.nbytes == 5 * 8000 and view.nbytes == 0


@pytest.mark.parametrize("way", WAYS)
def test_compiled_functions(way):
    x = at.placeholder((None, 3), name="x")
    w = at.Variable(np.ones((3, 2), "f4"), name="w")
    with at.name_scope("dense"):
        h = at.tanh(at.matmul(x, w))  # dense line
    loss = at.mean(h * h)
    f = at.function([x], loss, updates=[(w, w - 0.1 * at.grad(loss, w))], name="train")
    with config.use(**WAYS[way]):
        before = w.numpy()
        first = f(np.ones((4, 3)))
        w.assign(before)
        with at.profile() as p:
            again = f(np.ones((4, 3)))
            for _ in range(4):
                f(np.ones((4, 3)))
        f(np.ones((4, 3)))
    np.testing.assert_allclose(again, first, rtol=1e-6)
    consistent(p)
    found = counts(p)
    assert found["function train", ""] == 5
    kind = "node" if way == "interpreted" else "step"
    inner = [e for e in p.events if e.kind == kind]
    assert inner and all(e.depth == 1 for e in inner)
    assert found["matmul", "forward"] == found["matmul", "backward"] == 5
    names = {e.name for e in inner}
    if way == "kernels":
        assert any(re.match(r"tanh\+multiply\+sum", name) for name in names)
    else:
        assert {"matmul", "tanh", "multiply", "subtract"} <= names
    layers = counts(p, "layer")
    assert layers["dense", "forward"] > 0 and layers["dense", "backward"] > 0
    calls = sum(calls for (name, _), calls in layers.items() if name != "(between)")
    assert calls == pytest.approx(len(inner))
    assert (line_of("dense line"), "forward") in counts(p, "line")
    assert all(e.nbytes >= 0 for e in inner) and any(e.nbytes == 32 for e in inner)


def test_loops():
    x = at.placeholder((None, 3), name="x")
    (last,), _ = at.scan(lambda s, xs, c: ((at.tanh(s[0] + xs[0]),), ()), [np.zeros(3, "f4")], [x])
    f = at.function([x], last, name="loop")
    with config.use(numba=False), at.profile() as p:
        f(np.ones((5, 3)))
    consistent(p)
    assert counts(p)["scan/tanh", "forward"] == 5 and counts(p)["scan", "forward"] == 1
    assert {e.depth for e in p.events if e.name == "scan/add"} == {2}
    with config.use(compile=False), at.profile() as p:
        f(np.ones((5, 3)))
    consistent(p)
    assert counts(p)["tanh", "forward"] == 5


def test_spans_and_errors_leave_everything_in_order():
    x = at.placeholder((None,), "float64", name="x")
    f = at.function([x], at.linalg.inv(at.reshape(x, (2, 2))), name="inverse")
    with config.use(numba=False), at.profile() as p:
        for number in range(2):
            with at.span("batch", number):
                at.exp(at.Tensor([1.0]))
                with pytest.raises(np.linalg.LinAlgError):
                    f(np.zeros(4))
        with pytest.raises(at.ShapeError), at.span("outer"):
            at.Tensor([1.0, 2.0]) + at.Tensor([1.0, 2.0, 3.0])
        f(np.eye(2).ravel())
    consistent(p)
    assert counts(p)["batch", ""] == 2
    spans = counts(p, "span")
    assert spans["batch 0", ""] == spans["batch 1", ""] == spans["outer", ""] == 1 and spans["inverse", ""] == 3
    assert [e.depth for e in p.events if e.name == "inverse"] == [1, 1, 0]


def test_threads_have_their_own_tracks(tmp_path):
    def work():
        for _ in range(4):
            at.exp(at.Tensor([1.0]))

    with at.profile() as p:
        threads = [threading.Thread(target=work, name=f"worker {i}") for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        work()
    consistent(p)
    by_thread: dict[int, int] = {}
    for event in p.events:
        by_thread[event.thread] = by_thread.get(event.thread, 0) + 1
    assert by_thread == {0: 4, 1: 4, 2: 4}
    assert p.threads[2] == threading.current_thread().name and sorted(p.threads[:2]) == ["worker 0", "worker 1"]
    p.chrome_trace(tmp_path / "trace.json")
    names = [
        e["args"]["name"] for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if e["ph"] == "M"
    ]
    assert "worker 0" in names


def test_the_trace_is_in_chromes_format(tmp_path):
    x = at.Tensor(np.ones((4, 4)), requires_grad=True)
    with at.profile() as p, at.span("all"):
        at.sum(at.tanh(x)).backward()
    path = tmp_path / "trace.json"
    p.chrome_trace(path)
    trace = json.loads(path.read_text(encoding="utf-8"))
    assert set(trace) == {"traceEvents", "displayTimeUnit"} and trace["displayTimeUnit"] in ("ms", "ns")
    complete = [e for e in trace["traceEvents"] if e["ph"] == "X"]
    assert {e["ph"] for e in trace["traceEvents"]} == {"X", "M", "C"}
    for event in trace["traceEvents"]:
        assert {"name", "ph", "pid"} <= set(event)
    assert len(complete) == len(p.events)
    for drawn, event in zip(complete, p.events):
        assert drawn["name"] == event.name and drawn["cat"] == event.kind
        assert drawn["ts"] == pytest.approx(event.start * 1e6) and drawn["dur"] == pytest.approx(event.seconds * 1e6)
        assert isinstance(drawn["tid"], int) and drawn["args"].get("bytes", 0) == event.nbytes
    assert [e["ts"] for e in complete] == sorted(e["ts"] for e in complete)
    whole = next(e for e in complete if e["name"] == "all")
    ends = whole["ts"] + whole["dur"]
    assert all(whole["ts"] <= e["ts"] and e["ts"] + e["dur"] <= ends + 1e-3 for e in complete)
    held = [e["args"]["bytes"] for e in trace["traceEvents"] if e["ph"] == "C"]
    assert max(held) == p.peak_bytes and min(held) >= 0


def test_tables():
    with at.profile() as p:
        for _ in range(3):
            at.exp(at.tanh(at.Tensor([1.0, 2.0])))
    lines = p.table(sort="name").splitlines()
    assert lines[0].split() == "op phase calls total ms self ms mean us memory share".split()
    assert [line.split()[:3] for line in lines[1:]] == [["exp", "forward", "3"], ["tanh", "forward", "3"]]
    assert lines[1].split()[6:8] == ["48", "B"]
    assert sum(float(line.split()[-1].rstrip("%")) for line in lines[1:]) == pytest.approx(100, abs=0.2)
    assert p.table(limit=1).splitlines()[-1] == "... 1 more" and str(p) == p.table()
    assert "6 events" in repr(p)
    for sort in ("time", "self", "total", "mean", "calls", "memory"):
        assert len(p.table(sort=sort, by="line").splitlines()) == 2
    assert p.table(by="line").splitlines()[1].startswith("test_profiler.py:")
    with pytest.raises(ValueError, match=r"\[profile\] by must be one of"):
        p.table(by="colour")
    with pytest.raises(ValueError, match=r"\[profile\] sort must be one of"):
        p.table(sort="colour")


def test_events_have_a_limit_that_tables_do_not():
    with at.profile(max_events=4) as p:
        for _ in range(10):
            at.exp(at.Tensor([1.0]))
    assert len(p.events) == 4 and p.dropped == 6 and counts(p)["exp", "forward"] == 10


def test_off_means_off_and_profiles_can_stand_in_each_other():
    assert state.watch is None and not config.profiling
    with at.profile() as outer:
        at.exp(at.Tensor([1.0]))
        with at.profile() as inner:
            at.tanh(at.Tensor([1.0]))
        at.exp(at.Tensor([1.0]))
    assert state.watch is None and not config.profiling
    assert counts(inner) == {("tanh", "forward"): 1} and counts(outer) == {("exp", "forward"): 2}
    with pytest.raises(ValueError, match=r"\[profile\] a profile is entered once"), inner:
        pass
    assert state.watch is None


def test_together_with_anomaly_mode():
    with at.profile() as p, at.detect_anomaly(), pytest.raises(at.NanError):
        at.log(at.exp(at.Tensor([1.0])) - 5.0)
    assert [e.name for e in p.events] == ["exp", "subtract", "log"]


def test_what_runs_outside_is_not_slowed_by_plans_made_inside():
    x = at.placeholder((3,), name="x")
    f = at.function([x], at.tanh(x) * 2.0)
    with config.use(numba=False):
        with at.profile():
            f(np.ones(3))
        f(np.ones(3))
    sources = [plan.source for plan in f.plans]
    assert ["begins()" in source for source in sources] == [True, False]

"""The benchmarks measure what they say: networks are those of the documents, costs are counted right, tables add up.

Nothing is timed here. Oracles: the arrays of the models that Keras's words make, loops that count, figures by hand.
"""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

import keras_compat
from benchmarks import compare, compare_eager, compare_ops, eager_door, growth, report, start
from benchmarks import eager as eager_cases
from benchmarks.compare import Row
from benchmarks.costs import Machine, cost, floor, foretold
from benchmarks.eager_libraries import Ours, OursByFunctions
from benchmarks.ops import CASES
from benchmarks.ops_ours import compiled, eager
from benchmarks.runner import Failed, Runner
from benchmarks.with_keras import KerasTrainer, build
from benchmarks.worker import LIBRARIES, MODES
from benchmarks.workloads import WORKLOADS, data, multiplications, out_shape, walk, weights

each_workload = pytest.mark.parametrize("name", list(WORKLOADS))

# One workload of each kind that trains in no time.
SMALL = ["mlp-16", "two-lstm"]


@each_workload
def test_a_model_has_the_weights_and_the_result_that_the_costs_are_counted_from(name):
    workload = WORKLOADS[name]
    model = build(workload, keras_compat)
    if not model.built or not model.weights:
        model.build((None, *workload.branches[0].shape))
    assert model.count_params() == cost(workload).weights
    assert model.output_shape[1:] == (workload.outputs,)


@each_workload
def test_multiplications_are_a_weight_times_how_often_it_is_used(name):
    """Each number of a kernel is used once for each position, time step or row: no other way of counting them."""
    for layer, shape, _ in walk(WORKLOADS[name]):
        by_input, by_state = multiplications(layer, shape)
        if layer.kind == "Dense":
            assert by_input == (weights(layer, shape) - layer.units) * math.prod(shape[:-1])
        elif layer.kind.startswith("Conv"):
            positions = math.prod(out_shape(layer, shape)[:-1])
            assert by_input == (weights(layer, shape) - layer.filters) * positions
        elif layer.kind in ("LSTM", "GRU"):
            biases = {"LSTM": 4, "GRU": 6}[layer.kind] * layer.units
            assert by_input + by_state == (weights(layer, shape) - biases) * shape[0]
        else:
            assert (by_input, by_state) == (0, 0)


def test_the_cost_of_a_step_by_hand():
    """20-64-64-10, 16 rows: two products in the first layer, whose input is data, and three in each other."""
    operations = 2 * 16 * (2 * 20 * 64 + 3 * 64 * 64 + 3 * 64 * 10)
    assert cost(WORKLOADS["mlp-16"]).flops == operations
    assert cost(WORKLOADS["mlp-16"]).bytes == 0
    assert floor(WORKLOADS["mlp-16"], Machine(flops=operations, bandwidth=1)) == pytest.approx(1)


def test_bytes_are_counted_for_what_is_too_large_to_stay_near():
    """The first convolution of the MNIST network gives 128 images of 26×26×32."""
    far = cost(WORKLOADS["mnist-cnn"]).bytes
    first, second = 4 * 128 * 26 * 26 * 32, 4 * 128 * 24 * 24 * 64
    dense = 4 * (9216 + 1) * 128
    assert far == 5 * first + 5 * second + dense * (2 + 2 + 2 * 2)
    assert cost(WORKLOADS["mnist-cnn"], near=1 << 40).bytes == 0


@each_workload
def test_what_is_foretold_is_a_prediction_and_no_wish(name):
    """Between half the floor (a 3×3 convolution needs 4 times fewer multiplications by Winograd) and a hundredfold."""
    assert 0.5 < foretold(WORKLOADS[name]) / floor(WORKLOADS[name]) < 100


@each_workload
def test_data_fits_the_workload_and_is_always_the_same(name):
    workload = WORKLOADS[name]
    (xs, y), (again, _) = data(workload, 6), data(workload, 6)
    assert [x.shape for x in xs] == [(6, *branch.shape) for branch in workload.branches]
    assert all(np.array_equal(a, b) for a, b in zip(xs, again))
    assert y.shape == (6, workload.outputs) and y.dtype == np.float32
    for x, branch in zip(xs, workload.branches):
        assert x.dtype == ("int32" if branch.words else "float32")
        assert not branch.words or (x.min() >= 0 and x.max() < branch.words)


@pytest.mark.parametrize("name", SMALL)
def test_every_mode_of_a_trainer_runs(name):
    trainer = KerasTrainer(WORKLOADS[name], keras_compat)
    before = [w.copy() for w in trainer.model.get_weights()]
    assert np.all(np.isfinite(MODES["step"](trainer)()))
    assert any(not np.array_equal(a, b) for a, b in zip(before, trainer.model.get_weights()))
    assert len(trainer.fit(2).history["loss"]) == 2
    assert MODES["predict-row"](trainer)().shape == MODES["predict-call"](trainer)().shape == (1, 10)
    assert MODES["predict-rows"](trainer)().shape == (1000, 10)


def test_a_worker_answers_and_says_what_it_can_not_do():
    runner = Runner("ours", "benchmarks.worker", sys.executable)
    with pytest.raises(Failed, match="KeyError: 'no-such-workload'"):
        runner.prepare("no-such-workload", "step")
    runner.prepare("mlp-16", "step")
    runner.round(3)
    assert len(runner.seconds) == 3 and all(s > 0 for s in runner.seconds)
    assert runner.ask("memory") > 0
    runner.close()


def test_a_library_that_is_not_installed_is_left_out_with_a_line(capsys, monkeypatch):
    monkeypatch.setitem(LIBRARIES, "nobody", lambda: None)
    assert compare.start("mlp-16", "step", ["nobody"], sys.executable) == []
    assert "nobody: left out (KeyError: 'nobody')" in capsys.readouterr().out


def test_ratios_are_of_the_best_peer():
    rows = [
        Row("mlp-16", "step", {"ours": 2.0, "jax": 4.0, "keras3-jax": 18.0}),
        Row("mlp-128", "step", {"ours": 2.0, "jax": 1.0}),
        Row("vgg", "step", {"ours": 1.0}),
    ]
    assert [row.ratio() for row in rows] == [2.0, 0.5, None]
    assert rows[0].ratio(("keras3-jax",)) == 9.0
    assert compare.geometric_mean([2.0, 0.5]) == pytest.approx(1)
    assert compare.summary(rows, "best") == "best / ours: geometric mean 1.00, least 0.50; ours is first on 1 of 2"
    assert Row("x", "conv", {"ours": 1.0, "ours-eager": 0.5, "torch": 3.0}).ratio() == 3.0


def test_units():
    assert [compare.seconds(s) for s in (1.234e-6, 0.0123, 4.0)] == ["1.23 µs", "12.3 ms", "4 s"]
    assert compare.megabytes(3 << 20) == "3 MB"


# The reference for each kind of operation, said with NumPy.
REFERENCES = {
    "sum": lambda case, x: x.sum(case.words["axis"]),
    "mean": lambda case, x: x.mean(case.words["axis"]),
    "max": lambda case, x: x.max(case.words["axis"]),
    "var": lambda case, x: x.var(case.words["axis"]),
    "matmul": lambda case, a, b: a @ b,
    "embedding": lambda case, table, index: table[index],
    "tanh": lambda case, x: np.tanh(x),
    "relu": lambda case, x: np.maximum(x, 0),
}


@pytest.mark.parametrize("kind", sorted(REFERENCES))
def test_an_operation_in_a_plan_computes_what_its_name_says(kind):
    """The smallest case of each kind."""
    case = min((c for c in CASES.values() if c.kind == kind), key=lambda c: sum(map(math.prod, c.shapes)))
    step = compiled(case)
    step()
    kept = step.updates[0][0].data  # the result, which comes before its gradients
    np.testing.assert_allclose(kept, REFERENCES[kind](case, *case.arrays()), rtol=2e-4, atol=2e-4)


def test_eager_and_planned_operations_have_the_same_gradients():
    case = CASES["cross_entropy 128×10, 128, both"]
    planned = compiled(case)
    planned()
    [gradient] = eager(case)()
    np.testing.assert_allclose(planned.updates[1][0].data, gradient.numpy(), atol=1e-7)
    logits, labels = case.arrays()
    rows = np.exp(logits - logits.max(1, keepdims=True))
    expected = (rows / rows.sum(1, keepdims=True) - np.eye(10)[labels]) / 128
    np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-7)


def test_operations_have_names_of_their_own_and_libraries_that_know_them():
    assert len(CASES) > 80
    assert {case.group for case in CASES.values()} >= {"conv", "pool", "reduce", "softmax", "recurrent", "update"}
    assert set(compare_ops.LIBRARIES) == {"ours", "ours-eager", "torch", "torch-first"}


def test_exponents():
    points = [growth.Point(n, 3.0, 2.0 * n, float(n * n)) for n in (1, 2, 4, 8)]
    slopes = [growth.exponent(points, of) for of in (lambda p: p.build, lambda p: p.step, lambda p: p.memory)]
    assert slopes == pytest.approx([0, 1, 2])
    table = growth.table(growth.CURVES["depth"], points)
    assert table.splitlines()[-1] == "| exponent | 0.00 | 1.00 | 2.00 |"


@pytest.mark.parametrize("name", list(growth.CURVES))
def test_a_curve_grows_what_it_says(name):
    curve = growth.CURVES[name]
    assert list(curve.sizes) == sorted(set(curve.sizes))
    small, large = (curve.make(keras_compat, size) for size in curve.sizes[:2])
    factor = curve.sizes[1] / curve.sizes[0]
    if name in ("batch", "images"):
        assert large[1].shape[0] == factor * small[1].shape[0]
    elif name == "steps":
        assert large[1].shape[1] == factor * small[1].shape[1]
    elif name == "width":
        assert large[0].count_params() == pytest.approx(factor * small[0].count_params(), rel=0.15)
    else:
        assert len(large[0].layers) - len(small[0].layers) == curve.sizes[1] - curve.sizes[0]


def test_a_process_that_fails_has_no_time():
    assert start.run("raise SystemExit(3)") is None
    elapsed = start.run("import os; assert os.environ['A_SWITCH'] == 'on'", A_SWITCH="on")
    assert elapsed is not None and elapsed > 0


def test_a_report_keeps_figures_and_writes_them_between_its_marks(tmp_path):
    store = report.Store(str(tmp_path / "figures"))
    store.keep("step", Row("vgg", "step", {"ours": 0.3, "torch": 0.6}))
    store.keep("step", Row("mlp-16", "step", {"ours": 4e-5, "jax": 8e-5}))
    store.keep("step", Row("vgg", "step", {"ours": 0.2}))
    assert [row.figures for row in store.rows("step")] == [{"ours": 0.2, "torch": 0.6}, {"ours": 4e-5, "jax": 8e-5}]
    made = report.tables(store, None)
    assert set(made) == {"step", "remains"}
    text = "Before.\n\n<!-- table step -->\nold\n<!-- end step -->\n\nAfter.\n"
    once = report.insert(text, made)
    assert "old" not in once and once.startswith("Before.") and once.endswith("After.\n")
    assert once.index("| the same (16) | 40 µs |") < once.index("| VGG-like on 100×100×3 (32) | 200 ms |")
    assert "geometric mean 2.45" in once
    assert report.insert(once, made) == once


def test_a_report_shows_what_was_before(tmp_path):
    old, new = report.Store(str(tmp_path / "old")), report.Store(str(tmp_path / "new"))
    old.keep("step", Row("mlp-16", "step", {"ours": 1e-4}))
    new.keep("step", Row("mlp-16", "step", {"ours": 5e-5, "torch": 2e-4}))
    lines = report.tables(new, old)["step"].splitlines()
    assert lines[0] == "| workload (batch) | before | ours | torch | best peer / ours |"
    assert lines[2] == "| the same (16) | 100 µs | 50 µs | 200 µs | 4.00 |"


# -- eager micro-benchmarks


def test_eager_cases_compute_the_same_by_tensors_and_by_functions():
    """One case of each group, both ways; gradients against NumPy differences are the business of other tests."""
    seen = set()
    for case, part in eager_cases.CASES:
        if part != "both" or case.group in seen or max(a.size for a in case.arrays()) > 2000:
            continue
        seen.add(case.group)
        by_tensors = Ours().both(case.run, case.arrays())()
        found = OursByFunctions().both(case.run, case.arrays())()
        by_functions = found if isinstance(found, (tuple, list)) else [found]
        for a, b in zip(by_tensors, by_functions, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10)
    assert len(seen) >= 6


def test_eager_tables():
    rows = [
        Row("a, both", "programs", {"ours": 1e-6, "hips": 3e-6, "mygrad": 2e-6}),
        Row("b, both", "programs", {"ours": 1e-6, "hips": 8e-6}),
        Row("c, both", "indexing", {"ours": 1e-6, "mygrad": 5e-7}),
    ]
    groups = compare_eager.group_table(rows).splitlines()
    assert groups[2] == "| programs | 2 of 2 | 4.00 | 2.00 | a, both |"
    assert groups[3] == "| indexing | 0 of 1 | 0.50 | 0.50 | c, both |"
    programs = compare_eager.program_table(rows, ["ours", "hips", "mygrad"]).splitlines()
    assert programs[2] == "| a, both | 1 µs | 3 µs | 2 µs | 2.00 |"
    assert programs[3] == "| b, both | 1 µs | 8 µs |  | 8.00 |"


def test_the_door_is_measured_on_equal_terms():
    for name, (ours, numpy) in eager_door.calls().items():
        np.testing.assert_allclose(np.asarray(ours()), numpy(), rtol=1e-6, err_msg=name)

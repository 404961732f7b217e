"""Recurrent operations: float32 kernels against the NumPy form in float64, which the contract test holds to oracles.

Sizes cross the borders of tiles and threads.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.core.tensor import wrap
from autotensor.kernels import blas

CELLS = {"lstm": (at.lstm, 4, 2), "gru": (at.gru, 3, 1), "simple_rnn": (at.simple_rnn, 1, 1)}
needs_kernels = pytest.mark.skipif(not blas.AVAILABLE, reason="kernels call BLAS, and found none")


def given(cell, steps, n, features, units, seed=0, states=True, mask=False, after=False):
    """Arrays of a call, float64, by name."""
    _, gates, n_states = CELLS[cell]
    rng = np.random.default_rng(seed)
    k = gates * units
    arrays = {
        "x": rng.normal(size=(steps, n, features)),
        "kernel": rng.normal(size=(features, k)) / max(features, 1) ** 0.5,
        "recurrent_kernel": rng.normal(size=(units, k)) / max(units, 1) ** 0.5,
        "bias": rng.normal(size=(2, k) if after else k) * 0.3,
    }
    if states:
        arrays |= {name: rng.normal(size=(n, units)) for name in ("h", "c")[:n_states]}
    if mask:
        arrays["mask"] = rng.random((steps, n)) < 0.6
    return arrays


def seeds(outs, rng):
    return [rng.normal(size=y.shape) for y in outs]


def run(cell, arrays, dtype, **params):
    """Outputs, and gradients of all float inputs by name."""
    tensors = {}
    for name, x in arrays.items():
        tensors[name] = wrap(x if x.dtype == bool else x.astype(dtype))
        tensors[name].tracked = x.dtype != bool
    outs = CELLS[cell][0](**{"kernel": None} | tensors, **params)
    rng = np.random.default_rng(7)
    total = sum([(y * at.asarray(s.astype(dtype))).sum() for y, s in zip(outs, seeds(outs, rng))])
    names = [name for name, x in arrays.items() if x.dtype != bool]
    grads = at.grad(total, [tensors[name] for name in names])
    return [y.numpy() for y in outs], {name: g.numpy() for name, g in zip(names, grads)}


def assert_agree(cell, arrays, tol=2e-5, **params):
    got, got_grads = run(cell, arrays, np.float32, **params)
    want, want_grads = run(cell, arrays, np.float64, **params)
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * max(1, np.abs(b).max(initial=0)), err_msg=f"output {k}")
    for name, b in want_grads.items():
        a = got_grads[name]
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * max(1, np.abs(b).max(initial=0)), err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "sizes",
    [(1, 1, 1, 1), (3, 2, 5, 4), (4, 13, 3, 7), (2, 25, 6, 33), (5, 9, 17, 20), (2, 30, 40, 130), (2, 5, 3, 257)],
)
def test_kernels_agree_at_all_sizes(cell, sizes):
    assert_agree(cell, given(cell, *sizes))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("reverse, mask, states", list(product([False, True], repeat=3)))
def test_kernels_agree_with_masks_and_states(cell, reverse, mask, states):
    assert_agree(cell, given(cell, 6, 14, 5, 9, seed=3, states=states, mask=mask), reverse=reverse)


@pytest.mark.parametrize("reverse, mask, states", list(product([False, True], repeat=3)))
def test_gru_with_reset_after(reverse, mask, states):
    arrays = given("gru", 6, 14, 5, 9, seed=3, states=states, mask=mask, after=True)
    assert_agree("gru", arrays, reverse=reverse, reset_after=True)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", at.recurrent_activations)
def test_kernels_agree_for_every_activation(cell, name):
    arrays = given(cell, 3, 5, 4, 18, seed=1)
    params = {"activation": name}
    if cell != "simple_rnn":
        params["recurrent_activation"] = name
    assert_agree(cell, arrays, tol=1e-4, **params)


@pytest.mark.parametrize("cell", CELLS)
def test_without_bias_weights_or_gradients_of_some(cell):
    arrays = given(cell, 4, 10, 5, 6, states=False)
    del arrays["bias"]
    assert_agree(cell, arrays)
    gates = CELLS[cell][1]
    arrays["x"] = np.random.default_rng(2).normal(size=(4, 10, gates * 6))
    del arrays["kernel"]
    assert_agree(cell, arrays)


@pytest.mark.parametrize("cell", CELLS)
def test_only_the_last_output_counts(cell):
    """The gradient of the outputs of all steps is missing, and that of the data is not asked for."""
    arrays = given(cell, 5, 13, 4, 6)

    def gradient(dtype):
        tensors = {name: at.asarray(x.astype(dtype)) for name, x in arrays.items()}
        u = tensors["recurrent_kernel"] = wrap(arrays["recurrent_kernel"].astype(dtype))
        u.tracked = True
        last = CELLS[cell][0](**tensors)[1]
        return at.grad((last * last).sum(), u).numpy()

    np.testing.assert_allclose(gradient(np.float32), gradient(np.float64), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_memory_in_any_order(cell):
    """Batch-first sequences seen through a transpose, steps, reversed and read-only arrays."""
    arrays = {name: x.astype(np.float32) for name, x in given(cell, 5, 13, 4, 6).items()}
    want, want_grads = run(cell, arrays, np.float32)
    variants = {
        "batch first": lambda x: np.ascontiguousarray(np.swapaxes(x, 0, -2)).swapaxes(0, -2) if x.ndim > 1 else x,
        "fortran": np.asfortranarray,
        "stepped": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
        "negative": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
        "read only": lambda x: _locked(x.copy()),
    }
    for variant, change in variants.items():
        got, got_grads = run(cell, {name: change(x) for name, x in arrays.items()}, np.float32)
        for a, b in zip([*got, *got_grads.values()], [*want, *want_grads.values()], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5, err_msg=variant)


def _locked(x):
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("steps, n, features", [(0, 3, 2), (3, 0, 2), (3, 2, 0)])
def test_nothing_to_do(cell, steps, n, features):
    arrays = given(cell, steps, n, features, 4)
    for dtype in (np.float32, np.float64):
        outs, grads = run(cell, arrays, dtype)
        assert outs[0].shape == (steps, n, 4)
        assert all(grads[name].shape == x.shape for name, x in arrays.items())
        if not steps:
            np.testing.assert_array_equal(outs[1], arrays["h"].astype(dtype))
            assert not grads["recurrent_kernel"].any()


@pytest.mark.parametrize("cell", CELLS)
def test_a_masked_row_keeps_its_state(cell):
    arrays = given(cell, 4, 3, 2, 5)
    mask = np.ones((4, 3), bool)
    mask[:, 1] = False
    mask[2, 2] = False
    for dtype in (np.float32, np.float64):
        outs, grads = run(cell, arrays | {"mask": mask}, dtype)
        np.testing.assert_array_equal(outs[0][:, 1], np.broadcast_to(arrays["h"][1].astype(dtype), (4, 5)))
        np.testing.assert_array_equal(outs[0][2, 2], outs[0][1, 2])
        assert not grads["x"][:, 1].any()
        assert not grads["x"][2, 2].any()
        assert grads["x"][3, 2].any()


@pytest.mark.parametrize("cell", CELLS)
def test_a_bad_row_spoils_no_other(cell):
    arrays = given(cell, 3, 20, 4, 6)
    clean, _ = run(cell, arrays, np.float32)
    arrays["x"][1, 7, 2] = np.nan
    spoilt, _ = run(cell, arrays, np.float32)
    others = [k for k in range(20) if k != 7]
    np.testing.assert_allclose(spoilt[0][:, others], clean[0][:, others], rtol=1e-6, atol=1e-6)
    assert np.isfinite(spoilt[0][0, 7]).all()
    assert np.isnan(spoilt[0][1:, 7]).all()


@pytest.mark.promise(33)
@needs_kernels
@pytest.mark.parametrize("cell", CELLS)
def test_threads_change_no_bit_in_deterministic_mode(cell):
    arrays = given(cell, 6, 37, 16, 24)
    with config.use(deterministic=True):
        found = []
        for threads in (1, 2):
            with config.use(threads=threads):
                found.append(run(cell, arrays, np.float32))
    (a, ga), (b, gb) = found
    for x, y in zip([*a, *ga.values()], [*b, *gb.values()], strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("cell", CELLS)
def test_without_numba(cell):
    arrays = given(cell, 3, 7, 4, 5, mask=True)
    want, want_grads = run(cell, arrays, np.float32)
    with config.use(numba=False):
        got, got_grads = run(cell, arrays, np.float32)
    for a, b in zip([*got, *got_grads.values()], [*want, *want_grads.values()], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_is_eager(cell, learns, dtype):
    """In a plan the kernels are bound once; without a gradient nothing is kept for one."""
    arrays = {name: x.astype(dtype) for name, x in given(cell, 4, 13, 5, 8).items()}
    names = list(arrays)
    holders = {name: at.placeholder([None] * x.ndim, x.dtype) for name, x in arrays.items()}
    outs = list(CELLS[cell][0](**holders))
    if learns:
        total = sum([(y * y).sum() for y in outs])
        outs += at.grad(total, [holders[name] for name in names])
    step = at.function([holders[name] for name in names], outs)
    for seed in (0, 1):
        values = {name: x.astype(dtype) for name, x in given(cell, 4, 13, 5, 8, seed=seed).items()}
        got = step(*values.values())
        tensors = {name: at.Tensor(x, requires_grad=True) for name, x in values.items()}
        want = list(CELLS[cell][0](**tensors))
        if learns:
            total = sum([(y * y).sum() for y in want])
            want += at.grad(total, [tensors[name] for name in names])
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(np.asarray(a), b.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_mixed_dtypes_give_each_gradient_its_own(cell):
    arrays = given(cell, 3, 4, 2, 3)
    tensors = {
        name: at.Tensor(x.astype(np.float32 if name == "x" else np.float64), requires_grad=True)
        for name, x in arrays.items()
    }
    y = CELLS[cell][0](**tensors)[0]
    assert y.dtype == np.float64
    gx, gw = at.grad(y.sum(), [tensors["x"], tensors["kernel"]])
    assert (gx.dtype, gw.dtype) == (np.float32, np.float64)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"kernel": np.zeros((3, 8))}, "features"),
        ({"recurrent_kernel": np.zeros((2, 9))}, "columns"),
        ({"h": np.zeros((4, 2))}, "rows"),
        ({"h": np.zeros((3, 5))}, "units"),
        ({"h": np.zeros(2)}, "states"),
        ({"mask": np.ones((4, 3), bool)}, "steps"),
        ({"x": np.zeros((3, 2))}, "batch axis"),
    ],
)
def test_shapes_that_do_not_fit(change, message):
    arrays = {"x": np.zeros((5, 3, 2)), "kernel": np.zeros((2, 8)), "recurrent_kernel": np.zeros((2, 8))}
    with pytest.raises(at.ShapeError, match=message):
        at.lstm(**arrays | change)


def test_an_unknown_activation_names_those_there_are():
    with pytest.raises(ValueError, match="hard_sigmoid"):
        at.lstm(np.zeros((1, 1, 1)), np.zeros((1, 4)), np.zeros((1, 4)), activation="softmax")


@needs_kernels
@pytest.mark.parametrize("name, most", [("tanh", 2.3), ("sigmoid", 2.4)])
def test_activations_in_ulp(name, most):
    """What the documentation states, of the loops in the kernels: without weights and states they do nothing else."""
    v = np.concatenate([np.linspace(-12, 12, 40_000), np.geomspace(1e-6, 1, 5_000), -np.geomspace(1e-6, 1, 5_000)])
    x = v.astype(np.float32).reshape(1, -1, 50)
    out = at.simple_rnn(x, None, np.zeros((50, 50), np.float32), activation=name)[0].numpy()
    exact = x.astype(np.float64)
    exact = np.tanh(exact) if name == "tanh" else 1 / (1 + np.exp(-exact))
    ulp = np.abs(out - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert ulp.max() <= most
    assert ulp.max() > 0.5  # it is measured, not copied

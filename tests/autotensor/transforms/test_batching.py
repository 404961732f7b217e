"""Every registered operation under vmap: the same as a loop over the examples and a stack, and so are its gradients."""

from __future__ import annotations

import importlib
import pkgutil
import warnings

import numpy as np
import pytest

import autotensor as at
import autotensor.ops
from autotensor.core.grad import backpropagate
from autotensor.core.op import OPS
from autotensor.core.tensor import Tensor, wrap
from autotensor.errors import ShapeError
from autotensor.transforms.batching import RULES
from tests.autotensor import samples

for _module in pkgutil.iter_modules(autotensor.ops.__path__):
    importlib.import_module(f"autotensor.ops.{_module.name}")

N = 3
REGISTERED = dict(OPS)
CASES = [
    pytest.param(name, sample, id=f"{name}-{sample.name or number}")
    for by_op in samples.by_family().values()
    for name, listed in by_op.items()
    for number, sample in enumerate(listed)
    if name in REGISTERED and any(isinstance(x, np.ndarray) for x in sample.inputs)
]


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"), at.config.use(numba=False):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def examples(x):
    """Variants of an input that keep signs, order, symmetry and the range of indices."""
    if x.dtype.kind in "fc":
        return np.stack([x * (1 - 0.05 * i) for i in range(N)]).astype(x.dtype)
    if x.dtype.kind == "u":
        return np.stack([x] * N)
    return np.stack([np.roll(x.reshape(-1), i).reshape(x.shape) for i in range(N)])


def called(name, sample, xs):
    out = (sample.call or REGISTERED[name])(*xs, **sample.params)
    outs = list(out) if isinstance(out, (tuple, list)) else [out]
    return [x for x in outs if isinstance(x, Tensor)]


def modes(name, sample):
    """Which inputs differ from example to example: all of them, then each alone where a rule tells them apart."""
    arrays = [i for i, x in enumerate(sample.inputs) if isinstance(x, np.ndarray)]
    return [set(arrays)] + ([{i} for i in arrays] if len(arrays) > 1 and name in RULES else [])


def has_mask(sample, chosen):
    return any(sample.inputs[i].dtype.kind == "b" for i in chosen)


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_vmap_is_a_loop_and_a_stack(name, sample):
    for chosen in modes(name, sample):
        given = [examples(x) if i in chosen else x for i, x in enumerate(sample.inputs)]
        axes = tuple([0 if i in chosen else None for i in range(len(given))])
        try:
            rows = [
                called(name, sample, [wrap(x[i]) if k in chosen else _constant(x) for k, x in enumerate(given)])
                for i in range(N)
            ]
        except (ValueError, np.linalg.LinAlgError):
            continue  # the variant is outside of what the operation takes
        if any(len({row[k].shape for row in rows}) > 1 for k in range(len(rows[0]))):
            continue  # the shape depends on values
        try:
            got = at.vmap(lambda *xs: called(name, sample, xs), axes)(*[_constant(x) for x in given])
        except ShapeError as error:
            assert has_mask(sample, chosen) and "mask" in str(error)
            continue
        for k, whole in enumerate(got):
            want = np.stack([row[k].numpy() for row in rows])
            assert whole.shape == want.shape and whole.dtype == want.dtype, f"output {k}, batched {chosen}"
            if want.dtype.kind in "fc":
                size = np.abs(want[np.isfinite(want)]).max(initial=0.0)
                tol = 100 * max(sample.tol, np.finfo(want.dtype).eps)
                np.testing.assert_allclose(whole, want, rtol=tol, atol=tol * size, err_msg=f"batched {chosen}")
            else:
                np.testing.assert_array_equal(whole.numpy(), want, err_msg=f"batched {chosen}")


def _constant(x):
    return wrap(x) if isinstance(x, np.ndarray) else x


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sample"), [c for c in CASES if c.values[1].order])
def test_gradient_through_vmap_is_the_loops(name, sample):
    arrays = [i for i, x in enumerate(sample.inputs) if isinstance(x, np.ndarray)]
    if has_mask(sample, arrays):
        return
    given = [examples(x) if i in arrays else x for i, x in enumerate(sample.inputs)]

    def gradients(many):
        leaves = [_leaf(x) for x in given]
        axes = tuple([0 if i in arrays else None for i in range(len(given))])
        if many:
            outs = at.vmap(lambda *xs: called(name, sample, xs), axes)(*leaves)
        else:
            rows = [called(name, sample, [x[i] if k in arrays else x for k, x in enumerate(leaves)]) for i in range(N)]
            outs = [at.stack(list(parts)) for parts in zip(*rows, strict=True)]
        floats = [y for y in outs if y.dtype.kind in "fc"]
        seeds = [wrap(np.cos(np.arange(y.size, dtype=float)).reshape(y.shape).astype(y.dtype)) for y in floats]
        return backpropagate(floats, seeds, [leaves[i] for i in sample.wrt])

    try:
        want = gradients(False)
    except (ValueError, np.linalg.LinAlgError):
        return
    for a, b in zip(gradients(True), want, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            size = np.abs(b.numpy()[np.isfinite(b.numpy())]).max(initial=0.0)
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-9 * size)


def _leaf(x):
    if not isinstance(x, np.ndarray):
        return x
    out = wrap(x)
    out.tracked = x.dtype.kind in "fc"
    return out

"""The ways of computing convolutions against loops in float64: direct and Winograd, on one thread and on two."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotensor import config
from autotensor.kernels import blas, conv, direct, winograd
from autotensor.ops.window import windows
from tests.autotensor.samples import conv as loops

pytestmark = pytest.mark.skipif(not blas.AVAILABLE, reason="without BLAS in kernels there is one way only")

# float32 against float64, as a part of the largest value: measured are 8e-7 and 7e-6.
DIRECT, WINOGRAD = 3e-6, 3e-5


class Case:
    """Arrays of a convolution and, from loops in float64, what its three maps make of them."""

    def __init__(self, shape, size, c_out, strides, padding, dilation, dtype="float32", seed=0):
        rng = np.random.default_rng(seed)
        self.x = rng.normal(size=shape).astype(dtype)
        self.kernel = rng.normal(size=(*size, shape[-1], c_out)).astype(dtype)
        self.bias = rng.normal(size=c_out).astype(dtype)
        self.w = windows("conv", shape[1:-1], size, strides, padding, dilation)
        self.g = rng.normal(size=(shape[0], *self.w.out, c_out)).astype(dtype)
        how = loops.how(strides, padding, dilation)
        x, kernel, g = [a.astype(np.float64) for a in (self.x, self.kernel, self.g)]
        self.wanted = (
            loops.conv(x, kernel, **how),
            loops.conv_input(g, kernel, x, **how),
            loops.conv_kernel(x, g, kernel, **how),
        )

    def run(self, way):
        """Results of the three maps by a module of kernels, in memory that holds NaN before."""
        outs = [np.full(a.shape, np.nan, a.dtype) for a in (self.g, self.x, self.kernel)]
        calls = [
            way.forward(outs[0], self.x, self.kernel, self.w, poisoned),
            way.backward_input(outs[1], self.g, self.kernel, self.w, poisoned),
            way.backward_kernel(outs[2], self.x, self.g, self.w, poisoned),
        ]
        for call, arguments in calls:
            call(*arguments)
        return outs

    def check(self, way, tolerance):
        for got, want, name in zip(self.run(way), self.wanted, ("forward", "input", "kernel"), strict=True):
            error = np.abs(got - want).max(initial=0) / max(1, np.abs(want).max(initial=0))
            assert error < tolerance, f"{name}: {error}"


def poisoned(shape, dtype):
    """Scratch memory as a plan lends it: of another's values."""
    return np.full(shape, np.nan, dtype)


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request):
    with config.use(threads=request.param):
        yield request.param


# Shape, sizes, channels of the result, strides, padding, dilation.
CASES = [
    ((2, 9, 8, 3), (3, 3), 5, (1, 1), "valid", (1, 1)),
    ((3, 9, 8, 7), (3, 2), 5, (2, 1), "same", (1, 1)),
    ((3, 9, 8, 6), (3, 2), 5, (1, 1), "same", (2, 3)),
    ((3, 20, 7), (4,), 33, (1,), "causal", (2,)),
    ((4, 50, 17), (3,), 20, (1,), "valid", (1,)),
    ((2, 5, 6, 7, 2), (2, 3, 2), 3, (1, 2, 1), "same", (1, 1, 1)),
    ((5, 6, 6, 4), (1, 1), 7, (1, 1), "valid", (1, 1)),
    ((5, 6, 6, 4), (1, 1), 7, (2, 2), "valid", (1, 1)),
    ((2, 30, 30, 3), (7, 7), 64, (2, 2), "same", (1, 1)),
    ((3, 30, 30, 1), (3, 3), 32, (1, 1), "same", (1, 1)),
    ((2, 40, 3), (4,), 9, (3,), ((5, 7),), (2,)),
    ((1, 3, 4, 2), (3, 3), 40, (1, 1), ((3, 3), (0, 2)), (1, 1)),
    ((1, 1, 1, 40), (2, 2), 3, (1, 1), ((1, 1), (0, 1)), (1, 1)),
    ((2, 12, 12, 48), (5, 5), 96, (1, 1), "same", (1, 1)),
    ((1, 3000, 2), (3,), 2, (1,), "valid", (1,)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_direct(case, threads):
    Case(*case).check(direct, DIRECT)
    Case(*case, dtype="float64").check(direct, 1e-13)


PLANES = [
    ((2, 9, 8, 16), 17, "valid"),
    ((3, 13, 12, 20), 16, "same"),
    ((1, 3, 3, 16), 16, "same"),
    ((5, 26, 26, 32), 64, "valid"),
    ((2, 12, 11, 16), 16, ((2, 0), (1, 2))),
    ((1, 6, 200, 24), 16, "valid"),
]


@pytest.mark.parametrize("case", PLANES, ids=str)
def test_winograd(case, threads):
    shape, c_out, padding = case
    Case(shape, (3, 3), c_out, (1, 1), padding, (1, 1)).check(winograd, WINOGRAD)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("n", [3, 7, 62])
def test_winograd_along_one_axis(n, padding, threads):
    Case((3, n, 18), (3,), 20, (1,), padding, (1,)).check(winograd, WINOGRAD)


def test_winograd_of_many_rows_at_a_time(monkeypatch, threads):
    """How many rows of squares are worked on at a time does not show."""
    case = Case((3, 13, 12, 20), (3, 3), 16, (1, 1), "same", (1, 1))
    for budget in (1, 200_000, 1 << 30):
        monkeypatch.setattr(winograd, "CACHE_BYTES", budget)
        case.check(winograd, WINOGRAD)


@given(
    n=st.integers(1, 3),
    space=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    c_in=st.integers(1, 20),
    c_out=st.integers(1, 20),
    data=st.data(),
)
def test_any_geometry(n, space, c_in, c_out, data):
    def each(least, most):
        return tuple([data.draw(st.integers(least, most)) for _ in space])

    strides, dilation, size, low, high = each(1, 3), each(1, 2), each(1, 4), each(0, 3), each(0, 3)
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation)]
    high = tuple([max(b, r - m - a) for m, r, a, b in zip(space, reach, low, high)])
    padding = tuple(zip(low, high))
    with config.use(threads=data.draw(st.integers(1, 2))):
        Case((n, *space, c_in), size, c_out, strides, padding, dilation, "float64").check(conv, 1e-12)
        Case((n, *space, c_in), size, c_out, strides, padding, dilation).check(conv, WINOGRAD)


@given(n=st.integers(1, 3), rows=st.integers(1, 14), columns=st.integers(1, 14), data=st.data())
def test_any_size_of_plane_by_winograd(n, rows, columns, data):
    low, high = [tuple([data.draw(st.integers(0, 2)) for _ in range(2)]) for _ in range(2)]
    high = tuple([max(b, 3 - m - a) for m, a, b in zip((rows, columns), low, high)])
    if max(high) > 2:
        return  # turned around, such borders cut the image: not for Winograd's way back
    padding = tuple(zip(low, high))
    Case((n, rows, columns, 16), (3, 3), 16, (1, 1), padding, (1, 1)).check(winograd, WINOGRAD)


@pytest.mark.parametrize("way", [direct, winograd], ids=["direct", "winograd"])
def test_the_same_bits_for_any_number_of_threads(way):
    case = Case((4, 14, 15, 16), (3, 3), 24, (1, 1), "same", (1, 1))
    found = []
    for threads in (1, 2):
        with config.use(threads=threads, deterministic=True):
            found.append(case.run(way))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", [PLANES[1], PLANES[3]], ids=str)
def test_bias_and_activation(case, relu, threads):
    shape, c_out, padding = case
    case = Case(shape, (3, 3), c_out, (1, 1), padding, (1, 1))
    want = case.wanted[0] + case.bias
    want = np.maximum(want, 0) if relu else want
    for way in (direct, winograd):
        out = np.full(want.shape, np.nan, np.float32)
        call, arguments = way.forward(out, case.x, case.kernel, case.w, poisoned, case.bias, relu)
        call(*arguments)
        np.testing.assert_allclose(out, want, atol=WINOGRAD * np.abs(want).max())
        assert not relu or out.min() == 0


@pytest.mark.parametrize("way", [direct, winograd], ids=["direct", "winograd"])
def test_nan_passes_the_activation(way):
    case = Case((1, 8, 8, 16), (3, 3), 16, (1, 1), "valid", (1, 1))
    case.bias[3] = np.nan
    out = np.zeros(case.g.shape, np.float32)
    call, arguments = way.forward(out, case.x, case.kernel, case.w, poisoned, case.bias, True)
    call(*arguments)
    assert np.isnan(out[..., 3]).all() and not np.isnan(np.delete(out, 3, -1)).any()


def test_which_way_is_taken():
    def ways(dtype="float32", c_in=32, **case):
        shape, size = case.get("shape", (2, 12, 12)), case.get("size", (3, 3))
        case = Case((*shape, c_in), size, 32, case.get("strides", (1, 1)), "same", (1, 1), dtype)
        calls = (
            conv.forward(case.g, case.x, case.kernel, case.w, np.empty),
            conv.backward_input(case.x, case.g, case.kernel, case.w, np.empty),
            conv.backward_kernel(case.kernel, case.x, case.g, case.w, np.empty),
        )
        fast = {winograd.forward_kernel, winograd.forward_kernel.serial}
        fast |= {winograd.kernel_kernel, winograd.kernel_kernel.serial}
        return [call in fast or bool(fast & {a for a in args if callable(a)}) for call, args in calls]

    assert ways() == [True] * 3
    assert ways("float64") == [False] * 3
    assert ways(c_in=3) == [False] * 3
    assert ways(strides=(2, 2)) == [False] * 3
    assert ways(size=(5, 5)) == [False] * 3
    assert ways(shape=(2, 2, 2)) == [False] * 3
    with config.use(winograd=False):
        assert ways() == [False] * 3


def test_little_memory():
    """Neither all windows nor all squares are ever in memory."""
    x, kernel = np.zeros((64, 48, 48, 16), np.float32), np.zeros((3, 3, 16, 16), np.float32)
    w = windows("conv", (48, 48), (3, 3), (1, 1), "same", (1, 1))
    for way in (direct, winograd):
        taken = []

        def scratch(shape, dtype, taken=taken):
            taken.append(math.prod(shape) * np.dtype(dtype).itemsize)
            return np.empty(shape, dtype)

        way.forward(x, x, kernel, w, scratch)
        way.backward_input(x, x, kernel, w, scratch)
        way.backward_kernel(kernel, x, x, w, scratch)
        assert sum(taken) < x.nbytes, f"{way.__name__}: {sum(taken)} bytes beside {x.nbytes}"


def test_the_activations_gradient_and_its_sums(threads):
    rng = np.random.default_rng(0)
    for shape in [(1, 3), (130, 5, 7), (4, 30, 30, 32)]:
        g, out = rng.normal(size=(2, *shape)).astype(np.float32)
        masked, total = np.full_like(g, np.nan), np.full(shape[-1], np.nan, np.float32)
        call, arguments = conv.relu_grad(masked, total, g, out, poisoned)
        call(*arguments)
        want = np.where(out > 0, g, 0)
        np.testing.assert_array_equal(masked, want)
        np.testing.assert_allclose(total, want.astype(np.float64).reshape(-1, shape[-1]).sum(0), rtol=1e-5, atol=1e-4)

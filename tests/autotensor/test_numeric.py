"""NumPy's compositions in graphs: unknown sizes where they can be unknown, clear errors where not."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import AutotensorError
from tests.autotensor.samples.base import array, positive

X = array(3, 4)
N = np.where(X > 1.2, np.nan, X)
W = positive(3, 4)
V = array(5)

# Of a placeholder with these sizes: the call, and the array it is given.
IN_GRAPHS = [
    (lambda x: at.ptp(x, axis=1), (None, 4), X),
    (lambda x: at.average(x, axis=1, weights=W[0]), (None, 4), X),
    (lambda x: at.median(x, axis=1), (None, 4), X),
    (lambda x: at.percentile(x, [20, 80], axis=1), (None, 4), X),
    (lambda x: at.quantile(x, 0.3, axis=0), (3, None), X),
    (lambda x: at.cov(x), (None, None), X),
    (lambda x: at.corrcoef(x, rowvar=False), (None, None), X),
    (lambda x: at.trapezoid(x, dx=0.5), (None, None), X),
    (lambda x: np.gradient(x, axis=0), (None, None), X),
    (lambda x: at.ediff1d(x, to_begin=[1.0, 2.0]), (None, 4), X),
    (lambda x: at.interp(x, [-1.0, 0.0, 1.0], [1.0, 5.0, 2.0], left=0.0), (None, 4), X),
    (lambda x: at.unwrap(3 * x), (None, None), X),
    (lambda x: at.convolve(x, V[:2]), (None,), V),
    (lambda x: at.correlate(x, V[:2], "full"), (None,), V),
    (lambda x: at.polyval(V, x), (None, None), X),
    (lambda x: at.polymul(x, V), (None,), V),
    (lambda x: at.vdot(x, x), (None, None), X),
    (lambda x: at.select([x > 0.5, x > 0], [x, 2 * x], -x), (None, 4), X),
    (lambda x: at.vander(x, 3), (None,), V),
    (lambda x: at.nan_to_num(x, nan=2.0), (None, 4), N),
    (lambda x: at.nansum(x, axis=1), (None, 4), N),
    (lambda x: at.nanmean(x, axis=0), (None, 4), N),
    (lambda x: at.nanstd(x, axis=1), (None, 4), N),
    (lambda x: at.nanvar(x, axis=1, ddof=1), (None, 4), N),
    (lambda x: at.nanmax(x, axis=1), (None, 4), N),
    (lambda x: at.nanmin(x, axis=0), (None, 4), N),
    (lambda x: at.nanmedian(x, axis=1), (None, None), N),
    (lambda x: at.nanquantile(x, 0.3, axis=1), (None, None), N),
    (lambda x: at.nanpercentile(x, 30, axis=0), (None, None), N),
    (lambda x: at.nanprod(x, axis=1), (None, 4), N),
    (lambda x: at.nancumsum(x, axis=1), (None, 4), N),
    (lambda x: at.nancumprod(x, axis=0), (None, 4), N),
    (lambda x: at.hstack([x, x]), (None, 4), X),
    (lambda x: at.vstack([x, x]), (None, 4), X),
    (lambda x: at.dstack([x, x]), (None, 4), X),
    (lambda x: at.column_stack([x, x]), (None,), V),
    (lambda x: at.block([[x, x], [x, x]]), (None, None), X),
    (lambda x: at.append(x, x, axis=0), (None, 4), X),
    (lambda x: at.array_split(x, 3, axis=1)[0], (None, 4), X),
    (lambda x: at.vsplit(x, [1])[0], (None, 4), X),
    (lambda x: at.hsplit(x, 2)[1], (None, 4), X),
    (lambda x: at.rot90(x), (None, None), X),
    (lambda x: at.dsplit(x[None], 2)[1], (None, 4), X),
    (lambda x: at.delete(x, 1, axis=1), (None, 4), X),
    (lambda x: at.insert(x, 1, 7.0, axis=1), (None, 4), X),
    (lambda x: at.rollaxis(x, 1), (None, None), X),
    (lambda x: at.fliplr(at.flipud(x)), (None, None), X),
    (lambda x: at.atleast_2d(x), (None,), V),
    (lambda x: at.atleast_3d(x), (None, 4), X),
    (lambda x: at.piecewise(x, [x < 0, x >= 0], [lambda v: -v, lambda v: v * v]), (None, 4), X),
    (lambda x: at.special.gammaln(at.abs(x)), (None, None), X),
    (lambda x: at.special.xlogy(x, W), (None, 4), X),
    (lambda x: at.special.kl_div(W, at.exp(x)), (None, 4), X),
    (lambda x: at.special.multigammaln(at.abs(x) + 2, 2), (None, None), X),
    (lambda x: at.polyder(x, 2), (5,), V),
    (lambda x: at.polyint(x), (5,), V),
    (lambda x: at.polyadd(x, V[:2]), (5,), V),
    (lambda x: at.polysub(V[:2], x), (5,), V),
    (lambda x: at.expm(x @ x.T), (None, None), X[:2, :2]),
]


@pytest.fixture(autouse=True)
def without_kernels():
    with at.config.use(numba=False):
        yield


@pytest.mark.parametrize("case", range(len(IN_GRAPHS)))
def test_graph_is_eager(case):
    f, sizes, value = IN_GRAPHS[case]
    x = at.Tensor(value, requires_grad=True)
    want = f(x)
    p = at.placeholder(sizes, np.float64)
    y = f(p)
    assert len(y.shape) == want.ndim
    assert all(d in (None, n) for d, n in zip(y.shape, want.shape, strict=True))
    got, slope = at.function([p], [y, at.gradients([(y * y).sum()], [p])[0]])(value)
    np.testing.assert_allclose(got, want.numpy(), rtol=1e-12, equal_nan=True)
    np.testing.assert_allclose(slope, at.grad((want * want).sum(), x).numpy(), rtol=1e-10, atol=1e-12, equal_nan=True)


def test_positions_of_extremes_leave_nan_out():
    np.testing.assert_array_equal(at.nanargmax(N, axis=1).numpy(), np.nanargmax(N, axis=1))
    np.testing.assert_array_equal(at.nanargmin(N, axis=0).numpy(), np.nanargmin(N, axis=0))


@pytest.mark.parametrize(
    "method", "linear lower higher midpoint nearest hazen weibull median_unbiased normal_unbiased".split()
)
def test_quantile_methods(method):
    for q in (0.0, 0.07, 0.5, 0.83, 1.0):
        for x in (V, X[0], np.array([3.0])):
            assert float(at.quantile(x, q, method=method)) == pytest.approx(np.quantile(x, q, method=method))
    assert np.isnan(float(at.quantile(np.array([1.0, np.nan]), 0.2, method=method)))


def test_interp_with_a_period_and_at_the_edges():
    xp, fp = np.array([0.5, 2.0, 3.5]), np.array([1.0, 5.0, 2.0])
    x = np.array([-7.3, 0.5, 3.5, 3.9, 11.0, np.nan])
    np.testing.assert_allclose(at.interp(x, xp, fp, period=4.0).numpy(), np.interp(x, xp, fp, period=4.0))
    np.testing.assert_allclose(at.interp(x, xp, fp, -1.0, 9.0).numpy(), np.interp(x, xp, fp, -1.0, 9.0))
    np.testing.assert_allclose(at.interp(x, xp[:1], fp[:1]).numpy(), np.interp(x, xp[:1], fp[:1]))


def test_convolution_modes_and_sizes():
    for n in (1, 2, 3, 4, 5):
        for m in (1, 2, 3, 4, 5):
            a, v = array(n), array(m, seed=2)
            for mode in ("full", "same", "valid"):
                np.testing.assert_allclose(at.convolve(a, v, mode).numpy(), np.convolve(a, v, mode), atol=1e-14)
                np.testing.assert_allclose(at.correlate(a, v, mode).numpy(), np.correlate(a, v, mode), atol=1e-14)


def test_covariance_with_weights():
    f, a = np.array([1, 2, 1, 3]), W[0]
    for kw in (
        {},
        {"bias": True},
        {"fweights": f},
        {"aweights": a},
        {"fweights": f, "aweights": a, "ddof": 0},
        {"ddof": 2},
    ):
        np.testing.assert_allclose(at.cov(X, **kw).numpy(), np.cov(X, **kw))
    np.testing.assert_allclose(at.cov(V, V[::-1]).numpy(), np.cov(V, V[::-1]))
    mean, total = at.average(X, axis=0, weights=W, returned=True)
    want = np.average(X, axis=0, weights=W, returned=True)
    np.testing.assert_allclose(mean.numpy(), want[0])
    np.testing.assert_allclose(total.numpy(), want[1])


def test_infinities_stay_apart():
    x = np.array([np.inf, 1.0, -2.0])
    np.testing.assert_array_equal(at.vander(x, 2).numpy(), np.vander(x, 2))
    np.testing.assert_array_equal(at.polyval([2.0], x).numpy(), [2.0] * 3)
    np.testing.assert_array_equal(at.nan_to_num(x, posinf=9.0).numpy(), [9.0, 1.0, -2.0])
    np.testing.assert_array_equal(at.nan_to_num(x * 1j, nan=1.0).numpy(), np.nan_to_num(x * 1j, nan=1.0))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: at.quantile(V, 1.5), "from 0 to 1"),
        (lambda: at.quantile(V, 0.5, method="best"), "method"),
        (lambda: at.nanquantile(V, 0.5, method="lower"), "linear"),
        (lambda: at.quantile(np.zeros(0), 0.5), "no elements"),
        (lambda: at.quantile(at.placeholder((None,)), 0.5), "known size"),
        (lambda: at.interp(V, V[:2], V), "two vectors"),
        (lambda: at.interp(V, V, V, period=0), "period"),
        (lambda: at.average(X, weights=V), "weights"),
        (lambda: at.cov(np.ones((2, 2, 2))), "rank 1 or 2"),
        (lambda: np.gradient(at.ones(1)), "too short"),
        (lambda: np.gradient(at.ones((3, 3)), 1.0, 2.0, 3.0), "distance"),
        (lambda: at.convolve(V, X), "two vectors"),
        (lambda: at.convolve(V, V, "odd"), "mode"),
        (lambda: at.select([], []), "as many"),
        (lambda: at.piecewise(V, [V > 0], []), "functions"),
        (lambda: at.rot90(X, axes=(0, 0)), "different"),
        (lambda: at.array_split(V, 0), "one part"),
    ],
)
def test_errors_say_what_was_expected(call, error):
    with pytest.raises((AutotensorError, ValueError, TypeError), match=error):
        call()

"""The namespaces for programs of HIPS autograd: what NumPy does not dispatch, SciPy's values, derivatives, helpers."""

from __future__ import annotations

import importlib
from collections import namedtuple

import numpy as np
import pytest

import autotensor as at
import autotensor.numpy as anp
from autotensor import builtins, tracer
from autotensor.errors import GradError, TraceError
from autotensor.misc import fixed_points, flatten, optimizers
from autotensor.misc.flatten import flatten_func
from autotensor.numpy._lifting import Ufunc
from autotensor.test_util import check_grads, combo_check
from autotensor.testing import check_grad

scipy_special = pytest.importorskip("scipy.special")
scipy_stats = pytest.importorskip("scipy.stats")
scipy_linalg = pytest.importorskip("scipy.linalg")

RS = np.random.RandomState(0)


def leaf(*values):
    return at.Tensor(list(values), requires_grad=True)


# -- autotensor.numpy


def test_without_tensors_it_is_numpy():
    for made, want in [
        (anp.zeros(3), np.ndarray),
        (anp.sin(1.0), np.float64),
        (anp.array([1, 2]), np.ndarray),
        (anp.mean([1, 2]), np.float64),
        (anp.linalg.inv(np.eye(2)), np.ndarray),
        (anp.fft.fft(np.ones(2)), np.ndarray),
        (anp.r_[1, 2], np.ndarray),
        (anp.full(2, 1.0), np.ndarray),
        (anp.vectorize(lambda v: v + 1)(np.ones(2)), np.ndarray),
        (anp.random.RandomState(0).randn(2), np.ndarray),
        (anp.asarray_chkfinite([1.0]), np.ndarray),
    ]:
        assert type(made) is want
    assert anp.pi == np.pi and anp.newaxis is None and anp.float64 is np.float64 and anp.ndarray is np.ndarray
    assert "einsum" in dir(anp) and anp.isscalar(3) and not anp.isscalar([3])


def test_lists_of_tensors_keep_gradients():
    x = leaf(1.0, 2.0)
    for y in (
        anp.array([x[0], 2 * x[1]]),
        anp.asarray([[x[0]], [x[1]]]),
        anp.exp([x[0], x[1]]),
        anp.mean([x[0], x[1]]),
        anp.r_[x, 3.0],
        anp.c_[x, x],
        anp.concatenate([[x[0]], [1.0]]),
        anp.linalg.norm([x[0], x[1]]),
        anp.full(3, x[0]),
        anp.sum((x[0], x[1])),
        anp.vectorize(lambda v: v * v)(x),
        anp.array(x, ndmin=2),
        anp.maximum([x[0], 1.0], 0.5),
        anp.make_diagonal(x, axis1=-1, axis2=-2),
        anp.block([[x], [x]]),
        anp.std([x[0], x[1]]),
        anp.r_[x, 0:2],
        anp.stack([[x[0], x[1]], [1.0, 2.0]]),
        anp.asarray_chkfinite(x),
    ):
        assert isinstance(y, at.Tensor) and y.requires_grad
    assert anp.r_[x, 0:2].tolist() == [1.0, 2.0, 0.0, 1.0]
    assert anp.isscalar(x[0]) and not anp.isscalar(x)
    pair = anp.vectorize(lambda v: (v, v * v))(x)
    assert pair[1].tolist() == [1.0, 4.0]
    assert isinstance(anp.add, Ufunc) and anp.add.reduce(x).item() == 3.0 and "add" in repr(anp.add)
    with pytest.raises(ValueError, match="finite"):
        anp.asarray_chkfinite([np.nan])
    with pytest.raises(NotImplementedError):
        anp.make_diagonal(x)


# -- autotensor.scipy

ARGUMENTS = {
    "beta": (0.7, 1.4),
    "betaln": (0.7, 1.4),
    "betainc": (1.5, 2.0, 0.3),
    "gammainc": (1.5, 0.6),
    "gammaincc": (1.5, 0.6),
    "jn": (2, 1.3),
    "yn": (2, 1.3),
    "jv": (0.4, 1.3),
    "yv": (0.4, 1.3),
    "iv": (0.4, 1.3),
    "ive": (1.4, 1.3),
    "polygamma": (2, 1.3),
    "multigammaln": (2.3, 3),
    "xlogy": (0.4, 0.7),
    "xlog1py": (0.4, 0.7),
    "rel_entr": (0.4, 0.7),
    "kl_div": (0.4, 0.7),
    "stdtr": (3.0, 0.4),
}
WHOLE = {"jn", "yn", "polygamma"}  # the first argument is an order


def test_special_functions_have_scipys_values_and_right_slopes():
    module = importlib.import_module("autotensor.scipy.special")
    assert set(at.special.__all__) - {"softplus"} <= set(module.__all__)
    for name in sorted(set(module.__all__) - {"logsumexp", "softmax", "log_softmax"}):
        ours, theirs = getattr(module, name), getattr(scipy_special, name, None)
        args = ARGUMENTS.get(name, (0.37,))
        got = ours(*args)
        want = np.sinc(args[0]) if theirs is None else theirs(*args)
        assert type(got) is np.float64, name
        assert got == pytest.approx(want, rel=1e-11), name
        if name == "multigammaln":
            check_grad(lambda a, f=ours: f(a, 3), 2.3, order=2)
        else:
            check_grad(lambda x, f=ours, a=args[:-1]: f(*a, x), args[-1], order=2)


def test_derivatives_of_special_functions_agree_with_mpmath():
    mpmath = pytest.importorskip("mpmath")
    mpmath.mp.dps = 30
    closed = {
        "gammaln": mpmath.loggamma,
        "gamma": mpmath.gamma,
        "digamma": mpmath.digamma,
        "rgamma": mpmath.rgamma,
        "ndtr": mpmath.ncdf,
        "log_ndtr": lambda x: mpmath.log(mpmath.ncdf(x)),
        "i0": lambda x: mpmath.besseli(0, x),
        "i1": lambda x: mpmath.besseli(1, x),
        "j0": lambda x: mpmath.besselj(0, x),
        "j1": lambda x: mpmath.besselj(1, x),
        "i0e": lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x),
        "erfcinv": lambda x: mpmath.erfinv(1 - x),
        "sinc": lambda x: mpmath.sincpi(x),
        "logit": lambda x: mpmath.log(x / (1 - x)),
        "entr": lambda x: -x * mpmath.log(x),
        "log_expit": lambda x: -mpmath.log(1 + mpmath.exp(-x)),
        "ndtri": lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1),
    }
    for name, f in closed.items():
        ours = getattr(at.special, name)
        for x in (0.3, 0.85):
            for n in (1, 2, 3):
                g = ours
                for _ in range(n):
                    g = at.grad(g)
                want = float(mpmath.diff(f, mpmath.mpf(x), n))
                assert float(g(x)) == pytest.approx(want, rel=1e-9, abs=1e-9), (name, x, n)
    # Where cancellation or a limit is near.
    assert float(at.special.log_ndtr(-40.0)) == pytest.approx(float(mpmath.log(mpmath.ncdf(-40))), rel=1e-14)
    assert float(at.grad(at.special.log_ndtr)(-40.0)) == pytest.approx(40.02496, rel=1e-6)
    assert float(at.special.ndtri(1e-300)) == pytest.approx(-37.0471, rel=1e-5)
    assert float(at.grad(at.grad(at.special.sinc))(0.0)) == pytest.approx(-(np.pi**2) / 3, rel=1e-12)
    assert float(at.special.polygamma(4, -2.5)) == pytest.approx(float(mpmath.psi(4, mpmath.mpf("-2.5"))), rel=1e-12)


def test_special_functions_at_their_limits():
    x = np.array([0.0, -1.0, np.inf, np.nan, 171.5, 172.0, 1e300])
    for name in "gammaln digamma gamma rgamma ndtr log_ndtr expit entr i0e j0".split():
        with np.errstate(all="ignore"):
            want = getattr(scipy_special, name)(x)
            got = np.asarray(getattr(at.special, name)(at.asarray(x)))
        keep = ~np.isnan(want)
        np.testing.assert_allclose(got[keep], want[keep], rtol=1e-11, atol=1e-300, err_msg=name)
    a, b = np.array([0.0, 0.0, 0.0, 1.0, -1.0]), np.array([0.0, -1.0, np.inf, 0.0, 1.0])
    for name in "xlogy xlog1py rel_entr kl_div".split():
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(
                np.asarray(getattr(at.special, name)(a, b)), getattr(scipy_special, name)(a, b)
            )
    with pytest.raises(ValueError, match="whole number"):
        at.special.polygamma(0.5, 1.0)
    with pytest.raises(at.DTypeError, match="real"):
        at.special.gammaln(np.ones(2) * 1j)
    for f, args in [(at.special.betainc, (1.0, 2.0, 0.3)), (at.special.jv, (0.5, 1.0)), (at.special.stdtr, (2.0, 0.1))]:
        with pytest.raises(GradError, match="derivative by x only"):
            at.grad(f)(*args)


def test_sums_of_exponentials():
    special = importlib.import_module("autotensor.scipy.special")
    x = RS.randn(3, 4)
    b = RS.rand(3, 4)
    for kw in ({}, {"axis": 1}, {"axis": 0, "keepdims": True}, {"axis": 1, "b": b}, {"b": 2.0}):
        np.testing.assert_allclose(special.logsumexp(x, **kw), scipy_special.logsumexp(x, **kw), rtol=1e-13)
        check_grad(lambda t, kw=kw: special.logsumexp(t, **kw), x, order=2)
    for axis in (None, 0, (0, 1)):
        np.testing.assert_allclose(special.softmax(x, axis), scipy_special.softmax(x, axis))
        np.testing.assert_allclose(special.log_softmax(x, axis), scipy_special.log_softmax(x, axis))
        assert special.softmax(at.Tensor(x, requires_grad=True), axis).requires_grad


STATS = {
    "norm": ((0.4, 0.3, 1.2), (0, 1, 2)),
    "t": ((0.4, 3.0, 0.3, 1.2), (0, 1, 2, 3)),
    "beta": ((0.4, 2.0, 3.0), (0, 1, 2)),
    "gamma": ((0.4, 2.5), (0, 1)),
    "chi2": ((0.4, 3.0), (0, 1)),
    "poisson": ((3.0, 2.2), (1,)),
}
BY_X_ONLY = {
    ("t", "cdf"): (0, 2, 3),
    ("t", "logcdf"): (0, 2, 3),
    ("beta", "cdf"): (0,),
    ("gamma", "cdf"): (0,),
    ("chi2", "cdf"): (0,),
}


@pytest.mark.parametrize("name", sorted(STATS))
def test_distributions(name):
    module = importlib.import_module(f"autotensor.scipy.stats.{name}")
    args, by = STATS[name]
    for function in module.__all__:
        ours, theirs = getattr(module, function), getattr(getattr(scipy_stats, name), function)
        assert ours(*args) == pytest.approx(theirs(*args), rel=1e-10), function
        outside = (-0.5, *args[1:])
        np.testing.assert_allclose(ours(*outside), theirs(*outside), rtol=1e-10)
        chosen = BY_X_ONLY.get((name, function), by)
        check_grad(
            lambda *v, f=ours, c=chosen: f(*[v[c.index(i)] if i in c else a for i, a in enumerate(args)]),
            *[args[i] for i in chosen],
            order=2,
        )


def test_distributions_of_vectors():
    from autotensor.scipy.stats import dirichlet, multivariate_normal

    alpha, x = np.array([1.5, 2.0, 0.7]), np.array([0.2, 0.5, 0.3])
    assert dirichlet.logpdf(x, alpha) == pytest.approx(scipy_stats.dirichlet.logpdf(x, alpha))
    assert dirichlet.pdf(x[:2], alpha) == pytest.approx(scipy_stats.dirichlet.pdf(x[:2], alpha))
    check_grad(lambda a: dirichlet.logpdf(x, a), alpha, order=2)
    assert dirichlet.rvs(alpha, 4, random_state=1).shape == (4, 3)
    cov = np.cov(RS.randn(3, 20))
    points, mean = RS.randn(5, 3), RS.randn(3)
    theirs = scipy_stats.multivariate_normal
    for args in [
        (points, mean, cov),
        (points[0], mean, cov),
        (points, mean, np.diag(cov)),
        (points, mean, 2.0),
        (0.4,),
        (points[:, 0], 0.3, 1.7),
    ]:
        np.testing.assert_allclose(multivariate_normal.logpdf(*args), theirs.logpdf(*args), rtol=1e-10)
    np.testing.assert_allclose(multivariate_normal.pdf(points, mean, cov), theirs.pdf(points, mean, cov))
    assert multivariate_normal.entropy(mean, cov) == pytest.approx(theirs.entropy(mean, cov))
    singular = np.outer([1.0, 2, 0], [1.0, 2, 0]) + np.outer([0, 1.0, 1], [0, 1.0, 1])
    on = singular @ RS.randn(3)
    got = multivariate_normal.logpdf(on, np.zeros(3), singular, allow_singular=True)
    assert got == pytest.approx(theirs.logpdf(on, np.zeros(3), singular, allow_singular=True))
    check_grad(lambda x, m, c: multivariate_normal.logpdf(x, m, c), points, mean, cov, order=2)


def test_matrix_functions():
    linalg = importlib.import_module("autotensor.scipy.linalg")
    a, b = RS.randn(4, 4), RS.randn(4, 4)
    m = a @ a.T + np.eye(4)
    for got, want in [
        (linalg.expm(a), scipy_linalg.expm(a)),
        (linalg.expm(20 * a) / scipy_linalg.expm(20 * a), np.ones((4, 4))),
        (linalg.sqrtm(m), scipy_linalg.sqrtm(m)),
        (linalg.solve_sylvester(a, m, b), scipy_linalg.solve_sylvester(a, m, b)),
        (linalg.block_diag(a, b[:2]), scipy_linalg.block_diag(a, b[:2])),
        (linalg.cholesky(m), scipy_linalg.cholesky(m)),
        (linalg.solve(m, b), scipy_linalg.solve(m, b)),
        (linalg.det(a), scipy_linalg.det(a)),
        (linalg.solve_triangular(m, b, 1, True), scipy_linalg.solve_triangular(m, b, 1, True)),
        (
            linalg.solve_triangular(m, b[0], unit_diagonal=True),
            scipy_linalg.solve_triangular(m, b[0], unit_diagonal=True),
        ),
        (linalg.solve_banded((1, 2), m, b), scipy_linalg.solve_banded((1, 2), m, b)),
        (linalg.lu(a)[2], scipy_linalg.lu(a)[2]),
        (linalg.inv(m), scipy_linalg.inv(m)),
        (linalg.norm(a), scipy_linalg.norm(a)),
        (linalg.svdvals(a), scipy_linalg.svdvals(a)),
    ]:
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)
    check_grad(lambda a, b: linalg.solve_triangular(a, b, "T", lower=True), m, b, order=2)
    check_grad(lambda ab, b: linalg.solve_banded((1, 2), ab, b), m, b[0], order=1)
    check_grad(lambda a, b: linalg.block_diag(a, b), a[:2, :2], b[:1, :2], order=1)
    np.testing.assert_array_equal(np.asarray(at.block_diag(a, b)), scipy_linalg.block_diag(a, b))
    assert np.isnan(np.asarray(at.sqrtm(-np.eye(2)))).all()
    assert np.asarray(at.expm(np.zeros((0, 0)))).shape == (0, 0)
    with pytest.raises(GradError, match=r"\[np.lu\]"):
        linalg.lu(at.Tensor(a, requires_grad=True))
    assert isinstance(linalg.lu(at.asarray(a))[2], at.Tensor)
    with pytest.raises(ValueError, match="trans"):
        at.solve_triangular(m, b, trans=7)
    with pytest.raises(at.ShapeError, match="diagonals"):
        at.solve_banded((1, 1), m, b)
    with pytest.raises(at.ShapeError, match="square"):
        at.expm(np.ones((2, 3)))
    with pytest.raises(at.ShapeError, match="of shape"):
        at.solve_sylvester(a, b, np.ones((2, 2)))


def test_convolution_of_several_axes():
    signal = importlib.import_module("autotensor.scipy.signal")
    theirs = pytest.importorskip("scipy.signal")
    a, b = RS.randn(5, 6), RS.randn(3, 2)
    for mode in ("full", "same", "valid"):
        np.testing.assert_allclose(signal.convolve(a, b, mode=mode), theirs.convolve(a, b, mode), atol=1e-12)
    np.testing.assert_allclose(signal.convolve(b, a, mode="valid"), theirs.convolve(b, a, "valid"), atol=1e-12)
    images, kernels = RS.randn(2, 3, 5, 4), RS.randn(3, 2, 2, 3)
    got = signal.convolve(images, kernels, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid")
    want = sum(
        np.array([[theirs.convolve(images[n, c], kernels[c, k], "valid") for k in range(2)] for n in range(2)])
        for c in range(3)
    )
    np.testing.assert_allclose(got, want, atol=1e-12)
    check_grad(lambda a, b: signal.convolve(a, b, mode="same"), a[:3, :3], b, order=2)
    with pytest.raises(at.ShapeError, match="larger"):
        signal.convolve(np.ones((2, 5)), np.ones((3, 3)), mode="valid")
    with pytest.raises(ValueError, match="mode"):
        signal.convolve(a, b, mode="wrap")


def test_odeint():
    integrate = importlib.import_module("autotensor.scipy.integrate")
    t = np.linspace(0.0, 1.5, 4)
    y0 = np.array([1.0, 2.0])

    def decay(y, t, rate):
        return -rate * y

    # The solution is y0 exp(-rate t), so all derivatives are known.
    def end(y0, rate):
        return integrate.odeint(decay, y0, t, (rate,), rtol=1e-11, atol=1e-11)[-1]

    value = end(y0, 0.7)
    assert type(value) is np.ndarray
    np.testing.assert_allclose(value, y0 * np.exp(-0.7 * 1.5), rtol=1e-9)
    jacobian, by_rate = at.jacobian(end, (0, 1))(y0, 0.7)
    np.testing.assert_allclose(jacobian.numpy(), np.eye(2) * np.exp(-0.7 * 1.5), atol=1e-8)
    np.testing.assert_allclose(by_rate.numpy(), -1.5 * y0 * np.exp(-0.7 * 1.5), rtol=1e-8)
    second = at.grad(at.grad(lambda r: end(y0, r).sum()))(0.7)
    assert float(second) == pytest.approx(1.5**2 * 3 * np.exp(-0.7 * 1.5), rel=1e-6)
    with pytest.raises(TraceError, match="scan"):
        integrate.odeint(decay, at.placeholder((2,)), t, (0.7,))


# -- autotensor.misc and the small modules


def test_flatten():
    Point = namedtuple("Point", "x y")
    value = {"b": [np.ones((2, 2)), 3.0], "a": (np.arange(2.0), Point(1.0, np.zeros(1)))}
    vector, unflatten = flatten(value)
    assert vector.tolist() == [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 3.0]
    back = unflatten(vector * 2)
    assert back["a"][1].x == 2.0 and type(back["a"][1]).__name__ == "Point" and back["b"][0].shape == (2, 2)
    assert flatten([])[0].size == 0
    x = leaf(1.0, 2.0)
    vector, unflatten = flatten([x, 1.0])
    assert vector.requires_grad and unflatten(vector)[0].requires_grad
    f, unflatten, start = flatten_func(lambda p: {"s": p["x"] * 2}, {"x": np.ones(2)})
    assert f(start).tolist() == [2.0, 2.0] and unflatten(start)["x"].shape == (2,)


def test_optimizers_find_the_minimum():
    target = {"x": np.array([1.0, -2.0]), "y": 0.5}
    seen = []

    def loss(p, i):
        return anp.sum((p["x"] - target["x"]) ** 2) + (p["y"] - target["y"]) ** 2

    start = {"x": np.zeros(2), "y": 0.0}
    for method, options in [
        (optimizers.sgd, {"num_iters": 200, "step_size": 0.5}),
        (optimizers.adam, {"num_iters": 400, "step_size": 0.05}),
        (optimizers.rmsprop, {"num_iters": 500, "step_size": 0.01}),
    ]:
        found = method(at.grad(loss), start, callback=lambda p, i, g: seen.append(i), **options)
        assert float(loss(found, 0)) < 1e-3
        assert method.__doc__
    assert seen[:3] == [0, 1, 2]
    assert callable(optimizers.unflatten_optimizer)


def test_fixed_point():
    def iterate(a):
        return lambda x: 0.5 * (x + a / x)

    def root(a):
        return fixed_points.fixed_point(iterate, a, 1.0, lambda x, y: abs(x - y), 1e-12)

    assert root(2.0) == pytest.approx(np.sqrt(2.0))
    for n, want in ((1, 0.5 * 2**-0.5), (2, -0.25 * 2**-1.5)):
        f = root
        for _ in range(n):
            f = at.grad(f)
        assert float(f(2.0)) == pytest.approx(want, rel=1e-9)


def test_small_modules():
    x = leaf(1.0, 2.0)
    assert type(tracer.getval(x)) is np.ndarray and type(tracer.getval(x[0])) is np.float64 and tracer.getval(3) == 3
    assert tracer.isbox(x) and not tracer.isbox(x.detach()) and not tracer.isbox(1.0)
    assert builtins.isinstance(x, np.ndarray) and builtins.isinstance(x[0], float) and not builtins.isinstance(x, float)
    assert builtins.isinstance(x, at.Tensor) and builtins.type(x) is np.ndarray and builtins.type((1,)) is tuple
    assert (builtins.tuple, builtins.list, builtins.dict) == (tuple, list, dict)
    check_grads(lambda x, y: anp.sin(x) * y, (0, 1))(0.3, np.ones(2))
    combo_check(lambda x, p: x**p, order=1)([0.5, 1.5], p=[2, 3])
    with pytest.raises(AssertionError):
        check_grads(lambda x: anp.sin(at.stop_gradient(x)) + 0 * x)(0.3)
    with pytest.raises(ValueError, match="modes"):
        check_grads(anp.sin, modes=["both"])
    assert at.misc.flatten is flatten and at.numpy is anp and at.scipy.__name__ == "autotensor.scipy"


def test_scipys_optimizers_take_what_our_functions_give():
    optimize = pytest.importorskip("scipy.optimize")

    def rosenbrock(x):
        return anp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    start = np.array([-1.2, 1.0])
    for method in ("BFGS", "CG", "L-BFGS-B", "TNC", "SLSQP", "Newton-CG", "trust-ncg", "trust-exact"):
        second = {"hess": at.hessian(rosenbrock)} if method.startswith("trust") else {}
        found = optimize.minimize(at.value_and_grad(rosenbrock), start, jac=True, method=method, **second)
        np.testing.assert_allclose(found.x, [1.0, 1.0], atol=2e-3, err_msg=method)
    found = optimize.least_squares(
        lambda x: anp.array([10 * (x[1] - x[0] ** 2), 1 - x[0]]),
        start,
        jac=at.jacobian(lambda x: anp.array([10 * (x[1] - x[0] ** 2), 1 - x[0]])),
    )
    np.testing.assert_allclose(found.x, [1.0, 1.0], atol=1e-6)

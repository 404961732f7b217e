"""Every public function of NumPy, given tensors: NumPy's own value with its gradient, or the clear error.

The tables below hold a call for each function of ``numpy``, ``numpy.linalg`` and ``numpy.fft``; a function without one
fails the test. ``t`` and its kin are tensors that require gradients; the same call on their arrays is the oracle.
"""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor.core.tensor import Tensor
from autotensor.errors import AutotensorError, GradError, TraceError
from autotensor.ops.numpy_protocol import CONSTANT_UFUNCS, UFUNCS
from autotensor.ops.numpy_values import CONSTANT, FUNCTIONS
from tests.autotensor.samples.base import array, positive

M = array(3, 3) @ array(3, 3).T + np.eye(3)
OPERANDS = {
    "t": array(3, 4),
    "u": array(3, 4, seed=1),
    "p": positive(3, 4, low=0.2, high=0.9),
    "v": array(6),
    "w": array(6, seed=3),
    "s": np.array(0.7),
    "m": M,
    "b": array(3, seed=2),
    "c": array(3, 4) + 1j * array(3, 4, seed=5),
    "n": np.where(array(3, 4) > 1.2, np.nan, array(3, 4)),
    "i": np.array([[2, 0, 1, 5], [3, 3, 1, 0], [7, 6, 5, 4]]),
    "q": array(2, 3, 4),
}


def call(text: str, use: dict) -> object:
    return eval(text, {"np": np, **use})


def tracked() -> dict:
    return {k: at.Tensor(x, requires_grad=x.dtype.kind in "fc") for k, x in OPERANDS.items()}


# Functions of NumPy that are to keep gradients: name -> call on the operands.
DERIVED = {
    "all": None, "any": None,
    "amax": "np.amax(t, axis=1)", "amin": "np.amin(t)", "max": "np.max(t, axis=0, keepdims=True)",
    "min": "np.min(t, axis=1, initial=-1.0, where=u > 0)",
    "angle": "np.angle(c)", "append": "np.append(t, u, axis=0)",
    "apply_along_axis": "np.apply_along_axis(lambda r: r * r[0], 1, t)",
    "apply_over_axes": "np.apply_over_axes(np.sum, q, [0, 2])",
    "around": "np.around(t, 1)", "round": "np.round(t)", "array_split": "np.array_split(v, 4)",
    "astype": "np.astype(t, np.float32)", "atleast_1d": "np.atleast_1d(s)", "atleast_2d": "np.atleast_2d(v)",
    "atleast_3d": "np.atleast_3d(t)", "average": "np.average(t, axis=1, weights=p)",
    "block": "np.block([[t, u], [u, t]])", "broadcast_arrays": "np.broadcast_arrays(t, s)",
    "broadcast_to": "np.broadcast_to(v, (2, 6))", "choose": "np.choose([0, 1, 0], [m, m * 2])",
    "clip": "np.clip(t, -1, 1)", "column_stack": "np.column_stack([v, w])", "compress": "np.compress([1, 0, 1], t, axis=0)",
    "concat": "np.concat([t, u])", "concatenate": "np.concatenate([t, np.ones((2, 4))])", "convolve": "np.convolve(v, b, 'same')",
    "copy": "np.copy(t)", "corrcoef": "np.corrcoef(t)", "correlate": "np.correlate(v, b, 'full')", "cov": "np.cov(t, u)",
    "cross": "np.cross(m, b)", "cumprod": "np.cumprod(t, axis=1)", "cumsum": "np.cumsum(t)",
    "cumulative_prod": "np.cumulative_prod(v)", "cumulative_sum": "np.cumulative_sum(t, axis=1, include_initial=True)",
    "delete": "np.delete(t, [0, 2], axis=1)", "diag": "np.diag(m, 1)", "diagflat": "np.diagflat(b)",
    "diagonal": "np.diagonal(q, 0, 1, 2)", "diff": "np.diff(t, n=2, axis=1, prepend=0.0)", "dot": "np.dot(m, b)",
    "dsplit": "np.dsplit(q, 2)", "dstack": "np.dstack([t, u])", "ediff1d": "np.ediff1d(v, to_end=s)",
    "einsum": "np.einsum('ij,kj->ik', t, u)", "empty_like": None, "expand_dims": "np.expand_dims(t, 1)",
    "extract": "np.extract([True, False, True, True, False, True], v)", "fix": "np.fix(t)", "flip": "np.flip(t, 0)",
    "fliplr": "np.fliplr(t)", "flipud": "np.flipud(t)", "full_like": "np.full_like(t, s)",
    "geomspace": "np.geomspace(s, 4.0, 5)", "gradient": "np.gradient(t)", "hsplit": "np.hsplit(t, 2)",
    "hstack": "np.hstack([t, u])", "i0": "np.i0(t)", "imag": "np.imag(c)", "inner": "np.inner(t, u)",
    "insert": "np.insert(t, 1, b, axis=1)", "interp": "np.interp(v, [-1.5, 0.05, 1.5], b)", "kron": "np.kron(m, t)",
    "linspace": "np.linspace(s, 3.0, 5)", "logspace": "np.logspace(s, 2.0, 4)", "matrix_transpose": "np.matrix_transpose(q)",
    "mean": "np.mean(t, axis=1, where=u > 0)", "median": "np.median(t, axis=0)", "meshgrid": "np.meshgrid(v, b)",
    "moveaxis": "np.moveaxis(q, 0, -1)", "nan_to_num": "np.nan_to_num(n)", "nancumprod": "np.nancumprod(n, axis=0)",
    "nancumsum": "np.nancumsum(n)", "nanmax": "np.nanmax(n, axis=0)", "nanmean": "np.nanmean(n, axis=1)",
    "nanmedian": "np.nanmedian(n, axis=1)", "nanmin": "np.nanmin(n)", "nanpercentile": "np.nanpercentile(n, [20, 60], axis=1)",
    "nanprod": "np.nanprod(n, axis=0)", "nanquantile": "np.nanquantile(n, 0.3)", "nanstd": "np.nanstd(n, axis=1)",
    "nansum": "np.nansum(n, axis=1)", "nanvar": "np.nanvar(n, ddof=1)", "outer": "np.outer(v, b)",
    "pad": "np.pad(t, ((1, 0), (0, 2)), 'edge')", "partition": "np.partition(t, 2, axis=1)",
    "percentile": "np.percentile(t, [10, 50, 90], axis=0)", "permute_dims": "np.permute_dims(q, (2, 0, 1))",
    "piecewise": "np.piecewise(v, [v < 0, v > 1], [lambda x: -x, lambda x: x * x, 3.0])", "poly": "np.poly(b)",
    "polyadd": "np.polyadd(v, b)", "polyder": "np.polyder(v, 2)", "polyint": "np.polyint(v, 2)", "polymul": "np.polymul(v, b)",
    "polysub": "np.polysub(b, v)", "polyval": "np.polyval(b, t)", "prod": "np.prod(t, axis=1)", "ptp": "np.ptp(t, axis=0)",
    "quantile": "np.quantile(t, 0.35, axis=1, method='hazen', keepdims=True)", "ravel": "np.ravel(t)", "real": "np.real(c)",
    "real_if_close": "np.real_if_close(t)", "repeat": "np.repeat(t, [1, 0, 2], axis=0)", "reshape": "np.reshape(t, (4, 3), order='F')",
    "resize": "np.resize(v, (2, 5))", "roll": "np.roll(t, (1, 2), axis=(0, 1))", "rollaxis": "np.rollaxis(q, 2)",
    "rot90": "np.rot90(t, 3)", "select": "np.select([u > 0.5, u > -0.5], [t, u], 9.0)", "sinc": "np.sinc(t)",
    "sort": "np.sort(t, axis=0)", "sort_complex": "np.sort_complex(v)", "split": "np.split(t, [1, 3], axis=1)",
    "squeeze": "np.squeeze(t[None])", "stack": "np.stack([t, u], axis=1)", "std": "np.std(t, axis=0, ddof=1)",
    "sum": "np.sum(t, axis=1, initial=2.0, where=u > 0)", "swapaxes": "np.swapaxes(q, 0, 2)", "take": "np.take(t, [0, 2, 2], axis=1)",
    "take_along_axis": "np.take_along_axis(t, np.array([[0], [3], [1]]), axis=1)", "tensordot": "np.tensordot(q, t, 2)",
    "tile": "np.tile(t, (2, 1))", "trace": "np.trace(m)", "transpose": "np.transpose(q, (1, 0, 2))",
    "trapezoid": "np.trapezoid(t, np.array([0.0, 0.5, 2.0, 2.5]), axis=1)", "tril": "np.tril(m)", "trim_zeros": "np.trim_zeros(v * [0, 1, 1, 0, 1, 0])",
    "triu": "np.triu(m, 1)", "unique": "np.unique(v)", "unique_values": "np.unique_values(v)", "unstack": "np.unstack(t, axis=1)", "unwrap": "np.unwrap(v * 4)",
    "vander": "np.vander(v, 4)", "var": "np.var(t, axis=1)", "vdot": "np.vdot(v, w)", "vsplit": "np.vsplit(t, 3)",
    "vstack": "np.vstack([v, w])", "where": "np.where(u > 0, t, u)", "ones_like": None, "zeros_like": None,
    "unique_all": "np.unique_all(v)", "unique_counts": "np.unique_counts(v)", "unique_inverse": "np.unique_inverse(v)",
    "argmax": None, "argmin": None, "count_nonzero": None, "nanargmax": None, "nanargmin": None, "argsort": None,
    "searchsorted": None, "shape": None, "ndim": None, "size": None, "iscomplexobj": None, "isrealobj": None,
    "result_type": None, "can_cast": None, "min_scalar_type": None, "common_type": None,
}  # fmt: skip

# Without a derivative: whole numbers, truths, text. Run on the values.
PLAIN = {
    "all": "np.all(t, axis=0)", "any": "np.any(t > 0)", "empty_like": "np.empty_like(t) * 0", "ones_like": "np.ones_like(t)",
    "zeros_like": "np.zeros_like(t, dtype=int)", "argmax": "np.argmax(t, axis=1)", "argmin": "np.argmin(t)",
    "count_nonzero": "np.count_nonzero(t > 0, axis=0)", "nanargmax": "np.nanargmax(n, axis=1)", "nanargmin": "np.nanargmin(n)",
    "argsort": "np.argsort(t, axis=0)", "searchsorted": "np.searchsorted(np.array([-1.0, 0.0, 1.0]), v)",
    "shape": "np.shape(t)", "ndim": "np.ndim(t)", "size": "np.size(t)", "iscomplexobj": "np.iscomplexobj(c)",
    "isrealobj": "np.isrealobj(c)", "result_type": "np.result_type(t, np.float32)", "can_cast": "np.can_cast(t.dtype, int)",
    "min_scalar_type": "np.min_scalar_type(i)", "common_type": "np.common_type(t, i)",
    "allclose": "np.allclose(t, u)", "argpartition": "np.argpartition(t, 2)", "argwhere": "np.argwhere(t > 0)",
    "array2string": "np.array2string(t)", "array_equal": "np.array_equal(t, t)", "array_equiv": "np.array_equiv(t, u)",
    "array_repr": "np.array_repr(t)", "array_str": "np.array_str(t)", "bincount": "np.bincount(i[0])",
    "diag_indices_from": "np.diag_indices_from(m)", "digitize": "np.digitize(v, [-1.0, 1.0])",
    "einsum_path": "np.einsum_path('ij,jk', m, t)[1]", "flatnonzero": "np.flatnonzero(t > 0)", "isclose": "np.isclose(t, u)",
    "isin": "np.isin(i, [1, 5])", "isneginf": "np.isneginf(t)", "isposinf": "np.isposinf(t)", "iscomplex": "np.iscomplex(c)",
    "isreal": "np.isreal(c)", "ix_": "np.ix_(i[0], i[1])", "lexsort": "np.lexsort((v, w))",
    "may_share_memory": "np.may_share_memory(t, u)", "shares_memory": "np.shares_memory(t, u)", "nonzero": "np.nonzero(t > 0)",
    "packbits": "np.packbits(t > 0)", "ravel_multi_index": "np.ravel_multi_index((i[0] % 3, i[1] % 3), (3, 3))",
    "tril_indices_from": "np.tril_indices_from(m)", "triu_indices_from": "np.triu_indices_from(m)",
    "unpackbits": "np.unpackbits((i % 2).astype(np.uint8))", "unravel_index": "np.unravel_index(i, (4, 4))",
}  # fmt: skip

# Refused where a gradient would be lost; on tensors without gradients NumPy's own values.
REFUSED = {
    "histogram": "np.histogram(v)", "histogram2d": "np.histogram2d(v, w)[0]", "histogramdd": "np.histogramdd(t)[0]",
    "histogram_bin_edges": "np.histogram_bin_edges(v)", "intersect1d": "np.intersect1d(v, w)", "polydiv": "np.polydiv(v, b)",
    "polyfit": "np.polyfit(v, w, 2)", "roots": "np.roots(b)", "setdiff1d": "np.setdiff1d(v, w)", "setxor1d": "np.setxor1d(v, w)",
    "union1d": "np.union1d(v, w)",
}  # fmt: skip

# Write in place, to a file, or know no numbers: tests of their own, or nothing to test.
APART = set(
    "copyto fill_diagonal place put put_along_axis putmask save savetxt savez savez_compressed busday_count "
    "busday_offset datetime_as_string is_busday".split()
)

LINALG = {
    "cholesky": "np.linalg.cholesky(m)", "cond": "np.linalg.cond(m)", "cross": "np.linalg.cross(m, m[::-1])",
    "det": "np.linalg.det(m)", "diagonal": "np.linalg.diagonal(m)", "eigh": "np.linalg.eigh(m)[0]",
    "eig": "np.linalg.eig(m)[0]", "eigvals": "np.linalg.eigvals(m)",
    "eigvalsh": "np.linalg.eigvalsh(m, 'U')", "inv": "np.linalg.inv(m)", "lstsq": "np.linalg.lstsq(t.T, w[:4], rcond=None)[0]",
    "matmul": "np.linalg.matmul(m, t)", "matrix_norm": "np.linalg.matrix_norm(m)", "matrix_power": "np.linalg.matrix_power(m, 3)",
    "matrix_rank": "np.linalg.matrix_rank(m)", "matrix_transpose": "np.linalg.matrix_transpose(q)",
    "multi_dot": "np.linalg.multi_dot([m, t, u.T])", "norm": "np.linalg.norm(t, axis=1)", "outer": "np.linalg.outer(v, b)",
    "pinv": "np.linalg.pinv(t)", "qr": "np.linalg.qr(m)[1]", "slogdet": "np.linalg.slogdet(m)[1]", "solve": "np.linalg.solve(m, t)",
    "svd": "np.linalg.svd(t, full_matrices=False)[1]", "svdvals": "np.linalg.svdvals(t)",
    "tensordot": "np.linalg.tensordot(q, t)", "tensorinv": "np.linalg.tensorinv(m, ind=1)",
    "tensorsolve": "np.linalg.tensorsolve(m, b)", "trace": "np.linalg.trace(m)", "vecdot": "np.linalg.vecdot(t, u)",
    "vector_norm": "np.linalg.vector_norm(t, axis=1, ord=3)",
}  # fmt: skip
FFT = {
    "fft": "np.fft.fft(t)", "fft2": "np.fft.fft2(q)", "fftn": "np.fft.fftn(t, axes=(0,))", "fftshift": "np.fft.fftshift(t)",
    "hfft": "np.fft.hfft(c)", "ifft": "np.fft.ifft(c, 6)", "ifft2": "np.fft.ifft2(c)", "ifftn": "np.fft.ifftn(t)",
    "ifftshift": "np.fft.ifftshift(v)", "ihfft": "np.fft.ihfft(t)", "irfft": "np.fft.irfft(c)", "irfft2": "np.fft.irfft2(c)",
    "irfftn": "np.fft.irfftn(c, norm='ortho')", "rfft": "np.fft.rfft(t, axis=0)", "rfft2": "np.fft.rfft2(q)", "rfftn": "np.fft.rfftn(t)",
}  # fmt: skip


def dispatching(module) -> set[str]:
    return {k for k in dir(module) if not k.startswith("_") and hasattr(getattr(module, k), "_implementation")}


def parts(x) -> list:
    return [p for y in x for p in parts(y)] if isinstance(x, (tuple, list)) else [x]


def compare(got, want) -> None:
    """Same nesting, shapes, dtypes and values; never an array of objects."""
    got, want = parts(got), parts(want)
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        if isinstance(b, (np.ndarray, np.generic)) and np.asarray(b).dtype.kind in "biufc":
            assert isinstance(a, (Tensor, np.generic, bool, int)), type(a)
            a, b = np.asarray(a), np.asarray(b)
            assert a.dtype == b.dtype and a.shape == b.shape, (a.dtype, b.dtype, a.shape, b.shape)
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
        else:
            assert a == b and type(a) is type(b), (a, b)


def derived(text: str) -> None:
    """The call on tensors gives NumPy's value, and gradients reach an operand."""
    use = tracked()
    got = call(text, use)
    compare(got, call(text, OPERANDS))
    outs = [x for x in parts(got) if isinstance(x, Tensor) and x.dtype.kind in "fc"]
    reached = any(x.requires_grad for x in outs)
    assert reached, "no gradient flows"


EACH = [
    *[("numpy", k, v) for k, v in DERIVED.items() if v],
    *[("linalg", k, v) for k, v in LINALG.items()],
    *[("fft", k, v) for k, v in FFT.items()],
]


def test_every_function_of_numpy_has_a_call():
    known = set(DERIVED) | set(PLAIN) | set(REFUSED) | APART
    assert dispatching(np) - known == set()
    assert dispatching(np.linalg) - set(LINALG) == set()
    assert dispatching(np.fft) - set(FFT) == set()


@pytest.mark.parametrize(("module", "name", "text"), EACH, ids=[f"{m}.{k}" for m, k, _ in EACH])
def test_function_keeps_values_and_gradients(module, name, text):
    owner = {"numpy": np, "linalg": np.linalg, "fft": np.fft}[module]
    if not hasattr(owner, name):
        pytest.skip(f"this NumPy has no {name}")
    if name == "matrix_rank":
        compare(call(text, tracked()), call(text, OPERANDS))
        return
    derived(text)


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_function_without_derivative_gives_numpys_value(name):
    if not hasattr(np, name):
        pytest.skip(f"this NumPy has no {name}")
    use = {k: v.detach() if name == "common_type" else v for k, v in tracked().items()}
    compare(call(PLAIN[name], use), call(PLAIN[name], OPERANDS))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_function_is_refused_where_a_gradient_would_be_lost(name):
    with pytest.raises(GradError, match=rf"\[np.{name}\] has no gradient here"):
        call(REFUSED[name], tracked())
    compare(call(REFUSED[name], {k: v.detach() for k, v in tracked().items()}), call(REFUSED[name], OPERANDS))
    with pytest.raises(TraceError, match=rf"np.{name}"):
        call(REFUSED[name], {k: at.placeholder(v.shape, v.dtype) for k, v in OPERANDS.items()})


def test_gradients_are_right():
    """Of one function of each family: the gradient of a weighted sum equals that by differences."""
    for text in (
        "np.gradient(t, axis=1, edge_order=2)", "np.convolve(v, b, 'valid')", "np.correlate(b, v, 'same')", "np.cov(t)",
        "np.corrcoef(t)", "np.interp(v, [-1.5, 0.05, 1.5], b)", "np.percentile(t, 35, axis=1)", "np.nanstd(n, axis=1)",
        "np.average(t, axis=1, weights=p)", "np.unwrap(v * 4)", "np.insert(t, 1, b, axis=1)", "np.polyval(b, t)",
        "np.linspace(s, b, 4)", "np.trapezoid(t, p, axis=1)", "np.kron(m, b)", "np.block([[t], [u]])", "np.i0(t)",
        "np.geomspace(s, 4.0, 5)", "np.apply_along_axis(lambda r: r * r[0], 1, t)", "np.choose([0, 1, 0], [m, m * m])",
        "np.fmod(t, p)", "np.copysign(t, u)", "np.heaviside(t, u)", "np.float_power(p, t)", "np.logaddexp2(t, u)",
        "np.modf(t)[0]", "np.fmax(t, u)", "np.ldexp(t, 3)", "np.frexp(t)[0]", "np.vecdot(t, u)", "np.matvec(m, b)",
        "np.vecmat(b, m)", "np.vander(b)", "np.poly(b)", "np.nanquantile(n, 0.3)", "np.piecewise(v, [v < 0], [lambda x: -x, lambda x: x * x])",
    ):  # fmt: skip
        names = [k for k in "tupvwsmbn" if k in {c for c in text if c.isalpha()} and any(
            f"{a}{k}{z}" in text for a in " ([" for z in " ,)]")]  # fmt: skip
        weights = np.cos(np.arange(np.asarray(call(text, OPERANDS)).size, dtype=float)).reshape(np.shape(call(text, OPERANDS)))
        use = tracked()
        found = at.grad((call(text, use) * weights).sum(), [use[k] for k in names], allow_unused=True)
        for k, g in zip(names, found, strict=True):
            x = OPERANDS[k]
            d = np.cos(3.0 * np.arange(x.size)).reshape(x.shape)
            step = 1e-6
            shifted = [np.sum(call(text, {**OPERANDS, k: x + e * d}) * weights) for e in (step, -step)]
            want = (shifted[0] - shifted[1]) / (2 * step)
            got = 0.0 if g is None else np.nansum(g.numpy() * d)
            assert got == pytest.approx(want, rel=1e-6, abs=1e-7), (text, k)


# -- ufuncs

UNARY_DOMAIN = {"arccosh": "1 + p", "arctanh": "p", "arcsin": "p", "arccos": "p", "log": "p", "log2": "p", "log10": "p",
                "log1p": "p", "sqrt": "p", "acosh": "1 + p", "atanh": "p", "asin": "p", "acos": "p"}  # fmt: skip


def ufunc_call(name: str) -> str:
    f = getattr(np, name)
    if name in ("matmul", "vecmat", "matvec", "vecdot"):
        return {"matmul": "np.matmul(m, t)", "vecmat": "np.vecmat(b, m)", "matvec": "np.matvec(m, b)", "vecdot": "np.vecdot(t, u)"}[name]
    if name == "ldexp":
        return "np.ldexp(t, i)"
    if f.types and not any(c in "efd" for kind in f.types for c in kind.split("->")[0]):
        return f"np.{name}(i)" if f.nin == 1 else f"np.{name}(i, i[::-1] % 3)"
    if f.nin == 1:
        return f"np.{name}({UNARY_DOMAIN.get(name, 't')})"
    return f"np.{name}(p, u)" if name in ("power", "pow", "float_power") else f"np.{name}(t, u)"


ALL_UFUNCS = sorted(k for k in dir(np) if isinstance(getattr(np, k), np.ufunc) and k != "isnat")  # of dates


@pytest.mark.parametrize("name", ALL_UFUNCS)
def test_ufunc(name):
    text = ufunc_call(name)
    use = tracked()
    got, want = call(text, use), call(text, OPERANDS)
    compare(got, want)
    f = getattr(np, name)
    known = f in UFUNCS or f in CONSTANT_UFUNCS
    assert known, "in neither table"
    floats = [x for x in parts(got) if isinstance(x, Tensor) and x.dtype.kind == "f"]
    if f in UFUNCS and floats:
        assert any(x.requires_grad for x in floats)


def test_reflected_operators_and_weak_scalars():
    x = at.Tensor(np.ones(3, np.float32), requires_grad=True)
    a = np.arange(3.0, dtype=np.float32)
    for y in (a + x, a - x, a * x, a / x, a @ x, a**x, a // x, a % x, np.float64(2) * x, np.float32(2) - x):
        assert isinstance(y, Tensor) and y.dtype == np.float32 and y.requires_grad
    assert (a == x).dtype == bool and (a < x).shape == (3,)


def test_methods_of_ufuncs():
    use = tracked()
    for text in (
        "np.add.reduce(t)", "np.add.reduce(t, axis=None)", "np.multiply.reduce(t, axis=1, keepdims=True)",
        "np.subtract.reduce(t, axis=1)", "np.maximum.reduce(q, axis=(0, 2))", "np.logaddexp.reduce(t, axis=1)",
        "np.minimum.accumulate(t, axis=1)", "np.add.accumulate(t)", "np.divide.accumulate(p, axis=1)",
        "np.multiply.outer(v, b)", "np.add.reduceat(v, [0, 3, 1])", "np.add.reduce(t, initial=1.0, where=u > 0)",
        "np.hypot.outer(b, v)",
    ):  # fmt: skip
        got = call(text, use)
        compare(got, call(text, OPERANDS))
        assert got.requires_grad, text
    assert np.gcd.reduce(at.asarray([12, 18, 30])).item() == 6
    with pytest.raises(GradError, match="has no gradient"):
        np.nextafter.reduce(use["v"])
    x = at.Tensor([1.0, 2.0, 3.0])
    np.add.at(x, [0, 0, 2], 1.0)
    np.maximum.at(x, [1], 7.0)
    assert x.tolist() == [3.0, 7.0, 4.0]
    y = use["v"] * 1
    np.subtract.at(y, [0, 0], use["s"])
    assert at.grad(y.sum(), use["s"]).item() == -2.0
    with pytest.raises(GradError, match=r"multiply.at"):
        np.multiply.at(y, [0], use["s"])


def test_out_is_written_or_refused():
    t = at.Tensor(array(2, 3), requires_grad=True)
    out = at.zeros((2, 3))
    assert np.multiply(t, 3.0, out=out) is out
    assert at.grad(out.sum(), t).tolist() == [[3.0] * 3] * 2
    total = at.zeros(3)
    np.sum(t, axis=0, out=total)
    assert total.requires_grad and np.allclose(total.numpy(), t.numpy().sum(0))
    params = np.ones(3)
    params -= 0.5 * at.asarray([1.0, 2.0, 3.0])
    assert type(params) is np.ndarray and params.tolist() == [0.5, 0.0, -0.5]
    with pytest.raises(GradError, match="a = a \\+ t"):
        params += t[0]
    with pytest.raises(TraceError, match="a = a \\+ t"):
        params += at.placeholder((3,), np.float64)
    with pytest.raises(AutotensorError, match="int64"):
        np.add(t, 1.0, out=at.zeros((2, 3), dtype=np.int64))
    with pytest.raises(AutotensorError, match="shape"):
        np.add(t, 1.0, out=at.zeros((3, 2)))
    mask = np.array([True, False, True])
    got = np.add(t, 1.0, out=at.zeros((2, 3)), where=mask)
    assert got.numpy()[:, 1].tolist() == [0.0, 0.0]
    with pytest.raises(ValueError, match="where="):
        np.add(t, 1.0, where=mask)


def test_functions_that_write():
    x = at.Tensor([[1.0, 2.0], [3.0, 4.0]])
    s = at.Tensor(5.0, requires_grad=True)
    np.fill_diagonal(x, s)
    assert x.tolist() == [[5.0, 2.0], [3.0, 5.0]] and at.grad(x.sum(), s).item() == 2.0
    y = at.zeros(4)
    np.put(y, [0, 2], at.asarray([1.0, 2.0]))
    np.putmask(y, np.array([False, True, False, True]), at.asarray([7.0, 8.0]))
    assert y.tolist() == [1.0, 8.0, 2.0, 8.0]
    np.place(y, y.numpy() == 8.0, at.asarray([3.0, 4.0]))
    assert y.tolist() == [1.0, 3.0, 2.0, 4.0]
    np.copyto(y, at.asarray([9.0, 9.0, 9.0, 9.0]), where=[True, False, False, True])
    np.put_along_axis(y, np.array([1]), at.asarray([0.5]), axis=0)
    assert y.tolist() == [9.0, 0.5, 2.0, 9.0]
    a = np.zeros(2)
    np.copyto(a, at.asarray([1.0, 2.0]))
    assert a.tolist() == [1.0, 2.0]
    with pytest.raises(GradError):
        np.copyto(a, at.Tensor([1.0, 2.0], requires_grad=True))


def test_symbolic_tensors_build_graphs():
    x = at.placeholder((None, 3), np.float64)
    y = np.sum(np.sin(x) * np.ones(3), axis=1) + np.linalg.norm(x, axis=1)
    f = at.function([x], [y, at.gradients([y], [x])[0]])
    a = array(5, 3)
    value, slope = f(a)
    np.testing.assert_allclose(value, np.sin(a).sum(1) + np.linalg.norm(a, axis=1))
    np.testing.assert_allclose(slope, np.cos(a) + a / np.linalg.norm(a, axis=1, keepdims=True))
    assert np.shape(x) == (None, 3) and np.ndim(x) == 2


def test_saving_writes_values(tmp_path):
    t = at.Tensor([1.0, 2.0], requires_grad=True)
    np.save(tmp_path / "x.npy", t)
    np.savez(tmp_path / "x.npz", a=t)
    assert np.load(tmp_path / "x.npy").tolist() == [1.0, 2.0] == np.load(tmp_path / "x.npz")["a"].tolist()


def test_foreign_ufuncs_never_give_objects():
    t = at.Tensor([1.0, 2.0], requires_grad=True)
    twice = np.frompyfunc(lambda v: 2 * v, 1, 1)
    with pytest.raises(GradError):
        twice(t)
    with pytest.raises(AutotensorError, match="objects"):
        twice(t.detach())


def test_scipys_special_functions_dispatch():
    special = pytest.importorskip("scipy.special")
    x = at.Tensor([0.3, 0.8], requires_grad=True)
    for name in "erf erfc gammaln digamma expit logit ndtr log_ndtr i0 i1e j0 entr psi rgamma".split():
        y = getattr(special, name)(x)
        assert y.requires_grad, name
        np.testing.assert_allclose(y.numpy(), getattr(special, name)(x.numpy()), rtol=1e-12)
    for name in "xlogy beta betaln rel_entr kl_div gammainc".split():
        y = getattr(special, name)(np.array([1.5, 2.5]), x)
        assert y.requires_grad
        np.testing.assert_allclose(y.numpy(), getattr(special, name)([1.5, 2.5], x.numpy()), rtol=1e-11)
    with pytest.raises(GradError, match="derivative by x only"):
        at.grad(special.gammainc(x, 2.0).sum(), x)


def test_counts(capsys):
    """Recorded in docs/numpy.md."""
    counted = {"derivative": len(EACH), "values": len(PLAIN), "refused": len(REFUSED), "ufuncs": len(ALL_UFUNCS)}
    assert set(FUNCTIONS).isdisjoint(CONSTANT)
    assert sum(counted.values()) > 350, counted

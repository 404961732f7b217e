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
from tests.autotensor.numpy_calls import APART, DERIVED, DIFFERENTIATED, FFT, LINALG, PLAIN, REFUSED
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
    known = set(DERIVED) | set(PLAIN) | set(REFUSED) | APART | {"in1d", "trapz"}  # the last two until NumPy 2.3
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
    for text in DIFFERENTIATED:
        if text.startswith(("np.matvec", "np.vecmat")) and not hasattr(np, "matvec"):  # new in NumPy 2.2
            continue
        names = [k for k in "tupvwsmbn" if k in {c for c in text if c.isalpha()} and any(
            f"{a}{k}{z}" in text for a in " ([" for z in " ,)]")]  # fmt: skip
        weights = np.cos(np.arange(np.asarray(call(text, OPERANDS)).size, dtype=float)).reshape(
            np.shape(call(text, OPERANDS))
        )
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
        return {
            "matmul": "np.matmul(m, t)",
            "vecmat": "np.vecmat(b, m)",
            "matvec": "np.matvec(m, b)",
            "vecdot": "np.vecdot(t, u)",
        }[name]
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


def test_variables_are_read_where_values_are_asked_for():
    v = at.Variable([1.0, 2.0], deferred=True)
    assert np.allclose(v, [1.0, 2.0]) and np.array_equal(v, np.array([1.0, 2.0]))
    assert np.sum(v).is_symbolic and np.sin(v).is_symbolic
    with pytest.raises(TraceError, match="np.isclose"):
        np.isclose(at.placeholder((2,)), v)


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

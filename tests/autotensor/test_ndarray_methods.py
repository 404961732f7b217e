"""Every method and attribute of ``numpy.ndarray`` on Tensor: NumPy's value with its gradient, or a clear error."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import AutotensorError, GradError
from autotensor.ops.ndarray_methods import Flat
from tests.autotensor.samples.base import array

X = array(3, 4)
COMPLEX = array(2, 3) + 1j * array(2, 3, seed=1)
INDICES = np.array([[2, 0, 1], [1, 1, 0]])

# Methods that compute: call, and whether gradients pass.
COMPUTED = {
    "all": ("x.all(axis=0)", False),
    "any": ("x.any()", False),
    "argmax": ("x.argmax(axis=1)", False),
    "argmin": ("x.argmin()", False),
    "argpartition": ("x.argpartition(2, axis=1)", False),
    "argsort": ("x.argsort(axis=0)", False),
    "astype": ("x.astype(np.float32)", True),
    "choose": ("i.choose([x[:2, :3], x[1:, 1:], 9.0])", False),
    "clip": ("x.clip(-1, max=1)", True),
    "compress": ("x.compress([1, 0, 1], axis=0)", True),
    "conj": ("c.conj()", False),
    "conjugate": ("x.conjugate()", True),
    "copy": ("x.copy()", True),
    "cumprod": ("x.cumprod(axis=1)", True),
    "cumsum": ("x.cumsum()", True),
    "diagonal": ("x.diagonal(1)", True),
    "dot": ("x.dot(x.T)", True),
    "flatten": ("x.flatten('F')", True),
    "imag": ("c.imag", False),
    "item": ("x[1, 2].item()", False),
    "max": ("x.max(axis=0)", True),
    "mean": ("x.mean(axis=1, keepdims=True)", True),
    "min": ("x.min(axis=1, initial=0.0)", True),
    "nonzero": ("x.nonzero()", False),
    "prod": ("x.prod(axis=0)", True),
    "ravel": ("x.ravel()", True),
    "real": ("c.real", False),
    "repeat": ("x.repeat(2, axis=1)", True),
    "reshape": ("x.reshape(4, 3, order='F')", True),
    "round": ("x.round(1)", True),
    "searchsorted": ("np.sort(x[0]).searchsorted([0.0, 1.0], side='right')", False),
    "squeeze": ("x[None].squeeze(0)", True),
    "std": ("x.std(axis=0, ddof=1)", True),
    "sum": ("x.sum(0, where=x > 0)", True),
    "swapaxes": ("x.swapaxes(0, 1)", True),
    "take": ("x.take([5, -1], axis=1, mode='clip')", True),
    "trace": ("x.trace(offset=1)", True),
    "transpose": ("x.transpose(1, 0)", True),
    "var": ("x.var()", True),
    "T": ("x.T", True),
    "mT": ("x.mT", True),
    "tolist": ("x.tolist()", False),
    "tobytes": ("x.tobytes()", False),
    "dumps": ("__import__('pickle').loads(x.dumps())", False),
    "ndim": ("x.ndim", False),
    "shape": ("x.shape", False),
    "size": ("x.size", False),
    "itemsize": ("x.itemsize", False),
    "nbytes": ("x.nbytes", False),
    "dtype": ("x.dtype", False),
    "strides": ("x.strides", False),
    "view": ("x.view()", True),
    "base": ("x.base", False),
    "flat": ("list(x.flat)[:5]", False),
    "device": ("str(x.device)", False),
    "to_device": ("x.to_device('cpu')", True),
}

# Methods that write in place: a program that ends with x.
WRITING = {
    "sort": "x.sort(axis=0)",
    "partition": "x.partition(1, axis=1)",
    "put": "x.put([0, 14, -1], [7.0, 8.0], mode='wrap')",
    "fill": "x.fill(2.5)",
    "flat": "x.flat = [1.0, 2.0]",
}

REFUSED = {
    "byteswap": "x.byteswap()",
    "ctypes": "x.ctypes",
    "getfield": "x.getfield(np.int32)",
    "resize": "x.resize(4, 3)",
    "setfield": "x.setfield(0, np.int32)",
    "setflags": "x.setflags(write=False)",
    "view": "x.view(np.int64)",
}

ELSEWHERE = {"data", "flags", "tofile", "dump", "setflags"}

# Of Python's protocol, what arrays have and tensors have not, and why.
NOT_OURS = {
    "__array_finalize__": "for subclasses of ndarray",
    "__array_wrap__": "for subclasses of ndarray",
    "__array_interface__": "would hand out memory that is shared",
    "__array_struct__": "the same",
    "__class_getitem__": "type hints of arrays",
    "__delitem__": "raises for arrays, too",
    "__setstate__": "see __reduce__",
    "__buffer__": "new in NumPy 2.5; would hand out memory that is shared",
    "_set_dtype": "new in NumPy 2.5; private",
    "_set_shape": "the same",
    **dict.fromkeys(("itemset", "newbyteorder", "ptp", "tostring"), "gone since NumPy 2.0, where they raise"),
    **{
        f"__i{op}__": "x += y makes a new tensor: value semantics"
        for op in ("add and floordiv lshift matmul mod mul or pow rshift sub truediv xor".split())
    },
}


def run(text: str, x: object, extra: dict | None = None) -> object:
    return eval(text, {"np": np, "x": x, **(extra or {})})


def test_every_name_of_ndarray_is_here():
    missing = {name for name in dir(np.ndarray) if not hasattr(at.Tensor, name)}
    assert missing - set(NOT_OURS) == set()
    covered = set(COMPUTED) | set(WRITING) | set(REFUSED) | ELSEWHERE | set(NOT_OURS)
    public = {name for name in dir(np.ndarray) if not name.startswith("_")}
    assert public - covered == set()


@pytest.mark.parametrize("name", sorted(COMPUTED))
def test_method_gives_numpys_value(name):
    text, flows = COMPUTED[name]
    if not hasattr(X, name):
        pytest.skip(f"this NumPy's arrays have no {name}")
    x = at.Tensor(X, requires_grad=True)
    got = run(text, x, {"c": at.asarray(COMPLEX), "i": at.asarray(INDICES)})
    want = run(text, X.copy(), {"c": COMPLEX, "i": INDICES})
    if isinstance(want, (np.ndarray, np.generic, tuple, list)) and name != "shape":
        got_parts, want_parts = (list(v) if isinstance(v, (tuple, list)) else [v] for v in (got, want))
        for a, b in zip(got_parts, want_parts, strict=True):
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-12)
            assert np.asarray(a).dtype == np.asarray(b).dtype
    else:
        assert got == want
    if flows:
        assert got.requires_grad


@pytest.mark.parametrize("name", sorted(WRITING))
def test_method_that_writes(name):
    a = X.copy()
    start = at.Tensor(X, requires_grad=True)
    x = start * 1.0
    shared = x
    before = x.copy()
    for value in (a, x):
        exec(WRITING[name], {"np": np, "x": value})
    np.testing.assert_allclose(x.numpy(), a)
    np.testing.assert_allclose(before.numpy(), X)  # value semantics
    assert shared is x
    slope = at.grad((x * np.arange(12.0).reshape(3, 4)).sum(), start, allow_unused=True)
    if name in ("sort", "partition"):
        places = np.sort(slope.numpy().ravel())
        np.testing.assert_allclose(places, np.arange(12.0))
    elif name == "put":
        assert slope.numpy()[0, 0] == 0.0 and slope.numpy()[1, 0] == 4.0
    leaf = at.Tensor(X, requires_grad=True)
    with pytest.raises(GradError, match="leaf"):
        exec(WRITING[name], {"np": np, "x": leaf})


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_method_is_refused_with_a_hint(name):
    with pytest.raises(TypeError, match=rf"\[{name}\]"):
        run(REFUSED[name], at.Tensor(X))


def test_flat_reads_writes_and_goes_over():
    x = at.Tensor(X, requires_grad=True) * 1.0
    assert isinstance(x.flat, Flat) and len(x.flat) == 12
    assert x.flat[5].item() == X.flat[5] and np.asarray(x.flat).shape == (12,)
    np.testing.assert_array_equal(x.flat[2:8:3].numpy(), X.flat[2:8:3])
    a = X.copy()
    x.flat[[0, 3]], a.flat[[0, 3]] = (1.0, 2.0), (1.0, 2.0)
    x.flat[1], a.flat[1] = 9.0, 9.0
    np.testing.assert_array_equal(x.numpy(), a)
    assert [float(v) for v in x.flat] == a.ravel().tolist()
    np.testing.assert_array_equal(x.flat.copy().numpy(), a.ravel())


def test_membership_flags_and_files(tmp_path):
    x = at.Tensor([1.0, 2.0])
    assert 2.0 in x and 3.0 not in x
    assert x.flags.c_contiguous
    x.flags.writeable = False
    x[0] = 5.0
    assert x.tolist() == [5.0, 2.0]
    x.tofile(str(tmp_path / "x.bin"))
    assert np.fromfile(tmp_path / "x.bin").tolist() == [5.0, 2.0]
    x.dump(str(tmp_path / "x.pkl"))
    assert pickle.loads((tmp_path / "x.pkl").read_bytes()).tolist() == [5.0, 2.0]
    assert round(x, 1).tolist() == [5.0, 2.0] and round(x[1]) == 2
    assert divmod(7.0, x)[1].tolist() == [2.0, 1.0]


def test_out_of_methods():
    x = at.Tensor(X, requires_grad=True)
    out = at.zeros(4)
    assert x.sum(axis=0, out=out) is out and out.requires_grad
    with pytest.raises(GradError):
        x.sum(axis=0, out=np.zeros(4))
    held = np.zeros(4)
    x.detach().max(axis=0, out=held)
    np.testing.assert_array_equal(held, X.max(axis=0))
    with pytest.raises(ValueError, match="mode"):
        x.take([0], mode="reflect")
    with pytest.raises(ValueError, match="order"):
        x.reshape(4, 3, order="Z")
    with pytest.raises(ValueError, match="from 0 to"):
        at.asarray([0, 3]).choose([1.0, 2.0])
    assert at.asarray([0, 3]).choose([1.0, 2.0], mode="wrap").tolist() == [1.0, 2.0]


def test_nested_lists_of_tensors():
    x = at.Tensor([1.0, 2.0], requires_grad=True)
    y = at.array([[x[0], 2 * x[1]], [3, np.float64(4)]])
    assert y.tolist() == [[1.0, 4.0], [3.0, 4.0]]
    assert at.grad(y.sum(), x).tolist() == [1.0, 2.0]
    assert at.asarray([x, np.ones(2)], dtype=np.float32).dtype == np.float32
    p = at.placeholder((None,), np.float64)
    assert at.array([p, p * 2]).shape == (2, None)
    assert at.asarray((x[0], True)).tolist() == [1.0, 1.0]
    with pytest.raises(AutotensorError, match="rank"):
        at.array([x, x[0]])
    with pytest.raises(AutotensorError):
        at.array([x, at.ones(3)])

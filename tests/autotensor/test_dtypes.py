"""Promotion against NumPy's own, weak Python numbers, storage in float16, dtype arguments and errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import autotensor as at
from autotensor.core.tensor import placeholder
from autotensor.errors import DTypeError

DTYPES = ["bool", "int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64"]
BINARY = [
    "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "pow", "maximum", "minimum", "hypot",
    "arctan2", "logaddexp", "less", "equal", "logical_and", "bitwise_and", "left_shift",
]  # fmt: skip
UNARY = [
    "negative", "positive", "abs", "sign", "square", "sqrt", "cbrt", "reciprocal", "exp", "exp2", "expm1",
    "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh",
    "tanh", "arcsinh", "arccosh", "arctanh", "floor", "ceil", "trunc", "round", "isnan", "isinf",
    "isfinite", "logical_not", "bitwise_not", "deg2rad", "rad2deg",
]  # fmt: skip
REDUCTIONS = ["sum", "mean", "prod", "var", "std", "max", "min", "argmax", "any", "all", "count_nonzero"]
NUMPY = {"pow": np.power, "abs": np.abs, "bitwise_not": np.invert, "round": np.round}


def numpy_of(name):
    return NUMPY.get(name) or getattr(np, name)


def outcome(function, *operands):
    """The dtype of the result, or that there is none."""
    with np.errstate(all="ignore"):
        try:
            return np.asarray(function(*operands)).dtype
        except (TypeError, ValueError, OverflowError):
            return "error"


def both(name, *operands):
    """Dtypes of the eager and of the symbolic result, where 'error' stands for an error of the house."""
    tensors = [at.Tensor(x) if isinstance(x, np.ndarray) else x for x in operands]
    symbols = [placeholder(x.shape, x.dtype) if isinstance(x, np.ndarray) else x for x in operands]
    out = []
    for given in (tensors, symbols):
        with np.errstate(all="ignore"):
            try:
                out.append(getattr(at, name)(*given).dtype)
            except (TypeError, ValueError, OverflowError) as error:
                assert str(error).startswith(f"[{name}]"), str(error)
                out.append("error")
    return out


@pytest.mark.parametrize("name", BINARY)
def test_promotion_of_two_arrays(name):
    for a, b in itertools.product(DTYPES, DTYPES):
        x, y = np.ones(2, a), np.ones(2, b)
        want = outcome(numpy_of(name), x, y)
        assert both(name, x, y) == [want, want], (a, b)


@pytest.mark.parametrize("name", [n for n in BINARY if n not in ("bitwise_and", "left_shift")])
@pytest.mark.parametrize("number", [2, 2.5, True], ids=["int", "float", "bool"])
def test_python_numbers_are_weak(name, number):
    for a in DTYPES:
        x = np.ones(2, a)
        want = outcome(numpy_of(name), x, number)
        assert both(name, x, number) == [want, want], a
        want = outcome(numpy_of(name), number, x)
        assert both(name, number, x) == [want, want], a


@pytest.mark.parametrize("name", UNARY)
def test_dtype_of_functions(name):
    for a in DTYPES:
        if name in ("deg2rad", "rad2deg") and a[0] != "f":
            continue
        x = np.ones(2, a)
        want = outcome(numpy_of(name), x)
        assert both(name, x) == [want, want], a


@pytest.mark.parametrize("name", REDUCTIONS)
def test_dtype_of_reductions(name):
    for a in DTYPES:
        x = np.ones((2, 3), a)
        want = outcome(lambda v: numpy_of(name)(v, axis=1), x)
        got = [getattr(at, name)(at.Tensor(x), axis=1).dtype, getattr(at, name)(placeholder((2, 3), a), axis=1).dtype]
        assert got == [want, want], a


def test_numpy_scalars_are_weak_too():
    x = at.ones(2, at.float32)
    assert (x * np.sqrt(2.0)).dtype == np.float32
    assert (np.float64(2) * x).dtype == np.float32
    assert type(np.float64(2) * x) is at.Tensor


def test_operators_with_arrays_give_tensors():
    x = at.ones(2)
    for out in (x + np.ones(2), np.ones(2) + x, np.ones(2) @ at.ones((2, 2)), [1.0, 2.0] * x):
        assert type(out) is at.Tensor


def test_where_and_clip_and_stack():
    x = at.ones(2, at.float32)
    assert at.where(x > 0, x, 0.0).dtype == np.float32
    assert at.where(x > 0, 1.0, 0).dtype == np.float64
    assert at.clip(x, 0.0, 1.0).dtype == np.float32
    assert at.clip(at.arange(3), 0, 1).dtype == np.int64
    assert at.clip(at.arange(3), 1).tolist() == [1, 1, 2]
    assert at.concat([x, at.arange(2)]).dtype == np.float64


def test_gradients_have_the_dtype_of_their_input():
    x = at.Tensor(np.ones(3, np.float32), requires_grad=True)
    y = at.Tensor(np.ones(3, np.float64), requires_grad=True)
    gx, gy = at.grad((x * y + at.concat([x, y])[:3]).sum(), [x, y])
    assert (gx.dtype, gy.dtype) == (np.float32, np.float64)


def test_float16_is_storage_and_sums_are_wider():
    x = np.full(4096, 1.0, np.float16)
    x[0] = 0.5
    t = at.Tensor(x)
    for out, want in [(t.sum(), 4095.5), (t.mean(), 4095.5 / 4096), (at.norm(t), np.sqrt(4095.25))]:
        assert out.dtype == np.float16
        assert out.item() == float(np.float16(want))
    column = at.Tensor(x.reshape(-1, 1))
    assert column.sum(axis=0).item() == float(np.float16(4095.5))  # NumPy gives 2048 along a strided axis
    assert at.cumulative_sum(t)[-1].item() == float(np.float16(4095.5))
    big = at.Tensor(np.full(1000, 300.0, np.float16))
    assert big.mean().item() == 300.0
    assert big.var().item() == 0.0
    assert at.logsumexp(at.Tensor(np.zeros(4096, np.float16))).item() == float(np.float16(np.log(4096)))


def test_float16_gradient_of_broadcasting():
    b = at.Tensor(np.zeros(1, np.float16), requires_grad=True)
    out = at.Tensor(np.zeros(4097, np.float16)) + b
    (g,) = at.gradients(out, b)
    assert g.dtype == np.float16 and g.item() == float(np.float16(4097))


def test_astype():
    x = at.Tensor([0.0, 1.7, -2.5])
    assert x.astype("int32").tolist() == [0, 1, -2]
    assert x.astype(bool).tolist() == [False, True, True]
    assert x.astype(at.float32).dtype == np.float32
    assert x.astype("complex64").dtype == at.complex64
    for bad in ("str", "no such type", object):
        with pytest.raises(DTypeError, match=r"\[astype\] expected a dtype of numbers"):
            x.astype(bad)


def test_creation_dtypes():
    assert at.zeros(2).dtype == at.float64
    assert at.zeros((2, 3), "float32").shape == (2, 3)
    assert at.ones_like(at.arange(3)).dtype == np.int64
    assert at.ones_like(at.arange(3), at.float32).dtype == np.float32
    assert at.full(2, 7).dtype == np.int64
    assert at.arange(3, dtype="float16").dtype == np.float16
    assert at.eye(2, dtype=at.int8).dtype == np.int8
    with pytest.raises(DTypeError):
        at.asarray(["a"])
    assert at.asarray([1j]).dtype == at.complex128


def test_special_functions_keep_float_dtypes():
    for name in ("erf", "erfc", "erfinv"):
        for a, want in [("float16", "float16"), ("float32", "float32"), ("float64", "float64"), ("int32", "float64")]:
            assert both(name, np.zeros(2, a)) == [np.dtype(want)] * 2


def test_arrays_beside_a_deferred_float_take_its_dtype():
    x, ones = placeholder((2,), "float32"), np.ones(2)
    v = at.Variable(np.ones(2, "float32"), deferred=True)
    for y in (x * ones, ones - x, x / [2.0, 3.0], x * np.array([1, 2]), v + ones, at.where(x > ones, x, ones)):
        assert y.dtype == np.float32
    assert at.take(x, np.array([0, 1])).dtype == np.float32  # indices stay integers
    assert (placeholder((2,), "int32") * ones).dtype == np.float64
    assert (x * at.Tensor(ones)).dtype == np.float64  # tensors promote
    assert (at.Tensor(np.ones(2, "float32")) * ones).dtype == np.float64  # eagerly arrays do, too

    @at.compile
    def step(a):
        return a * ones

    assert step(at.Tensor(np.ones(2, "float32"))).dtype == np.float64  # and in the trace of an eager step

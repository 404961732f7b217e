"""``import autotensor as at`` against the Python array API standard 2024.12, with array-api-strict as the oracle.

The public conformance suite says more; ``docs/array_api.md`` tells how to run it and what came of it.
"""

from __future__ import annotations

import inspect
import itertools
import warnings

import numpy as np
import pytest

import autotensor as at
from autotensor.errors import DTypeError, RangeError, ShapeError

pytestmark = pytest.mark.promise(26)

strict = pytest.importorskip("array_api_strict")

INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64"]
COMPLEX = ["complex64", "complex128"]
ALL = ["bool", *INTS, *FLOATS, *COMPLEX]

UNARY = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "bitwise_invert", "ceil", "conj", "cos", "cosh", "exp",
    "expm1", "floor", "imag", "isfinite", "isinf", "isnan", "log", "log1p", "log2", "log10", "logical_not", "negative",
    "positive", "real", "reciprocal", "round", "sign", "signbit", "sin", "sinh", "square", "sqrt", "tan", "tanh",
    "trunc",
]  # fmt: skip
BINARY = [
    "add", "atan2", "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "copysign", "divide", "equal", "floor_divide", "greater", "greater_equal", "hypot", "less", "less_equal",
    "logaddexp", "logical_and", "logical_or", "logical_xor", "maximum", "minimum", "multiply", "nextafter",
    "not_equal", "pow", "remainder", "subtract",
]  # fmt: skip
OPERATORS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//", "remainder": "%", "pow": "**",
    "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^", "bitwise_left_shift": "<<", "bitwise_right_shift": ">>",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}  # fmt: skip


@pytest.fixture(autouse=True)
def standard():
    """array-api-strict as of 2024.12; divisions by zero are part of the cases."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with strict.ArrayAPIStrictFlags(api_version="2024.12"):
            yield


def values(dtype):
    """A few numbers of a dtype, none of them 0."""
    if dtype == "bool":
        return np.array([True, False, True])
    if dtype in COMPLEX:
        return np.array([1.5 - 0.5j, -2 + 1j, 0.25j]).astype(dtype)
    return np.array([1, 2, 3]).astype(dtype) if dtype in INTS else np.array([0.5, -1.25, 3.0]).astype(dtype)


def pair(array):
    return at.asarray(array), strict.asarray(array)


def assert_same(got, want):
    """dtype, shape and values, NaN beside NaN and zeros with their signs; the last digits may differ."""
    got, want = got.numpy(), np.asarray(want)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    if want.dtype.kind in "fc":
        tol = 1e-6 if want.dtype.char in "fF" else 1e-13
        np.testing.assert_allclose(got, want, rtol=tol, atol=0)
        for part in (np.real, np.imag):
            zero = part(want) == 0
            np.testing.assert_array_equal(np.signbit(part(got)[zero]), np.signbit(part(want)[zero]))
    else:
        np.testing.assert_array_equal(got, want)


# -- names and signatures


def _public(namespace):
    own = {"Device", "set_array_api_strict_flags", "get_array_api_strict_flags", "reset_array_api_strict_flags",
           "ArrayAPIStrictFlags", "__version__"}  # fmt: skip
    later = {"broadcast_shapes", "isin"}  # of 2025.12
    return [name for name in namespace.__all__ if name not in own | later]


@pytest.mark.parametrize("extension", ["", "linalg", "fft"])
def test_every_name_is_there(extension):
    theirs, ours = (getattr(strict, extension), getattr(at, extension)) if extension else (strict, at)
    missing = [name for name in _public(theirs) if not hasattr(ours, name)]
    assert not missing


@pytest.mark.parametrize("extension", ["", "linalg", "fft"])
def test_every_call_of_the_standard_is_taken(extension):
    """Arguments by position in the standard's order, and by the names it has for them."""
    theirs, ours = (getattr(strict, extension), getattr(at, extension)) if extension else (strict, at)
    refused = []
    for name in _public(theirs):
        function = getattr(theirs, name)
        if not callable(function) or inspect.isclass(function):
            continue
        parameters = inspect.signature(function).parameters.values()
        signature = inspect.signature(getattr(ours, name))
        by_position = [p for p in parameters if p.kind == p.POSITIONAL_ONLY]
        either = [p for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        by_name = [p.name for p in parameters if p.kind == p.KEYWORD_ONLY]
        for k in range(len(either) + 1):
            first = [None] * (len(by_position) + k)
            named = {p.name: None for p in either[k:]}
            try:
                signature.bind(*first, **named, **dict.fromkeys(by_name))
            except TypeError as error:
                refused.append(f"{name}: {error}")
    assert not refused


def test_the_array_object_has_all_methods_and_attributes():
    theirs = [n for n in dir(strict.asarray([[1.0]])) if n.startswith("__") or not n.startswith("_")]
    left_out = {
        "__module__",
        "__dict__",
        "__weakref__",
        "__slotnames__",
        "__array_priority__",
        "__buffer__",
        "__slots__",
    }
    x = at.asarray([[1.0]])
    missing = [n for n in theirs if n not in left_out and not hasattr(x, n)]
    # x += y means x = x + y here: Python does that by itself where there is no __iadd__.
    assert [n for n in missing if not (n.startswith("__i") and hasattr(x, "__" + n[3:]))] == []


# -- elementwise functions, over all dtypes


def _defined(name, *arrays):
    """What the standard gives, or None where it leaves the dtypes undefined."""
    try:
        return getattr(strict, name)(*arrays)
    except (TypeError, ValueError):
        return None


@pytest.mark.parametrize("name", UNARY)
def test_unary_functions_over_all_dtypes(name):
    checked = 0
    for dtype in ALL:
        ours, theirs = pair(values(dtype))
        want = _defined(name, theirs)
        if want is not None:
            assert_same(getattr(at, name)(ours), want)
            checked += 1
    assert checked


@pytest.mark.parametrize("name", BINARY)
def test_binary_functions_and_operators_over_all_pairs_of_dtypes(name):
    checked = 0
    for first, second in itertools.product(ALL, ALL):
        x, a = pair(values(first))
        y, b = pair(values(second))
        want = _defined(name, a, b)
        if want is None:
            continue
        checked += 1
        assert_same(getattr(at, name)(x, y), want)
        if name in OPERATORS:
            assert_same(eval(f"x {OPERATORS[name]} y", {"x": x, "y": y}), want)
    assert checked


@pytest.mark.parametrize("name", [n for n in BINARY if n in OPERATORS])
def test_operators_with_python_numbers_keep_the_dtype(name):
    checked = 0
    for dtype in ALL:
        x, a = pair(values(dtype))
        for number in (True, 2, 0.5, 1 + 2j):
            for expression in (f"x {OPERATORS[name]} n", f"n {OPERATORS[name]} x"):
                try:
                    want = eval(expression, {"x": a, "n": number})
                except (TypeError, OverflowError):
                    continue
                if want is NotImplemented:
                    continue
                assert_same(eval(expression, {"x": x, "n": number}), want)
                checked += 1
    assert checked


_LIMITS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("bitwise_invert", "logical_not")])
def test_special_values_of_one_real_operand(name):
    ours, theirs = pair(np.array(_LIMITS))
    want = _defined(name, theirs)
    if want is not None:
        assert_same(getattr(at, name)(ours), want)


@pytest.mark.parametrize("name", [n for n in BINARY if not n.startswith(("bitwise", "logical"))])
def test_special_values_of_two_real_operands(name):
    x, y = (grid.ravel() for grid in np.meshgrid(_LIMITS, _LIMITS))
    assert_same(getattr(at, name)(at.asarray(x), at.asarray(y)), getattr(strict, name)(*map(strict.asarray, (x, y))))


inf, nan = np.inf, np.nan


@pytest.mark.parametrize(
    ("name", "at_", "is_"),
    [  # where NumPy has other ideas than the standard
        ("expm1", complex(inf, inf), complex(inf, nan)),
        ("expm1", complex(-inf, inf), complex(-1, 0)),
        ("expm1", complex(inf, 0), complex(inf, 0)),
        ("expm1", complex(nan, 0), complex(nan, 0)),
        ("expm1", complex(-0.0, 0), complex(0, 0)),
        ("tanh", complex(inf, 3), complex(1, 0)),
        ("sign", complex(-0.0, -0.0), complex(0, 0)),
        # and a few where it agrees
        ("exp", complex(-inf, nan), complex(0, 0)),
        ("sqrt", complex(-1, 0), complex(0, 1)),
        ("sqrt", complex(-1, -0.0), complex(0, -1)),
        ("log", complex(0, 0), complex(-inf, 0)),
        ("atanh", complex(1, 0), complex(inf, 0)),
    ],
)
@pytest.mark.parametrize("dtype", COMPLEX)
def test_special_values_of_a_complex_operand(name, at_, is_, dtype):
    got = getattr(at, name)(at.asarray([at_, 0.5j], dtype=dtype)).numpy()[0]
    assert got.dtype == dtype
    for a, b in ((got.real, is_.real), (got.imag, is_.imag)):
        np.testing.assert_array_equal(a, np.float32(b))
        assert np.isnan(b) or b != 0 or at_ == complex(-inf, nan) or np.signbit(a) == np.signbit(b)


def test_conjugate_and_angle():
    z = at.asarray([1 + 1j, -2.0, -3j])
    assert at.conjugate(z).tolist() == [1 - 1j, -2, 3j]
    np.testing.assert_allclose(at.angle(z).numpy(), np.angle(z.numpy()))
    np.testing.assert_allclose(at.angle(z, deg=True).numpy(), [45, 180, -90])
    assert at.angle(at.asarray([2.0, -2.0])).tolist() == [0, np.pi]
    assert (at.real(z).tolist(), at.imag(z).tolist()) == ([1, -2, 0], [1, 0, -3])
    x = at.asarray([1.0, -2.0])
    assert at.real(x) is x
    assert at.imag(x).tolist() == [0, 0]
    assert at.signbit(x).tolist() == [False, True]
    assert at.copysign(x, -1.0).tolist() == [-1, -2]
    assert (at.nextafter(x, 9.0) > x).tolist() == [True, True]


def test_clip_takes_one_bound_two_or_none():
    x, a = pair(np.array([[-2.0, 0.5], [3.0, np.nan]]))
    lo, low = pair(np.array([0.0, 1.0]))
    for bounds, theirs in [
        ({}, {}), ({"min": 0.0}, {"min": 0.0}), ({"max": 1}, {"max": 1}),
        ({"min": lo, "max": 2.0}, {"min": low, "max": 2.0}),
    ]:  # fmt: skip
        assert_same(at.clip(x, **bounds), strict.clip(a, **theirs))


# -- dtypes


def test_promotion():
    for first, second in itertools.product(ALL, ALL):
        a, b = getattr(at, first), getattr(at, second)
        try:
            want = strict.result_type(getattr(strict, first), getattr(strict, second))
        except TypeError:
            continue
        assert at.result_type(a, b) == np.dtype(str(want).rpartition(".")[2])
        assert at.result_type(at.ones(2, dtype=a), b) == at.result_type(a, b)
    assert at.result_type(at.float32, 1.0) == at.result_type(2, at.ones(1, dtype="float32"), 1.5) == at.float32
    with pytest.raises(DTypeError, match=r"\[result_type\] expected a tensor or a dtype"):
        at.result_type(1, 2.0)


def test_can_cast():
    for first, second in itertools.product(ALL, ALL):
        try:
            want = strict.can_cast(getattr(strict, first), getattr(strict, second))
        except TypeError:
            continue
        if want:  # the standard leaves open what lies beyond
            assert at.can_cast(getattr(at, first), getattr(at, second)) is True
    assert at.can_cast(at.ones(2), at.float32) is False
    assert at.can_cast(at.float64, at.int64) is False


@pytest.mark.parametrize(
    "kind",
    ["bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"],
)
def test_isdtype(kind):
    for name in ALL:
        want = strict.isdtype(getattr(strict, name), kind)
        assert at.isdtype(getattr(at, name), kind) is want
        assert at.isdtype(np.dtype(name), (kind, np.dtype(name))) is True
        assert at.isdtype(name, at.int8) is (name == "int8")
    with pytest.raises(ValueError, match=r"\[isdtype\] expected a kind"):
        at.isdtype(at.float32, "floating")


def test_limits():
    for name in FLOATS + COMPLEX:
        for given in (getattr(at, name), at.ones(1, dtype=name)):
            ours, theirs = at.finfo(given), strict.finfo(getattr(strict, name))
            for attribute in ("bits", "eps", "max", "min", "smallest_normal"):
                value = getattr(ours, attribute)
                assert type(value) in (int, float)
                assert value == getattr(theirs, attribute)
            assert ours.dtype == (name if name in FLOATS else {"complex64": "float32"}.get(name, "float64"))
            assert ours.tiny == ours.smallest_normal
    for name in INTS:
        ours, theirs = at.iinfo(at.ones(1, dtype=name)), strict.iinfo(getattr(strict, name))
        assert (ours.bits, ours.min, ours.max, ours.dtype) == (theirs.bits, theirs.min, theirs.max, np.dtype(name))
    with pytest.raises(DTypeError, match=r"\[finfo\]"):
        at.finfo(at.int8)
    with pytest.raises(DTypeError, match=r"\[iinfo\]"):
        at.iinfo(at.float32)


def test_astype():
    for first, second in itertools.product(ALL, ALL):
        x, a = pair(values(first))
        try:
            want = strict.astype(a, getattr(strict, second))
        except TypeError:
            assert first in COMPLEX
            assert second not in COMPLEX
            if second == "bool":  # the standard's text has it: False for 0 only
                assert at.astype(x, at.bool).tolist() == [True, True, True]
                continue
            with pytest.raises(DTypeError, match=r"\[astype\] complex numbers do not become"):
                at.astype(x, second)
            continue
        if first in FLOATS and second.startswith("uint"):
            continue  # negative numbers: undefined
        assert_same(at.astype(x, getattr(at, second), copy=True, device="cpu"), want)
    x = at.asarray([1.0])
    assert at.astype(x, at.float64, copy=False) is x
    copied = at.astype(x, at.float64)
    copied[0] = 5.0
    assert x.tolist() == [1.0]
    for make in (at.asarray, at.Tensor):
        with pytest.raises(DTypeError, match="at.real"):
            make(np.ones(1, complex), dtype="float32")


# -- creation


@pytest.mark.parametrize("dtype", [None, *ALL])
def test_creation(dtype):
    ours = {} if dtype is None else {"dtype": getattr(at, dtype)}
    theirs = {} if dtype is None else {"dtype": getattr(strict, dtype)}
    like, liked = pair(np.ones((2, 3), "int16"))
    for name, args in [
        ("zeros", ((2, 3),)),
        ("ones", (2,)),
        ("full", ((2,), 1)),
        ("full", ((), True)),
        ("eye", (2, 3)),
    ]:
        if name == "full" and dtype == "bool" and args[1] is not True:
            continue
        assert_same(getattr(at, name)(*args, **ours, device="cpu"), getattr(strict, name)(*args, **theirs))
    for name, args in [("zeros_like", ()), ("ones_like", ()), ("full_like", (1,))]:
        assert_same(getattr(at, name)(like, *args, **ours, device="cpu"), getattr(strict, name)(liked, *args, **theirs))
    assert at.empty((2, 0), **ours).shape == (2, 0)
    assert at.empty_like(like, **ours, device=None).dtype == (dtype or "int16")
    if dtype != "bool":
        assert_same(at.eye(3, k=-1, **ours), strict.eye(3, k=-1, **theirs))
        assert_same(at.asarray([1, 0], **ours), strict.asarray([1, 0], **theirs))
    if dtype not in ("bool", *COMPLEX):
        for args in [(4,), (1, 5), (1, 9, 3), (5, 1)]:
            assert_same(at.arange(*args, **ours), strict.arange(*args, **theirs))
        assert_same(at.arange(0, stop=6, step=2, **ours), strict.arange(0, stop=6, step=2, **theirs))
    if dtype in (None, *FLOATS, *COMPLEX):
        for endpoint in (True, False):
            got = at.linspace(0.0, 1.0, num=5, endpoint=endpoint, **ours)
            assert_same(got, strict.linspace(0.0, 1.0, num=5, endpoint=endpoint, **theirs))


def test_defaults():
    assert at.asarray([1.0, 2]).dtype == at.float64
    assert at.asarray(1).dtype == at.int64
    assert at.asarray(1j).dtype == at.complex128
    assert at.full(2, 1j).dtype == at.complex128
    assert at.linspace(0j, 1j, 3).tolist() == [0, 0.5j, 1j]
    assert at.complex64 == np.complex64
    with pytest.raises(ShapeError, match=r"\[arange\] expected numbers as bounds"):
        at.arange([1, 2])
    with pytest.raises(ValueError, match=r"\[zeros\] expected device 'cpu'"):
        at.zeros(2, device="gpu")


def test_meshgrid_tril_triu():
    x, a = pair(np.arange(3))
    y, b = pair(np.arange(2))
    for indexing in ("xy", "ij"):
        for got, want in zip(
            at.meshgrid(x, y, indexing=indexing), strict.meshgrid(a, b, indexing=indexing), strict=True
        ):
            assert_same(got, want)
    m, c = pair(np.arange(24).reshape(2, 3, 4))
    for k in (-2, 0, 1):
        assert_same(at.tril(m, k=k), strict.tril(c, k=k))
        assert_same(at.triu(m, k=k), strict.triu(c, k=k))


def test_asarray_copies_as_it_is_told():
    x = at.asarray([1, 2, 3])
    assert at.asarray(x) is x
    assert at.asarray(x, copy=False) is x
    copied = at.asarray(x, copy=True)
    copied[0] = 9
    assert x.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=r"\[asarray\] int64 becomes float32 only by a copy"):
        at.asarray(x, dtype=at.float32, copy=False)
    with pytest.raises(ValueError, match="copy"):
        at.asarray([1, 2], copy=False)
    source = np.arange(3)
    assert np.shares_memory(at.asarray(source, copy=False).numpy(), source)


# -- inspection, devices, DLPack


def test_namespace_and_devices():
    x = at.ones((2, 3))
    assert x.__array_namespace__() is x.__array_namespace__(api_version="2024.12") is at
    assert at.__array_api_version__ == "2024.12"
    with pytest.raises(ValueError, match="API version"):
        x.__array_namespace__(api_version="1999.01")
    assert (x.device, x.to_device("cpu") is x) == ("cpu", True)
    with pytest.raises(ValueError, match="cpu"):
        x.to_device("gpu")
    with pytest.raises(ValueError, match="stream"):
        x.to_device("cpu", stream=1)
    assert (x.size, x.ndim, x.shape, x.T.shape, x.mT.shape) == (6, 2, (2, 3), (3, 2), (3, 2))


def test_namespace_info():
    info, theirs = at.__array_namespace_info__(), strict.__array_namespace_info__()
    assert info.capabilities() == theirs.capabilities()
    assert info.default_device() in info.devices()
    assert {k: str(v) for k, v in info.default_dtypes(device="cpu").items()} == {
        k: str(v).rpartition(".")[2] for k, v in theirs.default_dtypes().items()
    }
    for kind in (None, "bool", "integral", ("unsigned integer", "complex floating"), "numeric", ()):
        assert set(info.dtypes(kind=kind)) == set(theirs.dtypes(kind=kind))
    with pytest.raises(ValueError, match="kind"):
        info.dtypes(kind="floats")


@pytest.mark.parametrize("dtype", [*ALL, "float16"])
def test_dlpack_to_numpy_and_back(dtype):
    x = at.asarray(np.arange(6).reshape(2, 3).astype(dtype))
    out = np.from_dlpack(x)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, x.numpy())
    back = at.from_dlpack(out, device="cpu", copy=True)
    np.testing.assert_array_equal(back.numpy(), out)
    assert at.from_dlpack(x).tolist() == x.tolist()
    assert x.__dlpack_device__() == (1, 0)


def test_dlpack_and_writes():
    x = at.asarray([1.0, 2.0])
    out = np.from_dlpack(x)
    x[0] = 7.0
    assert out.tolist() == [1.0, 2.0]
    source = np.array([1.0, 2.0])
    t = at.from_dlpack(source)
    t[0] = 7.0
    assert source.tolist() == [1.0, 2.0]
    assert at.from_dlpack(source, copy=False).tolist() == [1.0, 2.0]
    v = at.Variable(np.ones(2))
    out = np.from_dlpack(v)
    v.assign(np.zeros(2))
    assert out.tolist() == [1, 1]
    with pytest.raises(BufferError, match="Variable"):
        v.__dlpack__(copy=False)
    fixed = np.array([3.0])
    fixed.flags.writeable = False
    assert np.from_dlpack(at.asarray(fixed)).tolist() == [3.0]
    at.asarray(fixed).__dlpack__()  # for a consumer that knows no read-only memory


# -- the array object


def test_scalars():
    assert complex(at.asarray(1 + 2j)) == 1 + 2j
    assert complex(at.asarray(2.0)) == 2
    assert (float(at.asarray(1.5)), int(at.asarray(7)), bool(at.asarray(False))) == (1.5, 7, False)
    assert [10, 20, 30][at.asarray(1, dtype=at.uint8)] == 20
    with pytest.raises(TypeError):
        float(at.asarray(1j))
    with pytest.raises(TypeError):
        [10, 20][at.asarray(1.0)]
    assert (at.asarray([1j]) == 1j).tolist() == [True]
    assert (at.asarray([1j]) != 1j).tolist() == [False]


def test_reading_by_index():
    x, a = pair(np.arange(24).reshape(2, 3, 4))
    mask, b = pair(np.arange(24).reshape(2, 3, 4) % 5 == 0)
    i, j = pair(np.array([1, 0, 1]))
    for ours, theirs in [
        ((0, 1, 2), (0, 1, 2)), ((..., 1), (..., 1)), ((slice(None, None, -1), ...), (slice(None, None, -1), ...)),
        ((None, 0, ..., None), (None, 0, ..., None)), (mask, b), ((i, 0, slice(None)), None), ((i, i, i), (j, j, j)),
    ]:  # fmt: skip
        if theirs is not None:
            assert_same(x[ours], a[theirs])
    assert x[i, 0].tolist() == x.numpy()[[1, 0, 1], 0].tolist()
    assert x[at.asarray(True)].shape == (1, 2, 3, 4)
    assert x[at.zeros((2, 0), dtype=bool)].shape == (0, 4)  # a size of 0 fits everywhere
    for wrong in (at.zeros(5, dtype=bool), at.zeros((2, 3, 4, 1), dtype=bool), 9, (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            x[wrong]
    with pytest.raises(RangeError, match=r"\[getitem\] a mask"):
        x[at.ones(5, dtype=bool)]


def test_writing_by_index():
    base = np.arange(12.0).reshape(3, 4)
    mask = base % 3 == 0
    for key, value in [
        ((0, 1), 5.0), ((slice(None), 1), [7, 8, 9]), ((..., 0), -1.0), (mask, 0.0), (slice(None, None, 2), 4.0),
        ((), 3.0), (([0, 2], [1, 3]), [5.0, 6.0]),
    ]:  # fmt: skip
        want = base.copy()
        want[key] = value
        x = at.asarray(base, copy=True)
        x[at.asarray(key) if isinstance(key, np.ndarray) else key] = at.asarray(value)
        np.testing.assert_array_equal(x.numpy(), want)
        assert x.dtype == base.dtype


# -- gradients through the standard's functions


def _slope(f, *xs):
    leaves = [at.Tensor(x, requires_grad=True) for x in xs]
    return [None if g is None else g.numpy() for g in at.gradients(f(*leaves), leaves)]


def test_gradients_by_complex_numbers_are_transposes():
    z = np.array([1 + 2j, -0.5 + 1j])
    x, y = z.real, z.imag
    (g,) = _slope(lambda z: at.real(z * z).sum(), z)  # f = x^2 - y^2: df/dx - i df/dy
    np.testing.assert_allclose(g, 2 * x + 2j * y)
    (g,) = _slope(lambda z: at.imag(z * z).sum(), z)
    np.testing.assert_allclose(g, 2 * y - 2j * x)
    (g,) = _slope(lambda z: (at.abs(z) ** 2).sum(), z)
    np.testing.assert_allclose(g, 2 * x - 2j * y)
    (g,) = _slope(lambda z: at.angle(z).sum(), z)
    np.testing.assert_allclose(g, (-y - 1j * x) / np.abs(z) ** 2)
    (g,) = _slope(lambda z: at.real(at.conj(z) * (2 + 1j)).sum(), z)
    np.testing.assert_allclose(g, np.full(2, 2 - 1j))
    (g,) = _slope(lambda z: at.abs(z).sum(), np.zeros(1, complex))
    assert g.tolist() == [0]


def test_a_real_input_of_a_complex_result_has_a_real_gradient():
    t = np.array([0.3, 1.2])
    (g,) = _slope(lambda t: at.real(at.exp(t * 2j)).sum(), t)
    assert g.dtype == np.float64
    np.testing.assert_allclose(g, -2 * np.sin(2 * t))
    (g,) = _slope(lambda t: at.imag(at.astype(t, at.complex128) * 3j).sum(), t)
    np.testing.assert_allclose(g, [3.0, 3.0])


def test_gradients_flow_through_creation_and_conversion():
    start, stop = np.array(1.0), np.array(3.0)
    first, last = _slope(lambda a, b: (at.linspace(a, b, 3) * at.asarray([1.0, 10.0, 100.0])).sum(), start, stop)
    assert (first.item(), last.item()) == (6.0, 105.0)
    assert at.linspace(at.asarray(1.0), 3.0, 3).tolist() == [1, 2, 3]
    (g,) = _slope(lambda x: at.astype(at.asarray(x, copy=True), at.float32).sum(), np.ones(2))
    assert (g.tolist(), g.dtype) == ([1, 1], np.float64)
    x, low, high = _slope(
        lambda x, low, high: at.clip(x, low, high).sum(), np.array([-1.0, 0.5, 9.0]), np.zeros(3), np.array([2.0])
    )
    assert (x.tolist(), low.tolist(), high.tolist()) == ([0, 1, 0], [1, 0, 0], [1])
    leaf = at.from_dlpack(np.array([3.0]))
    leaf.requires_grad = True
    assert at.grad((leaf * leaf).sum(), leaf).tolist() == [6.0]
    (g,) = _slope(lambda x: at.full((2, 2), x).sum(), np.array(1.0))
    assert g.item() == 4.0


def test_reshape_and_its_copies():
    x = at.asarray(np.arange(6.0).reshape(2, 3))
    assert at.reshape(x, (3, 2), copy=False).shape == (3, 2)
    assert not np.shares_memory(at.reshape(x, (3, 2), copy=True).numpy(), x.numpy())
    with pytest.raises(ValueError, match=r"\[reshape\] \(3, 2\) becomes \(6,\) only by a copy"):
        at.reshape(x.T, (6,), copy=False)


def _cis(b, size):
    """size * (cos b + i sin b), part by part."""
    return complex(size * np.cos(b), size * np.sin(b))


# Rows of the standard's tables that its public suite does not read, in its words. NaN stands for NaN of either sign.
UNREAD = [
    *[("abs", (complex(a, b),), inf) for a in (inf, -inf) for b in (1.0, nan, inf)],
    *[("abs", (complex(a, b),), inf) for a in (1.0, nan) for b in (inf, -inf)],
    *[("abs", (complex(a, b),), nan) for a, b in [(nan, 1.0), (1.0, nan), (nan, nan)]],
    ("abs", (complex(-0.0, -2),), 2.0),
    ("abs", (complex(-2, 0.0),), 2.0),
    ("add", (complex(-0.0, 0.0), complex(-0.0, -0.0)), complex(-0.0, 0.0)),
    ("clip", (1.0, nan, 2.0), nan),
    ("clip", (1.0, 0.0, nan), nan),
    *[("copysign", (x, y), np.copysign(abs(x), y)) for x in (3.0, -3.0) for y in (-1.0, -0.0, 0.0, 1.0, nan, -nan)],
    *[("exp", (complex(-inf, b),), _cis(b, 0.0)) for b in (0.0, 1.0, 3.0)],
    *[(name, (complex(inf, b),), _cis(b, inf)) for name in ("exp", "cosh", "sinh") for b in (1.0, 2.0, 4.0)],
    ("expm1", (complex(-inf, 2.0),), complex(-1, 0.0)),
    ("expm1", (complex(inf, 2.0),), _cis(2.0, inf)),
    *[("equal", (x, y), same) for x, y, same in [(2.0, 2.0, True), (2.0, 1.0, False), (complex(0, nan), 0j, False)]],
    ("not_equal", (complex(nan, 1), complex(nan, 1)), True),
    *[("hypot", (x, y), inf) for x, y in [(inf, nan), (-inf, 1.0), (nan, inf), (0.0, -inf)]],
    *[("hypot", (x, y), nan) for x, y in [(nan, 1.0), (1.0, nan), (nan, nan)]],
    *[("hypot", (x, y), 3.0) for x, y in [(-0.0, -3.0), (3.0, 0.0)]],
    ("hypot", (1e-320, 0.0), 1e-320),
    *[("isfinite", (complex(a, b),), np.isfinite(a + b)) for a in (1.0, inf, nan) for b in (2.0, -inf, nan)],
    *[("isinf", (complex(a, b),), bool(np.isinf(a) or np.isinf(b))) for a in (1.0, -inf, nan) for b in (2.0, inf, nan)],
    *[("isnan", (complex(a, b),), bool(np.isnan(a) or np.isnan(b))) for a in (1.0, inf, nan) for b in (2.0, inf, nan)],
    *[("sign", (complex(a, b),), complex(nan, nan)) for a, b in [(nan, 1.0), (1.0, nan), (nan, nan)]],
    *[("sqrt", (complex(a, inf),), complex(inf, inf)) for a in (-inf, -1.0, 0.0, inf, nan)],
    ("sqrt", (complex(nan, 2.0),), complex(nan, nan)),
    ("tanh", (complex(nan, 2.0),), complex(nan, nan)),
    ("multiply", (complex(nan, nan), complex(nan, nan)), complex(nan, nan)),
    ("divide", (complex(nan, nan), complex(nan, nan)), complex(nan, nan)),
]  # fmt: skip


@pytest.mark.parametrize("name", sorted({name for name, _, _ in UNREAD}))
def test_special_values_that_the_suite_does_not_read(name):
    for _, operands, want in (row for row in UNREAD if row[0] == name):
        got = getattr(at, name)(*[at.asarray(x) for x in operands]).item()
        for part in ("real", "imag"):
            a, b = getattr(got, part), getattr(want, part)
            np.testing.assert_array_equal(a, b, err_msg=f"{name}{operands}")
            assert b != 0 or np.signbit(a) == np.signbit(b), f"{name}{operands} is {got}"

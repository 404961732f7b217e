"""Scalar helpers and the compiler behind them: accuracy against float64, special values, vector code."""

import ast
import functools
import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from autotensor.kernels import scalar as scalar_module
from autotensor.kernels.jit import DISABLED, fingerprint, jit, scalar

ROOT = Path(scalar_module.__file__).parents[2]
SAMPLES = 300 if DISABLED else 200_000
INF, NAN = np.inf, np.nan

compiled_only = pytest.mark.skipif(DISABLED, reason="needs the compiler")


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def erf(x):
    return pytest.importorskip("scipy.special").erf(x)


# helper, float64 oracle, ranges to sample besides all bit patterns, greatest error in ulp
UNARY = [
    ("exp_f32", np.exp, [(-110, 95), (-1, 1)], 1.1),
    ("expm1_f32", np.expm1, [(-30, 95), (-1, 1), (-1e-3, 1e-3)], 1.6),
    ("log_f32", np.log, [(0, 3), (0.9, 1.1), (0, 1e5)], 1.0),
    ("log1p_f32", np.log1p, [(-1, 3), (-1e-3, 1e-3), (0, 1e5)], 1.6),
    ("tanh_f32", np.tanh, [(-12, 12), (-1, 1)], 2.5),
    ("sigmoid_f32", sigmoid, [(-110, 30), (-4, 4)], 2.6),
    ("softplus_f32", lambda x: np.logaddexp(0, x), [(-110, 95), (-4, 4)], 2.2),
    ("erf_f32", erf, [(-5, 5), (-0.1, 0.1)], 7.0),
    ("sin_f32", np.sin, [(-7, 7), (-1e4, 1e4), (-1e6, 1e6)], 1.7),
    ("cos_f32", np.cos, [(-7, 7), (-1e4, 1e4), (-1e6, 1e6)], 1.7),
    ("sqrt_f32", np.sqrt, [(0, 1e5)], 0.51),
    ("rsqrt_f32", lambda x: 1 / np.sqrt(x), [(0, 1e5)], 1.6),
]

SPECIAL = [
    ("exp_f32", {INF: INF, -INF: 0, 0: 1, 88.8: INF, -104: 0, -1e30: 0, 1e30: INF, NAN: NAN}),
    ("expm1_f32", {INF: INF, -INF: -1, 0: 0, 88.8: INF, -50: -1, 1e-30: 1e-30, NAN: NAN}),
    ("log_f32", {INF: INF, -INF: NAN, 0: -INF, 1: 0, -1: NAN, -1e-40: NAN, NAN: NAN}),
    ("log1p_f32", {INF: INF, -INF: NAN, 0: 0, -1: -INF, -1.5: NAN, 1e-30: 1e-30, 1e-40: 1e-40, NAN: NAN}),
    ("tanh_f32", {INF: 1, -INF: -1, 0: 0, 20: 1, -20: -1, 1e-40: 1e-40, NAN: NAN}),
    ("sigmoid_f32", {INF: 1, -INF: 0, 0: 0.5, 40: 1, -200: 0, NAN: NAN}),
    ("softplus_f32", {INF: INF, -INF: 0, 100: 100, -200: 0, 0: np.log(2), 1e30: 1e30, NAN: NAN}),
    ("erf_f32", {INF: 1, -INF: -1, 0: 0, 5: 1, -5: -1, NAN: NAN}),
    ("sin_f32", {INF: NAN, -INF: NAN, 0: 0, 1e-40: 1e-40, NAN: NAN}),
    ("cos_f32", {INF: NAN, -INF: NAN, 0: 1, 1e-40: 1, NAN: NAN}),
    ("sqrt_f32", {INF: INF, -1: NAN, 0: 0, NAN: NAN}),
    ("rsqrt_f32", {INF: 0, -1: NAN, 0: INF, NAN: NAN}),
]


@functools.cache
def loop(name, arity=1):
    """A compiled kernel that maps the helper over float arrays."""
    arrays = ["x", "y"][:arity]
    call = ", ".join(f"{a}[i]" for a in arrays)
    text = f"def kernel({', '.join(arrays)}, out):\n for i in range(out.size):\n  out[i] = helper({call})\n"
    scope = {"helper": getattr(scalar_module, name)}
    exec(text, scope)
    return jit(scope["kernel"])


def run(name, *arrays):
    out = np.empty_like(arrays[0])
    loop(name, len(arrays))(*arrays, out)
    return out


def all_magnitudes(n, seed=0):
    """n float32 numbers drawn from all bit patterns: denormals, huge ones, infinities and NaNs among them."""
    bits = np.random.default_rng(seed).integers(0, 2**32, n, dtype=np.uint32)
    return bits.view(np.float32)


def ulp_error(got, exact):
    """Greatest error in units of float32's last place; infinities and NaNs must agree."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = exact.astype(np.float32)
    odd = ~np.isfinite(rounded) | ~np.isfinite(got)
    np.testing.assert_array_equal(got[odd], rounded[odd])
    got, exact, rounded = got[~odd], exact[~odd], rounded[~odd]
    return np.max(np.abs(got - exact) / np.spacing(np.abs(rounded)).astype(np.float64), initial=0)


@pytest.mark.parametrize("name, oracle, ranges, bound", UNARY, ids=[row[0] for row in UNARY])
def test_accuracy(name, oracle, ranges, bound):
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(*r, SAMPLES) for r in ranges]).astype(np.float32)
    wild = all_magnitudes(SAMPLES)
    if name in ("sin_f32", "cos_f32"):
        wild = wild[~(np.abs(wild) > 1e6)]
    x = np.concatenate([x, wild])
    with np.errstate(all="ignore"):
        exact = oracle(x.astype(np.float64))
    got = run(name, x)
    assert got.dtype == np.float32
    assert ulp_error(got, exact) <= bound


@pytest.mark.parametrize("name, cases", SPECIAL, ids=[row[0] for row in SPECIAL])
def test_special_values(name, cases):
    x = np.array(list(cases), np.float32)
    expected = np.array(list(cases.values()), np.float32)
    got = run(name, x)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["tanh_f32", "erf_f32", "sqrt_f32"])
def test_sign_of_zero_is_kept(name):
    got = run(name, np.array([0.0, -0.0], np.float32))
    np.testing.assert_array_equal(got, [0, 0])
    np.testing.assert_array_equal(np.signbit(got), [False, True])


def test_log_of_either_zero():
    np.testing.assert_array_equal(run("log_f32", np.array([0.0, -0.0], np.float32)), [-INF, -INF])


def test_every_unary_helper_is_tested():
    others = {"pow_f32", "order_f32", "ordered_f32"}
    unary = {n for n in vars(scalar_module) if n.endswith("_f32") and not n.startswith("_")} - others
    assert unary == {row[0] for row in UNARY} == {row[0] for row in SPECIAL}


@pytest.mark.parametrize("name", ["tanh_f32", "erf_f32", "sin_f32", "cos_f32", "sigmoid_f32"])
def test_bounded_by_one(name):
    x = np.concatenate([np.linspace(-12, 12, SAMPLES, dtype=np.float32), all_magnitudes(SAMPLES)])
    x = x[np.isfinite(x)]
    assert np.max(np.abs(run(name, x))) <= 1


def test_sine_of_large_arguments_degrades_slowly():
    x = np.random.default_rng(3).uniform(-1e9, 1e9, SAMPLES).astype(np.float32)
    np.testing.assert_allclose(run("sin_f32", x), np.sin(x.astype(np.float64)), rtol=0, atol=2e-7)


def test_pow_accuracy():
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.lognormal(0, 3, SAMPLES).astype(np.float32), all_magnitudes(SAMPLES, 5)])
    y = np.concatenate([rng.normal(0, 10, SAMPLES).astype(np.float32), all_magnitudes(SAMPLES, 6)])
    with np.errstate(all="ignore"):
        exact = np.power(x.astype(np.float64), y.astype(np.float64))
    assert ulp_error(run("pow_f32", x, y), exact) <= 0.52


def test_pow_special_values_are_those_of_c():
    values = [0, -0.0, 1, -1, 2, -2, 3, 0.5, -0.5, 7.5, INF, -INF, NAN, 1e-40, -1e-40, 1e38, 2**24, 2**24 - 1]
    x, y = (a.ravel() for a in np.meshgrid(*[np.array(values, np.float32)] * 2))
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), y.astype(np.float64)).astype(np.float32)
    got = run("pow_f32", x, y)
    np.testing.assert_array_equal(got, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(expected[numbers]))


@pytest.mark.parametrize("name", ["sigmoid_f64", "softplus_f64"])
def test_float64_helpers(name):
    oracle = {"sigmoid_f64": sigmoid, "softplus_f64": lambda x: np.logaddexp(0, x)}[name]
    x = np.concatenate([np.linspace(-800, 800, 801), [INF, -INF, NAN, 0.0, 1e-300]])
    with np.errstate(all="ignore"):
        expected = oracle(x)
    np.testing.assert_allclose(run(name, x), expected, rtol=4e-16, atol=0)


@pytest.fixture(params=[32, 64])
def numbers(request):
    """Names of the helpers that order floats, and floats of their size from all bit patterns, none of them NaN."""
    size = request.param
    bits = np.random.default_rng(7).integers(0, 2**size, SAMPLES, dtype=f"uint{size}")
    x = bits.view(f"float{size}")
    info = np.finfo(x.dtype)
    edges = [0.0, info.smallest_subnormal, info.smallest_normal, 1.0, info.max, INF]
    x = np.concatenate([x[~np.isnan(x)], np.array(edges, x.dtype), -np.array(edges, x.dtype)])
    return f"order_f{size}", f"ordered_f{size}", x


def keys_of(order, x, nan):
    keys = np.empty(x.shape, f"int{8 * x.itemsize}")
    loop(order, 2)(x, np.full_like(keys, nan), keys)
    return keys


def test_keys_order_as_floats_do(numbers):
    order, _, x = numbers
    x = x[np.lexsort((~np.signbit(x), x))]  # of the two zeros the negative one comes first
    keys = keys_of(order, x, 0)
    same = (x[1:] == x[:-1]) & (np.signbit(x[1:]) == np.signbit(x[:-1]))
    np.testing.assert_array_equal(np.sign(np.diff(keys.astype(object))), np.where(same, 0, 1))


def test_keys_of_neighbours_are_neighbours(numbers):
    order, _, x = numbers
    x = x[(x < np.finfo(x.dtype).max) & (x != 0)]  # numbers below 0 go up to -0
    keys = keys_of(order, x, 0)
    np.testing.assert_array_equal(keys_of(order, np.nextafter(x, x.dtype.type(INF)), 0), keys + 1)
    zeros = np.array([-0.0, 0.0], x.dtype)
    np.testing.assert_array_equal(keys_of(order, zeros, 0), [-1, 0])


def test_keys_lead_back(numbers):
    order, ordered, x = numbers
    keys = keys_of(order, x, 0)
    back = np.empty_like(x)
    loop(ordered)(keys, back)
    np.testing.assert_array_equal(back.view(keys.dtype), x.view(keys.dtype))  # bits: -0 stays -0


def test_a_nan_has_the_key_it_is_given(numbers):
    order, ordered, x = numbers
    ends = np.iinfo(keys_of(order, x[:1], 0).dtype)
    nan = np.array([NAN, -NAN], x.dtype)
    for key in (ends.min, ends.max, 5):
        np.testing.assert_array_equal(keys_of(order, nan, key), [key, key])
    keys = keys_of(order, x, 0)
    assert ends.min < keys.min() and keys.max() < ends.max, "a maximum or minimum over keys finds every NaN"
    back = np.zeros(2, x.dtype)
    loop(ordered)(np.array([ends.min, ends.max], keys.dtype), back)
    assert np.isnan(back).all()


@compiled_only
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
@pytest.mark.parametrize("name", [row[0] for row in UNARY] + ["pow_f32"])
def test_loops_vectorise(name):
    kernel = loop(name, 2 if name == "pow_f32" else 1)
    arrays = [np.ones(8, np.float32)] * (3 if name == "pow_f32" else 2)
    kernel(*[a.copy() for a in arrays])
    text = kernel.inspect_asm(kernel.signatures[0])
    # a packed float32 or float64 product or root shows that the loop body, not just the epilogue, is vectors
    assert any(op in text for op in ("mulps", "mulpd", "fmadd213ps", "fmadd213pd", "sqrtps"))
    called = {line.split()[-1] for line in text.splitlines() if "call" in line}
    assert not called & {"expf", "logf", "tanhf", "sinf", "cosf", "powf", "pow"}


# The compiler


def test_source_of_stands_alone():
    text = scalar_module.source_of(["softplus_f32", "exp_f32"])
    names = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert names == ["exp_f32", "log_f32", "log1p_f32", "softplus_f32"]
    assert text == scalar_module.source_of(["exp_f32", "softplus_f32"])
    scope = {}
    exec(scalar_module.PRELUDE, scope)
    plain = text.replace("@scalar\n", "")
    exec(plain, scope)
    assert scope["softplus_f32"](np.float32(1.5)) == pytest.approx(np.log1p(np.exp(1.5)), rel=1e-6)


@pytest.mark.parametrize("name", [n for n in vars(scalar_module) if n.endswith(("_f32", "_f64"))])
def test_every_helper_uses_only_math_np_and_helpers(name):
    scope = {}
    exec(scalar_module.PRELUDE + scalar_module.source_of([name]), {**scope, "__name__": "pasted"}, scope)
    fn = scope[name]
    fn = getattr(fn, "py_func", getattr(fn, "__wrapped__", fn))
    unknown = {n for n in fn.__code__.co_names if n not in scope and not hasattr(np, n) and n not in dir("")}
    assert unknown <= {"abs", "view", "math"}


def test_source_of_unknown_name():
    with pytest.raises(ValueError, match=r"\[source_of\] .*'exq_f32'.*exp_f32"):
        scalar_module.source_of(["exq_f32"])


def test_kernels_keep_nan_and_reduce():
    @jit
    def total(x):
        s = np.float32(0)
        for i in range(x.size):
            s += x[i]
        return s

    x = np.ones(100, np.float32)
    assert total(x) == 100
    x[50] = NAN
    assert np.isnan(total(x))
    x[50] = INF
    assert total(x) == INF


def test_kernels_divide_as_numpy_does():
    @jit
    def ratio(a, b):
        return a / b

    assert ratio(np.float64(1), np.float64(0)) == INF
    assert np.isnan(ratio(np.float64(0), np.float64(0)))


@compiled_only
def test_noalias_reaches_llvm():
    # Without a file behind it, hence without a cache: code from the cache can not be inspected.
    scope = {}
    exec("def add(a, b, out):\n    for i in range(out.size):\n        out[i] = a[i] + b[i]\n", scope)
    add = scope["add"]
    x = np.ones(4, np.float32)
    counts = []
    for promise in (True, False):
        kernel = jit(noalias=promise)(add)
        kernel(x, x.copy(), x.copy())
        text = kernel.inspect_llvm(kernel.signatures[0])
        # LLVM's own overlap test makes a second, scalar copy of the loop behind this check
        counts.append(text.count("found.conflict") + text.count("vector.memcheck"))
    assert counts[0] == 0
    assert counts[1] > 0


@pytest.mark.promise(34)
def test_fingerprint_sees_called_helpers():
    def make(constant):
        scope = {"np": np, "scalar": scalar, "jit": jit}
        text = f"""
            def helper(x):
                return x + {constant}
            helper = scalar(helper)
            def kernel(x):
                return helper(x)
            """
        exec(textwrap.dedent(text), scope)
        return scope["kernel"]

    assert fingerprint(make(1.0)) == fingerprint(make(1.0))
    assert fingerprint(make(1.0)) != fingerprint(make(2.0))


SCRIPT = """
import sys
import numpy as np
from autotensor.kernels import cache, jit as j
from helper import twice

@j.jit
def kernel(x, out):
    for i in range(out.size):
        out[i] = twice(x[i])

if __name__ == "__main__":
    x = np.ones(3, np.float32)
    kernel(x, out := np.empty_like(x))
    events = cache.EVENTS
    print(out[0], events["loaded"], events["saved"], events["unwritable"], events["load failed"])
"""
HELPER = """
import numpy as np
from autotensor.kernels.jit import scalar

@scalar
def twice(x):
    return x * np.float32({factor})
"""


def python(*args, cwd=ROOT, **env):
    env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    command = [sys.executable, *args]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.promise(34)
@compiled_only
def test_disk_cache(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text(HELPER.format(factor=2))
    cache = tmp_path / "cache"

    def run_script(**env):
        return python("script.py", cwd=tmp_path, **{"AUTOTENSOR_CACHE_DIR": str(cache), **env}).split()

    assert run_script() == ["2.0", "0", "1", "0", "0"]
    assert run_script() == ["2.0", "1", "0", "0", "0"], "the second process loads"
    (tmp_path / "helper.py").write_text(HELPER.format(factor=30))
    assert run_script() == ["30.0", "0", "1", "0", "0"], "a changed helper in another file compiles anew"
    for data in cache.rglob("*.kernel"):
        data.write_bytes(b"broken")
    assert run_script() == ["30.0", "0", "1", "0", "1"], "a broken cache is counted and replaced"


@pytest.mark.promise(34)
@compiled_only
def test_unwritable_cache_is_counted(tmp_path):
    text = SCRIPT.replace("from helper import twice", HELPER.format(factor=2))
    (tmp_path / "file").touch()
    out = python("-c", text, cwd=tmp_path, AUTOTENSOR_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert out.split() == ["2.0", "0", "0", "1", "0"]


@pytest.mark.promise(34)
@compiled_only
def test_all_this_without_the_compiler():
    target = [str(Path(__file__)), "-q", "-x", "-p", "no:cacheprovider", "-W", "error::RuntimeWarning"]
    python("-m", "pytest", *target, NUMBA_DISABLE_JIT="1")

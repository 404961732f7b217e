"""The contract that every registered operation keeps, checked on the samples of ``tests/autotensor/samples``.

value       result and dtype = the oracle's
shape       shape rule = shape and dtype of the result
unknown     the same with unknown dimensions: nothing said is wrong
dtypes      dtype rule = dtype of the result, for inputs of every dtype
unmodified  inputs are only read; results share memory with an input only where ``view`` says so
grad        gradients of order 1 and 2 = differences; order 0 means that there really is no gradient
strided     Fortran order, steps and negative strides change nothing
empty       size 0 along each axis: what the oracle gives, or an error where the oracle raises
scalar      0-d inputs: the same
float32     float32 in, float32 out, close to the float64 result
kernel      kernel = impl
fallback    fallback = impl, and its gradient = the rule's
into        into = impl
expr        scalar expression = impl, also for NaN, infinities and zeros
graph       symbolic = eager, interpreted and compiled, with and without fusion; gradients too
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autotensor.ops
import autotensor.transforms
from autotensor import config
from autotensor.core.aval import Aval, float_dtype, result_dtype
from autotensor.core.grad import backpropagate, topological
from autotensor.core.op import OPS, Op
from autotensor.core.state import deferred
from autotensor.core.tensor import Tensor, placeholder, wrap
from autotensor.errors import AutotensorError, DTypeError, GradError
from autotensor.graph.compile import function
from autotensor.ops.elementwise import exp
from autotensor.ops.like import fill_like
from autotensor.testing import check_grad
from tests.autotensor import samples
from tests.autotensor.samples.base import ASPECTS, Sample, array

pytestmark = pytest.mark.promise(24)

for _package in (autotensor.ops, autotensor.transforms):  # operations are registered when their module is imported
    for _module in pkgutil.iter_modules(_package.__path__):
        importlib.import_module(f"{_package.__name__}.{_module.name}")

REGISTERED = dict(OPS)
FAMILIES = samples.by_family()


class Case:
    """One sample of one operation."""

    def __init__(self, family: str, op: Op, sample: Sample, number: int):
        self.family = family
        self.op = op
        self.sample = sample
        self.number = number
        self.id = f"{op.name}-{sample.name or number}"

    def call(self, *inputs: Any) -> list[Tensor]:
        """The outputs of the operation, or of the function given in its place."""
        out = (self.sample.call or self.op)(*inputs, **self.sample.params)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    def eager(self, inputs: Any = None) -> list[Tensor]:
        return self.call(*[leaf(x) for x in (self.sample.inputs if inputs is None else inputs)])

    def gradients(self, outs: list[Tensor], leaves: list[Any], seeds: list[Tensor] | None = None) -> list[Tensor]:
        """Gradients of the floating outputs with respect to the leaves of ``wrt``; those that are None left out."""
        floats = [out for out in outs if out.dtype.kind in "fc"]
        if seeds is None:
            seeds = [ones(out) for out in floats]
        found = backpropagate(floats, seeds, [leaves[i] for i in self.sample.wrt])
        return [g for g in found if g is not None]

    def oracle(self, inputs: Any = None) -> list[np.ndarray]:
        assert self.sample.oracle is not None
        # Copies: an oracle that writes its inputs must not spoil the sample.
        given = [
            np.array(x) if isinstance(x, np.ndarray) else x for x in (self.sample.inputs if inputs is None else inputs)
        ]
        out = self.sample.oracle(*given, **self.sample.params)
        return [np.asarray(x) for x in out] if isinstance(out, (tuple, list)) else [np.asarray(out)]

    def steps(self, inputs: Any = None) -> list[tuple[tuple[Any, ...], dict[str, Any], tuple[np.ndarray, ...]]]:
        """Arrays, parameters and results of the operation itself, wherever the call or its gradient used it."""
        inputs = self.sample.inputs if inputs is None else inputs
        if not inputs:
            return [((), self.sample.params, results(self.op, self.op.impl(**self.sample.params)))]
        leaves = [leaf(x) for x in inputs]
        outs = self.call(*leaves)
        nodes = [node for node, _ in topological(outs) if node.op is self.op]
        if not nodes:  # an operation that only gradient rules use
            nodes = [node for node, _ in topological(self.gradients(outs, leaves)) if node.op is self.op]
        found = []
        for node in nodes:
            arrays = tuple([x.data if isinstance(x, Tensor) else x for x in node.inputs])
            found.append((arrays, node.params, results(self.op, self.op.impl(*arrays, **node.params))))
        assert found, f"{self.op.name} was never called by the sample; set call= to a function that uses it"
        return found


def cases(aspect: str) -> list[Any]:
    """The samples to which an aspect applies."""
    assert aspect in ASPECTS
    found = []
    for family, by_op in FAMILIES.items():
        for name, listed in by_op.items():
            for number, sample in enumerate(listed):
                if name in REGISTERED and aspect not in sample.skip:
                    case = Case(family, REGISTERED[name], sample, number)
                    if _APPLIES.get(aspect, lambda case: True)(case):
                        found.append(pytest.param(case, id=case.id))
    return found


_APPLIES = {
    "value": lambda case: case.sample.oracle is not None,
    "empty": lambda case: case.sample.oracle is not None and _rank(case) > 0,
    "scalar": lambda case: case.sample.oracle is not None and _rank(case) > 0,
    "strided": lambda case: _rank(case) > 0,
    "float32": lambda case: _has_float64(case),
    "dtypes": lambda case: _has_float64(case),
    "kernel": lambda case: case.op.kernel is not None and case.op.pure,
    "fallback": lambda case: case.op.fallback is not None,
    "into": lambda case: case.op.into is not None and case.op.pure,
    "expr": lambda case: case.op.expr is not None,
}


def _rank(case: Case) -> int:
    return max((x.ndim for x in case.sample.inputs if isinstance(x, np.ndarray)), default=0)


def _has_float64(case: Case) -> bool:
    return any(is_float64(x) for x in case.sample.inputs)


def is_float64(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == np.float64


def each(aspect: str) -> Any:
    """Make a test of a check: one for each operation, over all its samples to which the aspect applies."""
    by_op: dict[str, list[Case]] = {}
    for param in cases(aspect):
        by_op.setdefault(param.values[0].op.name, []).append(param.values[0])

    def over(check: Callable[[Case], None]) -> Callable[[list[Case]], None]:
        @pytest.mark.parametrize("listed", list(by_op.values()), ids=list(by_op))
        def test(listed: list[Case]) -> None:
            for case in listed:
                try:
                    check(case)
                except BaseException as error:
                    error.add_note(f"in sample {case.id}")
                    raise

        test.__name__, test.__qualname__, test.__doc__ = check.__name__, check.__qualname__, check.__doc__
        return test

    return over


def leaf(x: Any) -> Any:
    """A tracked tensor around a copy of an array; numbers as they are."""
    if not isinstance(x, np.ndarray):
        return x
    return tracked(wrap(x.copy()))


def tracked(x: Tensor) -> Tensor:
    x.tracked = True
    return x


def ones(out: Tensor) -> Tensor:
    return wrap(np.ones(out.shape, out.dtype))


def results(op: Any, result: Any) -> tuple[np.ndarray, ...]:
    return tuple([np.asarray(x) for x in (result if op.n_out > 1 else (result,))])


def assert_same(got: Any, want: Any, tol: float, what: str = "") -> None:
    """Shape, dtype and values: exact for integers, up to ``tol`` of the largest size for floats."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    assert got.dtype == want.dtype, f"{what}: dtype {got.dtype}, expected {want.dtype}"
    if want.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, want, err_msg=what)
        return
    size = np.abs(want[np.isfinite(want)]).max(initial=0.0)
    np.testing.assert_allclose(got, want, rtol=tol, atol=tol * float(size), err_msg=what)


@pytest.fixture(autouse=True)
def quiet():
    """Divisions by zero and empty means are part of the cases here."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def test_every_operation_has_samples():
    have = {name for by_op in FAMILIES.values() for name, listed in by_op.items() if listed}
    missing = sorted(set(REGISTERED) - have)
    assert not missing, f"no samples in tests/autotensor/samples for: {', '.join(missing)}"
    unknown = sorted(have - set(REGISTERED))
    assert not unknown, f"samples for operations that are not registered: {', '.join(unknown)}"


@each("value")
def test_value(case):
    want = case.oracle()
    got = case.eager()
    assert len(got) == len(want)
    for k, (a, b) in enumerate(zip(got, want)):
        assert_same(a.numpy(), b, case.sample.tol, f"output {k}")


@each("shape")
def test_shape_rule(case):
    for arrays, params, got in case.steps():
        _assert_ruled(case.op, arrays, params, got)


def _assert_ruled(op: Op, arrays: Any, params: dict[str, Any], got: tuple[np.ndarray, ...]) -> None:
    """The rule says what came. A dimension may stay unknown only where the values of a mask decide it."""
    ruled = op.infer(*[aval(x) for x in arrays], **params)
    masked = any(isinstance(x, np.ndarray) and x.dtype == bool for x in arrays)
    for rule, x in zip(ruled if op.n_out > 1 else (ruled,), got, strict=True):
        said = f"{[aval(x) for x in arrays]}: rule {rule}, result {x.dtype}{list(x.shape)}"
        assert rule.dtype == x.dtype and rule.ndim == x.ndim, said
        assert all(a == b or (a is None and masked) for a, b in zip(rule.shape, x.shape)), said


@each("unknown")
def test_shape_rule_with_unknown_dimensions(case):
    for arrays, params, got in case.steps():
        avals = [aval(x) for x in arrays]
        axes = [(i, k) for i, x in enumerate(avals) if isinstance(x, Aval) for k in range(x.ndim)]
        for unknown in [*[{axis} for axis in axes], set(axes)]:
            blurred = [
                Aval([None if (i, k) in unknown else d for k, d in enumerate(x.shape)], x.dtype)
                if isinstance(x, Aval)
                else x
                for i, x in enumerate(avals)
            ]
            ruled = case.op.infer(*blurred, **params)
            for rule, x in zip(ruled if case.op.n_out > 1 else (ruled,), got, strict=True):
                said = f"{blurred} gives {rule}, but the result can be {x.dtype}{list(x.shape)}"
                assert rule.ndim == x.ndim and rule.dtype == x.dtype, said
                assert all(a is None or a == b for a, b in zip(rule.shape, x.shape)), said
                assert all(a is None or type(a) is int for a in rule.shape), f"{rule.shape} holds no plain numbers"


def aval(x: Any) -> Any:
    return Aval(x.shape, x.dtype) if isinstance(x, np.ndarray) else x


@each("dtypes")
def test_dtype_rule(case):
    for arrays, params, _ in case.steps():
        for dtype in ("float32", "float16", "int64", "int32", "int8", "uint8", "bool"):
            # One after the other and together: promotion of different dtypes is part of the rule.
            floats = [i for i, x in enumerate(arrays) if is_float64(x)]
            for chosen in {tuple(floats), *[(i,) for i in floats]}:
                given = [x.astype(dtype) if i in chosen else x for i, x in enumerate(arrays)]
                try:
                    got = results(case.op, case.op.impl(*given, **params))
                except (
                    TypeError,
                    ValueError,
                    ArithmeticError,
                    IndexError,
                    np.linalg.LinAlgError,
                    AutotensorError,
                ):
                    continue
                try:
                    _assert_ruled(case.op, given, params, got)
                except DTypeError:
                    continue  # refused by the rule though NumPy would do something


@each("unmodified")
def test_inputs_are_only_read(case):
    for arrays, params, _ in case.steps():
        given = [np.array(x) if isinstance(x, np.ndarray) else x for x in arrays]
        before = [np.array(x) for x in given]
        for x in given:
            if isinstance(x, np.ndarray):
                x.flags.writeable = False  # a write raises, even one of the same value
        got = results(case.op, case.op.impl(*given, **params))
        for x, old in zip(given, before):
            np.testing.assert_array_equal(x, old)
        for i, x in enumerate(given):
            if isinstance(x, np.ndarray) and not (case.op.view and i == 0):
                shared = any(np.may_share_memory(x, y) for y in got)
                assert not shared, f"a result shares memory with input {i}, and view= does not say so"


@each("grad")
def test_gradients(case):
    sample = case.sample
    if sample.order == 0:
        leaves = [leaf(x) for x in sample.inputs]
        outs = [out for out in case.call(*leaves) if out.dtype.kind in "fc"]
        wanted = [x for x in leaves if isinstance(x, Tensor) and x.dtype.kind in "fc"]
        try:
            found = backpropagate(outs, [ones(out) for out in outs], wanted)
        except GradError:  # it says so itself
            return
        assert all(g is None for g in found), "order=0, yet there is a gradient: check it with order=1 or 2"
        return

    def f(*given):
        xs = list(sample.inputs)
        for i, x in zip(sample.wrt, given):
            xs[i] = x
        return case.call(*xs)

    check_grad(f, *[sample.inputs[i] for i in sample.wrt], order=sample.order, mode="projection")


@each("strided")
def test_strides_change_nothing(case):
    want = case.eager()
    for variant in (_fortran, _stepped, _negative):
        inputs = [variant(x) if isinstance(x, np.ndarray) else x for x in case.sample.inputs]
        got = case.call(*[tracked(wrap(x)) if isinstance(x, np.ndarray) else x for x in inputs])
        for k, (a, b) in enumerate(zip(got, want, strict=True)):
            assert_same(a.numpy(), b.numpy(), case.sample.tol, f"output {k}, {variant.__name__[1:]} inputs")
    if case.op.kernel is not None:
        for arrays, params, results_ in case.steps():
            for variant in (_fortran, _stepped, _negative):
                given = [variant(x) if isinstance(x, np.ndarray) else x for x in arrays]
                for a, b in zip(results(case.op, case.op.kernel(*given, **params)), results_):
                    assert_same(a, b, case.sample.tol, f"kernel, {variant.__name__[1:]} inputs")


def _fortran(x: np.ndarray) -> np.ndarray:
    return np.array(x, order="F")


def _stepped(x: np.ndarray) -> np.ndarray:
    if not x.ndim:
        return x.copy()
    wide = np.full([2 * n + 1 for n in x.shape], 77, x.dtype)
    view = wide[tuple([slice(1, 2 * n, 2) for n in x.shape])]
    view[...] = x
    return view


def _negative(x: np.ndarray) -> np.ndarray:
    if not x.ndim:
        return x.copy()
    turn = (slice(None, None, -1),) * x.ndim
    return x[turn].copy()[turn]


@each("empty")
def test_empty_inputs(case):
    inputs = case.sample.inputs
    first = next(x for x in inputs if isinstance(x, np.ndarray) and x.ndim)
    for axis in range(-first.ndim, 0):
        n = first.shape[axis]
        cut = [
            np.take(x, np.zeros(0, int), axis=axis)
            if isinstance(x, np.ndarray) and x.ndim >= -axis and x.shape[axis] == n
            else x
            for x in inputs
        ]
        _assert_as_oracle(case, cut)


@each("scalar")
def test_0d_inputs(case):
    _assert_as_oracle(
        case,
        [np.array(x.reshape(-1)[0]) if isinstance(x, np.ndarray) and x.size else x for x in case.sample.inputs],
    )


def _assert_as_oracle(case: Case, inputs: list[Any]) -> None:
    """The oracle's result, or an error if the oracle raises one."""
    shown = ", ".join(repr(aval(x)) for x in inputs)
    try:
        want = case.oracle(inputs)
    except Exception as refused:
        with pytest.raises((ValueError, TypeError, IndexError, AutotensorError)):
            out = case.eager(inputs)
            pytest.fail(f"({shown}): the oracle raises {refused!r}, the operation gives {out}")
        return
    leaves = [leaf(x) for x in inputs]
    got = case.call(*leaves)
    for a, b in zip(got, want, strict=True):
        assert_same(a.numpy(), b, case.sample.tol, f"({shown})")
    outs = [out for out in got if out.dtype.kind in "fc"]
    if case.sample.order and outs:
        wanted = [leaves[i] for i in case.sample.wrt]
        found = backpropagate(outs, [ones(out) for out in outs], wanted)
        for x, g in zip(wanted, found):
            assert g is None or (g.shape, g.dtype) == (x.shape, x.dtype), f"({shown}): gradient {g}"


@each("float32")
def test_float32_stays_float32(case):
    inputs = [x.astype(np.float32) if is_float64(x) else x for x in case.sample.inputs]
    exact = case.eager(
        [x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x for x in inputs]
    )
    leaves = [leaf(x) for x in inputs]
    got = case.call(*leaves)
    # Integers promote to float64 by NumPy's rules, and a dtype may be asked for.
    promoted = np.result_type(*[x for x in inputs if isinstance(x, np.ndarray)]) == np.float64
    asked = any(isinstance(value, np.dtype) or str(value).startswith("float") for value in case.sample.params.values())
    for k, (a, b) in enumerate(zip(got, exact, strict=True)):
        if b.dtype == np.float64 and not asked and not promoted:
            assert a.dtype == np.float32, f"output {k} is {a.dtype} for float32 inputs"
        if a.dtype.kind == "f" and _pure(got):
            assert_same(a.numpy().astype(np.float64), b.numpy().astype(np.float64), 2e-5, f"output {k}")
    outs = [out for out in got if out.dtype.kind in "fc"]
    if case.sample.order and outs:
        wanted = [leaves[i] for i in case.sample.wrt]
        found = backpropagate(outs, [ones(out) for out in outs], wanted)
        for x, g in zip(wanted, found):
            assert g is None or g.dtype == x.dtype, f"gradient of a {x.dtype} input is {g.dtype}"


def _pure(outs: list[Tensor]) -> bool:
    return all(node.op.pure for node, _ in topological(outs))


@each("kernel")
def test_kernel_is_impl(case):
    for dtype, tol in (("float64", 1e-12), ("float32", 2e-5)):
        for arrays, params, _ in case.steps(_cast(case.sample.inputs, dtype)):
            want = results(case.op, case.op.impl(*arrays, **params))
            for a, b in zip(results(case.op, case.op.kernel(*arrays, **params)), want, strict=True):
                assert_same(a, b, max(tol, case.sample.tol), dtype)


@each("into")
def test_into_is_impl(case):
    for dtype, tol in (("float64", 1e-12), ("float32", 2e-5)):
        for arrays, params, _ in case.steps(_cast(case.sample.inputs, dtype)):
            want = results(case.op, case.op.impl(*arrays, **params))
            outs = [np.full(x.shape, 77).astype(x.dtype) for x in want]
            case.op.into(outs[0] if case.op.n_out == 1 else tuple(outs), *arrays, **params)
            for a, b in zip(outs, want):
                assert_same(a, b, max(tol, case.sample.tol), dtype)


def _cast(inputs: Any, dtype: str) -> list[Any]:
    return [x.astype(dtype) if is_float64(x) else x for x in inputs]


@each("fallback")
def test_fallback_is_impl(case):
    for arrays, params, want in case.steps():
        leaves = [leaf(x) for x in arrays]
        said = case.op.fallback(*leaves, **params)
        said = list(said) if isinstance(said, (tuple, list)) else [said]
        for a, b in zip(said, want, strict=True):
            assert_same(a.numpy(), b, max(case.sample.tol, 1e-12))
        if case.op.vjp is None or not case.sample.order:
            continue
        mine = [leaf(x) for x in arrays]
        out = case.op(*mine, **params)
        outs = list(out) if isinstance(out, tuple) else [out]
        floats = [k for k, x in enumerate(outs) if x.dtype.kind == "f"]
        seeds = [wrap(np.random.default_rng(k).normal(size=outs[k].shape)) for k in floats]
        pairs = [(a, b) for a, b in zip(mine, leaves) if isinstance(a, Tensor) and a.dtype.kind == "f"]
        found = backpropagate([outs[k] for k in floats], seeds, [a for a, _ in pairs])
        other = backpropagate([said[k] for k in floats], seeds, [b for _, b in pairs])
        for i, (a, b) in enumerate(zip(found, other)):
            zero = np.zeros(pairs[i][0].shape)
            first, second = (zero if g is None else g.numpy() for g in (a, b))
            assert_same(first, second, max(case.sample.tol, 1e-11), f"gradient {i}")


# -- scalar expressions --------------------------------------------------------------------------------------


def _ieee(f: Any) -> Any:
    """A function of ``math`` that gives NaN and infinities in place of exceptions, as C does."""

    def g(*xs):
        try:
            return np.float64(f(*[float(x) for x in xs]))
        except ValueError:
            return np.float64("nan")
        except OverflowError:
            return np.float64("inf")

    return g


def _propagating(f: Any) -> Any:
    return lambda x, y: x if x != x else y if y != y else f(x, y)


_LANGUAGE: dict[str, Any] = {
    **{name: _ieee(getattr(math, name)) for name in ("sin", "cos", "tan", "sqrt", "erf")},
    **{name: getattr(np, name) for name in ("exp", "expm1", "log", "log1p", "tanh", "sinh", "cosh")},
    **{name: getattr(np, name) for name in ("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "arctan2")},
    "rsqrt": lambda x: np.float64(1) / np.sqrt(x),
    "sigmoid": lambda x: np.float64(1) / (np.float64(1) + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(np.float64(0), x),
    # Of arrays: for two scalars NumPy takes a short cut through sqrt, which differs at -inf.
    "pow": lambda x, y: x**y,  # of NumPy scalars; for one element np.power takes a root of -inf
    "abs": abs,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "sign": lambda x: x if x != x else type(x)(int(x > 0) - int(x < 0)),
    "minimum": _propagating(lambda x, y: y if y < x else x),
    "maximum": _propagating(lambda x, y: y if y > x else x),
    "select": lambda condition, x, y: x if condition else y,
    "isnan": lambda x: x != x,
    "isinf": lambda x: abs(x) == math.inf,
    "isfinite": lambda x: abs(x) < math.inf,
    "logical_and": lambda x, y: bool(x) and bool(y),
    "logical_or": lambda x, y: bool(x) or bool(y),
    "logical_not": lambda x: not x,
}

_SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, math.nan, math.inf, -math.inf, 1e-300, 700.0, -800.0]


def evaluate_expr(expr: str, operands: list[Any], params: dict[str, Any], dtype: np.dtype, working: np.dtype) -> Any:
    """Value of a scalar expression at one point, by Python's own evaluator."""
    names = {f"_{i}": x for i, x in enumerate(operands)}
    text = re.sub(r"\{(\d+)\}", r"_\1", expr)
    text = re.sub(r"\{(\w+)\}", lambda m: f"({_literal(params[m[1]])})", text)
    language = {**_LANGUAGE, "c": working.type, "cast": dtype.type, "nan": math.nan, "inf": math.inf}
    return eval(text, {"__builtins__": {}, **language}, names)


def _literal(value: Any) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


@each("expr")
def test_expression_is_impl(case):
    for arrays, params, _ in case.steps():
        dtype = result_dtype(*[aval(x) for x in arrays])
        if dtype.kind == "c":
            continue  # never part of a kernel
        expr = case.op.expr
        if isinstance(expr, dict):
            expr = expr.get(dtype.kind) or (expr.get("i") if dtype.kind == "u" else None)
            if expr is None:
                continue
        want = np.asarray(case.op.impl(*arrays, **params))
        points = [np.broadcast_to(x, want.shape).reshape(-1) for x in arrays]
        _assert_expression(expr, points, params, want.reshape(-1), dtype)
        if not case.op.reduces and all(x.dtype.kind == "f" for x in points) and len(points) <= 3:
            # Every combination of special values. NumPy itself has two answers for (-inf) ** 0.5: inf for arrays, NaN
            # where the exponent is one number.
            special = [x for x in _SPECIAL if x != -math.inf or "pow" not in expr]
            grids = np.meshgrid(*[np.array(special if len(points) < 3 else special[:8])] * len(points))
            given = [grid.reshape(-1) if isinstance(x, np.ndarray) else x for x, grid in zip(arrays, grids)]
            if "shape" in params:  # broadcast_to and its like
                continue
            want = np.asarray(case.op.impl(*given, **params))
            points = [np.broadcast_to(x, want.shape) for x in given]
            _assert_expression(expr, points, params, want, dtype)


def _assert_expression(
    expr: str, points: list[np.ndarray], params: dict[str, Any], want: np.ndarray, dtype: np.dtype
) -> None:
    working = dtype if dtype.kind == "f" else want.dtype
    for k in range(min(want.size, 200)):
        operands = [x[k].astype(dtype) if dtype.kind == "f" else x[k] for x in points]
        # {index} is the flat position of the element in the result: random numbers are made from it.
        got = evaluate_expr(expr, operands, {**params, "index": k}, want.dtype, working)
        np.testing.assert_allclose(np.float64(got), np.float64(want[k]), rtol=1e-12, err_msg=f"{expr} at {operands}")


# -- graphs --------------------------------------------------------------------------------------------------

_GRAPH_CASES = cases("graph")
# switches, dtype of the inputs, are dimensions unknown
_MODES = {
    "interpreted": ({"compile": False}, "float64", True),
    "no_numba": ({"numba": False}, "float64", True),
    "unfused": ({"fuse": False}, "float64", False),
    "fused": ({}, "float64", True),
    "fused_float32": ({}, "float32", True),
}
# Generating kernels takes long: one sample of each operation is fused, in float32; all of them by the slow tests.
_ONE_EACH = "fused_float32_once"
_MODES[_ONE_EACH] = _MODES["fused_float32"]
# What these families have are kernels of the library; of CTC each sample is a loop with kernels of its own.
_SLOW_MODES = {
    "fused",
    "fused_float32",
    *[(family, _ONE_EACH) for family in ("conv", "ctc", "normalization", "recurrent")],
}


class Symbolic:
    """The graph of one case on placeholders, its gradients, and what both should give."""

    def __init__(self, case: Case, dtype: str, unknown: bool, second: bool):
        inputs = _cast(case.sample.inputs, dtype)
        unknown = unknown and "unknown" not in case.sample.skip
        self.id = case.id
        self.tol = max(case.sample.tol, 1e-11 if dtype == "float64" else 1e-4)
        self.inputs: list[Tensor] = []
        self.arrays: list[np.ndarray] = []
        self.second = second
        with deferred():  # random operations wait for the function
            outs, gradients = self._build(case, inputs, lambda x: self._input(x, unknown))
        self.outputs = outs + gradients
        eager_outs, eager_gradients = self._build(case, inputs, lambda x: tracked(wrap(np.array(x))))
        self.pure = _pure(outs)
        self.want = [t.numpy() for t in eager_outs + eager_gradients]
        self.labels = [f"output {k}" for k in range(len(outs))] + [f"gradient {k}" for k in range(len(gradients))]

    def _input(self, x: np.ndarray, unknown: bool) -> Tensor:
        t = placeholder([None] * x.ndim if unknown else x.shape, x.dtype)
        self.inputs.append(t)
        self.arrays.append(x)
        return t

    def _build(self, case: Case, inputs: list[Any], make: Any) -> tuple[list[Tensor], list[Tensor]]:
        leaves = [make(x) if isinstance(x, np.ndarray) else x for x in inputs]
        outs = case.call(*leaves)
        gradients: list[Tensor] = []
        floats = [out for out in outs if out.dtype.kind in "fc"]
        if case.sample.order and floats:
            shapes = [t.numpy().shape for t in case.eager(inputs) if t.dtype.kind in "fc"]
            seeds = [make(_normal(shape, out.dtype)) for shape, out in zip(shapes, floats)]
            gradients = case.gradients(outs, leaves, seeds)
            if self.second and case.sample.order == 2:
                floats = [g for g in gradients if g.node is not None]
                gradients = gradients + case.gradients(floats, leaves, [fill_like(g, value=0.7) for g in floats])
        return outs, gradients

    def problems(self, got: list[np.ndarray]) -> list[str]:
        found = []
        for t, label, a, b in zip(self.outputs, self.labels, got, self.want, strict=True):
            try:
                compatible = len(t.shape) == b.ndim and all(d is None or d == n for d, n in zip(t.shape, b.shape))
                assert compatible and t.dtype == b.dtype, f"symbolic {t.aval}, eager {b.dtype}{list(b.shape)}"
                if self.pure:
                    assert_same(a, b, self.tol)
                else:
                    assert (a.shape, a.dtype) == (b.shape, b.dtype)
            except AssertionError as error:
                found.append(f"{self.id}, {label}: {error}")
        return found


def _normal(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Random numbers, the same at each call; complex ones have both parts."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if dtype.kind == "c" else x).astype(dtype)


def _run(graphs: list[Symbolic]) -> list[str]:
    step = function([x for g in graphs for x in g.inputs], [y for g in graphs for y in g.outputs])
    got = iter(step(*[a for g in graphs for a in g.arrays]))
    return [problem for g in graphs for problem in g.problems([next(got) for _ in g.outputs])]


@pytest.mark.parametrize(
    ("family", "mode"),
    [
        pytest.param(family, mode, marks=[pytest.mark.slow] if {mode, (family, mode)} & _SLOW_MODES else [])
        for family in FAMILIES
        for mode in _MODES
    ],
)
def test_symbolic_is_eager(family, mode):
    """One graph holds all samples of a family, so that kernels are generated for many operations at once."""
    switches, dtype, unknown = _MODES[mode]
    found = []
    with config.use(**switches):
        graphs = []
        for param in _GRAPH_CASES:
            case = param.values[0]
            if case.family != family or (mode == _ONE_EACH and case.number):
                continue
            if mode == "fused_float32" and not _has_float64(case):  # those are fused as they are
                continue
            try:
                graphs.append(Symbolic(case, dtype, unknown, second=mode == "interpreted"))
            except Exception as error:
                found.append(f"{case.id}: building the graph raises {error!r}")
        try:
            found += _run(graphs)
        except Exception as error:  # find out whose fault it is
            found.append(f"the graph of all samples raises {error!r}")
            for graph in graphs:
                try:
                    found += _run([graph])
                except Exception as own:
                    found.append(f"{graph.id}: {own!r}")
    assert not found, "\n".join(found)


# -- the tools of this file ----------------------------------------------------------------------------------


def _good() -> dict[str, Any]:
    return {
        "impl": lambda x: np.tanh(x),
        "infer": lambda x: Aval(x.shape, float_dtype(x)),
        "vjp": lambda needs, g, out, x: (g * (1 - out * out),),
        "kernel": lambda x: np.tanh(x),
        "fallback": lambda x: (1 - exp(x * -2.0)) / (1 + exp(x * -2.0)),
        "into": lambda out, x: np.tanh(x, out=out),
        "expr": "tanh({0})",
    }


def _write(x):
    x *= 1
    return np.tanh(x)


# What may be wrong with an operation, and the test that has to find it.
BROKEN = {
    "value": (test_value, {"impl": lambda x: np.tanh(x) * (1 + 1e-9)}),
    "value dtype": (test_value, {"impl": lambda x: np.tanh(x).astype(np.float32)}),
    "shape": (test_shape_rule, {"infer": lambda x: Aval(x.shape[::-1], x.dtype)}),
    "shape dtype": (test_shape_rule, {"infer": lambda x: Aval(x.shape, np.float32)}),
    "unknown as 1": (
        test_shape_rule_with_unknown_dimensions,
        {"infer": lambda x: Aval([d or 1 for d in x.shape], x.dtype)},
    ),
    "dtypes": (test_dtype_rule, {"infer": lambda x: Aval(x.shape, x.dtype)}),
    "writes": (test_inputs_are_only_read, {"impl": _write}),
    "secret view": (test_inputs_are_only_read, {"impl": lambda x: x.T}),
    "gradient": (test_gradients, {"vjp": lambda needs, g, out, x: (g * (1 + out * out),)}),
    "gradient by None": (test_gradients, {"vjp": lambda needs, g, out, x: (None,)}),
    "strides": (
        test_strides_change_nothing,
        {"impl": lambda x: np.tanh(x.ravel(order="K").reshape(x.shape))},
    ),
    "kernel strides": (
        test_strides_change_nothing,
        {"kernel": lambda x: np.tanh(x.ravel(order="K").reshape(x.shape))},
    ),
    "empty": (test_empty_inputs, {"impl": lambda x: np.tanh(x) + 0 * x.max()}),
    "0-d": (test_0d_inputs, {"impl": lambda x: np.tanh(np.atleast_1d(x))}),
    "float32 widened": (
        test_float32_stays_float32,
        {"impl": lambda x: np.tanh(x.astype(float))},
    ),
    "kernel": (test_kernel_is_impl, {"kernel": lambda x: np.tanh(x) * 1.001}),
    "kernel float32": (test_kernel_is_impl, {"kernel": lambda x: np.tanh(x.astype(float))}),
    "fallback": (test_fallback_is_impl, {"fallback": lambda x: x}),
    "gradient of fallback": (test_fallback_is_impl, {"vjp": lambda needs, g, out, x: (g * out,)}),
    "into": (test_into_is_impl, {"into": lambda out, x: np.sin(x, out=out)}),
    "into does nothing": (test_into_is_impl, {"into": lambda out, x: None}),
    "expr": (test_expression_is_impl, {"expr": "sin({0})"}),
    "expr at infinity": (test_expression_is_impl, {"expr": "(exp({0}) - exp(-{0})) / (exp({0}) + exp(-{0}))"}),
}


def _case(**parts: Any) -> Case:
    op = Op("subject", **{**_good(), **parts})
    return Case("none", op, Sample(array(2, 3), oracle=np.tanh), 0)


@pytest.mark.parametrize("fault", list(BROKEN))
def test_the_contract_finds(fault):
    check, parts = BROKEN[fault]
    check([_case()])
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
        check([_case(**parts)])


def test_graphs_find_a_wrong_rule():
    def built(**parts: Any) -> list[str]:
        parts = {"expr": None, "kernel": None, "into": None, **parts}
        return _run([Symbolic(_case(**parts), "float64", True, second=False)])

    assert not built()
    assert built(infer=lambda x: Aval([d or 1 for d in x.shape], x.dtype))
    assert built(expr="sin({0})")


def test_evaluate_expr():
    f8 = np.dtype(np.float64)
    x = [np.float64(0.5), np.float64(-2.0)]
    assert evaluate_expr("select({0} > {1}, c(3.0) * {0}, {1})", x, {}, f8, f8) == 1.5
    assert evaluate_expr("({0} + {alpha})", x, {"alpha": 2}, f8, f8) == 2.5
    assert np.isnan(evaluate_expr("maximum({0}, {1})", [np.float64("nan"), x[0]], {}, f8, f8))
    assert np.isposinf(evaluate_expr("({0} / {1})", [np.float64(1), np.float64(0)], {}, f8, f8))
    assert evaluate_expr("cast({0})", [np.float64(2.7)], {}, np.dtype(np.int32), f8) == 2


def test_assert_same_notices():
    with pytest.raises(AssertionError, match="dtype"):
        assert_same(np.zeros(2, np.float32), np.zeros(2), 1e-6)
    with pytest.raises(AssertionError, match="shape"):
        assert_same(np.zeros((2, 1)), np.zeros(2), 1e-6)
    with pytest.raises(AssertionError):
        assert_same(np.array([1.0, 1 + 1e-9]), np.ones(2), 1e-12)
    with pytest.raises(AssertionError):
        assert_same(np.array([np.nan]), np.ones(1), 1e-12)


def test_sample_needs_an_oracle_or_a_reason():
    with pytest.raises(ValueError, match="oracle"):
        Sample(np.ones(2))
    with pytest.raises(ValueError, match="reasons"):
        Sample(np.ones(2), oracle=np.sin, skip={"nonsense": "because"})
    with pytest.raises(ValueError, match="reasons"):
        Sample(np.ones(2), oracle=np.sin, skip={"empty": ""})

"""What errors say: ``[op] what was expected; what came. One hint.``, for every operation and every public function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.core.op import OPS, Op
from autotensor.errors import AutotensorError
from tests.autotensor import samples
from tests.autotensor.samples.base import Sample

REGISTERED = dict(OPS)
FAMILIES = samples.by_family()


def perturbed(sample: Sample) -> Iterator[tuple[str, list[Any]]]:
    """The inputs of a sample with one of them spoilt."""
    for i, x in enumerate(sample.inputs):
        if not isinstance(x, np.ndarray):
            continue

        def put(y: Any, i: int = i) -> list[Any]:
            return [*sample.inputs[:i], y, *sample.inputs[i + 1 :]]

        for axis in range(x.ndim):
            longer = [n + (k == axis) for k, n in enumerate(x.shape)]
            yield (
                f"input {i} is longer in axis {axis}",
                put(np.resize(x, longer) if x.size else np.zeros(longer, x.dtype)),
            )
        yield f"input {i} has an axis more", put(x[None])
        if x.ndim:
            yield (
                f"input {i} has an axis less",
                put(np.resize(x, x.shape[1:]) if x.size else np.zeros(x.shape[1:], x.dtype)),
            )
            yield f"input {i} is a number", put(np.resize(x, ()) if x.size else np.zeros((), x.dtype))
        yield f"input {i} is a text", put("text")
        yield f"input {i} is None", put(None)
        yield f"input {i} is a ragged list", put([[1, 2], [3]])


def own_name(op: str, said: str) -> bool:
    """Whether an error may call the operation so: by its name, or by that of the function it is a part of."""
    return op == said or op.startswith(f"{said}_") or said in PART_OF.get(op, ())


# Operations of gradients that share the rule of what they are gradients of.
PART_OF = {"unfold_adjoint": {"fold"}, "average_pool_adjoint": {"average_pool"}, "moments": {"batch_norm"}}


def faults(op: Op, sample: Sample) -> list[str]:
    """What is wrong with the errors of an operation on spoilt inputs of a sample."""
    found = []
    for what, inputs in perturbed(sample):
        error: Exception | None = None
        try:
            op(*inputs, **sample.params)
        except Exception as raised:
            error = raised
        name = f"{op.name}, {what}"
        if error is None:
            if any(isinstance(x, (str, type(None), list)) for x in inputs):
                found.append(f"{name}: taken for a tensor")
            continue
        text = str(error)
        if isinstance(error, np.linalg.LinAlgError) and text.startswith(f"[{op.name}]"):
            continue  # about values, not shapes
        said = re.match(r"\[(\w+)\]", text)
        if not isinstance(error, AutotensorError) or said is None or not own_name(op.name, said[1]):
            found.append(f"{name}: {type(error).__name__}: {text[:150]}")
    return found


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_operations_on_wrong_inputs_say_so_by_name(family):
    with config.use(numba=False), np.errstate(all="ignore"):
        wrong = [
            fault
            for name, listed in FAMILIES[family].items()
            for sample in listed[:2]
            if name in REGISTERED and sample.call is None
            for fault in faults(REGISTERED[name], sample)
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_graphs_of_wrong_shapes_can_not_be_built(family):
    """The same of shape rules: what they raise while a graph is built names the operation."""
    wrong = []
    for name, listed in FAMILIES[family].items():
        for sample in listed[:1]:
            if sample.call is not None or name not in REGISTERED:
                continue
            op = REGISTERED[name]
            for what, inputs in perturbed(sample):
                if not all(isinstance(x, (np.ndarray, bool, int, float, complex)) for x in inputs):
                    continue
                given = [at.placeholder(x.shape, x.dtype) if isinstance(x, np.ndarray) else x for x in inputs]
                try:
                    op(*given, **sample.params)
                except AutotensorError as error:
                    said = re.match(r"\[(\w+)\]", str(error))
                    if said is None or not own_name(name, said[1]):
                        wrong.append(f"{name}, {what}: {error}")
                except Exception as error:
                    wrong.append(f"{name}, {what}: {error!r}")
    assert not wrong, "\n".join(wrong)


# -- functions, methods, operators, indices --------------------------------------------------------------------------

X = np.arange(6.0).reshape(2, 3)
# Not about tensors, or with signatures of their own.
OTHER = {
    "compile", "deferred", "detect_anomaly", "enable_grad", "evaluate", "function", "get_num_threads", "immediate",
    "is_immediate", "is_tracking", "name_scope", "no_grad", "print_value", "profile", "register_library",
    "set_num_threads", "show", "sources", "span", "to_dot", "reshape_to",
}  # fmt: skip


# Arguments that are whole numbers, one or several.
COUNTS = {"shape", "repeats", "reps", "shift", "axis", "axes", "source", "destination", "k", "axis1", "axis2", "size"}


def public() -> Iterator[tuple[str, Callable[..., Any], inspect.Signature]]:
    for prefix, space in (("", at), ("linalg.", at.linalg)):
        for name in space.__all__:
            function = getattr(space, name)
            if (
                callable(function)
                and not inspect.isclass(function)
                and name not in OTHER
                and not isinstance(function, Op)
            ):
                yield prefix + name, function, inspect.signature(function)


def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Calls with an argument that can not be meant."""
    x = at.Tensor(X)
    for name, function, signature in public():
        needed = [
            p.name
            for p in signature.parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        if "axis" in signature.parameters and "axis" not in needed and len(needed) == 1:
            for axis in (7, -5, "a", 1.5, (0, 7)):
                yield f"{name}(x, axis={axis!r})", lambda f=function, axis=axis: f(x, axis=axis)
        for position, parameter in enumerate(needed[1:3], 1):
            if parameter in COUNTS:
                for bad in ("text", 1.5, [[1, 2], [3]], object()):
                    args = [bad if i == position else x for i in range(len(needed))]
                    yield f"{name}(x, {parameter}={bad!r})", lambda f=function, args=args: f(*args)
        if needed and needed[0] in ("x", "x1", "shape", "a", "arrays", "tensors"):
            for bad in (None, "text", [[1, 2], [3]], object()):
                args = [bad, *[x] * (len(needed) - 1)]
                yield f"{name}({bad!r})", lambda f=function, args=args: f(*args)
    for symbol in ("+", "-", "*", "/", "**", "@", "<"):
        for bad in (np.ones((4, 5)), "text", None, [[1, 2], [3]]):
            yield f"x {symbol} {bad!r}", lambda s=symbol, bad=bad: eval(f"x {s} y", {"x": x, "y": bad})
            yield f"{bad!r} {symbol} x", lambda s=symbol, bad=bad: eval(f"y {s} x", {"x": x, "y": bad})
    for key in (
        5,
        -3,
        (0, 5),
        (0, 0, 0),
        "a",
        1.5,
        ([0, 7],),
        [[0], [1, 2]],
        (Ellipsis, Ellipsis),
        np.ones((5, 5), bool),
    ):
        yield f"x[{key!r}]", lambda key=key: x[key]
        yield f"x[{key!r}] = 7", lambda key=key: x.copy().__setitem__(key, 7.0)
    yield "x[0] = 7 numbers", lambda: x.copy().__setitem__(0, np.ones(7))


def test_public_functions_say_what_they_expected():
    wrong = []
    with config.use(numba=False), np.errstate(all="ignore"):
        for what, call in calls():
            try:
                call()
            except AutotensorError as error:
                if not str(error).startswith("["):
                    wrong.append(f"{what}: {error}")
            except Exception as error:
                if "axis" not in what and "unsupported operand" in str(error):
                    continue  # Python's own words for an operator
                wrong.append(f"{what}: {type(error).__name__}: {str(error)[:120]}")
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong)


def test_both_shapes_and_the_axis_are_named():
    a, b = at.Tensor(np.ones((2, 3))), at.Tensor(np.ones((2, 4)))
    with pytest.raises(at.ShapeError) as found:
        a + b
    assert all(text in str(found.value) for text in ("[add]", "(2, 3)", "(2, 4)", "axis -1", "3 against 4"))
    with pytest.raises(at.ShapeError) as found:
        a @ b
    assert all(text in str(found.value) for text in ("[matmul]", "(2, 3)", "(2, 4)"))


def test_axes_that_do_not_exist_are_errors_of_shape_and_of_index():
    x = at.Tensor(X)
    for call in (lambda: at.sum(x, axis=5), lambda: x[5], lambda: x[0, 7]):
        with pytest.raises(at.errors.RangeError, match=r"^\[\w+\]"):
            call()
    assert issubclass(at.errors.RangeError, (IndexError, ValueError)) and issubclass(
        at.errors.RangeError, at.ShapeError
    )


def test_errors_of_implementations_are_told_in_the_engines_words():
    rule = OPS["concat"].infer
    assert callable(rule)
    with pytest.raises(AutotensorError, match=r"\[concat\].*float64\[2, 3\]|\[concat\]"):
        OPS["concat"](at.Tensor(X), at.Tensor(np.ones(4)), axis=0)

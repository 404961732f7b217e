"""Programs drawn at random, over the public operations: every way to run one must give the same.

A program is built twice by the same code: on tensors with values (eager) and on placeholders and Variables, which are
then run compiled, unfused, without Numba and by the interpreter, twice, with updates of the Variables in between.

Values made by correctly rounded operations only are called exact and must agree in every bit; only they feed what
jumps (comparisons, rounding, extremes with their gradients). The others must agree up to rounding.
"""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autotensor as at
from autotensor import config
from autotensor.graph import codegen
from tests.autotensor.graph.plain_kernels import plain_load

MODES = [{}, {"fuse": False}, {"numba": False}, {"compile": False}]


class Value:
    """A tensor of the program. ``exact``: computed by correctly rounded operations only."""

    def __init__(self, tensor, like, exact):
        self.tensor = tensor
        self.like = like  # the eager twin, for shape, dtype and size
        self.exact = exact

    @property
    def shape(self):
        return self.like.shape

    @property
    def kind(self):
        return self.like.dtype.kind


# Each operation: (needs, function of tensors and a number, keeps exactness). ``needs`` picks the operands it can take.
def floats(v):
    return v.kind == "f"


def exact_floats(v):
    return v.kind == "f" and v.exact


def numbers(v):
    return v.kind in "fiu"


def exact_numbers(v):
    return v.kind in "fiu" and v.exact


def anything(v):
    return True


def exact(v):
    return v.exact


def arrays(v):
    return len(v.shape) > 0


def filled(v):
    return len(v.shape) > 0 and 0 not in v.shape


def axis_of(x, k):
    """An axis, a pair of axes or None."""
    n = x.ndim
    return [n - 1, 0, None, -1, (0, n - 1) if n > 1 else 0, tuple(range(n)), n // 2][k % 7]


def widened(x, n):
    """x repeated along a new first axis; broadcast_to takes known sizes only."""
    return at.broadcast_to(x, (n, *x.shape)) if None not in x.shape else at.tile(x[None], (n, *[1] * x.ndim))


UNARY = [
    (numbers, lambda x, k: -x, True),
    (exact_numbers, lambda x, k: abs(x), True),
    (floats, lambda x, k: x * 0.5, True),
    (numbers, lambda x, k: x + k % 3, True),
    (floats, lambda x, k: at.square(x) * 0.25, True),
    (exact_numbers, lambda x, k: at.sign(x), True),
    (exact_floats, lambda x, k: at.floor(x), True),
    (exact_floats, lambda x, k: at.round(x * 1.5), True),
    (exact_numbers, lambda x, k: at.maximum(x, k % 2), True),
    (exact_numbers, lambda x, k: at.clip(x, [0, None, 1][k % 3], [2, 1, None][k % 3]), True),
    (floats, lambda x, k: at.sqrt(at.square(x) + 1), True),
    (floats, lambda x, k: 1 / (at.square(x) + 1), True),
    (exact, lambda x, k: x.astype(["float32", "float64", "int32", "bool", "int64"][k % 5]), True),
    (exact_floats, lambda x, k: at.isfinite(x), True),
    (exact, lambda x, k: x > k % 2, True),
    (exact, lambda x, k: at.logical_not(x), True),
    (floats, lambda x, k: at.tanh(x), False),
    (floats, lambda x, k: at.exp(-at.square(x)), False),
    (floats, lambda x, k: at.sigmoid(x), False),
    (floats, lambda x, k: at.softplus(x), False),
    (floats, lambda x, k: at.log1p(at.square(x)), False),
    (floats, lambda x, k: at.sin(x), False),
    (floats, lambda x, k: at.pow(at.square(x) + 1, [0.5, 2, -1, 3, 0.3][k % 5]), False),
    (floats, lambda x, k: at.stop_gradient(x), True),
]
AXES = [
    (lambda v: filled(v) and floats(v), lambda x, k: at.softmax(x, axis=-1), False),
    (lambda v: filled(v) and floats(v), lambda x, k: at.log_softmax(x, axis=0), False),
    (lambda v: filled(v) and floats(v), lambda x, k: at.logsumexp(x, axis=axis_of(x, k)), False),
    (lambda v: arrays(v) and floats(v), lambda x, k: at.cumulative_sum(x, axis=k % x.ndim), False),
    (lambda v: arrays(v) and floats(v), lambda x, k: at.sum(x, axis=axis_of(x, k), keepdims=k % 2 == 0), False),
    (lambda v: filled(v) and floats(v), lambda x, k: at.mean(x, axis=axis_of(x, k), keepdims=k % 2 == 0), False),
    (lambda v: filled(v) and floats(v), lambda x, k: at.var(x, axis=axis_of(x, k), keepdims=k % 2 == 0), False),
    (lambda v: arrays(v) and v.kind in "iub", lambda x, k: at.sum(x, axis=axis_of(x, k)), True),
    (lambda v: filled(v) and v.exact, lambda x, k: at.max(x, axis=axis_of(x, k), keepdims=k % 2 == 0), True),
    (lambda v: filled(v) and v.exact, lambda x, k: at.min(x, axis=axis_of(x, k), keepdims=k % 2 == 0), True),
    (lambda v: filled(v) and v.exact, lambda x, k: at.argmax(x, axis=[-1, None, 0][k % 3]), True),
    (lambda v: filled(v) and v.exact, lambda x, k: at.argmin(x, axis=[-1, None, 0][k % 3]), True),
    (lambda v: arrays(v) and v.exact, lambda x, k: at.any(x, axis=axis_of(x, k)), True),
    (lambda v: arrays(v) and v.exact, lambda x, k: at.all(x, axis=axis_of(x, k), keepdims=True), True),
    (lambda v: filled(v) and exact_floats(v), lambda x, k: at.prod(x * 0.5, axis=axis_of(x, k)), False),
    (lambda v: filled(v) and exact_floats(v), lambda x, k: at.sort(x, axis=-1), True),
    (lambda v: filled(v) and exact_floats(v), lambda x, k: at.take_along_axis(x, at.argsort(x, axis=0), axis=0), True),
    (lambda v: v.exact and v.kind in "iu", lambda x, k: at.one_hot(x, 4), True),
    (floats, lambda x, k: at.random.dropout(x, 0.5), True),
    (lambda v: filled(v) and floats(v), lambda x, k: at.norm(x + 0.1, axis=axis_of(x, k)), False),
    (lambda v: arrays(v) and floats(v), lambda x, k: at.cumulative_prod(x * 0.5, axis=k % x.ndim), False),
]
SHAPES = [
    (anything, lambda x, k: at.flatten(x), True),
    (anything, lambda x, k: at.permute_dims(x), True),
    (anything, lambda x, k: at.expand_dims(x, k % (x.ndim + 1)), True),
    (arrays, lambda x, k: x[k % 2 :], True),
    (arrays, lambda x, k: x[::-1], True),
    (filled, lambda x, k: x[..., 0], True),
    (filled, lambda x, k: x[-1], True),
    (arrays, lambda x, k: x[:, None], True),
    (arrays, lambda x, k: at.concat([x, x[: k % 2 + 1]], axis=0), True),
    (anything, lambda x, k: at.stack([x, x], axis=k % (x.ndim + 1)), True),
    (arrays, lambda x, k: at.flip(x, axis=k % x.ndim), True),
    (filled, lambda x, k: at.roll(x, 1, axis=k % x.ndim), True),
    (anything, lambda x, k: widened(x, k % 3 + 1), True),
    (lambda v: filled(v) and numbers(v), lambda x, k: at.pad(x, 1), True),
    (filled, lambda x, k: at.take(x, np.array([0, -1, 0]), axis=0), True),
    (filled, lambda x, k: at.tile(x, (2,) * x.ndim), True),
    (filled, lambda x, k: at.repeat(x, 2, axis=k % x.ndim), True),
    (lambda v: len(v.shape) == 2 and floats(v), lambda x, k: at.matmul(x, at.permute_dims(x)) * 0.1, False),
    (lambda v: len(v.shape) == 2 and floats(v), lambda x, k: at.matmul(at.permute_dims(x), x) * 0.1, False),
    (lambda v: len(v.shape) == 3 and floats(v), lambda x, k: at.matmul(x, at.swapaxes(x, 1, 2)) * 0.1, False),
    (lambda v: filled(v) and floats(v), lambda x, k: at.split(x, [1], axis=0)[0], True),
    (lambda v: filled(v) and floats(v), lambda x, k: at.index_add(x, x[:1] * 0.5, np.array([0, -1, 0])), True),
    (lambda v: filled(v) and floats(v), lambda x, k: at.index_update(x, 0.5, slice(0, 1)), True),
    (lambda v: len(v.shape) == 2 and numbers(v), lambda x, k: at.tril(x), True),
]
RANDOM = [function for _, function, _ in AXES if "dropout" in function.__code__.co_names]
BINARY = [
    (numbers, lambda a, b, k: a + b, True),
    (numbers, lambda a, b, k: a - b, True),
    (numbers, lambda a, b, k: a * b, True),
    (floats, lambda a, b, k: a / (at.square(b) + 1), True),
    (exact_numbers, lambda a, b, k: at.maximum(a, b), True),
    (exact_numbers, lambda a, b, k: at.minimum(a, b), True),
    (exact_numbers, lambda a, b, k: [at.less, at.equal, at.greater_equal, at.not_equal][k % 4](a, b), True),
    (exact, lambda a, b, k: at.where(a, b, 1 if k % 2 else b), True),
    (exact_numbers, lambda a, b, k: at.where(a > b, a, b * 2), True),
    (lambda v: exact(v) and v.kind == "b", lambda a, b, k: at.logical_and(a, at.logical_or(b, a)), True),
    (floats, lambda a, b, k: at.arctan2(a, at.square(b) + 1), False),
]

SIZES = st.sampled_from([0, 1, 1, 2, 3, 3, 5])
DTYPES = st.sampled_from(["float32", "float64", "float32", "float64", "int32", "int64", "uint8", "bool"])
INPUT = st.tuples(st.lists(SIZES, max_size=3).map(tuple), DTYPES)
STEP = st.tuples(*[st.integers(0, 999)] * 5)


@st.composite
def programs(draw):
    return {
        "inputs": draw(st.lists(INPUT, min_size=1, max_size=2)),
        "variables": draw(st.lists(INPUT, max_size=2)),
        "twin": draw(st.booleans()),  # a second Variable in the shape of the first, for swaps
        "steps": draw(st.lists(STEP, min_size=1, max_size=10)),
        "updates": draw(st.lists(st.integers(0, 99), min_size=3, max_size=3)),
        "order": draw(st.integers(0, 2)),
        "unknown": draw(st.booleans()),
        "given": draw(st.integers(0, 3)),
        "seed": draw(st.integers(0, 9999)),
    }


def array(rng, shape, dtype):
    """Small multiples of a quarter, with repetitions and both zeros."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind == "u":
        return rng.integers(0, 256, shape).astype(dtype)
    if dtype.kind == "i":
        return rng.integers(-4, 5, shape).astype(dtype)
    return (rng.integers(-8, 9, shape) / 4).astype(dtype)


def compute(program, leaves, eager):
    """The values of a program; ``eager`` are those of its eager run, which decide what fits where."""
    values = [Value(t, e, True) for t, e in leaves]
    once = set()
    for place, (kind, i, j, op, k) in enumerate(program["steps"]):
        table = [UNARY, AXES, SHAPES, BINARY, UNARY, BINARY][kind % 6]
        needs, function, keeps = table[op % len(table)]
        fitting = [v for v in values if needs(v)]
        if not fitting or (function in RANDOM and "drawn" in once):
            continue  # which of two draws comes first is not laid down
        if function in RANDOM:
            once.add("drawn")
        if function in RANDOM or "stop_gradient" in function.__code__.co_names:
            program["deferred"] = True
        # The latest values are preferred, or programs would be wide and flat.
        a = fitting[-1 - i % min(len(fitting), 4)]
        operands = [a]
        if table is BINARY:
            partners = [v for v in fitting if (broadcasts(a.shape, v.shape) and v.kind == a.kind) or v is a]
            operands.append(partners[-1 - j % len(partners)])
        if math.prod(np.broadcast_shapes(*[v.shape for v in operands])) > 400:
            continue
        tensor = function(*[v.tensor for v in operands], k)
        like = tensor if eager is None else eager[place]
        values.append(Value(tensor, like, keeps and all(v.exact for v in operands)))
        if eager is None:
            program["eager"][place] = tensor
    return values


def broadcasts(a, b):
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def tracked_floats(values):
    return [v for v in values if v.kind == "f" and v.like.size and np.isfinite(v.like.numpy()).all()]


def gradients(program, values, wanted):
    """Gradients of a scalar made of the last values, to the order drawn."""
    if not wanted or not program["order"]:
        return []
    parts = [at.mean(v.tensor.astype("float64")) for v in tracked_floats(values)[-3:]]
    if not parts:
        return []
    total = parts[0]
    for part in parts[1:]:
        total = total + part * 0.7
    found = [g for g in at.gradients(total, wanted) if g is not None]
    if program["order"] == 1 or not found:
        return found
    second = at.sum(at.square(found[0]))
    for g in found[1:]:
        second = second + at.sum(at.square(g))
    return found + [g for g in at.gradients(second, wanted) if g is not None]


def new_values(program, values, variables):
    """New values of the Variables: values of the program, of each other, views of themselves, constants."""
    pairs = []
    for variable, choice in zip(variables, program["updates"], strict=False):
        # Exact ones only: what a later call computes from them must be exact again.
        exact_ones = [v for v in values if v.exact]
        fitting = [v.tensor for v in exact_ones if v.shape == variable.shape and v.like.dtype == variable.dtype]
        others = [v for v in variables if v.shape == variable.shape and v.dtype == variable.dtype]
        candidates = [*fitting[::-1][:4], *others]
        own = variable.dtype.kind == "f" and variable.ndim and variable.size
        if own:
            candidates += [variable * 0.5 + fitting[-1], variable[::-1], variable - variable[:1]]
            candidates += [variable + at.max(variable, axis=0)]
        if own and variable.ndim == 2 and variable.shape[0] == variable.shape[1]:
            candidates += [at.permute_dims(variable), variable * 0.5 + at.permute_dims(variable)]
        candidates.append(at.Tensor(np.ones(variable.shape, variable.dtype)))
        if choice % 5:
            pairs.append((variable, candidates[choice % len(candidates)]))
    return pairs


def check(program):
    rng = np.random.default_rng(program["seed"])
    program["eager"] = {}
    kinds = program["variables"] + (program["variables"][:1] if program["twin"] else [])
    start = [array(rng, shape, dtype) for shape, dtype in kinds]
    calls = [[array(rng, shape, dtype) for shape, dtype in program["inputs"]] for _ in range(2)]

    # Eager, twice, on tensors of their own.
    state, expected, sizes = start, [], 1.0
    drawn = at.random.get_state()
    for arguments in calls:
        at.random.set_state(drawn)
        leaves = [at.Tensor(a, requires_grad=a.dtype.kind == "f") for a in [*arguments, *state]]
        program["eager"] = {}
        values = compute(program, [(t, t) for t in leaves], None)
        outputs = [v.tensor for v in values[-5:]]
        own = leaves[len(arguments) :]
        grads = gradients(program, values, [t for t in leaves if t.dtype.kind == "f"])
        fresh = {id(variable): new.numpy().copy() for variable, new in new_values(program, values, own)}
        state = [fresh.get(id(t), a) for t, a in zip(own, state, strict=True)]
        large = [np.abs(t.numpy().astype("f8")) for t in [*[v.tensor for v in values], *grads] if t.size]
        sizes = max([sizes, *[float(a[np.isfinite(a)].max(initial=0)) for a in large]])
        exact_ones = [v.exact for v in values[-5:]] + [False] * len(grads)
        expected.append(([t.numpy().copy() for t in [*outputs, *grads]], exact_ones, [s.copy() for s in state]))

    def build():
        placeholders = []
        for n, (shape, dtype) in enumerate(program["inputs"]):
            dims = [None if program["unknown"] and (n + d) % 2 == 0 else size for d, size in enumerate(shape)]
            placeholders.append(at.placeholder(dims, dtype, name=f"x{n}"))
        variables = [at.Variable(a, name=f"v{n}", deferred=n % 2 == 0) for n, a in enumerate(start)]
        eager_leaves = [at.Tensor(a) for a in [*calls[0], *start]]
        values = compute(program, list(zip([*placeholders, *variables], eager_leaves, strict=True)), program["eager"])
        outputs = [v.tensor for v in values[-5:]]
        grads = gradients(program, values, [t for t in [*placeholders, *variables] if t.dtype.kind == "f"])
        updates = new_values(program, values, variables)
        return placeholders, variables, [*outputs, *grads], updates

    # Otherwise operations on a Variable that is not deferred have values, which the graph follows. Draws and
    # stop_gradient of a value do not: they are done once.
    with at.deferred() if program.get("deferred") else contextlib.nullcontext():
        placeholders, variables, roots, updates = build()
    given = program["given"] == 1 and len(placeholders) > 1
    if given:  # the second input enters through another placeholder and a substitution
        other = at.placeholder(placeholders[1].shape, placeholders[1].dtype, name="other")
        f = at.function([placeholders[0], other], roots, updates, givens={placeholders[1]: other})
    else:
        static = placeholders[1:] if program["given"] == 2 else ()
        f = at.function(placeholders, roots, updates, static=static)
    for mode in MODES:
        for variable, a in zip(variables, start, strict=True):
            variable.assign(a)
        with config.use(**mode):
            for arguments, (want, exact_ones, state) in zip(calls, expected, strict=True):
                kept = [a.copy() for a in arguments]
                at.random.set_state(drawn)
                got = f(*arguments)
                for a, b in zip(arguments, kept, strict=True):
                    np.testing.assert_array_equal(a, b, err_msg="an argument was changed")
                for n, (a, b, same) in enumerate(zip(got, want, exact_ones, strict=True)):
                    compare(a, b, same, sizes, f"output {n} in mode {mode}")
                for variable, b in zip(variables, state, strict=True):
                    compare(variable.numpy(), b, False, sizes, f"{variable.name} after the call in mode {mode}")


def compare(a, b, same, size, what):
    assert a.dtype == b.dtype and a.shape == b.shape, f"{what}: {a.dtype}{a.shape}, not {b.dtype}{b.shape}"
    if same or a.dtype.kind != "f":
        np.testing.assert_array_equal(a, b, err_msg=what)
    else:
        tolerance = (2e-4 if a.dtype == np.float32 else 2e-5) * max(1.0, size)
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=tolerance, err_msg=what)


QUIET = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.mark.promise("soak")
@settings(max_examples=max(60, settings().max_examples), deadline=None, suppress_health_check=QUIET)
@given(programs())
def test_every_way_to_run_a_program_agrees(program):
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(codegen, "load", plain_load)
        check(program)


@pytest.mark.promise("soak")
@settings(max_examples=6, deadline=None, suppress_health_check=QUIET, derandomize=True)
@given(programs())
def test_compiled_kernels_agree_too(program):
    with np.errstate(all="ignore"):
        check(program)

"""Programs that write in place, by chance: values as NumPy's, and the right gradient or an error, never a wrong one.

Each tensor of a pool has a mirror: a hyper-dual number in NumPy arrays, which carries the value and its derivatives
along two random directions in the space of all leaves, first and second. Mirrors are copied wherever tensors are
values. So the oracle is a forward run in plain NumPy; what is tested is the tape, in-place writes included.
"""

from __future__ import annotations

import copy
import pickle

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import autotensor as at
from autotensor.errors import GradError

pytestmark = pytest.mark.promise(25)

SHAPES = [(), (3,), (2, 3), (3, 2), (1, 3)]


class Dual:
    """A value, its derivatives along two directions, and the mixed second one, by component along the first axis."""

    def __init__(self, c):
        self.c = np.array(c, np.float64)

    @classmethod
    def constant(cls, value):
        return cls([value, *[np.zeros_like(value)] * 3])

    def __add__(self, other):
        return Dual([a + b for a, b in zip(self.c, other.c, strict=True)])

    def scaled(self, factor):
        return Dual(self.c * factor)

    def __mul__(self, other):
        (a, a1, a2, a12), (b, b1, b2, b12) = self.c, other.c
        return Dual([a * b, a1 * b + a * b1, a2 * b + a * b2, a12 * b + a * b12 + a1 * b2 + a2 * b1])

    def sin(self):
        x, x1, x2, x12 = self.c
        return Dual([np.sin(x), np.cos(x) * x1, np.cos(x) * x2, np.cos(x) * x12 - np.sin(x) * x1 * x2])

    def exp(self):
        x, x1, x2, x12 = self.c
        return Dual([np.exp(x), np.exp(x) * x1, np.exp(x) * x2, np.exp(x) * (x12 + x1 * x2)])

    def map(self, f):
        """An operation that only moves elements."""
        return Dual([f(self.c[i, ...]) for i in range(4)])

    def write(self, key, value):
        for i in range(4):
            self.c[i, ...][key] = value.c[i]


class Entry:
    """A tensor, its mirror, and the tensors that its recording used, each with the count of writes at that time."""

    def __init__(self, tensor, dual, uses=(), leaf=False):
        self.tensor = tensor
        self.dual = dual
        self.uses = dict(uses)
        self.leaf = leaf

    def used(self):
        """What a recording that uses this one leans on."""
        return {**self.uses, (id(self.tensor), self.tensor.version): self.tensor}

    def stale(self):
        return any(t.version != version for (_, version), t in self.uses.items())


KEYS = {
    0: [(), ..., None],
    1: [0, -1, slice(1, None), slice(None, None, 2), slice(None, None, -1), np.array([2, 0]), np.array([0, 0, 2]),
        np.array([True, False, True]), ..., (None, slice(0, 2))],
    2: [0, -1, (0, 1), (slice(None), 1), slice(0, 1), (..., slice(1, None)), np.array([0, 0]), (slice(None), [1, 0, 1]),
        (np.array([0, 0]), np.array([1, 0])), ..., (slice(None), None, 0), slice(None, None, -1)],
}  # fmt: skip


class InPlace(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**16))
    def start(self, seed):
        self.rng = np.random.default_rng(seed)
        self.pool: list[Entry] = []
        self.shared: list[tuple[np.ndarray, np.ndarray]] = []  # arrays outside, and what they have to hold
        for shape in ((3,), (2, 3)):
            self.add_leaf(self.rng.uniform(-1, 1, shape))

    # -- helpers

    def add(self, tensor, dual, uses=(), leaf=False):
        self.pool.append(Entry(tensor, dual, uses, leaf))
        if len(self.pool) > 14:
            self.pool.pop(next(i for i, e in enumerate(self.pool) if not e.leaf))

    def add_leaf(self, value, tensor=None):
        d1, d2 = self.rng.uniform(-1, 1, (2, *value.shape))
        tensor = at.Tensor(value, requires_grad=True) if tensor is None else tensor
        self.add(tensor, Dual([value, d1, d2, np.zeros_like(value)]), leaf=True)

    def some(self, data, where=lambda e: True):
        chosen = [e for e in self.pool if where(e)]
        return data.draw(st.sampled_from(chosen)) if chosen else None

    def key(self, data, entry):
        keys = [key for key in KEYS.get(entry.tensor.ndim, [...]) if _is_valid(entry.dual.c[0, ...], key)]
        return data.draw(st.sampled_from(keys))

    def value_for(self, data, shape):
        """Something to write into a part of this shape: a number, an array, or a tensor of the pool that fits."""
        fits = [e for e in self.pool if _fits(e.tensor.shape, shape)]
        kind = data.draw(st.sampled_from(["number", "array", *["tensor"] * 3]))
        if kind == "tensor" and fits:
            e = data.draw(st.sampled_from(fits))
            return e.tensor, Dual(e.dual.c), e.used()
        if kind == "array":
            value = self.rng.uniform(-1, 1, shape)
            return value, Dual.constant(value), {}
        value = float(self.rng.uniform(-1, 1))
        return value, Dual.constant(np.array(value)), {}

    # -- making tensors

    @rule(shape=st.sampled_from(SHAPES))
    def leaf(self, shape):
        if sum(e.leaf for e in self.pool) < 5:
            self.add_leaf(self.rng.uniform(-1, 1, shape))

    @rule(shape=st.sampled_from(SHAPES), share=st.booleans())
    def constant(self, shape, share):
        value = self.rng.uniform(-1, 1, shape)
        tensor = at.asarray(value) if share else at.Tensor(value)
        self.shared.append((value, value.copy()))
        self.add(tensor, Dual.constant(value))

    @rule(data=st.data(), name=st.sampled_from(["sin", "exp"]))
    def unary(self, data, name):
        e = self.some(data)
        x = at.sin(e.tensor * 0.5)
        dual = e.dual.scaled(0.5).sin()
        self.add(x if name == "sin" else at.exp(x), dual if name == "sin" else dual.exp(), e.used())

    @rule(data=st.data(), name=st.sampled_from(["add", "multiply"]))
    def binary(self, data, name):
        a = self.some(data)
        b = self.some(data, lambda e: _fits(e.tensor.shape, a.tensor.shape) or _fits(a.tensor.shape, e.tensor.shape))
        x, y = a.tensor, at.sin(b.tensor)
        result = x + y if name == "add" else x * y
        dual = a.dual + b.dual.sin() if name == "add" else a.dual * b.dual.sin()
        self.add(result, dual, {**a.used(), **b.used()})

    @rule(data=st.data())
    def index(self, data):
        e = self.some(data, lambda e: e.tensor.ndim <= 2)
        key = self.key(data, e)
        self.add(e.tensor[key], e.dual.map(lambda part: part[key]), e.used())

    @rule(data=st.data(), how=st.sampled_from(["T", "flat", "row", "copy", "sum"]))
    def move(self, data, how):
        e = self.some(data)
        x = e.tensor
        moves = {
            "T": (lambda: x.T, lambda part: part.T),
            "flat": (lambda: x.reshape(-1), lambda part: part.reshape(-1)),
            "row": (lambda: x.reshape(1, -1), lambda part: part.reshape(1, -1)),
            "copy": (lambda: x.copy(), lambda part: part.copy()),
            "sum": (lambda: x.sum(axis=0) if x.ndim else x.sum(), lambda part: part.sum(axis=0) if part.ndim else part),
        }
        tensor, mirror = moves[how]
        self.add(tensor(), e.dual.map(mirror), e.used())

    @rule(data=st.data(), how=st.sampled_from(["detach", "pickle", "copy.copy", "numpy", "asarray"]))
    def leave(self, data, how):
        e = self.some(data)
        if how == "detach":
            self.add(e.tensor.detach(), Dual.constant(e.dual.c[0]))
        elif how == "numpy" or how == "asarray":
            given = e.tensor.numpy() if how == "numpy" else np.asarray(e.tensor)
            self.shared.append((given, given.copy()))
        else:
            made = pickle.loads(pickle.dumps(e.tensor)) if how == "pickle" else copy.copy(e.tensor)
            if made.requires_grad and sum(x.leaf for x in self.pool) < 5:
                self.add_leaf(e.dual.c[0].copy(), made)
            elif not made.requires_grad:
                self.add(made, Dual.constant(e.dual.c[0]))

    # -- writing

    @rule(data=st.data())
    def write(self, data):
        e = self.some(data)
        key = self.key(data, e)
        value, dual, uses = self.value_for(data, e.dual.c[0, ...][key].shape)
        self.store(e, key, value, dual, uses)

    @rule(data=st.data())
    def write_own_part(self, data):
        e = self.some(data, lambda e: e.tensor.ndim == 1 and e.tensor.size > 1)
        if e is not None:
            self.store(e, slice(1, None), e.tensor[:-1], e.dual.map(lambda part: part[:-1]), e.used())

    @rule(data=st.data())
    def write_what_was_computed_from_it(self, data):
        e = self.some(data, lambda e: e.tensor.ndim >= 1 and len(e.tensor) > 1)
        if e is not None:
            value = at.sin(e.tensor[0]) * e.tensor[1]
            dual = e.dual.map(lambda part: part[0]).sin() * e.dual.map(lambda part: part[1])
            self.store(e, 1, value, dual, e.used())

    @rule(data=st.data())
    def write_inside_no_grad(self, data):
        e = self.some(data)
        key = self.key(data, e)
        value, dual, _ = self.value_for(data, e.dual.c[0, ...][key].shape)
        dual = Dual.constant(dual.c[0])

        def act():
            with at.no_grad():
                e.tensor[key] = value

        if e.leaf:
            act()
            e.dual.c[0, ...][key] = dual.c[0]
        else:
            self.attempt(e, act, key, dual)

    @rule(data=st.data())
    def fill(self, data):
        e = self.some(data, lambda e: not e.leaf)
        if e is not None:
            self.attempt(e, lambda: e.tensor.fill(0.25), ..., Dual.constant(np.array(0.25)))

    @rule(data=st.data())
    def sort_in_place(self, data):
        e = self.some(data, lambda e: not e.leaf and e.tensor.ndim == 1)
        if e is not None:
            order = np.argsort(e.dual.c[0], kind="stable")
            self.attempt(e, e.tensor.sort, ..., e.dual.map(lambda part: part[order]), e.used())

    @rule(data=st.data(), number=st.floats(-1, 1))
    def put(self, data, number):
        e = self.some(data, lambda e: not e.leaf and e.tensor.ndim == 1 and e.tensor.size > 1)
        if e is not None:
            dual = Dual.constant(np.array([number, 0.5]))
            self.attempt(e, lambda: e.tensor.put([1, 0], [number, 0.5]), np.array([1, 0]), dual)

    @rule(data=st.data())
    def augmented(self, data):
        e = self.some(data)
        value, dual, uses = self.value_for(data, e.tensor.shape)
        x = e.tensor
        x += value  # another tensor, also for a leaf: the old one stays as it is
        assert x is not e.tensor
        self.add(x, e.dual + dual, {**e.used(), **uses})

    @rule(data=st.data())
    def augmented_part(self, data):
        e = self.some(data, lambda e: not e.leaf and e.tensor.ndim >= 1)
        if e is None:
            return
        key = self.key(data, e)
        value, dual, uses = self.value_for(data, e.dual.c[0, ...][key].shape)
        product = e.dual.map(lambda part: part[key]) * dual.sin()
        value = at.sin(value)

        def act():
            e.tensor[key] *= value

        self.attempt(e, act, key, product, uses)

    def store(self, e, key, value, dual, uses):
        if e.leaf:
            before = e.tensor.numpy().copy()
            with pytest.raises(GradError, match="leaf that requires gradients"):
                e.tensor[key] = value
            np.testing.assert_array_equal(e.tensor.numpy(), before)
            return

        def act():
            e.tensor[key] = value

        self.attempt(e, act, key, dual, uses)

    def attempt(self, e, act, key, dual, uses=()):
        """A write; it may be refused where something that was used has been written since."""
        before = {**e.used(), **dict(uses)}
        try:
            act()
        except GradError as error:
            assert "overwritten in place" in str(error)
            assert any(t.version != version for (_, version), t in before.items())
        else:
            e.dual.write(key, dual)
            e.uses.update(before)

    # -- looking

    @precondition(lambda self: len(self.pool) > 2)
    @rule(data=st.data(), way=st.sampled_from(["grad", "light", "backward", "second"]))
    def differentiate(self, data, way):
        e = self.some(data, lambda e: not e.leaf)
        if e is None:
            return
        leaves = [x for x in self.pool if x.leaf]
        xs = [x.tensor for x in leaves]
        weights = self.rng.uniform(-1, 1, e.tensor.shape)
        expected = [float((weights * part).sum()) for part in e.dual.c]
        if not e.tensor.requires_grad:
            assert expected[1] == expected[2] == 0
            return
        y = (e.tensor * weights).sum()
        try:
            if way == "backward":
                for x in xs:
                    x.grad = None
                y.backward()
                found = [x.grad for x in xs]
            else:
                found = at.grad(y, xs, allow_unused=True, create_graph=way != "light")
            along = [None if g is None else (g * x.dual.c[1]).sum() for g, x in zip(found, leaves, strict=True)]
            total = sum(float(a) for a in along if a is not None)
            second = None
            if way == "second":
                terms = [a for a in along if a is not None and a.requires_grad]
                second = 0.0
                if terms:
                    found = at.grad(sum(terms[1:], terms[0]), xs, allow_unused=True)
                    pairs = zip(found, leaves, strict=True)
                    second = sum(float((g * x.dual.c[2]).sum()) for g, x in pairs if g is not None)
        except GradError as error:
            assert "overwritten in place" in str(error)
            assert e.stale(), "an error where nothing that was used had been written"
            return
        np.testing.assert_allclose(total, expected[1], rtol=1e-8, atol=1e-9)
        if second is not None:
            np.testing.assert_allclose(second, expected[3], rtol=1e-8, atol=1e-9)

    @invariant()
    def values_are_numpys(self):
        for e in getattr(self, "pool", ()):
            np.testing.assert_allclose(e.tensor.numpy(), e.dual.c[0], rtol=1e-12, atol=1e-12)

    @invariant()
    def arrays_outside_are_as_they_were(self):
        for array, value in getattr(self, "shared", ()):
            np.testing.assert_array_equal(array, value)


def _is_valid(x, key):
    try:
        x[key]
    except IndexError:
        return False
    return True


def _fits(shape, into):
    """Does the one broadcast to the other?"""
    try:
        return np.broadcast_shapes(shape, into) == tuple(into)
    except ValueError:
        return False


COMMON = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
}


class TestInPlace(InPlace.TestCase):
    settings = settings(max_examples=25, stateful_step_count=25, **COMMON)


@pytest.mark.slow  # 14 s
def test_many_programs():
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(InPlace, settings=settings(max_examples=300, stateful_step_count=40, **COMMON))

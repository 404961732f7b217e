"""Values that are never there at the same time share memory, and only these; what comes out stays the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autotensor as at
from autotensor.graph import rooms
from autotensor.graph.rooms import ALIGN, share

pytestmark = pytest.mark.promise("memory")

drawn = st.tuples(st.integers(0, 60_000), st.integers(0, 40), st.integers(0, 12))
spans = drawn.map(lambda v: (v[0], v[1], v[1] + v[2]))


@given(st.lists(spans, max_size=40))
def test_a_room_has_one_value_at_a_time_and_is_large_enough(values: list[tuple[int, int, int]]) -> None:
    found, made = share((key, *value) for key, value in enumerate(values))
    least = max(rooms.SMALL, sum([value[0] for value in values]) // 4000)
    assert set(found) == {key for key, value in enumerate(values) if value[0] >= least}
    for key, room in found.items():
        nbytes, first, last = values[key]
        assert nbytes <= room.nbytes == room.raw.nbytes and room.raw.ctypes.data % ALIGN == 0
        for other, (_, begins, ends) in enumerate(values):
            if other != key and found.get(other) is room:
                assert ends < first or last < begins, "two values at once in one room"
        taken = [step for step in range(60) if room.steps >> step & 1]
        assert set(range(first, last + 1)) <= set(taken)
    addresses = sorted([(room.raw.ctypes.data, room.nbytes) for room in made])
    assert all([a + n <= b for (a, n), (b, _) in zip(addresses, addresses[1:], strict=False)])


@given(st.lists(spans, min_size=1, max_size=40))
def test_rooms_are_between_what_is_needed_at_once_and_what_all_need(values: list[tuple[int, int, int]]) -> None:
    found, made = share((key, *value) for key, value in enumerate(values))
    whole = sum([room.nbytes for room in made])
    shared = [values[key] for key in found]
    at_once = max([sum([n for n, first, last in shared if first <= k <= last]) for k in range(60)])
    assert at_once <= whole <= sum([n + ALIGN for n, _, _ in shared])


def test_a_chain_of_equal_values_has_two_rooms() -> None:
    _, made = share((k, 4096, k, k + 1) for k in range(1000))
    assert [room.nbytes for room in made] == [4096, 4096]


def test_a_narrow_middle_costs_nothing() -> None:
    """The values of an autoencoder: rooms made for the small ones first would not fit the large ones after them."""
    sizes = [50_000, 30_000, 8_000, 30_000, 50_000]
    _, made = share((k, n, k, k + 1) for k, n in enumerate(sizes))
    assert sum([room.nbytes for room in made]) < 80_000 + 2 * ALIGN


def test_a_thousand_layers_are_placed_soon() -> None:
    values = [(k, 4096, k, 8000 - k) for k in range(4000)] + [(4000 + k, 4096, 4000 + k, 4001 + k) for k in range(3999)]
    found, made = share(values)
    assert not found and not made, "each is a small share of all: they need no search"


@pytest.mark.parametrize("seed", range(30))
def test_shared_memory_changes_no_number(seed: int) -> None:
    """Random graphs of values of many sizes and lifetimes, compiled and interpreted, in new plans and in used ones."""
    rng = np.random.default_rng(seed)
    x = at.placeholder((None, 24), dtype="float64")
    values = [x]
    for _ in range(40):
        a, b = [values[int(k)] for k in rng.integers(max(0, len(values) - 9), len(values), 2)]
        kind = rng.integers(6)
        if kind == 0:
            new = at.tanh(a)
        elif kind == 1:
            new = at.matmul(a, at.Tensor(rng.normal(size=(a.shape[1], int(rng.integers(4, 60)))) / 8))
        elif kind == 2 and a.shape[1] == b.shape[1]:
            new = a * b
        elif kind == 3:
            new = at.concatenate([a, b], axis=1)[:, :70]
        elif kind == 4:
            new = a - at.mean(a, axis=1, keepdims=True)
        else:
            new = at.flip(a, axis=1) + 0.5
        values.append(new)
    loss = at.sum(at.sin(values[-1])) + at.sum(values[-7] ** 2)
    w = at.Variable(np.zeros(24), deferred=True)
    f = at.function([x], [loss, at.grad(loss, x), values[20]], updates=[(w, w + at.sum(values[10]))])
    with at.config.use(numba=False):
        for rows in (37, 5, 37):
            data = rng.normal(size=(rows, 24))
            before = w.numpy()
            found = f(data)
            after = w.numpy()
            w.assign(before)
            with at.config.use(compile=False):
                wanted = f(data)
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(after, w.numpy(), rtol=1e-12)

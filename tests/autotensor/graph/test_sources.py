"""What a graph draws on from outside."""

from __future__ import annotations

import numpy as np

import autotensor as at


def test_variables_and_generators_each_once_in_the_order_of_the_graph() -> None:
    a, b, unused = (at.Variable(np.ones(3), name=name, deferred=True) for name in "abc")
    one, two = at.random.Generator(1), at.random.Generator(2)
    with at.deferred():
        y = at.random.dropout(a * b, 0.5, generator=two) + a
        z = at.random.normal((3,), generator=one) * y
    variables, generators = at.sources([y, z])
    assert [v.name for v in variables] == ["a", "b"] and not any(v is unused for v in variables)
    assert generators == [two, one]
    assert at.sources([z, y])[1] == [one, two]


def test_a_variable_alone_and_tensors_with_values() -> None:
    v = at.Variable([1.0])
    assert at.sources(v)[0][0] is v
    assert at.sources([at.Tensor([1.0]), at.placeholder((2,))]) == ([], [])


def test_loops_and_printing() -> None:
    """Dropout within a loop draws from its generator, too; printing is impure and draws from nothing."""
    generator, w = at.random.Generator(3), at.Variable(np.eye(2), name="w", deferred=True)
    x = at.placeholder((4, 5, 2))

    def step(states, parts, constants):
        new = at.random.dropout(at.tanh(parts[0] @ w + states[0]), 0.5, generator=generator)
        return new, new

    with at.deferred():
        _, (outs,) = at.scan(step, at.zeros((5, 2)), x)
        y = at.print_value(outs, "seen")
    variables, generators = at.sources(at.grad(at.sum(y), w))
    assert any(v is w for v in variables) and generators == [generator]


def test_restoring_the_sources_repeats_the_results() -> None:
    w, generator = at.Variable(np.zeros(3), deferred=True), at.random.Generator(5)
    with at.deferred():
        new = w + at.random.uniform((3,), generator=generator)
    step = at.function([], new, updates=[(w, new)])
    step()
    variables, generators = at.sources(new)
    kept = [v.numpy().copy() for v in variables], [g.get_state() for g in generators]
    first = [step(), step()]
    for v, value in zip(variables, kept[0], strict=True):
        v.assign(value)
    for g, state in zip(generators, kept[1], strict=True):
        g.set_state(state)
    assert np.array_equal(first, [step(), step()])

"""Random loops: compiled = interpreted = unrolled, for values and gradients, whatever of the results is asked for."""

from __future__ import annotations

import numpy as np
import pytest

import autotensor as at
from autotensor import config

SHAPE = (2, 3)

UNARY = [
    at.tanh,
    at.sin,
    lambda a: a * 0.5,
    lambda a: at.flip(a, axis=1),
    lambda a: at.matmul(at.matmul(a, at.permute_dims(a, (1, 0))) * 0.1, a) * 0.1,
    lambda a: a - at.mean(a, axis=1, keepdims=True),
    lambda a: at.softmax(a, axis=-1),
    lambda a: at.reshape(at.permute_dims(at.reshape(a, (3, 2)), (1, 0)), SHAPE),
    lambda a: at.concat([a[:, 1:], a[:, :1]], axis=1),
    lambda a: at.where(a > 0, a, a * 0.1),
]
BINARY = [
    at.add,
    at.subtract,
    lambda a, b: at.tanh(a) * b,
    lambda a, b: at.where(a > b, a, b),
    lambda a, b: a + at.sum(b, axis=0),
]
# With something that is the same in all steps: views, broadcasts and expensive things, used once or more.
FIXED = [
    lambda a, w: at.matmul(a, w),
    lambda a, w: at.matmul(a, at.permute_dims(at.exp(w * 0.1), (1, 0))) * 0.3,
    lambda a, w: a + at.sum(at.sin(w), axis=0),
    lambda a, w: at.matmul(a, at.matmul(at.permute_dims(w, (1, 0)), w)) * 0.2,
]


class Program:
    """A random step, as instructions, so that it can be recorded any number of times."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.n_states, self.n_parts = int(rng.integers(0, 4)), int(rng.integers(1, 3))
        self.lines = []
        known = self.n_states + self.n_parts
        for _ in range(rng.integers(2, 10)):
            kind = int(rng.integers(3))
            which = int(rng.integers([len(UNARY), len(BINARY), len(FIXED)][kind]))
            self.lines.append((kind, which, int(rng.integers(known)), int(rng.integers(known)), int(rng.integers(2))))
            known += 1
        self.new = [int(rng.integers(known)) for _ in range(self.n_states)]
        self.outs = [int(rng.integers(known)) for _ in range(rng.integers(0 if self.n_states else 1, 4))]
        self.reverse = bool(rng.integers(2))
        self.wanted = rng.random(self.n_states + len(self.outs)) < 0.6
        self.wanted[rng.integers(len(self.wanted))] = True
        self.arrays = [rng.normal(size=SHAPE) for _ in range(self.n_states)]
        self.arrays += [rng.normal(size=(4, *SHAPE)) for _ in range(self.n_parts)]
        self.arrays += [rng.normal(size=(3, 3)) * 0.5 for _ in range(2)]
        self.constant = [bool(c) for c in rng.random(2) < 0.4]  # a constant given as such, or found by itself

    def run(self, inputs, unroll):
        n, m = self.n_states, self.n_states + self.n_parts
        fixed = inputs[m:]

        def step(states, parts, constants):
            given = iter(constants)
            weights = [next(given) if c else w for c, w in zip(self.constant, fixed)]
            values = [*states, *parts]
            for kind, which, a, b, w in self.lines:
                if kind == 0:
                    values.append(UNARY[which](values[a]))
                elif kind == 1:
                    values.append(BINARY[which](values[a], values[b]))
                else:
                    values.append(FIXED[which](values[a], weights[w]))
            return [values[k] for k in self.new], [values[k] for k in self.outs]

        constants = [w for c, w in zip(self.constant, fixed) if c]
        last, outs = at.scan(step, inputs[:n], inputs[n:m], constants, reverse=self.reverse, unroll=unroll)
        return [y for y, wanted in zip([*last, *outs], self.wanted, strict=True) if wanted]


def loss(outs):
    return sum(at.sum(at.cos(y)) for y in outs)


@pytest.mark.promise("soak")
@pytest.mark.parametrize("seed", range(40))
def test_random_loops(seed):
    program = Program(seed)
    wants = None
    for unroll in (True, False):
        inputs = [at.placeholder(a.shape, a.dtype) for a in program.arrays]
        outs = program.run(inputs, unroll)
        first = at.grad(loss(outs), inputs, allow_unused=True)
        second = at.grad(loss([g for g in first if g is not None]), inputs, allow_unused=True)
        found = [*outs, *[at.zeros(()) if g is None else g for g in (*first, *second)]]
        f = at.function(inputs, found)
        for switches in ({"compile": False}, {"numba": False}):
            with config.use(**switches):
                got = f(*program.arrays)
                again = f(*program.arrays)
            if wants is None:
                wants = got
            for a, b, want in zip(got, again, wants, strict=True):
                np.testing.assert_array_equal(a, b, err_msg="the second call differs")
                a, want = np.broadcast_arrays(a, want)  # where one of them found no path, there is a single zero
                np.testing.assert_allclose(a, want, rtol=1e-7, atol=1e-8)

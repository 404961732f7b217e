"""Draws networks for a time and compares what they compute in every way there is: a promise of docs/reliability.md.

    python -m tests.reliability.soak --minutes 30 --seed 0
    python -m tests.reliability.soak --minutes 20 --genuine 2.3.1
    python -m tests.reliability.soak --only 4711

Each network (see :mod:`networks`) is trained two epochs by the interpreter, in float64 and without a compiler: what
comes is the truth for the compiled step (in NumPy's forms; with kernels, those generated for it run as Python; every
so often with all compiled, on one thread and on two), for float32, for the same model after a file, after JSON and as a
clone, for differences in place of gradients, and, with ``--genuine``, for a real Keras of that release. The counts are
printed; what fails is made as small as it goes and printed as Keras code. Ends with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import autotensor as at
from autotensor.graph import codegen
from keras_compat import backend as K
from keras_compat.dialect.level import api_level
from keras_compat.models import clone_model, load_model, model_from_json
from tests.autotensor.graph.plain_kernels import plain_load
from tests.reliability import networks
from tests.reliability.networks import Program

# How the same training may be computed: switches, the type of numbers, how far off it may be.
WAYS: dict[str, tuple[dict[str, Any], str]] = {
    "interpreted": ({"compile": False, "fuse": False, "numba": False}, "float64"),
    "compiled": ({"compile": True, "fuse": True, "numba": False}, "float64"),
    "float32": ({"compile": True, "fuse": True, "numba": False}, "float32"),
    "fused": ({"compile": True, "fuse": True, "numba": True, "threads": 1}, "float64"),
    "kernels": ({"compile": True, "fuse": True, "numba": True, "threads": 1}, "float64"),
    "two threads": ({"compile": True, "fuse": True, "numba": True, "threads": 2}, "float64"),
    "kernels float32": ({"compile": True, "fuse": True, "numba": True, "threads": 2}, "float32"),
}
# Of the largest value there is, at least 1. In float32 only what was not trained: steps of Adam and its like follow
# the sign of gradients that are nothing but rounding.
CLOSE = {"float64": 1e-7, "float32": 2e-4}
TRUTH = "interpreted"
# The generated kernels as plain Python: what they compute without waiting for them to be compiled. Those of the
# package itself are compiled ones.
PLAIN = {"fused"}

Values = dict[str, np.ndarray]


class Failure(AssertionError):
    """Something differs; ``kind`` says what, so that a smaller network can be asked whether it fails likewise."""

    def __init__(self, kind: str, text: str):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


def listed(value: Any) -> list[Any]:
    """A list, of one where it was none."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def single(values: list[Any]) -> Any:
    """A list's only value, or the list."""
    return values[0] if len(values) == 1 else values


def built(program: Program) -> Any:
    """The compiled model of a program, with the weights of its seed. The level must hold."""
    K.clear_session()
    at.random.seed(program.seed % 1000)
    np.random.seed(program.seed % 1000)
    space = networks.space_of(program.level)
    with networks.warnings_off():
        for line in program.lines:
            exec(line, space)
        model = space["model"]
        exec(f"model.compile({program.compiling})", space)
    model.set_weights(networks.weights_of(program, model.get_weights()))
    model.own_functions = {"double": space["double"]} if "double" in space else {}
    return model


def data_of(program: Program, model: Any) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """Inputs, targets and weights of samples."""
    units = [K.int_shape(out)[-1] for out in model.outputs]
    return networks.inputs_of(program), networks.targets_of(program, units), networks.weighing(program)


def asked_of(program: Program, model: Any, data: Any) -> Values:
    """Predictions and what ``evaluate`` says."""
    x, y, weights = data
    size = program.batch_size
    with networks.warnings_off():
        found = {f"prediction {i}": v for i, v in enumerate(listed(model.predict(single(x), batch_size=size)))}
        given = {k: v for k, v in weights.items() if k == "sample_weight"}
        found["evaluated"] = np.asarray(model.evaluate(single(x), single(y), batch_size=size, verbose=0, **given))
    return found


def learned(program: Program, model: Any, data: Any) -> Values:
    """Losses and metrics of two epochs, and predictions and weights then."""
    x, y, weights = data
    size = program.batch_size
    with networks.warnings_off():
        given = {program.epochs: 2, "shuffle": False, "verbose": 0, "batch_size": size, **weights}
        history = model.fit(single(x), single(y), **given).history
        found = {f"history {name}": np.asarray(values) for name, values in history.items()}
        for i, value in enumerate(listed(model.predict(single(x), batch_size=size))):
            found[f"prediction {i} then"] = value
        found.update({f"weight {i} then": value for i, value in enumerate(model.get_weights())})
    return found


def trained(program: Program, model: Any, data: Any) -> Values:
    """Everything that is asked of a model."""
    return asked_of(program, model, data) | learned(program, model, data)


def computed(program: Program, way: str) -> Values:
    """What a program computes in one of the ``WAYS``."""
    switches, kind = WAYS[way]
    with computing(program, kind, **switches), plain_kernels(way in PLAIN):
        model = built(program)
        data = data_of(program, model)
        if not program.random:
            return trained(program, model, data)
        # The interpreter draws numbers for predictions, too, that are not used: each part with its own.
        found = asked_of(program, model, data)
        return found | learned(program, built(program), data)


@contextmanager
def computing(program: Program, kind: str, **switches: Any) -> Iterator[None]:
    """The level of a program, a floating type and switches, for a while."""
    before = K.floatx()
    K.set_floatx(kind)
    try:
        with at.config.use(**switches), api_level(program.level):
            yield
    finally:
        K.set_floatx(before)


@contextmanager
def plain_kernels(plain: bool) -> Iterator[None]:
    """Within the block generated kernels are plain Python, if ``plain``."""
    before = codegen.load
    codegen.load = plain_load if plain else before  # type: ignore[assignment]
    try:
        yield
    finally:
        codegen.load = before


def difference(a: Any, b: Any) -> float:
    """The largest difference, as a part of the largest value or of 1; not a number agrees with itself."""
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if a.shape != b.shape:
        return np.inf
    if a.size == 0:
        return 0.0
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return np.inf
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))


class Soak:
    """Draws, compares, counts.

    Args:
        fused: compute each with generated kernels as plain Python, too.
        kernels: of how many networks one is computed with compiled kernels, too; none if 0.
        gradients: of how many one is checked against differences.
        folder: for files.
    """

    def __init__(self, folder: Path, kernels: int = 0, gradients: int = 10, fused: bool = True):
        self.folder, self.kernels, self.gradients, self.fused = folder, kernels, gradients, fused
        self.networks = 0
        self.levels: Counter[str] = Counter()
        self.layers: Counter[str] = Counter()
        self.comparisons: Counter[str] = Counter()
        self.worst: dict[str, tuple[float, int]] = {}
        self.failures: list[str] = []
        self.refused: Counter[str] = Counter()

    # -- comparing

    def compare(
        self, what: str, program: Program, came: Values, expected: Values, close: float, then: bool = True
    ) -> None:
        """Raise Failure where values are not those expected; ``then``: those after training, too."""
        if list(came) != list(expected):
            raise Failure(what, f"{list(came)} are there, expected {list(expected)}")
        for name in expected:
            if not then and ("then" in name or "history" in name):
                continue
            off = difference(came[name], expected[name])
            if self.worst.get(what, (0.0, 0))[0] < off <= close:
                self.worst[what] = (off, program.seed)
            if off > close:
                raise Failure(
                    what, f"{name} is off by {off:.2g}: {came[name]!r:.200}, expected {expected[name]!r:.200}"
                )
        self.comparisons[what] += 1

    def check(self, program: Program, number: int = 1) -> None:
        """Compare one network in every way; raises Failure, or whatever the package raises."""
        truth = computed(program, TRUTH)
        ways = ["compiled", "float32", *(["fused"] if self.fused else [])]
        if self.kernels and number % self.kernels == 0:
            ways += ["kernels", "two threads", "kernels float32"]
        for way in ways:
            kind = WAYS[way][1]
            self.compare(way, program, computed(program, way), truth, CLOSE[kind], then=kind == "float64")
        self.check_files(program)
        if self.gradients and number % self.gradients == 0 and not program.random:
            self.check_gradients(program)

    def check_files(self, program: Program) -> None:
        """A file, JSON and a clone give the same model; training goes on from the file as it would have."""
        with computing(program, "float64", numba=False), networks.warnings_off():
            model = built(program)
            data, own = data_of(program, model), model.own_functions
            trained(program, model, data)
            targets = ["a.h5", "b.keras"] if program.seed % 2 else ["a.h5"]
            for name in targets:
                path = self.folder / name
                model.save(path)
                again = load_model(path, custom_objects=own)
                self.same_predictions("file " + path.suffix, program, again, model, data)
                path.unlink()
            text = model_from_json(model.to_json(), custom_objects=own)
            text.set_weights(model.get_weights())
            self.same_predictions("JSON", program, text, model, data)
            if json.loads(text.to_json()) != json.loads(model.to_json()):
                raise Failure("JSON", "the config is another one after it was read")
            if not program.old:  # of a Sequential that begins with a Merge there is none
                clone = clone_model(model)
                clone.set_weights(model.get_weights())
                self.same_predictions("clone", program, clone, model, data)
            if not program.random:
                self.goes_on(program, model, data, own)

    def same_predictions(self, what: str, program: Program, came: Any, model: Any, data: Any) -> None:
        values = [listed(m.predict(single(data[0]), batch_size=program.batch_size)) for m in (came, model)]
        a, b = ({str(i): v for i, v in enumerate(values)} for values in values)
        self.compare(what, program, a, b, 1e-12)

    def goes_on(self, program: Program, model: Any, data: Any, own: dict[str, Any]) -> None:
        path = self.folder / "c.h5"
        model.save(path)
        again = load_model(path, custom_objects=own)
        self.compare("goes on", program, trained(program, again, data), trained(program, model, data), 1e-9)
        path.unlink()

    def check_gradients(self, program: Program) -> None:
        """Gradients by the weights, against differences."""
        with computing(program, "float64", numba=False), networks.warnings_off():
            model = built(program)
            if model.count_params() > 150:
                return
            x, y, weights = data_of(program, model)
            report = model.check_gradients(single(x), single(y), order=1, raise_error=False, **weights)
            if not report.ok:
                raise Failure("gradients", str(report)[:1500])
            self.comparisons["gradients"] += 1

    # -- a round

    def one(self, seed: int, program: Program | None = None, names: Sequence[str] = ()) -> bool:
        """Draw and check the network of a seed; whether all is well."""
        self.networks += 1
        try:
            if program is None:
                program, names = networks.draw(seed)
            self.levels[program.level] += 1
            self.layers.update(names)
            self.check(program, self.networks)
            return True
        except Exception as error:
            kind = kind_of(error)
            text = "".join(traceback.format_exception(error, limit=-3, chain=False))
            if program is None:
                self.failures.append(f"seed {seed} can not be drawn:\n{text}")
            else:
                small = shrunk(program, kind, self.kind_now)
                self.failures.append(f"seed {seed}: {text}\n{small.text}")
            return False

    def kind_now(self, program: Program) -> str:
        """How a program fails, or an empty text."""
        try:
            for number in (self.kernels or 1, self.gradients or 1):
                self.check(program, number)
        except Exception as error:
            return kind_of(error)
        return ""

    def __str__(self) -> str:
        lines = [f"{self.networks} networks ({', '.join(f'{n} of level {k}' for k, n in sorted(self.levels.items()))})"]
        count = sum(self.layers.values())
        lines.append(
            f"{count} layers of {len(self.layers)} kinds: "
            + ", ".join(f"{name} {n}" for name, n in sorted(self.layers.items()))
        )
        for what, n in self.comparisons.items():
            off, seed = self.worst.get(what, (0.0, 0))
            lines.append(f"  {what}: {n} compared; largest difference {off:.1e} (seed {seed})")
        lines += [f"not compared, {n} times: {why}" for why, n in self.refused.most_common(12)]
        lines.append(f"{len(self.failures)} failures")
        return "\n".join([*lines, *self.failures])


def kind_of(error: Exception) -> str:
    """What tells one failure from another."""
    return error.kind if isinstance(error, Failure) else f"{type(error).__name__} {str(error)[:40]}"


def shrunk(program: Program, kind: str, fails: Callable[[Program], str], most: int = 60) -> Program:
    """The smallest program found that fails likewise: lines left out, or what they take in place of what they make."""
    tried, changed = 0, True
    while changed and tried < most:
        changed = False
        for i in range(len(program.lines) - 1, -1, -1):
            for lines in _without(program.lines, i):
                smaller = program._replace(lines=lines)
                tried += 1
                if tried < most and fails(smaller) == kind:
                    program, changed = smaller, True
                    break
            if changed:
                break
    return program


def _without(lines: tuple[str, ...], i: int) -> list[tuple[str, ...]]:
    """The ways to do without a line."""
    name, _, rest = lines[i].partition(" = ")
    found = [(*lines[:i], *lines[i + 1 :])]
    if rest.endswith(")") and ")(" in rest:
        source = rest.rpartition("(")[2][:-1].strip("[]").split(", ")[0]
        rest_of_it = [re.sub(rf"\b{name}\b", source, line) for line in lines[i + 1 :]]
        found.append((*lines[:i], *rest_of_it))
    return found


def covering(seeds: Sequence[int]) -> list[int]:
    """A few of these seeds whose networks have every layer that those of all of them have."""
    drawn = {seed: set(networks.draw(seed)[1]) for seed in seeds}
    missing = set().union(*drawn.values())
    chosen = []
    while missing:
        best = max(drawn, key=lambda seed: len(drawn[seed] & missing))
        chosen.append(best)
        missing -= drawn[best]
    return sorted(chosen)


def main(arguments: list[str] | None = None) -> int:
    """The command; see the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the network of this seed alone")
    parser.add_argument("--kernels", type=int, default=12, help="one of so many networks with kernels; 0: none")
    parser.add_argument("--covering", type=int, help="print those of so many seeds that together have every layer")
    parser.add_argument("--genuine", help="a release to compare with: 1.2.2 or 2.3.1")
    options = parser.parse_args(arguments)
    if options.covering:
        print(covering(range(options.covering)))
        return 0
    end, seed = time.monotonic() + 60 * options.minutes, options.seed
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), options.kernels)
        if options.genuine:
            from tests.reliability.genuine_networks import rounds

            rounds(soak, options.genuine, seed, end)
        elif options.only is not None:
            print(networks.draw(options.only)[0].text)
            soak.one(options.only)
        else:
            while time.monotonic() < end and len(soak.failures) < 20:
                if not soak.one(seed):
                    print(soak.failures[-1], file=sys.stderr, flush=True)
                seed += 1
    print(soak)
    return int(bool(soak.failures))


if __name__ == "__main__":
    sys.exit(main())

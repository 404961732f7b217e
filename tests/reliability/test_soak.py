"""Random networks agree with the interpreter, with themselves after a file, and with genuine Keras: a short soak.

``python -m tests.reliability.soak`` goes on for as long as one likes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat.engine.registry import LAYERS
from tests.keras_compat.genuine import environments
from tests.reliability import genuine_networks, networks, soak
from tests.reliability.soak import Failure, Soak

pytestmark = pytest.mark.promise(45, "soak")

# Their networks have every layer; `python -m tests.reliability.soak --covering 900` finds such seeds.
COVERING = (
    13,
    22,
    27,
    38,
    47,
    53,
    68,
    69,
    83,
    116,
    123,
    126,
    133,
    186,
    258,
    270,
    344,
    400,
    477,
    492,
    577,
    620,
    659,
    678,
    720,
    800,
    880,
)


@pytest.fixture(autouse=True)
def numpy_only() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def soaked(folder: Path, seeds: Any, **how: Any) -> Soak:
    run = Soak(folder, **how)
    for seed in seeds:
        run.one(seed)
    print(f"\n{run}")
    return run


def test_a_short_soak(tmp_path: Path) -> None:
    run = soaked(tmp_path, range(100, 104), gradients=2)
    assert not run.failures, str(run)
    assert run.comparisons["compiled"] == run.comparisons["float32"] == 4
    assert {"file .h5", "file .keras", "JSON", "clone", "goes on", "gradients"} <= set(run.comparisons)
    assert len(run.levels) >= 3


@pytest.mark.slow
def test_a_soak_with_every_layer_and_with_kernels(tmp_path: Path) -> None:
    run = soaked(tmp_path, COVERING, kernels=9)
    assert not run.failures, str(run)
    assert run.comparisons["kernels"] >= 3


def test_every_layer_is_drawn() -> None:
    """The networks of a few seeds have every layer that configs may name. Keep NOT_DRAWN short."""
    drawn = {name for seed in COVERING for name in networks.draw(seed)[1]}
    known = {cls.__name__ for cls in LAYERS.values() if cls.__module__.startswith("keras_compat.")}
    assert known - drawn == networks.NOT_DRAWN & known, (known - drawn) ^ (networks.NOT_DRAWN & known)
    old = {"Convolution1D", "Convolution2D", "Convolution3D", "Deconvolution2D", "SeparableConvolution2D"}
    assert old <= drawn


def test_the_same_seed_is_the_same_network() -> None:
    a, b = networks.draw(7)[0], networks.draw(7)[0]
    assert a == b and a.text == b.text
    assert a != networks.draw(8)[0]
    for x, y in zip(networks.inputs_of(a), networks.inputs_of(b)):
        np.testing.assert_array_equal(x, y)


def test_a_program_is_keras_code(tmp_path: Path) -> None:
    """Its text can be pasted: with the inputs and targets that it names it runs as it stands."""
    program = networks.draw(20, "2.3")[0]
    text = program.text
    assert text.startswith("# level 2.3, seed 20\nfrom keras.layers import *") and "model.compile(" in text
    space = networks.space_of("2.3")
    space |= {f"x{i}": x for i, x in enumerate(networks.inputs_of(program))}
    lines = [line for line in text.splitlines() if not line.startswith("from keras")]
    before = lines.index(next(line for line in lines if line.startswith("model.fit(")))
    exec("\n".join(lines[:before]), space)
    y = networks.targets_of(program, [out.shape[-1] for out in soak.listed(space["model"].outputs)])
    exec(lines[before], space | {"y": soak.single(y)})


# -- the soak can tell ------------------------------------------------------------------------------------------------


def test_a_fault_is_found_and_made_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that is wrong by a millionth for networks with a certain layer."""
    genuine = soak.computed

    def computed(program: networks.Program, way: str) -> soak.Values:
        values = genuine(program, way)
        wrong = way == "compiled" and any("Dense" in line for line in program.lines[1:])
        return {k: v + 1e-6 for k, v in values.items()} if wrong else values

    monkeypatch.setattr(soak, "computed", computed)
    run = Soak(tmp_path, gradients=0)
    program = next(p for p in (networks.draw(seed, "1.2")[0] for seed in range(60)) if len(p.lines) > 6)
    assert not run.one(program.seed, program)
    (said,) = run.failures
    assert "compiled: prediction 0 is off by" in said
    left = said[said.index("# level") :].splitlines()
    assert len(left) < len(program.text.splitlines()), said
    assert "failures" in str(run) and "1 failures" in str(run)


@pytest.mark.parametrize(
    ("came", "expected", "off"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.5], [1.0, 2.0], 0.25),
        ([np.nan], [np.nan], 0.0),
        ([np.nan], [1.0], np.inf),
        ([1.0], [[1.0]], np.inf),
    ],
)
def test_differences_are_measured(came: Any, expected: Any, off: float) -> None:
    assert soak.difference(came, expected) == off


def test_values_that_are_missing_are_a_failure(tmp_path: Path) -> None:
    run = Soak(tmp_path)
    program = networks.draw(3)[0]
    with pytest.raises(Failure, match="are there, expected"):
        run.compare("x", program, {}, {"a": np.ones(1)}, 1.0)
    with pytest.raises(Failure, match="a is off by 1"):
        run.compare("x", program, {"a": np.zeros(1)}, {"a": np.ones(1)}, 0.5)


# -- genuine Keras ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("release", ["1.2.2", "2.3.1"])
def test_genuine_keras_computes_the_same(release: str, tmp_path: Path) -> None:
    if environments.missing(release):
        pytest.skip(environments.missing(release))
    run = Soak(tmp_path)
    genuine_networks.round_of(run, release, range(12))
    print(f"\n{run}")
    assert not run.failures, str(run)
    assert run.comparisons[f"genuine {release}, trained"] >= 8

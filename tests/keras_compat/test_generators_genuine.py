"""Generators and sequences in training as genuine Keras 1.2.2, 2.2.4 and 2.3.1 took them.

What they did stands in ``golden/generators``, made by ``genuine/write_generators.py``; the same cases are run here, at
the level of the release.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_compat

pytestmark = pytest.mark.usefixtures("without_kernels")

HERE = Path(__file__).resolve().parent
LEVELS = {"1.2.2": "1.2", "2.2.4": "2.2", "2.3.1": "2.3"}
FOUND = {
    release: json.loads((HERE / f"golden/generators/keras-{release}.json").read_text())["cases"] for release in LEVELS
}
CASES = [(release, name) for release, cases in FOUND.items() for name in cases]


def only_when_validated(wanted: Any, epochs: list[int]) -> Any:
    """2.3.1's ``fit_generator`` goes on to log the last validation in epochs without one; its ``fit`` does not."""
    history = {
        name: [values[i] for i in epochs] if name.startswith("val_") else values
        for name, values in wanted["history"].items()
    }
    return wanted | {"history": history}


def as_asked(wanted: Any, got: Any) -> Any:
    """Without workers genuine Keras does not shuffle a sequence, 2.2 does not tell it of epochs; with one it does."""
    passes = [got["sequence"][i : i + 5] for i in range(0, 15, 5)]
    assert all(sorted(one) == [0, 1, 2, 3, 4] for one in passes) and got["sequence"] != wanted["sequence"]
    return wanted | {"sequence": got["sequence"], "ends": 3}


# What we do otherwise, see docs/data.md: (release, case) -> what we have in its place, from its result and ours.
OTHERWISE: dict[tuple[str, str], Any] = {
    # 2.3.1 gives the loss of the last batch; 2.2.4 and ours that of all.
    ("2.3.1", "validation by steps"): lambda wanted, got: (
        wanted | {"history": wanted["history"] | {"val_loss": VALIDATED["val_loss"]}}
    ),
    ("2.3.1", "validation now and then"): lambda wanted, got: only_when_validated(wanted, [0, 2]),
    ("2.3.1", "validation at epochs"): lambda wanted, got: only_when_validated(wanted, [0, 3]),
    ("2.2.4", "asked"): as_asked,
    ("2.3.1", "asked"): as_asked,
}
VALIDATED = FOUND["2.2.4"]["validation by steps"]["result"]["history"]


def program(release: str) -> dict[str, Any]:
    """The script with our package in the place of Keras."""
    text = (HERE / "genuine/write_generators.py").read_text()
    text = text.replace("import keras\n", "import keras_compat as keras\n").replace("from keras.", "from keras_compat.")
    text = text.replace('keras.__version__ < "2"', repr(release < "2"))
    made: dict[str, Any] = {"__name__": "cases"}
    exec(compile(text, "write_generators.py", "exec"), made)
    return made


def close(a: Any, b: Any, where: str) -> None:
    """Numbers in nested lists and dictionaries agree."""
    if isinstance(b, dict):
        assert sorted(a) == sorted(b), where
        for name in b:
            close(a[name], b[name], f"{where}.{name}")
    elif isinstance(b, list) and any(isinstance(v, (list, dict, str)) for v in b):
        assert len(a) == len(b), (where, a, b)
        for i, (p, q) in enumerate(zip(a, b)):
            close(p, q, f"{where}[{i}]")
    elif isinstance(b, str) or b is None:
        assert a == b, where
    else:
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6, err_msg=where)


@pytest.mark.parametrize(("release", "name"), CASES)
def test_as_genuine(release: str, name: str) -> None:
    wanted = FOUND[release][name]
    made = program(release)
    case = {**made["KERAS_1"], **made["KERAS_2"], **made["KERAS_23"]} if release > "2" else made["KERAS_1"]
    case["asked"] = made["asked"]
    with keras_compat.api_level(LEVELS[release]), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            got = {"result": case[name]()}
        except Exception as error:
            got = {"error": type(error).__name__, "text": str(error)}
    told = [str(w.message) for w in seen]
    if name == "ends early":  # genuine Keras stops with an error, or hangs
        assert got["result"]["epochs"] == [0] and any("ran out of data after 3 batches" in text for text in told)
    elif "error" in wanted:
        assert got.get("error") == wanted["error"], got
    else:
        change = OTHERWISE.get((release, name), lambda wanted, got: wanted)
        close(got["result"], change(wanted["result"], got["result"]), name)
    if name.startswith("fit"):
        assert any("more than" in text for text in told) == any("more than" in text for text in wanted["warnings"])

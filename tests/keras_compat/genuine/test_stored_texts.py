"""The stored answers about texts and data sets are those that the genuine releases give; skipped where they are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.keras_compat.genuine import environments

GOLDEN = Path(environments.__file__).parents[1] / "golden"
# Answers of 2.2.4 about texts are stored as those of 2.3.1.
TEXTS = {"0.3.3": "0.3.3", "1.2.2": "1.2.2", "2.2.4": "2.3.1", "2.3.1": "2.3.1"}


@pytest.mark.slow
@pytest.mark.parametrize("release", TEXTS)
def test_stored_answers_are_genuine(tmp_path, release):
    if why := environments.missing(release):
        pytest.skip(why)
    for name, stored in (("texts", TEXTS[release]), ("data_sets", release)):
        out = tmp_path / f"{name}.json"
        printed = environments.run(release, "theano", f"write_{name}.py", str(out), home=tmp_path)
        assert f"keras {release}" in printed
        assert json.loads(out.read_text()) == json.loads((GOLDEN / name / f"keras-{stored}.json").read_text())

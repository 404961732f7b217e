"""Pictures changed at random as genuine Keras does it: the same numbers for the same seeds (see ``image_cases``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keras_compat.dialect.level import api_level
from keras_compat.preprocessing import image
from tests.keras_compat import image_cases

GOLDEN = Path(__file__).parent / "golden" / "images"
# 2.2.4 gives what 2.3.1 does.
FILES = {"1.2.2": "1.2.2", "2.2.4": "2.3.1", "2.3.1": "2.3.1"}
WRITTEN = {release: image_cases.load(GOLDEN / f"{name}.npz") for release, name in FILES.items()}


ASKED = [(name, release) for name, releases in image_cases.ASKED.items() for release in releases]


@pytest.mark.parametrize("name, release", ASKED)
def test_numbers_are_those_of_genuine_keras(name: str, release: str, tmp_path: Path) -> None:
    with api_level(release):
        found = image_cases.run(name, image, str(tmp_path))
    expected = WRITTEN[release][name]
    assert [a.shape for a in found] == [a.shape for a in expected]
    for a, b in zip(found, expected):
        # A part of the largest number: pictures are of 0 to 255.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(b).max(initial=0))))


def test_the_releases_differ() -> None:
    """Else the files would not tell whether the level is followed."""
    old, new = WRITTEN["1.2.2"], WRITTEN["2.3.1"]
    same = {
        name
        for name in set(old) & set(new)
        if [a.shape for a in old[name]] == [b.shape for b in new[name]]
        and all(np.allclose(a, b, rtol=1e-3, atol=1e-3) for a, b in zip(old[name], new[name]))
    }
    differing = set(old) & set(new) - same
    assert len(differing) >= 30 and {"option_rotation", "option_all", "order_even_shuffled_seeded"} <= differing
    assert {"option_rescale", "order_colour_shuffled_seeded"} <= same

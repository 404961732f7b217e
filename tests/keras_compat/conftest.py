"""What every test of keras_compat begins with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keras_compat.backend import common


@pytest.fixture(autouse=True)
def image_order_is_nobodys_choice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``set_image_data_format`` counts as a choice for good; a test that sets the order back has still made it."""
    monkeypatch.setattr(common, "_image_order_chosen", common._image_order_chosen)
    yield

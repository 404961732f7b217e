"""What every test of keras_compat begins with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat.backend import common


@pytest.fixture(autouse=True)
def image_order_is_nobodys_choice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``set_image_data_format`` counts as a choice for good; a test that sets the order back has still made it."""
    for name in ("_image_order_chosen", "_image_order_in_old_word"):
        monkeypatch.setattr(common, name, getattr(common, name))
    yield


@pytest.fixture
def small_and_exact() -> Iterator[None]:
    """Everything in float64 and without compiled kernels."""
    K.set_floatx("float64")
    with at.config.use(numba=False):
        yield
    K.set_floatx("float32")


@pytest.fixture
def without_kernels() -> Iterator[None]:
    """No generated kernels: for modules that ask what a program means, where kernels would take minutes to compile."""
    with at.config.use(numba=False):
        yield


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    """Names that are given to layers begin at 1, whatever ran before."""
    K.clear_session()

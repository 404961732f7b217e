"""What tests of reliability begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import autotensor as at
from keras_compat import backend as K


@pytest.fixture
def without_kernels() -> Iterator[None]:
    """No generated kernels: for modules that ask what happens around a program, where compiling would take minutes."""
    with at.config.use(numba=False):
        yield


@pytest.fixture(autouse=True)
def fresh_names() -> None:
    """Names that are given to layers begin at 1, whatever ran before."""
    K.clear_session()

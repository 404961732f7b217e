"""What these tests say holds for NumPy alone."""

from __future__ import annotations

import pytest

import autotensor as at


@pytest.fixture(autouse=True)
def plain():
    with at.config.use(numba=False):
        yield

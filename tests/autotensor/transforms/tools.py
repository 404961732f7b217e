"""What the tests of transforms share."""

from __future__ import annotations

import numpy as np


def close(got, want, tol=1e-12):
    """Equal but for rounding."""
    np.testing.assert_allclose(np.asarray(got), want, rtol=tol, atol=tol)

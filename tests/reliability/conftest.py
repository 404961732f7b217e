"""What tests of reliability begin with: the same as those of keras_compat."""

from __future__ import annotations

from tests.keras_compat.conftest import fresh_names as fresh_names
from tests.keras_compat.conftest import without_kernels as without_kernels

"""Tools for testing what is built on the engine: gradients against differences."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from autotensor.errors import GradientCheckError
from autotensor.testing.check_grad import check_grad
from autotensor.testing.graphs import graph_function
from autotensor.testing.report import InputReport, Report

__all__ = ["GradientCheckError", "InputReport", "Report", "check_grad", "graph_function"]

if TYPE_CHECKING:
    from autotensor.testing import strategies  # noqa: F401
else:

    def __getattr__(name):
        if name == "strategies":  # wants Hypothesis, so it is imported when it is asked for
            return importlib.import_module("autotensor.testing.strategies")
        raise AttributeError(f"module 'autotensor.testing' has no attribute {name!r}")

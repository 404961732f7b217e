"""Tools for testing what is built on the engine: gradients against differences."""

from __future__ import annotations

from autotensor.errors import GradientCheckError
from autotensor.testing.check_grad import check_grad
from autotensor.testing.graphs import graph_function
from autotensor.testing.report import InputReport, Report

__all__ = ["GradientCheckError", "InputReport", "Report", "check_grad", "graph_function"]

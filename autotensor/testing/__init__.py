"""Tools for testing what is built on the engine: gradients against differences."""

from __future__ import annotations

import importlib
from typing import Any

from autotensor.errors import GradientCheckError
from autotensor.testing.check_grad import check_grad
from autotensor.testing.graphs import graph_function
from autotensor.testing.report import InputReport, Report

__all__ = ["GradientCheckError", "InputReport", "Report", "check_grad", "graph_function"]

# What wants a package of its own (Hypothesis) is imported when it is asked for.
_LATER = ("strategies",)


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return importlib.import_module(f"autotensor.testing.{name}")
    raise AttributeError(f"module 'autotensor.testing' has no attribute {name!r}")

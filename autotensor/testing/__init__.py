"""Tools for testing what is built on the engine: gradients against differences."""

from __future__ import annotations

from autotensor.testing.check_grad import GradCheckError, InputReport, Report, check_grad

__all__ = ["GradCheckError", "InputReport", "Report", "check_grad"]

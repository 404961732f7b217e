"""Helpers of HIPS autograd: ``flatten``, ``optimizers`` and ``fixed_points``."""

from autotensor.misc.flatten import flatten

__all__ = ["flatten"]

"""``numpy.random`` for programs written for HIPS autograd: NumPy's own, drawing arrays."""

from numpy.random import *  # noqa: F403
from numpy.random import Generator, RandomState, default_rng  # noqa: F401

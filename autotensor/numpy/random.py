"""``numpy.random`` for programs written for HIPS autograd: NumPy's own, drawing arrays."""

import numpy.random as _random

globals().update({name: getattr(_random, name) for name in dir(_random) if not name.startswith("_")})

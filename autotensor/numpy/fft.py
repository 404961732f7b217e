"""``numpy.fft`` for programs written for HIPS autograd; tensors keep their gradients."""

import numpy as _np

from autotensor.numpy._lifting import namespace as _namespace

globals().update(_namespace(_np.fft))

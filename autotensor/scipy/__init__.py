"""The parts of SciPy that HIPS autograd has: special, stats, linalg, integrate, signal.

Values without tensors among the arguments are arrays, as SciPy's are.
"""

"""Speed: Numba leaves that know arrays and scalars, and nothing else of the engine."""

"""Every error the engine raises on purpose.

The message has one form: ``[op] what was expected; what came. One hint.``
Each class also derives from the built-in error that a caller of NumPy or Keras would catch.
"""

from __future__ import annotations


class AutotensorError(Exception):
    """Base class of all errors raised by autotensor."""


class ShapeError(AutotensorError, ValueError):
    """Operands have shapes, axes or ranks that do not fit together."""


class DTypeError(AutotensorError, TypeError):
    """An operand has a dtype, or a type, that the operation does not take."""


class TraceError(AutotensorError, TypeError):
    """The value of a tensor was asked for that has none yet (a placeholder, or what depends on one)."""


class GradError(AutotensorError, ValueError):
    """A gradient does not exist, or would be wrong (for example after an in-place write)."""


class GraphError(AutotensorError, ValueError):
    """A symbolic graph is not well formed, or a compiled function was called with the wrong arguments."""


class NanError(AutotensorError, FloatingPointError):
    """The NaN guard met the first NaN or infinity; the message names its operation and the user's line."""

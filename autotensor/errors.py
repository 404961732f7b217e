"""Every error the engine raises on purpose.

The message has one form: ``[op] what was expected; what came. One hint.``
Each class also derives from the built-in error that a caller of NumPy or Keras would catch.
"""

from __future__ import annotations

from typing import Any


class AutotensorError(Exception):
    """Base class of all errors raised by autotensor."""


class ShapeError(AutotensorError, ValueError):
    """Operands have shapes, axes or ranks that do not fit together."""


class RangeError(ShapeError, IndexError):
    """An axis or an index that does not exist."""


class DTypeError(AutotensorError, TypeError):
    """An operand has a dtype, or a type, that the operation does not take."""


class TraceError(AutotensorError, TypeError):
    """The value of a tensor was asked for that has none yet (a placeholder, or what depends on one)."""


class GradError(AutotensorError, ValueError):
    """A gradient does not exist, or would be wrong (for example after an in-place write)."""


class GraphError(AutotensorError, ValueError):
    """A symbolic graph is not well formed, or a compiled function was called with the wrong arguments."""


class TreeError(AutotensorError, ValueError):
    """Trees of arguments or results do not have the form that is expected; the message names the place."""


class NanError(AutotensorError, FloatingPointError):
    """Anomaly mode met the first NaN or infinity; the message names its operation and the user's line.

    What the message says is there for programs, too: ``op`` (name of the operation), ``where`` (``"file:line"`` of the
    program), ``layer`` (its ``name_scope``), ``index`` and ``count`` of the bad elements, ``step`` of a loop; for a
    gradient ``gradient_of``, the operation whose rule it was, and ``recorded``, the line of that. ``spans`` are the
    parts of the program around it, innermost first: ``["batch 3", "epoch 0"]``.
    """

    op: str = ""
    where: str = ""
    layer: str | None = None
    index: tuple[int, ...] = ()
    count: int = 0
    step: int | None = None
    gradient_of: str | None = None
    recorded: str | None = None

    def __init__(self, *args: object):
        super().__init__(*args)
        self.spans: list[str] = []

    def within(self, name: str) -> None:
        """Note that the error left a part of the program that has a name (see ``at.span``)."""
        self.spans.append(name)

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text} (In {', '.join(self.spans)}.)" if self.spans else text


class GradientCheckError(GradError, AssertionError):
    """A gradient disagrees with differences of function values. ``report`` says where and by how much."""

    def __init__(self, message: str, report: Any = None):
        super().__init__(message)
        self.report = report

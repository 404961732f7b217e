"""What a gradient check found, as numbers and as plain text."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

_COLUMNS = ["order", "input", "shape", "checked", "kinks", "worst at", "analytic", "numeric", "error", "allowed", ""]
# As many elements are named in a line of text.
_SHOWN = 5


@dataclass
class InputReport:
    """What was found for one input at one order.

    Attributes:
        name: of the input: its position, its path in a container, or the name of a Variable.
        order: of the derivative.
        shape, size: of the input.
        ok: True when the gradient agrees with the differences.
        analytic, numeric: the two derivatives where they differ most in terms of what is allowed. Complex for an
            element of a complex input.
        allowed: how far they may be apart there.
        worst: the element of the input that they belong to; None for a random direction through all elements.
        output: the element of the outputs, as (number of the output, *index); None for a random sum over them all.
        kinks: elements that were not checked, because the function has no derivative there.
        unsettled: elements where the differences do not settle at any step; they make the check fail.
        moved: True when every element was on a kink and another point nearby was checked.
        problem: what seems to be wrong, in words.
        mode: "jacobian", "elements" or "projection".
    """

    name: str
    order: int
    shape: tuple[int, ...]
    size: int
    ok: bool = True
    analytic: Any = 0.0
    numeric: Any = 0.0
    allowed: float = 0.0
    worst: tuple[int, ...] | None = None
    output: tuple[int, ...] | None = None
    kinks: list[tuple[int, ...]] = field(default_factory=list)
    unsettled: list[tuple[int, ...]] = field(default_factory=list)
    moved: bool = False
    problem: str = ""
    mode: str = ""

    @property
    def error(self) -> float:
        """Distance of the analytic from the numeric derivative."""
        return abs(self.analytic - self.numeric)

    @property
    def checked(self) -> int:
        """Number of elements that took part."""
        return self.size - len(self.kinks) - len(self.unsettled)

    @property
    def badness(self) -> float:
        """The error in terms of what is allowed: above 1 it is wrong."""
        return badness(self.error, self.allowed)

    @property
    def where(self) -> str:
        """The place of the worst disagreement, in words."""
        place = "a random direction" if self.worst is None else f"element {list(self.worst)}"
        return place if self.output is None else f"{place} of the input, {self._output()}"

    def _output(self) -> str:
        assert self.output is not None
        number, *index = self.output
        return f"element {index} of output {number}"

    def _row(self) -> list[str]:
        place = "direction" if self.worst is None else str(list(self.worst))
        state = ("ok" if self.ok else "WRONG") + (" (moved)" if self.moved else "")
        state += f": {self.problem}" if self.problem else ""
        numbers = [f"{self.analytic:.8g}", f"{self.numeric:.8g}", f"{self.error:.2g}", f"{self.allowed:.2g}"]
        counts = [str(self.checked), str(len(self.kinks))]
        return [str(self.order), self.name, str(self.shape), *counts, place, *numbers, state]


@dataclass
class Report:
    """Result of ``check_grad``: a row for each input and order. True when every gradient agrees."""

    inputs: list[InputReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # of the function as a whole: they make the check fail
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when every gradient agrees with the differences."""
        return not self.problems and all(row.ok for row in self.inputs)

    @property
    def kinks(self) -> int:
        """Number of elements left out because the function has no derivative there."""
        return sum(len(row.kinks) for row in self.inputs)

    @property
    def worst(self) -> InputReport | None:
        """The row with the largest error in terms of what was allowed."""
        rows = [row for row in self.inputs if row.size]
        return max(rows, key=lambda row: (not row.ok, row.badness), default=None)

    @property
    def text(self) -> str:
        """The table of all inputs, then what was left out, problems and notes."""
        rows = [_COLUMNS, *[row._row() for row in self.inputs]]
        widths = [max(len(row[k]) for row in rows) for k in range(len(_COLUMNS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        for row in self.inputs:
            if row.output is not None and not row.ok:
                lines.append(f"{row.name} (order {row.order}): the numbers are those of {row._output()}")
            if row.kinks:
                lines.append(f"kinks of {row.name} (order {row.order}), not checked: {listed(row.kinks)}")
        lines += [f"problem: {problem}" for problem in self.problems]
        return "\n".join(lines + [f"note: {note}" for note in self.notes])

    def message(self) -> str:
        """The text of the error that carries this report."""
        if self.problems:
            return f"[check_grad] expected a function that can be checked; {self.problems[0]}\n{self.text}"
        row = self.worst
        if row is None:
            return f"[check_grad] nothing was checked\n{self.text}"
        apart = (
            f"at {row.where} it is {row.analytic:.8g}, differences give {row.numeric:.8g} "
            f"(off by {row.error:.2g}, {row.allowed:.2g} allowed)"
        )
        problem = row.problem or "Look at the rule for that input."
        return (
            f"[check_grad] gradient of order {row.order} for input {row.name!r} should agree with differences; "
            f"{apart}. {problem}\n{self.text}"
        )

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return self.text


def badness(error: float, allowed: float) -> float:
    """Error in terms of what is allowed; NaN is as bad as it gets."""
    ratio = error / allowed if allowed > 0 else (0.0 if error == 0 else math.inf)
    return ratio if ratio == ratio else math.inf


def listed(indices: list[tuple[int, ...]]) -> str:
    """The first few of the indices, and how many there are beside."""
    shown = ", ".join(str(list(index)) for index in indices[:_SHOWN])
    return shown + (f" and {len(indices) - _SHOWN} more" if len(indices) > _SHOWN else "")

"""Keras's progress bar. A bar that can not be shown never stops what it reports on."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

# A log file or a pipe gets a line at most this often, in seconds, beside the last one.
_PLAIN_INTERVAL = 10.0
# A bar needs some place, whatever a terminal says.
_LEAST_COLUMNS = 10


class Progbar:
    """Shows how far a loop has come, with time left and averages of values.

    On a terminal (or in a notebook) the line is rewritten in place, at most every ``interval`` seconds; elsewhere a
    line is written at the end and about every ten seconds. Output that fails (a closed pipe) ends the display only.

    Args:
        target: number of steps, None if unknown.
        width: of the bar, in characters; narrowed to fit the terminal.
        verbose: 1 bar, 2 one line at the end, 0 silent.
        interval: least seconds between redraws.
        stateful_metrics: names of values that are shown as they come; others are averaged over the steps.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 30,
        verbose: int = 1,
        interval: float = 0.1,
        stateful_metrics: Iterable[str] | None = None,
    ):
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.stateful_metrics = set(stateful_metrics or ())
        self._dynamic_display = _rewrites_lines()
        self._seen_so_far = 0
        self._values: dict[str, Any] = {}
        self._start = time.perf_counter()
        self._next_draw = 0.0
        self._total_width = 0
        self._broken = False

    def due(self) -> bool:
        """True when a redraw would show; cheap, so that callers can skip making the values."""
        return self.verbose == 1 and time.perf_counter() >= self._next_draw

    def update(self, current: int, values: Sequence[tuple[str, Any]] | None = None, force: bool = False) -> None:
        """Note the step reached and the values there, and redraw when it is time.

        Args:
            current: index of the current step.
            values: pairs (name, value). A value whose name is in ``stateful_metrics`` is shown as it is, others are
                averaged, weighted by steps; a pair (name, None) shows the name only.
            force: redraw now (Keras 1).
        """
        for name, value in values or ():
            if name in self.stateful_metrics or value is None:
                self._values[name] = value
            else:
                old = self._values.get(name)
                steps = current - self._seen_so_far
                if not isinstance(old, list):
                    self._values[name] = [value * steps, steps]
                else:
                    old[0] += value * steps
                    old[1] += steps
        self._seen_so_far = current
        last = self.target is not None and current >= self.target
        if self.verbose == 1:
            now = time.perf_counter()
            if now < self._next_draw and not last and not force:
                return
            if self._dynamic_display:
                self._next_draw = now + self.interval
            else:
                first = self._next_draw == 0.0
                self._next_draw = now + _PLAIN_INTERVAL
                if first and not last:
                    return
            self._draw(current, now, last)
        elif self.verbose == 2 and (last or self.target is None):
            self._write_line()

    @property
    def seen_so_far(self) -> int:
        """How many are done (Keras 1's name)."""
        return self._seen_so_far

    def elapsed(self) -> float:
        """Seconds since the bar was made."""
        return time.perf_counter() - self._start

    def finish(self, current: int, values: Sequence[tuple[str, Any]]) -> None:
        """Draw the last line, whatever the target was, with these values as they are."""
        self._values = dict(values)
        self._seen_so_far = current
        if self.verbose == 2:
            self._write_line()
        else:
            self._draw(current, time.perf_counter(), True)

    def _write_line(self) -> None:
        self._write(f" - {self.elapsed():.0f}s{self._values_text()}\n")

    def leave(self) -> None:
        """End the line of a bar that has not come to its end, so that what is printed next begins a line."""
        if self._total_width:
            self._total_width = 0
            self._write("\n")

    def add(self, n: int, values: Sequence[tuple[str, Any]] | None = None) -> None:
        """Go ``n`` steps on."""
        self.update(self._seen_so_far + n, values)

    def _draw(self, current: int, now: float, last: bool) -> None:
        elapsed = now - self._start
        tail = self._time_text(current, elapsed, last) + self._values_text()
        if not self._dynamic_display:
            self._write(self._bar_text(current, self.width) + tail + "\n")
            return
        columns = _columns()
        head = self._bar_text(current, self.width)
        over = len(head) + len(tail) - (columns - 1)
        if over > 0 and not last:  # a line that wraps can not be rewritten; the last one need not be
            head = self._bar_text(current, max(self.width - over, 5)) if self.target is not None else head
        line = head + tail if last else (head + tail)[: columns - 1]
        pad = " " * max(min(self._total_width, columns - 1) - len(line), 0)
        self._total_width = 0 if last else len(line)
        self._write("\r" + line + pad + ("\n" if last else ""))

    def _bar_text(self, current: int, width: int) -> str:
        if self.target is None:
            return f"{current:7d}/Unknown"
        digits = int(math.log10(max(self.target, 1))) + 1
        done = int(width * min(current / max(self.target, 1), 1.0))
        arrow = ""
        if done > 0:
            arrow = "=" * (done - 1) + (">" if current < self.target else "=")
        return f"{current:{digits}d}/{self.target} [{arrow}{'.' * (width - done)}]"

    def _time_text(self, current: int, elapsed: float, last: bool) -> str:
        per_unit = elapsed / current if current else 0.0
        if self.target is not None and not last:
            eta = per_unit * (self.target - current)
            if eta > 3600:
                text = f"{int(eta // 3600)}:{int(eta % 3600 // 60):02d}:{int(eta % 60):02d}"
            elif eta > 60:
                text = f"{int(eta // 60)}:{int(eta % 60):02d}"
            else:
                text = f"{int(eta)}s"
            return f" - ETA: {text}"
        return f" - {elapsed:.0f}s {step_time(per_unit)}"

    def _values_text(self) -> str:
        out = ""
        for name, value in self._values.items():
            if value is None:
                out += f" - {name}"
                continue
            if isinstance(value, list):
                value = value[0] / max(1, value[1])
            out += f" - {name}: {show_value(value, self.verbose == 2)}"
        return out

    def _write(self, text: str) -> None:
        if not self._broken:
            self._broken = not write_out(text)


def show_value(value: Any, in_line: bool = False) -> str:
    """A metric as the bar shows it: four decimals, or an exponent when small; in Keras's lines also when negative."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return f"{number:.4f}" if (number if in_line else abs(number)) > 1e-3 else f"{number:.4e}"


def step_time(seconds: float) -> str:
    """``"53us/step"``, ``"3ms/step"``, ``"2s/step"``."""
    if seconds >= 1:
        return f"{seconds:.0f}s/step"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/step"
    return f"{seconds * 1e6:.0f}us/step"


def write_out(text: str) -> bool:
    """Write to standard output; False when that is not possible, whatever the reason."""
    out = sys.stdout
    if out is None:
        return False
    try:
        try:
            out.write(text)
        except UnicodeEncodeError:
            encoding = getattr(out, "encoding", None) or "ascii"
            out.write(text.encode(encoding, "replace").decode(encoding))
        out.flush()
    except (OSError, ValueError, AttributeError):  # closed pipe, closed file, an object without flush
        return False
    return True


def _rewrites_lines() -> bool:
    """True where a carriage return goes back to the start of the line: terminals and notebooks."""
    if "ipykernel" in sys.modules:
        return True
    try:
        return bool(sys.stdout.isatty())
    except (AttributeError, ValueError):
        return False


def _columns() -> int:
    if "ipykernel" in sys.modules:
        return 10_000
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return max(int(columns), _LEAST_COLUMNS)
    try:
        found = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError, AttributeError):
        found = 0
    return max(found or 80, _LEAST_COLUMNS)  # some terminals say 0

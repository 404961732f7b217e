"""Work counted, not timed: the same number on an idle machine and on a busy one."""

import os
import sys
from collections.abc import Callable

import autotensor

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(autotensor.__file__)))


def lines_run(call: Callable[[], object], within: str) -> int:
    """How many lines of a package's Python code one call runs.

    ``within`` is a package's folder, relative to the folder which holds the packages.  Every turn of a
    comprehension counts as a line of its own; what libraries do in C does not count.
    """
    folder = os.path.join(ROOT, within) + os.sep
    count = 0

    def line(frame, event, arg):
        nonlocal count
        count += event == "line"
        return line

    def frame_of(frame, event, arg):
        return line if frame.f_code.co_filename.startswith(folder) else None

    before = sys.gettrace()
    sys.settrace(frame_of)
    try:
        call()
    finally:
        sys.settrace(before)
    return count

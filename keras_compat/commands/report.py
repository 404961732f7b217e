"""What ``run --report`` says when the program has ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from keras_compat.commands import stand_ins
from keras_compat.dialect.install import report
from keras_compat.dialect.level import get_api_level

# Modules that Keras 2.3 no longer has, or has under another name.
MOVED = {
    "keras.initializations": "keras.initializers",
    "keras.layers.containers": "keras.models",
    "keras.objectives": "keras.losses",
    "keras.utils.visualize_util": "keras.utils.vis_utils",
}


def show(asked: Mapping[str, str]) -> None:
    """Print the report to stderr.

    Args:
        asked: modules that the program imported under Keras's names, and ``file:line`` of the first time.
    """
    rows = [
        (
            _short(line.where),
            line.note.callable,
            f"{line.note.old} -> {line.note.new or 'left out'}",
            "once" if line.count == 1 else f"{line.count} times",
        )
        for line in report()
    ]
    rows += [(_short(asked[old]), "import", f"{old} -> {new}", "") for old, new in MOVED.items() if old in asked]
    rows += [(_short(where), name, note, "") for name, (where, note) in stand_ins.used.items()]
    if not rows:
        print("[run] no old spellings: nothing was translated.", file=sys.stderr)
        return
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    print(f"[run] translated: {len(rows)} old spellings, each where it came first", file=sys.stderr)
    for row in rows:
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0])), file=sys.stderr)
    print(f"[run] API level {get_api_level()}: it decides what no spelling tells (run --help)", file=sys.stderr)


def _short(where: str) -> str:
    """A place relative to the current folder, if it lies in it."""
    try:
        inside = os.path.relpath(where)
    except (OSError, ValueError):
        return where
    return where if inside.startswith("..") else inside

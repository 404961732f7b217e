"""The command line: ``python -m keras_compat COMMAND``. Each command is a module of `keras_compat.commands`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .commands import convert, demo, diff, doctor, inspect, run
from .version import KERAS_VERSION

COMMANDS = (demo, run, inspect, convert, diff, doctor)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m keras_compat", description="Keras on NumPy and Numba.")
    parser.add_argument("--version", action="version", version=f"keras_compat, which answers as Keras {KERAS_VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        names = ", ".join(command.__name__.rpartition(".")[2] for command in COMMANDS)
        parser.exit(2, f"\nerror: a command is expected: {names}\n")
    try:
        status = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has what it wants; Python would flush once more at its end, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as a shell says it of a program that a closed pipe ended
    return status


if __name__ == "__main__":
    sys.exit(main())

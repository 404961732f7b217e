"""What docs/old_scripts.md says to do about a message is done here, row by row.

`programs/by_message.py` has a small program for each row, written as people write them. All run under
`python -m keras_compat run`, one after another, each in a child of its own and an empty folder.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from keras_compat.commands import run

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "old_scripts.md"

TEXT = (HERE / "programs" / "by_message.py").read_text(encoding="utf-8")
PROGRAMS = {part.partition("\n")[0]: part.partition("\n")[2] for part in TEXT.split("# == ")[1:]}

# Run under `keras_compat run`; one child each, as some programs change what holds for the whole process.
RUNNER = """
import os, sys, tempfile, traceback
import keras, keras.wrappers.scikit_learn, pandas, sklearn.model_selection  # once, not in each child


def fails(action, *words):
    try:
        action()
    except Exception as error:
        missing = [word for word in words if word not in str(error)]
        assert not missing, f"{type(error).__name__}: {error} -- without {missing}"
    else:
        raise AssertionError("no error came")


parts = open(sys.argv[1]).read().split("# == ")[1:]
for number, part in enumerate(parts):
    message, _, program = part.partition("\\n")
    child = os.fork()
    if child == 0:
        os.chdir(tempfile.mkdtemp(dir="."))
        try:
            exec(compile(program, message, "exec"), globals())
        except BaseException:
            print(traceback.format_exc())
            os._exit(1)
        os._exit(0)
    print(f"<{os.waitpid(child, 0)[1]} {number}>", flush=True)
"""


def messages(text: str) -> list[str]:
    """The first message of each row of the page's tables."""
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    return [(re.match(r"\| (`+) ?(.*?) ?\1(?!`)", row) or [""] * 3)[2] for row in rows]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each program printed before it failed; nothing for those that did not."""
    folder = tmp_path_factory.mktemp("old_scripts")
    (folder / "runner.py").write_text(RUNNER)
    (folder / "programs.py").write_text(TEXT, encoding="utf-8")
    env = {**os.environ, "AUTOTENSOR_NUMBA": "0", "AUTOTENSOR_THREADS": "1", "KERAS_HOME": str(folder)}
    env.pop("KERAS_COMPAT_API", None)
    line, env = run.command(["runner.py", "programs.py"], env)
    done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^<(\d+) \d+>\n", done.stdout, flags=re.M)
    return {
        message: f"{printed}\n{done.stderr}" if int(status) else ""
        for message, printed, status in zip(PROGRAMS, parts[::2], parts[1::2], strict=False)
    }


def test_every_row_has_a_program_and_every_program_a_row() -> None:
    listed = messages(PAGE.read_text(encoding="utf-8"))
    assert len(listed) == len(set(listed)) and set(listed) == PROGRAMS.keys()
    assert messages("| `` a `b` c ``, `d` | x |\n| `e`, `f` | y |\nnothing") == ["a `b` c", "e"]


@pytest.mark.parametrize("message", PROGRAMS)
def test_what_the_page_says_works(message: str, results: dict[str, str]) -> None:
    assert results[message] == ""

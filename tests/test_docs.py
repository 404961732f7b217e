"""The documents do what they say: their Python runs, shown output is what comes, commands and links lead somewhere.

Rules for writers, in every file below:

- a ```python block runs after those before it, all blocks of a file in one namespace and one fresh process, in an
  empty folder; after a line ``<!-- not run -->`` it is only compiled (how many there are is fixed below);
- a ```text block right after a ```python block is its output; ``...`` stands for what differs from run to run.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
NOT_RUN = "<!-- not run -->"

# Skipping a block is a decision: a new one is counted here.
BLOCKS_NOT_RUN: dict[str, int] = {}

# What these pages say holds for NumPy alone; compiling kernels for them would take minutes where none are cached.
WITHOUT_KERNELS = {
    "applications.md",
    "array_api.md",
    "autotensor.md",
    "callbacks.md",
    "data.md",
    "derivatives.md",
    "differences.md",
    "distributed.md",
    "files.md",
    "finding_errors.md",
    "gradient_checks.md",
    "keras.md",
    "numerics.md",
    "numpy.md",
    "preprocessing.md",
    "quickstart.md",
    "scikit_learn.md",
}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


@dataclass
class Block:
    """A fenced block: its language, text, the 1-based line of its opening fence, and whether it is to be run."""

    language: str
    lines: list[str]
    start: int
    runs: bool = True
    follows: bool = False  # nothing but empty lines between it and the block before

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def blocks_of(text: str) -> list[Block]:
    """Every fenced block of a Markdown text, in order; blocks in lists may be indented."""
    found: list[Block] = []
    open_block: Block | None = None
    indent = 0
    between = ["start"]
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"( *)```(\w*)\s*$", line)
        if open_block is not None:
            if fence and not fence[2]:
                found.append(open_block)
                open_block, between = None, []
            else:
                open_block.lines.append(line[min(indent, len(line) - len(line.lstrip())) :])
        elif fence:
            indent = len(fence[1])
            skipped = bool(between) and between[-1] == NOT_RUN
            open_block = Block(fence[2], [], number, not skipped, not between)
        elif line.strip():
            between.append(line.strip())
    assert open_block is None, f"the block opened in line {open_block.start} is not closed"
    return found


def program_of(blocks: list[Block]) -> str:
    """One program of the blocks that run, each at the lines it has in the document; marks separate their output."""
    lines: list[str] = []
    for block in blocks:
        if block.language == "python" and block.runs:
            lines += [""] * (block.start - len(lines))
            lines += [*block.lines, f"print('<end of block {block.start}>', flush=True)"]
    return "\n".join(lines) + "\n"


def run(program: str, folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    script = folder / f"document_{name}.py"  # not the name of a module it imports
    script.write_text(program, encoding="utf-8")
    # The document's own output only: no switches from outside, and modules of this tree.
    env = {key: value for key, value in os.environ.items() if key not in SWITCHES}
    env["PYTHONPATH"] = str(ROOT)
    if f"{name}.md" in WITHOUT_KERNELS:
        env["AUTOTENSOR_NUMBA"] = "0"
    return subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=env, capture_output=True, text=True, timeout=600
    )


SWITCHES = {f"AUTOTENSOR_{name}" for name in ("COMPILE", "FUSE", "NUMBA", "NAN_GUARD", "DEBUG")} | {
    "KERAS_COMPAT_API",
    "NUMBA_DISABLE_JIT",
}


@each_document
def test_the_python_runs_and_prints_what_is_shown(path: Path, tmp_path: Path) -> None:
    blocks = blocks_of(path.read_text(encoding="utf-8"))
    python = [block for block in blocks if block.language == "python"]
    for block in python:
        compile(block.text, f"{path.name}, line {block.start}", "exec")
    assert sum(not block.runs for block in python) == BLOCKS_NOT_RUN.get(path.name, 0)
    if not any(block.runs for block in python):
        return
    done = run(program_of(blocks), tmp_path, path.stem)
    assert done.returncode == 0, f"{path.name} fails (lines as in the document):\n{done.stderr}"
    printed = outputs(done.stdout)
    checker = doctest.OutputChecker()
    wrong = []
    for before, block in zip(blocks, blocks[1:]):
        if block.language == "text" and block.follows and before.language == "python" and before.runs:
            got = printed[before.start]
            if not checker.check_output(tidy(block.text), tidy(got), doctest.ELLIPSIS):
                wrong.append(f"{path.name}, line {block.start}: this is printed instead:\n{got}")
    assert not wrong, "\n".join(wrong)


def outputs(stdout: str) -> dict[int, str]:
    """What each block printed, by the line of its opening fence."""
    parts = re.split(r"<end of block (\d+)>\n", stdout)
    return {int(number): text for text, number in zip(parts[::2], parts[1::2])}


def tidy(text: str) -> str:
    """Without carriage returns (what a progress bar overwrites), trailing blanks and empty lines."""
    lines = [line.rsplit("\r", 1)[-1].replace("\b", "").rstrip() for line in text.split("\n")]
    return "".join(f"{line}\n" for line in lines if line)


# -- commands


def extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"])


def problems_of(command: str) -> list[str]:
    """What a command names that does not exist: extras, modules, files."""
    found = []
    for listed in re.findall(r"(?:\.|autotensor)\[([\w,]+)\]", command):
        found += [f"no extra {name!r}" for name in listed.split(",") if name not in extras()]
    # What stands behind pytest, and `-m slow` alone, is a mark of tests.
    modules = re.sub(r"(\bpytest\b.*?|^)-m (slow|promise)\b", r"\1", command)
    for module in re.findall(r"-m ([a-z_]+(?:\.[a-z_]+)*)(?![\w.\"])", modules):
        own = ROOT.joinpath(*module.split("."))
        if (ROOT / module.partition(".")[0]).is_dir():
            exists = own.is_dir() or own.with_suffix(".py").is_file()
        else:
            exists = "." not in module and importlib.util.find_spec(module) is not None
        if not exists:
            found.append(f"no module {module!r}")
    for file in re.findall(r"(?<![\w./~])((?:tests|benchmarks|examples|docs|\.ci)(?:/[\w./]*)?)(?=[\s`]|$)", command):
        if not (ROOT / file).exists():
            found.append(f"no file {file!r}")
    return found


def commands_of(text: str) -> list[str]:
    """Lines of ```sh and ```console blocks, and commands between backticks in tables and prose."""
    blocks = [block for block in blocks_of(text) if block.language in ("sh", "console")]
    listed = [line.removeprefix("$ ") for block in blocks for line in block.lines if line.strip()]
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.S | re.M)
    return listed + [span for span in re.findall(r"`([^`\n]+)`", prose) if re.search(r"pip install|-m \w", span)]


@each_document
def test_commands_name_what_exists(path: Path) -> None:
    wrong = [
        f"{path.name}: {command}: {problem}"
        for command in commands_of(path.read_text(encoding="utf-8"))
        for problem in problems_of(command)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_readme_has_its_two_commands() -> None:
    commands = commands_of((ROOT / "README.md").read_text(encoding="utf-8"))
    assert any("python -m keras_compat demo" in c and ".[demo]" in c for c in commands)
    assert any("python -m pytest" in c and ".[test]" in c for c in commands)


# -- links


def anchor(heading: str) -> str:
    """The name that a heading gets as the target of links."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, mark = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), f"{path.name}: {target} does not exist"
        if mark:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), flags=re.M)
            assert mark in map(anchor, headings), f"{path.name}: no heading for {target}"


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    missing = [path.name for path in (ROOT / "docs").glob("*.md") if f"({path.name})" not in index]
    assert missing == (["index.md"] if "(index.md)" not in index else [])


# -- what `help()` shows


def without_text(module: ModuleType) -> list[str]:
    """Public functions and classes of a module, and methods of our own classes, that say nothing about themselves."""
    found = []
    for name, value in vars(module).items():
        if name.startswith("_") or isinstance(value, ModuleType) or not callable(value):
            continue
        if not inspect.getdoc(value):
            found.append(name)
        if inspect.isclass(value) and value.__module__.partition(".")[0] in ("autotensor", "keras_compat"):
            slots = inspect.ismemberdescriptor  # the text of the class describes them
            methods = [key for key, member in vars(value).items() if not (key.startswith("_") or slots(member))]
            functions = (inspect.isroutine, inspect.isdatadescriptor)
            found += [
                f"{name}.{key}"
                for key in methods
                if any(is_one(inspect.getattr_static(value, key)) for is_one in functions)
                and not inspect.getdoc(getattr(value, key))
            ]
    return found


@pytest.mark.parametrize("name", ["autotensor", "keras_compat.backend", "keras_compat.layers", "keras_compat.models"])
def test_what_is_public_has_a_text(name: str) -> None:
    assert without_text(importlib.import_module(name)) == []


def test_a_missing_text_is_noticed() -> None:
    module = ModuleType("planted")
    source = (
        "class A:\n    'Has one.'\n    def f(self): pass\n    def _g(self): pass\ndef h(): pass\ndef i(): 'Has one.'\n"
    )
    exec(source, {"__name__": "keras_compat.planted"}, vars(module))
    assert without_text(module) == ["A.f", "h"]


# -- the tools above can fail

PLANTED = """
```python
a = 1
```

<!-- not run -->
```python
b = unknown
```

   ```python
   print(a + 1)
   ```

   ```text
   2
   ```
"""


def test_blocks_are_found() -> None:
    blocks = blocks_of(PLANTED)
    assert [(b.language, b.runs, b.follows) for b in blocks] == [
        ("python", True, False),
        ("python", False, False),
        ("python", True, True),
        ("text", True, True),
    ]
    assert blocks[2].text == "print(a + 1)\n"
    lines = program_of(blocks).split("\n")
    assert lines[blocks[0].start] == "a = 1" and lines[blocks[2].start] == "print(a + 1)"
    assert "unknown" not in program_of(blocks)


def test_outputs_are_told_apart(tmp_path: Path) -> None:
    done = run(program_of(blocks_of(PLANTED)), tmp_path, "planted")
    assert outputs(done.stdout) == {2: "", 11: "2\n"}


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("pip install '.[nonsense]'", "no extra 'nonsense'"),
        ("pip install -e '.[test,nonsense]'", "no extra 'nonsense'"),
        (".venv/bin/python -m no_such_module demo", "no module 'no_such_module'"),
        ("python -m keras_compat.no_such", "no module 'keras_compat.no_such'"),
        ("python -m pytest tests/no_such", "no file 'tests/no_such'"),
    ],
)
def test_a_wrong_command_is_noticed(command: str, problem: str) -> None:
    assert problems_of(command) == [problem]


@pytest.mark.parametrize(
    "command", ["pip install '.[demo]'", "python -m pytest tests/autotensor -k x", 'python -m pytest -m "not slow"']
)
def test_a_right_command_passes(command: str) -> None:
    assert problems_of(command) == []

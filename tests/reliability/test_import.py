"""Importing the package: nothing is opened but files to read, nobody is called, and no settings file does harm."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from keras_compat.backend import _keras_json

pytestmark = pytest.mark.promise(41)

# What Python tells an audit hook, and what of it changes something outside of the process, or starts something inside.
WATCHED = """
import os, sys

seen = []

def hook(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & writes):
            seen.append(f"open {path} {mode}")
    elif event.startswith(("socket.", "subprocess.", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link",
                           "os.symlink", "os.fork", "os.posix_spawn", "os.exec", "os.system", "os.spawn", "os.chmod",
                           "os.utime", "os.truncate", "shutil.", "tempfile.", "_thread.start_new_thread", "urllib.",
                           "ftplib.", "http.", "smtplib.", "webbrowser.")):
        seen.append(f"{event} {arguments}")

sys.addaudithook(hook)
"""


def imported(what: str, folder: Path, before: str = "") -> list[str]:
    """What the hook saw while a module was imported in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"{WATCHED}\n{before}\nimport {what}\nprint(seen)"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(folder),
            "KERAS_HOME": str(folder / "keras"),
            "AUTOTENSOR_CACHE_DIR": str(folder / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return list(ast.literal_eval(done.stdout))


# h5py asks the standard library for the name of the processor, which asks `uname`.
OF_H5PY = ["open /dev/null None", "subprocess.Popen ('uname', ['uname', '-p'], None, None)"]


def test_import_leaves_no_trace(tmp_path: Path) -> None:
    assert [event for event in imported("keras_compat", tmp_path) if event not in OF_H5PY] == []
    assert not list(tmp_path.iterdir())


def test_the_hook_sees_what_it_should(tmp_path: Path) -> None:
    before = (
        "import subprocess, socket, threading; open('made', 'w').close(); os.mkdir('folder'); socket.socket().close(); "
        "threading.Thread(target=int).start(); subprocess.run([sys.executable, '-c', ''])"
    )
    code = f"os.chdir({str(tmp_path)!r}); {before}"
    found = [line.split()[0] for line in imported("json", tmp_path, code)]
    wanted = {"open", "os.mkdir", "socket.__new__", "subprocess.Popen"}
    assert wanted <= set(found)


# -- keras.json

BAD: dict[str, Any] = {
    "nothing": b"",
    "no text": bytes(range(256)),
    "half": b'{"floatx": "float32", "eps',
    "a number": b"3",
    "null": b"null",
    "deep": b"[" * 100_000,
    "a long number": b'{"epsilon": ' + b"9" * 5000 + b"}",
    "a number beyond floats": b'{"epsilon": ' + b"9" * 400 + b"}",
    "nan": b'{"epsilon": NaN}',
    "infinity": b'{"epsilon": Infinity}',
    "huge": b" " * (2 << 20) + b"{}",
    "another text": '{"floatx": "float32"}'.encode("utf-16"),
    "types": {"floatx": 32, "epsilon": "1e-7", "image_data_format": None, "image_dim_ordering": 7},
    "lists": {"floatx": ["float64"], "epsilon": [1], "image_data_format": [], "image_dim_ordering": {}},
    "of later Keras": {"floatx": "bfloat16", "epsilon": 0, "backend": "jax", "image_data_format": "channels-first"},
    "wrong case": {"floatx": "Float32", "image_dim_ordering": "TF"},
    "a long word": {"floatx": "x" * 100_000},
}


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("case", BAD)
def test_a_bad_settings_file_is_one_warning(home: Path, case: str) -> None:
    content = BAD[case]
    (home / "keras.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    with pytest.warns(UserWarning, match=r"\[keras.json\]") as seen:
        assert _keras_json.read() == {}
    assert len(seen) == 1 and len(str(seen[0].message)) < 1000


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "a file on the way", "not readable"])
def test_what_is_no_file_is_one_warning(home: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "keras.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "a file on the way":
        path.touch()
        monkeypatch.setenv("KERAS_HOME", str(path))
    elif os.geteuid() == 0:
        pytest.skip("the administrator may read everything")
    else:
        path.write_text("{}")
        path.chmod(0)
    with pytest.warns(UserWarning, match=r"\[keras.json\]") as seen:
        assert _keras_json.read() == {}
    assert len(seen) == 1


@pytest.mark.parametrize(
    "content",
    [
        {"backend": "cntk", "floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last"},
        {"backend": "mxnet", "image_dim_ordering": "tf"},
        {"backend": "jax", "nnx_enabled": False, "floatx": "float32", "epsilon": 1e-07, "dtype_policy": "float32"},
        {"backend": 3, "unknown": [1, 2, {"a": None}]},
        {},
    ],
)
def test_a_file_of_any_version_is_fine(home: Path, content: dict[str, Any]) -> None:
    (home / "keras.json").write_text(json.dumps(content))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = _keras_json.read()
    assert found.get("floatx", "float32") == "float32"

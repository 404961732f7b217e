"""Whatever becomes of the folder of compiled kernels: the same results, no crash, at most one warning.

Most of it happens in this process, with a kernel of two lines; some kernels are compiled, others found again.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pwd
import random
import signal
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from autotensor import config
from autotensor.kernels import ahead, cache
from autotensor.kernels.jit import DISABLED, jit, missing

pytestmark = [
    pytest.mark.promise(34, "caches"),
    pytest.mark.skipif(DISABLED, reason="nothing is compiled here"),
]

ROOT = Path(at.__file__).resolve().parents[1]
ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0


def _source(x: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = 2 * x[i] + 1


X = np.arange(4.0)
WANTED = 2 * X + 1


def computed() -> dict[str, int]:
    """Run the kernel as a new process would, which has nothing but the folder; what the cache did."""
    kernel = jit(_source)
    before = cache.EVENTS.copy()
    kernel(X, out := np.empty(4))
    np.testing.assert_array_equal(out, WANTED)
    return dict(cache.EVENTS - before)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own; no warning has been given."""
    monkeypatch.setattr(cache, "_warned", False)
    with config.use(cache_dir=str(tmp_path / "cache")):
        yield tmp_path / "cache"


@pytest.fixture
def entry(folder: Path) -> Path:
    """The file of the kernel."""
    assert computed() == {"missed": 1, "saved": 1}
    assert computed() == {"loaded": 1}
    (path,) = (folder / "compiled").iterdir()
    return path


@contextlib.contextmanager
def warned(times: int) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
    assert len([w for w in seen if str(w.message).startswith("[cache]")]) == times, [str(w.message) for w in seen]


# -- folders that can not be used


def places(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    return {
        "a file": str(tmp_path / "file"),
        "below a file": str(tmp_path / "file" / "cache"),
        "in /proc": "/proc/cache",
        "a loop of links": str(tmp_path / "loop"),
        "too long": str(tmp_path / ("x" * 5000)),
        "no such name": str(tmp_path / "a\0b"),
        "none": "",
    }


@pytest.mark.parametrize(
    "place", ["a file", "below a file", "in /proc", "a loop of links", "too long", "no such name", "none"]
)
def test_without_a_folder_all_is_compiled_here(place: str, folder: Path, tmp_path: Path) -> None:
    with config.use(cache_dir=places(tmp_path)[place]), warned(1):
        for _ in range(2):
            assert computed() == {"missed": 1, "unwritable": 1}
        x = at.placeholder((None,), np.float64)  # generated kernels, too
        np.testing.assert_allclose(at.function([x], at.exp(x) * 2.125 + hash(place) % 1)(np.zeros(2)), 2.125)
        kernel = jit(_source)
        assert missing(kernel, (X, X)) is None, "no process is asked to compile what it can not hand over"


def test_a_read_only_folder_is_read(entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that an administrator has put there are used; others are compiled, without being kept."""

    def refuse(path: Any, flags: int, *rest: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return os_open(path, flags, *rest)

    os_open = os.open
    monkeypatch.setattr(os, "open", refuse)
    with warned(0):
        assert computed() == {"loaded": 1}
    entry.unlink()
    with warned(1):
        assert computed() == computed() == {"missed": 1, "save failed": 1}


@contextlib.contextmanager
def mounted(place: Path, option: str) -> Iterator[Path]:
    """A file system of its own in a new folder."""
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_folder_of_a_read_only_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_warned", False)
    with mounted(tmp_path / "mounted", "ro") as place, config.use(cache_dir=str(place)), warned(1):
        assert computed() == computed() == {"missed": 1, "unwritable": 1}


def test_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, number: int, mode: str):
            self.stream = fdopen(number, mode)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: Any) -> None:
            self.stream.close()

        def write(self, content: bytes) -> None:
            self.stream.write(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fdopen = os.fdopen
    monkeypatch.setattr(os, "fdopen", Full)
    with warned(1):
        assert computed() == computed() == {"missed": 1, "save failed": 1}
    assert not list((folder / "compiled").iterdir())
    monkeypatch.undo()
    with config.use(cache_dir=str(folder)):
        assert computed() == {"missed": 1, "saved": 1}


def test_a_disk_of_40_kb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_warned", False)
    with mounted(tmp_path / "mounted", "size=40k") as place:
        (place / "full").write_bytes(b"x" * 30_000)
        with config.use(cache_dir=str(place)), warned(1):
            assert computed() == computed() == {"missed": 1, "save failed": 1}
        assert not list((place / "compiled").iterdir())


@pytest.mark.parametrize("name", ["with spaces", "ümläut 字 🙂", "-rf", "a'b\"c", "%s {0}"])
def test_odd_names(name: str, tmp_path: Path) -> None:
    with config.use(cache_dir=str(tmp_path / name)), warned(0):
        assert computed() == {"missed": 1, "saved": 1}
        assert computed() == {"loaded": 1}


def test_a_folder_that_is_deleted_is_made_again(entry: Path, folder: Path) -> None:
    for path in (*(folder / "compiled").iterdir(), folder / "compiled", folder):
        path.rmdir() if path.is_dir() else path.unlink()
    with warned(0):
        assert computed() == {"missed": 1, "saved": 1}
        assert computed() == {"loaded": 1}


# -- which folder it is


def place_of(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name in ("AUTOTENSOR_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return config._default_cache_dir()


def test_the_folder_is_an_absolute_path_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    at_home = os.path.join("/home", ".cache", "autotensor")
    assert place_of(monkeypatch, HOME="/home") == at_home
    assert place_of(monkeypatch, HOME="/home", XDG_CACHE_HOME="/x") == os.path.join("/x", "autotensor")
    assert place_of(monkeypatch, HOME="/home", XDG_CACHE_HOME="") == at_home
    assert place_of(monkeypatch, HOME="/home", XDG_CACHE_HOME="relative") == at_home
    assert place_of(monkeypatch, AUTOTENSOR_CACHE_DIR="here") == str(tmp_path / "here")
    assert place_of(monkeypatch, HOME="/home", AUTOTENSOR_CACHE_DIR="~/here") == "/home/here"
    assert place_of(monkeypatch, HOME="/home", AUTOTENSOR_CACHE_DIR="") == at_home
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert place_of(monkeypatch, HOME="/home", AUTOTENSOR_CACHE_DIR="here") == ""
    assert place_of(monkeypatch, HOME="/home") == at_home


def test_a_user_without_a_name_and_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under any number: "~" stands for nothing then."""
    assert os.path.isabs(place_of(monkeypatch)), "the system knows the home of this user"

    def nobody(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    assert place_of(monkeypatch) == ""


# -- entries that are not what they should be


def damaged(content: bytes) -> Iterator[bytes]:
    yield b""
    for share in (0.001, 0.1, 0.5, 0.95):
        yield content[: int(len(content) * share)]
    yield content[:-1]
    yield content + b"\0"
    yield bytes(len(content))
    yield b"\x80\x04N."  # a pickle
    draw = random.Random(5)
    for _ in range(40):
        place, bit = draw.randrange(len(content)), draw.randrange(8)
        yield content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]


def test_damaged_entries_are_noticed_before_they_are_read(entry: Path) -> None:
    """A flipped bit may be in machine code, where nothing else would notice."""
    content, key = entry.read_bytes(), "no such key"
    kept = content[32:].split(b"\n", 2)
    key = kept[1].decode()
    assert cache.read(str(entry), key) == kept[2]
    for count, broken in enumerate(damaged(content)):
        entry.write_bytes(broken)
        assert cache.read(str(entry), key) is None, f"damage number {count}"
    assert count + 1 == 49


@pytest.mark.parametrize("number", [0, 4, 9, 30])
def test_damaged_entries_are_compiled_anew(number: int, entry: Path) -> None:
    content = entry.read_bytes()
    entry.write_bytes(list(damaged(content))[number])
    with warned(0):
        assert computed() == {"load failed": 1, "missed": 1, "saved": 1}
        assert computed() == {"loaded": 1}


def test_code_that_can_not_be_taken_is_compiled_anew(entry: Path) -> None:
    """Whole, of the right key, and yet no code: a pickle of something else, or none."""
    _, key, _ = entry.read_bytes()[32:].split(b"\n", 2)
    for content in (b"no pickle", b"\x80\x04N.", b"\x80\x04]."):
        assert cache.put(str(entry), sealed(key, content))
        assert computed() == {"load failed": 1, "missed": 1, "saved": 1}


def sealed(key: bytes, content: bytes) -> bytes:
    whole = str(len(key)).encode() + b"\n" + key + b"\n" + content
    return hashlib.sha256(whole).digest() + whole


def other_version(patch: pytest.MonkeyPatch) -> None:
    from autotensor.kernels import jit as module

    patch.setattr(module, "_versions", lambda: "numba 0.1")


def other_processor(patch: pytest.MonkeyPatch) -> None:
    from numba.core.codegen import JITCPUCodegen

    patch.setattr(JITCPUCodegen, "magic_tuple", lambda self: ("x86_64", "another", "+avx1024"))


@pytest.mark.parametrize("other", [other_version, other_processor])
def test_entries_of_others_are_beside_ours(
    other: Callable[[pytest.MonkeyPatch], None], entry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may be shared by machines and by installations."""
    with monkeypatch.context() as patch:
        other(patch)
        assert computed() == {"missed": 1, "saved": 1}
        assert computed() == {"loaded": 1}
    assert computed() == {"loaded": 1}
    assert len(list(entry.parent.iterdir())) == 2


def test_an_entry_under_the_name_of_another_is_not_run(entry: Path, folder: Path) -> None:
    def other(x: Any, out: Any) -> None:
        for i in range(out.size):
            out[i] = -x[i]

    jit(other)(X, np.empty(4))
    (second,) = set((folder / "compiled").iterdir()) - {entry}
    entry.write_bytes(second.read_bytes())
    assert computed() == {"load failed": 1, "missed": 1, "saved": 1}
    cache.write(str(entry), "one key", b"code")
    assert cache.read(str(entry), "one key") == b"code"
    assert cache.read(str(entry), "two key") is None


def test_the_key_knows_what_the_code_depends_on() -> None:
    """Two kernels of one name and one code, with other numbers around them: as arrays and in closures."""

    def made(table: Any, factor: float) -> Any:
        def kernel(x: Any, out: Any) -> None:
            for i in range(out.size):
                out[i] = x[i] * factor + table[i]

        return jit(kernel)

    for table, factor in ((np.ones(4), 1.0), (np.zeros(4), 1.0), (np.ones(4), 3.0)):
        made(table, factor)(X, out := np.empty(4))
        np.testing.assert_array_equal(out, X * factor + table)


# -- what others may have put there


@pytest.mark.parametrize("how", ["of another user", "for the group", "for all"])
def test_files_that_others_may_write_are_not_run(how: str, entry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if how != "of another user":
        entry.chmod(0o664 if how == "for the group" else 0o646)
    elif ROOT_USER:
        os.chown(entry, 54321, 54321)
    else:
        mine = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with warned(1):
        found = computed()
    assert found.pop("refused") == 1 and found == {"missed": 1, "saved": 1}
    if how != "of another user" or ROOT_USER:
        assert computed() == {"loaded": 1}, "it is our file now"


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to nowhere", "device"])
def test_what_is_no_file_is_not_waited_for(kind: str, entry: Path) -> None:
    entry.unlink()
    if kind == "folder":
        entry.mkdir()
    elif kind == "pipe":
        os.mkfifo(entry)
    else:
        entry.symlink_to("/dev/zero" if kind == "device" else "/nowhere")

    def hangs(*_: Any) -> None:
        raise AssertionError("it is waited for")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(60)
    try:
        with warned(1 if kind != "link to nowhere" else 0):
            assert computed()["missed"] == 1
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_files_are_only_for_their_writer(entry: Path) -> None:
    before = os.umask(0)
    try:
        assert cache.put(str(entry), b"")
    finally:
        os.umask(before)
    assert entry.stat().st_mode & 0o022 == 0


# -- the bound


def test_the_folder_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was used longest ago goes first, sources too; files of other names are nobody's business."""
    monkeypatch.setattr(cache, "LIMIT", 10_000)
    names = [f"compiled/{k}.kernel" for k in range(20)] + [f"kernels/{k}.py" for k in range(20, 30)]
    now = time.time()
    for age, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (now, now - 60 * age))
    for name, age in (("compiled/mine.txt", 1e6), ("thesis.docx", 1e6), ("compiled/new.part", 10)):
        (folder / name).write_bytes(bytes(5000))
        os.utime(folder / name, (now, now - age))
    (folder / "compiled/old.part").touch()
    os.utime(folder / "compiled/old.part", (now, now - 2 * 3600))
    cache.trim()
    assert [name for name in names if (folder / name).exists()] == names[:7]
    assert (folder / "compiled/mine.txt").exists() and (folder / "thesis.docx").exists()
    assert (folder / "compiled/new.part").exists() and not (folder / "compiled/old.part").exists()
    monkeypatch.setattr(cache, "LIMIT", 7000)
    cache.trim()
    assert len(list(folder.rglob("*.kernel"))) == 7, "nothing goes below the limit"


def test_it_is_looked_after_now_and_then(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    monkeypatch.setattr(cache, "trim", lambda: looks.append(1))
    draw = random.Random(0)
    monkeypatch.setattr(os, "urandom", draw.randbytes)
    for k in range(2000):
        cache.put(str(folder / "compiled" / f"{k % 5}.kernel"), b"")
    assert 1 <= len(looks) <= 30


def test_what_is_used_stays_young(entry: Path) -> None:
    os.utime(entry, (0, time.time() - 3 * 24 * 3600))
    assert computed() == {"loaded": 1}
    assert time.time() - entry.stat().st_mtime < 3600


# -- several processes


def test_a_writer_killed_at_any_moment(folder: Path) -> None:
    """20 writers of two versions of one entry die in the middle: it is one of them, whole, or not there."""
    key = "k" * 50
    path = cache.path_of("written", key)
    versions = [bytes([k]) * 300_000 for k in (1, 2)]
    assert cache.writable()
    found = 0
    for kill in range(20):
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                while True:
                    for version in versions:
                        cache.write(path, key, version)
            os._exit(1)
        time.sleep(0.001 + 0.002 * kill)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        content = cache.read(path, key)
        assert content in (None, *versions)
        found += content is not None
    assert cache.EVENTS["load failed"] == 0 or found
    assert found > 10


def test_readers_beside_writers(folder: Path) -> None:
    """Eight processes write one entry while this one reads: it never sees a half."""
    key = "shared"
    path = cache.path_of("shared", key)
    versions = {bytes([k]) * 200_000 for k in range(8)}
    assert cache.writable()
    children = []
    for version in versions:
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                for _ in range(30):
                    cache.write(path, key, version)
            os._exit(0)
        children.append(child)
    before, seen = cache.EVENTS["load failed"], 0
    while children:
        content = cache.read(path, key)
        assert content is None or content in versions
        seen += content is not None
        done, _ = os.waitpid(-1, os.WNOHANG) if children else (0, 0)
        if done in children:
            children.remove(done)
    assert seen and cache.EVENTS["load failed"] == before
    assert not list((folder / "compiled").glob("*.part"))


SMALL = """
import numpy as np, warnings
import autotensor as at
from autotensor.kernels import cache
x = at.placeholder((None,), np.float64)
np.testing.assert_allclose(at.function([x], at.sum(at.exp(x) * 0.125))(np.zeros(8)), 1)
print(at.__file__, dict(cache.EVENTS))
"""


def small(folder: Path, before: str = "", **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", before + SMALL],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_without_a_home(tmp_path: Path) -> None:
    nobody = "import os, pwd\nfor n in ('HOME', 'XDG_CACHE_HOME', 'AUTOTENSOR_CACHE_DIR'): os.environ.pop(n, 0)\n"
    process = small(tmp_path, nobody + "def none(n): raise KeyError(n)\npwd.getpwuid = none\n")
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "'unwritable'" in out and said.count("[cache] there is no home folder") == said.count("Warning") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_eight_processes_at_once(tmp_path: Path) -> None:
    processes = [small(tmp_path, AUTOTENSOR_CACHE_DIR=str(tmp_path / "cache")) for _ in range(8)]
    for process in processes:
        out, said = process.communicate(timeout=600)
        assert process.returncode == 0 and not said, out + said
    out, said = small(tmp_path, AUTOTENSOR_CACHE_DIR=str(tmp_path / "cache")).communicate(timeout=300)
    assert "'loaded': 2" in out and "saved" not in out


@pytest.mark.slow
def test_processes_killed_while_they_compile(tmp_path: Path) -> None:
    draw = random.Random(3)
    for _ in range(20):
        process = small(tmp_path, AUTOTENSOR_CACHE_DIR=str(tmp_path / "cache"))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1 + 3 * draw.random())
        process.kill()
        process.communicate()
    out, said = small(tmp_path, AUTOTENSOR_CACHE_DIR=str(tmp_path / "cache")).communicate(timeout=300)
    assert "load failed" not in out and not said, out + said


@pytest.mark.slow
def test_a_package_in_a_zip_file(tmp_path: Path) -> None:
    """No folder of its own at all: the cache lies elsewhere, and is found again."""
    with zipfile.ZipFile(tmp_path / "packages.zip", "w") as packed:
        for path in sorted((ROOT / "autotensor").rglob("*.py")):
            packed.write(path, path.relative_to(ROOT))
    words = {"PYTHONPATH": str(tmp_path / "packages.zip"), "AUTOTENSOR_CACHE_DIR": str(tmp_path / "cache")}
    for wanted in ("'saved': 2", "'loaded': 2"):
        process = small(tmp_path, **words)
        out, said = process.communicate(timeout=300)
        assert process.returncode == 0 and wanted in out and "packages.zip" in out, out + said


def test_kernels_off_need_no_folder(folder: Path) -> None:
    with config.use(numba=False):
        x = at.placeholder((None,), np.float64)
        np.testing.assert_allclose(at.function([x], at.sum(at.exp(x) * 0.25))(np.zeros(8)), 2)
    assert not folder.exists()
    assert not ahead.Ahead()._jobs

"""What is saved is never lost: killed writers, full disks, closed folders, files that do not fit."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from keras_compat.layers import Dense
from keras_compat.models import Sequential, load_model
from tests.keras_compat.children import run_alone, start

MODEL = """
import sys
import numpy as np
from keras_compat.layers import Dense
from keras_compat.models import Sequential, load_model

model = Sequential([Dense(200, input_dim=200), Dense(200)])
model.compile('adam', 'mse')

def fill(value):
    model.set_weights([np.full(w.shape, value) for w in model.get_weights()])
"""


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return start("-c", MODEL + textwrap.dedent(program), *arguments, OPENBLAS_NUM_THREADS="1")


def tell(process: subprocess.Popen[str]) -> None:
    """Send a line to a process, which may have ended."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write("\n")
        process.stdin.flush()


def values(path: Path) -> set[float]:
    """The different numbers among the weights in a file; a whole file has one."""
    return {float(v) for w in load_model(path).get_weights() for v in np.unique(w)}


WRITER = """
    value = 0
    while True:
        value += 1
        fill(value)
        model.save(sys.argv[1])
        print(value, flush=True)
"""


def kill_while_saving(path: Path, seed: int) -> None:
    writer = python(WRITER, str(path))
    try:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        assert first, writer.stderr.read() if writer.stderr else ""
        time.sleep(random.Random(seed).uniform(0.0, 0.06))
    finally:
        writer.send_signal(signal.SIGKILL)
    said, _ = writer.communicate()
    done = int(([first, *said.split()])[-1])
    found = values(path)
    assert len(found) == 1 and found <= {float(done), float(done + 1)}


def test_a_killed_writer_leaves_the_old_file_or_the_new(tmp_path: Path) -> None:
    for seed in range(2):
        kill_while_saving(tmp_path / "model.h5", seed)


WAYS = (
    ("model.h5", "save"),
    ("model.keras", "save"),
    ("model.weights.h5", "save_weights"),
    ("model.h5", "checkpoint"),
    ("weights.weights.h5", "checkpoint of weights"),
)


def kill(folder: Path, name: str, way: str, points: int) -> None:
    """Kill copies of a process at chosen steps of its save; see ``kills.py``. Counts are printed; ``-s`` shows them."""
    if not hasattr(os, "fork"):
        pytest.skip("processes can not be copied here")
    program = str(Path(__file__).with_name("kills.py"))
    done = run_alone(program, str(folder / name), way, str(points), timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout)
    print(f"\n{said}")
    assert said["points"] == points and said["old"] + said["new"] == points
    assert said["old"] > 0 and said["new"] > 0 and said["left behind"] > 0


@pytest.mark.parametrize("name, way", WAYS[:2])
def test_14_killed_at_ten_points_of_a_save(name: str, way: str, tmp_path: Path) -> None:
    kill(tmp_path, name, way, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name, way", WAYS)
def test_14_killed_at_fifty_points_of_a_save(name: str, way: str, tmp_path: Path) -> None:
    kill(tmp_path, name, way, 50)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.name == "nt":
        pytest.skip("nothing can be mounted here")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("this user can not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "model.weights.h5"])
def test_15_a_disk_of_300_kb_keeps_the_old_model(name: str, small_disk: Path) -> None:
    model = Sequential([Dense(150, input_dim=150), Dense(150)])
    save = model.save_weights if name.endswith(".weights.h5") else model.save
    path = small_disk / name
    save(path)
    before = path.read_bytes()
    assert len(before) > 150_000
    model.set_weights([w + 1 for w in model.get_weights()])
    for _ in range(2):
        with pytest.raises(OSError, match=r"could not be written: No space left.*What it held before is untouched"):
            save(path)
    assert path.read_bytes() == before
    assert os.listdir(small_disk) == [name]
    with pytest.raises(OSError, match="could not be written"):
        save(small_disk / "another.h5")
    assert os.listdir(small_disk) == [name]
    path.unlink()
    save(path)  # there is room again, and the model as good as before
    other = Sequential([Dense(150, input_dim=150), Dense(150)])
    other.load_weights(path)
    for a, b in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_16_a_disk_that_is_read_only(small_disk: Path) -> None:
    model = make()
    model.save(small_disk / "model.h5")
    before = (small_disk / "model.h5").read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for name in ("model.h5", "another.h5", "another.keras"):
        with pytest.raises(OSError, match="could not be written: Read-only"):
            make().save(small_disk / name)
    assert (small_disk / "model.h5").read_bytes() == before
    assert os.listdir(small_disk) == ["model.h5"]


def test_16_a_folder_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    model = make()
    model.save(folder / "model.h5")
    shutil.rmtree(folder)
    for ending in ("h5", "keras", "weights.h5"):
        with pytest.raises(FileNotFoundError, match="does not exist. Create it first"):
            model.save_weights(folder / f"model.{ending}") if ending == "weights.h5" else model.save(
                folder / f"model.{ending}"
            )
    assert not folder.exists()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are texts here")
def test_16_names_that_are_no_text(tmp_path: Path) -> None:
    model = make()
    for name in (b"m\xff\xfe.h5", b"m\xff.keras", "gr\u00f6\u00dfe \u4e2d.h5".encode(), b"x" * 240 + b".h5"):
        path = os.path.join(os.fsencode(tmp_path), name)
        for _ in range(2):
            model.save(path)
        assert os.listdir(os.fsencode(tmp_path)) == [name]
        copy = load_model(path)
        for a, b in zip(model.get_weights(), copy.get_weights()):
            np.testing.assert_array_equal(a, b)
        with open(path, "r+b") as f:
            f.truncate(100)
        with pytest.raises(OSError) as caught:
            load_model(path)
        str(caught.value).encode()
        os.unlink(path)


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="no links here")
def test_16_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    link, target = tmp_path / "a" / "model.h5", tmp_path / "b" / "real.h5"
    link.symlink_to(target)
    model = make()
    for _ in range(2):  # where it leads to nothing, and to a file
        model.save(link)
        assert link.is_symlink() and target.is_file() and not target.is_symlink()
    assert os.listdir(tmp_path / "a") == ["model.h5"] and os.listdir(tmp_path / "b") == ["real.h5"]
    target.chmod(0o640)
    model.save(link)
    assert target.stat().st_mode & 0o777 == 0o640
    load_model(link)


def test_16_two_processes_save_to_one_path(tmp_path: Path) -> None:
    """Each file that is seen is whole; the writers live until one was."""
    path = tmp_path / "model.h5"
    program = """
        for turn in range(10):
            fill(float(sys.argv[2]) + turn)
            model.save(sys.argv[1])
        print('done', flush=True)
        sys.stdin.readline()
    """
    writers = [python(program, str(path), number) for number in ("1000", "2000")]
    seen, last = 0, time.monotonic() + 300
    try:
        while any(writer.poll() is None for writer in writers) and time.monotonic() < last:
            if path.exists():
                assert len(values(path)) == 1
                seen += 1
                if seen == 1:
                    for writer in writers:
                        tell(writer)
        for writer in writers:
            said, complaints = writer.communicate(timeout=60)
            assert said == "done\n", complaints
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert seen and values(path) <= {1009.0, 2009.0}
    assert os.listdir(tmp_path) == ["model.h5"]


def test_16_leftovers_of_other_files_stay(tmp_path: Path) -> None:
    model = make()
    names = [".model.h5.0123456789abcdef.tmp", ".other.h5.0123456789abcdef.tmp", ".model.h5.tmp", "model.h5.tmp"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    model.save(tmp_path / "model.h5")
    assert sorted(os.listdir(tmp_path)) == sorted(["model.h5", *names[1:]])


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on the size of files here")
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    writer = python(
        """
        import resource
        fill(1)
        model.save(sys.argv[1])
        fill(2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for save in (model.save, model.save_weights):
            try:
                save(sys.argv[1])
            except OSError as error:
                print('refused')
        print(model.get_weights()[0][0, 0], model.predict(np.ones((1, 200))).shape)
        """,
        str(path),
    )
    said, complaints = writer.communicate()
    assert writer.returncode == 0, complaints
    assert said.split("\n")[:3] == ["refused", "refused", "2.0 (1, 200)"]
    assert values(path) == {1.0}
    assert os.listdir(tmp_path) == ["model.h5"]


def make(units: int = 3) -> Sequential:
    model = Sequential([Dense(units, input_dim=2), Dense(2)])
    model.compile("adam", "mse")
    return model


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_closed_folder_keeps_its_file(tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "model.h5")
    before = (tmp_path / "model.h5").read_bytes()
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OSError):
            make().save(tmp_path / "model.h5")
    finally:
        tmp_path.chmod(0o700)
    assert (tmp_path / "model.h5").read_bytes() == before
    assert os.listdir(tmp_path) == ["model.h5"]


def test_an_error_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.h5"
    model = make()
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("keras_compat.saving.h5.write_weights", lambda *_: 1 / 0)
    for save in (model.save, model.save_weights):
        with pytest.raises(ZeroDivisionError):
            save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["model.h5"]


def test_bad_targets_of_save(tmp_path: Path) -> None:
    model = make()
    with pytest.raises(IsADirectoryError, match="is a folder. Add a name"):
        model.save(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist. Create it first"):
        model.save(tmp_path / "no" / "model.h5")
    for target in (None, 3, ""):
        with pytest.raises(TypeError, match=r"\[save\] expected a path, a binary stream or an open h5py.File"):
            model.save(target)
    assert os.listdir(tmp_path) == []


def refused_load(model: Any, path: Any, error: type[Exception], match: str, **kwargs: Any) -> None:
    """The load fails, and the model is as it was: weights, optimizer and use."""
    before = model.get_weights()
    with pytest.raises(error, match=match):
        model.load_weights(path, **kwargs)
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)
    model.train_on_batch(np.ones((4, 2)), np.ones((4, 2)))


def test_files_that_are_cut_off_or_something_else(tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "whole.h5")
    whole = (tmp_path / "whole.h5").read_bytes()
    for size in (0, 7, 100, 2000, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.h5").write_bytes(whole[:size])
        refused_load(model, tmp_path / "cut.h5", OSError, "no HDF5 file, or not all of one")
        with pytest.raises(OSError, match="no HDF5 file, or not all of one"):
            load_model(tmp_path / "cut.h5")
    (tmp_path / "text.h5").write_text("loss: 0.1\n" * 100)
    refused_load(model, tmp_path / "text.h5", OSError, "Was it written by save")
    refused_load(model, tmp_path, OSError, "is a folder")
    refused_load(model, tmp_path / "none.h5", OSError, "does not exist. Check the path")
    refused_load(model, None, TypeError, "expected a path, a binary stream or an open h5py.File; got None")
    with h5py.File(tmp_path / "other.h5", "w") as f:
        f["x"] = np.zeros(3)
    refused_load(model, tmp_path / "other.h5", ValueError, "no `layer_names`")


def test_bytes_changed_within_a_file_never_change_part_of_a_model(tmp_path: Path) -> None:
    model = make()
    model.save_weights(tmp_path / "w.h5")
    whole = bytearray((tmp_path / "w.h5").read_bytes())
    wanted = [w.copy() for w in model.get_weights()]
    rng = random.Random(5)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(8):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "d.h5").write_bytes(damaged)
        other = make()
        before = [w.copy() for w in other.get_weights()]
        try:
            other.load_weights(tmp_path / "d.h5")
        except Exception:
            assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights()))
        else:
            assert [w.shape for w in other.get_weights()] == [w.shape for w in wanted]


def test_all_mismatches_in_one_error(tmp_path: Path) -> None:
    make(3).save_weights(tmp_path / "w.h5")
    model = make(5)
    before = model.get_weights()
    with pytest.raises(ValueError) as caught:
        model.load_weights(tmp_path / "w.h5")
    text = str(caught.value)
    assert (
        "3 places" in text
        and "(2, 5)" in text
        and "(5,)" in text
        and "(5, 2)" in text
        and "Nothing was changed" in text
    )
    for a, b in zip(before, model.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_weights_beside_their_layers_are_counted(tmp_path: Path) -> None:
    Sequential([Dense(3, input_dim=2)]).save_weights(tmp_path / "w.h5")
    refused_load(make(), tmp_path / "w.h5", ValueError, "containing 1 layers into a model with 2 layers")
    refused_load(make(), tmp_path / "w.h5", ValueError, "skip_mismatch can only", skip_mismatch=True)

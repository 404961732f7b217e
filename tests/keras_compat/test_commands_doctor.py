"""``doctor``: the facts of an installation, and whether it works."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import __main__ as cli
from keras_compat.commands import doctor


@pytest.fixture
def checked(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command without kernels, in a home of its own; return its status and its checks by name."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))

    def run(status: int = 0) -> dict[str, dict[str, Any]]:
        with at.config.use(numba=False):
            assert cli.main(["doctor", "--json"]) == status
        found = json.loads(capsys.readouterr().out)
        assert found["fine"] == (status == 0)
        return {check["name"]: check for check in found["checks"]}

    return run


def test_facts(checked: Any, tmp_path: Path) -> None:
    found = checked()
    assert found["numpy"]["value"] == np.__version__
    assert found["numba"]["value"] == importlib.metadata.version("numba")
    assert found["threads of kernels"]["value"] == at.get_num_threads()
    assert found["folder"]["value"] == at.config.cache_dir
    assert found["Keras folder"]["value"] == str(tmp_path / "home")
    assert found["keras.json"]["value"] == "none"
    assert found["API level"]["value"] == "2.3 (from the default 2.3)"
    assert found["kernels"]["state"] == "note"
    assert found["training"]["state"] == "fine" and "31 steps" in found["training"]["value"]
    assert found["HDF5"]["state"] == "fine"
    assert {"python", "h5py", "cores", "BLAS of NumPy", "writable", "yaml", "tensorflow", "time"} <= set(found)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left out where a test is of something else."""
    monkeypatch.setattr(doctor, "training", list)


def test_the_threading_layer_comes_with_its_reason() -> None:
    assert doctor._about_layer("tbb", "default") == "bears threads and forks"
    assert "pip install tbb" in doctor._about_layer("omp", "default")
    assert doctor._about_layer("workqueue", "workqueue").startswith("as NUMBA_THREADING_LAYER=workqueue says; ")
    assert doctor._about_layer("none started", "omp") == ""


def test_for_people(no_training: None, capsys: pytest.CaptureFixture[str]) -> None:
    with at.config.use(numba=False):
        assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert text.endswith("\nAll works.\n") and "\nsettings\n" in text and "! kernels" in text


def test_missing_extras_come_with_the_line_that_installs_them(
    no_training: None, checked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = ['nosuchpackage>=6; extra == "magic"', 'numpy; extra == "there"', 'pytest; extra == "test"', "h5py>=3"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: needed)
    found = checked()
    assert found["magic"]["value"] == "missing" and 'pip install "autotensor[magic]"' in found["magic"]["hint"]
    assert found["there"]["value"] == f"numpy {np.__version__}"
    assert "test" not in found


def test_what_is_odd_is_noted(no_training: None, checked: Any, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "keras.json").write_text("{")
    (tmp_path / "file").write_text("")
    with at.config.use(cache_dir=str(tmp_path / "file" / "cache"), threads=1000):
        found = checked()
    assert found["keras.json"]["state"] == "note"
    assert found["writable"]["state"] == "note" and "AUTOTENSOR_CACHE_DIR" in found["writable"]["hint"]
    assert found["threads of kernels"]["state"] == "note"


def test_what_is_broken_ends_with_1(checked: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no training today")

    monkeypatch.setattr(doctor.Sequential, "train_on_batch", fails)
    found = checked(1)
    assert found["check"]["value"] == "OSError: no training today"
    monkeypatch.setattr(doctor.Sequential, "train_on_batch", lambda self, x, y: float("nan"))
    assert checked(1)["training"]["state"] == "broken"


def test_others_beside_are_seen(
    no_training: None, checked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text("raise RuntimeError('doctor imports nothing')")
    info = tmp_path / "keras-9.8.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: keras\nVersion: 9.8\n")
    (info / "top_level.txt").write_text("keras\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert checked()["keras"]["value"] == "9.8"

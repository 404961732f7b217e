"""Everything that reads a file, with whole files to damage, and what reading a damaged one may come to.

A *recipe*, a string of bytes, names a reader, one of its files and the damage (see :mod:`mutations`). Reading loads,
or raises one of ``CLEAN``; it opens nothing but the file, asks nobody on the network, and leaves the model as it was.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import tempfile
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import keras_compat.models
from keras_compat import backend as K
from keras_compat.callbacks import ModelCheckpoint
from keras_compat.commands import inspect
from keras_compat.dialect.level import api_level
from keras_compat.layers import (
    GRU,
    LSTM,
    Activation,
    BatchNormalization,
    Bidirectional,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Input,
    MaxPooling2D,
    PReLU,
    TimeDistributed,
    concatenate,
)
from keras_compat.models import Model, Sequential
from keras_compat.saving import guard
from keras_compat.utils.archives import extract_archive
from tests.reliability import mutations
from tests.reliability.mutations import Choices

GOLDEN = Path(__file__).parents[1] / "keras_compat" / "golden"

# What a damaged file may raise, these classes themselves: a UnicodeDecodeError is a ValueError that nobody meant.
CLEAN = (ValueError, TypeError, OSError, NotImplementedError)
# Reading takes some milliseconds.
SLOW = 5.0
# What no reader does. Events of Python's audit hooks, as they begin.
FORBIDDEN = ("socket.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "shutil.rmtree", "ftplib.")


class Subject(NamedTuple):
    """A file to damage: its name, what it holds, how it is damaged, and who reads it then."""

    name: str
    data: bytes
    changes: tuple[mutations.Change, ...]
    read: Callable[[Path], Any]


class Result(NamedTuple):
    """What reading came to: 'read', or the class of an error; what is wrong with that, and where it came from."""

    outcome: str
    wrong: str = ""
    place: str = ""


# -- models that are asked --------------------------------------------------------------------------------------------


def _networks() -> dict[str, Any]:
    a, b = Input((4, 3)), Input((5,), dtype="int32")
    shared = Bidirectional(LSTM(2), merge_mode="sum")
    inner = Sequential([Dense(3, input_dim=2, activation="tanh"), PReLU()])
    out = concatenate([inner(shared(a)), GRU(2)(Embedding(7, 2, mask_zero=True)(b))])
    pictures = Sequential([Conv2D(2, (3, 2), padding="same", input_shape=(4, 5, 1)), BatchNormalization()])
    for layer in (Activation("relu"), MaxPooling2D(), Flatten(), Dropout(0.3), Dense(2, kernel_regularizer="l2")):
        pictures.add(layer)
    steps = Sequential([TimeDistributed(Dense(2, kernel_constraint="max_norm"), input_shape=(3, 2)), LSTM(2)])
    return {"graph": Model([a, b], [out, Dense(1)(out)]), "pictures": pictures, "steps": steps}


class Readers:
    """All subjects, and a way to let one be read.

    Args:
        folder: where damaged files go; it must be empty.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.subjects: dict[str, list[Subject]] = {}
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._seen: list[str] = []
        self._watching = False
        warnings.simplefilter("ignore")
        self._make()
        sys.addaudithook(self._audit)

    # -- what is read

    def _add(self, reader: str, name: str, data: bytes, changes: Sequence[mutations.Change], read: Any) -> None:
        self.subjects.setdefault(reader, []).append(Subject(name, data, tuple(changes), read))

    def _make(self) -> None:
        for name, model in _networks().items():
            model.compile("adam", ["mse"] * len(model.outputs), metrics=["mae"])
            for ending, to in ((".h5", None), (".h5", "keras1"), (".h5", "tfkeras"), (".keras", None)):
                self._add_model(f"{name}-{to}{ending}", self._written(model, ending, to), model)
            for to in ("keras1", None):
                self._add_weights(f"{name}-{to}.weights.h5", self._written_weights(model, to), model)
            self._add_texts(name, model.to_json(), model.to_yaml())
            with api_level("1.2"):
                self._add_texts(name + "-1.2", model.to_json(), model.to_yaml())
        for path in sorted([*GOLDEN.glob("*/*/*.h5"), *GOLDEN.glob("*/*/*.keras")]):
            if ".weights." not in path.name and ".legacy." not in path.name and path.stat().st_size < 40_000:
                model = keras_compat.models.load_model(path)
                self._add_model(f"{path.parts[-3]}/{path.name}", path.read_bytes(), model)
                of_weights = path.with_name(path.name.replace(".model.h5", ".weights.h5"))
                if of_weights != path and of_weights.exists():
                    self._add_weights(of_weights.name, of_weights.read_bytes(), model)
        for path in sorted(GOLDEN.glob("*/*/*.json")):
            if path.parts[-3].startswith("keras-"):
                config = json.loads(path.read_text()).get("config")
                if isinstance(config, (dict, str)):
                    text = config if isinstance(config, str) else json.dumps(config)
                    self._add_texts(f"{path.parts[-3]}/{path.name}", text, None)
        self._add_state()
        self._add_data()

    def _written(self, model: Any, ending: str, to: str | None) -> bytes:
        path = self.folder / f"whole{ending}"
        model.save(path, to=to)
        return path.read_bytes()

    def _written_weights(self, model: Any, to: str | None) -> bytes:
        path = self.folder / ("whole.weights.h5" if to is None else "whole.h5")
        model.save_weights(path, to=to)
        return path.read_bytes()

    def _add_model(self, name: str, data: bytes, model: Any) -> None:
        change = mutations.change_zip if data.startswith(b"PK") else mutations.change_h5
        # Three times of four the structure, else the bytes.
        changes = (change, change, change, mutations.change_bytes)
        self._add("load_model", name, data, changes, keras_compat.models.load_model)
        self._add("inspect", name, data, changes, described)
        self._add_weights(name, data, model)

    def _add_weights(self, name: str, data: bytes, model: Any) -> None:
        change = mutations.change_zip if data.startswith(b"PK") else mutations.change_h5
        for by_name in (False, True):
            self._add(
                "load_weights", name, data, (change, change, mutations.change_bytes), weights_into(model, by_name)
            )

    def _add_texts(self, name: str, text: str, yaml_text: str | None) -> None:
        changes = (mutations.change_text,) * 4 + (mutations.change_bytes,)
        self._add("model_from_json", name, text.encode(), changes, from_text(keras_compat.models.model_from_json))
        self._add("inspect", name + ".json", text.encode(), changes, described)
        if yaml_text is not None:
            data = yaml_text.encode()
            changes = (mutations.change_yaml,) * 3 + (mutations.change_bytes,)
            self._add("model_from_yaml", name, data, changes, from_text(keras_compat.models.model_from_yaml))
            self._add("inspect", name + ".yaml", data, changes, described)

    def _add_state(self) -> None:
        x, y = np.ones((4, 3), "float32"), np.ones((4, 2), "float32")
        model = Sequential([Dense(2, input_dim=3), Dropout(0.5)])
        model.compile("adam", "mse")
        path = self.folder / "state.h5"
        model.fit(x, y, verbose=0, callbacks=[ModelCheckpoint(str(path), save_state=True)])

        def go_on(changed: Path) -> None:
            fresh = Sequential([Dense(2, input_dim=3), Dropout(0.5)])
            fresh.compile("adam", "mse")
            keep_weights(fresh, lambda: keras_compat.models.restore_state(fresh, changed))
            fresh.fit(x, y, epochs=2, verbose=0, callbacks=[ModelCheckpoint(str(self.folder / "next.h5"))])

        changes = (mutations.change_h5, mutations.change_h5, mutations.change_bytes)
        self._add("restore_state", "checkpoint", path.read_bytes(), changes, go_on)

    def _add_data(self) -> None:
        stream = io.BytesIO()
        lists = np.empty(2, object)
        lists[:] = [[1, 2], [3]]
        np.savez(stream, x=np.arange(6.0).reshape(2, 3), y=np.array(["a", "bc"]), z=lists)
        changes: Any = (mutations.change_zip, mutations.change_zip, mutations.change_bytes)
        self._add("load_npz", "arrays", stream.getvalue(), changes, guard.load_npz)
        self._add("load_weights", "npz", stream.getvalue(), changes, weights_into(_networks()["steps"], False))
        plain, zipped = io.BytesIO(), io.BytesIO()
        with tarfile.open(fileobj=plain, mode="w") as tar, zipfile.ZipFile(zipped, "w") as archive:
            for name in ("a/one.txt", "two.txt"):
                info = tarfile.TarInfo(name)
                info.size = 5
                tar.addfile(info, io.BytesIO(b"three"))
                archive.writestr(name, "three")
        self._add("extract_archive", "tar", plain.getvalue(), (mutations.change_tar,), self._extract)
        changes = (mutations.change_zip, mutations.change_bytes)
        self._add("extract_archive", "zip", zipped.getvalue(), changes, self._extract)

    def _extract(self, path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as outer:
            target = Path(outer) / "target"
            target.mkdir()
            try:
                extract_archive(str(path), str(target))
            finally:
                assert os.listdir(outer) == ["target"], "something lies beside the folder"
                assert not any(p.is_symlink() for p in target.rglob("*")), "a link was made"

    # -- what reading does

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            path = os.fsdecode(arguments[0])  # a name alone is one in a folder that is open
            if (
                os.path.isabs(path)
                and not path.startswith((str(self.folder), "/dev/", "/proc/"))
                and not path.endswith((".py", ".pyc", ".so"))
            ):
                self._seen.append(f"opened {path}")
        elif event.startswith(FORBIDDEN) and not self._own(arguments):
            self._seen.append(f"{event} {arguments!r:.200}")

    def _own(self, arguments: tuple[Any, ...]) -> bool:
        """Whether something is done to what lies in the folder."""
        return bool(arguments) and isinstance(arguments[0], str) and arguments[0].startswith(str(self.folder))

    def make(self, recipe: bytes) -> tuple[str, Subject, bytes]:
        """The reader, its subject and the damaged file that a recipe means."""
        choices = Choices(recipe)
        reader = choices.of(sorted(self.subjects))
        subject = choices.of(self.subjects[reader])
        return reader, subject, choices.of(subject.changes)(subject.data, choices)

    def run(self, recipe: bytes) -> Result:
        """Let a recipe's file be read."""
        reader, subject, data = self.make(recipe)
        result = self.read(subject, data)
        self.outcomes[reader, result.outcome] += 1
        return result

    def read(self, subject: Subject, data: bytes) -> Result:
        """Let a file be read in place of a subject's own."""
        path = self.folder / ("changed" + (Path(subject.name).suffix or ".bin"))
        path.write_bytes(data)
        self._seen.clear()
        self._watching = True
        try:
            subject.read(path)
            result = Result("read")
        except Exception as error:
            result = judged(error)
        finally:
            self._watching = False
            K.clear_session()
        if self._seen:
            result = Result(result.outcome, "; ".join(self._seen[:5]))
        return result


def judged(error: Exception) -> Result:
    """Whether an error is one that a damaged file may raise."""
    kind = type(error)
    # NumPy's, too: what it says of a text in place of a number is a TypeError of a class of its own.
    own = kind.__module__.startswith(("keras_compat.", "autotensor.", "numpy.")) and isinstance(error, CLEAN)
    if own or kind in CLEAN or (kind.__module__ == "builtins" and isinstance(error, OSError)):
        return Result(kind.__name__)
    frames = traceback.extract_tb(error.__traceback__)
    place = [f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in frames[-2:]]
    return Result(kind.__name__, "".join(traceback.format_exception(error, limit=-6, chain=False)), " ".join(place))


def described(path: Path) -> None:
    """``inspect`` judges whatever there is, and says it in JSON."""
    found = inspect.describe(str(path))
    assert found["verdict"] in ("safe", "unsafe", "damaged")
    json.dumps(found, default=str)
    list(inspect.lines(found))


def from_text(build: Callable[[str], Any]) -> Callable[[Path], Any]:
    """What builds a model from the text in a file, as a program would read it."""

    def read(path: Path) -> Any:
        data = path.read_bytes()
        try:
            text = data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        return build(text)

    return read


def keep_weights(model: Any, load: Callable[[], Any]) -> None:
    """Load; where that fails the model has the weights it had."""
    kept = [w.copy() for w in model.get_weights()]
    try:
        load()
    except Exception:
        same = [np.array_equal(a, b, equal_nan=True) for a, b in zip(kept, model.get_weights())]
        assert all(same), "the load failed and the model changed"
        raise
    finally:
        shapes = [w.shape for w in model.get_weights()]
        model.set_weights(kept)
    assert shapes == [w.shape for w in kept], "weights changed their shapes"


def weights_into(model: Any, by_name: bool) -> Callable[[Path], None]:
    """What loads weights into a model, and puts back those it had."""
    return lambda path: keep_weights(model, lambda: model.load_weights(path, by_name=by_name))

"""Going on after an interruption is the same, in every bit, as never having been interrupted."""

from __future__ import annotations

import json
import random
import subprocess
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import autotensor as at
from keras_compat import callbacks as C
from keras_compat.layers import Dense
from keras_compat.models import Sequential, load_model, restore_state, save_state
from keras_compat.optimizers import SGD
from keras_compat.saving import plain
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.state import read_state
from tests.keras_compat import children, resume_cases
from tests.keras_compat.resume_cases import CASES, EPOCHS, OPTIMIZERS, X, Y, noisy, quiet, watchers

PROGRAM = resume_cases.__file__
ALL_WAYS = {f"{way}_{name}" for way in ("backup", "checkpoint", "mid_epoch") for name in OPTIMIZERS}
# Each optimizer in one way; in the others by the slow tests.
QUICK_WAYS = {
    "backup_rmsprop",
    "backup_adadelta",
    "backup_adamax",
    "checkpoint_adam",
    "checkpoint_adagrad",
    "checkpoint_nadam",
    "mid_epoch_sgd",
    "mid_epoch_adam_plain",
}
# Of these a harder twin is among the quick ones.
TWINS = {
    "augmentation_by_a_generator",
    "sequence",
    "sequence_mid_epoch",
    "stateful_recurrent",
    "several_outputs_checkpoint",
    "own_callback",
    "keras_1_backup",
    "plain_adam",
    "plain_rmsprop",
    "plain_adagrad",
    "plain_adamax",
}
KERNELS = {name for name, case in CASES.items() if case.kernels}
SLOW = sorted((ALL_WAYS - QUICK_WAYS) | TWINS | KERNELS)
QUICK = [name for name in CASES if name not in SLOW]

pytestmark = pytest.mark.usefixtures("without_kernels")


def start(phase: str, folder: Path, names: list[str]) -> subprocess.Popen[str]:
    return children.start(PROGRAM, phase, str(folder), *names, PYTHONWARNINGS="ignore")


def finish(process: subprocess.Popen[str]) -> None:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out[-1000:] + err[-3000:]


def run_all(folder: Path, names: list[str]) -> Path:
    """The three phases of some cases, one after the other: what the first compiles, the others load."""
    finish(start("whole", folder, names))
    finish(start("begin", folder, names))
    finish(start("go_on", folder, names[::-1]))
    return folder


def compare(folder: Path, name: str) -> None:
    with np.load(folder / f"whole_{name}.npz") as whole, np.load(folder / f"go_on_{name}.npz") as resumed:
        assert set(whole.files) == set(resumed.files)
        different = [k for k in whole.files if not same(whole[k], resumed[k])]
    assert not different


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# -- each case in processes of its own --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_all(tmp_path_factory.mktemp("quick"), QUICK)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_all(tmp_path_factory.mktemp("slow"), SLOW)


@pytest.mark.parametrize("name", QUICK)
def test_going_on_is_as_never_interrupted(quick: Path, name: str) -> None:
    compare(quick, name)
    assert not (quick / name).exists()  # the backup of a training that has ended is removed


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_going_on_is_as_never_interrupted_in_all_ways(slow: Path, name: str) -> None:
    compare(slow, name)


def test_the_cases_are_what_they_are_named_for(quick: Path) -> None:
    """Early stopping stops, rates fall, and what is not restored would show."""
    with np.load(quick / "whole_stopped_later.npz") as stopped:
        assert 2 < stopped["epochs"][-1] < EPOCHS - 1
    with np.load(quick / "whole_stopped_before.npz") as stopped:
        assert stopped["epochs"][-1] < 3
    with np.load(quick / "whole_nan.npz") as ended:
        assert list(ended["epochs"]) == [0] and np.isnan(ended["w0"]).any()
    with np.load(quick / "whole_checkpoint_adam.npz") as reduced:
        assert len(set(reduced["h_lr"])) > 1
    found = resume_cases.run("backup_rmsprop", "whole", quick)
    with np.load(quick / "whole_backup_rmsprop.npz") as whole:
        assert same(found["w0"], whole["w0"])
    np.random.seed(0)
    model = noisy("rmsprop")
    with np.load(quick / "whole_backup_rmsprop.npz") as whole:
        assert not same(model.get_weights()[0], whole["w0"])


def test_a_process_killed_at_any_moment(tmp_path: Path) -> None:
    name = "mid_epoch_adam"
    found = resume_cases.run(name, "whole", tmp_path)
    lines = 0
    for seed in range(2):
        process = start("killed", tmp_path, [name])
        assert process.stdout is not None
        chance = random.Random(seed)
        try:
            for _ in range(chance.randint(2, 9)):
                said = process.stdout.readline()
                lines += bool(said)
                if said == resume_cases.WAITING:
                    break
            time.sleep(chance.uniform(0, 0.02))
            assert process.poll() is None
        finally:
            process.kill()
            process.communicate(timeout=60)
    assert lines > 2
    finish(start("go_on", tmp_path, [name]))
    with np.load(tmp_path / f"go_on_{name}.npz") as resumed:
        assert not [k for k, v in found.items() if not same(v, resumed[k])]


# -- BackupAndRestore -------------------------------------------------------------------------------------------------


class Stop(C.Callback):
    """An exception at an epoch's begin."""

    def __init__(self, epoch: int, error: type[BaseException] = KeyboardInterrupt):
        super().__init__()
        self.at, self.error = epoch, error

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.at:
            raise self.error


def fit(model: Any, *callbacks: Any, epochs: int = 6, **arguments: Any) -> Any:
    given = {"batch_size": 8, "verbose": 0, "validation_split": 0.25} | arguments
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **given)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_backup_stays_after_an_exception_and_goes_at_the_end(tmp_path: Path, error: type[BaseException]) -> None:
    backup = C.BackupAndRestore(tmp_path / "deep" / "backup")
    with pytest.raises(error):
        fit(noisy("adam"), backup, Stop(3, error))
    assert backup.path.exists()
    history = fit(noisy("adam"), C.BackupAndRestore(tmp_path / "deep" / "backup"))
    assert history.epoch == list(range(6)) and len(history.history["val_loss"]) == 6
    assert not (tmp_path / "deep" / "backup").exists()


def test_a_backup_that_is_kept_and_more_epochs(tmp_path: Path) -> None:
    whole = quiet("adam")
    fit(whole, epochs=8, shuffle=False)
    model = quiet("adam")
    first = fit(model, C.BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=5, shuffle=False)
    again = quiet("adam")
    second = fit(again, C.BackupAndRestore(tmp_path, delete_checkpoint=False), epochs=5, shuffle=False)
    assert second.history == first.history and second.epoch == first.epoch
    assert all(map(same, model.get_weights(), again.get_weights()))
    more = fit(again, C.BackupAndRestore(tmp_path), epochs=8, shuffle=False)
    assert more.epoch == list(range(8)) and more.history["loss"][:5] == first.history["loss"]
    assert list(tmp_path.parent.glob(tmp_path.name)) == []
    assert not all(map(same, model.get_weights(), again.get_weights()))


def test_a_training_that_was_stopped_goes_no_further(tmp_path: Path) -> None:
    """The process ended between the last backup and the end of fit."""
    stopping = [C.EarlyStopping("loss", patience=1, min_delta=100), C.BackupAndRestore(tmp_path)]
    model = noisy("adam")
    ended = C.LambdaCallback(on_train_end=lambda logs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fit(model, ended, *stopping)
    again = noisy("adam")
    seen: list[int] = []
    spy = C.LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch))
    history = fit(again, spy, C.EarlyStopping("loss", patience=1, min_delta=100), C.BackupAndRestore(tmp_path))
    assert seen == [] and history.epoch == [0, 1]
    assert all(map(same, model.get_weights(), again.get_weights()))


def test_it_says_that_the_run_goes_on(tmp_path: Path) -> None:
    seen: list[bool] = []

    class Spy(C.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            seen.append(self.params["goes_on"])

    with pytest.raises(KeyboardInterrupt):
        fit(noisy("adam"), Spy(), C.BackupAndRestore(tmp_path), Stop(3))
    fit(noisy("adam"), Spy(), C.BackupAndRestore(tmp_path))
    assert seen == [False, True]


@pytest.fixture
def backup(tmp_path: Path) -> C.BackupAndRestore:
    """A training interrupted in the middle of an epoch."""
    backup = C.BackupAndRestore(tmp_path / "b", save_freq=3)
    hook = C.LambdaCallback(on_batch_end=lambda batch, logs: 1 / 0 if batch == 4 else None)
    with pytest.raises(ZeroDivisionError):
        fit(noisy("adam"), *watchers(), backup, hook)
    return backup


def refused(backup: C.BackupAndRestore, kind: type[Exception], says: str, model: Any = None, **arguments: Any) -> None:
    """Fit raises before a callback is told of anything, and leaves the model as it was."""
    model = noisy("adam") if model is None else model
    weights, state = model.get_weights(), np.random.get_state(legacy=False)["state"]["key"].copy()
    spy = C.LambdaCallback(on_train_begin=lambda logs: pytest.fail("training began"))
    with pytest.raises(kind, match=says):
        fit(model, *watchers(), spy, backup, **arguments)
    assert all(map(same, weights, model.get_weights()))
    assert same(state, np.random.get_state(legacy=False)["state"]["key"])


def test_another_model_or_other_data_are_refused(backup: C.BackupAndRestore) -> None:
    refused(backup, ValueError, "another training.*in the file", noisy("sgd"))
    refused(backup, ValueError, "another training.*in the file", quiet("adam"))
    refused(backup, ValueError, "expected an epoch as it was", batch_size=4)
    refused(backup, ValueError, "expected an epoch as it was", shuffle=False)
    refused(backup, ValueError, "expected an epoch as it was", validation_split=0.5)


def written(backup: C.BackupAndRestore) -> str:
    with h5py.File(backup.path) as f:
        return f["training_state"].attrs["content"]


def rewrite(backup: C.BackupAndRestore, text: str) -> None:
    """Change the text in a backup as somebody would who knows of the digest."""
    with h5py.File(backup.path, "r+") as f:
        group = f["training_state"]
        group.attrs["content"] = text
        group.attrs["digest"] = plain._digest(text, {name: d[()] for name, d in group.items()}).hex()


def test_a_damaged_backup_is_named(backup: C.BackupAndRestore) -> None:
    content = backup.path.read_bytes()
    for damaged in (b"", content[:100], content[: len(content) // 2], b"x" * 5000):
        backup.path.write_bytes(damaged)
        refused(backup, CorruptFileError, "training_state.h5")
    backup.path.write_bytes(content)
    first = written(backup)
    rewrite(backup, first.replace('["format", 1]', '["format", 9]'))
    refused(backup, CorruptFileError, "format 9")
    for wrong in (first[:-2], first.replace('["epoch",', '["epochs",'), first.replace('"part"', '"array"'), "[]", "{}"):
        rewrite(backup, wrong)
        refused(backup, CorruptFileError, "whole|does not say")
    rewrite(backup, first)
    with h5py.File(backup.path, "r+") as f:
        f["training_state"]["<f4"][3] += 1
    refused(backup, CorruptFileError, "its digest differs")
    with h5py.File(backup.path, "r+") as f:
        del f["training_state"]["<f4"]
    refused(backup, CorruptFileError, "whole")
    with h5py.File(backup.path, "r+") as f:
        del f["training_state"]
    refused(backup, ValueError, "has none")


def test_a_flipped_byte_is_an_error_or_makes_no_difference(backup: C.BackupAndRestore) -> None:
    content = backup.path.read_bytes()
    whole = plain.digest(read_state(backup.path)._replace(path="")._asdict())
    chance = random.Random(3)
    refused = 0
    for place in chance.sample(range(len(content)), 150):
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        backup.path.write_bytes(damaged)
        try:
            found = read_state(backup.path)
        except ValueError:
            refused += 1
        else:
            assert plain.digest(found._replace(path="")._asdict()) == whole
    assert refused > 50


@pytest.mark.parametrize("folder", ["", None, 3])
def test_backup_dir_is_a_folder(folder: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="backup_dir"):
        C.BackupAndRestore(folder)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file"):
        C.BackupAndRestore(tmp_path / "file")


@pytest.mark.parametrize("freq", [0, -1, 2.5, True, "batch"])
def test_save_freq_is_epoch_or_a_number(freq: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="save_freq"):
        C.BackupAndRestore(tmp_path, save_freq=freq)
    C.BackupAndRestore(tmp_path, 3, True, double_checkpoint=True, save_before_preemption=False)


def test_only_one_backup(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one BackupAndRestore; got 2"):
        fit(noisy("adam"), C.BackupAndRestore(tmp_path / "a"), C.BackupAndRestore(tmp_path / "b"))


# -- checkpoints with their state -------------------------------------------------------------------------------------


def items(f: h5py.Group) -> dict[str, Any]:
    found: dict[str, Any] = {f"{f.name} {k}": np.asarray(v).tolist() for k, v in f.attrs.items()}
    for part in f.values():
        if isinstance(part, h5py.Group):
            found.update(items(part))
        else:
            found[part.name] = part[()].tobytes()
    return found


def test_a_checkpoint_is_a_model_file_with_a_group_more(tmp_path: Path) -> None:
    model = noisy("adam")
    fit(model, C.ModelCheckpoint(tmp_path / "state.h5", save_state=True), epochs=2)
    model.save(tmp_path / "plain.h5")
    with h5py.File(tmp_path / "state.h5") as a, h5py.File(tmp_path / "plain.h5") as b:
        assert set(a) - set(b) == {"training_state"}
        found = {k: v for k, v in items(a).items() if "training_state" not in k}
        assert found == items(b)
        # Nothing stands there twice: not the weights, not the optimizer's.
        stored = sum(d[()].size for d in a["training_state"].values() if d.dtype == "f4")
        assert stored < model.count_params()


def test_loading_alone_leaves_the_random_generators_alone(tmp_path: Path) -> None:
    fit(noisy("adam"), C.ModelCheckpoint(tmp_path / "state.h5", save_state=True), epochs=2)
    at.random.seed(8)
    random.seed(8)
    drawn = random.random()
    random.seed(8)
    load_model(tmp_path / "state.h5")
    assert at.random.get_state() == {"seed": 8, "draws": 0} and random.random() == drawn


def test_restore_state_tells_where_training_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "state.h5"
    fit(noisy("adam"), C.ModelCheckpoint(path, save_state=True), epochs=3)
    model = noisy("adam")  # not of the file: its weights come from there
    found = restore_state(model, path)
    assert found == (3, 0, False, None)
    assert all(map(same, model.get_weights(), load_model(path).get_weights()))
    with pytest.raises(ValueError, match="initial_epoch=2"):
        fit(model, initial_epoch=2)
    restore_state(model, path)
    assert fit(model, initial_epoch=3, epochs=5).epoch == [0, 1, 2, 3, 4]
    assert fit(model, epochs=1).epoch == [0]  # only the next fit goes on


def test_a_file_without_a_state_is_refused(tmp_path: Path) -> None:
    model = quiet("adam")
    fit(model, C.ModelCheckpoint(tmp_path / "plain.h5"), epochs=1)
    with pytest.raises(ValueError, match="has none. Was it written by"):
        restore_state(model, tmp_path / "plain.h5")
    with pytest.raises(OSError, match=r"nothing\.h5"):
        restore_state(model, tmp_path / "nothing.h5")


def test_what_a_checkpoint_can_not_hold(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="save_weights_only"):
        C.ModelCheckpoint(tmp_path / "x.h5", save_state=True, save_weights_only=True)
    with pytest.raises(ValueError, match=r"\.h5"):
        C.ModelCheckpoint(tmp_path / "x.keras", save_state=True)


@pytest.mark.parametrize("state", [True, False])
def test_the_best_is_not_forgotten(tmp_path: Path, state: bool) -> None:
    """Scores that are given, worse from epoch 3 on: the best file is that of epoch 2."""

    def callbacks() -> list[Any]:
        score = C.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(score=[3, 2, 1, 6, 5, 4][epoch]))
        best = C.ModelCheckpoint(tmp_path / "best.h5", monitor="score", save_best_only=True)
        return [score, best, C.ModelCheckpoint(tmp_path / "last.h5", save_state=state)]

    fit(quiet(SGD()), *callbacks(), epochs=4)
    before = (tmp_path / "best.h5").read_bytes()
    model = load_model(tmp_path / "last.h5")
    if state:
        restore_state(model, tmp_path / "last.h5")
    fit(model, *callbacks(), epochs=6, initial_epoch=4)
    assert (before == (tmp_path / "best.h5").read_bytes()) is state


def test_a_threshold_to_be_better_than(tmp_path: Path) -> None:
    for threshold, there in ((0.0, False), (1e9, True)):
        best = C.ModelCheckpoint(tmp_path / "x.h5", save_best_only=True, initial_value_threshold=threshold)
        fit(quiet(SGD()), best, epochs=1)
        assert (tmp_path / "x.h5").exists() is there


# -- loops of one's own -----------------------------------------------------------------------------------------------


def test_a_loop_over_train_on_batch(tmp_path: Path) -> None:
    def train(model: Any, first: int, last: int) -> list[float]:
        losses = []
        for _ in range(first, last):
            rows = np.random.permutation(len(X))[:16]
            losses.append(model.train_on_batch(X[rows] * random.choice([1, -1]), Y[rows])[0])
        return losses

    path = tmp_path / "state.h5"
    np.random.seed(1)
    model = noisy("nadam")
    train(model, 0, 4)
    save_state(model, path, extra={"step": 4, "means": np.arange(3.0)})
    rest = train(model, 4, 9)
    model2 = load_model(path)
    np.random.seed(55)
    found = restore_state(model2, path)
    assert found.extra["step"] == 4 and same(found.extra["means"], np.arange(3.0))
    assert train(model2, found.extra["step"], 9) == rest
    assert all(map(same, model.get_weights(), model2.get_weights()))
    assert fit(model2, epochs=1).epoch == [0]
    with pytest.raises(CorruptFileError, match="does not say where a fit was"):
        directory = tmp_path / "b"
        directory.mkdir()
        path.rename(directory / "training_state.h5")
        fit(model2, C.BackupAndRestore(directory))


def test_only_plain_data_is_kept_beside(tmp_path: Path) -> None:
    model = quiet("adam")
    model.save(tmp_path / "x.h5")
    before = (tmp_path / "x.h5").read_bytes()
    with pytest.raises(TypeError, match="got object"):
        save_state(model, tmp_path / "x.h5", extra=object())
    assert (tmp_path / "x.h5").read_bytes() == before
    with pytest.raises(RuntimeError, match="compile"):
        save_state(Sequential([Dense(2, input_dim=2)]), tmp_path / "y.h5")
    assert not (tmp_path / "y.h5").exists()


# -- states of objects ------------------------------------------------------------------------------------------------


class Counting(C.Callback):
    """Counts, and writes where a text says."""

    def __init__(self, target: str = "here"):
        super().__init__()
        self.target = target
        self.count = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.count += 1


def test_arguments_of_a_callback_are_those_of_the_program(tmp_path: Path) -> None:
    first = C.BackupAndRestore(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(quiet("adam"), C.EarlyStopping(patience=50), Counting(), first, Stop(3))
    stopping, counting = C.EarlyStopping(patience=7), Counting("there")
    fit(quiet("adam"), stopping, counting, C.BackupAndRestore(tmp_path))
    assert stopping.patience == 7 and counting.target == "there" and counting.count == 6


def test_texts_are_neither_stored_nor_taken(tmp_path: Path) -> None:
    class Renaming(Counting):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.target = f"epoch {epoch}"

    with pytest.warns(UserWarning, match=r"Renaming is stored without its attribute 'target'"):
        fit(quiet("adam"), Renaming(), C.BackupAndRestore(tmp_path / "a"), epochs=2)

    for name, value in (("target", "/etc/passwd"), ("on_epoch_end", 3), ("__class__", 3), ("model", 3)):
        backup = C.BackupAndRestore(tmp_path / "b")
        with pytest.raises(KeyboardInterrupt):
            fit(quiet("adam"), Counting(), backup, Stop(2))
        text = written(backup)
        rewrite(backup, text.replace('["count", 2]', json.dumps([name, value])))
        assert text.count('["count", 2]') == 1
        counting = Counting()
        with pytest.raises(CorruptFileError, match="Counting"):
            fit(quiet("adam"), counting, backup)
        assert counting.target == "here" and counting.model is None
        backup.path.unlink()


def test_a_callback_that_is_gone_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(quiet("adam"), Counting(), Counting(), C.BackupAndRestore(tmp_path), Stop(2))
    one = Counting()
    with pytest.warns(UserWarning, match="not there now: Counting"):
        fit(quiet("adam"), one, C.BackupAndRestore(tmp_path))
    assert one.count == 6

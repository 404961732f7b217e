"""Distributed training: two ranks on this machine, by MPI, do what one does; and what goes wrong on one ends both.

One start of two ranks runs all checks of ``ranks.py``, as each start costs seconds; a few more end badly.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
import keras_compat.distributed as hvd
from benchmarks.distributed import Net, timeline
from keras_compat import backend as K
from keras_compat import optimizers
from keras_compat.distributed import communicator, reducing, state
from keras_compat.layers import BatchNormalization, Dense
from keras_compat.models import Sequential
from tests.keras_compat.children import environment, run_alone
from tests.reliability.ranks import APART, CHECKS

pytestmark = [pytest.mark.promise(39, "distributed")]

ROOT = Path(__file__).resolve().parents[2]
LAUNCHER = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
needs_mpi = pytest.mark.skipif(
    LAUNCHER is None or importlib.util.find_spec("mpi4py") is None,
    reason="mpi4py or mpiexec is missing: pip install 'autotensor[distributed]'",
)


def launch(*arguments: str, ranks: int = 2, folder: Path = ROOT, **changes: str) -> subprocess.Popen[str]:
    """Start ranks of Python without generated kernels, on one thread each."""
    env = environment(OPENBLAS_NUM_THREADS="1", AUTOTENSOR_THREADS="1", AUTOTENSOR_NUMBA="0") | changes
    # Open MPI's launcher wants to be told that root, and more ranks than cores, are meant.
    env |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    env |= {"PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe"}
    assert LAUNCHER is not None
    return subprocess.Popen(
        [LAUNCHER, "-n", str(ranks), sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
        cwd=folder,
    )


def ended(process: subprocess.Popen[str], seconds: float = 240) -> tuple[int, str]:
    """Exit status and output; a job that hangs is killed, and fails the test."""
    try:
        text, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, text


def begun(wanted: str, folder: Path) -> tuple[subprocess.Popen[str], dict[int, int]]:
    """A job that trains until something ends it, and the processes of its ranks."""
    process = launch("-m", "tests.reliability.ranks", str(folder), wanted)
    watchdog = threading.Timer(240, process.kill)
    watchdog.daemon = True
    watchdog.start()
    assert process.stdout is not None
    seen: dict[int, int] = {}
    text = ""
    while len(seen) < 2:
        line = process.stdout.readline()
        assert line, text
        text += line
        seen.update({int(r): int(pid) for r, pid in re.findall(r"ready (\d) (\d+)", text)})
    return process, seen


# -- two ranks --------------------------------------------------------------------------------------------------------


@needs_mpi
def test_two_ranks_do_what_one_does_and_go_on_in_other_processes(tmp_path: Path) -> None:
    status, text = ended(launch("-m", "tests.reliability.ranks", str(tmp_path), "all"))
    results = json.loads((tmp_path / "all.json").read_text()) if (tmp_path / "all.json").exists() else {}
    missing = [name for name in CHECKS if name not in APART and results.get(name) != "ok"]
    assert not missing, f"{missing}\n{text}"
    assert len(results) >= 12
    # Ranks that wait for different things, and a rank that has left: errors, and no hang.
    assert (tmp_path / "left.txt").read_text() == "ok", text
    assert status == 0, text
    # In other processes training goes on to the same bits; then one rank has an error, which ends both at once.
    status, text = ended(launch("-m", "tests.reliability.ranks", str(tmp_path), "resume"))
    assert json.loads((tmp_path / "resume.json").read_text()) == {"resume": "ok"}, text
    assert "ValueError: rank 1 has had enough" in text and "Traceback" in text
    assert status not in (0, None) and "ValueError" in text


@needs_mpi
def test_a_killed_rank_ends_the_job(tmp_path: Path) -> None:
    process, ranks = begun("train", tmp_path)
    os.kill(ranks[1], signal.SIGKILL)
    status, _ = ended(process)
    assert status != 0
    _gone(ranks.values())


@needs_mpi
def test_ctrl_c_ends_all_ranks(tmp_path: Path) -> None:
    process, ranks = begun("train", tmp_path)
    process.send_signal(signal.SIGINT)
    status, text = ended(process)
    assert status in (130, -signal.SIGINT), text
    assert "KeyboardInterrupt" in text
    _gone(ranks.values())


@needs_mpi
def test_a_program_for_horovod_runs_as_it_stands(tmp_path: Path) -> None:
    program = ["-m", "keras_compat", "run", str(ROOT / "examples" / "horovod_mnist.py"), "--small"]
    status, text = ended(launch(*program, folder=tmp_path, KERAS_HOME=str(tmp_path / "keras")))
    assert status == 0, text
    assert float(re.findall(r"Test accuracy: ([\d.]+)", text)[0]) > 0.3  # guessing gives 0.1
    assert len(re.findall("Epoch 2/2", text)) == len(re.findall("Test accuracy", text)) == 1, "rank 0 alone says it"
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == ["checkpoint-1.h5", "checkpoint-2.h5"]


def _gone(processes: Any) -> None:
    """See that no rank is left."""
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in processes):
        assert time.monotonic() < until, "a rank is still there"
        time.sleep(0.1)


# -- one rank ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Any:
    """This process as rank 0 of 1, without kernels."""
    monkeypatch.setattr(state, "_job", communicator.Alone())
    K.clear_session()
    with at.config.use(numba=False):
        yield state._job


def network(seed: int = 0) -> Sequential:
    np.random.seed(seed)
    return Sequential([Dense(4, activation="tanh", input_shape=(3,)), Dense(2)])


X = np.random.RandomState(0).randn(12, 3).astype("float32")
Y = np.random.RandomState(1).randn(12, 2).astype("float32")


def test_a_program_without_a_launcher_is_rank_0_of_1_and_needs_no_mpi() -> None:
    code = """
import sys
import horovod.keras as hvd
import horovod.tensorflow
import horovod.tensorflow.keras.callbacks as callbacks
import keras_compat.distributed
assert hvd is keras_compat.distributed is horovod.tensorflow and callbacks is hvd.callbacks
try:
    import horovod.torch
except ImportError as error:
    assert "torch" in str(error)
assert not hvd.is_initialized()
try:
    hvd.rank()
except ValueError as error:
    assert "hvd.init()" in str(error)
hvd.init()
hvd.init()
assert hvd.is_initialized() and hvd.is_homogeneous()
assert [f() for f in (hvd.rank, hvd.local_rank, hvd.cross_rank)] == [0, 0, 0]
assert [f() for f in (hvd.size, hvd.local_size, hvd.cross_size)] == [1, 1, 1]
assert hvd.allreduce(2.0) == 2 and hvd.allgather(3).tolist() == [3] and hvd.broadcast(4, 0) == 4
hvd.broadcast_global_variables(0)
hvd.barrier()
assert hvd.mpi_built() and hvd.mpi_enabled() and hvd.mpi_threads_supported()
answers = [f() for f in (hvd.gloo_built, hvd.gloo_enabled, hvd.nccl_built, hvd.ddl_built, hvd.ccl_built, hvd.cuda_built,
                         hvd.rocm_built)]
assert not any(answers)
hvd.shutdown()
assert not hvd.is_initialized() and "mpi4py" not in sys.modules
"""
    done = run_alone("-m", "keras_compat", "run", "-c", code, timeout=120)
    assert done.returncode == 0, done.stderr


def test_several_ranks_without_mpi4py_are_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    monkeypatch.setattr(state, "_job", None)
    with pytest.raises(ImportError, match=r"2 ranks were started.*pip install"):
        hvd.init()
    assert not hvd.is_initialized()


@pytest.mark.parametrize("passes", [2, 3, 4])
def test_passes_are_one_larger_batch(job: Any, passes: int) -> None:
    plain, parts = network(), network()
    plain.compile(optimizers.Adam(0.1, clipnorm=1.0), "mse")
    chosen = optimizers.Adam(0.1, clipnorm=1.0)
    options = {"backward_passes_per_step": passes, "average_aggregated_gradients": True}
    parts.compile(hvd.DistributedOptimizer(chosen, **options), "mse")
    n = len(X) // passes
    for _ in range(3):
        plain.train_on_batch(X, Y)
        for start in range(0, len(X), n):
            before = parts.get_weights()
            parts.train_on_batch(X[start : start + n], Y[start : start + n])
            stays = all([np.array_equal(a, b) for a, b in zip(before, parts.get_weights())])
            assert stays == (start + n < len(X))
    for a, b in zip(plain.get_weights(), parts.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert K.get_value(parts.optimizer.iterations) == 3


def test_passes_are_added_unless_averaged(job: Any) -> None:
    one, two = network(), network()
    one.compile(optimizers.SGD(0.2), "mse")
    two.compile(hvd.DistributedOptimizer("sgd", backward_passes_per_step=2), "mse")
    two.optimizer.lr = 0.1
    one.train_on_batch(X, Y)
    for _ in range(2):
        two.train_on_batch(X, Y)
    for a, b in zip(one.get_weights(), two.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_passes_in_other_forms_of_running(job: Any) -> None:
    """Operation by operation, as in the search for the first NaN, the same happens."""
    found = []
    for switches in ({}, {"compile": False}, {"nan_guard": True}):
        model = network()
        model.compile(hvd.DistributedOptimizer(optimizers.SGD(0.1), backward_passes_per_step=2), "mse")
        with at.config.use(**switches):
            for _ in range(4):
                model.train_on_batch(X, Y)
        found.append(model.get_weights())
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_state_of_batch_norm_follows_each_pass(job: Any) -> None:
    model = Sequential([BatchNormalization(input_shape=(3,)), Dense(2)])
    model.compile(hvd.DistributedOptimizer("sgd", backward_passes_per_step=2), "mse")
    moving = model.layers[0].get_weights()[2]
    model.train_on_batch(X + 5, Y)
    assert not np.array_equal(moving, model.layers[0].get_weights()[2])


def test_the_optimizer_is_one_of_its_class(job: Any) -> None:
    plain = optimizers.RMSprop(0.01, rho=0.8, decay=0.1)
    made = hvd.DistributedOptimizer(plain)
    assert isinstance(made, optimizers.RMSprop) and type(made).__name__ == "RMSprop"
    assert made.get_config() == plain.get_config()
    made.lr = 0.5
    assert K.get_value(plain.lr) == 0.5
    assert optimizers.serialize(made) == optimizers.serialize(plain)
    assert type(optimizers.deserialize(optimizers.serialize(made))) is optimizers.RMSprop


def test_what_an_optimizer_can_not_be(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(optimizers.Optimizer):
        def get_updates(self, loss: Any, params: Any) -> Any:
            return [K.update(p, p - 0.1 * g) for p, g in zip(params, K.gradients(loss, params))]

    class Duck:
        get_updates = None

    for wrong, text in [
        ({"op": hvd.Adasum}, "Adasum"),
        ({"op": hvd.Max}, "Average or Sum"),
        ({"backward_passes_per_step": 0}, "from 1 on"),
        ({"groups": 0}, "from 1 on"),
        ({"op": hvd.Sum, "gradient_predivide_factor": 2.0}, "Leave it out"),
    ]:
        with pytest.raises(ValueError, match=text):
            hvd.DistributedOptimizer("sgd", **wrong)
    with pytest.raises(ValueError, match="already"):
        hvd.DistributedOptimizer(hvd.DistributedOptimizer("sgd"))
    with pytest.raises(TypeError, match="Duck"):
        hvd.DistributedOptimizer(Duck())
    model = network()
    model.compile(hvd.DistributedOptimizer(Own()), "mse")
    with pytest.raises(TypeError, match=r"get_gradients.*Own does not"):
        model.train_on_batch(X, Y)
    monkeypatch.setattr(state, "_job", None)
    with pytest.raises(ValueError, match=r"hvd\.init"):
        hvd.DistributedOptimizer("sgd")


def test_what_else_is_refused(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotImplementedError, match="profile"):
        hvd.start_timeline("x.json")
    with pytest.raises(NotImplementedError, match="profile"):
        hvd.stop_timeline()
    with pytest.raises(ValueError, match="one of average and op"):
        hvd.allreduce(1.0, average=True, op=hvd.Sum)
    with pytest.raises(TypeError, match="expected numbers"):
        hvd.allgather("a text")
    with pytest.raises(ValueError, match="expected a multiplier"):
        hvd.callbacks.LearningRateScheduleCallback(0.1)
    with pytest.raises(ValueError, match="expected a filepath"):
        hvd.callbacks.BestModelCheckpoint().on_train_begin()
    with pytest.raises(ValueError, match="'epoch'"):
        hvd.callbacks.BestModelCheckpoint(save_freq=10)
    monkeypatch.setattr(state, "_job", None)
    with pytest.raises(NotImplementedError, match="process sets"):
        hvd.init(process_sets="dynamic")
    monkeypatch.setenv("HOROVOD_FUSION_THRESHOLD", "64 MB")
    with pytest.raises(ValueError, match="number of bytes"):
        reducing.threshold()


def test_arguments_of_callbacks_before_021(job: Any) -> None:
    warmup = hvd.callbacks.LearningRateWarmupCallback(3, verbose=1)
    assert warmup.warmup_epochs == 3 and warmup.initial_lr is None
    assert hvd.callbacks.LearningRateScheduleCallback(lambda epoch: 0.5).factor(7) == 0.5
    assert hvd.callbacks.LearningRateScheduleCallback(0.1, 0.5).factor(2) == 0.25
    model = network()
    model.compile(hvd.DistributedOptimizer(optimizers.SGD(0.4)), "mse")
    halved = hvd.callbacks.LearningRateScheduleCallback(lambda epoch: 0.5)
    history = model.fit(X, Y, epochs=2, verbose=0, callbacks=[halved])
    np.testing.assert_allclose(history.history["lr"], [0.2, 0.2])


# -- parts ------------------------------------------------------------------------------------------------------------


def test_gradients_go_last_first_into_few_buffers() -> None:
    f4, f8 = "float32", "float64"
    assert reducing.in_groups([(f4, 40)] * 5, 1000) == [[4, 3, 2, 1, 0]]
    assert reducing.in_groups([(f4, 40)] * 5, 80) == [[4, 3], [2, 1], [0]]
    assert reducing.in_groups([(f4, 40), (f4, 500), (f4, 40)], 80) == [[2], [1], [0]]
    assert reducing.in_groups([(f4, 40), (f8, 40), (f4, 40)], 1000) == [[2], [1], [0]]
    assert reducing.in_groups([(f4, 40)] * 3, 0) == [[2], [1], [0]]


def test_all_ranks_begin_the_sums_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever order a plan finds for the rest: each start follows the one before, each finish too, and all starts."""
    two = communicator.Alone()
    two.size = 2
    monkeypatch.setattr(state, "_job", two)
    w = [K.variable(np.ones(3), name=f"w{i}") for i in range(4)]
    grads = [K.square(v) for v in w]
    found = reducing.combined(reducing.Settings(groups=4), grads, w, 0)
    finishes = [g.node.inputs[0].node.inputs[0].node for g in found]  # behind a reshape and a part
    assert [node.op.name for node in finishes] == ["reduce_finish"] * 4
    starts = [node.inputs[1].node for node in finishes]
    assert all(starts[i].inputs[0].node is starts[i + 1] for i in range(3)) and starts[3].inputs[0] == 0
    assert all(finishes[i].inputs[0].node is finishes[i + 1] for i in range(3))
    assert finishes[3].inputs[0].node is starts[0]


@pytest.mark.parametrize(
    ("options", "megabytes", "buffers"),
    [({}, 3, 1), ({}, 16, 4), ({"groups": 1}, 16, 1), ({"groups": 2}, 16, 2), ({"threshold": 2 << 20}, 16, 8)],
)
def test_a_large_network_has_several_buffers(
    options: dict[str, Any], megabytes: int, buffers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = communicator.Alone()
    two.size = 2
    monkeypatch.setattr(state, "_job", two)
    if "threshold" in options:
        monkeypatch.setenv("HOROVOD_FUSION_THRESHOLD", str(options["threshold"]))
    grads = [at.placeholder((1 << 18,), dtype="float32") for _ in range(megabytes)]
    found = reducing.combined(reducing.Settings(groups=options.get("groups")), grads, grads, 0)
    assert len({id(g.node.inputs[0].node.inputs[0].node) for g in found}) == buffers


def test_weights_of_one_list_travel_in_one_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    two = communicator.Alone()
    two.size = 2
    monkeypatch.setattr(state, "_job", two)
    w = [at.placeholder((3,), dtype="float32") for _ in range(4)]
    found = reducing.combined(reducing.Settings(groups=[[w[0], w[3]]]), w, w, 0)
    first, *_, last = [id(g.node.inputs[0].node.inputs[0].node) for g in found]
    assert first == last and len({id(g.node.inputs[0].node.inputs[0].node) for g in found}) == 3


def test_sums_are_the_same_whoever_has_a_part_of_them() -> None:
    rows = list(np.random.RandomState(0).randn(8, 1000).astype("float32"))
    whole = reducing.added(rows)
    for ranks in (2, 4, 8):
        own = [reducing.added(rows[i : i + 8 // ranks]) for i in range(0, 8, 8 // ranks)]
        assert np.array_equal(reducing.added(own), whole)
    assert not np.array_equal(sum(rows[1:], rows[0]), whole)
    np.testing.assert_allclose(reducing.added(rows[:5]), np.sum(rows[:5], 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ([communicator._LEFT, 0, 4, 0, 0], "rank 1 has ended"),
        ([communicator.EPOCHS, 1, 4, 0, 1], "never meet"),
        ([communicator._LEFT, 0, 5, 0, 0], None),  # it did its part before
        ([communicator.GRADIENTS, 4, 4, 0, 0], None),  # it waits for what this rank has begun
    ],
)
def test_what_a_rank_makes_of_the_words_of_another(word: list[int], text: str | None) -> None:
    job = communicator.Job.__new__(communicator.Job)
    job.rank, job.size, job._counts = 0, 3, [5, 0, 0]
    job._words = {1: np.array(word)}
    if text is None:
        job._check(communicator.GRADIENTS, 5)
    else:
        with pytest.raises(hvd.DistributedError, match=text):
            job._check(communicator.GRADIENTS, 5)
    here = word[2] >= 5
    assert job._missing(communicator.GRADIENTS, 5) == ("not there: rank 2" if here else "not there: rank 1, 2")


@pytest.mark.parametrize(
    ("mine", "others", "threads"),
    [
        ({0, 1, 2, 3}, [{0, 1, 2, 3}], 2),
        ({0, 1, 2}, [{0, 1, 2}], 1),
        ({0, 1}, [{0, 1}] * 3, 1),
        ({0, 1}, [{2, 3}], 2),  # the launcher has bound them
        ({0, 1, 2}, [{2, 3, 4}], 2),
    ],
)
def test_ranks_of_a_machine_share_its_cores(
    mine: set[int], others: list[set[int]], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Machine:
        def allgather(self, value: list[int]) -> list[list[int]]:
            return [value, *[sorted(other) for other in others]]

    job = communicator.Job.__new__(communicator.Job)
    job._machine = Machine()
    monkeypatch.setattr(communicator, "cores", lambda: mine)
    assert job.shared_cores() == threads
    for name in ("AUTOTENSOR_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")  # BLAS stays as it is here
    with at.config.use(threads=4):
        state._share_cores(job)
        assert at.get_num_threads() == threads
        at.set_num_threads(4)
        monkeypatch.setenv("AUTOTENSOR_THREADS", "4")
        state._share_cores(job)
        assert at.get_num_threads() == 4


def test_a_rank_that_is_late_is_named(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait itself, with a clock that runs fast and a request that is never done."""

    class Never:
        def Test(self) -> bool:
            return False

    job = communicator.Job.__new__(communicator.Job)
    job.rank, job.size, job._counts, job._words, job._sent = 0, 3, [1, 0, 0], {2: np.array([0, 1, 1, 0, 0])}, []
    job._stall, job._stall_end = 60.0, 200.0
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(job, "_tell", lambda what, number: told.append((what, number)))
    monkeypatch.setattr(job, "_read_mail", lambda: None)
    clock = iter(range(0, 10000, 5))
    monkeypatch.setattr(communicator.time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(hvd.DistributedError, match=r"waited 205 s.*not there: rank 1\."):
        job._wait(Never(), communicator.GRADIENTS)
    said = capfd.readouterr().err
    assert told == [(communicator.GRADIENTS, 1)]
    assert said.count("[distributed] rank 0 has waited") == 3 and "not there: rank 1\n" in said


def test_the_estimate_follows_the_order_of_the_plan() -> None:
    """By hand: a wire of 1 byte a second, two machines (a sum of n bytes takes n seconds), messages at once."""
    net = Net(1.0, 0.0)
    assert net.seconds(2, 10) == 10 and net.seconds(4, 10) == 15 and Net(1e9, 0.5).seconds(3, 0) == 2.0
    one = [("forward", 3.0, 0), ("backward", 4.0, 0), ("reduce_start", 1.0, 6), ("reduce_finish", 1.0, 6)]
    assert timeline(one, net, 2) == 3 + 4 + 1 + 6 + 1
    two = [("reduce_start", 1.0, 2), ("backward", 4.0, 0), ("reduce_start", 1.0, 4)]
    # The first sum is over before the second begins, at 6; that one ends at 10.
    assert timeline([*two, ("reduce_finish", 1.0, 2), ("reduce_finish", 1.0, 4)], net, 2) == 11
    # On a slower wire the second waits for the first.
    assert timeline([*two, ("reduce_finish", 0.0, 2), ("reduce_finish", 0.0, 4)], Net(0.25, 0.0), 2) == 1 + 8 + 16


def test_the_launcher_is_known_by_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*communicator._SIZES, "PMIX_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert communicator.launched_size() == 1
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    assert communicator.launched_size() == 4
    monkeypatch.setenv("HOROVOD_STALL_CHECK_TIME_SECONDS", "soon")
    with pytest.raises(ValueError, match="number of seconds"):
        communicator._seconds("HOROVOD_STALL_CHECK_TIME_SECONDS", 60.0)

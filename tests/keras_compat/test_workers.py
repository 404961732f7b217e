"""Batches made ahead by threads and processes: each once, in order, the same bits for any number of workers."""

from __future__ import annotations

import multiprocessing
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_compat
from keras_compat import callbacks
from keras_compat.engine import generators
from keras_compat.engine.generators import Source
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from keras_compat.utils import GeneratorEnqueuer, OrderedEnqueuer, data_utils, worker_process, workers
from keras_compat.utils.enqueuers import Passes
from tests.keras_compat import children, data_sequences
from tests.keras_compat.data_sequences import Awkward, Batches, Drawing, Failing, Planned, Told

pytestmark = pytest.mark.usefixtures("without_kernels")


@pytest.fixture
def always_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread makes batches ahead, however quickly they are made."""
    monkeypatch.setattr(generators, "WORTH_A_THREAD", -1.0)


def seed(number: int = 4) -> None:
    np.random.seed(number)
    random.seed(number)


def small() -> Any:
    seed(7)
    model = Sequential([Dense(2, input_dim=5)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def same(a: Any, b: Any) -> bool:
    return len(a) == len(b) and all(np.array_equal(p, q) for p, q in zip(a, b))


def drawn(passes: Passes, count: int) -> list[np.ndarray]:
    try:
        return [part for _ in range(count) for part in passes.take()]
    finally:
        passes.close()


def still_there(pids: Any) -> list[int]:
    """Those of some processes that have not ended."""
    found = []
    for pid in pids:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            continue
        found.append(pid)
    return found


# -- the same for any number ------------------------------------------------------------------------------------------


@pytest.mark.promise(33)
@pytest.mark.parametrize("kind", [Batches, Planned, Drawing])
def test_processes_make_what_none_make(kind: Any) -> None:
    """Three passes: what on_epoch_end changes reaches the processes, and the global generators are not disturbed."""
    found = []
    for count in (0, 1, 3):
        seed()
        sequence = kind()
        items = drawn(Passes(sequence, True, True, count, 3), 20)
        found.append([*items, *np.random.normal(size=3), random.random(), sequence.ends, *sequence.order])
        if kind is Planned:
            assert sequence.made == 20
    assert same(found[0], found[1]) and same(found[0], found[2])
    assert not same(found[0][:14], found[0][14:28]) and len({x.tobytes() for x in found[0][:40]}) == 40


def test_each_item_once_in_order() -> None:
    passes = Passes(Batches(noise=0.0), False, True, 3, 2)
    items = drawn(passes, 14)
    np.testing.assert_array_equal([y[0, 0] for y in items[1:14:2]], range(7))
    seed()
    shuffled = drawn(Passes(Batches(noise=0.0), True, True, 3, 2), 7)
    indices = [int(y[0, 0]) for y in shuffled[1::2]]
    assert sorted(indices) == list(range(7)) and indices != list(range(7))


def test_items_are_made_elsewhere_and_only_so_many_ahead() -> None:
    passes = Passes(Told(9), False, True, 2, 2)
    made = []
    try:
        for _ in range(9):
            made.append(passes.take()[0][0, 0])
            assert passes._ordered - passes._taken <= 2
    finally:
        passes.close()
    assert os.getpid() not in made and len(set(made)) <= 2


def test_an_array_in_a_file_is_not_copied(tmp_path: Path) -> None:
    values = np.random.RandomState(1).normal(size=(9, 7)).astype("float32")
    np.save(tmp_path / "x.npy", values)
    mapped: Any = np.load(tmp_path / "x.npy", mmap_mode="r")
    for x in (mapped, mapped[2:], mapped[::2]):
        items = drawn(Passes(Told(4, x=x), False, True, 1, 2), 4)
        assert [bool(one[0, 1]) for one in items[::2]] == [x is not values and x.flags.c_contiguous] * 4
        np.testing.assert_array_equal([one[0, 2] for one in items[::2]], [np.float64(row.sum()) for row in x[:4]])


@pytest.mark.promise(33)
@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.usefixtures("always_ahead")
def test_training_is_the_same_for_any_number_of_workers(processes: bool) -> None:
    found = []
    for count in (0, 1, 3):
        model, data, validation = small(), Batches(), Batches(3)
        seed()
        given = {"workers": count, "use_multiprocessing": processes, "max_queue_size": 2}
        log = model.fit(data, epochs=3, verbose=0, validation_data=validation, **given)
        more = model.fit_generator(data, 10, epochs=2, verbose=0, **given)  # passes end within epochs
        found.append([*model.get_weights(), *log.history.values(), *more.history.values(), *np.random.normal(size=2)])
        found[-1] += [model.evaluate(data, verbose=0, **given), model.predict(data, **given)]
        assert (data.ends, validation.ends) == (5, 2)
    assert same(found[0], found[1]) and same(found[0], found[2])


@pytest.mark.usefixtures("always_ahead")
def test_a_thread_asks_the_generator_for_what_is_used_and_no_more() -> None:
    asked: list[Any] = []
    most = 0

    def batches() -> Iterator[Any]:
        while True:
            asked.append((threading.current_thread() is threading.main_thread(), keras_compat.get_api_level()))
            x = np.random.normal(size=(4, 5))
            yield x, x[:, :2]

    found = []
    for count in (0, 1, 4):
        model, source = small(), batches()
        with keras_compat.api_level("2.2"):
            model.fit_generator(source, 5, epochs=2, verbose=0, workers=count, max_queue_size=2)
            model.fit_generator(source, 3, epochs=1, verbose=0, workers=count)
        found.append(model.get_weights())
        assert len(asked) == 13 and {level for _, level in asked} == {"2.2"}
        assert any(not here for here, _ in asked) == (count > 0)
        asked.clear()
    assert same(found[0], found[1]) and same(found[0], found[2])
    ahead = Source(batches(), 20, "test", workers=1, max_queue_size=3)
    for i, _ in enumerate(ahead.epoch()):
        time.sleep(0.002)
        most = max(most, len(asked) - i - 1)
    assert 0 < most <= 5 and len(asked) == 20


@pytest.mark.usefixtures("always_ahead")
def test_who_looks_on_sees_batches_made_one_by_one() -> None:
    """A callback that is told of batches could tell whether the next ones are made already."""
    asked: list[int] = []

    def batches() -> Iterator[Any]:
        while True:
            asked.append(len(asked))
            yield np.ones((2, 5)), np.ones((2, 2))

    seen: list[int] = []
    note = callbacks.LambdaCallback(on_batch_end=lambda batch, logs: seen.append(len(asked)))
    small().fit_generator(batches(), 6, verbose=0, callbacks=[note], workers=2)
    assert seen == [1, 2, 3, 4, 5, 6]
    threads: list[str] = []

    def notes() -> Iterator[Any]:
        while True:
            threads.append(threading.current_thread().name)
            yield np.ones((2, 5)), np.ones((2, 2))

    small().fit_generator(notes(), 6, verbose=0, callbacks=[callbacks.TerminateOnNaN()])  # ours does not mind
    assert len(set(threads)) == 2


def test_processes_go_on_in_the_middle_of_a_pass() -> None:
    seed()
    whole = drawn(Passes(Batches(), True, True, 2, 4), 12)
    seed()
    sequence = Batches()
    first = Passes(sequence, True, True, 2, 4)
    begun = drawn(first, 9)
    state, numbers = first.get_state(), np.random.get_state()
    np.random.normal(size=5)
    again = Passes(sequence, True, True, 3, 2)
    again.set_state(state)
    np.random.set_state(numbers)
    assert same(whole, [*begun, *drawn(again, 3)])


def test_training_goes_on_with_processes_where_it_was(tmp_path: Path) -> None:
    """Interrupted in the middle of an epoch, with a sequence that plans its batches ahead."""

    class Interrupts(callbacks.Callback):
        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            if (self.model.history.epoch, batch) == ([0], 3):
                raise KeyboardInterrupt

    def train(name: str, *more: Any) -> Any:
        seed()
        model, sequence = small(), Planned()
        backup = callbacks.BackupAndRestore(tmp_path / name, save_freq=1)
        model.fit(sequence, epochs=3, verbose=0, workers=2, use_multiprocessing=True, callbacks=[backup, *more])
        return [*model.get_weights(), model.history.history["loss"], sequence.made, *sequence.order]

    whole = train("whole")
    with pytest.raises(KeyboardInterrupt):
        train("parts", Interrupts())
    assert same(train("parts"), whole)


# -- trouble ----------------------------------------------------------------------------------------------------------


@pytest.mark.promise(32)
@pytest.mark.parametrize(("how", "text"), [("killed", "killed by SIGKILL. Was memory"), ("ended", "exit status 7")])
def test_a_worker_that_dies_is_an_error_that_names_it(how: str, text: str) -> None:
    source = Source(Failing(how=how), None, "fit_generator", workers=2, use_multiprocessing=True)
    with (
        pytest.raises(
            workers.WorkerError, match=rf"worker \d of 2 \(process \d+\) ended while it made batch 3.*{text}"
        ),
        source,
    ):
        for _ in source.epoch():
            running = source._passes._workers
    assert running is not None and not still_there(p.pid for p in running.processes)


@pytest.mark.promise(31)
def test_an_error_in_a_worker_comes_with_its_traceback() -> None:
    model = small()
    with pytest.raises(ZeroDivisionError, match="by hand") as caught:
        model.fit(Failing(how="divides"), verbose=0, workers=2, use_multiprocessing=True)
    assert "in divides" in str(caught.value.__cause__) and "data_sequences.py" in str(caught.value.__cause__)
    with pytest.raises(RuntimeError, match="Awkward: awkward 1 2"):
        model.fit(Failing(how="own_error"), verbose=0, workers=2, use_multiprocessing=True)
    with pytest.raises(Awkward, match="awkward 1 2"):
        model.fit(Failing(how="own_error"), verbose=0, workers=1)
    assert not multiprocessing.active_children()


@pytest.mark.promise(31, 36)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("mine")])
@pytest.mark.parametrize("processes", [False, True])
@pytest.mark.usefixtures("always_ahead")
def test_an_error_in_a_callback_ends_all_workers(error: BaseException, processes: bool) -> None:
    class Raises(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise error

    before = set(threading.enumerate())
    with pytest.raises(type(error)):
        small().fit(Batches(), epochs=9, verbose=0, workers=2, use_multiprocessing=processes, callbacks=[Raises()])
    assert not multiprocessing.active_children() and set(threading.enumerate()) <= before


@pytest.mark.promise(31)
def test_what_processes_can_not_have_is_made_here() -> None:
    seed()
    wanted = drawn(Passes(Batches(), True, True, 0), 10)
    seed()
    passes = Passes(Batches(extra=lambda: 1), True, True, 2, what="fit_generator")
    with pytest.warns(UserWarning, match=r"\[fit_generator\] .*Batches: it can not be pickled: .*with the same result"):
        items = drawn(passes, 10)
    assert same(items, wanted) and not passes.with_processes


@pytest.mark.promise(31)
def test_a_generator_stays_in_a_thread_with_one_warning() -> None:
    batches = iter([(np.ones((2, 5)), np.ones((2, 2)))] * 5)
    with pytest.warns(UserWarning, match="generator can not be shared by processes.*may duplicate your data") as found:
        small().fit_generator(batches, 5, verbose=0, workers=3, use_multiprocessing=True)
    assert len(found) == 1 and found[0].filename == __file__


@pytest.mark.promise(31)
def test_a_helper_has_no_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    present = multiprocessing.current_process()
    monkeypatch.setitem(present._config, "daemon", True)  # type: ignore[attr-defined]
    with pytest.warns(UserWarning, match="this process is itself a helper"):
        drawn(Passes(Batches(), False, True, 2), 2)
    monkeypatch.setattr(present, "_inheriting", True, raising=False)
    with pytest.raises(RuntimeError, match='must not begin training. .*if __name__ == "__main__"'):
        drawn(Passes(Batches(), False, True, 2), 2)


def test_whether_a_line_is_read_again_by_other_processes() -> None:
    source = "import a\nif __name__ == '__main__':\n    b()\n    c()\nd()\nif x:\n    e()\n"
    assert [line for line in range(1, 8) if workers._is_guarded(source, line)] == [3, 4]


def test_wrong_numbers() -> None:
    with pytest.raises(ValueError, match="workers must be a whole number of at least 0; got -1"):
        small().fit(Batches(), verbose=0, workers=-1)
    with pytest.raises(ValueError, match="max_queue_size must be a whole number of at least 0; got 'a'"):
        small().fit(Batches(), verbose=0, max_queue_size="a")  # type: ignore[arg-type]


UNGUARDED = """
import os
import numpy as np
from tests.keras_compat.data_sequences import Told
from keras.layers import Dense
from keras.models import Sequential
from keras.utils import OrderedEnqueuer, Sequence
class Own(Sequence):
    def __len__(self): return 3
    def __getitem__(self, i): return np.full((2, 5), os.getpid()), np.ones((2, 2))
print('begins')
model = Sequential([Dense(2, input_dim=5)])
model.compile('sgd', 'mse')
for data in (Own(), Told(3, x=np.ones(3))):
    enqueuer = OrderedEnqueuer(data, use_multiprocessing=True)
    enqueuer.start(workers=2)
    print('elsewhere', next(enqueuer.get())[0][0, 0] != os.getpid())
    enqueuer.stop()
model.fit_generator(Own(), verbose=0, workers=2, use_multiprocessing=True)
"""


@pytest.mark.promise(31)
@pytest.mark.slow
@pytest.mark.parametrize("way", ["plain", "run", "prompt", "guarded"])
def test_programs_without_a_guard(tmp_path: Path, way: str) -> None:
    """They are not read again and again: what the program itself defines is made in it, all else in processes."""
    text = UNGUARDED if way == "run" else UNGUARDED.replace("from keras.", "from keras_compat.")
    if way == "guarded":
        head, rest = text.split("print('begins')")
        text = head + "if __name__ == '__main__':\n  print('begins')" + rest.replace("\n", "\n  ")
    script = tmp_path / "program.py"
    script.write_text(text)
    line = {"run": ["-m", "keras_compat", "run", str(script)], "prompt": ["-c", text]}.get(way, [str(script)])
    done = children.run_alone(*line, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("begins") == 1
    assert done.stdout.count("elsewhere True") == (2 if way == "guarded" else 1)
    assert done.stderr.count("UserWarning") == {"guarded": 0}.get(way, 2)
    assert ("would run" in done.stderr, "prompt" in done.stderr) == (way in ("plain", "run"), way == "prompt")


WARM = """
import multiprocessing, sys
import numpy as np
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from tests.keras_compat.data_sequences import Batches
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    x = np.random.RandomState(0).normal(size=(512, 5))
    sums = []
    for count in (0, 2):
        np.random.seed(1)
        model = Sequential([Dense(64, activation='relu', input_dim=5), Dense(64, activation='tanh'), Dense(2)])
        model.compile('adam', 'mse')
        model.fit(x, x[:, :2], batch_size=256, verbose=0)  # compiled kernels run in threads
        model.fit(Batches(), epochs=2, verbose=0, workers=count, use_multiprocessing=True)
        sums.append(model.predict(x).sum())
    print(sums[0] == sums[1])
"""


@pytest.mark.promise(31)
@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_beside_warm_kernels(tmp_path: Path, method: str) -> None:
    """Whatever start method a program has chosen for its own processes."""
    (tmp_path / "warm.py").write_text(WARM)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "warm.py"), method],
        capture_output=True,
        text=True,
        timeout=240,
        env=children.environment(AUTOTENSOR_THREADS="2"),
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


@pytest.mark.promise(31)
@pytest.mark.slow
@pytest.mark.parametrize("how", ["Ctrl-C", "kill"])
def test_processes_end_with_the_program(tmp_path: Path, how: str) -> None:
    """Ctrl-C goes to the program and its processes, as a terminal sends it; a kill to the program alone."""
    program = subprocess.Popen(
        [sys.executable, data_sequences.__file__, str(tmp_path)],
        env=children.environment(AUTOTENSOR_NUMBA="0"),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    pids = [int(path.name.partition("-")[2]) for path in tmp_path.iterdir()]
    assert len(set(pids)) == 2 and still_there(pids) == pids
    if how == "Ctrl-C":
        os.killpg(program.pid, signal.SIGINT)
        errors = program.communicate(timeout=60)[1]
        assert errors.count("KeyboardInterrupt") == 1 and errors.count("Traceback") == 1
    else:
        program.kill()
        program.communicate(timeout=60)
    while still_there(pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not still_there(pids)


# -- the public classes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [False, True])
def test_ordered_enqueuer(processes: bool) -> None:
    sequence = Batches(5, noise=0.0)
    enqueuer = OrderedEnqueuer(sequence, use_multiprocessing=processes)
    assert isinstance(enqueuer, data_utils.SequenceEnqueuer) and not enqueuer.is_running()
    enqueuer.start(workers=2, max_queue_size=3)
    assert enqueuer.is_running()
    with pytest.raises(RuntimeError, match="start"):
        enqueuer.start()
    items = enqueuer.get()
    first = [next(items)[1][0, 0] for _ in range(5)]
    np.testing.assert_array_equal(first, range(5))
    enqueuer.join_end_of_epoch()
    assert sequence.ends == 1
    assert len([next(items) for _ in range(7)]) == 7 and sequence.ends == 2
    enqueuer.stop()
    assert not enqueuer.is_running() and list(items) == []
    assert enqueuer.run_thread is not None and not enqueuer.run_thread.is_alive()
    assert not multiprocessing.active_children()
    again = OrderedEnqueuer(sequence, shuffle=True)
    again.start()
    made = [int(item[1][0, 0] - item[0][0, 0] * 2) for item, _ in zip(again.get(), range(5))]
    assert len(made) == 5
    again.stop()


def test_enqueuers_pass_errors_on() -> None:
    enqueuer = OrderedEnqueuer(Failing(how="divides"))
    enqueuer.start()
    with pytest.raises(ZeroDivisionError):
        list(enqueuer.get())
    assert not enqueuer.is_running()
    plain = data_utils.SequenceEnqueuer(Batches())
    plain.start()
    with pytest.raises(NotImplementedError, match="defines _items"):
        list(plain.get())


def test_generator_enqueuer_in_both_dialects() -> None:
    old: Any = GeneratorEnqueuer(iter(range(9)), pickle_safe=False)
    old.start(nb_worker=4, max_q_size=2, wait_time=0.01)
    assert [old.queue.get(timeout=60) for _ in range(9)] == list(range(9)) and old.queue.maxsize == 2
    old.stop()
    new = data_utils.GeneratorEnqueuer(iter(range(9)), True, random_seed=3)
    with pytest.warns(UserWarning, match="generator can not be shared"):
        new.start(workers=4)
    assert list(new.get()) == list(range(9))
    new.stop()
    asked: list[int] = []
    stopped = GeneratorEnqueuer(asked.append(i) or i for i in range(100))  # type: ignore[func-returns-value]
    stopped.start(1, 4)
    assert next(iter(stopped.get())) == 0
    stopped.stop()
    assert len(asked) <= 7 and isinstance(stopped.queue, queue.Queue)


def test_names_of_pools() -> None:
    data_utils.init_pool({3: Batches(noise=0.0)})
    np.testing.assert_array_equal(data_utils.get_index(3, 2)[1], np.full((4, 2), 2.0))
    data_utils.init_pool_generator({4: iter("ab")}, random_seed=5)
    assert data_utils.next_sample(4) == "a" and data_utils.next_sample(4) == "b"
    assert np.random.get_state()[1][0] == 5 + os.getpid()  # type: ignore[index]
    data_utils.init_pool({})


def test_seeded_leaves_no_trace() -> None:
    seed()
    wanted = np.random.normal(), random.random()
    seed()
    values = []
    for place in ((1, 2, 3), (1, 2, 3), (1, 3, 2), (2, 2, 3)):
        with worker_process.seeded(*place):
            values.append((np.random.normal(), random.random()))
    assert values[0] == values[1] and len({v for pair in values for v in pair}) == 6
    assert (np.random.normal(), random.random()) == wanted

"""Batches that a program makes itself: generators, and sequences of batches, as sources of a training loop."""

from __future__ import annotations

import queue
import threading
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_compat.engine.steps import Report
from keras_compat.utils.generic_utils import warn
from keras_compat.utils.progbar import Progbar


def is_sequence(source: Any) -> bool:
    """True for an object with a number of batches and access to each: ``len(source)``, ``source[i]``."""
    plain = isinstance(source, (list, tuple, dict, str)) or hasattr(source, "shape") or hasattr(source, "__array__")
    return not plain and hasattr(source, "__getitem__") and hasattr(source, "__len__")


def is_batches(x: Any) -> bool:
    """True for what ``fit`` takes for a source of batches instead of data: sequences must have ``on_epoch_end``."""
    return is_source(x) and not (is_sequence(x) and not hasattr(x, "on_epoch_end"))


def is_source(source: Any) -> bool:
    """True for what gives batches: a generator, another iterator, or a sequence of batches."""
    return isinstance(source, types.GeneratorType) or hasattr(source, "__next__") or is_sequence(source)


class Source:
    """Batches of a generator, or of a sequence over and over.

    Args:
        source: an iterator of batches, or an object with ``__len__`` and ``__getitem__``.
        steps: batches an epoch; those of a sequence if None.
        samples: instead of steps, samples an epoch, as Keras 1 counts: the epoch ends with the batch that reaches them.
        shuffle: take the batches of a sequence in another order each epoch.
    """

    def __init__(self, source: Any, steps: int | None, what: str, samples: int | None = None, shuffle: bool = False):
        if not is_source(source):
            raise TypeError(
                f"[{what}] expected a generator of batches, or an object with __len__ and __getitem__; got "
                f"{type(source).__name__}. Pass arrays to fit()."
            )
        self.source = source
        self.what = what
        self.sequence = is_sequence(source)
        self.shuffle = shuffle and self.sequence
        self.samples = samples
        if steps is None and samples is None and self.sequence:
            steps = len(source)
        if steps is None and samples is None:
            raise ValueError(
                f"[{what}] a generator does not say where an epoch ends: expected the number of batches, got None. "
                f"Write {'steps_per_epoch' if what.startswith('fit') else 'steps'}=100."
            )
        self.steps = steps
        self._iterator = None if self.sequence else iter(source)
        # Where the present pass over a sequence is: the order of its batches, and how many of them were taken.
        self._order: np.ndarray | None = None
        self._taken = 0

    def _next(self) -> Any:
        """The next batch. Raises StopIteration where there is none."""
        if self._iterator is not None:
            return next(self._iterator)
        if self._order is None or self._taken >= len(self._order):
            if self._order is not None and hasattr(self.source, "on_epoch_end"):
                self.source.on_epoch_end()
            self._order, self._taken = np.arange(len(self.source)), 0
            if self.shuffle:
                np.random.shuffle(self._order)
            if not len(self._order):
                raise StopIteration
        self._taken += 1
        return self.source[int(self._order[self._taken - 1])]

    def get_state(self) -> dict[str, Any]:
        """Which batches of a sequence come next, as plain data; a generator keeps that to itself."""
        return {"order": self._order, "taken": self._taken}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where a sequence was. Raises ValueError where it had another length."""
        order = state["order"]
        if order is not None and (not self.sequence or len(order) != len(self.source)):
            now = f"{len(self.source)} batches" if self.sequence else "a generator"
            raise ValueError(
                f"[{self.what}] expected the sequence of {len(order)} batches that training began with; got {now}. "
                "Go on with the same data."
            )
        self._order, self._taken = order, state["taken"]

    def epoch(self, number: int = 0, seen: int = 0) -> Iterator[tuple[int, Any, int]]:
        """(number, batch, its size) for the batches of one epoch; ends early, with a warning, where there are none.

        An epoch under way goes on at a number, with the samples seen so far.
        """
        while (seen < self.samples) if self.samples is not None else (number < (self.steps or 0)):
            try:
                batch = self._next()
            except StopIteration:
                asked = f"{self.samples} samples" if self.samples is not None else f"{self.steps} batches"
                warn(
                    f"[{self.what}] Your generator ran out of data after {number} batches; {asked} an epoch were asked."
                )
                return
            size = batch_size_of(batch)
            yield number, batch, size
            number += 1
            seen += size
        if self.samples is not None and seen > self.samples:
            warn(
                f"[{self.what}] Epoch comprised more than the {self.samples} samples asked for: {seen}, which might "
                "affect learning results. Choose a multiple of the batch size."
            )


def batch_size_of(batch: Any) -> int:
    """Number of samples in a batch: ``(x, y)``, ``(x, y, weights)`` or x alone, each an array, list or dictionary."""
    x = batch[0] if isinstance(batch, tuple) and batch else batch
    if isinstance(x, dict):
        x = next(iter(x.values()))
    elif isinstance(x, (list, tuple)) and x and hasattr(x[0], "shape"):
        x = x[0]
    return len(x) if hasattr(x, "__len__") else 1


def parts_of(batch: Any, what: str) -> tuple[Any, Any, Any]:
    """x, y and weights of a batch.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1], None
    if isinstance(batch, (tuple, list)) and len(batch) == 3:
        return batch[0], batch[1], batch[2]
    raise ValueError(
        f"[{what}] Output of generator should be a tuple `(x, y, sample_weight)` or `(x, y)`. Found: "
        f"{type(batch).__name__}. Yield a tuple."
    )


class GeneratorLoop:
    """The inner loop of training on a source of batches."""

    def __init__(self, model: Any, source: Source, class_weight: Any = None):
        self.model = model
        self.source = source
        self.class_weight = class_weight
        # What is counted: batches, or samples as in Keras 1.
        self.steps = source.steps if source.samples is None else None
        self.n = source.samples

    def run_epoch(self, report: Report, first: int = 0) -> None:
        """All batches of one epoch, or those from ``first`` on, until somebody stops the training."""
        for i, batch, size in self.source.epoch(first, report.seen):
            x, y, weights = parts_of(batch, self.source.what)
            report.begin(i, size)
            values = self.model._on_batch(True, x, y, weights, self.class_weight, False)
            report.end(i, size, np.ravel(values).tolist())
            if self.model.stop_training:
                break

    def get_state(self) -> dict[str, Any]:
        """What the following batches depend on, as plain data."""
        return self.source.get_state()

    def set_state(self, state: dict[str, Any], done: int) -> None:
        """Go on where the source was. Raises ValueError where it is another one."""
        self.source.set_state(state)


def _bar(source: Source, verbose: int) -> Progbar | None:
    """The progress bar over the batches (or samples) of an epoch of a source, for ``verbose=1``."""
    return Progbar(source.steps if source.samples is None else source.samples) if verbose == 1 else None


def test_on(model: Any, source: Source, hooks: Any, verbose: int = 0) -> list[float]:
    """Loss and metrics over the batches of an epoch of a source; ``verbose=1`` shows how far it is."""
    bar = _bar(source, verbose)
    draw = None if bar is None else lambda report: bar.update(report.done)
    count = "steps" if source.samples is None else "samples"
    model.reset_metrics()
    report = Report(hooks, "test", model.metrics_names, model.stateful_metric_names, draw, count)
    hooks.on_test_begin()
    for i, batch, size in source.epoch():
        x, y, weights = parts_of(batch, source.what)
        report.begin(i, size)
        report.end(i, size, np.ravel(model._on_batch(False, x, y, weights, None, False)).tolist())
    hooks.on_test_end()
    return report.averages()


def predict_on(model: Any, source: Source, hooks: Any, verbose: int = 0) -> list[np.ndarray]:
    """The outputs of the batches of an epoch of a source, joined; ``verbose=1`` shows how far it is."""
    bar, seen = _bar(source, verbose), 0
    made: list[list[np.ndarray]] = []
    hooks.on_predict_begin()
    for i, batch, size in source.epoch():
        x = batch[0] if isinstance(batch, tuple) and len(batch) in (2, 3) else batch
        hooks.on_predict_batch_begin(i, {"batch": i, "size": size})
        outputs = model._predictor()(*model._standardize_inputs(x))
        made.append(outputs)
        hooks.on_predict_batch_end(i, {"batch": i, "size": size, "outputs": outputs})
        seen += size
        if bar is not None:
            bar.update(i + 1 if source.samples is None else seen)
    hooks.on_predict_end()
    if not made:
        raise ValueError(f"[{source.what}] expected at least one batch; the generator gave none.")
    return [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*made)]


class GeneratorEnqueuer:
    """Draws from a generator in threads ahead of its use, into a queue of limited length.

    The threads take turns at the generator, so its items come in its order with one of them.

    Args:
        generator: any iterator.
        pickle_safe: of Keras 1, use_multiprocessing of Keras 2: taken; threads do the work.
        wait_time: seconds between looks at an empty queue.
        random_seed: taken for old programs.
    """

    def __init__(
        self,
        generator: Any,
        pickle_safe: bool = False,
        wait_time: float | None = None,
        random_seed: int | None = None,
        *,
        use_multiprocessing: bool = False,
    ):
        self.generator = generator
        self.wait_time = 0.05 if wait_time is None else wait_time
        self.queue: Any = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    def start(self, nb_worker: int = 1, max_q_size: int = 10, wait_time: float | None = None, **kwargs: Any) -> None:
        """Start ``nb_worker`` (or ``workers``) threads; the queue holds ``max_q_size`` (``max_queue_size``) items."""
        nb_worker, max_q_size = kwargs.pop("workers", nb_worker), kwargs.pop("max_queue_size", max_q_size)
        if kwargs:
            raise TypeError(f"[GeneratorEnqueuer.start] Keyword argument not understood: {', '.join(kwargs)}.")
        if wait_time is not None:
            self.wait_time = wait_time
        self.queue = queue.Queue(maxsize=max_q_size)
        self._stopped.clear()
        self._error = None
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(nb_worker)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._lock:
                    item = next(self.generator)
                    self._put(item)
            except StopIteration:
                return
            except BaseException as error:
                self._error = error
                return

    def _put(self, item: Any) -> None:
        while not self._stopped.is_set():
            try:
                self.queue.put(item, timeout=self.wait_time)
                return
            except queue.Full:
                continue

    def is_running(self) -> bool:
        """True from ``start`` to ``stop``."""
        return bool(self._threads) and not self._stopped.is_set()

    def get(self) -> Iterator[Any]:
        """The items, until the generator ends or ``stop``; an error of the generator is raised here."""
        while self.is_running():
            try:
                yield self.queue.get(timeout=self.wait_time)
            except queue.Empty:
                if not any(thread.is_alive() for thread in self._threads) and self.queue.empty():
                    if self._error is not None:
                        raise self._error from None
                    return

    def stop(self, timeout: float | None = None) -> None:
        """Stop the threads and wait for them, at most ``timeout`` seconds for each."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout)
        self._threads = []


def generator_queue(
    generator: Any, max_q_size: int = 10, wait_time: float = 0.05, nb_worker: int = 1
) -> tuple[Any, threading.Event]:
    """A queue that threads fill from a generator, and the event that stops them (Keras 0.x)."""
    enqueuer = GeneratorEnqueuer(generator, wait_time=wait_time)
    enqueuer.start(nb_worker, max_q_size)
    return enqueuer.queue, enqueuer._stopped

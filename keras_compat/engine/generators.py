"""Batches that a program makes itself: generators, and sequences of batches, as sources of a training loop."""

from __future__ import annotations

import contextlib
import math
import threading
import time
import types
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

import autotensor as at
from keras_compat.engine.steps import Report
from keras_compat.utils import interrupts
from keras_compat.utils.enqueuers import GeneratorEnqueuer as GeneratorEnqueuer
from keras_compat.utils.enqueuers import Passes, warn_of_generator
from keras_compat.utils.generic_utils import warn
from keras_compat.utils.progbar import Progbar

# Seconds that a batch takes from which on the rest of the epoch is worth a thread: handing one over takes 0.1 ms.
WORTH_A_THREAD = 0.001

_NONE = "expected at least one batch; the generator gave none. Is it used up?"


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

    Batches are made ahead of their use, in an epoch at a time, so that the generator is asked for those that are used
    and no more. What is drawn from global random generators, and what the program does between two epochs, stays in one
    order: results are those of ``workers=0``.

    Args:
        source: an iterator of batches, or an object with ``__len__`` and ``__getitem__``.
        steps: batches an epoch; those of a sequence if None.
        samples: instead of steps, samples an epoch, as Keras 1 counts: the epoch ends with the batch that reaches them.
            Keras 1 knew iterators only: what is one is not taken for a sequence then.
        shuffle: take the batches of a sequence in another order each pass.
        workers: 0 makes batches as they are asked for; else a thread makes them ahead, or so many processes.
        max_queue_size: at most so many batches are made ahead.
        use_multiprocessing: processes make the batches of a sequence. See `utils.enqueuers.Passes`.

    Raises:
        TypeError: it gives no batches.
        ValueError: an epoch would have none.
    """

    def __init__(
        self,
        source: Any,
        steps: float | None,
        what: str,
        samples: int | None = None,
        shuffle: bool = False,
        workers: int = 0,
        max_queue_size: int = 10,
        use_multiprocessing: bool = False,
    ):
        if not is_source(source):
            raise TypeError(
                f"[{what}] expected a generator of batches, or an object with __len__ and __getitem__; got "
                f"{type(source).__name__}. Pass arrays to fit()."
            )
        _check_count("workers", workers, what)
        _check_count("max_queue_size", max_queue_size, what)
        self.source = source
        self.what = what
        self.sequence = is_sequence(source) and not (samples is not None and hasattr(source, "__next__"))
        self.samples = samples
        self._as_long_as_sequence = steps is None and samples is None and self.sequence
        if self._as_long_as_sequence:
            steps = len(source)
        word = "steps_per_epoch" if what == "fit_generator" else "validation_steps" if " " in what else "steps"
        if steps is None and samples is None:
            raise ValueError(
                f"[{what}] `{word}=None` is only valid for a generator based on the `keras.utils.Sequence` class; a "
                f"plain generator does not say where an epoch ends. Write {word}=100."
            )
        if self._as_long_as_sequence and not steps:
            raise ValueError(
                f"[{what}] expected at least one batch; the {type(source).__name__} has none: its len() is 0. Are "
                "there fewer samples than a batch has?"
            )
        count = steps if samples is None else samples
        if count is not None and count <= 0:
            raise ValueError(
                f"[{what}] expected at least one batch an epoch; got {word if samples is None else 'samples'}={count}. "
                "Is it the number of samples // the batch size?"
            )
        # `len(x) / 32`, as programs write it, is the number of whole batches and the rest.
        self.steps = None if steps is None else math.ceil(steps)
        self.ended = False
        self.workers = workers
        self.max_queue_size = max_queue_size
        self._iterator = None if self.sequence else iter(source)
        if use_multiprocessing and workers > 0 and not self.sequence:
            warn_of_generator(what)
        self._passes = Passes(source, shuffle, use_multiprocessing, workers, max_queue_size, what)

    def _next(self) -> Any:
        """The next batch. Raises StopIteration where there is none."""
        return self._passes.take() if self._iterator is None else next(self._iterator)

    def get_state(self) -> dict[str, Any]:
        """Which batches of a sequence come next, as plain data; a generator keeps that to itself."""
        return self._passes.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where a sequence was. Raises ValueError where it had another length."""
        order = state["order"]
        if order is not None and (not self.sequence or len(order) != len(self.source)):
            now = f"{len(self.source)} batches" if self.sequence else "a generator"
            raise ValueError(
                f"[{self.what}] expected the sequence of {len(order)} batches that training began with; got {now}. "
                "Go on with the same data."
            )
        self._passes.set_state(state)

    def epoch(self, number: int = 0, seen: int = 0, alone: bool = False) -> Generator[tuple[int, Any, int], None, None]:
        """(number, batch, its size) for the batches of one epoch; ends early, with a warning, where there are none.

        Args:
            number: to begin with, where an epoch under way goes on.
            seen: samples so far.
            alone: each batch is made when it is asked for: somebody looks on who could tell the difference.
        """
        batches: Iterator[Any] = self._epoch(number, seen)
        made = number
        may_run_ahead = self.workers and not alone and not self._passes.with_processes
        with contextlib.ExitStack() as stack:
            begun = time.perf_counter()
            for i, batch, size in batches:
                takes_long = time.perf_counter() - begun > WORTH_A_THREAD
                made, seen = i + 1, seen + size
                yield i, batch, size
                if may_run_ahead and takes_long:
                    break
                begun = time.perf_counter()
            else:
                may_run_ahead = False
            if may_run_ahead:
                ahead = GeneratorEnqueuer(batches)
                stack.callback(ahead.stop, 5.0)  # whoever waits in vain is left behind
                ahead.start(1, max(self.max_queue_size, 1))
                for i, batch, size in ahead.get():
                    made, seen = i + 1, seen + size
                    yield i, batch, size
        if self.ended:
            asked = f"{self.samples} samples" if self.samples is not None else f"{self.steps} batches"
            warn(f"[{self.what}] Your generator ran out of data after {made} batches; {asked} an epoch were asked.")
        elif self.samples is not None and seen > self.samples:
            warn(
                f"[{self.what}] Epoch comprised more than the {self.samples} samples asked for: {seen}, which might "
                "affect learning results. Choose a multiple of the batch size."
            )

    def _epoch(self, number: int, seen: int) -> Generator[tuple[int, Any, int], None, None]:
        while (seen < self.samples) if self.samples is not None else (number < (self.steps or 0)):
            try:
                batch = self._next()
            except StopIteration:
                self.ended = True
                return
            size = batch_size_of(batch)
            yield number, batch, size
            number += 1
            seen += size

    def end_epoch(self) -> None:
        """The epoch is over: tell a sequence of which all batches were taken, and ask it for its new length."""
        self._passes.end_pass()
        if self._as_long_as_sequence:
            self.steps = len(self.source)

    def close(self) -> None:
        """End the processes, if there are any."""
        self._passes.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _check_count(name: str, value: Any, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"[{what}] {name} must be a whole number of at least 0; got {value!r}. Leave it out.")


def batch_size_of(batch: Any) -> int:
    """Number of samples in a batch: ``(x, y)``, ``(x, y, weights)`` or x alone, each an array, list or dictionary."""
    x = batch[0] if isinstance(batch, tuple) and batch else batch
    if isinstance(x, dict) and not hasattr(x, "tocsr"):  # SciPy's dok_matrix is a dictionary
        x = next(iter(x.values()), ())
    elif isinstance(x, (list, tuple)) and x and hasattr(x[0], "shape"):
        x = x[0]
    if getattr(x, "shape", ()):
        return int(x.shape[0])
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
        self.n = source.samples
        self._has_run = False
        self.batch_size = 32  # then that of the last batch: arrays to validate on go through in as large ones
        # What draws random numbers does so before a thread that makes batches might.
        model._require_compiled(source.what).train_updates()

    @property
    def steps(self) -> int | None:
        """Batches an epoch; None where samples are counted, as in Keras 1."""
        return self.source.steps if self.n is None else None

    def run_epoch(self, report: Report, first: int = 0) -> None:
        """All batches of one epoch, or those from ``first`` on, until somebody stops the training."""
        source = self.source
        with contextlib.closing(source.epoch(first, report.seen, report.has_listeners)) as batches:
            for i, batch, size in batches:
                x, y, weights = parts_of(batch, source.what)
                report.begin(i, size)
                with at.span("batch", i):
                    values = self.model._on_batch(True, x, y, weights, self.class_weight, False)
                report.end(i, size, np.ravel(values).tolist())
                self.batch_size = size
                if self.model.stop_training:
                    break
        self._has_run = self._has_run or bool(report.done)
        if not self._has_run:
            raise ValueError(f"[{source.what}] {_NONE}")
        if source.ended:
            self.model.stop_training = True

    def end_epoch(self) -> None:
        """All is done for an epoch."""
        self.source.end_epoch()

    def get_state(self) -> dict[str, Any]:
        """What the following batches depend on, as plain data."""
        return {**self.source.get_state(), "batch_size": self.batch_size}

    def set_state(self, state: dict[str, Any], done: int) -> None:
        """Go on where the source was. Raises ValueError where it is another one."""
        self.source.set_state(state)
        self.batch_size = int(state.get("batch_size", self.batch_size))


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
    with contextlib.closing(source.epoch(alone=report.has_listeners)) as batches:
        for i, batch, size in batches:
            x, y, weights = parts_of(batch, source.what)
            report.begin(i, size)
            report.end(i, size, np.ravel(model._on_batch(False, x, y, weights, None, False)).tolist())
    hooks.on_test_end()
    if not report.seen:
        raise ValueError(f"[{source.what}] {_NONE}")
    return report.averages()


def predict_on(model: Any, source: Source, hooks: Any, verbose: int = 0) -> list[np.ndarray]:
    """The outputs of the batches of an epoch of a source, joined; ``verbose=1`` shows how far it is."""
    bar, seen = _bar(source, verbose), 0
    made: list[list[np.ndarray]] = []
    listened = bool(hooks.listeners("on_predict_batch_begin") or hooks.listeners("on_predict_batch_end"))
    hooks.on_predict_begin()
    with contextlib.closing(source.epoch(alone=listened)) as batches:
        for i, batch, size in batches:
            x = batch[0] if isinstance(batch, tuple) and len(batch) in (2, 3) else batch
            hooks.on_predict_batch_begin(i, {"batch": i, "size": size})
            outputs = model._predictor()(*model._standardize_inputs(x))
            made.append(outputs)
            if interrupts.waiting:
                interrupts.deliver()
            hooks.on_predict_batch_end(i, {"batch": i, "size": size, "outputs": outputs})
            seen += size
            if bar is not None:
                bar.update(i + 1 if source.samples is None else seen)
    hooks.on_predict_end()
    if not made:
        raise ValueError(f"[{source.what}] {_NONE}")
    return [np.concatenate(parts) if len(parts) > 1 else parts[0] for parts in zip(*made)]


def generator_queue(
    generator: Any, max_q_size: int = 10, wait_time: float = 0.05, nb_worker: int = 1
) -> tuple[Any, threading.Event]:
    """A queue that threads fill from a generator, and the event that stops them (Keras 0.x)."""
    enqueuer = GeneratorEnqueuer(generator, wait_time=wait_time)
    enqueuer.start(nb_worker, max_q_size)
    assert enqueuer.stop_signal is not None
    return enqueuer.queue, enqueuer.stop_signal

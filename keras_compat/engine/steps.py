"""The steps of a model, one call of a compiled function each, and the loops that run them over data.

A *step* is a function of arrays, ``step(*inputs, *targets, *weights) -> [loss, *metrics]``, that also works on arrays
of its own (``prepare``). ``Steps`` makes them, ``Feed`` brings batches of data to one, ``Report`` keeps and tells what
comes out. What is done per batch beside the compiled call is kept to a few attribute look-ups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat import callbacks as cbks
from keras_compat import metrics as metrics_module
from keras_compat import optimizers
from keras_compat.engine import data as D
from keras_compat.engine import objective as O
from keras_compat.engine.layer import building, unique
from keras_compat.engine.training_utils import batch_shuffle, make_batches
from keras_compat.utils import interrupts
from keras_compat.utils.progbar import Progbar

# -- steps ------------------------------------------------------------------------------------------------------------


class Steps:
    """The compiled functions of a compiled model, made when first needed.

    All come from one graph and differ in what is substituted: the learning phase, ones for sample weights that are
    not given, zeros for the state of metrics that starts again.
    """

    def __init__(self, model: Any, before: Steps | None = None):
        self.model = model
        self.functions: dict[Any, Any] = {}
        self.listed: dict[bool, Listed] = {}
        self._train_updates: list[Any] | None = before._train_updates if before is not None else None
        self._sources: tuple[list[at.Variable], list[Any]] | None = None
        self.outputs = [model.total_loss, *model._metric_tensors]
        self.metric_updates = K.unique_updates(
            [u for t in model._metric_tensors for u in getattr(t, "_attached_updates", ())]
        )
        # Metrics that a plain zero resets can be reset inside the step; others are reset by their method.
        self.resets_in_step = all(
            type(m).reset_states is metrics_module.Metric.reset_states for m in model._stateful_metrics
        )

    def train_updates(self) -> list[Any]:
        """Updates of a training step: weights and optimizer, then layers' state."""
        if self._train_updates is None:
            model = self.model
            params = model._collected_trainable_weights
            with np.errstate(all="ignore"), at.name_scope(type(model.optimizer).__name__):
                found = optimizers.updates_of(model.optimizer, model.total_loss, params) if params else []
            self._train_updates = K.as_updates(model.updates) + K.as_updates(found)
        return self._train_updates

    def sources(self) -> tuple[list[at.Variable], list[Any]]:
        """All Variables and random generators that training reads or changes, each once, in a fixed order."""
        if self._sources is None:
            model = self.model
            updates = [*self.train_updates(), *self.metric_updates, *K.as_updates(model.state_updates)]
            found, generators = at.sources([*self.outputs, *[new for _, new in updates]])
            first = [*model.weights, *getattr(model.optimizer, "weights", ()), *[variable for variable, _ in updates]]
            self._sources = unique([*first, *found]), generators
        return self._sources

    def get(self, training: bool, weighted: bool, fresh: bool, phase: Any = None, by_list: bool = False) -> Any:
        """The step of that kind.

        Args:
            training: update the weights; learning phase 1.
            weighted: sample weights are among the arguments.
            fresh: metrics start from zero in this call.
            phase: learning phase, where it is not that of ``training``.
            by_list: the call comes from a program, perhaps from a step of its own that goes on to ours.
        """
        fresh = fresh and bool(self.metric_updates) and self.resets_in_step
        phase = training if phase is None else bool(phase)
        own = self.model._own_steps.get(training)
        if own is not None and not by_list:
            return OwnStep(own, self.model, training, weighted)
        key = (training, weighted, fresh, phase)
        step = self.functions.get(key)
        if step is None:
            with building:
                step = self.functions.get(key)
                if step is None:
                    step = self.functions[key] = self._made(training, weighted, fresh, phase)
        return step

    def _made(self, training: bool, weighted: bool, fresh: bool, phase: bool) -> at.Function:
        model = self.model
        givens: dict[Any, Any] = dict(K.phase_givens(phase))
        inputs = [*model._feed_inputs, *model._feed_targets]
        if weighted:
            inputs += model._feed_sample_weights
        else:
            givens.update({w: O.ones_for(w) for w in model._feed_sample_weights})
        if fresh:
            givens.update({v: np.zeros(v.shape, v.dtype) for v, _ in self.metric_updates})
        updates = [*(self.train_updates() if training else K.as_updates(model.state_updates)), *self.metric_updates]
        name = ("train" if training else "test") + ("_weighted" if weighted else "") + ("_fresh" if fresh else "")
        outputs = self.outputs
        if not training and model._test_loss is not None:
            outputs = [model._test_loss, *outputs[1:]]
        return at.function(inputs, outputs, K.unique_updates(updates), givens=givens, name=name)

    def forget(self, training: bool) -> None:
        """Have the steps of that kind made anew; training's with updates that the optimizer gives anew."""
        self.functions = {key: step for key, step in self.functions.items() if key[0] is not training}
        if training:
            self._train_updates = self._sources = None


class OwnStep:
    """A step that the user put in the place of ours: a function of one list, as Keras calls it.

    The list has inputs, targets, sample weights and, where the model has one, the learning phase.
    """

    def __init__(self, own: Callable[[list[Any]], Any], model: Any, training: bool | None, weighted: bool = False):
        self.own = own
        self.model = model
        self.training = training  # None predicts
        self.weighted = weighted

    def __call__(self, *arrays: Any) -> list[np.ndarray]:
        model = self.model
        fed = list(arrays)
        if self.training is not None and not self.weighted:
            targets = fed[len(model._feed_inputs) :]
            fed += [np.ones(y.shape[: w.ndim], K.floatx()) for y, w in zip(targets, model._feed_sample_weights)]
        if model._uses_dynamic_learning_phase():
            fed.append(1.0 if self.training else 0.0)
        return [np.asarray(value) for value in self.own(fed)]


class Listed:
    """A step as programs call it: with one list of inputs, targets, sample weights, learning phase.

    Sample weights and the learning phase may be left out. Gives the loss and the metrics, or the outputs.
    """

    def __init__(self, model: Any, training: bool | None, predict: Any = None):
        self.model = model
        self.training = training  # None predicts
        self.predict = predict
        self.predict_in_phase: Any = None  # compiled when a learning phase of 1 is first asked for

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        model, training = self.model, self.training
        counts = [len(model._feed_inputs)]
        if training is not None:
            counts += [len(model._feed_targets), len(model._feed_sample_weights)]
        given, phase = list(arrays), None
        if given and np.ndim(given[-1]) == 0:
            phase = given.pop()
        weighted = training is not None and len(given) == sum(counts)
        if len(given) not in (sum(counts), sum(counts[:2])):
            raise ValueError(
                f"[{model.name}] expected a list of {' + '.join(map(str, counts))} arrays (inputs, targets, sample "
                f"weights), and the learning phase; got {len(arrays)}. Give one for each."
            )
        if training is not None:
            step = model._require_compiled("train").get(training, weighted, False, phase, by_list=True)
            return [v[()] for v in step(*given)]
        if not phase:
            return list(self.predict(*given))
        if self.predict_in_phase is None:
            self.predict_in_phase = K.function([*model._feed_inputs, K.learning_phase()], list(model.outputs))
        return list(self.predict_in_phase([*given, phase]))


# -- single batches ---------------------------------------------------------------------------------------------------


class Quick:
    """A batch met before: other arrays of the same shapes and dtypes go to the step without checks.

    Called with such arrays it gives what ``train_on_batch`` returns, or None where dtypes differ, or the switches of
    autotensor have changed since.

    Args:
        step: the step.
        arrays: the batch, inputs before targets.
        columns: for each array, whether the step takes it with an axis of length 1 behind.
        check: called with the arrays before the step.
    """

    __slots__ = ("check", "dtypes", "generation", "prepared", "targets")

    def __init__(
        self,
        step: at.Function,
        arrays: Sequence[np.ndarray],
        columns: Sequence[bool],
        check: Callable[[Sequence[np.ndarray]], None] | None,
    ):
        self.generation = at.config.generation
        self.prepared = step.prepare(*[(*a.shape, 1) if c else a.shape for a, c in zip(arrays, columns)])
        self.targets = [x[..., 0] if c else x for x, c in zip(self.prepared.inputs, columns)]
        self.dtypes = [a.dtype for a in arrays]
        self.check = check

    def __call__(self, arrays: Sequence[np.ndarray]) -> Any:
        if self.generation != at.config.generation or [a.dtype for a in arrays] != self.dtypes:
            return None
        if self.check is not None:
            self.check(arrays)
        prepared = self.prepared
        with prepared:
            for target, a in zip(self.targets, arrays):
                np.copyto(target, a)
            prepared.run()
            return scalars(prepared.outputs)


def plain_arrays(data: Any, count: int) -> list[Any] | None:
    """Data that is so many arrays and nothing else, one alone or a list of them; None for all other data."""
    if type(data) is np.ndarray:
        return [data] if count == 1 else None
    if type(data) is list and len(data) == count and all([type(a) is np.ndarray for a in data]):
        return data
    return None


def scalars(values: Sequence[np.ndarray]) -> Any:
    """Results of a step as the user gets them: the loss, or a list of the loss and the metrics."""
    return values[0][()] if len(values) == 1 else [v[()] for v in values]


# -- many batches -----------------------------------------------------------------------------------------------------


class Feed:
    """Brings batches of data to a step: ``feed(start, stop)`` gives what ``read`` makes of the step's results.

    Rows are gathered straight into the arrays that the compiled step reads. There is one set of these for each length
    of batch, so a shorter last batch costs nothing in later epochs.

    Args:
        step: the step.
        arrays: data, as many arrays as the step takes, with as many rows each.
        read: function of the arrays of results, ``start`` and ``stop``; it must not keep the arrays.
    """

    def __init__(self, step: Any, arrays: Sequence[Any], read: Callable[[list[np.ndarray], int, int], Any]):
        self.step = step
        self.arrays = arrays
        self.read = read
        self._batches: dict[int, _Batch] = {}
        self._generation = at.config.generation

    def begin(self) -> None:
        """Begin an epoch: if switches of autotensor have changed, they hold from here."""
        if self._generation != at.config.generation:
            self._generation = at.config.generation
            self._batches.clear()

    def __call__(self, start: int, stop: int, order: np.ndarray | None = None) -> Any:
        """Run the step on the rows from ``start`` to ``stop`` - 1, of the data or of their order."""
        n = stop - start
        batch = self._batches.get(n)
        if batch is None:
            batch = self._batches[n] = _Batch(self.step, self.arrays, n)
        prepared = batch.prepared
        with prepared:
            if order is None:
                for target, array in batch.copies:
                    np.copyto(target, array[start:stop])
            else:
                index = order[start:stop]
                for take, target in batch.takes:
                    take(index, 0, target, "clip")  # in this mode without another array in between
                for target, taken in batch.casts:
                    np.copyto(target, taken)
            prepared.run()
            return self.read(prepared.outputs, start, stop)

    def named(self, number: int, start: int, stop: int, order: np.ndarray | None = None) -> Any:
        """The same, as a part of the program that profiles and errors know by its number."""
        with at.span("batch", number):
            return self(start, stop, order)


def is_watched() -> bool:
    """Whether anybody wants to know which batch it is: a profile, or a search for the first NaN."""
    return at.config.nan_guard or at.config.profiling


class _Batch:
    """Where the rows of batches of one length go."""

    __slots__ = ("casts", "copies", "prepared", "takes")

    def __init__(self, step: Any, arrays: Sequence[Any], n: int):
        shapes = [(n, *a.shape[1:]) for a in arrays]
        if not isinstance(step, at.Function):
            self.prepared: Any = _Loose(step, [np.empty(s, a.dtype) for s, a in zip(shapes, arrays)])
        else:
            self.prepared = step.prepare(*shapes)
            if not all(np.can_cast(a.dtype, x.dtype, "same_kind") for a, x in zip(arrays, self.prepared.inputs)):
                step(*[np.asarray(a[:n]) for a in arrays])  # says which one does not fit
        targets = self.prepared.inputs
        self.copies = [(target, a) for target, a in zip(targets, arrays)]
        self.takes: list[tuple[Callable[..., Any], np.ndarray]] = []
        self.casts: list[tuple[np.ndarray, np.ndarray]] = []
        for target, a in zip(targets, arrays):
            taken = target
            if a.dtype != target.dtype or not target.flags.c_contiguous:
                taken = np.empty(target.shape, a.dtype)
                self.casts.append((target, taken))
            self.takes.append((D.taker(a), taken))


class _Loose:
    """A function of arrays in the guise of a prepared one."""

    def __init__(self, step: Callable[..., list[np.ndarray]], inputs: list[np.ndarray]):
        self.step = step
        self.inputs = inputs
        self.outputs: list[np.ndarray] = []

    def run(self) -> None:
        self.outputs = self.step(*self.inputs)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def numbers(results: Sequence[np.ndarray], start: int, stop: int) -> list[float]:
    """Loss and metrics of a batch, as Python numbers."""
    return [value.item() for value in results]


class Report:
    """What is kept and told of the batches of an epoch: averages of their values, callbacks that listen, a bar.

    Callbacks get logs only if one of them defines the hook.

    Args:
        hooks: a CallbackList.
        what: ``'train'`` or ``'test'``, in the names of the hooks.
        names: of the values.
        running: names of values that are running results: the last one counts, others are averaged over samples.
        draw: called with the report after each batch.
        count: what ``done`` counts, ``'samples'`` or ``'steps'``.
        quiet: callbacks that take the averages from here and need not hear of batches.
    """

    def __init__(
        self,
        hooks: cbks.CallbackList,
        what: str,
        names: Sequence[str],
        running: Sequence[str],
        draw: Callable[[Report], None] | None = None,
        count: str = "samples",
        quiet: Sequence[cbks.Callback] = (),
    ):
        self.names = list(names)
        self.running = [name in running for name in names]
        self.draw = draw
        self.count = count
        self.after: Callable[[int], None] | None = None  # called with the batches done, when all have been told of one
        self._begin = hooks.listeners(f"on_{what}_batch_begin", quiet)
        self._end = hooks.listeners(f"on_{what}_batch_end", quiet)
        self.start()

    @property
    def has_listeners(self) -> bool:
        """Whether a program is told of each batch, which could tell how many others are made already.

        Keras's own callbacks do not look at data, nor draw random numbers.
        """
        return self.after is not None or any(not _is_ours(hook) for hook in (*self._begin, *self._end))

    def start(self) -> None:
        """Begin an epoch."""
        self.totals = [0.0] * len(self.names)
        self.seen = self.done = 0

    def begin(self, number: int, size: int) -> None:
        """Before a batch of that number and size."""
        if self._begin:
            logs = cbks.LogValues(batch=number, size=size)
            for hook in self._begin:
                hook(number, logs)

    def end(self, number: int, size: int, values: Sequence[float]) -> None:
        """After a batch, with its values."""
        self.totals = [v if runs else t + v * size for t, v, runs in zip(self.totals, values, self.running)]
        self.seen += size
        self.done += 1 if self.count == "steps" else size
        if self.draw is not None:
            self.draw(self)
        if self._end:
            logs = cbks.LogValues(batch=number, size=size)
            for name, value in zip(self.names, values):
                logs[name] = value
            for hook in self._end:
                hook(number, logs)
        if self.after is not None:
            self.after(number + 1)
        if interrupts.waiting:
            interrupts.deliver()

    def get_state(self) -> dict[str, Any]:
        """What is known of the epoch so far, as plain data."""
        return {"totals": self.totals, "seen": self.seen, "done": self.done}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``get_state`` returned."""
        self.totals, self.seen, self.done = list(state["totals"]), state["seen"], state["done"]

    def averages(self) -> list[float]:
        """The values of the epoch so far."""
        seen = max(self.seen, 1)
        return [v if runs else v / seen for v, runs in zip(self.totals, self.running)]


def _is_ours(hook: Callable[..., Any]) -> bool:
    """Whether a hook is one of Keras's callbacks, none of whose hooks is a program's function (LambdaCallback)."""
    owner = getattr(hook, "__self__", None)
    return type(owner).__module__.startswith("keras_compat.") and not any(n.startswith("on_") for n in vars(owner))


def _ranges(n: int | None, batch_size: int, steps: int | None) -> list[tuple[int, int]]:
    """Ranges of samples; with ``steps``, as many steps of weight one."""
    if steps is not None:
        return [(i, i + 1) for i in range(steps)]
    assert n is not None
    return make_batches(n, batch_size)


class TrainLoop:
    """The inner loop of ``fit`` on arrays: inputs, targets and, if any are given, weights of samples.

    Args:
        shuffle: True, False, or ``'batch'`` to keep batches together.
        steps: batches an epoch, each of all samples, for data that is not counted in samples.
    """

    def __init__(
        self, model: Any, arrays: Sequence[Any], weighted: bool, batch_size: int, shuffle: Any, steps: int | None
    ):
        if shuffle not in (True, False, "batch", None):
            raise ValueError(f"[fit] shuffle must be True, False or 'batch'; got {shuffle!r}.")
        self.model = model
        self.whole = D.n_samples(arrays)
        self.n = self.whole if steps is None else None
        self.batch_size = batch_size
        self.shuffle = shuffle if steps is None else False
        self.steps = steps
        self.ranges = _ranges(self.n, batch_size, steps)
        self.feed = Feed(model._require_compiled("fit").get(True, weighted, False), arrays, numbers)
        self.order: np.ndarray | None = None  # of the samples in the epoch under way

    def run_epoch(self, report: Report, first: int = 0) -> None:
        """All batches of one epoch, or those from ``first`` on, until somebody stops the training."""
        if not first:
            self.order = self._order()
        model, feed, order = self.model, self.feed, self.order
        feed.begin()
        watched = is_watched()
        for i, (start, stop) in enumerate(self.ranges[first:], first):
            size = stop - start
            report.begin(i, size)
            if self.steps is not None:
                start, stop = 0, self.whole or 0
            values = feed.named(i, start, stop, order) if watched else feed(start, stop, order)
            report.end(i, size, values)
            if model.stop_training:
                break
        self.order = None

    def end_epoch(self) -> None:
        """All is done for an epoch: arrays need not know."""

    def get_state(self) -> dict[str, Any]:
        """What the rest of an epoch depends on, as plain data."""
        return {"batches": len(self.ranges), "order": self.order}

    def set_state(self, state: dict[str, Any], done: int) -> None:
        """Go on in an epoch of which ``done`` batches are done; between two epochs (0) there is nothing to go on with.

        Raises:
            ValueError: the epoch was one of other data.
        """
        if not done:
            return
        order, batches = state["order"], state["batches"]
        fits = (order is not None) == bool(self.shuffle) and (order is None or order.shape == (self.n,))
        if not fits or batches != len(self.ranges) or done > batches:
            raise ValueError(
                f"[fit] expected an epoch as it was: {batches} batches, {'not ' if order is None else ''}shuffled"
                f"{'' if order is None else f', of {len(order)} samples'}; got {len(self.ranges)} batches, "
                f"shuffle={self.shuffle!r}, {self.n} samples. Go on with the same data and arguments."
            )
        self.order = order

    def _order(self) -> np.ndarray | None:
        """The order of samples; drawn from NumPy's global generator, as Keras does."""
        if not self.shuffle or self.n is None:
            return None
        order = np.arange(self.n)
        if self.shuffle == "batch":
            return batch_shuffle(order, self.batch_size)
        np.random.shuffle(order)
        return order


def test_on_arrays(
    model: Any,
    arrays: Sequence[Any],
    weighted: bool,
    batch_size: int,
    hooks: cbks.CallbackList,
    verbose: int = 0,
    steps: int | None = None,
) -> list[float]:
    """Loss and metrics over arrays: inputs, targets and, if any are given, weights of samples."""
    n = D.n_samples(arrays)
    if n == 0:
        raise ValueError("[evaluate] expected at least one sample; got none. Is x empty?")
    if steps is None and n is None:
        raise ValueError("[evaluate] expected `steps` for a model fed by tensors; got None. Write steps=10.")
    feed = Feed(model._require_compiled("evaluate").get(False, weighted, False), arrays, numbers)
    model.reset_metrics()
    bar = Progbar(steps if steps is not None else n) if verbose == 1 else None
    draw = None if bar is None else lambda report: bar.update(report.done)
    report = Report(hooks, "test", model.metrics_names, model.stateful_metric_names, draw)
    watched = is_watched()
    hooks.on_test_begin()
    for i, (start, stop) in enumerate(_ranges(n, batch_size, steps)):
        report.begin(i, stop - start)
        rows = (start, stop) if steps is None else (0, n or 0)
        values = feed.named(i, *rows) if watched else feed(*rows)
        report.end(i, stop - start, values)
    hooks.on_test_end()
    return report.averages()


def predict_on_arrays(
    step: Any,
    arrays: Sequence[Any],
    batch_size: int,
    hooks: cbks.CallbackList,
    verbose: int = 0,
    steps: int | None = None,
) -> list[np.ndarray]:
    """The outputs of a step for arrays, batch by batch, joined."""
    n = D.n_samples(arrays)
    ranges = _ranges(n, batch_size, steps)
    joined: list[np.ndarray] = []

    def copied(outputs: list[np.ndarray], start: int, stop: int) -> list[np.ndarray]:
        return [v.copy() for v in outputs]

    def placed(outputs: list[np.ndarray], start: int, stop: int) -> list[np.ndarray]:
        if not joined:
            joined.extend([np.empty((n or 0, *v.shape[1:]), v.dtype) for v in outputs])
        for whole, v in zip(joined, outputs):
            whole[start:stop] = v
        return [whole[start:stop] for whole in joined]

    feed = Feed(step, arrays, placed if steps is None and len(ranges) > 1 else copied)
    begin, end = hooks.listeners("on_predict_batch_begin"), hooks.listeners("on_predict_batch_end")
    bar = Progbar(steps if steps is not None else n) if verbose == 1 else None
    parts: list[list[np.ndarray]] = []
    watched = is_watched()
    hooks.on_predict_begin()
    for i, (start, stop) in enumerate(ranges):
        for hook in begin:
            hook(i, {"batch": i, "size": stop - start})
        rows = (start, stop) if steps is None else (0, n or 0)
        values = feed.named(i, *rows) if watched else feed(*rows)
        if feed.read is copied:
            parts.append(values)
        for hook in end:
            hook(i, {"batch": i, "size": stop - start, "outputs": values})
        if bar is not None:
            bar.update(stop if steps is None else i + 1)
    hooks.on_predict_end()
    return joined or (parts[0] if len(parts) == 1 else [np.concatenate(p) for p in zip(*parts)])

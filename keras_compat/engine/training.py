"""Model: a network that can be trained.

Every batch is one call of a compiled function: loss, metrics, gradients, updates of weights, optimizer and state are
one graph, see :mod:`~keras_compat.engine.steps`. Here is what users call: arguments are checked and made into arrays.
"""

from __future__ import annotations

import contextlib
import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat import callbacks as cbks
from keras_compat import metrics as metrics_module
from keras_compat import optimizers
from keras_compat.dialect.level import get_api_level, is_keras_0
from keras_compat.engine import copies, gradient_check, memory, registry
from keras_compat.engine import data as D
from keras_compat.engine import generators as G
from keras_compat.engine import objective as O
from keras_compat.engine.generators import GeneratorEnqueuer as GeneratorEnqueuer
from keras_compat.engine.layer import Layer as Layer
from keras_compat.engine.layer import building, is_value, mask_of, shape_of
from keras_compat.engine.network import Network
from keras_compat.engine.own_objects import own_objects
from keras_compat.engine.progress import Progress
from keras_compat.engine.steps import (
    Listed,
    OwnStep,
    Quick,
    Report,
    Steps,
    TrainLoop,
    plain_arrays,
    predict_on_arrays,
    scalars,
    test_on_arrays,
)
from keras_compat.engine.training_utils import batch_shuffle as batch_shuffle
from keras_compat.engine.training_utils import check_array_length_consistency as check_array_length_consistency
from keras_compat.engine.training_utils import check_array_lengths as check_array_lengths
from keras_compat.engine.training_utils import (
    check_loss_and_target_compatibility as check_loss_and_target_compatibility,
)
from keras_compat.engine.training_utils import collect_metrics as collect_metrics
from keras_compat.engine.training_utils import make_batches as make_batches
from keras_compat.engine.training_utils import should_run_validation as should_run_validation
from keras_compat.engine.training_utils import slice_X as slice_X
from keras_compat.engine.training_utils import standardize_class_weights as standardize_class_weights
from keras_compat.engine.training_utils import standardize_input_data as standardize_input_data
from keras_compat.engine.training_utils import (
    standardize_sample_or_class_weights as standardize_sample_or_class_weights,
)
from keras_compat.engine.training_utils import standardize_sample_weights as standardize_sample_weights
from keras_compat.engine.training_utils import standardize_weights as standardize_weights
from keras_compat.engine.training_utils import weighted_masked_objective as weighted_masked_objective
from keras_compat.engine.training_utils import weighted_objective as weighted_objective
from keras_compat.saving import models as files
from keras_compat.utils import interrupts
from keras_compat.utils.generic_utils import slice_arrays as slice_arrays
from keras_compat.utils.generic_utils import to_list as to_list
from keras_compat.utils.generic_utils import unknown_arguments, unpack_singleton, warn
from keras_compat.utils.layer_utils import print_summary
from keras_compat.utils.progbar import Progbar as Progbar
from keras_compat.utils.progbar import write_out

# As many kinds of batches are remembered besides the last.
_REMEMBERED = 15


@registry.register
class Model(Network):
    """A graph of layers with training: ``Model(inputs=x, outputs=y)``, or a subclass with its own ``call``.

    After ``compile(optimizer, loss)``: ``fit``, ``evaluate``, ``train_on_batch``, ``test_on_batch``. ``predict`` and
    ``predict_on_batch`` work at once.
    """

    _compile_arguments: dict[str, Any] | None = None
    _predict_function: Any = None
    _predict_listed: Listed | None = None
    _steps: Steps | None = None
    # Batches met before, by what was asked for and their shapes; and the shape of rows that predict_on_batch met.
    _quick: Mapping[Any, Quick] = {}
    _quick_predict: Any = None
    # Inputs whose numbers are rows of a matrix, once they are known.
    _lookups: list[tuple[int, str, int]] | None = None
    # Steps that the user put in the place of ours: {is it training: function of a list of arrays}.
    _own_steps: Mapping[bool, Callable[[list[Any]], Any]] = {}
    stop_training = False
    # Whether the loss of each of several outputs is logged beside the total.
    _logs_each_loss = True
    # Masked steps do not count in the loss, as in tf.keras and Keras 3: set for models out of their files.
    _mean_of_unmasked = False
    # Accuracy was asked for by `fit(show_accuracy=True)`, not by compile.
    _accuracy_shown = False
    history: Any = None
    # What the next fit goes on from, see saving.state.
    _state_to_go_on_from: Any = None

    # -- set-up -------------------------------------------------------------------------------------------------------

    def _set_ends(self, inputs: list[Any], outputs: list[Any]) -> None:
        super()._set_ends(inputs, outputs)
        self._predict_function = self._quick_predict = self._steps = self._lookups = None
        self._quick = {}

    def compile(
        self,
        optimizer: Any,
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        sample_weight_mode: Any = None,
        weighted_metrics: Any = None,
        target_tensors: Any = None,
        **kwargs: Any,
    ) -> None:
        """Say how to train.

        Args:
            optimizer: instance or name.
            loss: function, object or name; a list or dictionary where outputs differ.
            metrics: list (or list of lists, or dictionary by output) of names, functions, Metric objects.
            loss_weights: factor of each output's loss in the total.
            sample_weight_mode: ``'temporal'`` for weights of steps, None for weights of samples.
            weighted_metrics: metrics that sample weights apply to.
            target_tensors: tensors to compare with instead of arrays passed to ``fit``.

        Raises:
            ValueError, TypeError: the model stays compiled as it was before, if it was.
        """
        self._refuse_unknown("compile", kwargs)
        before = dict(self.__dict__)
        try:
            self._compile(optimizer, loss, metrics, loss_weights, sample_weight_mode, weighted_metrics, target_tensors)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _refuse_unknown(self, method: str, kwargs: dict[str, Any]) -> None:
        if kwargs:
            function = getattr(type(self), method)
            known = getattr(function, "accepted_arguments", None) or inspect.signature(function).parameters
            raise unknown_arguments(method, kwargs, known)

    def _compile(
        self,
        optimizer: Any,
        loss: Any,
        metrics: Any,
        loss_weights: Any,
        sample_weight_mode: Any,
        weighted_metrics: Any,
        target_tensors: Any,
    ) -> None:
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss if loss is not None else {}
        self.loss_weights = loss_weights
        self.sample_weight_mode = sample_weight_mode
        self._compile_metrics = metrics or []
        self._compile_weighted_metrics = self.weighted_metrics = weighted_metrics
        self._compile_arguments = {"target_tensors": target_tensors}
        self._is_compiled = True
        self._accuracy_shown = False
        self._steps = None
        self._quick, self._own_steps = {}, {}
        if self.inputs is not None and self.outputs is not None and self.built:
            self._build_objective()
        else:
            O.check_names(self.loss, (self._compile_metrics, weighted_metrics))

    @property
    def metrics(self) -> Any:
        """The Metric objects in use (API level 2.3); up to 2.2 what `compile` was given as `metrics`."""
        if get_api_level() != "2.3" and self._is_compiled:
            return self._compile_metrics
        return self._metric_objects if self._is_compiled and self._steps is not None else []

    def _build_objective(self) -> None:
        """Targets, weights, total loss and metrics as tensors."""
        names = self.output_names
        self.loss_functions = O.losses_by_output(self.loss, names)
        if all(fn is None for fn in self.loss_functions) and not self.losses:
            raise ValueError(
                "[compile] The model cannot be compiled because it has no loss to optimize; got loss=None. "
                "Give loss=..., or add_loss in a layer."
            )
        self.loss_weights_list = O.loss_weights_by_output(self.loss_weights, names)
        without_loss = [name for name, fn in zip(names, self.loss_functions) if fn is None]
        self.sample_weight_modes = modes = D.sample_weight_modes(self.sample_weight_mode, names, without_loss)
        given = O.targets_by_output((self._compile_arguments or {}).get("target_tensors"), names)

        self.targets: list[Any] = []
        self.sample_weights: list[Any] = []
        self._feed_outputs: list[Any] = []
        self._feed_output_names: list[str] = []
        self._feed_output_shapes: list[Any] = []
        self._feed_loss_fns: list[Any] = []
        self._feed_targets: list[Any] = []
        self._feed_sample_weights: list[Any] = []
        self._feed_sample_weight_modes: list[Any] = []
        total: Any = None
        output_losses: list[Any] = []
        for i, (name, y, fn) in enumerate(zip(names, self.outputs, self.loss_functions)):
            if fn is None:
                self.targets.append(None)
                self.sample_weights.append(None)
                output_losses.append(None)
                continue
            shape = shape_of(y)
            target = given[i]
            weights = K.placeholder(ndim=2 if modes[i] == "temporal" else 1, name=f"{name}_sample_weights")
            if target is None or K.is_placeholder(target):
                want = O.target_shape(fn, shape)
                if target is None:
                    target = K.placeholder(shape=want or (None,) * len(shape), name=f"{name}_target", dtype=K.dtype(y))
                self._feed_targets.append(target)
                self._feed_outputs.append(y)
                self._feed_output_names.append(name)
                # Where nothing is checked, one number per sample stays that.
                self._feed_output_shapes.append(want or ((None,) if len(shape) == 1 else None))
                self._feed_loss_fns.append(fn)
                self._feed_sample_weights.append(weights)
                self._feed_sample_weight_modes.append(modes[i])
            elif not isinstance(target, at.Tensor):
                target = K.constant(target)
            if not any(weights is w for w in self._feed_sample_weights):
                weights = None
            self.targets.append(target)
            self.sample_weights.append(weights)
            with at.name_scope("loss"):
                one = O.weighted_loss(fn, target, y, weights, mask_of(y), self._mean_of_unmasked)
            output_losses.append(one)
            part = one if self.loss_weights_list[i] == 1.0 else self.loss_weights_list[i] * one
            total = part if total is None else total + part
        # Keras 0.x tests without the penalties.
        self._test_loss = total if is_keras_0() else None
        for penalty in self.losses:
            total = penalty if total is None else total + penalty
        if getattr(total, "ndim", 0):
            total = K.mean(total)
        self.total_loss = total

        self._output_losses = output_losses if len(names) > 1 and self._logs_each_loss else []
        self._collected_trainable_weights = self.trainable_weights
        with at.name_scope("metrics"):
            self._build_metrics()

    def _build_metrics(self, steps: Steps | None = None) -> None:
        """What is reported beside the loss, as tensors; ``steps`` is taken over from where only that changes."""
        names = self.output_names
        output_losses = self._output_losses
        self._loss_names = ["loss", *(f"{n}_loss" for n, one in zip(names, output_losses) if one is not None)]
        self._metric_slots = O.make_slots(
            self._compile_metrics,
            self._compile_weighted_metrics,
            self.outputs,
            self.loss_functions,
            names,
            self._loss_names,
        )
        self._metric_tensors: list[Any] = []
        self._metric_objects: list[Any] = []
        self._stateful_metrics: list[Any] = []
        stateful_names: list[str] = []
        for name, one in zip(names, output_losses):
            if one is None:
                continue
            if get_api_level() == "2.3":
                mean = metrics_module.Mean(name=f"{name}_loss")
                self._stateful_metrics.append(mean)
                stateful_names.append(f"{name}_loss")
                one = mean(one)
            self._metric_tensors.append(one)
        slots, self._metric_slots = self._metric_slots, []
        for slot in slots:
            i = slot.output
            made = slot.tensor(self.targets[i], self.outputs[i], self.sample_weights[i], mask_of(self.outputs[i]))
            if isinstance(made, dict):
                for name, value in made.items():
                    self._metric_slots.append(O.MetricSlot(slot.prefix + name, slot.metric, i, False, False))
                    self._metric_tensors.append(value)
                continue
            self._metric_slots.append(slot)
            self._metric_tensors.append(made)
            if slot.stateful:
                self._metric_objects.append(slot.metric)
                self._stateful_metrics.append(slot.metric)
                stateful_names.append(slot.name)
        self._added_names: list[str] = []
        for name, metric, value in self._added_metrics(None):
            name = O.unused(name, self._names_with(self._metric_slots))
            self._added_names.append(name)
            self._metric_tensors.append(value)
            self._metric_objects.append(metric)
            self._stateful_metrics.append(metric)
            stateful_names.append(name)
        self.stateful_metric_names = stateful_names
        self._steps = Steps(self, steps)

    def _show_accuracy(self, show: bool) -> None:
        """Report the accuracy, or no longer: Keras 0.x asks for it in each call. The optimizer's state stays."""
        if bool(show) == self._accuracy_shown or not self._is_compiled:
            return
        metrics = O.flat(self._compile_metrics)
        if show and any(name in metrics for name in ("accuracy", "acc")):
            return
        self._accuracy_shown = bool(show)
        self._compile_metrics = [*metrics, "accuracy"] if show else metrics[:-1]
        self._quick = {}
        if self._steps is not None:
            self._build_metrics(self._steps)

    @property
    def metrics_names(self) -> list[str]:
        """Names of what ``evaluate`` and ``train_on_batch`` return."""
        if self._steps is None:
            return ["loss"]
        return self._names_with(self._metric_slots)

    def _names_with(self, slots: Sequence[Any]) -> list[str]:
        """Names of the losses, of these metrics, and of those added by ``add_metric``."""
        return self._loss_names + [slot.name for slot in slots] + self._added_names

    @property
    def metrics_tensors(self) -> list[Any]:
        """Scalar tensors of what is reported beside the loss, as in ``metrics_names``."""
        return list(self._metric_tensors) if self._steps is not None else []

    @property
    def metrics_updates(self) -> list[Any]:
        """Updates of the metrics' running results, done in each step."""
        return list(self._steps.metric_updates) if self._steps is not None else []

    def reset_metrics(self) -> None:
        """Start the running results of metrics again."""
        if self._steps is not None:
            for metric in self._stateful_metrics:
                metric.reset_states()

    def _require_compiled(self, what: str) -> Steps:
        if not self._is_compiled or self.optimizer is None:
            raise RuntimeError(
                f"[{what}] You must compile a model before training/testing. Use `model.compile(optimizer, loss)`."
            )
        if self._steps is None:
            with building:
                if self._steps is None:
                    self._require_built(what)
                    self._build_objective()
        assert self._steps is not None
        return self._steps

    def _require_built(self, what: str) -> None:
        if self.inputs is None:
            raise ValueError(
                f"[{what}] The model {self.name!r} has no input shape yet. Call it on data first, or build it from "
                "Input."
            )

    def _check_trainable(self) -> None:
        """Warn where ``trainable`` was changed after compiling, which has no effect."""
        now = self.trainable_weights
        if len(now) != len(self._collected_trainable_weights):
            warn(
                "Discrepancy between trainable weights and collected trainable weights, did you set `model.trainable` "
                "without calling `model.compile` after ?"
            )

    @property
    def train_function(self) -> Any:
        """The training step as a function of a list (see ``Listed``), or None before it is needed.

        Set it to None to have it made anew, or to a function of a list (inputs, targets, sample weights, and the
        learning phase where the model has one) that returns the loss and the metrics. ``compile`` takes it back.
        """
        return self._step_function(True)

    @train_function.setter
    def train_function(self, function: Any) -> None:
        self._set_step_function(True, function)

    @property
    def test_function(self) -> Any:
        """The test step, or None before it is needed; to be set like ``train_function``."""
        return self._step_function(False)

    @test_function.setter
    def test_function(self, function: Any) -> None:
        self._set_step_function(False, function)

    def _step_function(self, training: bool) -> Any:
        if training in self._own_steps:
            return self._own_steps[training]
        if self._steps is None or not any(key[0] is training for key in self._steps.functions):
            return None
        return self._steps.listed.setdefault(training, Listed(self, training))

    def _set_step_function(self, training: bool, function: Any) -> None:
        own = {key: step for key, step in self._own_steps.items() if key is not training}
        self._own_steps = own if function is None else own | {training: function}
        self._quick = {}
        if self._steps is not None:
            self._steps.forget(training)

    @property
    def predict_function(self) -> Any:
        """The prediction as a function of a list (inputs, and the learning phase), or None before it is needed.

        Set it to None to have it made anew.
        """
        if isinstance(self._predict_function, OwnStep):
            return self._predict_function.own
        if self._predict_function is None:
            return None
        if self._predict_listed is None or self._predict_listed.predict is not self._predict_function:
            self._predict_listed = Listed(self, None, self._predict_function)
        return self._predict_listed

    @predict_function.setter
    def predict_function(self, function: Any) -> None:
        if function is not None:
            function = OwnStep(function, self, None)
        self._predict_function, self._quick_predict = function, None

    def _uses_dynamic_learning_phase(self) -> bool:
        return self.uses_learning_phase and not isinstance(K.learning_phase(), int)

    def _check_trainable_weights_consistency(self) -> None:
        self._check_trainable()

    def _make_train_function(self) -> None:
        self._require_compiled("train").get(True, False, False)

    def _make_test_function(self) -> None:
        self._require_compiled("test").get(False, False, False)

    def _make_predict_function(self) -> None:
        self._predictor()

    def _predictor(self) -> Any:
        step = self._predict_function
        if step is None:
            with building:
                step = self._predict_function
                if step is None:
                    self._require_built("predict")
                    updates = K.unique_updates(K.as_updates(self.state_updates))
                    step = self._predict_function = at.function(
                        self._feed_inputs, list(self.outputs), updates, givens=K.phase_givens(0), name="predict"
                    )
        return step

    # -- data ---------------------------------------------------------------------------------------------------------

    def _build_for(self, x: Any, what: str) -> None:
        """A model without an input shape gets that of its first data."""
        with building:
            self._build_for_first(x, what)

    def _build_for_first(self, x: Any, what: str) -> None:
        if self.inputs is not None:
            return
        if isinstance(x, (list, tuple)) and x and hasattr(x[0], "shape"):
            x = x[0] if len(x) == 1 else x
        if not self._is_graph_network and isinstance(x, (list, tuple)) and x and all(hasattr(p, "shape") for p in x):
            self.build([(None, *p.shape[1:]) for p in x])
            return
        if x is None or isinstance(x, dict) or not getattr(self, "_layers", None):
            self._require_built(what)
            return
        shape = x.shape if D.StoredRows.fits(x) else D.to_array(x, what).shape
        self.build((None, *(shape[1:] if len(shape) != 1 else (1,))))

    def _set_inputs(self, inputs: Any, outputs: Any = None, training: bool | None = None) -> None:
        """Give a model without inputs those of its first data, arrays or tensors.

        Raises:
            ValueError: it has inputs.
        """
        if self.inputs:
            raise ValueError(f"[{self.name}] Model inputs are already set; got {inputs!r}. Make a new model.")
        listed = to_list(inputs)
        if self._is_graph_network and self.outputs and all(isinstance(x, at.Tensor) for x in listed):
            self._set_graph(listed, self.outputs)
        else:
            self.build(unpack_singleton([(None, *np.shape(x)[1:]) for x in listed]))

    def _standardize_inputs(self, x: Any, what: str = "input") -> list[np.ndarray]:
        arrays = D.standardize(x, self._feed_input_names, self._feed_input_shapes, what)
        self._check_lookups(arrays)
        return [D.as_kind(a, t.dtype) for a, t in zip(arrays, self._feed_inputs)]

    def _check_lookups(self, arrays: Sequence[Any]) -> None:
        """Numbers that an Embedding takes straight from an input must be rows of its matrix."""
        if self._lookups is None:
            fed = {id(x): place for place, x in enumerate(self._feed_inputs)}
            found = [(fed.get(id(self.inputs[place])), name, rows) for place, name, rows in self._looked_up()]
            self._lookups = [(place, name, rows) for place, name, rows in found if place is not None]
        for place, name, rows in self._lookups:
            D.check_rows(arrays[place], rows, self._feed_input_names[place], name)

    def _standardize(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, what: str = "fit"
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray] | None]:
        """Arrays for inputs, targets and, where any is given, weights of samples."""
        self._build_for(x, what)
        self._require_compiled(what)
        xs = self._standardize_inputs(x)
        if y is None and self._feed_output_names:
            raise ValueError(
                f"[{what}] expected targets (y) for {', '.join(self._feed_output_names)}; got None. Pass y, or leave "
                "the loss of an output out."
            )
        columns = D.as_columns(y, self._feed_output_names, "target")
        for one, fn, output in zip(columns, self._feed_loss_fns, self._feed_outputs):
            O.check_kind_of_targets(one, fn, shape_of(output))
        ys = D.standardize(y, self._feed_output_names, self._feed_output_shapes, "target")
        weights = None
        if sample_weight is not None or class_weight is not None:
            by_sample = D.per_output(sample_weight, self._feed_output_names, "sample_weight")
            by_class = self._class_weights_by_output(class_weight)
            made = [
                D.standardize_weights(t, sw, cw, mode)
                for t, sw, cw, mode in zip(ys, by_sample, by_class, self._feed_sample_weight_modes)
            ]
            if any(w is not None for w in made):
                weights = [
                    np.ones(t.shape[: p.ndim], dtype=K.floatx()) if w is None else w
                    for w, t, p in zip(made, ys, self._feed_sample_weights)
                ]
        D.check_lengths(xs, ys, weights or ())
        self._check_targets(ys)
        return xs, ys, weights

    def _standardize_user_data(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, *args: Any, **kwargs: Any
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Lists of arrays as ``train_function`` takes them; weights are ones where none are given.

        What Keras's versions take beside, about checks, is left aside: lengths are always checked.
        """
        if y is None:
            self._build_for(x, "fit")
            self._require_built("fit")
            return self._standardize_inputs(x), [], []
        xs, ys, weights = self._standardize(x, y, sample_weight, class_weight)
        if weights is None:
            weights = [np.ones(t.shape[: p.ndim], K.floatx()) for t, p in zip(ys, self._feed_sample_weights)]
        return xs, ys, weights

    def _class_weights_by_output(self, class_weight: Any) -> list[Any]:
        names = self._feed_output_names
        if class_weight is None or len(names) == 1:
            own = class_weight.get(names[0]) if isinstance(class_weight, dict) and names[0] in class_weight else None
            return [own if own is not None else class_weight] * len(names)
        return D.per_output(class_weight, names, "class_weight")

    def _check_targets(self, ys: Sequence[np.ndarray]) -> None:
        for y, fn, output, name in zip(ys, self._feed_loss_fns, self._feed_outputs, self._feed_output_names):
            if O.is_loss(fn, "sparse_categorical_crossentropy"):
                D.check_labels(y, shape_of(output)[-1] or np.iinfo(np.int64).max, name)

    # -- single batches -----------------------------------------------------------------------------------------------

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        reset_metrics: bool = True,
        **kwargs: Any,
    ) -> Any:
        """One step of gradient descent on a batch; returns the loss, or ``[loss, *metrics]`` as in
        ``metrics_names``."""
        if kwargs or self._accuracy_shown:
            self._accuracy_word("train_on_batch", kwargs)
        return self._on_batch(True, x, y, sample_weight, class_weight, reset_metrics)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, reset_metrics: bool = True, **kwargs: Any
    ) -> Any:
        """Loss and metrics of a batch, without learning; returned as by ``train_on_batch``."""
        if kwargs or self._accuracy_shown:
            self._accuracy_word("test_on_batch", kwargs)
        return self._on_batch(False, x, y, sample_weight, None, reset_metrics)

    def _accuracy_word(self, method: str, kwargs: dict[str, Any]) -> None:
        self._show_accuracy(kwargs.pop("accuracy", False))
        self._refuse_unknown(method, kwargs)

    def _on_batch(
        self, training: bool, x: Any, y: Any, sample_weight: Any, class_weight: Any, reset_metrics: bool
    ) -> Any:
        key = arrays = None
        if sample_weight is None and class_weight is None and self._steps is not None:
            came = plain_arrays(x, len(self._feed_inputs)), plain_arrays(y, len(self._feed_targets))
            if came[0] is not None and came[1] is not None:
                arrays = came[0] + came[1]
                key = (training, reset_metrics, *[a.shape for a in arrays])
                quick = self._quick.get(key)
                if quick is not None:
                    values = quick(arrays)
                    if values is not None:
                        return values
        what = "train_on_batch" if training else "test_on_batch"
        xs, ys, weights = self._standardize(x, y, sample_weight, class_weight, what)
        if xs and len(xs[0]) == 0:
            raise ValueError(f"[{what}] expected at least one sample; got shapes {[a.shape for a in xs]}.")
        if training:
            self._check_trainable()
        steps = self._require_compiled(what)
        step = steps.get(training, weights is not None, reset_metrics)
        if reset_metrics and not steps.resets_in_step:
            self.reset_metrics()
        values = step(*xs, *ys, *(weights or ()))
        if arrays and weights is None and (steps.resets_in_step or not reset_metrics) and isinstance(step, at.Function):
            self._keep_quick(key, step, arrays, [*xs, *ys])
        return scalars(values)

    def _keep_quick(self, key: Any, step: at.Function, arrays: list[np.ndarray], taken: list[np.ndarray]) -> None:
        """Let the next batches like this one take the short way, if the step took the arrays as they are."""
        columns = [a.ndim < b.ndim for a, b in zip(arrays, taken)]
        shapes = [(*a.shape, 1) if column else a.shape for a, column in zip(arrays, columns)]
        if [(b.shape, b.dtype) for b in taken] != [(shape, a.dtype) for a, shape in zip(arrays, shapes)]:
            return
        n = len(self._feed_inputs)
        sparse = any(O.is_loss(fn, "sparse_categorical_crossentropy") for fn in self._feed_loss_fns)

        def check(fed: Sequence[np.ndarray]) -> None:
            self._check_lookups(fed[:n])
            self._check_targets(fed[n:])

        quick = Quick(step, arrays, columns, check if sparse or self._lookups else None)
        kept = list(self._quick.items())[-_REMEMBERED:]
        self._quick = {**dict(kept), key: quick}

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for one batch: an array, or a list of arrays."""
        quick = self._quick_predict
        if quick is not None and type(x) is np.ndarray and x.shape[1:] == quick[1] and x.dtype is quick[2] and x.ndim:
            if self._lookups:
                self._check_lookups([x])
            values = quick[0](x)
            return values[0] if len(values) == 1 else values
        self._build_for(x, "predict")
        self._require_built("predict_on_batch")
        xs = self._standardize_inputs(x)
        D.check_lengths(xs, ())
        step = self._predictor()
        if len(xs) == 1 and xs[0] is x and shape_of(self._feed_inputs[0])[0] is None:
            self._quick_predict = (step, x.shape[1:], x.dtype)
        return unpack_singleton(step(*xs))

    def check_gradients(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        *,
        loss: Any = None,
        training: bool = False,
        inputs: bool = True,
        wrt: Any = None,
        **options: Any,
    ) -> Any:
        """Compare the gradients of the loss by every weight, and by the inputs, with differences, in float64.

        The loss is the graph that training uses: penalties, masks, weights of samples and outputs included. The model
        stays as it is: weights, state and random numbers, also after an error.

        Args:
            x, y, sample_weight, class_weight: a batch, as for ``train_on_batch``. Few samples are enough. Without ``y``
                the outputs are checked, each with a random weight.
            loss: in place of the compiled one; needed where the model is not compiled and there is a ``y``.
            training: True checks what training computes: dropout with one mask for all evaluations, batch
                normalization with the statistics of this batch. False: no dropout, and the moving statistics.
            inputs: check the gradients by the inputs too; whole numbers that select (words, classes) are left out.
            wrt: the weights, a list or a dictionary by name; by default all trainable ones.
            options: ``order``, ``mode``, ``method``, ``eps``, ``atol``, ``rtol``, ``directions``, ``seed``,
                ``raise_error`` of ``autotensor.testing.check_grad``.

        Returns:
            An ``autotensor.testing.Report``, with a row for each weight and input.

        Raises:
            GradientCheckError: a gradient is wrong; it carries the report.
        """
        return gradient_check.check_gradients(
            self, x, y, sample_weight, class_weight, loss, training, inputs, wrt, options
        )

    # -- many batches -------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Train for a number of epochs; returns a History.

        Args:
            x, y: arrays, lists of arrays, or dictionaries by input and output name; or x a generator of batches, see
                ``fit_generator``.
            batch_size: samples per step, 32 by default.
            epochs: number of the epoch to stop before, counted from ``initial_epoch``.
            verbose: 0 silent, 1 progress bar, 2 one line an epoch.
            callbacks: list of Callback.
            validation_split: share of the data, taken from its end before shuffling, to validate on.
            validation_data: ``(x, y)`` or ``(x, y, weights)``.
            shuffle: True, False, or ``'batch'`` (batches change places, samples within stay together).
            class_weight: {class number: weight of its samples}.
            sample_weight: weight of each sample, or of each step with ``sample_weight_mode='temporal'``.
            initial_epoch: where to go on.
            steps_per_epoch, validation_steps: batches an epoch for models fed by tensors or generators.
            validation_freq: validate every so many epochs, or after the epochs of a list (from 1).
            max_queue_size, workers, use_multiprocessing: see ``fit_generator``.

        Raises ValueError for data without samples, a ``validation_split`` that is no share or leaves nothing, and
        without ``steps_per_epoch`` where the model is fed by tensors.
        """
        self._show_accuracy(kwargs.pop("show_accuracy", False))
        self._refuse_unknown("fit", kwargs)
        if G.is_batches(x):
            self._refuse_beside_generator("fit", y=y, sample_weight=sample_weight, validation_split=validation_split)
            return self.fit_generator(
                x,
                steps_per_epoch=steps_per_epoch,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_data=validation_data,
                validation_steps=validation_steps,
                validation_freq=validation_freq,
                class_weight=class_weight,
                max_queue_size=max_queue_size,
                workers=workers,
                use_multiprocessing=use_multiprocessing,
                shuffle=bool(shuffle),
                initial_epoch=initial_epoch,
            )
        _check_batch_size(batch_size, "fit", steps_per_epoch, "steps_per_epoch")
        _check_whole("epochs", epochs)
        _check_whole("initial_epoch", initial_epoch)
        listed = _callback_list(callbacks, "fit")
        if _holds_tensors(x) or _holds_tensors(y):
            if steps_per_epoch is None:
                raise ValueError(
                    "[fit] If your data is in the form of symbolic tensors, you should specify the `steps_per_epoch` "
                    "argument (instead of the `batch_size` argument, because symbolic tensors are expected to produce "
                    f"batches of input data); got steps_per_epoch=None, batch_size={batch_size}."
                )
            if validation_split:
                raise ValueError(
                    "[fit] If your data is in the form of symbolic tensors, you cannot use `validation_split`; got "
                    f"{validation_split}. Pass validation_data."
                )
        batch_size = batch_size or 32
        xs, ys, weights = self._standardize(x, y, sample_weight, class_weight, "fit")
        self._check_trainable()
        validation = self._validation_arrays(validation_data)
        if validation_split and not (isinstance(validation_split, numbers.Real) and 0.0 <= validation_split < 1.0):
            raise ValueError(f"[fit] validation_split must be a share from 0 to 1; got {validation_split!r}. Try 0.2.")
        if validation is None and validation_split and xs:
            n = int(len(xs[0]) * (1.0 - validation_split))
            if n == 0:
                raise ValueError(
                    f"[fit] validation_split={validation_split} of {len(xs[0])} samples leaves none to train on. Use "
                    "a smaller share."
                )
            validation = [a[n:] for a in xs], [a[n:] for a in ys], [a[n:] for a in weights] if weights else None
            xs, ys = [a[:n] for a in xs], [a[:n] for a in ys]
            weights = [a[:n] for a in weights] if weights else None
        if xs and len(xs[0]) == 0:
            raise ValueError(f"[fit] expected at least one sample; got shapes {[a.shape for a in xs]}. Is x empty?")
        if not xs and not ys and steps_per_epoch is None:
            raise ValueError(
                "[fit] If fitting from tensors inside the model, `steps_per_epoch` must be given; got None. "
                "Write fit(steps_per_epoch=100)."
            )
        arrays = [*xs, *ys, *(weights or ())]
        loop = TrainLoop(self, arrays, weights is not None, batch_size, shuffle, steps_per_epoch)
        return self._fit_loop(
            loop, validation, epochs, verbose, listed, initial_epoch, validation_steps, validation_freq
        )

    def _refuse_beside_generator(self, what: str, **given: Any) -> None:
        wrong = [name for name, value in given.items() if not (value is None or (np.isscalar(value) and not value))]
        if wrong:
            raise ValueError(
                f"[{what}] a generator gives targets and weights with its batches; got also {', '.join(wrong)}. "
                "Leave it out."
            )

    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_steps: int | None = None,
        validation_freq: Any = 1,
        class_weight: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        shuffle: bool = True,
        initial_epoch: int = 0,
        *,
        samples_per_epoch: int | None = None,
        nb_val_samples: int | None = None,
    ) -> Any:
        """Train on batches that a generator makes; returns a History.

        Args:
            generator: gives ``(x, y)`` or ``(x, y, sample_weight)`` without end; or an object with ``__len__`` (number
                of batches) and ``__getitem__``, and ``on_epoch_end`` if it likes.
            steps_per_epoch: batches an epoch; all of a sequence if None.
            epochs, initial_epoch, verbose, callbacks, class_weight, validation_freq: as for ``fit``.
            validation_data: arrays as for ``fit``, or a generator or sequence.
            validation_steps: batches of it.
            workers: 0 makes batches when they are needed; else a thread makes them ahead, one after the other. Results
                are the same.
            max_queue_size: so many batches are made ahead at most.
            use_multiprocessing: as many processes as ``workers`` make the batches of a sequence; each item of it begins
                with random generators of its own, so any number gives the same. A generator stays in the thread.
            shuffle: take the batches of a sequence in another order each epoch.
            samples_per_epoch, nb_val_samples: counts of samples instead of batches (Keras 1).

        Raises ValueError while the shape of the input is not known.
        """
        _check_whole("epochs", epochs)
        _check_whole("initial_epoch", initial_epoch)
        listed = _callback_list(callbacks, "fit_generator")
        self._require_compiled_now("fit_generator")
        helpers: dict[str, Any] = {
            "workers": workers,
            "max_queue_size": max_queue_size,
            "use_multiprocessing": use_multiprocessing,
        }
        source = G.Source(generator, steps_per_epoch, "fit_generator", samples_per_epoch, shuffle, **helpers)
        if self.inputs is None:
            raise ValueError(
                "[fit_generator] The model has no input shape yet. Give the first layer input_shape=(...), or call "
                "build((None, ...))."
            )
        validation: Any
        if G.is_source(validation_data):
            what = "fit_generator's validation_data"
            validation = G.Source(validation_data, validation_steps, what, nb_val_samples, **helpers)
        else:
            validation = self._validation_arrays(validation_data)
        self._check_trainable()
        loop = G.GeneratorLoop(self, source, class_weight)
        validating = validation if isinstance(validation, G.Source) else contextlib.nullcontext()
        with interrupts.Held(ends=True), source, validating:
            return self._fit_loop(loop, validation, epochs, verbose, listed, initial_epoch, None, validation_freq)

    def _require_compiled_now(self, what: str) -> None:
        if not self._is_compiled or self.optimizer is None:
            self._require_compiled(what)
        if self.inputs is not None:
            self._require_compiled(what)

    def evaluate_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
        *,
        val_samples: int | None = None,
    ) -> Any:
        """Loss, or ``[loss, *metrics]``, over ``steps`` batches of a generator (or ``val_samples``, as in Keras 1)."""
        self._require_compiled("evaluate_generator")
        source = G.Source(
            generator, steps, "evaluate_generator", val_samples, False, workers, max_queue_size, use_multiprocessing
        )
        with interrupts.Held(), source:
            return unpack_singleton(G.test_on(self, source, self._hooks_for(callbacks, "evaluate_generator"), verbose))

    def predict_generator(
        self,
        generator: Any,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        verbose: int = 0,
        *,
        val_samples: int | None = None,
    ) -> Any:
        """Outputs for ``steps`` batches of a generator (or ``val_samples``, as in Keras 1): an array, or a list."""
        self._require_built("predict_generator")
        source = G.Source(
            generator, steps, "predict_generator", val_samples, False, workers, max_queue_size, use_multiprocessing
        )
        with interrupts.Held(), source:
            return unpack_singleton(
                G.predict_on(self, source, self._hooks_for(callbacks, "predict_generator"), verbose)
            )

    def _validation_arrays(self, validation_data: Any) -> Any:
        if validation_data is None or (isinstance(validation_data, (list, tuple)) and not validation_data):
            return None
        if not isinstance(validation_data, (list, tuple)) or len(validation_data) not in (2, 3):
            n = len(validation_data) if hasattr(validation_data, "__len__") else 1
            raise ValueError(
                "[fit] When passing validation_data, it must contain 2 (x_val, y_val) or 3 (x_val, y_val, "
                f"val_sample_weights) items, however it contains {n} items. Write validation_data=(x_val, "
                "y_val)."
            )
        x, y, *rest = validation_data
        arrays = self._standardize(x, y, rest[0] if rest else None, what="validation")
        if arrays[0] and len(arrays[0][0]) == 0:
            raise ValueError(
                f"[fit] expected at least one sample to validate on; got shapes {[a.shape for a in arrays[0]]}. "
                "Is x_val empty?"
            )
        return arrays

    def _validation_list(self, validation: Any) -> list[Any] | None:
        """What callbacks find: inputs, targets, weights of samples, and the learning phase where the model has it."""
        if not isinstance(validation, tuple):
            return None
        x, y, weights = validation
        if weights is None:
            weights = [np.ones(t.shape[: p.ndim], dtype=K.floatx()) for t, p in zip(y, self._feed_sample_weights)]
        return [*x, *y, *weights, *([0.0] if self.uses_learning_phase else [])]

    def _fit_loop(
        self,
        loop: TrainLoop | G.GeneratorLoop,
        validation: Any,
        epochs: int,
        verbose: int,
        callbacks: list[Any],
        initial_epoch: int,
        validation_steps: int | None,
        validation_freq: Any,
    ) -> Any:
        names = self.metrics_names
        stateful = self.stateful_metric_names
        history = cbks.History()
        count = "steps" if loop.steps is not None else "samples"
        logger = cbks.BaseLogger(stateful_metrics=stateful)
        has_bar = any(isinstance(callback, cbks.ProgbarLogger) for callback in callbacks)
        bar = cbks.ProgbarLogger(count, stateful_metrics=stateful) if verbose and not has_bar else None
        ours: list[Any] = [logger] if bar is None else [logger, bar]
        hooks = cbks.CallbackList([*ours, *callbacks, history])
        draw = bar.draw if bar is not None and verbose == 1 else None
        report = Report(hooks, "train", names, stateful, draw, count, quiet=ours)
        for callback in ours:
            callback.report = report
        self.history = history
        progress = Progress(self, hooks, loop, report, validation, ours, initial_epoch)
        hooks.set_model(self._callback_model())
        hooks.set_params(
            {
                "batch_size": loop.batch_size if isinstance(loop, TrainLoop) else None,
                "epochs": epochs,
                "steps": loop.steps,
                "samples": loop.n,
                "verbose": verbose,
                "do_validation": validation is not None,
                "goes_on": progress.goes_on,
                "metrics": names + [f"val_{name}" for name in names] if validation is not None else list(names),
            }
        )
        together = getattr(self.optimizer, "_begin_epoch", None)  # of several processes that train one model
        self._last_validation = self._validation_list(validation)
        for callback in hooks.callbacks:
            callback.validation_data = self._last_validation
        self.stop_training = False
        if verbose and isinstance(loop, TrainLoop) and loop.n is not None and isinstance(validation, tuple):
            write_out(f"Train on {loop.n} samples, validate on {D.n_samples(validation[0])} samples\n")
        with interrupts.Held(ends=True), hooks.training():
            for epoch in progress.begin(epochs):
                self.reset_metrics()
                logs = cbks.LogValues()
                hooks.on_epoch_begin(epoch)
                report.start()
                first = progress.begin_epoch(epoch)
                if together is not None:
                    together(epoch, (len(loop.ranges) if isinstance(loop, TrainLoop) else loop.steps or 0) - first)
                with at.span("epoch", epoch):
                    loop.run_epoch(report, first)
                if not report.done:  # a generator that was used up
                    break
                if validation is not None and should_run_validation(validation_freq, epoch):
                    if isinstance(validation, G.Source):
                        values = G.test_on(self, validation, hooks)
                    else:
                        xv, yv, wv = validation
                        arrays = [*xv, *yv, *(wv or ())]
                        size = loop.batch_size
                        values = test_on_arrays(self, arrays, wv is not None, size, hooks, 0, validation_steps)
                    logs.update({f"val_{name}": value for name, value in zip(names, values)})
                hooks.on_epoch_end(epoch, logs)
                if not self.stop_training:
                    loop.end_epoch()
                    if loop.steps != hooks.params["steps"]:
                        hooks.set_params(hooks.params | {"steps": loop.steps})
                progress.after_epoch()
                interrupts.deliver()
                if self.stop_training:
                    break
        return history

    def _callback_model(self) -> Any:
        return getattr(self, "callback_model", None) or self

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int = 1,
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss, or ``[loss, *metrics]``, over all samples, or over ``steps`` batches where x is a generator."""
        self._show_accuracy(kwargs.pop("show_accuracy", False))
        self._refuse_unknown("evaluate", kwargs)
        if G.is_batches(x):
            self._refuse_beside_generator("evaluate", y=y, sample_weight=sample_weight)
            return self.evaluate_generator(
                x,
                steps=steps,
                callbacks=callbacks,
                max_queue_size=max_queue_size,
                workers=workers,
                use_multiprocessing=use_multiprocessing,
                verbose=verbose,
            )
        _check_batch_size(batch_size, "evaluate", steps, "steps")
        xs, ys, weights = self._standardize(x, y, sample_weight, None, "evaluate")
        hooks = self._hooks_for(callbacks, "evaluate")
        arrays = [*xs, *ys, *(weights or ())]
        weighted = weights is not None
        return unpack_singleton(test_on_arrays(self, arrays, weighted, batch_size or 32, hooks, verbose, steps))

    def _hooks_for(self, callbacks: Any, what: str) -> Any:
        if isinstance(callbacks, cbks.CallbackList):
            return callbacks
        if callbacks is None:
            return _NOBODY
        hooks = cbks.CallbackList(_callback_list(callbacks, what))
        hooks.set_model(self._callback_model())
        hooks.set_params({"metrics": self.metrics_names, "verbose": 0})
        return hooks

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int = 0,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Outputs for all samples, computed in batches: an array, or a list of arrays. x may be a generator.

        Raises ValueError for no samples, a number that a stateful network can not cut into its batches, and without
        ``steps`` where the model is fed by tensors.
        """
        self._refuse_unknown("predict", kwargs)
        if self._quick_predict is not None and type(x) is np.ndarray and x.ndim and callbacks is None and not verbose:
            most = 32 if batch_size is None else batch_size if type(batch_size) is int else 0
            if 0 < len(x) <= most and steps is None:
                return self.predict_on_batch(x)
        if G.is_batches(x):
            return self.predict_generator(
                x,
                steps=steps,
                callbacks=callbacks,
                max_queue_size=max_queue_size,
                workers=workers,
                use_multiprocessing=use_multiprocessing,
                verbose=verbose,
            )
        _check_batch_size(batch_size, "predict", steps, "steps")
        batch_size = batch_size or 32
        self._build_for(x, "predict")
        self._require_built("predict")
        xs = D.as_long_as_the_first(self._standardize_inputs(x))
        n = D.n_samples(xs)
        if steps is None and n is None:
            raise ValueError("[predict] expected `steps` for a model fed by tensors; got None. Write steps=1.")
        if n == 0:
            raise ValueError(f"[predict] expected at least one sample; got shapes {[a.shape for a in xs]}. Is x empty?")
        if n is not None and n > batch_size and n % batch_size and self.stateful_graph:
            raise ValueError(
                "[predict] In a stateful network, you should only pass inputs with a number of samples that can be "
                f"divided by the batch size. Found: {n} samples with batch size {batch_size}."
            )
        hooks = self._hooks_for(callbacks, "predict")
        return unpack_singleton(predict_on_arrays(self._predictor(), xs, batch_size, hooks, verbose, steps))

    # -- description and files ----------------------------------------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
    ) -> None:
        """Print the layers, their output shapes and numbers of parameters.

        Raises:
            ValueError: the model has no input shape yet.
        """
        if not self.built:
            raise ValueError(
                "[summary] This model has not yet been built. Build the model first by calling build() or calling "
                "fit() with some data. Or specify input_shape in the first layer for automatic build."
            )
        if self._is_compiled and self._steps is not None:
            self._check_trainable()
        print_summary(self, line_length=line_length, positions=positions, print_fn=print_fn)

    def memory_report(self, batch_size: int | None = None, shapes: Any = None) -> memory.MemoryReport:
        """What training, evaluating and predicting take of memory; nothing is run. ``print`` it for a table.

        Args:
            batch_size: samples in a batch; 32 if None, or what the model was built for.
            shapes: of a sample of each input, where the model leaves sizes open.

        Raises ValueError where a size stays unknown, and for a model without input shapes.
        """
        self._require_built("memory_report")
        return memory.report(self, batch_size, shapes)

    def save(
        self, filepath: Any, overwrite: bool = True, include_optimizer: bool = True, *, to: str | None = None
    ) -> None:
        """Write architecture, weights, compile settings and optimizer state to one file, atomically.

        Args:
            filepath: a path, a binary stream, or an open, empty ``h5py.File`` or Group.
            overwrite: ask on the terminal before replacing a file if False.
            include_optimizer: leave compile settings and optimizer state out if False.
            to: which Keras is to read it: 'keras1' (1.2.2), 'keras2' (2.3.1), 'tfkeras' (2.x) or 'keras3'. If None the
                name's ending says it: ``.keras`` is Keras 3's archive, all else 2.3.1's HDF5 file.

        Raises NotImplementedError for a model with a ``call`` of its own.
        """
        if not self._is_graph_network:
            raise NotImplementedError(
                f"[save] a model with its own call() can not be rebuilt from a file; got {self.name}. Use save_weights."
            )
        self._require_built("save")
        files.save_model(self, filepath, overwrite, include_optimizer, to=to)

    def __getstate__(self) -> dict[str, Any]:
        """What pickle keeps: the model's HDF5 file, as bytes, and the user's classes and functions in it."""
        return {**copies.state_of_model(self), "own": copies.portable(own_objects(self, by_name=True))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over the model that was kept."""
        # What was made knows itself as its owner (nodes, compiled steps): both are one from here on.
        self.__dict__ = copies.model_of(state).__dict__

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A model of its own with the same weights, compile settings and optimizer state."""
        memo[id(self)] = copy = type(self).__new__(type(self))
        copy.__setstate__({**copies.state_of_model(self), "own": own_objects(self, by_name=True)})
        return copy

    def save_weights(self, filepath: Any, overwrite: bool = True, *, to: str | None = None) -> None:
        """Write the weights to an HDF5 file, atomically; for the arguments see :meth:`save`.

        A name that ends in ``.weights.h5`` is Keras 3's layout.
        """
        self._require_built("save_weights")
        files.save_weights(self, filepath, overwrite, to=to)

    def load_weights(
        self,
        filepath: Any,
        by_name: bool = False,
        skip_mismatch: bool = False,
        reshape: bool = False,
        *,
        original_backend: str | None = None,
    ) -> None:
        """Read the weights from a file of weights or of a model, of Keras 0.x to 3: all or nothing.

        Layers are matched by their names where the file has those of this model, else by their order.

        Args:
            by_name: match layers by name only; layers that the file does not have keep their weights.
            skip_mismatch: with by_name, leave out layers whose shapes differ.
            reshape: take values of the right size in another shape.
            original_backend: 'theano' or 'tensorflow', whatever the file says: Theano's kernels are turned round.

        Raises:
            ValueError: with every mismatch listed; no weight was changed.
        """
        self._require_built("load_weights")
        files.load_weights(self, filepath, by_name, skip_mismatch, reshape, original_backend=original_backend)


def _holds_tensors(data: Any) -> bool:
    """True when there are variables or symbolic tensors among the data."""
    parts = data.values() if isinstance(data, dict) else data if isinstance(data, (list, tuple)) else [data]
    return any(isinstance(part, at.Tensor) and not is_value(part) for part in parts)


def _check_whole(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"[fit] {name} must be a whole number; got {value!r}. Write {name}=10.")


def _callback_list(callbacks: Any, what: str) -> list[Any]:
    """The callbacks the user gave, None included, as a list."""
    if isinstance(callbacks, cbks.CallbackList):
        return callbacks.callbacks
    listed = [] if callbacks is None else callbacks
    wrong = [] if isinstance(listed, (list, tuple)) else [listed]
    wrong += [c for c in listed if isinstance(c, type) or not hasattr(c, "set_model")] if not wrong else []
    if wrong:
        got = wrong[0].__name__ if isinstance(wrong[0], type) else f"one {type(wrong[0]).__name__}"
        raise TypeError(
            f"[{what}] callbacks must be a list of Callback objects; got {got}. Write callbacks=[History()]."
        )
    return list(listed)


def _check_batch_size(batch_size: Any, what: str, steps: Any = None, steps_name: str = "steps") -> None:
    if batch_size is None:
        return
    if steps is not None:
        raise ValueError(
            f"[{what}] If {steps_name} is set, the `batch_size` must be None; got {batch_size!r} and "
            f"{steps_name}={steps!r}. Drop one."
        )
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(
            f"[{what}] batch_size must be a whole number of at least 1; got {batch_size!r}. Is x or y in its place?"
        )


# Callbacks where there are none.
_NOBODY = cbks.CallbackList()

# Keras 1's name for a network of layers.
Container = Model

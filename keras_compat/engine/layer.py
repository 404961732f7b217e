"""Layer, the base of everything that has weights or transforms tensors, and InputSpec, what it expects.

Networks and models are layers too; how they are wired is in ``network``. Concrete layers are in ``layers``.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

import autotensor as at
from autotensor import locks
from keras_compat import backend as K
from keras_compat import constraints, initializers, regularizers
from keras_compat import metrics as metrics_module
from keras_compat.dialect.level import get_api_level, is_keras_0
from keras_compat.engine.data import to_array
from keras_compat.engine.layer_state import restore_layer, state_of_layer
from keras_compat.engine.loading import claim, values_follow
from keras_compat.engine.node import Node, Shape
from keras_compat.utils.generic_utils import has_arg, to_list, to_snake_case, unpack_singleton

# Arguments that the base class takes beside what a subclass names itself.
_BASE_ARGUMENTS = {"input_shape", "batch_input_shape", "batch_size", "dtype", "name", "trainable", "weights", "dynamic"}


class _Calls(threading.local):
    """The calls of layers under way in this thread."""

    def __init__(self) -> None:
        # Names of the layers whose build or call is running: weights are named after them, "dense_1/kernel:0".
        self.scopes: list[str] = []
        # The outermost of them works on values: what it adds is of no graph.
        self.eager = False
        # The tensors that the layer of a graph was called on, whatever other layers it calls itself.
        self.inputs: list[Any] | None = None


_calls = _Calls()

# Held while weights, graphs of models and compiled functions are made: models in several threads may share layers.
building = locks.rlock()


@contextmanager
def name_scope(
    name: str, eager: bool = False, inputs: list[Any] | None = None, of_graph: bool = False
) -> Iterator[None]:
    """Prefix the names of weights made in this block; ``eager`` keeps what depends on inputs out of the record.

    ``inputs`` are what the layer is called on: those of the outermost call count, or of the one ``of_graph``.
    """
    before = _calls.eager, _calls.inputs
    _calls.scopes.append(name)
    _calls.eager = _calls.eager or eager
    if of_graph or _calls.inputs is None:
        _calls.inputs = inputs
    try:
        with at.name_scope(name):  # what profiles and errors call the operations in here
            yield
    finally:
        _calls.scopes.pop()
        _calls.eager, _calls.inputs = before


def on_values() -> bool:
    """True within the call of a layer on values: nothing of its inputs may be kept."""
    return _calls.eager


def class_name(cls: type) -> str:
    """The name of a layer's class, in Keras 1 the one that it had there: ``"Convolution2D"``."""
    return cls.__dict__.get("keras_1_name", cls.__name__) if get_api_level() == "1.2" else cls.__name__


def name_prefix(cls: type) -> str:
    """What automatic names of a class begin with: ``"batchnormalization"`` in Keras 1, ``"batch_normalization"`` later.

    Keras 1 wrote the name of the class in small letters.
    """
    name = class_name(cls)
    return name.lower() if get_api_level() == "1.2" else to_snake_case(name)


def automatic_name(cls: type) -> str:
    """``"dense_1"``, ``"dense_2"``... for the objects of a class."""
    prefix = name_prefix(cls)
    return f"{prefix}_{K.get_uid(prefix)}"


def checked_shape(what: str, shape: Any) -> Shape:
    """A shape given by the user as a tuple of whole numbers and None."""
    try:
        dims = tuple([None if d is None else int(d) for d in shape])
        right = all(d is None or (d >= 0 and d == given) for d, given in zip(dims, shape))
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ValueError(
            f"[{what}] expected whole numbers, and None where a dimension is open; got {shape!r}. "
            "For 784 features a sample write input_shape=(784,)."
        )
    return dims


def tensor_key(tensors: Any) -> tuple[int, ...] | None:
    """What losses and updates that depend on ``tensors`` are filed under; None for unconditional ones."""
    if tensors is None:
        return None
    listed = to_list(tensors)
    return tuple([id(x) for x in listed]) if listed else None


def shape_of(x: Any) -> Shape:
    """Static shape of a tensor: what the layer that made it declared, else what is known of the tensor."""
    declared = getattr(x, "_keras_shape", None)
    return declared if declared is not None else tuple(x.shape)


def alias(path: str, doc: str) -> Any:
    """Property of a layer that stands for another attribute, to be read and set; ``"cell.units"`` for one of a part."""
    *parts, name = path.split(".")

    def owner(layer: Any) -> Any:
        for part in parts:
            layer = getattr(layer, part)
        return layer

    def get(self: Any) -> Any:
        return getattr(owner(self), name)

    def put(self: Any, value: Any) -> None:
        setattr(owner(self), name, value)

    return property(get, put, doc=doc)


def is_keras_tensor(x: Any) -> bool:
    """True for what ``Input`` or a layer made."""
    return hasattr(x, "_keras_history")


def is_value(x: Any) -> bool:
    """True for a tensor that has a value and is no part of a Keras graph."""
    return (
        isinstance(x, at.Tensor)
        and not x.is_symbolic
        and not x.deferred
        and not is_keras_tensor(x)
        and "_keras_shape" not in vars(x)  # a constant or variable of K: what is built on it follows the weights
    )


def _with_values(outputs: list[Any]) -> list[Any]:
    """Evaluate those that are symbolic, in the test phase. They keep their recipe, so gradients reach the weights."""
    outputs = K.replace(outputs, K.phase_givens(0))
    symbolic = [y for y in outputs if y.is_symbolic]
    for y, value in zip(symbolic, at.evaluate(symbolic)):
        y.data = value
    return outputs


class InputSpec:
    """What one input of a layer must look like: dtype, shape, rank, smallest or largest rank, sizes of axes.

    ``ndim`` may be Keras 1's ``"2+"``, a rank of at least 2.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | str | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
    ):
        if isinstance(ndim, str):
            min_ndim, ndim = int(ndim.rstrip("+")), None
        self.dtype = dtype
        self.shape = tuple(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = axes or {}

    def __repr__(self) -> str:
        parts = [f"{k}={v}" for k, v in vars(self).items() if v not in (None, {})]
        return f"InputSpec({', '.join(parts)})"


class Layer:
    """A callable with weights: ``y = layer(x)``.

    Subclasses define ``build(input_shape)`` (make weights with ``add_weight``), ``call(inputs)``,
    ``compute_output_shape(input_shape)`` and ``get_config()``; ``compute_mask`` where masks matter.

    Arguments common to all layers: ``name``, ``trainable``, ``dtype``, ``weights`` (initial values as a list of
    arrays), and for a first layer ``input_shape`` (without batch) or ``batch_input_shape``.
    """

    # Also read on instances of classes that set attributes before calling Layer.__init__.
    _initialized = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Keras 1's hook and Keras 2's are one: who defines either answers to both.
        own = cls.__dict__
        if "compute_output_shape" in own and "get_output_shape_for" not in own:
            cls.get_output_shape_for = cls.compute_output_shape
        elif "get_output_shape_for" in own and "compute_output_shape" not in own:
            cls.compute_output_shape = cls.get_output_shape_for  # type: ignore[method-assign]
        # Keras 0.x's hook: it fetches the input itself. Its output_shape answers for the layer in the making.
        if "get_output" in own and "call" not in own:
            cls.call = Layer._call_by_get_output  # type: ignore[method-assign]
            if isinstance(own.get("output_shape"), property) and "compute_output_shape" not in own:
                cls.compute_output_shape = Layer._shape_by_property  # type: ignore[method-assign]
                cls.get_output_shape_for = Layer._shape_by_property

    def __init__(self, **kwargs: Any):
        # Classes of Keras 1 may set these before they call this method.
        self.input_spec: Any = getattr(self, "input_spec", None) if get_api_level() == "1.2" else None
        self.supports_masking = getattr(self, "supports_masking", False)
        self.stateful = False
        self.dynamic = False
        self._trainable_weights: list[Any] = list(self.__dict__.get("_trainable_weights", ()))
        self._non_trainable_weights: list[Any] = list(self.__dict__.get("_non_trainable_weights", ()))
        self._layers: list[Layer] = list(self.__dict__.get("_layers", ()))
        self._losses: list[Any] = []
        self._updates: list[Any] = []
        self._per_input_losses: dict[Any, list[Any]] = {}
        self._per_input_updates: dict[Any, list[Any]] = {}
        self._keep: list[Any] = []  # tensors whose ids are keys above: an id must not be used again
        self._built = False
        self._metrics: list[Any] = []
        self._metric_results: list[Any] = []
        self._regularizers = _Regularizers(self)
        self._inbound_nodes: list[Node] = []
        self._outbound_nodes: list[Node] = []

        for name in kwargs:
            if name not in _BASE_ARGUMENTS:
                raise TypeError(
                    f"[{type(self).__name__}] Keyword argument not understood: {name!r}. Every layer takes "
                    f"{', '.join(sorted(_BASE_ARGUMENTS))}; check the spelling."
                )
        self.name: str = kwargs.get("name") or automatic_name(type(self))
        self.trainable = kwargs.get("trainable", True)
        self.dtype = kwargs.get("dtype") or K.floatx()
        if "batch_input_shape" in kwargs and kwargs["batch_input_shape"] is not None:
            self.batch_input_shape = checked_shape("batch_input_shape", kwargs["batch_input_shape"])
        elif "input_shape" in kwargs and kwargs["input_shape"] is not None:
            shape = kwargs["input_shape"]
            shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
            self.batch_input_shape = checked_shape("input_shape", (kwargs.get("batch_size"), *shape))
        self._initial_weights = kwargs.get("weights")
        self._initialized = True

    def __getstate__(self) -> dict[str, Any]:
        """What a copy keeps: settings and weights, not the place in a graph."""
        return state_of_layer(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was kept."""
        restore_layer(self, state)

    # -- attributes that are weights or layers ------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        # Keras 2.3 follows layers and variables that are set as attributes; before, only what a layer declares, and
        # the layers of a model that is a class of the user's.
        if name[0] != "_" and isinstance(value, (at.Variable, Layer, list, tuple)):
            if get_api_level() == "2.3":
                self._track(value)
            elif isinstance(value, Layer) and self.__dict__.get("_is_graph_network") is False:
                self._track_layer(value)
        object.__setattr__(self, name, value)

    def _track(self, value: Any) -> None:
        if isinstance(value, at.Variable):
            self._track_variable(value)
        elif isinstance(value, Layer):
            self._track_layer(value)
        elif value and all(isinstance(v, Layer) for v in value):
            for layer in value:
                self._track_layer(layer)

    def _track_layer(self, layer: Layer) -> None:
        layers = self.__dict__.setdefault("_layers", [])
        if not any(other is layer for other in layers):
            layers.append(layer)

    def _track_variable(self, variable: Any) -> None:
        trainable = self.__dict__.setdefault("_trainable_weights", [])
        fixed = self.__dict__.setdefault("_non_trainable_weights", [])
        if not any(w is variable for w in trainable + fixed):
            (trainable if getattr(variable, "trainable", True) else fixed).append(variable)

    def _nested_weights(self, kind: str) -> list[Any]:
        return [w for layer in self._layers for w in getattr(layer, kind)]

    # -- weights ------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights; called once with the shape (or list of shapes) of the first input."""
        self.built = True

    def _build_as_defined(self, input_shape: Any) -> None:
        """Build, as the class has it: in Keras 0.x ``build()`` asks ``self.input_shape``."""
        self._shape_now = input_shape
        names = ("_trainable_weights", "_non_trainable_weights", "_losses")
        before = {name: list(self.__dict__.get(name, ())) for name in names}
        penalties = list(self.__dict__.get("_per_input_losses", {}).get(None, ()))
        try:
            if _required(self.build) == 0 and not _positional(self.build):
                self.build()  # type: ignore[call-arg]
            else:
                self.build(input_shape)
        except BaseException:
            # The next attempt makes all weights again.
            self.__dict__.update(before)
            self._per_input_losses[None] = penalties
            raise
        finally:
            self._shape_now = None
        self.built = True

    @property
    def built(self) -> bool:
        """True once the weights exist."""
        return self._built

    @built.setter
    def built(self, value: bool) -> None:
        self._built = value

    def add_weight(
        self,
        name: str | None = None,
        shape: Sequence[int] | None = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool = True,
        constraint: Any = None,
    ) -> Any:
        """Make a weight of the layer.

        Args:
            name: its name within the layer; the full name is ``layer/name:0``.
            shape: () by default.
            initializer: instance, name or function; ``glorot_uniform`` by default.
            regularizer: function of the weight whose result is added to the loss.
            trainable: False for state that the optimizer leaves alone.
            constraint: function applied to the weight after each update.

        Raises ValueError for an unknown dimension.
        """
        shape = tuple(shape) if shape is not None else ()
        if any(d is None for d in shape):
            raise ValueError(
                f"[{self.name}] the weight {name!r} needs a known shape; got {shape}. "
                "Give the dimensions of the input that the weights depend on (input_shape=...)."
            )
        dtype = dtype or self.dtype or K.floatx()
        claim(shape, f"the weight {name!r} of layer {self.name!r}")
        make = initializers.get(initializer if initializer is not None else "glorot_uniform")
        rule = constraints.get(constraint)
        full = "/".join([*(_calls.scopes or [self.name]), name or "variable"])
        if values_follow():
            value: Any = np.zeros(shape, dtype)
        else:
            # Keras 1's initializers are functions of a shape and a name.
            offered = {"dtype": dtype, "name": full}
            value = make(shape, **{word: given for word, given in offered.items() if has_arg(make, word)})
        weight = K.variable(value, dtype=dtype, name=full, constraint=rule)
        weight.name = full if full.endswith(":0") else full + ":0"
        weight.trainable = trainable
        penalty = regularizers.get(regularizer)
        if penalty is not None:
            weight.regularizer = penalty
            self.add_loss(penalty(weight))
        (self._trainable_weights if trainable else self._non_trainable_weights).append(weight)
        return weight

    @property
    def trainable_weights(self) -> list[Any]:
        """Weights the optimizer may change: none while ``trainable`` is False."""
        if not self.trainable:
            return []
        return unique(self._trainable_weights + self._nested_weights("trainable_weights"))

    @trainable_weights.setter
    def trainable_weights(self, weights: Iterable[Any]) -> None:
        self._trainable_weights = list(weights)
        self._non_trainable_weights = without(self._non_trainable_weights, self._trainable_weights)

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The other weights."""
        fixed = self._non_trainable_weights + self._nested_weights("non_trainable_weights")
        if not self.trainable:
            fixed = self._trainable_weights + self._nested_weights("trainable_weights") + fixed
        return unique(fixed)

    @non_trainable_weights.setter
    def non_trainable_weights(self, weights: Iterable[Any]) -> None:
        self._non_trainable_weights = list(weights)
        self._trainable_weights = without(self._trainable_weights, self._non_trainable_weights)

    @property
    def weights(self) -> list[Any]:
        """All weights, the trainable ones first."""
        return self.trainable_weights + self.non_trainable_weights

    @property
    def constraints(self) -> dict[Any, Any]:
        """{weight: its constraint}; setting an entry, or all, gives weights their constraints (Keras 0.x and 1.x)."""
        weights = [*self._trainable_weights, *self._non_trainable_weights, *self.weights]
        return _Constraints({w: w.constraint for w in weights if getattr(w, "constraint", None) is not None})

    @constraints.setter
    def constraints(self, rules: Mapping[Any, Any]) -> None:
        _Constraints().update(rules)

    @property
    def regularizers(self) -> list[Any]:
        """Regularizers that were told their weight by ``set_param``, as in Keras 0.x: they join the loss."""
        return self._regularizers

    @regularizers.setter
    def regularizers(self, items: Iterable[Any]) -> None:
        self._regularizers = _Regularizers(self, items)

    @property
    def params(self) -> list[Any]:
        """Same as ``trainable_weights`` (Keras 0.x)."""
        return self.trainable_weights

    @params.setter
    def params(self, weights: Iterable[Any]) -> None:
        self.trainable_weights = list(weights)

    @property
    def variables(self) -> list[Any]:
        """Same as ``weights``."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Any]:
        """Same as ``trainable_weights``."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Any]:
        """Same as ``non_trainable_weights``."""
        return self.non_trainable_weights

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights, in the order of ``weights``."""
        return K.batch_get_value(self.weights)

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights from arrays in the order of ``get_weights``; all shapes are checked before any is set.

        Raises ValueError for another number of arrays or other shapes.
        """
        params = self.weights
        values = as_arrays("set_weights", weights)
        if len(params) != len(values):
            raise ValueError(
                f"[set_weights] You called `set_weights(weights)` on layer {self.name!r} with a weight list of length "
                f"{len(values)}, but the layer was expecting {len(params)} weights: "
                f"{[tuple(p.shape) for p in params]}; got {[v.shape for v in values][:20]}. Take the list from "
                "get_weights() of a layer with the same arguments."
            )
        check_weight_shapes("set_weights", zip(params, values))
        K.batch_set_value(list(zip(params, values)))

    def count_params(self) -> int:
        """Number of scalars in all weights. Raises RuntimeError before it is built."""
        if not self.built:
            raise RuntimeError(
                f"[count_params] You tried to call `count_params` on {self.name}, but the layer isn't built. "
                f"You can build it manually via: `{self.name}.build(batch_input_shape)`."
            )
        return sum(int(np.prod(w.shape)) for w in self.weights)

    # -- losses, updates, metrics -------------------------------------------------------------------------------------

    @property
    def losses(self) -> list[Any]:
        """Penalties of weights and activations, to be added to the loss."""
        return self._losses + [x for layer in self._layers for x in layer.losses]

    @losses.setter
    def losses(self, losses: Any) -> None:
        self._losses = []
        self._per_input_losses = {}
        self.add_loss(losses)

    @property
    def _holds_state(self) -> bool:
        """True where being frozen stops the updates too: in all versions but Keras 1, whose running means go on."""
        return not self.trainable and not self.stateful and (get_api_level() != "1.2" or is_keras_0())

    @property
    def updates(self) -> list[Any]:
        """State changes that go with a training step, such as running means; see ``_holds_state`` of frozen layers."""
        if self._holds_state:
            return []
        return self._updates + [x for layer in self._layers for x in layer.updates]

    @updates.setter
    def updates(self, updates: Any) -> None:
        self._updates = []
        self._per_input_updates = {}
        self.add_update(updates)

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add scalar tensors to the loss; ``inputs`` are the tensors they depend on, None if on weights only."""
        listed = [x for x in to_list(losses) if x is not None] if losses is not None else []
        if not listed or (inputs is not None and _calls.eager):
            return
        self._losses += listed
        self._file(self._per_input_losses, listed, inputs)

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Add state changes: results of ``K.update`` and its kin, or pairs (variable, new value)."""
        if updates is None:
            return
        # A pair (variable, value) is one update, not a list of two.
        listed = [updates] if isinstance(updates, tuple) and len(updates) == 2 else to_list(updates)
        if not listed or (inputs is not None and _calls.eager):
            return
        self._updates += listed
        self._file(self._per_input_updates, listed, inputs)

    # Keras 1.0's names.
    def add_losses(self, losses: Any, inputs: Any = None) -> None:
        """Same as ``add_loss``."""
        self.add_loss(losses, inputs)

    def add_updates(self, updates: Any, inputs: Any = None) -> None:
        """Same as ``add_update``."""
        self.add_update(updates, inputs)

    def add_metric(self, value: Any, name: str | None = None) -> None:
        """Report a tensor beside the compiled metrics: its mean over an epoch, or the Metric object whose result it is.

        Args:
            value: a tensor that depends on the inputs, or what a call of a Metric object gave.
            name: in the logs; that of the Metric object if None.

        Raises ValueError without a name.
        """
        if _calls.eager:
            return
        metric = getattr(value, "_metric_obj", None)
        known = metric is not None and any(m is metric for m in self._metrics)
        if metric is None:
            if not name:
                raise ValueError(
                    f"[{self.name}] Please provide a name for your metric like `self.add_metric(tensor, name='total')`"
                    "; got none."
                )
            metric = next((m for m in self._metrics if m.name == name), None)
            known = metric is not None
            metric = metric or metrics_module.Mean(name=name)
            value = metric(value)
        if not known:
            self._metrics.append(metric)
        # A call on other tensors gives another result of the same metric.
        self._metric_results.append((_calls.inputs, (name or metric.name, metric, value)))

    def _added_metrics(self, inputs: Any) -> list[Any]:
        """What was given to ``add_metric`` for a call on these tensors: (name, Metric object, tensor), each name once.

        That of layers inside another layer, and what was given outside of calls, counts for all of its calls.
        """
        key = tensor_key(inputs)
        own = [r for came, r in self._metric_results if came is None or key is None or tensor_key(came) == key]
        own += [r for layer in self._layers for r in layer._added_metrics(None)]
        return list({name: (name, metric, value) for name, metric, value in reversed(own)}.values())[::-1]

    def _file(self, where: dict[Any, list[Any]], what: list[Any], inputs: Any) -> None:
        key = tensor_key(inputs)
        if key is not None:
            self._keep.append(inputs)
        where.setdefault(key, []).extend(what)

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """Updates that depend on exactly these input tensors; None asks for the unconditional ones."""
        if self._holds_state:
            return []
        found = list(self._per_input_updates.get(tensor_key(inputs), ()))
        return found + [x for layer in self._layers for x in layer.get_updates_for(inputs)]

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """Losses that depend on exactly these input tensors; None asks for the unconditional ones."""
        found = list(self._per_input_losses.get(tensor_key(inputs), ()))
        return found + [x for layer in self._layers for x in layer.get_losses_for(inputs)]

    @property
    def metrics(self) -> list[Any]:
        """Metric objects added to the layer."""
        return self._metrics + [m for layer in self._layers for m in layer.metrics]

    # -- calling ------------------------------------------------------------------------------------------------------

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Compute the output tensor or list of tensors; the place for a subclass's arithmetic."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape of the output for the shape of an input, batch dimension included."""
        return input_shape

    # Keras 1's name.
    get_output_shape_for = compute_output_shape

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Mask of the output; by default the input's, and an error where the layer can not take one."""
        if not self.supports_masking:
            if mask is not None and any(m is not None for m in to_list(mask)):
                raise TypeError(
                    f"[{self.name}] Layer {self.name} does not support masking, but was passed an input_mask: {mask}. "
                    "Drop the mask before it (a Lambda layer that returns its input), or set supports_masking."
                )
            return None
        return mask

    def assert_input_compatibility(self, inputs: Any) -> None:
        """Check tensors against ``input_spec``.

        Raises:
            ValueError: wrong number of inputs, rank, or size of an axis.
        """
        listed = to_list(inputs)
        for x in listed:
            if not isinstance(x, at.Tensor):
                raise ValueError(
                    f"[{self.name}] Layer {self.name} was called with an input that isn't a symbolic tensor. Received "
                    f"type: {type(x)}. All inputs to the layer should be tensors; make one with Input(shape=...)."
                )
        if not self.input_spec:
            return
        specs = to_list(self.input_spec)
        if len(listed) != len(specs):
            raise ValueError(
                f"[{self.name}] Layer {self.name} expects {len(specs)} inputs, but it received {len(listed)} input "
                f"tensors. Input received: {inputs}. Call it on a list of {len(specs)}."
            )
        for i, (x, spec) in enumerate(zip(listed, specs)):
            if spec is not None:
                self._check_spec(i, shape_of(x), x.dtype, spec)

    def _check_spec(self, i: int, shape: Shape, dtype: Any, spec: InputSpec) -> None:
        start = f"[{self.name}] Input {i} is incompatible with layer {self.name}: expected "
        ndim = len(shape)
        if spec.ndim is not None and ndim != spec.ndim:
            raise ValueError(
                f"{start}ndim={spec.ndim}, found ndim={ndim} (shape {shape}). {_rank_hint(spec.ndim, ndim)}"
            )
        if spec.max_ndim is not None and ndim > spec.max_ndim:
            raise ValueError(f"{start}max_ndim={spec.max_ndim}, found ndim={ndim}. Flatten the input before?")
        if spec.min_ndim is not None and ndim < spec.min_ndim:
            raise ValueError(f"{start}min_ndim={spec.min_ndim}, found ndim={ndim}. Reshape the input before?")
        if spec.dtype is not None and str(dtype) != spec.dtype:
            raise ValueError(f"{start}dtype={spec.dtype}, found dtype={dtype}. Cast the input before?")
        for axis, size in spec.axes.items():
            if size is not None and shape[int(axis)] not in (size, None):
                raise ValueError(
                    f"{start}axis {axis} of input shape to have value {size} but got shape {shape}. "
                    "The weights were made for that size: use a new layer, or reshape the input."
                )
        if spec.shape is not None:
            for want, dim in zip(spec.shape, shape):
                if want is not None and dim is not None and want != dim:
                    raise ValueError(
                        f"{start}shape={spec.shape}, found shape={shape}. Use a new layer for the other shape."
                    )

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Apply the layer to a tensor or a list of tensors; the first call builds it.

        Called on values (arrays, or tensors made by autotensor), the result has a value too: that of the weights as
        they are now, in the test phase. It does not change with them later. What Keras makes (``Input``,
        ``K.constant``, variables, results of layers on them) stays symbolic, and so does everything inside another
        layer's ``call``.
        """
        if args:  # Keras 1: (x, mask)
            kwargs["mask"], *more = args
            if more:
                raise TypeError(
                    f"[{self.name}] expected the inputs and a mask; got {len(more)} more. Name the arguments."
                )
        if "train" in kwargs and not has_arg(self.call, "train"):
            del kwargs["train"]
        if isinstance(inputs, np.ndarray):
            inputs = at.asarray(inputs)
        elif isinstance(inputs, list):
            inputs = list(inputs)  # the program may go on with its list
        listed = to_list(inputs)
        eager = bool(listed) and not _calls.scopes and all(is_value(x) for x in listed)
        with name_scope(self.name, eager, listed), at.immediate() if eager else nullcontext():
            self.assert_input_compatibility(inputs)
            input_shapes = [shape_of(x) for x in listed]
            if not self.built:
                with building:
                    if not self.built:
                        with at.immediate(False):  # what build makes of the weights must follow them
                            self._build_as_defined(unpack_singleton(input_shapes))
                        if self._initial_weights is not None:
                            self.set_weights(self._initial_weights)
                            self._initial_weights = None
                self.assert_input_compatibility(inputs)
            masks = [mask_of(x) for x in listed]
            arguments = dict(kwargs)
            if "mask" not in kwargs:
                if has_arg(self.call, "mask") and (any(m is not None for m in masks) or _required(self.call) > 1):
                    kwargs["mask"] = unpack_singleton(masks)
            else:
                if kwargs["mask"] is not None:
                    masks = to_list(kwargs["mask"])
                if not has_arg(self.call, "mask"):
                    del kwargs["mask"]
            output = self.call(inputs, **kwargs)
            output_mask = self.compute_mask(inputs, unpack_singleton(masks))
            outputs = [own_tensor(y, listed) for y in to_list(output)]
            output_masks = to_list(output_mask) if output_mask is not None else [None] * len(outputs)
            if len(output_masks) != len(outputs):
                output_masks = (output_masks + [None] * len(outputs))[: len(outputs)]
            if eager:
                # Without a record, else a loop over batches would keep each one alive.
                outputs = _with_values(outputs)
            else:
                self._declare_shapes(unpack_singleton(input_shapes), outputs)
                self._record_call(listed, outputs, masks, output_masks, input_shapes, arguments)
                self._penalise_activity(inputs, outputs)
        return outputs if isinstance(output, (list, tuple)) and len(outputs) > 1 else outputs[0]

    def _penalise_activity(self, inputs: Any, outputs: list[Any]) -> None:
        penalty = getattr(self, "activity_regularizer", None)
        if penalty is not None:
            self.add_loss([penalty(y) for y in outputs], inputs=to_list(inputs))

    def _declare_shapes(self, input_shape: Any, outputs: list[Any]) -> None:
        """Note static shapes: what the tensors know, completed by what ``compute_output_shape`` says.

        A layer that gives one number per sample, or one for all, and says that it has more axes is believed: programs
        give `Lambda(..., output_shape=(1,))` losses per sample, and columns as their targets.
        """
        declared: list[Any] = []
        flat = any(y.ndim < 2 for y in outputs) and _says_shapes(self)
        if flat or any(None in y.shape[1:] for y in outputs):
            declared = output_shapes_of(self.compute_output_shape(input_shape), len(outputs))
        for i, y in enumerate(outputs):
            known = tuple(y.shape)
            said = declared[i] if i < len(declared) else None
            if said is not None and len(said) == len(known):
                known = tuple([k if k is not None else s for k, s in zip(known, said)])
            elif said is not None and len(known) < 2 and flat:
                known = said
            y._keras_shape = known

    def _record_call(
        self,
        inputs: list[Any],
        outputs: list[Any],
        input_masks: list[Any],
        output_masks: list[Any],
        input_shapes: list[Any],
        arguments: dict[str, Any],
    ) -> None:
        uses_phase = getattr(self, "uses_learning_phase", False) or any(
            getattr(x, "_uses_learning_phase", False) for x in inputs
        )
        for y, mask in zip(outputs, output_masks):
            if uses_phase or not hasattr(y, "_uses_learning_phase"):
                y._uses_learning_phase = uses_phase or getattr(y, "_uses_learning_phase", False)
            if mask is not None:
                y._keras_mask = mask
        history = [getattr(x, "_keras_history", (None, None, None)) for x in inputs]
        for i, y in enumerate(outputs):
            y._keras_history = (self, len(self._inbound_nodes), i)
        Node(
            self,
            [h[0] for h in history],
            [h[1] for h in history],
            [h[2] for h in history],
            inputs,
            outputs,
            input_masks,
            output_masks,
            input_shapes,
            [y._keras_shape for y in outputs],
            arguments,
        )

    # -- inputs and outputs -------------------------------------------------------------------------------------------

    def _at_node(self, index: int, attribute: str, what: str) -> Any:
        if not self._inbound_nodes:
            raise RuntimeError(
                f"[{self.name}] The layer has never been called and thus has no defined {what}. Call it on an Input "
                "first."
            )
        if not -len(self._inbound_nodes) <= index < len(self._inbound_nodes):
            raise ValueError(
                f"[{self.name}] Asked to get {what} at node {index}, but the layer has only "
                f"{len(self._inbound_nodes)} inbound nodes. Nodes are counted from 0, one for each call."
            )
        return unpack_singleton(getattr(self._inbound_nodes[index], attribute))

    def _only(self, attribute: str, what: str) -> Any:
        if len(self._inbound_nodes) > 1:
            raise AttributeError(
                f'[{self.name}] Layer {self.name} has multiple inbound nodes, hence the notion of "layer {what}" is '
                f"ill-defined. Use `get_{what.replace(' ', '_')}_at(node_index)` instead."
            )
        if not self._inbound_nodes:
            raise AttributeError(
                f"[{self.name}] Layer {self.name} is not connected, no {what} to return. Call it on an Input first."
            )
        return unpack_singleton(getattr(self._inbound_nodes[0], attribute))

    def get_input_at(self, node_index: int) -> Any:
        """Input tensor(s) of call number ``node_index``."""
        return self._at_node(node_index, "input_tensors", "input")

    def get_output_at(self, node_index: int) -> Any:
        """Output tensor(s) of call number ``node_index``."""
        return self._at_node(node_index, "output_tensors", "output")

    def get_input_shape_at(self, node_index: int) -> Any:
        """Input shape(s) of call number ``node_index``."""
        return self._at_node(node_index, "input_shapes", "input shape")

    def get_output_shape_at(self, node_index: int) -> Any:
        """Output shape(s) of call number ``node_index``."""
        return self._at_node(node_index, "output_shapes", "output shape")

    def get_input_mask_at(self, node_index: int) -> Any:
        """Input mask(s) of call number ``node_index``."""
        return self._at_node(node_index, "input_masks", "input mask")

    def get_output_mask_at(self, node_index: int) -> Any:
        """Output mask(s) of call number ``node_index``."""
        return self._at_node(node_index, "output_masks", "output mask")

    @property
    def input(self) -> Any:
        """Input tensor(s), where the layer was called once."""
        return self._only("input_tensors", "input")

    @input.setter
    def input(self, tensor: Any) -> None:
        # Keras 0.x's: layers set a placeholder here, tests of a layer a variable. Calls of the layer count more.
        self._input_given = tensor

    @property
    def output(self) -> Any:
        """Output tensor(s), where the layer was called once."""
        return self._only("output_tensors", "output")

    @property
    def input_mask(self) -> Any:
        """Input mask(s), where the layer was called once."""
        return self._only("input_masks", "input mask")

    @property
    def output_mask(self) -> Any:
        """Output mask(s), where the layer was called once."""
        return self._only("output_masks", "output mask")

    @property
    def input_shape(self) -> Any:
        """Shape(s) of the input, batch included, where all calls agree."""
        if self.__dict__.get("_shape_now") is not None:
            return self._shape_now
        return self._common_shape("input_shapes", "input shape")

    @property
    def output_shape(self) -> Any:
        """Shape(s) of the output, batch included, where all calls agree."""
        return self._common_shape("output_shapes", "output shape")

    def _common_shape(self, attribute: str, what: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(
                f"[{self.name}] The layer has never been called and thus has no defined {what}. Call it on an Input "
                "first."
            )
        shapes = [getattr(node, attribute) for node in self._inbound_nodes]
        if any(s != shapes[0] for s in shapes):
            raise AttributeError(
                f"[{self.name}] The layer {self.name} has multiple inbound nodes with different {what}s. Hence the "
                f'notion of "{what}" is ill-defined for the layer. Use '
                f"`get_{what.replace(' ', '_')}_at(node_index)` instead."
            )
        return unpack_singleton(shapes[0])

    @property
    def inbound_nodes(self) -> list[Node]:
        """The calls of the layer (the name of Keras 1; Keras 2 has ``_inbound_nodes``)."""
        return self._inbound_nodes

    @inbound_nodes.setter
    def inbound_nodes(self, nodes: Iterable[Node]) -> None:
        self._inbound_nodes = list(nodes)

    @property
    def outbound_nodes(self) -> list[Node]:
        """The calls that took an output of the layer (the name of Keras 1; Keras 2 has ``_outbound_nodes``)."""
        return self._outbound_nodes

    @outbound_nodes.setter
    def outbound_nodes(self, nodes: Iterable[Node]) -> None:
        self._outbound_nodes = list(nodes)

    # -- the words of Keras 0.x ---------------------------------------------------------------------------------------

    def get_input(self, train: bool = False) -> Any:
        """The input tensor (Keras 0.x); inside ``get_output`` that of the call under way."""
        now = self.__dict__.get("_input_now")
        if now is not None:
            return now
        self._call_given()
        return self.input

    def _call_given(self) -> None:
        given = self.__dict__.get("_input_given")
        if given is not None and not self._inbound_nodes:
            self(given)

    def get_output(self, train: bool = False) -> Any:
        """The output tensor, in the training phase or not (Keras 0.x)."""
        if self.__dict__.get("_input_now") is not None:
            return self._input_now
        self._call_given()
        outputs = K.replace(to_list(self.output), K.phase_givens(1 if train else 0))
        return unpack_singleton(outputs)

    def get_output_mask(self, train: bool = False) -> Any:
        """The mask of the output (Keras 0.x)."""
        self._call_given()
        return self.output_mask

    def get_params(self) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        """Trained weights, and the layer's regularizers, constraints and updates (Keras 0.x)."""
        return self.trainable_weights, list(self.regularizers), list(self.constraints.values()), self.updates

    def supports_masked_input(self) -> bool:
        """Whether the layer takes a mask (Keras 0.x)."""
        return bool(self.supports_masking)

    def set_input_shape(self, input_shape: Any) -> None:
        """Say the shape of the input, batch included, and build the layer (Keras 0.x)."""
        self.batch_input_shape = checked_shape("set_input_shape", input_shape)
        if not self.built:
            with name_scope(self.name):
                self._build_as_defined(self.batch_input_shape)

    def set_previous(self, layer: Any, reset_weights: bool = True) -> None:
        """Apply the layer to the output of another (Keras 0.x)."""
        self(layer.output)

    def clear_previous(self, reset_weights: bool = True) -> None:
        """Forget what the layer was applied to (Keras 0.x); ``reset_weights`` lets a new input build it anew."""
        self._inbound_nodes = []
        if reset_weights:
            self._built = False
            self.input_spec = None
            self._trainable_weights, self._non_trainable_weights = [], []

    def _call_by_get_output(self, inputs: Any) -> Any:
        self._input_now, self._shape_now = inputs, unpack_singleton([shape_of(x) for x in to_list(inputs)])
        try:
            return K.in_train_phase(self.get_output(train=True), self.get_output(train=False))
        finally:
            self._input_now = self._shape_now = None

    def _shape_by_property(self, input_shape: Any) -> Any:
        before = self.__dict__.get("_shape_now")
        self._shape_now = input_shape
        try:
            return self.output_shape
        finally:
            self._shape_now = before

    # -- description --------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Arguments that make the same layer again, without its weights; JSON can hold them."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if hasattr(self, "batch_input_shape"):
            config["batch_input_shape"] = self.batch_input_shape
        if hasattr(self, "dtype"):
            config["dtype"] = self.dtype
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer that ``get_config`` described, with new weights."""
        return cls(**cls._arguments_of(config))

    @classmethod
    def _arguments_of(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Arguments of ``__init__`` from a config; the dialects know how else they may be called there."""
        return dict(config)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} {self.__dict__.get('name', '?')!r}>"


class _Constraints(dict):
    """Constraints by weight; entering one gives it to the weight."""

    def __setitem__(self, weight: Any, rule: Any) -> None:
        weight.constraint = rule
        super().__setitem__(weight, rule)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for weight, rule in dict(*args, **kwargs).items():
            self[weight] = rule


class _Regularizers(list):
    """Regularizers told their weight by ``set_param``; entering one adds its penalty to the layer's loss.

    Those of Keras 0.x are called with a loss, to which they add; later ones with the weight.
    """

    def __init__(self, layer: Layer, items: Iterable[Any] = ()):
        super().__init__()
        self.layer = layer
        self.extend(items)

    def append(self, item: Any) -> None:
        super().append(item)
        weight = getattr(item, "p", None)
        if weight is not None:
            takes_loss = next(iter(_positional(item.__call__)), "") == "loss"
            penalty = item(0.0) if takes_loss else item(weight)
            self.layer.add_loss(penalty)

    def extend(self, items: Iterable[Any]) -> None:
        for item in items:
            self.append(item)

    def __iadd__(self, items: Iterable[Any]) -> _Regularizers:  # type: ignore[misc]
        self.extend(items)
        return self


def _positional(function: Any) -> list[str]:
    """Names of the arguments that may be given by position."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ["input_shape"]
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]


def _required(function: Any) -> int:
    """Number of the arguments without a default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def mask_of(x: Any) -> Any:
    """Mask that belongs to a tensor, or None."""
    layer, node_index, tensor_index = getattr(x, "_keras_history", (None, None, None))
    if layer is None:
        return getattr(x, "_keras_mask", None)
    return layer._inbound_nodes[node_index].output_masks[tensor_index]


def own_tensor(y: Any, inputs: list[Any]) -> Any:
    """``y`` as a tensor of its own: a layer that returns its input must not rewrite that tensor's history."""
    if not isinstance(y, at.Tensor):
        y = at.asarray(y)
    if any(y is x for x in inputs) or isinstance(y, at.Variable) or is_keras_tensor(y):
        return K.identity(y)
    return y


def _says_shapes(layer: Layer) -> bool:
    """Tell whether a layer's class says the shape of its outputs itself."""
    return type(layer).compute_output_shape is not Layer.compute_output_shape


def output_shapes_of(shape: Any, n: int) -> list[Any]:
    """List of ``n`` shapes from what ``compute_output_shape`` returned."""
    if shape is None:
        return []
    if isinstance(shape, list) and (not shape or isinstance(shape[0], (list, tuple))):
        return [tuple(s) for s in shape]
    if n > 1 and isinstance(shape, tuple) and shape and isinstance(shape[0], (list, tuple)):
        return [tuple(s) for s in shape]
    return [tuple(shape)]


def unique(items: Iterable[Any]) -> list[Any]:
    """Without repetitions, by identity, in order."""
    seen: set[int] = set()
    out = []
    for item in items:
        if id(item) not in seen:
            seen.add(id(item))
            out.append(item)
    return out


def without(items: Iterable[Any], others: Iterable[Any]) -> list[Any]:
    """The items that are not among the others, by identity."""
    gone = {id(item) for item in others}
    return [item for item in items if id(item) not in gone]


def as_arrays(op: str, values: Any) -> list[np.ndarray]:
    """The items of a list as arrays."""
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(
            f"[{op}] expected a list of arrays; got {type(values).__name__}. Take the list from get_weights()."
        )
    return [to_array(v, op) for v in values]


def check_weight_shapes(op: str, pairs: Iterable[tuple[Any, Any]]) -> None:
    """Raise one ValueError that lists every value whose shape is not its weight's."""
    wrong = [
        f"{getattr(w, 'name', None) or 'weight'} has shape {tuple(w.shape)}, the value {np.shape(v)}"
        for w, v in pairs
        if tuple(w.shape) != np.shape(v)
    ]
    if wrong:
        raise ValueError(
            f"[{op}] values must have the shapes of the weights; {len(wrong)} do not: {'; '.join(wrong)}. "
            "Nothing was changed. Was the model made with the same arguments?"
        )


def _rank_hint(want: int, got: int) -> str:
    if want == got + 1:
        return "Is the batch or a channel axis missing?"
    return "Put a Flatten or Reshape layer before it?" if want < got else "Reshape the input, or use another layer."

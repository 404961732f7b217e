"""Layers and helpers that only Keras 0.x had: ``AutoEncoder``, two networks as one layer, ``Siamese``, ``LambdaMerge``.

:func:`place` puts them, and :class:`~keras_compat.dialect.legacy_graph.Graph`, where programs import them from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat import layers, models
from keras_compat.dialect.legacy_graph import MERGE_MODES, Graph, merged
from keras_compat.dialect.legacy_layers import called
from keras_compat.engine import registry
from keras_compat.engine.functions import function_of, text_of
from keras_compat.engine.generators import generator_queue
from keras_compat.engine.layer import Layer, shape_of, unique
from keras_compat.engine.network import Network
from keras_compat.engine.objective import weighted_loss
from keras_compat.engine.sequential import Sequential
from keras_compat.engine.training_utils import batch_shuffle, make_batches, slice_X, standardize_weights


@registry.register
class AutoEncoder(Layer):
    """An encoder and a decoder as one layer, which gives the reconstruction or, at choice, the code (Keras 0.x).

    ``layer.output_reconstruction`` may be changed later; compile the model again then.

    Args:
        encoder: layer or model from the input to the code.
        decoder: layer or model from the code back.
        output_reconstruction: False for the code; the decoder is not trained then.
        weights: of the encoder, then of the decoder.
    """

    def __init__(
        self,
        encoder: Any,
        decoder: Any,
        output_reconstruction: bool = True,
        weights: Sequence[Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(weights=weights, **kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self._layers = [encoder, decoder]
        self._reconstructs = bool(output_reconstruction)
        self.stale = False
        if not hasattr(self, "batch_input_shape"):
            shape = _input_shape_of(encoder)
            if shape is not None:
                self.batch_input_shape = shape

    @property
    def output_reconstruction(self) -> bool:
        """Whether the output is the reconstruction, else the code."""
        return self._reconstructs

    @output_reconstruction.setter
    def output_reconstruction(self, value: bool) -> None:
        self.stale = self.stale or bool(value) != self._reconstructs
        self._reconstructs = bool(value)

    def build(self, input_shape: Any) -> None:
        shape = input_shape
        for part in (self.encoder, self.decoder):
            if not part.built:
                part.build(shape)
            shape = part.compute_output_shape(shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        code = self.encoder(inputs)
        return self.decoder(code) if self._reconstructs else code

    def compute_output_shape(self, input_shape: Any) -> Any:
        code = self.encoder.compute_output_shape(input_shape)
        return self.decoder.compute_output_shape(code) if self._reconstructs else code

    @property
    def trainable_weights(self) -> list[Any]:
        """Those of the encoder and, where it reconstructs, of the decoder."""
        if not self.trainable:
            return []
        parts = [self.encoder, self.decoder] if self._reconstructs else [self.encoder]
        return unique([w for part in parts for w in part.trainable_weights])

    @trainable_weights.setter
    def trainable_weights(self, weights: Iterable[Any]) -> None:
        raise AttributeError("[AutoEncoder] the weights are those of the encoder and the decoder. Set them there.")

    @property
    def non_trainable_weights(self) -> list[Any]:
        """All others."""
        trained = {id(w) for w in self.trainable_weights}
        return [w for w in self.weights if id(w) not in trained]

    @non_trainable_weights.setter
    def non_trainable_weights(self, weights: Iterable[Any]) -> None:
        raise AttributeError("[AutoEncoder] the weights are those of the encoder and the decoder. Set them there.")

    @property
    def weights(self) -> list[Any]:
        """Those of the encoder, then those of the decoder."""
        return unique([*self.encoder.weights, *self.decoder.weights])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "encoder": registry.serialize(self.encoder),
            "decoder": registry.serialize(self.decoder),
            "output_reconstruction": self._reconstructs,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The layer that ``get_config`` described, with new weights."""
        parts = {
            part: registry.deserialize(config[part], custom_objects=custom_objects) for part in ("encoder", "decoder")
        }
        return cls(**{**config, **parts})


def _input_shape_of(part: Any) -> Any:
    """Shape that a layer or model was made for, batch included, if it says so."""
    if isinstance(part, Network):
        return shape_of(part.inputs[0]) if part.inputs else None
    return getattr(part, "batch_input_shape", None)


@registry.register
class Siamese(Layer):
    """One layer applied to each of several inputs, the results merged: the first layer of a model (Keras 0.x).

    Args:
        layer: what is applied.
        inputs: layers or models with an input shape, as of ``Merge``.
        merge_mode: sum, ave, mul, max, dot, cos, concat; None gives the list of results.
        concat_axis, dot_axes: of those modes.
        is_graph: kept for configs.
    """

    def __init__(
        self,
        layer: Any,
        inputs: Sequence[Any] | None = None,
        merge_mode: str | None = "concat",
        concat_axis: int = 1,
        dot_axes: Any = -1,
        is_graph: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if merge_mode is not None and merge_mode not in MERGE_MODES:
            raise ValueError(
                f"[Siamese] merge_mode is one of {', '.join(map(repr, MERGE_MODES))} or None; got {merge_mode!r}."
            )
        self.layer = layer
        self.merge_mode = merge_mode
        self.concat_axis = concat_axis
        self.dot_axes = dot_axes
        self.is_graph = is_graph
        self.sources = list(inputs or ())
        self._layers = [layer, *[one for one in self.sources if isinstance(one, Layer)]]
        if self.sources:
            self(ends_of(self.sources))

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(tuple(input_shape[0]))
        self.built = True

    def call(self, inputs: Any) -> Any:
        results = [self.layer(x) for x in inputs]
        if self.merge_mode is None:
            return results
        return merged(results, self.merge_mode, self.concat_axis, self.dot_axes)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "layer": registry.serialize(self.layer),
            "inputs": [registry.serialize(one) for one in self.sources if isinstance(one, Layer)],
            "merge_mode": self.merge_mode,
            "concat_axis": self.concat_axis,
            "dot_axes": self.dot_axes,
            "is_graph": self.is_graph,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The layer that ``get_config`` described, with new weights."""
        layer = registry.deserialize(config["layer"], custom_objects=custom_objects)
        inputs = [registry.deserialize(one, custom_objects=custom_objects) for one in config["inputs"]]
        return cls(**{**config, "layer": layer, "inputs": inputs})


def ends_of(sources: Sequence[Any]) -> list[Any]:
    """The output tensors of layers or models that know their input; tensors stay what they are."""
    ends = []
    for one in sources:
        if not isinstance(one, Layer):
            ends.append(one)
            continue
        called(one)
        ends.append(one._inbound_nodes[0].output_tensors[0])
    return ends


@registry.register
class SiameseHead(Layer):
    """One of the results of a ``Siamese`` without ``merge_mode``: the one at place ``head`` (Keras 0.x)."""

    def __init__(self, head: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.head = int(head)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return K.identity(inputs[self.head] if isinstance(inputs, (list, tuple)) else inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape[self.head] if isinstance(input_shape, list) else input_shape)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask[self.head] if isinstance(mask, list) else mask

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"head": self.head}


def add_shared_layer(layer: Any, inputs: Sequence[Any]) -> list[Any]:
    """Apply one layer to several models (``Sequential``): it becomes the last layer of each, with shared weights.

    Returns the outputs, one for each input, as tensors.
    """
    outputs = []
    for one in inputs:
        if isinstance(one, Sequential):
            one.add(layer)
            outputs.append(one.outputs[0])
        else:
            outputs.append(layer(ends_of([one])[0]))
    return outputs


@registry.register
class LambdaMerge(Layer):
    """A function of the outputs of several layers or models (Keras 0.x); it gets their list.

    Args:
        layers: two or more layers or models with an input shape.
        function: from a list of tensors to a tensor.
        output_shape: without the batch dimension, or a function of the list of input shapes; computed where None.
        arguments: further keyword arguments of the function.
    """

    def __init__(
        self,
        layers: Sequence[Any] | None,
        function: Callable[..., Any],
        output_shape: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if layers is not None and len(layers) < 2:
            raise ValueError(f"[LambdaMerge] Please specify two or more input layers to merge; got {len(layers)}.")
        self.function = function
        self.arguments = dict(arguments or {})
        self._said_shape = output_shape
        self.sources = list(layers or ())
        self._layers = [one for one in self.sources if isinstance(one, Layer)]
        self.supports_masking = True
        if self.sources:
            self(ends_of(self.sources))

    def call(self, inputs: Any) -> Any:
        return self.function(inputs, **self.arguments)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if callable(self._said_shape):
            return tuple(self._said_shape(input_shape))
        if self._said_shape is None:
            xs = [K.placeholder(shape=s) for s in input_shape]
            return K.int_shape(self.call(xs))
        return (input_shape[0][0], *tuple(self._said_shape))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        """Functions by name, see ``engine.functions``; the layers with their configs."""
        named = callable(self._said_shape)
        return super().get_config() | {
            "layers": [registry.serialize(one) for one in self._layers] or None,
            "function": text_of(self.function),
            "output_shape": text_of(self._said_shape) if named else self._said_shape,
            "output_shape_type": "function" if named else "raw",
            "arguments": self.arguments,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The layer that ``get_config`` described, with new weights; functions come from custom_objects."""
        config = dict(config)
        named = ("function", "output_shape") if config.pop("output_shape_type", "raw") == "function" else ("function",)
        for part in named:
            text = config[part]
            config[part] = function_of(text, custom_objects)
            if config[part] is None:
                raise ValueError(
                    f"[LambdaMerge] the {part} {text!r} is not known. Pass it: custom_objects={{{text!r}: function}}."
                )
        layers = [registry.deserialize(one, custom_objects=custom_objects) for one in config["layers"] or ()]
        return cls(**{**config, "layers": layers or None})


@registry.register
class TimeDistributedMerge(Layer):
    """Sum, mean or product of the steps of a sequence: (n, steps, k) -> (n, k) (Keras 0.x).

    ``mode`` is ``'sum'``, ``'ave'`` or ``'mul'``.
    """

    def __init__(self, mode: str = "sum", **kwargs: Any):
        super().__init__(**kwargs)
        if mode not in ("sum", "ave", "mul"):
            raise ValueError(f"[TimeDistributedMerge] mode is 'sum', 'ave' or 'mul'; got {mode!r}.")
        self.mode = mode

    def call(self, inputs: Any) -> Any:
        return {"sum": K.sum, "ave": K.mean, "mul": K.prod}[self.mode](inputs, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *input_shape[2:])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"mode": self.mode}


class MaskedLayer(Layer):
    """A layer that passes the mask of its input on: the base class of such layers in Keras 0.x."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True


def standardize_X(X: Any) -> list[Any]:
    """The inputs as a list of arrays."""
    return list(X) if isinstance(X, list) else [X]


def standardize_y(y: Any) -> np.ndarray:
    """Targets as an array; a vector becomes a column."""
    array = np.asarray(y)
    return array[:, None] if array.ndim == 1 else array


def weighted_objective(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A loss function as ``f(y_true, y_pred, weights, mask=None)``, a scalar."""

    def weighted(y_true: Any, y_pred: Any, weights: Any, mask: Any = None) -> Any:
        return weighted_loss(fn, y_true, y_pred, weights, mask)

    return weighted


def get_function_name(o: Any) -> Any:
    """A name as it is, a function's own name."""
    return o if isinstance(o, str) else o.__name__


def place(package: str) -> None:
    """Offer what Keras 0.x named where it named it: ``layers``, its ``core`` and ``containers``, ``models``."""
    core = (AutoEncoder, LambdaMerge, MaskedLayer, Siamese, SiameseHead, TimeDistributedMerge, add_shared_layer)
    for module in (layers, layers.core):
        for one in core:
            setattr(module, one.__name__, one)
    containers = ModuleType(
        f"{package}.layers.containers", "Containers of layers (Keras 0.x): models and layers at once."
    )
    containers.__dict__.update(Graph=Graph, Sequential=Sequential)
    sys.modules[containers.__name__] = containers
    helpers = (
        batch_shuffle,
        generator_queue,
        get_function_name,
        make_batches,
        slice_X,
        standardize_X,
        standardize_weights,
        standardize_y,
        weighted_objective,
    )
    for thing in (Graph, *helpers):
        setattr(models, thing.__name__, thing)
    for module in (layers, models):
        module.containers = containers  # type: ignore[attr-defined]

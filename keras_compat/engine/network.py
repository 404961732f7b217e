"""Network: layers wired into a directed graph, from inputs to outputs. No training here.

The order of layers and nodes is Keras 2.3's: by depth (the longest way to an output), then by first visit from the
outputs. Everything is a loop with a stack, so a chain of thousands of layers is no deeper than a short one.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level
from keras_compat.engine import registry
from keras_compat.engine.input_layer import Input, InputLayer
from keras_compat.engine.layer import (
    Layer,
    as_arrays,
    automatic_name,
    check_weight_shapes,
    is_keras_tensor,
    mask_of,
    name_scope,
    shape_of,
    tensor_key,
    unique,
)
from keras_compat.engine.loading import code_allowed_if
from keras_compat.engine.node import Node
from keras_compat.utils.generic_utils import has_arg, numbered, to_list, unpack_singleton
from keras_compat.version import KERAS_VERSION

# (layer, index of its node), the identity of one call.
_Key = tuple[int, int]


def _wrong_end(message: str) -> Exception:
    """The error for inputs and outputs that no layer made: a TypeError in Keras 1, a ValueError in Keras 2."""
    return TypeError(message) if get_api_level() == "1.2" else ValueError(message)


class Network(Layer):
    """A directed acyclic graph of layers, itself a layer.

    ``Network(inputs, outputs)`` with tensors from ``Input`` and from layers called on them.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        if len(args) >= 2 or ("inputs" in kwargs and "outputs" in kwargs) or (len(args) == 1 and "outputs" in kwargs):
            self._init_graph_network(*args, **kwargs)
        else:
            self._init_subclassed_network(*args, **kwargs)

    # Layers of a network are known from its graph; attributes are followed in subclassed models only.
    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("_is_graph_network", True):
            object.__setattr__(self, name, value)
        else:
            Layer.__setattr__(self, name, value)

    def _base_init(self, name: str | None, trainable: bool = True) -> None:
        if not name:
            name = automatic_name(type(self))
        Layer.__init__(self, name=name, trainable=trainable)
        del self.dtype
        self.supports_masking = False
        self._is_compiled = False
        self.optimizer: Any = None
        self.inputs: Any = None
        self.outputs: Any = None
        self.input_names: list[str] = []
        self.output_names: list[str] = []
        # Inputs that data is fed to: those that are placeholders.
        self._feed_input_names: list[str] = []
        self._feed_inputs: list[Any] = []
        self._feed_input_shapes: list[Any] = []

    def _init_subclassed_network(self, name: str | None = None, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(
                f"[{type(self).__name__}] expected inputs and outputs, or a subclass with its own call(); got "
                f"{', '.join(kwargs)}. Write Model(inputs=x, outputs=y)."
            )
        self._is_graph_network = False
        self._base_init(name)

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of a subclass with its own ``call``, for shape(s) with batch dimension."""
        if self._is_graph_network or input_shape is None:
            self._built = self.inputs is not None
            return
        shapes = [tuple(s) for s in input_shape] if _is_list_of_shapes(input_shape) else [tuple(input_shape)]
        inputs = [Input(batch_shape=s, name=f"input_{i + 1}") for i, s in enumerate(shapes)]
        outputs = self.call(unpack_singleton(inputs))
        self.inputs, self.outputs = inputs, to_list(outputs)
        self.input_names = [f"input_{i + 1}" for i in range(len(inputs))]
        self.output_names = [f"output_{i + 1}" for i in range(len(self.outputs))]
        self._feed_input_names = list(self.input_names)
        self._feed_inputs = list(inputs)
        self._feed_input_shapes = shapes
        self._built = True

    def _init_graph_network(
        self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True, **kwargs: Any
    ) -> None:
        if kwargs:
            raise TypeError(f"[Model] Keyword argument not understood: {', '.join(kwargs)}. Check the spelling.")
        self._is_graph_network = True
        if not self.__dict__.get("_initialized", False):
            self._base_init(name, trainable)
        self._set_graph(to_list(inputs), to_list(outputs))

    def _set_graph(self, inputs: list[Any], outputs: list[Any]) -> None:
        """Make this the network from these inputs to these outputs."""
        self._set_ends(inputs, outputs)
        self._layers = self._map.layers

    def _set_ends(self, inputs: list[Any], outputs: list[Any]) -> None:
        """As ``_set_graph``, for a graph known to be sound: what lies between the ends is looked at when asked for."""
        self._mapped: GraphMap | None = None
        self.inputs, self.outputs = list(inputs), list(outputs)
        self._check_ends()
        self._input_coordinates = [x._keras_history for x in self.inputs]
        self._output_coordinates = [y._keras_history for y in self.outputs]
        self._input_layers = [h[0] for h in self._input_coordinates]
        self._output_layers = [h[0] for h in self._output_coordinates]
        self.input_names = [layer.name for layer in self._input_layers]
        self.output_names = numbered([layer.name for layer in self._output_layers])
        self._feed_input_names, self._feed_inputs, self._feed_input_shapes = [], [], []
        for layer, x in zip(self._input_layers, self.inputs):
            if getattr(layer, "is_placeholder", True):
                self._feed_input_names.append(layer.name)
                self._feed_inputs.append(x)
                self._feed_input_shapes.append(shape_of(x))
        self._inbound_nodes = []
        self._outbound_nodes = []
        masks = [mask_of(x) for x in self.inputs]
        Node(
            self,
            [],
            [],
            [],
            self.inputs,
            self.outputs,
            masks,
            [mask_of(y) for y in self.outputs],
            [shape_of(x) for x in self.inputs],
            [shape_of(y) for y in self.outputs],
        )
        self._built = True
        # The computations seen so far, by the ids of their inputs; the inputs are kept so that ids stay theirs.
        self._computed: dict[Any, tuple[Any, ...]] = {}
        # On its own inputs it has been run: a second run would change the state of its layers twice.
        known = (self.outputs, [mask_of(y) for y in self.outputs], [shape_of(y) for y in self.outputs])
        self._computed[(tensor_key(self.inputs), tensor_key(masks))] = (known, self.inputs, masks)

    @property
    def _map(self) -> GraphMap:
        """What lies between inputs and outputs. A subclass may list fewer layers, or in another order."""
        if self._mapped is None:
            self._mapped = map_graph(self.inputs, self.outputs)
        return self._mapped

    @property
    def _network_nodes(self) -> set[_Key]:
        return self._map.keys

    @property
    def _nodes_by_depth(self) -> dict[int, list[Node]]:
        return self._map.nodes_by_depth

    @property
    def _layers_by_depth(self) -> dict[int, list[Any]]:
        return self._map.layers_by_depth

    def _check_ends(self) -> None:
        seen: set[int] = set()
        for x in self.inputs:
            if id(x) in seen:
                raise ValueError(
                    "[Model] The list of inputs passed to the model is redundant. All inputs should only appear once; "
                    f"found: {self.inputs}. Drop the repeated one."
                )
            seen.add(id(x))
            if not is_keras_tensor(x):
                raise _wrong_end(
                    f"[Model] Input tensors to a {type(self).__name__} must come from `keras.layers.Input`. Received: "
                    f"{x!r} (missing previous layer metadata). Wrap it: Input(tensor=x)."
                )
            source = x._keras_history[0]
            if not isinstance(source, InputLayer):
                raise TypeError(
                    f"[Model] Input layers to a `Model` must be `InputLayer` objects. Received inputs: {self.inputs}; "
                    f"{x!r} comes from the layer {source.name!r}, a {type(source).__name__}. Start from the model's "
                    "input, or call the layers behind it on a new Input."
                )
        for y in self.outputs:
            if not is_keras_tensor(y):
                raise _wrong_end(
                    f"[Model] Output tensors to a {type(self).__name__} must be the output of a Keras `Layer` (thus "
                    f"holding past layer metadata). Found: {y!r}. Wrap the operation in a Lambda layer."
                )

    # -- parts --------------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> list[Any]:
        """The layers, inputs included, in Keras's order."""
        return self._layers

    # Keras 1's and 2.0's names for how the graph is wired.

    @property
    def input_layers(self) -> list[Any]:
        """The layers that the inputs come from."""
        return self._input_layers

    @property
    def output_layers(self) -> list[Any]:
        """The layers that the outputs come from."""
        return self._output_layers

    @property
    def input_layers_node_indices(self) -> list[int]:
        """For each input the number of the call of its layer."""
        return [h[1] for h in self._input_coordinates]

    @property
    def input_layers_tensor_indices(self) -> list[int]:
        """For each input its place among the outputs of that call."""
        return [h[2] for h in self._input_coordinates]

    @property
    def output_layers_node_indices(self) -> list[int]:
        """For each output the number of the call of its layer."""
        return [h[1] for h in self._output_coordinates]

    @property
    def output_layers_tensor_indices(self) -> list[int]:
        """For each output its place among the outputs of that call."""
        return [h[2] for h in self._output_coordinates]

    @property
    def layers_by_depth(self) -> dict[int, list[Any]]:
        """The layers by their distance from the outputs."""
        return self._layers_by_depth

    @property
    def nodes_by_depth(self) -> dict[int, list[Any]]:
        """The calls by their distance from the outputs."""
        return self._nodes_by_depth

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """A layer by its name or by its place; the name wins.

        Raises:
            ValueError: no such layer, or neither argument given.
        """
        if name is not None:
            for layer in self.layers:
                if layer.name == name:
                    return layer
            known = ", ".join(layer.name for layer in self.layers)
            raise ValueError(f"[get_layer] No such layer: {name}. There are: {known}. Check the spelling.")
        if index is None:
            raise ValueError("[get_layer] Provide either a layer name or layer index; got neither.")
        if not -len(self.layers) <= index < len(self.layers):
            raise ValueError(
                f"[get_layer] Was asked to retrieve layer at index {index} but model only has {len(self.layers)} "
                "layers. They are counted from 0."
            )
        return self.layers[index]

    def _weights_in_layer_order(self, asked: str = "weights") -> list[Any]:
        if self._layers and not self.built:
            raise ValueError(
                f"[{asked}] expected a model with weights; those of {self.name!r} do not exist yet, because it has no "
                "input shape. Give the first layer input_shape=(...), or call build((None, ...))."
            )
        return unique([w for layer in self.layers for w in layer.weights] + self._trainable_weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all weights, layer by layer."""
        return K.batch_get_value(self._weights_in_layer_order("get_weights"))

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set all weights from a list as ``get_weights`` gives; shapes are checked before any is set."""
        params = self._weights_in_layer_order("set_weights")
        values = as_arrays("set_weights", weights)
        if len(params) != len(values):
            raise ValueError(
                f"[set_weights] the model {self.name!r} has {len(params)} weights; got a list of {len(values)}. Take "
                "the list from get_weights() of a model with the same layers."
            )
        check_weight_shapes("set_weights", zip(params, values))
        K.batch_set_value(list(zip(params, values)))

    @property
    def losses(self) -> list[Any]:
        """Penalties that belong to this model: unconditional ones, and those of calls within its graph."""
        return unique(self._collect("losses"))

    @losses.setter
    def losses(self, losses: Any) -> None:
        self._losses, self._per_input_losses = [], {}
        self.add_loss(losses)

    @property
    def updates(self) -> list[Any]:
        """State changes that belong to this model."""
        if self._holds_state:
            return []
        return unique(self._collect("updates"))

    @updates.setter
    def updates(self, updates: Any) -> None:
        self._updates, self._per_input_updates = [], {}
        self.add_update(updates)

    def _collect(self, kind: str) -> list[Any]:
        if not self._is_graph_network:
            own = self._losses if kind == "losses" else self._updates
            return own + [x for layer in self._layers for x in getattr(layer, kind)]
        found: list[Any] = []
        for layer in self._all_layers():
            get: Callable[[Any], list[Any]] = getattr(layer, f"get_{kind}_for")
            for node in self._calls_of(layer):
                found += get(node.input_tensors)
            found += get(None)
        unconditional = self._per_input_losses if kind == "losses" else self._per_input_updates
        return found + unconditional.get(None, [])

    def get_losses_for(self, inputs: Any) -> list[Any]:
        return self._get_for("losses", inputs)

    def get_updates_for(self, inputs: Any) -> list[Any]:
        if self._holds_state:
            return []
        return self._get_for("updates", inputs)

    def _looked_up(self) -> list[tuple[int, str, int]]:
        """Inputs whose numbers are rows of a matrix: (place of the input, name of the layer, its number of rows)."""
        found: list[tuple[int, str, int]] = []
        if not self._is_graph_network:
            return found
        places = {id(x): place for place, x in enumerate(self.inputs)}
        for layer in self.layers:
            if isinstance(layer, Network):
                inner = layer._looked_up()
            else:
                own = getattr(layer, "layer", layer)  # of TimeDistributed
                rows = getattr(own, "rows_looked_up", None)
                inner = [] if rows is None else [(0, own.name, rows)]
            if not inner:
                continue
            for node in self._calls_of(layer):
                for place, name, rows in inner:
                    outer = places.get(id(node.input_tensors[place])) if place < len(node.input_tensors) else None
                    if outer is not None:
                        found.append((outer, name, rows))
        return found

    def _calls_of(self, layer: Any) -> list[Any]:
        """The calls of a layer that belong to this graph."""
        kept = self._network_nodes
        return [node for index, node in enumerate(layer._inbound_nodes) if (id(layer), index) in kept]

    def _all_layers(self) -> list[Any]:
        return unique([*self._layers, *(self._map.layers if "_mapped" in self.__dict__ else ())])

    def _get_for(self, kind: str, inputs: Any) -> list[Any]:
        where = self._per_input_losses if kind == "losses" else self._per_input_updates
        found = list(where.get(tensor_key(inputs), ()))
        if inputs is None:
            for layer in self._all_layers():
                found += getattr(layer, f"get_{kind}_for")(None)
        elif self._is_graph_network and tensor_key(inputs) == tensor_key(self.inputs):
            for layer in self._all_layers():
                for node in self._calls_of(layer):
                    if node.input_tensors:
                        found += getattr(layer, f"get_{kind}_for")(node.input_tensors)
        return unique(found)

    @property
    def stateful(self) -> bool:
        """Same as ``stateful_graph``: a model inside another one keeps its states there."""
        return self.stateful_graph

    @stateful.setter
    def stateful(self, value: bool) -> None:
        pass  # follows from the layers

    @property
    def stateful_graph(self) -> bool:
        """True when a layer inside carries state from batch to batch."""
        return any(getattr(layer, "stateful", False) for layer in self._all_layers())

    @property
    def state_updates(self) -> list[Any]:
        """Updates of the stateful layers only, for their calls within this graph."""
        found: list[Any] = []
        for layer in self._all_layers():
            if not getattr(layer, "stateful", False):
                continue
            if not self._is_graph_network:
                found += layer.updates
                continue
            made = [x for node in self._calls_of(layer) for x in layer.get_updates_for(node.input_tensors)]
            made += layer.get_updates_for(None)
            if isinstance(layer, Network):  # it has other updates, too: those of a batch normalization
                states = {id(variable) for variable, _ in K.as_updates(layer.state_updates)}
                made = [x for x in K.as_updates(made) if id(x[0]) in states]
            found += made
        return unique(found)

    def reset_states(self) -> None:
        """Set the state of all stateful layers back to its start."""
        for layer in self._all_layers():
            if hasattr(layer, "reset_states") and getattr(layer, "stateful", False):
                layer.reset_states()

    @property
    def uses_learning_phase(self) -> bool:
        """True when the outputs differ between training and prediction."""
        return any(getattr(y, "_uses_learning_phase", False) for y in self.outputs or ())

    @property
    def input_spec(self) -> Any:
        """As in Keras 1 and 2, the number of inputs only: the layers inside know what they can take.

        So filters learnt on pictures of one size can be called on those of another, and a first ``Dense`` on sequences.
        """
        if not self._is_graph_network or self.inputs is None:
            return None
        return unpack_singleton([None for _ in self.inputs])

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        pass  # follows from the inputs

    # -- running on other tensors -------------------------------------------------------------------------------------

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The outputs for other input tensors, with the same weights."""
        listed = to_list(inputs)
        masks = [None] * len(listed) if mask is None else to_list(mask)
        return unpack_singleton(self.run_internal_graph(listed, masks)[0])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if not self._is_graph_network:
            return None
        listed = to_list(inputs)
        masks = [None] * len(listed) if mask is None else to_list(mask)
        return unpack_singleton(self.run_internal_graph(listed, masks)[1])

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Shape(s) of the outputs for shape(s) of the inputs, batch included."""
        if not self._is_graph_network:
            return super().compute_output_shape(input_shape)
        shapes = [tuple(s) for s in input_shape] if _is_list_of_shapes(input_shape) else [tuple(input_shape)]
        if len(shapes) != len(self.inputs):
            raise ValueError(
                f"[{self.name}] Invalid input_shape argument {input_shape}: model has {len(self.inputs)} tensor "
                "inputs. Give one shape for each."
            )
        known = {(id(h[0]), h[1], h[2]): s for h, s in zip(self._input_coordinates, shapes)}
        for node in self._nodes_in_order():
            layer = node.outbound_layer
            index = layer._inbound_nodes.index(node)
            if (id(layer), index, 0) in known or not node.inbound_layers:
                continue
            came = [
                known[(id(inbound), i, t)]
                for inbound, i, t in zip(node.inbound_layers, node.node_indices, node.tensor_indices)
            ]
            made = layer.compute_output_shape(unpack_singleton(came))
            for t, s in enumerate(made if _is_list_of_shapes(made) else [made]):
                known[(id(layer), index, t)] = tuple(s)
        return unpack_singleton([known[(id(h[0]), h[1], h[2])] for h in self._output_coordinates])

    def _nodes_in_order(self) -> Iterable[Node]:
        for depth in sorted(self._nodes_by_depth, reverse=True):
            yield from self._nodes_by_depth[depth]

    def run_internal_graph(self, inputs: list[Any], masks: list[Any] | None = None) -> tuple[list, list, list]:
        """Output tensors, masks and shapes for other input tensors."""
        masks = masks or [None] * len(inputs)
        key = (tensor_key(inputs), tensor_key(masks))
        if key in self._computed:
            return self._computed[key][0]
        values: dict[int, tuple[Any, Any]] = {}  # id of a tensor of the graph -> the new tensor and its mask
        for x, y, mask in zip(self.inputs, inputs, masks):
            values[id(x)] = (y, mask)
        for node in self._nodes_in_order():
            if not all(id(x) in values for x in node.input_tensors):
                continue
            if all(id(y) in values for y in node.output_tensors):
                continue
            self._run_node(node, values)
        missing = [y for y in self.outputs if id(y) not in values]
        if missing:
            raise ValueError(f"[{self.name}] Could not compute output {missing[0]!r}. Is it connected to the inputs?")
        outputs = [values[id(y)][0] for y in self.outputs]
        out_masks = [values[id(y)][1] for y in self.outputs]
        result = (outputs, out_masks, [shape_of(y) for y in outputs])
        if any(x.is_symbolic or isinstance(x, at.Variable) for x in inputs):
            self._computed[key] = (result, inputs, masks)
        return result

    def _run_node(self, node: Node, values: dict[int, tuple[Any, Any]]) -> None:
        layer = node.outbound_layer
        came = [values[id(x)][0] for x in node.input_tensors]
        masks = [values[id(x)][1] for x in node.input_tensors]
        arguments = dict(node.arguments)
        if "mask" not in arguments and any(m is not None for m in masks) and has_arg(layer.call, "mask"):
            arguments["mask"] = unpack_singleton(masks)
        with name_scope(layer.name, inputs=came, of_graph=True):
            made = to_list(layer.call(unpack_singleton(came), **arguments))
            made_mask = layer.compute_mask(unpack_singleton(came), unpack_singleton(masks))
            layer._penalise_activity(came, made)
        made_masks = to_list(made_mask) if made_mask is not None else [None] * len(made)
        layer._declare_shapes(unpack_singleton([shape_of(x) for x in came]), made)
        phase = any(getattr(x, "_uses_learning_phase", False) for x in came)
        for y in made:
            y._uses_learning_phase = phase or getattr(y, "_uses_learning_phase", False)
        inputs_of_network = [values[id(x)][0] for x in self.inputs]
        self._pass_up(layer, came, inputs_of_network)
        for y_old, y, m in zip(node.output_tensors, made, made_masks):
            values[id(y_old)] = (y, m)

    def _pass_up(self, layer: Layer, came: list[Any], inputs: list[Any]) -> None:
        """File what a layer's call added under the inputs of the network, where an outer model asks for it."""
        losses = layer.get_losses_for(came)
        if losses:
            self._file(self._per_input_losses, losses, inputs)
        updates = layer.get_updates_for(came)
        if updates:
            self._file(self._per_input_updates, updates, inputs)
        self._metric_results += [(inputs, result) for result in layer._added_metrics(came)]

    def _added_metrics(self, inputs: Any) -> list[Any]:
        """Of the model itself and of the calls in its graph; for other ``inputs``, of its calls on those."""
        if not self._is_graph_network:
            return Layer._added_metrics(self, inputs)
        key = tensor_key(inputs)
        if key is not None and key != tensor_key(self.inputs):
            return [result for came, result in self._metric_results if tensor_key(came) == key]
        found = [r for came, r in self._metric_results if came is None]
        for layer in self._all_layers():
            one: dict[str, Any] = {}
            for node in self._calls_of(layer):
                for result in layer._added_metrics(node.input_tensors):
                    one.setdefault(result[0], result)
            found += one.values()
        return found

    # -- description --------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Layers, their calls, inputs and outputs; JSON can hold it.

        Raises NotImplementedError for a model with a ``call`` of its own.
        """
        if not self._is_graph_network:
            raise NotImplementedError(
                f"[{self.name}] a model with its own call() has no config that could rebuild it; get_config was "
                "called. Save its weights instead."
            )
        config: dict[str, Any] = {"name": self.name, **self._freezing()}
        # Calls outside this network do not count: node numbers in the file are those within it.
        number: dict[_Key, int] = {}
        for layer in self.layers:
            kept = 1 if isinstance(layer, Network) else 0
            for index in range(len(layer._inbound_nodes)):
                if (id(layer), index) in self._network_nodes:
                    number[(id(layer), index)] = kept
                    kept += 1
        layers = []
        for layer in self.layers:
            calls = []
            for node in self._calls_of(layer):
                if not node.inbound_layers:
                    continue
                arguments = _json_arguments(layer, node.arguments)
                calls.append(
                    [
                        [inbound.name, number.get((id(inbound), i), 0), t, arguments]
                        for inbound, i, t in zip(node.inbound_layers, node.node_indices, node.tensor_indices)
                    ]
                )
            layers.append(
                {
                    "name": layer.name,
                    "class_name": type(layer).__name__,
                    "config": layer.get_config(),
                    "inbound_nodes": calls,
                }
            )
        config["layers"] = layers
        config["input_layers"] = [[h[0].name, number.get((id(h[0]), h[1]), 0), h[2]] for h in self._input_coordinates]
        config["output_layers"] = [[h[0].name, number.get((id(h[0]), h[1]), 0), h[2]] for h in self._output_coordinates]
        return copy.deepcopy(config)

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None, *, allow_code: bool = False
    ) -> Any:
        """The network that ``get_config`` described, with new weights; for ``allow_code`` see ``model_from_config``."""
        with code_allowed_if(allow_code):
            inputs, outputs = rebuild_graph(config, custom_objects)
        model = cls(inputs=inputs, outputs=outputs, name=config.get("name"))
        model.trainable = config.get("trainable", True)
        return model

    def _freezing(self) -> dict[str, Any]:
        """What the config of a frozen model says beyond 2.3.1, which reads it, but forgets that it is frozen."""
        return {} if self.trainable else {"trainable": False}

    def _updated_config(self) -> dict[str, Any]:
        return {
            "class_name": type(self).__name__,
            "config": self.get_config(),
            "keras_version": KERAS_VERSION,
            "backend": "tensorflow",
        }

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON; ``model_from_json`` reads it. Keyword arguments go to ``json.dumps``."""
        return json.dumps(self._updated_config(), default=json_value, **kwargs)

    def to_yaml(self, **kwargs: Any) -> str:
        """The architecture as YAML; ``model_from_yaml`` reads it. Keyword arguments go to ``yaml.dump``.

        Without PyYAML it is written as JSON, which is YAML too.
        """
        config = json.loads(self.to_json())
        try:
            import yaml
        except ImportError:
            return json.dumps(config, indent=2) + "\n"
        return yaml.dump(config, **kwargs)


def get_source_inputs(tensor: Any, layer: Any = None, node_index: int | None = None) -> list[Any]:
    """The input tensors of the model that computes ``tensor``, in the order in which they are met.

    ``layer`` and ``node_index`` name the call that made it where the tensor does not say so itself.
    """
    if layer is None or node_index is None:
        if not is_keras_tensor(tensor):
            return [tensor]
        layer, node_index = tensor._keras_history[:2]
    if not layer._inbound_nodes:
        return [tensor]
    found: list[Any] = []
    seen: set[int] = set()
    stack = [layer._inbound_nodes[node_index]]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if not node.inbound_layers:
            found += node.input_tensors
            continue
        came = zip(node.input_tensors, node.inbound_layers, node.node_indices)
        before = []
        for x, inbound, index in came:
            if inbound is None:
                found.append(x)
            else:
                before.append(inbound._inbound_nodes[index])
        stack += reversed(before)
    return unique(found)


class GraphMap:
    """What ``map_graph`` found: keys of the calls, and calls and layers by depth."""

    def __init__(
        self,
        keys: set[_Key],
        nodes_by_depth: dict[int, list[Node]],
        layers: list[Any],
        layers_by_depth: dict[int, list[Any]],
    ):
        self.keys = keys
        self.nodes_by_depth = nodes_by_depth
        self.layers = layers
        self.layers_by_depth = layers_by_depth


def map_graph(inputs: list[Any], outputs: list[Any]) -> GraphMap:
    """Walk from the outputs to the inputs and order what is met as Keras 2.3 does.

    Raises:
        ValueError: the inputs do not cover the graph, or two layers share a name.
    """
    stops = {id(x) for x in inputs}
    visit_of: dict[int, int] = {}  # id of layer -> number of its first visit
    keys: set[_Key] = set()
    finished: set[int] = set()
    started: set[int] = set()
    order: list[Node] = []

    def enter(tensor: Any, stack: list[tuple[Node, int]]) -> None:
        layer, index, _ = tensor._keras_history
        node = layer._inbound_nodes[index]
        if id(node) in finished:
            return
        if id(node) in started:
            raise ValueError(f"[Model] The tensor {tensor!r} at layer {layer.name!r} is part of a cycle.")
        keys.add((id(layer), index))
        visit_of.setdefault(id(layer), len(visit_of))
        started.add(id(node))
        stack.append((node, 0))

    for output in outputs:
        stack: list[tuple[Node, int]] = []
        enter(output, stack)
        while stack:
            node, k = stack.pop()
            # A given input ends the walk, also where it is the result of another layer.
            came = [] if all(id(y) in stops for y in node.output_tensors) else node.input_tensors
            if k < len(came) and node.inbound_layers:
                stack.append((node, k + 1))
                if node.inbound_layers[k] is not None:
                    enter(came[k], stack)
                continue
            finished.add(id(node))
            order.append(node)

    node_depth: dict[int, int] = {}
    layer_depth: dict[int, int] = {}
    layers: dict[int, Any] = {}
    node_of: dict[int, Node] = {}
    for node in reversed(order):
        layer = node.outbound_layer
        depth = max(node_depth.get(id(node), 0), layer_depth.get(id(layer), 0))
        layer_depth[id(layer)] = depth
        node_depth[id(node)] = depth
        layers[id(layer)] = layer
        node_of[id(node)] = node
        if all(id(y) in stops for y in node.output_tensors):
            continue
        for inbound, index in zip(node.inbound_layers, node.node_indices):
            if inbound is None:
                continue
            before = inbound._inbound_nodes[index]
            node_of[id(before)] = before
            node_depth[id(before)] = max(depth + 1, node_depth.get(id(before), 0))
    for x in inputs:
        layer, index, _ = x._keras_history
        if id(layer) not in layers:  # an input that no output needs
            layers[id(layer)] = layer
            layer_depth[id(layer)] = 0
            visit_of[id(layer)] = -1
            node = layer._inbound_nodes[index]
            node_depth[id(node)] = 0
            node_of[id(node)] = node
            keys.add((id(layer), index))

    nodes_by_depth: dict[int, list[Node]] = {}
    for i, depth in node_depth.items():
        nodes_by_depth.setdefault(depth, []).append(node_of[i])
    layers_by_depth: dict[int, list[Any]] = {}
    for i, depth in layer_depth.items():
        layers_by_depth.setdefault(depth, []).append(layers[i])
    ordered: list[Any] = []
    for depth in sorted(layers_by_depth, reverse=True):
        layers_by_depth[depth].sort(key=lambda layer: visit_of[id(layer)])
        ordered += layers_by_depth[depth]
    _check_connected(nodes_by_depth, stops)
    _check_names(ordered)
    return GraphMap(keys, nodes_by_depth, ordered, layers_by_depth)


def _check_connected(nodes_by_depth: dict[int, list[Node]], stops: set[int]) -> None:
    reached = set(stops)
    complete: list[str] = []
    for depth in sorted(nodes_by_depth, reverse=True):
        for node in nodes_by_depth[depth]:
            if all(id(y) in stops for y in node.output_tensors):
                continue
            layer = node.outbound_layer
            if isinstance(layer, InputLayer) and not node.inbound_layers and layer.is_placeholder:
                raise ValueError(
                    f"[Model] Graph disconnected: cannot obtain value for tensor {node.output_tensors[0]!r} at layer "
                    f'"{layer.name}". The following previous layers were accessed without issue: {complete}. Is an '
                    "Input missing in `inputs`?"
                )
            for x, inbound in zip(node.input_tensors, node.inbound_layers or [None] * len(node.input_tensors)):
                if inbound is not None and id(x) not in reached:
                    raise ValueError(
                        f'[Model] Graph disconnected: cannot obtain value for tensor {x!r} at layer "{layer.name}". '
                        f"The following previous layers were accessed without issue: {complete}. Is an Input missing "
                        "in `inputs`?"
                    )
            reached.update(id(y) for y in node.output_tensors)
            complete.append(layer.name)


def _check_names(layers: list[Any]) -> None:
    seen: set[str] = set()
    for layer in layers:
        if layer.name in seen:
            raise ValueError(
                f'[Model] The name "{layer.name}" is used {sum(x.name == layer.name for x in layers)} times in the '
                "model. All layer names should be unique; pass name=."
            )
        seen.add(layer.name)


def _is_list_of_shapes(shape: Any) -> bool:
    return isinstance(shape, (list, tuple)) and len(shape) > 0 and isinstance(shape[0], (list, tuple))


def _json_arguments(layer: Layer, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(arguments, default=json_value)
    except TypeError:
        names = ", ".join(arguments)
        raise TypeError(
            f"[get_config] Layer {layer.name} was passed non-serializable keyword arguments: {names}. They can not be "
            "part of a config; pass them when the layer is made."
        ) from None
    return arguments


def json_value(value: Any) -> Any:
    """What ``json.dumps`` does with arrays, NumPy numbers, functions and dtypes."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return value.name
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    name = getattr(value, "__name__", None)
    if callable(value) and name:
        return name
    raise TypeError(
        f"[to_json] expected what JSON can hold; got {type(value).__name__}. Return plain values in get_config."
    )


def rebuild_graph(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> tuple[Any, Any]:
    """Make the layers of a network's config and call them as it says; return its input and output tensors."""
    from_name: dict[str, Any] = {}
    waiting: list[tuple[Any, list[Any]]] = []
    for data in config["layers"]:
        layer = registry.deserialize(
            {"class_name": data["class_name"], "config": data["config"]}, custom_objects=custom_objects
        )
        name = data.get("name") or layer.name
        from_name[name] = layer
        for call in data.get("inbound_nodes") or []:
            waiting.append((layer, [call] if call and isinstance(call[0], str) else call))
    # A call waits until all of its inputs are there; calls of one layer keep their order, it numbers them.
    while waiting:
        blocked: set[int] = set()
        rest: list[tuple[Any, list[Any]]] = []
        for layer, call in waiting:
            if id(layer) in blocked or not _make_call(layer, call, from_name):
                blocked.add(id(layer))
                rest.append((layer, call))
        if len(rest) == len(waiting):
            names = ", ".join(layer.name for layer, _ in rest)
            raise ValueError(
                f"[from_config] calls of these layers never get their inputs: {names}. Is the config whole?"
            )
        waiting = rest

    def tensor(coordinate: Sequence[Any]) -> Any:
        name, index, t = coordinate[:3]
        return from_name[name]._inbound_nodes[index].output_tensors[t]

    inputs, outputs = config["input_layers"], config["output_layers"]
    inputs = [inputs] if inputs and isinstance(inputs[0], str) else inputs
    outputs = [outputs] if outputs and isinstance(outputs[0], str) else outputs
    return [tensor(c) for c in inputs], [tensor(c) for c in outputs]


def _make_call(layer: Any, call: list[Any], from_name: dict[str, Any]) -> bool:
    came = []
    arguments: dict[str, Any] = {}
    for entry in call:
        name, index, t = entry[:3]
        if len(entry) > 3 and entry[3]:
            arguments = entry[3]
        inbound = from_name.get(name)
        if inbound is None or index >= len(inbound._inbound_nodes):
            return False
        came.append(inbound._inbound_nodes[index].output_tensors[t])
    layer(unpack_singleton(came), **arguments)
    return True

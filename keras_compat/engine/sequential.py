"""Sequential: a chain of layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level
from keras_compat.engine import registry
from keras_compat.engine.input_layer import Input, InputLayer
from keras_compat.engine.layer import Layer, name_prefix, shape_of, unique
from keras_compat.engine.loading import code_allowed_if
from keras_compat.engine.network import Network, get_source_inputs
from keras_compat.engine.training import Model
from keras_compat.utils.generic_utils import to_list


@registry.register
class Sequential(Model):
    """A chain of layers, each with one input and one output.

        model = Sequential()
        model.add(Dense(32, input_shape=(784,)))
        model.add(Activation('relu'))

    Without an input shape the weights are made when the model first sees data, or by ``build``.
    """

    def __init__(self, layers: Sequence[Any] | None = None, name: str | None = None):
        self._is_graph_network = True
        self._base_init(name)
        self._build_input_shape: Any = None
        self._by_name: dict[str, Any] = {}  # the layers of the graph, once it has been looked at
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Any]:
        """The layers, without the input layer that Keras puts before the first.

        In Keras 1 it is the model's own list: programs take layers off its end.
        """
        if get_api_level() == "1.2":
            return self._layers
        if self._layers and isinstance(self._layers[0], InputLayer):
            return self._layers[1:]
        return list(self._layers)

    @property
    def flattened_layers(self) -> list[Any]:
        """The layers as weight files list them: a ``Merge`` at the start is replaced by the layers of its branches."""
        if not self._begins_with_branches():
            return self.layers
        first: list[Any] = []
        for branch in self.layers[0].layers:
            first += getattr(branch, "flattened_layers", getattr(branch, "layers", [branch]))
        return unique([*first, *self.layers[1:]])

    def _begins_with_branches(self) -> bool:
        first: Any = self.layers[0] if self.layers else None
        if isinstance(first, Network) or not getattr(first, "layers", None):
            return False
        return bool(first._inbound_nodes) and len(first._inbound_nodes[0].input_tensors) > 1

    @property
    def model(self) -> Sequential:
        """The model itself (it was another object in Keras 1)."""
        return self

    def add(self, layer: Any) -> None:
        """Put a layer at the end of the chain.

        Raises:
            TypeError: not a layer.
            ValueError: the layer has several outputs, or does not fit what comes before.
        """
        if not isinstance(layer, Layer):
            raise TypeError(
                f"[Sequential.add] The added layer must be an instance of class Layer; found: {layer!r}. "
                "Did you pass a class or a tensor? Write model.add(Dense(10))."
            )
        chain, before = self._layers, (self.inputs, self.outputs)
        count = len(chain)
        try:
            self._append(layer)
        except BaseException:
            del chain[count:]
            self._layers = chain
            self.inputs, self.outputs = before
            raise

    def _append(self, layer: Layer) -> None:
        if not self._layers:
            self._add_first(layer)
        elif self.outputs:
            output = layer(self.outputs[0])
            if isinstance(output, list):
                raise TypeError(
                    f"[Sequential.add] All layers in a Sequential model should have a single output tensor; "
                    f"{layer.name} gives {len(output)}. For multi-output layers, use the functional API."
                )
            self.outputs = [output]
            self._layers.append(layer)
        else:
            self._layers.append(layer)
        if not self.inputs:
            self._built = False
        elif self._by_name and self._by_name.setdefault(layer.name, layer) is layer:
            self._set_ends(self.inputs, self.outputs)  # one more layer at the end: no need to look at all of them
        else:
            self.build()

    def _add_first(self, layer: Layer) -> None:
        if isinstance(layer, InputLayer):
            self._layers.append(layer)
            self.outputs = list(layer._inbound_nodes[-1].output_tensors)
            self.inputs = list(self.outputs)
            return
        first = _first_layer(layer)
        shape = getattr(first, "batch_input_shape", None)
        if layer._inbound_nodes and len(layer._inbound_nodes[-1].input_tensors) > 1:
            self._begin_with(layer)
            return
        if layer._inbound_nodes and isinstance(layer, Network) and shape is None:
            shape = shape_of(layer.inputs[0])
        if shape is None and get_api_level() == "1.2" and layer._inbound_nodes:
            shape = layer._inbound_nodes[-1].input_shapes[0]
        if shape is None:
            if get_api_level() == "1.2":
                raise ValueError(
                    "[Sequential.add] The first layer in a Sequential model must get an `input_shape` or "
                    f"`batch_input_shape` argument; {layer.name} has none. Write input_shape=(784,) or input_dim=784."
                )
            self._layers.append(layer)
            return
        x = Input(batch_shape=shape, dtype=getattr(first, "dtype", None), name=_input_name(layer))
        output = layer(x)
        if isinstance(output, list):
            raise ValueError(
                f"[Sequential.add] All layers in a Sequential model should have a single output tensor; {layer.name} "
                f"gives {len(output)}. For multi-output layers, use the functional API."
            )
        self._layers += [layer] if get_api_level() == "1.2" else [x._keras_history[0], layer]
        self.inputs, self.outputs = [x], [output]

    def _begin_with(self, layer: Layer) -> None:
        """Start from a layer that joins several branches: the inputs are theirs."""
        outputs = layer._inbound_nodes[-1].output_tensors
        if len(outputs) != 1:
            raise ValueError(
                f"[Sequential.add] All layers in a Sequential model should have a single output tensor; {layer.name} "
                f"gives {len(outputs)}. For multi-output layers, use the functional API."
            )
        self._layers.append(layer)
        self.inputs, self.outputs = get_source_inputs(outputs[0]), list(outputs)

    def _compile(self, *args: Any) -> None:
        if any(getattr(layer, "stale", False) for layer in self.layers) and self.inputs:
            self._run_again()
        super()._compile(*args)

    def _run_again(self) -> None:
        """Compute the outputs anew: a layer gives something else than when it was added."""
        y = self.inputs[0]
        for layer in self.layers:
            y = layer(y)
            layer.stale = False
        self.outputs = [y]
        self.build()

    def pop(self) -> None:
        """Take the last layer off.

        Raises:
            TypeError: there is none.
        """
        if not self.layers:
            raise TypeError("[Sequential.pop] There are no layers in the model; expected at least one. Add one first.")
        self._layers.pop()
        self._built = False
        if not self.layers:
            self._layers = []
            self.inputs = self.outputs = None
        elif self.outputs:
            last = self._layers[-1]
            last._outbound_nodes = []
            self.outputs = [last._inbound_nodes[-1].output_tensors[0]]
            self.build()

    def build(self, input_shape: Any = None) -> None:
        """Make the weights, for a shape with batch dimension where none was given with the first layer.

        Raises ValueError for a model without layers.
        """
        if input_shape is not None and not self.inputs:
            shape = tuple(input_shape)
            first = self._layers[0]
            x = Input(batch_shape=shape, dtype=getattr(first, "dtype", None), name=first.name + "_input")
            y = x
            calls = [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in self._layers]
            try:
                for layer in self._layers:
                    y = layer(y)
            except BaseException:
                for layer, (inbound, outbound) in zip(self._layers, calls):
                    del layer._inbound_nodes[inbound:], layer._outbound_nodes[outbound:]
                raise
            self.inputs, self.outputs = [x], to_list(y)
            self._build_input_shape = shape
            self._layers.insert(0, self.inputs[0]._keras_history[0])
        if self.inputs:
            chain = self._layers
            self._set_graph(self.inputs, self.outputs)
            self._layers = chain  # in the order of adding, also where a layer occurs twice
            self._by_name = {layer.name: layer for layer in self._map.layers}
        elif not self._layers:
            raise ValueError("[Sequential] expected at least one layer; the model is empty. Call add() first.")

    def _require_built(self, what: str) -> None:
        if not self.built:
            first = self._layers[0].name if self._layers else "nothing"
            raise ValueError(
                f"[{what}] The model needs to know its input shape; the first layer ({first}) has none. "
                "Give the first layer input_shape=(...), or call build((None, ...))."
            )

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if not self.built:
            self.build(shape_of(inputs))
        return super().call(inputs, mask)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.built:
            return super().compute_output_shape(input_shape)
        shape = tuple(input_shape)
        for layer in self.layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if not self.built:
            return None
        return super().compute_mask(inputs, mask)

    def predict_proba(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Any:
        """Same as ``predict``: class probabilities where the last activation is softmax or sigmoid."""
        return self.predict(x, batch_size=batch_size, verbose=verbose)

    def predict_classes(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Any:
        """Class numbers: the largest of several outputs, or whether a single one exceeds 0.5."""
        p = self.predict(x, batch_size=batch_size, verbose=verbose)
        return p.argmax(axis=-1) if p.shape[-1] > 1 else (p > 0.5).astype("int32")

    def get_config(self) -> dict[str, Any]:
        layers = [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in self.layers]
        if self._begins_with_branches():
            layers[0]["config"]["layers"] = [registry.serialize(branch) for branch in self.layers[0].layers]
        config: dict[str, Any] = {"name": self.name, **self._freezing(), "layers": copy.deepcopy(layers)}
        if self._build_input_shape:
            config["build_input_shape"] = self._build_input_shape
        elif len(self._layers) > 1 and isinstance(self._layers[0], InputLayer) and not _tells_shape(self.layers[0]):
            # Of a model that begins with an InputLayer: 2.3.1 reads this, but itself forgets to write it.
            config["build_input_shape"] = shape_of(self._layers[0]._inbound_nodes[0].output_tensors[0])
        return config

    @classmethod
    def from_config(
        cls,
        config: Any,
        custom_objects: dict[str, Any] | None = None,
        layer_cache: dict[str, Any] | None = None,
        *,
        allow_code: bool = False,
    ) -> Any:
        """The model that ``get_config`` described, with new weights; a bare list of layers is read too.

        ``layer_cache`` (Keras 1): layers by name that are taken in the place of new ones; the others are entered.
        For ``allow_code`` see ``model_from_config``.
        """
        name, shape, entries = None, None, config
        if isinstance(config, dict):
            name, shape, entries = config.get("name"), config.get("build_input_shape"), config["layers"]
        model = cls(name=name)
        for entry in entries:
            inner = entry.get("config")  # of a Sequential of Keras 1 a list
            made = (layer_cache or {}).get(str(inner.get("name"))) if isinstance(inner, dict) else None
            if made is None:
                with code_allowed_if(allow_code):
                    made = registry.deserialize(entry, custom_objects=custom_objects)
            if layer_cache is not None:
                layer_cache[made.name] = made
            model.add(made)
        if not model.inputs and shape:
            model.build(tuple(shape))
        if isinstance(config, dict):
            model.trainable = config.get("trainable", True)
        return model


def _input_name(layer: Layer) -> str:
    """Name of the input before the first layer: ``"dense_1_input"``, in Keras 1 ``"dense_input_1"``."""
    if get_api_level() == "1.2" and not isinstance(layer, Network):
        prefix = f"{name_prefix(type(layer))}_input_"
        return f"{prefix}{K.get_uid(prefix)}"
    return layer.name + "_input"


def _tells_shape(layer: Any) -> bool:
    """Whether the config of a first layer says what goes in."""
    return isinstance(layer, Network) or getattr(layer, "batch_input_shape", None) is not None


def _first_layer(layer: Any) -> Any:
    """The layer that data meets first: that of the innermost first model."""
    while isinstance(layer, Network) and layer.layers:
        if isinstance(layer, Sequential):
            inner = layer._layers[0]
        else:
            inner = layer.layers[0]
        if inner is layer:
            break
        layer = inner
    return layer

"""Methods that layers, models and optimizers of Keras 0.x and 1.x had, for programs that call them.

They are put on the classes from outside, by `place`; a class that has its own keeps it.
"""

from __future__ import annotations

import functools
import pprint
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


def create_input_layer(
    self: Any, batch_input_shape: Sequence[int | None], input_dtype: Any = None, name: str | None = None
) -> None:
    """Make an ``Input`` of a shape (samples included) and call the layer on it (Keras 1)."""
    self.batch_input_shape = tuple(batch_input_shape)
    make = sys.modules[f"{_package}.engine.input_layer"].Input
    prefix = name or f"{self.name}_input"
    self(make(batch_shape=self.batch_input_shape, dtype=input_dtype or self.dtype, name=prefix))


def add_inbound_node(self: Any, inbound_layers: Any, node_indices: Any = None, tensor_indices: Any = None) -> None:
    """Call the layer on outputs of other layers (Keras 1).

    Args:
        inbound_layers: one layer or a list.
        node_indices: for each, which of its calls; the last by default.
        tensor_indices: for each, which of the outputs of that call; the first by default.
    """
    layers = list(inbound_layers) if isinstance(inbound_layers, (list, tuple)) else [inbound_layers]
    calls = node_indices if node_indices is not None else [-1] * len(layers)
    places = tensor_indices if tensor_indices is not None else [0] * len(layers)
    tensors = []
    for layer, call, place_ in zip(layers, _listed(calls), _listed(places)):
        if not layer._inbound_nodes:
            raise ValueError(
                f"[{self.name}] expected a layer that was called; {layer.name} was not. Call it on an Input first."
            )
        tensors.append(layer._inbound_nodes[call].output_tensors[place_])
    self(tensors[0] if len(tensors) == 1 else tensors)


def create_node(
    cls: Any, outbound_layer: Any, inbound_layers: Any, node_indices: Any = None, tensor_indices: Any = None
) -> Any:
    """Call ``outbound_layer`` on outputs of other layers and return the node of the call (Keras 1)."""
    add_inbound_node(outbound_layer, inbound_layers, node_indices, tensor_indices)
    return outbound_layer._inbound_nodes[-1]


def save_weights_to_hdf5_group(self: Any, f: Any) -> None:
    """Write the weights into an open HDF5 file or group (Keras 1)."""
    _saving().h5.write_weights(f, self.layers)


def load_weights_from_hdf5_group(self: Any, f: Any) -> None:
    """Read the weights from an open HDF5 file or group, in the order of the layers (Keras 1)."""
    _saving().load_layers(f, self.layers)


def load_weights_from_hdf5_group_by_name(self: Any, f: Any) -> None:
    """Read the weights of those layers whose names are in an open HDF5 file or group (Keras 1)."""
    _saving().load_layers(f, self.layers, by_name=True)


def set_input(self: Any) -> None:
    """Make the input of a chain whose first layer names its shape; nothing where it is made (Keras 0.x)."""
    if not self.inputs:
        self.build()


def layer_cache(self: Any) -> dict[str, Any]:
    """Outputs of the layers that were called, by name (Keras 0.x kept them; here they are never made twice)."""
    return {layer.name: layer._inbound_nodes[-1].output_tensors[0] for layer in self.layers if layer._inbound_nodes}


def shape_cache(self: Any) -> dict[str, Any]:
    """Output shapes of the layers that were called, by name (Keras 0.x)."""
    return {layer.name: layer._inbound_nodes[-1].output_shapes[0] for layer in self.layers if layer._inbound_nodes}


def _parts_of(cache: Any) -> Any:
    """Return the function for an AutoEncoder: of its encoder and its decoder."""

    def of_parts(self: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for part in (self.encoder, self.decoder):
            found |= cache(part) if hasattr(part, "layers") else cache(_Single([part]))
        return found

    of_parts.__name__, of_parts.__doc__ = cache.__name__, cache.__doc__
    return of_parts


class _Single(NamedTuple):
    """Layers by the attribute that a network has."""

    layers: list[Any]


def get_state(self: Any) -> list[Any]:
    """Values of the optimizer's variables (Keras 0.x's name of ``get_weights``)."""
    return self.get_weights()


def set_state(self: Any, value_list: Sequence[Any]) -> None:
    """Set the optimizer's variables (Keras 0.x's name of ``set_weights``)."""
    self.set_weights(value_list)


def _head_outputs(self: Any, train: bool) -> list[Any]:
    """The results of a Siamese's layer for each of its inputs, in the training phase or not."""
    inputs = self._inbound_nodes[-1].input_tensors
    made = self.__dict__.setdefault("_heads", {})
    key = tuple([id(x) for x in inputs])
    if key not in made:
        made[key] = [self.layer(x) for x in inputs]
    K = sys.modules[f"{_package}.backend"]
    return K.replace(made[key], K.phase_givens(int(train)))


def siamese_output_at(self: Any, head: int, train: bool = False) -> Any:
    """The layer's result for the input number ``head`` (Keras 0.x)."""
    return _head_outputs(self, train)[head]


def siamese_output_shape(self: Any, head: int, train: bool = False) -> Any:
    """The shape of the layer's result for the input number ``head`` (Keras 0.x)."""
    return sys.modules[f"{_package}.backend"].int_shape(siamese_output_at(self, head, train))


def siamese_output_join(self: Any, train: bool = False) -> OrderedDict[str, Any]:
    """The layer's results by the names of the inputs (Keras 0.x)."""
    names: list[Any] = [getattr(one, "name", None) for one in self.sources]
    if not names or None in names:
        raise ValueError(f'[{self.name}] merge_mode="join" only works with named inputs; got {names}. Name them.')
    return OrderedDict(zip(names, _head_outputs(self, train)))


def set_layer_input(self: Any, head: int) -> None:
    """Apply a Siamese's layer to its input number ``head``, so that ``layer.output`` belongs to it (Keras 0.x)."""
    self.layer(self._inbound_nodes[-1].input_tensors[head])


def _siamese_merged(mode: str) -> Any:
    def get_output(self: Any, train: bool = False) -> Any:
        merge = sys.modules[f"{_package}.layers"].Merge
        return merge(mode=mode, concat_axis=self.concat_axis, dot_axes=self.dot_axes)(_head_outputs(self, train))

    get_output.__name__ = f"get_output_{mode}"
    get_output.__doc__ = f"The layer's results for all inputs, merged by {mode!r} (Keras 0.x)."
    return get_output


def _named(name: str, method: Any) -> Any:
    method.__name__ = name
    return method


def get_input_mask(self: Any, train: bool = False) -> Any:
    """The mask of the input (Keras 0.x)."""
    return self.input_mask


def autoencoder_set_previous(self: Any, node: Any, reset_weights: bool = True) -> None:
    """Apply the layer to the output of another (Keras 0.x). The weights stay."""
    self(node.output)


def graph_set_previous(
    self: Any, layer: Any, connection_map: Mapping[str, str] | None = None, reset_weights: bool = True
) -> None:
    """Apply the graph to the outputs of a layer or of another graph (Keras 0.x). The weights stay.

    ``connection_map``: {name of an input of this graph: name of an output of the other}, where there are several.
    """
    outputs = layer.output if isinstance(layer.output, list) else [layer.output]
    if len(outputs) != len(self.input_order):
        raise ValueError(
            f"[{self.name}] Cannot connect layers: expected {len(self.input_order)} outputs; got {len(outputs)}."
        )
    if connection_map:
        by_name = dict(zip(layer.output_order, outputs))
        outputs = [by_name[connection_map[name]] for name in self.input_order]
    self(outputs if len(outputs) > 1 else outputs[0])


def training_data(self: Any) -> Any:
    """Not kept: raises AttributeError, as in Keras 1. The data are the caller's."""
    raise AttributeError(f"[{self.name}] a model keeps no training data. Keep what you pass to fit().")


def validation_data(self: Any) -> Any:
    """What ``fit`` validated on last (Keras 1): inputs, targets, weights; None where it did not.

    Raises:
        AttributeError: before the first ``fit``.
    """
    if "_last_validation" in self.__dict__:
        return self.__dict__["_last_validation"]
    raise AttributeError(f"[{self.name}] a model keeps no validation data. A callback has self.validation_data.")


def _also_inputs(method: Any) -> Any:
    """Return a method whose first argument, ``x`` in Keras 1, may be given as ``inputs``, as in Keras 2."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if "inputs" in kwargs:
            kwargs["x"] = kwargs.pop("inputs")
        return method(self, *args, **kwargs)

    call.accepted_arguments = frozenset({"inputs"})  # type: ignore[attr-defined]
    return call


def _printed(get_config: Any) -> Any:
    """Return ``get_config`` with the ``verbose`` of Keras 0.x: 1 prints the config, too."""

    @functools.wraps(get_config)
    def call(self: Any, verbose: int = 0) -> Any:
        config = get_config(self)
        if verbose:
            pprint.pprint(config)
        return config

    call.accepted_arguments = frozenset({"verbose"})  # type: ignore[attr-defined]
    return call


# (module, class) -> methods; those of a network that can be trained are on its base class, too.
_METHODS: dict[tuple[str, str], tuple[Any, ...]] = {
    ("engine.layer", "Layer"): (create_input_layer, add_inbound_node),
    ("engine.node", "Node"): (classmethod(create_node),),
    ("engine.network", "Network"): (
        save_weights_to_hdf5_group,
        load_weights_from_hdf5_group,
        load_weights_from_hdf5_group_by_name,
        property(layer_cache),
        property(shape_cache),
        property(validation_data, lambda self, value: self.__dict__.update(_last_validation=value)),
    ),
    ("engine.sequential", "Sequential"): (set_input, property(training_data)),
    ("optimizers", "Optimizer"): (get_state, set_state),
    ("layers", "MaskedLayer"): (get_input_mask,),
    ("layers", "AutoEncoder"): (
        _named("set_previous", autoencoder_set_previous),
        property(_parts_of(layer_cache)),
        property(_parts_of(shape_cache)),
    ),
    ("layers.containers", "Graph"): (_named("set_previous", graph_set_previous),),
    ("layers", "Siamese"): (
        _named("get_output_at", siamese_output_at),
        _named("get_output_shape", siamese_output_shape),
        _named("get_output_join", siamese_output_join),
        *[_siamese_merged(mode) for mode in ("sum", "ave", "mul", "concat", "dot", "cos")],
        set_layer_input,
    ),
}
_OF_MODEL = ("summary", "save", "save_weights", "load_weights", "_require_built")

_package = __name__.partition(".")[0]


def _saving() -> Any:
    return sys.modules[f"{_package}.saving.models"]


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [value]


def place(package: str) -> None:
    """Put the methods on the classes of the loaded package, where they are not there yet."""
    for (module, name), methods in _METHODS.items():
        cls = getattr(sys.modules[f"{package}.{module}"], name)
        for method in methods:
            called = getattr(method, "fget", None) or getattr(method, "__func__", None) or method
            if called.__name__ not in cls.__dict__:
                setattr(cls, called.__name__, method)
    recurrent = sys.modules[f"{package}.layers"].Recurrent
    for name in ("get_constants", "preprocess_input", "step"):
        method = recurrent.__dict__.get(name)
        if method is not None and not hasattr(method, "accepted_arguments"):
            setattr(recurrent, name, _also_inputs(method))
    for module, name in (("engine.network", "Network"), ("engine.sequential", "Sequential"), ("models", "Graph")):
        cls = getattr(sys.modules[f"{package}.{module}"], name)
        if not hasattr(cls.__dict__["get_config"], "accepted_arguments"):
            cls.get_config = _printed(cls.__dict__["get_config"])
    network, model = sys.modules[f"{package}.engine.network"].Network, sys.modules[f"{package}.engine.training"].Model
    # Keras 0.x computed outputs again unless told to keep them.
    network.cache_enabled = True
    for name in _OF_MODEL:
        if not hasattr(network, name):
            setattr(network, name, model.__dict__[name])

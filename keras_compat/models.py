"""Models, and reading them back from configs and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_compat import layers as layers
from keras_compat.engine.input_layer import Input as Input
from keras_compat.engine.input_layer import InputLayer as InputLayer
from keras_compat.engine.layer import Layer as Layer
from keras_compat.engine.layer import is_keras_tensor, shape_of

# Some are not used here; programs take them from this module, too.
from keras_compat.engine.network import get_source_inputs as get_source_inputs
from keras_compat.engine.node import Node as Node
from keras_compat.engine.own_objects import own_objects
from keras_compat.engine.sequential import Sequential as Sequential
from keras_compat.engine.training import Model as Model
from keras_compat.optimizers import optimizer_from_config as optimizer_from_config
from keras_compat.saving import configs, guard
from keras_compat.saving import keras1 as keras1  # its writers enter themselves
from keras_compat.saving.building import build
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.models import load_model as load_model
from keras_compat.saving.models import save_model as save_model
from keras_compat.saving.state import restore_state as restore_state
from keras_compat.saving.state import save_state as save_state
from keras_compat.utils.generic_utils import CustomObjectScope, unpack_singleton
from keras_compat.utils.generic_utils import Progbar as Progbar
from keras_compat.utils.generic_utils import has_arg as has_arg
from keras_compat.utils.generic_utils import to_list as to_list
from keras_compat.utils.io_utils import ask_to_proceed_with_overwrite as ask_to_proceed_with_overwrite
from keras_compat.utils.layer_utils import container_from_config as container_from_config
from keras_compat.utils.layer_utils import model_summary as model_summary


def model_from_config(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, *, allow_code: bool = False
) -> Any:
    """The model that a config (``{'class_name', 'config'}``) describes, with new weights.

    Args:
        custom_objects: {name: class or function} of what is not Keras's own, at any depth; {layer name: function} for
            ``Lambda`` layers whose function stands in the config as Python byte code.
        allow_code: run such byte code, where this version of Python wrote it. It can do anything that you can.

    Raises:
        UnsafeModelError: there is byte code and ``allow_code`` is not True, or the config is larger than any model.
        ValueError: unknown classes; all are named.

    Raises TypeError for what is no dictionary.
    """
    if not isinstance(config, Mapping):
        raise TypeError(
            f"[model_from_config] expected a dictionary; got a {type(config).__name__}. Maybe you meant to use "
            "`Sequential.from_config(config)`?"
        )
    ours = configs.to_ours(dict(config), configs.writer_of(config), custom_objects)
    return build(ours, custom_objects, allow_code=allow_code)


def model_from_yaml(
    yaml_string: str, custom_objects: Mapping[str, Any] | None = None, *, allow_code: bool = False
) -> Any:
    """The model that ``model.to_yaml()`` described, with new weights; see :func:`model_from_config`.

    Raises:
        ImportError: the text is no JSON, and PyYAML, which reads other YAML, is not installed.
    """
    return model_from_config(_said("model_from_yaml", yaml_string), custom_objects, allow_code=allow_code)


def model_from_json(
    json_string: str, custom_objects: Mapping[str, Any] | None = None, *, allow_code: bool = False
) -> Any:
    """The model that ``model.to_json()`` described, with new weights; see :func:`model_from_config`."""
    return model_from_config(_said("model_from_json", json_string), custom_objects, allow_code=allow_code)


def _said(op: str, text: Any) -> Any:
    """What a text of JSON or YAML says."""
    kind = op.removeprefix("model_from_")
    if not isinstance(text, (str, bytes)):
        raise TypeError(
            f"[{op}] expected the text that model.to_{kind}() gives; got {type(text).__name__}. Read the file first: "
            f"{op}(open(path).read())."
        )
    start = text.lstrip()[:1]
    if kind == "yaml" and start not in ("{", b"{"):
        return guard.parse_yaml(text, "text")
    try:
        return guard.parse_json(text, "text")
    except CorruptFileError as error:
        if kind == "yaml":  # in braces, but with words without quotes
            return guard.parse_yaml(text, "text")
        raise ValueError(
            f"[{op}] expected the text that model.to_{kind}() gives; got {type(text).__name__}: {error}. Read the file "
            f"first: {op}(open(path).read())."
        ) from None


def clone_model(model: Any, input_tensors: Any = None) -> Any:
    """A model of the same layers with new weights.

    Args:
        model: Sequential or functional.
        input_tensors: what to build it on instead of new placeholders: Keras tensors, or any others, variables too,
            which are then its inputs for good.

    Raises:
        ValueError: the model has its own ``call``, or the number of tensors is another than that of the inputs.
    """
    if not isinstance(model, Model) or not model._is_graph_network:
        raise ValueError(
            f"[clone_model] Expected `model` argument to be a Sequential or functional `Model` instance; got {model!r}."
            " Make another instance of your class."
        )
    with CustomObjectScope(own_objects(model)):
        return _cloned(model, input_tensors)


def _cloned(model: Any, input_tensors: Any) -> Any:
    if isinstance(model, Sequential):
        return _cloned_sequential(model, input_tensors)
    if input_tensors is None and "from_config" in vars(type(model)):  # a Graph of Keras 0.x is not made from tensors
        return type(model).from_config(model.get_config())
    inputs = _inputs_for(model, input_tensors)
    copies = {id(layer): _copy(layer) for layer in model._layers if not isinstance(layer, InputLayer)}
    made: dict[int, Any] = {id(old): new for old, new in zip(model.inputs, inputs)}
    for node in model._nodes_in_order():
        if all(id(y) in made for y in node.output_tensors):
            continue
        came = unpack_singleton([made[id(x)] for x in node.input_tensors])
        outputs = to_list(copies[id(node.outbound_layer)](came, **node.arguments))
        made.update({id(old): new for old, new in zip(node.output_tensors, outputs)})
    return type(model)(inputs, [made[id(y)] for y in model.outputs], name=model.name)


def _copy(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def _cloned_sequential(model: Sequential, input_tensors: Any) -> Sequential:
    if input_tensors is None and model._begins_with_branches():  # they are part of its first layer
        return type(model).from_config(model.get_config())
    layers = [_copy(layer) for layer in model.layers]
    if input_tensors is None:
        copy = type(model)(layers=layers, name=model.name)
        if model.inputs and not copy.inputs:
            copy.build(shape_of(model.inputs[0]))
        return copy
    (x,) = _inputs_for(model, input_tensors)
    source = x._keras_history[0]
    if isinstance(source, InputLayer):
        return type(model)(layers=[source, *layers], name=model.name)
    raise ValueError(f"[clone_model] a Sequential model starts at an Input; got {x!r}. Clone it onto Input(...).")


def _inputs_for(model: Any, tensors: Any) -> list[Any]:
    """New placeholders like the inputs of a model, or the given tensors as inputs."""
    if tensors is None:
        return [
            Input(batch_shape=shape_of(x), dtype=str(x.dtype), name=layer.name)
            for x, layer in zip(model.inputs, model._input_layers)
        ]
    listed = to_list(tensors, allow_tuple=True)
    if len(listed) != len(model.inputs):
        raise ValueError(
            f"[clone_model] the model has {len(model.inputs)} inputs; got {len(listed)} tensors. Give one for each."
        )
    names = [f"input_wrapper_for_{layer.name}" for layer in model._input_layers]
    return [x if is_keras_tensor(x) else Input(tensor=x, name=name) for x, name in zip(listed, names)]

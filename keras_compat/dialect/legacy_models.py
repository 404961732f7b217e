"""Models of Keras 0.x: ``Graph``, built by names, and ``AutoEncoder``, two networks as one layer.

They stand on the functional API: a node of a ``Graph`` is a layer called on the tensors that its inputs name.
"""

from __future__ import annotations

import functools
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat import layers, models, optimizers
from keras_compat.dialect.legacy_layers import Merge
from keras_compat.engine import registry
from keras_compat.engine.data import standardize_weights as weights_of
from keras_compat.engine.generators import generator_queue
from keras_compat.engine.input_layer import Input
from keras_compat.engine.layer import Layer, shape_of, unique
from keras_compat.engine.network import Network
from keras_compat.engine.objective import weighted_loss
from keras_compat.engine.sequential import Sequential
from keras_compat.engine.training import Model, shuffled_batches
from keras_compat.utils.generic_utils import slice_arrays, to_list

# Optimizers that had another default of epsilon in Keras 0.x, 1e-6, within the square root.
_EPSILON_6 = ("rmsprop", "adagrad", "adadelta")
MERGE_MODES = ("sum", "ave", "mul", "max", "dot", "cos", "concat")


def _of_joined(function: Any, names: list[str]) -> Any:
    """A function of a list of tensors that hands them on as a dictionary (Keras 0.x's ``merge_mode='join'``)."""

    @functools.wraps(function)
    def call(tensors: Any, **arguments: Any) -> Any:
        joined = tensors if isinstance(tensors, dict) else OrderedDict(zip(names, to_list(tensors)))
        return function(joined, **arguments)

    return call


def merged(
    tensors: Sequence[Any], mode: str = "concat", concat_axis: int = -1, dot_axes: Any = -1, name: str | None = None
) -> Any:
    """Several tensors made one, by the Merge layer of Keras 0.x and 1.x."""
    if mode not in MERGE_MODES:
        raise ValueError(
            f"[merge] merge_mode is one of {', '.join(map(repr, MERGE_MODES))}; got {mode!r}. "
            "A LambdaMerge or a functional Model does other things."
        )
    return Merge(mode=mode, concat_axis=concat_axis, dot_axes=dot_axes, name=name)(list(tensors))


@registry.register
class Graph(Model):
    """A model of named inputs, nodes and outputs, as in Keras 0.x; its data are dictionaries by those names.

        graph = Graph()
        graph.add_input(name='a', input_shape=(32,))
        graph.add_node(Dense(16), name='hidden', input='a')
        graph.add_output(name='y', input='hidden')
        graph.compile('rmsprop', {'y': 'mse'})
        graph.fit({'a': x, 'y': y}, nb_epoch=10)
        graph.predict({'a': x})['y']

    It is a ``Model`` and a layer as well: called on the list of its inputs, it gives the list of its outputs.
    """

    # The logs hold the total only.
    _logs_each_loss = False

    def __init__(self, name: str | None = None):
        self._is_graph_network = True
        self._base_init(name)
        self.namespace: set[str] = set()
        self.nodes: dict[str, Any] = {}  # by name, in the order of adding
        self.input_order: list[str] = []
        self.output_order: list[str] = []
        self.input_config: list[dict[str, Any]] = []
        self.node_config: list[dict[str, Any]] = []
        self.output_config: list[dict[str, Any]] = []
        self._tensors: dict[str, Any] = {}
        self._results: dict[str, Any] = {}
        self._made: list[Any] = []  # layers in the order of adding

    @property
    def nb_input(self) -> int:
        """Number of inputs."""
        return len(self.input_order)

    @property
    def nb_output(self) -> int:
        """Number of outputs."""
        return len(self.output_order)

    # -- building -----------------------------------------------------------------------------------------------------

    def add_input(
        self,
        name: str,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        dtype: str = "float",
    ) -> None:
        """Add an input.

        Args:
            name: key of its data.
            input_shape: without the batch dimension.
            batch_input_shape: with it.
            dtype: ``'float'`` for K.floatx(), ``'int'`` for class or word numbers.
        """
        self._claim(name)
        if input_shape is None and batch_input_shape is None:
            raise ValueError(
                f"[Graph.add_input] expected input_shape for {name!r}; got None. Write input_shape=(784,)."
            )
        shape = tuple(batch_input_shape) if batch_input_shape is not None else (None, *tuple(input_shape or ()))
        kind = {"float": None, "int": "int32"}.get(dtype, dtype)
        x = Input(batch_shape=shape, dtype=kind, name=name)
        self.input_order.append(name)
        config: dict[str, Any] = {"name": name, "dtype": dtype}
        config["input_shape" if batch_input_shape is None else "batch_input_shape"] = (
            shape[1:] if batch_input_shape is None else shape
        )
        self.input_config.append(config)
        self._tensors[name] = x
        self._made.append(x._keras_history[0])

    def add_node(
        self,
        layer: Any,
        name: str,
        input: str | None = None,
        inputs: Sequence[str] = (),
        merge_mode: str = "concat",
        concat_axis: int = -1,
        dot_axes: Any = -1,
        create_output: bool = False,
    ) -> None:
        """Add a layer.

        Args:
            layer: a layer or model; it gets ``name``.
            name: what others call it by.
            input: name of the node or input it is applied to.
            inputs: names of several, which are merged first by ``merge_mode`` (sum, ave, mul, max, dot, cos, concat).
                With ``'join'`` the function of a Lambda gets a dictionary of them, by name.
            create_output: make it an output of the same name too.
        """
        self._claim(name)
        if not isinstance(layer, Layer):
            raise TypeError(f"[Graph.add_node] expected a layer; got {layer!r}. Write add_node(Dense(10), name='top').")
        if merge_mode == "join" and inputs:
            if not hasattr(layer, "function"):
                raise ValueError(
                    "[Graph.add_node] merge_mode='join' gives a dictionary of tensors, which a Lambda takes; "
                    f"{name!r} is a {type(layer).__name__}. Choose another merge_mode."
                )
            layer.function = _of_joined(layer.function, list(inputs))
            x: Any = [self._named(one, "add_node") for one in inputs]
        else:
            x = self._source("add_node", input, inputs, merge_mode, concat_axis, dot_axes, f"{name}_merge")
        layer.name = name
        self._remember(name, layer, layer(x))
        self.node_config.append(
            {
                "name": name,
                "input": input,
                "inputs": list(inputs),
                "merge_mode": merge_mode,
                "concat_axis": concat_axis,
                "dot_axes": dot_axes,
                "create_output": create_output,
            }
        )
        if create_output:
            self.add_output(name, input=name)

    def add_shared_node(
        self,
        layer: Any,
        name: str,
        inputs: Sequence[str] = (),
        merge_mode: str | None = None,
        concat_axis: int = -1,
        dot_axes: Any = -1,
        outputs: Sequence[str] = (),
        create_output: bool = False,
    ) -> None:
        """Add one layer that is applied to each of several inputs.

        Args:
            layer: a layer or model, whose weights all of them share.
            name: of the merged result.
            inputs: names of nodes or inputs.
            merge_mode: how the results become one (see ``add_node``); None keeps them apart.
            outputs: names of the results kept apart, one for each input.
            create_output: make outputs of the result, or the results, too.
        """
        self._claim(name)
        names = list(outputs) if merge_mode is None else [name]
        if len(inputs) < 2:
            raise ValueError(f"[Graph.add_shared_node] expected two or more inputs; got {list(inputs)}. Use add_node.")
        if merge_mode is None and len(names) != len(inputs):
            raise ValueError(
                f"[Graph.add_shared_node] {name!r} needs a name in outputs for each of its {len(inputs)} inputs; got "
                f"{names}. Or give merge_mode='concat'."
            )
        results = [layer(self._named(one, "add_shared_node")) for one in inputs]
        if merge_mode is not None:
            y = merged(results, merge_mode, concat_axis, dot_axes, f"{name}_merge")
            self._remember(name, layer, y)
            self._made.append(y._keras_history[0])
        else:
            self.nodes[name] = layer
            self._made.append(layer)
            for one, y in zip(names, results):
                self._claim(one)
                self._tensors[one] = y
        self.node_config.append(
            {
                "name": name,
                "inputs": list(inputs),
                "merge_mode": merge_mode,
                "concat_axis": concat_axis,
                "dot_axes": dot_axes,
                "outputs": list(outputs),
                "create_output": create_output,
                "shared": True,
            }
        )
        if create_output:
            for one in names:
                self.add_output(one, input=one)

    def add_output(
        self,
        name: str,
        input: str | None = None,
        inputs: Sequence[str] = (),
        merge_mode: str = "concat",
        concat_axis: int = -1,
        dot_axes: Any = -1,
    ) -> None:
        """Make a node, or several merged into one, an output; ``name`` is the key of its targets and predictions."""
        if name in self.output_order:
            raise ValueError(f"[Graph.add_output] Duplicate output identifier: {name!r}. Take another name.")
        y = self._source("add_output", input, inputs, merge_mode, concat_axis, dot_axes, name)
        self.output_order.append(name)
        self._results[name] = y
        self.output_config.append(
            {
                "name": name,
                "input": input,
                "inputs": list(inputs),
                "merge_mode": merge_mode,
                "concat_axis": concat_axis,
                "dot_axes": dot_axes,
            }
        )
        if name != input:
            self.namespace.add(name)
        self._set_graph([self._tensors[n] for n in self.input_order], [self._results[n] for n in self.output_order])

    def _claim(self, name: str) -> None:
        if name in self.namespace:
            raise ValueError(f"[Graph] Duplicate node identifier: {name!r}. Take another name.")
        self.namespace.add(name)

    def _named(self, name: str, what: str) -> Any:
        if name not in self._tensors:
            raise ValueError(
                f"[Graph.{what}] Unknown node/input identifier: {name!r}. There are {list(self._tensors)}."
            )
        return self._tensors[name]

    def _source(
        self, what: str, one: str | None, several: Sequence[str], mode: str, axis: int, dot_axes: Any, name: str
    ) -> Any:
        """The tensor that ``input`` names, or those that ``inputs`` name, merged."""
        if one is not None:
            return self._named(one, what)
        if not several:
            raise ValueError(f"[Graph.{what}] expected the name of a node as input, or several as inputs; got neither.")
        tensors = [self._named(n, what) for n in several]
        if len(tensors) == 1:
            return tensors[0]
        y = merged(tensors, mode, axis, dot_axes, name)
        self._made.append(y._keras_history[0])
        return y

    def _remember(self, name: str, layer: Any, tensor: Any) -> None:
        self.nodes[name] = layer
        self._tensors[name] = tensor
        self._made.append(layer)

    def _set_graph(self, inputs: list[Any], outputs: list[Any]) -> None:
        super()._set_graph(inputs, outputs)
        reached = {id(layer) for layer in self._layers}
        # In the order of adding, which is that of the weights.
        self._layers = [layer for layer in unique(self._made) if id(layer) in reached]
        self.output_names = list(self.output_order)

    def _require_built(self, what: str) -> None:
        if not self.output_order:
            raise ValueError(f"[{what}] the graph has no output. Call add_output(name=..., input=...) first.")
        super()._require_built(what)

    # -- training -----------------------------------------------------------------------------------------------------

    def compile(  # type: ignore[override]
        self,
        optimizer: Any,
        loss: Any = None,
        sample_weight_modes: Mapping[str, Any] | None = None,
        loss_weights: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Say how to train.

        Args:
            optimizer: instance or name.
            loss: {output name: loss}.
            sample_weight_modes: {output name: ``'temporal'``} for weights of steps.
            loss_weights: {output name: factor in the total}.
            kwargs: as for ``Model.compile``; ``class_mode`` and ``theano_mode`` are ignored.
        """
        self._require_built("compile")
        for gone in ("class_mode", "theano_mode"):
            kwargs.pop(gone, None)
        if isinstance(optimizer, str) and optimizer.lower() in _EPSILON_6:
            optimizer = optimizers.get(optimizer, {"epsilon": 1e-6})
            optimizer.epsilon_within = True
        mode = kwargs.pop("sample_weight_mode", None) or sample_weight_modes or None
        super().compile(optimizer, loss, loss_weights=loss_weights or None, sample_weight_mode=mode, **kwargs)

    def _parts(self, data: Any, what: str) -> tuple[list[Any], list[Any]]:
        """Inputs and targets of a dictionary of data, in order."""
        if not isinstance(data, Mapping):
            raise TypeError(
                f"[{what}] a Graph takes a dictionary of data by the names of its inputs and outputs, "
                f"{self.input_order + self.output_order}; got {type(data).__name__}."
            )
        missing = [n for n in self.input_order + self.output_order if n not in data]
        if missing:
            raise ValueError(f"[{what}] no data for {missing[0]!r}; got {sorted(map(str, data))}. Add it.")
        return [data[n] for n in self.input_order], [data[n] for n in self.output_order]

    def _accuracy(self, show: bool) -> bool:
        if show and self.nb_output > 1:
            raise ValueError(
                f"[Graph] show_accuracy works with a single output; there are {self.nb_output}. "
                "Compile with metrics={name: 'accuracy'} instead."
            )
        return show

    def fit(  # type: ignore[override]
        self,
        data: Mapping[str, Any],
        batch_size: int = 128,
        nb_epoch: int = 100,
        verbose: int = 1,
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Mapping[str, Any] | None = None,
        shuffle: Any = True,
        show_accuracy: bool = False,
        class_weight: Mapping[str, Any] | None = None,
        sample_weight: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Train; ``data`` and ``validation_data`` hold inputs and targets by name. Returns a History."""
        x, y = self._parts(data, "fit")
        return super().fit(
            x,
            y,
            batch_size=batch_size,
            epochs=kwargs.pop("epochs", nb_epoch),
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=None if not validation_data else self._parts(validation_data, "validation"),
            shuffle=shuffle,
            class_weight=class_weight or None,
            sample_weight=sample_weight or None,
            show_accuracy=self._accuracy(show_accuracy),
            **kwargs,
        )

    def evaluate(  # type: ignore[override]
        self,
        data: Mapping[str, Any],
        batch_size: int = 128,
        show_accuracy: bool = False,
        verbose: int = 0,
        sample_weight: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Loss, or ``[loss, accuracy]``, over all samples of a dictionary of inputs and targets."""
        x, y = self._parts(data, "evaluate")
        return super().evaluate(
            x,
            y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight or None,
            show_accuracy=self._accuracy(show_accuracy),
            **kwargs,
        )

    def _batches(self, generator: Any, what: str) -> Any:
        """The batches of a generator of dictionaries, or of pairs of a dictionary and weights by output."""
        for item in generator:
            data, weights = item if isinstance(item, tuple) else (item, None)
            x, y = self._parts(data, what)
            yield x, y, weights or None

    def fit_generator(  # type: ignore[override]
        self,
        generator: Any,
        samples_per_epoch: int,
        nb_epoch: int,
        verbose: int = 1,
        show_accuracy: bool = False,
        callbacks: Any = None,
        validation_data: Any = None,
        nb_val_samples: int | None = None,
        class_weight: Mapping[str, Any] | None = None,
        nb_worker: int = 1,
        nb_val_worker: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """Train on dictionaries of inputs and targets that a generator makes; ``(data, weights)`` gives weights too.

        ``validation_data`` is a dictionary, or a generator of them from which ``nb_val_samples`` are taken.
        """
        self._show_accuracy(self._accuracy(show_accuracy))
        validation = validation_data
        if isinstance(validation_data, Mapping):
            validation = self._parts(validation_data, "validation")
        elif validation_data is not None:
            validation = self._batches(validation_data, "validation")
        return super().fit_generator(
            self._batches(generator, "fit_generator"),
            samples_per_epoch=samples_per_epoch,
            epochs=nb_epoch,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation,
            nb_val_samples=nb_val_samples,
            class_weight=class_weight or None,
            **kwargs,
        )

    def evaluate_generator(  # type: ignore[override]
        self, generator: Any, nb_val_samples: int, show_accuracy: bool = False, verbose: int = 1, **kwargs: Any
    ) -> Any:
        """Loss, or ``[loss, accuracy]``, over ``nb_val_samples`` samples from a generator of dictionaries."""
        self._show_accuracy(self._accuracy(show_accuracy))
        batches = self._batches(generator, "evaluate_generator")
        return super().evaluate_generator(batches, val_samples=nb_val_samples, **kwargs)

    def train_on_batch(  # type: ignore[override]
        self,
        data: Mapping[str, Any],
        accuracy: bool = False,
        class_weight: Mapping[str, Any] | None = None,
        sample_weight: Mapping[str, Any] | None = None,
    ) -> Any:
        """One step on a batch of inputs and targets by name; returns the loss, or ``[loss, accuracy]``."""
        x, y = self._parts(data, "train_on_batch")
        self._show_accuracy(self._accuracy(accuracy))
        return self._on_batch(True, x, y, sample_weight or None, class_weight or None, True)

    def test_on_batch(  # type: ignore[override]
        self, data: Mapping[str, Any], accuracy: bool = False, sample_weight: Mapping[str, Any] | None = None
    ) -> Any:
        """Loss, or ``[loss, accuracy]``, of a batch of inputs and targets by name."""
        x, y = self._parts(data, "test_on_batch")
        self._show_accuracy(self._accuracy(accuracy))
        return self._on_batch(False, x, y, sample_weight or None, None, True)

    def predict(self, data: Any, batch_size: int = 128, verbose: int = 0, **kwargs: Any) -> Any:  # type: ignore[override]
        """Outputs by name, for a dictionary of inputs (whatever else it holds is not looked at)."""
        made = super().predict(self._inputs_of(data), batch_size=batch_size, verbose=verbose, **kwargs)
        return dict(zip(self.output_order, made if isinstance(made, list) else [made]))

    def predict_on_batch(self, data: Any) -> Any:
        """Outputs by name for one batch."""
        made = super().predict_on_batch(self._inputs_of(data))
        return dict(zip(self.output_order, made if isinstance(made, list) else [made]))

    def _inputs_of(self, data: Any) -> Any:
        self._require_built("predict")
        return [data[n] for n in self.input_order if n in data] if isinstance(data, Mapping) else data

    # -- description --------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Inputs, nodes with their layers, outputs, in order."""
        return {
            "name": self.name,
            "input_config": self.input_config,
            "node_config": self.node_config,
            "output_config": self.output_config,
            "nodes": {name: registry.serialize(layer) for name, layer in self.nodes.items()},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """The graph that ``get_config`` described, with new weights."""
        graph = cls(name=config.get("name"))
        for one in config["input_config"]:
            graph.add_input(**one)
        made: set[str] = set()
        for one in config["node_config"]:
            arguments = dict(one)
            layer = registry.deserialize(config["nodes"][one["name"]], custom_objects=custom_objects)
            shared = arguments.pop("shared", False)
            (graph.add_shared_node if shared else graph.add_node)(layer, **arguments)
            if one.get("create_output"):
                made.update(one["outputs"] if shared and one["merge_mode"] is None else [one["name"]])
        for one in config["output_config"]:
            if one["name"] not in made:
                graph.add_output(**one)
        return graph


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
        if not one._inbound_nodes:
            shape = getattr(one, "batch_input_shape", None)
            if shape is None:
                raise ValueError(
                    f"[{one.name}] expected a layer or model with an input shape; it has none. Give it input_shape=..."
                )
            one(Input(batch_shape=shape, name=one.name + "_input"))
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


def batch_shuffle(index_array: np.ndarray, batch_size: int) -> np.ndarray:
    """Whole batches of the indices in another order, drawn from NumPy's global generator; the rest stays last."""
    return shuffled_batches(index_array, batch_size)


def make_batches(size: int, batch_size: int) -> list[tuple[int, int]]:
    """Ranges ``(start, stop)`` of the batches of ``size`` samples."""
    return [(start, min(size, start + batch_size)) for start in range(0, size, batch_size)]


def slice_X(X: Any, start: Any = None, stop: int | None = None) -> Any:
    """Rows of an array, or of each array of a list: see ``utils.generic_utils.slice_arrays``."""
    return slice_arrays(X, start, stop)


def standardize_X(X: Any) -> list[Any]:
    """The inputs as a list of arrays."""
    return list(X) if isinstance(X, list) else [X]


def standardize_y(y: Any) -> np.ndarray:
    """Targets as an array; a vector becomes a column."""
    array = np.asarray(y)
    return array[:, None] if array.ndim == 1 else array


def standardize_weights(
    y: np.ndarray, sample_weight: Any = None, class_weight: Any = None, sample_weight_mode: str | None = None
) -> np.ndarray:
    """Weights of the samples of one output: those given, those of their classes, or ones."""
    weights = weights_of(y, sample_weight, class_weight, sample_weight_mode)
    if weights is not None:
        return weights
    return np.ones(y.shape[:2] if sample_weight_mode == "temporal" else y.shape[:1])


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

"""Graph, a model built by names, as in Keras 0.x.

It stands on the functional API: a node is a layer called on the tensors that its inputs name.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from keras_compat import optimizers
from keras_compat.dialect.legacy_layers import Merge
from keras_compat.engine import registry
from keras_compat.engine.input_layer import Input
from keras_compat.engine.layer import Layer, unique
from keras_compat.engine.loading import code_allowed_if
from keras_compat.engine.training import Model
from keras_compat.utils.generic_utils import to_list

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
        self._check_free(name)
        if input_shape is None and batch_input_shape is None:
            raise ValueError(
                f"[Graph.add_input] expected input_shape for {name!r}; got None. Write input_shape=(784,)."
            )
        shape = tuple(batch_input_shape) if batch_input_shape is not None else (None, *tuple(input_shape or ()))
        kind = {"float": None, "int": "int32"}.get(dtype, dtype)
        x = Input(batch_shape=shape, dtype=kind, name=name)
        self.namespace.add(name)
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
        self._check_free(name)
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
        self._check_free(name, *(outputs if merge_mode is None else ()))
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
            self.namespace.update((name, *names))
            self.nodes[name] = layer
            self._made.append(layer)
            self._tensors.update(zip(names, results))
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

    def _check_free(self, *names: str) -> None:
        """Names are taken when their node is there: a call that failed can be repeated."""
        taken = set(self.namespace)
        for name in names:
            if name in taken:
                raise ValueError(f"[Graph] Duplicate node identifier: {name!r}. Take another name.")
            taken.add(name)

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
        self.namespace.add(name)
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
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None, *, allow_code: bool = False
    ) -> Any:
        """The graph that ``get_config`` described, with new weights; for ``allow_code`` see ``model_from_config``."""
        graph = cls(name=config.get("name"))
        for one in config["input_config"]:
            graph.add_input(**one)
        made: set[str] = set()
        for one in config["node_config"]:
            arguments = dict(one)
            with code_allowed_if(allow_code):
                layer = registry.deserialize(config["nodes"][one["name"]], custom_objects=custom_objects)
            shared = arguments.pop("shared", False)
            (graph.add_shared_node if shared else graph.add_node)(layer, **arguments)
            if one.get("create_output"):
                made.update(one["outputs"] if shared and one["merge_mode"] is None else [one["name"]])
        for one in config["output_config"]:
            if one["name"] not in made:
                graph.add_output(**one)
        return graph

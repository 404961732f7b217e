"""The callback that writes what TensorBoard shows: numbers, histograms, pictures of weights, graph, embeddings."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.callbacks import events
from keras_compat.callbacks.base import Callback, Logs
from keras_compat.utils.generic_utils import to_list, warn

_NAMES_OF_BATCHES = ("batch", "size")


class TensorBoard(Callback):
    """Writes event files that TensorBoard shows; neither TensorFlow nor TensorBoard has to be there.

    Look at them with ``tensorboard --logdir=logs``.

    Args:
        log_dir: folder of the files, made if need be; each training writes a file of its own.
        histogram_freq: every so many epochs histograms of all weights and, over the validation arrays, of the layers'
            outputs; 0 never. Validation data that a generator makes gives those of the weights only.
        batch_size: samples that go through the network at once for histograms and embeddings.
        write_graph: the graph of layers, loss and optimizer.
        write_grads: with histogram_freq, also histograms of the gradients of the loss over the validation arrays.
        write_images: with histogram_freq, also weights of rank 1 to 3 as pictures.
        embeddings_freq: every so many epochs the outputs of layers for ``embeddings_data``, for the projector.
        embeddings_layer_names: the layers; all of class Embedding if None.
        embeddings_metadata: file with a name for each row of the data, or a dictionary of them by layer; TensorBoard
            reads what lies in ``log_dir``.
        embeddings_data: an array, or a list of one for each input.
        update_freq: ``'epoch'``, ``'batch'``, or a number of samples after which loss and metrics are written too.
            Steps count samples then.
        profile_batch: of TensorFlow 2's Keras: taken, without effect.

    Raises:
        OSError: when training begins and the folder can not be made. A disk that is full later is a warning.
        ValueError: at an epoch's end, for embeddings without data.
    """

    def __init__(
        self,
        log_dir: Any = "./logs",
        histogram_freq: int = 0,
        batch_size: int | None = 32,
        write_graph: bool = True,
        write_grads: bool = False,
        write_images: bool = False,
        embeddings_freq: int = 0,
        embeddings_layer_names: Sequence[str] | None = None,
        embeddings_metadata: Mapping[str, str] | str | None = None,
        embeddings_data: Any = None,
        update_freq: int | str = "epoch",
        *,
        profile_batch: Any = None,
    ):
        super().__init__()
        if update_freq not in ("epoch", "batch") and (isinstance(update_freq, (str, bool)) or update_freq < 1):
            raise ValueError(
                f"[TensorBoard] update_freq must be 'epoch', 'batch' or a number of samples; got {update_freq!r}. "
                "Write update_freq=1000."
            )
        self.log_dir = log_dir
        self.histogram_freq = histogram_freq
        self.batch_size = batch_size
        self.write_graph = write_graph
        self.write_grads = write_grads
        self.write_images = write_images
        self.embeddings_freq = embeddings_freq
        self.embeddings_layer_names = embeddings_layer_names
        self.embeddings_metadata = embeddings_metadata or {}
        self.embeddings_data = embeddings_data
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self.samples_seen = 0
        self.samples_seen_at_last_write = 0
        self._writer: events.EventWriter | None = None
        self._goes_on = False

    def set_model(self, model: Any) -> None:
        if model is not self.model:
            self._observed: Any = None  # compiled when first needed
            self._embedded: Any = None
        self.model = model

    @property
    def writer(self) -> events.EventWriter:
        """The file of events, opened when first needed."""
        return self._open()

    def _open(self) -> events.EventWriter:
        if self._writer is None:
            self._writer = writer = events.EventWriter(self.log_dir)
            if self.write_graph and self.model is not None:
                writer.add_graph(graph_nodes(self.model))
                description = _json(self.model)
                if description:
                    writer.add_summary(events.model_json(description), 0)
        return self._writer

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._goes_on = bool(self.params.get("goes_on"))
        self._observed = self._embedded = None  # the model may have been compiled anew
        self._open()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._goes_on:
            self._goes_on = False
            self.writer.go_on_from(epoch if self.update_freq == "epoch" else self.samples_seen + 1)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.update_freq == "epoch":
            return
        logs = logs or {}
        self.samples_seen += logs.get("size", 0)
        if self.samples_seen - self.samples_seen_at_last_write >= int(self.update_freq):
            self._write_logs(logs, self.samples_seen)
            self.samples_seen_at_last_write = self.samples_seen

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.embeddings_data is None and self.embeddings_freq:
            raise ValueError(
                "[TensorBoard] To visualize embeddings, embeddings_data must be provided; got None. Pass an array."
            )
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
            self._write_observed(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._write_embeddings()
        self._write_logs(logs or {}, epoch if self.update_freq == "epoch" else self.samples_seen)

    def on_train_end(self, logs: Logs | None = None, _: Any = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def get_state(self) -> dict[str, Any]:
        """How far the counts of samples are, for a training that goes on."""
        return {"seen": self.samples_seen, "written": self.samples_seen_at_last_write}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``get_state`` returned."""
        self.samples_seen, self.samples_seen_at_last_write = state["seen"], state["written"]

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _write_logs(self, logs: Logs, index: int) -> None:
        values = []
        for name, value in logs.items():
            if name not in _NAMES_OF_BATCHES and np.ndim(value) == 0 and not isinstance(value, (str, bytes)):
                values.append(events.scalar(name, float(value)))
        self.writer.add_summary(b"".join(values), index)

    # -- weights, outputs, gradients ----------------------------------------------------------------------------------

    def _write_weights(self, epoch: int) -> None:
        values = []
        for tag, weight in _weights_of(self.model):
            array = K.get_value(weight)
            values.append(_counted(tag, array))
            picture = _pictures(array) if self.write_images else None
            if picture is not None:
                # TensorFlow gives no name twice: this is the second summary of the weight.
                values.append(events.images(f"{tag}_1", picture))
        self.writer.add_summary(b"".join(values), epoch)

    def _write_observed(self, epoch: int) -> None:
        """Histograms of outputs, and of gradients, over the validation arrays."""
        data = self.validation_data
        if not data:
            warn(
                "If printing histograms, validation_data must be provided, and cannot be a generator: TensorBoard gets "
                "those of the weights only."
            )
            return
        if self._observed is None:
            self._observed = _Observed(self.model, self.write_grads)
        values = self._observed.histograms(data, _batch_size(self.model, self.batch_size))
        self.writer.add_summary(values, epoch)

    # -- embeddings ---------------------------------------------------------------------------------------------------

    def _write_embeddings(self) -> None:
        """The outputs of layers for the data, as tables that TensorBoard's projector reads, and a list of them."""
        model = self.model
        if self._embedded is None:
            self._embedded = _Embedded(model, self.embeddings_layer_names)
        found = self._embedded.outputs(
            model._standardize_inputs(self.embeddings_data, "embeddings_data"), _batch_size(model, self.batch_size)
        )
        entries = []
        try:
            os.makedirs(self.log_dir, exist_ok=True)
            for name, rows in found.items():
                path = f"{_tag(name).replace('/', '_')}_embedding.tsv"
                _write_text(os.path.join(self.log_dir, path), "".join(map(_row, rows.tolist())))
                metadata = self.embeddings_metadata
                entries.append(
                    _projector_entry(name, rows, path, metadata if isinstance(metadata, str) else metadata.get(name))
                )
            _write_text(os.path.join(self.log_dir, "projector_config.pbtxt"), "".join(entries))
        except OSError as error:
            warn(f"[TensorBoard] could not write embeddings to {self.log_dir!r}: {error}. Training goes on.")


class _Observed:
    """The outputs of a model's layers, and the gradients of its loss, as functions of the validation arrays."""

    def __init__(self, model: Any, gradients: bool):
        self.tags: list[str] = []
        outputs: list[Any] = []
        for layer in model.layers:
            made = _output(layer)
            for i, output in enumerate(to_list(made) if made is not None else []):
                self.tags.append(f"{_tag(layer.name)}_out_{i}" if isinstance(made, list) else f"{_tag(layer.name)}_out")
                outputs.append(output)
        self.gradient_tags: list[str] = []
        if gradients:
            of_loss = [
                (tag, w) for tag, w in _weights_of(model) if any(w is t for t in model._collected_trainable_weights)
            ]
            self.gradient_tags = [f"{tag}_grad" for tag, _ in of_loss]
            outputs += model.optimizer.get_gradients(model.total_loss, [w for _, w in of_loss]) if of_loss else []
        inputs = [*model._feed_inputs, *model._feed_targets, *model._feed_sample_weights]
        self.function = _Batches(inputs, outputs)

    def histograms(self, data: Sequence[Any], batch_size: int) -> bytes:
        counted = [events.Histogram() for _ in self.tags]
        sums: list[Any] = [0.0 for _ in self.gradient_tags]
        samples = 0
        for size, values in self.function(data, batch_size):
            for one, value in zip(counted, values):
                one.add(value)
            # The loss is a mean over samples, so the gradient over all of them is a mean of those of the batches.
            sums = [total + np.float64(value) * size for total, value in zip(sums, values[len(counted) :])]
            samples += size
        found = [events.histogram(tag, one) for tag, one in zip(self.tags, counted)]
        found += [_counted(tag, total / max(samples, 1)) for tag, total in zip(self.gradient_tags, sums)]
        return b"".join(found)


class _Embedded:
    """The outputs of some layers as functions of the model's inputs."""

    def __init__(self, model: Any, names: Sequence[str] | None):
        layers = [x for x in model.layers if (x.name in names if names else type(x).__name__ == "Embedding")]
        missing = sorted(set(names or ()) - {layer.name for layer in layers})
        if missing or not layers:
            raise ValueError(
                f"[TensorBoard] embeddings_layer_names: expected names of layers, or a layer of class Embedding; got "
                f"{missing or names}. There are {', '.join(layer.name for layer in model.layers)}."
            )
        self.names = [layer.name for layer in layers]
        self.function = _Batches(list(model._feed_inputs), [layer.output for layer in layers])

    def outputs(self, data: Sequence[Any], batch_size: int) -> dict[str, np.ndarray]:
        parts = [values for _, values in self.function(data, batch_size)]
        joined = [np.concatenate(part) for part in zip(*parts)]
        return {name: values.reshape(len(values), -1) for name, values in zip(self.names, joined)}


class _Batches:
    """Tensors as a function of a model's data, batch by batch and as outside training."""

    def __init__(self, inputs: list[Any], outputs: list[Any]):
        self.count = len(inputs)
        self.function = at.function(inputs, outputs, givens=K.phase_givens(0), name="observed")
        # Gradients through a dropout draw its mask, whatever the phase.
        _, self.generators = at.sources(outputs)

    def __call__(self, data: Sequence[Any], batch_size: int) -> Iterator[tuple[int, list[np.ndarray]]]:
        """(samples, values) for each batch. Random numbers that training is to draw are left to it."""
        arrays = data[: self.count]
        for start in range(0, len(arrays[0]), batch_size):
            batch = [array[start : start + batch_size] for array in arrays]
            states = [generator.get_state() for generator in self.generators]
            values = self.function(*batch)
            for generator, state in zip(self.generators, states):
                generator.set_state(state)
            yield len(batch[0]), values


def _batch_size(model: Any, wanted: int | None) -> int:
    fixed = K.int_shape(model._feed_inputs[0])[0] if model._feed_inputs else None
    return fixed or wanted or 32


def _output(layer: Any) -> Any:
    """The output of a layer that was called once, else None."""
    try:
        return layer.output
    except (AttributeError, RuntimeError):
        return None


def _tag(name: str) -> str:
    """A name as TensorFlow makes a tag of it."""
    return re.sub(r"[^-/\w.]", "_", name, flags=re.ASCII).lstrip("/")


def _weights_of(model: Any) -> list[tuple[str, Any]]:
    return [(_tag(weight.name), weight) for layer in model.layers for weight in layer.weights]


def _counted(tag: str, values: np.ndarray) -> bytes:
    one = events.Histogram()
    one.add(values)
    return events.histogram(tag, one)


def _pictures(weight: np.ndarray) -> np.ndarray | None:
    """A weight as pictures, shape (number, height, width, 1): matrices lie, of a stack of them each is one."""
    flat = np.squeeze(weight)
    if flat.ndim == 1:
        return flat.reshape(1, -1, 1, 1)
    if flat.ndim == 2:
        flat = flat.T if flat.shape[0] > flat.shape[1] else flat
        return flat[None, :, :, None]
    if flat.ndim == 3:
        if K.image_data_format() == "channels_last":
            flat = flat.transpose(2, 0, 1)
        return flat[..., None]
    return None


def _row(values: list[float]) -> str:
    return "\t".join(f"{value:.9g}" for value in values) + "\n"


def _write_text(path: str, text: str) -> None:
    """Write a file that TensorBoard may read at any moment: the old one or the new."""
    with open(f"{path}.part", "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(f"{path}.part", path)


def _projector_entry(name: str, rows: np.ndarray, path: str, metadata: str | None) -> str:
    """An embedding in the words of TensorBoard's projector_config.pbtxt."""
    lines = [f'tensor_name: "{_quoted(name)}_embedding:0"', *(f"tensor_shape: {size}" for size in rows.shape)]
    lines.append(f'tensor_path: "{path}"')
    if metadata:
        lines.append(f'metadata_path: "{_quoted(os.fspath(metadata))}"')
    return "embeddings {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _json(model: Any) -> str:
    try:
        return model.to_json()
    except (NotImplementedError, TypeError, ValueError, AttributeError):  # of a model that does not describe itself
        return ""


# -- the graph --------------------------------------------------------------------------------------------------------


def graph_nodes(model: Any) -> list[bytes]:
    """The graph of a model for ``EventWriter.add_graph``: calls of layers, their weights, loss and optimizer."""
    nodes: list[bytes] = []
    names: dict[int, str] = {}
    counts: dict[str, int] = {}
    depths = getattr(model, "_nodes_by_depth", None) or {}
    calls = [node for depth in sorted(depths, reverse=True) for node in depths[depth]]
    for call in calls:
        layer = call.outbound_layer
        box, kind = _tag(layer.name), type(layer).__name__
        shapes = [K.int_shape(tensor) for tensor in call.output_tensors]
        dtype = K.dtype(call.output_tensors[0])
        sources = [layer for layer in call.inbound_layers if layer is not None]
        if not sources:
            names[id(call)] = box
            nodes.append(events.graph_node(box, "Placeholder", (), shapes, dtype))
            continue
        count = counts[box] = counts.get(box, 0) + 1
        names[id(call)] = name = f"{box}/{kind}" + (f"_{count - 1}" if count > 1 else "")
        inputs = []
        for source, number, output in zip(call.inbound_layers, call.node_indices, call.tensor_indices):
            made = names.get(id(source.inbound_nodes[number]), _tag(source.name))
            inputs.append(f"{made}:{output}" if output else made)
        for weight in layer.weights:
            path = _inside(box, weight)
            if count == 1:
                nodes.append(events.graph_node(path, "VariableV2", (), [K.int_shape(weight)], K.dtype(weight)))
            inputs.append(path)
        nodes.append(events.graph_node(name, kind, inputs, shapes, dtype))
    if getattr(model, "_steps", None) is not None:
        nodes += _training_nodes(model, names, calls)
    return nodes


def _inside(box: str, weight: Any) -> str:
    """The name of a weight in the box of its layer."""
    name = _tag(weight.name.partition(":")[0])
    return name if name.startswith(box + "/") else f"{box}/{name}"


def _training_nodes(model: Any, names: Mapping[int, str], calls: Sequence[Any]) -> list[bytes]:
    """Targets, losses and the optimizer."""
    made = {id(t): names[id(c)] + (f":{i}" if i else "") for c in calls for i, t in enumerate(c.output_tensors)}
    nodes, losses = [], []
    for name, output, loss in zip(model.output_names, model.outputs, model.loss_functions):
        if loss is None:
            continue
        target, weights, path = f"{_tag(name)}_target", f"{_tag(name)}_sample_weights", f"loss/{_tag(name)}_loss"
        nodes.append(events.graph_node(target, "Placeholder", (), [K.int_shape(output)], K.dtype(output)))
        nodes.append(events.graph_node(weights, "Placeholder", (), [(None,)], K.floatx()))
        sources = [made.get(id(output), _tag(name)), target, weights]
        function = getattr(loss, "fn", loss)
        kind = getattr(function, "__name__", type(loss).__name__)
        nodes.append(events.graph_node(path, _tag(kind), sources, [()], K.floatx()))
        losses.append(path)
    nodes.append(events.graph_node("loss/total", "AddN", losses, [()], K.floatx()))
    kind = type(model.optimizer).__name__
    trained = [_inside(_tag(x.name), w) for x in model.layers for w in x.trainable_weights]
    nodes.append(events.graph_node(f"training/{kind}", kind, ["loss/total", *dict.fromkeys(trained)], (), K.floatx()))
    return nodes

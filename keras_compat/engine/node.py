"""The record that a layer was called: which tensors went in, which came out, and the masks beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_compat.engine.layer import Layer

Shape = tuple[int | None, ...]


class Node:
    """One call of ``outbound_layer``; a layer that is shared has several.

    Creating a Node appends it to ``outbound_layer._inbound_nodes`` and to ``_outbound_nodes`` of the layers that
    made the inputs. The i-th input came from ``inbound_layers[i]``, its call ``node_indices[i]``, that call's output
    ``tensor_indices[i]``. ``arguments`` are the further keyword arguments of the call.
    """

    def __init__(
        self,
        outbound_layer: Layer,
        inbound_layers: list[Any],
        node_indices: list[Any],
        tensor_indices: list[Any],
        input_tensors: list[Any],
        output_tensors: list[Any],
        input_masks: list[Any],
        output_masks: list[Any],
        input_shapes: list[Any],
        output_shapes: list[Any],
        arguments: dict[str, Any] | None = None,
    ):
        self.outbound_layer = outbound_layer
        self.inbound_layers = inbound_layers
        self.node_indices = node_indices
        self.tensor_indices = tensor_indices
        self.input_tensors = input_tensors
        self.output_tensors = output_tensors
        self.input_masks = input_masks
        self.output_masks = output_masks
        self.input_shapes = input_shapes
        self.output_shapes = output_shapes
        self.arguments = arguments or {}
        for layer in inbound_layers:
            if layer is not None:
                layer._outbound_nodes.append(self)
        outbound_layer._inbound_nodes.append(self)

    def get_config(self) -> dict[str, Any]:
        """Names and indices that describe the call."""
        return {
            "outbound_layer": self.outbound_layer.name,
            "inbound_layers": [layer.name if layer is not None else None for layer in self.inbound_layers],
            "node_indices": self.node_indices,
            "tensor_indices": self.tensor_indices,
        }

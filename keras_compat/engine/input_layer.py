"""Input and InputLayer: where data enters a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import autotensor as at
from keras_compat import backend as K
from keras_compat.engine.layer import Layer, checked_shape, is_keras_tensor
from keras_compat.engine.node import Node


class InputLayer(Layer):
    """The entry of a network: a placeholder, or ``input_tensor`` where a tensor is given.

    Args:
        input_shape: shape without the batch dimension.
        batch_size: size of the batch, None when open.
        batch_input_shape: both at once.
        dtype: of the placeholder, K.floatx() by default.
        input_tensor: an existing tensor to start from.
        sparse: kept for configs.
        name: also the key in dictionaries of data.
    """

    def __init__(
        self,
        input_shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        dtype: Any = None,
        input_tensor: Any = None,
        sparse: bool = False,
        name: str | None = None,
        trainable: bool = False,
    ):
        if not name:
            name = f"input_{K.get_uid('input')}"
        super().__init__(dtype=dtype or _dtype_of(input_tensor), name=name)
        self.trainable = False
        self.built = True
        self.sparse = sparse
        self.supports_masking = True
        if input_shape is not None and batch_input_shape is not None:
            raise ValueError(
                "[InputLayer] Only provide the input_shape OR batch_input_shape argument to InputLayer, not both; got "
                f"{input_shape} and {batch_input_shape}. Keep batch_input_shape."
            )
        if batch_input_shape is None:
            if input_shape is not None:
                batch_input_shape = (batch_size, *tuple(input_shape))
            elif input_tensor is not None:
                batch_input_shape = K.int_shape(input_tensor)
            else:
                raise ValueError(
                    "[InputLayer] An Input layer should be passed either a `batch_input_shape` or an `input_shape`; "
                    "got neither. Write Input(shape=(784,))."
                )
        self.batch_input_shape = checked_shape("Input", batch_input_shape)
        self.is_placeholder = input_tensor is None
        if input_tensor is None:
            input_tensor = K.placeholder(shape=self.batch_input_shape, dtype=self.dtype, sparse=sparse, name=name)
        elif is_keras_tensor(input_tensor) or isinstance(input_tensor, at.Variable):
            input_tensor = K.identity(input_tensor)
        input_tensor._keras_shape = self.batch_input_shape
        input_tensor._uses_learning_phase = False
        input_tensor._keras_history = (self, 0, 0)
        shape = self.batch_input_shape
        Node(self, [], [], [], [input_tensor], [input_tensor], [None], [None], [shape], [shape])

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_input_shape": self.batch_input_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "name": self.name,
        }


def _dtype_of(tensor: Any) -> Any:
    return None if tensor is None else K.dtype(tensor)


def Input(
    shape: int | Sequence[int | None] | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    dtype: Any = None,
    sparse: bool = False,
    tensor: Any = None,
) -> Any:
    """A tensor through which data enters a model: ``x = Input(shape=(784,))``.

    Args:
        shape: without the batch dimension; ``None`` for open dimensions.
        batch_shape: with the batch dimension.
        name: of the input layer, also the key of the data.
        dtype: K.floatx() by default.
        tensor: an existing tensor to wrap.

    Raises ValueError without a shape.
    """
    if batch_shape is None and shape is None and tensor is None:
        raise ValueError(
            "[Input] Please provide to Input either a `shape` or a `batch_shape` argument. Note that `shape` does not "
            "include the batch dimension; got neither. Write Input(shape=(784,))."
        )
    if batch_shape is None and shape is not None:
        batch_shape = (None, shape) if isinstance(shape, (int, np.integer)) else (None, *shape)
    layer = InputLayer(batch_input_shape=batch_shape, name=name, dtype=dtype, sparse=sparse, input_tensor=tensor)
    return layer._inbound_nodes[0].output_tensors[0]

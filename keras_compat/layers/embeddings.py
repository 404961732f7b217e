"""Embedding: whole numbers to vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat import constraints, initializers, regularizers
from keras_compat.dialect.level import get_api_level
from keras_compat.engine.layer import Layer, alias, shape_of
from keras_compat.engine.registry import register
from keras_compat.utils.generic_utils import to_list


@register
class Embedding(Layer):
    """Rows of a matrix of weights: (batch, steps) of whole numbers -> (batch, steps, output_dim).

    The input may have any rank; numbers of other types are cut to int32. A number outside 0..input_dim-1 raises
    RangeError, an IndexError: straight from a model's input before anything is computed, with its name and place; else
    when the graph is evaluated.

    Args:
        input_dim: number of rows.
        output_dim: length of a row.
        mask_zero: 0 stands for padding: steps that hold it are masked.
        input_length: number of steps (or a list, one for each axis), where a Flatten and Dense follow.
        dropout: share of the rows that are 0 in training, drawn anew for each batch; the others are divided by
            ``1 - dropout``. Of Keras 1 (Gal, arXiv:1512.05287).

    Raises ValueError for sizes below 1.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        activity_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: int | Sequence[int | None] | None = None,
        *,
        dropout: float | None = 0.0,
        **kwargs: Any,
    ):
        if "input_shape" not in kwargs and "batch_input_shape" not in kwargs:
            kwargs["input_shape"] = (None,) if input_length is None else tuple(to_list(input_length, allow_tuple=True))
        if get_api_level() == "1.2":
            kwargs.setdefault("dtype", "int32")  # of the input; configs and models show it
        super().__init__(**kwargs)
        if int(input_dim) < 1 or int(output_dim) < 1:
            raise ValueError(
                f"[Embedding] input_dim and output_dim must be at least 1; got {input_dim} and {output_dim}. input_dim "
                "is the largest index plus one."
            )
        self.input_dim = self.rows_looked_up = int(input_dim)
        self.output_dim = int(output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.supports_masking = bool(mask_zero)
        self.input_length = input_length
        self.dropout = dropout or 0.0
        self.uses_learning_phase = bool(self.dropout)
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"[Embedding] dropout is a share of the rows, in [0, 1); got {dropout}. Write 0.2?")

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            dtype=self.dtype if np.dtype(self.dtype).kind == "f" else K.floatx(),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        self.built = True

    def call(self, inputs: Any, training: Any = None) -> Any:
        self.compute_output_shape(shape_of(inputs))  # the error for another length
        indices = inputs if inputs.dtype.kind in "iu" else K.cast(inputs, "int32")
        # Rows are found as NumPy does, which counts negative numbers from the end; genuine Keras refuses them.
        indices = K.switch(K.less(indices, 0), K.zeros_like(indices) + self.input_dim, indices)
        if not self.dropout:
            return K.gather(self.embeddings, indices)
        keep = 1.0 - self.dropout

        def some() -> Any:
            kept = K.random_binomial((self.input_dim,), p=keep, dtype=K.dtype(self.embeddings))
            return self.embeddings * K.expand_dims(kept / keep)

        return K.gather(K.in_train_phase(some, self.embeddings, training=training), indices)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return K.not_equal(inputs, 0) if self.mask_zero else None

    W = alias("embeddings", "The matrix, by Keras 1's name.")

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.input_length is None:
            return (*input_shape, self.output_dim)
        lengths = list(to_list(self.input_length, allow_tuple=True))
        given = list(input_shape[1:])
        if len(lengths) != len(given) or any(a and b and a != b for a, b in zip(lengths, given)):
            raise ValueError(
                f'[{self.name}] "input_length" is {self.input_length}, but received input has shape {input_shape}. '
                "Leave input_length out, or pad the sequences to it."
            )
        return (input_shape[0], *[a or b for a, b in zip(lengths, given)], self.output_dim)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
            "input_length": self.input_length,
        }
        # Keras 2 has no such argument and could not read the file.
        return config | ({"dropout": self.dropout} if self.dropout else {})

"""What all networks have in common: the arguments, the input, the end of the network, the model with its weights."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_compat import backend as K
from keras_compat.applications._parts import only_submodules
from keras_compat.applications._shapes import checked_shape
from keras_compat.applications._weights import Pretrained
from keras_compat.engine.network import get_source_inputs
from keras_compat.layers import Dense, GlobalAveragePooling2D, GlobalMaxPooling2D, Input
from keras_compat.models import Model


@dataclass
class Request:
    """What a caller asks of a network. Each network's function begins with one and ends with its ``model()``.

    Args:
        network: the function's name, for errors.
        include_top: whether the network ends with its classifier.
        weights: None for random ones, ``'imagenet'``, or the path of a file.
        input_tensor: a tensor to build on, or None.
        input_shape: of a picture, without the batch; None for the usual one.
        pooling: None, ``'avg'`` or ``'max'`` over rows and columns, if there is no classifier.
        classes: of the classifier.
        submodules: further words of the call: those of ``keras_applications`` are ignored, others refused.

    Raises:
        ValueError: weights, classes or pooling that can not be.
        TypeError: a word that no network knows.
    """

    network: str
    include_top: bool
    weights: Any
    input_tensor: Any
    input_shape: Sequence[int | None] | None
    pooling: str | None
    classes: int
    submodules: Mapping[str, Any]

    def __post_init__(self) -> None:
        only_submodules(self.network, self.submodules)
        if isinstance(self.pooling, int) and not isinstance(self.pooling, bool):
            # Keras 1 had no pooling: its fifth argument is the number of classes.
            self.pooling, self.classes = None, self.pooling
        if not self.include_top and self.pooling not in (None, "avg", "max"):
            raise ValueError(
                f"[{self.network}] pooling is None, 'avg' or 'max'; got {self.pooling!r}. None keeps rows and columns."
            )
        if self.weights not in ("imagenet", None) and not os.path.exists(self.weights):
            raise ValueError(
                f"[{self.network}] The `weights` argument should be either `None` (random initialization), `imagenet` "
                f"(pre-training on ImageNet), or the path to the weights file to be loaded; got {self.weights!r}. "
                "Is the path right?"
            )
        if self.pretrained and self.include_top and self.classes != 1000:
            raise ValueError(
                f'[{self.network}] If using `weights` as `"imagenet"` with `include_top` as true, `classes` should be '
                f"1000; got {self.classes}. For classes of your own pass include_top=False and add a Dense layer."
            )

    @property
    def pretrained(self) -> bool:
        """Whether the published weights are asked for."""
        return isinstance(self.weights, str) and self.weights == "imagenet"

    def image(self, size: int, smallest: int, flat: bool | None = None) -> Any:
        """Return the tensor of pictures that the network begins with.

        Args:
            size: rows and columns of the pictures that it was made for.
            smallest: the fewest that it works with.
            flat: whether rows and columns must be known: by default if there is a classifier.

        Raises:
            ValueError: an ``input_shape`` that does not fit.
        """
        flat = self.include_top if flat is None else flat
        self.shape = checked_shape(self.network, self.input_shape, size, smallest, flat, self.pretrained)
        if self.input_tensor is None:
            self.input = Input(shape=self.shape)
        elif K.is_keras_tensor(self.input_tensor):
            self.input = self.input_tensor
        else:
            self.input = self.input_tensor = Input(tensor=self.input_tensor, shape=self.shape)
        return self.input

    def head(self, x: Any, dense: str, average: str | None = "avg_pool", named: bool = False) -> Any:
        """End the network: classifier, pooling over rows and columns, or as it is.

        Args:
            dense: name of the classifier's layer.
            average: name of the pooling before it; None for an automatic one.
            named: whether pooling without a classifier has names of its own.
        """
        if self.include_top:
            x = GlobalAveragePooling2D(name=average)(x)
            return Dense(self.classes, activation="softmax", name=dense)(x)
        return self.pooled(x, named)

    def pooled(self, x: Any, named: bool = False) -> Any:
        """Return the means or maxima over rows and columns that were asked for, or ``x``."""
        if self.pooling == "avg":
            return GlobalAveragePooling2D(name="avg_pool" if named else None)(x)
        if self.pooling == "max":
            return GlobalMaxPooling2D(name="max_pool" if named else None)(x)
        return x

    def model(self, x: Any, name: str, pretrained: Pretrained | None) -> Model:
        """Return the model up to ``x``, with the weights that were asked for."""
        # A tensor given may itself come out of layers: the model begins where they do.
        inputs = self.input if self.input_tensor is None else get_source_inputs(self.input_tensor)
        model = Model(inputs, x, name=name)
        if self.pretrained:
            if pretrained is None:
                raise ValueError(
                    f"[{self.network}] ImageNet weights exist for the published sizes of a network only; got another "
                    "one. Pass weights=None or the path of a file of weights."
                )
            pretrained.load(model, self.network, self.include_top)
        elif self.weights is not None:
            model.load_weights(self.weights)
        return model

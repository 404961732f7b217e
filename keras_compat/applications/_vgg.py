"""What VGG16 and VGG19 share: blocks of convolutions and a maximum, then three dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat import backend as K
from keras_compat.applications._parts import in_keras_1
from keras_compat.applications._request import Request
from keras_compat.applications._weights import Pretrained
from keras_compat.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keras_compat.models import Model

FILTERS = (64, 128, 256, 512, 512)


def vgg(request: Request, name: str, depths: Sequence[int], pretrained: Pretrained) -> Model:
    """Build a network with ``depths[i]`` convolutions in its block ``i``."""
    x = request.image(size=224, smallest=32)
    for block, (filters, depth) in enumerate(zip(FILTERS, depths), start=1):
        for i in range(1, depth + 1):
            x = Conv2D(filters, (3, 3), padding="same", activation="relu", name=f"block{block}_conv{i}")(x)
        x = MaxPooling2D((2, 2), strides=(2, 2), name=f"block{block}_pool")(x)
    return request.model(_head(request, x), name, pretrained)


def _head(request: Request, x: Any) -> Any:
    if not request.include_top:
        return request.pooled(x)
    # The weights of fc1 do not depend on the order of images, but in Keras 1, where each order has its own files.
    x = Flatten(name="flatten", data_format="channels_last" if in_keras_1() else K.image_data_format())(x)
    x = Dense(4096, activation="relu", name="fc1")(x)
    x = Dense(4096, activation="relu", name="fc2")(x)
    return Dense(request.classes, activation="softmax", name="predictions")(x)

"""InceptionResNetV2: Inception's branches, added to what they came from (C. Szegedy et al., arXiv:1602.07261)."""

from __future__ import annotations

from typing import Any

from keras_compat import backend as K
from keras_compat.applications import imagenet_utils
from keras_compat.applications._parts import channels_of, joined, normalized
from keras_compat.applications._request import Request
from keras_compat.applications._weights import published
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.layers import Activation, AveragePooling2D, Conv2D, Lambda, MaxPooling2D
from keras_compat.models import Model

BASE_WEIGHT_URL = "https://github.com/fchollet/deep-learning-models/releases/download/v0.7/"
_PRETRAINED = published(
    BASE_WEIGHT_URL + "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5",
    "e693bd0210a403b3192acc6073ad2e96",
    BASE_WEIGHT_URL + "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "d19885ff4a710c122648d3b5c3b684e4",
)

# Kind of block -> its branches, each a chain of convolutions (filters, size).
BLOCKS: dict[str, list[list[tuple[int, Any]]]] = {
    "block35": [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]],
    "block17": [[(192, 1)], [(128, 1), (160, [1, 7]), (192, [7, 1])]],
    "block8": [[(192, 1)], [(192, 1), (224, [1, 3]), (256, [3, 1])]],
}


def preprocess_input(x: Any, data_format: str | None = None, **submodules: Any) -> Any:
    """Return pictures from -1 to 1; see :func:`keras_compat.applications.imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf", **submodules)


def conv2d_bn(
    x: Any,
    filters: int,
    kernel_size: Any,
    strides: Any = 1,
    padding: str = "same",
    activation: str | None = "relu",
    use_bias: bool = False,
    name: str | None = None,
) -> Any:
    """Return a convolution of ``x``, normalised unless it has a bias, after its activation.

    The arguments are those of ``Conv2D``; the layers behind it are called ``<name>_bn`` and ``<name>_ac``.
    """
    x = Conv2D(filters, kernel_size, strides=strides, padding=padding, use_bias=use_bias, name=name)(x)
    if not use_bias:
        x = normalized(x, name and f"{name}_bn", scale=False)
    if activation is not None:
        x = Activation(activation, name=name and f"{name}_ac")(x)
    return x


def scaled_sum(inputs: Any, scale: float) -> Any:
    """Return the first of two tensors plus ``scale`` times the second."""
    return inputs[0] + inputs[1] * scale


def inception_resnet_block(
    x: Any, scale: float, block_type: str, block_idx: int, activation: str | None = "relu"
) -> Any:
    """Return ``x`` plus ``scale`` times what the branches of a block make of it.

    Args:
        x: pictures.
        scale: 0.1 to 0.3 keep the training steady, according to the paper.
        block_type: one of ``BLOCKS``.
        block_idx: number of the block, for names.
        activation: of the sum; None for none.

    Raises:
        ValueError: an unknown ``block_type``.
    """
    if block_type not in BLOCKS:
        raise ValueError(
            '[inception_resnet_block] Unknown Inception-ResNet block type. Expects "block35", "block17" or "block8", '
            f"but got: {block_type}. Check the spelling."
        )
    name = f"{block_type}_{block_idx}"
    branches = []
    for chain in BLOCKS[block_type]:
        branch = x
        for filters, size in chain:
            branch = conv2d_bn(branch, filters, size)
        branches.append(branch)
    mixed = joined(branches, f"{name}_mixed")
    more = conv2d_bn(mixed, channels_of(x), 1, activation=None, use_bias=True, name=f"{name}_conv")
    add = Lambda(scaled_sum, output_shape=K.int_shape(x)[1:], arguments={"scale": scale}, name=name)
    x = add([x, more])
    return x if activation is None else Activation(activation, name=f"{name}_ac")(x)


def _reduced(x: Any, chains: list[list[int]], name: str) -> Any:
    """Return pictures of half the size: chains that end with a stride of 2, and a maximum, side by side.

    Convolutions are 3x3, but for the first of a longer chain, which is 1x1.
    """
    branches = []
    for chain in chains:
        branch = x
        for i, filters in enumerate(chain[:-1]):
            branch = conv2d_bn(branch, filters, 1 if i == 0 else 3)
        branches.append(conv2d_bn(branch, chain[-1], 3, strides=2, padding="valid"))
    return joined([*branches, MaxPooling2D(3, strides=2, padding="valid")(x)], name)


def InceptionResNetV2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return InceptionResNetV2: pictures of 299x299, at least 75x75 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request(
        "InceptionResNetV2", include_top, weights, input_tensor, input_shape, pooling, classes, submodules
    )
    x = request.image(size=299, smallest=75)
    x = conv2d_bn(x, 32, 3, strides=2, padding="valid")
    x = conv2d_bn(x, 32, 3, padding="valid")
    x = conv2d_bn(x, 64, 3)
    x = MaxPooling2D(3, strides=2)(x)
    x = conv2d_bn(x, 80, 1, padding="valid")
    x = conv2d_bn(x, 192, 3, padding="valid")
    x = MaxPooling2D(3, strides=2)(x)

    branches = [
        conv2d_bn(x, 96, 1),
        conv2d_bn(conv2d_bn(x, 48, 1), 64, 5),
        conv2d_bn(conv2d_bn(conv2d_bn(x, 64, 1), 96, 3), 96, 3),
        conv2d_bn(AveragePooling2D(3, strides=1, padding="same")(x), 64, 1),
    ]
    x = joined(branches, "mixed_5b")
    for i in range(1, 11):
        x = inception_resnet_block(x, 0.17, "block35", i)
    x = _reduced(x, [[384], [256, 256, 384]], "mixed_6a")
    for i in range(1, 21):
        x = inception_resnet_block(x, 0.1, "block17", i)
    x = _reduced(x, [[256, 384], [256, 288], [256, 288, 320]], "mixed_7a")
    for i in range(1, 10):
        x = inception_resnet_block(x, 0.2, "block8", i)
    x = inception_resnet_block(x, 1.0, "block8", 10, activation=None)
    x = conv2d_bn(x, 1536, 1, name="conv_7b")
    return request.model(request.head(x, "predictions"), "inception_resnet_v2", _PRETRAINED)

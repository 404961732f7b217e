"""ResNet50, with the names of layers that Keras had from the start (K. He et al., arXiv:1512.03385).

The module ``resnet`` has it with the names of its larger kin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat.applications._parts import in_keras_1, normalized, relu, summed
from keras_compat.applications._request import Request
from keras_compat.applications._weights import by_order, published
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.applications.imagenet_utils import preprocess_input as preprocess_input
from keras_compat.layers import AveragePooling2D, Conv2D, Dense, Flatten, MaxPooling2D, ZeroPadding2D
from keras_compat.models import Model
from keras_compat.utils.generic_utils import warn

_RELEASE = "https://github.com/fchollet/deep-learning-models/releases/download/v0.2/"
WEIGHTS_PATH = TF_WEIGHTS_PATH = _RELEASE + "resnet50_weights_tf_dim_ordering_tf_kernels.h5"
WEIGHTS_PATH_NO_TOP = TF_WEIGHTS_PATH_NO_TOP = _RELEASE + "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
TH_WEIGHTS_PATH = _RELEASE + "resnet50_weights_th_dim_ordering_th_kernels.h5"
TH_WEIGHTS_PATH_NO_TOP = _RELEASE + "resnet50_weights_th_dim_ordering_th_kernels_notop.h5"

_TF = published(
    TF_WEIGHTS_PATH, "a7b3fe01876f51b976af0dea6bc144eb", TF_WEIGHTS_PATH_NO_TOP, "a268eb855778b3df3c7506639542a6af"
)
_TH = published(
    TH_WEIGHTS_PATH,
    "1c1f8f5b0c8ee28fe9d950625a230e1c",
    TH_WEIGHTS_PATH_NO_TOP,
    "f64f049c92468c9affcd44b0976cdafe",
    theano_kernels=True,
)

# stage -> (filters, letters of its blocks)
STAGES = {
    2: ((64, 64, 256), "abc"),
    3: ((128, 128, 512), "abcd"),
    4: ((256, 256, 1024), "abcdef"),
    5: ((512, 512, 2048), "abc"),
}


def _conv(x: Any, filters: int, size: Any, name: str, **more: Any) -> Any:
    start = "glorot_uniform" if in_keras_1() else "he_normal"
    return Conv2D(filters, size, kernel_initializer=start, name=name, **more)(x)


def _branch(x: Any, kernel_size: Any, filters: Sequence[int], place: str, strides: Any) -> Any:
    """Return three convolutions: to few channels, among these, and back."""
    x = _conv(x, filters[0], (1, 1), f"res{place}_branch2a", strides=strides)
    x = relu(normalized(x, f"bn{place}_branch2a"))
    x = _conv(x, filters[1], kernel_size, f"res{place}_branch2b", padding="same")
    x = relu(normalized(x, f"bn{place}_branch2b"))
    x = _conv(x, filters[2], (1, 1), f"res{place}_branch2c")
    return normalized(x, f"bn{place}_branch2c")


def identity_block(input_tensor: Any, kernel_size: Any, filters: Sequence[int], stage: int, block: str) -> Any:
    """Return ``input_tensor`` plus three convolutions of it.

    Args:
        input_tensor: pictures with ``filters[2]`` channels.
        kernel_size: of the middle convolution.
        filters: of the three convolutions.
        stage: number of the stage, for names.
        block: letter of the block in its stage, for names.
    """
    x = _branch(input_tensor, kernel_size, filters, f"{stage}{block}", (1, 1))
    return relu(summed([x, input_tensor]))


def conv_block(
    input_tensor: Any, kernel_size: Any, filters: Sequence[int], stage: int, block: str, strides: Any = (2, 2)
) -> Any:
    """Return three convolutions of ``input_tensor`` plus a fourth beside them, which brings it to their size.

    Args: as of :func:`identity_block`; any number of channels.
        strides: of the first convolution and of the one beside.
    """
    x = _branch(input_tensor, kernel_size, filters, f"{stage}{block}", strides)
    shortcut = _conv(input_tensor, filters[2], (1, 1), f"res{stage}{block}_branch1", strides=strides)
    return relu(summed([x, normalized(shortcut, f"bn{stage}{block}_branch1")]))


def ResNet50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return ResNet50: pictures of 224x224, at least 32x32 without the classifier; ``preprocess_input`` is Caffe's.

    At the API level 1.2 it ends without the classifier, too, with means over 7x7, and pictures have at least 197x197.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("ResNet50", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    old = in_keras_1()
    x = request.image(size=224, smallest=197 if old else 32)
    x = ZeroPadding2D((3, 3), name=None if old else "conv1_pad")(x)
    x = _conv(x, 64, (7, 7), "conv1", strides=(2, 2))
    x = relu(normalized(x, "bn_conv1"))
    if not old:
        x = ZeroPadding2D((1, 1), name="pool1_pad")(x)
    x = MaxPooling2D((3, 3), strides=(2, 2))(x)
    for stage, (filters, blocks) in STAGES.items():
        x = conv_block(x, 3, filters, stage, blocks[0], strides=(1, 1) if stage == 2 else (2, 2))
        for block in blocks[1:]:
            x = identity_block(x, 3, filters, stage, block)
    x = _old_head(request, x) if old else _head(request, x)
    return request.model(x, "resnet50", by_order(_TF, _TH))


def _head(request: Request, x: Any) -> Any:
    if not request.include_top and request.pooling is None:
        warn("[ResNet50] The output shape of `ResNet50(include_top=False)` has been changed since Keras 2.2.0.")
    return request.head(x, "fc1000")


def _old_head(request: Request, x: Any) -> Any:
    x = AveragePooling2D((7, 7), name="avg_pool")(x)
    if not request.include_top:
        return request.pooled(x)
    return Dense(request.classes, activation="softmax", name="fc1000")(Flatten()(x))

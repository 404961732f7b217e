"""DenseNets: each convolution sees all that came before it in its block (G. Huang et al., arXiv:1608.06993)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_compat.applications import imagenet_utils
from keras_compat.applications._parts import channels_of, joined, normalized, relu
from keras_compat.applications._request import Request
from keras_compat.applications._weights import Pretrained, published
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.layers import AveragePooling2D, Conv2D, MaxPooling2D, ZeroPadding2D
from keras_compat.models import Model

_RELEASE = "https://github.com/keras-team/keras-applications/releases/download/densenet/"
GROWTH = 32

# Convolutions of the four blocks -> the network's name, and the MD5 sums of its weights with classifier and without.
PUBLISHED: dict[tuple[int, ...], tuple[str, str, str]] = {
    (6, 12, 24, 16): ("densenet121", "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"),
    (6, 12, 32, 32): ("densenet169", "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"),
    (6, 12, 48, 32): ("densenet201", "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"),
}


def preprocess_input(x: Any, data_format: str | None = None, **submodules: Any) -> Any:
    """Return pictures less their means, divided by their deviations.

    See :func:`keras_compat.applications.imagenet_utils.preprocess_input`.
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="torch", **submodules)


def _active(x: Any, bn: str, name: str) -> Any:
    return relu(normalized(x, bn, epsilon=1.001e-5), name)


def _convolution(x: Any, name: str) -> Any:
    made = _active(x, f"{name}_0_bn", f"{name}_0_relu")
    made = Conv2D(4 * GROWTH, 1, use_bias=False, name=f"{name}_1_conv")(made)
    made = _active(made, f"{name}_1_bn", f"{name}_1_relu")
    made = Conv2D(GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv")(made)
    return joined([x, made], f"{name}_concat")


def _transition(x: Any, name: str) -> Any:
    """Return half as many channels, rows and columns."""
    x = _active(x, f"{name}_bn", f"{name}_relu")
    x = Conv2D(channels_of(x) // 2, 1, use_bias=False, name=f"{name}_conv")(x)
    return AveragePooling2D(2, strides=2, name=f"{name}_pool")(x)


def densenet(request: Request, blocks: Sequence[int]) -> Model:
    """Build a network with ``blocks[i]`` convolutions in its block ``i``."""
    x = request.image(size=224, smallest=32)
    x = ZeroPadding2D(((3, 3), (3, 3)))(x)
    x = Conv2D(64, 7, strides=2, use_bias=False, name="conv1/conv")(x)
    x = _active(x, "conv1/bn", "conv1/relu")
    x = ZeroPadding2D(((1, 1), (1, 1)))(x)
    x = MaxPooling2D(3, strides=2, name="pool1")(x)
    for i, depth in enumerate(blocks, start=2):
        if i > 2:
            x = _transition(x, f"pool{i - 1}")
        for k in range(1, depth + 1):
            x = _convolution(x, f"conv{i}_block{k}")
    x = request.head(_active(x, "bn", "relu"), "fc1000", named=True)
    if tuple(blocks) not in PUBLISHED:
        return request.model(x, "densenet", None)
    name, *hashes = PUBLISHED[tuple(blocks)]
    return request.model(x, name, _pretrained(name, *hashes))


def _pretrained(name: str, top: str, no_top: str) -> Pretrained:
    stem = f"{_RELEASE}{name}_weights_tf_dim_ordering_tf_kernels"
    return published(f"{stem}.h5", top, f"{stem}_notop.h5", no_top)


def DenseNet(
    blocks: Sequence[int],
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return a DenseNet with ``blocks[i]`` convolutions in its block ``i``; otherwise as :func:`DenseNet121`."""
    request = Request("DenseNet", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return densenet(request, blocks)


def DenseNet121(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return DenseNet121: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("DenseNet121", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return densenet(request, (6, 12, 24, 16))


def DenseNet169(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return DenseNet169: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("DenseNet169", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return densenet(request, (6, 12, 32, 32))


def DenseNet201(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return DenseNet201: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("DenseNet201", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return densenet(request, (6, 12, 48, 32))

"""MobileNetV2: blocks that widen, convolve depthwise and narrow again (M. Sandler et al., arXiv:1801.04381)."""

from __future__ import annotations

from typing import Any

from keras_compat import backend as K
from keras_compat.applications import imagenet_utils
from keras_compat.applications._parts import channels_of, normalized, stride_padding, summed
from keras_compat.applications._request import Request
from keras_compat.applications._shapes import rows_and_columns
from keras_compat.applications._weights import published
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.applications.mobilenet import size_of_weights, usual_size
from keras_compat.layers import Conv2D, DepthwiseConv2D, ReLU, ZeroPadding2D
from keras_compat.models import Model

BASE_WEIGHT_PATH = "https://github.com/JonathanCMitchell/mobilenet_v2_keras/releases/download/v1.1/"
# Sizes of pictures and widths that there are weights for.
SIZES = (96, 128, 160, 192, 224)
WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)

# Filters of each block and the strides of its depthwise convolution.
BLOCKS = (
    (16, 1),
    *((24, 2), (24, 1)),
    *((32, 2), (32, 1), (32, 1)),
    *((64, 2), (64, 1), (64, 1), (64, 1)),
    *((96, 1), (96, 1), (96, 1)),
    *((160, 2), (160, 1), (160, 1)),
    (320, 1),
)
# Channels in the middle of a block, in multiples of those that come in.
EXPANSION = 6


def preprocess_input(x: Any, data_format: str | None = None, **submodules: Any) -> Any:
    """Return pictures from -1 to 1; see :func:`keras_compat.applications.imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf", **submodules)


def multiple_of_8(filters: float) -> int:
    """Return the multiple of 8 nearest to a number of filters, at least 8 and not below nine tenths of it."""
    nearest = max(8, int(filters + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * filters else nearest


def _normalized(x: Any, name: str) -> Any:
    return normalized(x, name, epsilon=1e-3, momentum=0.999)


def _block(x: Any, number: int, filters: int, stride: int) -> Any:
    """Return a block; the first (number 0) does not widen. ``x`` is added where it has the size of what comes out."""
    start, channels = x, channels_of(x)
    name = f"block_{number}" if number else "expanded_conv"
    if number:
        x = Conv2D(EXPANSION * channels, 1, padding="same", use_bias=False, name=f"{name}_expand")(x)
        x = ReLU(6.0, name=f"{name}_expand_relu")(_normalized(x, f"{name}_expand_BN"))
    padding = "same"
    if stride == 2:
        padding = "valid"
        x = ZeroPadding2D(stride_padding(x, 3), name=f"{name}_pad")(x)
    x = DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False, name=f"{name}_depthwise")(x)
    x = ReLU(6.0, name=f"{name}_depthwise_relu")(_normalized(x, f"{name}_depthwise_BN"))
    x = Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_project")(x)
    x = _normalized(x, f"{name}_project_BN")
    if stride == 1 and channels == filters:
        return summed([start, x], f"{name}_add")
    return x


def _shape_of_input(request: Request) -> Any:
    """Return the shape of the pictures that come: of the tensor given, if no shape is."""
    tensor, shape = request.input_tensor, request.input_shape
    if tensor is None or not K.is_keras_tensor(tensor):
        return shape
    own = K.int_shape(tensor)[1:]
    if shape is None:
        return own
    if rows_and_columns(own)[1] != rows_and_columns(shape)[1]:
        raise ValueError(
            f"[MobileNetV2] input_shape: {tuple(shape)} and input_tensor: {tensor} do not meet the same shape "
            "requirements. Leave input_shape out."
        )
    return shape


def MobileNetV2(
    input_shape: Any = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return MobileNetV2: pictures of 224x224, at least 32x32 without the classifier.

    Args:
        alpha: width of the network: the filters of each layer are multiplied by it, but those of the last not by less
            than 1.

    The others, and the errors, are those of all networks: :class:`keras_compat.applications._request.Request`.
    """
    request = Request("MobileNetV2", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    if request.pretrained and alpha not in WIDTHS:
        raise ValueError(
            "[MobileNetV2] If imagenet weights are being loaded, alpha can be one of `0.35`, `0.50`, `0.75`, `1.0`, "
            f"`1.3` or `1.4` only; got {alpha}. Pass weights=None for others."
        )
    x = request.image(size=usual_size(_shape_of_input(request), SIZES), smallest=32)
    rows = size_of_weights(request, SIZES)
    x = ZeroPadding2D(stride_padding(x, 3), name="Conv1_pad")(x)
    x = Conv2D(multiple_of_8(32 * alpha), 3, strides=(2, 2), padding="valid", use_bias=False, name="Conv1")(x)
    x = ReLU(6.0, name="Conv1_relu")(_normalized(x, "bn_Conv1"))
    for number, (filters, stride) in enumerate(BLOCKS):
        x = _block(x, number, multiple_of_8(int(filters * alpha)), stride)
    x = Conv2D(multiple_of_8(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1")(x)
    x = ReLU(6.0, name="out_relu")(_normalized(x, "Conv_1_bn"))
    x = request.head(x, "Logits", average=None)
    stem = f"{BASE_WEIGHT_PATH}mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{rows}"
    pretrained = published(f"{stem}.h5", None, f"{stem}_no_top.h5", None)
    return request.model(x, f"mobilenetv2_{alpha:0.2f}_{rows}", pretrained)

"""NASNets: networks of two cells that a search found (B. Zoph et al., arXiv:1707.07012)."""

from __future__ import annotations

from typing import Any

from keras_compat import backend as K
from keras_compat.applications import imagenet_utils
from keras_compat.applications._parts import (
    channels_last_only,
    channels_of,
    joined,
    normalized,
    relu,
    stride_padding,
    summed,
)
from keras_compat.applications._request import Request
from keras_compat.applications._weights import Pretrained, PublishedFile
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.layers import (
    Activation,
    AveragePooling2D,
    Conv2D,
    Cropping2D,
    MaxPooling2D,
    SeparableConv2D,
    ZeroPadding2D,
)
from keras_compat.models import Model

_RELEASE = "https://github.com/titu1994/Keras-NASNet/releases/download/v1.2/"
NASNET_MOBILE_WEIGHT_PATH = _RELEASE + "NASNet-mobile.h5"
NASNET_MOBILE_WEIGHT_PATH_NO_TOP = _RELEASE + "NASNet-mobile-no-top.h5"
NASNET_LARGE_WEIGHT_PATH = _RELEASE + "NASNet-large.h5"
NASNET_LARGE_WEIGHT_PATH_NO_TOP = _RELEASE + "NASNet-large-no-top.h5"

# The usual size of pictures -> its weights. In the cache they have names of their own.
PRETRAINED = {
    224: Pretrained(
        PublishedFile("nasnet_mobile.h5", NASNET_MOBILE_WEIGHT_PATH, "020fb642bf7360b370c678b08e0adf61"),
        PublishedFile("nasnet_mobile_no_top.h5", NASNET_MOBILE_WEIGHT_PATH_NO_TOP, "1ed92395b5b598bdda52abe5c0dbfd63"),
    ),
    331: Pretrained(
        PublishedFile("nasnet_large.h5", NASNET_LARGE_WEIGHT_PATH, "11577c9a518f0070763c2b964a382f17"),
        PublishedFile("nasnet_large_no_top.h5", NASNET_LARGE_WEIGHT_PATH_NO_TOP, "d81d89dc07e6e56530c4e77faddd61b5"),
    ),
}


def preprocess_input(x: Any, data_format: str | None = None, **submodules: Any) -> Any:
    """Return pictures from -1 to 1; see :func:`keras_compat.applications.imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf", **submodules)


def _normalized(x: Any, name: str) -> Any:
    return normalized(x, name, momentum=0.9997, epsilon=1e-3)


def _conv(x: Any, filters: int, name: str, size: int = 1, **more: Any) -> Any:
    settings: dict[str, Any] = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"} | more
    return Conv2D(filters, (size, size), name=name, **settings)(x)


def _separable(x: Any, filters: int, name: str, size: int, stride: int = 1) -> Any:
    """Return two separable convolutions, each after relu and normalised; the first has the stride."""
    both = (size, size)
    x = Activation("relu")(x)
    padding = "same"
    if stride > 1:
        padding = "valid"
        x = ZeroPadding2D(stride_padding(x, size), name=f"separable_conv_1_pad_{name}")(x)
    first = f"separable_conv_1_{name}"
    x = SeparableConv2D(filters, both, strides=(stride, stride), padding=padding, name=first, use_bias=False)(x)
    x = relu(_normalized(x, f"separable_conv_1_bn_{name}"))
    x = SeparableConv2D(filters, both, padding="same", name=f"separable_conv_2_{name}", use_bias=False)(x)
    return _normalized(x, f"separable_conv_2_bn_{name}")


def _adjusted(p: Any, x: Any, filters: int, name: str) -> Any:
    """Return ``p``, what went into the cell before, with the size of ``x``, and ``filters`` channels."""
    if p is None:
        return x
    if K.int_shape(p)[-2] != K.int_shape(x)[-2]:
        # Every second row and column, and the others, a half of the channels from each.
        p = relu(p, f"adjust_relu_1_{name}")
        one = AveragePooling2D((1, 1), strides=(2, 2), padding="valid", name=f"adjust_avg_pool_1_{name}")(p)
        one = _conv(one, filters // 2, f"adjust_conv_1_{name}")
        two = Cropping2D(((1, 0), (1, 0)))(ZeroPadding2D(((0, 1), (0, 1)))(p))
        two = AveragePooling2D((1, 1), strides=(2, 2), padding="valid", name=f"adjust_avg_pool_2_{name}")(two)
        two = _conv(two, filters // 2, f"adjust_conv_2_{name}")
        return _normalized(joined([one, two]), f"adjust_bn_{name}")
    if channels_of(p) != filters:
        p = _conv(relu(p), filters, f"adjust_conv_projection_{name}")
        return _normalized(p, f"adjust_bn_{name}")
    return p


def _narrowed(x: Any, filters: int, kind: str, name: str) -> Any:
    return _normalized(_conv(relu(x), filters, f"{kind}_conv_1_{name}"), f"{kind}_bn_1_{name}")


def _mean(x: Any, name: str) -> Any:
    return AveragePooling2D((3, 3), strides=(1, 1), padding="same", name=name)(x)


def _normal_cell(x: Any, p: Any, filters: int, name: str) -> Any:
    """Return pictures of the same size, with six times ``filters`` channels."""
    p = _adjusted(p, x, filters, name)
    h = _narrowed(x, filters, "normal", name)
    one = [
        _separable(h, filters, f"normal_left1_{name}", 5),
        _separable(p, filters, f"normal_right1_{name}", 3),
    ]
    parts = [p, summed(one, f"normal_add_1_{name}")]
    two = [
        _separable(p, filters, f"normal_left2_{name}", 5),
        _separable(p, filters, f"normal_right2_{name}", 3),
    ]
    parts.append(summed(two, f"normal_add_2_{name}"))
    parts.append(summed([_mean(h, f"normal_left3_{name}"), p], f"normal_add_3_{name}"))
    four = [_mean(p, f"normal_left4_{name}"), _mean(p, f"normal_right4_{name}")]
    parts.append(summed(four, f"normal_add_4_{name}"))
    five = _separable(h, filters, f"normal_left5_{name}", 3)
    parts.append(summed([five, h], f"normal_add_5_{name}"))
    return joined(parts, f"normal_concat_{name}")


def _reduction_cell(x: Any, p: Any, filters: int, name: str) -> Any:
    """Return pictures of half the size, with four times ``filters`` channels."""
    p = _adjusted(p, x, filters, name)
    h = _narrowed(x, filters, "reduction", name)
    padded = ZeroPadding2D(stride_padding(h, 3), name=f"reduction_pad_1_{name}")(h)

    def pooled(pooling: type, place: str) -> Any:
        return pooling((3, 3), strides=(2, 2), padding="valid", name=f"reduction_{place}_{name}")(padded)

    one = [
        _separable(h, filters, f"reduction_left1_{name}", 5, stride=2),
        _separable(p, filters, f"reduction_right1_{name}", 7, stride=2),
    ]
    first = summed(one, f"reduction_add_1_{name}")
    two = [pooled(MaxPooling2D, "left2"), _separable(p, filters, f"reduction_right2_{name}", 7, stride=2)]
    second = summed(two, f"reduction_add_2_{name}")
    three = [pooled(AveragePooling2D, "left3"), _separable(p, filters, f"reduction_right3_{name}", 5, stride=2)]
    third = summed(three, f"reduction_add3_{name}")
    fourth = summed([second, _mean(first, f"reduction_left4_{name}")])
    five = [_separable(first, filters, f"reduction_left4_{name}", 3), pooled(MaxPooling2D, "right5")]
    fifth = summed(five, f"reduction_add4_{name}")
    return joined([second, third, fourth, fifth], f"reduction_concat_{name}")


def NASNet(
    input_shape: Any = None,
    penultimate_filters: int = 4032,
    num_blocks: int = 6,
    stem_block_filters: int = 96,
    skip_reduction: bool = True,
    filter_multiplier: int = 2,
    include_top: bool = True,
    weights: Any = None,
    input_tensor: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    default_size: int | None = None,
    **submodules: Any,
) -> Model:
    """Return a NASNet, for channels last only, whatever is set. Pictures have a known size, at least 32x32.

    Args:
        penultimate_filters: channels before the classifier; a multiple of ``24 * filter_multiplier ** 2``.
        num_blocks: normal cells of each size.
        stem_block_filters: of the first convolution.
        skip_reduction: whether the cell after a reduction sees, beside it, what came two cells before, not what went
            into the reduction.
        filter_multiplier: by how much a reduction widens.
        default_size: usual rows and columns; 331 if None.

    The others, and the errors, are those of all networks: :class:`keras_compat.applications._request.Request`.
    """
    request = Request("NASNet", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return _nasnet(
        request, penultimate_filters, num_blocks, stem_block_filters, skip_reduction, filter_multiplier, default_size
    )


def _nasnet(
    request: Request,
    penultimate_filters: int,
    num_blocks: int,
    stem_block_filters: int,
    skip_reduction: bool,
    multiplier: int,
    default_size: int | None,
) -> Model:
    size = 331 if default_size is None else default_size
    if request.pretrained and request.input_shape is not None and None in request.input_shape:
        raise ValueError(
            f"[{request.network}] When specifying the input shape of a NASNet and loading `ImageNet` weights, the "
            "input_shape argument must be static (no None entries). Got: "
            f"`input_shape={tuple(request.input_shape)}`. Write numbers in place of None."
        )
    if penultimate_filters % (24 * multiplier**2):
        raise ValueError(
            f"[{request.network}] For NASNet-A models, the `penultimate_filters` must be a multiple of 24 * "
            f"(`filter_multiplier` ** 2). Current value: {penultimate_filters}. Nearest below: "
            f"{penultimate_filters // (24 * multiplier**2) * 24 * multiplier**2}."
        )
    filters = penultimate_filters // 24
    with channels_last_only(request.network):
        image = request.image(size=size, smallest=32, flat=True)
        x = _conv(image, stem_block_filters, "stem_conv1", 3, strides=(2, 2), padding="valid")
        x, p = _normalized(x, "stem_bn1"), None
        x, p = _reduction_cell(x, p, filters // multiplier**2, "stem_1"), x
        x, p = _reduction_cell(x, p, filters // multiplier, "stem_2"), x
        for stage in range(3):
            if stage:
                width = filters * multiplier**stage
                made = _reduction_cell(x, p, width, f"reduce_{stage * num_blocks}")
                x, p = made, p if skip_reduction else x
            for i in range(num_blocks):
                number = stage * num_blocks + i + (1 if stage else 0)
                x, p = _normal_cell(x, p, filters * multiplier**stage, str(number)), x
        x = request.head(Activation("relu")(x), "predictions", average=None)
        return request.model(x, "NASNet", PRETRAINED.get(size))


def NASNetLarge(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return the large NASNet: pictures of 331x331. Otherwise as :func:`NASNet`."""
    request = Request("NASNetLarge", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return _nasnet(request, 4032, 6, 96, skip_reduction=True, multiplier=2, default_size=331)


def NASNetMobile(
    input_shape: Any = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return the NASNet for mobile phones: pictures of 224x224. Otherwise as :func:`NASNet`."""
    request = Request("NASNetMobile", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return _nasnet(request, 1056, 4, 32, skip_reduction=False, multiplier=2, default_size=224)

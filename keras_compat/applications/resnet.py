"""ResNet50, ResNet101 and ResNet152 (K. He et al., arXiv:1512.03385), with the names of layers that they share."""

from __future__ import annotations

from typing import Any

from keras_compat.applications._request import Request
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.applications.imagenet_utils import preprocess_input as preprocess_input
from keras_compat.applications.resnet_common import V1, resnet
from keras_compat.models import Model


def ResNet50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return ResNet50: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("ResNet50", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return resnet(request, "resnet50", V1, depths=(3, 4, 6, 3))


def ResNet101(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return ResNet101: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("ResNet101", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return resnet(request, "resnet101", V1, depths=(3, 4, 23, 3))


def ResNet152(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return ResNet152: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("ResNet152", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return resnet(request, "resnet152", V1, depths=(3, 8, 36, 3))

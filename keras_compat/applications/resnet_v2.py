"""ResNet50V2, ResNet101V2 and ResNet152V2: residual networks that normalise first (K. He et al., arXiv:1603.05027)."""

from __future__ import annotations

from typing import Any

from keras_compat.applications import imagenet_utils
from keras_compat.applications._request import Request
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.applications.resnet_common import V2, resnet
from keras_compat.models import Model


def preprocess_input(x: Any, data_format: str | None = None, **submodules: Any) -> Any:
    """Return pictures from -1 to 1; see :func:`keras_compat.applications.imagenet_utils.preprocess_input`."""
    return imagenet_utils.preprocess_input(x, data_format, mode="tf", **submodules)


def ResNet50V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return ResNet50V2: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("ResNet50V2", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return resnet(request, "resnet50v2", V2, depths=(3, 4, 6, 3))


def ResNet101V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return ResNet101V2: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("ResNet101V2", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return resnet(request, "resnet101v2", V2, depths=(3, 4, 23, 3))


def ResNet152V2(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return ResNet152V2: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("ResNet152V2", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return resnet(request, "resnet152v2", V2, depths=(3, 8, 36, 3))

"""ResNeXt50 and ResNeXt101: residual networks with convolutions in 32 groups (S. Xie et al., arXiv:1611.05431)."""

from __future__ import annotations

from typing import Any

from keras_compat.applications import imagenet_utils
from keras_compat.applications._request import Request
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.applications.resnet_common import NEXT, resnet
from keras_compat.models import Model


def preprocess_input(x: Any, data_format: str | None = None, **submodules: Any) -> Any:
    """Return pictures less their means, divided by their deviations.

    See :func:`keras_compat.applications.imagenet_utils.preprocess_input`.
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="torch", **submodules)


def ResNeXt50(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return ResNeXt50: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("ResNeXt50", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return resnet(request, "resnext50", NEXT, depths=(3, 4, 6, 3))


def ResNeXt101(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return ResNeXt101: pictures of 224x224, at least 32x32 without the classifier.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("ResNeXt101", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return resnet(request, "resnext101", NEXT, depths=(3, 4, 23, 3))

"""VGG16: 16 layers with weights, all convolutions 3x3 (K. Simonyan, A. Zisserman, arXiv:1409.1556)."""

from __future__ import annotations

from typing import Any

from keras_compat.applications._request import Request
from keras_compat.applications._vgg import vgg
from keras_compat.applications._weights import by_order, published
from keras_compat.applications.imagenet_utils import decode_predictions as decode_predictions
from keras_compat.applications.imagenet_utils import preprocess_input as preprocess_input
from keras_compat.models import Model

_RELEASE = "https://github.com/fchollet/deep-learning-models/releases/download/v0.1/"
WEIGHTS_PATH = TF_WEIGHTS_PATH = _RELEASE + "vgg16_weights_tf_dim_ordering_tf_kernels.h5"
WEIGHTS_PATH_NO_TOP = TF_WEIGHTS_PATH_NO_TOP = _RELEASE + "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
TH_WEIGHTS_PATH = _RELEASE + "vgg16_weights_th_dim_ordering_th_kernels.h5"
TH_WEIGHTS_PATH_NO_TOP = _RELEASE + "vgg16_weights_th_dim_ordering_th_kernels_notop.h5"

_TF = published(
    TF_WEIGHTS_PATH, "64373286793e3c8b2b4e3219cbf3544b", TF_WEIGHTS_PATH_NO_TOP, "6d6bbae143d832006294945121d1f1fc"
)
_TH = published(TH_WEIGHTS_PATH, None, TH_WEIGHTS_PATH_NO_TOP, None, theano_kernels=True)


def VGG16(
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Any = None,
    pooling: Any = None,
    classes: int = 1000,
    **submodules: Any,
) -> Model:
    """Return VGG16: pictures of 224x224, at least 32x32 without the classifier; ``preprocess_input`` is Caffe's.

    See :class:`keras_compat.applications._request.Request` for the arguments and errors of all networks.
    """
    request = Request("VGG16", include_top, weights, input_tensor, input_shape, pooling, classes, submodules)
    return vgg(request, "vgg16", depths=(2, 2, 3, 3, 3), pretrained=by_order(_TF, _TH))

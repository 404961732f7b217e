"""Networks for pictures, as published with weights trained on ImageNet: a module for each, with its function.

Every module has ``preprocess_input``, which makes of pictures what the network expects, and ``decode_predictions``,
which names the classes that it scores highest. Weights come from a local file, the Keras folder, or from where Keras
keeps them.

What all networks take:

Args:
    include_top: whether the network ends with its classifier.
    weights: None for random ones, ``'imagenet'``, or the path of a file.
    input_tensor: a tensor to build on, or None.
    input_shape: of a picture, without the batch; None for the usual one.
    pooling: None, ``'avg'`` or ``'max'`` over rows and columns, if there is no classifier.
    classes: of the classifier; 1000 with the published weights.

Raises:
    ValueError: weights, classes, shape or pooling that can not be.
    OSError: published weights that are neither in the Keras folder nor to be had.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import backend, layers, models, utils
from . import densenet as densenet
from . import imagenet_utils as imagenet_utils
from . import inception_resnet_v2 as inception_resnet_v2
from . import inception_v3 as inception_v3
from . import mobilenet as mobilenet
from . import mobilenet_v2 as mobilenet_v2
from . import mobilenetv2 as mobilenetv2
from . import nasnet as nasnet
from . import resnet as resnet
from . import resnet50 as resnet50
from . import resnet_v2 as resnet_v2
from . import resnext as resnext
from . import vgg16 as vgg16
from . import vgg19 as vgg19
from . import xception as xception
from .densenet import DenseNet121 as DenseNet121
from .densenet import DenseNet169 as DenseNet169
from .densenet import DenseNet201 as DenseNet201
from .inception_resnet_v2 import InceptionResNetV2 as InceptionResNetV2
from .inception_v3 import InceptionV3 as InceptionV3
from .mobilenet import MobileNet as MobileNet
from .mobilenet_v2 import MobileNetV2 as MobileNetV2
from .nasnet import NASNetLarge as NASNetLarge
from .nasnet import NASNetMobile as NASNetMobile
from .resnet import ResNet101 as ResNet101
from .resnet import ResNet152 as ResNet152
from .resnet50 import ResNet50 as ResNet50
from .resnet_v2 import ResNet50V2 as ResNet50V2
from .resnet_v2 import ResNet101V2 as ResNet101V2
from .resnet_v2 import ResNet152V2 as ResNet152V2
from .vgg16 import VGG16 as VGG16
from .vgg19 import VGG19 as VGG19
from .xception import Xception as Xception


def keras_modules_injection(base_fun: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of ``keras_applications`` that builds with this package: it gets backend, layers and so on."""
    parts = {"backend": backend, "layers": layers, "models": models, "utils": utils}

    @functools.wraps(base_fun)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return base_fun(*args, **{**kwargs, **parts})

    return wrapper

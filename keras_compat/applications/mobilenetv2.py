"""MobileNetV2 under the module path of Keras 2.2."""

from keras_compat.applications.mobilenet_v2 import MobileNetV2 as MobileNetV2
from keras_compat.applications.mobilenet_v2 import decode_predictions as decode_predictions
from keras_compat.applications.mobilenet_v2 import preprocess_input as preprocess_input

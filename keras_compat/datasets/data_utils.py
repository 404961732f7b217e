"""Where Keras 0.x had `get_file` first; 0.3 still answered there."""

from keras_compat.utils.data_utils import get_file as get_file

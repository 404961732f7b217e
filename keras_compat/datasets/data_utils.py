"""Where Keras 0.x had ``get_file``; see :mod:`keras_compat.utils.data_utils`."""

from keras_compat.utils.data_utils import Progbar as Progbar
from keras_compat.utils.data_utils import get_file as get_file

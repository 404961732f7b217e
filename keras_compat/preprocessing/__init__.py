"""Data brought into the form that networks take: pictures, texts and sequences."""

from keras_compat import backend as backend
from keras_compat import utils as utils
from keras_compat.preprocessing import image as image
from keras_compat.preprocessing import sequence as sequence
from keras_compat.preprocessing import text as text

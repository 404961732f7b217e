"""Helpers around models: labels, files, printing."""

from . import data_utils as data_utils
from . import np_utils as np_utils
from .data_utils import get_file as get_file
from .np_utils import normalize as normalize
from .np_utils import to_categorical as to_categorical

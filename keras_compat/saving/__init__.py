"""Models and weights in files."""

from keras_compat.saving.errors import CorruptFileError as CorruptFileError
from keras_compat.saving.errors import UnsafeModelError as UnsafeModelError

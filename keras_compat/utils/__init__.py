"""Helpers around models: labels, files, drawings, printing."""

from . import data_utils as data_utils
from . import generic_utils as generic_utils
from . import io_utils as io_utils
from . import np_utils as np_utils
from .data_utils import GeneratorEnqueuer as GeneratorEnqueuer
from .data_utils import OrderedEnqueuer as OrderedEnqueuer
from .data_utils import Sequence as Sequence
from .data_utils import get_file as get_file
from .generic_utils import CustomObjectScope as CustomObjectScope
from .generic_utils import Progbar as Progbar
from .generic_utils import custom_object_scope as custom_object_scope
from .generic_utils import deserialize_keras_object as deserialize_keras_object
from .generic_utils import get_custom_objects as get_custom_objects
from .generic_utils import serialize_keras_object as serialize_keras_object
from .io_utils import H5Dict as H5Dict
from .io_utils import HDF5Matrix as HDF5Matrix
from .io_utils import h5dict as h5dict
from .np_utils import normalize as normalize
from .np_utils import set_random_seed as set_random_seed
from .np_utils import to_categorical as to_categorical

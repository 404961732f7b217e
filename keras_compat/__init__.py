"""Keras as people wrote it from 0.x to 2.x, on top of autotensor.

Change ``keras`` to ``keras_compat`` in the imports of a script, and it runs.
"""

from autotensor import register_library

from . import activations as activations
from . import applications as applications
from . import backend as backend
from . import callbacks as callbacks
from . import constraints as constraints
from . import engine as engine
from . import initializers as initializers
from . import layers as layers
from . import losses as losses
from . import metrics as metrics
from . import models as models
from . import optimizers as optimizers
from . import preprocessing as preprocessing
from . import regularizers as regularizers
from . import utils as utils
from .dialect import legacy_convolutions, legacy_layers, legacy_methods, legacy_models
from .dialect.install import install_all
from .dialect.level import api_level as api_level
from .dialect.level import get_api_level as get_api_level
from .dialect.level import set_api_level as set_api_level
from .layers import Input as Input
from .models import Model as Model
from .models import Sequential as Sequential
from .version import KERAS_VERSION

# Programs ask for the version of Keras, not of this package.
__version__ = KERAS_VERSION

# Errors name the user's line, not ours.
register_library("keras_compat")

legacy_layers.place(__name__)
legacy_models.place(__name__)
legacy_methods.place(__name__)
legacy_convolutions.place(__name__)
# It needs the layers that were just placed.
from . import _old_paths  # noqa: E402

_old_paths.place()
install_all()

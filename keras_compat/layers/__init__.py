"""Every layer, by name."""

from keras_compat.engine.input_layer import Input as Input
from keras_compat.engine.input_layer import InputLayer as InputLayer
from keras_compat.engine.layer import InputSpec as InputSpec
from keras_compat.engine.layer import Layer as Layer
from keras_compat.engine.registry import deserialize as deserialize
from keras_compat.engine.registry import register as register
from keras_compat.engine.registry import serialize as serialize

from . import core as core
from .core import Activation as Activation
from .core import ActivityRegularization as ActivityRegularization
from .core import Dense as Dense
from .core import Dropout as Dropout
from .core import Flatten as Flatten
from .core import Lambda as Lambda
from .core import Masking as Masking
from .core import Permute as Permute
from .core import RepeatVector as RepeatVector
from .core import Reshape as Reshape

register(InputLayer)

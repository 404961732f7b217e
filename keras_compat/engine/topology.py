"""The engine's module path from Keras 1.0 to 2.1: layers, what joins them, and helpers around graphs."""

from keras_compat.engine import saving as saving
from keras_compat.engine.base_layer import InputSpec as InputSpec
from keras_compat.engine.base_layer import Layer as Layer
from keras_compat.engine.base_layer import Node as Node
from keras_compat.engine.input_layer import Input as Input
from keras_compat.engine.input_layer import InputLayer as InputLayer
from keras_compat.engine.network import Network as Network
from keras_compat.engine.network import get_source_inputs as get_source_inputs
from keras_compat.engine.saving import load_weights_from_hdf5_group as load_weights_from_hdf5_group
from keras_compat.engine.saving import load_weights_from_hdf5_group_by_name as load_weights_from_hdf5_group_by_name
from keras_compat.engine.saving import preprocess_weights_for_loading as preprocess_weights_for_loading
from keras_compat.engine.saving import save_weights_to_hdf5_group as save_weights_to_hdf5_group
from keras_compat.engine.training import Model as Model
from keras_compat.layers import Merge as Merge  # type: ignore[attr-defined]
from keras_compat.layers import merge as merge
from keras_compat.utils.generic_utils import func_dump as func_dump
from keras_compat.utils.generic_utils import func_load as func_load
from keras_compat.utils.generic_utils import object_list_uid as object_list_uid
from keras_compat.utils.generic_utils import to_list as to_list
from keras_compat.utils.io_utils import ask_to_proceed_with_overwrite as ask_to_proceed_with_overwrite

# What a Keras 1 program means by it: a network of layers.
Container = Model

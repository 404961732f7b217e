"""Module paths of older releases, and names that other modules offered there.

Read last, when all layers exist: then `import keras_compat as keras; keras.objectives` needs no import of its own.
"""

from types import ModuleType

from keras_compat import backend, engine, layers, metrics, utils
from keras_compat import datasets as datasets
from keras_compat import initializations as initializations
from keras_compat import legacy as legacy
from keras_compat import objectives as objectives
from keras_compat.callbacks import callbacks as callbacks
from keras_compat import preprocessing as preprocessing
from keras_compat import wrappers as wrappers
from keras_compat.engine import base_layer as base_layer
from keras_compat.engine import saving as saving
from keras_compat.engine import topology as topology
from keras_compat.engine import training
from keras_compat.engine import training_utils as training_utils
from keras_compat.layers import recurrent
from keras_compat.utils import conv_utils as conv_utils
from keras_compat.utils import generic_utils, layer_utils, vis_utils
from keras_compat.utils import losses_utils as losses_utils
from keras_compat.utils import metrics_utils as metrics_utils
from keras_compat.utils import test_utils as test_utils
from keras_compat.utils import visualize_util as visualize_util

_NAMES: dict[ModuleType, dict[ModuleType, tuple[str, ...]]] = {
    layers: {recurrent: ("time_distributed_dense",), generic_utils: ("deserialize_keras_object",)},
    metrics: {layers: ("Layer",)},
    conv_utils: {backend: ("normalize_data_format",)},
    engine: {topology: ("Container", "Merge", "get_source_inputs", "merge")},
    utils: {
        layer_utils: ("convert_all_kernels_in_model", "get_source_inputs", "print_summary"),
        vis_utils: ("model_to_dot", "plot_model"),
    },
}

# Keras 2.0 and 2.1 had these in `engine.training` under a leading underscore.
_ONCE_PRIVATE = (
    "batch_shuffle",
    "check_array_lengths",
    "check_loss_and_target_compatibility",
    "collect_metrics",
    "make_batches",
    "slice_arrays",
    "standardize_class_weights",
    "standardize_input_data",
    "standardize_sample_or_class_weights",
    "standardize_sample_weights",
    "standardize_weights",
    "weighted_masked_objective",
)


def place() -> None:
    """Put the names where programs look for them."""
    for name in _ONCE_PRIVATE:
        setattr(training, f"_{name}", getattr(training, name))
    for package, by_module in _NAMES.items():
        for module, names in by_module.items():
            for name in names:
                setattr(package, name, getattr(module, name))

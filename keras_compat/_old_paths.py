"""Module paths of older releases, and names that other modules offered there.

Read last, when all layers exist: then `import keras_compat as keras; keras.objectives` needs no import of its own.
"""

import sys
from types import ModuleType

from keras_compat import backend, engine, layers, metrics, utils
from keras_compat import datasets as datasets
from keras_compat import initializations as initializations
from keras_compat import legacy as legacy
from keras_compat import objectives as objectives
from keras_compat import wrappers as wrappers
from keras_compat.callbacks import callbacks as callbacks
from keras_compat.engine import base_layer as base_layer
from keras_compat.engine import saving as saving
from keras_compat.engine import topology as topology
from keras_compat.engine import training
from keras_compat.engine import training_utils as training_utils
from keras_compat.layers import recurrent
from keras_compat.utils import conv_utils as conv_utils
from keras_compat.utils import generic_utils, layer_utils, multi_gpu_utils, vis_utils
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
        multi_gpu_utils: ("multi_gpu_model",),
        vis_utils: ("model_to_dot", "plot_model"),
    },
}

# What modules of genuine Keras had imported for themselves: programs took it from there, too.
# {module: {module it comes from: names}}, all below this package, "" for its own modules.
_IN_PASSING: dict[str, dict[str, str]] = {
    "activations": {"layers": "Layer", "utils.generic_utils": "get_from_module"},
    "applications.resnet_v2": {"applications": "resnet_v2"},
    "callbacks": {"utils.generic_utils": "Progbar"},
    "callbacks.callbacks": {"engine.training_utils": "standardize_input_data", "utils.generic_utils": "Progbar"},
    "constraints": {"utils.generic_utils": "get_from_module"},
    "datasets.boston_housing": {"utils.data_utils": "get_file"},
    "datasets.cifar10": {"datasets.cifar": "load_batch", "utils.data_utils": "get_file"},
    "datasets.cifar100": {"datasets.cifar": "load_batch", "utils.data_utils": "get_file"},
    "datasets.fashion_mnist": {"utils.data_utils": "get_file"},
    "datasets.imdb": {"utils.data_utils": "get_file"},
    "datasets.mnist": {"utils.data_utils": "get_file"},
    "datasets.reuters": {"utils.data_utils": "get_file"},
    "engine.base_layer": {
        "": "initializers",
        "utils.generic_utils": "has_arg is_all_none object_list_uid to_list unpack_singleton",
        "utils.layer_utils": "count_params",
    },
    "engine.input_layer": {"utils.generic_utils": "unpack_singleton"},
    "engine.network": {
        "engine": "saving",
        "utils.generic_utils": "object_list_uid",
        "utils.io_utils": "ask_to_proceed_with_overwrite",
    },
    "engine.saving": {
        "": "losses optimizers",
        "utils": "conv_utils",
        "utils.io_utils": "H5Dict ask_to_proceed_with_overwrite load_from_binary_h5py save_to_binary_h5py",
    },
    "engine.sequential": {"engine": "network"},
    "engine.topology": {"": "initializations"},
    "engine.training": {"": "losses objectives", "engine": "training_utils", "utils": "losses_utils"},
    "engine.training_utils": {"": "losses", "utils": "generic_utils losses_utils"},
    "layers": {
        "": "activations constraints initializations regularizers",
        "utils.generic_utils": "func_dump func_load get_from_module",
        "utils.np_utils": "conv_input_length conv_output_length",
    },
    "layers.advanced_activations": {"": "initializations", "utils.generic_utils": "to_list"},
    "layers.convolutional": {"": "initializations", "utils.np_utils": "conv_input_length"},
    "layers.convolutional_recurrent": {
        "": "initializations",
        "layers": "Layer",
        "utils": "conv_utils",
        "utils.generic_utils": "to_list",
    },
    "layers.core": {
        "": "initializations",
        "utils.generic_utils": "deserialize_keras_object func_dump func_load get_from_module",
    },
    "layers.cudnn_recurrent": {"layers": "RNN"},
    "layers.embeddings": {"": "initializations"},
    "layers.local": {"": "initializations"},
    "layers.normalization": {"": "initializations"},
    "layers.recurrent": {"": "initializations", "engine.base_layer": "disable_tracking"},
    "layers.wrappers": {"engine.base_layer": "disable_tracking", "layers": "recurrent"},
    "legacy.layers": {
        "": "activations constraints initializers regularizers",
        "layers": "InputSpec Layer",
        "utils": "conv_utils",
        "utils.generic_utils": "to_list",
    },
    "losses": {"utils": "losses_utils"},
    "models": {"": "optimizers"},
    "regularizers": {"utils.generic_utils": "get_from_module"},
    "utils.layer_utils": {"utils.conv_utils": "convert_kernel"},
    "utils.visualize_util": {"layers": "Wrapper", "models": "Sequential"},
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
    root = __name__.partition(".")[0]
    for to, by_name in _IN_PASSING.items():
        for come_from, listed in by_name.items():
            source = sys.modules[f"{root}.{come_from}".rstrip(".")]
            for name in listed.split():
                setattr(sys.modules[f"{root}.{to}"], name, getattr(source, name))

"""The two vocabularies of Keras as data: what 0.x and 1.x said, and Keras 2.3's word for it. No code here.

A callable is named `"module:qualified name"` below `keras_compat`, by its Keras 2 name: `"layers:Conv2D"`,
`"models:Model.fit"`, `"backend:conv2d"`. Adding a row is enough: `spec.py` puts the rows of one callable
together, `translate.py` applies them, `install.py` finds what exists. A row for something that does not exist
yet waits for it. A word that the target itself takes as a parameter is never translated
(`Embedding(output_dim=)`).

Sources: the signatures of Keras 0.3.3, 1.2.2, 2.2.4 and 2.3.1, and what 2.3.1's own legacy support does.
"""

# --- class and module aliases ----------------------------------------------------------------------------------------

# Old name -> Keras 2 name, the very same object. Classes whose positional order or defaults are their own
# (AtrousConvolution2D, MaxoutDense, Merge, ...) are not aliases: they are classes of the legacy layers.
ALIASES: dict[str, dict[str, str]] = {
    "layers": {
        "Convolution1D": "Conv1D",
        "Convolution2D": "Conv2D",
        "Convolution3D": "Conv3D",
        "Deconvolution2D": "Conv2DTranspose",
        "Deconv2D": "Conv2DTranspose",
        "Convolution2DTranspose": "Conv2DTranspose",
        "Deconvolution3D": "Conv3DTranspose",
        "Deconv3D": "Conv3DTranspose",
        "SeparableConvolution1D": "SeparableConv1D",
        "SeparableConvolution2D": "SeparableConv2D",
        "AtrousConv1D": "AtrousConvolution1D",
        "AtrousConv2D": "AtrousConvolution2D",
        "AvgPool1D": "AveragePooling1D",
        "AvgPool2D": "AveragePooling2D",
        "AvgPool3D": "AveragePooling3D",
        "MaxPool1D": "MaxPooling1D",
        "MaxPool2D": "MaxPooling2D",
        "MaxPool3D": "MaxPooling3D",
        "GlobalAvgPool1D": "GlobalAveragePooling1D",
        "GlobalAvgPool2D": "GlobalAveragePooling2D",
        "GlobalAvgPool3D": "GlobalAveragePooling3D",
        "GlobalMaxPool1D": "GlobalMaxPooling1D",
        "GlobalMaxPool2D": "GlobalMaxPooling2D",
        "GlobalMaxPool3D": "GlobalMaxPooling3D",
        "MaskedLambda": "Lambda",
    },
    "regularizers": {
        "l1l2": "l1_l2",
        "activity_l1": "l1",
        "activity_l2": "l2",
        "activity_l1l2": "l1_l2",
        "L1L2Regularizer": "L1L2",
        "WeightRegularizer": "L1L2",
        "ActivityRegularizer": "L1L2",
        "identity": "Regularizer",
    },
    "constraints": {
        "maxnorm": "MaxNorm",
        "max_norm": "MaxNorm",
        "nonneg": "NonNeg",
        "non_neg": "NonNeg",
        "unitnorm": "UnitNorm",
        "unit_norm": "UnitNorm",
        "min_max_norm": "MinMaxNorm",
        "identity": "Constraint",
    },
    "optimizers": {
        "sgd": "SGD",
        "rmsprop": "RMSprop",
        "adagrad": "Adagrad",
        "adadelta": "Adadelta",
        "adam": "Adam",
        "adamax": "Adamax",
        "nadam": "Nadam",
    },
    "backend": {
        "pack": "stack",
        "lesser": "less",
        "lesser_equal": "less_equal",
        "atrous_conv2d": "conv2d",
        "deconv2d": "conv2d_transpose",
        "image_dim_ordering": "image_data_format",
        "set_image_dim_ordering": "set_image_data_format",
        "asymmetric_temporal_padding": "temporal_padding",
        "asymmetric_spatial_2d_padding": "spatial_2d_padding",
    },
    "utils.vis_utils": {"plot": "plot_model"},
}

# What Keras 1 called classes of ours: its automatic names are made of it ("convolution2d_1").
V1_CLASS_NAMES: dict[str, dict[str, str]] = {
    "layers": {
        "Conv1D": "Convolution1D",
        "Conv2D": "Convolution2D",
        "Conv3D": "Convolution3D",
        "Conv2DTranspose": "Deconvolution2D",
        "SeparableConv2D": "SeparableConvolution2D",
    },
}

# Aliases of the table above that need more than the same object under another name: they take other arguments
# or speak other values, so whoever writes them writes a function.
ALIASES_WITH_BEHAVIOUR: frozenset[str] = frozenset(
    {
        "backend:atrous_conv2d",
        "backend:deconv2d",
        "backend:image_dim_ordering",
        "backend:set_image_dim_ordering",
        "backend:asymmetric_temporal_padding",
        "backend:asymmetric_spatial_2d_padding",
    }
)

# --- renamed arguments -----------------------------------------------------------------------------------------------

_Renames = dict[str, str | tuple[str, ...]]

_KERNEL: _Renames = {
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "W_constraint": "kernel_constraint",
}
_BIAS: _Renames = {
    "bias": "use_bias",
    "b_regularizer": "bias_regularizer",
    "b_constraint": "bias_constraint",
}
_LAYOUT: _Renames = {"dim_ordering": "data_format"}
# Keras 1's word also means that kernels are laid out as there: (filters, in, rows, columns) under 'th'.
_KERNEL_LAYOUT: _Renames = {"dim_ordering": ("data_format", "kernel_format")}
_CONV1D: _Renames = (
    _KERNEL
    | _BIAS
    | {
        "nb_filter": "filters",
        "filter_length": "kernel_size",
        "subsample_length": "strides",
        "border_mode": "padding",
    }
)
_CONVND: _Renames = (
    _KERNEL
    | _BIAS
    | _KERNEL_LAYOUT
    | {
        "nb_filter": "filters",
        "subsample": "strides",
        "border_mode": "padding",
    }
)
_POOL1D: _Renames = {"pool_length": "pool_size", "stride": "strides", "border_mode": "padding"}
_POOLND: _Renames = _LAYOUT | {"border_mode": "padding"}
_RECURRENT: _Renames = _KERNEL | {
    "output_dim": "units",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "consume_less": "implementation",
}
_FORGET: _Renames = {"forget_bias_init": "unit_forget_bias"}
_OPTIMIZER: _Renames = {"lr": "learning_rate"}
_QUEUE: _Renames = {
    "max_q_size": "max_queue_size",
    "nb_worker": "workers",
    "pickle_safe": "use_multiprocessing",
}

# Taken by every layer.
LAYER_RENAME: _Renames = {"input_dtype": "dtype"}

RENAME: dict[str, _Renames] = {
    "layers:Dense": _KERNEL | _BIAS | {"output_dim": "units"},
    "layers:Dropout": {"p": "rate"},
    "layers:SpatialDropout1D": {"p": "rate"},
    "layers:SpatialDropout2D": _LAYOUT | {"p": "rate"},
    "layers:SpatialDropout3D": _LAYOUT | {"p": "rate"},
    "layers:GaussianDropout": {"p": "rate"},
    "layers:GaussianNoise": {"sigma": "stddev"},
    "layers:Reshape": {"dims": "target_shape"},
    "layers:Embedding": {
        "init": "embeddings_initializer",
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "layers:PReLU": {"init": "alpha_initializer"},
    "layers:BatchNormalization": {"beta_init": "beta_initializer", "gamma_init": "gamma_initializer"},
    "layers:Conv1D": _CONV1D,
    "layers:AtrousConvolution1D": _CONV1D | {"atrous_rate": "dilation_rate"},
    "layers:LocallyConnected1D": _CONV1D,
    "layers:Conv2D": _CONVND,
    "layers:AtrousConvolution2D": _CONVND | {"atrous_rate": "dilation_rate"},
    "layers:LocallyConnected2D": _CONVND,
    "layers:Conv2DTranspose": _CONVND,
    "layers:Conv3D": _CONVND,
    "layers:SeparableConv2D": _KERNEL_LAYOUT
    | _BIAS
    | {
        "init": ("depthwise_initializer", "pointwise_initializer"),
        "nb_filter": "filters",
        "subsample": "strides",
        "border_mode": "padding",
    },
    "layers:ConvLSTM2D": _CONVND
    | _FORGET
    | {k: v for k, v in _RECURRENT.items() if k not in ("output_dim", "consume_less")},
    "layers:UpSampling1D": {"length": "size"},
    "layers:UpSampling2D": _LAYOUT,
    "layers:UpSampling3D": _LAYOUT,
    "layers:ZeroPadding2D": _LAYOUT,
    "layers:ZeroPadding3D": _LAYOUT,
    "layers:Cropping2D": _LAYOUT,
    "layers:Cropping3D": _LAYOUT,
    "layers:MaxPooling1D": _POOL1D,
    "layers:AveragePooling1D": _POOL1D,
    "layers:MaxPooling2D": _POOLND,
    "layers:AveragePooling2D": _POOLND,
    "layers:MaxPooling3D": _POOLND,
    "layers:AveragePooling3D": _POOLND,
    "layers:GlobalMaxPooling2D": _LAYOUT,
    "layers:GlobalAveragePooling2D": _LAYOUT,
    "layers:GlobalMaxPooling3D": _LAYOUT,
    "layers:GlobalAveragePooling3D": _LAYOUT,
    "layers:SimpleRNN": {k: v for k, v in _RECURRENT.items() if k != "inner_activation"},
    "layers:Recurrent": {"consume_less": "implementation"},
    "layers:ConvRecurrent2D": _LAYOUT | {"nb_filter": "filters"},
    "layers:LSTM": _RECURRENT | _FORGET,
    "layers:GRU": _RECURRENT,
    # Methods; the rows of call and compute_mask are for all layers' own.
    "layers:Layer.call": {"x": "inputs", "input": "inputs"},
    "layers:Layer.compute_mask": {"x": "inputs", "input": "inputs", "input_mask": "mask"},
    "layers:Layer.assert_input_compatibility": {"input": "inputs"},
    # Models and their methods. `X` is 0.x's word for the data.
    "models:Model": {"input": "inputs", "output": "outputs"},
    "models:Model.fit": {"X": "x", "nb_epoch": "epochs"},
    "models:Model.evaluate": {"X": "x"},
    "models:Model.predict": {"X": "x"},
    "models:Model.train_on_batch": {"X": "x"},
    "models:Model.test_on_batch": {"X": "x"},
    "models:Model.predict_on_batch": {"X": "x"},
    "models:Sequential.train_on_batch": {"X": "x"},
    "models:Sequential.predict_classes": {"X": "x"},
    "models:Sequential.predict_proba": {"X": "x"},
    "wrappers.scikit_learn:BaseWrapper.fit": {"X": "x"},
    "wrappers.scikit_learn:KerasClassifier.predict": {"X": "x"},
    "wrappers.scikit_learn:KerasClassifier.predict_proba": {"X": "x"},
    "wrappers.scikit_learn:KerasClassifier.score": {"X": "x"},
    "wrappers.scikit_learn:KerasRegressor.predict": {"X": "x"},
    "wrappers.scikit_learn:KerasRegressor.score": {"X": "x"},
    "models:Model.fit_generator": _QUEUE | {"nb_epoch": "epochs"},
    "models:Model.evaluate_generator": _QUEUE,
    "models:Model.predict_generator": _QUEUE,
    "utils.enqueuers:SequenceEnqueuer.start": _QUEUE,
    "utils.enqueuers:GeneratorEnqueuer": _QUEUE | {"generator": "sequence"},
    "utils.enqueuers:GeneratorEnqueuer.start": _QUEUE,
    # Optimizers, regularizers, constraints, callbacks.
    "optimizers:SGD": _OPTIMIZER,
    "optimizers:RMSprop": _OPTIMIZER,
    "optimizers:Adagrad": _OPTIMIZER,
    "optimizers:Adadelta": _OPTIMIZER,
    "optimizers:Adam": _OPTIMIZER,
    "optimizers:Adamax": _OPTIMIZER,
    "optimizers:Nadam": _OPTIMIZER,
    "constraints:MaxNorm": {"m": "max_value"},
    "constraints:MinMaxNorm": {"low": "min_value", "high": "max_value"},
    # Backend.
    "backend:conv1d": {"stride": "strides", "border_mode": "padding"},
    "backend:conv2d": _KERNEL_LAYOUT | {"border_mode": "padding", "filter_dilation": "dilation_rate"},
    "backend:conv3d": _KERNEL_LAYOUT | {"border_mode": "padding", "filter_dilation": "dilation_rate"},
    "backend:separable_conv2d": _POOLND | _KERNEL_LAYOUT,
    "backend:pool2d": _POOLND,
    "backend:pool3d": _POOLND,
    "backend:spatial_2d_padding": _LAYOUT,
    "backend:spatial_3d_padding": _LAYOUT,
    "backend:resize_images": _LAYOUT | {"X": "x"},
    "backend:resize_volumes": _LAYOUT | {"X": "x"},
    "backend:expand_dims": {"dim": "axis"},
    "backend:one_hot": {"nb_classes": "num_classes"},
    "backend:random_normal": {"std": "stddev"},
    "backend:random_uniform": {"low": "minval", "high": "maxval"},
    "backend:moving_average_update": {"variable": "x"},
    "backend:batch_get_value": {"xs": "ops"},
    # Utilities, preprocessing, data sets.
    "utils.np_utils:to_categorical": {"nb_classes": "num_classes"},
    "utils.np_utils:normalize": {"a": "x"},
    "utils.np_utils:multiclass_logloss": {"P": "p", "Y": "y"},
    "utils.data_utils:validate_file": {"md5_hash": "file_hash"},
    "utils.test_utils:get_test_data": {
        "nb_train": "num_train",
        "nb_test": "num_test",
        "nb_class": "num_classes",
        "num_class": "num_classes",
    },
    "utils.test_utils:layer_test": {"dtype": "input_dtype"},
    "utils.layer_utils:print_summary": {"layers": "model"},
    "engine.training_utils:check_loss_and_target_compatibility": {"losses": "loss_fns"},
    "engine.saving:save_weights_to_hdf5_group": {"f": "group"},
    "preprocessing.text:Tokenizer": {"nb_words": "num_words"},
    "preprocessing.image:ImageDataGenerator": _LAYOUT,
    "preprocessing.image:ImageDataGenerator.flow": {"X": "x"},
    "preprocessing.image:ImageDataGenerator.fit": {"X": "x"},
    "preprocessing.image:DirectoryIterator": _LAYOUT,
    "preprocessing.image:NumpyArrayIterator": _LAYOUT,
    "preprocessing.image:array_to_img": _LAYOUT,
    "preprocessing.image:img_to_array": _LAYOUT,
    "preprocessing.image:random_channel_shift": {"intensity": "intensity_range"},
    "datasets.imdb:load_data": {"nb_words": "num_words"},
    "datasets.reuters:load_data": {"nb_words": "num_words"},
    "applications.imagenet_utils:preprocess_input": _LAYOUT,
    "applications.inception_v3:conv2d_bn": {
        "nb_filter": "filters",
        "nb_row": "num_row",
        "nb_col": "num_col",
        "border_mode": "padding",
        "subsample": "strides",
    },
}

# Old words that Keras 2.2 still used: they say nothing about which dialect a call is written in.
WORDS_OF_BOTH: frozenset[str] = frozenset(
    {"lr", "input_dim", "input_length", "kernel_initializer", "kernel_regularizer", "kernel_constraint"}
)

# --- gathered arguments ----------------------------------------------------------------------------------------------

# (old words, new word, how). `tuple`: all of them, in this order. `input_shape`: those given, None for the
# others.
_ROW_COL = ((("nb_row", "nb_col"), "kernel_size", "tuple"),)
_SEQUENCE_INPUT = ((("input_length", "input_dim"), "input_shape", "input_shape"),)

# Taken by every layer without a row of its own in GATHER that makes an input_shape.
LAYER_GATHER: tuple[tuple[tuple[str, ...], str, str], ...] = ((("input_dim",), "input_shape", "input_shape"),)

GATHER: dict[str, tuple[tuple[tuple[str, ...], str, str], ...]] = {
    "layers:Conv2D": _ROW_COL,
    "layers:AtrousConvolution2D": _ROW_COL,
    "layers:LocallyConnected2D": _ROW_COL,
    "layers:Conv2DTranspose": _ROW_COL,
    "layers:SeparableConv2D": _ROW_COL,
    "layers:ConvLSTM2D": _ROW_COL,
    "layers:ConvRecurrent2D": _ROW_COL,
    "layers:Conv3D": ((("kernel_dim1", "kernel_dim2", "kernel_dim3"), "kernel_size", "tuple"),),
    "layers:Conv1D": _SEQUENCE_INPUT,
    "layers:AtrousConvolution1D": _SEQUENCE_INPUT,
    "layers:LocallyConnected1D": _SEQUENCE_INPUT,
    "layers:Recurrent": _SEQUENCE_INPUT,
    "layers:SimpleRNN": _SEQUENCE_INPUT,
    "layers:LSTM": _SEQUENCE_INPUT,
    "layers:GRU": _SEQUENCE_INPUT,
    "layers:TimeDistributedDense": _SEQUENCE_INPUT,
}

# Counts of samples in Keras 1 that are counts of batches in Keras 2: old word -> (new word, whose batch size
# divides).
SAMPLES: dict[str, dict[str, tuple[str, str]]] = {
    "models:Model.fit_generator": {
        "samples_per_epoch": ("steps_per_epoch", "generator"),
        "nb_val_samples": ("validation_steps", "validation_data"),
    },
    "models:Model.evaluate_generator": {"val_samples": ("steps", "generator")},
    "models:Model.predict_generator": {"val_samples": ("steps", "generator")},
}

# --- arguments that are gone -----------------------------------------------------------------------------------------

# Old word -> (values that may be dropped, or None for all; reason). Any other value is refused with the
# reason.
_ACCURACY = (None, "accuracy is asked for by compile(metrics=['accuracy'])")
_HINT = (None, "shape hints for Theano's convolutions mean nothing here")

# Keras 2 takes these of every convolution, and gives these layers kernels of other names.
_KERNEL_WORDS = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
_SEPARABLE: dict[str, tuple[tuple | None, str]] = dict.fromkeys(
    _KERNEL_WORDS, (None, "its kernels have words of their own: depthwise_..., pointwise_...")
)
_DEPTHWISE: dict[str, tuple[tuple | None, str]] = dict.fromkeys(
    _KERNEL_WORDS, (None, "its kernel has words of its own: depthwise_...")
)

# Taken by every layer.
LAYER_DROPPED: dict[str, tuple[tuple | None, str]] = {
    "create_input_layer": (None, "input layers are made from input_shape and batch_input_shape"),
    "cache_enabled": (None, "outputs are never computed twice"),
}

DROPPED: dict[str, dict[str, tuple[tuple | None, str]]] = {
    "layers:Layer.call": {"mask": (None, "this layer computes the same with and without a mask")},
    "layers:SimpleRNN": {"forget_bias_init": (None, "only an LSTM has a forget gate")},
    "layers:GRU": {"forget_bias_init": (None, "only an LSTM has a forget gate")},
    "layers:Conv2DTranspose": {
        "output_shape": (None, "a class without this word computes it from kernel, strides and padding"),
    },
    "layers:SeparableConv1D": _SEPARABLE,
    "layers:SeparableConv2D": _SEPARABLE,
    "layers:DepthwiseConv2D": _DEPTHWISE,
    "layers:Highway": {
        "transform_bias": (None, "since 1.0 the bias of the transform gate starts as every weight's does"),
    },
    "models:Model.compile": {
        "class_mode": (None, "the loss says whether classes are binary or categorical"),
        "theano_mode": (None, "modes of Theano mean nothing here"),
        "mode": (None, "modes of Theano mean nothing here"),
    },
    "models:Model.get_config": {"verbose": (None, "print the config that comes back")},
    "utils.layer_utils:print_summary": {"relevant_nodes": (None, "the nodes of the model are taken")},
    "models:Model.fit_generator": {
        "show_accuracy": _ACCURACY,
        "nb_val_worker": (None, "validation uses the same workers"),
    },
    "models:Model.evaluate_generator": {"show_accuracy": _ACCURACY},
    "optimizers:Optimizer.get_updates": {
        "constraints": (None, "constraints belong to the variables"),
    },
    "backend:conv1d": {"image_shape": _HINT, "filter_shape": _HINT},
    "backend:conv2d": {"image_shape": _HINT, "filter_shape": _HINT},
    "backend:conv3d": {"volume_shape": _HINT, "filter_shape": _HINT},
    "datasets.imdb:load_data": {"test_split": (None, "the data comes split")},
}

# --- values ----------------------------------------------------------------------------------------------------------

# Old values by the old word they stand under. The keys are never values of the new word, so they may stand
# there too.
VALUES: dict[str, dict[object, object]] = {
    "dim_ordering": {"th": "channels_first", "tf": "channels_last", "default": None},
    "consume_less": {"cpu": 0, "mem": 1, "gpu": 2},
    "forget_bias_init": {"one": True, "ones": True, "zero": False, "zeros": False},
}

# The words above that only know the values listed, so another one is an error (a forget bias of any other
# start).
VALUES_CLOSED: frozenset[str] = frozenset({"dim_ordering", "consume_less", "forget_bias_init"})

# What an initializer's name meant under an old word, where Keras 2 means the same by it or by another name.
# 1.2.2: uniform and normal have scale 0.05 as in 2.x; the scaled normals are plain, not truncated; orthogonal
# has gain 1.1. `untruncated_normal` is tf.keras's name for the plain one.
V1_INITIALIZERS: dict[str, str | dict] = {
    "zero": "zeros",
    "one": "ones",
    "glorot_normal": {
        "class_name": "VarianceScaling",
        "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "untruncated_normal", "seed": None},
    },
    "he_normal": {
        "class_name": "VarianceScaling",
        "config": {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal", "seed": None},
    },
    "orthogonal": {"class_name": "Orthogonal", "config": {"gain": 1.1, "seed": None}},
}

# The same for layers with weights of three dimensions that are no convolution kernel. 1.2.2 takes both fans
# as sqrt(number of weights) for every shape that is not 2D, 4D or 5D; Keras 2 reads three dimensions as a
# kernel.
LEGACY_FANS: frozenset[str] = frozenset(
    {
        "layers:LocallyConnected1D",
        "layers:LocallyConnected2D",
        "layers:MaxoutDense",
        "layers:PReLU",
        "layers:SReLU",
    }
)
_FANS = {"seed": None, "legacy_fans": True}
V1_INITIALIZERS_LEGACY_FANS: dict[str, dict] = {
    "glorot_uniform": {
        "class_name": "VarianceScaling",
        "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform"} | _FANS,
    },
    "glorot_normal": {
        "class_name": "VarianceScaling",
        "config": {"scale": 1.0, "mode": "fan_avg", "distribution": "untruncated_normal"} | _FANS,
    },
    "he_uniform": {
        "class_name": "VarianceScaling",
        "config": {"scale": 2.0, "mode": "fan_in", "distribution": "uniform"} | _FANS,
    },
    "he_normal": {
        "class_name": "VarianceScaling",
        "config": {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal"} | _FANS,
    },
    "lecun_uniform": {
        "class_name": "VarianceScaling",
        "config": {"scale": 1.0, "mode": "fan_in", "distribution": "uniform"} | _FANS,
    },
}

# Words inside the configs {"name": ..., **arguments} that 1.2.2 writes for regularizers and constraints.
V1_OBJECTS: dict[str, str] = {
    "L1L2Regularizer": "L1L2",
    "WeightRegularizer": "L1L2",
    "ActivityRegularizer": "L1L2",
    "MaxNorm": "MaxNorm",
    "NonNeg": "NonNeg",
    "UnitNorm": "UnitNorm",
    "MinMaxNorm": "MinMaxNorm",
    "EigenvalueRegularizer": "EigenvalueRegularizer",
}

# --- the positional order of 1.2.2 -----------------------------------------------------------------------------------

# Words in order, `=` behind those with a default. Deconvolution2D's output_shape had none there; 2.3.1 does
# without it.
V1_POSITIONAL: dict[str, str] = {
    "layers:Activation": "activation",
    "layers:ActivityRegularization": "l1= l2=",
    "layers:AtrousConvolution1D": (
        "nb_filter filter_length init= activation= weights= border_mode= subsample_length= atrous_rate= "
        "W_regularizer= b_regularizer= activity_regularizer= W_constraint= b_constraint= bias="
    ),
    "layers:AtrousConvolution2D": (
        "nb_filter nb_row nb_col init= activation= weights= border_mode= subsample= atrous_rate= dim_ordering= "
        "W_regularizer= b_regularizer= activity_regularizer= W_constraint= b_constraint= bias="
    ),
    "layers:AveragePooling1D": "pool_length= stride= border_mode=",
    "layers:AveragePooling2D": "pool_size= strides= border_mode= dim_ordering=",
    "layers:AveragePooling3D": "pool_size= strides= border_mode= dim_ordering=",
    "layers:BatchNormalization": (
        "epsilon= mode= axis= momentum= weights= beta_init= gamma_init= gamma_regularizer= beta_regularizer="
    ),
    "layers:Bidirectional": "layer merge_mode= weights=",
    "layers:Conv1D": (
        "nb_filter filter_length init= activation= weights= border_mode= subsample_length= W_regularizer= "
        "b_regularizer= activity_regularizer= W_constraint= b_constraint= bias= input_dim= input_length="
    ),
    "layers:Conv2D": (
        "nb_filter nb_row nb_col init= activation= weights= border_mode= subsample= dim_ordering= "
        "W_regularizer= b_regularizer= activity_regularizer= W_constraint= b_constraint= bias="
    ),
    "layers:Conv2DTranspose": (
        "nb_filter nb_row nb_col output_shape= init= activation= weights= border_mode= subsample= dim_ordering= "
        "W_regularizer= b_regularizer= activity_regularizer= W_constraint= b_constraint= bias="
    ),
    "layers:Conv3D": (
        "nb_filter kernel_dim1 kernel_dim2 kernel_dim3 init= activation= weights= border_mode= subsample= "
        "dim_ordering= W_regularizer= b_regularizer= activity_regularizer= W_constraint= b_constraint= bias="
    ),
    "layers:ConvLSTM2D": (
        "nb_filter nb_row nb_col init= inner_init= forget_bias_init= activation= inner_activation= "
        "dim_ordering= border_mode= subsample= W_regularizer= U_regularizer= b_regularizer= dropout_W= "
        "dropout_U="
    ),
    "layers:ConvRecurrent2D": (
        "weights= nb_row= nb_col= nb_filter= return_sequences= go_backwards= stateful= dim_ordering="
    ),
    "layers:Cropping1D": "cropping=",
    "layers:Cropping2D": "cropping= dim_ordering=",
    "layers:Cropping3D": "cropping= dim_ordering=",
    "layers:Dense": (
        "output_dim init= activation= weights= W_regularizer= b_regularizer= activity_regularizer= "
        "W_constraint= b_constraint= bias= input_dim="
    ),
    "layers:Dropout": "p noise_shape= seed=",
    "layers:ELU": "alpha=",
    "layers:Embedding": (
        "input_dim output_dim init= input_length= W_regularizer= activity_regularizer= W_constraint= "
        "mask_zero= weights= dropout="
    ),
    "layers:Flatten": "",
    "layers:GRU": (
        "output_dim init= inner_init= activation= inner_activation= W_regularizer= U_regularizer= "
        "b_regularizer= dropout_W= dropout_U="
    ),
    "layers:GaussianDropout": "p",
    "layers:GaussianNoise": "sigma",
    "layers:GlobalAveragePooling1D": "",
    "layers:GlobalAveragePooling2D": "dim_ordering=",
    "layers:GlobalAveragePooling3D": "dim_ordering=",
    "layers:GlobalMaxPooling1D": "",
    "layers:GlobalMaxPooling2D": "dim_ordering=",
    "layers:GlobalMaxPooling3D": "dim_ordering=",
    "layers:Highway": (
        "init= activation= weights= W_regularizer= b_regularizer= activity_regularizer= W_constraint= "
        "b_constraint= bias= input_dim="
    ),
    "layers:InputLayer": "input_shape= batch_input_shape= input_dtype= input_tensor= sparse= name=",
    "layers:LSTM": (
        "output_dim init= inner_init= forget_bias_init= activation= inner_activation= W_regularizer= "
        "U_regularizer= b_regularizer= dropout_W= dropout_U="
    ),
    "layers:Lambda": "function output_shape= arguments=",
    "layers:Layer": "",
    "layers:LeakyReLU": "alpha=",
    "layers:LocallyConnected1D": (
        "nb_filter filter_length init= activation= weights= border_mode= subsample_length= W_regularizer= "
        "b_regularizer= activity_regularizer= W_constraint= b_constraint= bias= input_dim= input_length="
    ),
    "layers:LocallyConnected2D": (
        "nb_filter nb_row nb_col init= activation= weights= border_mode= subsample= dim_ordering= "
        "W_regularizer= b_regularizer= activity_regularizer= W_constraint= b_constraint= bias="
    ),
    "layers:Masking": "mask_value=",
    "layers:MaxPooling1D": "pool_length= stride= border_mode=",
    "layers:MaxPooling2D": "pool_size= strides= border_mode= dim_ordering=",
    "layers:MaxPooling3D": "pool_size= strides= border_mode= dim_ordering=",
    "layers:MaxoutDense": (
        "output_dim nb_feature= init= weights= W_regularizer= b_regularizer= activity_regularizer= "
        "W_constraint= b_constraint= bias= input_dim="
    ),
    "layers:Merge": (
        "layers= mode= concat_axis= dot_axes= output_shape= output_mask= arguments= node_indices= tensor_indices= name="
    ),
    "layers:PReLU": "init= weights= shared_axes=",
    "layers:ParametricSoftplus": "alpha_init= beta_init= weights= shared_axes=",
    "layers:Permute": "dims",
    "layers:Recurrent": (
        "weights= return_sequences= go_backwards= stateful= unroll= consume_less= input_dim= input_length="
    ),
    "layers:RepeatVector": "n",
    "layers:Reshape": "target_shape",
    "layers:SReLU": "t_left_init= a_left_init= t_right_init= a_right_init= shared_axes=",
    "layers:SeparableConv2D": (
        "nb_filter nb_row nb_col init= activation= weights= border_mode= subsample= depth_multiplier= "
        "dim_ordering= depthwise_regularizer= pointwise_regularizer= b_regularizer= activity_regularizer= "
        "depthwise_constraint= pointwise_constraint= b_constraint= bias="
    ),
    "layers:SimpleRNN": (
        "output_dim init= inner_init= activation= W_regularizer= U_regularizer= b_regularizer= dropout_W= dropout_U="
    ),
    "layers:SpatialDropout1D": "p",
    "layers:SpatialDropout2D": "p dim_ordering=",
    "layers:SpatialDropout3D": "p dim_ordering=",
    "layers:ThresholdedReLU": "theta=",
    "layers:TimeDistributed": "layer",
    "layers:TimeDistributedDense": (
        "output_dim init= activation= weights= W_regularizer= b_regularizer= activity_regularizer= "
        "W_constraint= b_constraint= bias= input_dim= input_length="
    ),
    "layers:UpSampling1D": "length=",
    "layers:UpSampling2D": "size= dim_ordering=",
    "layers:UpSampling3D": "size= dim_ordering=",
    "layers:Wrapper": "layer",
    "layers:ZeroPadding1D": "padding=",
    "layers:ZeroPadding2D": "padding= dim_ordering=",
    "layers:ZeroPadding3D": "padding= dim_ordering=",
    "layers:Layer.call": "x mask=",
    "layers:Layer.compute_mask": "input input_mask=",
    "layers:Layer.assert_input_compatibility": "input",
    "layers:Layer.add_weight": "shape initializer name= trainable= regularizer= constraint=",
    # Classes of 0.3.3 that 1.x dropped.
    "layers:AutoEncoder": "encoder decoder output_reconstruction= weights=",
    "layers:LambdaMerge": "layers function output_shape= arguments=",
    "layers:Siamese": "layer inputs merge_mode= concat_axis= dot_axes= is_graph=",
    "layers:SiameseHead": "head",
    "layers:TimeDistributedMerge": "mode=",
    # Models.
    "models:Model": "input output name=",
    "models:Sequential": "layers= name=",
    "models:Model.compile": "optimizer loss metrics= loss_weights= sample_weight_mode=",
    "models:Model.fit": (
        "x y batch_size= nb_epoch= verbose= callbacks= validation_split= validation_data= shuffle= "
        "class_weight= sample_weight= initial_epoch="
    ),
    "models:Model.evaluate": "x y batch_size= verbose= sample_weight=",
    "models:Model.predict": "x batch_size= verbose=",
    "models:Model.train_on_batch": "x y sample_weight= class_weight=",
    "models:Model.test_on_batch": "x y sample_weight=",
    "models:Model.predict_on_batch": "x",
    "models:Sequential.train_on_batch": "x y class_weight= sample_weight=",
    "models:Sequential.predict_classes": "x batch_size= verbose=",
    "models:Sequential.predict_proba": "x batch_size= verbose=",
    "wrappers.scikit_learn:BaseWrapper.fit": "x y",
    "wrappers.scikit_learn:KerasClassifier.predict": "x",
    "wrappers.scikit_learn:KerasClassifier.predict_proba": "x",
    "wrappers.scikit_learn:KerasClassifier.score": "x y",
    "wrappers.scikit_learn:KerasRegressor.predict": "x",
    "wrappers.scikit_learn:KerasRegressor.score": "x y",
    "models:Model.fit_generator": (
        "generator samples_per_epoch nb_epoch verbose= callbacks= validation_data= nb_val_samples= "
        "class_weight= max_q_size= nb_worker= pickle_safe= initial_epoch="
    ),
    "models:Model.evaluate_generator": "generator val_samples max_q_size= nb_worker= pickle_safe=",
    "models:Model.predict_generator": "generator val_samples max_q_size= nb_worker= pickle_safe=",
    "models:Model.summary": "line_length= positions=",
    # Optimizers, constraints, callbacks.
    "optimizers:SGD": "lr= momentum= decay= nesterov=",
    "optimizers:RMSprop": "lr= rho= epsilon= decay=",
    "optimizers:Adagrad": "lr= epsilon= decay=",
    "optimizers:Adadelta": "lr= rho= epsilon= decay=",
    "optimizers:Adam": "lr= beta_1= beta_2= epsilon= decay=",
    "optimizers:Adamax": "lr= beta_1= beta_2= epsilon= decay=",
    "optimizers:Nadam": "lr= beta_1= beta_2= epsilon= schedule_decay=",
    "optimizers:Optimizer.get_updates": "params constraints loss",
    "constraints:MaxNorm": "m= axis=",
    "constraints:MinMaxNorm": "low= high= rate= axis=",
    "constraints:UnitNorm": "axis=",
    "callbacks:ReduceLROnPlateau": "monitor= factor= patience= verbose= mode= epsilon= cooldown= min_lr=",
    "callbacks:TensorBoard": "log_dir= histogram_freq= write_graph= write_images=",
    # Backend: only where something differs.
    "backend:batch_get_value": "xs",
    "backend:binary_crossentropy": "output target from_logits=",
    "backend:categorical_crossentropy": "output target from_logits=",
    "backend:sparse_categorical_crossentropy": "output target from_logits=",
    "backend:batch_normalization": "x mean var beta gamma epsilon=",
    "backend:conv1d": "x kernel stride= border_mode= image_shape= filter_shape=",
    "backend:conv2d": ("x kernel strides= border_mode= dim_ordering= image_shape= filter_shape= filter_dilation="),
    "backend:conv3d": "x kernel strides= border_mode= dim_ordering= volume_shape= filter_shape=",
    "backend:expand_dims": "x dim=",
    "backend:moving_average_update": "variable value momentum",
    "backend:one_hot": "indices nb_classes",
    "backend:pool2d": "x pool_size strides= border_mode= dim_ordering= pool_mode=",
    "backend:pool3d": "x pool_size strides= border_mode= dim_ordering= pool_mode=",
    "backend:random_normal": "shape mean= std= dtype= seed=",
    "backend:random_uniform": "shape low= high= dtype= seed=",
    "backend:resize_images": "X height_factor width_factor dim_ordering",
    "backend:resize_volumes": "X depth_factor height_factor width_factor dim_ordering",
    "backend:separable_conv2d": "x depthwise_kernel pointwise_kernel strides= border_mode= dim_ordering=",
    "backend:spatial_2d_padding": "x padding= dim_ordering=",
    "backend:spatial_3d_padding": "x padding= dim_ordering=",
    # Utilities, preprocessing, data sets.
    "utils.np_utils:to_categorical": "y nb_classes=",
    "utils.np_utils:normalize": "a axis= order=",
    "preprocessing.text:Tokenizer": "nb_words= filters= lower= split= char_level=",
    "preprocessing.image:ImageDataGenerator": (
        "featurewise_center= samplewise_center= featurewise_std_normalization= samplewise_std_normalization= "
        "zca_whitening= rotation_range= width_shift_range= height_shift_range= shear_range= zoom_range= "
        "channel_shift_range= fill_mode= cval= horizontal_flip= vertical_flip= rescale= preprocessing_function= "
        "dim_ordering="
    ),
    "preprocessing.image:ImageDataGenerator.flow": (
        "X y= batch_size= shuffle= seed= save_to_dir= save_prefix= save_format="
    ),
    "preprocessing.image:ImageDataGenerator.fit": "x augment= rounds= seed=",
    "preprocessing.image:DirectoryIterator": (
        "directory image_data_generator target_size= color_mode= dim_ordering= classes= class_mode= "
        "batch_size= shuffle= seed= save_to_dir= save_prefix= save_format= follow_links="
    ),
    "preprocessing.image:NumpyArrayIterator": (
        "x y image_data_generator batch_size= shuffle= seed= dim_ordering= save_to_dir= save_prefix= save_format="
    ),
    "preprocessing.image:array_to_img": "x dim_ordering= scale=",
    "preprocessing.image:img_to_array": "img dim_ordering=",
    "preprocessing.image:random_channel_shift": "x intensity channel_axis=",
    "datasets.imdb:load_data": "path= nb_words= skip_top= maxlen= seed= start_char= oov_char= index_from=",
    "datasets.reuters:load_data": (
        "path= nb_words= skip_top= maxlen= test_split= seed= start_char= oov_char= index_from="
    ),
    "applications.imagenet_utils:preprocess_input": "x dim_ordering=",
    "applications.inception_v3:conv2d_bn": "x nb_filter nb_row nb_col border_mode= subsample= name=",
}

# Each optimizer has its own get_updates.
_GET_UPDATES = [
    f"optimizers:{name}.get_updates" for name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "Adamax", "Nadam")
]
V1_POSITIONAL |= dict.fromkeys(_GET_UPDATES, V1_POSITIONAL["optimizers:Optimizer.get_updates"])
DROPPED |= dict.fromkeys(_GET_UPDATES, DROPPED["optimizers:Optimizer.get_updates"])

# The positional order of Keras 2 for callables whose own signature is `*args, **kwargs`.
V2_POSITIONAL: dict[str, str] = {"models:Model": "inputs= outputs= name="}

# Calls with integers behind the number of filters are Keras 1's `nb_row, nb_col`, although they could be a
# kernel size and strides: 2.3.1 reads them so. It refuses them beside these words.
INTEGERS_ARE_KERNEL: frozenset[str] = frozenset(
    {
        "layers:Conv2D",
        "layers:AtrousConvolution2D",
        "layers:LocallyConnected2D",
        "layers:Conv2DTranspose",
        "layers:Conv3D",
        "layers:SeparableConv2D",
        "layers:ConvLSTM2D",
    }
)
NOT_BESIDE_INTEGERS: frozenset[str] = frozenset({"padding", "strides", "data_format"})

# Calls where no value can tell: the order follows the API level alone.
ORDER_BY_LEVEL: frozenset[str] = frozenset(
    {
        "backend:binary_crossentropy",
        "backend:categorical_crossentropy",
        "backend:sparse_categorical_crossentropy",
    }
)

# Calls where values tell little: if both readings remain, the second argument is a count of samples at level
# 1.2 and of batches above.
LEVEL_DECIDES: frozenset[str] = frozenset(
    {"models:Model.fit_generator", "models:Model.evaluate_generator", "models:Model.predict_generator"}
)

# --- what kind of value a word stands for, to tell positional calls apart --------------------------------------------

KINDS: dict[str, str] = {
    "init": "initializer",
    "inner_init": "initializer",
    "beta_init": "initializer",
    "gamma_init": "initializer",
    "initializer": "initializer",
    "kernel_initializer": "initializer",
    "recurrent_initializer": "initializer",
    "bias_initializer": "initializer",
    "embeddings_initializer": "initializer",
    "alpha_initializer": "initializer",
    "beta_initializer": "initializer",
    "gamma_initializer": "initializer",
    "depthwise_initializer": "initializer",
    "pointwise_initializer": "initializer",
    "activation": "activation",
    "inner_activation": "activation",
    "recurrent_activation": "activation",
    "W_regularizer": "penalty",
    "U_regularizer": "penalty",
    "b_regularizer": "penalty",
    "W_constraint": "penalty",
    "b_constraint": "penalty",
    "activity_regularizer": "penalty",
    "kernel_regularizer": "penalty",
    "recurrent_regularizer": "penalty",
    "bias_regularizer": "penalty",
    "embeddings_regularizer": "penalty",
    "alpha_regularizer": "penalty",
    "kernel_constraint": "penalty",
    "recurrent_constraint": "penalty",
    "bias_constraint": "penalty",
    "embeddings_constraint": "penalty",
    "alpha_constraint": "penalty",
    "beta_regularizer": "penalty",
    "gamma_regularizer": "penalty",
    "regularizer": "penalty",
    "constraint": "penalty",
    "depthwise_regularizer": "penalty",
    "pointwise_regularizer": "penalty",
    "depthwise_constraint": "penalty",
    "pointwise_constraint": "penalty",
    "weights": "arrays",
    "bias": "flag",
    "use_bias": "flag",
    "nesterov": "flag",
    "amsgrad": "flag",
    "center": "flag",
    "scale": "flag",
    "write_graph": "flag",
    "write_grads": "flag",
    "write_images": "flag",
    "mask_zero": "flag",
    "trainable": "flag",
    "unit_forget_bias": "flag",
    "shuffle": "flag",
    "pickle_safe": "flag",
    "use_multiprocessing": "flag",
    "units": "integer",
    "output_dim": "integer",
    "filters": "integer",
    "nb_filter": "integer",
    "nb_row": "integer",
    "nb_col": "integer",
    "kernel_dim1": "integer",
    "kernel_dim2": "integer",
    "kernel_dim3": "integer",
    "filter_length": "integer",
    "depth_multiplier": "integer",
    "mode": "integer",
    "axis": "integer",
    "max_q_size": "integer",
    "max_queue_size": "integer",
    "nb_worker": "integer",
    "workers": "integer",
    "batch_size": "integer or none",
    "nb_val_samples": "integer or none",
    "validation_steps": "integer or none",
    "input_length": "integer or none",
    "input_dim": "integer or none",
    "kernel_size": "integers",
    "strides": "integers",
    "subsample": "integers",
    "subsample_length": "integers",
    "dilation_rate": "integers",
    "atrous_rate": "integers",
    "output_padding": "integers or none",
    "padding": "mode of padding",
    "border_mode": "mode of padding",
    "data_format": "layout",
    "dim_ordering": "old layout",
    "output_shape": "shape",
    "shape": "shape",
    "image_shape": "shape",
    "filter_shape": "shape",
    "volume_shape": "shape",
    "input_shape": "shape",
    "batch_input_shape": "shape",
    "shared_axes": "shape",
    "name": "name",
    "dtype": "name",
    "epsilon": "fraction",
    "decay": "number",
    "schedule_decay": "number",
    "momentum": "number",
    "dropout": "number",
    "dropout_W": "number",
    "dropout_U": "number",
    "arguments": "dictionary",
    "mask": "mask",
    "class_weight": "class weights",
    "sample_weight": "arrays",
    "callbacks": "callbacks",
}

# Places where a word above stands for something else.
KINDS_OF: dict[str, dict[str, str]] = {
    "layers:ZeroPadding1D": {"padding": "pads"},
    "layers:MaxPooling1D": {"strides": "integers or none"},
    "layers:AveragePooling1D": {"strides": "integers or none"},
    "layers:ZeroPadding2D": {"padding": "pads"},
    "layers:ZeroPadding3D": {"padding": "any"},
    "layers:Merge": {"mode": "any"},
    "layers:SReLU": {
        "t_left_init": "initializer",
        "a_left_init": "initializer",
        "t_right_init": "initializer",
        "a_right_init": "initializer",
        "shared_axes": "any",
    },
    "layers:ParametricSoftplus": {"shared_axes": "any"},
    "layers:ConvRecurrent2D": {
        "dim_ordering": "any",
        "nb_row": "integer or none",
        "nb_col": "integer or none",
        "nb_filter": "integer or none",
    },
    "backend:batch_normalization": {"epsilon": "number"},
    "preprocessing.image:array_to_img": {"scale": "any"},
    "callbacks:ReduceLROnPlateau": {"epsilon": "any", "mode": "any"},
}

# Names of activations and of initializers that Keras 0.x to 3 knew. A name in neither fits both kinds: it may
# be custom.
ACTIVATION_NAMES: str = (
    "linear relu relu6 elu selu celu gelu silu swish mish softmax log_softmax softplus softsign tanh sigmoid "
    "log_sigmoid hard_sigmoid hard_silu hard_swish hard_tanh exponential leaky_relu time_distributed_softmax glu "
    "tanh_shrink soft_shrink hard_shrink sparsemax squareplus threshold"
)
INITIALIZER_NAMES: str = (
    "uniform normal zero zeros one ones identity orthogonal constant glorot_uniform glorot_normal he_uniform "
    "he_normal lecun_uniform lecun_normal random_uniform random_normal truncated_normal variance_scaling Zeros Ones "
    "Constant RandomUniform RandomNormal TruncatedNormal VarianceScaling Orthogonal Identity GlorotUniform "
    "GlorotNormal HeUniform HeNormal LecunUniform LecunNormal"
)

# --- arguments that a callable takes through **kwargs ----------------------------------------------------------------

LAYER_KEYWORDS: frozenset[str] = frozenset(
    {"name", "trainable", "dtype", "input_shape", "batch_input_shape", "batch_size", "weights"}
)
# The base class of the recurrent layers takes these in Keras 1 and 2 alike.
_RNN_KEYWORDS = frozenset({"return_sequences", "return_state", "go_backwards", "stateful", "unroll", "implementation"})
_OPTIMIZER_KEYWORDS = frozenset({"clipnorm", "clipvalue", "name", "decay"})
_EPSILON = frozenset({"epsilon"})
_DROPOUT = frozenset({"noise_shape", "seed"})

EXTRA_KEYWORDS: dict[str, frozenset[str]] = {
    # Keras 0.x asks for the accuracy in each call.
    "models:Model.fit": frozenset({"show_accuracy"}),
    "models:Model.evaluate": frozenset({"show_accuracy"}),
    "models:Model.train_on_batch": frozenset({"accuracy"}),
    "models:Model.test_on_batch": frozenset({"accuracy"}),
    "models:Sequential.train_on_batch": frozenset({"accuracy"}),
    # Of Keras 1, which Keras 2 dropped and this package did not.
    "layers:BatchNormalization": frozenset({"mode"}),
    "layers:Embedding": frozenset({"dropout"}),
    # Their configs hold what Dropout takes.
    "layers:SpatialDropout1D": _DROPOUT,
    "layers:SpatialDropout2D": _DROPOUT,
    "layers:SpatialDropout3D": _DROPOUT,
    "layers:SimpleRNN": _RNN_KEYWORDS,
    "layers:LSTM": _RNN_KEYWORDS,
    "layers:GRU": _RNN_KEYWORDS,
    "layers:ConvLSTM2D": _RNN_KEYWORDS,
    "layers:UpSampling2D": frozenset({"interpolation"}),
    "layers:GlobalAveragePooling2D": frozenset({"data_format"}),
    "layers:GlobalAveragePooling3D": frozenset({"data_format"}),
    "layers:GlobalMaxPooling1D": frozenset({"data_format"}),
    "layers:GlobalMaxPooling2D": frozenset({"data_format"}),
    "layers:GlobalMaxPooling3D": frozenset({"data_format"}),
    "optimizers:SGD": _OPTIMIZER_KEYWORDS,
    "callbacks:ReduceLROnPlateau": _EPSILON,
    "optimizers:RMSprop": _OPTIMIZER_KEYWORDS | _EPSILON,
    "optimizers:Adagrad": _OPTIMIZER_KEYWORDS | _EPSILON,
    "optimizers:Adadelta": _OPTIMIZER_KEYWORDS | _EPSILON,
    "optimizers:Adam": _OPTIMIZER_KEYWORDS | _EPSILON,
    "optimizers:Adamax": _OPTIMIZER_KEYWORDS | _EPSILON,
    "optimizers:Nadam": _OPTIMIZER_KEYWORDS | _EPSILON | {"schedule_decay"},
}

# --- defaults that differ --------------------------------------------------------------------------------------------

# New word -> level -> value; no entry: as in 2.3 (for 0.3: as in 1.2). The words of a call do not matter: 2.3.1
# gives a call in Keras 1's words its own defaults (its GRU(output_dim=) has sigmoid gates).
_V1_ORTHOGONAL: dict[str, object] = {"1.2": {"class_name": "Orthogonal", "config": {"gain": 1.1, "seed": None}}}
_V1_GATES: dict[str, object] = {"1.2": "hard_sigmoid", "2.2": "hard_sigmoid"}
_V1_IMPLEMENTATION: dict[str, object] = {"1.2": 0, "2.2": 1}
_LOCAL_KERNEL: dict[str, object] = {"1.2": V1_INITIALIZERS_LEGACY_FANS["glorot_uniform"]}
_V1_EPSILON: dict[str, dict[str, object]] = {"epsilon": {"1.2": 1e-8}}
_V0_EPSILON: dict[str, dict[str, object]] = {"epsilon": {"1.2": 1e-8, "0.3": 1e-6}}
_V0_BATCH: dict[str, dict[str, object]] = {"batch_size": {"0.3": 128}}
_JPEG: dict[str, dict[str, object]] = {"save_format": {"1.2": "jpeg"}}

DEFAULTS: dict[str, dict[str, dict[str, object]]] = {
    "layers:BatchNormalization": {"epsilon": {"0.3": 1e-6}, "momentum": {"0.3": 0.9}},
    "constraints:UnitNorm": {"axis": {"0.3": -1}},
    "layers:SimpleRNN": {"recurrent_initializer": _V1_ORTHOGONAL},
    "layers:LSTM": {
        "recurrent_activation": _V1_GATES,
        "recurrent_initializer": _V1_ORTHOGONAL,
        "implementation": _V1_IMPLEMENTATION,
    },
    "layers:GRU": {
        "recurrent_activation": _V1_GATES,
        "recurrent_initializer": _V1_ORTHOGONAL,
        "implementation": _V1_IMPLEMENTATION,
    },
    "layers:LSTMCell": {"recurrent_activation": _V1_GATES, "implementation": _V1_IMPLEMENTATION},
    "layers:GRUCell": {"recurrent_activation": _V1_GATES, "implementation": _V1_IMPLEMENTATION},
    "layers:ConvLSTM2D": {"recurrent_initializer": _V1_ORTHOGONAL},
    "layers:LocallyConnected1D": {"kernel_initializer": _LOCAL_KERNEL},
    "layers:MaxoutDense": {"init": _LOCAL_KERNEL},
    "layers:SReLU": {"a_left_init": _LOCAL_KERNEL, "t_right_init": _LOCAL_KERNEL},
    "layers:LocallyConnected2D": {"kernel_initializer": _LOCAL_KERNEL},
    "models:Model.fit": {"epochs": {"1.2": 10, "0.3": 100}, **_V0_BATCH},
    "models:Model.evaluate": _V0_BATCH,
    "models:Model.predict": _V0_BATCH,
    "models:Sequential.predict_classes": {"verbose": {"1.2": 1}},
    "models:Sequential.predict_proba": {"verbose": {"1.2": 1}},
    "models:Model.summary": {"line_length": {"1.2": 100}},
    "optimizers:RMSprop": _V0_EPSILON,
    "optimizers:Adagrad": _V0_EPSILON,
    "optimizers:Adadelta": _V0_EPSILON,
    "optimizers:Adam": _V1_EPSILON,
    "optimizers:Adamax": _V1_EPSILON,
    "optimizers:Nadam": _V1_EPSILON,
    "preprocessing.image:ImageDataGenerator.flow": _JPEG,
    "preprocessing.image:ImageDataGenerator.flow_from_directory": _JPEG,
    "preprocessing.image:DirectoryIterator": _JPEG,
    "preprocessing.image:NumpyArrayIterator": _JPEG,
}

# Defaults written differently that mean the same, so they need no row: (1.2.2's, 2.3.1's).
SAME_DEFAULTS: frozenset[tuple[str, str]] = frozenset(
    {
        ("'zero'", "'zeros'"),
        ("'one'", "'ones'"),
        ("'default'", "None"),
        ("'default'", "'channels_last'"),
        ("'one'", "True"),
        ("32", "None"),
        ("0.0", "0"),
        ("'cpu'", "0"),
        ("[0.33, 0.55, 0.67, 1.0]", "None"),
        ("'imdb_full.pkl'", "'imdb.npz'"),
        ("'reuters.pkl'", "'reuters.npz'"),
        ("(1, 1)", "((1, 1), (1, 1))"),
        ("(1, 1, 1)", "((1, 1), (1, 1), (1, 1))"),
    }
)

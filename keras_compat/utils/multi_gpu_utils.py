"""Training on several GPUs (Keras 2), for programs that ask for it where there is none."""

from __future__ import annotations

import warnings
from typing import Any

from keras_compat.engine.input_layer import Input
from keras_compat.engine.layer import shape_of
from keras_compat.layers import Activation
from keras_compat.models import Model
from keras_compat.utils.generic_utils import to_list


def multi_gpu_model(model: Any, gpus: Any = None, cpu_merge: bool = True, cpu_relocation: bool = False) -> Model:
    """A model that computes with ``model``, whose layers and weights stay its own: what Keras makes for several GPUs.

    Keras gives each GPU a part of the batch and joins the results; here there is one part. The model inside is
    ``layers[-2]`` where there is one output, and outputs keep their names, as in Keras.

    Args:
        model: built, with input shapes.
        gpus: without effect, as all that follows.
    """
    warnings.warn(
        "[multi_gpu_model] there are no GPUs here: the model computes on the CPU, all of a batch at once.", stacklevel=2
    )
    inputs = [
        Input(batch_shape=shape_of(x), dtype=str(x.dtype), name=name)
        for x, name in zip(model.inputs, model.input_names)
    ]
    made = to_list(model(inputs if len(inputs) > 1 else inputs[0]))
    return Model(inputs, [Activation("linear", name=name)(y) for y, name in zip(made, model.output_names)])

"""Decorators by which Keras 2 taught single functions the words of Keras 1.

Every function and class of this package knows both anyway. Programs use them for their own: an optimizer's
``get_updates``, a layer whose arguments were renamed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from keras_compat.dialect import tables
from keras_compat.dialect.spec import as_tuple


def generate_legacy_interface(
    allowed_positional_args: Iterable[str] | None = None,
    conversions: Iterable[tuple[str, str]] | None = None,
    preprocessor: Callable[[tuple, dict], tuple] | None = None,
    value_conversions: dict[str, dict[Any, Any]] | None = None,
    object_type: str = "class",
) -> Callable[[Callable], Callable]:
    """Return a decorator for a function that renames old keyword arguments.

    Args:
        allowed_positional_args: names of the arguments that may be given without a name, in their order.
        conversions: pairs (old word, new word).
        preprocessor: called first with the positional and the keyword arguments; returns both and a list of new words.
        value_conversions: {new word: {old value: new value}}.
        object_type: 'class' for a constructor, else a method or function (the first argument is never counted).
    """
    renames = dict(conversions or ())
    allowed = None if allowed_positional_args is None else list(allowed_positional_args)

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            name = type(args[0]).__name__ if object_type == "class" and args else function.__name__
            if preprocessor is not None:
                args, kwargs, _ = preprocessor(args, kwargs)
            for old, new in renames.items():
                if old in kwargs:
                    if new in kwargs:
                        raise TypeError(f"[{name}] {new} is given twice, as {old}= and {new}=. Keep one of them.")
                    kwargs[new] = kwargs.pop(old)
            for word, values in (value_conversions or {}).items():
                given = kwargs.get(word)
                if isinstance(given, (str, int, float, bool)) and given in values:
                    kwargs[word] = values[given]
            if allowed is not None and len(args) > len(allowed) + 1:
                raise TypeError(
                    f"[{name}] expected at most {len(allowed)} positional arguments ({', '.join(allowed)}); got "
                    f"{len(args) - 1}. Name the others."
                )
            return function(*args, **kwargs)

        return call

    return decorate


def _get_updates_arguments(args: tuple, kwargs: dict[str, Any]) -> tuple:
    # Keras 1: get_updates(params, constraints, loss). Keras 2: get_updates(loss, params).
    words = ["params", "constraints", "loss"] if len(args) > 3 or "constraints" in kwargs else ["loss", "params"]
    given = {**dict(zip(words, args[1:])), **kwargs}
    given.pop("constraints", None)
    return args[:1], given, []


legacy_get_updates_support = generate_legacy_interface(
    allowed_positional_args=None, preprocessor=_get_updates_arguments, object_type="method"
)


def _support(layer: str) -> Callable[[Callable], Callable]:
    """Return a decorator for an ``__init__`` that has the words of one of the layers here."""
    path = f"layers:{layer}"
    rows = {**tables.LAYER_RENAME, **tables.RENAME.get(path, {})}
    # Not kernel_format, which only layers of this package know.
    renames = {old: [word for word in as_tuple(new) if word != "kernel_format"] for old, new in rows.items()}
    gather = [(parts, target) for parts, target, how in tables.GATHER.get(path, ()) if how == "tuple"]

    def translated(args: tuple, kwargs: dict[str, Any]) -> tuple:
        given = dict(kwargs)
        for old, targets in renames.items():
            if old in given and targets:
                value = given.pop(old)
                values = tables.VALUES.get(old, {})
                value = values.get(value, value) if isinstance(value, str) else value
                given.update(dict.fromkeys(targets, value))
        for parts, target in gather:
            if all(part in given for part in parts):
                given[target] = tuple([given.pop(part) for part in parts])
        return args, given, []

    return generate_legacy_interface(preprocessor=translated)


legacy_dense_support = _support("Dense")
legacy_dropout_support = _support("Dropout")
legacy_spatialdropout1d_support = _support("SpatialDropout1D")
legacy_spatialdropoutNd_support = _support("SpatialDropout2D")
legacy_gaussiannoise_support = _support("GaussianNoise")
legacy_gaussiandropout_support = _support("GaussianDropout")
legacy_embedding_support = _support("Embedding")
legacy_prelu_support = _support("PReLU")
legacy_batchnorm_support = _support("BatchNormalization")
legacy_recurrent_support = _support("LSTM")
legacy_convlstm2d_support = _support("ConvLSTM2D")
legacy_conv1d_support = _support("Conv1D")
legacy_conv2d_support = _support("Conv2D")
legacy_conv3d_support = _support("Conv3D")
legacy_deconv2d_support = _support("Conv2DTranspose")
legacy_separable_conv2d_support = _support("SeparableConv2D")
legacy_pooling1d_support = _support("MaxPooling1D")
legacy_pooling2d_support = _support("MaxPooling2D")
legacy_pooling3d_support = _support("MaxPooling3D")
legacy_global_pooling_support = _support("GlobalMaxPooling2D")
legacy_upsampling1d_support = _support("UpSampling1D")
legacy_upsampling2d_support = _support("UpSampling2D")
legacy_upsampling3d_support = _support("UpSampling3D")
legacy_zeropadding2d_support = _support("ZeroPadding2D")
legacy_zeropadding3d_support = _support("ZeroPadding3D")
legacy_cropping2d_support = _support("Cropping2D")
legacy_cropping3d_support = _support("Cropping3D")
legacy_lambda_support = _support("Lambda")

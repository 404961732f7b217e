"""Checks that a layer keeps Keras's contract, for whoever writes one, and small data to train on.

For programs' own tests: nothing in the package uses it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from keras_compat import backend as K
from keras_compat.engine.input_layer import Input
from keras_compat.models import Model, Sequential, model_from_json
from keras_compat.utils.generic_utils import custom_object_scope, has_arg

Data = tuple[np.ndarray, np.ndarray]
F = TypeVar("F", bound=Callable[..., Any])

# Unknown lengths are tried with these: two, so that rows are not columns, and enough for a small window.
_OPEN_LENGTHS = (5, 4)
_RTOL = 1e-3


def get_test_data(
    num_train: int = 1000,
    num_test: int = 500,
    input_shape: Sequence[int] = (10,),
    output_shape: Sequence[int] = (2,),
    classification: bool = True,
    num_classes: int = 2,
) -> tuple[Data, Data]:
    """Return ``(x_train, y_train), (x_test, y_test)`` that a small model can learn.

    Args:
        num_train, num_test: numbers of samples.
        input_shape: shape of a sample.
        output_shape: shape of a target, where ``classification`` is False.
        classification: targets are whole numbers below ``num_classes``, shape (n,), and each sample is normal with its
            class as the mean and a deviation of 0.7. Else sample and target are normal around a common number from
            0 to 1.

    The numbers are those of Keras for the same ``np.random.seed``.
    """
    x: np.ndarray
    y: np.ndarray
    n = num_train + num_test
    inside, outside = tuple(input_shape), tuple(output_shape)
    if classification:
        y = np.random.randint(0, num_classes, size=(n,))
        x = np.random.normal(y.reshape(n, *[1] * len(inside)), 0.7, size=(n, *inside))
    else:
        centre = np.random.random((n,))
        size = int(np.prod(inside, dtype=np.int64))
        # In one draw, sample by sample: first its features, then its target.
        both = np.random.normal(centre[:, None], 0.7, size=(n, size + int(np.prod(outside, dtype=np.int64))))
        x, y = both[:, :size].reshape(n, *inside), both[:, size:].reshape(n, *outside)
    return (x[:num_train], y[:num_train]), (x[num_train:], y[num_train:])


def layer_test(
    layer_cls: type[Any],
    kwargs: Mapping[str, Any] | None = None,
    input_shape: Sequence[int | None] | None = None,
    input_dtype: Any = None,
    input_data: Any = None,
    expected_output: Any = None,
    expected_output_dtype: Any = None,
    fixed_batch_size: bool = False,
) -> np.ndarray:
    """Check a layer with one input and one output, alone in a functional and in a sequential model.

    Tried are: weights taken out and set, the declared type and shape of the output against the real ones, models made
    again from their configs and from JSON with the same results, and a training step.

    Args:
        layer_cls: class of the layer.
        kwargs: arguments of its constructor.
        input_shape: with the batch axis; lengths may be None. Needed unless ``input_data`` is given.
        input_dtype: of the input, ``K.floatx()`` by default, or that of ``input_data``.
        input_data: what to predict for; random numbers from 0 to 10 by default.
        expected_output: compared with the prediction within a relative 1e-3.
        expected_output_dtype: by default that of the input.
        fixed_batch_size: the model declares the batch size of ``input_shape``.

    Returns:
        The prediction, for further checks.

    Raises:
        AssertionError: what is declared is not what comes out, or a copy of the layer gives other numbers.
    """
    arguments = dict(kwargs or {})
    what = layer_cls.__name__
    if input_data is None:
        if not input_shape:
            raise AssertionError(f"[layer_test] {what}: give input_shape=(batch, ...) or input_data.")
        input_dtype = input_dtype or K.floatx()
        lengths = [_OPEN_LENGTHS[i % 2] if n is None else n for i, n in enumerate(input_shape)]
        input_data = (10 * np.random.random(lengths)).astype(input_dtype)
    shape = tuple(input_shape) if input_shape is not None else input_data.shape
    dtype = str(np.dtype(input_dtype or input_data.dtype))
    if expected_output_dtype is None:
        expected_output_dtype = dtype

    with custom_object_scope({what: layer_cls}):
        layer = layer_cls(**arguments)
        weights = layer.get_weights()
        layer.set_weights(weights)
        if weights and has_arg(layer_cls, "weights"):
            layer = layer_cls(**arguments, weights=weights)

        batch: dict[str, Any] = {"batch_shape": shape} if fixed_batch_size else {"shape": shape[1:]}
        x = Input(dtype=dtype, **batch)
        y = layer(x)
        declared = K.dtype(y)
        assert declared == expected_output_dtype, (
            f"[layer_test] {what}: the output is expected to be {expected_output_dtype}; it is {declared}."
        )
        model = Model(x, y)
        output = _checked_prediction(what, model, layer.compute_output_shape(shape), input_data, expected_output)
        _check_copy(what, model, Model.from_config(model.get_config()), input_data, output)
        model.compile("rmsprop", "mse")
        model.train_on_batch(input_data, output)

        config = dict(layer.get_config())
        config["batch_input_shape"] = shape
        first = Sequential()
        first.add(type(layer).from_config(config))
        output = _checked_prediction(what, first, layer.compute_output_shape(shape), input_data, expected_output)
        _check_copy(what, first, Sequential.from_config(first.get_config()), input_data, output)
        _check_copy(what, first, model_from_json(first.to_json()), input_data, output)
        first.compile("rmsprop", "mse")
        first.train_on_batch(input_data, output)
    return output


def _checked_prediction(what: str, model: Any, declared: Any, x: np.ndarray, expected: Any) -> np.ndarray:
    """Return the model's prediction, which must have the declared shape and the expected values."""
    output = model.predict(x)
    for source, shape in (("compute_output_shape", declared), ("the model", model.output_shape)):
        fits = len(shape) == output.ndim and all(n is None or n == m for n, m in zip(shape, output.shape))
        assert fits, f"[layer_test] {what}: {source} says {tuple(shape)}; the output has the shape {output.shape}."
    if expected is not None:
        np.testing.assert_allclose(output, expected, rtol=_RTOL, err_msg=f"[layer_test] {what}: prediction")
    return output


def _check_copy(what: str, model: Any, copy: Any, x: np.ndarray, output: np.ndarray) -> None:
    """Check that a model made from a config predicts the same with the same weights."""
    copy.set_weights(model.get_weights())
    np.testing.assert_allclose(
        copy.predict(x), output, rtol=_RTOL, err_msg=f"[layer_test] {what}: a copy made from the config"
    )


def keras_test(func: F) -> F:
    """Decorate a test: what Keras counts and keeps, such as the numbers in automatic names, is cleared after it."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        output = func(*args, **kwargs)
        K.clear_session()
        return output

    return wrapper  # type: ignore[return-value]

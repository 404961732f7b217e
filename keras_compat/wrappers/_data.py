"""What goes into the wrapped models: inputs as they take them, and labels and targets as their losses want them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_compat import losses
from keras_compat.dialect.level import get_api_level
from keras_compat.utils.generic_utils import to_list
from keras_compat.utils.np_utils import to_categorical

# -- data -------------------------------------------------------------------------------------------------------------


def as_data(x: Any) -> Any:
    """The inputs of a model: arrays, data frames, sparse matrices and lists of arrays as they are, rows as an array."""
    rows = isinstance(x, (list, tuple)) and not any(np.ndim(part) >= 2 for part in x)
    if rows or (hasattr(x, "__array__") and not hasattr(x, "shape")):
        x = np.asarray(x)
    if isinstance(x, np.ndarray) and x.dtype == object:
        x = x.astype(float)  # numbers that came as objects
    if getattr(getattr(x, "dtype", None), "kind", "") == "c":
        raise ValueError(
            f"Complex data not supported: a Keras model takes real numbers; got {x.dtype}. Split it in two?"
        )
    if getattr(x, "ndim", 0) == 2 and x.shape[1] == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={x.shape}) while a minimum of 1 is required.")
    return x


def as_weights(sample_weight: Any) -> npt.NDArray[Any]:
    """Weights of samples as an array; ValueError if all are 0."""
    weights = np.asarray(sample_weight, dtype=float)
    if weights.size and not weights.any():
        raise ValueError(
            "[sample_weight] Sample weights must contain at least one non-zero number; all are 0. Drop it?"
        )
    return weights


def column_names(x: Any) -> npt.NDArray[Any] | None:
    """Names of the columns of a data frame, if all are texts."""
    columns = getattr(x, "columns", None)
    if columns is None or not all(isinstance(name, str) for name in columns):
        return None
    return np.asarray(list(columns), dtype=object)


def other_columns(seen: list[str], came: list[str]) -> str:
    """What is said of a data frame with other columns, in scikit-learn's words."""
    lines = ["The feature names should match those that were passed during fit."]
    unseen, gone = sorted(set(came) - set(seen)), sorted(set(seen) - set(came))
    if unseen:
        lines += ["Feature names unseen at fit time:", *[f"- {name}" for name in unseen]]
    if gone:
        lines += ["Feature names seen at fit time, yet now missing:", *[f"- {name}" for name in gone]]
    if not unseen and not gone:
        lines.append("Feature names must be in the same order as they were in fit.")
    return "\n".join(lines) + "\n"


# -- targets ----------------------------------------------------------------------------------------------------------


def outputs_of(model: Any) -> int:
    """How many outputs a model has; one as long as it is not built."""
    return len(getattr(model, "outputs", None) or [None])


def is_listed(y: Any) -> bool:
    """Whether targets came as a list of arrays, one for each output."""
    return isinstance(y, (list, tuple)) and any(isinstance(part, np.ndarray) and part.ndim > 0 for part in y)


def losses_of(model: Any) -> list[Any]:
    """The loss of each output."""
    loss = model.loss
    if isinstance(loss, dict):
        return [loss.get(name) for name in model.output_names]
    return list(loss) if isinstance(loss, (list, tuple)) else [loss] * outputs_of(model)


def by_output(model: Any, y: Any) -> Any:
    """Targets as a model takes them: an array, or a list with one for each output."""
    return parts_of(model, y) if outputs_of(model) > 1 else np.asarray(y)


def parts_of(model: Any, y: Any) -> list[npt.NDArray[Any]]:
    """An array of targets for each output: from a list, or cut from the columns of one array."""
    count = outputs_of(model)
    if is_listed(y) and len(y) == count:
        return [np.asarray(part) for part in y]
    columns = np.asarray(y)
    if columns.ndim == 2 and columns.shape[1] == count:
        return [columns[:, i] for i in range(count)]
    widths = [shape[-1] for shape in to_list(model.output_shape)]
    if columns.ndim == 2 and None not in widths and columns.shape[1] == sum(widths):
        return np.split(columns, np.cumsum(widths)[:-1], axis=1)
    raise ValueError(
        f"[fit] the model has {count} outputs: expected a list of {count} arrays, or an array with {count} columns (or "
        f"{sum(w or 0 for w in widths)}, as many as units); got {columns.shape}. Which column belongs to which output?"
    )


def is_several_hot(rows: npt.NDArray[Any]) -> bool:
    """Whether rows hold nothing but 0 and 1, and not one 1 in each: that would be one label, one-hot."""
    if rows.dtype.kind not in "biuf" or not ((rows == 0) | (rows == 1)).all():
        return False
    return bool((rows.sum(axis=1) != 1).any())


def classes_of(y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The different labels, in order; in Keras 1, where a label is its own number, all up to the largest."""
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.round(y)).all()):
        raise ValueError(
            "Unknown label type: labels must be whole numbers or texts; got real numbers (or NaN). Is a KerasRegressor "
            "meant?"
        )
    if get_api_level() == "1.2" and y.dtype.kind in "iuf" and y.size and y.min() >= 0:
        return np.arange(int(y.max()) + 1)
    return np.unique(y)


def coded(y: npt.NDArray[Any], classes: npt.NDArray[Any], loss: Any) -> npt.NDArray[Any]:
    """Labels as the model sees them: their numbers, or rows for the categorical cross-entropy. Rows stay as they are.

    Raises:
        ValueError: a label that is none of the classes.
    """
    if y.ndim == 2 and y.shape[1] > 1:
        return y
    flat = y.reshape(-1)
    numbers = np.minimum(np.searchsorted(classes, flat), len(classes) - 1)
    unknown = classes[numbers] != flat
    if np.any(unknown):
        raise ValueError(
            f"[labels] expected those that fit has seen ({list(classes[:10])}); got also "
            f"{list(np.unique(flat[unknown]))}. Use stratified folds?"
        )
    return to_categorical(numbers, len(classes)) if losses.is_categorical_crossentropy(loss) else numbers


def labels_of(p: npt.NDArray[Any], classes: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """Labels from probabilities: the largest of several columns, or whether a single one exceeds 0.5."""
    numbers = p.argmax(axis=-1) if p.shape[-1] > 1 else (p[..., 0] > 0.5).astype("int32")
    if classes is None:
        return numbers
    if len(classes) == 1:
        return np.full(numbers.shape, classes[0])
    if numbers.size and numbers.max() >= len(classes):
        raise ValueError(
            f"[predict] fit has seen {len(classes)} classes ({list(classes[:10])}); the model predicts number "
            f"{numbers.max()} from {p.shape[-1]} units. Give the last layer a unit for each class."
        )
    return classes[numbers]

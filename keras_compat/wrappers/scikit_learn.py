"""Keras models as scikit-learn estimators: ``KerasClassifier`` and ``KerasRegressor``.

They need no scikit-learn themselves; it is asked for nothing but its own classes of tags and errors. Words, values and
errors are those of Keras 2.3.1; what scikit-learn has asked for since then (``clone`` by identity, tags, names of
columns, one dimension for predicted classes) is there too.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_compat import losses as losses
from keras_compat.dialect.level import get_api_level
from keras_compat.models import Sequential as Sequential

# Keras 2.3.1 has these here, too.
from keras_compat.utils.generic_utils import has_arg as has_arg
from keras_compat.utils.generic_utils import to_list as to_list
from keras_compat.utils.np_utils import to_categorical as to_categorical

# Two words for one number: who sets one means the other no more.
_SAME = {"nb_epoch": "epochs", "epochs": "nb_epoch"}


class _NotFitted(ValueError, AttributeError):
    """Raised before ``fit`` where scikit-learn, whose ``NotFittedError`` is of the same kind, is not installed."""


class BaseWrapper:
    """A function that builds a Keras model, with parameters for it and for training: what both estimators share.

    Args:
        build_fn: makes a compiled model: a function, a method, a class, or any object with ``__call__``. None for a
            subclass that defines ``__call__``; by then ``n_features_in_`` and a classifier's ``classes_`` and
            ``n_classes_`` are known.
        **sk_params: arguments of ``build_fn`` and of the model's ``fit``, ``predict`` and ``evaluate``: ``epochs`` (or
            ``nb_epoch``), ``batch_size``, ``callbacks``... Each goes to the calls that have an argument of its name.

    Raises:
        ValueError: a parameter that none of these takes.
    """

    def __init__(self, build_fn: Callable[..., Any] | None = None, **sk_params: Any):
        self.build_fn = build_fn
        self.sk_params = sk_params
        self.check_params(sk_params)

    # -- parameters --------------------------------------------------------------------------------------------------

    def check_params(self, params: Mapping[str, Any]) -> None:
        """Raise ValueError if neither ``build_fn`` nor the model's methods have an argument of one of these names."""
        build = self._builder()
        known = (Sequential.fit, Sequential.predict, Sequential.predict_classes, Sequential.evaluate, build)
        for name in params:
            if not any(_takes(fn, name) for fn in known):
                raise ValueError(
                    f"[{type(self).__name__}] {name} is not a legal parameter: neither build_fn "
                    f"({', '.join(inspect.signature(build).parameters)}) nor fit, predict and evaluate take it. "
                    "Give build_fn an argument of this name?"
                )

    def get_params(self, deep: bool = True, **params: Any) -> dict[str, Any]:
        """All parameters by their names, ``build_fn`` too. The values are the objects themselves.

        Args:
            deep: without effect, as all of ``params``: parameters have no parameters of their own here.
        """
        return {**self.sk_params, **{name: getattr(self, name) for name in self._attributes()}}

    def set_params(self, **params: Any) -> Any:
        """Set parameters by their names; returns the estimator.

        Raises:
            ValueError: as :meth:`check_params`.
        """
        own = {name: params.pop(name) for name in self._attributes() if name in params}
        before = {name: getattr(self, name) for name in own}
        for name, value in own.items():
            setattr(self, name, value)
        try:
            self.check_params(params)
        except ValueError:
            for name, value in before.items():
                setattr(self, name, value)
            raise
        self.sk_params = _updated(self.sk_params, params)
        return self

    def filter_sk_params(self, fn: Callable[..., Any], override: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The parameters that ``fn`` has arguments for, and all of ``override``, which goes before them."""
        return _updated({name: value for name, value in self.sk_params.items() if _takes(fn, name)}, override or {})

    def _attributes(self) -> list[str]:
        """The parameters that are attributes: ``build_fn``, and those that a subclass adds to ``__init__``."""
        named = [
            p.name for p in inspect.signature(type(self).__init__).parameters.values() if p.kind is not p.VAR_KEYWORD
        ]
        return ["build_fn", *[name for name in named[1:] if name != "build_fn" and name in vars(self)]]

    def _builder(self) -> Callable[..., Any]:
        build: Any = self.build_fn if self.build_fn is not None else self
        if not callable(build):
            raise ValueError(
                f"[{type(self).__name__}] build_fn must be a function (or an object with __call__) that returns a "
                f"compiled model; got {self.build_fn!r}. Or define __call__ in a subclass."
            )
        return build

    # -- training and asking -----------------------------------------------------------------------------------------

    def fit(self, x: Any, y: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        """Build a new model and train it; returns the ``History`` of the training, as in Keras.

        Args:
            x: ``(samples, features)``, or whatever the model takes.
            y: ``(samples,)`` or ``(samples, outputs)``. For a model with several outputs a list, or one array whose
                columns belong to the outputs in their order.
            sample_weight: a weight for each sample.
            **kwargs: arguments of the model's ``fit``; they go before those given to the constructor.
        """
        if y is None:
            raise ValueError(f"[{type(self).__name__}.fit] requires y to be passed, but the target y is None. Pass y.")
        x = _data(x)
        self._forget()
        if hasattr(x, "shape") and len(x.shape) >= 1:
            self.n_features_in_ = int(x.shape[1]) if len(x.shape) > 1 else 1
        names = _column_names(x)
        if names is not None:
            self.feature_names_in_ = names
        self._learn(y)
        build = self._builder()
        self.model = build(**self.filter_sk_params(build))
        if _outputs(self.model) > 1:
            self._learn_outputs(y)
        elif _is_listed(y):
            y = np.asarray(y)  # a list of rows
            self._learn(y)
        arguments = self.filter_sk_params(Sequential.fit)
        if "callbacks" in arguments:  # they count and remember: each training begins with its own
            arguments["callbacks"] = copy.deepcopy(arguments["callbacks"])
        arguments = _updated(arguments, kwargs)
        if sample_weight is not None:
            arguments["sample_weight"] = _weights(sample_weight)
        if isinstance(arguments.get("validation_data"), (list, tuple)):
            x_val, y_val, *weights = arguments["validation_data"]
            arguments["validation_data"] = (_data(x_val), self._targets(y_val), *weights)
        return self.model.fit(x, self._targets(y), **arguments)

    def _forget(self) -> None:
        for name in ("n_features_in_", "feature_names_in_"):
            vars(self).pop(name, None)

    def _learn(self, y: Any) -> None:
        """Note what the targets are, before there is a model."""

    def _learn_outputs(self, y: Any) -> None:
        """Note what the targets are, when the model has turned out to have several outputs."""

    def _targets(self, y: Any) -> Any:
        """What the model is trained on, from what the caller gave."""
        return _by_output(self.model, y)

    def _predicted(self, x: Any, method: Callable[..., Any], kwargs: Mapping[str, Any]) -> list[npt.NDArray[Any]]:
        """An array for each output of the model; the parameters are those that ``method`` takes."""
        x = self._checked(x)
        return [np.asarray(p) for p in to_list(self.model.predict(x, **self.filter_sk_params(method, kwargs)))]

    def _evaluated(self, x: Any, y: Any, kwargs: Mapping[str, Any]) -> dict[str, float]:
        """Loss and metrics of the model by their names, the loss first."""
        x = self._checked(x)
        arguments = self.filter_sk_params(Sequential.evaluate, kwargs)
        if arguments.get("sample_weight") is not None:
            arguments["sample_weight"] = _weights(arguments["sample_weight"])
        found = to_list(self.model.evaluate(x, self._targets(y), **arguments))
        return dict(zip(self.model.metrics_names, found))

    def _checked(self, x: Any) -> Any:
        """The data to predict from.

        Raises:
            NotFittedError: there is no model yet.
            ValueError: other columns than those of the training, or none.
        """
        name = type(self).__name__
        if getattr(self, "model", None) is None:
            raise _not_fitted(
                f"This {name} instance is not fitted yet. Call 'fit' with appropriate arguments before using this "
                "estimator, or set its attribute model."
            )
        x = _data(x)
        seen, names = getattr(self, "feature_names_in_", None), _column_names(x)
        if seen is not None and names is not None and list(seen) != list(names):
            raise ValueError(_other_columns(list(seen), list(names)))
        expected = getattr(self, "n_features_in_", None)
        if expected is None or getattr(self.model, "input_shape", None) != (None, expected):
            return x  # what fits is the model's to say: sequences of any length, pictures
        if getattr(x, "ndim", 0) == 1 and expected > 1:
            raise ValueError(
                f"Expected 2D array, got 1D array instead; {name} was fitted on {expected} features. Reshape your data "
                "using array.reshape(1, -1) if it contains a single sample."
            )
        if getattr(x, "ndim", 0) == 2 and x.shape[1] != expected:
            raise ValueError(f"X has {x.shape[1]} features, but {name} is expecting {expected} features as input.")
        return x

    # -- scikit-learn's protocol -------------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        return getattr(self, "model", None) is not None

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags

        # NaN goes through a network, and weights begin at random.
        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=True, multi_output=True),
            input_tags=InputTags(sparse=True, allow_nan=True, three_d_array=True),
            non_deterministic=True,
        )

    def __repr__(self) -> str:
        build = getattr(self.build_fn, "__name__", None) or repr(self.build_fn)
        words = [f"build_fn={build}"] if self.build_fn is not None else []
        return f"{type(self).__name__}({', '.join(words + [f'{k}={v!r}' for k, v in self.sk_params.items()])})"


class KerasClassifier(BaseWrapper):
    """A Keras model as a scikit-learn classifier; see :class:`BaseWrapper` for the arguments.

    Labels may be numbers or texts. The model sees them as ``0 .. classes - 1``, one-hot if its loss is the categorical
    cross-entropy; a last layer of one unit with a sigmoid is for two classes. Rows of 0 and 1 are taken for one-hot if
    each has exactly one 1, else for several labels at once. A model with several outputs is trained on a column of
    labels each.

    Attributes after ``fit``: ``model``, ``classes_`` and ``n_classes_`` (lists for a model with several outputs),
    ``n_features_in_``, for data frames ``feature_names_in_``.
    """

    _estimator_type = "classifier"

    def _learn(self, y: Any) -> None:
        if _is_listed(y):
            return  # the classes of each are looked for when the model is there
        labels = np.asarray(y)
        if labels.ndim not in (1, 2):
            raise ValueError(
                f"[{type(self).__name__}.fit] Invalid shape for y: {labels.shape}; expected labels (samples,) or rows "
                "(samples, classes). One label for each sample?"
            )
        rows = labels.ndim == 2 and labels.shape[1] > 1
        self._several_labels = rows and _is_several_hot(labels)
        self.classes_: Any = np.arange(labels.shape[1]) if rows else _classes_of(labels)
        self.n_classes_: Any = len(self.classes_)

    def _learn_outputs(self, y: Any) -> None:
        self._several_labels = False
        self.classes_ = [
            np.arange(part.shape[1]) if part.ndim == 2 and part.shape[1] > 1 else _classes_of(part)
            for part in _parts(self.model, y)
        ]
        self.n_classes_ = [len(classes) for classes in self.classes_]

    def _targets(self, y: Any) -> Any:
        classes = getattr(self, "classes_", None)
        if classes is None:  # the model came from elsewhere
            return _by_output(self.model, y)
        if not isinstance(classes, list):
            return _coded(np.asarray(y), classes, _losses(self.model)[0])
        found = zip(_parts(self.model, y), classes, _losses(self.model))
        return [_coded(part, listed, loss) for part, listed, loss in found]

    def predict(self, x: Any, **kwargs: Any) -> npt.NDArray[Any]:
        """The most probable labels, ``(samples,)``.

        For several labels at once 0 and 1, ``(samples, labels)``; for a model with several outputs a column each.

        Args:
            **kwargs: arguments of the model's ``predict_classes``.
        """
        made = self._predicted(x, Sequential.predict_classes, kwargs)
        if getattr(self, "_several_labels", False):
            return (made[0] > 0.5).astype(int)
        classes = getattr(self, "classes_", None)
        listed = classes if isinstance(classes, list) else [classes] * len(made)
        labels = [_labels(p, of) for p, of in zip(made, listed)]
        return labels[0] if len(labels) == 1 else np.stack(labels, axis=-1)

    def predict_proba(self, x: Any, **kwargs: Any) -> Any:
        """Probabilities of the classes, ``(samples, classes)``: two columns for a single unit.

        For several labels at once a probability each; for a model with several outputs a list of arrays.

        Args:
            **kwargs: arguments of the model's ``predict_proba``.
        """
        made = self._predicted(x, Sequential.predict_proba, kwargs)
        found = [np.hstack([1 - p, p]) if p.shape[1] == 1 else p for p in made]
        return found[0] if len(found) == 1 else found

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The model's accuracy (for several outputs the mean of theirs), as its ``evaluate`` gives it.

        Args:
            **kwargs: arguments of the model's ``evaluate``, ``sample_weight`` among them.

        Raises:
            ValueError: the model was compiled without ``metrics=["accuracy"]``; labels that ``fit`` has not seen.
        """
        found = self._evaluated(x, y, kwargs)
        exact = [value for name, value in found.items() if name in ("accuracy", "acc")]
        each = exact or [value for name, value in found.items() if name.endswith(("_accuracy", "_acc"))]
        if not exact and (len(each) != _outputs(self.model) or _outputs(self.model) == 1):
            raise ValueError(
                f"[{type(self).__name__}.score] The model is not configured to compute accuracy. You should pass "
                '`metrics=["accuracy"]` to the `model.compile()` method.'
            )
        return float(np.mean(each))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags(multi_class=True, multi_label=True)
        return tags


class KerasRegressor(BaseWrapper):
    """A Keras model as a scikit-learn regressor; see :class:`BaseWrapper` for the arguments.

    Attributes after ``fit``: ``model``, ``n_outputs_`` (columns of ``y``), ``n_features_in_``, for data frames
    ``feature_names_in_``.
    """

    _estimator_type = "regressor"

    def _learn(self, y: Any) -> None:
        parts = y if _is_listed(y) else [np.asarray(y)]
        self.n_outputs_ = sum(part.shape[1] if np.ndim(part) == 2 else 1 for part in parts)

    def predict(self, x: Any, **kwargs: Any) -> npt.NDArray[Any]:
        """What the model gives: ``(samples,)`` for one unit, else ``(samples, units)``, outputs beside one another.

        Args:
            **kwargs: arguments of the model's ``predict``.
        """
        made = self._predicted(x, Sequential.predict, kwargs)
        joined = made[0] if len(made) == 1 else np.concatenate(made, axis=-1)
        return np.squeeze(joined, axis=-1) if joined.shape[-1] == 1 else joined

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Minus the loss, so that more is better; in Keras 1 the loss itself.

        Args:
            **kwargs: arguments of the model's ``evaluate``, ``sample_weight`` among them.
        """
        loss = float(next(iter(self._evaluated(x, y, kwargs).values())))
        return loss if get_api_level() == "1.2" else -loss

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import RegressorTags

        tags = super().__sklearn_tags__()
        tags.estimator_type = "regressor"
        tags.regressor_tags = RegressorTags()
        return tags


# -- parameters -------------------------------------------------------------------------------------------------------


def _takes(fn: Callable[..., Any], name: str) -> bool:
    """Whether a function has an argument of this name, in either vocabulary."""
    return has_arg(fn, name) or name in getattr(fn, "accepted_arguments", ())


def _updated(params: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with some set anew, also where the new ones say the same in the other vocabulary."""
    return {**{name: value for name, value in params.items() if _SAME.get(name) not in changes}, **changes}


def _not_fitted(message: str) -> Exception:
    try:
        from sklearn.exceptions import NotFittedError
    except ImportError:
        return _NotFitted(message)
    return NotFittedError(message)


# -- data -------------------------------------------------------------------------------------------------------------


def _data(x: Any) -> Any:
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


def _weights(sample_weight: Any) -> npt.NDArray[Any]:
    weights = np.asarray(sample_weight, dtype=float)
    if weights.size and not weights.any():
        raise ValueError(
            "[sample_weight] Sample weights must contain at least one non-zero number; all are 0. Drop it?"
        )
    return weights


def _column_names(x: Any) -> npt.NDArray[Any] | None:
    """Names of the columns of a data frame, if all are texts."""
    columns = getattr(x, "columns", None)
    if columns is None or not all(isinstance(name, str) for name in columns):
        return None
    return np.asarray(list(columns), dtype=object)


def _other_columns(seen: list[str], came: list[str]) -> str:
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


def _outputs(model: Any) -> int:
    return len(getattr(model, "outputs", None) or [None])


def _is_listed(y: Any) -> bool:
    """Whether targets came as a list of arrays, one for each output."""
    return isinstance(y, (list, tuple)) and any(isinstance(part, np.ndarray) and part.ndim > 0 for part in y)


def _losses(model: Any) -> list[Any]:
    """The loss of each output."""
    loss = model.loss
    if isinstance(loss, dict):
        return [loss.get(name) for name in model.output_names]
    return list(loss) if isinstance(loss, (list, tuple)) else [loss] * _outputs(model)


def _by_output(model: Any, y: Any) -> Any:
    """Targets as a model takes them: an array, or a list with one for each output."""
    return _parts(model, y) if _outputs(model) > 1 else np.asarray(y)


def _parts(model: Any, y: Any) -> list[npt.NDArray[Any]]:
    """An array of targets for each output: from a list, or cut from the columns of one array."""
    count = _outputs(model)
    if _is_listed(y) and len(y) == count:
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


def _is_several_hot(rows: npt.NDArray[Any]) -> bool:
    """Whether rows hold nothing but 0 and 1, and not one 1 in each: that would be one label, one-hot."""
    if rows.dtype.kind not in "biuf" or not ((rows == 0) | (rows == 1)).all():
        return False
    return bool((rows.sum(axis=1) != 1).any())


def _classes_of(y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The different labels, in order; in Keras 1, where a label is its own number, all up to the largest."""
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.round(y)).all()):
        raise ValueError(
            "Unknown label type: labels must be whole numbers or texts; got real numbers (or NaN). Is a KerasRegressor "
            "meant?"
        )
    if get_api_level() == "1.2" and y.dtype.kind in "iuf" and y.size and y.min() >= 0:
        return np.arange(int(y.max()) + 1)
    return np.unique(y)


def _coded(y: npt.NDArray[Any], classes: npt.NDArray[Any], loss: Any) -> npt.NDArray[Any]:
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


def _labels(p: npt.NDArray[Any], classes: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
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

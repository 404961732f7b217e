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
from keras_compat.wrappers._data import (
    as_data,
    as_weights,
    by_output,
    classes_of,
    coded,
    column_names,
    is_listed,
    is_several_hot,
    labels_of,
    losses_of,
    other_columns,
    outputs_of,
    parts_of,
)

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
        x = as_data(x)
        self._forget()
        if hasattr(x, "shape") and len(x.shape) >= 1:
            self.n_features_in_ = int(x.shape[1]) if len(x.shape) > 1 else 1
        names = column_names(x)
        if names is not None:
            self.feature_names_in_ = names
        self._learn(y)
        build = self._builder()
        self.model = build(**self.filter_sk_params(build))
        if outputs_of(self.model) > 1:
            self._learn_outputs(y)
        elif is_listed(y):
            y = np.asarray(y)  # a list of rows
            self._learn(y)
        arguments = self.filter_sk_params(Sequential.fit)
        if "callbacks" in arguments:  # they count and remember: each training begins with its own
            arguments["callbacks"] = copy.deepcopy(arguments["callbacks"])
        arguments = _updated(arguments, kwargs)
        if sample_weight is not None:
            arguments["sample_weight"] = as_weights(sample_weight)
        if isinstance(arguments.get("validation_data"), (list, tuple)):
            x_val, y_val, *weights = arguments["validation_data"]
            arguments["validation_data"] = (as_data(x_val), self._targets(y_val), *weights)
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
        return by_output(self.model, y)

    def _predicted(self, x: Any, method: Callable[..., Any], kwargs: Mapping[str, Any]) -> list[npt.NDArray[Any]]:
        """An array for each output of the model; the parameters are those that ``method`` takes."""
        x = self._checked(x)
        return [np.asarray(p) for p in to_list(self.model.predict(x, **self.filter_sk_params(method, kwargs)))]

    def _evaluated(self, x: Any, y: Any, kwargs: Mapping[str, Any]) -> dict[str, float]:
        """Loss and metrics of the model by their names, the loss first."""
        x = self._checked(x)
        arguments = self.filter_sk_params(Sequential.evaluate, kwargs)
        if arguments.get("sample_weight") is not None:
            arguments["sample_weight"] = as_weights(arguments["sample_weight"])
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
        x = as_data(x)
        seen, names = getattr(self, "feature_names_in_", None), column_names(x)
        if seen is not None and names is not None and list(seen) != list(names):
            raise ValueError(other_columns(list(seen), list(names)))
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
        if is_listed(y):
            return  # the classes of each are looked for when the model is there
        labels = np.asarray(y)
        if labels.ndim not in (1, 2):
            raise ValueError(
                f"[{type(self).__name__}.fit] Invalid shape for y: {labels.shape}; expected labels (samples,) or rows "
                "(samples, classes). One label for each sample?"
            )
        rows = labels.ndim == 2 and labels.shape[1] > 1
        self._several_labels = rows and is_several_hot(labels)
        self.classes_: Any = np.arange(labels.shape[1]) if rows else classes_of(labels)
        self.n_classes_: Any = len(self.classes_)

    def _learn_outputs(self, y: Any) -> None:
        self._several_labels = False
        self.classes_ = [
            np.arange(part.shape[1]) if part.ndim == 2 and part.shape[1] > 1 else classes_of(part)
            for part in parts_of(self.model, y)
        ]
        self.n_classes_ = [len(classes) for classes in self.classes_]

    def _targets(self, y: Any) -> Any:
        classes = getattr(self, "classes_", None)
        if classes is None:  # the model came from elsewhere
            return by_output(self.model, y)
        if not isinstance(classes, list):
            return coded(np.asarray(y), classes, losses_of(self.model)[0])
        found = zip(parts_of(self.model, y), classes, losses_of(self.model))
        return [coded(part, listed, loss) for part, listed, loss in found]

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
        labels = [labels_of(p, of) for p, of in zip(made, listed)]
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
        if not exact and (len(each) != outputs_of(self.model) or outputs_of(self.model) == 1):
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
        parts = y if is_listed(y) else [np.asarray(y)]
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

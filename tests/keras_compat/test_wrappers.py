"""The scikit-learn wrappers: genuine Keras's values, and today's scikit-learn around them.

What genuine Keras said is in `golden/wrappers`; `genuine/write_wrappers.py` asks it and us the same.
"""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, call-arg"

from __future__ import annotations

import copy
import importlib
import json
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_compat as keras
from keras_compat.dialect import api_level
from keras_compat.layers import Dense, Input
from keras_compat.models import Model, Sequential
from keras_compat.wrappers.scikit_learn import BaseWrapper, KerasClassifier, KerasRegressor
from tests.keras_compat.genuine import write_wrappers

sklearn = pytest.importorskip("sklearn")
base, ensemble, selection, pipeline, multioutput, preprocessing, compose, estimator_checks = [
    importlib.import_module(f"sklearn.{name}")
    for name in (
        "base ensemble model_selection pipeline multioutput preprocessing compose utils.estimator_checks".split()
    )
]

GOLDEN = Path(__file__).parent / "golden" / "wrappers"
X = write_wrappers.rows()
Y = np.array(write_wrappers.LABELS)
TEXTS = np.array(["b", "a", "c"])[Y]

pytestmark = pytest.mark.usefixtures("without_kernels")


def softmax(hidden: int = 4, loss: str = "categorical_crossentropy") -> Any:
    return write_wrappers.drawn(write_wrappers.maker(keras, 3, "softmax", loss)(hidden))


def sigmoid(hidden: int = 4) -> Any:
    return write_wrappers.maker(keras, 1, "sigmoid", "binary_crossentropy")(hidden)


def linear(units: int = 1) -> Any:
    return write_wrappers.maker(keras, units, "linear", "mse", ())(4)


def branches(kind: str = "softmax", loss: Any = "categorical_crossentropy") -> Any:
    """Three inputs, two outputs of three and two units."""
    x = Input((3,))
    y = [Dense(3, activation=kind, name="a")(x), Dense(2, activation=kind, name="b")(x)]
    model = Model(x, y)
    model.compile("sgd", loss, metrics=["accuracy"])
    return write_wrappers.drawn(model)


# --- genuine Keras ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("release", "level"), [("1.2.2", "1.2"), ("2.3.1", "2.3")])
def test_values_of_genuine_keras(release, level, monkeypatch):
    """Losses, predictions, probabilities, scores, which parameter goes where, and errors."""
    genuine = json.loads((GOLDEN / f"keras-{release}.json").read_text())
    assert genuine["keras"] == release
    monkeypatch.setattr(keras, "__version__", release)
    with api_level(level):
        ours = write_wrappers.values(keras)
    assert set(ours) == set(genuine["values"])
    for name, expected in genuine["values"].items():
        _compare(ours[name], expected, name, level)


def _compare(ours: Any, genuine: Any, where: str, level: str) -> None:
    if where.endswith("/classes") and level == "1.2":
        return  # no attribute of 1.2.2's
    if isinstance(genuine, dict) and "error" in genuine:
        if where in ("errors/empty", "errors/shape"):  # other classes, with the same meaning
            assert ours["error"] in ("NotFittedError", "ValueError"), where
        else:
            assert ours["error"] == genuine["error"] and genuine["text"] in ours["text"], where
    elif isinstance(genuine, dict):
        assert set(ours) == set(genuine), where
        for name, value in genuine.items():
            _compare(ours[name], value, f"{where}/{name}", level)
    elif isinstance(genuine, list) and all(isinstance(item, str) for item in genuine):
        assert ours == genuine, where
    else:
        np.testing.assert_allclose(ours, genuine, rtol=2e-5, atol=2e-6, err_msg=where)


def test_in_keras_1_more_is_worse_and_labels_are_their_own_numbers():
    x, y = X, X[:, 0]
    made = KerasRegressor(linear, verbose=0)
    made.fit(x, y)
    loss = made.score(x, y)
    with api_level("1.2"):
        assert made.score(x, y) == pytest.approx(-loss)
        four = KerasClassifier(write_wrappers.maker(keras, 4, "softmax", "categorical_crossentropy"), verbose=0)
        four.fit(x, Y + 1)
        assert four.classes_.tolist() == [0, 1, 2, 3]
    assert loss < 0


# --- parameters -------------------------------------------------------------------------------------------------------


def test_both_words_for_epochs():
    for name in ("epochs", "nb_epoch"):
        made = KerasClassifier(softmax, verbose=0, **{name: 3})
        assert len(made.fit(X, Y).history["loss"]) == 3
    made.set_params(epochs=2)
    assert len(made.fit(X, Y).history["loss"]) == 2
    assert len(made.fit(X, Y, nb_epoch=4).history["loss"]) == 4
    assert "nb_epoch" not in made.get_params()


def test_parameters_are_set_all_or_none():
    made = KerasClassifier(softmax, hidden=3)
    with pytest.raises(ValueError, match="hiden is not a legal parameter"):
        made.set_params(build_fn=sigmoid, hiden=2)
    assert made.get_params() == {"build_fn": softmax, "hidden": 3}
    made.set_params(**{**made.get_params(), "build_fn": sigmoid})
    assert made.build_fn is sigmoid
    assert repr(made) == "KerasClassifier(build_fn=sigmoid, hidden=3)"


def test_clone_keeps_what_can_not_be_compared():
    """Each parameter of a clone must be the object that went in: scikit-learn's clone asks for identity."""
    stop = [keras.callbacks.EarlyStopping(monitor="loss", patience=0, min_delta=1e9)]
    made = KerasRegressor(linear, callbacks=stop, epochs=9, verbose=0)
    twin = base.clone(made)
    assert twin.get_params()["callbacks"][0] is not stop[0]
    assert [len(twin.fit(X, X[:, 0]).history["loss"]) for _ in range(2)] == [2, 2]
    assert twin.get_params()["callbacks"][0].model is None  # each training counted with one of its own


def test_a_subclass_has_parameters_of_its_own():
    class Own(KerasRegressor):
        def __init__(self, width=3, **sk_params):
            self.width = width
            super().__init__(**sk_params)

        def __call__(self):
            assert (self.n_features_in_, self.n_outputs_) == (3, 2)
            return linear(self.n_outputs_)

    made = Own(width=5, verbose=0)
    assert made.get_params() == {"build_fn": None, "width": 5, "verbose": 0}
    twin = base.clone(made).set_params(width=7)
    assert (twin.width, made.width) == (7, 5)
    twin.fit(X, X[:, :2])
    assert twin.predict(X).shape == (12, 2)


def test_a_class_can_build():
    class Built(Sequential):
        def __init__(self, hidden=4):
            super().__init__([Dense(hidden, input_dim=3), Dense(1)])
            self.compile("sgd", "mse")

    made = KerasRegressor(Built, hidden=2, verbose=0)
    made.fit(X, X[:, 0])
    assert made.model.layers[0].units == 2


@pytest.mark.parametrize("build", [None, 3, "model"])
def test_nothing_to_build_with(build):
    with pytest.raises(ValueError, match=r"build_fn must be a function .* or define __call__|Or define __call__"):
        KerasClassifier(build)


def test_the_base_of_both_fits_and_filters():
    made = BaseWrapper(linear, units=2, verbose=0)
    made.check_params({"epochs": 1})
    made.fit(X, X[:, :2])
    assert made.filter_sk_params(linear) == {"units": 2}


# --- labels and targets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("y", [TEXTS, TEXTS[:, None], list(TEXTS), TEXTS.astype(object), Y * 10, (Y - 1.0)[:, None]])
@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_labels_of_any_kind(y, loss):
    made = KerasClassifier(softmax, loss=loss, epochs=2, verbose=0)
    plain = KerasClassifier(softmax, loss=loss, epochs=2, verbose=0)
    numbers = np.unique(np.ravel(y), return_inverse=True)[1]
    np.random.seed(0)
    made.fit(X, y)
    np.random.seed(0)
    plain.fit(X, numbers)
    np.testing.assert_array_equal(made.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(made.predict(X), np.unique(np.ravel(y))[plain.predict(X)])
    assert made.score(X, y) == plain.score(X, numbers) == pytest.approx(np.mean(made.predict(X) == np.ravel(y)))


def test_labels_that_fit_has_not_seen():
    made = KerasClassifier(softmax, verbose=0)
    made.fit(X, TEXTS)
    with pytest.raises(ValueError, match=r"got also \['d', 'e'\]|got also .*'d'.*'e'"):
        made.score(X[:2], ["d", "e"])
    with pytest.raises(ValueError, match="real numbers"):
        made.fit(X, X[:, 0])


def test_more_units_than_classes():
    made = KerasClassifier(write_wrappers.maker(keras, 5, "softmax", "sparse_categorical_crossentropy"), verbose=0)
    made.fit(X, Y)
    with pytest.raises(ValueError, match="seen 3 classes .* from 5 units"):
        for _ in range(20):
            made.model.layers[-1].set_weights([np.zeros((4, 5)), np.array([0, 0, 0, 0, 1.0])])
            made.predict(X)


def test_validation_data_have_labels_too():
    made = KerasClassifier(softmax, epochs=1, verbose=0)
    history = made.fit(X, TEXTS, validation_data=(X, TEXTS), shuffle=False).history
    assert history["val_acc"] == [made.score(X, TEXTS)]


def test_several_labels_at_once():
    y = np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 0] > -2], axis=1).astype(int)
    made = KerasClassifier(write_wrappers.maker(keras, 3, "sigmoid", "binary_crossentropy"), verbose=0)
    made.fit(X, y)
    p = made.predict_proba(X)
    assert p.shape == (12, 3)
    np.testing.assert_array_equal(made.predict(X), p > 0.5)
    one_hot = KerasClassifier(softmax, verbose=0)
    one_hot.fit(X, np.eye(3)[Y])
    assert one_hot.predict(X).shape == (12,)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("loss", ["categorical_crossentropy", {"a": "sparse_categorical_crossentropy", "b": "mse"}])
def test_a_classifier_of_several_outputs(listed, loss):
    first, second = TEXTS, np.array(["no", "yes"])[(Y > 0).astype(int)]
    if isinstance(loss, dict):
        loss = ["sparse_categorical_crossentropy", "categorical_crossentropy"]
    made = KerasClassifier(branches, loss=loss, epochs=2, verbose=0)
    y = [first, second] if listed else np.stack([first, second], axis=1)
    made.fit(X, y)
    assert [classes.tolist() for classes in made.classes_] == [["a", "b", "c"], ["no", "yes"]]
    assert made.n_classes_ == [3, 2]
    found, chances = made.predict(X), made.predict_proba(X)
    assert found.shape == (12, 2)
    assert [p.shape for p in chances] == [(12, 3), (12, 2)]
    np.testing.assert_array_equal(found[:, 0], np.array(["a", "b", "c"])[chances[0].argmax(1)])
    assert made.score(X, y) == pytest.approx(np.mean(found == np.stack([first, second], axis=1)))


def test_a_regressor_of_several_outputs():
    made = KerasRegressor(branches, kind="linear", loss="mse", epochs=3, verbose=0, shuffle=False)
    target = np.sin(np.arange(60.0)).reshape(12, 5)
    made.fit(X, target)
    together = made.predict(X)
    assert together.shape == (12, 5)
    made.fit(X, [target[:, :3], target[:, 3:]])
    np.testing.assert_array_equal(made.predict(X), together)
    assert made.n_outputs_ == 5
    with pytest.raises(ValueError, match=r"2 outputs: expected a list of 2 arrays, or an array with 2 columns \(or 5"):
        made.fit(X, target[:, :4])


def test_a_model_from_elsewhere():
    """Keras models are put in by hand: programs load them from files."""
    made = KerasClassifier(softmax)
    made.model = softmax()
    numbers = made.predict(X)
    np.testing.assert_array_equal(numbers, made.model.predict(X).argmax(1))
    made.classes_ = np.array(["a", "b", "c"])
    np.testing.assert_array_equal(made.predict(X), made.classes_[numbers])


# --- data -------------------------------------------------------------------------------------------------------------


def test_names_of_columns():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    made = KerasClassifier(softmax, verbose=0)
    made.fit(frame, pandas.Series(TEXTS))
    assert made.feature_names_in_.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(made.predict(frame), made.predict(X))
    with pytest.raises(ValueError, match="must be in the same order"):
        made.predict(frame[["b", "a", "c"]])
    with pytest.raises(
        ValueError, match=r"unseen at fit time:\n- d\nFeature names seen at fit time, yet now missing:\n- c"
    ):
        made.predict(frame.rename(columns={"c": "d"}))


def test_rows_of_another_width():
    made = KerasClassifier(softmax, verbose=0)
    made.fit(X.tolist(), Y.tolist())
    assert made.n_features_in_ == 3
    with pytest.raises(ValueError, match="X has 2 features, but KerasClassifier is expecting 3 features as input"):
        made.predict(X[:, :2])
    with pytest.raises(ValueError, match="Reshape your data"):
        made.predict(X[0])


def test_sequences_of_any_length():
    def build():
        model = Sequential([keras.layers.Embedding(5, 2), keras.layers.GlobalAveragePooling1D(), Dense(1)])
        model.compile("sgd", "mse")
        return model

    made = KerasRegressor(build, verbose=0)
    made.fit(np.ones((4, 7), int), np.zeros(4))
    assert made.predict(np.ones((2, 3), int)).shape == (2,)


def test_sample_weights():
    once, twice = [KerasRegressor(linear, epochs=2, shuffle=False, batch_size=24, verbose=0) for _ in range(2)]
    once.fit(X, X[:, 0], sample_weight=[2.0] * 6 + [0.0] * 6)
    twice.fit(X[:6], X[:6, 0])
    np.testing.assert_allclose(once.predict(X), twice.predict(X), rtol=1e-5)
    assert once.score(X, X[:, 0], sample_weight=np.arange(12)) != once.score(X, X[:, 0])
    with pytest.raises(ValueError, match="at least one non-zero"):
        once.fit(X, X[:, 0], sample_weight=np.zeros(12))


@pytest.mark.parametrize("made", [KerasClassifier(softmax), KerasRegressor(linear)])
def test_not_fitted(made):
    exceptions = importlib.import_module("sklearn.exceptions")
    for ask in (lambda: made.predict(X), lambda: made.score(X, Y)):
        with pytest.raises(exceptions.NotFittedError, match="is not fitted yet"):
            ask()
    with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
        made.fit(X, None)


# --- scikit-learn around them -----------------------------------------------------------------------------------------


def fitted(made: Any = None) -> Any:
    made = made or KerasClassifier(softmax, epochs=2, verbose=0)
    np.random.seed(0)
    made.fit(X, TEXTS)
    return made


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies_predict_the_same(copied):
    made = fitted()
    twin = copied(made)
    np.testing.assert_array_equal(twin.predict_proba(X), made.predict_proba(X))
    assert twin.predict(X).tolist() == made.predict(X).tolist()
    twin.fit(X, Y)
    assert made.classes_.tolist() == ["a", "b", "c"]


def test_pipelines_and_cross_validation():
    pipe = pipeline.make_pipeline(preprocessing.StandardScaler(), KerasClassifier(softmax, verbose=0, epochs=1))
    pipe.fit(X, TEXTS, kerasclassifier__epochs=3)
    assert pipe.predict(X).shape == (12,)
    assert 0 <= pipe.score(X, TEXTS, verbose=0) <= 1
    assert selection.cross_val_score(pipe, X, TEXTS, cv=2).shape == (2,)
    assert selection.cross_val_predict(pipe, X, TEXTS, cv=2, method="predict_proba").shape == (12, 3)
    assert pipe.set_params(kerasclassifier__hidden=2)[-1].get_params()["hidden"] == 2
    assert "hidden=2" in repr(pipe) and "<div" in pipe._repr_html_()


def test_searches():
    np.random.seed(0)
    grid = selection.GridSearchCV(
        KerasClassifier(softmax, verbose=0, nb_epoch=1), {"hidden": [2, 3], "epochs": [1, 2]}, cv=2, error_score="raise"
    ).fit(X, TEXTS)
    assert set(grid.best_params_) == {"hidden", "epochs"}
    assert grid.best_estimator_.model.layers[0].units == grid.best_params_["hidden"]
    picked = selection.RandomizedSearchCV(
        KerasRegressor(linear, verbose=0), {"batch_size": [3, 6]}, n_iter=2, cv=2, random_state=0, error_score="raise"
    ).fit(X, X[:, 0])
    assert picked.best_score_ < 0


def test_inside_of_other_estimators():
    made = KerasClassifier(sigmoid, verbose=0)
    y = np.array(["no", "yes"])[(Y > 0).astype(int)]
    stacked = ensemble.StackingClassifier([("a", made), ("b", base.clone(made))], cv=2).fit(X, y)
    assert set(stacked.predict(X)) <= {"no", "yes"}
    voted = ensemble.VotingClassifier([("a", made), ("b", base.clone(made))], voting="soft").fit(X, y)
    assert voted.predict_proba(X).shape == (12, 2)
    boosted = ensemble.AdaBoostRegressor(KerasRegressor(linear, verbose=0), n_estimators=2, random_state=0)
    assert boosted.fit(X, X[:, 0]).predict(X).shape == (12,)
    scaled = compose.TransformedTargetRegressor(
        KerasRegressor(linear, verbose=0), func=np.negative, inverse_func=np.negative
    )
    assert scaled.fit(X, X[:, 0]).predict(X).shape == (12,)
    both = multioutput.MultiOutputClassifier(made).fit(X, np.stack([y, TEXTS == "a"], axis=1))
    assert both.predict(X).shape == (12, 2)


def test_what_they_are():
    assert base.is_classifier(KerasClassifier(softmax)) and base.is_regressor(KerasRegressor(linear))
    validation = importlib.import_module("sklearn.utils.validation")
    made = KerasClassifier(softmax, verbose=0)
    with pytest.raises(ValueError, match="not fitted"):
        validation.check_is_fitted(made)
    made.fit(X, Y)
    validation.check_is_fitted(made)


@pytest.mark.slow
def test_searches_in_other_processes(tmp_path):
    """joblib's workers get functions of `__main__` by value, and give fitted estimators back."""
    program = tmp_path / "search.py"
    program.write_text(
        """
import numpy as np
from sklearn.model_selection import GridSearchCV, cross_validate
from keras_compat.layers import Dense
from keras_compat.models import Sequential
from keras_compat.wrappers.scikit_learn import KerasClassifier

def build(hidden=4):
    model = Sequential([Dense(hidden, input_dim=3), Dense(1, activation='sigmoid')])
    model.compile('sgd', 'binary_crossentropy', metrics=['accuracy'])
    return model

if __name__ == '__main__':
    x = np.sin(np.arange(36.0)).reshape(12, 3)
    y = np.where(x[:, 0] > 0, 'yes', 'no')
    search = GridSearchCV(KerasClassifier(build, verbose=0), {'hidden': [2, 3]}, cv=2, n_jobs=2, error_score='raise')
    print(search.fit(x, y).best_params_)
    done = cross_validate(KerasClassifier(build, verbose=0), x, y, cv=2, n_jobs=2, return_estimator=True)
    print([made.predict(x).shape for made in done['estimator']])
"""
    )
    done = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, "AUTOTENSOR_NUMBA": "0"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "'hidden':" in done.stdout and "[(12,), (12,)]" in done.stdout


def test_they_need_no_scikit_learn(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    made = KerasClassifier(softmax, verbose=0)
    with pytest.raises(AttributeError, match="not fitted") as caught:
        made.predict(X)
    assert isinstance(caught.value, ValueError)
    made.fit(X, TEXTS)
    assert made.predict(X).shape == (12,)
    assert 0 <= made.score(X, TEXTS) <= 1


# What `check_estimator` may say against them, and why. The lists do not grow.
OF_KERAS = {
    "check_no_attributes_set_in_init": "`sk_params` is Keras's name for the parameters",
    "check_dont_overwrite_parameters": "`model` is Keras's name for the trained model",
    "check_estimators_fit_returns_self": "`fit` gives the History, as in Keras: old programs plot it",
    "check_readonly_memmap_input": "asks whether `fit` gives the estimator",
    "check_do_not_raise_errors_in_init_or_set_params": "a misspelt parameter is an error at once, as in Keras",
    "check_sample_weight_equivalence_on_dense_data": "batches are counted in samples, whatever these weigh",
    "check_sample_weight_equivalence_on_sparse_data": "batches are counted in samples, whatever these weigh",
    "check_fit1d": "Keras takes numbers in a row as samples of one feature",
}
OF_CLASSIFIERS = OF_KERAS | {
    "check_classifiers_multilabel_representation_invariance": "calls `fit(...).predict`",
}
OF_REGRESSORS = OF_KERAS | {
    "check_regressors_train": "`score` is minus the loss, as in Keras, and no R²",
    "check_regressor_multioutput": "predictions are float32",
    "check_supervised_y_no_nan": "losses may have a meaning for NaN: targets go to Keras as they are",
}


class AnyClassifier(KerasClassifier):
    def __call__(self, hidden=16):
        np.random.seed(0)
        units = self.n_classes_
        model = Sequential([Dense(hidden, activation="relu", input_dim=self.n_features_in_)])
        if units > 2 and not self._several_labels:
            model.add(Dense(units, activation="softmax"))
            model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        else:
            model.add(Dense(units if self._several_labels else 1, activation="sigmoid"))
            model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model


class AnyRegressor(KerasRegressor):
    def __call__(self, hidden=16):
        np.random.seed(0)
        model = Sequential([Dense(hidden, activation="relu", input_dim=self.n_features_in_), Dense(self.n_outputs_)])
        model.compile("adam", "mse")
        return model


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "known"), [(AnyClassifier, OF_CLASSIFIERS), (AnyRegressor, OF_REGRESSORS)])
def test_check_estimator(kind, known):
    """All of scikit-learn's checks; those that are known to fail do, so that the list is right."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = estimator_checks.check_estimator(
            kind(epochs=30, batch_size=16, verbose=0), expected_failed_checks=known, on_fail=None, on_skip=None
        )
    failed = {one["check_name"]: one["exception"] for one in said if one["status"] == "failed"}
    assert not failed, failed
    assert {one["check_name"] for one in said if one["status"] == "xfail"} == set(known)
    assert sum(one["status"] == "passed" for one in said) >= 40

"""Metrics: functions and stateful classes against NumPy, over several batches; scikit-learn-like loops as oracles."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="operator"

from __future__ import annotations

import numpy as np
import pytest

from keras_compat import backend as K
from keras_compat import layers, losses, metrics
from keras_compat.dialect.level import api_level
from keras_compat.models import Sequential
from keras_compat.utils import metrics_utils
from keras_compat.utils.generic_utils import custom_object_scope

pytestmark = pytest.mark.usefixtures("without_kernels")

rng = np.random.RandomState(0)
LABELS = rng.randint(0, 6, 40)
ONE_HOT = np.eye(6, dtype="float32")[LABELS]
SCORES = rng.uniform(0, 1, (40, 6)).astype("float32")
BINARY = rng.randint(0, 2, (40, 3)).astype("float32")
CHANCES = np.clip(0.6 * BINARY + rng.uniform(0, 0.7, (40, 3)), 0, 1).astype("float32")


def evaluated(f, *arrays, **kwargs):
    return K.eval(f(*[K.variable(a) for a in arrays], **kwargs))


# -- functions ----------------------------------------------------------------------------------------------------


def in_top(k):
    return (np.sort(SCORES, -1)[:, -k][:, None] <= SCORES)[np.arange(40), LABELS].astype("float32")


FUNCTIONS = {
    "accuracy": (BINARY, CHANCES.round(), (CHANCES.round() == BINARY).astype("float32")),
    "binary_accuracy": (BINARY, CHANCES, (CHANCES.round() == BINARY).mean(-1)),
    "categorical_accuracy": (ONE_HOT, SCORES, (SCORES.argmax(-1) == LABELS).astype("float32")),
    "sparse_categorical_accuracy": (LABELS[:, None], SCORES, (SCORES.argmax(-1) == LABELS).astype("float32")),
    "top_k_categorical_accuracy": (ONE_HOT, SCORES, in_top(5)),
    "sparse_top_k_categorical_accuracy": (LABELS[:, None], SCORES, in_top(5)),
    "mse": (BINARY, CHANCES, ((BINARY - CHANCES) ** 2).mean(-1)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_gives_values_per_sample_and_a_number_at_level_1(name):
    y_true, y_pred, expected = FUNCTIONS[name]
    f = metrics.get(name)
    np.testing.assert_allclose(evaluated(f, y_true, y_pred), expected, rtol=1e-5)
    if name != "accuracy":
        with api_level("1.2"):
            value = evaluated(f, y_true, y_pred)
        assert value.shape == ()
        np.testing.assert_allclose(value, expected.mean(), rtol=1e-5)


@pytest.mark.parametrize("name", ["top_k_categorical_accuracy", "sparse_top_k_categorical_accuracy"])
def test_top_k_is_a_mean_at_level_22_where_other_metrics_are_not(name):
    y_true, y_pred, expected = FUNCTIONS[name]
    with api_level("2.2"):
        value = evaluated(metrics.get(name), y_true, y_pred)
        assert evaluated(metrics.categorical_accuracy, ONE_HOT, SCORES).shape == (40,)
    assert value.shape == ()
    np.testing.assert_allclose(value, expected.mean(), rtol=1e-5)


def test_labels_without_a_last_axis():
    assert evaluated(metrics.sparse_categorical_accuracy, LABELS, SCORES).shape == (40,)
    steps = SCORES.reshape(8, 5, 6)
    got = evaluated(metrics.sparse_categorical_accuracy, LABELS.reshape(8, 5), steps)
    np.testing.assert_array_equal(got.ravel(), SCORES.argmax(-1) == LABELS)
    got = evaluated(metrics.top_k_categorical_accuracy, ONE_HOT.reshape(8, 5, 6), steps, k=2)
    np.testing.assert_array_equal(got, in_top(2))


def test_threshold_of_binary_accuracy():
    got = evaluated(metrics.binary_accuracy, BINARY, CHANCES, threshold=0.8)
    np.testing.assert_allclose(got, ((CHANCES > 0.8) == BINARY).mean(-1), rtol=1e-6)


def test_sign_of_cosine_by_level():
    unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
    expected = (unit(ONE_HOT) * unit(SCORES)).sum(-1)
    np.testing.assert_allclose(evaluated(metrics.cosine_proximity, ONE_HOT, SCORES), expected, rtol=1e-5)
    with api_level("2.2"):
        np.testing.assert_allclose(evaluated(metrics.get("cosine"), ONE_HOT, SCORES), -expected, rtol=1e-5)
    with api_level("1.2"):
        got = evaluated(metrics.get("cosine"), ONE_HOT, SCORES)
        np.testing.assert_allclose(got, -expected.mean() / 6, rtol=1e-5)


def counts(y_true, y_pred, threshold=0.5, weights=None):
    """tp, fp, tn, fn by a loop."""
    found = {"tp": 0.0, "fp": 0.0, "tn": 0.0, "fn": 0.0}
    w = np.broadcast_to(np.ones(1) if weights is None else weights, y_true.shape)
    for t, p, x in zip(y_true.ravel(), y_pred.ravel(), w.ravel(), strict=True):
        found[("t" if (p > threshold) == bool(t) else "f") + ("p" if p > threshold else "n")] += x
    return found


def test_functions_of_keras_1():
    c = counts(BINARY, CHANCES)
    precision, recall = c["tp"] / (c["tp"] + c["fp"]), c["tp"] / (c["tp"] + c["fn"])
    product = (c["tp"] + c["fp"]) * (c["tp"] + c["fn"]) * (c["tn"] + c["fp"]) * (c["tn"] + c["fn"])
    expected = {
        "precision": precision,
        "recall": recall,
        "fmeasure": 2 * precision * recall / (precision + recall),
        "f1score": 2 * precision * recall / (precision + recall),
        "matthews_correlation": (c["tp"] * c["tn"] - c["fp"] * c["fn"]) / product**0.5,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(evaluated(metrics.get(name), BINARY, CHANCES), value, rtol=1e-5, err_msg=name)
    got = evaluated(metrics.fbeta_score, BINARY, CHANCES, beta=2)
    np.testing.assert_allclose(got, 5 * precision * recall / (4 * precision + recall), rtol=1e-5)
    assert evaluated(metrics.fmeasure, 0 * BINARY, CHANCES) == 0
    with pytest.raises(ValueError, match="lowest choosable beta"):
        metrics.fbeta_score(K.constant(BINARY), K.constant(CHANCES), beta=-1)


# -- state --------------------------------------------------------------------------------------------------------


def streamed(metric, y_true, y_pred, weights=None, size=16):
    """The last result of a metric that sees the data batch by batch through one compiled function."""
    placeholders = [K.placeholder((None, *np.shape(a)[1:])) for a in (y_true, y_pred)]
    feeds = [y_true, y_pred]
    kwargs = {}
    if weights is not None:
        placeholders.append(K.placeholder((None, *weights.shape[1:])))
        feeds.append(weights)
        kwargs["sample_weight"] = placeholders[-1]
    f = K.function(placeholders, [metric(*placeholders[:2], **kwargs)])
    for i in range(0, len(y_true), size):
        (value,) = f([a[i : i + size] for a in feeds])
    np.testing.assert_allclose(K.eval(metric.result()), value, rtol=1e-6)
    return value


WEIGHTS = rng.uniform(0, 2, 40).astype("float32")

# Class, targets, predictions, values whose mean it is (per sample).
MEANS = {
    "Accuracy": (metrics.Accuracy, BINARY, CHANCES.round(), (CHANCES.round() == BINARY).mean(-1)),
    "BinaryAccuracy": (metrics.BinaryAccuracy, BINARY, CHANCES, (CHANCES.round() == BINARY).mean(-1)),
    "CategoricalAccuracy": (metrics.CategoricalAccuracy, ONE_HOT, SCORES, SCORES.argmax(-1) == LABELS),
    "SparseCategoricalAccuracy": (
        metrics.SparseCategoricalAccuracy,
        LABELS[:, None],
        SCORES,
        SCORES.argmax(-1) == LABELS,
    ),
    "TopKCategoricalAccuracy": (lambda: metrics.TopKCategoricalAccuracy(k=3), ONE_HOT, SCORES, in_top(3)),
    "SparseTopKCategoricalAccuracy": (
        lambda: metrics.SparseTopKCategoricalAccuracy(k=3),
        LABELS[:, None],
        SCORES,
        in_top(3),
    ),
    "CosineSimilarity": (
        metrics.CosineSimilarity,
        ONE_HOT,
        SCORES,
        SCORES[np.arange(40), LABELS] / np.linalg.norm(SCORES, axis=-1),
    ),
}
for _name, _function in {
    "MeanSquaredError": "mean_squared_error",
    "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error",
    "Hinge": "hinge",
    "SquaredHinge": "squared_hinge",
    "CategoricalHinge": "categorical_hinge",
    "LogCoshError": "logcosh",
    "Poisson": "poisson",
    "KLDivergence": "kullback_leibler_divergence",
    "BinaryCrossentropy": "binary_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
}.items():
    _values = evaluated(getattr(losses, _function), ONE_HOT + 0.1, SCORES * 0.9 + 0.05)
    MEANS[_name] = (getattr(metrics, _name), ONE_HOT + 0.1, SCORES * 0.9 + 0.05, _values)


@pytest.mark.parametrize("name", MEANS)
def test_mean_over_batches(name):
    make, y_true, y_pred, values = MEANS[name]
    np.testing.assert_allclose(streamed(make(), y_true, y_pred), np.mean(values), rtol=1e-4)
    if name != "Accuracy":
        weighted = streamed(make(), y_true, y_pred, WEIGHTS)
        np.testing.assert_allclose(weighted, (values * WEIGHTS).sum() / WEIGHTS.sum(), rtol=1e-4)


def test_weights_of_values_per_element():
    got = streamed(metrics.Accuracy(), BINARY, CHANCES.round(), WEIGHTS)
    values = (CHANCES.round() == BINARY) * WEIGHTS[:, None]
    np.testing.assert_allclose(got, values.sum() / (3 * WEIGHTS.sum()), rtol=1e-5)


def test_root_mean_squared_error():
    got = streamed(metrics.RootMeanSquaredError(), BINARY, CHANCES)
    np.testing.assert_allclose(got, ((BINARY - CHANCES) ** 2).mean() ** 0.5, rtol=1e-5)
    got = streamed(metrics.RootMeanSquaredError(), BINARY[:, 0], CHANCES[:, 0], WEIGHTS)
    expected = ((BINARY - CHANCES)[:, 0] ** 2 * WEIGHTS).sum() / WEIGHTS.sum()
    np.testing.assert_allclose(got, expected**0.5, rtol=1e-5)


def test_sum_and_mean_of_values():
    total, mean = metrics.Sum(), metrics.Mean()
    for metric, expected in ((total, 9), (mean, 2.25)):
        K.eval(metric(K.constant([1.0, 3.0])))
        assert K.eval(metric(K.constant([2.0, 3.0]))) == expected
        metric.reset_states()
        assert not any(np.any(v) for v in metric.get_weights())
    assert K.eval(mean.result()) == 0, "no values: 0, not NaN"
    assert K.eval(mean(K.constant([1.0, 3.0]), sample_weight=[3, 1])) == 1.5


def test_state_changes_once_per_evaluation_and_can_be_read():
    metric = metrics.Sum()
    x = K.variable([1.0, 2.0])
    result = metric(x)
    assert result._metric_obj is metric
    assert K.get_value(metric.total) == 0, "building changes nothing"
    assert K.eval(result) == 3
    assert K.eval(result * 10) == 60, "also below what is computed from it"
    assert K.get_value(metric.total) == 6
    f = K.function([], [result, result + 1], metric.updates)
    assert f([]) == [9.0, 10.0]
    assert K.get_value(metric.total) == 9
    metric.set_weights([5.0])
    assert K.eval(metric.result()) == 5
    with pytest.raises(ValueError, match="expected 1 arrays; got 2"):
        metric.set_weights([1, 2])


def test_state_update_is_readable_as_updates():
    metric = metrics.Mean()
    x = K.placeholder((None,))
    changes = metric.update_state(x)
    f = K.function([x], [metric.result()], changes)
    assert f([[1.0, 3.0]]) == [0.0], "outputs see the state before the call"
    assert K.eval(metric.result()) == 2


# -- counts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "key"),
    [("TruePositives", "tp"), ("FalsePositives", "fp"), ("TrueNegatives", "tn"), ("FalseNegatives", "fn")],
)
def test_counts(name, key):
    kind = getattr(metrics, name)
    assert streamed(kind(), BINARY, CHANCES) == counts(BINARY, CHANCES)[key]
    weighted = counts(BINARY, CHANCES, weights=WEIGHTS[:, None])[key]
    np.testing.assert_allclose(streamed(kind(), BINARY, CHANCES, WEIGHTS), weighted, rtol=1e-5)
    several = streamed(kind(thresholds=[0.2, 0.5, 0.8]), BINARY, CHANCES)
    assert several.tolist() == [counts(BINARY, CHANCES, t)[key] for t in (0.2, 0.5, 0.8)]


def test_precision_and_recall():
    c = counts(BINARY, CHANCES)
    np.testing.assert_allclose(streamed(metrics.Precision(), BINARY, CHANCES), c["tp"] / (c["tp"] + c["fp"]), rtol=1e-6)
    np.testing.assert_allclose(streamed(metrics.Recall(), BINARY, CHANCES), c["tp"] / (c["tp"] + c["fn"]), rtol=1e-6)
    one = counts(BINARY[:, 1], CHANCES[:, 1])
    got = streamed(metrics.Recall(class_id=1), BINARY, CHANCES)
    np.testing.assert_allclose(got, one["tp"] / (one["tp"] + one["fn"]), rtol=1e-6)
    assert streamed(metrics.Precision(), BINARY, 0 * CHANCES) == 0


def test_precision_of_the_top_k():
    top = np.sort(SCORES, -1)[:, -2][:, None] <= SCORES
    got = streamed(metrics.Precision(top_k=2), ONE_HOT, SCORES)
    np.testing.assert_allclose(got, (top * ONE_HOT).sum() / top.sum(), rtol=1e-6)
    got = streamed(metrics.Recall(top_k=2, class_id=3), ONE_HOT, SCORES)
    np.testing.assert_allclose(got, (top * ONE_HOT)[:, 3].sum() / ONE_HOT[:, 3].sum(), rtol=1e-6)


def area_by_pairs(y, p):
    """Probability that a positive scores above a negative; ties count half."""
    positive, negative = p[y == 1], p[y == 0]
    above = (positive[:, None] > negative).sum() + 0.5 * (positive[:, None] == negative).sum()
    return above / (len(positive) * len(negative))


def test_area_under_the_roc_curve():
    y, p = BINARY.ravel(), (CHANCES.ravel() * 50).round() / 50
    # Thresholds between all scores: exact.
    got = streamed(metrics.AUC(thresholds=((np.arange(51) - 0.5) / 50)[1:]), y, p)
    np.testing.assert_allclose(got, area_by_pairs(y, p), rtol=1e-5)
    np.testing.assert_allclose(streamed(metrics.AUC(), y, p), area_by_pairs(y, p), atol=0.01)
    low = streamed(metrics.AUC(10, summation_method="minoring"), y, p)
    high = streamed(metrics.AUC(10, summation_method="majoring"), y, p)
    assert low < streamed(metrics.AUC(10), y, p) < high


def test_area_under_the_precision_recall_curve():
    y, p = BINARY.ravel(), CHANCES.ravel()
    order = np.argsort(-p)
    average_precision = (np.cumsum(y[order]) / np.arange(1, len(y) + 1))[y[order] == 1].mean()
    np.testing.assert_allclose(streamed(metrics.AUC(1000, curve="PR"), y, p), average_precision, atol=0.01)
    perfect = streamed(metrics.AUC(curve="pr"), y, y * 0.8 + 0.1)
    np.testing.assert_allclose(perfect, 1, atol=1e-3)


def test_sensitivity_and_specificity():
    y, p = BINARY.ravel(), CHANCES.ravel()
    thresholds = [-1e-7, *[(i + 1) / 199 for i in range(198)], 1 + 1e-7]
    table = [counts(y, p, t) for t in thresholds]
    sensitivity = np.array([c["tp"] / (c["tp"] + c["fn"]) for c in table])
    specificity = np.array([c["tn"] / (c["tn"] + c["fp"]) for c in table])
    got = streamed(metrics.SensitivityAtSpecificity(0.7), y, p)
    np.testing.assert_allclose(got, sensitivity[abs(specificity - 0.7).argmin()], rtol=1e-5)
    got = streamed(metrics.SpecificityAtSensitivity(0.4), y, p)
    np.testing.assert_allclose(got, specificity[abs(sensitivity - 0.4).argmin()], rtol=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_mean_iou(weights):
    said = SCORES.argmax(-1)
    w = np.ones(40) if weights is None else weights
    shares = []
    for c in range(7):  # class 6 never comes, so it does not count
        both = w[(c == LABELS) & (said == c)].sum()
        either = w[(c == LABELS) | (said == c)].sum()
        if either:
            shares.append(both / either)
    got = streamed(metrics.MeanIoU(7), LABELS, said, weights)
    np.testing.assert_allclose(got, np.mean(shares), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.Precision(thresholds=[0.5, 1.5]), r"must be in \[0, 1\].*1.5"),
        (lambda: metrics.AUC(1), "must be > 1"),
        (lambda: metrics.AUC(curve="DET"), "ROC, PR; got 'DET'"),
        (lambda: metrics.SensitivityAtSpecificity(2), r"range \[0, 1\]"),
        (lambda: metrics.SpecificityAtSensitivity(0.5, num_thresholds=0), "must be > 0"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# -- names, configs, own metrics ----------------------------------------------------------------------------------


def test_automatic_names_count():
    prefix = "sensitivity_at_specificity"
    number = K.get_uid(prefix)
    assert metrics.SensitivityAtSpecificity(0.5).name == f"{prefix}_{number + 1}"
    assert metrics.Mean().name == "mean"
    assert metrics.Precision(name="p").name == "p"
    names = [metrics.Precision().name, metrics.AUC().name, metrics.MeanIoU(2).name]
    assert [n.rpartition("_")[0] for n in names] == ["precision", "auc", "mean_io_u"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.Mean(),
        lambda: metrics.TopKCategoricalAccuracy(k=3),
        lambda: metrics.BinaryAccuracy(threshold=0.3, name="b"),
        lambda: metrics.BinaryCrossentropy(from_logits=True),
        lambda: metrics.Precision(thresholds=[0.2, 0.4], class_id=1),
        lambda: metrics.TruePositives(thresholds=0.3),
        lambda: metrics.AUC(17, curve="PR", summation_method="minoring"),
        lambda: metrics.SensitivityAtSpecificity(0.3, num_thresholds=7),
        lambda: metrics.MeanIoU(4),
        lambda: metrics.RootMeanSquaredError(),
    ],
)
def test_config_makes_the_same_metric(make):
    metric = make()
    again = metrics.get(metrics.serialize(metric))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert [w.shape for w in again.weights] == [w.shape for w in metric.weights]
    clone = metrics.clone_metrics({"a": [metric, "acc"]})["a"]
    assert clone[0] is not metric
    assert clone[0].get_config() == metric.get_config()
    assert clone[1] == "acc"


def test_own_metric_that_nests_others():
    class F1(metrics.Metric):
        def __init__(self, name="f1", **kwargs):
            super().__init__(name=name, **kwargs)
            self.precision = metrics.Precision()
            self.recall = metrics.Recall()

        def update_state(self, y_true, y_pred, sample_weight=None):
            return [self.precision.update_state(y_true, y_pred), self.recall.update_state(y_true, y_pred)]

        def result(self):
            p, r = self.precision.result(), self.recall.result()
            return 2 * p * r / (p + r)

    c = counts(BINARY, CHANCES)
    np.testing.assert_allclose(
        streamed(F1(), BINARY, CHANCES), 2 * c["tp"] / (2 * c["tp"] + c["fp"] + c["fn"]), rtol=1e-5
    )
    with custom_object_scope({"F1": F1}):
        assert isinstance(metrics.get({"class_name": "F1", "config": {"name": "x"}}), F1)


def test_own_metric_that_adds_its_updates():
    class Positives(metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.count = self.add_weight("count", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.add_update(K.update_add(self.count, K.sum(y_true)))

        def result(self):
            return self.count

    assert streamed(Positives(), BINARY, CHANCES) == BINARY.sum()


def test_what_a_metric_must_define():
    with pytest.raises(NotImplementedError, match="update_state"):
        metrics.Metric()(1)
    with pytest.raises(NotImplementedError, match=r"result\(\)"):
        metrics.Metric().result()
    with pytest.raises(TypeError, match="got also speed"):
        metrics.Metric(speed=1)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"\[metric function\].*Did you mean 'categorical_accuracy'"):
        metrics.get("categorial_accuracy")
    assert metrics.get("mae").__name__ == "mean_absolute_error"
    assert metrics.get(metrics.mae) is metrics.mae


def test_a_function_that_takes_the_mean_itself_under_a_mask():
    steps = np.random.default_rng(3).random((4, 5, 2)).astype("float32")
    steps[:, 3:] = 0
    model = Sequential([layers.Masking(input_shape=(5, 2)), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[lambda y_true, y_pred: K.mean(K.abs(y_true - y_pred))])
    want = np.abs(1 - model.predict(steps)).mean()
    np.testing.assert_allclose(model.evaluate(steps, np.ones((4, 5, 1)), verbose=0)[1], want, rtol=1e-5)


def test_wrappers_of_the_methods_of_metrics() -> None:
    """As Keras 2.3.1 uses them: around the bound methods, called with the metric."""
    mean = metrics.Mean()
    update = metrics_utils.update_state_wrapper(mean.update_state)(mean, K.constant([1.0, 5.0]))
    assert {id(v) for v, _ in mean.updates} == {id(mean.total), id(mean.count)} and update is not None
    result = metrics_utils.result_wrapper(mean.result)(mean)
    assert result is mean._call_result and result._is_metric
    K.function([], [], mean.updates)([])
    assert K.eval(result) == 3.0

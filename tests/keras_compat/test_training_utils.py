"""The parts of training that programs took from the engine: same answers on their own."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, call-arg"

from __future__ import annotations

import numpy as np
import pytest

import keras_compat as keras
from keras_compat import backend as K
from keras_compat import losses
from keras_compat.dialect import api_level
from keras_compat.engine import training
from keras_compat.engine import training_utils as T
from keras_compat.layers import Dense, Input
from keras_compat.metrics import MeanMetricWrapper, Metric
from keras_compat.models import Model, Sequential


class Batches:
    """A sequence of three batches."""

    def __len__(self):
        return 3

    def __getitem__(self, i):
        return i

    def on_epoch_end(self):
        """Nothing."""


def test_batches():
    assert T.make_batches(10, 4) == [(0, 4), (4, 8), (8, 10)] and T.make_batches(0, 4) == []
    np.random.seed(0)
    shuffled = T.batch_shuffle(np.arange(11), 3)
    assert shuffled[9:].tolist() == [9, 10] and sorted(shuffled.tolist()) == list(range(11))
    groups = shuffled[:9].reshape(3, 3).tolist()
    assert sorted(groups) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    x = np.arange(6).reshape(6, 1)
    assert T.slice_X([x, x], 1, 3)[1].ravel().tolist() == [1, 2]
    assert T.slice_X(X=x, start=[4, 0]).ravel().tolist() == [4, 0]


def test_numbers_of_samples():
    assert T.check_num_samples([np.zeros((7, 2))], batch_size=2) == 7
    assert T.check_num_samples([], steps=3) is None
    with pytest.raises(ValueError, match="batch_size"):
        T.check_num_samples([np.zeros((7, 2))], batch_size=2, steps=3)
    with pytest.raises(ValueError, match="steps"):
        T.check_num_samples([])


def test_what_a_generator_brings_itself():
    T.check_generator_arguments()
    for wrong in ({"y": 1}, {"sample_weight": 1}, {"validation_split": 0.1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            T.check_generator_arguments(**wrong)


def test_when_there_is_validation():
    assert [T.should_run_validation(2, epoch) for epoch in range(4)] == [False, True, False, True]
    assert [T.should_run_validation([1, 3], epoch) for epoch in range(4)] == [True, False, True, False]
    for wrong in (0, None, "1"):
        with pytest.raises(ValueError, match="validation_freq"):
            T.should_run_validation(wrong, 0)


def test_generators_and_sequences():
    assert T.is_sequence(Batches()) and not T.is_sequence([1]) and not T.is_sequence(Batches)
    assert not T.is_sequence(np.zeros(3))
    assert T.is_generator_or_sequence(iter([1])) and T.is_generator_or_sequence(Batches())
    assert T.is_generator_or_sequence(i for i in range(2)) and not T.is_generator_or_sequence(np.zeros(3))
    endless = T.iter_sequence_infinite(Batches())
    assert [next(endless) for _ in range(5)] == [0, 1, 2, 0, 1]


def test_single_arrays():
    assert T.standardize_single_array(None) is None
    assert T.standardize_single_array(np.zeros(3)).shape == (3, 1)
    assert T.standardize_single_array(np.zeros((3, 2))).shape == (3, 2)
    assert K.int_shape(T.standardize_single_array(K.placeholder((None,)))) == (None, 1)


def test_input_data():
    x = np.zeros((4, 2))
    assert T.standardize_input_data({"b": x, "a": x + 1}, ["a", "b"])[0][0, 0] == 1
    assert T.standardize_input_data(x, ["a"], [(None, 2)])[0].shape == (4, 2)
    assert T.standardize_input_data(None, ["a"]) == [None]
    with pytest.raises(ValueError, match="input"):
        T.standardize_input_data(x, ["a"], [(None, 3)], exception_prefix="input")
    with pytest.raises(ValueError, match="batch size of 3"):
        T.standardize_input_data(x, ["a"], [(3, 2)])
    assert T.standardize_input_data(x, ["a"], [(3, 2)], check_batch_axis=False)[0].shape == (4, 2)


def test_weights():
    assert T.standardize_class_weights({0: 1.0}, ["a"]) == [{0: 1.0}]
    assert T.standardize_sample_weights({"b": [1]}, ["a", "b"]) == [None, [1]]
    assert T.standardize_sample_or_class_weights(None, ["a", "b"], "sample_weight") == [None, None]
    y = np.array([[0], [1], [1]])
    assert T.standardize_weights(y).tolist() == [1, 1, 1]
    assert T.standardize_weights(y, class_weight={0: 2.0, 1: 3.0}).tolist() == [2, 3, 3]
    assert T.standardize_weights(np.zeros((2, 3, 1)), sample_weight_mode="temporal").shape == (2, 3)
    with pytest.raises(ValueError, match="temporal"):
        T.standardize_weights(y, sample_weight_mode="hourly")


def test_lengths_and_targets():
    a, b = np.zeros((3, 1)), np.zeros((4, 1))
    T.check_array_length_consistency([a, a], [a], [a[:, 0]])
    T.check_array_lengths([a], [a], [None])
    for x, y, w in (([a, b], [a], []), ([a], [b], []), ([a], [a], [np.zeros(4)])):
        with pytest.raises(ValueError, match="samples"):
            T.check_array_length_consistency(x, y, w)
    crossentropy = losses.categorical_crossentropy
    T.check_loss_and_target_compatibility([np.zeros((3, 2))], [crossentropy], [(None, 2)])
    with pytest.raises(ValueError, match="to_categorical"):
        T.check_loss_and_target_compatibility([a], losses=[crossentropy], output_shapes=[(None, 2)])
    with pytest.raises(ValueError, match="shape"):
        T.check_loss_and_target_compatibility([np.zeros((3, 4))], [losses.mse], [(None, 2)])


def test_losses():
    assert T.get_loss_function(None) is None
    one = T.get_loss_function("mse")
    assert isinstance(one, losses.Loss) and T.get_loss_function(one) is one
    assert isinstance(T.get_loss_function(lambda t, p: p), losses.LossFunctionWrapper)
    assert [x is None for x in T.prepare_loss_functions({"b": "mse", "a": None}, ["a", "b"])] == [True, False]
    assert T.prepare_loss_weights(["a", "b"]) == [1.0, 1.0]
    assert T.prepare_loss_weights(["a", "b"], {"b": 0.5}) == [1.0, 0.5]


@pytest.mark.parametrize("weighted", [T.weighted_objective, T.weighted_masked_objective])
def test_a_weighted_loss(weighted):
    assert weighted(None) is None
    truth, guess = np.array([[1.0], [2.0], [3.0]]), np.array([[2.0], [4.0], [9.0]])
    weights, mask = np.array([1.0, 2.0, 0.0]), np.array([1.0, 0.0, 1.0])
    f = weighted(losses.mean_squared_error)
    got = K.eval(f(K.constant(truth), K.constant(guess), K.constant(weights)))
    assert got == pytest.approx((1 * 1 + 2 * 4) / 2)  # over the two weights that count
    got = K.eval(f(K.constant(truth), K.constant(guess), None, K.constant(mask)))
    assert got == pytest.approx((1 + 36) / 2, rel=1e-5)


def test_metrics():
    assert T.collect_metrics(["mse"], ["a", "b"]) == [["mse"], ["mse"]]
    for level, name in (("1.2", "acc"), ("2.2", "acc"), ("2.3", "accuracy")):
        with api_level(level):
            assert T.get_metric_name("accuracy") == name
    assert T.get_metric_function("accuracy", (None, 1)) is keras.metrics.binary_accuracy
    assert T.get_metric_function("accuracy", (None, 3)) is keras.metrics.categorical_accuracy
    assert T.get_metric_function("mae") is keras.metrics.mae
    (info,) = T.collect_per_output_metric_info(["mae", keras.metrics.Mean()], ["a"], [(None, 1)], [losses.mse])
    assert list(info) == ["mae", "mean"] and all(isinstance(m, Metric) for m in info.values())
    assert isinstance(info["mae"], MeanMetricWrapper)
    result = T.call_metric_function(info["mae"], K.constant([[1.0], [2.0]]), K.constant([[3.0], [2.0]]))
    assert K.eval(result) == 1.0
    masked = keras.metrics.MeanMetricWrapper(keras.metrics.mae)
    arguments = K.constant([[[1.0], [2.0]]]), K.constant([[[3.0], [9.0]]])
    assert K.eval(T.call_metric_function(masked, *arguments, mask=K.constant([[1.0, 0.0]]))) == 2.0
    assert K.eval(T.call_metric_function(keras.metrics.Mean(), K.constant([4.0, 6.0]))) == 5.0


def test_placeholders_of_sample_weights():
    weights, modes = T.prepare_sample_weights(["a", "b", "c"], {"a": "temporal", "b": None}, [2])
    assert [w is None or K.int_shape(w) for w in weights] == [(None, None), (None,), True]
    assert modes == ["temporal", None, None]
    weight, mode = T.get_output_sample_weight_and_mode([], "temporal", "a", 0)
    assert K.ndim(weight) == 2 and mode == "temporal"


def test_the_first_layer_of_a_model():
    inner = Sequential([Dense(2, batch_input_shape=(5, 3))])
    assert T.get_input_shape_and_dtype(Sequential([inner])) == ((5, 3), "float32")
    assert T.get_static_batch_size(inner) == 5
    x = Input(shape=(4,))
    assert T.get_input_shape_and_dtype(Model(x, Dense(1)(x))) == ((None, 4), "float32")
    assert T.get_input_shape_and_dtype(Dense(1)) == (None, None) and T.get_static_batch_size(Dense(1)) is None
    with pytest.raises(ValueError, match="empty"):
        T.get_input_shape_and_dtype(Sequential())


def test_they_are_in_the_module_of_keras_1_too():
    for name in ("make_batches", "batch_shuffle", "standardize_input_data", "collect_metrics", "weighted_objective"):
        assert getattr(training, name) is getattr(T, name)
    assert training.Container is Model

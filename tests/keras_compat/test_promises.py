"""What programs of each line rely on in the backend, and where the lines contradict each other.

The promises are numbered as in the list that came from running the genuine releases side by side: each has tests at
the API levels 1.2, 2.2 and 2.3. Expected values come from NumPy or closed forms.
"""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, attr-defined, union-attr, call-arg"

from __future__ import annotations

import io
import pickle

import h5py
import numpy as np
import pytest

import autotensor as at
import keras_compat as keras
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat import regularizers
from keras_compat.dialect import DialectError, api_level
from keras_compat.models import Model, Sequential, clone_model, load_model

LEVELS = ("1.2", "2.2", "2.3")
NEW = ("2.2", "2.3")


@pytest.fixture(params=LEVELS)
def level(request):
    with api_level(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def quick():
    """Without generated kernels, which take longer to compile than these tests to run."""
    with at.config.use(numba=False):
        yield


def rng(seed=0):
    return np.random.RandomState(seed)


# --- 1. graphs are deferred, for variables too ------------------------------------------------------------------------


def test_1_what_is_built_once_follows_the_weights(level):
    v = K.variable([1.0, 2.0])
    total = K.sum(K.square(v))
    assert K.eval(total) == 5.0
    K.set_value(v, [3.0, 4.0])
    assert K.eval(total) == 25.0


def test_1_penalties_follow_the_current_weights(level):
    layer = L.Dense(2, kernel_regularizer=regularizers.l2(0.5), use_bias=False, input_shape=(3,))
    model = Sequential([layer])
    (penalty,) = model.losses
    for value in (1.0, 2.0):
        layer.set_weights([np.full((3, 2), value)])
        assert K.eval(penalty) == pytest.approx(0.5 * 6 * value**2)


def test_1_add_loss_of_a_layer_follows_the_current_weights(level):
    class Decay(L.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(name="scale", shape=(1,), initializer="ones")
            self.add_loss(K.sum(self.scale) * 3.0)
            super().build(input_shape)

        def call(self, x):
            return x * self.scale

    layer = Decay(input_shape=(2,))
    model = Sequential([layer])
    model.compile("sgd", "mse")
    x = np.zeros((4, 2))
    assert model.test_on_batch(x, x) == pytest.approx(3.0)
    layer.set_weights([np.array([5.0])])
    assert model.test_on_batch(x, x) == pytest.approx(15.0)


# --- 2. placeholders and functions ------------------------------------------------------------------------------------


def test_2_unknown_dimensions_and_ndim(level):
    x, y = K.placeholder(shape=(None, 3)), K.placeholder(ndim=2)
    assert K.int_shape(x) == (None, 3) and K.int_shape(y) == (None, None) and K.ndim(y) == 2
    f = K.function([x, y], [K.dot(x, y)])
    for n in (2, 5):
        a, b = rng().rand(n, 3), rng(1).rand(3, 4)
        np.testing.assert_allclose(f([a, b])[0], a @ b, rtol=1e-5)


def test_2_updates_use_the_values_from_before_the_call(level):
    a, b = K.variable(1.0), K.variable(10.0)
    x = K.placeholder(ndim=0)
    f = K.function([x], [a + b], updates=[K.update(a, b + x), (b, a)])
    assert f([5.0])[0] == 11.0
    assert (K.get_value(a), K.get_value(b)) == (15.0, 1.0)


def test_2_a_part_of_a_model_with_the_learning_phase(level):
    model = Sequential([L.Dense(4, input_shape=(3,), name="hidden"), L.Dropout(0.5), L.Dense(2)])
    f = K.function([*model.inputs, K.learning_phase()], [model.layers[1].output])
    x = rng().rand(50, 3)
    hidden = K.function(model.inputs, [model.layers[0].output])([x])[0]
    np.testing.assert_allclose(f([x, 0])[0], hidden, rtol=1e-6)
    trained = f([x, 1])[0]
    assert 0.2 < np.mean(trained == 0) < 0.8
    np.testing.assert_allclose(trained[trained != 0], 2 * hidden[trained != 0], rtol=1e-5)


# --- 3. marks on tensors ----------------------------------------------------------------------------------------------


def test_3_static_shapes_history_and_learning_phase(level):
    x = L.Input(shape=(None, 5))
    y = L.Dropout(0.5)(x)
    assert y._keras_shape == K.int_shape(y) == (None, None, 5) and K.ndim(y) == 3
    layer, node_index, tensor_index = y._keras_history
    assert isinstance(layer, L.Dropout) and (node_index, tensor_index) == (0, 0)
    assert y._uses_learning_phase and not x._uses_learning_phase
    assert L.Activation("relu")(y)._uses_learning_phase
    assert K.int_shape(K.placeholder((None, 7)) * 2) == (None, 7)
    assert K.variable(np.zeros((2, 3)))._keras_shape == (2, 3)


# --- 4. identity and elements -----------------------------------------------------------------------------------------


def test_4_symbolic_tensors_compare_and_hash_by_identity(level):
    layer = L.Dense(2, input_shape=(3,))
    model = Sequential([layer])
    kernel, bias = layer.weights
    assert model.trainable_weights == layer.trainable_weights
    assert {kernel: "kernel", bias: "bias"}[kernel] == "kernel"
    assert kernel in model.weights and K.placeholder((3, 2)) not in model.weights
    assert model.weights.index(bias) == 1
    x = K.placeholder((2,))
    assert x == x and x != K.placeholder((2,))


def test_4_eager_tensors_compare_by_element(level):
    a = at.asarray(np.array([1.0, 2.0]))
    assert (a == at.asarray(np.array([1.0, 3.0]))).numpy().tolist() == [True, False]


def test_4_operators_on_all(level):
    v, x = K.variable([1.0, -2.0]), K.placeholder((2,))
    both = [2 + v, v - 1, v * x, x / 2, -x, 1 / x, x**2, abs(v), x[0], v[::-1]]
    values = K.function([x], both)([[4.0, 5.0]])
    a, b = np.array([1.0, -2.0]), np.array([4.0, 5.0])
    for got, want in zip(values, [2 + a, a - 1, a * b, b / 2, -b, 1 / b, b**2, abs(a), b[0], a[::-1]]):
        np.testing.assert_allclose(got, want, rtol=1e-6)
    assert K.eval(at.asarray(np.float32(2)) * 3) == 6


# --- 5. gradients -----------------------------------------------------------------------------------------------------


def test_5_gradients_of_intermediate_tensors_and_variables(level):
    x, w = K.placeholder((None, 2)), K.variable([[1.0], [2.0]])
    hidden = K.dot(x, w)
    loss = K.sum(K.square(hidden))
    wrt_hidden, wrt_w = K.gradients(loss, [hidden, w])
    a = rng().rand(3, 2)
    h = a @ np.array([[1.0], [2.0]])
    got = K.function([x], [wrt_hidden, wrt_w])([a])
    np.testing.assert_allclose(got[0], 2 * h, rtol=1e-5)
    np.testing.assert_allclose(got[1], a.T @ (2 * h), rtol=1e-5)


def test_5_no_path_gives_none_and_a_clear_error_in_training(level):
    v, other = K.variable(1.0), K.variable(2.0)
    assert K.gradients(K.square(v), [other])[0] is None
    frozen = K.stop_gradient(v) * 3.0
    assert K.gradients(frozen, v)[0] is None
    one, two = K.stop_gradient([v, other])
    assert K.eval(one) == 1.0 and K.eval(two) == 2.0
    model = Sequential([L.Dense(1, input_shape=(2,)), L.Lambda(K.round)])
    model.compile("sgd", lambda t, p: K.mean(K.stop_gradient(p) - t, axis=-1))
    with pytest.raises(ValueError, match="gradient"):
        model.train_on_batch(np.ones((2, 2)), np.ones((2, 1)))


# --- 6. updates as values ---------------------------------------------------------------------------------------------


def test_6_updates_can_be_evaluated(level):
    v = K.variable(5.0)
    assert K.eval(K.update(v, 7.0 * K.ones_like(v))) == 7.0 and K.get_value(v) == 7.0
    assert K.eval(K.update_add(v, 1.0)) == 8.0 and K.get_value(v) == 8.0
    assert K.eval(K.update_sub(v, 3.0)) == 5.0 and K.get_value(v) == 5.0
    K.eval(K.moving_average_update(v, 1.0, 0.75))
    # 2.2.4 takes the start for nothing known: after one value the average is that value.
    assert K.get_value(v) == pytest.approx(1.0 if level == "2.2" else 5.0 * 0.75 + 1.0 * 0.25)


def test_6_optimizers_go_through_get_updates(level):
    class Halving(keras.optimizers.Optimizer):
        """Half of the way to 0 at each step, whatever the gradient."""

        def get_updates(self, *args, **kwargs):
            params = kwargs["params"] if "params" in kwargs else args[0] if level == "1.2" else args[1]
            self.updates = [K.update(p, p * 0.5) for p in params]
            return self.updates

    model = Sequential([L.Dense(1, use_bias=False, input_shape=(2,))])
    model.set_weights([np.array([[4.0], [8.0]])])
    model.compile(Halving(), "mse")
    model.train_on_batch(np.ones((3, 2)), np.ones((3, 1)))
    np.testing.assert_array_equal(model.get_weights()[0], [[2.0], [4.0]])


def test_6_updates_are_attached_per_input(level):
    layer = L.BatchNormalization()
    a, b = L.Input(shape=(3,)), L.Input(shape=(3,))
    layer(a)
    layer(b)
    assert len(layer.get_updates_for(a)) == len(layer.get_updates_for(b)) == 2
    assert not layer.get_updates_for(None)
    model = Model(a, layer(a))
    assert len(model.updates) >= 2


def test_6_a_stateful_layer_updates_its_state_when_predicting(level):
    model = Sequential([L.SimpleRNN(2, stateful=True, batch_input_shape=(1, 3, 2))])
    x = rng().rand(1, 3, 2)
    first, second = model.predict(x, batch_size=1), model.predict(x, batch_size=1)
    assert not np.allclose(first, second)
    model.reset_states()
    np.testing.assert_allclose(model.predict(x, batch_size=1), first, rtol=1e-6)


# --- 7. K.rnn ---------------------------------------------------------------------------------------------------------


def numpy_rnn(x, mask, backwards, w):
    """Output and state differ in width: output 2 wide, state 3 wide; the constant is added to the state."""
    n, time, _ = x.shape
    state, out, outputs = np.zeros((n, 3)), np.zeros((n, 2)), []
    for t in reversed(range(time)) if backwards else range(time):
        new = np.tanh(x[:, t] @ w + state * 0.5 + 0.25)
        keep = mask[:, t, None] if mask is not None else np.ones((n, 1))
        state = np.where(keep, new, state)
        out = np.where(keep, new[:, :2] * 2, out)
        outputs.append(out)
    return out, np.stack(outputs, 1), state


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_7_rnn(level, backwards, masked, known):
    time = 4
    x = K.placeholder((None, time if known else None, 2))
    mask = K.placeholder((None, time if known else None), dtype="bool")
    w, extra = K.variable(rng(3).randn(2, 3)), K.constant(0.25)

    def step(inputs, states):
        state, constant = states[0], states[-1]
        new = K.tanh(K.dot(inputs, w) + state * 0.5 + constant)
        return new[:, :2] * 2, [new]

    start = K.zeros_like(K.dot(x[:, 0], w))
    values, keep = rng(1).randn(3, time, 2), rng(2).rand(3, time) > 0.4
    keep[0, 0 if not backwards else -1] = False
    want = numpy_rnn(values, keep if masked else None, backwards, K.get_value(w))
    for unroll in [False, True] if known else [False]:
        last, outputs, states = K.rnn(
            step, x, [start], backwards, mask if masked else None, constants=[extra], unroll=unroll
        )
        got = K.function([x, mask], [last, outputs, states[0]])([values, keep])
        for a, b in zip(got, want):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


# --- 8. the learning phase and switch ---------------------------------------------------------------------------------


def test_8_learning_phase(level):
    x = K.placeholder((2,))
    y = K.in_train_phase(x * 2, x * 3)
    f = K.function([x, K.learning_phase()], [y])
    assert f([[1, 1], 1])[0].tolist() == [2, 2] and f([[1, 1], 0])[0].tolist() == [3, 3]
    assert K.function([x], [K.in_train_phase(x * 2, x * 3, training=True)])([[1, 1]])[0].tolist() == [2, 2]
    assert K.function([x], [K.in_test_phase(lambda: x * 2, lambda: x * 3)])([[1, 1]])[0].tolist() == [2, 2]
    K.set_learning_phase(1)
    assert K.learning_phase() == 1
    assert K.function([x], [K.in_train_phase(x * 2, x * 3)])([[1, 1]])[0].tolist() == [2, 2]


def test_8_switch_on_scalars_and_elements_with_callables(level):
    c, x = K.placeholder((), dtype="bool"), K.placeholder((3,))
    f = K.function([c, x], [K.switch(c, lambda: x + 1, lambda: x - 1)])
    assert f([True, [1, 2, 3]])[0].tolist() == [2, 3, 4] and f([False, [1, 2, 3]])[0].tolist() == [0, 1, 2]
    g = K.function([x], [K.switch(K.greater(x, 2), x * 10, x)])
    assert g([[1, 2, 3]])[0].tolist() == [1, 2, 30]


# --- 9. tensors from outside a model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", NEW)
def test_9_fit_on_tensors_without_arrays(level):
    with api_level(level):
        x = L.Input(tensor=K.variable(np.ones((4, 2))))
        model = Model(x, L.Dense(1, use_bias=False, kernel_initializer="zeros")(x))
        model.compile("sgd", "mse", target_tensors=[K.variable(np.full((4, 1), 3.0))])
        history = model.fit(None, None, steps_per_epoch=2, epochs=2, verbose=0).history
    assert history["loss"][0] > history["loss"][1]
    assert not np.allclose(model.get_weights()[0], 0)


@pytest.mark.parametrize("level", NEW)
def test_9_clone_on_a_variable_and_models_on_placeholders(level):
    with api_level(level):
        model = Sequential([L.Dense(2, input_shape=(3,))])
        data = rng().rand(5, 3)
        clone = clone_model(model, input_tensors=[L.Input(tensor=K.variable(data))])
        clone.set_weights(model.get_weights())
        want = data @ model.get_weights()[0] + model.get_weights()[1]
        np.testing.assert_allclose(K.eval(clone.outputs[0]), want, rtol=1e-5, atol=1e-6)
        x = K.placeholder((None, 3))
        np.testing.assert_allclose(K.function([x], [model(x)])([data])[0], want, rtol=1e-5, atol=1e-6)


# --- 10. random numbers -----------------------------------------------------------------------------------------------


def test_10_random_ops_are_drawn_anew_at_every_evaluation(level):
    for draw in (
        K.random_normal((20,)),
        K.random_uniform((20,)),
        K.random_binomial((200,), p=0.5),
        K.dropout(K.ones((200,)), 0.5),
    ):
        assert not np.array_equal(K.eval(draw), K.eval(draw))
        f = K.function([], [draw])
        assert not np.array_equal(f([])[0], f([])[0])


# --- 11. the wider surface --------------------------------------------------------------------------------------------


def test_11_map_and_fold(level):
    x = K.variable([1.0, 2.0, 3.0])
    assert K.eval(K.map_fn(lambda v: v * v, x)).tolist() == [1, 4, 9]
    assert K.eval(K.foldl(lambda a, b: a * 10 + b, x)) == 123
    assert K.eval(K.foldr(lambda a, b: a * 10 + b, x)) == 321


@pytest.mark.skipif(not hasattr(K, "ctc_batch_cost"), reason="CTC is not there yet")
def test_11_ctc_of_one_frame_per_label(level):
    p = np.array([[[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]]])
    cost = K.ctc_batch_cost(K.constant([[0, 1]]), K.constant(p), K.constant([[2]]), K.constant([[2]]))
    assert K.eval(cost)[0, 0] == pytest.approx(-np.log(0.6 * 0.7), rel=1e-4)
    decoded, _ = K.ctc_decode(K.constant(p), K.constant([2]))
    assert K.eval(decoded[0]).tolist() == [[0, 1]]
    beam, _ = K.ctc_decode(K.constant(p), K.constant([2]), greedy=False, beam_width=5)
    assert K.eval(beam[0]).tolist() == [[0, 1]]
    # Blanks between equal labels keep them apart, unless they are merged in the result.
    p = np.full((1, 6, 3), 0.01)
    p[0, range(6), [0, 2, 0, 1, 2, 1]] = 0.98
    for merge, want in ((False, [[0, 0, 1, 1]]), (True, [[0, 1]])):
        beam, _ = K.ctc_decode(K.constant(p), K.constant([6]), greedy=False, beam_width=5, merge_repeated=merge)
        assert K.eval(beam[0]).tolist() == want


def naive_conv2d(x, kernel, dilation=1):
    size = (kernel.shape[0] - 1) * dilation + 1
    n = x.shape[1] - size + 1
    out = np.zeros((x.shape[0], n, n, kernel.shape[3]))
    for i in range(n):
        for j in range(n):
            window = x[:, i : i + size : dilation, j : j + size : dilation]
            out[:, i, j] = np.tensordot(window, kernel, axes=((1, 2, 3), (0, 1, 2)))
    return out


def test_11_dilated_and_transposed_convolutions(level):
    x, kernel = rng().rand(2, 7, 7, 2), rng(1).rand(3, 3, 2, 4)
    y = K.conv2d(K.variable(x), K.variable(kernel), data_format="channels_last", dilation_rate=(2, 2))
    np.testing.assert_allclose(K.eval(y), naive_conv2d(x, kernel, 2), rtol=1e-4)
    g = rng(2).rand(2, 5, 5, 4)
    back = K.conv2d_transpose(K.variable(g), K.variable(kernel), (2, 7, 7, 2), data_format="channels_last")
    # The transpose of a linear map: <conv(x), g> = <x, transpose(g)>.
    left = np.sum(naive_conv2d(x, kernel) * g)
    assert np.sum(x * K.eval(back)) == pytest.approx(left, rel=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32", "bool"])
def test_11_dtypes(level, dtype):
    v = K.variable(np.array([1, 0, 1]), dtype=dtype)
    assert K.dtype(v) == dtype and K.eval(v).dtype == dtype
    assert K.eval(K.cast(v, "float32")).tolist() == [1.0, 0.0, 1.0]


def test_11_sparse(level):
    sparse = pytest.importorskip("scipy.sparse")
    a = sparse.random(4, 5, 0.5, format="csr", random_state=0)
    v = K.variable(a)
    assert K.is_sparse(v) and not K.is_sparse(K.variable(a.toarray()))
    assert not K.is_sparse(K.to_dense(v))
    both = K.concatenate([v, v], axis=0)
    assert K.is_sparse(both)
    w = rng().rand(5, 2)
    np.testing.assert_allclose(K.eval(K.dot(both, K.variable(w))), np.vstack([a.toarray()] * 2) @ w, rtol=1e-5)
    x = L.Input(shape=(5,), sparse=True)
    assert K.is_sparse(x) and K.is_sparse(K.placeholder((2, 3), sparse=True))
    model = Model(x, L.Dense(1)(x))
    model.compile("sgd", "mse")
    model.fit(a, np.ones(4), batch_size=2, verbose=0)
    np.testing.assert_allclose(model.predict(a), model.predict(a.toarray()), rtol=1e-5)


# --- 12. stateful metrics ---------------------------------------------------------------------------------------------


def test_12_the_state_changes_once_per_evaluation_of_the_result():
    metric = keras.metrics.Mean()
    x = K.placeholder((None,))
    result = metric(x)
    f = K.function([x], [result])
    assert f([[1.0, 3.0]])[0] == 2.0
    assert f([[8.0]])[0] == 4.0
    assert K.eval(metric.result()) == 4.0
    assert [K.eval(w) for w in metric.weights] == [12.0, 3.0]
    metric.reset_states()
    assert [K.eval(w) for w in metric.weights] == [0.0, 0.0]


# --- 13. files and other processes ------------------------------------------------------------------------------------


def small_model():
    model = Sequential([L.Dense(3, input_shape=(2,), name="a"), L.Dense(1, name="b")])
    model.compile("sgd", "mse")
    return model


def test_13_to_a_path_and_an_open_handle(level, tmp_path):
    model, x = small_model(), rng().rand(4, 2)
    model.save(str(tmp_path / "m.h5"))
    with h5py.File(tmp_path / "n.h5", "w") as f:
        model.save(f)
    with h5py.File(tmp_path / "n.h5", "r") as f:
        from_handle = load_model(f)
    for again in (load_model(str(tmp_path / "m.h5")), from_handle):
        np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_13_a_binary_stream(level):
    model, x, stream = small_model(), rng().rand(4, 2), io.BytesIO()
    keras.utils.io_utils.save_to_binary_h5py(model.save, stream)
    stream.seek(0)
    again = keras.utils.io_utils.load_from_binary_h5py(load_model, stream)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    state = keras.engine.saving.pickle_model(model)
    again = keras.engine.saving.unpickle_model(pickle.loads(pickle.dumps(state)))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_13_by_name_with_reshape_and_skip(level, tmp_path):
    model, path = small_model(), str(tmp_path / "w.h5")
    model.save_weights(path)
    other = Sequential([L.Dense(3, input_shape=(2,), name="a"), L.Dense(5, name="b")])
    before = other.layers[1].get_weights()
    with pytest.raises(ValueError, match="b"):
        other.load_weights(path, by_name=True)
    with pytest.warns(UserWarning, match="Skipping"):
        other.load_weights(path, by_name=True, skip_mismatch=True)
    np.testing.assert_array_equal(other.layers[0].get_weights()[0], model.layers[0].get_weights()[0])
    np.testing.assert_array_equal(other.layers[1].get_weights()[0], before[0])


def test_13_yaml_and_json(level):
    model = small_model()
    for text, read in (
        (model.to_json(), keras.models.model_from_json),
        (model.to_yaml(), keras.models.model_from_yaml),
    ):
        again = read(text)
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again.predict(np.ones((2, 2))), model.predict(np.ones((2, 2))))


# --- contradictions ---------------------------------------------------------------------------------------------------


def test_the_name_of_accuracy_in_the_logs(level):
    model = Sequential([L.Dense(1, activation="sigmoid", input_shape=(2,))])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    x, y = rng().rand(8, 2), np.ones((8, 1))
    history = model.fit(x, y, validation_data=(x, y), verbose=0).history
    name = "accuracy" if level == "2.3" else "acc"
    assert set(history) == {"loss", "val_loss", name, "val_" + name}
    for one in ("acc", "accuracy"):  # reading answers to both
        assert history[one] == history[name] and history["val_" + one] == history["val_" + name]


@pytest.mark.parametrize("name", ["categorical_crossentropy", "binary_crossentropy"])
def test_the_order_of_crossentropies(level, name):
    target, output = np.array([[0.0, 1.0]]), np.array([[0.3, 0.7]])
    t, o = K.constant(target), K.constant(output)
    got = getattr(K, name)(o, t) if level == "1.2" else getattr(K, name)(t, o)
    want = -np.log(0.7) if name.startswith("cat") else [-np.log(0.7), -np.log(0.7)]
    np.testing.assert_allclose(K.eval(got)[0], want, rtol=1e-4)
    by_word = getattr(K, name)(output=o, target=t)
    np.testing.assert_allclose(K.eval(by_word), K.eval(got))


def test_the_order_of_the_sparse_crossentropy(level):
    t, o = K.constant([1]), K.constant([[0.3, 0.7]])
    got = K.sparse_categorical_crossentropy(*((o, t) if level == "1.2" else (t, o)))
    np.testing.assert_allclose(np.ravel(K.eval(got)), [-np.log(0.7)], rtol=1e-4)


def test_merge_is_a_function_and_a_module(level):
    from keras_compat.layers import merge

    a, b = L.Input(shape=(2,)), L.Input(shape=(2,))
    model = Model([a, b], merge([a, b], mode="sum"))
    assert model.predict([np.ones((1, 2)), np.ones((1, 2))]).tolist() == [[2, 2]]
    assert merge.Concatenate is L.Concatenate and merge.add is L.add


def test_the_number_of_epochs_of_a_bare_fit(level):
    model = small_model()
    history = model.fit(np.ones((2, 2)), np.ones((2, 1)), verbose=0).history
    assert len(history["loss"]) == (10 if level == "1.2" else 1)


def test_predict_classes_is_verbose_in_keras_1(level, capsys):
    Sequential([L.Dense(2, input_shape=(2,))]).predict_classes(np.ones((2, 2)))
    assert bool(capsys.readouterr().out) == (level == "1.2")


def test_both_names_of_what_a_layer_has(level):
    layer = L.Dense(2, input_shape=(3,))
    Sequential([layer])
    assert layer.get_output_shape_for((None, 3)) == layer.compute_output_shape((None, 3)) == (None, 2)
    assert layer.inbound_nodes is layer._inbound_nodes
    assert layer.W is layer.kernel and layer.b is layer.bias

    class Old(L.Layer):
        def get_output_shape_for(self, input_shape):
            return (*input_shape[:-1], 9)

    class New(L.Layer):
        def compute_output_shape(self, input_shape):
            return (*input_shape[:-1], 9)

    for cls in (Old, New):
        assert cls().get_output_shape_for((None, 3)) == cls().compute_output_shape((None, 3)) == (None, 9)


def test_the_keyword_tells_how_kernels_are_laid_out(level):
    x, kernel = rng().rand(1, 2, 5, 5), rng(1).rand(3, 3, 2, 4)
    want = naive_conv2d(x.transpose(0, 2, 3, 1), kernel).transpose(0, 3, 1, 2)
    new = K.conv2d(K.variable(x), K.variable(kernel), data_format="channels_first")
    old = K.conv2d(K.variable(x), K.variable(kernel.transpose(3, 2, 0, 1)), dim_ordering="th")
    position = K.conv2d(K.variable(x), K.variable(kernel.transpose(3, 2, 0, 1)), (1, 1), "valid", "th")
    for y in (new, old, position):
        np.testing.assert_allclose(K.eval(y), want, rtol=1e-4)
    layers = (
        (L.Convolution2D(4, 3, 3, dim_ordering="th", input_shape=(2, 5, 5)), (4, 2, 3, 3)),
        (L.Conv2D(4, (3, 3), data_format="channels_first", input_shape=(2, 5, 5)), (3, 3, 2, 4)),
    )
    for layer, shape in layers:
        model = Sequential([layer])
        assert layer.get_weights()[0].shape == shape
        layer.set_weights([kernel if shape == kernel.shape else kernel.transpose(3, 2, 0, 1), np.zeros(4)])
        np.testing.assert_allclose(model.predict(x), want, rtol=1e-4)


def test_what_keras_2_dropped_is_there(level):
    assert isinstance(L.BatchNormalization(mode=1), L.Layer)
    assert regularizers.activity_l2(0.1).l2 == pytest.approx(0.1)
    assert regularizers.WeightRegularizer(l1=0.1).l1 == pytest.approx(0.1)
    for name in ("TimeDistributedDense", "SReLU", "ParametricSoftplus", "Merge"):
        assert issubclass(getattr(L, name), L.Layer)
    for name in ("fbeta_score", "fmeasure", "matthews_correlation", "precision", "recall"):
        assert callable(getattr(keras.metrics, name))
    assert keras.initializations.get("glorot_uniform")((2, 3)).shape == (2, 3)
    config = {"class_name": "Dense", "config": {"units": 2, "name": "d"}}
    assert keras.utils.layer_utils.layer_from_config(config).units == 2
    kernel = rng().rand(4, 2, 3, 3)
    turned = keras.utils.np_utils.convert_kernel(kernel, dim_ordering="th")
    np.testing.assert_array_equal(turned, kernel[:, :, ::-1, ::-1])


def test_keywords_for_theano(level):
    x = K.placeholder((2,))
    if level == "1.2":
        assert K.function([x], [x * 2], mode="FAST_RUN", allow_input_downcast=True)([[1, 2]])[0].tolist() == [2, 4]
    else:
        with pytest.raises(ValueError, match="mode"):
            K.function([x], [x * 2], mode="FAST_RUN")


def test_batch_dot_over_the_samples(level):
    x, y = rng().rand(3, 2), rng(1).rand(3, 2)
    if level == "2.3":
        with pytest.raises(ValueError, match="axes"):
            K.batch_dot(K.variable(x), K.variable(y), axes=0)
    else:
        got = K.eval(K.batch_dot(K.variable(x), K.variable(y), axes=0))
        np.testing.assert_allclose(got, np.sum(x * y, axis=0)[:, None], rtol=1e-5)


def test_the_number_of_arrays_of_an_lstm(level):
    layer = L.LSTM(2, input_shape=(3, 4))
    Sequential([layer])
    shapes = [w.shape for w in layer.get_weights()]
    if level == "1.2":
        assert shapes == [(4, 2), (2, 2), (2,)] * 4
        gpu = L.LSTM(2, consume_less="gpu", input_shape=(3, 4))
        Sequential([gpu])
        assert [w.shape for w in gpu.get_weights()] == [(4, 8), (2, 8), (8,)]
    else:
        assert shapes == [(4, 8), (2, 8), (8,)]


def test_two_readings_are_refused_with_both_shown():
    with api_level("2.3"), pytest.raises(DialectError, match=r"(?s)Keras 1: .*Keras 2: "):
        L.Dense(3, "my_own_name")
    with pytest.raises(DialectError, match="given twice"):
        L.Dense(units=3, output_dim=4)


def test_the_name_of_the_backend():
    assert K.backend() != "tensorflow" and isinstance(K.backend(), str)

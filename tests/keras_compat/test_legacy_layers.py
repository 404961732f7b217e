"""Layers that Keras 2 dropped: Merge in all its forms, MaxoutDense, Highway, TimeDistributedDense."""

# Tests call what is wrong on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, operator, call-overload"

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autotensor as at
import keras_compat
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.dialect.level import api_level
from keras_compat.layers import (
    BatchNormalization,
    Dense,
    Dropout,
    Highway,
    Input,
    Masking,
    MaxoutDense,
    Merge,
    TimeDistributedDense,
    merge,
)
from keras_compat.models import Model, Sequential, load_model, model_from_json

RNG = np.random.default_rng(17)


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def branch(n: int, units: int) -> Sequential:
    return Sequential([Dense(units, input_dim=n, bias_initializer="random_normal")])


MODES: list[tuple[Any, Any]] = [
    ("sum", lambda x, y: x + y),
    ("mul", lambda x, y: x * y),
    ("ave", lambda x, y: (x + y) / 2),
    ("max", np.maximum),
    ("concat", lambda x, y: np.concatenate([x, y], axis=-1)),
    ("dot", lambda x, y: (x * y).sum(axis=1, keepdims=True)),
    (
        "cos",
        lambda x, y: (
            (x * y).sum(axis=1, keepdims=True)
            / np.sqrt((x * x).sum(axis=1, keepdims=True) * (y * y).sum(axis=1, keepdims=True))
        ),
    ),
    (lambda tensors: tensors[0] - 2 * tensors[1], lambda x, y: x - 2 * y),
    (lambda x, y: x - y, lambda x, y: x - y),
    (lambda *tensors: tensors[0] - tensors[1], lambda x, y: x - y),
]


@pytest.mark.parametrize(("mode", "expected"), MODES)
def test_modes_on_tensors_and_on_models(mode: Any, expected: Any) -> None:
    x, y = floats(6, 4), floats(6, 4)
    a, b = Input((4,)), Input((4,))
    z = merge([a, b], mode=mode)
    model = Model([a, b], z)
    wanted = expected(x, y)
    np.testing.assert_allclose(model.predict([x, y]), wanted, atol=1e-5)
    assert model.output_shape == (None, *wanted.shape[1:])
    np.testing.assert_allclose(Model([a, b], Merge(mode=mode)([a, b])).predict([x, y]), wanted, atol=1e-5)

    left, right = branch(4, 5), branch(3, 5)
    y = floats(6, 3)
    joined = Sequential([Merge([left, right], mode=mode), Dense(2)])
    inner = expected(left.predict(x), right.predict(y))
    kernel, bias = joined.layers[-1].get_weights()
    np.testing.assert_allclose(joined.predict([x, y]), inner @ kernel + bias, atol=1e-5)


def test_more_than_two() -> None:
    arrays = [floats(6, 4) for _ in range(3)]
    inputs = [Input((4,)) for _ in range(3)]
    for mode, expected in (
        ("sum", sum(arrays)),
        ("ave", sum(arrays) / 3),
        ("mul", np.prod(arrays, axis=0)),
        ("max", np.max(arrays, axis=0)),
        ("concat", np.concatenate(arrays, axis=1)),
        (lambda x, y, z: x + y - z, arrays[0] + arrays[1] - arrays[2]),
    ):
        np.testing.assert_allclose(Model(inputs, merge(inputs, mode)).predict(arrays), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("left", "right", "axes", "formula"),
    [
        ((6, 3, 4), (6, 3, 2), 1, "nab,nac->nbc"),
        ((6, 3, 4), (6, 3, 2), (1, 1), "nab,nac->nbc"),
        ((6, 3, 4), (6, 4, 2), [2, 1], "nab,nbc->nac"),
        ((6, 3, 4), (6, 2, 4), -1, "nab,ncb->nac"),
    ],
)
def test_dot_axes(left: Any, right: Any, axes: Any, formula: str) -> None:
    x, y = floats(*left), floats(*right)
    inputs = [Input(left[1:]), Input(right[1:])]
    model = Model(inputs, merge(inputs, mode="dot", dot_axes=axes))
    wanted = np.einsum(formula, x, y)
    np.testing.assert_allclose(model.predict([x, y]), wanted, atol=1e-5)
    assert model.output_shape == (None, *wanted.shape[1:])


def test_cosine_has_the_shape_of_keras_1_at_its_level() -> None:
    x, y = floats(6, 4), floats(6, 4)
    inputs = [Input((4,)), Input((4,))]
    for level, shape in (("1.2", (6, 1, 1)), ("2.3", (6, 1))):
        with api_level(level):
            model = Model(inputs, merge(inputs, mode="cos"))
            assert model.output_shape == (None, 1)
            assert model.predict([x, y]).shape == shape


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concat_axis(axis: int) -> None:
    x = floats(6, 3, 4)
    y = floats(6, 5, 4) if axis == 1 else floats(6, 3, 2)
    inputs = [Input(a.shape[1:]) for a in (x, y)]
    model = Model(inputs, merge(inputs, "concat", axis))
    np.testing.assert_array_equal(model.predict([x, y]), np.concatenate([x, y], axis=axis))
    assert model.output_shape == (None, *np.concatenate([x, y], axis=axis).shape[1:])


def weighted(x: Any, y: Any, scale: float = 1.0) -> Any:
    return x - scale * y


def listed(tensors: Any, scale: float = 1.0) -> Any:
    return tensors[0] - scale * tensors[1]


@pytest.mark.parametrize("mode", [weighted, listed])
def test_user_functions_take_arguments_and_shapes(mode: Any) -> None:
    x, y = floats(6, 4), floats(6, 4)
    inputs = [Input((4,)), Input((4,))]
    for shape in (None, (4,), lambda shapes: shapes[0]):
        z = merge(inputs, mode, output_shape=shape, arguments={"scale": 3.0})
        assert K.int_shape(z) == (None, 4)
        np.testing.assert_allclose(Model(inputs, z).predict([x, y]), x - 3 * y, atol=1e-5)
        layer = z._keras_history[0]
        assert layer.compute_output_shape([(None, 4), (None, 4)]) == (None, 4)


def mask_of(y: Any, feeds: dict[Any, np.ndarray]) -> Any:
    layer, node, _ = y._keras_history
    mask = layer.get_output_mask_at(node)
    return None if mask is None else K.function(list(feeds), [mask])(list(feeds.values()))[0]


def test_masks() -> None:
    x = np.array([[[1.0], [0.0], [3.0]], [[0.0], [2.0], [0.0]]], dtype="float32")
    y = np.array([[[1.0], [5.0], [0.0]], [[0.0], [2.0], [4.0]]], dtype="float32")
    a, b = Input((3, 1)), Input((3, 1))
    p, q = Masking()(a), Masking()(b)
    feeds = {a: x, b: y}
    kept_x, kept_y = (x != 0)[..., 0], (y != 0)[..., 0]
    for mode in ("sum", "mul", "ave", "max"):
        np.testing.assert_array_equal(mask_of(merge([p, q], mode), feeds), kept_x & kept_y)
        np.testing.assert_array_equal(mask_of(merge([p, b], mode), feeds), kept_x)
    np.testing.assert_array_equal(mask_of(merge([p, q], "concat"), feeds), kept_x & kept_y)
    np.testing.assert_array_equal(
        mask_of(merge([p, q], "concat", concat_axis=1), feeds), np.concatenate([kept_x, kept_y], axis=1)
    )
    assert mask_of(merge([p, q], "dot", dot_axes=1), feeds) is None
    assert mask_of(merge([a, b], "sum"), feeds) is None
    assert mask_of(merge([p, q], listed), feeds) is None
    second = merge([p, q], listed, output_mask=lambda masks: masks[1])
    np.testing.assert_array_equal(mask_of(second, feeds), kept_y)


def test_a_user_function_may_ask_for_the_masks() -> None:
    x = np.array([[[1.0], [0.0]]], dtype="float32")
    a = Input((2, 1))
    seen = []

    def join(tensors: Any, mask: Any = None) -> Any:
        seen.append(mask)
        return tensors[0] + tensors[1]

    p = Masking()(a)
    z = merge([p, a], join)
    assert len(seen[0]) == 2 and seen[0][0] is not None and seen[0][1] is None
    np.testing.assert_array_equal(Model(a, z).predict(x), 2 * x)


# -- models that begin with Merge -------------------------------------------------------------------------------------


def two_branches() -> tuple[Sequential, Sequential, Sequential]:
    left = Sequential([Dense(5, input_dim=4), BatchNormalization(momentum=0.5)])
    right = Sequential([Dense(5, input_dim=3, kernel_regularizer="l2"), Dropout(0.0)])
    return left, right, Sequential([Merge([left, right], mode="concat"), Dense(2, activation="tanh")])


def test_a_sequential_that_begins_with_merge_trains_its_branches() -> None:
    left, right, model = two_branches()
    assert [len(part.weights) for part in (left, right, model)] == [6, 2, 10]
    assert [layer.name for layer in model.flattened_layers] == [
        *[layer.name for layer in left.layers + right.layers],
        model.layers[-1].name,
    ]
    assert len(model.losses) == 1 and len(model.updates) == 2
    assert model.input_shape == [(None, 4), (None, 3)] and model.output_shape == (None, 2)
    # The same graph written with the functional API, from the same weights, must train to the same weights.
    a, b = Input((4,)), Input((3,))
    h = BatchNormalization(momentum=0.5)(Dense(5)(a))
    g = Dense(5, kernel_regularizer="l2")(b)
    twin = Model([a, b], Dense(2, activation="tanh")(L.concatenate([h, g])))
    pairs = [(left.layers[0], 0), (left.layers[1], 1), (right.layers[0], 2), (model.layers[-1], 3)]
    twins = [
        next(x for x in twin.layers if isinstance(x, Dense) and x.input_shape == (None, 4)),
        next(x for x in twin.layers if isinstance(x, BatchNormalization)),
        next(x for x in twin.layers if isinstance(x, Dense) and x.input_shape == (None, 3)),
        twin.layers[-1],
    ]
    for layer, k in pairs:
        twins[k].set_weights(layer.get_weights())
    x, y = [floats(12, 4), floats(12, 3)], floats(12, 2)
    histories = []
    for one in (model, twin):
        one.compile("adam", "mse")
        histories.append(one.fit(x, y, epochs=3, batch_size=4, shuffle=False, verbose=0).history["loss"])
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-5)
    for layer, k in pairs:
        for one, other in zip(layer.get_weights(), twins[k].get_weights()):
            np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(model.predict(x), twin.predict(x), atol=1e-5)


def test_it_can_be_written_and_read(tmp_path: Path) -> None:
    _, _, model = two_branches()
    model.compile("sgd", "mse")
    x, y = [floats(8, 4), floats(8, 3)], floats(8, 2)
    model.train_on_batch(x, y)
    again = model_from_json(model.to_json())
    assert json.loads(again.to_json()) == json.loads(model.to_json())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(x), model.predict(x), atol=1e-6)
    model.save_weights(tmp_path / "weights.h5")
    other = two_branches()[2]
    other.load_weights(tmp_path / "weights.h5")
    np.testing.assert_allclose(other.predict(x), model.predict(x), atol=1e-6)
    model.save(tmp_path / "model.h5")
    whole = load_model(tmp_path / "model.h5")
    np.testing.assert_allclose(whole.predict(x), model.predict(x), atol=1e-6)
    np.testing.assert_allclose(whole.train_on_batch(x, y), model.train_on_batch(x, y), rtol=1e-5)


def test_it_is_a_layer_of_other_models() -> None:
    _, _, model = two_branches()
    a, b = Input((4,)), Input((3,))
    outer = Model([a, b], Dense(1)(model([a, b])))
    x = [floats(6, 4), floats(6, 3)]
    kernel, bias = outer.layers[-1].get_weights()
    np.testing.assert_allclose(outer.predict(x), model.predict(x) @ kernel + bias, atol=1e-5)
    third = Sequential([Merge([model, branch(6, 2)], mode="sum")])
    assert third.input_shape == [(None, 4), (None, 3), (None, 6)]
    y = floats(6, 6)
    np.testing.assert_allclose(
        third.predict([*x, y]), model.predict(x) + third.layers[0].layers[1].predict(y), atol=1e-5
    )


def test_a_functional_model_around_it_comes_back_from_its_config() -> None:
    left, right = branch(4, 5), branch(3, 5)
    merged = Merge([left, right], mode="concat")
    model = Model([left.input, right.input], Dense(2)(merged.output))
    again = model_from_json(model.to_json())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    x = [floats(6, 4), floats(6, 3)]
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_merge_of_layers_and_of_chosen_calls() -> None:
    shared = Dense(3)
    a, b = Input((4,)), Input((4,))
    shared(a), shared(b)
    layer = Merge([shared, shared], mode=weighted, node_indices=[0, 1], tensor_indices=[0, 0])
    x, y = floats(6, 4), floats(6, 4)
    np.testing.assert_allclose(
        Model([a, b], layer.output).predict([x, y]),
        (x - y) @ shared.get_weights()[0],
        atol=1e-5,
    )
    # A layer that was never called makes its own input.
    model = Sequential([Merge([Dense(3, input_shape=(4,)), Dense(3, input_dim=2)], mode="sum")])
    assert model.input_shape == [(None, 4), (None, 2)]
    assert isinstance(merge([branch(2, 3), branch(4, 3)], mode="sum"), Merge)


def test_frozen_branches() -> None:
    _, _, model = two_branches()
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    before = model.layers[0].get_weights()
    model.train_on_batch([floats(8, 4), floats(8, 3)], floats(8, 2))
    assert len(model.trainable_weights) == 2
    for old, new in zip(before[:2], model.layers[0].get_weights()[:2]):
        np.testing.assert_array_equal(old, new)


def test_a_branch_that_is_merged_with_itself_stays_one_in_configs() -> None:
    left = branch(4, 5)
    model = Sequential([Merge([left, left], mode="sum"), Dense(2)])
    x = floats(6, 4)
    for again in (Sequential.from_config(model.get_config()), model_from_json(model.to_json())):
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_functions_of_a_config_are_passed_never_run() -> None:
    left, right = branch(4, 5), branch(3, 5)
    model = Sequential([Merge([left, right], mode=weighted, output_shape=(5,))])
    config = model.to_json()
    foreign = config.replace('"weighted"', '"of_another_program"')
    with pytest.raises(ValueError, match="custom_objects={'of_another_program': function}"):
        model_from_json(foreign)
    x = [floats(6, 4), floats(6, 3)]
    for again in (
        model_from_json(foreign, custom_objects={"of_another_program": weighted}),
        model_from_json(config),  # this process has given the function to a layer
    ):
        again.set_weights(model.get_weights())
        np.testing.assert_array_equal(again.predict(x), model.predict(x))
    code = {"name": "join", "mode": ["4wEA", None, None], "mode_type": "lambda", "output_shape_type": "lambda"}
    with pytest.raises(ValueError, match="byte code.*custom_objects={'join': function}"):
        Merge.from_config(code)
    assert Merge.from_config(code, custom_objects={"join": weighted}).mode is weighted


def test_where_programs_find_it() -> None:
    from keras_compat.engine import Merge as of_engine
    from keras_compat.layers.core import MaxoutDense as of_core
    from keras_compat.layers.merge import add
    from keras_compat.models import Merge as of_models

    assert of_engine is of_models is L.Merge is L.core.Merge is Merge
    assert of_core is MaxoutDense
    a, b = Input((4,)), Input((4,))
    x, y = floats(2, 4), floats(2, 4)
    # layers.merge is Keras 1's function and Keras 2's module.
    np.testing.assert_allclose(Model([a, b], keras_compat.layers.merge([a, b])).predict([x, y]), x + y, atol=1e-6)
    np.testing.assert_allclose(Model([a, b], merge.add([a, b])).predict([x, y]), x + y, atol=1e-6)
    assert merge.add is add


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: Merge(mode="average"), ValueError, "Invalid merge mode.*'average'"),
        (lambda: merge([Input((4,))]), ValueError, "at least two inputs"),
        (lambda: merge([Input((4,)), Input((3,))], "sum"), ValueError, "same output shape can be merged using sum"),
        (lambda: merge([Input((4, 2)), Input((3, 3))], "concat"), ValueError, "matching output shapes except"),
        (lambda: merge([Input((4,)), Input((3,))], "dot"), ValueError, "incompatibility using dot mode: 4 != 3"),
        (lambda: merge([Input((4,))] * 3, "dot"), ValueError, "exactly 2 layers"),
        (lambda: merge([Input((4,)), Input((4,))], "dot", dot_axes="x"), TypeError, "axis or a pair"),
        (lambda: merge([Input((4,)), Input((4,))], "dot", dot_axes=(3, 1)), ValueError, "do not exist"),
        (lambda: Merge([Dense(3), 5]), TypeError, "list of layers or models"),
        (lambda: Merge([Dense(3), Dense(3)]), ValueError, "Give it input_shape"),
        (lambda: Merge([branch(2, 3), branch(2, 3)], node_indices=[0]), ValueError, "one number for each"),
        (lambda: Merge(mode=weighted, output_shape=4), TypeError, "output_shape must be"),
    ],
)
def test_errors_say_what_is_wrong(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


# -- layers with weights ----------------------------------------------------------------------------------------------


def built(layer: Any, x: np.ndarray) -> Model:
    inp = Input(x.shape[1:], dtype=x.dtype.name)
    return Model(inp, layer(inp))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("bias", [True, False])
def test_maxout_is_the_largest_of_linear_maps(bias: bool) -> None:
    x = floats(6, 5)
    layer = MaxoutDense(3, nb_feature=4, bias=bias)
    model = built(layer, x)
    assert [w.shape for w in layer.get_weights()] == [(4, 5, 3), (4, 3)][: 1 + bias]
    weights = [floats(*w.shape) for w in layer.get_weights()]
    layer.set_weights(weights)
    maps = [x @ weights[0][k] + (weights[1][k] if bias else 0) for k in range(4)]
    np.testing.assert_allclose(model.predict(x), np.max(maps, axis=0), atol=1e-5)
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", [None, "tanh"])
def test_highway_mixes_by_a_gate(bias: bool, activation: Any) -> None:
    x = floats(6, 5)
    layer = Highway(activation=activation, bias=bias)
    model = built(layer, x)
    start = layer.get_weights()
    assert [w.shape for w in start] == [(5, 5), (5, 5), (5,), (5,)][: 2 + 2 * bias]
    if bias:
        assert not start[2].any() and (start[3] == 1).all()
    weights = [floats(*w.shape) for w in start]
    layer.set_weights(weights)
    w, w_carry, b, b_carry = weights if bias else [*weights, 0, 0]
    gate = sigmoid(x @ w_carry + b_carry)
    new = x @ w + b
    new = np.tanh(new) if activation else new
    np.testing.assert_allclose(model.predict(x), gate * new + (1 - gate) * x, atol=1e-5)


def test_time_distributed_dense_is_dense_at_each_step() -> None:
    x = floats(6, 7, 5)
    layer = TimeDistributedDense(3, activation="tanh")
    model = built(layer, x)
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(model.predict(x), np.tanh(x @ kernel + bias), atol=1e-5)
    assert layer.W is layer.kernel and layer.b is layer.bias
    assert Sequential([TimeDistributedDense(3, input_dim=5)]).input_shape == (None, None, 5)
    assert Sequential([TimeDistributedDense(3, input_dim=5, input_length=7)]).output_shape == (None, 7, 3)
    with pytest.raises(ValueError, match="expected ndim=3"):
        TimeDistributedDense(3)(Input((5,)))


LAYERS: list[tuple[Any, tuple[int, ...]]] = [
    (lambda **k: MaxoutDense(3, nb_feature=2, **k), (2, 4)),
    (lambda **k: Highway(activation="tanh", **k), (2, 4)),
    (lambda **k: TimeDistributedDense(3, activation="tanh", **k), (2, 3, 4)),
]


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_rules_and_configs(make: Any, shape: tuple[int, ...]) -> None:
    layer = make(
        init="normal",
        W_regularizer="l2",
        b_regularizer="l1",
        activity_regularizer="l2",
        W_constraint="nonneg",
        b_constraint="nonneg",
        input_shape=shape[1:],
    )
    model = Sequential([layer])
    assert len(model.losses) == 3
    assert all(w.constraint is not None for w in (layer.W, layer.b))
    again = model_from_json(model.to_json())
    assert again.get_config() == model.get_config()
    again.set_weights(model.get_weights())
    x = floats(*shape)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    config = layer.get_config()
    assert config["W_regularizer"]["class_name"] == "L1L2" and config["bias"] is True
    given = [RNG.normal(size=w.shape).astype("float32") for w in layer.get_weights()]
    other = Sequential([make(weights=given, input_dim=4)])
    for one, two in zip(other.get_weights(), given):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_gradients(make: Any, shape: tuple[int, ...]) -> None:
    K.set_floatx("float64")
    try:
        x = RNG.normal(size=shape)
        layer = make(init="normal")
        inp = Input(shape[1:])
        loss = K.sum(K.square(layer(inp) - 0.3))
        layer.set_weights([RNG.normal(size=w.shape) for w in layer.get_weights()])
        wanted = [inp, *layer.trainable_weights]
        found = K.function([inp], K.gradients(loss, wanted))([x])
        f = K.function([inp], [loss])
        start = [x, *layer.get_weights()]
        for number, gradient in enumerate(found):
            for k in range(0, gradient.size, 3):
                values = []
                for step in (1e-6, -1e-6):
                    moved = [a.copy() for a in start]
                    moved[number].flat[k] += step
                    layer.set_weights(moved[1:])
                    values.append(float(f([moved[0]])[0]))
                assert gradient.flat[k] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-7)
    finally:
        K.set_floatx("float32")


def test_positions_are_those_of_keras_1() -> None:
    assert MaxoutDense(3, 2, "one").get_config()["init"]["class_name"] == "Ones"
    assert Highway("one", "tanh").get_config()["activation"] == "tanh"
    assert TimeDistributedDense(3, "one", "tanh").get_config()["activation"] == "tanh"
    with api_level("1.2"):  # a plain normal, not a truncated one
        drawn = TimeDistributedDense(3, init="glorot_normal").get_config()["init"]
        assert drawn["config"]["distribution"] == "untruncated_normal"
        assert MaxoutDense(3).get_config()["init"]["config"]["legacy_fans"] is True

"""Merge layers of Keras 2 against NumPy: values, shapes, masks, broadcasting, configs, gradients, errors."""

# Tests call what is wrong on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.layers import Input
from keras_compat.models import Model, model_from_json

RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def run(layer: Any, *arrays: np.ndarray) -> np.ndarray:
    """Output of a layer on inputs of open batch size; its declared shape must agree."""
    inputs = [Input(batch_shape=(None, *x.shape[1:])) for x in arrays]
    model = Model(inputs, layer(inputs))
    y = model.predict(list(arrays), batch_size=2)
    assert model.output_shape == (None, *y.shape[1:])
    assert layer.compute_output_shape([x.shape for x in arrays]) == y.shape
    return y


ELEMENTWISE: list[tuple[str, Any]] = [
    ("add", lambda *xs: sum(xs)),
    ("multiply", lambda *xs: np.prod(np.broadcast_arrays(*xs), axis=0)),
    ("average", lambda *xs: sum(xs) / len(xs)),
    ("maximum", lambda *xs: np.max(np.broadcast_arrays(*xs), axis=0)),
    ("minimum", lambda *xs: np.min(np.broadcast_arrays(*xs), axis=0)),
]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("name", "expected"), ELEMENTWISE)
def test_elementwise(name: str, expected: Any, count: int) -> None:
    arrays = [floats(4, 3, 2) for _ in range(count)]
    np.testing.assert_allclose(run(getattr(L, name.capitalize())(), *arrays), expected(*arrays), atol=1e-6)
    inputs = [Input((3, 2)) for _ in arrays]
    model = Model(inputs, getattr(L, name)(inputs, name="joined"))
    assert model.layers[-1].name == "joined"
    np.testing.assert_allclose(model.predict(arrays), expected(*arrays), atol=1e-6)


def test_subtract_takes_two() -> None:
    x, y = floats(4, 3), floats(4, 3)
    np.testing.assert_allclose(run(L.Subtract(), x, y), x - y)
    np.testing.assert_allclose(run(L.Subtract(), y, x), y - x)
    with pytest.raises(ValueError, match="exactly 2 inputs"):
        L.subtract([Input((3,)), Input((3,)), Input((3,))])


@pytest.mark.parametrize(
    ("shapes", "expanded"),
    [
        (((4, 3, 2), (4, 2)), ((4, 3, 2), (4, 1, 2))),
        (((4, 2), (4, 3, 2)), ((4, 1, 2), (4, 3, 2))),
        (((4, 3, 1), (4, 1, 2)), ((4, 3, 1), (4, 1, 2))),
        (((4, 5, 3, 2), (4, 2), (4, 3, 1)), ((4, 5, 3, 2), (4, 1, 1, 2), (4, 1, 3, 1))),
    ],
)
@pytest.mark.parametrize(("name", "expected"), ELEMENTWISE)
def test_shapes_broadcast_behind_the_batch(name: str, expected: Any, shapes: Any, expanded: Any) -> None:
    arrays = [floats(*s) for s in shapes]
    wanted = expected(*[x.reshape(s) for x, s in zip(arrays, expanded)])
    np.testing.assert_allclose(run(getattr(L, name.capitalize())(), *arrays), wanted, atol=1e-6)


def test_open_lengths_stay_open() -> None:
    layer = L.Add()
    y = layer([Input((None, 3)), Input((None, 3))])
    assert K.int_shape(y) == (None, None, 3)
    assert layer.compute_output_shape([(None, None, 3), (None, 5, 3)]) == (None, None, 3)
    assert layer.compute_output_shape([(None, 3), (8, 3)]) == (8, 3)


@pytest.mark.parametrize("axis", [1, 2, -1, -2])
def test_concatenate(axis: int) -> None:
    x = floats(4, 3, 2)
    y = floats(4, 5, 2) if axis in (1, -2) else floats(4, 3, 4)
    np.testing.assert_array_equal(run(L.Concatenate(axis=axis), x, y, x), np.concatenate([x, y, x], axis=axis))
    inputs = [Input(a.shape[1:]) for a in (x, y)]
    np.testing.assert_array_equal(
        Model(inputs, L.concatenate(inputs, axis=axis)).predict([x, y]), np.concatenate([x, y], axis=axis)
    )


@pytest.mark.parametrize(
    ("left", "right", "axes", "formula"),
    [
        ((4, 5), (4, 5), 1, "na,na->n"),
        ((4, 5), (4, 5), -1, "na,na->n"),
        ((4, 3, 5), (4, 3, 2), 1, "nab,nac->nbc"),
        ((4, 3, 5), (4, 2, 5), -1, "nab,ncb->nac"),
        ((4, 3, 5), (4, 5, 2), (2, 1), "nab,nbc->nac"),
        ((4, 3, 5), (4, 5), (2, 1), "nab,nb->na"),
        ((4, 5), (4, 3, 5), (1, 2), "nb,nab->na"),
        ((4, 2, 3, 5), (4, 5, 6), (3, 1), "nabc,ncd->nabd"),
    ],
)
@pytest.mark.parametrize("normalize", [False, True])
def test_dot(left: Any, right: Any, axes: Any, formula: str, normalize: bool) -> None:
    x, y = floats(*left), floats(*right)
    pair = (axes, axes) if isinstance(axes, int) else axes
    a, b = x, y
    if normalize:
        a = x / np.linalg.norm(x, axis=pair[0], keepdims=True)
        b = y / np.linalg.norm(y, axis=pair[1], keepdims=True)
    wanted = np.einsum(formula, a, b)
    if wanted.ndim == 1:
        wanted = wanted[:, None]
    np.testing.assert_allclose(run(L.Dot(axes, normalize=normalize), x, y), wanted, atol=1e-5)
    inputs = [Input(left[1:]), Input(right[1:])]
    model = Model(inputs, L.dot(inputs, axes, normalize=normalize))
    np.testing.assert_allclose(model.predict([x, y]), wanted, atol=1e-5)


def mask_of(y: Any, feeds: dict[Any, np.ndarray]) -> Any:
    layer, node, tensor = y._keras_history
    mask = layer.get_output_mask_at(node)
    return None if mask is None else K.function(list(feeds), [mask])(list(feeds.values()))[0]


X = np.array([[[1.0], [0.0], [3.0]], [[0.0], [2.0], [0.0]]], dtype="float32")
Y = np.array([[[1.0], [5.0], [0.0]], [[0.0], [2.0], [4.0]]], dtype="float32")


def test_masks_of_elementwise_layers_meet() -> None:
    a, b = Input((3, 1)), Input((3, 1))
    x, y = L.Masking()(a), L.Masking()(b)
    both = L.add([x, y])
    np.testing.assert_array_equal(mask_of(both, {a: X, b: Y}), (X != 0)[..., 0] & (Y != 0)[..., 0])
    np.testing.assert_array_equal(mask_of(L.maximum([x, b]), {a: X, b: Y}), (X != 0)[..., 0])
    assert mask_of(L.add([a, b]), {a: X, b: Y}) is None
    assert mask_of(L.dot([x, y], 1), {a: X, b: Y}) is None


def test_masks_of_concatenate() -> None:
    a, b = Input((3, 1)), Input((3, 1))
    x, y = L.Masking()(a), L.Masking()(b)
    kept_x, kept_y = (X != 0)[..., 0], (Y != 0)[..., 0]
    feeds = {a: X, b: Y}
    np.testing.assert_array_equal(mask_of(L.concatenate([x, y]), feeds), kept_x & kept_y)
    np.testing.assert_array_equal(mask_of(L.concatenate([x, b]), feeds), kept_x)
    np.testing.assert_array_equal(
        mask_of(L.concatenate([x, y], axis=1), feeds), np.concatenate([kept_x, kept_y], axis=1)
    )
    # Genuine Keras can not concatenate these two masks for inputs of several features.
    wide = Input((3, 1))
    np.testing.assert_array_equal(
        mask_of(L.concatenate([x, wide], axis=1), {a: X, wide: Y}), np.concatenate([kept_x, np.ones((2, 3), bool)], 1)
    )


def test_configs_bring_back_the_layer() -> None:
    a, b = Input((3, 4)), Input((3, 4))
    y = L.concatenate([L.add([a, b]), L.subtract([a, b])], axis=1)
    y = L.dot([y, L.maximum([a, b])], axes=[2, 2], normalize=True)
    model = Model([a, b], y)
    again = model_from_json(model.to_json())
    assert again.get_config() == model.get_config()
    x = [floats(2, 3, 4), floats(2, 3, 4)]
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert L.Dot((1, 2), normalize=True).get_config()["axes"] == (1, 2)


def test_on_eager_tensors() -> None:
    x, y = floats(4, 3), floats(4, 3)
    out = L.add([at.asarray(x), at.asarray(y)])
    np.testing.assert_allclose(out.numpy(), x + y)
    np.testing.assert_allclose(L.Concatenate()([at.asarray(x), at.asarray(y)]).numpy(), np.concatenate([x, y], axis=1))


@pytest.mark.parametrize(
    "join",
    [
        lambda x, y: L.add([x, y]),
        lambda x, y: L.subtract([x, y]),
        lambda x, y: L.multiply([x, y]),
        lambda x, y: L.average([x, y, x]),
        lambda x, y: L.maximum([x, y]),
        lambda x, y: L.minimum([x, y]),
        lambda x, y: L.concatenate([x, y, x], axis=1),
        lambda x, y: L.dot([x, y], axes=-1, normalize=True),
        lambda x, y: L.dot([x, y], axes=1),
    ],
)
def test_gradients(join: Any) -> None:
    x, y = Input((2, 3), dtype="float64"), Input((2, 3), dtype="float64")
    values = [RNG.normal(size=(2, 2, 3)) for _ in range(2)]
    loss = K.sum(K.square(join(x, y)))
    f, g = K.function([x, y], [loss]), K.function([x, y], K.gradients(loss, [x, y]))
    for k, gradient in enumerate(g(values)):
        for at_index in [(0, 0, 0), (1, 1, 2), (0, 1, 1)]:
            moved = []
            for step in (1e-6, -1e-6):
                shifted = [v.copy() for v in values]
                shifted[k][at_index] += step
                moved.append(float(f(shifted)[0]))
            assert gradient[at_index] == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: L.Add()(Input((3,))), "should be called on a list of inputs"),
        (lambda: L.Add()([Input((3,))]), "should be called on a list of inputs"),
        (lambda: L.Add().build([(None, 3)]), "at least 2 inputs"),
        (lambda: L.add([Input((3,)), Input((4,))]), "could not be broadcast"),
        (lambda: L.add([Input(batch_shape=(2, 3)), Input(batch_shape=(4, 3))]), "different batch sizes"),
        (lambda: L.concatenate([Input((3,))]), "at least 2 inputs"),
        (lambda: L.concatenate([Input((3, 2)), Input((4, 2))]), "matching shapes except for the concat axis"),
        (lambda: L.concatenate([Input((3, 2)), Input((4,))]), "matching shapes except for the concat axis"),
        (lambda: L.concatenate([Input((3,)), Input((3,))], axis=5), "matching shapes except for the concat axis"),
        (lambda: L.dot([Input((3,)), Input((4,))], 1), "Dimension incompatibility 3 != 4"),
        (lambda: L.dot([Input((3,)), Input((3,)), Input((3,))], 1), "list of 2 inputs"),
        (lambda: L.dot([Input((3,)), Input((3,))], 4), "axis 4 does not exist"),
        (lambda: L.Dot((1, 2, 3)), "expected two ints"),
    ],
)
def test_errors_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_dot_axes_of_a_wrong_type() -> None:
    with pytest.raises(TypeError, match="Invalid type for `axes`"):
        L.Dot("last")

"""Corners of the functional API: sharing, nesting, nodes, several ends, tensors from outside, frozen parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import autotensor as at
import keras_compat
from keras_compat import backend as K
from keras_compat import optimizers
from keras_compat.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from keras_compat.engine.network import get_source_inputs
from keras_compat.layers import Activation, Dense, Dropout, Input, Lambda, Masking
from keras_compat.models import Model, Sequential, clone_model, load_model, model_from_json

RNG = np.random.default_rng(23)
A = RNG.normal(size=(10, 4)).astype("float32")
B = RNG.normal(size=(10, 4)).astype("float32")
T = RNG.normal(size=(10, 3)).astype("float32")
LEVELS = ("1.2", "2.2", "2.3")


@pytest.fixture(autouse=True)
def plain_kernels() -> Iterator[None]:
    with at.config.use(numba=False):
        yield


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    with keras_compat.api_level(request.param):
        yield request.param


def near(a: Any, b: Any, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


def added(x: Any) -> Any:
    return Lambda(lambda xs: xs[0] + xs[1])(x)


# -- sharing and nodes ------------------------------------------------------------------------------------------------


def test_a_shared_layer_has_a_node_for_each_call() -> None:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    shared = Dense(3, name="shared")
    ya, yb = shared(a), shared(b)
    assert shared.get_input_at(0) is a and shared.get_input_at(1) is b
    assert shared.get_output_at(0) is ya and shared.get_output_at(1) is yb
    assert shared.get_output_shape_at(1) == (None, 3) and shared.input_shape == (None, 4)
    assert len(shared.inbound_nodes) == len(shared._inbound_nodes) == 2
    with pytest.raises(AttributeError, match="multiple inbound nodes"):
        shared.output
    with pytest.raises(ValueError, match="at node 2, but the layer has only 2"):
        shared.get_output_at(2)
    with pytest.raises(AttributeError, match="not connected"):
        Dense(3).input
    model = Model([a, b], added([ya, yb]))
    w, c = shared.get_weights()
    near(model.predict([A, B]), A @ w + B @ w + 2 * c)
    assert len(model.weights) == 2
    # The gradient is the sum of both branches.
    model.compile(optimizers.SGD(0.1), "mse")
    error = 2 * (A @ w + B @ w + 2 * c - T) / T.size
    model.train_on_batch([A, B], T)
    near(shared.get_weights()[0], w - 0.1 * (A.T @ error + B.T @ error))


def test_shapes_at_nodes_that_differ() -> None:
    a, b = Input((5, 4)), Input((7, 4))
    layer = Dense(3)
    layer(a), layer(b)
    assert (layer.get_output_shape_at(0), layer.get_output_shape_at(1)) == ((None, 5, 3), (None, 7, 3))
    with pytest.raises(AttributeError, match="different input shape"):
        layer.input_shape


def test_a_shared_model_and_its_nodes() -> None:
    inner_in = Input((4,))
    inner = Model(inner_in, Dense(3, activation="tanh")(inner_in), name="inner")
    a, b = Input((4,)), Input((4,))
    outer = Model([a, b], added([inner(a), inner(b)]))
    assert inner.get_output_at(1) is not inner.get_output_at(0)
    w, c = inner.get_weights()
    near(outer.predict([A, B]), np.tanh(A @ w + c) + np.tanh(B @ w + c))
    assert outer.get_layer("inner") is inner and len(outer.weights) == 2
    again = model_from_json(outer.to_json()) if not any(isinstance(x, Lambda) for x in outer.layers) else None
    assert again is None


def test_nested_models_round_trip_and_share(tmp_path: Any) -> None:
    inner_in = Input((4,), name="i")
    inner = Model(inner_in, Dense(4, name="d")(inner_in), name="inner")
    chain = Sequential([Dense(4, input_dim=4), Sequential([Dense(4, input_dim=4), Activation("tanh")]), Dense(3)])
    x = Input((4,))
    outer = Model(x, chain(inner(inner(x))))
    outer.compile("adam", "mse")
    outer.train_on_batch(A, T)
    again = model_from_json(outer.to_json())
    again.set_weights(outer.get_weights())
    near(again.predict(A), outer.predict(A))
    path = tmp_path / "m.h5"
    outer.save(path)
    near(load_model(path).predict(A), outer.predict(A))


def test_a_model_on_intermediate_tensors() -> None:
    x = Input((4,))
    h = Dense(5, activation="relu", name="h")(x)
    full = Model(x, Dense(3)(h))
    features = Model(full.input, full.get_layer("h").output)
    with pytest.raises(TypeError, match="must be `InputLayer` objects"):
        Model(h, full.output)
    again = Input((5,))
    head = Model(again, full.layers[-1](again))
    near(head.predict(features.predict(A)), full.predict(A))
    assert get_source_inputs(full.output) == [x]
    f = K.function([full.input], [full.get_layer("h").output])
    near(f([A])[0], features.predict(A))


# -- inputs and outputs -----------------------------------------------------------------------------------------------


def test_several_inputs_and_outputs_by_list_and_by_name(level: str) -> None:
    a, b = Input((4,), name="a"), Input((4,), name="b")
    u, v = Dense(3, name="u")(a), Dense(2, name="v")(added([a, b]))
    model = Model([a, b], [u, v])
    tv = RNG.normal(size=(10, 2)).astype("float32")
    (wu, cu), (wv, cv) = model.get_layer("u").get_weights(), model.get_layer("v").get_weights()
    pu, pv = A @ wu + cu, (A + B) @ wv + cv
    mse, mae = ((pu - T) ** 2).mean(), np.abs(pv - tv).mean()
    for loss, factors in ((["mse", "mae"], [1.0, 0.25]), ({"u": "mse", "v": "mae"}, {"v": 0.25})):
        model.compile("sgd", loss, loss_weights=factors)
        assert model.metrics_names == ["loss", "u_loss", "v_loss"]
        for x, y in (([A, B], [T, tv]), ({"b": B, "a": A}, {"v": tv, "u": T})):
            near(model.test_on_batch(x, y), [mse + 0.25 * mae, mse, mae])
    model.compile("sgd", "mse", metrics={"v": "mae"})
    names = {"1.2": "v_mean_absolute_error", "2.2": "v_mean_absolute_error", "2.3": "v_mae"}
    assert model.metrics_names[-1] == names[level]
    assert model.test_on_batch([A, B], [T, tv])[-1] == pytest.approx(mae, rel=1e-4)


def test_an_output_without_a_loss(level: str) -> None:
    x = Input((4,))
    h = Dense(3, name="h")(x)
    model = Model(x, [Activation("tanh", name="u")(h), Activation("relu", name="v")(h)])
    with pytest.warns(UserWarning, match="Output v missing from loss dictionary"):
        model.compile("sgd", {"u": "mse"})
    assert model.metrics_names == ["loss", "u_loss"]
    want = ((model.predict(A)[0] - T) ** 2).mean()
    assert np.ravel(model.train_on_batch(A, T))[0] == pytest.approx(want, rel=1e-4)
    model.compile("sgd", ["mse", None])
    assert np.isfinite(model.train_on_batch(A, T)).all()


def test_inputs_and_outputs_in_both_vocabularies(level: str) -> None:
    x = Input(shape=(4,))
    y = Dense(3)(x)
    models = [
        Model(input=x, output=y),
        Model(inputs=x, outputs=y),
        Model(x, y),
        Model([x], [y]),
        Model(inputs=[x], output=y),
    ]
    for model in models:
        near(model.predict(A), models[0].predict(A))
        assert model.input is x and model.output is y


def test_an_input_as_output_and_an_unused_input() -> None:
    a, b = Input((4,)), Input((4,))
    model = Model([a, b], [Dense(3)(a), Activation("linear")(a)])
    near(model.predict([A, B])[1], A)


# -- calls on tensors and values --------------------------------------------------------------------------------------


def test_models_called_on_placeholders_variables_and_values() -> None:
    model = Sequential([Dense(3, input_dim=4, activation="tanh"), Dropout(0.5)])
    w, c = model.get_weights()
    want = np.tanh(A @ w + c)
    p = K.placeholder((None, 4))
    near(K.function([p, K.learning_phase()], [model(p)])([A, 0])[0], want)
    near(K.eval(model(K.variable(A))), want)
    near(K.eval(model(K.constant(A))), want)
    eager = model(at.asarray(A))
    near(eager.numpy(), want)
    near(model(A).numpy(), want)
    near(model.layers[0](A).numpy(), want)
    follows = model(K.variable(A))
    model.set_weights([2 * w, c])
    near(K.eval(follows), np.tanh(A @ (2 * w) + c))
    near(eager.numpy(), want)


def test_a_tensor_as_input(level: str) -> None:
    x = Input(tensor=K.variable(A))
    y = Dense(3)(x)
    model = Model(x, y)
    near(model.predict(None, steps=1), A @ model.get_weights()[0] + model.get_weights()[1])
    model.compile(optimizers.SGD(0.1), "mse", target_tensors=[K.variable(T)])
    w, c = model.get_weights()
    error = 2 * (A @ w + c - T) / T.size
    history = model.fit(None, None, epochs=2, steps_per_epoch=3, verbose=0)
    assert len(history.history["loss"]) == 2 and history.history["loss"][1] < history.history["loss"][0]
    model.set_weights([w, c])
    assert model.train_on_batch(None, None) == pytest.approx(((A @ w + c - T) ** 2).mean(), rel=1e-4)
    near(model.get_weights()[0], w - 0.1 * A.T @ error)
    assert model.evaluate(None, None, steps=2, verbose=0) == pytest.approx(
        float(((model.predict(None, steps=1) - T) ** 2).mean()), rel=1e-4
    )


def test_a_tensor_beside_a_fed_input(level: str) -> None:
    a, b = Input(tensor=K.variable(B)), Input((4,), name="fed")
    model = Model([a, b], Dense(3)(added([a, b])))
    model.compile("sgd", "mse")
    w, c = model.get_weights()
    assert model.test_on_batch(A, T) == pytest.approx((((A + B) @ w + c - T) ** 2).mean(), rel=1e-4)
    assert np.isfinite(model.train_on_batch({"fed": A}, T))


def test_target_tensors_by_list_and_name(level: str) -> None:
    x = Input((4,))
    model = Model(x, Dense(3, name="y")(x))
    target = K.variable(T)
    for given in ([target], {"y": target}, target):
        model.compile("sgd", "mse", target_tensors=given)
        want = ((model.predict(A) - T) ** 2).mean()
        assert model.test_on_batch(A, None) == pytest.approx(want, rel=1e-4)


def test_clone_model(level: str) -> None:
    x = Input((4,), name="x")
    shared = Dense(4, name="s", activation="tanh")
    y = Dense(3, name="y")(shared(shared(x)))
    model = Model(x, y, name="m")
    copy = clone_model(model)
    assert copy is not model and copy.get_layer("s") is not shared
    assert [w.shape for w in copy.weights] == [w.shape for w in model.weights]
    assert not np.array_equal(copy.get_weights()[0], model.get_weights()[0])
    copy.set_weights(model.get_weights())
    near(copy.predict(A), model.predict(A))
    on_tensor = clone_model(model, input_tensors=K.variable(A))
    on_tensor.set_weights(model.get_weights())
    near(on_tensor.predict(None, steps=1), model.predict(A))
    chain = Sequential([Dense(3, input_dim=4), Activation("tanh")])
    again = clone_model(chain)
    again.set_weights(chain.get_weights())
    near(again.predict(A), chain.predict(A))
    other = Input((4,))
    on_input = clone_model(chain, input_tensors=other)
    on_input.set_weights(chain.get_weights())
    near(Model(other, on_input.outputs[0]).predict(A), chain.predict(A))


def test_add_loss_of_a_model(level: str) -> None:
    x, t = Input((4,)), Input((3,))
    y = Dense(3)(x)
    model = Model([x, t], y)
    model.add_loss(K.mean(K.square(y - t)))
    model.compile(optimizers.SGD(0.1), loss=None)
    w, c = model.get_weights()
    error = 2 * (A @ w + c - T) / T.size
    assert model.train_on_batch([A, T]) == pytest.approx(((A @ w + c - T) ** 2).mean(), rel=1e-4)
    near(model.get_weights()[0], w - 0.1 * A.T @ error)
    history = model.fit([A, T], None, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2


# -- masks ------------------------------------------------------------------------------------------------------------


def test_masks_along_layers_and_nested_models() -> None:
    x = Input((3, 2))
    m = Masking()(x)
    layer = Dense(2)
    y = layer(m)
    assert layer.output_mask is not None and layer.input_mask is layer.get_input_mask_at(0)
    assert Masking()(x) is not None
    steps = RNG.normal(size=(2, 3, 2)).astype("float32")
    steps[1, 2] = 0
    f = K.function([x], [layer.output_mask])
    assert f([steps])[0].tolist() == [[True] * 3, [True, True, False]]
    inner = Model(x, y)
    outer_in = Input((3, 2))
    outer_out = inner(outer_in)
    (mask,) = K.function([outer_in], [inner.compute_mask(outer_in, None)])([steps])
    assert mask.tolist() == [[True] * 3, [True, True, False]]
    outer = Model(outer_in, outer_out)
    outer.compile("sgd", "mse")
    target = np.zeros((2, 3, 2), "float32")
    squares = (outer.predict(steps) ** 2).mean(-1)
    want = squares.reshape(-1)[[0, 1, 2, 3, 4]].sum() / 6
    assert outer.test_on_batch(steps, target) == pytest.approx(want, rel=1e-4)


# -- trainable --------------------------------------------------------------------------------------------------------


def test_trainable_of_layers_and_nested_models(level: str) -> None:
    inner = Sequential([Dense(4, input_dim=4, name="first"), Dense(4, name="second")])
    model = Sequential([inner, Dense(3, name="top")])
    assert len(model.trainable_weights) == 6
    inner.trainable = False
    assert len(model.trainable_weights) == 2 and len(model.non_trainable_weights) == 4
    inner.trainable = True
    inner.layers[0].trainable = False
    assert len(model.trainable_weights) == 4
    model.compile("sgd", "mse")
    frozen = inner.layers[0].get_weights()[0]
    moving = inner.layers[1].get_weights()[0]
    model.train_on_batch(A, T)
    assert (inner.layers[0].get_weights()[0] == frozen).all()
    assert (inner.layers[1].get_weights()[0] != moving).any()
    model.trainable = False
    assert model.trainable_weights == [] and len(model.weights) == 6


def test_trainable_changed_after_compile_counts_from_the_next_compile(level: str) -> None:
    model = Sequential([Dense(4, input_dim=4), Dense(3)])
    model.compile("sgd", "mse")
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()[0]
    with pytest.warns(UserWarning, match="Discrepancy between trainable weights"):
        model.train_on_batch(A, T)
    assert (model.layers[0].get_weights()[0] != before).any()
    before = model.layers[0].get_weights()[0]
    model.compile("sgd", "mse")
    model.train_on_batch(A, T)
    assert (model.layers[0].get_weights()[0] == before).all()


def test_two_models_of_one_body_as_in_a_gan(level: str) -> None:
    judge = Sequential([Dense(1, input_dim=4, activation="sigmoid")])
    judge.compile("sgd", "binary_crossentropy")
    maker = Sequential([Dense(4, input_dim=4)])
    judge.trainable = False
    both = Sequential([maker, judge])
    both.compile("sgd", "binary_crossentropy")
    held, made = judge.get_weights()[0], maker.get_weights()[0]
    both.train_on_batch(A, np.ones((10, 1)))
    assert (judge.get_weights()[0] == held).all() and (maker.get_weights()[0] != made).any()
    judge.trainable = True
    judge.train_on_batch(A, np.ones((10, 1)))
    assert (judge.get_weights()[0] != held).any()


# -- Sequential -------------------------------------------------------------------------------------------------------


def test_outputs_of_layers_in_a_sequential() -> None:
    late = Sequential([Dense(4), Dense(3)])
    with pytest.raises(AttributeError, match="not connected"):
        late.layers[0].output
    late.predict(A)
    assert late.layers[0].output is late.layers[1].input and late.layers[1].output is late.outputs[0]
    early = Sequential([Dense(4, input_dim=4), Dense(3)])
    first = early.layers[0].output
    early.pop()
    assert early.outputs[0] is first and early.output_shape == (None, 4)
    early.add(Dense(2))
    assert early.predict(A).shape == (10, 2) and early.layers[1].input is first


def test_a_sequential_as_layer_of_two_models() -> None:
    part = Sequential([Dense(4, input_dim=4, activation="tanh")])
    one, two = Sequential([part, Dense(3)]), Sequential([part])
    w, c = part.get_weights()
    near(two.predict(A), np.tanh(A @ w + c))
    one.compile(optimizers.SGD(1.0), "mse")
    one.train_on_batch(A, T)
    w, c = part.get_weights()
    near(two.predict(A), np.tanh(A @ w + c))


# -- callbacks --------------------------------------------------------------------------------------------------------


class _Scripted(Callback):
    """Puts given values into the logs, so that what watches them can be checked."""

    def __init__(self, values: Any, name: str = "val_loss"):
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs[self.name] = self.values[min(epoch, len(self.values) - 1)]


def small() -> Any:
    model = Sequential([Dense(3, input_dim=4)])
    model.compile(optimizers.SGD(0.5), "mse")
    return model


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_early_stopping_waits_as_its_release_does(patience: int, level: str) -> None:
    values = [5.0, 4.0, 4.0, 4.5, 4.1, 4.0, 4.2, 4.3]
    model = small()
    log = model.fit(
        A, T, epochs=8, verbose=0, callbacks=[_Scripted(values), EarlyStopping("val_loss", patience=patience)]
    ).history
    # The best is epoch 2 of 8; Keras 2 stops when that many have passed, at least one, Keras 1 one later.
    late = patience + 1 if level == "1.2" else max(patience, 1)
    assert len(log["loss"]) == 2 + late


def test_early_stopping_on_accuracy_under_either_name(level: str) -> None:
    for name in ("acc", "accuracy"):
        stop = EarlyStopping(monitor="val_accuracy", patience=1, min_delta=0.1, verbose=1)
        model = small()
        values = [0.1, 0.3, 0.35, 0.36, 0.38]
        log = model.fit(A, T, epochs=5, verbose=0, callbacks=[_Scripted(values, "val_" + name), stop]).history
        assert len(log["loss"]) == (4 if level == "1.2" else 3)
    with pytest.warns(UserWarning, match="Early stopping conditioned on metric `nothing` which is not available"):
        small().fit(A, T, epochs=1, verbose=0, callbacks=[EarlyStopping("nothing")])


def test_early_stopping_brings_the_best_weights_back() -> None:
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            kept.append(self.model.get_weights())

    model = small()
    stop = EarlyStopping(patience=2, restore_best_weights=True)
    model.fit(A, T, epochs=9, verbose=0, callbacks=[_Scripted([3.0, 1.0, 2.0, 2.0, 2.0]), Keep(), stop])
    assert len(kept) == 4 and stop.stopped_epoch == 3
    near(model.get_weights()[0], kept[1][0])
    stop = EarlyStopping(patience=2, baseline=0.5)
    assert len(small().fit(A, T, epochs=9, verbose=0, callbacks=[_Scripted([3.0, 1.0]), stop]).epoch) == 2


def test_reduce_lr_waits_as_its_release_does(level: str) -> None:
    model = small()
    reduce = ReduceLROnPlateau(factor=0.1, patience=2, min_lr=0.001, cooldown=0, epsilon=0.0)
    log = model.fit(A, T, epochs=8, verbose=0, callbacks=[_Scripted([1.0]), reduce]).history
    # lr as of the beginning of the epoch's end; epoch 1 is the best.
    near(log["lr"], ([0.5] * (4 if level == "1.2" else 3) + [0.05] * 2 + [0.005] * 2 + [0.001])[:8])
    with pytest.raises(ValueError, match="factor >= 1.0"):
        ReduceLROnPlateau(factor=1.0)


def test_reduce_lr_stops_at_the_bound_and_cools_down() -> None:
    model = small()
    reduce = ReduceLROnPlateau(factor=0.1, patience=1, min_lr=0.2, cooldown=2)
    log = model.fit(A, T, epochs=6, verbose=0, callbacks=[_Scripted([1.0]), reduce]).history
    near(log["lr"], [0.5, 0.5, 0.2, 0.2, 0.2, 0.2])


def test_learning_rate_scheduler(level: str) -> None:
    model = small()
    log = model.fit(A, T, epochs=3, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))])
    near(K.get_value(model.optimizer.lr), 0.1 / 3)
    assert ("lr" in log.history) == (level != "1.2")
    model.fit(A, T, epochs=3, verbose=0, callbacks=[LearningRateScheduler(lambda epoch, lr: lr * 0.5)])
    near(K.get_value(model.optimizer.lr), 0.1 / 3 / 8)
    with pytest.raises(ValueError, match="should be float"):
        model.fit(A, T, verbose=0, callbacks=[LearningRateScheduler(lambda epoch: "x")])


def test_terminate_on_nan() -> None:
    model = small()
    model.compile(optimizers.SGD(1e30), "mse")
    log = model.fit(A, T, batch_size=2, epochs=5, verbose=0, callbacks=[TerminateOnNaN()])
    assert len(log.epoch) == 1


def test_model_checkpoint(level: str, tmp_path: Any) -> None:
    model = small()
    each = ModelCheckpoint(str(tmp_path / "w.{epoch:02d}-{val_loss:.1f}.h5"), save_weights_only=True)
    best = ModelCheckpoint(str(tmp_path / "best.h5"), save_best_only=True)
    named = ModelCheckpoint(tmp_path / "a-{val_acc:.1f}-{val_accuracy:.1f}.h5", period=2)
    kept = []

    class Keep(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            kept.append(self.model.get_weights())

    scripted = [_Scripted([3.0, 1.0, 2.0]), _Scripted([0.5], "val_acc")]
    model.fit(A, T, epochs=3, verbose=0, callbacks=[*scripted, Keep(), each, best, named])
    first = 0 if level == "1.2" else 1
    names = [f"w.{first + k:02d}-{v:.1f}.h5" for k, v in enumerate([3.0, 1.0, 2.0])]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-0.5-0.5.h5", "best.h5", *names]
    near(load_model(tmp_path / "best.h5").get_weights()[0], kept[1][0])
    model.load_weights(tmp_path / names[0])
    near(model.get_weights()[0], kept[0][0])

"""Utilities of Keras 0.x to 2.3 that are reached by their module paths: files, drawings, configs, labels."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="arg-type, attr-defined, call-arg, union-attr"

from __future__ import annotations

import builtins
import shutil

import h5py
import numpy as np
import pytest

import keras_compat as keras
from keras_compat import backend as K
from keras_compat import layers as L
from keras_compat.dialect import api_level
from keras_compat.engine import base_layer, saving, topology
from keras_compat.legacy import interfaces
from keras_compat.models import Model, Sequential
from keras_compat.utils import generic_utils, io_utils, layer_utils, np_utils, vis_utils, visualize_util


def chain():
    return Sequential([L.Dense(3, input_shape=(2,), name="a"), L.Dense(1, name="b")])


def test_get_file_where_keras_0_had_it():
    assert keras.datasets.data_utils.get_file is keras.utils.data_utils.get_file


# --- labels and kernels -----------------------------------------------------------------------------------------------


def test_classes_from_probabilities():
    p = np.array([[0.1, 0.9], [0.8, 0.2]])
    assert np_utils.probas_to_classes(p).tolist() == np_utils.categorical_probas_to_classes(p).tolist() == [1, 0]
    assert np_utils.probas_to_classes(np.array([[0.4], [0.6]])).tolist() == [0, 1]  # genuine's shape
    assert np_utils.accuracy([1, 0, 1], [1, 1, 1]) == pytest.approx(2 / 3)
    assert np_utils.binary_logloss([0.8, 0.4], [1, 0]) == pytest.approx(-(np.log(0.8) + np.log(0.6)) / 2)
    assert np_utils.binary_logloss([0.0], [1]) == pytest.approx(-np.log(1e-15))
    assert np_utils.multiclass_logloss(P=p, Y=[2, 2]) == pytest.approx(-(np.log(0.9) + np.log(0.2)) / 2)  # from 1
    genuine = np_utils.multiclass_logloss(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([1, 2]))
    assert genuine == pytest.approx(0.3669845875401002)


def test_kernels_turned():
    kernel = np.arange(24.0).reshape(2, 3, 2, 2)
    assert np_utils.convert_kernel(kernel, dim_ordering="tf")[0, 0].tolist() == kernel[1, 2].tolist()
    with pytest.raises(ValueError, match="rank 4 or 5"):
        np_utils.convert_kernel(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="'th' or 'tf'"):
        np_utils.convert_kernel(kernel, dim_ordering="x")


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
def test_lengths_of_convolutions(mode):
    for n in range(3, 12):
        for size in (1, 3):
            out = np_utils.conv_output_length(n, size, mode, 1)
            assert np_utils.conv_input_length(out, size, mode, 1) == n
            kept = {"valid": "valid", "same": "same", "full": "full"}[mode]
            assert out == len(np.convolve(np.zeros(n), np.zeros(size), kept))
    assert np_utils.conv_output_length(None, 3, mode, 1) is np_utils.conv_input_length(None, 3, mode, 1) is None
    assert np_utils.conv_output_length(10, 3, "valid", 2, dilation=2) == 3
    for f in (np_utils.conv_output_length, np_utils.conv_input_length):
        with pytest.raises(ValueError, match="valid"):
            f(5, 3, "half", 1)


def test_all_kernels_of_a_model():
    model = Sequential([L.Conv2D(2, (3, 2), input_shape=(6, 6, 1)), L.Flatten(), L.Dense(2)])
    before = model.get_weights()
    layer_utils.convert_all_kernels_in_model(model)
    np.testing.assert_array_equal(model.get_weights()[0], before[0][::-1, ::-1])
    for a, b in zip(model.get_weights()[1:], before[1:]):
        np.testing.assert_array_equal(a, b)


def test_all_kernels_of_a_model_in_the_order_of_keras_1():
    model = Sequential([L.Convolution2D(2, 3, 2, dim_ordering="th", input_shape=(4, 6, 6))])
    before = model.get_weights()[0]
    assert before.shape == (2, 4, 3, 2)
    layer_utils.convert_all_kernels_in_model(model)
    np.testing.assert_array_equal(model.get_weights()[0], before[:, :, ::-1, ::-1])


def test_dense_after_another_layout_of_images():
    images = np.random.RandomState(0).rand(4, 5, 6, 3)  # channels last
    dense = L.Dense(2)
    last = Sequential([L.Flatten(input_shape=(5, 6, 3)), dense])
    want = last.predict(images)
    first = images.transpose(0, 3, 1, 2).reshape(4, -1)
    layer_utils.convert_dense_weights_data_format(dense, (3, 5, 6), "channels_first")
    np.testing.assert_allclose(first @ dense.get_weights()[0] + dense.get_weights()[1], want, rtol=1e-4, atol=1e-6)
    layer_utils.convert_dense_weights_data_format(dense, (5, 6, 3), "channels_last")
    np.testing.assert_allclose(last.predict(images), want, rtol=1e-5)
    with pytest.raises(ValueError, match="channels_first"):
        layer_utils.convert_dense_weights_data_format(dense, (5, 6, 3), "th")


# --- layers and configs -----------------------------------------------------------------------------------------------


def test_configs_by_the_old_names():
    config = {"class_name": "Dense", "config": {"units": 2, "name": "d"}}
    for read in (layer_utils.layer_from_config, layer_utils.container_from_config, keras.models.container_from_config):
        assert read(config).get_config()["units"] == 2
    assert layer_utils.get_layer("Dense", {"units": 3}).units == 3
    layer = L.Dense(1)
    assert layer_utils.get_layer(layer) is layer
    optimizer = {"class_name": "SGD", "config": {"learning_rate": 0.5}}
    assert K.get_value(keras.models.optimizer_from_config(optimizer).lr) == 0.5
    model, cache = chain(), {}
    one = Sequential.from_config(model.get_config(), layer_cache=cache)
    two = Sequential.from_config(model.get_config(), layer_cache=cache)
    assert set(cache) == {"a", "b"} and two.layers[0] is one.layers[0] is cache["a"]


def test_counting_and_printing(capsys):
    model = chain()
    model.layers[1].trainable = False
    assert layer_utils.count_total_params(model.layers) == (9, 4)
    assert layer_utils.count_total_params([model, *model.layers]) == (9, 4)
    assert layer_utils.is_chain(model)
    model.summary()
    summary = capsys.readouterr().out
    for show in (layer_utils.model_summary, layer_utils.print_summary, keras.models.model_summary):
        show(model)
        assert capsys.readouterr().out == summary
    layer_utils.print_summary(layers=model, relevant_nodes=[])
    assert capsys.readouterr().out == summary
    lines = []
    layer_utils.print_summary(model, line_length=80, print_fn=lines.append)
    assert "\n".join(lines).count("_" * 80) >= 2


def test_source_inputs():
    a, b = L.Input(shape=(2,)), L.Input(shape=(2,))
    y = L.Dense(3)(L.add([L.Dense(2)(a), b]))
    for find in (keras.utils.get_source_inputs, topology.get_source_inputs, keras.engine.get_source_inputs):
        assert find(y) == [a, b]


def test_functions_as_text():
    factor = 3

    def times(x, plus=1):
        return x * factor + plus

    dumped = generic_utils.func_dump(times)
    assert isinstance(dumped[0], str) and dumped[1:] == ((1,), (3,))
    for again in (generic_utils.func_load(*dumped), generic_utils.func_load(dumped), topology.func_load(list(dumped))):
        assert again(2) == 7 and again(2, plus=0) == 6
    named = generic_utils.func_load(*generic_utils.func_dump(lambda x: np.abs(x)), globs={"np": np})
    assert named(-2) == 2


def test_parts_of_the_graph_by_hand():
    x = L.Input(shape=(4,))
    first, second = L.Dense(3), L.Dense(2)
    first(x)
    second.add_inbound_node(first)
    assert second.output_shape == (None, 2)
    node = topology.Node.create_node(second, [first], [0], [0])
    assert node is second.inbound_nodes[1] and node.inbound_layers == [first]
    with pytest.raises(ValueError, match="not"):
        L.Dense(2).add_inbound_node(L.Dense(3))
    layer = L.Dense(2)
    layer.create_input_layer((None, 5), name="data")
    assert layer.input_shape == (None, 5) and layer.inbound_nodes[0].inbound_layers[0].name == "data"
    assert issubclass(topology.Container, topology.Network)


def test_words_of_keras_1_for_methods_of_layers():
    x = L.Input(shape=(4,))
    layer = L.Dense(3)
    layer(x)
    assert K.int_shape(layer.call(x=x)) == K.int_shape(layer.call(x, None)) == (None, 3)
    assert layer.compute_mask(input=x, input_mask=None) is None
    layer.assert_input_compatibility(input=x)

    class Doubled(L.Dense):
        def call(self, x, mask=None):
            return 2 * super().call(x, mask)

    model = Sequential([Doubled(2, use_bias=False, input_shape=(3,))])
    data = np.ones((1, 3))
    np.testing.assert_allclose(model.predict(data), 2 * data @ model.get_weights()[0], rtol=1e-6)


def test_what_keras_0_kept():
    model = chain()
    assert list(model.layer_cache) == list(model.shape_cache) == ["a", "b"] and model.cache_enabled
    assert model.shape_cache["a"] == (None, 3) and model.layer_cache["b"] is not None
    for name in ("training_data", "validation_data"):
        with pytest.raises(AttributeError, match="Keep|callback"):
            getattr(model, name)
    unbuilt = Sequential([L.Dense(2, input_shape=(3,))])
    unbuilt.set_input()
    assert unbuilt.output_shape == (None, 2)
    model.compile("adam", "mse")
    model.train_on_batch(np.ones((2, 2)), np.ones((2, 1)))
    state = model.optimizer.get_state()
    model.train_on_batch(np.ones((2, 2)), np.ones((2, 1)))
    model.optimizer.set_state(state)
    for a, b in zip(model.optimizer.get_state(), state):
        np.testing.assert_array_equal(a, b)
    p, q = np.array([0.2, 0.8]), np.array([0.5, 0.5])
    got = K.eval(keras.optimizers.kl_divergence(K.constant(p), K.constant(q)))
    np.testing.assert_allclose(got, q - p + p * np.log(p / q), rtol=1e-5)


def test_siamese_by_heads():
    left, right = (
        Sequential([L.Dense(3, input_dim=2)], name="left"),
        Sequential([L.Dense(3, input_dim=2)], name="right"),
    )
    siamese = L.Siamese(L.Dense(4), [left, right], merge_mode="sum")
    inputs = [left.inputs[0], right.inputs[0]]
    data = [np.random.RandomState(0).rand(5, 2), np.random.RandomState(1).rand(5, 2)]
    value = lambda tensors: K.function(inputs, tensors)(data)
    one, two = value([siamese.get_output_at(0), siamese.get_output_at(head=1, train=True)])
    kernel, bias = siamese.layer.get_weights()
    np.testing.assert_allclose(one, left.predict(data[0]) @ kernel + bias, rtol=1e-4)
    assert siamese.get_output_shape(1) == (None, 4)
    merged = [getattr(siamese, f"get_output_{m}")() for m in ("sum", "ave", "mul", "concat", "dot", "cos")]
    total, mean, product, both, dot, cos = value(merged)
    np.testing.assert_allclose(total, one + two, rtol=1e-4)
    np.testing.assert_allclose(mean, (one + two) / 2, rtol=1e-4)
    np.testing.assert_allclose(product, one * two, rtol=1e-4)
    np.testing.assert_allclose(both, np.hstack([one, two]), rtol=1e-4)
    np.testing.assert_allclose(dot.ravel(), np.sum(one * two, axis=1), rtol=1e-3)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1)
    np.testing.assert_allclose(cos.ravel(), np.sum(one * two, axis=1) / norms, rtol=1e-3)
    assert list(siamese.get_output_join()) == ["left", "right"]
    before = len(siamese.layer.inbound_nodes)
    siamese.set_layer_input(1)
    assert len(siamese.layer.inbound_nodes) == before + 1


def test_the_gate_of_a_highway_layer_starts_where_keras_0_says():
    for level, given, want in (("2.3", {}, 1.0), ("0.3", {}, -2.0), ("0.3", {"transform_bias": -3}, -3.0)):
        with api_level(level):
            layer = L.Highway(input_dim=4, **given)
            Sequential([layer])
            assert K.get_value(layer.b_carry).tolist() == [want] * 4
            again = L.Highway.from_config(layer.get_config())
            Sequential([again])
            assert K.get_value(again.b_carry).tolist() == [want] * 4


def test_the_gate_of_a_highway_layer_in_keras_1():
    with api_level("1.2"), pytest.warns(UserWarning, match="transform_bias is of Keras 0.x"):
        layer = L.Highway(input_dim=4, transform_bias=-3)
    Sequential([layer])
    assert K.get_value(layer.b_carry).tolist() == [1.0] * 4


def test_layers_of_keras_0_put_behind_others():
    both = L.AutoEncoder(L.Dense(2, input_dim=4, name="in"), L.Dense(4, name="out"))
    Sequential([both])
    assert list(both.layer_cache) == list(both.shape_cache) == ["in", "out"]
    before = L.Dense(4, input_dim=3)
    Sequential([before])
    both.set_previous(node=before)
    assert both.inbound_nodes[-1].inbound_layers == [before]
    masked = L.MaskedLayer()
    x = L.Masking()(L.Input(shape=(3, 2)))
    masked(x)
    assert masked.get_input_mask() is masked.input_mask is not None
    graph = keras.models.Graph()
    graph.add_input(name="a", input_shape=(4,))
    graph.add_node(L.Dense(2), name="b", input="a")
    graph.add_output(name="c", input="b")
    graph.set_previous(before)
    assert graph.inbound_nodes[-1].inbound_layers == [before]


def test_initializers_of_keras_1_are_functions_of_a_shape_and_a_name():
    from keras_compat.initializations import normal

    names = []

    def start(shape, name):
        names.append(name)
        return normal(shape, scale=0.01, name=name)

    layer = L.Dense(200, init=start, input_dim=100, name="d")
    Sequential([layer])
    assert names and "kernel" in names[0]
    assert layer.get_weights()[0].std() == pytest.approx(0.01, rel=0.05)
    layer = L.Dense(200, init=lambda shape, name: normal(shape, scale=0.01, name=name), input_dim=100)
    Sequential([layer])
    assert np.abs(layer.get_weights()[0]).max() < 0.1


def test_untracked_attributes():
    class Holder(L.Layer):
        @base_layer.disable_tracking
        def hold(self, layer):
            self.inner = layer

    with api_level("2.3"):
        holder = Holder()
        holder.hold(L.Dense(1))
        assert not holder._layers and isinstance(holder.inner, L.Dense)
        holder.other = L.Dense(1)
        assert len(holder._layers) == 1


def test_words_of_ones_own_functions():
    seen = {}

    class Mine:
        @interfaces.generate_legacy_interface(
            allowed_positional_args=["units"],
            conversions=[("output_dim", "units")],
            value_conversions={"order": {"tf": "channels_last"}},
        )
        def __init__(self, units, order=None):
            seen.update(units=units, order=order)

    Mine(output_dim=3, order="tf")
    assert seen == {"units": 3, "order": "channels_last"}
    with pytest.raises(TypeError, match="given twice"):
        Mine(units=3, output_dim=4)
    with pytest.raises(TypeError, match="at most 1"):
        Mine(3, "tf")

    class Still(keras.optimizers.Optimizer):
        @interfaces.legacy_get_updates_support
        def get_updates(self, loss, params):
            return [loss, params]

    for call in (
        lambda o: o.get_updates("loss", "params"),
        lambda o: o.get_updates("params", {}, "loss"),
        lambda o: o.get_updates(params="params", loss="loss"),
    ):
        assert call(Still()) == ["loss", "params"]


# --- files ------------------------------------------------------------------------------------------------------------


def test_rows_of_a_file(tmp_path):
    path = str(tmp_path / "data.h5")
    rows = np.arange(20.0).reshape(10, 2)
    with h5py.File(path, "w") as f:
        f["x"] = rows
    x = io_utils.HDF5Matrix(path, "x", 2, 8)
    assert (len(x), x.shape, x.ndim, x.size, x.dtype) == (6, (6, 2), 2, 12, rows.dtype)
    part = rows[2:8]
    for key in (slice(None), slice(1, 4), slice(None, None, 2), slice(-2, None), 3, -1, [4, 0, 4], np.array([5, 1])):
        np.testing.assert_array_equal(x[key], part[key])
    np.testing.assert_array_equal(x[part[:, 0] > 8], part[part[:, 0] > 8])
    np.testing.assert_array_equal(np.asarray(x), part)
    for wrong in (6, -7, [6], [-1]):
        with pytest.raises(IndexError, match="expected"):
            x[wrong]
    scaled = io_utils.HDF5Matrix(path, "x", normalizer=lambda a: a / 2)
    np.testing.assert_array_equal(scaled[:3], rows[:3] / 2)
    model = chain()
    model.compile("sgd", "mse")
    np.testing.assert_allclose(model.predict(x), model.predict(part))
    io_utils.HDF5Matrix.refs.pop(path).close()


def test_arrays_on_disk(tmp_path):
    array = np.arange(6).reshape(2, 3)
    io_utils.save_array(array, str(tmp_path / "a.h5"))
    np.testing.assert_array_equal(io_utils.load_array(str(tmp_path / "a.h5")), array)


def test_questions_before_overwriting(monkeypatch, capsys):
    answers = iter(["perhaps", "Y", "n"])
    asked = []
    monkeypatch.setattr(builtins, "input", lambda text: (asked.append(text), next(answers))[1])
    assert io_utils.ask_to_proceed_with_overwrite("f.h5") is True and len(asked) == 2 and "f.h5" in asked[0]
    assert capsys.readouterr().out == "[TIP] Next time specify overwrite=True!\n"
    assert asked[1] == 'Enter "y" (overwrite) or "n" (cancel).'
    assert keras.models.ask_to_proceed_with_overwrite("f.h5") is False
    assert capsys.readouterr().out == ""


def test_dictionaries_in_files(tmp_path):
    path = str(tmp_path / "d.h5")
    names = [f"layer_{i:04d}".encode() * 20 for i in range(1000)]  # more than one attribute holds
    with io_utils.H5Dict(path, "w") as d:
        d["array"] = np.arange(3)
        d["text"] = "hello"
        d["names"] = names
        d["a"]["b"] = 1.5
        d.update({"more": {"x": [1, 2]}}, last=2)
        with pytest.raises(KeyError, match="exists"):
            d["text"] = "again"
    with io_utils.h5dict(path, "r") as d:
        assert d["array"].tolist() == [0, 1, 2] and d["text"] == "hello" and list(d["names"]) == names
        assert d["a"]["b"] == 1.5 and d["more"]["x"].tolist() == [1, 2] and d.get("last") == 2
        assert d.get("nothing", 7) == 7 and "nothing" not in d and "text" in d
        assert {"array", "a", "more", "last", "text"} <= set(d) and len(d) == len(list(d))
        with pytest.raises(KeyError, match="nothing"):
            d["nothing"]
        with pytest.raises(ValueError, match="read-only"):
            d["new"] = 1
    plain: dict = {}
    wrapped = io_utils.H5Dict(plain)
    wrapped["a"]["b"] = 3
    assert plain == {"a": {"b": 3}} and wrapped["a"]["b"] == 3
    assert io_utils.H5Dict.is_supported_type(path) and not io_utils.H5Dict.is_supported_type(3)
    with pytest.raises(TypeError, match="Required Group, str or dict"):
        io_utils.H5Dict(3)


def test_steps_of_reading_and_writing_weights(tmp_path):
    model, other = chain(), chain()
    with h5py.File(tmp_path / "w.h5", "w") as f:
        saving.save_weights_to_hdf5_group(f, model.layers)
        saving.load_weights_from_hdf5_group(f, other.layers)
        for a, b in zip(model.get_weights(), other.get_weights()):
            np.testing.assert_array_equal(a, b)
        third = Sequential([L.Dense(3, input_shape=(2,), name="a"), L.Dense(7, name="z")])
        saving.load_weights_from_hdf5_group_by_name(f, third.layers)
        np.testing.assert_array_equal(third.get_weights()[0], model.get_weights()[0])
    with h5py.File(tmp_path / "v.h5", "w") as f:
        model.save_weights_to_hdf5_group(f)
        fresh = chain()
        fresh.load_weights_from_hdf5_group(f)
        named = chain()
        named.load_weights_from_hdf5_group_by_name(f)
        for again in (fresh, named):
            np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
        f.create_group("texts")
        long = [f"{i:05d}" * 30 for i in range(2000)]
        saving.save_attributes_to_hdf5_group(f["texts"], "names", long)
        assert saving.load_attributes_from_hdf5_group(f["texts"], "names") == long
        assert saving.load_attributes_from_hdf5_group(f["texts"], "others") == []
    for same in (saving.allow_read_from_gcs, saving.allow_write_to_gcs):
        assert same(len)([1, 2]) == 2
    assert saving.tf_file_io is None and saving.HDF5_OBJECT_HEADER_LIMIT == io_utils.HDF5_OBJECT_HEADER_LIMIT


def test_weights_from_files_are_fitted():
    layer = L.Conv2D(2, (3, 3), input_shape=(5, 5, 1))
    Sequential([layer])
    kernel, bias = np.random.RandomState(0).rand(3, 3, 1, 2), np.zeros(2)
    turned = saving.preprocess_weights_for_loading(layer, [kernel, bias], "2.2.4", "theano")
    np.testing.assert_array_equal(turned[0], kernel[::-1, ::-1])
    same = saving.preprocess_weights_for_loading(layer, [kernel.ravel(), bias], reshape=True)
    np.testing.assert_array_equal(same[0], kernel)


# --- drawings ---------------------------------------------------------------------------------------------------------


def test_a_drawing_as_text(tmp_path):
    inner = Sequential([L.Dense(2, input_shape=(2,), name="deep")], name="inner")
    x = L.Input(shape=(2,), name="data")
    model = Model(x, L.add([inner(x), x], name="both"), name="whole")
    text = vis_utils.model_to_dot(model, show_shapes=True).to_string()
    assert text.startswith('digraph "whole" {') and text.count("->") == 3
    assert '"inner: Sequential' in text and "(None, 2)" in text and "deep" not in text
    nested = str(vis_utils.model_to_dot(model, expand_nested=True, show_layer_names=False, rankdir="LR"))
    assert 'subgraph "cluster_inner_' in nested and "deep" not in nested and '"Dense"' in nested
    assert 'rankdir="LR"' in nested
    assert vis_utils.is_model(model) and not vis_utils.is_model(x)
    wrapped = L.TimeDistributed(inner)
    assert vis_utils.is_wrapped_model(wrapped) and not vis_utils.is_wrapped_model(L.Dense(1))
    for write in (keras.utils.plot_model, visualize_util.plot):
        write(model, to_file=str(tmp_path / "model.dot"))
        assert (tmp_path / "model.dot").read_text() == str(keras.utils.model_to_dot(model))


def test_drawings_of_keras_0():
    model = chain()
    assert visualize_util.layer_typename(model.layers[0]) == "keras_compat.layers.core.Dense"
    assert visualize_util.get_layer_to_name(model) == {model.layers[0]: "a", model.layers[1]: "b"}
    assert str(visualize_util.to_graph(model)) == str(visualize_util.ModelToDot()(model))
    drawing = visualize_util.ModelToDot()(model, connect_to="start")
    vis_utils.add_edge(drawing, "start", "end")
    vis_utils.add_edge(drawing, "start", "end")
    ends = [(edge.get_source(), edge.get_destination()) for edge in drawing.get_edges()]
    assert ends.count(("start", "end")) == 1 and ends[-2][0] == "start"


def test_an_image_needs_graphviz(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(ImportError, match="pip install graphviz-pure .* needs nothing"):
        keras.utils.plot_model(chain(), to_file=str(tmp_path / "model.png"))
    assert not (tmp_path / "model.png").exists() and vis_utils.pydot is None


# --- names of other backends ------------------------------------------------------------------------------------------


def test_functions_of_the_cntk_backend_and_keras_0():
    assert K.normalize_axis(-1, 3) == 2 and K.normalize_axis([0, -2], 3) == [0, 1] and K.normalize_axis(None, 3) is None
    target, output = np.eye(3), np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0, 0, 1.0]])
    assert K.eval(K.classification_error(K.constant(target), K.constant(output))) == pytest.approx(1 / 3)
    x = K.placeholder((None, None, 3))
    assert K.get_num_dynamic_axis(x) == 2 and K.has_seq_axis(x) and not K.has_seq_axis(K.placeholder((None, 3)))
    image = np.ones((1, 2, 2, 3))
    padded = K.eval(K.pad(K.constant(image), [(1, 0), (0, 2)], "channels_last", 1))
    np.testing.assert_array_equal(padded, np.pad(image, [(0, 0), (1, 0), (0, 2), (0, 0)]))
    first = K.eval(K.pad(K.constant(image), [(1, 0), (0, 2)], "channels_first", 1))
    assert first.shape == (1, 2, 3, 5)
    with pytest.raises(ValueError, match="pairs"):
        K.pad(K.constant(image), [(1, 1)], "channels_last", 1)


def test_small_things_of_the_backend():
    assert K.is_tensor(K.constant(1.0)) and not K.is_tensor(1.0)
    assert K.get_variable_shape(K.variable(np.zeros((2, 3)))) == (2, 3)
    K.get_uid("thing")
    K.reset_uids()
    assert K.get_uid("thing") == 1
    with K.name_scope("part") as name:
        assert name == "part"
    change = K.update(K.variable(1.0), 2.0)
    assert isinstance(change, K.Update) and len(K.unique_updates([change, change])) == 1
    for make, low in ((K.random_uniform_variable, 2.0), (K.random_normal_variable, 2.5)):
        v = make((400,), low, 3.0) if make is K.random_uniform_variable else make((400,), low, 0.01)
        assert K.is_variable(v) and low - 0.1 <= K.get_value(v).mean() <= 3.0
    dense = K.eval(K.ctc_label_dense_to_sparse(K.constant([[1, 2, 0]], dtype="int32"), K.constant([2], dtype="int32")))
    assert dense is not None


def test_printing_happens_at_each_evaluation(capsys):
    x = K.placeholder((2,))
    f = K.function([x], [K.print_tensor(x * 2, message="twice:") + 1])
    assert capsys.readouterr().out == ""
    assert f([[1.0, 2.0]])[0].tolist() == [3.0, 5.0]
    f([[3.0, 4.0]])
    out = capsys.readouterr().out
    assert out.count("twice:") == 2 and "[2. 4.]" in out and "[6. 8.]" in out
    v = K.variable(5.0)
    shown = K.print_tensor(v, "v:")
    assert capsys.readouterr().out == ""
    assert K.eval(shown) == 5.0 and capsys.readouterr().out == "v: 5.0\n"
    assert K.eval(K.gradients(K.square(shown), v)[0]) == 10.0


def test_copies_of_metrics():
    metric = keras.metrics.Mean(name="m")
    again = keras.metrics.clone_metric(metric)
    assert again is not metric and again.name == "m"
    assert len(keras.metrics.clone_metrics([metric, again])) == 2


def test_a_drawing_shows_the_input_layer_of_a_sequential():
    for level in ("1.2", "2.3"):
        with keras.api_level(level):
            text = str(vis_utils.model_to_dot(Sequential([L.Dense(2, input_dim=3, name="only")])))
        assert "InputLayer" in text and text.count("->") == 1

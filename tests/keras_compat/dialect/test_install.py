"""Wrapping from outside: subclasses, methods, functions, inspection, pickling, cost, the migration report."""

# Tests call what is wrong or old on purpose, which a type checker can not know.
# mypy: disable-error-code="attr-defined, call-arg, call-overload, override, union-attr"

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import sys
import types
import warnings

import pytest

from keras_compat.dialect import (
    api_level,
    clear_report,
    install,
    install_all,
    install_method,
    report,
    spec_for,
    translated,
    warn_old_spellings,
)
from keras_compat.dialect.install import spec_of
from tests.work import lines_run

# The package has a function of this name, which hides the module.
install_module = importlib.import_module("keras_compat.dialect.install")


class Layer:
    """The base of the stand-ins: knows what a base class knows."""

    def __init__(self, **kwargs):
        unknown = set(kwargs) - {"name", "trainable", "input_shape", "batch_input_shape", "dtype", "weights"}
        if unknown:
            raise TypeError(f"Keyword argument not understood: {unknown}")
        self.base = kwargs


class Dense(Layer):
    """A stand-in in Keras 2's words."""

    def __init__(self, units, activation=None, use_bias=True, kernel_initializer="glorot_uniform", **kwargs):
        """Make it."""
        super().__init__(**kwargs)
        self.units = units
        self.activation = activation
        self.use_bias = use_bias
        self.kernel_initializer = kernel_initializer

    def get_config(self):
        return {k: getattr(self, k) for k in ("units", "activation", "use_bias", "kernel_initializer")}


class GRU(Layer):
    def __init__(self, units, recurrent_activation="sigmoid", **kwargs):
        super().__init__(**kwargs)
        self.recurrent_activation = recurrent_activation


class Pooling(Layer):
    def __init__(self, data_format=None, **kwargs):
        super().__init__(**kwargs)
        self.data_format = data_format


class GlobalMaxPooling2D(Pooling):
    pass


class Model:
    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose=1):
        """Train."""
        return {"x": x, "epochs": epochs, "verbose": verbose}

    def train_on_batch(self, x, y, sample_weight=None, class_weight=None):
        return {"sample_weight": sample_weight, "class_weight": class_weight}


class Sequential(Model):
    pass


def to_categorical(y, num_classes=None):
    return y, num_classes


install(Layer, spec_for("layers:Layer", Layer))
install(Dense, spec_for("layers:Dense", Dense))
install(GRU, spec_for("layers:GRU", GRU))
install(GlobalMaxPooling2D, spec_for("layers:GlobalMaxPooling2D", GlobalMaxPooling2D))
install_method(Model, "fit", spec_for("models:Model.fit", Model.fit))
install_method(Model, "train_on_batch", spec_for("models:Model.train_on_batch", Model.train_on_batch))
install_method(Sequential, "train_on_batch", spec_for("models:Sequential.train_on_batch", Sequential.train_on_batch))


@pytest.fixture(autouse=True)
def clean_report(monkeypatch):
    """Give each test a report of its own."""
    monkeypatch.setattr(install_module, "_report", {})
    monkeypatch.setattr(install_module, "_warned", set())
    monkeypatch.setattr(install_module, "_warn", False)


class Mine(Dense):
    """A user's subclass that knows Keras 1."""

    def __init__(self, output_dim, **kwargs):
        super().__init__(output_dim=output_dim, init="uniform", **kwargs)


class Plain(Dense):
    """A user's subclass without an __init__."""


class OwnLayer(Layer):
    def __init__(self, n, **kwargs):
        self.n = n
        super().__init__(**kwargs)


def test_a_class_takes_both():
    old = Dense(output_dim=3, init="uniform", bias=False, input_dim=4, input_dtype="float64")
    new = Dense(3, kernel_initializer="uniform", use_bias=False, input_shape=(4,), dtype="float64")
    assert old.get_config() == new.get_config()
    assert old.base == new.base == {"input_shape": (4,), "dtype": "float64"}


def test_subclasses_take_both():
    assert Mine(3).units == Mine(output_dim=3).units == 3
    assert Mine(3, bias=False).use_bias is False
    assert Mine(3, use_bias=False).use_bias is False
    assert Plain(output_dim=3).units == Plain(units=3).units == 3
    assert OwnLayer(1, input_dtype="int32", input_dim=3).base == {"dtype": "int32", "input_shape": (3,)}


def test_an_inherited_init_is_wrapped_for_its_class_alone():
    assert GlobalMaxPooling2D(dim_ordering="th").data_format == "channels_first"
    with pytest.raises(TypeError):
        Pooling(dim_ordering="th")


def test_the_base_class_judges_unknown_words_of_a_users_layer():
    with pytest.raises(TypeError, match="Keyword argument not understood"):
        OwnLayer(1, no_such_word=1)
    with pytest.raises(TypeError, match="Did you mean 'use_bias'"):
        Dense(3, use_bais=True)


def test_methods():
    model = Model()
    assert model.fit("x", nb_epoch=3) == model.fit("x", epochs=3) == {"x": "x", "epochs": 3, "verbose": 1}
    assert Model.fit(model, X="x")["x"] == "x"
    assert Sequential().fit("x", nb_epoch=2)["epochs"] == 2
    assert Sequential().train_on_batch("x", "y", {0: 2.0})["class_weight"] == {0: 2.0}
    assert Model().train_on_batch("x", "y", {0: 2.0})["sample_weight"] == {0: 2.0}


def test_a_method_that_a_user_overrides_stays_the_users():
    class Loud(Model):
        def fit(self, x, **kwargs):
            return "mine", super().fit(x, **kwargs)

    assert Loud().fit("x", nb_epoch=4) == ("mine", {"x": "x", "epochs": 4, "verbose": 1})


def test_level_defaults_only_at_their_level():
    assert GRU(3).recurrent_activation == "sigmoid"
    with api_level("1.2"):
        assert GRU(3).recurrent_activation == "hard_sigmoid"
        assert Model().fit("x")["epochs"] == 10
    assert GRU(3).recurrent_activation == "sigmoid"
    assert Model().fit("x")["epochs"] == 1


def test_inspection_shows_the_keras_2_signature():
    assert list(inspect.signature(Dense).parameters) == [
        "units",
        "activation",
        "use_bias",
        "kernel_initializer",
        "kwargs",
    ]
    assert list(inspect.signature(Model.fit).parameters)[:3] == ["self", "x", "y"]
    assert Dense.__init__.__doc__ == "Make it."
    assert Dense.__init__.__qualname__ == "Dense.__init__"
    assert Model.fit.__doc__ == "Train." and Model.fit.__module__ == __name__
    assert inspect.unwrap(Dense.__init__).__code__.co_name == "__init__"
    assert inspect.getsource(Dense.__init__).lstrip().startswith("def __init__(self, units")


def test_accepted_arguments():
    for owner in (Dense, Dense.__init__):
        assert {
            "units",
            "output_dim",
            "init",
            "W_regularizer",
            "input_dim",
            "name",
        } <= owner.accepted_arguments
    assert {"epochs", "nb_epoch", "X"} <= Model.fit.accepted_arguments


def test_copies_and_pickles_are_as_before():
    layer = Dense(output_dim=3)
    assert copy.deepcopy(layer).get_config() == layer.get_config()
    # Found again by name: put the module where pickle looks, whatever the test runner called it.
    sys.modules.setdefault(__name__, types.ModuleType(__name__))
    for thing in ("Dense", "Mine"):
        setattr(sys.modules[__name__], thing, globals()[thing])
    assert pickle.loads(pickle.dumps(layer)).get_config() == layer.get_config()
    assert pickle.loads(pickle.dumps(Mine(4))).units == 4
    assert pickle.loads(pickle.dumps(Dense)) is Dense


def test_a_second_installation_does_nothing():
    before = Dense.__init__
    install(Dense, spec_for("layers:Dense", Dense))
    assert Dense.__init__ is before
    assert spec_of(Dense).name == "Dense"
    assert spec_of(Plain) is None


def test_positional_self_is_never_counted():
    function = translated(to_categorical, spec_for("utils.np_utils:to_categorical", to_categorical))
    assert function([1], nb_classes=3) == function([1], 3) == ([1], 3)


# --- a whole package ----------------------------------------------------------------------------------------


@pytest.fixture
def package():
    """A little package of stand-ins, with a name of its own."""
    name = "stand_in_package"

    class Conv2D(Layer):
        def __init__(self, filters, kernel_size, strides=(1, 1), padding="valid", **kwargs):
            super().__init__(**kwargs)
            self.kernel_size = kernel_size

    class L1L2:
        def __init__(self, l1=0.0, l2=0.0):
            self.l1, self.l2 = l1, l2

    class MaxNorm:
        def __init__(self, max_value=2, axis=0):
            self.max_value = max_value

    def one_hot(indices, num_classes):
        return num_classes

    def categorical_crossentropy(target, output, from_logits=False, axis=-1):
        return target, output

    contents = {
        "": {},
        ".layers": {"Conv2D": Conv2D},
        ".layers.convolutional": {"Conv2D": Conv2D},
        ".regularizers": {"L1L2": L1L2, "l1_l2": lambda l1=0.01, l2=0.01: L1L2(l1, l2)},
        ".constraints": {"MaxNorm": MaxNorm},
        ".backend": {"one_hot": one_hot, "categorical_crossentropy": categorical_crossentropy},
        ".losses": {"taken": one_hot},
    }
    for suffix, names in contents.items():
        module = types.ModuleType(name + suffix)
        vars(module).update(names)
        sys.modules[name + suffix] = module
    yield name
    for suffix in contents:
        del sys.modules[name + suffix]


def test_install_all_takes_what_exists(package):
    done = install_all(package)
    assert {"layers:Conv2D", "constraints:MaxNorm", "backend:one_hot"} <= set(done)
    assert "layers:LSTM" not in done and "models:Model.fit" not in done
    layers = sys.modules[package + ".layers"]
    assert layers.Convolution2D is layers.Conv2D
    assert sys.modules[package + ".layers.convolutional"].Convolution2D is layers.Conv2D
    assert layers.Convolution2D(8, 3, 2, border_mode="same").kernel_size == (3, 2)
    assert not hasattr(layers, "Convolution1D")
    regularizers, constraints = (sys.modules[f"{package}.{m}"] for m in ("regularizers", "constraints"))
    assert regularizers.WeightRegularizer(l2=0.5).l2 == 0.5
    assert regularizers.l1l2().l1 == 0.01
    assert constraints.maxnorm(m=3).max_value == constraints.maxnorm(3).max_value == 3


def test_install_all_replaces_a_function_wherever_it_was_taken(package):
    install_all(package)
    backend, losses = (sys.modules[f"{package}.{m}"] for m in ("backend", "losses"))
    assert losses.taken is backend.one_hot
    assert losses.taken([1], nb_classes=4) == 4


def test_install_all_twice_is_once(package):
    first = install_all(package)
    before = vars(sys.modules[package + ".backend"]).copy()
    assert install_all(package) == first
    assert vars(sys.modules[package + ".backend"]) == before


def test_our_own_modules_keep_the_order_of_keras_2(package):
    install_all(package)
    function = sys.modules[package + ".backend"].categorical_crossentropy
    with api_level("1.2"):
        assert function("output", "target") == ("target", "output")
        inside = {"__name__": "keras_compat.losses", "f": function}
        assert eval("f('target', 'output')", inside) == ("target", "output")
    assert function("target", "output") == ("target", "output")


# --- the report ---------------------------------------------------------------------------------------------


def test_the_report_counts_and_says_where():
    assert report() == []
    for _ in range(3):
        Dense(output_dim=3)
    line = inspect.currentframe().f_lineno - 1
    Model().fit("x", nb_epoch=1)
    first, second = report()
    assert (first.note.callable, first.note.old, first.count) == ("Dense", "output_dim=", 3)
    assert first.where == f"{__file__}:{line}"
    assert str(first) == f"[Dense] output_dim= is an old spelling; write units=. (3 times, first at {__file__}:{line})"
    assert str(second).startswith("[fit] nb_epoch=") or str(second).startswith("[Model.fit] nb_epoch=")
    clear_report()
    assert report() == []


def test_warnings_are_off_by_default_and_come_once_if_wanted():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Dense(output_dim=3)
        assert not caught
        warn_old_spellings()
        for _ in range(3):
            Dense(output_dim=3, init="uniform")
        warn_old_spellings(False)
        Dense(3, bias=True)
    assert sorted(str(w.message).split()[1] for w in caught) == ["init=", "output_dim="]
    assert {w.category for w in caught} == {DeprecationWarning}
    assert {w.filename for w in caught} == {__file__}


def test_a_call_without_old_words_costs_little():
    """The promise is 3 µs; what is counted here is what makes it: a few lines, however long the tables are."""
    bare = inspect.unwrap(Model.fit)
    model = Model()
    for _ in range(2):
        around = lines_run(lambda: Model.fit(model, 1, 2, epochs=3, verbose=0), within="keras_compat")
    assert bare(model, 1, 2, epochs=3, verbose=0) == Model.fit(model, 1, 2, epochs=3, verbose=0)
    assert 0 < around <= 16

"""Names to objects, scopes of custom objects, list helpers."""

from __future__ import annotations

import numpy as np
import pytest

from keras_compat.utils import generic_utils as g


class Thing:
    def __init__(self, size=1):
        self.size = size

    def get_config(self):
        return {"size": self.size}


class Nested:
    def __init__(self, inner):
        self.inner = inner

    def get_config(self):
        return {"inner": g.serialize_keras_object(self.inner)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(g.deserialize_keras_object(config["inner"], {}, custom_objects))


def helper():
    """Stands for a function."""


KNOWN = {"Thing": Thing, "Nested": Nested, "helper": helper}


def test_round_trip():
    config = g.serialize_keras_object(Thing(3))
    assert config == {"class_name": "Thing", "config": {"size": 3}}
    assert g.deserialize_keras_object(config, KNOWN).size == 3
    assert g.deserialize_keras_object(g.serialize_keras_object(helper), KNOWN) is helper
    assert g.deserialize_keras_object(helper) is helper
    assert g.serialize_keras_object(None) is None
    with pytest.raises(ValueError, match="expected a function or an object"):
        g.serialize_keras_object(3)


def test_known_objects_are_those_of_everywhere_and_of_the_call():
    with g.CustomObjectScope({"a": 1, "b": 2}):
        assert g.known_objects() == {"a": 1, "b": 2}
        assert g.known_objects({"b": 3, "c": 4}) == {"a": 1, "b": 3, "c": 4}
        assert g.get_custom_objects() == {"a": 1, "b": 2}


def test_names_are_told_apart_by_numbers():
    assert g.numbered(["dense", "lstm", "dense", "dense", "lstm"]) == ["dense", "lstm", "dense_1", "dense_2", "lstm_1"]


def test_custom_objects_reach_nested_configs():
    class Secret(Thing):
        pass

    config = g.serialize_keras_object(Nested(Secret(4)))
    made = g.deserialize_keras_object(config, KNOWN, {"Secret": Secret})
    assert type(made.inner) is Secret
    assert made.inner.size == 4
    assert "Secret" not in g.get_custom_objects()
    with pytest.raises(ValueError, match="Secret"):
        g.deserialize_keras_object(config, KNOWN)


def test_scopes_nest_and_end():
    with g.custom_object_scope({"Thing": Nested}):
        assert g.deserialize_keras_object("Thing", KNOWN) is Nested, "custom objects win"
        with g.CustomObjectScope({"other": helper}, {"Thing": helper}):
            assert g.deserialize_keras_object("Thing", KNOWN) is helper
            assert g.deserialize_keras_object("other", KNOWN) is helper
        assert "other" not in g.get_custom_objects()
        with pytest.raises(RuntimeError), g.custom_object_scope({"x": helper}):
            raise RuntimeError
        assert "x" not in g.get_custom_objects()
    assert g.deserialize_keras_object("Thing", KNOWN) is Thing


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "__import__", "keras_compat.backend.eval", "Registry"])
def test_nothing_is_imported_by_name(name):
    with pytest.raises(ValueError, match="expected the name of a known gadget"):
        g.deserialize_keras_object(name, KNOWN, printable_module_name="gadget")
    with pytest.raises(ValueError, match="expected the name of a known gadget"):
        g.deserialize_keras_object({"class_name": name, "config": {}}, KNOWN, printable_module_name="gadget")


def test_errors_name_the_nearest(monkeypatch):
    with pytest.raises(ValueError, match=r"got 'Thnig'. Did you mean 'Thing'"):
        g.deserialize_keras_object("Thnig", KNOWN)
    with pytest.raises(ValueError, match=r"Known are Nested, Thing, helper"):
        g.deserialize_keras_object("qqqqqqqq", KNOWN)
    with pytest.raises(ValueError, match=r"got the keys \['size'\]"):
        g.deserialize_keras_object({"size": 1}, KNOWN)
    monkeypatch.setattr(g, "_REGISTRIES", [])  # each enters itself there
    registry = g.Registry("gadget")
    registry.add(helper, "alias")
    assert registry["alias"] is registry["helper"] is helper
    assert "Did you mean 'alias'" in str(registry.unknown("aliass"))


def test_keras_1_lookup():
    assert g.deserialize_keras_object({"name": "Thing", "size": 4}, KNOWN).size == 4
    assert g.get_from_module("Thing", KNOWN, "thing") is Thing
    assert g.get_from_module("Thing", KNOWN, "thing", instantiate=True, kwargs={"size": 2}).size == 2
    assert g.get_from_module({"name": "Thing", "size": 5}, KNOWN, "thing").size == 5
    assert g.get_from_module(helper, KNOWN, "thing") is helper
    assert g.make_tuple(1, 2) == (1, 2)


def test_has_arg():
    def f(a, /, b, *, c, **rest):
        """Any."""

    assert [g.has_arg(f, n) for n in "abcd"] == [False, True, True, False]
    assert g.has_arg(f, "d", accept_all=True)
    assert g.has_arg(Thing, "size")
    assert not g.has_arg(len, "x", accept_all=True)
    assert g.getargspec(f).kwonlyargs == ["c"]


def test_lists():
    assert g.to_list(3) == [3]
    assert g.to_list((1, 2)) == [(1, 2)]
    assert g.to_list((1, 2), allow_tuple=True) == [1, 2]
    assert g.unpack_singleton([3]) == 3
    assert g.unpack_singleton([3, 4]) == [3, 4]
    assert g.is_all_none([None, None])
    assert g.is_all_none(None)
    assert not g.is_all_none((None, 0))
    x = object()
    assert g.object_list_uid(x) == g.object_list_uid([x])


def test_slice_arrays():
    a, b = np.arange(6), np.arange(6) * 10
    assert g.slice_arrays(a, 1, 3).tolist() == [1, 2]
    assert [None if v is None else v.tolist() for v in g.slice_arrays([a, None, b], [0, 4])] == [[0, 4], None, [0, 40]]
    assert g.slice_arrays([a], np.array([5, 1]))[0].tolist() == [5, 1]
    assert g.slice_arrays(None) == [None]


def test_keys_and_shapes():
    g.check_for_unexpected_keys("sample_weight", {"a": 1}, ["a", "b"])
    with pytest.raises(ValueError, match=r"\[sample_weight\].*\['aa'\].*Did you mean 'a'"):
        g.check_for_unexpected_keys("sample_weight", {"aa": 1}, ["a", "b"])
    assert g.transpose_shape((None, 4, 5, 3), "channels_first", (1, 2)) == (None, 3, 4, 5)
    assert g.transpose_shape([None, 4, 3], "channels_last", (1,)) == (None, 4, 3)
    with pytest.raises(ValueError, match="channels_first"):
        g.transpose_shape((1, 2), "th", ())

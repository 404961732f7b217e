"""Plain data in files: back as it was in every bit, and nothing else comes in."""

from __future__ import annotations

import io
import json
import math
from collections import OrderedDict, deque
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from keras_compat.callbacks import LogValues
from keras_compat.saving import plain
from keras_compat.saving.errors import CorruptFileError

DTYPES = ["<f4", "<f8", "<f2", "<i8", "<i4", "|u1", "|b1", "<c8", ">i4"]
arrays = npst.arrays(st.sampled_from(DTYPES), npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
numbers = st.one_of(st.integers(), st.floats(), st.booleans(), st.none())
leaves = st.one_of(
    numbers,
    st.text(),
    arrays,
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.lists(st.floats(), min_size=14, max_size=20),
    st.lists(st.integers(-(2**63), 2**63), min_size=14, max_size=20),
    st.lists(st.floats(width=32).map(np.float32), min_size=14, max_size=20),
)
keys = st.one_of(st.text(), st.integers(), st.none(), st.tuples(st.integers(), st.text()))


def several(part: Any) -> Any:
    return st.one_of(
        st.lists(part, max_size=4),
        st.lists(part, max_size=4).map(tuple),
        st.lists(part, max_size=4).map(lambda x: deque(x, 5)),
        st.sets(st.integers(), max_size=4),
        st.frozensets(st.text(), max_size=4),
        st.dictionaries(keys, part, max_size=4),
        st.dictionaries(st.text(), part, max_size=4).map(OrderedDict),
        st.dictionaries(st.text(), part, max_size=4).map(LogValues),
    )


def round_trip(value: Any) -> Any:
    with h5py.File(io.BytesIO(), "w") as f:
        plain.write(f.create_group("x"), value)
        return plain.read(f["x"], "state")


def same(a: Any, b: Any) -> bool:
    if isinstance(a, (np.ndarray, np.generic)):
        native = a.dtype.newbyteorder("=")
        return (
            type(a) is type(b)
            and b.dtype == native
            and a.shape == b.shape
            and a.astype(native).tobytes() == b.tobytes()
        )
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b) if a == a else b != b
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a.items(), b.items()))
    if isinstance(a, deque):
        return a.maxlen == b.maxlen and same(list(a), list(b))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@given(st.recursive(leaves, several, max_leaves=12))
def test_it_comes_back_as_it_was(value: Any) -> None:
    found = round_trip(value)
    assert same(value, found)
    assert plain.digest(value) == plain.digest(value)


def test_large_arrays_stand_alone_and_small_ones_together() -> None:
    value = {"large": np.arange(100_000.0), "small": [np.arange(3.0) + i for i in range(100)], "f4": np.ones(2, "f4")}
    with h5py.File(io.BytesIO(), "w") as f:
        plain.write(f.create_group("x"), value)
        assert sorted(f["x"]) == ["0", "<f4", "<f8"]
        assert same(plain.read(f["x"], "state"), value)


@pytest.mark.parametrize(
    "value",
    [object(), len, 1j, b"bytes", np.array([object()]), np.array(["text"]), {"a": [print]}, type("L", (list,), {})()],
)
def test_what_is_not_plain_is_refused(value: Any) -> None:
    with h5py.File(io.BytesIO(), "w") as f:
        with pytest.raises(plain.NotPlain, match="expected numbers, texts, arrays"):
            plain.write(f.create_group("x"), value)
        assert not len(f["x"]) and not len(f["x"].attrs)


def test_any_change_shows_in_the_digest() -> None:
    values = [
        0,
        0.0,
        -0.0,
        False,
        None,
        "",
        [],
        (),
        {},
        np.float32(0),
        np.zeros(1),
        np.zeros((1, 1)),
        np.zeros(1, "f4"),
    ]
    values += [[0.0] * 20, [0] * 20, np.zeros(20), {"a": 1}, OrderedDict(a=1), LogValues(a=1), {1: "a"}]
    assert len({plain.digest(v) for v in values}) == len(values)


BROKEN = [
    {"array": 7},
    {"array": "../x"},
    {"array": -1},
    {"part": ["<f8", 0, [9]]},
    {"part": ["<f8", -1, [1]]},
    {"part": ["<f8", 0, [-1, -2]]},
    {"part": ["<f8", 0, 3]},
    {"part": [["<f8"], 0, [1]]},
    {"part": ["/other", 0, [1]]},
    {"scalar": 3},
    {"float": "1"},
    {"numbers": ["int", 3]},
    {"numbers": ["int"]},
    {"dict": [[[1], 2]]},
    {"dict": [1]},
    {"deque": [-3, []]},
    {"set": [[1]]},
    {"tuple": 3},
    {"os.system": "true"},
    {"a": 1, "b": 2},
    {},
]


@pytest.mark.parametrize("content", BROKEN, ids=str)
def test_what_was_never_written_is_damage(content: Any) -> None:
    with h5py.File(io.BytesIO(), "w") as f:
        f["other"] = np.zeros(3)
        group = f.create_group("x")
        plain.write(group, np.arange(3.0))
        group.attrs["content"] = json.dumps([content])
        with pytest.raises(CorruptFileError):
            plain.read(group, "state")


def test_other_numbers_are_damage() -> None:
    with h5py.File(io.BytesIO(), "w") as f:
        plain.write(f.create_group("x"), [np.arange(3.0), 5])
        f["x"]["<f8"][1] = 7
        with pytest.raises(CorruptFileError, match="the state is not what was written"):
            plain.read(f["x"], "state")
        del f["x"].attrs["content"]
        with pytest.raises(CorruptFileError, match="without its content"):
            plain.read(f["x"], "state")

"""Pytrees: flatten, unflatten, map, structures, registered classes, and errors that name the place."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, namedtuple

import pytest

import autotensor as at
from autotensor.errors import TreeError

Pair = namedtuple("Pair", "left right")

TREES = [
    1.0,
    None,
    [],
    (),
    {},
    [1, (2, 3), {"b": 4, "a": [5, None]}],
    Pair(1, {"x": 2}),
    OrderedDict([("z", 1), ("a", 2)]),
    defaultdict(list, {"k": 1}),
    {1: "a", "b": 2},  # keys that do not sort
]


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_unflatten_undoes_flatten(tree):
    leaves, form = at.tree.flatten(tree)
    again = at.tree.unflatten(form, leaves)
    assert again == tree and type(again) is type(tree)
    assert form == at.tree.structure(again) and hash(form) == hash(at.tree.structure(again))
    assert form.size == len(leaves) == len(at.tree.leaves(tree))


def test_order_of_keys_does_not_matter():
    a, b = {"x": 1, "y": 2}, {"y": 20, "x": 10}
    assert at.tree.structure(a) == at.tree.structure(b)
    assert at.tree.map(lambda p, q: p + q, a, b) == {"x": 11, "y": 22}
    assert list(at.tree.map(lambda p: p, b)) == ["y", "x"]  # as it was written
    assert at.tree.leaves(b) == [10, 20]


def test_structures_differ():
    forms = [at.tree.structure(t) for t in (1, [1], (1,), [1, 2], {"a": 1}, {"b": 1}, Pair(1, 2), None, [None])]
    assert len(set(forms)) == len(forms)
    assert repr(at.tree.structure({"a": [1, None], "b": Pair((2,), 3)})) == (
        "Structure({'a': [*, None], 'b': Pair(left=(*,), right=*)})"
    )


def test_paths_read_as_written():
    assert at.tree.paths({"dense": [1, Pair(2, 3)], "b": (4,)}, "params") == [
        "params['b'][0]",
        "params['dense'][0]",
        "params['dense'][1].left",
        "params['dense'][1].right",
    ]


def test_errors_name_the_place():
    with pytest.raises(TreeError, match=r"the keys 'a' at tree 2\[0\]; got the keys 'b'"):
        at.tree.map(lambda x, y: x, [{"a": 1}], [{"b": 1}])
    with pytest.raises(TreeError, match=r"expected 2 parts at tree 2\['w'\]; got 3 parts"):
        at.tree.map(lambda x, y: x, {"w": [1, 2]}, {"w": [1, 2, 3]})
    with pytest.raises(TreeError, match=r"expected \[\*\] at tree 2; got a leaf"):
        at.tree.map(lambda x, y: x, [1], 1)
    with pytest.raises(TreeError, match="has 2 leaves; got 1"):
        at.tree.unflatten(at.tree.structure([1, 2]), [1])
    assert at.tree.map(lambda x, y: (x, y), [1], [{"deep": 2}]) == [(1, {"deep": 2})]


def test_registered_dataclass():
    @at.tree.register
    @dataclasses.dataclass(frozen=True)
    class Line:
        slope: float
        offset: float

    @dataclasses.dataclass
    class Named:
        name: str
        weight: float

    at.tree.register(Named, static=["name"])
    g = at.grad(lambda p: p["l"].slope * 3.0 + p["l"].offset * p["n"].weight)(
        {"l": Line(1.0, 2.0), "n": Named("w", 5.0)}
    )
    assert (g["l"].slope.item(), g["l"].offset.item(), g["n"].weight.item()) == (3.0, 5.0, 2.0)
    assert g["n"].name == "w"
    assert at.tree.paths(Line(1, 2), "line") == ["line.slope", "line.offset"]
    assert at.tree.structure(Named("a", 1)) != at.tree.structure(Named("b", 1))
    with pytest.raises(TreeError, match="no field 'size'"):
        at.tree.register(Named, static=["size"])


def test_registered_class_of_any_kind():
    class Box:
        def __init__(self, items, label):
            self.items, self.label = items, label

    with pytest.raises(TreeError, match="is no dataclass"):
        at.tree.register(Box)
    with pytest.raises(TreeError, match="both flatten and unflatten"):
        at.tree.register(Box, lambda b: (b.items, b.label))
    at.tree.register(Box, lambda b: (b.items, b.label), lambda label, items: Box(list(items), label))
    out = at.tree.map(lambda x: 2 * x, Box([1, [2]], "l"))
    assert out.items == [2, [4]] and out.label == "l"
    assert at.tree.paths(out) == ["[0]", "[1][0]"]


def test_structure_is_a_class_for_annotations():
    assert isinstance(at.tree.structure([1]), at.tree.Structure)

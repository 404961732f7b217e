"""Damage done to files where their structure is: configs, attributes and arrays of HDF5, members of archives, bytes.

What is done is drawn from :class:`Choices`, a string of bytes: the same string does the same damage, and whoever
searches for strings (a random generator, a fuzzer that watches coverage) searches for damage.
"""

from __future__ import annotations

import io
import json
import math
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import h5py
import numpy as np

T = TypeVar("T")


class Choices:
    """Decisions that a string of bytes makes; at its end the first of each."""

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        taken = 0
        for _ in range(max(1, math.ceil(math.log(max(n, 2), 256)))):
            taken = taken << 8 | (self._data[self._at] if self._at < len(self._data) else 0)
            self._at += 1
        return taken % n

    def of(self, options: Sequence[T]) -> T:
        """One of several."""
        return options[self.below(len(options))]

    @property
    def over(self) -> bool:
        """Whether the bytes are used up."""
        return self._at >= len(self._data)


# -- configs ----------------------------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 1.5, -0.0, 1e300, math.nan, math.inf, 2**31, 2**63, 2**64, -(2**70), 10**400),
    *(
        "",
        " ",
        "x",
        "\0",
        "é\ud800",
        "a" * 300,
        "linear",
        "Dense",
        "same",
        "float32",
        "../../x",
        "__class__",
        "{}",
        "%s",
    ),
    *([], {}, [None], [[]], [0], [1, 2, 3], [-1, None], [None, 4], {"a": 1}, {"class_name": "Dense"}),
    *({"class_name": "Dense", "config": {}}, {"class_name": "Dense", "config": None}, ["Dense"], [[["x", 0, 0]]]),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything within lists and dictionaries."""
    found: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        one = stack.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            stack.append(one[key])
    return found


def copied(value: Any) -> Any:
    """Lists and dictionaries anew, whatever else they hold."""
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    return [copied(v) for v in value] if isinstance(value, (list, tuple)) else value


def change_config(config: Any, choices: Choices) -> Any:
    """A config with one thing otherwise: a value, a key, a class, a part of it from elsewhere in it."""
    config = copied(config)
    found = places(config)
    if not found:
        return copied(choices.of(ODD))
    container, key = choices.of(found)
    kind = choices.below(12)
    other, where = choices.of(found)
    if kind in (0, 1, 2):
        container[key] = copied(choices.of(ODD))
    elif kind == 3:
        del container[key]
    elif kind == 4:
        container[key] = copied(other[where])
    elif kind == 5:
        container[key] = [container[key]]
    elif kind == 6 and isinstance(container, list):
        container.insert(key, copied(container[key]))
    elif kind == 6:
        container[str(choices.of(ODD))[:40]] = copied(container.pop(key))
    elif kind == 7:
        classes = [c for c, k in found if k == "class_name"]
        if classes:
            choices.of(classes)["class_name"] = choices.of(_names())
    elif kind == 8:
        names = [(c, k) for c, k in found if isinstance(c[k], str)]
        if names:
            c, k = choices.of(names)
            c[k] = choices.of([*_words(), *[d[e] for d, e in names]])
    elif kind == 9:
        numbers = [(c, k) for c, k in found if type(c[k]) in (int, float)]
        if numbers:
            c, k = choices.of(numbers)
            c[k] = choices.of((0, -1, 1, 2, 3, c[k] * 2, c[k] * 1000, 2**31, 2**40, 2**62, 0.5, math.nan, -c[k]))
    elif kind == 10:
        container[key], other[where] = copied(other[where]), copied(container[key])
    else:
        inside: Any = container[key]
        for _ in range(choices.of((3, 60, 130))):
            inside = {"config": inside} if isinstance(container, dict) else [inside]
        container[key] = inside
    return config


def _names() -> list[str]:
    from keras_compat.utils.generic_utils import registries

    return sorted({name for family in registries() for name in family})


def _words() -> list[str]:
    return "relu softmax zeros l2 max_norm channels_first channels_last valid same causal adam mse acc sum mul".split()


def as_json(value: Any) -> bytes:
    """JSON as Python writes it, lone surrogates too."""
    return json.dumps(value, default=repr).encode("utf-8", "surrogatepass")


# -- HDF5 -------------------------------------------------------------------------------------------------------------


def _objects(f: h5py.File) -> list[Any]:
    found: list[Any] = [f]
    f.visititems(lambda _, item: found.append(item))
    return found


def _odd_arrays() -> tuple[Any, ...]:
    return (
        np.zeros(()),
        np.zeros((0, 3), "f4"),
        np.ones((2, 3), "f8"),
        np.arange(4, dtype=">i2"),
        np.array([1 + 2j, 0]),
        np.array([b"abc", b"d"]),
        np.array([True, False]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.full((3,), np.nan, "f4"),
        np.zeros((2, 2), "f2"),
        "text",
        h5py.Empty("f4"),
        h5py.Empty("S3"),
        np.zeros((1,) * 20, "i1"),
        np.array([2**63], "u8"),
        b"\xff\xfe\x00",
    )


def change_h5(data: bytes, choices: Choices) -> bytes:
    """An HDF5 file with one to three things otherwise: attributes, arrays, groups, links."""
    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as f:
        for _ in range(1 + choices.below(3)):
            try:
                _change_item(f, choices)
            except (OSError, ValueError, TypeError, KeyError, RuntimeError):  # what HDF5 does not let be written
                continue
    return stream.getvalue()


def _change_item(f: h5py.File, choices: Choices) -> None:
    objects = _objects(f)
    texts = [(o, k) for o in objects for k in o.attrs]
    kind = choices.below(12)
    if kind in (0, 1, 2, 3) and texts:
        _change_attribute(*choices.of(texts), choices)
        return
    inner = [o for o in objects if o.name != "/"]
    if not inner:
        f.attrs["a"] = 1
        return
    item = choices.of(inner)
    parent, name = item.parent, item.name.rpartition("/")[2]
    if kind in (4, 5) and isinstance(item, h5py.Dataset):
        values = item[()]
        del parent[name]
        way = choices.below(6)
        if way == 0:
            parent[name] = np.asarray(values).T
        elif way == 1:
            parent[name] = np.asarray(values).astype(choices.of(("f2", "f8", "i4", "u1", "c8", "S4", ">f4", "?")))
        elif way == 2:
            parent[name] = np.asarray(values).reshape(-1)[: choices.below(4)]
        elif way == 3:
            parent[name] = np.asarray(values)[None]
        elif way == 4:
            parent.create_dataset(
                name,
                shape=choices.of(((10**6,), (10**12,), (0, 10**9), (2**40, 0))),
                dtype="f4",
                chunks=(1,) if False else None,
            )
        else:
            parent[name] = choices.of(_odd_arrays())
    elif kind == 6:
        del parent[name]
    elif kind == 7:
        other = choices.of(objects)
        del parent[name]
        parent[name] = choices.of(
            (h5py.SoftLink(other.name), h5py.SoftLink("/nowhere"), h5py.ExternalLink("x.h5", "/a"))
        )
    elif kind == 8:
        other = choices.of(objects)
        target = choices.of(("again", name + "_1", "layer_names", "kernel:0", "0", "é", "x" * 300))
        (other if isinstance(other, h5py.Group) else parent)[target] = item
    elif kind == 9:
        del parent[name]
        if isinstance(item, h5py.Group):
            parent[name] = choices.of(_odd_arrays())
        else:
            parent.create_group(name)
    elif kind == 10:
        f.move(item.name, choices.of((item.name + "x", "/moved", item.name.upper())))
    else:
        choices.of(objects).attrs[
            choices.of(
                (
                    "layer_names",
                    "weight_names",
                    "backend",
                    "keras_version",
                    "model_config",
                    "format",
                    "training_config",
                    "kind",
                )
            )
        ] = choices.of(_odd_arrays())


def _change_attribute(owner: Any, key: str, choices: Choices) -> None:
    value = owner.attrs[key]
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if isinstance(text, str) and text[:1] in "{[" and choices.below(8):
        config = json.loads(text)
        for _ in range(1 + choices.below(2)):
            config = change_config(config, choices)
        owner.attrs[key] = as_json(config)
        return
    way = choices.below(7)
    if way == 0:
        del owner.attrs[key]
    elif way == 1:
        owner.attrs[key] = choices.of(_odd_arrays())
    elif isinstance(value, np.ndarray) and value.size and way < 5:
        listed = list(value.ravel())
        i = choices.below(len(listed))
        if way == 2:
            del listed[i]
        elif way == 3:
            listed.append(listed[i])
        else:
            listed[i], listed[0] = listed[0], listed[i]
        owner.attrs[key] = listed
    elif isinstance(text, str):
        at = choices.below(len(text) + 1)
        owner.attrs[key] = text[:at] + choices.of(("", "\udc00", "9", "{", "theano", "\x01", "3.0.0")) + text[at + 1 :]
    else:
        owner.attrs[key] = choices.of((-1, 0, 2**63 - 1, 1.5, "x", b"y"))


# -- archives and bytes -----------------------------------------------------------------------------------------------


def change_zip(data: bytes, choices: Choices) -> bytes:
    """An archive with something of a member otherwise, or with other members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    i = choices.below(len(members))
    name, content = members[i]
    kind = choices.below(8)
    if kind < 5:
        if name.endswith(".json"):
            config = change_config(json.loads(content), choices)
            content = as_json(change_config(config, choices) if choices.below(2) else config)
        elif name.endswith(".h5"):
            content = change_h5(content, choices)
        elif name.endswith(".npy"):
            content = change_npy(content, choices)
        else:
            content = change_bytes(content, choices)
        members[i] = (name, content)
    elif kind == 5:
        del members[i]
    elif kind == 6:
        members[i] = (
            choices.of(("config.json", "../" + name, "/" + name, name.upper(), "", "a" * 500, name + "/")),
            content,
        )
    else:
        members.append(
            (choices.of((name, "extra", "assets/x", "model.weights.h5", "config.json")), change_bytes(content, choices))
        )
    out = io.BytesIO()
    import warnings

    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(
            out, "w", choices.of((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
        ) as archive,
    ):
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name or "x"), content, archive.compression)
    return out.getvalue()


def change_npy(data: bytes, choices: Choices) -> bytes:
    """The bytes of an array with another header, or another byte."""
    start = 10 + struct.unpack("<H", data[8:10])[0] if len(data) > 10 else len(data)
    shape = choices.of(
        ("(3,)", "(-1,)", "(10**9, 10**9)", "()", "(2, 0)", "None", "('a',)", "(1.5,)", "(True,)", "(" * 90)
    )
    kind = choices.of(
        ("<f4", "|O", "|S0", ">c16", "<U3", "", "f", "[('a', '<f4')]", "<M8[ns]", "|V8", "<f4, <f8", "99")
    )
    header = (
        f"{{'descr': {kind!r}, 'fortran_order': {choices.of(('False', 'True', '3'))}, 'shape': {shape}, }}".encode()
    )
    way = choices.below(4)
    if way == 0:
        return data[:8] + struct.pack("<H", len(header) + 1) + header + b"\n" + data[start:]
    return change_bytes(data if way == 1 else data[:start] + data[start : start + choices.below(99)], choices)


def change_tar(data: bytes, choices: Choices) -> bytes:
    """A tar archive with a member more, of a kind and a name at choice, or with other bytes."""
    if not choices.below(3):
        return change_bytes(data, choices)
    out = io.BytesIO(data)
    with tarfile.open(fileobj=out, mode="a") as archive:
        info = tarfile.TarInfo(
            choices.of(("a", "../x", "/etc/x", "a/../../x", "é", "a" * 300, "", ".", "a/b", "a//b", "C:x"))
        )
        info.type = choices.of(
            (tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE, b"9")
        )
        info.linkname = choices.of(("a", "/etc/passwd", "../x", ""))
        info.size = choices.of((0, 3, 10**6)) if info.type == tarfile.REGTYPE else 0
        info.mtime = choices.of((0, -1, 2**40))
        archive.addfile(info, io.BytesIO(b"x" * info.size))
    return out.getvalue()


def change_bytes(data: bytes, choices: Choices) -> bytes:
    """Bytes changed, left out, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(1 + choices.below(6)):
        if not changed:
            break
        at = choices.below(len(changed) if choices.below(2) else min(len(changed), 2000))
        kind = choices.below(8)
        if kind < 4:
            changed[at] = choices.of((0, 255, 127, 128, 1, changed[at] ^ 1 << choices.below(8), choices.below(256)))
        elif kind == 4:
            del changed[at : at + 1 + choices.below(16)]
        elif kind == 5:
            changed[at:at] = changed[at : at + 1 + choices.below(64)]
        elif kind == 6:
            changed[at : at + 8] = struct.pack("<q", choices.of((-1, 2**40, 2**63 - 1, len(changed), 0)))
        elif not choices.below(4):
            del changed[at:]
    return bytes(changed)


Change = Callable[[bytes, Choices], bytes]


def change_text(data: bytes, choices: Choices) -> bytes:
    """JSON of a config with one to three things otherwise, now and then with other bytes."""
    config = json.loads(data)
    for _ in range(1 + choices.below(3)):
        config = change_config(config, choices)
    made = as_json(config)
    return made if choices.below(6) else change_bytes(made, choices)


def change_yaml(data: bytes, choices: Choices) -> bytes:
    """YAML of a config, likewise; with tags and aliases at choice."""
    import yaml

    config = yaml.safe_load(data)
    for _ in range(1 + choices.below(2)):
        config = change_config(config, choices)
    text = yaml.dump(config)
    if not choices.below(3):
        at = choices.below(len(text))
        at = text.find(": ", at) + 2
        tag = choices.of(
            (
                "!!python/object/apply:os.system ",
                "!!binary ",
                "&a ",
                "*a ",
                "!!set ",
                "!!int ",
                "!!timestamp ",
                "<<: ",
                "!x ",
                "!!float ",
                "!!python/tuple ",
                "!!omap ",
            )
        )
        text = text[:at] + tag + text[at:]
    made = text.encode("utf-8", "surrogatepass")
    return made if choices.below(6) else change_bytes(made, choices)

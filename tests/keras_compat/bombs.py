"""Loads files and texts that claim without end, in this process, which may grow by 150 MB only.

    python bombs.py FOLDER

A line of JSON for each: its name, what was raised, by how many MB the process has grown at most.
"""

from __future__ import annotations

import faulthandler
import functools
import importlib.util
import io
import json
import resource
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from keras_compat.layers import LSTM, Dense
from keras_compat.models import Sequential, load_model, model_from_json, model_from_yaml
from keras_compat.saving.guard import array, load_npz, open_h5

MEMORY = 150 << 20
HUGE = 10**12


def model() -> Any:
    made = Sequential([Dense(3, input_dim=2, name="one"), Dense(2, name="two")])
    made.compile("sgd", "mse")
    return made


# -- HDF5: the kernel of the first layer, or a text, replaced -------------------------------------------------------


def never_written(f: Any, name: str) -> None:
    """1,400 bytes that claim terabytes."""
    f.create_dataset(name, (HUGE,), "f4", chunks=(1024,))


def fill_value(f: Any, name: str) -> None:
    """Just under 4 GiB of one value, and no byte stored."""
    f.create_dataset(name, ((1 << 32) - 4,), "u1", fillvalue=7)


def fill_value_small(f: Any, name: str) -> None:
    f.create_dataset(name, (1 << 20,), "f4", fillvalue=7)


def contiguous(f: Any, name: str) -> None:
    f.create_dataset(name, (HUGE,), "f4")


def many_axes(f: Any, name: str) -> None:
    f.create_dataset(name, (1000,) * 6, "f4")


def zeros_packed(f: Any, name: str) -> None:
    """2 GB of zeros in 2 MB."""
    data = f.create_dataset(name, (1 << 29,), "f4", chunks=(1 << 24,), compression="gzip")
    packed = zlib.compress(bytes(1 << 26), 1)
    for i in range(0, 1 << 29, 1 << 24):
        data.id.write_direct_chunk((i,), packed)


def more_in_a_chunk(f: Any, name: str) -> None:
    """A chunk of 400 bytes that unpacks to 200 MB."""
    data = f.create_dataset(name, (2, 3), "f4", chunks=(2, 3), compression="gzip")
    data.id.write_direct_chunk((0, 0), packed_zeros())


@functools.cache
def packed_zeros() -> bytes:
    packer = zlib.compressobj(1)
    piece = bytes(1 << 20)
    return b"".join(packer.compress(piece) for _ in range(200)) + packer.flush()


def huge_chunk(f: Any, name: str) -> None:
    data = f.create_dataset(name, (2, 3), "f4", maxshape=(None, None), chunks=(1 << 14, 1 << 14), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(b"x"))


def packed_twice(f: Any, name: str) -> None:
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((2, 3))
    made.set_deflate(9)
    made.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (9,))
    h5py.h5d.create(f.id, name.encode(), h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((2, 3)), made, links())


def links() -> Any:
    made = h5py.h5p.create(h5py.h5p.LINK_CREATE)
    made.set_create_intermediate_group(True)
    return made


def objects(f: Any, name: str) -> None:
    f.create_dataset(name, (2, 3), h5py.vlen_dtype("f4"))


def references(f: Any, name: str) -> None:
    f.create_dataset(name, (2, 3), h5py.ref_dtype)


def compound(f: Any, name: str) -> None:
    f.create_dataset(name, (2, 3), [("a", "f4")])


def opaque(f: Any, name: str) -> None:
    f.create_dataset(name, (2, 3), "V4")


def texts(f: Any, name: str) -> None:
    f.create_dataset(name, data=np.array([[b"a"] * 3] * 2))


def large_elements(f: Any, name: str) -> None:
    f.create_dataset(name, (2, 3), "S1000000000")


H5 = (
    *(never_written, fill_value, fill_value_small, contiguous, many_axes, zeros_packed, more_in_a_chunk, huge_chunk),
    *(packed_twice, objects, references, compound, opaque, texts, large_elements),
)


def same_place(path: Path) -> None:
    """Two thousand arrays of a megabyte each at one place in the file."""
    model().save_weights(path)
    with h5py.File(path, "r+") as f:
        one = f["one"]
        del one["one/kernel:0"]
        data = f.create_dataset("data", data=np.zeros(1 << 18, "float32"))
        offset = data.id.get_offset()
        names = []
        for i in range(2000):
            names.append(f"k{i:04}")
            one.create_dataset(names[-1], (1 << 18,), "f4", track_times=False)
        one.attrs["weight_names"] = np.array([name.encode() for name in names])
        place, size = offset, 1 << 20
    # The arrays were given no place, as nothing was written: theirs, all ones in the file, becomes that of the data.
    raw = path.read_bytes()
    nowhere = struct.pack("<QQ", (1 << 64) - 1, size)
    assert raw.count(nowhere) == 2000
    path.write_bytes(raw.replace(nowhere, struct.pack("<QQ", place, size)))


def read_all(path: Path) -> None:
    with open_h5(path) as f:
        held = [array(f, f"one/k{i:04}").read() for i in range(2000)]
        assert held[0].size == 1 << 18


def one_text_many_times(path: Path) -> None:
    """A list of names that all lie at one place, where four megabytes of text are."""
    model().save_weights(path)
    with h5py.File(path, "r+") as f:
        f.attrs["long"] = "x" * (4 << 20)
        del f.attrs["layer_names"]
        f.attrs.create("layer_names", ["name"] * 4000, dtype=h5py.string_dtype())
        f.flush()
    raw = path.read_bytes()
    # (length, heap, number) of the long text, put in the place of each name's.
    at = raw.index(struct.pack("<I", 4 << 20), raw.index(b"long\0"))
    long = raw[at : at + 16]
    names = raw.index(struct.pack("<I", 4), raw.index(b"layer_names\0"))
    path.write_bytes(raw[:names] + long * 4000 + raw[names + 16 * 4000 :])


def text_model(path: Path) -> bytearray:
    model().save(path)
    with h5py.File(path, "r+") as f:
        config = f.attrs["model_config"]
        del f.attrs["model_config"]
        f.attrs.create("model_config", config, dtype=h5py.string_dtype())
    return bytearray(path.read_bytes())


def endless_heap(path: Path) -> None:
    """The heap of the config begins with an entry of no size: the library looks for the next one for ever."""
    raw = text_model(path)
    at = raw.index(b'{"class_name"') - 16
    raw[at : at + 16] = bytes(16)
    path.write_bytes(raw)


def long_claim(path: Path) -> None:
    """The config claims four gigabytes."""
    raw = text_model(path)
    at = raw.index(b"model_config\0")
    size = struct.pack("<I", json_size(raw))
    at = raw.index(size, at)
    raw[at : at + 4] = struct.pack("<I", (1 << 32) - 1)
    path.write_bytes(raw)


def tree_in_itself(path: Path, group: int) -> None:
    """A tree whose node is its own child: the library runs out of stack, and the process ends."""
    raw, at = tree(path, group)
    raw[at + 5] = 1
    raw[at + 32 : at + 40] = struct.pack("<Q", at)
    path.write_bytes(raw)


def tree_beside_itself(path: Path, group: int) -> None:
    """A tree whose node is its own neighbour: the library goes on for ever."""
    raw, at = tree(path, group)
    raw[at + 8 : at + 24] = struct.pack("<QQ", at, at)
    path.write_bytes(raw)


def tree(path: Path, group: int) -> tuple[bytearray, int]:
    """A file, and where the n-th tree of its groups is."""
    model().save(path)
    raw = bytearray(path.read_bytes())
    at = -1
    for _ in range(group + 1):
        at = raw.index(b"TREE", at + 1)
    return raw, at


def json_size(raw: bytearray) -> int:
    at = raw.index(b'{"class_name"')
    return int.from_bytes(raw[at - 8 : at], "little")


def large_model(units: int, path: Path, *, stateful: bool = False) -> None:
    """A file of a small model whose config is of a large one."""
    made = model()
    if stateful:
        made = Sequential([LSTM(2, batch_input_shape=(1, 3, 2), stateful=True, name="one")])
        made.compile("sgd", "mse")
    made.save(path)
    with h5py.File(path, "r+") as f:
        config = json.loads(f.attrs["model_config"])
        layers = config["config"]["layers"]
        if stateful:
            layers[0]["config"]["batch_input_shape"][0] = units
        else:
            layers[0]["config"]["units"] = units
            layers[1]["config"]["units"] = units
        f.attrs["model_config"] = json.dumps(config)


# -- archives -------------------------------------------------------------------------------------------------------


def archive(path: Path, config: bytes, weights: bytes, packed: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", packed, compresslevel=1) as z:
        z.writestr("metadata.json", json.dumps({"keras_version": "3.3.0"}))
        z.writestr("config.json", config)
        z.writestr("model.weights.h5", weights)


def weights_h5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as f:
        f["layers/dense/vars/0"] = np.zeros((2, 3), "float32")
    return stream.getvalue()


def zip_bomb(path: Path) -> None:
    archive(path, b" " * (200 << 20), weights_h5())


def zip_lie(path: Path) -> None:
    """A member of 200 MB that claims a hundred bytes."""
    archive(path, b" " * (200 << 20), weights_h5())
    raw = bytearray(path.read_bytes())
    size = struct.pack("<I", 200 << 20)
    while (at := raw.find(size)) >= 0:
        raw[at : at + 4] = struct.pack("<I", 100)
    path.write_bytes(bytes(raw))


def zip_of(name: str, **how: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        config = model().to_json().encode()
        archive(path, config, weights_h5())
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as z:
            warnings.simplefilter("ignore")
            info = zipfile.ZipInfo(name)
            for key, value in how.items():
                setattr(info, key, value)
            z.writestr(info, b"x")

    return write


def zip_encrypted(path: Path) -> None:
    zip_of("assets/x")(path)
    raw = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.rfind(mark) + place] |= 1
    path.write_bytes(bytes(raw))


def zip_many(path: Path) -> None:
    archive(path, b"{}", b"")
    with zipfile.ZipFile(path, "a") as z:
        for i in range(10_001):
            z.writestr(f"assets/{i}", b"")


def zip_damaged(path: Path) -> None:
    archive(path, model().to_json().encode(), weights_h5(), zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"Sequential")] ^= 1
    path.write_bytes(bytes(raw))


ZIPS: dict[str, Callable[[Path], None]] = {
    "zip bomb": zip_bomb,
    "zip that lies": zip_lie,
    "zip ../": zip_of("../../x"),
    "zip a/../../x": zip_of("assets/../../x"),
    "zip absolute": zip_of("/tmp/x"),
    "zip drive": zip_of("C:x"),
    "zip backslash": zip_of("..\\x"),
    "zip twice": zip_of("config.json"),
    "zip link": zip_of("assets/x", external_attr=0o120777 << 16),
    "zip device": zip_of("assets/x", external_attr=0o020777 << 16),
    "zip lzma": zip_of("assets/x", compress_type=zipfile.ZIP_LZMA),
    "zip encrypted": zip_encrypted,
    "zip of many": zip_many,
    "zip damaged": zip_damaged,
}


# -- npz and texts --------------------------------------------------------------------------------------------------


def npy(shape: Any, descr: str, content: bytes = b"") -> bytes:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": shape})
    return head.getvalue() + content


NPYS = {
    "npz claim": npy((HUGE,), "<f4"),
    "npz many axes": npy((1 << 20,) * 4, "<f4"),
    "npz nothing wide": npy((HUGE,), "|S0"),
    "npz zeros": npy((50 << 20,), "<f4", bytes(200 << 20)),
    "npz structure": npy((3,), "|V10", bytes(30)),
    "npz objects": npy((HUGE,), "|O", b"\x80\x02]."),
    "npz no array": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 60_000,
    "npz below zero": npy((-5, -5), "<f4", bytes(100)),
}


def deep_config(depth: int) -> str:
    config: Any = {"class_name": "Dense", "config": {"units": 2}}
    for _ in range(depth):
        config = {"class_name": "TimeDistributed", "config": {"layer": config}}
    return json.dumps(config)


def texts_without_end() -> Iterator[tuple[str, Callable[[], Any]]]:
    one = json.loads(model().to_json())
    for key, value in (("units", HUGE), ("units", 10**10), ("batch_input_shape", [None, HUGE])):
        config = json.loads(json.dumps(one))
        config["config"]["layers"][0]["config"][key] = value
        text = json.dumps(config)
        yield f"json {key} {value}", lambda text=text: model_from_json(text)
    yield "json deep", lambda: model_from_json("[" * 100_000)
    yield "json deep objects", lambda: model_from_json('{"a":' * 100_000)
    yield "json deep, closed", lambda: model_from_json('{"a":' + "[" * 900 + "]" * 900 + "}")
    yield "json deep layers", lambda: model_from_json(deep_config(70))
    yield "json wide", lambda: model_from_json('{"a": [' + "1," * 2_100_000 + "1]}")
    yield "json long key", lambda: model_from_json('{"' + "a" * 100_000 + '": 1}')
    if importlib.util.find_spec("yaml") is None:
        return
    laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    laughs += "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    yield "yaml laughs", lambda: model_from_yaml(laughs)
    maps = "a0: &a0 {x: 1, y: 2}\n"
    maps += "".join(f"a{i}: &a{i} {{{','.join(f'k{j}: *a{i - 1}' for j in range(9))}}}\n" for i in range(1, 12))
    yield "yaml laughs in maps", lambda: model_from_yaml(maps)
    yield "yaml deep", lambda: model_from_yaml("[" * 100_000)
    yield "yaml deep blocks", lambda: model_from_yaml("- " * 100_000 + "a")
    yield "yaml round", lambda: model_from_yaml("a: &x\n  b: *x")


def cases(folder: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    target = model()
    for change in H5:
        for kind, save, inside in (("weights", target.save_weights, ""), ("model", target.save, "model_weights/")):
            path = folder / f"{change.__name__}-{kind}.h5"
            save(path)
            with h5py.File(path, "r+") as f:
                del f[inside + "one/one/kernel:0"]
                change(f, inside + "one/one/kernel:0")
            read = load_model if inside else target.load_weights
            yield f"h5 {change.__name__}, {kind}", lambda path=path, read=read: read(path)
    for write in (endless_heap, long_claim):
        path = folder / f"{write.__name__}.h5"
        write(path)
        yield f"h5 {write.__name__}", lambda path=path: load_model(path)
    for damage in (tree_in_itself, tree_beside_itself):
        for group in range(3):
            path = folder / f"{damage.__name__}{group}.h5"
            damage(path, group)
            yield f"h5 {damage.__name__} {group}", lambda path=path: load_model(path)
    for write in (same_place, one_text_many_times):
        path = folder / f"{write.__name__}.h5"
        write(path)
        read = read_all if write is same_place else target.load_weights
        yield f"h5 {write.__name__}", lambda path=path, read=read: read(path)
    for units, stateful in ((HUGE, False), (10**8, False), (10**11, True)):
        path = folder / f"large{units}.h5"
        large_model(units, path, stateful=stateful)
        yield f"h5 model of {units} units", lambda path=path: load_model(path)
    for name, write in ZIPS.items():
        path = folder / f"{name.replace('/', '').replace(' ', '_')}.keras"
        write(path)
        yield name, lambda path=path: load_model(path)
    for name, content in NPYS.items():
        path = folder / f"{name.replace(' ', '_')}.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
            z.writestr("x.npy", content)
        yield name, lambda path=path: load_npz(path)
    yield from texts_without_end()


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    made = list(cases(folder))
    NPYS.clear()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if Path("/proc/self/statm").exists():
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for name, call in made:
        faulthandler.dump_traceback_later(120, exit=True)
        try:
            call()
            came = "nothing"
            text = ""
        except Exception as error:
            came, text = type(error).__name__, str(error)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        print(json.dumps({"case": name, "came": came, "text": text[:300], "grown": max(grown, 0)}), flush=True)
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

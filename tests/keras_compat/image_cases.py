"""What is asked of the image preprocessing of genuine Keras and of ours: the same functions run on both sides.

``CASES[name](image, folder)`` gives a list of arrays; ``image`` is the module ``preprocessing.image``, ``folder`` an
empty folder. Of pictures a few pixels and two sums stand in the list (``digest``). This file is read by Python 3.7 too.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

RELEASES = ("1.2.2", "2.2.4", "2.3.1")
NEW = RELEASES[1:]

# Name -> function, and name -> the releases that know what it asks for.
CASES: dict[str, Callable[[Any, str], list[Any]]] = {}
ASKED: dict[str, tuple[str, ...]] = {}


def digest(x: Any) -> np.ndarray:
    """A row of numbers for each picture of a batch: some pixels, and a weighted mean of all."""
    flat = np.asarray(x, dtype="float64").reshape(len(x), -1)
    places = np.random.RandomState(0).randint(0, flat.shape[1], 7)
    weights = np.random.RandomState(1).uniform(-1, 1, flat.shape[1])
    return np.concatenate([flat[:, places], (flat @ weights / len(weights))[:, None]], axis=1).astype("float32")


def pictures(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Smooth pictures of whole numbers with some noise."""
    rng = np.random.RandomState(seed)
    rows, columns = np.meshgrid(*(np.linspace(0, 3, n) for n in shape[:2]), indexing="ij")
    found = np.zeros((count, *shape))
    for i in range(count):
        for c in range(shape[2]):
            a, b, p = rng.uniform(0.3, 2, 3)
            found[i, :, :, c] = 127 + 90 * np.sin(a * rows + b * columns + p)
    return np.clip(found + rng.normal(0, 12, found.shape), 0, 255).astype("uint8")


DATA = {
    "colour": pictures(10, 11, 8, 3),
    "even": pictures(8, 7, 7, 3, seed=1),
    "grey": pictures(6, 9, 10, 1, seed=2),
    "alpha": pictures(5, 6, 7, 4, seed=3),
    "first": pictures(6, 10, 9, 3, seed=4).transpose(0, 3, 1, 2).copy(),
    "floats": (pictures(10, 8, 8, 3, seed=5) / 255.0).astype("float32"),
    "many": (pictures(80, 3, 4, 1, seed=6) / 255.0).astype("float32"),
}
# Well conditioned: whitening divides by small variances, and float32 of genuine Keras loses all digits there.
DATA["many"] += np.random.RandomState(7).normal(0, 0.2, DATA["many"].shape).astype("float32")


def case(name: str, releases: tuple[str, ...] = RELEASES) -> Callable:
    """Take a function for a case."""

    def keep(function: Callable[[Any, str], list[Any]]) -> Callable[[Any, str], list[Any]]:
        CASES[name], ASKED[name] = function, releases
        return function

    return keep


def take(iterator: Any, batches: int, way: str = "next") -> list[Any]:
    """Batches one after the other, or by their places, epoch after epoch."""
    found = []
    for number in range(batches):
        if way == "next":
            batch = next(iterator)
        else:
            place = number % len(iterator)
            batch = iterator[place]
            if place == len(iterator) - 1:
                iterator.on_epoch_end()
        for part in batch if isinstance(batch, tuple) else (batch,):
            for one in part if isinstance(part, list) else [part]:
                found.append(digest(one) if np.ndim(one) == 4 else np.asarray(one, dtype="float32"))
    return found


def flow(
    name: str,
    options: dict[str, Any],
    data: str = "colour",
    batches: int = 6,
    way: str = "next",
    fit: dict[str, Any] | None = None,
    releases: tuple[str, ...] = RELEASES,
    **arguments: Any,
) -> None:
    """A case of ``ImageDataGenerator(**options).flow(data, **arguments)``."""

    @case(name, releases)
    def run(image: Any, folder: str) -> list[Any]:
        x = DATA[data].copy()
        y = np.arange(len(x))
        np.random.seed(77)
        generator = image.ImageDataGenerator(**options)
        found: list[Any] = []
        if fit is not None:
            generator.fit(x, **fit)
            found = [
                np.ravel(v) for v in (generator.mean, generator.std, generator.principal_components) if v is not None
            ]
        given = {"batch_size": 4, "seed": 5, **arguments}
        iterator = generator.flow(x, y, **given)
        return found + take(iterator, batches, way)


# -- orders -----------------------------------------------------------------------------------------------------------

for _data in ("colour", "even"):
    for _shuffle in (True, False):
        for _seed in (5, None):
            _name = f"order_{_data}_{'shuffled' if _shuffle else 'straight'}_{'seeded' if _seed else 'free'}"
            flow(_name, {}, _data, 8, shuffle=_shuffle, seed=_seed)
            flow(_name + "_by_place", {"rotation_range": 9}, _data, 8, "index", None, NEW, shuffle=_shuffle, seed=_seed)
flow("order_one_batch", {"horizontal_flip": True}, "even", 3, batch_size=32)

# -- each option ------------------------------------------------------------------------------------------------------

_OPTIONS: dict[str, dict[str, Any]] = {
    "rotation": {"rotation_range": 40},
    "width": {"width_shift_range": 0.3},
    "height": {"height_shift_range": 0.3},
    "shifts": {"width_shift_range": 0.2, "height_shift_range": 0.4},
    "shear": {"shear_range": 0.4},
    "zoom": {"zoom_range": 0.3},
    "zoom_pair": {"zoom_range": [0.5, 0.9]},
    "channels": {"channel_shift_range": 40.0},
    "horizontal": {"horizontal_flip": True},
    "vertical": {"vertical_flip": True},
    "flips": {"horizontal_flip": True, "vertical_flip": True},
    "rescale": {"rescale": 1 / 255.0},
    "sample_center": {"samplewise_center": True},
    "sample_both": {"samplewise_center": True, "samplewise_std_normalization": True},
    "all": {
        "rotation_range": 20,
        "width_shift_range": 0.1,
        "height_shift_range": 0.2,
        "shear_range": 0.2,
        "zoom_range": 0.2,
        "channel_shift_range": 20.0,
        "horizontal_flip": True,
        "vertical_flip": True,
        "rescale": 1 / 127.0,
        "samplewise_center": True,
    },
}
for _name, _options in _OPTIONS.items():
    flow(f"option_{_name}", _options, batches=5)
for _mode in ("constant", "nearest", "reflect", "wrap"):
    _options = {"rotation_range": 90, "width_shift_range": 0.7, "zoom_range": 0.5, "fill_mode": _mode, "cval": 31.0}
    flow(f"fill_{_mode}", _options, batches=3)
for _data in ("grey", "floats"):
    flow(f"data_{_data}", _OPTIONS["all"], _data, 3)
flow("free_draws", _OPTIONS["all"], seed=None)

_NEWER: dict[str, dict[str, Any]] = {
    "whole_shifts": {"width_shift_range": 3, "height_shift_range": 4},
    "listed_shifts": {"width_shift_range": [-4, 0, 3], "height_shift_range": [0.1, 0.25]},
    "pixel_shifts": {"width_shift_range": 2.5, "height_shift_range": 1.0},
    "brightness": {"brightness_range": (0.3, 1.7)},
    "shear_degrees": {"shear_range": 25},
    "order_0": {"rotation_range": 50, "zoom_range": 0.2, "interpolation_order": 0},
    "order_3": {"rotation_range": 50, "zoom_range": 0.2, "interpolation_order": 3},
    "function": {"preprocessing_function": np.sqrt, "rotation_range": 30, "rescale": 0.5},
}
for _name, _options in _NEWER.items():
    _where = ("2.3.1",) if "order" in _name else NEW
    flow(f"newer_{_name}", _options, batches=4, releases=_where)
flow("newer_alpha", {"brightness_range": (0.5, 1.5), "rotation_range": 30}, "alpha", 3, releases=NEW)
flow("newer_all", dict(_OPTIONS["all"], brightness_range=[0.6, 1.4], width_shift_range=3), releases=NEW)


def noisy(x: np.ndarray) -> np.ndarray:
    """A preprocessing function that draws."""
    return x + np.random.normal(0, 5, x.shape)


flow("function_that_draws", {"preprocessing_function": noisy, "rotation_range": 30, "horizontal_flip": True})

# -- channels first ---------------------------------------------------------------------------------------------------


@case("channels_first")
def _(image: Any, folder: str) -> list[Any]:
    options = dict(_OPTIONS["all"])
    word = {"data_format": "channels_first"} if hasattr(image, "save_img") else {"dim_ordering": "th"}
    iterator = image.ImageDataGenerator(**options, **word).flow(DATA["first"], np.arange(6), batch_size=4, seed=3)
    return take(iterator, 4)


# -- statistics -------------------------------------------------------------------------------------------------------

_CENTER = {"featurewise_center": True}
_BOTH = {"featurewise_center": True, "featurewise_std_normalization": True}
flow("fit_center", _CENTER, "floats", 3, fit={})
flow("fit_both", _BOTH, "colour", 3, fit={})
flow("fit_rescaled", dict(_BOTH, rescale=1 / 255.0), "colour", 3, fit={})
flow("fit_augmented", dict(_BOTH, **_OPTIONS["flips"], rotation_range=25), "colour", 3, fit={"augment": True})
flow(
    "fit_augmented_rounds",
    dict(_BOTH, rotation_range=25),
    "floats",
    3,
    fit={"augment": True, "rounds": 3, "seed": 9},
)
flow("fit_whitening", {"zca_whitening": True, "featurewise_center": True}, "many", 2, fit={})
flow("fit_whitening_epsilon", {"zca_whitening": True, "zca_epsilon": 0.1}, "many", 2, fit={}, releases=NEW)

# -- more of flow -----------------------------------------------------------------------------------------------------


@case("flow_weights", NEW)
def _(image: Any, folder: str) -> list[Any]:
    x = DATA["colour"]
    generator = image.ImageDataGenerator(horizontal_flip=True)
    return take(generator.flow(x, np.eye(10), batch_size=4, sample_weight=np.arange(10) / 10.0, seed=2), 4)


@case("flow_more_inputs", NEW)
def _(image: Any, folder: str) -> list[Any]:
    x = DATA["colour"]
    generator = image.ImageDataGenerator(rotation_range=15)
    more = [np.arange(10) * 2.0, np.eye(10)]
    return take(generator.flow((x, more), np.arange(10), batch_size=4, seed=2), 4) + take(
        generator.flow((x, np.arange(10)), batch_size=4, shuffle=False), 2
    )


@case("flow_pictures_only")
def _(image: Any, folder: str) -> list[Any]:
    return take(image.ImageDataGenerator(rotation_range=15).flow(DATA["even"], batch_size=3, seed=2), 5)


@case("flow_subsets", NEW)
def _(image: Any, folder: str) -> list[Any]:
    x, y = DATA["colour"], np.arange(10) % 2
    generator = image.ImageDataGenerator(rotation_range=15, validation_split=0.4)
    found = []
    for subset in ("training", "validation"):
        found += take(generator.flow(x, y, batch_size=4, seed=2, subset=subset), 4)
    return found


# -- functions --------------------------------------------------------------------------------------------------------


@case("functions_last")
def _(image: Any, folder: str) -> list[Any]:
    x = DATA["colour"][3].astype("float32")
    axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    np.random.seed(4)
    found = []
    for mode in ("nearest", "constant", "reflect", "wrap"):
        words = dict(axes, fill_mode=mode, cval=9.0)
        found.append(image.random_rotation(x, 60, **words))
        found.append(image.random_shift(x, 0.4, 0.3, **words))
        found.append(image.random_shear(x, 0.5, **words))
        found.append(image.random_zoom(x, (0.6, 1.5), **words))
        found.append(image.random_channel_shift(x, 50.0, channel_axis=2))
    return [digest(np.stack(found))]


@case("functions_first")
def _(image: Any, folder: str) -> list[Any]:
    x = DATA["first"][3].astype("float32")
    np.random.seed(4)
    found = [image.random_rotation(x, 60), image.random_shift(x, 0.4, 0.3), image.random_shear(x, 0.5)]
    found += [image.random_zoom(x, (0.6, 1.5)), image.random_channel_shift(x, 50.0)]
    return [digest(np.stack(found))]


@case("functions_newer", NEW)
def _(image: Any, folder: str) -> list[Any]:
    x = DATA["colour"][3].astype("float32")
    np.random.seed(4)
    found = [image.random_brightness(x, (0.2, 2.0)) for _ in range(3)]
    found += [image.apply_brightness_shift(x, 1.3), image.apply_channel_shift(x, 20.0, channel_axis=2)]
    found.append(image.apply_affine_transform(x, theta=33, tx=2, ty=-1.5, shear=12, zx=0.8, zy=1.1))
    found.append(image.apply_affine_transform(x, zx=0.7, fill_mode="constant", cval=5.0))
    return [digest(np.stack(found))]


@case("functions_oldest", ("1.2.2",))
def _(image: Any, folder: str) -> list[Any]:
    x = DATA["first"][2].astype("float32")
    # Some places lie just between two pixels: there the order of sums decides.
    matrix = image.transform_matrix_offset_center(np.array([[0.8, -0.4, 1], [0.3, 1.1, -2], [0, 0, 1]]), 10, 9)
    found = [image.apply_transform(x, matrix), image.apply_transform(x, matrix, 0, "constant", 3.0)]
    return [matrix, digest(np.stack([*found, image.flip_axis(x, 1), image.flip_axis(x, 2)]))]


@case("given_parameters", NEW)
def _(image: Any, folder: str) -> list[Any]:
    generator = image.ImageDataGenerator(**dict(_OPTIONS["all"], brightness_range=(0.5, 1.5)))
    x = DATA["colour"][5].astype("float32")
    drawn = generator.get_random_transform(x.shape, seed=11)
    numbers = [drawn[name] or 0 for name in sorted(drawn)]
    given = {"theta": 12, "zx": 0.8, "flip_vertical": True, "channel_shift_intensity": -8.0, "brightness": 0.7}
    pictures = [generator.apply_transform(x, given), generator.apply_transform(x, {}), generator.random_transform(x, 3)]
    return [np.array(numbers, dtype="float64"), digest(np.stack(pictures))]


# -- files ------------------------------------------------------------------------------------------------------------


def write_files(folder: str) -> None:
    """Three classes of pictures, some of them deeper, in several formats and modes, and other files."""
    from PIL import Image

    places = ["b/2.png", "b/10.png", "b/deep/1.png", "a/x.PNG", "a/y.bmp", "a/z.png", "c c/1.png", "c c/0.bmp"]
    for i, place in enumerate(places):
        path = os.path.join(folder, *place.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        x = pictures(1, 9 + i % 3, 12, 3, seed=20 + i)[0]
        Image.fromarray(x if i % 4 else x[:, :, 0]).save(path)
    for place in ("a/notes.txt", "b/half.png.tmp", "list.txt"):
        with open(os.path.join(folder, *place.split("/")), "w") as stream:
            stream.write("none")


@contextlib.contextmanager
def silent():
    """Nothing of what Keras prints and warns of."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def from_directory(name: str, options: dict[str, Any], releases: tuple[str, ...] = RELEASES, **arguments: Any) -> None:
    """A case of ``flow_from_directory``."""

    @case(name, releases)
    def run(image: Any, folder: str) -> list[Any]:
        write_files(folder)
        given = {"batch_size": 3, "target_size": (9, 12), "seed": 4, **arguments}
        with silent():
            iterator = image.ImageDataGenerator(**options).flow_from_directory(folder, **given)
        names = "|".join(iterator.filenames).encode()
        found: list[Any] = [np.frombuffer(names, dtype="uint8"), np.asarray(iterator.classes)]
        # In classes of files of the same size, for Keras 1 takes Pillow's default way of resizing, which has changed.
        return found + take(iterator, 5)


_ODD = {"classes": ["b"], "shuffle": False}
from_directory("folder", {"rotation_range": 20}, NEW)
from_directory("folder_straight", {}, NEW, shuffle=False, class_mode="sparse")
from_directory("folder_binary", {"horizontal_flip": True}, NEW, classes=["c c", "a"], class_mode="binary")
from_directory("folder_input", {"zoom_range": 0.2}, NEW, class_mode="input")
from_directory("folder_none", {}, NEW, class_mode=None)
from_directory("folder_grey", {"rescale": 0.1}, NEW, color_mode="grayscale")
from_directory("folder_alpha", {}, NEW, color_mode="rgba")
for _subset in ("training", "validation"):
    from_directory(f"folder_{_subset}", {"validation_split": 0.4}, NEW, subset=_subset)
for _way in ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"):
    from_directory(f"folder_{_way}", {}, NEW, target_size=(14, 7), interpolation=_way, shuffle=False, class_mode=None)


@case("folder_keras_1")
def _(image: Any, folder: str) -> list[Any]:
    from PIL import Image

    for i in range(7):  # one in a folder: Keras 1 takes files as the disk lists them
        path = os.path.join(folder, "ab"[i % 2], str(i))
        os.makedirs(path)
        Image.fromarray(pictures(1, 8, 8, 3, seed=40 + i)[0]).save(os.path.join(path, "x.png"))
    found: list[Any] = []
    for mode in ("categorical", "binary", "sparse", None):
        with silent():
            generator = image.ImageDataGenerator(rotation_range=20, channel_shift_range=9.0)
            iterator = generator.flow_from_directory(
                folder, target_size=(8, 8), class_mode=mode, batch_size=3, seed=4, color_mode="rgb"
            )
        found += take(iterator, 4)
    return found


def frame(folder: str) -> Any:
    """A table of the files, with a missing one, classes, several classes, numbers and weights."""
    import pandas

    names = [
        "b/2.png",
        "b/10.png",
        "none.png",
        "a/x.PNG",
        "a/y.bmp",
        "a/z.png",
        "c c/1.png",
        "a/notes.txt",
        "c c/0.bmp",
    ]
    return pandas.DataFrame(
        {
            "filename": names,
            "class": ["dog", "dog", "cat", "cat", "emu", "cat", "dog", "emu", "emu"],
            "two": ["p", "q", "p", "q", "p", "q", "p", "p", "q"],
            "several": [["p", "q"], ["q"], ["p"], "r", ("r", "p"), ["q"], ["p"], ["q"], ["r"]],
            "number": np.arange(9.0),
            "other": np.arange(9.0) ** 2,
            "weight": np.linspace(0, 1, 9),
        }
    )


def from_frame(name: str, options: dict[str, Any], **arguments: Any) -> None:
    """A case of ``flow_from_dataframe``."""

    @case(name, ("2.3.1",))
    def run(image: Any, folder: str) -> list[Any]:
        write_files(folder)
        given = {"batch_size": 3, "target_size": (9, 12), "seed": 4, **arguments}
        with silent():
            iterator = image.ImageDataGenerator(**options).flow_from_dataframe(frame(folder), folder, **given)
        names = "|".join(iterator.filenames).encode()
        return [np.frombuffer(names, dtype="uint8"), *take(iterator, 4)]


from_frame("frame", {"rotation_range": 20})
from_frame("frame_chosen_classes", {}, classes=["emu", "cat"])
from_frame("frame_binary", {}, class_mode="binary", y_col="two", weight_col="weight")
from_frame("frame_sparse", {}, class_mode="sparse", shuffle=False)
from_frame("frame_several", {}, y_col="several")
from_frame("frame_several_chosen", {}, y_col="several", classes=["r", "q"])
from_frame("frame_raw", {}, class_mode="raw", y_col="number")
from_frame("frame_raw_columns", {}, class_mode="raw", y_col=["number", "other"], weight_col="weight")
from_frame("frame_multi_output", {}, class_mode="multi_output", y_col=["number", "other"])
from_frame("frame_input", {"horizontal_flip": True}, class_mode="input")
from_frame("frame_none", {}, class_mode=None)
for _subset in ("training", "validation"):
    from_frame(f"frame_{_subset}", {"validation_split": 0.3}, subset=_subset)


def write_odd_files(folder: str) -> dict[str, str]:
    """Pictures of every kind that files have but plain colour, none of whose pixels a format changes."""
    from PIL import Image

    rgb = pictures(1, 6, 8, 3, seed=50)[0]
    grey = rgb[:, :, 0]
    colours = np.random.RandomState(3).randint(0, 256, 768).tolist()
    frames = []
    for i in range(3):
        frame = Image.new("P", (8, 6))
        frame.putpalette(colours)
        frame.putdata([(int(v) + 40 * i) % 256 for v in grey.ravel()])
        frames.append(frame)
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was on its side
    files: dict[str, tuple[Any, dict[str, Any]]] = {
        "palette.png": (frames[0], {}),
        "clear.png": (frames[1], {"transparency": 7}),
        "moving.gif": (frames[0], {"save_all": True, "append_images": frames[1:]}),
        "grey_alpha.png": (Image.fromarray(rgb[:, :, :2].copy()), {}),
        "alpha.png": (Image.fromarray(np.dstack([rgb, grey])), {}),
        "inks.tif": (Image.fromarray(rgb).convert("CMYK"), {}),
        "deep.png": (Image.fromarray(grey.astype("uint16") * 257), {}),
        "deeper.tif": (Image.fromarray(grey.astype("int32") * 100000), {}),
        "bits.png": (Image.fromarray(grey > 128), {}),
        "turned.png": (Image.fromarray(rgb), {"exif": turned}),
    }
    paths = {name: os.path.join(folder, name) for name in files}
    for name, (picture, options) in files.items():
        picture.save(paths[name], **options)
    return paths


@case("odd_files", NEW)
def _(image: Any, folder: str) -> list[Any]:
    found = []
    for name, path in write_odd_files(folder).items():
        for mode in ("rgb", "rgba", "grayscale"):
            if mode != "grayscale" or name not in ("palette.png", "clear.png", "moving.gif"):  # Pillows differ by 1
                x = image.img_to_array(image.load_img(path, color_mode=mode))
                found += [np.array(x.shape), x.ravel()[:8], x.sum(keepdims=True).ravel()]
    return found


# -- conversions ------------------------------------------------------------------------------------------------------


@case("arrays_and_pictures")
def _(image: Any, folder: str) -> list[Any]:
    x = DATA["floats"][0] * 3 - 1
    found = [
        np.asarray(image.array_to_img(x, scale=True)),
        np.asarray(image.array_to_img(DATA["grey"][0], scale=False)),
    ]
    found += [np.asarray(image.array_to_img(np.zeros((3, 4, 1)))), np.asarray(image.array_to_img(x + 5))]
    picture = image.array_to_img(DATA["colour"][1], scale=False)
    found += [image.img_to_array(picture), image.img_to_array(picture.convert("L"))]
    return [np.asarray(one, dtype="float32") for one in found]


def run(name: str, image: Any, folder: str) -> list[np.ndarray]:
    """The arrays of a case, in float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [np.asarray(one, dtype="float32") for one in CASES[name](image, folder)]


def save(path: str, found: dict[str, list[np.ndarray]]) -> None:
    """Write the arrays of cases into a file: all numbers in a row, and the shapes as JSON."""
    shapes = {name: [one.shape for one in arrays] for name, arrays in found.items()}
    numbers = np.concatenate([one.ravel() for arrays in found.values() for one in arrays])
    np.savez_compressed(path, numbers=numbers, shapes=np.frombuffer(json.dumps(shapes).encode(), dtype="uint8"))


def load(path: Any) -> dict[str, list[np.ndarray]]:
    """What ``save`` wrote."""
    with np.load(path) as stored:
        numbers, shapes = stored["numbers"], json.loads(stored["shapes"].tobytes())
    found: dict[str, list[np.ndarray]] = {}
    place = 0
    for name, listed in shapes.items():
        found[name] = []
        for shape in listed:
            size = int(np.prod(shape))
            found[name].append(numbers[place : place + size].reshape(shape))
            place += size
    return found

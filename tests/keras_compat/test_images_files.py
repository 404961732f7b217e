"""Pictures in files: formats of every kind, damaged ones, folders of classes, tables of names.

What comes out is compared with genuine Keras in ``test_images_genuine.py``.
"""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image

from keras_compat.dialect.level import api_level
from keras_compat.preprocessing import image
from keras_compat.preprocessing.image import DataFrameIterator, DirectoryIterator, ImageDataGenerator
from tests.keras_compat.image_cases import frame, pictures, write_files, write_odd_files

X = pictures(1, 9, 12, 3, seed=60)[0]


# -- one file ---------------------------------------------------------------------------------------------------------


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    for kind, channels in (("png", 1), ("png", 3), ("png", 4), ("bmp", 3), ("tif", 3)):
        x = pictures(1, 9, 12, channels, seed=60)[0]
        path = tmp_path / f"x.{kind}"
        image.save_img(path, x, scale=False)
        mode = {1: "grayscale", 3: "rgb", 4: "rgba"}[channels]
        np.testing.assert_array_equal(image.img_to_array(image.load_img(path, color_mode=mode)), x)
        first = image.img_to_array(image.load_img(str(path), color_mode=mode), data_format="channels_first")
        np.testing.assert_array_equal(first, x.transpose(2, 0, 1))
    image.save_img(tmp_path / "first.png", X.transpose(2, 0, 1), data_format="channels_first", scale=False)
    np.testing.assert_array_equal(image.img_to_array(image.load_img(tmp_path / "first.png")), X)


@pytest.mark.promise(43)
def test_open_files_and_options_of_pillow() -> None:
    stream = io.BytesIO()
    with pytest.warns(UserWarning, match="does not support RGBA"):
        image.save_img(stream, np.dstack([X, X[:, :, 0]]), file_format="jpg", quality=95)
    stream.seek(0)
    assert image.load_img(stream).mode == "RGB"
    stream.seek(0)
    with pytest.raises(OSError, match="the file is no whole picture"):
        image.load_img(io.BytesIO(stream.read(400)))


@pytest.mark.promise(43)
def test_how_a_picture_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    image.save_img(path, X, scale=False)
    assert image.load_img(path, grayscale=True).mode == "L"
    assert image.load_img(path, True, (4, 6)).size == (6, 4)  # Keras 1's order
    assert image.load_img(path, target_size=(4, 6), interpolation="bicubic").size == (6, 4)
    deep = write_odd_files(str(tmp_path))["deep.png"]
    with api_level("1.2"), pytest.warns(UserWarning, match="16 or 32 bits"):
        assert image.load_img(deep, grayscale=True).mode == "L"
    with pytest.warns(UserWarning, match="cut off"):
        assert image.img_to_array(image.load_img(deep)).max() == 255
    assert image.img_to_array(image.load_img(deep, color_mode="grayscale")).max() > 255
    with pytest.raises(ValueError, match="color_mode must be"):
        image.load_img(path, color_mode="rbg")
    with pytest.raises(ValueError, match="Invalid interpolation method"):
        image.load_img(path, target_size=(4, 6), interpolation="linear")
    with pytest.raises(FileNotFoundError):
        image.load_img(tmp_path / "none.png")


@pytest.mark.promise(43)
@pytest.mark.filterwarnings("ignore:.*TIFF")
@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.filterwarnings("ignore:Corrupt")
def test_damaged_files_are_named(tmp_path: Path) -> None:
    noise = np.random.RandomState(0).randint(0, 255, (60, 60, 3)).astype("uint8")
    for kind in ("jpeg", "png", "bmp", "gif", "tiff", "ppm"):
        stream = io.BytesIO()
        Image.fromarray(noise).save(stream, kind)
        data = stream.getvalue()
        for part in (data[: len(data) // 2], data[:40], data[: len(data) - 30] if kind != "tiff" else data[:30]):
            path = tmp_path / f"cut.{kind}"
            path.write_bytes(part)
            with pytest.raises(OSError, match=f"cut.{kind}"):
                image.load_img(path)
    for content in (b"", b"hello", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / "none.png").write_bytes(content)
        with pytest.raises(OSError, match=r"none\.png"):
            image.load_img(tmp_path / "none.png")


@pytest.mark.promise(43)
def test_a_file_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (20000, 10000)).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"bomb\.png has more pixels than a picture has.*MAX_IMAGE_PIXELS"):
        image.load_img(path, target_size=(10, 10))


def test_list_pictures(tmp_path: Path) -> None:
    write_files(str(tmp_path))
    found = [os.path.relpath(path, tmp_path) for path in image.list_pictures(tmp_path)]
    assert found == ["a/x.PNG", "a/y.bmp", "a/z.png", "b/10.png", "b/2.png", "b/deep/1.png", "c c/0.bmp", "c c/1.png"]
    assert len(image.list_pictures(str(tmp_path), ext="bmp|jpg")) == len(image.list_pictures(tmp_path, ("bmp",))) == 2
    with pytest.raises(FileNotFoundError, match="nowhere"):
        image.list_pictures(tmp_path / "nowhere")


# -- folders ----------------------------------------------------------------------------------------------------------


def from_folder(folder: Path, *, split: float = 0.0, **arguments: Any) -> DirectoryIterator:
    return ImageDataGenerator(validation_split=split).flow_from_directory(
        folder, **{"target_size": (9, 12), "batch_size": 3, "shuffle": False, **arguments}
    )


def test_a_folder_of_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(str(tmp_path))
    it = from_folder(tmp_path)
    assert capsys.readouterr().out == "Found 8 images belonging to 3 classes.\n"
    assert isinstance(it, DirectoryIterator)
    assert it.class_indices == {"a": 0, "b": 1, "c c": 2} and it.num_classes == it.nb_class == 3
    assert it.samples == it.nb_sample == it.n == 8 and it.classes.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert it.filenames[3:6] == ["b/10.png", "b/2.png", "b/deep/1.png"]
    assert all(os.path.isfile(path) for path in it.filepaths) and it.image_shape == (9, 12, 3)
    x, y = next(pickle.loads(pickle.dumps(it)))
    np.testing.assert_array_equal(y, np.eye(3, dtype="float32")[[0, 0, 0]])
    np.testing.assert_array_equal(x[2], image.img_to_array(image.load_img(it.filepaths[2], target_size=(9, 12))))
    first = ImageDataGenerator(data_format="channels_first").flow_from_directory(tmp_path, target_size=(4, 5))
    assert next(first)[0].shape == (8, 3, 4, 5)


def test_targets_of_a_folder(tmp_path: Path) -> None:
    write_files(str(tmp_path))
    assert next(from_folder(tmp_path, class_mode="sparse"))[1].dtype == np.float32
    with api_level("1.2"):
        assert next(from_folder(tmp_path, class_mode="sparse"))[1].dtype == np.int32
        assert next(from_folder(tmp_path, class_mode="binary"))[1].dtype == np.float32
    x, y = next(from_folder(tmp_path, class_mode="input"))
    np.testing.assert_array_equal(x, y)
    assert x is not y and isinstance(next(from_folder(tmp_path, class_mode=None)), np.ndarray)
    chosen = from_folder(tmp_path, classes=["c c", "b/deep"], class_mode="binary")
    assert chosen.filenames == ["c c/0.bmp", "c c/1.png", "b/deep/1.png"] and chosen[0][1].tolist() == [0, 0, 1]


def test_parts_of_a_folder(tmp_path: Path) -> None:
    write_files(str(tmp_path))
    parts = [from_folder(tmp_path, split=0.4, subset=subset) for subset in ("validation", "training")]
    assert [it.samples for it in parts] == [2, 6]
    assert sorted(parts[0].filenames + parts[1].filenames) == sorted(from_folder(tmp_path).filenames)


@pytest.mark.promise(43)
def test_links_are_followed_where_asked_for(tmp_path: Path) -> None:
    write_files(str(tmp_path / "real"))
    (tmp_path / "linked" / "a").mkdir(parents=True)
    (tmp_path / "linked" / "a" / "more").symlink_to(tmp_path / "real" / "b")
    assert from_folder(tmp_path / "linked", follow_links=True).samples == 3
    with pytest.warns(UserWarning, match="no picture in the folders of"):
        assert from_folder(tmp_path / "linked").samples == 0


def test_pictures_are_saved_as_they_are_given(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    generator = ImageDataGenerator(rotation_range=30)
    x = pictures(4, 9, 12, 3, seed=5)
    it = generator.flow(x, batch_size=4, seed=1, save_to_dir=tmp_path / "out", save_prefix="p", shuffle=False)
    batch = next(it)
    names = sorted(os.listdir(tmp_path / "out"))
    assert [name[:4] for name in names] == ["p_0_", "p_1_", "p_2_", "p_3_"] and names[0].endswith(".png")
    for name, one in zip(names, batch):
        written = image.img_to_array(image.load_img(tmp_path / "out" / name))
        np.testing.assert_array_equal(written, np.asarray(image.array_to_img(one)))
    with api_level("1.2"):
        next(generator.flow(x, batch_size=2, save_to_dir=tmp_path / "out"))
    assert sum(name.endswith(".jpeg") for name in os.listdir(tmp_path / "out")) == 2


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"\[flow_from_directory\] expected a folder"):
        from_folder(tmp_path / "none")
    with pytest.warns(UserWarning, match="expected one folder for each class"):
        assert from_folder(tmp_path).samples == 0
    write_files(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="save_to_dir: expected a folder"):
        from_folder(tmp_path, save_to_dir=tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="dogs"):
        from_folder(tmp_path, classes=["a", "dogs"])
    for words, message in (
        ({"class_mode": "one_hot"}, "Invalid class_mode: one_hot"),
        ({"color_mode": "grey"}, "Invalid color mode"),
        ({"target_size": 5}, "target_size is"),
        ({"target_size": None}, "target_size is"),
        ({"subset": "test"}, "Invalid subset name"),
        ({"batch_size": -1}, "batch_size must be"),
        ({"interpolation": "linear"}, "Invalid interpolation method"),
    ):
        with pytest.raises(ValueError, match=message):
            from_folder(tmp_path, **words)
    (tmp_path / "a" / "z.png").write_bytes(b"none")
    with pytest.raises(OSError, match=r"z\.png"):
        next(from_folder(tmp_path))


# -- tables -----------------------------------------------------------------------------------------------------------


def from_frame(table: Any, folder: Path | None, **arguments: Any) -> DataFrameIterator:
    return ImageDataGenerator().flow_from_dataframe(
        table, folder, **{"target_size": (9, 12), "shuffle": False, **arguments}
    )


@pytest.fixture
def table(tmp_path: Path) -> pandas.DataFrame:
    write_files(str(tmp_path))
    return frame(str(tmp_path))


def test_a_table_of_names(tmp_path: Path, table: pandas.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    before = table.copy(deep=True)
    with pytest.warns(UserWarning, match=r'Found 2 invalid image filename\(s\) in x_col="filename"'):
        it = from_frame(table, tmp_path)
    assert capsys.readouterr().out == "Found 7 validated image filenames belonging to 3 classes.\n"
    pandas.testing.assert_frame_equal(table, before)
    assert isinstance(it, DataFrameIterator) and it.samples == 7 and it.classes == [1, 1, 0, 2, 0, 1, 2]
    assert it.class_indices == {"cat": 0, "dog": 1, "emu": 2}
    whole = table.iloc[[0, 1]].copy()
    whole["filename"] = [str(tmp_path / name) for name in whole["filename"]]
    assert next(from_frame(whole, None, class_mode=None)).shape == (2, 9, 12, 3)
    kept = from_frame(table.iloc[[2, 0]], tmp_path, class_mode=None, validate_filenames=False)
    assert "non-validated" in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        next(kept)


@pytest.mark.filterwarnings("ignore:.*invalid image filename")
def test_what_is_wrong_with_a_table_is_said(tmp_path: Path, table: pandas.DataFrame) -> None:
    for error, words, message in (
        (KeyError, {"x_col": "id"}, "no column 'id'; there are 'filename', 'class'"),
        (KeyError, {"class_mode": "raw", "y_col": ["number", "id"]}, "no column 'id'"),
        (ValueError, {"class_mode": "labels"}, "Invalid class_mode"),
        (TypeError, {"class_mode": "multi_output"}, "y_col must be a list"),
        (TypeError, {"x_col": "number"}, "x_col=number must be strings"),
        (TypeError, {"y_col": "number"}, "type string, list or tuple"),
        (TypeError, {"y_col": "several", "class_mode": "sparse"}, "must be strings"),
        (ValueError, {"class_mode": "binary"}, "there must be 2 classes. Found 3"),
        (TypeError, {"weight_col": "two"}, "weight_col=two must be numeric"),
        (TypeError, {"has_extension": True}, "not understood: has_extension"),
    ):
        with pytest.raises(error, match=message):
            from_frame(table, tmp_path, **words)
    with pytest.raises(TypeError, match="expected a pandas DataFrame; got dict"):
        from_frame({"filename": []}, tmp_path)
    with pytest.warns(UserWarning, match="`classes` will be ignored"):
        from_frame(table, tmp_path, class_mode=None, classes=["cat"])
    for old in ("drop_duplicates", "has_ext", "sort"):
        with pytest.warns(UserWarning, match=f"{old} does nothing any more"):
            from_frame(table, tmp_path, **{old: True})
    assert from_frame(table, tmp_path, class_mode="other", y_col="number").class_mode == "raw"

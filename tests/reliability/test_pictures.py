"""Pictures that were made to do harm, and folders of them: an error that names the file, or the documented result.

Damaged files, pixels without end, animations, inks, 16 bits and rotations are in ``tests/keras_compat``, the last four
against genuine Keras.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from keras_compat.preprocessing import image
from keras_compat.preprocessing.image import ImageDataGenerator

pytestmark = pytest.mark.promise(43)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*extra: bytes, rows: bytes = b"\0" * 4 * 13) -> bytes:
    """A picture of 4 times 4 black pixels, by PNG's own words."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


MUCH = zlib.compress(bytes(50_000_000), 9)

BOMBS = {
    "text, compressed": chunk(b"zTXt", b"k\0\0" + MUCH),
    "text of the world, compressed": chunk(b"iTXt", b"k\0\1\0\0\0" + MUCH),
    "text": chunk(b"tEXt", b"k\0" + b"a" * 68_000_000),
    "colours, compressed": chunk(b"iCCP", b"k\0\0" + MUCH),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_texts_beside_a_picture_that_would_fill_the_memory(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(BOMBS[kind]))
    with pytest.raises(OSError, match=r"\[load_img\] .*bomb\.png is no whole picture: .*(too large|Too much memory)"):
        image.load_img(path)


def test_more_rows_than_the_picture_has_are_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(rows=bytes(50_000_000)))
    np.testing.assert_array_equal(image.img_to_array(image.load_img(tmp_path / "x.png")), np.zeros((4, 4, 3)))


@pytest.mark.parametrize("name", ["drawing.svg", "drawing.png", "empty.png", "page.jpg"])
def test_files_that_are_no_pictures(name: str, tmp_path: Path) -> None:
    text = {"empty.png": "", "page.jpg": "<html><img src='x.jpg'></html>"}
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    (tmp_path / name).write_text(text.get(name, drawing))
    with pytest.raises(OSError, match=rf"cannot identify image file .*{name}.*Is it a picture\?"):
        image.load_img(tmp_path / name)


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(png())
    assert image.load_img(tmp_path / "x.jpg").size == (4, 4)


def test_a_folder_with_the_name_of_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a" / "x.png").mkdir(parents=True)
    (tmp_path / "a" / "y.png").write_bytes(png())
    with pytest.raises(IsADirectoryError, match=r"x\.png"):
        image.load_img(tmp_path / "a" / "x.png")
    assert ImageDataGenerator().flow_from_directory(tmp_path).filenames == [os.path.join("a", "y.png")]
    assert len(image.list_pictures(str(tmp_path))) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_links_that_lead_in_circles(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(png())
    (tmp_path / "a" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "over").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "back").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "ring").symlink_to("ring")
    plain = ["a/x.png", "b/x.png"]
    for follow, wanted in ((False, plain), (True, [*plain[:1], "a/over/x.png", *plain[1:], "b/back/x.png"])):
        found = ImageDataGenerator().flow_from_directory(tmp_path, follow_links=follow).filenames
        assert sorted(found) == sorted(one.replace("/", os.sep) for one in wanted)


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_links_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(png())
    (tmp_path / "a" / "y.png").symlink_to("gone.png")
    (tmp_path / "a" / "z.png").symlink_to("z.png")
    batches = ImageDataGenerator().flow_from_directory(tmp_path, batch_size=1, shuffle=False, target_size=(4, 4))
    assert next(batches)[0].shape == (1, 4, 4, 3)
    for name in ("y", "z"):
        with pytest.raises(OSError, match=rf"{name}\.png"):
            next(batches)

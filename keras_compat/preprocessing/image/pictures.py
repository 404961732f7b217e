"""Pictures of Pillow and arrays: reading, writing, and each as the other."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from keras_compat import backend as K
from keras_compat.dialect.level import get_api_level
from keras_compat.utils.generic_utils import warn

# Extensions that a folder of pictures is searched for.
EXTENSIONS = ("png", "jpg", "jpeg", "bmp", "ppm", "tif", "tiff")
COLOR_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow(op: str) -> Any:
    """Pillow's module ``Image``. Raises ImportError with the command that brings it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            f"[{op}] Could not import PIL.Image: pictures in files need Pillow: pip install pillow."
        ) from error
    return Image


def data_format_of(data_format: str | None, op: str) -> str:
    """'channels_first' or 'channels_last'; that of the settings for None."""
    found = K.image_data_format() if data_format in (None, "default") else data_format
    found = {"th": "channels_first", "tf": "channels_last"}.get(str(found), found)
    if found not in ("channels_first", "channels_last"):
        raise ValueError(
            f"[{op}] Unknown data_format: expected 'channels_first' or 'channels_last'; got {data_format!r}. Keras 1's "
            "words are 'th' and 'tf'."
        )
    return found


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """A picture of Pillow from an array of rank 3 with 1, 3 or 4 channels.

    Args:
        x: (rows, columns, channels), or (channels, rows, columns) with 'channels_first'.
        data_format: 'channels_last' or 'channels_first'; that of the settings for None.
        scale: stretch the values to 0...255: from the smallest to the largest, and from zero at API level 1.2.
        dtype: float type of the arithmetic; ``K.floatx()`` for None.

    With ``scale=False`` a picture of one channel with values above 255 becomes one of 32-bit integers, mode 'I'.
    """
    image = pillow("array_to_img")
    x = np.asarray(x, dtype=dtype or K.floatx())
    if x.ndim != 3:
        raise ValueError(
            f"[array_to_img] Expected image array to have rank 3 (single image). Got array with shape: {x.shape}. Take "
            "one picture of the batch."
        )
    if data_format_of(data_format, "array_to_img") == "channels_first":
        x = x.transpose(1, 2, 0)
    if x.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"[array_to_img] Unsupported channel number: {x.shape[2]}; expected 1, 3 or 4. Is data_format right?"
        )
    if scale:
        x = stretched(x)
    if x.shape[2] > 1:
        return image.fromarray(x.astype("uint8"))
    if np.max(x, initial=0) > 255:
        return image.fromarray(x[:, :, 0].astype("int32"))
    return image.fromarray(x[:, :, 0].astype("uint8"))


def stretched(x: np.ndarray) -> np.ndarray:
    """Values as :func:`array_to_img` scales them to 0...255."""
    low = np.min(x, initial=np.inf)
    x = x + max(-low, 0) if get_api_level() == "1.2" else x - low
    largest = np.max(x, initial=-np.inf)
    if largest != 0:
        x /= largest
    x *= 255
    return x


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A picture of Pillow as an array of rank 3.

    Args:
        img: the picture, or an array of rank 2 or 3.
        data_format: 'channels_last' or 'channels_first'; that of the settings for None.
        dtype: type of the array; ``K.floatx()`` for None.
    """
    first = data_format_of(data_format, "img_to_array") == "channels_first"
    x = np.asarray(img, dtype=dtype or K.floatx())
    if x.ndim == 2:
        return x[None] if first else x[:, :, None]
    if x.ndim != 3:
        raise ValueError(
            f"[img_to_array] Unsupported image shape: {x.shape}; expected one picture, of rank 2 or 3. Take one of the "
            "batch."
        )
    return x.transpose(2, 0, 1) if first else x


def load_img(
    path: Any,
    grayscale: bool = False,
    color_mode: Any = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
) -> Any:
    """A picture from a file, as one of Pillow.

    Of an animated file it is the first frame; a rotation that a camera wrote into the file (EXIF) is not applied, as in
    Keras: ``PIL.ImageOps.exif_transpose`` does it.

    Args:
        path: of the file, or a file that is open for reading bytes.
        grayscale: Keras 1's word for ``color_mode='grayscale'``.
        color_mode: 'rgb', 'rgba' or 'grayscale'. The last leaves pictures of 16 and 32 bits as they are, the others cut
            their values off at 255, with a warning.
        target_size: (rows, columns); the file's own for None.
        interpolation: 'nearest', 'bilinear', 'bicubic', 'hamming', 'box' or 'lanczos'.

    Raises:
        OSError: there is no such file, it is no picture, or it is cut short.
        ValueError: of a word above; or the picture has far more pixels than a picture has (Pillow's
            ``Image.MAX_IMAGE_PIXELS``), as files have that are to exhaust the memory.
    """
    image = pillow("load_img")
    if isinstance(color_mode, (tuple, list)):  # Keras 1's third argument
        color_mode, target_size = "rgb", color_mode
    if grayscale:
        color_mode = "grayscale"
    if color_mode not in COLOR_CHANNELS:
        raise ValueError(
            f'[load_img] color_mode must be "grayscale", "rgb", or "rgba"; got {color_mode!r}. Check the spelling.'
        )
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"[load_img] Invalid interpolation method {interpolation} specified. Supported methods are "
            f"{', '.join(INTERPOLATIONS)}. Choose one."
        )
    try:
        img = image.open(io.BytesIO(_bytes_of(path)))
        img = _in_color(img, color_mode, path)
        if target_size is not None and img.size != (target_size[1], target_size[0]):
            img = img.resize((target_size[1], target_size[0]), getattr(image.Resampling, interpolation.upper()))
        img.load()
    except image.DecompressionBombError as error:
        raise ValueError(
            f"[load_img] {_name(path)} has more pixels than a picture has: {error} Raise PIL.Image.MAX_IMAGE_PIXELS if "
            "you trust it."
        ) from None
    except image.UnidentifiedImageError:
        raise image.UnidentifiedImageError(
            f"[load_img] cannot identify image file {_name(path)}: Pillow knows no such format. Is it a picture?"
        ) from None
    except (OSError, SyntaxError, EOFError, ValueError) as error:  # Pillow's for damaged files, and for bombs of text
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise OSError(f"[load_img] {_name(path)} is no whole picture: {error}. Was it copied in full?") from error
    return img


def _bytes_of(path: Any) -> bytes:
    if hasattr(path, "read"):
        return path.read()
    with open(path, "rb") as stream:
        return stream.read()


def _name(path: Any) -> str:
    return str(getattr(path, "name", "the file")) if hasattr(path, "read") else os.fspath(path)


def _in_color(img: Any, color_mode: str, path: Any) -> Any:
    deep = img.mode.startswith("I")
    wanted = "L" if color_mode == "grayscale" else color_mode.upper()
    if img.mode == wanted or (deep and wanted == "L" and get_api_level() != "1.2"):
        return img
    if deep:
        warn(
            f"[load_img] {_name(path)} has 16 or 32 bits a pixel; values above 255 are cut off, as in Keras. With "
            "color_mode='grayscale' they are kept."
        )
    return img.convert(wanted)


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Write an array of rank 3 as a picture.

    Args:
        path: of the file, or a file that is open for writing bytes.
        x: see :func:`array_to_img`, also for ``data_format`` and ``scale``.
        file_format: 'png', 'jpeg', ...; told by the extension for None. An open file has none.
        kwargs: for ``PIL.Image.Image.save``: ``quality=90``.
    """
    img = array_to_img(x, data_format=data_format, scale=scale)
    kind = file_format or (os.path.splitext(os.fspath(path))[1] if isinstance(path, (str, os.PathLike)) else "")
    if img.mode == "RGBA" and kind.lower().lstrip(".") in ("jpg", "jpeg"):
        warn("[save_img] The JPG format does not support RGBA images, converting to RGB.")
        img = img.convert("RGB")
    img.save(path, format="jpeg" if file_format == "jpg" else file_format, **kwargs)


def list_pictures(directory: Any, ext: str | Iterable[str] = EXTENSIONS) -> list[str]:
    """The paths of the pictures in a folder and those below it, in the order of their names.

    Args:
        ext: extensions without the dot; a text may hold several: 'jpg|png'.
    """
    listed = ext.split("|") if isinstance(ext, str) else ext
    endings = tuple(f".{one.lower()}" for one in listed)
    return [os.path.join(root, name) for root, name in files_below(directory) if name.lower().endswith(endings)]


def files_below(directory: Any, follow_links: bool = False) -> Iterable[tuple[str, str]]:
    """(folder, name) of all files in a folder and those below it, in the order of their names.

    A link that leads back to a folder above it is not followed.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not os.path.isdir(directory):
        raise FileNotFoundError(f"[image] expected a folder; {os.fspath(directory)!r} is none. Check the path.")
    found = []
    above = {os.fspath(directory): {os.path.realpath(directory)}}  # by folder: it and those above it, links resolved
    for root, folders, names in os.walk(directory, followlinks=follow_links):
        found.append((root, names))
        if follow_links:
            here = above.pop(root)
            real = {one: os.path.realpath(os.path.join(root, one)) for one in folders}
            folders[:] = [one for one in folders if real[one] not in here]
            above.update({os.path.join(root, one): here | {real[one]} for one in folders})
    for root, names in sorted(found, key=lambda one: one[0]):
        for name in sorted(names):
            yield root, name

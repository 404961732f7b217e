"""Fashion-MNIST: 60,000 and 10,000 pictures of clothes in ten classes, as MNIST has digits (Zalando Research, 2017)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keras_compat.datasets import _files

Pictures = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]

_BASE = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_AGAIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
# Where Debian's package dataset-fashion-mnist puts the same files, packed at another time.
_DEBIAN = "/usr/share/datasets/fashion-mnist"


def _file(name: str, size: int, md5: str, content: str) -> _files.DataFile:
    return _files.DataFile(
        name=name,
        origins=(_BASE + name, _AGAIN + name),
        size=size,
        file_hash=md5,
        subdir="datasets/fashion-mnist",
        content_hash=content,
        elsewhere=(_DEBIAN,),
    )


# The MD5 sums are those that Zalando Research publishes; Keras 2.3.1 checks none.
FILES = {
    "y_train": _file(
        "train-labels-idx1-ubyte.gz",
        29_515,
        "25c81989df183df01b3e8a0aad5dffbe",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    "x_train": _file(
        "train-images-idx3-ubyte.gz",
        26_421_880,
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "y_test": _file(
        "t10k-labels-idx1-ubyte.gz",
        5_148,
        "bb300cfdad3c16e7a12a480ee83cd310",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    "x_test": _file(
        "t10k-images-idx3-ubyte.gz",
        4_422_102,
        "bef4ecab320f06d8554ea6380940ec79",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
}

# More than any of the four unfolds to.
_MOST = 64 << 20


def load_data() -> tuple[Pictures, Pictures]:
    """Return ``(x_train, y_train), (x_test, y_test)``, all uint8, of the shapes of MNIST's.

    Classes 0 to 9: T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.

    The four files lie in ``~/.keras/datasets/fashion-mnist`` (``KERAS_HOME`` moves that). They are known by their
    content, so copies that were packed anew serve; those of Debian's package ``dataset-fashion-mnist`` are found where
    it puts them.

    Raises:
        OSError: a file is not there and can not be downloaded; says what to place where.
    """
    found = {name: _idx(_files.find(file, None, "fashion_mnist.load_data")) for name, file in FILES.items()}
    return (found["x_train"], found["y_train"]), (found["x_test"], found["y_test"])


def _idx(path: str) -> npt.NDArray[np.uint8]:
    """The array of bytes in a file of MNIST's own format: 0, 0, 8, the number of axes, their lengths, the bytes."""
    data = _files.unpacked(path, _MOST)
    if data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise OSError(f"[fashion_mnist.load_data] {path} must be an idx file of bytes; it begins with {data[:4]!r}.")
    shape = np.frombuffer(data, ">u4", count=data[3], offset=4).tolist()
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3])
    if values.size != np.prod(shape):
        raise OSError(f"[fashion_mnist.load_data] {path} announces {shape} and holds {values.size:,} bytes.")
    return values.reshape(shape).copy()

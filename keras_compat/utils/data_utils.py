"""Files that data sets and pretrained weights come from: download once, check, keep in the Keras folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Sequence as Many
from typing import Any

from keras_compat.utils.archives import UnsafeArchiveError as UnsafeArchiveError
from keras_compat.utils.archives import extract_archive
from keras_compat.utils.downloads import download, hash_of, new_hash
from keras_compat.utils.enqueuers import GeneratorEnqueuer as GeneratorEnqueuer
from keras_compat.utils.enqueuers import OrderedEnqueuer as OrderedEnqueuer
from keras_compat.utils.enqueuers import SequenceEnqueuer as SequenceEnqueuer
from keras_compat.utils.enqueuers import get_index as get_index
from keras_compat.utils.enqueuers import init_pool as init_pool
from keras_compat.utils.enqueuers import init_pool_generator as init_pool_generator
from keras_compat.utils.enqueuers import next_sample as next_sample

# Keras 1 has Progbar here.
from keras_compat.utils.progbar import Progbar as Progbar
from keras_compat.utils.progbar import write_out


class Sequence:
    """Base of a source of batches with a known number of them: ``len(s)`` batches, each ``s[i]``.

    A subclass defines ``__len__`` and ``__getitem__``, which gives ``(x, y)`` or ``(x, y, sample_weight)``, and
    ``on_epoch_end`` if the batches are to change from epoch to epoch.
    """

    # Batches may be asked for in any order and by several workers: Keras knows a sequence by this.
    use_sequence_api = True

    def __getitem__(self, index: int) -> Any:
        """The batch at a place."""
        raise NotImplementedError(f"[{type(self).__name__}] a Sequence defines __getitem__(index).")

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        raise NotImplementedError(f"[{type(self).__name__}] a Sequence defines __len__().")

    def on_epoch_end(self) -> None:
        """Called after each epoch."""

    def __iter__(self) -> Iterator[Any]:
        """The batches of one epoch."""
        for index in range(len(self)):
            yield self[index]


def keras_home() -> str:
    """Return the Keras folder: the environment variable ``KERAS_HOME``, else ``~/.keras``."""
    return os.path.expanduser(os.environ.get("KERAS_HOME") or os.path.join("~", ".keras"))


def get_file(
    fname: str,
    origin: str,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Many[str] | None = "auto",
    cache_dir: str | None = None,
) -> str:
    """Return the path of a file, downloading it from ``origin`` if it is not in the cache yet.

    The file lies in ``<cache_dir>/<cache_subdir>/<fname>``; an absolute ``fname`` is taken as it is.
    A file that is there with the right hash (or with none asked for) is returned without touching the
    network. A download goes to a temporary file beside the target, is checked, and only then takes its
    place, so an interrupted or wrong one leaves an older file as it was. What a broken connection or Ctrl-C left is
    gone on with the next time, where the server can tell that the file is still the same.

    Unlike in Keras, the hash of what was downloaded is checked too, only http and https are followed (never
    from https back to http), and archives are extracted with care: see :func:`extract_archive`.

    Args:
        fname: name of the file in the cache, or an absolute path.
        origin: where it comes from, an ``http://`` or ``https://`` address.
        untar: Keras 1's word: what comes is kept as ``<fname>.tar.gz`` and extracted beside it, unless ``fname`` is
            there already; the path is that of ``fname``.
        md5_hash: the expected MD5 sum; the older spelling of ``file_hash``.
        file_hash: the expected hash, in hexadecimal.
        cache_subdir: folder below ``cache_dir``, or an absolute path.
        hash_algorithm: ``'md5'``, ``'sha256'``, or ``'auto'``: told by the length of ``file_hash``.
        extract: extract it beside, if it is an archive. The path is still that of the archive.
        archive_format: ``'tar'``, ``'zip'``, a list of these, ``'auto'`` for both or None for none.
        cache_dir: the cache; by default ``KERAS_HOME`` or ``~/.keras``.

    Raises:
        OSError: the file could not be fetched, was cut short, has the wrong hash, or can not be written; the archive
            is damaged.
        UnsafeArchiveError: the archive holds something else than files and folders below the target, or fills the
            disk. Nothing was extracted.
    """
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    if file_hash is not None:
        new_hash(file_hash, hash_algorithm)
    result = cache_path(fname, cache_subdir, cache_dir)
    path = result + ".tar.gz" if untar else result
    if not _is_there(path, file_hash, hash_algorithm):
        write_out(f"Downloading data from {origin}\n")
        download(origin, path, file_hash, hash_algorithm)
    folder = os.path.dirname(path)
    if untar:
        if not os.path.exists(result) and not extract_archive(path, folder, "tar"):
            raise OSError(f"[get_file] untar=True expected a tar archive from {origin}; got something else: {path}.")
        return result
    if extract:
        extract_archive(path, folder, archive_format)
    return path


def _is_there(path: str, file_hash: str | None, algorithm: str) -> bool:
    """Whether the file is in the cache, with the right hash if one is asked for."""
    if not os.path.isfile(path):
        return False
    if file_hash is None or validate_file(path, file_hash, algorithm):
        return True
    write_out(f"{path} does not have the hash {file_hash}: incomplete or out of date; fetching it again.\n")
    return False


def cache_path(fname: str, cache_subdir: str = "datasets", cache_dir: str | None = None) -> str:
    """Return where :func:`get_file` keeps ``fname``, whether or not the file is there."""
    base = keras_home() if cache_dir is None else os.path.expanduser(cache_dir)
    return os.path.join(base, cache_subdir, fname)


def validate_file(fpath: str, file_hash: str, algorithm: str = "auto", chunk_size: int = 65535) -> bool:
    """Tell whether a file has the given hash (hexadecimal; see :func:`get_file` for ``algorithm``)."""
    return hash_of(fpath, file_hash, algorithm, chunk_size) == file_hash.lower()

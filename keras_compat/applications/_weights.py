"""Files of pretrained weights: where Keras keeps them, how they get into a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras_compat.applications._parts import channel_axis, in_keras_1
from keras_compat.utils.data_utils import cache_path, get_file
from keras_compat.utils.layer_utils import convert_all_kernels_in_model

FOLDER = "models"


@dataclass(frozen=True)
class PublishedFile:
    """A file that Keras published: its name in the cache, its address, its MD5 sum (None where there is none)."""

    name: str
    origin: str
    md5: str | None = None

    def fetch(self, caller: str, instead: str) -> str:
        """Return the path of the file, from the cache or else from its address.

        Args:
            caller: the function that the user called, for the error.
            instead: what to do where there is no way to the file.

        Raises:
            OSError: it is not in the cache and can not be had.
        """
        try:
            return get_file(self.name, self.origin, cache_subdir=FOLDER, file_hash=self.md5)
        except OSError as error:
            place = cache_path(self.name, FOLDER)
            kind = f" (MD5 {self.md5})" if self.md5 else ""
            raise OSError(
                f"[{caller}] expected the file {place}{kind}, or a way to {self.origin}; got: {error} Copy the file "
                f"there from a machine that has it, or {instead}."
            ) from error


@dataclass(frozen=True)
class Pretrained:
    """The weights of one network: with its classifier, and without.

    ``theano_kernels``: the kernels in the file are turned by 180 degrees, as Theano wanted them.
    """

    top: PublishedFile
    no_top: PublishedFile
    theano_kernels: bool = False

    def load(self, model: Any, caller: str, include_top: bool) -> None:
        """Put the published weights into a model."""
        file = self.top if include_top else self.no_top
        model.load_weights(file.fetch(caller, "pass weights=None or the path of a file of weights"))
        if self.theano_kernels:
            convert_all_kernels_in_model(model)


def published(
    top: str, top_md5: str | None, no_top: str, no_top_md5: str | None, theano_kernels: bool = False
) -> Pretrained:
    """Return the two files of a network by their addresses; in the cache they keep the last part as their name."""

    def file(address: str, md5: str | None) -> PublishedFile:
        return PublishedFile(address.rpartition("/")[2], address, md5)

    return Pretrained(file(top, top_md5), file(no_top, no_top_md5), theano_kernels)


def by_order(tensorflow: Pretrained, theano: Pretrained) -> Pretrained:
    """Return the files for the order of images that is set: Keras 1 has its own for Theano's."""
    return theano if in_keras_1() and channel_axis() == 1 else tensorflow

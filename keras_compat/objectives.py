"""Keras 1's name for :mod:`keras_compat.losses`: the very same objects."""

from keras_compat import losses as _losses
from keras_compat.losses import *  # noqa: F403
from keras_compat.utils.generic_utils import get_from_module as get_from_module

__all__ = [_name for _name in vars(_losses) if not _name.startswith("_")]

"""Keras 2's module path for what it kept of Keras 1."""

from . import interfaces as interfaces
from . import layers as layers

"""Data sets by the names Keras gave them; each is a module with ``load_data()``."""

from . import digits5k as digits5k
from . import mnist as mnist

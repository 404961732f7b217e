"""Data sets by the names Keras gave them; each is a module with ``load_data()``."""

from . import boston_housing as boston_housing
from . import cifar as cifar
from . import cifar10 as cifar10
from . import cifar100 as cifar100
from . import data_utils as data_utils
from . import digits5k as digits5k
from . import fashion_mnist as fashion_mnist
from . import imdb as imdb
from . import mnist as mnist
from . import reuters as reuters

"""Layers, graphs of layers, and their training."""

from .input_layer import Input as Input
from .input_layer import InputLayer as InputLayer
from .layer import InputSpec as InputSpec
from .layer import Layer as Layer
from .network import Network as Network
from .node import Node as Node
from .sequential import Sequential as Sequential
from .training import Model as Model

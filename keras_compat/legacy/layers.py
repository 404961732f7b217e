"""Layers of Keras 1 that Keras 2 has under other names, or not at all."""

from keras_compat.dialect.legacy_convolutions import AtrousConvolution1D as AtrousConvolution1D
from keras_compat.dialect.legacy_convolutions import AtrousConvolution2D as AtrousConvolution2D
from keras_compat.dialect.legacy_layers import Highway as Highway
from keras_compat.dialect.legacy_layers import MaxoutDense as MaxoutDense
from keras_compat.dialect.legacy_layers import Merge as Merge
from keras_compat.layers import ConvRecurrent2D as ConvRecurrent2D
from keras_compat.layers import Recurrent as Recurrent

"""Configs and compile settings of every line of Keras in the words of 2.3.1: pure functions on what JSON holds."""

from __future__ import annotations

from keras_compat.saving.layer_configs import is_later as is_later
from keras_compat.saving.layer_configs import line_of as line_of
from keras_compat.saving.layer_configs import to_ours as to_ours
from keras_compat.saving.layer_configs import writer_of as writer_of
from keras_compat.saving.training_configs import training_to_ours as training_to_ours

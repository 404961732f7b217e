"""Where Keras 2.3 defined its callbacks: all names of :mod:`keras_compat.callbacks` but TensorBoard's."""

from keras_compat.callbacks.base import Callback as Callback
from keras_compat.callbacks.base import CallbackList as CallbackList
from keras_compat.callbacks.checkpoints import ModelCheckpoint as ModelCheckpoint
from keras_compat.callbacks.loggers import BaseLogger as BaseLogger
from keras_compat.callbacks.loggers import History as History
from keras_compat.callbacks.loggers import LambdaCallback as LambdaCallback
from keras_compat.callbacks.loggers import ProgbarLogger as ProgbarLogger
from keras_compat.callbacks.streams import CSVLogger as CSVLogger
from keras_compat.callbacks.streams import RemoteMonitor as RemoteMonitor
from keras_compat.callbacks.watching import EarlyStopping as EarlyStopping
from keras_compat.callbacks.watching import LearningRateScheduler as LearningRateScheduler
from keras_compat.callbacks.watching import ReduceLROnPlateau as ReduceLROnPlateau
from keras_compat.callbacks.watching import TerminateOnNaN as TerminateOnNaN

"""Runs inside a genuine Keras (Python 3.7): files of weights of its `applications`, and what the networks predict then.

    python write_application_weights.py folder name ...

The names are those of the cases in `write_applications.py` beside it. For each, `name.h5` has the weights that are
drawn there, and `name.npy` the prediction.
"""

import importlib
import os
import sys
import warnings

import keras
import numpy as np
from write_applications import cases, predict


def main(folder, names):
    warnings.simplefilter("ignore")
    known = cases(keras.__version__ < "2")
    for name in names:
        module, function, arguments, _, shown = known[name]
        model = getattr(importlib.import_module("keras.applications." + module), function)(weights=None, **arguments)
        np.save(os.path.join(folder, name + ".npy"), predict(model, shown))
        model.save_weights(os.path.join(folder, name + ".h5"))
        keras.backend.clear_session()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

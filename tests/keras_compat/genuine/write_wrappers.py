"""Runs inside a genuine Keras: says what its scikit-learn wrappers do.

    python write_wrappers.py out.json

The files are `tests/keras_compat/golden/wrappers/keras-*.json`. The functions know nothing of which Keras they are
given: `test_wrappers.py` asks ours with them.
"""

import json
import sys

import numpy as np

LABELS = [2, 0, 1, 1, 0, 2, 2, 1, 0, 0, 1, 2]


def rows():
    """Twelve samples of three features, the same everywhere."""
    return np.sin(np.arange(36.0)).reshape(12, 3)


def drawn(model):
    """Give a model weights that are the same everywhere."""
    model.set_weights([np.cos(np.arange(w.size) + i).reshape(w.shape) / 2 for i, w in enumerate(model.get_weights())])
    return model


def maker(keras, units, last, loss, metrics=("accuracy",)):
    """A function that builds a network of three inputs; its argument is the width of the layer between."""

    def build(hidden=4):
        model = keras.models.Sequential()
        model.add(keras.layers.Dense(hidden, input_dim=3, activation="tanh"))
        model.add(keras.layers.Dense(units, activation=last))
        model.compile(optimizer="sgd", loss=loss, metrics=list(metrics))
        return drawn(model)

    return build


class Called:
    """Builds when it is called."""

    def __init__(self, build):
        self.build = build

    def __call__(self, hidden=3):
        return self.build(hidden)

    def method(self, hidden=2):
        return self.build(hidden)


def plain(value):
    """Numbers as JSON has them."""
    return np.asarray(value).tolist()


def attempt(function):
    """The value, or the class and text of the error."""
    try:
        return {"value": plain(function())}
    except Exception as error:  # whichever it is, the other Keras is to raise it too
        return {"error": type(error).__name__, "text": str(error)}


def classifier(keras, build, x, y, **fit):
    """What a classifier says after a training without chance."""
    made = keras.wrappers.scikit_learn.KerasClassifier(build, batch_size=5, verbose=0)
    history = made.fit(x, y, shuffle=False, **fit).history
    return {
        "loss": plain(history["loss"]),
        "classes": plain(getattr(made, "classes_", [])),
        "predict": attempt(lambda: np.asarray(made.predict(x, verbose=0)).reshape(len(x))),
        "proba": attempt(lambda: made.predict_proba(x, verbose=0)),
        "score": attempt(lambda: made.score(x, y, verbose=0)),
    }


def values(keras):
    """All that is compared."""
    x, y, epochs = rows(), np.array(LABELS), {"nb_epoch": 3}
    wrappers = keras.wrappers.scikit_learn
    found = {}
    softmax = maker(keras, 3, "softmax", "categorical_crossentropy")
    sparse = maker(keras, 3, "softmax", "sparse_categorical_crossentropy")
    sigmoid = maker(keras, 1, "sigmoid", "binary_crossentropy")
    found["softmax"] = classifier(keras, softmax, x, y, **epochs)
    found["one-hot"] = classifier(keras, softmax, x, np.eye(3)[y], **epochs)
    found["sparse"] = classifier(keras, sparse, x, y, **epochs)
    found["sigmoid"] = classifier(keras, sigmoid, x, (y > 0).astype(int), **epochs)
    found["weighted"] = classifier(keras, sigmoid, x, (y > 0).astype(int), sample_weight=np.arange(12.0), **epochs)
    found["balanced"] = classifier(keras, sigmoid, x, (y > 0).astype(int), class_weight={0: 3.0, 1: 0.5}, **epochs)
    found["no accuracy"] = classifier(keras, maker(keras, 3, "softmax", "categorical_crossentropy", ()), x, y, **epochs)
    if not keras.__version__.startswith("1"):  # there labels are their own numbers
        found["texts"] = classifier(keras, softmax, x, np.array(["b", "a", "c"])[y], **epochs)
        found["numbers"] = classifier(keras, softmax, x, y * 10 + 5, **epochs)

    for name, units in (("regressor", 1), ("several", 2)):
        made = wrappers.KerasRegressor(maker(keras, units, "linear", "mse", ()), batch_size=5, verbose=0)
        target = x[:, 0] if units == 1 else x[:, :2]
        history = made.fit(x, target, shuffle=False, **epochs).history
        found[name] = {
            "loss": plain(history["loss"]),
            "predict": plain(made.predict(x, verbose=0)),
            "score": made.score(x, target, verbose=0),
        }
    measured = wrappers.KerasRegressor(maker(keras, 1, "linear", "mse", ("mae",)), batch_size=5, verbose=0)
    measured.fit(x, x[:, 0], shuffle=False, **epochs)
    found["measured"] = measured.score(x, x[:, 0], verbose=0)

    # Ways to build, and which parameters go where.
    called = Called(sigmoid)

    class Own(wrappers.KerasClassifier):
        def __call__(self, hidden):
            return sigmoid(hidden)

    widths = {}
    for name, build, made in (
        ("function", sigmoid, wrappers.KerasClassifier),
        ("method", called.method, wrappers.KerasClassifier),
        ("instance", called, wrappers.KerasClassifier),
        ("subclass", None, Own),
    ):
        one = made(build, hidden=6, batch_size=5, verbose=0)
        one.fit(x, y > 0, **epochs)
        widths[name] = one.model.layers[-1].get_weights()[0].shape[0]
        one.set_params(hidden=7)
        one.fit(x, y > 0, **epochs)
        widths[name + " set"] = one.model.layers[-1].get_weights()[0].shape[0]
    found["widths"] = widths
    one = wrappers.KerasClassifier(sigmoid, hidden=6, batch_size=5, verbose=0)
    fit, predict = keras.models.Sequential.fit, keras.models.Sequential.predict
    found["filtered"] = {
        "build": one.filter_sk_params(sigmoid),
        "fit": one.filter_sk_params(fit),
        "predict": one.filter_sk_params(predict, {"batch_size": 7, "other": 1}),
        "params": sorted(one.get_params()),
    }
    found["errors"] = {
        "constructor": attempt(lambda: wrappers.KerasClassifier(sigmoid, hiden=6)),
        "set_params": attempt(lambda: one.set_params(hiden=6)),
        "shape": attempt(lambda: one.fit(x, np.zeros((12, 3, 2)))),
        "empty": attempt(lambda: wrappers.KerasRegressor(sigmoid).predict(x)),
    }
    return found


if __name__ == "__main__":
    import keras
    import keras.wrappers.scikit_learn

    with open(sys.argv[1], "w") as stream:
        json.dump({"keras": keras.__version__, "values": values(keras)}, stream, indent=0, sort_keys=True)
        stream.write("\n")

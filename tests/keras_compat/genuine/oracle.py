"""Runs inside a genuine Keras (Python 3.7): reads files, predicts, trains on, and writes down what came out.

    python oracle.py jobs.json

``jobs.json`` is a list of {"name", "file", "data", "out"} with, at choice, "fit" (arguments), "code" (what builds the
network, for a file of weights), "functions" (code of custom objects) and "custom_objects" (their names). ``data`` is an
.npz with ``x0...`` and ``y0...``. Into ``out``, an .npz, go the predictions ``pred0...``, and with "fit" the history
and ``predf0...``; ``out + '.again.h5'`` is what ``save`` writes then. An error goes into the file ``out + '.error'``.
"""

import json
import os
import sys
import traceback

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import backend as K
from keras import optimizers
from keras.models import load_model


def listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def single(values):
    return values[0] if len(values) == 1 else values


def numbered(data, prefix):
    names = [n for n in data.files if n.startswith(prefix) and n[len(prefix) :].isdigit()]
    return [data[n] for n in sorted(names, key=lambda n: int(n[len(prefix) :]))]


class Average:
    """An update of a moving average that is yet to be made, by Keras 2.3's formula."""

    def __init__(self, x, value, momentum):
        self.x, self.value, self.momentum = x, value, momentum


def in_turn(updates):
    """Updates, those of one average each after the other: of a layer that is called twice TensorFlow 1 knows no order.

    Two runs of genuine Keras would differ. What is listed twice is done once, as an operation of a graph is.
    """
    import tensorflow as tf

    last, made = {}, []
    for update in dict.fromkeys(updates):
        if isinstance(update, Average):
            x, value = update.x, tf.cast(update.value, update.x.dtype.base_dtype)
            with tf.control_dependencies(last.get(id(x), [])):
                update = tf.assign_sub(x, (x.read_value() - value) * (1.0 - update.momentum))
            last[id(x)] = [update]
        made.append(update)
    return made


def values_before_updates():
    """TensorFlow 1 may assign a variable while something still reads it: all new values first, then all assignments."""
    import tensorflow as tf

    def in_pairs(get_updates):
        def with_pairs(*args, **kwargs):
            before = K.update, K.update_add, K.update_sub
            K.update = lambda x, new_x: (x, new_x)
            K.update_add = lambda x, increment: (x, x + increment)
            K.update_sub = lambda x, decrement: (x, x - decrement)
            try:
                return get_updates(*args, **kwargs)
            finally:
                K.update, K.update_add, K.update_sub = before

        return with_pairs

    for thing in list(vars(optimizers).values()):
        if isinstance(thing, type) and "get_updates" in vars(thing):
            thing.get_updates = in_pairs(thing.get_updates)
    plain = K.function

    def function(inputs, outputs, updates=None, **kwargs):
        updates = in_turn(updates or ())
        pairs = [u for u in updates if isinstance(u, tuple)]
        others = [u for u in updates if not isinstance(u, tuple)]
        values = tf.tuple([tf.convert_to_tensor(new) for _, new in pairs]) if pairs else []
        return plain(inputs, outputs, updates=[(p, new) for (p, _), new in zip(pairs, values)] + others, **kwargs)

    K.function = function
    if keras.__version__.startswith("2.3"):
        K.moving_average_update = Average


def run(job):
    if K.backend() == "tensorflow":
        K.clear_session()
    with np.load(job["data"], allow_pickle=False) as data:
        x, y = numbered(data, "x"), numbered(data, "y")
    if "code" in job:
        space = {"np": np}
        exec(job["code"], space)
        model = space["model"]
        model.load_weights(job["file"], **({"by_name": True} if job.get("by_name") else {}))
    else:
        space = {"K": K, "np": np}
        exec(job.get("functions", ""), space)
        given = {k: v for k, v in space.items() if k in job.get("custom_objects", ())}
        model = load_model(job["file"], custom_objects=given or None)
    size = job.get("batch_size", 4)
    out = {}

    def predict(prefix):
        if getattr(model, "stateful", False):
            model.reset_states()
        for i, value in enumerate(listed(model.predict(single(x), batch_size=size))):
            out[f"{prefix}{i}"] = value

    predict("pred")
    if "fit" in job:
        if getattr(model, "stateful", False):
            model.reset_states()
        history = model.fit(single(x), single(y), batch_size=size, shuffle=False, verbose=0, **job["fit"]).history
        for name, values in history.items():
            out["history_" + name] = np.asarray(values)
        predict("predf")
        model.save(job["out"] + ".again.h5")
    np.savez(job["out"], **out)


def main():
    if K.backend() == "tensorflow":
        values_before_updates()
    with open(sys.argv[1]) as f:
        jobs = json.load(f)
    for job in jobs:
        try:
            run(job)
        except Exception:
            with open(job["out"] + ".error", "w") as f:
                f.write(traceback.format_exc())
    print("keras", keras.__version__, K.backend(), len(jobs))


if __name__ == "__main__":
    main()

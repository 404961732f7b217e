"""Runs inside a genuine Keras 1 or 2 (Python 3.7): reads files, predicts, trains on, and writes down what came out.

    python oracle.py jobs.json

``jobs.json`` is a list of {"name", "file", "data", "out"} with, at choice, "fit" (arguments), "code" (what builds the
network, for a file of weights), "by_name". ``data`` is an .npz with ``x0...`` and ``y0...``. Into ``out``, an .npz, go the
predictions ``pred0...``, and with "fit" ``loss`` and ``predf0...`` and, if that is not where it ends, what ``save`` writes
is put beside it (``.again.h5``). An error goes into the file ``out + '.error'``.
"""

import json
import os
import sys
import traceback

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
from keras import backend as K  # noqa: E402
from keras.models import load_model  # noqa: E402


def listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


def single(values):
    return values[0] if len(values) == 1 else values


def numbered(data, prefix):
    names = [n for n in data.files if n.startswith(prefix) and n[len(prefix) :].isdigit()]
    return [data[n] for n in sorted(names, key=lambda n: int(n[len(prefix) :]))]


def values_before_updates():
    """TensorFlow 1 may assign a variable while something still reads it: all new values first, then all assignments."""
    import tensorflow as tf

    K.update = lambda x, new_x: (x, new_x)
    K.update_add = lambda x, increment: (x, x + increment)
    K.update_sub = lambda x, decrement: (x, x - decrement)
    plain = K.function

    def function(inputs, outputs, updates=None, **kwargs):
        pairs = [u for u in updates or () if isinstance(u, tuple)]
        others = [u for u in updates or () if not isinstance(u, tuple)]
        values = tf.tuple([tf.convert_to_tensor(new) for _, new in pairs]) if pairs else []
        return plain(inputs, outputs, updates=[(p, new) for (p, _), new in zip(pairs, values)] + others, **kwargs)

    K.function = function


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
            out["%s%d" % (prefix, i)] = value

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

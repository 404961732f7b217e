"""Runs inside a genuine Keras (Python 3.7): builds and trains networks that are given as text.

    python genuine_programs.py FOLDER

``FOLDER/jobs.json`` is a list of {"name", "lines", "compiling", "batch_size", "epochs"}; beside it lie ``name.npz``
with inputs ``x0...``, targets ``y0...``, first weights ``w0...`` and what weighs samples. Into ``name.out.npz`` go
predictions, what ``evaluate`` says, losses and metrics of two epochs, and predictions and weights then; an error into
``name.error``.
"""

import json
import os
import sys
import traceback

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "keras_compat", "genuine"))
import oracle  # TensorFlow's order of updates is made that of Theano there
from keras import backend as K


def single(values):
    return values[0] if len(values) == 1 else values


def run(folder, job):
    if K.backend() == "tensorflow":
        K.clear_session()
    path = os.path.join(folder, job["name"])
    with np.load(path + ".npz") as data:
        x, y, w = (oracle.numbered(data, prefix) for prefix in ("x", "y", "w"))
        s = oracle.numbered(data, "s")
    space = {"np": np}
    for line in [*job["head"], *job["lines"]]:
        exec(line, space)
    model = space["model"]
    exec("model.compile({})".format(job["compiling"]), space)
    shapes = [v.shape for v in model.get_weights()]
    if shapes != [v.shape for v in w]:
        raise ValueError(f"weights of the shapes {shapes}")
    model.set_weights(w)
    size = job["batch_size"]
    out = {}

    def predict(suffix):
        for i, value in enumerate(oracle.listed(model.predict(single(x), batch_size=size))):
            out[f"prediction {i}{suffix}"] = value

    predict("")
    weights = {"sample_weight": single(s)} if s else {}
    out["evaluated"] = np.asarray(model.evaluate(single(x), single(y), batch_size=size, verbose=0, **weights))
    if job["class_weight"]:
        weights["class_weight"] = {int(k): v for k, v in job["class_weight"].items()}
    weights[job["epochs"]] = 2
    history = model.fit(single(x), single(y), batch_size=size, shuffle=False, verbose=0, **weights).history
    for name, values in history.items():
        out["history " + name] = np.asarray(values)
    predict(" then")
    for i, value in enumerate(model.get_weights()):
        out[f"weight {i} then"] = value
    np.savez(path + ".out.npz", **out)


def main():
    if K.backend() == "tensorflow":
        oracle.values_before_updates()
    folder = sys.argv[1]
    with open(os.path.join(folder, "jobs.json")) as f:
        jobs = json.load(f)
    for job in jobs:
        try:
            run(folder, job)
        except Exception:
            with open(os.path.join(folder, job["name"] + ".error"), "w") as f:
                f.write(traceback.format_exc())


if __name__ == "__main__":
    main()

"""Runs inside genuine Keras 2.3.1 (Python 3.7, TensorFlow 1.15) and writes what it writes for TensorBoard.

    python write_summaries.py file.json

Into the file go TensorFlow's histograms and pictures of given arrays, and what Keras's callback tells of a training.
"""

import glob
import json
import os
import sys
import tempfile

import keras
import numpy as np
import tensorflow as tf

HISTOGRAMS = {
    "values": [0, 0, 1, -1, 2.5, 1e-13, -1e-13, 1e30, -1e30, 3.4e38, 1e-12, 1.1e-12],
    "one": [0.25],
    "zeros": [0, 0, 0],
    "none": [],
    "line": np.linspace(-3, 7, 101).tolist(),
    "small": (np.random.RandomState(1).standard_normal(200) * 1e-3).tolist(),
}
NAN, INFINITE = float("nan"), float("inf")
PICTURES = {
    "positive": [[0, 1, 2.5], [3, 4, 5]],
    "both": [[0, -1, 2.5], [3, -4, 5]],
    "nearly nothing": [[0, 1e-8, 0], [0, 0, 0]],
    "broken": [[0, NAN, 1], [INFINITE, 2, 1]],
    "broken below": [[-1, NAN, 1], [-INFINITE, 2, 1]],
    "coloured": [[[0, 0.5, 1], [1, -2, 0]], [[NAN, 0, 0], [0.25, 0.5, 0.75]]],
}


def histograms(session):
    """Return TensorFlow's histograms."""
    values = tf.placeholder(tf.float32, [None])
    summary = tf.summary.histogram("x", values)
    found = {}
    for name, numbers in HISTOGRAMS.items():
        histo = tf.Summary.FromString(session.run(summary, {values: np.float32(numbers)})).value[0].histo
        found[name] = {
            "of": numbers,
            "limits": list(histo.bucket_limit),
            "counts": list(histo.bucket),
            "numbers": [histo.min, histo.max, histo.num, histo.sum, histo.sum_squares],
        }
    return found


def pictures(session):
    """Return the bytes that TensorFlow makes of pictures, and the tag of the first."""
    found = {}
    for name, numbers in PICTURES.items():
        array = np.float32(numbers)
        array = array.reshape((1,) + array.shape + (() if array.ndim == 3 else (1,)))
        value = tf.Summary.FromString(session.run(tf.summary.image("x", tf.constant(array)))).value[0]
        shades = session.run(tf.image.decode_png(value.image.encoded_image_string))
        found[name] = {"of": numbers, "shades": shades.tolist(), "tag": value.tag, "channels": value.image.colorspace}
    return found


def model():
    """Return a model with weights of all ranks."""
    network = keras.models.Sequential(
        [
            keras.layers.Embedding(20, 4, input_length=6, name="words"),
            keras.layers.Conv1D(2, 3, name="conv"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(8, activation="relu", name="first"),
            keras.layers.Dropout(0.5, name="drop"),
            keras.layers.Dense(3, activation="softmax", name="second"),
        ]
    )
    network.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return network


def told(folder, **arguments):
    """Return what the callback writes: step, tag and kind of each value, sorted."""
    random = np.random.RandomState(0)
    x, y = random.randint(0, 20, (40, 6)), np.eye(3)[random.randint(0, 3, 40)]
    callback = keras.callbacks.TensorBoard(folder, embeddings_data=x[:10], **arguments)
    model().fit(x, y, batch_size=16, epochs=3, validation_split=0.25, verbose=0, callbacks=[callback])
    found = []
    for path in glob.glob(os.path.join(folder, "*tfevents*")):
        for event in tf.train.summary_iterator(path):
            for value in event.summary.value:
                found.append([event.step, value.tag, value.WhichOneof("value")])
    return sorted(found)


def main():
    session = keras.backend.get_session()
    found = {"histograms": histograms(session), "pictures": pictures(session), "trainings": {}}
    settings = {
        "all": {"histogram_freq": 2, "write_grads": True, "write_images": True, "embeddings_freq": 1},
        "batches": {"update_freq": "batch"},
        "samples": {"update_freq": 20, "write_graph": False},
    }
    for name, arguments in settings.items():
        keras.backend.clear_session()
        with tempfile.TemporaryDirectory() as folder:
            found["trainings"][name] = {"arguments": arguments, "told": told(folder, **arguments)}
            if name == "all":
                with open(os.path.join(folder, "projector_config.pbtxt")) as file:
                    found["projector"] = file.read()
    with open(sys.argv[1], "w") as file:
        json.dump(found, file, separators=(",", ":"), sort_keys=True)
        file.write("\n")


if __name__ == "__main__":
    main()

"""Runs inside genuine Keras 0.3.3 on Theano (Python 3.7): makes networks and writes their configs and weights.

    python write_files_0x.py folder

Into ``folder`` go for each network ``name.json`` (``to_json``), ``name.h5`` (``save_weights``) and ``name.npz`` (inputs
``x0...``, predictions ``pred0...``; of a Graph in the order of ``index.json``), and ``index.json``.
"""

import json
import os
import sys

import keras
import numpy as np

IMPORTS = """
from keras.layers.core import *
from keras.layers.convolutional import *
from keras.layers.recurrent import *
from keras.layers.embeddings import *
from keras.layers.advanced_activations import *
from keras.layers.normalization import *
from keras.models import Graph, Sequential
"""
CHAINS = {
    "mlp": [
        (5,),
        "Dense(4, input_dim=5, activation='tanh', W_regularizer='l2')",
        "Dropout(0.0)",
        "Dense(3, init='normal')",
    ],
    "maxout": [(5,), "MaxoutDense(4, nb_feature=3, input_dim=5)", "Dense(2)"],
    "highway": [(5,), "Highway(activation='tanh', input_dim=5)", "Dense(2)"],
    "activations": [(5,), "Dense(4, input_dim=5)", "LeakyReLU(0.2)", "PReLU()", "ELU(0.7)", "ParametricSoftplus()"],
    "thresholds": [(5,), "Dense(4, input_dim=5)", "ThresholdedReLU(0.2)", "ThresholdedLinear(0.1)", "SReLU()"],
    "normalized": [(5,), "Dense(4, input_dim=5)", "BatchNormalization(epsilon=0.01)", "Dense(2)"],
    "normalized_mode_1": [(5,), "Dense(4, input_dim=5)", "BatchNormalization(mode=1)", "Dense(2)"],
    "pictures": [
        (2, 7, 6),
        "Convolution2D(3, 2, 3, input_shape=(2, 7, 6), activation='relu')",
        "MaxPooling2D((2, 2))",
        "ZeroPadding2D((1, 1))",
        "Convolution2D(2, 2, 2, subsample=(2, 1))",
        "UpSampling2D((2, 1))",
        "Flatten()",
        "Dense(2)",
    ],
    "pictures_last": [
        (7, 6, 2),
        "Convolution2D(3, 2, 3, dim_ordering='tf', input_shape=(7, 6, 2))",
        "AveragePooling2D((2, 2), dim_ordering='tf')",
        "Flatten()",
        "Dense(2)",
    ],
    "convolution1d": [(8, 3), "Convolution1D(4, 3, input_shape=(8, 3))", "MaxPooling1D(2)", "Flatten()", "Dense(2)"],
    "lstm": [(5, 3), "LSTM(4, return_sequences=True, input_shape=(5, 3))", "LSTM(3, go_backwards=True)", "Dense(2)"],
    "gru": [
        (5, 3),
        "GRU(4, return_sequences=True, input_shape=(5, 3))",
        "GRU(3, inner_activation='sigmoid')",
        "Dense(2)",
    ],
    "simple_rnn": [(5, 3), "SimpleRNN(4, input_shape=(5, 3), activation='tanh')", "Dense(2)"],
    "words": [("whole", 6), "Embedding(11, 4, input_length=6, mask_zero=True)", "LSTM(3)", "Dense(2)"],
    "time_distributed": [
        (4, 3),
        "TimeDistributedDense(4, input_shape=(4, 3))",
        "TimeDistributedMerge('ave')",
        "Dense(2)",
    ],
    "reshaped": [
        (12,),
        "Reshape((3, 4), input_shape=(12,))",
        "Permute((2, 1))",
        "Flatten()",
        "RepeatVector(2)",
        "GRU(2)",
    ],
    "nested": [(5,), "Sequential([Dense(4, input_dim=5), Activation('tanh'), Dense(3)])", "Dense(2, input_dim=3)"],
}
GRAPHS = {
    "graph": (
        {"a": (4,), "b": (3,)},
        """
model = Graph()
model.add_input('a', input_shape=(4,))
model.add_input('b', input_shape=(3,))
model.add_node(Dense(4, activation='tanh'), name='left', input='a')
model.add_node(Dense(4), name='right', input='b')
model.add_node(Dense(3), name='joint', inputs=['left', 'right'], merge_mode='mul')
model.add_node(Dense(2), name='wide', inputs=['left', 'right'], merge_mode='concat')
model.add_output(name='first', input='joint')
model.add_output(name='second', inputs=['wide', 'left'], merge_mode='concat')
""",
    ),
    "graph_shared": (
        {"a": (4,), "b": (4,)},
        """
model = Graph()
model.add_input('a', input_shape=(4,))
model.add_input('b', input_shape=(4,))
model.add_shared_node(Dense(3, activation='tanh'), name='same', inputs=['a', 'b'], merge_mode='sum')
model.add_node(Dense(2), name='end', input='same')
model.add_output(name='out', input='end')
""",
    ),
}


def numbers(rng, shape):
    if shape[0] == "whole":
        return rng.randint(0, 11, size=(8, *shape[1:])).astype("int32")
    return rng.normal(size=(8, *shape)).astype("float32")


def write(folder, number, name, shapes, code, outputs):
    rng = np.random.RandomState(number)
    space = {}
    exec(IMPORTS + code, space)
    model = space["model"]
    config = model.to_json()
    model.compile("sgd", dict.fromkeys(outputs, "mse") if outputs else "mse")
    # Those of a Graph are in its groups; positive where all were: deviations and scales.
    for layer in model.nodes.values() if outputs else model.layers:
        weights = layer.get_weights()
        new = [rng.uniform(0.1, 0.6, size=w.shape) * rng.choice([1, -1], size=w.shape) for w in weights]
        layer.set_weights([np.abs(n) if (w > 0.5).all() else n for n, w in zip(new, weights)])
    x = [numbers(rng, s) for s in (shapes.values() if outputs else [shapes])]
    if outputs:
        made = model.predict(dict(zip(shapes, x)))
        predictions = [np.asarray(made[o]) for o in outputs]
    else:
        predictions = [np.asarray(model.predict(x[0]))]
    model.save_weights(os.path.join(folder, name + ".h5"), overwrite=True)
    with open(os.path.join(folder, name + ".json"), "w") as f:
        f.write(config)
    arrays = {f"x{i}": v for i, v in enumerate(x)}
    arrays.update({f"pred{i}": v for i, v in enumerate(predictions)})
    np.savez(os.path.join(folder, name + ".npz"), **arrays)
    return {"name": name, "code": code, "inputs": list(shapes) if outputs else None, "outputs": outputs}


def main():
    folder = sys.argv[1]
    done, failed = [], {}
    known = [
        (n, s, "model = Sequential()\n" + "".join(f"model.add({p})\n" for p in parts), None)
        for n, (s, *parts) in CHAINS.items()
    ]
    known += [(n, s, code, ["first", "second"] if "'first'" in code else ["out"]) for n, (s, code) in GRAPHS.items()]
    for number, case in enumerate(known):
        try:
            done.append(write(folder, number, *case))
        except Exception as error:
            failed[case[0]] = f"{type(error).__name__}: {str(error)[:300]}"
    with open(os.path.join(folder, "index.json"), "w") as f:
        json.dump({"done": done, "failed": failed}, f, indent=1)
    print("keras", keras.__version__, len(done), "written", len(failed), "not")


if __name__ == "__main__":
    main()

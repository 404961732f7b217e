"""``convert``: a file of one Keras as a file of another, which is written only if it predicts the same."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import h5py
import numpy as np

from keras_compat import backend as K
from keras_compat.commands import files
from keras_compat.commands.diff import largest_difference
from keras_compat.engine.layer import shape_of
from keras_compat.layers import Embedding
from keras_compat.models import model_from_config
from keras_compat.saving import models
from keras_compat.saving.atomic import write_atomically
from keras_compat.saving.stored import OWN_WORDS

# How far apart predictions may be.
TOLERANCE = 1e-6
# Sizes to try for axes of unknown length, for networks that shrink what they get.
_LENGTHS = (8, 32, 64, 224)
_SAMPLES = 4


def add(commands: Any) -> None:
    """Describe the command to argparse."""
    parser = commands.add_parser(
        "convert",
        help="a file of one Keras as a file of another, checked by predictions",
        description="Read a file of a model or of weights of any Keras and write it for another. What was written is "
        "read again, and must predict the same on random inputs as the original; else nothing is kept. Status 0: "
        "written; 1: not written; 2: wrong use.",
    )
    parser.add_argument("input", metavar="IN")
    parser.add_argument("output", metavar="OUT", help="where there are two formats its ending chooses: .h5 or .keras")
    parser.add_argument("--to", required=True, choices=models.TARGETS, help="which Keras is to read it")
    parser.add_argument(
        "--original-backend",
        choices=("theano", "tensorflow"),
        help="which backend wrote IN, where the file does not say: Theano's kernels are turned",
    )
    parser.add_argument("--model", metavar="CONFIG", help="the model's config (.json, .yaml), if IN has weights only")
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Convert; 1 where the file can not be read or written, or does not predict the same."""
    try:
        difference = convert(
            options.input, options.output, options.to, original_backend=options.original_backend, config=options.model
        )
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.output}: written for {options.to}; largest difference of predictions {difference:.3g}")
    return 0


def convert(
    source: str, target: str, to: str, *, original_backend: str | None = None, config: str | None = None
) -> float:
    """Write the file ``target`` for another Keras; return the largest difference of its predictions.

    Args:
        to: 'keras1', 'keras2', 'tfkeras' or 'keras3'.
        original_backend: 'theano' or 'tensorflow', where ``source`` does not say which wrote it.
        config: file of the model's config, where ``source`` holds weights only; then ``target`` does as well.

    Raises:
        ValueError: the file needs a config, or what was written does not predict the same. ``target`` is untouched.
        CorruptFileError, UnsafeModelError: a file can not be read.
        OSError: ``target`` can not be written.
    """
    with files.read(source) as stored:
        whole = stored.config is not None
    if stored.layout == "config":
        raise ValueError(f"[convert] {source} holds a config and no weights. Configs need no conversion.")
    if not whole and config is None:
        raise ValueError(f"[convert] {source} holds weights only. Give the model's config: --model config.json.")
    K.reset_uids()  # models without a name are named as in a new process
    original = _model(source, None if whole else config, original_backend)
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, os.path.basename(target))
        if whole and not target.endswith(".weights.h5"):
            models.save_model(original, copy, to=to)
            difference = _checked(original, lambda: _model(copy, None), f"[convert] the copy for {to}")
            bare = os.path.join(folder, f"bare-{os.path.basename(target)}")
            if _without_own_words(copy, bare):
                what = f"[convert] the copy for {to}, as readers other than this package see it,"
                difference = max(difference, _checked(original, lambda: _model(bare, None), what))
        else:
            models.save_weights(original, copy, to=to)
            difference = _checked(original, lambda: _from_config(original, copy), f"[convert] the copy for {to}")
        with open(copy, "rb") as stream:
            data = stream.read()

    def write(raw: BinaryIO) -> None:
        raw.write(data)

    write_atomically(target, write)
    return difference


def _checked(original: Any, load: Callable[[], Any], what: str) -> float:
    """The largest difference of predictions of a copy. Raises ValueError where it is too large, or the copy fails."""
    try:
        difference = compare(original, load())
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise ValueError(f"{what} can not be checked: {error} Nothing was written.") from error
    if not difference <= TOLERANCE:
        raise ValueError(
            f"{what} predicts other numbers, by {difference:.3g} at most; at most {TOLERANCE} is taken for the same. "
            "Nothing was written: some layer means something else there."
        )
    return difference


def _model(path: str, config: str | None, original_backend: str | None = None) -> Any:
    """The model in a file; of a config, with the weights in the file."""
    if config is None:
        return models.load_model(path, original_backend=original_backend)
    model = model_from_config(files.read_config(config))
    models.load_weights(model, path, original_backend=original_backend)
    return model


def _without_own_words(path: str, bare: str) -> bool:
    """Copy a file as other readers see it: without what this package put beside their config; False if nothing was."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if OWN_WORDS not in names:
                return False
            with zipfile.ZipFile(bare, "w") as out:
                for name in names:
                    if name != OWN_WORDS:
                        out.writestr(name, archive.read(name))
        return True
    with h5py.File(path, "r") as file:
        if OWN_WORDS not in file.attrs:
            return False
    shutil.copyfile(path, bare)
    with h5py.File(bare, "r+") as file:
        del file.attrs[OWN_WORDS]
    return True


def _from_config(model: Any, weights: str) -> Any:
    """A new model like one that there is, with weights from a file."""
    again = type(model).from_config(model.get_config())
    if not again.built:
        again.build(shape_of(model.inputs[0]))
    models.load_weights(again, weights)
    return again


# -- the check --------------------------------------------------------------------------------------------------------


def compare(a: Any, b: Any) -> float:
    """The largest difference of two models' predictions on random inputs that both can take; infinite for NaN.

    Raises:
        ValueError: no inputs were found that the first model can take.
    """
    problem: Exception | None = None
    for length in _LENGTHS:
        inputs = random_inputs(a, length)
        try:
            expected = _predictions(a, inputs)
        except (ValueError, TypeError) as error:
            problem = problem or error
            continue
        if not all(np.isfinite(one).all() for one in expected):
            raise ValueError("[convert] the original predicts NaN or infinity, which tells nothing. Is it damaged?")
        got = _predictions(b, inputs)
        if [one.shape for one in expected] != [one.shape for one in got]:
            return float("inf")
        return max((largest_difference(one, other) for one, other in zip(expected, got)), default=0.0)
    raise ValueError(f"[convert] no random input fits the model, so that it can not be checked: {problem}") from problem


def _predictions(model: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
    if hasattr(model, "reset_states"):
        model.reset_states()
    batch = len(inputs[0]) if inputs else None
    names = getattr(model, "input_order", None)  # Keras 0.x's Graph takes a dictionary
    if names is not None:
        out = model.predict(dict(zip(names, inputs)), batch_size=batch)
        return [np.asarray(out[name]) for name in sorted(out)]
    out = model.predict(inputs if len(inputs) > 1 else inputs[0], batch_size=batch)
    return [np.asarray(one) for one in (out if isinstance(out, (list, tuple)) else [out])]


def random_inputs(model: Any, length: int) -> list[np.ndarray]:
    """An array for each input of a model: whole numbers that its Embedding knows, where it leads to one.

    Args:
        length: how long axes of unknown length are.
    """
    random = np.random.RandomState(1)
    fixed: list[int] = [n for x in model.inputs for n in shape_of(x)[:1] if n]
    found = []
    for tensor in model.inputs:
        sizes = [length if n is None else n for n in shape_of(tensor)[1:]]
        shape: tuple[int, ...] = (fixed[0] if fixed else _SAMPLES, *sizes)
        largest = _vocabulary(model, tensor)
        if largest is not None:
            found.append(random.randint(0, largest, shape).astype("int32"))
        elif np.dtype(tensor.dtype).kind in "iub":
            found.append(random.randint(0, 2, shape).astype(tensor.dtype))
        else:
            found.append(random.standard_normal(shape).astype(tensor.dtype))
    return found


def _vocabulary(model: Any, tensor: Any) -> int | None:
    """How many different numbers the Embedding layers take that an input leads to, or None where it leads to none.

    It leads to them through layers without weights: those that pass numbers on.
    """
    known = []
    todo, seen = [tensor], set()
    while todo:
        x = todo.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        for node in _calls_with(model, x):
            layer = node.outbound_layer
            sizes = [inner.input_dim for inner in _within(layer) if isinstance(inner, Embedding)]
            known += sizes
            if not sizes and not layer.weights:
                todo += node.output_tensors
    return min(known) if known else None


def _calls_with(model: Any, tensor: Any) -> Iterator[Any]:
    """Calls of layers that take a tensor."""
    for layer in model.layers:
        for node in layer._inbound_nodes:
            if any(x is tensor for x in node.input_tensors) and not any(x is tensor for x in node.output_tensors):
                yield node


def _within(layer: Any) -> Sequence[Any]:
    """A layer and the layers in it."""
    found, todo = [], [layer]
    while todo:
        one = todo.pop()
        found.append(one)
        inner = [getattr(one, "layer", None), *(getattr(one, "layers", None) or ())]
        todo += [other for other in inner if other is not None and other not in found]
    return found

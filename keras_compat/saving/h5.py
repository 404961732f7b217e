"""Models and weights in HDF5, in the layout of Keras 2.3.1.

Attributes ``keras_version``, ``backend``, ``model_config``, ``training_config``; groups ``model_weights`` (attribute
``layer_names``, a group for each layer with ``weight_names``) and ``optimizer_weights``. A file of weights has the
content of ``model_weights`` at its root.

Writing is atomic: a temporary file in the same folder, flushed to disk, then renamed. Reading checks everything before
it changes anything, and runs no code.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np

from keras_compat import backend as K
from keras_compat import losses as losses_module
from keras_compat import metrics as metrics_module
from keras_compat import optimizers
from keras_compat.engine.network import json_value
from keras_compat.engine.registry import deserialize
from keras_compat.saving import keras0
from keras_compat.utils.generic_utils import deserialize_keras_object, get_custom_objects, warn
from keras_compat.version import KERAS_VERSION

# What the layout of kernels follows; readers of such files turn the kernels of those marked 'theano'.
FILE_BACKEND = "tensorflow"

# HDF5 keeps attributes in the object header, which is limited; longer lists are split over several attributes.
_ATTRIBUTE_LIMIT = 64512


# -- whole models -----------------------------------------------------------------------------------------------------


def save_model(model: Any, filepath: Any, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write a model with its weights and, if compiled, its compile settings and optimizer state.

    Args:
        filepath: a path, an open ``h5py.File`` or Group, or a binary stream.
        overwrite: ask on the terminal before replacing a file if False.
        include_optimizer: leave compile settings and optimizer state out if False.
    """

    def write(group: Any) -> None:
        _write_model(group, model, include_optimizer)

    _save(filepath, overwrite, write)


def _write_model(group: Any, model: Any, include_optimizer: bool) -> None:
    group.attrs["keras_version"] = KERAS_VERSION
    group.attrs["backend"] = FILE_BACKEND
    config = {"class_name": type(model).__name__, "config": model.get_config()}
    _write_text(group, "model_config", json.dumps(config, default=json_value))
    write_weights(group.create_group("model_weights"), _listed(model))
    if not include_optimizer or model.optimizer is None:
        return
    training = {
        "optimizer_config": {
            "class_name": type(model.optimizer).__name__,
            "config": model.optimizer.get_config(),
        },
        "loss": model.loss,
        "metrics": model._compile_metrics,
        "weighted_metrics": model._compile_weighted_metrics,
        "sample_weight_mode": model.sample_weight_mode,
        "loss_weights": model.loss_weights,
    }
    try:
        _write_text(group, "training_config", json.dumps(training, default=json_value))
    except TypeError as error:
        warn(f"The compile settings can not be written and are left out of the file: {error}")
        return
    values = model.optimizer.get_weights()
    if values:
        stored = group.create_group("optimizer_weights")
        names = _unique([_stored_name(w, f"param_{i}") for i, w in enumerate(model.optimizer.weights)])
        _write_list(stored, "weight_names", names)
        for name, value in zip(names, values):
            stored.create_dataset(name, data=value)


def load_model(filepath: Any, custom_objects: Mapping[str, Any] | None = None, compile: bool = True) -> Any:
    """Read a model: architecture, weights and, with ``compile``, compile settings and optimizer state.

    Args:
        filepath: a path, an open ``h5py.File`` or Group, or a binary stream.
        custom_objects: {name: class or function} of what is not Keras's own.
        compile: leave the model uncompiled if False.

    Raises:
        OSError: no such file, or not HDF5.
        ValueError: not a model, an unknown class, weights that do not fit.
    """
    with _open(filepath) as group:
        text = _read_text(group, "model_config")
        if text is None:
            raise ValueError(
                "[load_model] No model found in config file: the file has no `model_config`. "
                "If it holds weights only, build the model and call model.load_weights()."
            )
        model = deserialize(_parse(text, "model_config"), custom_objects=custom_objects)
        weights = group.get("model_weights", group)
        assign(model, match_in_order(weights, _listed(model)))
        training = _read_text(group, "training_config") if compile else None
        if compile and training is None:
            warn("No training configuration found in save file: the model was *not* compiled. Compile it manually.")
        if training is not None:
            _compile_from(model, _parse(training, "training_config"), group, custom_objects)
    return model


def _compile_from(model: Any, training: dict[str, Any], group: Any, custom_objects: Mapping[str, Any] | None) -> None:
    known = {**get_custom_objects(), **(custom_objects or {})}

    def named(value: Any, module: Any = metrics_module) -> Any:
        """Names of the user's functions become the functions; Keras's own are resolved by compile."""
        if isinstance(value, list):
            return [named(v, module) for v in value]
        if isinstance(value, dict):
            if set(value) == {"class_name", "config"}:
                return deserialize_keras_object(value, _objects(module), custom_objects, "loss or metric")
            return {k: named(v, module) for k, v in value.items()}
        return known.get(value, value) if isinstance(value, str) else value

    optimizer = optimizers.deserialize(training["optimizer_config"], custom_objects=custom_objects)
    model.compile(
        optimizer=optimizer,
        loss=named(training.get("loss"), losses_module),
        metrics=named(training.get("metrics")),
        loss_weights=training.get("loss_weights"),
        sample_weight_mode=training.get("sample_weight_mode"),
        weighted_metrics=named(training.get("weighted_metrics")),
    )
    if "optimizer_weights" in group:
        stored = group["optimizer_weights"]
        values = [_array(stored, name) for name in _read_list(stored, "weight_names")]
        model._make_train_function()
        try:
            model.optimizer.set_weights(values)
        except ValueError as error:
            warn(
                "Error in loading the saved optimizer state. As a result, your model is starting with a freshly "
                f"initialized optimizer. ({error})"
            )


def _objects(module: Any) -> dict[str, Any]:
    """Classes of losses and metrics by name; ``module`` decides where both have one (``BinaryCrossentropy``)."""
    other = losses_module if module is metrics_module else metrics_module
    return {k: v for part in (other, module) for k, v in vars(part).items() if isinstance(v, type)}


# -- weights ----------------------------------------------------------------------------------------------------------


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write the weights of a model."""
    _save(filepath, overwrite, lambda group: write_weights(group, _listed(model)))


def load_weights(
    model: Any, filepath: Any, by_name: bool = False, skip_mismatch: bool = False, reshape: bool = False
) -> None:
    """Read the weights of a model from a file of weights or of a model; see ``Model.load_weights``."""
    if skip_mismatch and not by_name:
        raise ValueError(
            "[load_weights] When calling model.load_weights, skip_mismatch can only be set to True when by_name is "
            "True; got by_name=False."
        )
    with _open(filepath) as group:
        if "layer_names" not in group.attrs and "model_weights" in group:
            group = group["model_weights"]
        if keras0.is_weight_file(group):
            if by_name:
                raise ValueError("[load_weights] files of Keras 0.x hold no names; got by_name=True. Load it in order.")
            keras0.load_weights(model, group)
            return
        if by_name:
            pairs = match_by_name(group, _listed(model), skip_mismatch, reshape)
        else:
            pairs = match_in_order(group, _listed(model), reshape)
        assign(model, pairs)


def _listed(model: Any) -> list[Any]:
    """The layers that have a group each in a file."""
    return getattr(model, "flattened_layers", model.layers)


def write_weights(group: Any, layers: Sequence[Any]) -> None:
    """Write the weights of layers into a group, a group for each layer."""
    _write_list(group, "layer_names", [layer.name for layer in layers])
    group.attrs["backend"] = FILE_BACKEND
    group.attrs["keras_version"] = KERAS_VERSION
    for layer in layers:
        part = group.create_group(layer.name)
        weights = layer.weights
        names = _unique([_stored_name(w, f"param_{i}") for i, w in enumerate(weights)])
        _write_list(part, "weight_names", names)
        for name, value in zip(names, K.batch_get_value(weights)):
            part.create_dataset(name, data=value)


def match_in_order(group: Any, layers: Sequence[Any], reshape: bool = False) -> list[tuple[Any, np.ndarray]]:
    """Pairs (weight, value) for layers with weights, in order.

    Raises:
        ValueError: listing every difference.
    """
    stored = _stored_layers(group)
    with_weights = [layer for layer in layers if layer.weights]
    if len(stored) != len(with_weights):
        raise ValueError(
            f"[load_weights] You are trying to load a weight file containing {len(stored)} layers into a model with "
            f"{len(with_weights)} layers. In the file: {[name for name, _ in stored]}; in the model: "
            f"{[layer.name for layer in with_weights]}. Nothing was changed; is it the file of this model? "
            "by_name=True loads what names agree on."
        )
    pairs: list[tuple[Any, np.ndarray]] = []
    wrong: list[str] = []
    for (name, values), layer in zip(stored, with_weights):
        found, problems = _pair(layer, name, values, reshape)
        pairs += found
        wrong += problems
    if wrong:
        raise _mismatch(wrong)
    return pairs


def match_by_name(
    group: Any, layers: Sequence[Any], skip_mismatch: bool = False, reshape: bool = False
) -> list[tuple[Any, np.ndarray]]:
    """Pairs (weight, value) for layers whose name is in the file.

    Raises:
        ValueError: listing every difference, unless ``skip_mismatch``.
    """
    by_name: dict[str, list[Any]] = {}
    for layer in layers:
        by_name.setdefault(layer.name, []).append(layer)
    pairs: list[tuple[Any, np.ndarray]] = []
    wrong: list[str] = []
    for name, values in _stored_layers(group):
        for layer in by_name.get(name, ()):
            found, problems = _pair(layer, name, values, reshape)
            if not problems:
                pairs += found
            elif skip_mismatch:
                warn(f"Skipping loading of weights for layer {name} due to {'; '.join(problems)}")
            else:
                wrong += problems
    if wrong:
        raise _mismatch(wrong)
    return pairs


def _pair(
    layer: Any, name: str, values: list[np.ndarray], reshape: bool
) -> tuple[list[tuple[Any, np.ndarray]], list[str]]:
    weights = layer.weights
    if len(weights) != len(values):
        shapes = [v.shape for v in values]
        return [], [
            f"layer {layer.name!r} expects {len(weights)} weights, but the saved weights ({name!r}) have "
            f"{len(values)}: {shapes}"
        ]
    pairs = []
    problems = []
    for w, v in zip(weights, values):
        shape = tuple(w.shape)
        if v.shape != shape and reshape and v.size == int(np.prod(shape)):
            v = v.reshape(shape)
        if v.shape != shape:
            problems.append(f"{w.name or layer.name} has shape {shape}, the file {v.shape}")
        elif v.dtype.kind not in "fiub":
            problems.append(f"{w.name or layer.name} is stored as {v.dtype}, which holds no numbers")
        else:
            pairs.append((w, v))
    return pairs, problems


def _mismatch(wrong: list[str]) -> ValueError:
    return ValueError(
        f"[load_weights] the file does not fit the model in {len(wrong)} places: {'; '.join(wrong)}. "
        "Nothing was changed. Was the model made with the same arguments?"
    )


def assign(model: Any, pairs: Sequence[tuple[Any, np.ndarray]]) -> None:
    """Set weights whose shapes were checked."""
    K.batch_set_value(list(pairs))


def _stored_layers(group: Any) -> list[tuple[str, list[np.ndarray]]]:
    """(name, arrays) of the layers in a file that have weights."""
    if not _has_list(group, "layer_names"):
        raise ValueError(
            "[load_weights] the file holds no Keras weights: it has no `layer_names`. Was it written by save_weights()?"
        )
    out = []
    for name in _read_list(group, "layer_names"):
        if name not in group:
            raise ValueError(f"[load_weights] the file lists layer {name!r} but does not hold it. Is the file whole?")
        part = group[name]
        names = _read_list(part, "weight_names")
        if names:
            out.append((name, [_array(part, n) for n in names]))
    return out


def _array(group: Any, name: str) -> np.ndarray:
    if name not in group or not isinstance(group[name], h5py.Dataset):
        raise ValueError(f"[load_weights] the file lists {name!r} in {group.name} but does not hold it. Is it whole?")
    return np.asarray(group[name])


# -- names and text ---------------------------------------------------------------------------------------------------


def _stored_name(weight: Any, default: str) -> str:
    name = getattr(weight, "name", None) or default
    return name.strip("/") or default


def _unique(names: list[str]) -> list[str]:
    """Names within one group must differ: ``a``, ``a_1``."""
    seen: set[str] = set()
    out = []
    for name in names:
        new, i = name, 1
        while new in seen:
            stem, colon, rest = name.partition(":")
            new = f"{stem}_{i}{colon}{rest}"
            i += 1
        seen.add(new)
        out.append(new)
    return out


def _write_list(group: Any, name: str, texts: Sequence[str]) -> None:
    """A list of texts as an attribute, split over ``name0``, ``name1``... where it is too long for one."""
    data = np.asarray([t.encode("utf8") for t in texts]) if texts else np.asarray([], dtype="S1")
    too_long = [t for t in texts if len(t.encode("utf8")) > _ATTRIBUTE_LIMIT]
    if too_long:
        raise RuntimeError(
            f"[save] names longer than {_ATTRIBUTE_LIMIT} bytes can not be stored: {too_long[0][:60]}..."
        )
    chunks = 1
    while any(part.nbytes > _ATTRIBUTE_LIMIT for part in np.array_split(data, chunks)):
        chunks += 1
    if chunks == 1:
        group.attrs[name] = data
        return
    for i, part in enumerate(np.array_split(data, chunks)):
        group.attrs[f"{name}{i}"] = part


def _has_list(group: Any, name: str) -> bool:
    return name in group.attrs or f"{name}0" in group.attrs


def _read_list(group: Any, name: str) -> list[str]:
    if name in group.attrs:
        parts = list(group.attrs[name])
    else:
        parts = []
        i = 0
        while f"{name}{i}" in group.attrs:
            parts += list(group.attrs[f"{name}{i}"])
            i += 1
    return [_text(p) for p in parts]


def _text(value: Any) -> str:
    return value.decode("utf8") if isinstance(value, bytes) else str(value)


def _write_text(group: Any, name: str, text: str) -> None:
    """A long text as an attribute: h5py keeps it outside the object header, with no limit."""
    group.attrs[name] = text


def _read_text(group: Any, name: str) -> str | None:
    value = group.attrs.get(name)
    return None if value is None else _text(value)


def _parse(text: str, what: str) -> dict[str, Any]:
    try:
        out = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"[load_model] the {what} in the file is no JSON: {error}. Is the file whole?") from None
    if not isinstance(out, dict):
        raise ValueError(f"[load_model] the {what} in the file is no object but a {type(out).__name__}.")
    return out


# -- files ------------------------------------------------------------------------------------------------------------


def _is_group(filepath: Any) -> bool:
    return isinstance(filepath, h5py.Group)


@contextmanager
def _open(filepath: Any) -> Iterator[Any]:
    if _is_group(filepath):
        yield filepath
        return
    if hasattr(filepath, "read"):
        with _from_bytes(filepath.read()) as f:
            yield f
        return
    path = _path("load", filepath)
    if not os.path.exists(path):
        raise OSError(f"[load] Unable to open file: {path} does not exist. Check the path.")
    try:
        f = h5py.File(path, "r")
    except OSError as error:
        reason = "a folder" if os.path.isdir(path) else f"no HDF5 file, or not all of one ({error})"
        raise OSError(
            f"[load] Unable to open file: expected an HDF5 file; {path} is {reason}. Was it written by save()?"
        ) from error
    with f:
        yield f


def _from_bytes(data: Any) -> Any:
    try:
        return h5py.File(io.BytesIO(data), "r")
    except (OSError, TypeError) as error:
        raise OSError(
            f"[load] Unable to open file: expected a binary stream of an HDF5 file; got {len(data)} units of "
            f"{type(data).__name__} ({error}). Is the stream at its start?"
        ) from error


def _path(op: str, filepath: Any) -> str:
    if not isinstance(filepath, (str, bytes, os.PathLike)) or not os.fspath(filepath):
        raise TypeError(
            f"[{op}] expected a path, a binary stream or an open h5py.File; got {filepath!r}. Give the name of a file."
        )
    return os.fsdecode(filepath)


def _save(filepath: Any, overwrite: bool, write: Callable[[Any], None]) -> None:
    if _is_group(filepath):
        if len(filepath) or len(filepath.attrs):
            raise ValueError(
                f"[save] expected an empty group of an HDF5 file; {filepath.name} holds {len(filepath)} items. Create "
                "a new group."
            )
        write(filepath)
        return
    if hasattr(filepath, "write"):
        stream = io.BytesIO()
        with h5py.File(stream, "w") as f:
            write(f)
        filepath.write(stream.getvalue())
        return
    path = os.path.abspath(_path("save", filepath))
    if os.path.isdir(path):
        raise IsADirectoryError(f"[save] expected the path of a file; {path} is a folder. Add a name: model.h5.")
    if not overwrite and os.path.exists(path) and not _may_overwrite(path):
        return
    write_atomically(path, write)


def _may_overwrite(path: str) -> bool:
    answer = ""
    while answer not in ("y", "n"):
        answer = input(f"[WARNING] {path} already exists - overwrite? [y/n]").strip().lower()
    return answer == "y"


def write_atomically(path: str, write: Callable[[Any], None]) -> None:
    """Write an HDF5 file so that ``path`` holds the old content or the new, never a part.

    A link is followed: the file it points to is replaced.
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"[save] the folder {folder} does not exist. Create it first.")
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".h5.tmp")
    try:
        with _Patient(handle, "rb+") as raw:
            try:
                with h5py.File(raw, "w") as f:
                    write(f)
            finally:
                if raw.error is not None:
                    raise OSError(
                        raw.error.errno,
                        f"[save] {path} could not be written: {raw.error.strerror}. What it held before is untouched",
                    ) from raw.error
            os.fsync(handle)
        _keep_mode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


class _Patient(io.FileIO):
    """A file that keeps an error of writing instead of raising it.

    HDF5 can not close a file that refuses its bytes (a full disk): it would stay open, with an error from the closing.
    """

    error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while len(rest) and self.error is None:
                rest = rest[super().write(rest) or 0 :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0


def _keep_mode(target: str, temporary: str) -> None:
    """Temporary files are private; the new file gets the mode of the old, or what the umask says."""
    try:
        mode = os.stat(target).st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    os.chmod(temporary, mode)


def _sync_folder(folder: str) -> None:
    """Bring the renaming itself to disk, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)

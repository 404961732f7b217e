"""Configs of later releases (tf.keras 2.x and Keras 3) in the words of Keras 2.3.1.

Pure functions on what JSON holds. Nothing in a config is imported or called: ``module`` and ``registered_name`` are
read as words only. What a later release computes otherwise under the same name gets the argument or the name under
which this package computes it so (``hard_sigmoid`` of Keras 3, ``epsilon`` within the root of RMSprop).

A key that our class does not know is left out if its value is the default there; all others, and all unknown classes of
the parts of layers, are named in one error.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from keras_compat import activations, constraints, initializers, regularizers
from keras_compat.engine.registry import LAYERS
from keras_compat.saving.errors import CorruptFileError
from keras_compat.saving.guard_text import check_config
from keras_compat.saving.image_orders import dictionaries, with_image_orders
from keras_compat.saving.keras0_configs import is_of_keras_0, to_keras_1
from keras_compat.saving.layer_changes import ALSO, CHANGES, penalising
from keras_compat.saving.stored import Writer
from keras_compat.utils.generic_utils import Registry, known_objects, warn

LATER = ("tfkeras", "keras3")

# What every layer takes, by its base class.
_COMMON = {"name", "trainable", "dtype", "batch_input_shape", "input_shape", "batch_size", "input_dtype", "weights"}

# Arguments of later releases that our classes do not have, with the values under which they change nothing.
_WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "adjustment": (None,),
    "autocast": (True, None),
    "batch_input_shape": (None,),
    "batch_shape": (None,),
    "dynamic": (False,),
    "force_generator": (False,),
    "fused": (None, False, True),
    "groups": (1,),
    "keepdims": (False,),
    "optional": (False,),
    "ragged": (False,),
    "renorm": (False,),
    "renorm_clipping": (None, {}),
    "renorm_momentum": (0.99,),
    "reset_after": (False,),
    "sparse": (False,),
    "synchronized": (False,),
    "time_major": (False,),
    "rms_scaling": (False,),
    "virtual_batch_size": (None,),
    "zero_output_for_mask": (False,),
}
# Arguments that say how to compute, or are of use to the other package only: left out whatever they say.
_NO_MATTER = {
    *("build_config", "build_input_shape", "compile_config", "experimental_run_tf_function", "implementation"),
    *("lora_alpha", "registered_name", "rng_type", "seed", "seed_generator", "shared_object_id", "use_cudnn"),
}

# What stands beside the class and the config of an object, and is left behind with the words of its release.
_NOT_OF_OBJECTS = {
    *("module", "registered_name", "shared_object_id", "build_config", "compile_config", "keras_version", "backend"),
}

# The same class under another name.
_CLASSES = {"Functional": "Model"}
# Operations of Keras 3 between layers that are our layers of that name.
_OPERATIONS = {"Add", "Subtract", "Multiply", "Maximum", "Minimum"}

_OF_ACTIVITY = ("activity_regularizer",)
_PARTS: tuple[tuple[str, Registry], ...] = (
    ("_initializer", initializers._known),
    ("_regularizer", regularizers._known),
    ("_constraint", constraints._known),
    ("activation", activations._known),
)


def is_later(config: Any) -> bool:
    """Tell whether a config, of whatever file, has the words of tf.keras or Keras 3 (which genuine 2.3.1 has not)."""
    marks = {"registered_name", "batch_shape", "ragged", "time_major"}
    return any(
        not marks.isdisjoint(part) or part.get("class_name") in ("Functional", "__keras_tensor__", "DTypePolicy")
        for part in dictionaries(config)
    )


def is_written_later(config: Mapping[str, Any], writer: Writer) -> bool:
    """Whether a config, or compile settings, are in the words of later releases.

    A ``keras_version`` in it says so first, then the release that wrote the file, then the words themselves.
    """
    version = str(config.get("keras_version") or "")
    line = line_of(version) if version else writer.line
    return line in LATER or (not version and not writer.version and is_later(config))


def writer_of(config: Mapping[str, Any]) -> Writer:
    """Which release wrote a config, by its ``keras_version`` and ``backend`` or, without these, by its words."""
    version, backend = str(config.get("keras_version") or ""), str(config.get("backend") or "")
    return Writer(line_of(version, config), version, backend)


def line_of(version: str, config: Any = None) -> str:
    """The line of releases that a ``keras_version`` belongs to; '' is told by the words of the config.

    tf.keras counted on from Keras 2: its versions end in '-tf' up to 2.4, and there is no other Keras from 2.4 on.
    """
    numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in version.split("-")[0].split(".")[:2]]
    major, minor = (numbers + [0, 0])[:2]
    if major >= 3:
        return "keras3"
    if major == 2:
        return "tfkeras" if "tf" in version or minor >= 4 else "keras2"
    if major == 1 or version:
        return "keras1" if major == 1 else "keras0"
    parts = list(dictionaries(config))
    if any("batch_shape" in part or part.get("class_name") == "DTypePolicy" for part in parts):
        return "keras3"
    return "tfkeras" if is_later(config) else "keras2"


# -- models and layers ------------------------------------------------------------------------------------------------


def to_ours(config: dict[str, Any], writer: Writer, custom_objects: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A config ``{'class_name', 'config'}`` of a model or layer as ``engine.registry.deserialize`` reads it.

    Configs of Keras 1 to 2.3.1 come back as they are, but for what they forgot: layers read them themselves.

    Raises:
        ValueError: arguments that no layer here can follow; all of them, each with its layer.
    """
    check_config(config)
    if is_of_keras_0(config):
        return with_image_orders(_checked(to_keras_1, config))
    if not is_written_later(config, writer):
        return with_image_orders(config)
    translation = _Translation(writer.line, known_objects(custom_objects))
    ours = _checked(translation.object, config)
    translation.finish()
    return ours


def _checked(translate: Callable[[Mapping[str, Any]], dict[str, Any]], config: Mapping[str, Any]) -> dict[str, Any]:
    """A config translated, with an error in the reader's terms where it has not the form of one."""
    try:
        return translate(config)
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise CorruptFileError(
            f"[load] expected the config of a model; got one that no Keras writes ({type(error).__name__}: {error}). "
            "Is the file whole?"
        ) from error


def class_name_of(config: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """The class of an object in a later config: the user's, where its name is known, else without its package."""
    name, registered = str(config["class_name"]), str(config.get("registered_name") or "")
    plain = name.rpartition(">")[2]
    return next((candidate for candidate in (registered, name) if candidate in known), plain)


class _Translation:
    """One config on its way, with what could not be said."""

    def __init__(self, line: str, known: Mapping[str, Any]):
        self.line = line if line in LATER else "tfkeras"
        self._known = known
        self._problems: list[str] = []
        self._notes: list[str] = []

    def finish(self) -> None:
        """Say what was found: problems all at once, else what may matter."""
        if self._problems:
            raise ValueError(
                f"[load] the config asks in {len(self._problems)} places for what this package does not compute: "
                f"{'; '.join(self._problems)}. load_weights() into a model of your own layers still works."
            )
        if self._notes:
            warn(f"[load] {'; '.join(dict.fromkeys(self._notes))}")

    def object(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A layer, model or cell."""
        name = self._class_name(config)
        inner = config.get("config")
        if name == "ActivityRegularization" and name not in self._known and isinstance(inner, Mapping):
            name, inner = "Activation", penalising(inner)
        if isinstance(inner, list):  # a Sequential before Keras 2.2.3
            inner = {"layers": inner}
        ours = {k: v for k, v in config.items() if k not in _NOT_OF_OBJECTS}
        ours["class_name"] = name
        if isinstance(inner, Mapping):
            ours["config"] = self._config(name, inner, config)
        if "inbound_nodes" in config:
            ours["inbound_nodes"] = [self._call(node, str(config.get("name"))) for node in config["inbound_nodes"]]
        return ours

    def _class_name(self, config: Mapping[str, Any]) -> str:
        name = class_name_of(config, self._known)
        return name if name in self._known else _CLASSES.get(name, name)

    def _is_operation(self, config: Mapping[str, Any]) -> bool:
        return str(config.get("module") or "").startswith("keras.src.ops")

    def _config(self, name: str, config: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
        if "layers" in config and name not in self._known:
            return self._model(name, config, whole)
        where = f"{name} {config.get('name', '')!r}"
        if self._is_operation(whole) and name not in _OPERATIONS:
            self._problems.append(f"{where} is an operation of Keras 3 and no layer")
            return dict(config)
        if name == "Bidirectional":
            config = {key: _without_zeros(value) for key, value in config.items()}
        ours = {key: self.value(key, value, where) for key, value in config.items()}
        if name in self._known:
            return ours
        for change in CHANGES.get(name, ()):
            change(self, ours, where)
        if name in LAYERS:
            self._drop_unknown(ours, arguments(LAYERS[name]) | ALSO.get(name, frozenset()), where)
        return ours

    def _drop_unknown(self, config: dict[str, Any], known: frozenset[str], where: str) -> None:
        for key in [key for key in config if key not in known]:
            value = config.pop(key)
            if key in _NO_MATTER or value is None:
                continue
            if value not in _WITHOUT_EFFECT.get(key, ()):
                self.problem(where, key, value)

    def problem(self, where: str, key: str, value: Any) -> None:
        """Remember an argument that can not be followed."""
        self._problems.append(f"{where} has {key}={json.dumps(value, default=repr)[:80]}")

    def note(self, text: str) -> None:
        """Remember something that a user may want to know, but that stops nothing."""
        self._notes.append(text)

    # -- values

    def value(self, key: str, value: Any, where: str) -> Any:
        """An argument of a layer: plain, or an object within the config."""
        if isinstance(value, (list, tuple)):
            return [self.value(key, v, where) for v in value]
        if not isinstance(value, Mapping):
            return self._activation(value) if key.endswith("activation") else value
        kind, inner = value.get("class_name"), value.get("config")
        if kind is None:
            return {k: self.value(k, v, where) for k, v in value.items()}
        if kind == "DTypePolicy" or str(kind).endswith("DTypePolicy") or kind == "Policy":
            return self._dtype((inner or {}).get("name"), where)
        if kind == "__tuple__":
            return tuple(self.value(key, v, where) for v in value.get("items", ()))
        if kind == "__numpy__" or kind == "__tensor__":
            return (inner or {}).get("value")
        if kind == "function":
            return inner if key != "activation" else self._activation(inner)
        for end, registry in _PARTS:
            if key.endswith(end):
                part = self._part(value, registry, f"{key} of {where}")
                return {"class_name": "PerSample", "config": {"regularizer": part}} if key in _OF_ACTIVITY else part
        if isinstance(inner, (Mapping, list)) and kind != "__lambda__":
            return self.object(value)
        return value

    def _dtype(self, name: Any, where: str) -> Any:
        text = str(name)
        if text.startswith("mixed_"):
            self.note(f"{where} was computed in {text[len('mixed_') :]}; here it is in float32")
            return "float32"
        return name

    def _activation(self, name: Any) -> Any:
        """Activations that have another formula there."""
        if self.line == "keras3" and name == "hard_sigmoid" and name not in self._known:
            return "hard_sigmoid_keras3"
        return name

    def _part(self, value: Mapping[str, Any], registry: Registry, where: str) -> Any:
        """An initializer, regularizer, constraint or activation object."""
        name, inner = self._class_name(value), value.get("config")
        ours: dict[str, Any] = {"class_name": name, "config": inner}
        if name in self._known:
            return ours
        if name in ("L1", "L2") and registry is regularizers._known and isinstance(inner, Mapping):
            return {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.0, **inner}}
        if name in LAYERS and registry is activations._known:
            return self.object(value)
        found = registry.get(name) or registry.get(_snake(name))
        if found is None:
            self._problems.append(f"{where} is a {name}, an unknown {registry.kind}")
            return ours
        if name not in registry:
            ours["class_name"] = _snake(name)
        if isinstance(inner, Mapping):
            ours["config"] = {k: self.value(k, v, where) for k, v in inner.items()}
            self._drop_unknown(ours["config"], arguments(found), f"{name} ({where})")
        return ours

    # -- networks

    def _model(self, name: str, config: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Any]:
        ours: dict[str, Any] = {"name": config.get("name"), "layers": [self.object(x) for x in config["layers"]]}
        for key in ("input_layers", "output_layers"):
            if key in config:
                ours[key] = list(_coordinates(config[key]))
        if self.line == "keras3":
            _count_own_calls(ours)
        shape = config.get("build_input_shape") or (whole.get("build_config") or {}).get("input_shape")
        if name == "Sequential" and shape and not any(isinstance(s, (list, tuple, dict)) for s in shape):
            ours["build_input_shape"] = list(shape)
        if ours["name"] is None:
            del ours["name"]
        for layer, given in zip(ours["layers"], config["layers"]):
            if self._is_operation(given) and layer["class_name"] in _OPERATIONS:
                layer["config"] = {"name": given.get("name")}
        return ours

    def _call(self, node: Any, layer: str) -> list[Any]:
        """A call of a layer as a list of ``[layer, node, tensor, arguments]``."""
        if isinstance(node, Mapping):
            return self._call_of_keras_3(node, layer)
        calls = [list(node)] if node and isinstance(node[0], str) else [list(x) for x in node]
        out = []
        for call in calls:
            arguments = dict(call[3]) if len(call) > 3 and call[3] else {}
            extra = [arguments.pop(key) for key in ("initial_state", "constants") if _is_tensors(arguments.get(key))]
            for key in [k for k, v in arguments.items() if v is None]:
                del arguments[key]
            if any(_is_tensors(v) for v in arguments.values()):
                self._problems.append(f"{layer!r} is called with further tensors: {', '.join(arguments)}")
            out.append([*call[:3], arguments])
            out += [[*c[:3], {}] for value in extra for c in _coordinates(value)]
        return out

    def _call_of_keras_3(self, node: Mapping[str, Any], layer: str) -> list[Any]:
        arguments = {k: self.value(k, v, repr(layer)) if not _tensors_in(v) else v for k, v in node["kwargs"].items()}
        # fit, evaluate and predict say it anew for each layer there, whatever the call of the layer said.
        if arguments.pop("training", None):
            self.note(f"{layer!r} was called with training=True, which neither Keras 3 nor this package follows")
        tensors = [x for arg in node["args"] for x in _tensors_in(arg)]
        if any(not _tensors_in(arg) for arg in node["args"]):
            self._problems.append(f"{layer!r} is called with arguments that are no tensors")
        for key in ("inputs", "initial_state", "constants"):
            if _tensors_in(arguments.get(key)):
                tensors += _tensors_in(arguments.pop(key))
        arguments = {k: v for k, v in arguments.items() if v is not None}
        if any(_tensors_in(v) for v in arguments.values()):
            self._problems.append(f"{layer!r} is called with further tensors: {', '.join(arguments)}")
        calls: list[list[Any]] = [[*x["config"]["keras_history"], {}] for x in tensors]
        if calls:
            calls[0][3] = arguments
        return calls


def _without_zeros(layer: Any) -> Any:
    """A layer in a Bidirectional of Keras 3, which sets there what masked steps give: that is masked itself."""
    if not isinstance(layer, Mapping) or not isinstance(layer.get("config"), Mapping):
        return layer
    return {**layer, "config": {k: v for k, v in layer["config"].items() if k != "zero_output_for_mask"}}


def _count_own_calls(network: dict[str, Any]) -> None:
    """Keras 3 numbers the calls of a model within one from 0; in Keras 2 number 0 is how the model itself was made."""
    made = {layer.get("name") for layer in network["layers"] if _is_made_at_once(layer["config"])}
    calls = [call for layer in network["layers"] for node in layer.get("inbound_nodes", ()) for call in node]
    for call in (*calls, *network.get("output_layers", ())):
        if call[0] in made:
            call[1] += 1


def _is_made_at_once(config: Any) -> bool:
    """Whether the config is of a model that knows its input."""
    if not isinstance(config, Mapping) or "layers" not in config:
        return False
    if "input_layers" in config or config.get("build_input_shape"):
        return True
    first = config["layers"][0]["config"] if config["layers"] else {}
    known = ("batch_input_shape", "input_shape")
    return isinstance(first, Mapping) and (any(first.get(key) for key in known) or _is_made_at_once(first))


def _coordinates(value: Any) -> Iterator[list[Any]]:
    """The coordinates (layer, call, output) in what may be one, a list, a dictionary or lists in lists of them."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if value and isinstance(value[0], str):
        yield list(value)
        return
    for part in value:
        yield from _coordinates(part)


def _is_tensors(value: Any) -> bool:
    """Whether an argument of a call in tf.keras names outputs of layers."""
    while isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple)):
        value = value[0]
    return isinstance(value, (list, tuple)) and len(value) >= 3 and isinstance(value[0], str)


def _tensors_in(value: Any) -> list[Mapping[str, Any]]:
    """Tensors of Keras 3 in an argument of a call, in order."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            return [value]
        value = value.get("items", list(value.values()))
    if isinstance(value, (list, tuple)):
        return [x for part in value for x in _tensors_in(part)]
    return []


@cache
def arguments(cls: Callable[..., Any]) -> frozenset[str]:
    """Names that may stand in a config of a class, or be given to a function."""
    names: set[str] = set()
    if not inspect.isclass(cls):
        return frozenset(inspect.signature(cls).parameters)
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return frozenset(names - {"self"})
    return frozenset((names | _COMMON) - {"self"})


def _snake(name: str) -> str:
    return "".join(["_" + c.lower() if c.isupper() else c for c in name]).lstrip("_")

"""What single layers of later releases say otherwise than 2.3.1's, a function for each; see :mod:`layer_configs`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Translation(Protocol):
    """What a change may ask, and whom it tells of what can not be followed."""

    line: str

    def problem(self, where: str, key: str, value: Any) -> None:
        """Remember an argument that can not be followed."""


# Changes a config in place: (translation, config, which layer it is of, for messages).
Change = Callable[[Translation, dict[str, Any], str], None]


def _rename(old: str, new: str) -> Change:
    def change(translation: Translation, config: dict[str, Any], where: str) -> None:
        if old in config:
            config[new] = config.pop(old)

    return change


def _single_axis(translation: Translation, config: dict[str, Any], where: str) -> None:
    axis = config.get("axis")
    if isinstance(axis, list):
        if len(axis) == 1:
            config["axis"] = axis[0]
        else:
            translation.problem(where, "axis", axis)


def _number(key: str) -> Change:
    """tf.keras wrote some numbers as arrays."""

    def change(translation: Translation, config: dict[str, Any], where: str) -> None:
        if isinstance(config.get(key), list) and len(config[key]) == 1:
            config[key] = config[key][0]

    return change


def penalising(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of an Activation that does what an ActivityRegularization did."""
    penalty = {"class_name": "L1L2", "config": {"l1": config.get("l1", 0.0), "l2": config.get("l2", 0.0)}}
    kept = {key: value for key, value in config.items() if key not in ("l1", "l2")}
    return {**kept, "activation": "linear", "activity_regularizer": penalty}


def _with_line(translation: Translation, config: dict[str, Any], where: str) -> None:
    config["line"] = translation.line


def _with_line_if_bilinear(translation: Translation, config: dict[str, Any], where: str) -> None:
    if config.get("interpolation", "nearest") == "bilinear":
        config["line"] = translation.line
    elif config.get("interpolation", "nearest") != "nearest":
        translation.problem(where, "interpolation", config["interpolation"])


def _reset_after(translation: Translation, config: dict[str, Any], where: str) -> None:
    config.setdefault("reset_after", True)


def _same_backwards(translation: Translation, config: dict[str, Any], where: str) -> None:
    """A second layer of a Bidirectional must be the first one turned round: that is what it is made of here."""
    backward = config.pop("backward_layer", None)
    if not backward:
        return
    there = dict(backward["config"])
    here = dict(config["layer"]["config"])
    for key in ("name", "go_backwards", "dtype", "batch_input_shape"):
        there.pop(key, None)
        here.pop(key, None)
    if backward["class_name"] != config["layer"]["class_name"] or there != here:
        different = sorted(k for k in {*there, *here} if there.get(k) != here.get(k))
        translation.problem(where, "backward_layer", {k: there.get(k) for k in different} or backward["class_name"])


def _types_of_functions(translation: Translation, config: dict[str, Any], where: str) -> None:
    """Keras 3 writes functions as objects, which are their names by now; Keras 2 says beside it that it is a name."""
    for part in ("function", "output_shape"):
        if isinstance(config.get(part), str):
            config.setdefault(f"{part}_type", "function")


def _without(*keys: str) -> Change:
    """Keys that later releases inherit from a wider class and do not use."""

    def change(translation: Translation, config: dict[str, Any], where: str) -> None:
        for key in keys:
            config.pop(key, None)

    return change


_SEPARABLE = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")
# What a config may hold beside the arguments of the class.
ALSO = {
    "Lambda": frozenset(f"{part}{end}" for part in ("function", "output_shape", "mask") for end in ("_type", "_module"))
    | {"module"}
}
CHANGES: dict[str, tuple[Change, ...]] = {
    "InputLayer": (_rename("batch_shape", "batch_input_shape"),),
    "LeakyReLU": (_rename("negative_slope", "alpha"), _number("alpha")),
    "ReLU": (_number("negative_slope"), _number("max_value"), _number("threshold")),
    "ELU": (_number("alpha"),),
    "BatchNormalization": (_single_axis, _with_line),
    "GRU": (_reset_after,),
    "GRUCell": (_reset_after,),
    "Bidirectional": (_same_backwards,),
    "SeparableConv1D": (_without(*_SEPARABLE),),
    "SeparableConv2D": (_without(*_SEPARABLE),),
    "DepthwiseConv2D": (_without(*_SEPARABLE, "filters", "kernel_size_"),),
    "ConvLSTM2D": (_without("rank"),),
    "ConvLSTM2DCell": (_without("rank"),),
    "Lambda": (_types_of_functions,),
    "UpSampling2D": (_with_line_if_bilinear,),
}

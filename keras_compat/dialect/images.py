"""The order of images in networks that do not say it.

Programs for Keras 0.x and 1.x with Theano give their first layer `input_shape=(3, 100, 100)` and say nothing more:
channels first, where the default is channels last. Two facts are kept for each layer that has a layout of images
(those that took Keras 1's `dim_ordering`): whether its call named the layout, and whose words the call was in.
When such a layer is first called on an input that no earlier layer decided about, and neither the program nor
`keras.json` has set the order, the shape decides (`guess`). The decision travels with the tensors, so it holds for all
layers behind it whose own call does not name a layout.

With channels first goes, in Keras 1's words, a kernel laid out (filters, channels, rows, columns): `kernel_format` of
layers that have one is set beside `data_format`, before they are built.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_compat.dialect.level import get_api_level
from keras_compat.dialect.spec import Spec

FIRST, LAST = "channels_first", "channels_last"
# Numbers of channels of pictures: grey, colour, colour with transparency.
_CHANNELS = (1, 3, 4)
# A shape with sides of this many pixels or more is a picture beyond doubt.
_SURELY_PIXELS = 16

_UNSET = (None, "default")


def has_layout(spec: Spec) -> bool:
    """Tell whether a callable is a layer that knew Keras 1's `dim_ordering`."""
    return spec.path.startswith("layers:") and "dim_ordering" in spec.rename and "data_format" in spec.keywords


def note(
    layer: Any,
    spec: Spec,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    positional: Sequence[Any],
    keywords: Mapping[str, Any],
    old: bool,
) -> None:
    """Remember how the layer's constructor was called.

    Args:
        args, kwargs: what the caller wrote.
        positional, keywords: the same in Keras 2's words.
        old: whether some of it was in Keras 1's words.
    """
    said = dict(zip(spec.modern, positional)) | dict(keywords)
    layer._layout_is_open = said.get("data_format") in _UNSET
    new = len(args) > spec.agreed or not spec.only_new.isdisjoint(kwargs.keys() - {"data_format"})
    layer._spelling = "old" if old else "new" if new else "either"
    if old and layer._layout_is_open and _took_first_from_settings(layer):
        layer.kernel_format = FIRST


def _took_first_from_settings(layer: Any) -> bool:
    """Tell whether a layer with a kernel took channels first from the settings, and still has Keras 2's kernel."""
    return getattr(layer, "data_format", None) == FIRST and getattr(layer, "kernel_format", "") is None


def guess(shape: Sequence[Any], spelling: str, level: str) -> str | None:
    """Return the layout that a first layer's input shape (batch included) shows, or None for the default.

    A call in Keras 2's words means what it says there. In Keras 1's words a shape that starts with the 1, 3 or 4
    channels of a picture, has more pixels on each side than that and does not end so is channels first; a call that
    could be either's (`ZeroPadding2D((1, 1), input_shape=(3, 224, 224))`) must show a picture beyond doubt.
    """
    dims = tuple(shape[1:])
    if len(dims) < 3 or spelling == "new":
        return None
    first, *spatial = dims
    if first not in _CHANNELS or spatial[-1] in _CHANNELS or any(d is not None and d <= first for d in spatial):
        return None
    if spelling == "old" or level == "1.2":
        return FIRST
    return FIRST if all(d is None or d >= _SURELY_PIXELS for d in spatial) and spatial[-1] is not None else None


def follow(call: Callable[..., Any], settings: Any, shape_of: Callable[[Any], Any], warn: Callable) -> Callable:
    """Return `Layer.__call__` with the decision in front of it.

    Args:
        call: the method.
        settings: has `image_order_is_chosen()`.
        shape_of: static shape of a tensor.
        warn: called with the text of the warning.
    """

    @functools.wraps(call)
    def decided(self: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        listed = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        order = next((x._image_order for x in listed if hasattr(x, "_image_order")), None)
        target, skipped = _inner(self)
        if getattr(target, "_layout_is_open", False) and not target.built and not settings.image_order_is_chosen():
            if order is None and len(listed) == 1 and hasattr(listed[0], "shape"):
                shape = tuple(shape_of(listed[0]))
                order = guess(shape[skipped:], target._spelling, get_api_level())
                if order is not None:
                    warn(_message(self, shape[1:]))
            if order is not None:
                _set_order(target, order)
        out = call(self, inputs, *args, **kwargs)
        if order is None and getattr(self, "_is_graph_network", False) and self.outputs:
            order = getattr(self.outputs[0], "_image_order", None)
        if order is not None:
            for y in out if isinstance(out, (list, tuple)) else [out]:
                y._image_order = order
        return out

    decided.decides_image_order = True  # type: ignore[attr-defined]
    # What Layer.__call__ takes through its keywords from programs of Keras 0.x and 1.x.
    decided.accepted_arguments = frozenset({"inputs", "mask", "train"})  # type: ignore[attr-defined]
    return decided


def _inner(layer: Any) -> tuple[Any, int]:
    """Return the layer that sees the images, and how many axes a wrapper takes off before it does."""
    skipped = 0
    while "layer" in layer.__dict__ and type(layer).__name__ == "TimeDistributed":
        layer, skipped = layer.layer, skipped + 1
    return layer, skipped


def _set_order(layer: Any, order: str) -> None:
    for owner in (layer, getattr(layer, "cell", None)):
        if owner is not None and hasattr(owner, "data_format"):
            owner.data_format = order
            if order == FIRST and layer._spelling != "new" and hasattr(owner, "kernel_format"):
                owner.kernel_format = FIRST


def _message(layer: Any, shape: tuple[Any, ...]) -> str:
    return (
        f"[{layer.name}] input_shape={shape} is read as channels first, for all layers of this network that do not "
        "say their order; nothing else was said, and the default is channels last. To set it: "
        "K.set_image_dim_ordering('th') or K.set_image_data_format('channels_last'), keras.json, or "
        "dim_ordering= (data_format=) of each layer."
    )

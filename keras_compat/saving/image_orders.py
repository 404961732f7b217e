"""The order of images that configs of Keras 0.x and 1.x forget: of layers that pad, crop and enlarge them.

``get_config`` of those layers leaves ``dim_ordering`` out up to 1.2.2, so that release reads its own file rightly only
where its ``keras.json`` says the order that the model was made with. Convolutions and pooling in the same model do say
it: what all of them say holds for the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_FORGETFUL = frozenset({"ZeroPadding2D", "ZeroPadding3D", "Cropping2D", "Cropping3D", "UpSampling2D", "UpSampling3D"})


def with_image_orders(config: Any) -> Any:
    """The config of a model with the order of images said where it was forgotten; unchanged if layers disagree."""
    parts = list(dictionaries(config))
    orders = {part["dim_ordering"] for part in parts if part.get("dim_ordering") in ("th", "tf")}
    if len(orders) != 1 or not any(part.get("class_name") in _FORGETFUL for part in parts):
        return config
    return _said(config, orders.pop())


def dictionaries(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every dictionary in a config, at whatever depth."""
    stack = [config]
    while stack:
        part = stack.pop()
        if isinstance(part, Mapping):
            yield part
            stack += part.values()
        elif isinstance(part, (list, tuple)):
            stack += part


def _said(value: Any, order: str) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([_said(v, order) for v in value])
    if not isinstance(value, Mapping):
        return value
    out = {k: _said(v, order) for k, v in value.items()}
    inner = out.get("config")
    if (
        out.get("class_name") in _FORGETFUL
        and isinstance(inner, dict)
        and not {"dim_ordering", "data_format"} & {*inner}
    ):
        out["config"] = inner | {"dim_ordering": order}
    return out

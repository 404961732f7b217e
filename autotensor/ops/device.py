"""The one device there is, "cpu", and the arguments that name it."""

from __future__ import annotations

from typing import Any

CPU = "cpu"


def check_device(op: str, device: Any) -> None:
    """Raise unless ``device`` is None or "cpu"."""
    if device is not None and device != CPU:
        raise ValueError(f"[{op}] expected device 'cpu', the only one; got {device!r}. Leave it out?")

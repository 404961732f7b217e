"""What Keras 0.3 had for pictures and no later one: pictures of ``(channels, rows, columns)``, batches for a Graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_compat.preprocessing.image.generator import ImageDataGenerator


def horizontal_flip(x: Any) -> np.ndarray:
    """A picture ``(channels, rows, columns)`` with left and right exchanged."""
    return np.asarray(x)[:, :, ::-1]


def vertical_flip(x: Any) -> np.ndarray:
    """A picture ``(channels, rows, columns)`` with top and bottom exchanged."""
    return np.asarray(x)[:, ::-1]


def random_barrel_transform(x: Any, intensity: float) -> Any:
    """The picture as it is: Keras 0.3 had the name, and nothing behind it."""
    return x


class GraphImageDataGenerator(ImageDataGenerator):
    """An ``ImageDataGenerator`` whose batches are ``{'input': pictures, 'output': targets}``, for a Graph."""

    def flow(self, *args: Any, **kwargs: Any) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """As :meth:`ImageDataGenerator.flow`, with batches as dictionaries."""
        batches = super().flow(*args, **kwargs)
        return ({"input": x, "output": y} for x, y in batches)

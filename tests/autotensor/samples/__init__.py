"""Samples of every operation, one module per family of ``autotensor.ops``; see ``base.Sample``."""

from __future__ import annotations

import importlib
import pkgutil

from tests.autotensor.samples.base import Sample


def by_family() -> dict[str, dict[str, list[Sample]]]:
    """The ``SAMPLES`` of each module in this folder, by module name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "base")
    return {name: importlib.import_module(f"{__name__}.{name}").SAMPLES for name in names}

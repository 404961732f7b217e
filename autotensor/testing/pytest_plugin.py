"""A pytest fixture for gradient checks. In ``conftest.py``::

    pytest_plugins = ["autotensor.testing.pytest_plugin"]

Tests then take ``check_grad`` as an argument. It is ``autotensor.testing.check_grad``, with random directions that
follow from the name of the test, options from the marker ``gradcheck`` (of the test, its class or module) and from
``gradcheck_options`` in the ini file, and failures that show the report in place of a traceback through the checker::

    @pytest.mark.gradcheck(order=2)
    def test_my_layer(check_grad):
        check_grad(my_layer, np.ones((2, 3)))
"""

from __future__ import annotations

import ast
import zlib
from collections.abc import Callable
from typing import Any

try:
    import pytest
except ImportError as error:  # pragma: no cover
    raise ImportError("[autotensor.testing.pytest_plugin] pytest is missing. Use pip install pytest.") from error

from autotensor.errors import GradientCheckError
from autotensor.testing import check_grad as _check_grad

_INI = "gradcheck_options"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(_INI, "options of the check_grad fixture, one `name = value` a line", type="linelist", default=[])


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gradcheck(**options): options of the check_grad fixture")
    _ini_options(config)  # a slip in the file is told before the first test


def _ini_options(config: pytest.Config) -> dict[str, Any]:
    options = {}
    for line in config.getini(_INI):
        name, sign, value = line.partition("=")
        try:
            options[name.strip()] = ast.literal_eval(value.strip())
        except (SyntaxError, ValueError):
            sign = ""
        if not sign:
            raise pytest.UsageError(f"[{_INI}] expected lines like 'order = 2'; got {line!r}. Quote texts?")
    return options


@pytest.fixture
def check_grad(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``autotensor.testing.check_grad`` with the seed and the options of this test; returns the report."""
    options: dict[str, Any] = {"seed": zlib.crc32(request.node.name.encode())}
    options.update(_ini_options(request.config))
    for marker in reversed(list(request.node.iter_markers("gradcheck"))):
        options.update(marker.kwargs)

    def check(f: Callable[..., Any], *inputs: Any, **given: Any) -> Any:
        __tracebackhide__ = True
        try:
            return _check_grad(f, *inputs, **{**options, **given})
        except GradientCheckError as error:
            # Without the frames of the checker: pytest shows the line of the test, and the report.
            raise error.with_traceback(None) from None

    return check

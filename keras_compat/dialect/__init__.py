"""Both vocabularies of Keras: 0.x and 1.x at the door, Keras 2.3's words inside.

`tables` holds the facts, `translate` applies them to one call, `install` puts that in front of the package's
classes and functions, `level` is the switch for what no spelling can tell. Layers and the engine never import
this package, except `level`.
"""

from keras_compat.dialect.install import (
    clear_report,
    install,
    install_all,
    install_function,
    install_method,
    report,
    translated,
    warn_old_spellings,
)
from keras_compat.dialect.level import LEVELS, api_level, get_api_level, set_api_level
from keras_compat.dialect.spec import Spec, spec_for
from keras_compat.dialect.translate import DialectError, Note, translate

__all__ = [
    "LEVELS",
    "DialectError",
    "Note",
    "Spec",
    "api_level",
    "clear_report",
    "get_api_level",
    "install",
    "install_all",
    "install_function",
    "install_method",
    "report",
    "set_api_level",
    "spec_for",
    "translate",
    "translated",
    "warn_old_spellings",
]

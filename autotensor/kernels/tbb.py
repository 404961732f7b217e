"""Finding Intel's TBB where `pip install tbb` puts it.

Numba's pool on TBB is the one that bears calls from several threads and forks. It asks the system for the library by
its bare name, and the system does not look into a virtual environment; a library that is loaded already it does find.
"""

from __future__ import annotations

import ctypes
import os
import site
import sys
from collections.abc import Iterator

_FILES = {"linux": ("lib", "libtbb.so.12"), "darwin": ("lib", "libtbb.12.dylib"), "win32": ("Library/bin", "tbb12.dll")}


def places() -> Iterator[str]:
    """Files that the library may be in, beside the system's own."""
    folder, name = _FILES.get(sys.platform, _FILES["linux"])
    prefixes = [sys.prefix, sys.exec_prefix, sys.base_prefix]
    if site.ENABLE_USER_SITE:
        prefixes.append(site.getuserbase())
    for prefix in dict.fromkeys(prefixes):
        yield os.path.join(prefix, *folder.split("/"), name)


def load() -> bool:
    """Load the library, so that whoever asks for it by its name gets it; False where it is not installed."""
    for path in places():
        if os.path.exists(path):
            try:
                ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
            except OSError:
                continue
            return True
    return False

"""Modules that are needed once and then let go: a small heap has no room for what only a start needs."""

import gc
import sys


def forget(name):
    """Let a module go; who imports it again loads it again."""
    sys.modules.pop(name, None)
    dot = name.rfind(".")
    package = sys.modules.get(name[:dot])
    if package is not None and hasattr(package, name[dot + 1 :]):
        # A package holds its modules by name, too.
        delattr(package, name[dot + 1 :])
    gc.collect()

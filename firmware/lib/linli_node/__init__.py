"""What nodes are made of: no pin, no socket, no clock of its own.

Modules that are needed once are let go: a small heap has no room for what only a start needs.
"""

import sys


def forget(name):
    """Let a module go; who imports it again loads it again.

    Nothing is collected here: that is done when memory runs short, and a board that only wakes up to sleep again has no
    time for it.
    """
    sys.modules.pop(name, None)
    dot = name.rfind(".")
    package = sys.modules.get(name[:dot])
    if package is not None and hasattr(package, name[dot + 1 :]):
        # A package holds its modules by name, too.
        delattr(package, name[dot + 1 :])

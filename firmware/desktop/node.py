"""``micropython node.py FOLDER UID``: a node on the desktop, with the program in its slots where it has any."""

import gc
import os
import sys


def _slot(folder):
    """Return the folder of the program to start; empty where the node has no slots of its own."""
    try:
        os.stat(folder + "/a")
    except OSError:
        return ""
    from linli_node.slots import Slots  # noqa: PLC0415 - the loader's own, of the desktop

    found = folder + "/" + Slots(folder).start()
    # What was imported to find out is of the loader: the program brings its own.
    for name in list(sys.modules):
        if name.startswith("linli_"):
            del sys.modules[name]
    gc.collect()
    return found


if program := _slot(sys.argv[1]):
    sys.path.insert(0, program)

from linli_desktop.board import main  # noqa: E402

main(sys.argv[1], sys.argv[2])

"""``micropython -i plugged.py``: a board with a stock firmware, at the end of a cable.

Its flash is a file with littlefs on it, and the only thing that its programs see: it starts ``/main.py`` from it, as
stock firmware does, and then listens (raw REPL) to whoever is at the cable. ``LINLI_BOARD`` is JSON: ``uid``, ``flash``
(the file), ``blocks``, ``quiet`` (start nothing: a soft reset in raw mode), ``wifi``, ``pins``, ``ports``.
"""

import json
import os
import random
import sys

import vfs

sys.path.insert(0, os.getenv("LINLI_STOCK"))
for _name in ("machine", "network", "socket"):
    sys.modules.pop(_name, None)
    __import__(_name)
sys.path[:] = [os.getenv("LINLI_DESKTOP")]
from linli_desktop.nor import Nor  # noqa: E402 - found after the path was set

_given = json.loads(os.getenv("LINLI_BOARD"))
_nor = Nor(_given["blocks"], _given["flash"], random.getrandbits)
vfs.umount("/")
try:
    vfs.mount(vfs.VfsLfs2(_nor), "/")
except OSError:
    vfs.VfsLfs2.mkfs(_nor)
    vfs.mount(vfs.VfsLfs2(_nor), "/")
for _name in list(sys.modules):
    if _name.startswith("linli_"):
        del sys.modules[_name]
sys.path[:] = ["", ".frozen", "/lib"]
# As a chip's own loader does; until then nobody listens.
print("boot")
if not _given["quiet"]:
    try:
        with open("/main.py") as _file:
            _source = _file.read()
    except OSError:
        _source = ""
    try:
        exec(_source, {"__name__": "__main__"})  # noqa: S102 - what a board does with it
    except KeyboardInterrupt as _exc:
        sys.print_exception(_exc)

"""What lies on a board's flash, looked at from outside: ``[file, blocks, "files" or "read", path]``."""

import binascii
import json
import os
import random
import sys

from linli_desktop.nor import Nor


def _walk(folder):
    found = {}
    for name, kind, _, size in os.ilistdir(folder or "/"):
        path = folder + "/" + name
        if kind == 0x4000:
            found.update(_walk(path))
        else:
            found[path] = size
    return found


def main(path):
    import vfs

    with open(path) as file:
        flash, blocks, what, wanted = json.load(file)
    nor = Nor(blocks, flash, random.getrandbits)
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(nor), "/")
    if what == "files":
        print(json.dumps(_walk("")))
    else:
        with open(wanted, "rb") as file:
            print(json.dumps(binascii.hexlify(file.read()).decode()))


if __name__ == "__main__":
    main(sys.argv[1])

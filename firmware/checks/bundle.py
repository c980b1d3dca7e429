"""The bundle of a slot on a flash with littlefs: prints what was imported from where, whole, damaged, without room."""

import binascii
import json
import os
import struct
import sys

from linli_desktop.nor import Nor, PowerCut

from linli_node import bundle, bundling, slots


def _write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def _flash(vfs, blocks, modules):
    """Mount a new flash with a program in its first slot; return it."""
    nor = Nor(blocks, "", lambda bits: 0)
    vfs.umount("/")
    vfs.VfsLfs2.mkfs(nor)
    vfs.mount(vfs.VfsLfs2(nor), "/")
    for folder in ("/a", "/a/linli_app", "/a/linli_app/sensors"):
        os.mkdir(folder)
    for name, data in modules.items():
        _write("/a" + name, data)
    _write("/a/manifest", b"{}")
    return nor


def _imported(vfs, woke=False):
    """Return what the program is imported from, and what its modules say of themselves."""
    path = bundle.path("/" + slots.Slots("").start(), woke)
    before, sys.path[:] = sys.path[:], [path]
    try:
        from linli_app import one
        from linli_app.sensors import two

        said = [path, one.NAME, two.NAME, one.__file__]
        try:
            __import__("linli_app.missing")
        except ImportError:
            said.append("missing")
        return said
    finally:
        sys.path[:] = before
        for name in [name for name in sys.modules if name.startswith("linli_app")]:
            del sys.modules[name]
        if path == "/run":
            vfs.umount("/run")


def _unnamed(whole):
    """Return a bundle without the line of what it was made of."""
    size = int(whole[:8], 16)
    index = whole[16 : 16 + size]
    index = index[index.index(b"\n", 1) :]
    head = b"%08x%08x" % (len(index), binascii.crc32(index)) + index + whole[16 + size : -4]
    return head + struct.pack("<I", binascii.crc32(head))


def _beside_newer(vfs, whole, manifest):
    """Return what is imported at a start with a bundle beside a manifest, and at a wake after it; is it left?"""
    _write("/a/bundle", whole)
    if manifest is None:
        os.remove("/a/manifest")
    else:
        _write("/a/manifest", manifest)
    return [_imported(vfs)[0], _imported(vfs, True)[0], "bundle" in os.listdir("/a")]


class Stub:
    """Stands in for a board, and for its loader."""

    kind = "esp32c3"
    feed = print


def _made_by(loader, start):
    """Tell whether a board with such a loader makes itself a bundle."""
    sys.modules["linli_loader"] = loader
    sys.path.insert(0, "/a")
    start._bundle(Stub())
    del sys.path[0]
    return "bundle" in os.listdir("/a")


def main(path):
    import vfs

    with open(path) as file:
        given = json.load(file)
    if "folder" in given:
        print(json.dumps(bundling.bundle(given["folder"], lambda: None)))
        return
    # Before the flash is in the place of the desktop's files.
    from linli_app import start

    for name in [name for name in sys.modules if name.startswith("linli_app")]:
        del sys.modules[name]
    modules = {}
    for name, source in given["modules"].items():
        with open(source, "rb") as file:
            modules[name] = file.read()
    told, fed = {}, []
    nor = _flash(vfs, 64, modules)
    told["files"] = _imported(vfs)
    told["loaders"] = [_made_by(Stub(), start), _made_by(bundle, start)]
    os.remove("/a/bundle")
    told["made"] = bundling.bundle("/a", lambda: fed.append(1))
    told["fed"] = len(fed)
    told["bundle"] = _imported(vfs)
    # Imported from the bundle already, or of no slot: there is nothing to do.
    told["again"] = [bundling.bundle("/run", print), bundling.bundle("/a/linli_app", print)]
    with open("/a/bundle", "rb") as file:
        whole = file.read()
    told["damaged"] = []
    for data in (b"", whole[:10], b"x" * 40, whole[:30], whole[:20] + b"?" + whole[21:]):
        _write("/a/bundle", data)
        told["damaged"].append(_imported(vfs)[0])
    # A module that is not what it was: told at a start, and not at each wake.
    told["changed"] = []
    for place in range(len(whole) - 1, 400, -len(whole) // 7):
        _write("/a/bundle", whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :])
        told["changed"].append(_imported(vfs)[0])
    _write("/a/bundle", whole)
    told["woke"] = _imported(vfs, True)[0]
    told["stale"] = [_beside_newer(vfs, whole, manifest) for manifest in (b"{}", b'{"number": 8}', None)]
    # One of a program that did not name what it is of.
    _write("/a/manifest", b"{}")
    unnamed = _unnamed(whole)
    told["stale"].append(_beside_newer(vfs, unnamed, b"{}"))
    cuts = set()
    for budget in range(0, given["until"], given["step"]):
        nor = _flash(vfs, 64, modules)
        nor.budget = budget
        try:
            bundling.bundle("/a", lambda: None)
        except PowerCut:
            pass
        nor.budget = -1
        vfs.umount("/")
        vfs.mount(vfs.VfsLfs2(nor), "/")
        cuts.add(json.dumps(_imported(vfs)[:3]))
    told["cuts"] = sorted(cuts)
    _flash(vfs, 64, modules)
    try:
        with open("/fill", "wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
    except OSError:
        pass
    told["full"] = [bundling.bundle("/a", lambda: None), sorted(os.listdir("/a"))]
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])

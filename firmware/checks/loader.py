"""The loader over a flash of its own: ``main`` prints which program each start ran, and what the last error was."""

import json
import os
import sys

from linli_desktop.nor import Nor

RAN = []


class Reset(BaseException):
    """The board starts again."""


class Machine:
    """Stands in for ``machine``."""

    @staticmethod
    def reset():
        raise Reset

    @staticmethod
    def reset_cause():
        return 1


class Loader:
    """Stands in for what ``linli-edge node build`` makes of both modules."""


class Time:
    """Stands in for ``time``: nobody waits here."""

    sleep = RAN.append


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)


def main(path):
    """Start as often as a file asks for, each time with the programs it names in the slots."""
    import vfs

    from linli_node import bundle, slots

    with open(path) as file:
        case = json.load(file)
    with open(case["main"]) as file:
        source = file.read()
    sys.modules["machine"] = Machine
    Loader.Slots, Loader.path = slots.Slots, bundle.path
    sys.modules["linli_loader"] = Loader
    sys.modules["time"] = Time
    nor = Nor(32)
    vfs.VfsLfs2.mkfs(nor)
    vfs.mount(vfs.VfsLfs2(nor), "/")
    for slot, text in case["programs"].items():
        os.mkdir("/" + slot)
        os.mkdir("/" + slot + "/linli_app")
        _write("/" + slot + "/linli_app/__init__.py", "")
        _write("/" + slot + "/linli_app/start.py", text)
    if case["state"]:
        slots.Slots("").keep(case["state"])
    if case["worn"]:
        nor.worn = set(range(nor.blocks))
    sys.modules["checks_ran"] = RAN
    before = list(sys.path)
    for _ in range(case["starts"]):
        try:
            exec(source, {"__name__": "__main__"})
        except Reset:
            RAN.append("reset")
        sys.path[:] = before
        for name in list(sys.modules):
            if name.startswith("linli_app"):
                del sys.modules[name]
    error = ""
    if "last_error" in os.listdir("/"):
        with open("/last_error") as file:
            error = file.read()
    print(json.dumps({"ran": RAN, "error": error, "state": slots.Slots("").state()}))


if __name__ == "__main__":
    main(sys.argv[1])

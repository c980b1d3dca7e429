"""Updates as a node takes them: ``main`` prints what came of each step of each case, as one line of JSON."""

import binascii
import gc
import json
import time

from linli_node import ed25519
from linli_node.slots import Slots
from linli_node.taking import Taking, UpdateError

_unhex = binascii.unhexlify


def _verify(case):
    return ed25519.verify(_unhex(case[0]), _unhex(case[1]), _unhex(case[2]))


def _sha512(text):
    return binascii.hexlify(ed25519.sha512(_unhex(text))).decode()


def _cost(case):
    """Return milliseconds and bytes of heap that one signature costs."""
    gc.collect()
    held, peak, started = gc.mem_alloc(), 0, time.ticks_us()
    threshold = 4096
    gc.threshold(threshold)
    assert _verify(case)
    peak = gc.mem_alloc() - held
    return {"ms": time.ticks_diff(time.ticks_us(), started) / 1000, "bytes": max(peak, threshold)}


def _steps(case):
    slots, found = Slots(case["root"]), []
    taking, fed = Taking(slots), []
    taking.feed = lambda: fed.append(name)
    for name, arguments in case["steps"]:
        if name == "begin":
            manifest, signature, key, kind = arguments
            arguments = [manifest.encode(), _unhex(signature), _unhex(key), kind]
        elif name == "chunk":
            arguments = [arguments[0], arguments[1], _unhex(arguments[2])]
        if name == "fed":
            found.append(len(fed))
            continue
        try:
            found.append(getattr(slots if hasattr(slots, name) else taking, name)(*arguments))
        except UpdateError as exc:
            found.append("refused: " + str(exc))
    return found


_PARTS = {"verify": _verify, "sha512": _sha512, "steps": _steps, "cost": _cost}


def main(path):
    """Work out the cases in a file: by part, a list."""
    with open(path) as file:
        cases = json.load(file)
    print(json.dumps({part: [_PARTS[part](case) for case in listed] for part, listed in cases.items()}))


if __name__ == "__main__":
    import sys

    main(sys.argv[1])

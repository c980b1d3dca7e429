"""A node on mains whose sensors fail and answer again: ``main`` prints what it logged, and what was opened."""

import asyncio
import json

from linli_desktop.board import Board

from linli_node.crc import crc8

STATE = {"now": 1000000, "answers": {}, "held": False, "opened": 0, "said": []}
_TIMED_OUT, _NOBODY = 116, 19


def _words(*words):
    data = b""
    for word in words:
        part = bytes((word >> 8, word & 0xFF))
        data += part + bytes([crc8(part, 0x31, 0xFF)])
    return data


class Bus:
    """I2C with SHT4x on it: each says a raw word, nothing, garbage; or the bus is short, or was for a moment."""

    def _answer(self, address):
        said = STATE["answers"].get(str(address))
        if said is None:
            raise OSError(_NOBODY)
        if said == "hangs":
            # What waits for it is ended.
            raise asyncio.TimeoutError
        if said == "glitch":
            STATE["answers"][str(address)] = 0x6666
        if said in ("short", "glitch"):
            raise OSError(_TIMED_OUT)
        return said

    def writeto(self, address, _data):
        self._answer(address)

    def readfrom(self, address, _count):
        said = self._answer(address)
        return b"\x5a" * 6 if said == "garbage" else _words(said, 0x8000)


class Bench(Board):
    """The desktop with a bus, and a count that is moved."""

    def count(self):
        return STATE["now"]

    def say(self, text):
        STATE["said"].append(text)

    def i2c(self, _sda, _scl):
        STATE["opened"] += 1
        if STATE["held"]:
            raise OSError(5)
        return Bus()


async def _live(case):
    from linli_app.program import Node
    from linli_app.settings import check, load

    config = check(case["root"]) or load(case["root"])
    board = Bench(case["root"], config, "d0d0")
    STATE.update(case["begins"])
    node = Node(config, board)
    node.open()
    for _, sensor in node.sensors:
        if hasattr(sensor, "poll"):
            sensor.poll(0)
    told = []
    for seconds, change in case["steps"]:
        STATE["now"] += seconds * 1000
        STATE.update(change)
        STATE["opened"] = 0
        await node.sample(health=False)
        *_, (_, _, payload) = node._log.pending(0)
        told.append([[[name, value, quality] for name, _, value, quality in json.loads(payload)[2]], STATE["opened"]])
    return {"told": told, "said": STATE["said"]}


async def _at_once(_milliseconds):
    await asyncio.sleep(0)


def main(path):
    # A sensor's own waiting is not what is tried here.
    asyncio.sleep_ms = _at_once
    with open(path) as file:
        print(json.dumps(asyncio.run(_live(json.load(file)))))


if __name__ == "__main__":
    import sys

    main(sys.argv[1])

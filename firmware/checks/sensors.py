"""Sensors over buses that answer as a case says: ``main`` prints what each sensor made of it, as one line of JSON."""

import asyncio
import binascii
import json

from linli_app.actions import Action
from linli_app.sensors import make
from linli_app.sensors.fields import ACTIONS, FIELDS
from linli_node import config
from linli_node.errors import SensorError

_unhex = binascii.unhexlify


class Bus:
    """Plays a list of ``[what was written, what is answered]``.

    ``null`` is a bus on which nobody answers, ``low`` one whose clock is held low.
    """

    def __init__(self, script):
        self._script = list(script)
        self.wrong = []

    def _next(self, written):
        if not self._script:
            self.wrong.append("more than expected: " + written)
            raise OSError(5)
        expected, answer = self._script.pop(0)
        if expected != written:
            self.wrong.append("wrote " + written + ", expected " + expected)
        if answer is None or answer == "low":
            raise OSError(19 if answer is None else 116)
        return _unhex(answer)

    def writeto(self, address, data):
        self._next("w%02x:" % address + binascii.hexlify(data).decode())

    def readfrom(self, address, count):
        return self._next("r%02x:%d" % (address, count))

    def readfrom_mem(self, address, register, count):
        return self._next("m%02x:%02x:%d" % (address, register, count))

    # 1-Wire
    def reset(self):
        return self._next("reset") == b"\x01"

    def write(self, data):
        self._next("w:" + binascii.hexlify(data).decode())

    def read(self, count, limit_ms=0):
        if limit_ms:
            return self._later(count)
        return self._next("r:%d" % count)

    async def _later(self, count):
        return self._next("r:%d" % count)


class Pin:
    def __init__(self, levels):
        self._levels = levels
        self.set_to = []

    def value(self, level=None):
        if level is None:
            return self._levels.pop(0) if len(self._levels) > 1 else self._levels[0]
        return self.set_to.append(level)

    read_u16 = value


class Board:
    """Gives every sensor the same bus and the same pin."""

    def __init__(self, case):
        self.bus = Bus(case.get("bus", ()))
        self.pin = Pin(case.get("levels", [1]))

    def i2c(self, _sda, _scl):
        return self.bus

    def one_wire(self, _pin):
        return self.bus

    def uart(self, *_):
        return self.bus

    def pin_in(self, _number, pull_up=False):
        return self.pin

    def pin_out(self, _number):
        return self.pin

    adc = pin_out


def _sensor(case):
    board = Board(case)
    problems = []
    table = config.read(case["table"], FIELDS[case["kind"]], "", problems)
    assert not problems, problems
    table["kind"] = case["kind"]
    sensor = make(table, board)
    found = []
    for _ in range(case.get("times", 1)):
        try:
            found.append([list(record) for record in asyncio.run(sensor.read())])
        except SensorError as exc:
            found.append(exc.reason)
    return {"found": found, "wrong": board.bus.wrong, "set": board.pin.set_to}


def _contact(case):
    board = Board(case)
    table = config.read(case["table"], FIELDS[case["kind"]], "", [])
    table["kind"] = case["kind"]
    sensor = make(table, board)
    return [[sensor.poll(count), sensor.state] for count in case["counts"]]


def _action(case):
    board = Board({})
    kind = case.get("kind", "relay")
    table = dict(config.read(case["table"], ACTIONS[kind], "", []), kind=kind)
    action = Action(table, board, calls=case.get("calls", False))
    found = []
    for value, count in case["values"]:
        if value == "confirm":
            action.confirm(count)
        else:
            action.update(tuple(value) if isinstance(value, list) else value, count)
        action.tick(count)
        found.append(action.on)
    return {"on": found, "set": board.pin.set_to}


def _quantities(case):
    table = config.read(case["table"], FIELDS[case["kind"]], "", [])
    table["kind"] = case["kind"]
    return list(make(table, Board(case)).quantities)


_PARTS = {"quantities": _quantities, "sensor": _sensor, "contact": _contact, "action": _action}


def main(path):
    """Work out the cases in a file: by part, a list."""
    # A sensor's own waiting is not what is tried here.
    asyncio.sleep_ms = _at_once
    with open(path) as file:
        cases = json.load(file)
    print(json.dumps({part: [_PARTS[part](case) for case in listed] for part, listed in cases.items()}))


async def _at_once(_milliseconds):
    return


if __name__ == "__main__":
    import sys

    main(sys.argv[1])

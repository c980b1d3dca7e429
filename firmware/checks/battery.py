"""Times awake of a node on a battery over stand-ins for node and board: prints what it did in each."""

import asyncio
import json
import sys

from linli_app import battery
from linli_node.errors import LinkError
from linli_node.rests import Rests


class Memory:
    held = b""

    def get(self):
        return self.held

    def set(self, content):
        self.held = content
        return True


class Board:
    def __init__(self):
        self.woke = False
        self.woken_pins = ()
        self.millivolts = None
        self.said = []
        self.slept = 0
        self.dozed = 0

    now = 1000000

    def count(self):
        return self.now

    def battery_mv(self):
        return self.millivolts

    def feed(self):
        """Nothing watches."""

    def say(self, text):
        self.said.append(text)

    def doze(self, milliseconds):
        self.dozed = milliseconds

    def sleep(self, milliseconds, wakes):
        self.slept, self.wakes = milliseconds // 1000, wakes


class Counted:
    """A meter's pulses."""

    kept = polled = 0

    def poll(self, count):
        self.polled += 1

    def keep(self):
        self.kept += 1

    def wakes(self):
        return 5, 0


class Node:
    """A node whose sensors, and whose gateway, do what the case says."""

    def __init__(self, case, pulses):
        self._case = case
        self.sensors = [({"kind": "pulse", "pin": 5}, pulses)]
        self.call = case.get("call", 0)
        self.failing = self.states = 0
        self.urgent = self.grave = False
        self.has_other_way = False
        self.read = self.delivered = 0

    async def look(self):
        return False

    async def sample(self, *, health=True):
        self.read += 1
        self.urgent = self._case.get("urgent", False)
        # As the node does: what is so is news as long as it was not so.
        self.grave = bool(self._case.get("wet")) and not self.states & 1
        self.urgent = self.urgent or self.grave
        self.states = int(bool(self._case.get("wet")))
        if self._case.get("hangs") == "sensor":
            await asyncio.sleep(60)

    async def deliver(self, until_empty):
        self.delivered += 1
        if self._case.get("away"):
            raise LinkError("away")
        if self.delivered <= self._case.get("no_key", 0):
            # It showed its shared key, and would show its certificate next.
            self.has_other_way = self.delivered == 1
            raise LinkError("no key")
        if self._case.get("hangs") == "gateway":
            await asyncio.sleep(60)
        while not until_empty():
            await asyncio.sleep_ms(1)


def main(path):
    with open(path) as file:
        cases = json.load(file)
    board, memory, pulses, told = Board(), Memory(), Counted(), []
    for case in cases:
        node = Node(case, pulses)
        board.millivolts = case.get("mv")
        board.now += case.get("later_s", 0) * 1000
        board.woken_pins = tuple(case.get("pins", ()))
        rests = Rests(memory, broke_down=case.get("broke_down", False))
        if case.get("garbage"):
            memory.held = b"\xa5" * case["garbage"]
            rests = Rests(memory)
        asyncio.run(battery.wake(node, board, {"interval": 900, "deliver_every": 4}, rests, 0.1))
        told.append([node.read, node.delivered, board.slept, rests.low, rests.overruns, pulses.kept])
        board.woke = True
    print(json.dumps({"told": told, "said": board.said}))


if __name__ == "__main__":
    main(sys.argv[1])

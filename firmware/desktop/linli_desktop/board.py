"""The desktop in place of a board: lines on standard input move its pins and pulses, its flash lies in a folder.

::

    pin 4 1          pin 4 is high now
    pulse 5 10       ten pulses on pin 5
    adc 3 20000      what an analogue input reads
    battery 2900     millivolts
    cut 5000         the power goes after so many more bytes of flash
    pass 86400       so many seconds pass at once, as the node's count of time has it
    nights 30        the next sleeps take no time, and as much of it passes as if they did
    end              stop in good order
"""

import asyncio
import gc
import json
import os
import random
import select
import sys
import time

from micropython import const

from linli_desktop.nor import Nor, PowerCut
from linli_node import forget
from linli_node.flash import BlockFlash

_LOOK_MS = const(10)
_CERTIFIED = const(b"\x18")
_CUT = const(9)
_RESTART = const(3)
"""Exit status of a node that wants to start another program."""


class Pin:
    """One pin."""

    def __init__(self, number, say):
        self._number = number
        self._say = say
        self.level = 1
        self.pulses = 0

    def value(self, level=None):
        """Return the level, or set it."""
        if level is None:
            return self.level
        if level != self.level:
            self._say("pin " + str(self._number) + " " + str(level))
        self.level = level
        return None

    def read_u16(self):
        """Return what an analogue input reads."""
        return self.level

    def take(self):
        """Return the pulses since the last time."""
        pulses, self.pulses = self.pulses, 0
        return pulses


class Memory:
    """What outlasts deep sleep, and no power cut."""

    def __init__(self):
        self._held = b""

    def get(self):
        """Return what was set."""
        return self._held

    def set(self, content):
        """Hold bytes; there is room."""
        self._held = content
        return True


class Board:
    """The board. One object lives through all the sleeps of one power-up.

    Args:
        folder: Holds ``node.json``, ``keys/`` and the flash.
        config: The node's configuration, for the gateway's address.
        uid: The board's own name.

    Attributes:
        heap_peak: Most bytes of heap that were in use after a collection.
        shared: Whether the last connection was with the shared key.
    """

    kind = "desktop"
    log_size = (int(os.getenv("LOG_BLOCKS") or 32), 4096)
    goes_on = False
    reset_cause = "power-on"

    def __init__(self, folder, config, uid):
        self._folder = folder
        self._gateway = config["gateway"]
        self._pins = {}
        self._nors = {}
        self._memories = {}
        self._battery = None
        self._context = None
        self.shared = False
        self.uid = uid
        self.woke = False
        self.woken_pins = ()
        self.slept_ms = 0
        self.heap_peak = 0
        self.ended = False
        self.restarts = False
        self.nights = 0
        self._passed_ms = 0
        self.root = folder
        try:
            with open(folder + "/keys/update.pub", "rb") as file:
                self.update_key = file.read()
        except OSError:
            self.update_key = b""

    def say(self, text):
        """Tell whoever looks on."""
        print(text)

    def count(self):
        """Return milliseconds; they go on through sleep."""
        return time.time_ns() // 1000000 + self._passed_ms

    def random32(self):
        """Return 32 random bits."""
        return random.getrandbits(32)

    def feed(self):
        """Show the watchdog that the program lives."""
        gc.collect()
        self.heap_peak = max(self.heap_peak, gc.mem_alloc())

    def flash(self, name, blocks, _size):
        """Return a piece of flash; it is there again at the next start."""
        if name not in self._nors:
            self._nors[name] = Nor(blocks, self._folder + "/" + name + ".bin", random.getrandbits)
        return BlockFlash(self._nors[name])

    def memory(self, name):
        """Return memory that outlasts deep sleep."""
        return self._memories.setdefault(name, Memory())

    def _pin(self, number):
        if number not in self._pins:
            self._pins[number] = Pin(number, self.say)
        return self._pins[number]

    def pin_in(self, number, pull_up=False):  # noqa: ARG002 - a board's pins have resistors
        """Return an input."""
        return self._pin(number)

    def pin_out(self, number):
        """Return an output."""
        return self._pin(number)

    adc = pin_out

    def pulses(self, number, _debounce_ms):
        """Return a counter of pulses."""
        return self._pin(number)

    def battery_mv(self):
        """Return the battery's millivolts; ``None`` on mains."""
        return self._battery

    def signal(self):
        """Return the radio's strength; a desktop has no radio."""
        return

    async def connect(self, _wifi):
        """Join the network: the desktop is in it."""

    def prepare(self):
        """Make ready what TLS needs."""
        if self._gateway["tls"] and self._context is None:
            from linli_app.tls import context  # noqa: PLC0415 - let go again

            self._context = context(self._folder + "/keys/", self._gateway, self.memory("shared"))
            forget("linli_app.tls")

    async def streams(self):
        """Return a reader and a writer to the gateway's broker."""
        gateway = self._gateway
        if not gateway["tls"]:
            streams = await asyncio.open_connection(gateway["host"], gateway["port"])
        else:
            self.prepare()
            found, port, self.shared = self._context
            streams = await asyncio.open_connection(gateway["host"], port, ssl=found, server_hostname="linli-gateway")
        # Now most of the heap is in use.
        self.feed()
        return streams

    def unheard(self):
        """Nobody has answered at the last attempt; tell whether the next one goes another way."""
        used, self._context = self._context, None
        if used is None:
            return False
        # Who is not answered with a certificate either tries the shared key again at once.
        self.memory("shared").set(_CERTIFIED if used[2] else b"")
        return used[2]

    def restart(self):
        """Start the program that was put into the other slot."""
        self.restarts = self.ended = True

    def confirmed(self):
        """Somebody has confirmed the button's call."""
        self.say("confirmed")

    def doze(self, milliseconds):
        """Wait; the desktop has nothing to switch off."""
        time.sleep_ms(milliseconds)

    def sleep(self, milliseconds, wakes):
        """Note how long to sleep; the program has come to its end."""
        self.slept_ms, self.wakes = milliseconds, wakes

    async def sleeping(self):
        """Sleep as long as was asked for, or until a pin wakes."""
        self.woken_pins = ()
        end = self.count() + self.slept_ms
        while not self.ended and self.count() < end:
            if self.nights:
                self.nights -= 1
                self._passed_ms += end - self.count()
                if not self.nights:
                    self.say("morning")
                return
            for pin, level in self.wakes:
                if self._pin(pin).level == level or self._pin(pin).pulses:
                    self.woken_pins = (pin,)
                    return
            await asyncio.sleep_ms(20)

    async def obey(self):
        """Do what standard input says, for ever."""
        waiting = select.poll()
        waiting.register(sys.stdin, select.POLLIN)
        while True:
            if not waiting.poll(0):
                await asyncio.sleep_ms(_LOOK_MS)
                continue
            line = sys.stdin.readline()
            if not line:
                return
            words = line.split()
            if not words:
                continue
            if words[0] == "end":
                self.ended = True
            else:
                self._obey(words[0], [int(word) for word in words[1:]])

    def _obey(self, word, numbers):
        if word in ("pin", "adc"):
            self._pin(numbers[0]).level = numbers[1]
        elif word == "pulse":
            self._pin(numbers[0]).pulses += numbers[1]
        elif word == "battery":
            self._battery = numbers[0]
        elif word == "cut":
            for nor in self._nors.values():
                nor.budget = numbers[0]
        elif word == "wear":
            for nor in self._nors.values():
                nor.worn = set(range(nor.blocks))
        elif word == "pass":
            self._passed_ms += numbers[0] * 1000
        elif word == "nights":
            self.nights = numbers[0]


async def live(folder, uid):
    """Run the node in a folder until standard input says ``end``; return how it stands."""
    from linli_app.settings import check, load  # noqa: PLC0415 - before the program, whose memory the checking needs

    config = check(folder)
    from linli_app.program import Node  # noqa: PLC0415

    config = config or load(folder)
    forget("linli_app.settings")
    board = Board(folder, config, uid)
    obeying = asyncio.create_task(board.obey())
    board.say("ready")
    while not board.ended:
        node = Node(config, board)
        node.open()
        running = asyncio.create_task(node.run())
        while not running.done() and not board.ended:
            await asyncio.sleep_ms(1 if board.nights else 20)
        node.ended = True
        await running
        board.feed()
        if config["power"] == "battery":
            await board.sleeping()
            board.woke = board.goes_on = True
            board.reset_cause = "sleep"
    obeying.cancel()
    log = node._log  # noqa: SLF001 - nobody on a board asks for it
    state = {"epoch": log.epoch, "next_seq": log.next_seq, "acked": log.acked, "backlog": log.backlog}
    state["heap_peak"] = board.heap_peak
    state["restarts"] = board.restarts
    return state


def main(folder, uid):
    """Run a node; a power cut ends the process at once."""
    try:
        state = asyncio.run(live(folder, uid))
    except PowerCut:
        print("power cut")
        sys.exit(_CUT)
    print(json.dumps(state))
    sys.exit(_RESTART if state["restarts"] else 0)

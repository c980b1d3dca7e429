"""The desktop as a chip that sleeps deeply: each time awake is a process of its own, and as slow as the chip.

What the chip would take is waited for while the real program runs: its slower interpreter, the search for each module
on its file system, its flash, its radio, its part of the TLS handshake. How long each takes is declared in
``chip.json``. So what waits at the same time on the chip does so here.
"""

import asyncio
import binascii
import json
import sys
import time

from linli_desktop import board as desktop
from linli_node.folder_flash import FolderFlash

CHIP = None


class Slept(BaseException):
    """The chip sleeps: the process is over."""


class Pace:
    """Makes this process as slow as the chip.

    Args:
        times: What was declared.

    Attributes:
        writes: How often the flash was written to.
        dozed: Milliseconds with everything but the memory switched off.
        native: Whether what is computed is none of the interpreter's.
    """

    def __init__(self, times):
        self.times = times
        self._slower = times["slower"] - 1
        self._owed = 0
        self._cpu = time.clock()
        self._modules = len(sys.modules)
        self.writes = self.dozed = 0
        self.native = False
        self.begun = time.ticks_ms()

    def settle(self):
        """Wait for what the chip would have taken until now; return how long that was."""
        if not self.native:
            self._owed += (time.clock() - self._cpu) * 1000 * self._slower
        loaded = len(sys.modules)
        if loaded > self._modules:
            self._owed += (loaded - self._modules) * self.times["module_ms"]
        self._modules = loaded
        waited = int(self._owed)
        if waited:
            time.sleep_ms(waited)
            self._owed -= waited
        self._cpu = time.clock()
        return waited

    def spend(self, milliseconds):
        """Take so long; what the desktop itself has computed since the last settlement costs the chip nothing."""
        self._cpu = time.clock()
        self._owed += milliseconds

    def keep(self):
        """Let the event loop settle before it waits: waiting itself costs only the desktop something."""
        wait = asyncio.core.IOQueue.wait_io_event

        def waited(queue, milliseconds):
            settled = self.settle()
            wait(queue, max(0, milliseconds - settled) if milliseconds > 0 else milliseconds)
            self.spend(0)

        asyncio.core.IOQueue.wait_io_event = waited


class SlowFolder(FolderFlash):
    """Files on littlefs, on flash that takes its time."""

    def __init__(self, folder, blocks, size, pace):
        super().__init__(folder, blocks, size)
        self._pace = pace

    def read(self, block, offset, count):
        """Find a file and read of it."""
        self._pace.settle()
        found = super().read(block, offset, count)
        self._pace.spend(self._pace.times["read_ms"])
        return found

    def write(self, block, offset, data):
        """Write to a file's end: littlefs erases a block for its last one, and notes the new length."""
        super().write(block, offset, data)
        self._pace.spend(self._pace.times["write_ms"])
        self._pace.writes += 1

    def erase(self, block):
        """Throw a file away."""
        super().erase(block)
        self._pace.spend(self._pace.times["write_ms"])


class Air:
    """A stream over the radio."""

    def __init__(self, stream, pace):
        self._stream = stream
        self._pace = pace

    async def read(self, count):
        """Receive."""
        data = await self._stream.read(count)
        self._pace.native = False
        await asyncio.sleep_ms(self._pace.times["air_ms"])
        return data

    def write(self, data):
        """Send."""
        self._pace.settle()
        self._stream.write(data)

    async def drain(self):
        """Send what waits."""
        await self._stream.drain()

    def close(self):
        """End it."""
        self._stream.close()

    async def wait_closed(self):
        """Wait for the end."""
        await self._stream.wait_closed()


class Probe:
    """A DS18B20 alone on its bus, at 21.5 °C."""

    def reset(self):
        """Tell that it is there."""
        return True

    def write(self, data):
        """Take a command."""

    def read(self, count):
        """Return its scratchpad."""
        from linli_node.crc import crc_reflected  # noqa: PLC0415 - of the program that is tried

        content = bytes((0x58, 0x01, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10))
        return (content + bytes((crc_reflected(content, 0x8C, 0),)))[:count]


class Memory:
    """What outlasts deep sleep: it goes to a file when the chip sleeps."""

    def __init__(self, held, name):
        self._held = held
        self._name = name

    def get(self):
        """Return the bytes that were set."""
        return binascii.unhexlify(self._held.get(self._name, ""))

    def set(self, content):
        """Hold bytes; there is room."""
        self._held[self._name] = binascii.hexlify(content).decode()
        return True


class Board(desktop.Board):
    """The chip, as the node's program sees it."""

    kind = "esp32c3"
    log_size = (32, 16384)

    def __init__(self, config):
        super().__init__(CHIP.folder, config, CHIP.uid)
        self._pace = CHIP.pace
        self.woke = self.goes_on = CHIP.woke
        self.reset_cause = "deepsleep" if CHIP.woke else "pwron"
        self._joined_at = None
        self._radio_at = None

    def feed(self):
        """Show the watchdog that the program lives."""
        self._pace.settle()

    def flash(self, name, blocks, size):
        """Return a folder of files, as on a stock firmware."""
        return SlowFolder(CHIP.folder + "/" + name, blocks, size, self._pace)

    def memory(self, name):
        """Return memory that outlasts deep sleep."""
        return CHIP.memory(name)

    def one_wire(self, _number):
        """Return a bus with a probe."""
        return Probe()

    def adc(self, number):
        """Return an input that reads a dry rope."""
        pin = self._pin(number)
        pin.level = 40000
        return pin

    def battery_mv(self):
        """Return the battery's millivolts."""
        return 2900

    def begin(self, _wifi):
        """Begin to join."""
        self._pace.settle()
        times, now = self._pace.times, time.ticks_ms()
        self._radio_at = now
        self._joined_at = now + times["join_ms"] + (0 if self.memory("lease").get() else times["dhcp_ms"])
        self.memory("lease").set(b"10.0.0.7")

    async def connect(self, wifi):
        """Join."""
        if self._joined_at is None:
            self.begin(wifi)
        while time.ticks_diff(self._joined_at, time.ticks_ms()) > 0:
            await asyncio.sleep_ms(5)
        self._pace.settle()

    async def streams(self):
        """Return a reader and a writer; the chip's part of the handshake is waited for."""
        self._pace.settle()
        # To and fro: the connection, and twice the handshake over it.
        await asyncio.sleep_ms(self._pace.times["air_ms"] * (3 if self._gateway["tls"] else 1))
        stream, _ = await super().streams()
        computed = self._pace.times["shared_ms" if self.shared else "tls_ms"]
        self._pace.spend(computed if self._gateway["tls"] else 0)
        self._pace.settle()
        # Until something is heard, what the desktop computes is its own handshake.
        self._pace.native = True
        air = Air(stream, self._pace)
        return air, air

    def doze(self, milliseconds):
        """Wait with everything but the memory switched off."""
        self._pace.settle()
        time.sleep_ms(milliseconds)
        self._pace.dozed += milliseconds
        self._pace.spend(0)

    def sleep(self, milliseconds, wakes):
        """Sleep: the process ends."""
        self._pace.settle()
        CHIP.sleep(milliseconds, wakes, self._radio_at)
        raise Slept


class Chip:
    """The chip as the process finds it: what it has on flash, and what outlasted its sleep."""

    def __init__(self, folder, uid):
        self.folder = folder
        self.uid = uid
        with open(folder + "/chip.json") as file:
            self._times = json.load(file)
        try:
            with open(folder + "/rtc.json") as file:
                held = json.load(file)
            self.woke = True
        except OSError:
            held, self.woke = {}, False
        self._held = held
        self.pace = Pace(self._times)

    def memory(self, name):
        """Return memory that outlasts deep sleep."""
        return Memory(self._held, name)

    def sleep(self, milliseconds, wakes, radio_at):
        """Keep what outlasts sleep, and tell how long it was awake."""
        now = time.ticks_ms()
        with open(self.folder + "/rtc.json", "w") as file:
            json.dump(self._held, file)
        print(
            json.dumps(
                {
                    "boot_ms": self._times["boot_ms"],
                    "awake_ms": self._times["boot_ms"] + time.ticks_diff(now, self.pace.begun),
                    "radio_ms": 0 if radio_at is None else time.ticks_diff(now, radio_at),
                    "sleep_ms": milliseconds,
                    "wakes": wakes,
                    "writes": self.pace.writes,
                    "dozed_ms": self.pace.dozed,
                }
            )
        )


def main(folder, uid):
    """Be awake once."""
    global CHIP  # noqa: PLW0603 - the program makes its board itself, of the class it finds
    sys.modules["linli_app.board"] = sys.modules[__name__]
    CHIP = Chip(folder, uid)
    CHIP.pace.keep()
    from linli_app.start import main as start  # noqa: PLC0415

    try:
        start(folder)
    except Slept:
        return

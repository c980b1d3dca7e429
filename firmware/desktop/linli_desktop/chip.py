"""The desktop as a chip that sleeps deeply: each time awake is a process of its own, and as slow as the chip.

What the chip would take is waited for while the real program runs, from its loader and its part for the board on: its
slower interpreter, the search for each module on its file system, its flash, its radio, its part of the TLS handshake.
How long each takes is declared in ``chip.json``. So what waits at the same time on the chip does so here.
"""

import binascii
import json
import sys
import time

import vfs

from linli_desktop.pace import Flash, Pace, asyncio, connecting

_RTC = 2048
"""Bytes that MicroPython keeps of the chip's memory that outlasts sleep."""


class Slept(BaseException):
    """The chip sleeps: the process is over."""


class Module:
    """Stands in for a module of the firmware."""


class Pin:
    """One pin; nobody moves it."""

    IN, OUT, PULL_UP, IRQ_FALLING, IRQ_RISING = 0, 1, 2, 2, 1

    def __init__(self, number, _mode=0, _pull=None):
        self._number = number

    def value(self, level=None):
        """Return its level, or set it."""
        return CHIP.levels.get(str(self._number), 1) if level is None else None

    def irq(self, _handler, _edges):
        """Nothing comes by itself."""


class Adc:
    """An analogue input: a dry rope, and half of two cells' voltage."""

    ATTN_11DB = 3

    def __init__(self, _pin, **_more):
        pass

    def read_u16(self):
        """Return what a rope reads."""
        return 40000

    def read_uv(self):
        """Return what the divider reads."""
        CHIP.pace.note("measures its battery")
        return 1450000


class Rtc:
    """Memory that outlasts deep sleep: it goes to a file when the chip sleeps."""

    def memory(self, content=None):
        """Return it, or set it."""
        if content is None:
            return CHIP.held
        if len(content) > _RTC:
            raise ValueError
        CHIP.held = bytes(content)
        return None


class Watchdog:
    """A watchdog that lets its chip work."""

    def __init__(self, timeout):
        self.timeout = timeout

    def feed(self):
        """Show that the program lives."""


class Wlan:
    """The radio: it takes as long to join as was declared, and longer where it has no address yet."""

    PM_NONE = 0

    def __init__(self, _kind):
        self._address = None
        self._at = None

    def active(self, on):
        """Switch it."""
        if on and CHIP.radio_at is None:
            CHIP.radio_at = time.ticks_ms()

    def config(self, **_wanted):
        """Take what only a radio can do."""

    def ifconfig(self, address=None):
        """Return its address, or set it."""
        if address is None:
            return ("10.0.0.7", "255.255.255.0", "10.0.0.1", "10.0.0.1")
        self._address = address
        return None

    def connect(self, _ssid, _password):
        """Begin to join."""
        times = CHIP.pace.times
        CHIP.pace.settle()
        CHIP.pace.note("begins to join")
        self._at = time.ticks_ms() + times["join_ms"] + (0 if self._address else times["dhcp_ms"])

    def isconnected(self):
        """Tell whether it is in the network."""
        return self._at is not None and time.ticks_diff(self._at, time.ticks_ms()) <= 0

    def disconnect(self):
        """Leave."""
        self._at = None

    def status(self, _what):
        """Return the strength."""
        return -61


class OneWire:
    """A bus with a DS18B20 alone on it, at 21.5 °C; its slots take their time (datasheet 19-7487: 1 ms, 65 us)."""

    def __init__(self, _pin):
        content = bytes((0x58, 0x01, 0x4B, 0x46, 0x7F, 0xFF, 0x0C, 0x10))
        from linli_node.crc import crc_reflected  # noqa: PLC0415 - of the program that is tried

        self._says = content + bytes((crc_reflected(content, 0x8C, 0),))

    def reset(self):
        """Tell that it is there."""
        CHIP.pace.settle()
        CHIP.pace.spend(1)
        return True

    def write(self, data):
        """Take a command."""
        CHIP.pace.settle()
        CHIP.pace.spend(0.52 * len(data), "1-Wire " + binascii.hexlify(data).decode())

    def readinto(self, buffer):
        """Return its scratchpad."""
        CHIP.pace.settle()
        buffer[:] = self._says[: len(buffer)]
        CHIP.pace.spend(0.52 * len(buffer))


class Chip:
    """The chip as the process finds it: what it has on flash, and what outlasted its sleep."""

    def __init__(self, folder, uid):
        self._folder = folder
        with open(folder + "/chip.json") as file:
            given = json.load(file)
        self.levels = given["levels"]
        self._reason = given["reason"]
        self.uid = binascii.unhexlify(uid)
        try:
            with open(folder + "/rtc.bin", "rb") as file:
                self.held = file.read()
            self.woke = True
        except OSError:
            self.held, self.woke = b"", False
        self.radio_at = None
        self._trace = open(folder + "/trace", "w")  # noqa: SIM115 - closed when it sleeps
        self.pace = Pace(given["pace"], self._trace)
        self._rtc = open(folder + "/rtc.new", "wb")  # noqa: SIM115 - closed when it sleeps

    def _deepsleep(self, milliseconds):
        """Keep what outlasts sleep, and tell how long it was awake."""
        pace = self.pace
        pace.settle()
        now = time.ticks_ms()
        self._rtc.write(self.held)
        self._rtc.close()
        self._trace.close()
        print(
            json.dumps(
                {
                    "boot_ms": pace.times["boot_ms"],
                    "awake_ms": pace.since(),
                    "radio_ms": 0 if self.radio_at is None else time.ticks_diff(now, self.radio_at),
                    "sleep_ms": milliseconds,
                    "writes": pace.writes,
                    "loads": pace.loads,
                    "dozed_ms": pace.dozed,
                }
            )
        )
        raise Slept

    def _lightsleep(self, milliseconds):
        self.pace.settle()
        self.pace.note("dozes")
        time.sleep_ms(milliseconds)
        self.pace.dozed += milliseconds
        self.pace.spend(0)

    def stand_in(self):
        """Put what a stock firmware has in the place of what the desktop has."""
        machine, network, esp32, onewire, system = Module(), Module(), Module(), Module(), Module()
        machine.Pin, machine.ADC, machine.RTC, machine.WDT = Pin, Adc, Rtc, Watchdog
        machine.PWRON_RESET, machine.DEEPSLEEP_RESET = 1, 4
        machine.reset_cause = lambda: 4 if self.woke else 1
        machine.wake_reason = lambda: self._reason
        machine.unique_id = lambda: self.uid
        machine.deepsleep = self._deepsleep
        machine.lightsleep = self._lightsleep
        machine.disable_irq = lambda: 0
        machine.enable_irq = lambda _state: None
        machine.reset = lambda: sys.exit(1)
        network.WLAN, network.STA_IF = Wlan, 0
        esp32.wake_on_gpio = lambda _pins, _level: None
        esp32.Partition = Module()
        esp32.Partition.TYPE_DATA = 1
        esp32.Partition.find = lambda _kind, label: []  # noqa: ARG005 - named by whoever asks
        onewire.OneWire, onewire.OneWireError = OneWire, OSError
        system.platform, system.implementation = "esp32", Module()
        system.implementation._machine = "ESP32C3 module with ESP32C3"  # noqa: SLF001 - where MicroPython says it
        system.path, system.modules, system.print_exception = sys.path, sys.modules, sys.print_exception
        modules = {"machine": machine, "network": network, "esp32": esp32, "onewire": onewire, "sys": system}
        sys.modules.update(modules)
        asyncio.open_connection = connecting(self.pace)

    def start(self):
        """Be awake once: what stands in ``/main.py`` is done, as a chip's firmware does it."""
        vfs.umount("/")
        vfs.mount(Flash(self._folder + "/flash", self.pace), "/")
        sys.path[:] = ["", ".frozen", "/lib"]
        self.pace.keep()
        with open("/main.py") as file:
            source = file.read()
        self.pace.spend(0)
        exec(source, {"__name__": "__main__"})  # noqa: S102 - what a board does with it


CHIP = None


def main(folder, uid):
    """Be awake once."""
    global CHIP  # noqa: PLW0603 - what stands in for the firmware's modules finds it here
    CHIP = Chip(folder, uid)
    CHIP.stand_in()
    try:
        CHIP.start()
    except Slept:
        return

"""A real board: ESP32 (C3, S3) or Raspberry Pi Pico W. What differs between them is here and nowhere else.

On the ESP32 the count of milliseconds goes on through deep sleep (its RTC), and a few bytes outlast it. The RP2040 has
neither: it sleeps lightly, with its memory, and a reset begins a new era.
"""

import asyncio
import binascii
import json
import random
import sys
import time

import machine
from micropython import const

from linli_node import forget
from linli_node.errors import ConfigError, LinkError

try:
    import network
except ImportError:  # the firmware of a board without a radio
    network = None

_ROOT = ""
_KEYS = "/keys/"
_BROKER = "linli-gateway"
_JOIN_MS = 8000
_CERTIFIED = const(b"\x18")
"""Attempts made with certificates after nobody answered one with the shared key: those of a day, mostly."""
_LEASE_S = const(6 * 3600)
"""An address that was given is used so long without asking: half of the shortest lease that is usual."""
_ESP32 = sys.platform == "esp32"
_RP2 = sys.platform == "rp2"
_WATCHDOG_MS = 8000 if _RP2 else 60000  # the RP2040's counts no further than 8.388 s
_SLICE_MS = const(4000)
"""An RP2040 whose watchdog ends while it sleeps lightly stands still until its power is cut (MicroPython #17228)."""
# What machine.wake_reason() says of pins (esp_sleep_source_t).
_EXT0 = const(2)
_EXT1 = const(3)
_GPIO = const(7)
_LOOK_MS = const(20)
_LAYOUT = const(b"\x02")
_CAUSES = ("PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET", "BROWN_OUT_RESET")


def _cause():
    found = machine.reset_cause()
    for name in _CAUSES:
        if getattr(machine, name, None) == found:
            return name[:-6].lower()
    return str(found)


def kind():
    """Return which kind of board this is, as ``linli-edge node build`` calls it."""
    chip = sys.implementation._machine.upper()  # noqa: SLF001 - where MicroPython says it
    if not _ESP32 and not _RP2:
        return "desktop"
    return "rp2" if _RP2 else "esp32s3" if "S3" in chip else "esp32c3" if "C3" in chip else "esp32"


def _ways(wakes):
    """Return the pins of a chip's way to wake that has room for several of one level, and those left for the other.

    What there is several of goes the first way; where that is both, what comes first: news does.
    """
    high, low = [each for each in wakes if each[1]], [each for each in wakes if not each[1]]
    if len(low) > 1 and (len(high) < 2 or not wakes[0][1]):
        return low, high
    return high, low


class Pulses:
    """Pulses on one pin, counted by interrupt: a contact that closes after it was open for long enough.

    It bounces when it closes and when it opens: what follows an opening too soon is none. Whoever is called may come
    late, and finds the pin as it is by then.
    """

    def __init__(self, pin, debounce_ms, begun):
        self._debounce_ms = debounce_ms
        self._pulses = begun
        self._closed = not pin.value()
        self._opened_at = time.ticks_ms() - debounce_ms
        pin.irq(self._edge, machine.Pin.IRQ_FALLING | machine.Pin.IRQ_RISING)

    def _edge(self, pin):
        now, closed = time.ticks_ms(), not pin.value()
        if closed and self._closed:
            return
        # It closes, or has closed and opened again before anybody could look.
        if not self._closed and time.ticks_diff(now, self._opened_at) >= self._debounce_ms:
            self._pulses += 1
        self._closed = closed
        if not closed:
            self._opened_at = now

    def take(self):
        """Return the pulses since the last time."""
        state = machine.disable_irq()
        pulses, self._pulses = self._pulses, 0
        machine.enable_irq(state)
        return pulses


class OneWire:
    """1-Wire as the sensors speak it, over the port's own timing."""

    def __init__(self, pin):
        import onewire  # noqa: PLC0415 - only where there is a probe

        self._bus = onewire.OneWire(pin)
        self._error = onewire.OneWireError

    def reset(self):
        """Tell whether anybody is there."""
        try:
            return bool(self._bus.reset())
        except self._error:
            return False

    def write(self, data):
        """Send bytes."""
        self._bus.write(data)

    def read(self, count):
        """Receive bytes."""
        data = bytearray(count)
        self._bus.readinto(data)
        return data


class Uart:
    """A serial line that is waited for without stopping anything else."""

    def __init__(self, uart):
        self._uart = uart

    def write(self, data):
        """Send bytes, after what came unasked is thrown away."""
        while self._uart.any():
            self._uart.read()
        self._uart.write(data)

    async def read(self, count, limit_ms):
        """Return up to so many bytes, as far as they come within the limit."""
        data, started = b"", time.ticks_ms()
        while len(data) < count and time.ticks_diff(time.ticks_ms(), started) < limit_ms:
            data += self._uart.read(count - len(data)) or b""
            await asyncio.sleep_ms(5)
        return data


class Memory:
    """A named part of what outlasts deep sleep on an ESP32: the 2,048 bytes that MicroPython keeps of its RTC's memory.

    Each part is the length of its name, its name, the length of its content (two bytes, the low one first), its
    content. All that sixteen sensors may ask for fits (tests/firmware/test_boards.py reckons it).
    """

    # What was read last, and what it says: a dozen questions of one time awake take it apart once.
    _held, _parts = b"", {}

    def __init__(self, name):
        self._name = name.encode()

    @staticmethod
    def _all():
        """Return what is held, by name; what another program left there, or a power-up, is none of it."""
        held, found, start = machine.RTC().memory(), {}, 1
        if held == Memory._held:
            return Memory._parts
        while held[:1] == _LAYOUT and start + 3 <= len(held):
            at = start + 3 + held[start]
            end = at + (held[at - 2] | held[at - 1] << 8) if at <= len(held) else at
            if end > len(held):
                break
            found[held[start + 1 : at - 2]] = held[at:end]
            start = end
        Memory._held, Memory._parts = held, found
        return found

    @staticmethod
    def _keep(parts):
        held = _LAYOUT
        for name, content in parts.items():
            held += bytes((len(name),)) + name + bytes((len(content) & 0xFF, len(content) >> 8)) + content
        machine.RTC().memory(held)
        Memory._held, Memory._parts = held, parts

    def get(self):
        """Return the bytes that were set; none after a power cut."""
        return self._all().get(self._name, b"")

    def set(self, content):
        """Hold bytes; tell whether there was room. Where there was none, those of before are gone too."""
        parts = dict(self._all())
        if parts.get(self._name) == content:
            return True
        parts[self._name] = content
        try:
            self._keep(parts)
        except ValueError:
            del parts[self._name]
            self._keep(parts)
            return False
        return True


class Held:
    """The same where the memory stays through sleep."""

    def __init__(self):
        self._content = b""

    def get(self):
        """Return the bytes that were set."""
        return self._content

    def set(self, content):
        """Hold bytes; there is room."""
        self._content = content
        return True


class Board:
    """The board this runs on.

    Attributes:
        uid: Its own name, from the chip.
        woke: Whether it comes out of deep sleep.
        goes_on: Whether its count has not been interrupted since the last start.
        woken_pins: Pins that woke it.
    """

    log_size = (32, 16384)

    def __init__(self, config):
        if not hasattr(network, "WLAN"):
            raise ConfigError("this board has no radio: of the Raspberry Pi Picos only those with a W can be a node")
        self._gateway = config["gateway"]
        self._power = config["battery_pin"]
        self._wlan = network.WLAN(network.STA_IF)
        self._context = None  # and the port it is for, and whether it is the shared key
        self._memories = {}
        self._counted = {}
        self._joining = ""
        self._watchdog = None
        self.uid = binascii.hexlify(machine.unique_id()).decode()
        self.reset_cause = _cause()
        self.woke = self.reset_cause == "deepsleep"
        self.goes_on = _ESP32 and self.reset_cause in ("deepsleep", "soft", "wdt")
        self._waited = self._woken()
        self.woken_pins = tuple(self._waited)
        self.kind = kind()
        self.root = _ROOT

    @property
    def update_key(self):
        """The public key of whoever may update it; empty: nobody may. Read when an update comes, not at each wake."""
        try:
            with open(_ROOT + _KEYS + "update.pub", "rb") as file:
                return file.read()
        except OSError:
            return b""

    def _woken(self):
        """Return the pins that woke it, each with the level that was waited for."""
        if not self.woke:
            return {}
        noted = bytes(Memory("wakes").get())
        waited = [(noted[place], noted[place + 1]) for place in range(0, len(noted), 2)]
        # The chip tells that a pin woke it; which one stands at the level it was waited for.
        found = {pin: level for pin, level in waited if self._level(pin) == level}
        if not found and _ESP32:
            # Or it was over before the chip had started, as a press or a pulse is: which one is known if there is one.
            reason, (several, single) = machine.wake_reason(), _ways(waited)
            if reason == _EXT0:
                waited = single
            elif reason == _EXT1:
                waited = several
            if len(waited) == 1 and reason in (_EXT0, _EXT1, _GPIO):
                found = dict(waited)
        return found

    @staticmethod
    def _input(number):
        return machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)

    def _level(self, number):
        return self._input(number).value()

    def say(self, text):
        """Tell whoever is at the serial line."""
        print(text)  # noqa: T201 - the serial line is all there is

    def count(self):
        """Return milliseconds that go on through deep sleep where the chip can."""
        return time.time_ns() // 1000000

    def random32(self):
        """Return 32 random bits."""
        return random.getrandbits(32)

    def feed(self):
        """Show the watchdog that the program lives."""
        if self._watchdog is None:
            self._watchdog = machine.WDT(timeout=_WATCHDOG_MS)
        self._watchdog.feed()

    def flash(self, name, blocks, size):
        """Return a piece of flash: a partition of that name where there is one, else a folder of files."""
        if _ESP32:
            import esp32  # noqa: PLC0415 - on that chip only

            found = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="linli-" + name)
            if found:
                from linli_node.flash import BlockFlash  # noqa: PLC0415 - one of the two kinds

                return BlockFlash(found[0])
        from linli_node.folder_flash import FolderFlash  # noqa: PLC0415

        return FolderFlash(_ROOT + "/" + name, blocks, size)

    def memory(self, name):
        """Return memory that outlasts sleep, and no power cut."""
        # The RP2040 sleeps with its memory; what is in it goes with the power, as an ESP32's does.
        return Memory(name) if _ESP32 else self._memories.setdefault(name, Held())

    def pin_in(self, number, pull_up=False):
        """Return an input."""
        return machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP if pull_up else None)

    def pin_out(self, number):
        """Return an output."""
        return machine.Pin(number, machine.Pin.OUT)

    def pulses(self, number, debounce_ms):
        """Return a counter of pulses; one that woke the board is the first."""
        if number not in self._counted:
            pin = machine.Pin(number, machine.Pin.IN, machine.Pin.PULL_UP)
            # One that opened woke it too, and is none.
            begun = 1 if self._waited.get(number) == 0 else 0
            self._counted[number] = Pulses(pin, debounce_ms, begun)
        # An RP2040 is awake again with its memory, and has counted meanwhile.
        return self._counted[number]

    def adc(self, number):
        """Return an analogue input, up to the chip's own supply."""
        pin = machine.Pin(number)
        # By itself an ESP32 measures up to 0.95 V, and calls everything above that the same.
        return machine.ADC(pin, atten=machine.ADC.ATTN_11DB) if _ESP32 else machine.ADC(pin)

    def i2c(self, sda, scl):
        """Return an I2C bus; in software, so that any two pins will do, and with a limit so that a short ends."""
        return machine.SoftI2C(scl=machine.Pin(scl), sda=machine.Pin(sda), freq=100000, timeout=50000)

    def one_wire(self, number):
        """Return a 1-Wire bus."""
        return OneWire(machine.Pin(number))

    def uart(self, number, tx, rx, baud):
        """Return a serial line, 8N1."""
        return Uart(machine.UART(number, baudrate=baud, tx=machine.Pin(tx), rx=machine.Pin(rx)))

    def battery_mv(self):
        """Return the battery's millivolts; ``None`` on mains, and where they cannot be measured."""
        if self._power < 0:
            return None
        # A divider of two equal resistors; the ESP32 knows its own reference, the RP2040 has 3.3 V.
        try:
            adc = self.adc(self._power)
            return adc.read_uv() * 2 // 1000 if _ESP32 else adc.read_u16() * 6600 // 65535
        except (OSError, ValueError) as exc:
            # A pin without a converter, or with the one that is the radio's as long as that is on.
            self.say("the battery cannot be measured: " + str(exc))
            return None

    def signal(self):
        """Return the radio's strength in dBm; ``None`` where it is not known."""
        try:
            return self._wlan.status("rssi") if self._wlan.isconnected() else None
        except (OSError, ValueError):
            return None

    def begin(self, signals):
        """Begin to join, while the program is still being loaded: what let the board in last, else the first."""
        noted, lease = self._noted(), self._lease()
        # Its name holds when its address does not any more: each other network is looked for for eight seconds.
        last = [signal for signal in signals if noted and signal["ssid"] == noted[0]]
        for signal in last or signals[:1]:
            try:
                self._join(signal, lease if last else None)
            except OSError:
                # It is told when the network is needed, and was not joined.
                return

    def _noted(self):
        """Return network, end (in seconds of the count) and address of the last time; ``None`` where there is none."""
        try:
            return json.loads(self.memory("lease").get())
        except ValueError:
            return None

    def _lease(self):
        """Return the same; ``None`` where it is over."""
        noted = self._noted()
        return noted if noted and 0 <= noted[1] - self.count() // 1000 <= _LEASE_S else None

    def _join(self, signal, lease):
        wlan = self._wlan
        wlan.active(True)
        # Radio asleep between two beacons, each answer would take a tenth of a second: it is on for one second in all.
        wlan.config(pm=wlan.PM_NONE)
        if lease:
            wlan.ifconfig(tuple(lease[2]))
        wlan.connect(signal["ssid"], signal["password"])
        self._joining = signal["ssid"]

    async def connect(self, signals):
        """Join one of the networks, the first that lets us in.

        Raises:
            LinkError: None does, or the radio fails.
        """
        try:
            await self._connect(signals)
        except OSError as exc:
            # What the chip's own driver says; switched off and on it mostly recovers.
            self._wlan.active(False)
            self._joining = ""
            self._forget_lease()
            raise LinkError("the radio fails: " + str(exc)) from None

    async def _connect(self, signals):
        wlan = self._wlan
        if wlan.isconnected():
            return
        # Otherwise in their order: what MicroPython sorts loses it among equals.
        begun = [signal for signal in signals if signal["ssid"] == self._joining]
        for signal in begun + [signal for signal in signals if signal not in begun]:
            if self._joining != signal["ssid"]:
                if self._joining:
                    wlan.disconnect()
                self._join(signal, None)
            started = time.ticks_ms()
            while not wlan.isconnected() and time.ticks_diff(time.ticks_ms(), started) < _JOIN_MS:
                await asyncio.sleep_ms(5)
            if wlan.isconnected():
                if self._lease() is None:
                    lease = [signal["ssid"], self.count() // 1000 + _LEASE_S, wlan.ifconfig()]
                    self.memory("lease").set(json.dumps(lease).encode())
                return
        wlan.active(False)
        self._joining = ""
        self._forget_lease()
        raise LinkError("no network lets this node in: " + ", ".join(signal["ssid"] for signal in signals))

    def _forget_lease(self):
        """Somebody else may have the address by now: it is asked for the next time."""
        self.memory("lease").set(b"")

    def networks(self):
        """Return the names of the networks in the air."""
        try:
            self._wlan.active(True)
            return sorted({found[0].decode() for found in self._wlan.scan() if found[0]})
        except (OSError, ValueError):
            return []

    async def streams(self):
        """Return a reader and a writer to the gateway's broker."""
        gateway = self._gateway
        try:
            return await self._open(gateway)
        except OSError:
            self._forget_lease()
            raise

    def prepare(self):
        """Make ready what TLS needs, which takes a while: the radio joins meanwhile."""
        if self._gateway["tls"] and self._context is None:
            from linli_app.tls import context  # noqa: PLC0415 - let go again

            self._context = context(_ROOT + _KEYS, self._gateway, self.memory("shared"))
            forget("linli_app.tls")

    async def _open(self, gateway):
        if not gateway["tls"]:
            return await asyncio.open_connection(gateway["host"], gateway["port"])
        self.prepare()
        found, port, _ = self._context
        return await asyncio.open_connection(gateway["host"], port, ssl=found, server_hostname=_BROKER)

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
        machine.reset()

    def confirmed(self):
        """Somebody has confirmed the button's call; actions that follow it have been told."""

    def doze(self, milliseconds):
        """Wait with everything but the memory switched off."""
        self.feed()
        machine.lightsleep(milliseconds)

    def _sleep_lightly(self, milliseconds, wakes):
        """Sleep with the memory, and the watchdog, which has to be fed; tell which pins ended it."""
        looks = [(self._input(pin), pin, level) for pin, level in wakes]
        started = time.ticks_ms()
        while True:
            self.feed()
            woken = tuple(pin for each, pin, level in looks if each.value() == level)
            left = milliseconds - time.ticks_diff(time.ticks_ms(), started)
            if woken or left <= 0:
                return woken
            if looks:
                # Asleep it would neither count a pulse nor notice a button.
                time.sleep_ms(min(left, _LOOK_MS))
            else:
                machine.lightsleep(min(left, _SLICE_MS))

    def sleep(self, milliseconds, wakes):
        """Sleep so long, or until a pin is at its level; on an ESP32 the program begins anew after it."""
        self._wlan.active(False)
        self._joining = ""
        if not _ESP32:
            # The RP2040 keeps its memory: what follows is the next time awake.
            self.woken_pins = self._sleep_lightly(milliseconds, wakes)
            self.woke = self.goes_on = True
            return
        import esp32  # noqa: PLC0415

        noted = bytearray()
        for pin, level in wakes:
            noted.append(pin)
            noted.append(level)
        Memory("wakes").set(bytes(noted))
        if hasattr(esp32, "wake_on_ext1"):
            several, single = _ways(wakes)
            if several:
                # An S3 calls "all low" what is any of them there (ESP-IDF, esp_sleep_ext1_wakeup_mode_t).
                level = esp32.WAKEUP_ANY_HIGH if several[0][1] else esp32.WAKEUP_ALL_LOW
                esp32.wake_on_ext1([self._input(pin) for pin, _ in several], level)
            for pin, level in single[:1]:
                esp32.wake_on_ext0(self._input(pin), esp32.WAKEUP_ANY_HIGH if level else esp32.WAKEUP_ALL_LOW)
            if len(single) > 1:
                self.say("only one pin can wake this chip by going the other way")
        else:
            for level in (1, 0):
                pins = [self._input(pin) for pin, wanted in wakes if wanted == level]
                if pins:
                    esp32.wake_on_gpio(pins, bool(level))
        machine.deepsleep(milliseconds)

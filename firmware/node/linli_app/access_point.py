"""The Wi-Fi that a board opens for its first start, and how it comes back after it has gone away.

Whoever stands there gets it back at once: RESET, or off and on; the BOOT button of an ESP32-S3, BOOTSEL of a Pico W. By
itself it comes back too, for a board on a charger that nobody reaches, and ever more rarely, for one on cells.
"""

import binascii
import sys
import time

import machine
import network
from micropython import const

from linli_app.board import Memory, kind

_CYW43_WPA2_AES = const(0x400004)
_RESTS_S = const((900, 3600, 21600, 86400))
_PICO_S = const(2700)
"""A Pico W is for a charger, and knows nothing of the time before its reset."""
_TURNS = const("turns")
_BOOT = const(0)
"""The pin that BOOT of an ESP32-S3 pulls low. That of an ESP32-C3 (GPIO9) does not wake it."""


class AccessPoint:
    """The board as an access point.

    Attributes:
        address: Its own; phones get theirs from it.
        port: Of the page.
        dns: Whether it answers for all names.
        is_again: Whether it came back by itself: nobody may be there.
        kind: Which kind of board it is.
    """

    address = "192.168.4.1"
    port = 80
    dns = True

    def __init__(self):
        self._wlan = network.WLAN(network.AP_IF)
        self._turns = 0
        if sys.platform == "esp32" and machine.reset_cause() == machine.DEEPSLEEP_RESET:
            noted = Memory(_TURNS).get()
            if machine.wake_reason() == machine.TIMER_WAKE and len(noted) == 1:
                self._turns = noted[0]
        self.is_again = self._turns > 0
        self.kind = kind()

    def open(self, passphrase):
        """Open it, with WPA2: never without a passphrase."""
        wlan = self._wlan
        name = "linli-" + binascii.hexlify(machine.unique_id()).decode()[-4:]
        # The radio of a Pico W has a number of its own for it, and no name; an ESP32's number would give it WEP.
        security = getattr(network.WLAN, "SEC_WPA2", _CYW43_WPA2_AES)
        wlan.config(ssid=name, key=passphrase, security=security)
        wlan.active(True)
        wlan.ifconfig((self.address, "255.255.255.0", self.address, self.address))
        print("first start: Wi-Fi " + name + ", its passphrase is on the label, then http://" + self.address)  # noqa: T201 - the serial line is all there is

    def feed(self):
        """Nothing watches here: a first start ends by itself."""

    def has_pin(self, number):
        """Tell whether the chip has such a pin."""
        try:
            machine.Pin(number)
        except ValueError:
            return False
        return True

    def close(self):
        """Close it."""
        self._wlan.active(False)

    def rest(self):
        """Sleep until somebody wants it back, or for a while; on an ESP32 that is the end of this start."""
        if sys.platform != "esp32":
            import rp2  # noqa: PLC0415 - on that chip only

            for _ in range(_PICO_S):
                if rp2.bootsel_button():
                    return
                time.sleep(1)
            return
        # Beside what the node's program noted there: it goes on with that once its configuration is right again.
        Memory(_TURNS).set(bytes((min(self._turns + 1, 255),)))
        if "S3" in sys.implementation._machine.upper():  # noqa: SLF001 - where MicroPython says it
            import esp32  # noqa: PLC0415

            esp32.wake_on_ext0(machine.Pin(_BOOT, machine.Pin.IN, machine.Pin.PULL_UP), esp32.WAKEUP_ALL_LOW)
        machine.deepsleep(_RESTS_S[min(self._turns, len(_RESTS_S) - 1)] * 1000)

"""The Wi-Fi that a board opens for its first start."""

import binascii

import machine
import network
from micropython import const

_CYW43_WPA2_AES = const(0x400004)


class AccessPoint:
    """The board as an access point.

    Attributes:
        address: Its own; phones get theirs from it.
        port: Of the page.
        dns: Whether it answers for all names.
    """

    address = "192.168.4.1"
    port = 80
    dns = True

    def __init__(self):
        self._wlan = network.WLAN(network.AP_IF)

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

    def close(self):
        """Close it."""
        self._wlan.active(False)

    def rest(self):
        """Sleep until somebody switches the board off and on again."""
        machine.deepsleep()

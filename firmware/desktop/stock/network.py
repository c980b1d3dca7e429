"""What a stock firmware calls ``network``, on the desktop: one network in the air, or none, and its own."""

import binascii
import hashlib
import json
import os

STA_IF, AP_IF = 0, 1
_AIR = json.loads(os.getenv("LINLI_BOARD") or "{}").get("wifi", {})


class WLAN:
    """The radio; it joins the network that was given, with the right password."""

    PM_NONE = 0
    SEC_WPA2 = 3

    def __init__(self, kind):
        self._kind = kind
        self._joined = False
        self._wanted = {}

    def config(self, **wanted):
        """Take what only a radio can do."""
        self._wanted.update(wanted)

    def ifconfig(self, _address=None):
        """Return its address."""
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def active(self, on):
        """Switch it."""
        self._joined = self._joined and on
        if self._kind == AP_IF:
            self._open(on)

    def _open(self, on):
        """Tell of its own network what anybody hears of it, and a digest of what only its passphrase joins."""
        if not on:
            print("radio: closed")
            return
        key = self._wanted["key"]
        if self._wanted["security"] != getattr(self, "SEC_WPA2", 0x400004) or not 8 <= len(key) <= 63:
            raise OSError(22)
        digest = binascii.hexlify(hashlib.sha256(key.encode()).digest()).decode()
        print("radio: " + self._wanted["ssid"] + " WPA2 " + digest)

    def isconnected(self):
        """Tell whether it is in a network."""
        return self._joined

    def connect(self, ssid, password):
        """Join."""
        self._joined = _AIR.get(ssid) == password

    def disconnect(self):
        """Leave."""
        self._joined = False

    def status(self, _what):
        """Return the strength."""
        return -61

    def scan(self):
        """Return the networks in the air, as boards do."""
        return [(ssid.encode(), b"\x00" * 6, 6, -61, 3, False) for ssid in _AIR]

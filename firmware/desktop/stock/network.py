"""What a stock firmware calls ``network``, on the desktop: one network in the air, or none."""

import json
import os

STA_IF, AP_IF = 0, 1
_AIR = json.loads(os.getenv("LINLI_BOARD") or "{}").get("wifi", {})


class WLAN:
    """The radio; it joins the network that was given, with the right password."""

    PM_NONE = 0

    def __init__(self, _kind):
        self._joined = False

    def config(self, **_wanted):
        """Take what only a radio can do."""

    def ifconfig(self, _address=None):
        """Return its address."""
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def active(self, on):
        """Switch it."""
        self._joined = self._joined and on

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

"""A count of pulses that goes on through sleep and power cuts.

Each pulse is noted in memory that outlasts deep sleep (the chip's RTC memory), and on flash after every ``window``
pulses: so a power cut costs at most ``window - 1`` of them, and sleep costs none. A reading is given out only when it
is on flash: the count never falls below what somebody has been told.
"""

import binascii
import struct

_FORM = "<QI"


class Counter:
    """One count.

    Args:
        saved: Where it is kept on flash.
        window: Pulses that a power cut may cost, and one more.
        memory: What outlasts deep sleep: has ``get()`` and ``set(bytes)``, which tells whether there was room: where
            there was none each pulse goes to flash. ``None`` where the chip has none.
    """

    def __init__(self, saved, window=1, memory=None):
        self._saved = saved
        self._window = window
        self._memory = memory
        self._kept = 0
        self.value = 0

    def load(self, initial=0):
        """Take up the count where it was left; ``initial`` is the meter's own register at the first start."""
        content = self._saved.load()
        if content is None:
            self._kept = self.value = initial
            self._saved.save(struct.pack("<Q", initial))
        else:
            self._kept = self.value = struct.unpack("<Q", content)[0]
        if self._memory is not None:
            noted = bytes(self._memory.get())
            if len(noted) == struct.calcsize(_FORM):
                value, crc = struct.unpack(_FORM, noted)
                # What power-up left there passes no checksum; a count that is behind is of an earlier life.
                if crc == binascii.crc32(noted[:8]) and self._kept <= value < self._kept + self._window:
                    self.value = value

    def add(self, pulses):
        """Note pulses."""
        self.value += pulses
        if self.value - self._kept >= self._window:
            self.keep()
        elif self._memory is not None:
            noted = struct.pack("<Q", self.value)
            if not self._memory.set(noted + struct.pack("<I", binascii.crc32(noted))):
                self.keep()

    def keep(self):
        """Write the count to flash and return it: before it is told to anybody, and when the supply falls."""
        self._saved.save(struct.pack("<Q", self.value))
        self._kept = self.value
        return self.value

"""A few bytes that survive a power cut at any moment: the ones before, or the new ones, never half of either."""

from micropython import const

from linli_node.errors import FlashError
from linli_node.records import HEAD, Scan, frame

_SAVED = const(3)


class Saved:
    """Bytes kept in two blocks by turns: one is erased only once the other holds something whole."""

    def __init__(self, flash, first=0):
        self._flash = flash
        self._first = first
        self._turn = 0
        self._offset = flash.size
        self._number = 0
        self._held = None

    def load(self):
        """Return the bytes that were saved last; ``None`` before the first time."""
        self._held, self._number = None, 0
        ends = []
        for turn in range(2):
            scan = Scan(self._flash, self._first + turn, 0)
            for kind, number, payload in scan:
                if kind == _SAVED and number > self._number:
                    self._held, self._number, self._turn = payload, number, turn
            # A block that a cut has touched is left as it is, and erased when its turn comes.
            ends.append(self._flash.size if scan.torn else scan.end)
        self._offset = ends[self._turn] if self._held is not None else self._flash.size
        return self._held

    def save(self, content):
        """Keep bytes; they are durable on return. The same ones again cost nothing.

        Raises:
            FlashError: Neither block holds them; what was saved before is still there.
        """
        if content == self._held:
            return
        record = frame(_SAVED, self._number + 1, content)
        if len(record) > self._flash.size - HEAD:
            raise ValueError("too long to be saved: " + str(len(content)) + " bytes")
        for _ in range(2):
            try:
                if self._offset + len(record) > self._flash.size:
                    other = 1 - self._turn
                    self._flash.erase(self._first + other)
                    self._flash.write(self._first + other, 0, record)
                    self._turn, self._offset = other, 0
                else:
                    self._flash.write(self._first + self._turn, self._offset, record)
            except (FlashError, OSError):
                self._offset = self._flash.size
                continue
            self._offset += len(record)
            self._held, self._number = bytes(content), self._number + 1
            return
        raise FlashError("neither block keeps what is saved")

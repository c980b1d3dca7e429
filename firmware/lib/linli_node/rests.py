"""When a node on a battery speaks, and when it keeps still: what it notes from one time awake to the next.

Its radio takes most of what the battery has. So a reading is taken at every wake and sent with those before it at
every ``every``-th; what cannot wait goes at once. While the gateway is away it is tried ever more rarely. A battery
near its end keeps the radio silent, after one last word, until it has clearly recovered; but for what is grave. A
button's call knows neither: it is tried after two minutes at most for its first hours, whatever failed before it, and
with the last of the battery.
"""

import struct

from micropython import const

_FORM = const("<BBHHHBBIB")
_LOW_MV = const(2200)
"""Two cells below this break down when the radio speaks."""
_WELL_MV = const(2350)
"""Above this they speak again: a cell that rests recovers a little, and breaks down again with the next word."""
_RARELY = const(4)
_MOST_LEFT = const(24)
_CALLS_S = const((10, 20, 40, 80, 120))
"""From one attempt to bring a call to somebody to the next."""
_MOST_CALLS = const(255)
"""Attempts of that kind, eight hours of them; a battery that is empty calls nobody."""
_LATE_CALLS_S = const(900)


def is_news(tables, pins):
    """Tell whether one of these pins woke the board for something else than a pulse, by its sensors' tables."""
    counted = [table["pin"] for table in tables if table["kind"] == "pulse"]
    return any(pin not in counted for pin in pins)


def rests_of(board):
    """Return what a board noted of the times awake before this one."""
    return Rests(board.memory("rests"), broke_down=board.reset_cause == "brown_out")


class Rests:
    """What is known of the times awake before this one.

    Args:
        memory: Outlasts deep sleep: ``get()`` and ``set(bytes)``.
        broke_down: Whether the board comes out of a breakdown of its supply.

    Attributes:
        left: Times awake to keep still before the next word; 0: it is due.
        failures: Times in a row that the gateway could not be reached.
        overruns: Times awake that were ended because they took too long.
        failing: A bit for each sensor that failed the last time.
        states: A bit for each sensor whose state was yes the last time.
        low: Whether the battery is near its end.
        last_word: Whether that is to be said still.
        next_s: The board's count of seconds at which the next reading is due.
        calls: Times awake that a button's call has been under way, 255 at most; 0: there is none.
        broke_down: Whether the board comes out of a breakdown of its supply.
        weighed: Whether the battery was judged in this time awake.
    """

    weighed = False

    def __init__(self, memory, *, broke_down=False):
        self._memory = memory
        noted = bytes(memory.get())
        if len(noted) != struct.calcsize(_FORM):
            noted = bytes(struct.calcsize(_FORM))
        self.left, self.failures, self.overruns, *bits, low, said, next_s, self.calls = struct.unpack(_FORM, noted)
        self.failing, self.states = bits
        self.next_s = next_s
        self.broke_down = broke_down
        self.low, self.last_word = bool(low), bool(said)
        if broke_down:
            # It broke down under the radio: it is not tried again for a last word.
            self.low, self.last_word = True, False

    def weigh(self, millivolts):
        """Judge the battery; where nobody measures it (``None``), a breakdown is forgiven after one long rest."""
        self.weighed = True
        if millivolts is None:
            if self.low and self.left == 0:
                self.low = False
            return
        if not self.low and millivolts < _LOW_MV:
            self.low = self.last_word = True
        elif self.low and millivolts >= _WELL_MV:
            self.low = self.last_word = False
            self.left = 0

    @property
    def rarely(self):
        """How many times more rarely than it is told to it reads: a battery near its end wakes less often."""
        return _RARELY if self.low else 1

    def speaks(self, *, urgent, grave=False):
        """Tell whether this is a time to speak: for news, and for such as are worth the end of a battery."""
        if self.calls:
            # With its last, if need be; but a board that broke down under it rests before it tries again.
            return not self.broke_down
        if self.low:
            return self.last_word or (grave and not self.broke_down)
        return urgent or self.left == 0

    def spoke(self, every):
        """The gateway has everything."""
        self.left, self.failures, self.last_word = every - 1, 0, False

    def failed(self):
        """The gateway could not be reached: next time, then after two, four, … times awake."""
        self.left = min(1 << min(self.failures, 8), _MOST_LEFT) - 1
        self.failures = min(self.failures + 1, 255)
        # A last word that nobody heard is not worth the battery's end.
        self.last_word = False

    def kept_still(self):
        """It was no time to speak."""
        self.left = max(0, self.left - 1)

    def call(self, *, is_on):
        """A button's call is under way, or there is none."""
        self.calls = max(1, self.calls) if is_on else 0

    def called(self):
        """One more time awake of a call is over; return in how many seconds the next begins, counted from its start."""
        most = self.calls >= _MOST_CALLS
        pause = _LATE_CALLS_S if most else _CALLS_S[min(self.calls, len(_CALLS_S)) - 1]
        self.calls = min(self.calls + 1, _MOST_CALLS)
        return pause

    def keep(self):
        """Note it for the next time."""
        low, said = int(self.low), int(self.last_word)
        overruns = min(self.overruns, 65535)
        self._memory.set(
            struct.pack(
                _FORM,
                self.left,
                self.failures,
                overruns,
                self.failing,
                self.states,
                low,
                said,
                self.next_s & 0xFFFFFFFF,
                self.calls,
            )
        )

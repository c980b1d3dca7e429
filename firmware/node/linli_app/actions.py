"""What a node does by itself, whether anybody hears it or not: a buzzer, a light, a relay that shuts a valve."""

from linli_node.threshold import Threshold

BLINK_MS = 500
"""The light of a call that nobody has confirmed is on so long, and off as long."""
STEADY_MS = 300000
"""The light of one that somebody has confirmed stays so long."""


class Action:
    """One pin that follows one point's limit.

    The light of a button that calls blinks until somebody confirms the call, and then is steady for a while.

    Args:
        config: Its table.
        board: Has the pin.
        calls: Whether the point it follows is that of a button that calls.

    Attributes:
        when: The point it follows: ``water_leak`` or ``temperature.c2``.
        on: Whether it is on.
    """

    def __init__(self, config, board, *, calls=False):
        self._pin = board.pin_out(config["pin"])
        self._level = 1 if config["active"] == "high" else 0
        self._longest = config["longest_s"] * 1000
        above, below = config["above"], config["below"]
        self._threshold = Threshold(
            # A state without a limit of its own: true is 1.
            0.5 if above is None and below is None else below if above is None else above,
            above=below is None,
            hysteresis=config["hysteresis"],
            on_delay=config["on_delay_s"] * 1000,
        )
        self.kind = config["kind"]
        self.when = config["when"]
        self.on = False
        self._blinks = calls and self.kind == "light"
        self._steady = False
        self._since = 0
        self._set(False)

    def _set(self, on):
        self.on = on
        self._steady = False
        self._show(on)

    def _show(self, on):
        self._pin.value(self._level if on else 1 - self._level)

    def confirm(self, count):
        """Somebody has confirmed the call: its light is steady from now on."""
        if self._blinks:
            self._since = count
            self._set(True)
            self._steady = True

    def update(self, value, count):
        """Follow a value at a count of milliseconds; tell whether it switched.

        ``None`` (the sensor failed) leaves everything as it is.
        """
        if value is True or value is False:
            value = 1 if value else 0
        elif isinstance(value, tuple):
            value = value[0] / 10 ** value[1]
        if not self._threshold.update(value, count):
            return False
        self._since = count
        self._set(self._threshold.tripped)
        return True

    def tick(self, count):
        """Switch off what has been on for its longest time; it comes on again only after it has cleared."""
        lasted = count - self._since
        if self._steady:
            if lasted >= STEADY_MS:
                self._set(False)
        elif self.on and self._longest and lasted >= self._longest:
            self._set(False)
        elif self.on and self._blinks:
            self._show(lasted // BLINK_MS % 2 == 0)

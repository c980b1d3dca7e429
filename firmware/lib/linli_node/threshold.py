"""Limits with hysteresis: what switches a buzzer, a light or a valve without asking anybody."""


class Threshold:
    """One limit, above or below.

    Args:
        limit: The value at which it trips.
        above: Whether values above it trip, else below.
        hysteresis: How far back a value must be before it clears.
        on_delay: Milliseconds that the value must stay beyond the limit first.

    Attributes:
        tripped: Whether it has tripped.
    """

    def __init__(self, limit, *, above=True, hysteresis=0, on_delay=0):
        self._limit = limit
        self._sign = 1 if above else -1
        self._hysteresis = hysteresis
        self._on_delay = on_delay
        self._since = None
        self.tripped = False

    def update(self, value, count):
        """Judge a value at a count of milliseconds; return whether ``tripped`` changed.

        A missing value (``None``) proves nothing: the state stays, and a delay that runs begins again.
        """
        if value is None:
            self._since = None
            return False
        beyond = (value - self._limit) * self._sign
        if self.tripped:
            if beyond >= -self._hysteresis and (beyond > 0 or self._hysteresis):
                return False
            self.tripped = False
            self._since = None
            return True
        if beyond <= 0:
            self._since = None
            return False
        if self._since is None:
            self._since = count
        if count - self._since < self._on_delay:
            return False
        self.tripped = True
        return True

"""Contacts: a reed at a door, a PIR, a float, a ball for tilt, a button, a leak switch. One pin that says yes or no."""


class Contact:
    """One contact, debounced; a motion that ended is held for ``hold_s``."""

    def __init__(self, config, board):
        self._config = config
        self._pin = board.pin_in(config["pin"], pull_up=True)
        self._active = 1 if config["active"] == "high" else 0
        self.quantities = (config["quantity"],)
        self.state = None
        self._raw = None
        self._since = 0
        self._held_until = None

    def wakes(self):
        """Return the pin and the level on which a sleeping board must wake: what is not what was read last."""
        return self._config["pin"], 1 - self._active if self.state else self._active

    def poll(self, count):
        """Look at the pin at a count of milliseconds; tell whether the state changed: never the first time."""
        raw = self._pin.value() == self._active
        if raw != self._raw:
            self._raw, self._since = raw, count
        if self.state is not None and count - self._since < self._config["debounce_ms"]:
            return False
        state = raw
        if raw:
            self._held_until = count + self._config["hold_s"] * 1000
        elif self.state and self._held_until is not None and count < self._held_until:
            state = True
        if state == self.state:
            return False
        first, self.state = self.state is None, state
        return not first

    async def read(self):
        """Return the state."""
        state = self._pin.value() == self._active if self.state is None else self.state
        return [(self._config["quantity"], "", state)]

"""The pulse output of a meter: counted by interrupt, debounced, through sleep, and kept on flash."""

from linli_node.counter import Counter
from linli_node.errors import FlashError, SensorError
from linli_node.saved import Saved

_UNITS = {"water_volume": "m3", "gas_volume": "m3", "energy_import": "Wh", "heat_energy": "Wh", "pulse_count": "count"}


class Pulse:
    """One meter's pulses; its reading is the register."""

    def __init__(self, config, board):
        self._config = config
        self.quantities = (config["quantity"],)
        name = "count" + str(config["pin"])
        self._counter = Counter(Saved(board.flash(name, 2, 4096)), config["window"], board.memory(name))
        self._take_up()
        self._pin = board.pin_in(config["pin"], pull_up=True)
        self._pulses = board.pulses(config["pin"], config["debounce_ms"])

    def _take_up(self):
        try:
            self._counter.load()
        except FlashError:
            # It counts all the same; what cannot be kept is told when it is read.
            return

    def wakes(self):
        """Return the pin and level that wake a sleeping board: a closing contact pulls it low.

        While it is closed, the board waits until it opens: a meter that stands still with its contact closed would
        wake it again and again.
        """
        return self._config["pin"], 1 - self._pin.value()

    def poll(self, _count):
        """Note the pulses since the last time. A count is no event: it goes out with the next reading."""
        pulses = self._pulses.take()
        if pulses:
            try:
                self._counter.add(pulses)
            except FlashError:
                # They are counted, and written with the next that the flash takes.
                return False
        return False

    def keep(self):
        """Write the count down: the supply falls."""
        self.poll(0)
        try:
            self._counter.keep()
        except FlashError:
            return

    async def read(self):
        """Return the register, once it is on flash."""
        self.poll(0)
        config = self._config
        try:
            count = self._counter.keep()
        except FlashError as exc:
            # A count that the next power cut sets back is none that anybody may be told.
            raise SensorError("the count cannot be kept: " + str(exc)) from None
        whole = config["initial"] + count * config["per_pulse"]
        return [
            (config["quantity"], _UNITS[config["quantity"]], (whole, config["places"]) if config["places"] else whole)
        ]

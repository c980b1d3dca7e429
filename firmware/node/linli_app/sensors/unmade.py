"""In place of a sensor that cannot be made: its board has not its pin, or its bus is short. Loaded only for it."""

from linli_app.sensors.fields import MEASURED
from linli_node.errors import SensorError


class Unmade:
    """What it would measure is missing, and says so; everything else goes on."""

    def __init__(self, config, why, reason):
        self._why = why
        self._reason = reason
        self.quantities = (config["quantity"],) if "quantity" in config else MEASURED[config["kind"]]

    def begin(self):
        """Return how long it takes to measure: there is nothing to wait for."""
        return 0

    async def read(self):
        """Raise :class:`SensorError`."""
        raise SensorError(self._why, self._reason)

"""In place of a sensor that cannot be made, for its board has not its pin. Loaded only where there is such a one."""

from linli_app.sensors.fields import MEASURED
from linli_node.errors import SensorError


class Unmade:
    """What it would measure is missing, and says so; everything else goes on."""

    def __init__(self, config, why):
        self._why = why
        self.quantities = (config["quantity"],) if "quantity" in config else MEASURED[config["kind"]]

    def begin(self):
        """Return how long it takes to measure: there is nothing to wait for."""
        return 0

    async def read(self):
        """Raise :class:`SensorError`."""
        raise SensorError(self._why)

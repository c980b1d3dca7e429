"""A leak rope with a resistor at its end: dry, wet, and broken are told apart by the voltage across it.

The rope is fed only while it is measured, and from a pin: a direct current through wet copper eats it.
"""

import asyncio

from micropython import const

from linli_node.errors import SensorError

_SETTLE_MS = const(5)


class LeakRope:
    """One rope."""

    quantities = ("water_leak",)

    def __init__(self, config, board):
        self._config = config
        self._adc = board.adc(config["pin"])
        self._power = board.pin_out(config["power"])

    async def read(self):
        """Return whether it is wet; raise :class:`SensorError` where the rope is broken or off."""
        self._power.value(1)
        await asyncio.sleep_ms(_SETTLE_MS)
        raw = self._adc.read_u16()
        self._power.value(0)
        if raw > self._config["broken_above"]:
            raise SensorError("the rope is broken, or not connected")
        return [("water_leak", "", raw < self._config["wet_below"])]

"""A serial bus in real time: stations that answer, heads that ask, and a wire between them with a speed.

``timing`` (how long characters take) · ``faults`` (what goes wrong) · ``stations`` (who answers) · ``wire`` (who says
what when) · ``bus`` (pseudo-terminals, sockets and the thread that keeps the time).
"""

from linli_sim.line.bus import SerialBus
from linli_sim.line.faults import Misbehaviour
from linli_sim.line.stations import ForeignStation, ModbusStation, Station
from linli_sim.line.timing import LineTiming

__all__ = ["ForeignStation", "LineTiming", "Misbehaviour", "ModbusStation", "SerialBus", "Station"]

"""``bus.scan.over_theory``: how much longer a scan of ids 1 to 247 takes than the line and the patience make it.

In theory a dead id costs its request and the patience after it, a live one its request, its turnaround and its answer.
What the scan does besides (the silence between frames, one long listening at the end for late answers, itself) is what
the figure shows.
"""

import time
from typing import Final

from linli_edge.commissioning.modbus_search import SERIAL_PATIENCE, ModbusSearch
from linli_edge.commissioning.scan import Line
from linli_edge.commissioning.scanner import Wanted
from linli_edge.commissioning.target import parse_link
from linli_edge.commissioning.wire_time import transfer_time
from linli_edge.transport.settings import SerialSettings
from linli_sim.bench import CannotRun, bench
from linli_sim.line import LineTiming, ModbusStation, SerialBus
from linli_sim.modbus_registers import Unit

_BAUD: Final = 9600
_ALIVE: Final = (1, 17, 100, 247)
_IDS: Final = 247
_TURNAROUND: Final = 30_000
_REQUEST: Final = 8
_ANSWER: Final = 7


def theory(line: SerialSettings) -> int:
    """Return the microseconds that a scan takes in theory."""
    request = transfer_time(line, _REQUEST)
    dead = (_IDS - len(_ALIVE)) * (request + SERIAL_PATIENCE)
    return dead + len(_ALIVE) * (request + _TURNAROUND + transfer_time(line, _ANSWER))


@bench("bus.scan.over_theory", unit="x", target=1.1)
async def over_theory() -> float:
    """Scan a line at 9,600 baud on which four devices answer."""
    stations = {}
    for number in _ALIVE:
        unit = Unit()
        unit.put("holding", 0, [number])
        stations[number] = ModbusStation(number, unit)
    with SerialBus(stations, LineTiming(_BAUD, turnaround=_TURNAROUND / 1_000_000)) as bus:
        wanted = Wanted(parse_link(bus.path), (_BAUD,), ("even",), ((1, _IDS),), identify=False)
        search = ModbusSearch(wanted)
        started = time.monotonic()
        async with Line() as line:
            while (probe := search.next()) is not None:
                search.take(await line.ask(probe))
        took = time.monotonic() - started
    found = [int(device.address) for device in search.found()]
    if found != list(_ALIVE):
        raise CannotRun(f"the scan found {found}, not {list(_ALIVE)}: the machine is too busy to keep a line's time")
    return took * 1_000_000 / theory(SerialSettings(bus.path, _BAUD, "even"))

"""What the demo's community says in an hour, without waiting for it: real drivers, its simulators, a clock that jumps.

The configuration is the demo's (:mod:`linli_sim.community`); its links are opened by their own drivers, each on a line
in memory behind which the demo's simulators answer. Left out is what takes time and changes no reading: sockets,
processes, the log. Lines take their time all the same, and a poll begins a little late, as on a machine that has other
things to do: readings of one request share a stamp, and no two requests have the same.
"""

import asyncio
import random
import selectors
import tomllib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from linli_core.instant import SECOND, Instant
from linli_core.model import Reading
from linli_core.wire import senml
from linli_edge.driver import Driver, load
from linli_edge.transport.memory import MemoryTransport
from linli_sim import modbus
from linli_sim.cjt188_meter import make_meters as make_cjt188_meters
from linli_sim.coldroom import UNIT, SimulatedColdRoom
from linli_sim.community import COURTYARD_METERS, GATEWAYS, SIMULATED_MBUS_METERS, Community
from linli_sim.line.stations import Station
from linli_sim.mbus import slave
from linli_sim.mbus_meters import make_meters
from linli_sim.mbus_slave import BusSegment
from linli_sim.meter_line import BAUD, TURNAROUND, dlt645_meters
from linli_sim.modbus_frames import TcpFrames
from linli_sim.modbus_registers import Unit

Clock = Callable[[], Instant]
Answers = Callable[[bytes], bytes]
"""Returns what comes back to bytes that were sent; empty: nothing."""

_PACK_AFTER: Final = 0.5
_PACK_RECORDS: Final = 100
"""As the gateway has them by default."""

_LATE: Final = 0.001
_VERY_LATE: Final = 0.01
_SOMETIMES: Final = 0.05
"""A poll begins a millisecond late on average, and one in twenty ten more: measured of the demo on two cores."""

_NETWORK: Final = 0.0003
_BITS: Final = 11
_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True, slots=True)
class Sent:
    """A gateway's message, and when it left."""

    gateway: str
    at: Instant
    payload: bytes
    readings: int


class _JumpingSelector(selectors.SelectSelector):
    """Where everybody would wait it is later at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.now += timeout
        # Nothing here comes from outside, but for the loop's own pipe.
        return super().select(0) if timeout is None else []


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class _Line(MemoryTransport):
    """A line behind which simulators answer after a while."""

    def __init__(self, answers: Answers, takes: Callable[[int], float]) -> None:
        super().__init__()
        self._answers_to = answers
        self._takes = takes

    async def write(self, data: bytes) -> None:
        takes = self._takes(len(data))
        if answer := self._answers_to(data):
            asyncio.get_running_loop().call_later(takes + self._takes(len(answer)), self.feed, answer)


def played(start: Instant, seconds: int, seed: int = 1) -> list[Sent]:
    """Return what the gateways of the demo's community send from ``start`` on, its simulators begun anew, in order.

    Args:
        start: When its gateways begin.
        seconds: For how long.
        seed: Of the devices, and of how late polls begin.
    """
    return _simulated(_Play(start, seconds, seed).run())


def _simulated(coroutine: Coroutine[Any, Any, _ResultT]) -> _ResultT:
    loop = _JumpingLoop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


class _Play:
    def __init__(self, start: Instant, seconds: int, seed: int) -> None:
        self._start = start
        self._seconds = seconds
        self._seed = seed
        self._chance = random.Random(seed)  # noqa: S311 - a repeatable hour, no secret
        self._waiting: dict[str, list[Reading]] = {gateway: [] for gateway in GATEWAYS}
        self._sent: list[Sent] = []
        self._seq = dict.fromkeys(GATEWAYS, 0)

    async def run(self) -> list[Sent]:
        community = Community(Path("/nowhere"), seed=self._seed)
        lines = self._lines()
        async with asyncio.TaskGroup() as group:
            for gateway in GATEWAYS:
                for table in tomllib.loads("\n".join(community.configuration(gateway)))["links"]:
                    spec = load(table["driver"], "links")
                    config = spec.parse(table, "links")
                    assert spec.guest is not None
                    driver = spec.guest(config, lines[table["id"]], self._now)
                    group.create_task(self._link(gateway, driver), name=table["id"])
                group.create_task(self._packing(gateway), name=f"packs of {gateway}")
        self._sent.sort(key=lambda sent: sent.at)
        return self._sent

    def _now(self) -> Instant:
        return self._start + round(asyncio.get_running_loop().time() * SECOND)

    async def _link(self, gateway: str, driver: Driver) -> None:
        """Poll devices in turn, each at its interval."""
        loop = asyncio.get_running_loop()
        # As links do: those of one interval are spread over it.
        due = {poll: number / len(driver.plan) * poll.interval for number, poll in enumerate(driver.plan)}
        while (poll := min(due, key=due.__getitem__)) and due[poll] < self._seconds * SECOND:
            await asyncio.sleep(max(0.0, due[poll] / SECOND - loop.time()) + self._lateness())
            due[poll] += poll.interval
            readings = await driver.poll(poll)
            self._waiting[gateway] += readings

    def _lateness(self) -> float:
        very = self._chance.random() < _SOMETIMES
        return self._chance.expovariate(1 / _LATE) + (self._chance.expovariate(1 / _VERY_LATE) if very else 0.0)

    async def _packing(self, gateway: str) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < self._seconds + 2 * _PACK_AFTER:
            await asyncio.sleep(_PACK_AFTER)
            readings, self._waiting[gateway] = self._waiting[gateway], []
            for first in range(0, len(readings), _PACK_RECORDS):
                self._send(gateway, readings[first : first + _PACK_RECORDS])

    def _send(self, gateway: str, readings: Sequence[Reading]) -> None:
        self._seq[gateway] += 1
        body = senml.stamp(senml.encode(gateway, readings), str(self._start), self._seq[gateway])
        self._sent.append(Sent(gateway, self._now(), body, len(readings)))

    # The devices

    def _lines(self) -> dict[str, _Line]:
        """Return the lines of the community's links, with the simulators that its programs would be."""
        seed, now = self._seed, self._now
        switch_room, update_room = modbus.meters("eastron-sdm630", 3, seed, now)
        flats, update_flats = modbus.meters("eastron-sdm120", 4, seed, now)
        cold_room = SimulatedColdRoom(seed, now(), door_open_at=3.0)
        bus = BusSegment([slave(meter, now) for meter in make_meters(SIMULATED_MBUS_METERS, seed, now())])
        power = list(dlt645_meters(COURTYARD_METERS, seed, now).values())
        supplies = list(make_cjt188_meters(COURTYARD_METERS, seed, now).values())
        return {
            "switch-room": _Line(_modbus(switch_room, update_room), self._over_tcp),
            "flats": _Line(_modbus(flats, update_flats), self._over_tcp),
            "cold-room": _Line(_modbus({UNIT: cold_room.unit}, lambda _unit: cold_room.update(now())), self._over_tcp),
            "bus": _Line(lambda asked: b"".join(bus.receive(asked)), self._over_tcp),
            "courtyard-power": _Line(_stations(power), _over_wire),
            "courtyard-supplies": _Line(_stations(supplies), _over_wire),
        }

    def _over_tcp(self, _size: int) -> float:
        return _NETWORK + self._chance.expovariate(1 / _NETWORK)


def _over_wire(size: int) -> float:
    return TURNAROUND / 2 + size * _BITS / BAUD


def _modbus(units: dict[int, Unit], update: Callable[[int], None]) -> Answers:
    frames = TcpFrames()

    def answers(asked: bytes) -> bytes:
        said = b""
        for request in frames.receive(asked):
            update(request.unit)
            said += frames.answer(request, units[request.unit].answer(request.pdu))
        return said

    return answers


def _stations(stations: Sequence[Station]) -> Answers:
    return lambda asked: b"".join(station.hear(asked) for station in stations)

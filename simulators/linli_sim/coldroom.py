"""``linli-sim coldroom``: a cold-room controller over Modbus TCP, with a door that can be opened.

The room's time may run faster than the clock (``--time-factor``, 20 unless told otherwise, and said so at the start):
an open door takes a real room some two minutes to lift above 8 °C, longer than anybody watches a demo.

The door opens by itself (``--door-open-at``, ``--door-for``), or when somebody writes coil 0 (:func:`set_door`):
then the writer decides until it writes again.
"""

import argparse
import asyncio
from collections.abc import Callable
from typing import Final

from linli_core.errors import ConfigError, LinkClosed, LinkTimeout
from linli_core.instant import SECOND, Instant
from linli_sim.cli import Subparsers
from linli_sim.coldroom_model import ColdRoom
from linli_sim.modbus import add_fault_arguments, entries_of, faults_of, wall_clock
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import ModbusServer
from linli_sim.modbus_values import Values, fill, store

PROFILE: Final = "linli-coldroom"
UNIT: Final = 1
DOOR_COIL: Final = 0
TIME_FACTOR: Final = 20.0

_TICK: Final = SECOND // 10


class SimulatedColdRoom:
    """A room and the registers of its controller.

    Attributes:
        room: The model.
        unit: The registers; coil 0 is the door.
    """

    def __init__(
        self,
        seed: int,
        started: Instant,
        *,
        time_factor: float = TIME_FACTOR,
        door_open_at: float | None = None,
        door_for: float = 10.0,
    ) -> None:
        """Make a room.

        Args:
            seed: Of its noise.
            started: Present instant.
            time_factor: Simulated seconds for each second of the clock.
            door_open_at: Seconds of the clock after ``started`` at which the door opens; ``None``: never by itself.
            door_for: Seconds of the clock it then stays open.
        """
        self.room = ColdRoom(seed)
        self.unit = Unit(on_write=self._written)
        self.unit.put("coil", DOOR_COIL, [0])
        self._entries = entries_of(PROFILE)
        self._factor = time_factor
        self._started = self._at = started
        self._opens = None if door_open_at is None else started + round(door_open_at * SECOND)
        self._closes = None if self._opens is None else self._opens + round(door_for * SECOND)
        self._by_hand = False
        fill(self.unit, self._entries)
        self._show()

    def update(self, now: Instant) -> None:
        """Let the room live up to an instant."""
        if now - self._at < _TICK:
            return
        while self._at < now:
            # In short steps, so that the door moves on time however seldom anybody asks.
            span = min(now - self._at, _TICK)
            self._at += span
            if not self._by_hand and self._opens is not None and self._closes is not None:
                self.room.door_open = self._opens < self._at <= self._closes
            self.room.step(span / SECOND * self._factor)
        self._show()

    def _show(self) -> None:
        store(self.unit, self._entries, room_values(self.room))
        self.unit.put("coil", DOOR_COIL, [int(self.room.door_open)])

    def _written(self, table: str, address: int, value: int) -> None:
        if (table, address) == ("coil", DOOR_COIL):
            self._by_hand = True
            self.room.door_open = bool(value)


def room_values(room: ColdRoom) -> Values:
    """Return what the controller shows of a room, by quantity, in the vocabulary's units."""
    return {
        ("air_temperature", None): room.measured_air,
        ("evaporator_temperature", None): room.evaporator,
        ("temperature_setpoint", None): room.setpoint,
        ("door_open", None): room.door_open,
        ("compressor_running", None): room.compressor,
        ("defrost_active", None): room.defrosting,
        ("active_power", None): room.power,
        ("energy_import", None): room.energy,
    }


async def set_door(host: str, port: int, *, is_open: bool, limit: float = 5.0) -> None:
    """Open or close the door of a running cold room.

    Raises:
        LinkClosed: The room hung up.
        LinkTimeout: It did not answer in time.
    """
    frame = bytes((0, 1, 0, 0, 0, 6, UNIT, 5, 0, DOOR_COIL, 0xFF if is_open else 0, 0))
    try:
        async with asyncio.timeout(limit):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(frame)
                if await reader.readexactly(12) != frame:
                    raise LinkClosed("the cold room did not take the door's new state")
            except asyncio.IncompleteReadError as exc:
                raise LinkClosed("the cold room hung up") from exc
            finally:
                writer.close()
    except TimeoutError as exc:
        raise LinkTimeout(f"the cold room did not answer within {limit:g} s") from exc


def add_arguments(subparsers: Subparsers) -> None:
    """Add ``linli-sim coldroom``."""
    parser = subparsers.add_parser("coldroom", help="a cold room with a door and a compressor, over Modbus TCP")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: this machine only)")
    parser.add_argument("--port", type=int, default=5021, help="TCP port; 0 for any that is free (default 5021)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same room (default 1)")
    parser.add_argument(
        "--time-factor", type=float, default=TIME_FACTOR, help="simulated seconds for each real one (default 20)"
    )
    parser.add_argument("--door-open-at", type=float, metavar="S", help="seconds after the start; default: never")
    parser.add_argument("--door-for", type=float, default=10.0, metavar="S", help="seconds it stays open (default 10)")
    add_fault_arguments(parser)


async def run(args: argparse.Namespace, now: Callable[[], Instant] = wall_clock) -> int:
    """Serve until cancelled."""
    if not 0 < args.time_factor <= 3600:
        raise ConfigError("--time-factor", f"found {args.time_factor:g}", "choose more than 0 and 3600 at most")
    room = SimulatedColdRoom(
        args.seed, now(), time_factor=args.time_factor, door_open_at=args.door_open_at, door_for=args.door_for
    )
    server = ModbusServer({UNIT: room.unit}, faults_of(args), lambda _: room.update(now()))
    async with server.listen(args.port, args.host) as port:
        print(f"linli-sim coldroom: the room's time runs {args.time_factor:g} times as fast as the clock", flush=True)  # noqa: T201
        print(f"ready on {args.host}:{port}", flush=True)  # noqa: T201
        await asyncio.get_running_loop().create_future()
    return 0

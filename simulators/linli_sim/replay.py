"""``linli-sim replay mbus|wmbus``: recorded frames of real meters, served as meters on a bus or heard by a receiver.

Each valid recording of an answer becomes one meter. It keeps its recorded primary address where that is free and one a
meter can have; otherwise it moves to the lowest free one, and then its A field and checksum alone differ from what was
recorded. A meter also answers to the selection of its recorded identity, several of them at once where the recordings
share it, as they would on a real bus.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from linli_core.codecs.mbus import LongFrame, decode_frame, decode_telegram
from linli_core.codecs.mbus.frame import encode_frame
from linli_core.codecs.mbus.request import HIGHEST_ADDRESS
from linli_core.errors import LinliError
from linli_sim import radio_replay
from linli_sim.cli import Subparsers
from linli_sim.mbus import PORT
from linli_sim.mbus_server import MbusServer
from linli_sim.mbus_slave import BusSegment, Slave
from linli_sim.radio_replay import RecordedTelegram
from linli_sim.vectors.mbus_recordings import Recording, load
from linli_sim.wmbus import PORT as RADIO_PORT
from linli_sim.wmbus import Receiver, seconds

DEFAULT_VECTORS: Final = Path("..") / "shared" / "vectors"


class NothingToReplay(LinliError):
    """The folder holds no recording of a meter's answer."""


@dataclass(frozen=True)
class ReplayedMeter:
    """One recording on the bus.

    Attributes:
        address: The primary address it is served at.
        vector: The recording.
        frame: What goes over the wire.
    """

    address: int
    vector: Recording
    frame: LongFrame

    @property
    def moved(self) -> bool:
        """Whether it is served at another address than the recorded one."""
        return encode_frame(self.frame) != self.vector.frame


def replayed(vectors: Sequence[Recording]) -> list[ReplayedMeter]:
    """Return the valid recordings with the addresses they are served at, the same each time."""
    frames: list[tuple[Recording, LongFrame]] = []
    for vector in vectors:
        frame = decode_frame(vector.frame) if vector.kind == "valid" else None
        if isinstance(frame, LongFrame):
            frames.append((vector, frame))
    own: dict[int, str] = {}
    for vector, frame in frames:
        if 1 <= frame.address <= HIGHEST_ADDRESS:
            own.setdefault(frame.address, vector.name)
    free = (address for address in range(1, HIGHEST_ADDRESS + 1) if address not in own)
    meters: list[ReplayedMeter] = []
    for vector, frame in frames:
        address = frame.address if own.get(frame.address) == vector.name else next(free)
        meters.append(ReplayedMeter(address, vector, LongFrame(frame.control, address, frame.ci, frame.data)))
    return meters


def bus_of(meters: Sequence[ReplayedMeter]) -> BusSegment:
    """Return a bus with these meters."""
    return BusSegment([_slave(meter) for meter in meters])


def add_arguments(subparsers: Subparsers) -> None:
    """Add the sub-command's parser."""
    parser = subparsers.add_parser("replay", help="recorded frames of real meters, played back")
    parser.add_argument("protocol", choices=("mbus", "wmbus"), help="what the recordings are of")
    parser.add_argument(
        "--vectors",
        type=Path,
        help="folder of the recordings (default ../shared/vectors/PROTOCOL, or PROTOCOL in LINLI_VECTORS)",
    )
    parser.add_argument(
        "--port", type=int, help=f"TCP port; 0 for a free one (default {PORT} for mbus, {RADIO_PORT} for wmbus)"
    )
    parser.add_argument(
        "--every", type=seconds, default=60.0, help="wmbus: seconds from one round to the next (default %(default)s)"
    )


async def run(args: argparse.Namespace) -> int:
    """Serve until cancelled."""
    folder = default_folder(args.protocol) if args.vectors is None else args.vectors
    # A folder that is not there holds nothing, as one without recordings does.
    if args.protocol == "mbus":
        await _bus(replayed(load(folder)) or _nothing(folder, "M-Bus answers"), args)
    else:
        await _radio(radio_replay.load(folder) or _nothing(folder, "radio telegrams"), args)
    return 0


async def _bus(meters: Sequence[ReplayedMeter], args: argparse.Namespace) -> None:
    async with MbusServer(bus_of(meters)).listen(PORT if args.port is None else args.port) as port:
        print(f"ready on 127.0.0.1:{port}", flush=True)  # noqa: T201 - the command's output
        print(json.dumps({str(meter.address): meter.vector.name for meter in meters}), flush=True)  # noqa: T201
        await asyncio.Event().wait()


async def _radio(telegrams: Sequence[RecordedTelegram], args: argparse.Namespace) -> None:
    receiver = Receiver(radio_replay.RecordedAir(telegrams), args.every)
    async with receiver.listen(RADIO_PORT if args.port is None else args.port) as port:
        print(f"ready on 127.0.0.1:{port}", flush=True)  # noqa: T201 - the command's output
        told = {each.name: {"meter": each.number, "protection": each.protection, "key": each.key} for each in telegrams}
        print(json.dumps(told), flush=True)  # noqa: T201
        await receiver.hear()


def _nothing(folder: Path, wanted: str) -> NoReturn:
    raise NothingToReplay(f"{folder}: no recorded {wanted}; name their folder with --vectors DIR")


def _slave(meter: ReplayedMeter) -> Slave:
    data = encode_frame(meter.frame)
    # The fixed structure has an identity too, but no manufacturer, version and medium to be selected by.
    return Slave(meter.address, decode_telegram(meter.frame).identity, lambda: [data])


def default_folder(protocol: str) -> Path:
    """Return where the recordings are looked for unless a folder is named."""
    folder = os.environ.get("LINLI_VECTORS")
    return (Path(folder) if folder else DEFAULT_VECTORS) / protocol

"""``linli-sim iec62056``: an IEC 62056-21 meter at the other end of a pseudo-terminal, which changes its speed.

It listens at 300 baud, answers, waits for the choice, and goes on at the speed agreed; at any other it hears noise.
"""

import argparse
import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.iec62056 import (
    Ack,
    Acknowledgement,
    Command,
    DataMessage,
    Frame,
    FrameReader,
    Identification,
    SignOn,
)
from linli_core.codecs.iec62056.frame import BAUD
from linli_core.codecs.iec62056.request import encode_frame
from linli_core.errors import ProtocolError
from linli_core.instant import Instant
from linli_edge.timekeeping import wall_clock
from linli_sim.cli import Subparsers
from linli_sim.shared_pty import SharedPty, Speaker
from linli_sim.smart_meter import SmartMeter

START: Final = 300


class Iec62056Meter:
    """The meter's side of a line.

    Attributes:
        speaker: How it hears and speaks on a :class:`linli_sim.shared_pty.SharedPty`.
        password: What programming mode wants; empty: nothing.
        agreed: The speed that was agreed last.
        damage: How many of the next data messages get a wrong checksum.
    """

    def __init__(self, meter: SmartMeter, speed: str, clock: Callable[[], Instant], *, password: str = "") -> None:
        self.password = password
        self.damage = 0
        self.agreed = START
        self._meter = meter
        self._speed = speed
        self._clock = clock
        self._reader = FrameReader(from_meter=False)
        self._trusted = not password
        self._awake = False
        self.speaker = Speaker(START, self.hear)

    def hear(self, data: bytes) -> Sequence[bytes]:
        """Take what arrived, and return what the meter says."""
        self._reader.receive(data)
        said: list[bytes] = []
        while True:
            try:
                frame = self._reader.next_event()
            except ProtocolError:
                continue
            if frame is NEED_DATA:
                return said
            answer = self._answer(frame)
            if answer is not None:
                said.append(answer)

    def _answer(self, frame: Frame) -> bytes | None:
        match frame:
            case SignOn(address):
                self.speaker.baud = START
                self._awake = address in {"", self._meter.number}
                if not self._awake:
                    return None
                return encode_frame(Identification("LNL", self._speed, "LINLI-SIM"))
            case Acknowledgement(_, speed, mode) if self._awake:
                self.agreed = BAUD.get(speed, START)
                if mode == "0":
                    # After its data the meter listens at the first speed again.
                    return self._block(DataMessage(self._meter.readout(self._clock()), readout=True))
                self.speaker.baud = self.agreed
                return encode_frame(Command("P0", b"(00000000)"))
            case Command(name, data) if self._awake:
                return self._command(name, data)
            case _:
                return None

    def _command(self, name: str, data: bytes) -> bytes | None:
        if name == "B0":
            self.speaker.baud = START
            self._trusted = not self.password
            return None
        if name == "P1":
            self._trusted = data == f"({self.password})".encode()
            return encode_frame(Ack()) if self._trusted else encode_frame(DataMessage(b"(ER01)"))
        register = data.partition(b"(")[0]
        lines = self._meter.readout(self._clock()).split(b"\r\n")
        found = next((line for line in lines if line.startswith(register + b"(")), b"(ER07)")
        return self._block(DataMessage(found if self._trusted else b"(ER03)"))

    def _block(self, message: DataMessage) -> bytes:
        data = encode_frame(message)
        if self.damage:
            self.damage -= 1
            return data[:-1] + bytes((data[-1] ^ 0x01,))
        return data


def add_arguments(subparsers: Subparsers) -> None:
    """Add the sub-command's parser."""
    parser = subparsers.add_parser("iec62056", help="an IEC 62056-21 meter at a pseudo-terminal")
    parser.add_argument("--number", default="35071964", help="the meter's number (default %(default)s)")
    parser.add_argument(
        "--speed", default="5", choices=sorted(BAUD), help="speed character it proposes (default 5: 9600)"
    )
    parser.add_argument("--password", default="", help="what programming mode wants")


async def run(args: argparse.Namespace) -> int:
    """Serve until cancelled."""
    meter = Iec62056Meter(SmartMeter(args.number), args.speed, wall_clock, password=args.password)
    async with SharedPty([meter.speaker]) as line:
        print(f"ready on {line.path}", flush=True)  # noqa: T201 - the command's output
        await asyncio.Event().wait()
    return 0

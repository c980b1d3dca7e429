"""An electricity meter's side of DL/T 645. Pure: frames in, frames out.

A hand-written second side of the protocol: it shares the frame layer and the digits with the gateway, but not its
tables of identifiers, so that the two check each other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.dlt645 import Edition, Frame, FrameReader, encode, encode_frame
from linli_core.codecs.dlt645.frame import ANY, LONGEST, MORE, matches
from linli_core.errors import ProtocolError

Values = Callable[[], Mapping[int, bytes]]
"""Returns what the meter holds now: identifier → data as they go over the wire, without the 33."""

NO_SUCH_DATA: Final = 0x02
NOT_AUTHORIZED: Final = 0x04
OTHER: Final = 0x01

_READ: Final = {0x11: Edition.E2007, 0x01: Edition.E1997}
_READ_ON: Final = {0x12: Edition.E2007, 0x02: Edition.E1997}
_READ_ADDRESS: Final = 0x13
_BROADCAST_TIME: Final = 0x08
_RELAY: Final = 0x1C
_FREEZE: Final = 0x16


@dataclass
class Dlt645Meter:
    """One meter on a line; a station of :class:`linli_sim.line.bus.SerialBus`.

    Attributes:
        address: Twelve digits.
        values: What it holds.
        edition: Which requests it understands; to those of the other it is silent.
        preamble: FE before each answer, 0 to 11.
        answers_as: Address it answers under in place of its own.
        refuses: Identifiers it says it has not, though it may.
        silent_on: Identifiers it does not answer at all, as some meters do with blocks.
        most: Bytes of data of one frame; what is longer follows in pieces.
        relay_open, relay_close: What it takes for these commands; ``None`` where it has no relay.
        password: Six digits that work its relay.
        is_open: How its relay stands.
        commands: Relay commands it has carried out.
    """

    address: str
    values: Values
    edition: Edition = Edition.E2007
    preamble: int = 4
    answers_as: str = ""
    refuses: set[int] = field(default_factory=set)
    silent_on: set[int] = field(default_factory=set)
    most: int = LONGEST
    relay_open: int | None = None
    relay_close: int | None = None
    password: str = "000000"  # noqa: S105 - as delivered
    is_open: bool = False
    commands: list[int] = field(default_factory=list)
    _rest: dict[int, list[Frame]] = field(default_factory=dict, init=False)

    def hear(self, frame: bytes) -> bytes:
        """Return what it says to a frame; empty: nothing."""
        reader = FrameReader()
        reader.receive(frame)
        reader.end()
        while True:
            try:
                heard = reader.next_event()
            except ProtocolError:
                continue
            if heard is NEED_DATA:
                return b""
            if not heard.is_reply and matches(heard.address, self.address):
                answer = self._answer(heard)
                return encode_frame(answer, preamble=self.preamble) if answer is not None else b""

    @property
    def _own(self) -> str:
        return self.answers_as or self.address

    def _answer(self, asked: Frame) -> Frame | None:
        function = asked.function
        if self.edition is Edition.E2007 and function == _READ_ADDRESS:
            return encode.address_reply(self._own)
        if _READ.get(function) is self.edition:
            return self._read(asked)
        if _READ_ON.get(function) is self.edition:
            return self._read_on(asked)
        if self.edition is Edition.E2007 and function == _RELAY:
            return self._work_relay(asked)
        if function in (_BROADCAST_TIME, _FREEZE) or self.edition is Edition.E1997 or function in {*_READ, *_READ_ON}:
            return None
        return encode.refusal(asked, self._own, OTHER)

    def _read(self, asked: Frame) -> Frame | None:
        size = self.edition.identifier_size
        if len(asked.data) != size:
            return encode.refusal(asked, self._own, OTHER)
        identifier = int.from_bytes(asked.data, "little")
        if identifier in self.silent_on:
            return None
        data = None if identifier in self.refuses else self.values().get(identifier)
        if data is None:
            return encode.refusal(asked, self._own, NO_SUCH_DATA)
        # A meter of 1997 that was asked by the wildcard answers with it.
        address = asked.address if self.edition is Edition.E1997 and asked.address == ANY else self._own
        first, *rest = encode.pieces(address, identifier, data, self.edition, most=self.most)
        self._rest = {identifier: rest}
        return first

    def _read_on(self, asked: Frame) -> Frame:
        identifier = int.from_bytes(asked.data[: self.edition.identifier_size], "little")
        rest = self._rest.get(identifier, [])
        if not rest:
            return encode.refusal(asked, self._own, NO_SUCH_DATA)
        if self.edition is Edition.E2007:
            number = asked.data[-1]
            found = [piece for piece in rest if piece.data[-1] == number]
            return found[0] if found else encode.refusal(asked, self._own, NO_SUCH_DATA)
        piece = rest.pop(0)
        assert bool(piece.control & MORE) == bool(rest), "each piece but the last says that more follow"
        return piece

    def _work_relay(self, asked: Frame) -> Frame:
        data = asked.data
        if self.relay_open is None or len(data) != 16:
            return encode.refusal(asked, self._own, OTHER)
        if data[1:4][::-1].hex() != self.password:
            return encode.refusal(asked, self._own, NOT_AUTHORIZED)
        code = data[8]
        if code not in (self.relay_open, self.relay_close):
            return encode.refusal(asked, self._own, OTHER)
        self.commands.append(code)
        self.is_open = code == self.relay_open
        return encode.acknowledgement(asked, self._own)

"""The wildcard search for meters by their identity: digit by digit, and bounded (EN 13757-3, M-Bus documentation §7.3).

A selection with wildcards is acknowledged by every meter it fits. One of them alone then sends its data; several at
once are garbage, and the search goes on with each digit in the place of the next wildcard. Meters that share all eight
digits are told apart by medium, version and manufacturer. Pure: it says which frame is next and takes what was heard.

What no search by selection can see: meters whose answers collide so exactly that one whole telegram with the right
checksum is heard, the same that one of them sends when it is asked by itself: their values would have to be the same.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from linli_core.codec import NEED_DATA
from linli_core.codecs.mbus.frame import Ack, Frame, FrameReader, LongFrame, encode_frame
from linli_core.codecs.mbus.header import MEDIA, Identity, encode_manufacturer
from linli_core.codecs.mbus.request import SELECTED, Secondary, decode_selection, request_data, select
from linli_core.codecs.mbus.telegram import identity_of
from linli_core.errors import ProtocolError

EVERYBODY: Final = "F" * 8
MOST_QUESTIONS: Final = 20_000
"""Frames of one search: a bus of 250 meters takes some 6,000. More is a line on which noise answers everything."""

_HEADER: Final = 12
"""Bytes of the long header: identity, then what changes from one answer to the next (access number, status)."""

DIGITS: Final = "0123456789"
ODD_DIGITS: Final = "ABCDE"
"""What some makers put into numbers against the standard; asked for only where a collision has no ordinary child."""

MAKERS: Final = (
    *("ABB", "ACW", "AMT", "APA", "APT", "BMT", "DME", "EFE", "ELS", "ELV", "EMH", "EMU", "ESY", "FIN", "GAV", "GMC"),
    *("GWF", "HYD", "IME", "INV", "ISK", "ITU", "ITW", "JAN", "KAM", "LGB", "LGZ", "LSE", "LUG", "MAD", "MET", "NZR"),
    *("PAD", "QDS", "RAM", "RAY", "REL", "SAP", "SBC", "SEC", "SEN", "SIE", "SLB", "SON", "SPX", "SVM", "TCH", "WEP"),
    *("ZRI", "ZRM"),
)
"""Makers that are tried where meters share number, version and medium; those that have answered come first."""

Heard = Literal["nothing", "acknowledgement", "garbage"]


class Level(msgspec.Struct):
    """The children of a collision that are still to be asked for, and whether one of them has answered."""

    parent: str
    waiting: list[str]
    answered: bool = False
    tries: int = 0


class State(msgspec.Struct):
    """Everything a search has learnt and has still to do; it can be kept as JSON.

    Attributes:
        levels: Open collisions, the deepest last.
        found: The addresses found, sixteen digits each, in order.
        unresolved: Masks whose meters could not be told apart.
        questions: Frames sent.
        garbled: Answers that were garbage.
    """

    levels: list[Level] = msgspec.field(default_factory=lambda: [Level("", [EVERYBODY * 2])])
    found: list[str] = msgspec.field(default_factory=list)
    unresolved: list[str] = msgspec.field(default_factory=list)
    questions: int = 0
    garbled: int = 0


class TreeSearch:
    """One search: :meth:`next`, send it, :meth:`take` what came, until there is nothing next.

    Attributes:
        state: What has been learnt; a search made from it goes on where it was.
    """

    def __init__(self, state: State | None = None, *, most: int = MOST_QUESTIONS) -> None:
        self.state = state or State()
        self._most = most
        self._reading: Heard | None = None
        self._repeated = False
        # Who was heard under a mask with wildcards, until it has answered to its own address.
        self._candidate = ""
        self._overheard = b""
        # Who said something else by itself: the mask is asked once more.
        self._doubted = ""

    @property
    def done(self) -> bool:
        """Whether nothing is next: all is known, or the bound is reached."""
        return not self.state.levels or self.state.questions >= self._most

    @property
    def exhausted(self) -> bool:
        """Whether the bound ended it before all was known."""
        return bool(self.state.levels) and self.state.questions >= self._most

    @property
    def left(self) -> int:
        """Selections that are certain to come."""
        return sum(len(level.waiting) for level in self.state.levels)

    @property
    def mask(self) -> str:
        """The sixteen digits that are asked for now; empty when done."""
        return self.state.levels[-1].waiting[0] if self.state.levels else ""

    def next(self) -> Frame | None:
        """Return the frame to be sent; the same one until :meth:`take` was called."""
        if self.done:
            return None
        if self._reading is not None:
            return request_data(SELECTED, frame_count=True)
        return select(selection(self._candidate or self.mask))

    def take(self, data: bytes) -> Identity | None:
        """Take every byte that came after the frame; return the meter that is known by it, if one is."""
        sent = self.next()
        if sent is None:
            raise ValueError("nothing was asked")
        self.state.questions += 1
        frames, garbage = frames_in(data, encode_frame(sent))
        if self._reading is None:
            self._selected(frames, garbage=garbage)
            return None
        return self._read(frames, garbage=garbage)

    def _selected(self, frames: Sequence[Frame], *, garbage: bool) -> None:
        if frames or garbage:
            self._reading = "garbage" if garbage or not isinstance(frames[0], Ack) else "acknowledgement"
        elif self._candidate:
            self._split()
        else:
            self._close(answered=False)

    def _read(self, frames: Sequence[Frame], *, garbage: bool) -> Identity | None:
        reading, self._reading = self._reading, None
        answers = [frame for frame in frames if isinstance(frame, LongFrame)]
        alone = len(answers) == 1 and not garbage
        identity = identity_of(answers[0]) if alone else None
        if alone and identity is None and open_digit(self.mask) is None:
            # One meter, whose telegram does not name it: its number is all there is to know.
            return self._found(self.mask, Identity(self.mask[:8], "", 0, 0))
        if identity is not None and selection(self._candidate or self.mask).matches(identity):
            return self._heard(identity, answers[0].data[_HEADER:])
        if frames or garbage:
            self.state.garbled += 1
            self._split()
        elif not self._repeated:
            # It said yes and then nothing: lost, or noise that looked like an answer. Ask once more.
            self._repeated = True
        else:
            self._close(answered=reading == "acknowledgement")
        return None

    def _heard(self, identity: Identity, said: bytes) -> Identity | None:
        """Take a meter that was heard alone, once it has answered to its own address too.

        One collision in 256 has a right checksum. The identity in it is nobody's, or that of one of those that spoke:
        then it says something else when it is asked by itself, and the mask says the same wrong thing once more. A
        meter whose values change meanwhile says something new each time.
        """
        address = _address(identity)
        if address == self._candidate:
            new = self._note(address)
            if said == self._overheard:
                self._close(answered=True)
            else:
                self._candidate, self._doubted = "", address
            return identity if new else None
        if address == self._doubted:
            if said == self._overheard:
                self._split()
            else:
                self._close(answered=True)
            return None
        if address == self.mask:
            new = self._note(address)
            self._close(answered=True)
            return identity if new else None
        self._candidate, self._overheard = address, said
        return None

    def _note(self, address: str) -> bool:
        """Take an address among those found; tell whether it is new there."""
        if address in self.state.found:
            return False
        self.state.found.append(address)
        return True

    def _found(self, address: str, identity: Identity) -> Identity:
        self.state.found.append(address)
        self._close(answered=True)
        return identity

    def _close(self, *, answered: bool) -> None:
        """Be done with the present mask; go up where a level is finished."""
        self._candidate, self._doubted, self._repeated = "", "", False
        level = self.state.levels[-1]
        level.waiting.pop(0)
        level.answered = level.answered or answered
        while self.state.levels and not self.state.levels[-1].waiting:
            self._finish()

    def _finish(self) -> None:
        """Leave a level all of whose children were asked for; ask again where a collision has no child at all."""
        level = self.state.levels[-1]
        children = [] if level.answered or not level.parent else self._second_try(level)
        if children:
            level.waiting = children
            level.tries += 1
            return
        if level.parent and not level.answered:
            self.state.unresolved.append(level.parent)
        self.state.levels.pop()
        if self.state.levels and level.parent:
            # The parent itself answered, whether or not its meters could be told apart.
            self.state.levels[-1].answered = True

    def _second_try(self, level: Level) -> list[str]:
        place = open_digit(level.parent)
        if level.tries == 0:
            return self._children(level.parent)
        if level.tries == 1 and place is not None:
            return [level.parent[:place] + digit + level.parent[place + 1 :] for digit in ODD_DIGITS]
        return []

    def _split(self) -> None:
        """Put the children of the present mask, whose meters collide, before everything else."""
        self._candidate, self._doubted, self._repeated = "", "", False
        mask = self.mask
        self.state.levels[-1].waiting.pop(0)
        self.state.levels[-1].answered = True
        if children := self._children(mask):
            self.state.levels.append(Level(mask, children))
            return
        self.state.unresolved.append(mask)
        while self.state.levels and not self.state.levels[-1].waiting:
            self._finish()

    def _children(self, mask: str) -> list[str]:
        """Return the masks one step narrower; none where nothing is left to tell meters apart by."""
        if (place := open_digit(mask)) is not None:
            return [mask[:place] + digit + mask[place + 1 :] for digit in DIGITS]
        if mask[14:] == "FF":
            return [f"{mask[:14]}{medium:02X}" for medium in MEDIA]
        if mask[8:12] == "FFFF":
            known = dict.fromkeys(address[8:12] for address in self.state.found)
            known |= dict.fromkeys(encode_manufacturer(maker).hex().upper() for maker in MAKERS)
            return [f"{mask[:8]}{code}{mask[12:]}" for code in known]
        if mask[12:14] == "FF":
            return [f"{mask[:12]}{version:02X}{mask[14:]}" for version in range(0xFF)]
        return []


def selection(address: str) -> Secondary:
    """Return the selection that sixteen digits stand for, ``F`` for any."""
    return decode_selection(bytes.fromhex(address[:8])[::-1] + bytes.fromhex(address[8:]))


def open_digit(address: str) -> int | None:
    """Return the place of the first digit of the number that is a wildcard; ``None``: it is complete."""
    place = address[:8].find("F")
    return None if place < 0 else place


def _address(identity: Identity) -> str:
    data = identity.encode()
    return identity.number + data[4:].hex().upper()


def frames_in(data: bytes, sent: bytes) -> tuple[list[Frame], bool]:
    """Return the frames in all that came after a question, without its echo, and whether that is no clean answer.

    Clean is one frame and nothing else: bytes of no frame are a collision or noise, and several acknowledgements behind
    each other are several meters.
    """
    reader = FrameReader()
    reader.receive(data.removeprefix(sent))
    reader.end()
    frames: list[Frame] = []
    garbage = False
    while True:
        try:
            frame = reader.next_event()
        except ProtocolError:
            garbage = True
            continue
        if frame is NEED_DATA:
            return frames, garbage or bool(reader.skipped) or len(frames) > 1
        frames.append(frame)

"""Who a Modbus unit is: by what it says about itself, by SunSpec's marker, by the profiles that fit it. Pure.

A profile fits best when the device names itself so (function 43/14, function 17, SunSpec's common model); so sensors
and controllers are known too. Else it fits when what it calls voltage and frequency is voltage and frequency: a few
registers of its own that hold 50.01 Hz and 231.4 V at once are no accident. Several profiles of one maker may fit
alike; then all are named.

Each answer is kept as facts; keys that start with ``_`` are for the conclusion alone.
"""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Final

from linli_core.model import Phase
from linli_edge.commissioning.modbus_wire import READ_DEVICE_ID, REPORT_SERVER_ID, device_id, printable, read_pdu
from linli_edge.drivers.modbus.decode import BlockDecoder
from linli_edge.drivers.modbus.device_profile import SHELF
from linli_edge.drivers.modbus.registers import MappedPoint

SUNSPEC_AT: Final = (40000, 0, 50000)
"""Where a SunSpec map begins, counted from 0: the specification's three places, the commonest first."""

PLAUSIBLE: Final = {"frequency": (45.0, 65.5), "voltage": (80.0, 480.0)}
"""What a mains frequency and a voltage can be anywhere on earth, by the vocabulary's names and units."""

NAMED: Final = 100
"""What a name weighs: more than all points of a profile."""

_WORDS: Final = re.compile(r"[A-Za-z0-9]+")
_MARKER: Final = b"SunS"
_COMMON: Final = struct.Struct(">HH")
_READ_PREFIX: Final = "_read."


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask.

    Attributes:
        pdu: The request.
        facts: What an answer tells; ``None`` stands for no answer.
    """

    pdu: bytes
    facts: Callable[[bytes | None], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Suspect:
    """A profile, and by what it is recognised.

    Attributes:
        make: The first word of its maker, in small letters.
        models: What its models' names begin with, in small letters and digits.
        witnesses: Points whose values tell.
    """

    name: str
    title: str
    make: str
    models: tuple[str, ...]
    witnesses: tuple[MappedPoint, ...]


@cache
def suspects() -> tuple[Suspect, ...]:
    """Return the profiles that can be recognised; read once."""
    found = []
    for name in SHELF.names():
        profile = SHELF.load(name, f"profile {name}")
        witnesses = tuple(entry.mapped for entry in profile.entries if _testifies(entry.mapped))
        make = _plain(profile.make.split()[0])
        found.append(Suspect(name, f"{profile.make} {profile.model}", make, _beginnings(profile.model), witnesses))
    return tuple(found)


def _beginnings(model: str) -> tuple[str, ...]:
    """Return what models begin with: ``iEM3000 series`` stands for iEM3155, ``PM5xxx`` for PM5320."""
    words = [_plain(word) for word in _WORDS.findall(model)]
    stems = [word.rstrip("x0") for word in words if any(char.isdigit() for char in word)]
    return tuple(stem for stem in stems if len(stem) >= 3)


def _plain(text: str) -> str:
    return "".join(char for char in text.lower() if char.isascii() and char.isalnum())


def _testifies(point: MappedPoint) -> bool:
    has_own_value = point.quantity in PLAUSIBLE and not point.multipliers and point.statistic is None
    return has_own_value and point.phase in {None, Phase.L1, Phase.L2}


class Identity:
    """The questions in their order, and what the answers come to."""

    def __init__(self) -> None:
        places = {_place(point): None for suspect in suspects() for point in suspect.witnesses}
        self._reads = [Question(read_pdu(*place), partial(_kept, place)) for place in places]

    @property
    def most(self) -> int:
        """How many questions one device is asked at most."""
        return 2 + len(SUNSPEC_AT) + 1 + len(self._reads)

    def question(self, step: int, facts: Mapping[str, str]) -> Question | None:
        """Return the question of a step (0, 1, 2…) given what is known so far; ``None`` when all has been asked."""
        asked = self._questions(facts)
        return asked[step] if step < len(asked) else None

    def _questions(self, facts: Mapping[str, str]) -> list[Question]:
        questions = [
            Question(READ_DEVICE_ID, lambda pdu: device_id(pdu or b"")),
            Question(REPORT_SERVER_ID, _server_id),
        ]
        for address in SUNSPEC_AT:
            questions.append(Question(read_pdu(3, address, 2), partial(_marker, address)))
            if facts.get("sunspec") == str(address):
                # Behind the marker stands model 1, "common": maker, model, options, version, serial number.
                questions.append(Question(read_pdu(3, address + 2, 66), _common))
                break
        return questions + self._reads

    def conclude(self, facts: Mapping[str, str]) -> tuple[list[str], str]:
        """Return the profiles that fit best, and a title; each empty where nothing tells."""
        weights = {suspect: _weight(suspect, facts) for suspect in suspects()}
        best = max(weights.values(), default=0)
        fitting = [suspect for suspect, weight in weights.items() if weight == best] if best else []
        title = " ".join(facts[key] for key in ("maker", "model") if key in facts) or facts.get("server", "")
        if not title and len(fitting) == 1:
            title = fitting[0].title
        return [suspect.name for suspect in fitting], title


def public(facts: Mapping[str, str]) -> dict[str, str]:
    """Return the facts that are for people."""
    return {key: value for key, value in facts.items() if not key.startswith("_")}


def _place(point: MappedPoint) -> tuple[int, int, int]:
    return point.table.function, point.address, point.count


def _kept(place: tuple[int, int, int], pdu: bytes | None) -> dict[str, str]:
    data = _data(pdu, place[0])
    return {_READ_PREFIX + "/".join(map(str, place)): data.hex()} if len(data) == 2 * place[2] else {}


def _weight(suspect: Suspect, facts: Mapping[str, str]) -> int:
    """Return how well a profile fits: by its name first, then by how many points.

    Points fit together or not at all: where one of them holds something else, none counts. A second phase may be
    missing (a three-phase meter on one phase reads 0 there); it counts where it is there.
    """
    weight = named = _name_weight(suspect, facts)
    for point in suspect.witnesses:
        held = facts.get(_READ_PREFIX + "/".join(map(str, _place(point))))
        value = None
        if held is not None:
            value = BlockDecoder(point.address, [(point, point.of("device"))]).decode(bytes.fromhex(held), 0)[0].value
        low, high = PLAUSIBLE[point.quantity]
        if isinstance(value, int | float) and low <= value <= high:
            weight += 1
        elif point.phase is not Phase.L2:
            return named
    return weight


def _name_weight(suspect: Suspect, facts: Mapping[str, str]) -> int:
    """Return how well a device's own name is a profile's: the longer what they share, the better; 0 for another."""
    said = [facts[key] for key in ("model", "server") if key in facts]
    names = [_plain(word) for text in said for word in _WORDS.findall(text)]
    shared = max((len(stem) for name in names for stem in suspect.models if name.startswith(stem)), default=0)
    is_make = any(suspect.make in _plain(facts.get(key, "")) for key in ("maker", "server"))
    return NAMED + 10 * shared if shared and is_make else 0


def _data(pdu: bytes | None, function: int) -> bytes:
    return pdu[2 : 2 + pdu[1]] if pdu is not None and len(pdu) > 2 and pdu[0] == function else b""


def _server_id(pdu: bytes | None) -> dict[str, str]:
    text = printable(bytes(byte for byte in _data(pdu, 0x11) if 0x20 <= byte < 0x7F))
    return {"server": text} if len(text) >= 3 else {}


def _marker(address: int, pdu: bytes | None) -> dict[str, str]:
    return {"sunspec": str(address)} if _data(pdu, 3) == _MARKER else {}


def _common(pdu: bytes | None) -> dict[str, str]:
    data = _data(pdu, 3)
    if len(data) < 132 or _COMMON.unpack_from(data)[0] != 1:
        return {}
    fields = {"maker": (4, 32), "model": (36, 32), "version": (84, 16), "serial": (100, 32)}
    found = {name: printable(data[start : start + size]) for name, (start, size) in fields.items()}
    return {name: text for name, text in found.items() if text}

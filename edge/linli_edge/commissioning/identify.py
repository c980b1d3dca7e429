"""Who a Modbus unit is: by what it says about itself, by SunSpec's marker, by the profiles that can tell. Pure."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from linli_edge.commissioning.modbus_wire import READ_DEVICE_ID, REPORT_SERVER_ID, device_id, printable, read_pdu

SUNSPEC_AT: Final = (40000, 0, 50000)
"""Where a SunSpec map begins, counted from 0: the specification's three places, the commonest first."""

_MARKER: Final = b"SunS"
_COMMON: Final = struct.Struct(">HH")


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask.

    Attributes:
        pdu: The request.
        facts: What an answer tells; ``None`` stands for no answer.
    """

    pdu: bytes
    facts: Callable[[bytes | None], dict[str, str]]


class Identity:
    """The questions in their order, and what the answers come to."""

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
        return questions

    def conclude(self, facts: Mapping[str, str]) -> tuple[str, str]:
        """Return the profile that fits and a title, each empty where nothing tells."""
        title = " ".join(facts[key] for key in ("maker", "model") if key in facts)
        return "", title or facts.get("server", "")


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

"""The judge of P1: CRC, every data set as it was sent, and every reading beside what two other decoders made of it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.p1 import Interpreter, Telegram, TelegramReader, decode_telegram
from linli_sim.vectors.p1_expectations import Mismatch, compare_amshan, compare_dsmr_parser
from linli_sim.vectors.verdict import Outcome, Verdict

LISTED: Final[Mapping[str, str]] = {}


def judge(document: Mapping[str, Any], path: Path) -> Verdict:
    """Return what comes of one recording; see :class:`linli_sim.vectors.protocols.Judge`."""
    expected = dict(document["expected"])
    telegram = _telegram(document["input"]["data"].encode("latin-1"))
    problems = list(_transport(telegram, expected))
    expected.pop("note", None)
    named = expected.pop("named", None)
    if named is not None:
        readings = {item.point.local_name: item for item in Interpreter("meter").readings(telegram, 0)}
        compare = compare_amshan if path.stem.startswith("amshan") else compare_dsmr_parser
        try:
            compare(telegram, readings, named)
        except Mismatch as exc:
            problems.append(str(exc))
    if expected:
        problems.append(f"expectations nobody compared: {json.dumps(sorted(expected))}")
    return Verdict(Outcome.WRONG, "; ".join(problems)) if problems else Verdict(Outcome.AGREE)


def _telegram(data: bytes) -> Telegram:
    """Return the one telegram of a recording, found in a stream and decoded as a whole alike."""
    reader = TelegramReader()
    reader.receive(data)
    reader.end()
    telegram = reader.next_event()
    assert telegram is not NEED_DATA
    assert telegram == decode_telegram(data.lstrip(b"\r\n"))
    return telegram


def _transport(telegram: Telegram, expected: dict[str, Any]) -> Iterator[str]:
    if f"/{telegram.identification}" != expected.pop("identification_line"):
        yield f"identification {telegram.identification}"
    crc = expected.pop("crc16")
    wanted = int(crc["transmitted"], 16) if crc["transmitted"] is not None else None
    if telegram.crc != wanted:
        yield f"CRC {telegram.crc}, expected {wanted}"
    objects = [(item["obis"], tuple(item["groups"])) for item in expected.pop("objects")]
    ours = [(item.identifier, item.values) for item in telegram.datasets]
    if ours != objects:
        yield f"data sets {set(ours) ^ set(objects)}"

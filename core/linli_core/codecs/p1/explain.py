"""A P1 telegram told byte by byte."""

import re
from typing import Final

from linli_core.codecs.explain import Part
from linli_core.codecs.iec62056.explain import explain_datasets
from linli_core.codecs.p1.frame import crc16

DOCUMENT: Final = "DSMR P1 companion standard 5.0.2"
_CODES: Final = "IEC 62056-21"
_END: Final = re.compile(rb"!([0-9A-Fa-f]{0,4})(\r?\n)?")
_HEAD: Final = re.compile(rb"/([A-Za-z0-9]{3})([\x20-\x7e]*)(\r?\n\r?\n)")


def explain(data: bytes) -> list[Part]:
    """Return the parts of a telegram; they cover all bytes, those before and behind it included."""
    start = data.find(b"/")
    head = _HEAD.match(data, max(start, 0))
    if head is None:
        return [Part(0, data, "bytes", "no telegram", DOCUMENT, wrong="no line starts with a slash")] if data else []
    parts = [Part(0, data[:start], "before", "line end or noise")] if start else []
    parts += [
        Part(start, data[start : start + 1], "start", "identification", DOCUMENT),
        Part(head.start(1), head[1], "maker", head[1].decode(), DOCUMENT),
    ]
    if head[2]:
        parts.append(Part(head.start(2), head[2], "identification", head[2].decode("ascii"), DOCUMENT))
    parts.append(Part(head.start(3), head[3], "end", "line end and an empty line", DOCUMENT))
    end = _END.search(data, head.end())
    body = data[head.end() : end.start() if end else len(data)]
    parts += explain_datasets(body, head.end(), trusted=end is not None and _right(data, start, end))
    if end is None:
        return parts
    parts.append(Part(end.start(), b"!", "end", "end of the data", DOCUMENT))
    parts += _crc(data, start, end)
    if end.end() < len(data):
        parts.append(Part(end.end(), data[end.end() :], "behind", "the next telegram, or noise"))
    return parts


def _right(data: bytes, start: int, end: re.Match[bytes]) -> bool:
    return not end[1] or int(end[1], 16) == crc16(data[start : end.start() + 1])


def _crc(data: bytes, start: int, end: re.Match[bytes]) -> list[Part]:
    parts = []
    if end[1]:
        found, wanted = int(end[1], 16), crc16(data[start : end.start() + 1])
        wrong = "" if found == wanted else f"the CRC is {found:04X}, the bytes give {wanted:04X}"
        parts.append(Part(end.start(1), end[1], "CRC", f"{wanted:04X}, CRC-16 from / to !", DOCUMENT, wrong=wrong))
    if end[2]:
        parts.append(Part(end.start(2), end[2], "end", "line end", DOCUMENT))
    return parts

"""Lines to points, and beside them what is wrong with which line."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NoReturn

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import HOUR, MINUTE, SECOND, Instant
from linli_core.wire.line_protocol.writing import FieldValue


class Precision(StrEnum):
    """What one of a timestamp is."""

    NANOSECOND = "ns"
    MICROSECOND = "us"
    MILLISECOND = "ms"
    SECOND = "s"
    MINUTE = "m"
    HOUR = "h"

    @classmethod
    def of(cls, text: str) -> "Precision":
        """Return what clients write (``n`` and ``u`` of 1.x, ``ns`` and ``us`` of 2); ``ValueError`` if it is none."""
        found = _WRITTEN.get(text)
        if found is None:
            raise ValueError(f"no precision is called {text[:20]!r}; known: {', '.join(_WRITTEN)}")
        return found

    def instant(self, stamp: int) -> Instant:
        """Return the instant of a timestamp; of nanoseconds the microsecond they lie in."""
        return stamp // 1_000 if self is Precision.NANOSECOND else stamp * _LENGTHS[self]


_LENGTHS: Final = {
    Precision.MICROSECOND: 1,
    Precision.MILLISECOND: 1_000,
    Precision.SECOND: SECOND,
    Precision.MINUTE: MINUTE,
    Precision.HOUR: HOUR,
}
_WRITTEN: Final = {each.value: each for each in Precision} | {
    "n": Precision.NANOSECOND,
    "u": Precision.MICROSECOND,
    "µ": Precision.MICROSECOND,
}


@dataclass(frozen=True, slots=True)
class LineLimits:
    """Bounds of one line; held before anything is built of it.

    Attributes:
        line: Bytes of a line.
        name: Characters of a measurement, of a tag's or field's key, of a tag's value.
        text: Characters of a text.
        tags, fields: How many one line may have.
        bad: Lines that are named one by one; of more only the number is kept.
        continued: Lines of one body that are looked at again because a text may go on in them.
    """

    line: int = 65_536
    name: int = 512
    text: int = 4_096
    tags: int = 64
    fields: int = 1_024
    bad: int = 1_000
    continued: int = 10_000


LIMITS: Final = LineLimits()


@dataclass(frozen=True, slots=True)
class LinePoint:
    """One point as it was sent.

    Attributes:
        number: Of its line, the first is 1.
        time: ``None`` where the line has no timestamp: then it is now.
    """

    number: int
    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, FieldValue]
    time: Instant | None


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that is no point.

    Attributes:
        number: Which, the first is 1.
        refused: Why; its text begins with the number.
        line: The line as it came, without its end.
    """

    number: int
    refused: Refused
    line: bytes


@dataclass(frozen=True, slots=True)
class Parsed:
    """What lines come to.

    Attributes:
        points: In their order.
        bad: The first bad lines, in their order.
        unnamed: Bad lines beyond those in ``bad``.
    """

    points: list[LinePoint]
    bad: list[BadLine]
    unnamed: int = 0


_Head = tuple[str, Mapping[str, str]]

_SPACE: Final = re.compile(r"(?<!\\) ")
_COMMA: Final = re.compile(r"(?<!\\),")
_EQUALS: Final = re.compile(r"(?<!\\)=")
_ESCAPED: Final = re.compile(r"\\([,= ])")
_ESCAPED_IN_TEXT: Final = re.compile(r'\\(["\\])')
_TEXT: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_BARE: Final = re.compile(r"[^, ]*")
_INTEGER: Final = re.compile(r"[-+]?\d{1,20}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_NOT_FINITE: Final = frozenset({"nan", "inf", "infinity"})
_TRUTHS: Final = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_INT64: Final = 1 << 63
_SHOWN: Final = 60


class _Open(Refused):
    """A text without an end in what was looked at: it may go on in the next line."""


def parse(body: bytes, precision: Precision = Precision.NANOSECOND, limits: LineLimits = LIMITS) -> Parsed:
    """Return the points of a body, and what is wrong with the lines that are none. Never raises, whatever the bytes.

    Lines that are empty or begin with ``#`` say nothing. A text may hold line breaks; the point's number is then that
    of its first line. A text that never ends costs its first line only.
    """
    lines = body.split(b"\n")
    reader = _Reader(precision, limits, lines)
    points: list[LinePoint] = []
    bad: list[BadLine] = []
    unnamed = index = 0
    while index < len(lines):
        taken = 1
        try:
            point, taken = reader.point(index)
        except Refused as refused:
            if len(bad) < limits.bad:
                bad.append(BadLine(index + 1, refused, lines[index]))
            else:
                unnamed += 1
            taken = reader.spoiled
        else:
            if point is not None:
                points.append(point)
        index += taken
    return Parsed(points, bad, unnamed)


class _Reader:
    """Reads the lines of one body; heads that come again are read once.

    Attributes:
        spoiled: How many lines the point had that was refused last.
    """

    def __init__(self, precision: Precision, limits: LineLimits, lines: list[bytes]) -> None:
        self.spoiled = 1
        self._precision = precision
        self._limits = limits
        self._lines = lines
        self._heads: dict[str, _Head] = {}
        self._looks = limits.continued

    def point(self, index: int) -> tuple[LinePoint | None, int]:
        """Return the point that begins in a line, ``None`` where it says nothing, and how many lines it has."""
        raw = self._lines[index]
        self.spoiled = 1
        while True:
            try:
                return self._point(index + 1, raw), self.spoiled
            except _Open:
                # Within the bound of one line, and so often: a body of nothing but beginnings would cost its square.
                more = self._lines[index + self.spoiled] if index + self.spoiled < len(self._lines) else None
                if more is None or len(raw) + len(more) >= self._limits.line or not self._looks:
                    self.spoiled = 1
                    raise
                self._looks -= 1
                self.spoiled += 1
                raw += b"\n" + more

    def _point(self, number: int, raw: bytes) -> LinePoint | None:
        where = f"line {number}"
        if len(raw) > self._limits.line:
            raise Refused(
                RefusalReason.TOO_LARGE, f"{len(raw)} bytes; a line has {self._limits.line} at most", where=where
            )
        try:
            line = raw.decode().removesuffix("\r").strip(" ")
        except UnicodeDecodeError as exc:
            raise Refused(RefusalReason.MALFORMED, f"no UTF-8 at byte {exc.start}", where=where) from exc
        if not line or line.startswith("#"):
            return None
        cut = _SPACE.search(line)
        if cut is None:
            _malformed(where, "no field: a space and field=value are wanted after measurement and tags", line)
        text = line[: cut.start()]
        head = self._heads.get(text)
        if head is None:
            head = self._heads[text] = self._head(text, where)
        fields, stamp = self._fields(line[cut.end() :].lstrip(" "), where)
        return LinePoint(number, head[0], head[1], fields, self._time(stamp, where))

    def _head(self, text: str, where: str) -> _Head:
        measurement, *parts = _COMMA.split(text)
        if len(parts) > self._limits.tags:
            raise Refused(
                RefusalReason.TOO_LARGE, f"{len(parts)} tags; a line has {self._limits.tags} at most", where=where
            )
        name = self._name(measurement, "measurement", where)
        tags: dict[str, str] = {}
        for part in parts:
            key, *values = _EQUALS.split(part)
            if len(values) != 1:
                _malformed(where, "a tag is key=value", part)
            tag = self._name(key, "tag's key", where)
            if tag in tags:
                _malformed(where, "a tag that stands twice", tag)
            tags[tag] = self._name(values[0], f"value of tag {tag[:_SHOWN]!r}", where)
        return name, tags

    def _name(self, text: str, what: str, where: str) -> str:
        if not text:
            _malformed(where, f"an empty {what}", text)
        if len(text) > self._limits.name:
            raise Refused(
                RefusalReason.TOO_LARGE,
                f"{what}: {len(text)} characters; {self._limits.name} at most",
                where=where,
            )
        return _ESCAPED.sub(r"\1", text) if "\\" in text else text

    def _fields(self, text: str, where: str) -> tuple[dict[str, FieldValue], str]:
        """Return the fields, and what stands behind them."""
        fields: dict[str, FieldValue] = {}
        place = 0
        while True:
            cut = _EQUALS.search(text, place)
            key = text[place:] if cut is None else text[place : cut.start()]
            if cut is None or _SPACE.search(key) or _COMMA.search(key):
                _malformed(where, "a field is key=value", text[place:])
            name = self._name(key, "field's key", where)
            if name in fields:
                _malformed(where, "a field that stands twice", name)
            if len(fields) == self._limits.fields:
                raise Refused(
                    RefusalReason.TOO_LARGE, f"more fields than the {self._limits.fields} of one line", where=where
                )
            fields[name], place = self._value(text, cut.end(), name, where)
            if place == len(text):
                return fields, ""
            if text[place] == " ":
                return fields, text[place:].strip(" ")
            place += 1

    def _value(self, text: str, place: int, name: str, where: str) -> tuple[FieldValue, int]:
        """Return a field's value, and where what follows it begins: a comma, a space, or nothing."""
        if text.startswith('"', place):
            found = _TEXT.match(text, place)
            if found is None:
                raise _Open(RefusalReason.MALFORMED, f"the text of field {name[:_SHOWN]!r} has no end", where=where)
            end = found.end()
            if end < len(text) and text[end] not in ", ":
                if "\n" in found[0]:
                    # The quotation mark that ended it begins a text of a later line.
                    raise _Open(RefusalReason.MALFORMED, f"the text of field {name[:_SHOWN]!r} has no end", where=where)
                _malformed(where, f"after the text of field {name[:_SHOWN]!r}", text[end:])
            if len(found[1]) > self._limits.text:
                raise Refused(
                    RefusalReason.TOO_LARGE,
                    f"the text of field {name[:_SHOWN]!r} has {len(found[1])} characters; {self._limits.text} at most",
                    where=where,
                )
            return _ESCAPED_IN_TEXT.sub(r"\1", found[1]), end
        bare = _BARE.match(text, place)
        assert bare is not None
        return _bare(bare[0], name, where), bare.end()

    def _time(self, stamp: str, where: str) -> Instant | None:
        if not stamp:
            return None
        if not _INTEGER.fullmatch(stamp) or not -_INT64 <= int(stamp) < _INT64:
            _malformed(where, "a timestamp is a whole number of 64 bits", stamp)
        return self._precision.instant(int(stamp))


def _bare(text: str, name: str, where: str) -> FieldValue:
    """Return a value that is no text."""
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return number
    truth = _TRUTHS.get(text)
    if truth is not None:
        return truth
    if text[-1:] in ("i", "u") and _INTEGER.fullmatch(text[:-1]):
        whole = int(text[:-1])
        if (-_INT64 <= whole < _INT64) if text[-1] == "i" else (0 <= whole < 2 * _INT64 and text[0] != "-"):
            return whole
    if text.lstrip("+-").lower() in _NOT_FINITE or _FLOAT.fullmatch(text.rstrip("iu")):
        raise Refused(
            RefusalReason.NOT_FINITE, f"field {name[:_SHOWN]!r}: {text[:_SHOWN]!r} is no number that fits", where=where
        )
    return _malformed(where, f"field {name[:_SHOWN]!r} has no value that can be read", text)


def _malformed(where: str, what: str, found: str) -> NoReturn:
    raise Refused(RefusalReason.MALFORMED, f"{what}: found {found[:_SHOWN]!r}", where=where)

"""What one value behind a data identifier is: its format on the wire and its place in the vocabulary."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from linli_core.codecs.bcd import clock_of, decode_digits, decode_number, decode_pair, encode_number, is_blank
from linli_core.codecs.dlt645.control import Edition
from linli_core.codecs.mbus.values import MeterTime
from linli_core.model import Phase, Statistic
from linli_core.vocabulary import vocabulary

ItemValue = Decimal | MeterTime | str | None


class Coding(StrEnum):
    """How the bytes of a value are to be read; every one is sent low byte first."""

    NUMBER = "number"
    SIGNED = "signed"
    DIGITS = "digits"
    TEXT = "text"
    WORD = "word"
    DATE_AND_WEEKDAY = "YYMMDDWW"
    TIME = "hhmmss"
    DATE_AND_TIME = "YYMMDDWWhhmmss"
    MINUTE = "YYMMDDhhmm"
    SECOND = "YYMMDDhhmmss"
    MINUTE_OF_YEAR = "MMDDhhmm"
    DEMAND = "demand and YYMMDDhhmm"


@dataclass(frozen=True, slots=True)
class Format:
    """A value on the wire.

    Attributes:
        size: Its bytes.
        decimals: Of a number.
    """

    coding: Coding
    size: int
    decimals: int = 0


ENERGY: Final = Format(Coding.NUMBER, 4, 2)
SIGNED_ENERGY: Final = Format(Coding.SIGNED, 4, 2)
DEMAND: Final = Format(Coding.DEMAND, 8, 4)
DATE_AND_WEEKDAY: Final = Format(Coding.DATE_AND_WEEKDAY, 4)
TIME: Final = Format(Coding.TIME, 3)
DATE_AND_TIME: Final = Format(Coding.DATE_AND_TIME, 7)
MINUTE: Final = Format(Coding.MINUTE, 5)
SECOND: Final = Format(Coding.SECOND, 6)
MINUTE_OF_YEAR: Final = Format(Coding.MINUTE_OF_YEAR, 4)
WORD: Final = Format(Coding.WORD, 2)

DEMAND_SIZE: Final = 3


def number(size: int, decimals: int = 0) -> Format:
    """Return the format of a number without a sign."""
    return Format(Coding.NUMBER, size, decimals)


def signed(size: int, decimals: int = 0) -> Format:
    """Return the format of a number whose highest bit is its sign."""
    return Format(Coding.SIGNED, size, decimals)


def digits(size: int) -> Format:
    """Return the format of digits that are a name."""
    return Format(Coding.DIGITS, size)


def text(size: int) -> Format:
    """Return the format of characters, the last one sent first."""
    return Format(Coding.TEXT, size)


@dataclass(frozen=True, slots=True)
class Item:
    """One value.

    Attributes:
        identifier: The data identifier it is read by; of a value within a freeze, the freeze's.
        zh, en: What the standard calls it.
        quantity: In the vocabulary.
        unit: Of the value on the wire; empty for what has none.
        clause: Document and table.
        phase, channel, tariff, storage, statistic: Its place, as in :class:`linli_core.model.Point`.
    """

    edition: Edition
    identifier: int
    format: Format
    quantity: str
    unit: str
    zh: str
    en: str
    clause: str
    phase: Phase | None = None
    channel: int | None = None
    tariff: int | None = None
    storage: int | None = None
    statistic: Statistic | None = None

    @property
    def obis(self) -> str:
        """The OBIS code (IEC 62056-6-1) with phase, tariff and billing period; empty where there is none."""
        total = vocabulary()[self.quantity].obis
        if total is None:
            return ""
        front, _, rest = total.partition(":")
        group_c, group_d, group_e = rest.split(".")
        if self.phase is not None:
            shift = _PHASE_SHIFT.get(self.phase)
            if shift is None:
                return ""
            # 11 and 12 are of any phase; 31 and 32 are L1's. 1, 2 … of all phases; 21, 22 … are L1's.
            group_c = str(int(group_c) + shift)
        period = "" if self.storage is None else f"*{self.storage}"
        return f"{front}:{group_c}.{group_d}.{self.tariff if self.tariff is not None else group_e}{period}"


_PHASE_SHIFT: Final = {Phase.L1: 20, Phase.L2: 40, Phase.L3: 60, Phase.N: 80}


def decode_value(form: Format, data: bytes) -> tuple[ItemValue, MeterTime | None]:
    """Return a value, and the time it is of where the meter says it; ``None`` where the meter has none.

    Args:
        form: How to read it.
        data: As many bytes as it has, without the 33.
    """
    coding = form.coding
    if coding in (Coding.NUMBER, Coding.SIGNED):
        return decode_number(data, form.decimals, signed=coding is Coding.SIGNED), None
    if coding is Coding.DEMAND:
        demand = decode_number(data[:DEMAND_SIZE], form.decimals, signed=True)
        moment = _clock(data[DEMAND_SIZE:], Coding.MINUTE)
        return demand, moment if demand is not None and isinstance(moment, MeterTime) else None
    if coding is Coding.DIGITS:
        return decode_digits(data), None
    if coding is Coding.TEXT:
        return decode_text(data), None
    if coding is Coding.WORD:
        return data[::-1].hex().upper(), None
    return _clock(data, coding), None


def encode_value(form: Format, value: ItemValue, moment: MeterTime | None = None) -> bytes:
    """Return the bytes of a value; FF throughout for ``None``; ``ValueError`` if it does not fit."""
    if value is None:
        return b"\xff" * form.size
    if form.coding in (Coding.NUMBER, Coding.SIGNED, Coding.DEMAND):
        if not isinstance(value, Decimal | int):
            raise ValueError(f"{value!r} is no number")
        if form.coding is Coding.DEMAND:
            stamp = bytes(5) if moment is None else _encode_clock(moment, Coding.MINUTE)
            return encode_number(value, DEMAND_SIZE, form.decimals, signed=True) + stamp
        return encode_number(value, form.size, form.decimals, signed=form.coding is Coding.SIGNED)
    if isinstance(value, MeterTime):
        return _encode_clock(value, form.coding)
    if form.coding is Coding.TEXT:
        encoded = str(value).encode("gbk").ljust(form.size)
        if len(encoded) > form.size:
            raise ValueError(f"{value!r} does not fit into {form.size} bytes")
        return encoded[::-1]
    encoded = bytes.fromhex(str(value))[::-1]
    if len(encoded) != form.size:
        raise ValueError(f"{value!r} does not fill {form.size} bytes")
    return encoded


def decode_text(data: bytes) -> str | None:
    """Return a text; meters write ASCII as the standard says, or GBK as it does not; ``None`` if it is neither."""
    characters = data[::-1].strip(b"\x00\xff ")
    if not characters:
        return None
    try:
        found = characters.decode("gbk")
    except UnicodeDecodeError:
        return None
    return found if found.isprintable() else None


_CLOCKS: Final = {
    Coding.DATE_AND_WEEKDAY: (3, 2, 1),
    Coding.DATE_AND_TIME: (6, 5, 4, 2, 1, 0),
    Coding.MINUTE: (4, 3, 2, 1, 0),
    Coding.SECOND: (5, 4, 3, 2, 1, 0),
}
"""Where year, month, day, hour, minute, second lie."""

_WEEKDAYS: Final = {Coding.DATE_AND_WEEKDAY: 0, Coding.DATE_AND_TIME: 3}
"""Where the weekday lies, 0 for Sunday."""


def _clock(data: bytes, coding: Coding) -> MeterTime | str | None:
    """Return a date, a time, or both."""
    if is_blank(data):
        return None
    pairs = [decode_pair(byte) for byte in data]
    if coding is Coding.TIME:
        hour, minute, second = pairs[2], pairs[1], pairs[0]
        if hour is None or minute is None or second is None or hour > 23 or minute > 59 or second > 59:
            return None
        return MeterTime(time=(hour, minute, second))
    if coding is Coding.MINUTE_OF_YEAR:
        # No year: no instant. What it says stays a text.
        if clock_of((0, pairs[3], pairs[2], pairs[1], pairs[0])) is None:
            return None
        return f"{pairs[3]:02}-{pairs[2]:02}T{pairs[1]:02}:{pairs[0]:02}"
    return clock_of(tuple(pairs[place] for place in _CLOCKS[coding]))


def _encode_clock(moment: MeterTime, coding: Coding) -> bytes:
    year, month, day = moment.date or (2000, 1, 1)
    hour, minute, second = moment.time or (0, 0, 0)
    if coding is Coding.TIME:
        parts = [second, minute, hour]
    else:
        parts = [0] * (max(_CLOCKS[coding]) + 1)
        for place, part in zip(_CLOCKS[coding], (year % 100, month, day, hour, minute, second), strict=False):
            parts[place] = part
        if coding in _WEEKDAYS:
            parts[_WEEKDAYS[coding]] = datetime(year, month, day, tzinfo=UTC).isoweekday() % 7
    return bytes(part // 10 << 4 | part % 10 for part in parts)

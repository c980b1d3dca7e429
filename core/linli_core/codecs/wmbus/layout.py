"""Layouts of what manufacturers send in a way of their own, as data: where which value stands, and how it is written.

A layout says to which telegrams it applies and which part of them it reads, and lists fields; each field becomes a
record as if the meter had sent it by the standard, so that all behind it works alike. The files are in
:mod:`linli_core.codecs.wmbus.layouts`; ``docs/wmbus-layouts.md`` tells how to write one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec

from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.record import Record
from linli_core.codecs.mbus.record_header import Function, Header, RecordValue, no_value
from linli_core.codecs.mbus.vif import Measurand, Modifier
from linli_core.codecs.wmbus.codings import CODINGS, SIZES
from linli_core.errors import ConfigError, ProtocolError

_CONTEXT: Final = Context(prec=28)
_HEADERS_KEPT: Final = 4096

LONGEST_REPEAT: Final = 64


class Where(StrEnum):
    """Which part of a telegram a layout reads."""

    PAYLOAD = "payload"
    """Everything behind a manufacturer's CI field, A0 to B7."""

    PLAIN = "plain"
    """Everything behind a standard header, in place of records."""

    TAIL = "tail"
    """The manufacturer data behind the records (DIF 0F or 1F)."""

    RECORD = "record"
    """The data of one record that the manufacturer gives a meaning of his own."""


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition on a byte of the part: ``byte & mask`` is one of some numbers."""

    at: int
    equals: tuple[int, ...]
    mask: int = 0xFF


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To which telegrams a layout applies; an empty list means any.

    Attributes:
        manufacturer: Three letters, of the meter or of the module that sends.
        version, medium: Of the same.
        where: The part it reads.
        ci: CI fields of a payload.
        vib: VIF and VIFE of a record, hexadecimal.
        starts: What the part begins with, hexadecimal.
        least, most: Bytes of the part.
        when: What else must hold of its bytes.
    """

    manufacturer: tuple[str, ...]
    where: Where
    version: tuple[int, ...] = ()
    medium: tuple[int, ...] = ()
    ci: tuple[int, ...] = ()
    vib: str = ""
    starts: str = ""
    least: int = 0
    most: int = 255
    when: tuple[When, ...] = ()


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of fields alike.

    Attributes:
        count: How many; as many as there are bytes for, if ``least`` ones are.
        step: Bytes from one to the next.
        storage: How much the storage number rises from one to the next.
    """

    count: int
    step: int
    storage: int = 1


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One value of a layout.

    Attributes:
        measurand, unit, exponent, storage, tariff, subunit, function: As the record's header would say.
        at: First byte, from the part's start; from its end if negative.
        tag: In a row of tagged values: the tag in front of it, in place of ``at``.
        size: Bytes.
        coding: How they are written (:data:`linli_core.codecs.wmbus.codings.CODINGS`).
        shift, mask: Applied to a whole number before all else.
        multiply, divide, add: ``value = raw * multiply / divide * 10**exponent + add``.
        missing: Raw numbers that mean there is no value.
        sum: The sum of other fields by their place in the list, in place of bytes of its own.
        when: Only then is the field there.
        repeat: A row of them.
        optional: The part may end before it.
        hidden: Only other fields' sums need it.
    """

    measurand: Measurand
    unit: str = "1"
    exponent: int = 0
    at: int | None = None
    tag: int | None = None
    size: int = 1
    coding: str = "unsigned"
    shift: int = 0
    mask: int = 0
    multiply: int = 1
    divide: int = 1
    add: Decimal = Decimal(0)
    missing: tuple[int, ...] = ()
    sum: tuple[int, ...] = ()
    storage: int = 0
    tariff: int = 0
    subunit: int = 0
    function: int = 0
    modifiers: tuple[Modifier, ...] = ()
    when: tuple[When, ...] = ()
    repeat: Repeat | None = None
    optional: bool = False
    hidden: bool = False


class Tags(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row of values each with a byte in front that says what it is.

    Attributes:
        start: Where the row begins.
        sizes: Tag, hexadecimal, to bytes behind it.
        stop: Tags at which the row ends.
    """

    start: int
    sizes: Mapping[str, int]
    stop: tuple[int, ...] = (0xFF,)


class LayoutFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A layout as it is written.

    Attributes:
        maker, model: As people say them.
        zh, en: What it is.
        verified: By what the layout is proved.
        match: To which telegrams it applies.
        scheme: Name of the cipher or scrambling that the part is under (:mod:`linli_core.codecs.wmbus.schemes`).
        tags: Where the part is a row of tagged values.
        fields: What it says.
        media: The maker's own medium codes, hexadecimal, to the standard's: what is metered decides what a value is.
    """

    maker: str
    model: str
    zh: str
    en: str
    verified: str
    match: Match
    fields: tuple[Field, ...]
    scheme: str = ""
    tags: Tags | None = None
    media: Mapping[str, int] = {}

    def medium(self, code: int) -> int:
        """Return the standard's medium for one of the maker's."""
        return self.media.get(f"{code:02X}", code)


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout ready to read with.

    Attributes:
        id: The file's name.
        file: What is written in it.
    """

    id: str
    file: LayoutFile

    def applies(self, identities: Iterable[Identity], part: bytes, ci: int = -1, vib: bytes = b"") -> bool:
        """Tell whether the layout reads this part of a telegram from one of these."""
        match = self.file.match
        return (
            match.least <= len(part) <= match.most
            and (not match.ci or ci in match.ci)
            and (not match.vib or vib == bytes.fromhex(match.vib))
            and part.startswith(bytes.fromhex(match.starts))
            and all(_holds(when, part) for when in match.when)
            and any(
                identity.manufacturer in match.manufacturer
                and (not match.version or identity.version in match.version)
                and (not match.medium or identity.medium in match.medium)
                for identity in identities
            )
        )

    def read(self, part: bytes) -> list[Record]:
        """Return the records that a part stands for.

        Raises:
            ProtocolError: It ends before a field that has to be there (kind ``truncated``).
        """
        tagged = _tagged(self.file.tags, part) if self.file.tags else {}
        found: dict[int, Record] = {}
        rows: list[Record] = []
        for index, field in enumerate(self.file.fields):
            if not all(_holds(when, part) for when in field.when):
                continue
            if field.sum:
                found[index] = _sum(field, [found.get(place) for place in field.sum])
                if not field.hidden:
                    rows.append(found[index])
            for number, data in enumerate(_bytes_of(field, part, tagged)):
                record = _record(field, data, number)
                found.setdefault(index, record)
                if not field.hidden:
                    rows.append(record)
        return rows


def _holds(when: When, part: bytes) -> bool:
    return -len(part) <= when.at < len(part) and part[when.at] & when.mask in when.equals


def _tagged(tags: Tags, part: bytes) -> dict[int, bytes]:
    """Return the first value of each tag; ``ProtocolError`` if a tag's size is not known: nothing behind it is then."""
    sizes = {int(tag, 16): size for tag, size in tags.sizes.items()}
    found: dict[int, bytes] = {}
    at = tags.start
    while at < len(part) and part[at] not in tags.stop:
        tag = part[at]
        size = sizes.get(tag)
        if size is None:
            break
        if at + 1 + size > len(part):
            raise ProtocolError(f"value {tag:02X} wants more bytes than there are", kind="truncated", offset=at)
        found.setdefault(tag, part[at + 1 : at + 1 + size])
        at += 1 + size
    return found


def _bytes_of(field: Field, part: bytes, tagged: Mapping[int, bytes]) -> Iterable[bytes]:
    if field.tag is not None:
        data = tagged.get(field.tag)
        if data is None and not field.optional:
            raise ProtocolError(f"value {field.tag:02X} is not there", kind="truncated")
        if data is not None:
            yield data[(field.at or 0) : (field.at or 0) + field.size]
        return
    if field.at is None:
        return
    repeat = field.repeat or Repeat(1, 0)
    start = field.at if field.at >= 0 else len(part) + field.at
    for number in range(repeat.count):
        at = start + number * repeat.step
        if at < 0 or at + field.size > len(part):
            if field.optional:
                return
            raise ProtocolError(
                f"the layout wants {field.size} bytes at {at}, the part has {len(part)}", kind="truncated", offset=at
            )
        yield part[at : at + field.size]


def _record(field: Field, data: bytes, number: int) -> Record:
    raw = CODINGS[field.coding](data)
    value: RecordValue
    if isinstance(raw, int):
        if field.mask:
            raw = raw >> field.shift & field.mask
        value = None if raw in field.missing else _scaled(field, raw)
    else:
        value = raw
    step = field.repeat.storage if field.repeat else 0
    return Record(_header(field, field.storage + number * step), value, data)


def _scaled(field: Field, raw: int) -> Decimal:
    value = Decimal(f"{raw * field.multiply}e{field.exponent}")
    if field.divide != 1:
        value = _CONTEXT.divide(value, Decimal(field.divide))
    return value + field.add if field.add else value


def _sum(field: Field, parts: list[Record | None]) -> Record:
    values = [record.value for record in parts if record is not None]
    numbers = [value for value in values if isinstance(value, Decimal)]
    whole = len(numbers) == len(parts)
    return Record(_header(field, field.storage), sum(numbers, Decimal(0)) if whole else None, b"")


@lru_cache(maxsize=_HEADERS_KEPT)
def _header(field: Field, storage: int) -> Header:
    """Return the header of a field; one object for all records of it, as of records by the standard."""
    return Header(
        dib=b"",
        vib=b"",
        coding=0x0F,
        size=field.size,
        function=Function(field.function),
        storage=storage,
        tariff=field.tariff,
        subunit=field.subunit,
        measurand=field.measurand,
        unit=field.unit,
        exponent=field.exponent,
        multiplier=1,
        offset=Decimal(0),
        modifiers=field.modifiers,
        phase="",
        error="",
        decode=no_value,
    )


def parse_layout(identifier: str, table: Mapping[str, Any]) -> Layout:
    """Return a layout from its table; ``ConfigError`` says what is wrong with it."""
    where = f"{identifier}.toml"
    try:
        file = msgspec.convert(table, LayoutFile, strict=False)
    except msgspec.ValidationError as exc:
        raise ConfigError(where, str(exc), "see docs/wmbus-layouts.md for the fields") from exc
    for number, field in enumerate(file.fields):
        place = f"{where}: fields[{number}]"
        if field.coding not in CODINGS:
            raise ConfigError(place, f"unknown coding {field.coding!r}", f"use one of {', '.join(CODINGS)}")
        if field.size not in SIZES.get(field.coding, (field.size,)):
            allowed = " or ".join(map(str, SIZES[field.coding]))
            raise ConfigError(place, f"{field.size} bytes of {field.coding}", f"write size = {allowed}")
        if (field.at is None) + (field.tag is None) + (not field.sum) == 3:
            raise ConfigError(place, "the field has no place", "write at, tag or sum")
        if field.repeat and not 0 < field.repeat.count <= LONGEST_REPEAT:
            raise ConfigError(place, f"{field.repeat.count} repetitions", f"write 1 to {LONGEST_REPEAT}")
    return Layout(identifier, file)

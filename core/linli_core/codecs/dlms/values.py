"""The values of a push: whatever shape its list has, codes with number, scaler and unit.

::

    array of structure {code, value, structure {scaler, unit}}      Aidon, and most others
    structure {code, value, structure {scaler, unit}, code, …}      flat, as in Austria
    structure {text, code, value, code, value, …}                   Kamstrup: scaler and unit go without saying
    structure {value, value, …}                                     Kaifa: the position says what each is
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from linli_core.codecs.dlms.axdr import ARRAY, ENUM, INTEGERS, NULL, OCTETS, STRUCTURE, TEXT, UTF8, Item
from linli_core.codecs.dlms.clock import SIZE, CosemTime, decode_time
from linli_core.codecs.dlms.layout import Layout, layout_of
from linli_core.obis import Obis, from_bytes

UNITS: Final = {
    4: "d",
    5: "h",
    6: "min",
    7: "s",
    8: "deg",
    9: "Cel",
    13: "m3",
    14: "m3",
    15: "m3/h",
    16: "m3/h",
    19: "l",
    20: "kg",
    23: "Pa",
    24: "bar",
    25: "J",
    27: "W",
    28: "VA",
    29: "var",
    30: "Wh",
    31: "VAh",
    32: "varh",
    33: "A",
    35: "V",
    44: "Hz",
    56: "/100",
    255: "",
}
"""Codes of a scaler-unit (IEC 62056-6-2) → Linli's units. 14 and 16 are corrected volume and flow."""

_LARGEST_SCALER: Final = 20
_SIGNED: Final = frozenset(tag for tag, (size, signed) in INTEGERS.items() if signed and size > 1)
_UNSIGNED: Final = frozenset(tag for tag, (size, signed) in INTEGERS.items() if not signed and size > 1)
_FILLED: Final = 4
"""Bytes of an integer, at least, that are likelier filled with FF than a register at -1."""

_TEXTS: Final = frozenset({TEXT, UTF8, OCTETS})


class Value(msgspec.Struct, frozen=True):
    """One value of a push.

    Attributes:
        code: What it is; ``None`` where nothing says so.
        item: As it was sent.
        scaler: Power of ten.
        unit: Linli's name of the unit; empty for none; ``None`` for a code of a unit that is not known.
        described: Whether scaler and unit are known (sent, or by the layout).
    """

    code: Obis | None
    item: Item
    scaler: int = 0
    unit: str | None = ""
    described: bool = False

    @property
    def number(self) -> Decimal | None:
        """The scaled number; ``None`` for what is no number, or marked as missing."""
        value = self.item.value
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or is_missing(self.item):
            return None
        return Decimal(value).scaleb(self.scaler)

    @property
    def time(self) -> CosemTime | None:
        """The date-time it is."""
        if isinstance(self.item.value, CosemTime):
            return self.item.value
        return (
            decode_time(self.item.value)
            if isinstance(self.item.value, bytes) and len(self.item.value) == SIZE
            else None
        )


def is_missing(item: Item) -> bool:
    """Tell whether an element says that there is no value: null, all ones, or the ends of a signed integer's range."""
    if item.tag == NULL:
        return True
    value = item.value
    if not isinstance(value, int) or isinstance(value, bool):
        return value is None
    if item.tag in _UNSIGNED:
        return value == (1 << 8 * INTEGERS[item.tag][0]) - 1
    half = 1 << 8 * INTEGERS[item.tag][0] - 1 if item.tag in INTEGERS else 0
    return item.tag in _SIGNED and value in {-half, half - 1}


def is_filled(item: Item) -> bool:
    """Tell whether a signed integer of four bytes or more has all its bits set: -1, or a register without a value."""
    return item.tag in _SIGNED and INTEGERS[item.tag][0] >= _FILLED and item.value == -1


def values_of(body: Item, layout: Layout | None = None) -> list[Value]:
    """Return the values of a notification's body.

    Args:
        body: The body.
        layout: What its maker leaves out; where it is not given the list's own name is looked for.
    """
    found = layout or layout_of(list_id_of(body))
    if found is not None and (codes := found.positions.get(len(body.items))) and not _has_codes(body):
        return [_described(Value(code, item), found) for code, item in zip(codes, body.items, strict=True)]
    values = list(_walk(body))
    if found is None:
        return values
    return [_described(value, found) for value in values]


def list_id_of(body: Item) -> str:
    """Return what a list calls itself: the first text in it; empty if there is none."""
    for item in body.items:
        if item.tag == STRUCTURE and (inner := item.items) and len(inner) > 1 and code_of(inner[0]) is not None:
            item = inner[1]  # noqa: PLW2901 - a structure of code and value
        if item.tag in _TEXTS and code_of(item) is None:
            return _text(item)
        if item.tag not in _TEXTS:
            return ""
    return ""


def _text(item: Item) -> str:
    value = item.value
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _has_codes(body: Item) -> bool:
    return any(code_of(item) is not None for item in body.items)


def _described(value: Value, layout: Layout) -> Value:
    code = layout.plain(value.code) if value.code is not None else None
    scaled = layout.scaled(code) if code is not None else None
    if value.described or scaled is None:
        return Value(code, value.item, value.scaler, value.unit, value.described)
    return Value(code, value.item, scaled[0], scaled[1], described=True)


def _walk(container: Item) -> Iterator[Value]:
    """Yield the values of a container: a code takes what follows it, and a scaler-unit behind that."""
    items = container.items
    if not items:
        yield Value(None, container)
        return
    at = 0
    while at < len(items):
        item = items[at]
        code = code_of(item)
        if code is not None and at + 1 < len(items):
            value = items[at + 1]
            scaler = _scaler_unit(items[at + 2]) if at + 2 < len(items) else None
            at += 2 + (scaler is not None)
            if value.tag in {ARRAY, STRUCTURE} and value.items:
                yield from (
                    Value(inner.code or code, inner.item, inner.scaler, inner.unit, inner.described)
                    for inner in _walk(value)
                )
            else:
                power, unit = scaler or (0, "")
                yield Value(code, value, power, unit, described=scaler is not None)
            continue
        at += 1
        if item.tag in {ARRAY, STRUCTURE}:
            if item.items:
                yield from _walk(item)
        else:
            yield Value(None, item)


def code_of(item: Item) -> Obis | None:
    """Return the code that six octets are; octets of that length that name a medium nobody has are a text."""
    if item.tag != OCTETS or not isinstance(item.value, bytes) or len(item.value) != 6:
        return None
    code = from_bytes(item.value)
    return code if code.a is not None and (code.a <= 9 or code.a in {15, 128}) else None


def _scaler_unit(item: Item) -> tuple[int, str | None] | None:
    inner = item.items
    if item.tag != STRUCTURE or len(inner) != 2 or inner[1].tag != ENUM:
        return None
    power, unit = inner[0].value, inner[1].value
    if not isinstance(power, int) or not isinstance(unit, int) or abs(power) > _LARGEST_SCALER:
        return None
    return power, UNITS.get(unit)

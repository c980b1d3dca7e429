"""The fields of a record: each by itself, and the base fields that hold until they change (RFC 8428 §4.1)."""

import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from linli_core.errors import RefusalReason, Refused
from linli_core.wire.senml.pack import MAX_TEXT, Number, Record, shown

_NUMBERS: Final = frozenset({"bt", "bv", "bs", "v", "s", "t", "ut", "dt"})
_TEXTS: Final = frozenset({"bn", "bu", "n", "u", "vs", "q", "epoch"})
_BASES: Final = ("bn", "bt", "bu", "bv")


def check_types(record: Record, where: str) -> None:
    """Refuse a record with a field that is wrong by itself."""
    for label, value in record.items():
        if label.endswith("_"):
            raise Refused(
                RefusalReason.UNKNOWN_LABEL, f"label {label[:80]!r} must be understood and is not", where=where
            )
        found = fault(label, value)
        if found is not None:
            raise Refused(found[0], found[1], where=f"{where}.{label}")


def fault(label: str, value: object) -> tuple[RefusalReason, str] | None:
    """Return what is wrong with a field by itself; ``None`` if nothing, or if the label is unknown."""
    wrong = ""
    if label in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            wrong = "is no number"
        elif not math.isfinite(value) if not isinstance(value, int) else abs(value) > 1 << 1023:
            return RefusalReason.NOT_FINITE, f"{shown(value)} is no finite number"
    elif label in _TEXTS and not isinstance(value, str):
        wrong = "is no text"
    elif label == "vb" and not isinstance(value, bool):
        wrong = "is neither true nor false"
    elif label == "vd" and not isinstance(value, str | bytes):
        wrong = "is no data"
    if wrong:
        return RefusalReason.WRONG_TYPE, f"{shown(value)} {wrong}"
    if isinstance(value, str | bytes) and len(value) > MAX_TEXT:
        return RefusalReason.TOO_LARGE, f"{len(value)} characters; {MAX_TEXT} at most"
    return None


def text_of(value: object, default: str) -> str:
    """Return a value if it is text."""
    return value if isinstance(value, str) else default


def number_of(value: object, default: Number) -> Number:
    """Return a value if it is a number."""
    return value if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else default


@dataclass(slots=True)
class Base:
    """The base fields in force (RFC 8428 §4.1): each holds until another record changes it.

    One that cannot be used is remembered in ``broken`` until a sound one follows: what would rest on it is refused,
    for without it a reading would be another point's, or of another time.
    """

    name: str = ""
    time: Number = 0
    unit: str = ""
    value: Number | None = None
    broken: dict[str, int] = field(default_factory=dict)

    def take(self, record: Record, index: int) -> None:
        """Take over the base fields of a record."""
        for label in _BASES:
            if label not in record:
                continue
            value = record[label]
            if fault(label, value) is not None:
                self.broken[label] = index
                continue
            self.broken.pop(label, None)
            if label == "bn":
                self.name = text_of(value, "")
            elif label == "bu":
                self.unit = text_of(value, "")
            elif label == "bt":
                self.time = number_of(value, 0)
            else:
                self.value = number_of(value, 0)

    def need(self, label: str, where: str) -> None:
        """Refuse a record that rests on a base field which cannot be used."""
        if label in self.broken:
            raise Refused(
                RefusalReason.WRONG_TYPE, f"rests on {label} of record[{self.broken[label]}], refused", where=where
            )

"""One OBIS code: six groups A to F, of which meters leave out what goes without saying."""

import re
from dataclasses import dataclass
from typing import Final

_LETTERS: Final = {"C": 96, "F": 97, "L": 98, "P": 99}
"""Letters that reduced identification codes use in place of group C or D (IEC 62056-6-1)."""

_CODE: Final = re.compile(
    r"(?:(?P<a>\d{1,3})-)?(?:(?P<b>\d{1,3}):)?"
    r"(?P<c>\d{1,3}|[CFLP])\.(?P<d>\d{1,3}|[CFLP])(?:\.(?P<e>\d{1,3}))?"
    r"(?:[*&.](?P<f>\d{1,3}))?",
    re.ASCII,
)

CURRENT: Final = 255
"""Group F of a value that is not of an earlier billing period."""


@dataclass(frozen=True, slots=True)
class Obis:
    """A code's groups.

    Attributes:
        a: Medium: 0 abstract, 1 electricity, 4 heat cost, 5 cooling, 6 heat, 7 gas, 8 cold water, 9 hot water;
            ``None`` where a reduced code leaves it out.
        b: Channel; ``None`` where it is left out.
        c: What is measured.
        d: How it is processed.
        e: Tariff, or what else group D makes of it.
        f: Billing period, 255: the current value.
    """

    a: int | None
    b: int | None
    c: int
    d: int
    e: int = 0
    f: int = CURRENT

    def __str__(self) -> str:
        head = f"{self.a}-" if self.a is not None else ""
        channel = f"{self.b}:" if self.b is not None else ""
        period = f"*{self.f}" if self.f != CURRENT else ""
        return f"{head}{channel}{self.c}.{self.d}.{self.e}{period}"

    @property
    def channel(self) -> int | None:
        """The channel, ``None`` for the only one there is (0, or left out)."""
        return self.b or None

    @property
    def is_clock(self) -> bool:
        """Whether it is a meter's date and time; under other media 1.0.0 is a register (8-0:1.0.0 is cold water)."""
        return (self.c, self.d, self.e) == (1, 0, 0) and self.a in {None, 0, 1}

    @property
    def period(self) -> int | None:
        """The billing period, ``None`` for the current value."""
        return None if self.f == CURRENT else self.f


def parse(text: str) -> Obis:
    """Return the code a text is, reduced ones included (``1.8.0``, ``C.1.0``, ``F.F``); ``ValueError`` if none."""
    match = _CODE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no OBIS code")

    def group(name: str, missing: int | None) -> int | None:
        part = match[name]
        return missing if part is None else _LETTERS.get(part) or int(part)

    groups = {name: group(name, missing) for name, missing in zip("abcdef", (None, None, 0, 0, 0, 255), strict=True)}
    if any(number is not None and number > 255 for number in groups.values()):
        raise ValueError(f"{text!r} is no OBIS code: a group is more than 255")
    a, b, c, d, e, f = groups.values()
    assert c is not None
    assert d is not None
    assert e is not None
    assert f is not None
    return Obis(a, b, c, d, e, f)


def from_bytes(data: bytes) -> Obis:
    """Return the code of a COSEM logical name; ``ValueError`` unless it has six bytes."""
    if len(data) != 6:
        raise ValueError(f"a logical name has 6 bytes, not {len(data)}")
    return Obis(*data)

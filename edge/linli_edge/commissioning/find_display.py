"""What a person read off a display: ``1234.5``, ``voltage=231.4``, ``energy_import="1234.5 kWh"``. Pure."""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from linli_core.errors import ConfigError
from linli_core.model import Point, parse_point
from linli_core.units import UnitError
from linli_core.vocabulary import vocabulary

_NUMBER: Final = re.compile(r"([+-]?\d{1,15}(?:[.,]\d{1,9})?)\s*([A-Za-z%/][A-Za-z0-9%/]{0,9}|°C)?", re.ASCII)
_PERCENT: Final = re.compile(r"(\d{1,2}(?:\.\d{1,3})?) ?%", re.ASCII)
_SPELLINGS: Final = {"%": "/100", "°C": "Cel"}
_USUAL: Final = {"Wh": "kWh", "varh": "kvarh", "m3/s": "m3/h", "Pa": "bar"}
"""What a display shows rather than the vocabulary's unit."""


@dataclass(frozen=True, slots=True)
class Display:
    """One number on a display.

    Attributes:
        text: As it was written.
        value: The number.
        decimals: Digits behind the point: the display may have rounded or cut there.
        point: What it measures, of a device without a name; ``None``: not said.
        unit: Its unit; empty: not said, or none.
    """

    text: str
    value: Fraction
    decimals: int
    point: Point | None = None
    unit: str = ""

    @property
    def label(self) -> str:
        """What tells it from the other displays of one call."""
        return self.point.local_name if self.point is not None else "display"

    def bounds(self, tolerance: Fraction) -> tuple[Fraction, Fraction]:
        """Return between what the device's value must lie: less than one last digit off, and the share allowed."""
        margin = Fraction(1, 10**self.decimals) + abs(self.value) * tolerance
        return self.value - margin, self.value + margin


def parse_display(written: str, near: str | None = None) -> Display:
    """Return a display as it was written; ``near`` names the quantity where the text does not.

    Raises:
        ConfigError: It is no number, or names an unknown quantity or unit.
    """
    # Full-width digits, ℃ and m³ become what they stand for.
    name, equals, number = unicodedata.normalize("NFKC", written).rpartition("=")
    match = _NUMBER.fullmatch(number.strip().strip('"'))
    if match is not None and re.search(r",\d{3}$", match[1]):
        raise ConfigError(
            "--display", f'found "{written}"', "write a point before the decimals, and nothing between thousands"
        )
    if match is None or (equals and not name):
        remedy = 'write what the display shows, such as 1234.5, voltage=231.4 or "energy_import=1234.5 kWh"'
        raise ConfigError("--display", f'found "{written}"', remedy)
    digits = match[1].replace(",", ".")
    unit = _SPELLINGS.get(match[2] or "", match[2] or "")
    point = _point(name or near or "")
    if point is not None:
        own = vocabulary()[point.quantity].unit
        unit = own if (unit, own) == ("/100", "%RH") else unit or usual_unit(own)
        try:
            vocabulary().convert(point.quantity, Decimal(1), unit or own)
        except UnitError as exc:
            known = ", ".join(vocabulary().units_of(point.quantity))
            raise ConfigError("--display", f'found "{written}" ({exc})', f"write one of {known}") from None
    return Display(written, Fraction(digits), len(digits.partition(".")[2]), point, unit)


def usual_unit(own: str) -> str:
    """Return the unit in which displays show what the vocabulary keeps in another: kWh for Wh."""
    return _USUAL.get(own, own)


def parse_tolerance(written: str | None) -> Fraction:
    """Return a share written as ``0.5%``; 0 where nothing is written."""
    if written is None:
        return Fraction(0)
    match = _PERCENT.fullmatch(written.strip())
    if match is None:
        raise ConfigError("--tolerance", f'found "{written}"', 'write a share of the value, such as "0.5%"')
    return Fraction(match[1]) / 100


def _point(name: str) -> Point | None:
    """Return the point a name stands for; a word that is the beginning of quantities stands for the first of them."""
    if not name:
        return None
    quantity, dot, qualifier = name.partition(".")
    words = vocabulary()
    if quantity not in words:
        near = [word for word in words if word.startswith(quantity)] or [word for word in words if quantity in word]
        if not near:
            raise ConfigError(
                "--display", f'no quantity is called "{quantity}"', "see docs/vocabulary.md for the names"
            )
        quantity = near[0]
    try:
        return parse_point(f"device/{quantity}{dot}{qualifier}")
    except ValueError:
        remedy = "write the phase or tariff behind a dot, such as voltage.l1"
        raise ConfigError("--display", f'found "{name}"', remedy) from None

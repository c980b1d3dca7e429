"""Does what was read agree with what the display shows? Pure.

A display rounds or cuts its last digit, and a value moves between the look and the reading. So an agreement is within
one last digit of the display plus a share of the value: what the person gave, else 2 % for anything that moves. Of a
counter it is what may have passed through the meter during the visit, 0.2 % at most: a share alone is two thousand
kilowatt hours in a million, and the register of another tariff is nearer than that.
"""

import csv
import io
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Final

from linli_core.errors import ConfigError
from linli_core.model import Kind, Quality, Reading, parse_point
from linli_core.vocabulary import vocabulary
from linli_edge.commissioning.find_display import Display, parse_display, parse_tolerance, usual_unit
from linli_edge.registers.watch import UNKNOWN

VISIT_S: Final = 900
"""Seconds between the look and the reading, at most: a round through the basement."""

_RATES: Final = {"Wh": ("W", 3600), "varh": ("var", 3600), "kVAh": ("VA", 3_600_000), "m3": ("m3/s", 1)}
"""What makes each counter rise, and how many seconds of it are one."""

COUNTER_SHARE: Final = Fraction(2, 1000)
GAUGE_SHARE: Final = Fraction(2, 100)

_LARGEST: Final = 1024 * 1024
_SHARE: Final = re.compile(r"(.+?)\s*~\s*([0-9.]+ ?%)")


class Verdict(StrEnum):
    """What a point came to."""

    AGREES = "agrees"
    DIFFERS = "differs"
    READ = "read"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a display shows for one point.

    Attributes:
        text: As the person wrote it.
        number: The number; ``None`` where it is a word (``open``).
        share: How far the value may be off; ``None``: as usual for the quantity.
    """

    text: str
    number: Display | None = None
    share: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A reading beside its display.

    Attributes:
        verdict: What it came to.
        value: The reading, in ``unit``; empty where there is none.
        unit: Unit for people: the display's, else the usual one.
        displayed: What the display shows; empty: not looked at.
        allowed: How far the two may differ, in ``unit``; empty where nothing is compared.
    """

    verdict: Verdict
    value: str
    unit: str
    displayed: str = ""
    allowed: str = ""


def parse_shown(point: str, written: str) -> Shown:
    """Return what a display shows: ``231.4``, ``231.4 V``, ``231.4 V ~ 1 %``, ``open``.

    Raises:
        ConfigError: The unit does not measure the point's quantity.
    """
    match = _SHARE.fullmatch(written.strip())
    value, share = (match[1], parse_tolerance(match[2])) if match else (written.strip(), None)
    quantity = parse_point(point).quantity
    if quantity in vocabulary() and vocabulary()[quantity].kind is Kind.STATE:
        return Shown(value)
    return Shown(value, parse_display(f"{point.partition('/')[2]}={value}"), share)


def compare(reading: Reading, shown: Shown | None, beside: Iterable[Reading] = ()) -> Compared:
    """Return what a reading comes to beside its display.

    Args:
        reading: What was read.
        shown: What the display shows.
        beside: What else was read of the device: how fast its counters rise.
    """
    quantity = vocabulary().get(reading.point.quantity)
    own = quantity.unit if quantity is not None else ""
    unit = shown.number.unit if shown is not None and shown.number is not None else usual_unit(own)
    value = _in_unit(reading, unit)
    displayed = shown.text if shown is not None else ""
    if reading.quality is Quality.BAD or reading.value is None:
        return Compared(Verdict.UNREAD, "", unit, displayed)
    if not isinstance(value, Fraction):
        text = str(reading.value).lower() if isinstance(reading.value, bool) else str(reading.value)
        if shown is None:
            return Compared(Verdict.READ, text, "")
        return Compared(Verdict.AGREES if text == shown.text.lower() else Verdict.DIFFERS, text, "", displayed, "=")
    is_counter = quantity is not None and quantity.kind is Kind.COUNTER
    # Of a counter every digit is money; of what moves, six are more than any meter knows.
    text = show_number(value, 15 if is_counter else 6)
    if shown is None or shown.number is None:
        return Compared(Verdict.READ, text, unit, displayed)
    share = shown.share if shown.share is not None else COUNTER_SHARE if is_counter else GAUGE_SHARE
    off = abs(shown.number.value) * share
    if is_counter and shown.share is None and own in _RATES:
        off = min(off, _passing(own, beside) / _unit_in(reading.point.quantity, unit, own))
    allowed = Fraction(1, 10**shown.number.decimals) + off
    verdict = Verdict.AGREES if abs(value - shown.number.value) <= allowed else Verdict.DIFFERS
    return Compared(verdict, text, unit, displayed, f"±{show_number(allowed, 3)}")


def _passing(unit: str, beside: Iterable[Reading]) -> Fraction:
    """Return what may pass during a visit: what a big house takes, or half as much again as passes now."""
    rate, seconds = _RATES[unit]
    words = vocabulary()
    now = [
        abs(Fraction(str(reading.value)))
        for reading in beside
        if reading.quality is Quality.GOOD
        and isinstance(reading.value, int | float | Decimal)
        and reading.point.quantity in words
        and words[reading.point.quantity].unit == rate
    ]
    return VISIT_S * max(Fraction(UNKNOWN[unit]) / 3600, Fraction(3, 2) * max(now, default=Fraction(0)) / seconds)


def _unit_in(quantity: str, unit: str, own: str) -> Fraction:
    """Return how many of the vocabulary's units one of another is."""
    if unit == own:
        return Fraction(1)
    zero, one = (Fraction(vocabulary().convert(quantity, Decimal(step), unit)) for step in (0, 1))
    return one - zero


def show_number(value: Fraction, digits: int) -> str:
    """Return a number without an exponent and without needless zeros."""
    text = (
        f"{float(f'{float(value):.{digits}g}'):f}" if abs(value) >= Fraction(1, 1000) else f"{float(value):.{digits}f}"
    )
    return text.rstrip("0").rstrip(".") if "." in text else text


def _in_unit(reading: Reading, unit: str) -> Fraction | None:
    """Return a number in a unit for people; ``None`` for what is no number."""
    value = reading.value
    if isinstance(value, bool | str) or value is None:
        return None
    number = Fraction(str(value)) if isinstance(value, float) else Fraction(value)
    if not unit:
        return number
    words, quantity = vocabulary(), reading.point.quantity
    zero, one = (Fraction(words.convert(quantity, Decimal(step), unit)) for step in (0, 1))
    return (number - zero) / (one - zero)


def load_shown(path: Path) -> dict[str, Shown]:
    """Return the displays that a file lists: TOML (``"meter-1/voltage" = "231.4 V"``) or CSV (``point,display``).

    Raises:
        ConfigError: The file cannot be read, or a line of it is wrong.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(str(path), "found a file larger than 1 MiB", "list one display a line")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(str(path), f"cannot be read ({exc})", "check the path; save it as UTF-8") from exc
    rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _toml_rows(text, path)
    shown: dict[str, Shown] = {}
    for where, (point, written) in rows.items():
        place = f"{path}:{where}"
        try:
            shown[parse_point(point).name] = parse_shown(point, written)
        except ValueError:
            raise ConfigError(
                place, f'"{point}" is no point', "write DEVICE/QUANTITY, as linli-edge read shows them"
            ) from None
        except ConfigError as exc:
            raise ConfigError(place, exc.found, exc.remedy) from exc
    return shown


def _csv_rows(text: str) -> dict[str, tuple[str, str]]:
    rows = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if len(row) >= 2 and row[1].strip() and (number > 1 or "/" in row[0]):
            rows[str(number)] = (row[0].strip(), row[1].strip())
    return rows


def _toml_rows(text: str, path: Path) -> dict[str, tuple[str, str]]:
    try:
        table: Mapping[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(str(path), f"no TOML: {exc}", 'write lines such as "meter-1/voltage" = "231.4 V"') from exc
    return {key: (key, str(value)) for key, value in table.items()}

"""How values, ages and times are shown to people. Numbers keep the resolution that is worth reading."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from linli_core.catalogue import Language, text
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, Instant, to_datetime
from linli_core.model import Kind, Quality, Statistic, parse_point, quality_from_code
from linli_platform.api.quantities import facts
from linli_platform.store import SeriesInfo


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a SenML unit is shown: in which unit, divided by what, with how many decimals."""

    unit: str
    divisor: float = 1.0
    decimals: int = 1


LENGTHS: Final = ("30min", "2h", "8h", "1d", "7d")
"""For how long something may be hidden or silenced from a form."""

_SHAPES: Final = {
    "Cel": _Shape("°C"),
    "K": _Shape("K"),
    "V": _Shape("V"),
    "A": _Shape("A", decimals=2),
    "W": _Shape("W"),
    "VA": _Shape("VA"),
    "var": _Shape("var"),
    "VAr": _Shape("var"),
    "Wh": _Shape("kWh", 1000.0, 2),
    "varh": _Shape("kvarh", 1000.0, 2),
    "VArh": _Shape("kvarh", 1000.0, 2),
    "VAh": _Shape("kVAh", 1000.0, 2),
    "J": _Shape("MJ", 1e6, 2),
    "Hz": _Shape("Hz", decimals=2),
    "Pa": _Shape("kPa", 1000.0, 1),
    "m3": _Shape("m³", decimals=3),
    "m3/s": _Shape("m³/h", 1 / 3600.0, 3),
    "l": _Shape("L", decimals=0),
    "kg": _Shape("kg", decimals=2),
    "s": _Shape("h", 3600.0, 1),
    "%RH": _Shape("% RH"),
    "%EL": _Shape("%", decimals=0),
    "%": _Shape("%"),
    "/100": _Shape("%"),
    "ug/m3": _Shape("µg/m³", decimals=0),
    "mg/l": _Shape("mg/L", decimals=2),
    "/": _Shape("", decimals=3),
    "ppm": _Shape("ppm", decimals=0),
    "dBm": _Shape("dBm", decimals=0),
    "B": _Shape("KB", 1000.0, 0),
    "count": _Shape("", decimals=0),
}


def shape_of(unit: str) -> _Shape:
    """Return how a unit is shown; one not listed is shown as it is."""
    return _SHAPES.get(unit, _Shape(unit, decimals=2))


def unit_shown(series: SeriesInfo) -> str:
    """Return the unit people read beside a value."""
    return shape_of(facts(series.quantity).unit).unit


def scaled(series: SeriesInfo, value: float) -> float:
    """Return a value in the unit people read."""
    return value / shape_of(facts(series.quantity).unit).divisor


def number(value: float, decimals: int) -> str:
    """Return a number with thousands apart and a true minus sign; small ones keep three digits."""
    if value and abs(value) < 10**-decimals:
        decimals = 0 if abs(value) < 1e-6 else decimals + 2
    shown = f"{value:,.{decimals}f}"
    return shown.replace("-", "\u2212") if float(shown.replace(",", "")) else shown.removeprefix("-")


_DOORS: Final = ("open",)
_VALVE: Final = {"open": "value.open", "closed": "value.closed", "abnormal": "value.abnormal"}
_WORDS: Final = {
    "battery_low": {"ok": "value.ok", "low": "value.low"},
    "gas_valve_state": _VALVE,
    "water_valve_state": _VALVE,
    # A closed relay lets current through, a closed valve holds water back: Chinese has two words for it.
    "relay_state": {"open": "value.relay_open", "closed": "value.relay_closed"},
}
"""The words that codecs write, and the texts of them; what is not here is the meter's own and shown as it is."""


def shown(series: SeriesInfo, value: float | None, words: str | None, lang: Language) -> str:
    """Return the text a person sees of a value, without its unit; a dash where there is none."""
    if words is not None:
        key = _WORDS.get(series.quantity, {}).get(words)
        return words if key is None else text(key, lang)
    if value is None:
        return "–"
    known = facts(series.quantity)
    if known.kind is Kind.STATE and known.unit in {"", "/"} and value in {0.0, 1.0}:
        if series.quantity.endswith(_DOORS):
            return text("value.open" if value else "value.closed", lang)
        return text("value.yes" if value else "value.no", lang)
    form = shape_of(known.unit)
    return number(value / form.divisor, form.decimals)


def title(series: SeriesInfo, lang: Language) -> str:
    """Return the point's name for people: the quantity's title and its qualifiers."""
    known = facts(series.quantity)
    point = parse_point(series.name)
    parts = [known.zh if lang == "zh" else known.en]
    if point.phase is not None:
        parts.append(point.phase.value.upper())
    for key, count in (("channel", point.channel), ("tariff", point.tariff), ("storage", point.storage)):
        if count is not None:
            parts.append(text(f"device.{key}", lang, number=count))
    if point.statistic is not None:
        parts.append(text(f"statistic.{Statistic(point.statistic).value}", lang))
    if point.occurrence is not None:
        parts.append(text("device.occurrence", lang, number=point.occurrence))
    return " · ".join(parts)


def quality_mark(code: int, lang: Language) -> tuple[str, str]:
    """Return a CSS class and the sentence of a quality: ``("bad", "Bad: device does not answer")``."""
    quality, reason = quality_from_code(code)
    sentence = text(f"quality.{quality.name.lower()}", lang)
    if quality is not Quality.GOOD and reason is not None:
        separator = "：" if lang == "zh" else ": "
        sentence = f"{sentence}{separator}{text(f'reason.{reason.label}', lang)}"
    return quality.name.lower(), sentence


def span(length: Instant, lang: Language) -> str:
    """Return a length of time in its largest whole unit."""
    for key, size in (("days", DAY), ("hours", HOUR), ("minutes", MINUTE)):
        if length >= 2 * size or (length >= size and key == "minutes"):
            return text(f"age.{key}", lang, count=length // size)
    return text("age.seconds", lang, count=max(length, 0) // SECOND)


def ago(length: Instant, lang: Language) -> str:
    """Return how long ago, or "now" for less than two seconds."""
    if length < 2 * SECOND:
        return text("age.now", lang)
    return text("age.ago", lang, age=span(length, lang))


def clock_time(instant: Instant, now: Instant, zone: tzinfo | None) -> str:
    """Return a local time; with the date where it is not today."""
    local = to_datetime(instant).astimezone(zone)
    today = to_datetime(now).astimezone(zone)
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%m-%d %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d %H:%M}"


def full_time(instant: Instant, zone: tzinfo | None) -> str:
    """Return a local time with its date and offset."""
    local: datetime = to_datetime(instant).astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S %z}"

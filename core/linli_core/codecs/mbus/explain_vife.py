"""What single codes of a record's header say, in words (EN 13757-3:2018, tables 10 to 18)."""

from typing import Final

from linli_core.codecs.mbus.vif import FIRST_EXTENSION, PHASES, PRIMARY, RECORD_ERRORS, SECOND_EXTENSION, Measurand, Vif

PRIMARY_CLAUSE: Final = "EN 13757-3:2018 §6.4.2"
FIRST_CLAUSE: Final = "EN 13757-3:2018 §6.4.5"
SECOND_CLAUSE: Final = "EN 13757-3:2018 table 12"
COMBINABLE_CLAUSE: Final = "EN 13757-3:2018 table 15"
ERROR_CLAUSE: Final = "EN 13757-3:2018 §6.4.8"

_STEPS: Final = {60: "min", 3600: "h", 86400: "d"}
_ENDS: Final = ("begin", "end")
_TURNS: Final = ("first", "last")
_LIMITS: Final = ("lower", "upper")
_PERIODS: Final = ("s", "min", "h", "d")

_COMBINABLE: Final = {
    0x12: "average value",
    0x13: "inverse compact profile",
    0x14: "relative deviation",
    0x1D: "standard conform data",
    0x1E: "compact profile with register numbers",
    0x1F: "compact profile",
    0x20: "per second",
    0x21: "per minute",
    0x22: "per hour",
    0x23: "per day",
    0x24: "per week",
    0x25: "per month",
    0x26: "per year",
    0x27: "per revolution or measurement",
    0x28: "increment per input pulse on channel 0",
    0x29: "increment per input pulse on channel 1",
    0x2A: "increment per output pulse on channel 0",
    0x2B: "increment per output pulse on channel 1",
    0x2C: "per litre",
    0x2D: "per m3",
    0x2E: "per kg",
    0x2F: "per K",
    0x30: "per kWh",
    0x31: "per GJ",
    0x32: "per kW",
    0x33: "per K·l",
    0x34: "per V",
    0x35: "per A",
    0x36: "multiplied by s",
    0x37: "multiplied by s/V",
    0x38: "multiplied by s/A",
    0x39: "start date of",
    0x3A: "uncorrected, at metering conditions",
    0x3B: "only positive contributions (forward)",
    0x3C: "only negative contributions (backward)",
    0x3D: "in a unit system that is not metric",
    0x3E: "at base conditions",
    0x3F: "OBIS declaration",
    0x40: "lower limit",
    0x41: "number of times below the lower limit",
    0x44: "multiplied by flow temperature, divided by 100",
    0x45: "multiplied by return temperature, divided by 100",
    0x48: "upper limit",
    0x49: "number of times above the upper limit",
    0x68: "value below the lower limit",
    0x69: "leakage",
    0x6C: "value above the upper limit",
    0x6D: "overflow",
    0x7C: "table behind FC",
    0x7D: "factor 1000",
    0x7E: "future value",
    0x7F: "what follows is the manufacturer's",
}
"""Combinable VIFE whose text is fixed; the others are composed."""

_BEHIND_FC: Final = {code: f"phase {place.upper()}" for code, place in PHASES.items()} | {
    0x08: "quadrant Q1",
    0x09: "quadrant Q2",
    0x0A: "quadrant Q3",
    0x0B: "quadrant Q4",
    0x0C: "import minus export",
    0x10: "absolute value, both directions",
    0x11: "data type C",
    0x12: "data type D",
    0x13: "to the meter",
    0x14: "from the meter",
}


def vif_text(vif: Vif) -> str:
    """Return a VIF in words: what it is, and its scale and unit: ``volume, 10^-3 m3``."""
    name = vif.measurand.value.replace("_", " ")
    if vif.measurand is Measurand.UNKNOWN:
        return "reserved"
    if vif.multiplier in _STEPS:
        return f"{name}, {_STEPS[vif.multiplier]}"
    if vif.unit == "1" and not vif.exponent:
        return name
    scale = f"10^{vif.exponent} " if vif.exponent else ""
    return f"{name}, {scale}{vif.unit if vif.unit != '1' else ''}".rstrip()


def primary_text(code: int) -> tuple[str, str]:
    """Return the VIF's text and clause."""
    if code == 0x7B:
        return "table behind FB", PRIMARY_CLAUSE
    if code == 0x7C:
        return "unit in plain text", PRIMARY_CLAUSE
    if code == 0x7D:
        return "table behind FD", PRIMARY_CLAUSE
    vif = PRIMARY.get(code)
    return (vif_text(vif) if vif else "reserved"), PRIMARY_CLAUSE


def table_text(prefix: int, code: int) -> tuple[str, str]:
    """Return text and clause of the code behind FB or FD."""
    table, clause = (FIRST_EXTENSION, FIRST_CLAUSE) if prefix == 0xFB else (SECOND_EXTENSION, SECOND_CLAUSE)
    vif = table.get(code)
    return (vif_text(vif) if vif else "reserved"), clause


def combinable_text(code: int) -> tuple[str, str]:
    """Return text and clause of a combinable VIFE of a meter."""
    if code in RECORD_ERRORS:
        return f"record error: {RECORD_ERRORS[code]}", ERROR_CLAUSE
    if code == 0:
        return "no error", ERROR_CLAUSE
    return _COMBINABLE.get(code) or _composed(code), COMBINABLE_CLAUSE


def second_combinable_text(code: int) -> tuple[str, str]:
    """Return text and clause of the code behind the VIFE FC."""
    return _BEHIND_FC.get(code, "reserved"), "EN 13757-3:2018 table 16"


def _composed(code: int) -> str:
    """Return the text of a VIFE whose bits say each a part of it."""
    limit, turn, end = _LIMITS[code >> 3 & 1], _TURNS[code >> 2 & 1], _ENDS[code & 1]
    period = _PERIODS[code & 3]
    text = "reserved"
    match code >> 3:
        case 0x08 | 0x09 if code & 0x02:
            text = f"date of the {end} of the {turn} time beyond the {limit} limit"
        case 0x0A | 0x0B:
            text = f"duration of the {turn} time beyond the {limit} limit in {period}"
        case 0x0C:
            text = f"duration of the {turn} in {period}"
        case 0x0D if code & 0x02:
            text = f"date of the {end} of the {turn}"
        case 0x0E:
            text = f"factor 10^{(code & 0x07) - 6}"
        case 0x0F if code <= 0x7B:
            text = f"plus 10^{(code & 0x03) - 3}"
    return text

"""What wmbusmeters and another parser made of recorded radio telegrams, in our words.

The expectations are theirs: names that each of their drivers chose, units in the name, values often derived. How they
translate is written down here by hand, apart from the gateway's tables, so that a slip in either shows. A value agrees
if a record of what the name says has it, and the reading it became is called so; what no record can have, since the
driver derived it, is named here with the reason.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

_ENERGY: Final = frozenset(
    {"energy_import", "energy_export", "heat_energy", "cooling_energy", "gas_energy", "energy_combined"}
)
_VOLUME: Final = frozenset(
    {"water_volume", "water_volume_reverse", "hot_water_volume", "gas_volume", "heat_volume", "drinking_water_volume"}
)
_TEMPERATURE: Final = frozenset(
    {"flow_temperature", "return_temperature", "external_temperature", "water_temperature", "temperature"}
)
_TIME: Final = frozenset({"on_time", "operating_time", "actuality_duration", "averaging_duration"})


@dataclass(frozen=True, slots=True)
class Unit:
    """What a name's last word says.

    Attributes:
        measurands: What records may be of.
        quantities: What readings of those may be called, where they have a name of their own.
        to: Their unit in terms of the record's units: ``{"Wh": 1000}`` for kWh.
    """

    measurands: frozenset[str]
    quantities: frozenset[str]
    to: Mapping[str, Decimal]


def _unit(measurands: str, quantities: frozenset[str], **to: str) -> Unit:
    names = {name.replace("_per_", "/").replace("percent", "%"): Decimal(factor) for name, factor in to.items()}
    return Unit(frozenset(measurands.split()), quantities, names)


UNITS: Final[Mapping[str, Unit]] = {
    "kwh": _unit("energy", _ENERGY, Wh="1000", J="3600000"),
    "kvarh": _unit("reactive_energy energy", frozenset({"reactive_energy_import"}), varh="1000", Wh="1000"),
    "kvah": _unit("apparent_energy energy", frozenset({"apparent_energy"}), VAh="1000", Wh="1000"),
    "kw": _unit("power", frozenset({"active_power", "heat_power", "cooling_power"}), W="1000", J_per_h="3600000"),
    "kvar": _unit("reactive_power power", frozenset({"reactive_power"}), var="1000", W="1000"),
    "kva": _unit("apparent_power power", frozenset({"apparent_power"}), VA="1000", W="1000"),
    "m3": _unit("volume", _VOLUME, m3="1"),
    "m3h": _unit("volume_flow", frozenset({"water_flow", "gas_flow", "heat_flow"}), m3_per_h="1"),
    "c": _unit(
        "flow_temperature return_temperature temperature_difference external_temperature temperature_limit",
        _TEMPERATURE | {"temperature_difference"},
        Cel="1",
        K="1",
    ),
    "hca": _unit("heat_cost", frozenset({"heat_cost_units"}), **{"1": "1"}),
    "v": _unit("voltage", frozenset({"voltage", "battery_voltage"}), V="1"),
    "a": _unit("current", frozenset({"current"}), A="1"),
    "hz": _unit("frequency", frozenset({"frequency"}), Hz="1"),
    "h": _unit("on_time operating_time actuality_duration averaging_duration", _TIME, s="3600"),
    "s": _unit("on_time operating_time actuality_duration averaging_duration", _TIME, s="1"),
    "rh": _unit("humidity text_unit", frozenset({"relative_humidity"}), percentRH="1"),
    "m3c": _unit("volume_flow_temperature volume_return_temperature", frozenset(), **{"m3*Cel": "1"}),
    "y": _unit("battery_remaining", frozenset({"battery_remaining"}), s="31556952"),
    "ppm": _unit("text_unit", frozenset({"co2"}), CO2="1"),
}
"""Last word of a name → what it says."""

METERED: Final[Mapping[int, frozenset[str]]] = {
    0x02: frozenset({"energy", "power", "voltage", "current"}),
    0x03: frozenset({"volume", "volume_flow"}),
    **dict.fromkeys((0x06, 0x07, 0x15, 0x16), frozenset({"volume", "volume_flow", "flow_temperature"})),
    **dict.fromkeys(
        (0x04, 0x0C),
        frozenset({"energy", "volume", "power", "volume_flow", "flow_temperature", "return_temperature"}),
    ),
    0x08: frozenset({"heat_cost"}),
}
"""Medium → measurands whose plain values must have become readings with a name, not raw records."""

TEXTS: Final[Mapping[str, frozenset[str]]] = {
    "fabrication_no": frozenset({"fabrication_number"}),
    "firmware_version": frozenset({"firmware_version", "software_version"}),
    "software_version": frozenset({"software_version"}),
    "model_version": frozenset({"model", "firmware_version"}),
    "parameter_set": frozenset({"parameter_set"}),
    "meter_version": frozenset({"model", "firmware_version"}),
    "enhanced_id": frozenset({"enhanced_identification"}),
    "manufacturer": frozenset({"manufacturer"}),
    "customer": frozenset({"customer"}),
    "product_no": frozenset({"manufacturer_specific"}),
}
"""Names of texts and numbers without a unit → measurands."""

COUNTS: Final[Mapping[str, frozenset[str]]] = {
    "counter": frozenset(
        {"cumulation_counter", "reset_counter", "dimensionless", "manufacturer_specific", "access_number"}
    ),
    "factor": frozenset({"dimensionless", "manufacturer_specific", "power_factor"}),
    "nr": frozenset({"manufacturer_specific", "dimensionless"}),
    "pct": frozenset({"battery_remaining", "unknown"}),
}
"""Last words of numbers without a unit → measurands."""

_STATES: Final = re.compile(
    r"(^|_)(status|flags|error|info|contents|level|distance|mode|type|setup|configuration|association(_2)?|sector|"
    r"code|input|output|bursting|dry|leaking|reversed|unknown[ab])$"
)
"""Names whose values are words that the driver makes of bits or hides behind them."""

_EARLIER: Final = re.compile(
    r"target|prev|last|histor|set_date|due|base|at_date|month|year|key_|delta|period|average|_1h|max|consumption_\d|"
    r"January|February|March|April|May|June|July|August|September|October|November|December"
)
"""Words of names whose values are of an earlier date; all others are of now."""


_NOTHING: Final = ("1999-11-30", "2000-00-00", Decimal("-32.768"), Decimal("-910.222222"))
"""What drivers make of a date of zeros, and of a step of 8000, by which the meter says that it has none."""

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Expected:
    """One value that a telegram must give.

    Attributes:
        name: The driver's name.
        value: A number in the unit of its last word, or a text; ``None`` where there must be no value.
        unit: The last word of the name.
        earlier: The value is of an earlier date.
    """

    name: str
    value: Decimal | str | None
    unit: str
    earlier: bool


def expectations(stem: str, expected: Mapping[str, Any]) -> Iterator[Expected]:
    """Return what a driver's JSON says of values; identity, words made of bits and derived values are left out.

    Args:
        stem: Name of the recording's file, which begins with the driver's.
        expected: The JSON.
    """
    driver = stem.partition("__")[0]
    derived = {name for key, names in DERIVED.items() if stem.startswith(key) for name in names}
    for name, value in expected.items():
        if name in {"media", "meter", "id"} or _STATES.search(name) or name in derived:
            continue
        if any(pattern.fullmatch(name) for pattern in _PATTERNS.get(driver, ())):
            continue
        unit = "date" if isinstance(value, str) and _DATE.fullmatch(value) else name.rpartition("_")[2]
        if value in _NOTHING:
            continue
        if isinstance(value, int):
            value = Decimal(value)  # noqa: PLW2901 - JSON writes whole numbers so
        yield Expected(name, value, unit, bool(_EARLIER.search(name)) or driver in STORED_NOW)


STORED_NOW: Final[Mapping[str, str]] = {
    "nzr": "the meter numbers its phases by storage number",
    "multical21": "the least flow temperature of the month is shown as the flow temperature",
}
"""Driver → why it shows stored values as those of now."""

_STEPS = "the sum of two halves of a month, or a step between two registers; the registers and halves are read"
_COMPUTED = "computed by the driver from another date"
_INVALID_TIME = "the meter marks its time as invalid: no value"
_HIDDEN = "a code of the maker's whose meaning only the driver tells; kept raw"

DERIVED: Final[Mapping[str, dict[str, str]]] = {
    "abbb23": {"product_no": "a text behind a code of the maker's; kept raw"},
    "apatoreitn": {"season_start_date": "the telegram has a day and a month; the driver adds a year"},
    "apatorna1": {
        "historic_datetime": _COMPUTED,
        "historic_age_h": "how many hours before the clock the stored register was; the register itself is read",
    },
    "ei6500": {"duration_removed_h": _HIDDEN, "dust_level_counter": _HIDDEN},
    "em24": {"total_apparent_energy_consumption_kvah": "computed by the driver from active and reactive energy"},
    "gwfwater": {"battery_y": "computed by the driver from the days, and cut to whole years"},
    "hydrodigit": {"voltage_v": _HIDDEN},
    "izarv2": {"transmit_period_s": _HIDDEN},
    "kamheat": {"va_counter": _HIDDEN, "vb_counter": _HIDDEN},
    "multical602": {"va_counter": _HIDDEN, "vb_counter": _HIDDEN},
    "q400": {"battery_pct": "sent as days by the standard's code; only the driver says that they are percent"},
    "sharky774": {"operating_time_in_error_h": "VIFE 18 is an error of the record by the standard: no value"},
    "waterstarm__51398765": {"meter_datetime": _INVALID_TIME},
    "iem3000__11111111__68F6": {"meter_datetime": _INVALID_TIME},
    "hydrodigit__03122061": {"backflow_m3": "all of the maker's part is 0, so its order of values cannot be known"},
    "hydrodigit__87654322": {
        "June_total_m3": "sent as FFFFFF, before the module was there: no value",
        "July_total_m3": "sent as FFFFFF, before the module was there: no value",
    },
}
"""Driver, or beginning of one recording's name → name → why no record has the value."""

_PATTERNS: Final[Mapping[str, tuple[re.Pattern[str], ...]]] = {
    "evo868": (re.compile(r"history_([2-9]|1[0-2])_date"),),
    "waterstarm": (re.compile(r"history_\d+_date"),),
    "mkradio3a": (re.compile(r"(last_[a-z]{3}|target)_m3"),),
    "fhkvdataiv": (re.compile(r"consumption_at_set_date_([2-9]|1[0-4])_hca"),),
    "iem3000": (re.compile(r".*(_nr|_counter|_y|_association.*|nominal_frequency_hz|last_.*datetime)"),),
}
"""Driver → names alike: dates computed from another one; sums and steps of what is read; codes of the maker's."""

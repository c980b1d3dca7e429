"""What must be stored for a recorded frame: libmbus's values under our points' names.

Which quantity libmbus's words mean is written down by hand, apart from the gateway's tables
(:mod:`linli_core.codecs.mbus.quantities`), so that a slip in either shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from linli_core.codecs.mbus import Interpreter, decode_frame, decode_telegram
from linli_core.codecs.mbus.quantities import UNMAPPED
from linli_core.codecs.mbus.quirks import QuirksOf, no_quirks
from linli_core.codecs.mbus.values import REAL
from linli_sim.vectors.mbus_recordings import ExpectedRecord, Recording
from linli_sim.vectors.mbus_records import NO_SUCH_DAY

_DOMAINS: Final = {
    "Electricity": "electricity",
    "Breaker: Electricity": "electricity",
    "Gas": "gas",
    "Water": "water",
    "Cold water": "water",
    "Warm water (30-90°C)": "hot_water",
    "Heat: Outlet": "heat",
    "Heat / Cooling load meter": "heat",
}

_QUANTITIES: Final[Mapping[tuple[str, str], str | Mapping[str, str]]] = {
    ("Energy", "Wh"): {"electricity": "energy_import", "heat": "heat_energy"},
    ("Power", "W"): {"electricity": "active_power", "heat": "heat_power"},
    ("Volume", "m^3"): {
        "water": "water_volume",
        "hot_water": "hot_water_volume",
        "gas": "gas_volume",
        "heat": "heat_volume",
    },
    ("Volume flow", "m^3/h"): {
        "water": "water_flow",
        "hot_water": "water_flow",
        "gas": "gas_flow",
        "heat": "heat_flow",
    },
    ("Flow temperature", "°C"): "flow_temperature",
    ("Return temperature", "°C"): "return_temperature",
    ("Temperature difference", "K"): "temperature_difference",
    ("External temperature", "°C"): "external_temperature",
    ("%RH", "-"): "relative_humidity",
    ("Voltage", "V"): "voltage",
    ("Current", "A"): "current",
    ("H.C.A.", "Units for H.C.A."): "heat_cost_units",
    ("On time", "s"): "on_time",
    ("Operating time", "s"): "operating_time",
    ("Averaging Duration", "s"): "averaging_duration",
    ("Actuality Duration", "s"): "actuality_duration",
    ("Time point (date)", "-"): "meter_date",
    ("Time point (date & time)", "-"): "meter_time",
    ("Fabrication No", ""): "serial_number",
    ("Firmware version", ""): "firmware_version",
    ("Software version", ""): "software_version",
    ("Error flags", ""): "error_flags",
    ("Digital Input", ""): "digital_input",
    ("Reset counter", ""): "reset_counter",
}

_TO_VOCABULARY: Final = {"m^3/h": Decimal(3600)}
"""libmbus's unit → by what to divide for the vocabulary's, where that is another."""


@dataclass(frozen=True)
class ExpectedReading:
    """One reading that must come of a recorded frame.

    Attributes:
        name: Point within the device: ``water_volume.s1``.
        value: In the vocabulary's unit; ``None`` where the meter sends none.
        exact: Whether the value is exact; within a millionth otherwise (binary reals, divided flows).
    """

    name: str
    value: Decimal | str | None
    exact: bool


def expected_quantity(record: ExpectedRecord, medium: str) -> str | None:
    """Return the vocabulary's name for what libmbus calls it; ``None`` if there is none."""
    names = _QUANTITIES.get((record.quantity or "", record.unit))
    return names if isinstance(names, str) or names is None else names.get(_DOMAINS.get(medium.replace("Â", ""), ""))


def expected_readings(recorded: Recording, quirks: QuirksOf = no_quirks) -> list[ExpectedReading]:
    """Return the readings that must come of a valid frame, in order; records that have no quantity are left out.

    The names are the gateway's (with what it knows of makers, if that is given), the values are libmbus's.
    """
    telegram = decode_telegram(decode_frame(recorded.frame))
    found: list[ExpectedReading] = []
    for explained, record in zip(
        Interpreter("meter", quirks=quirks).explain(telegram, 0), recorded.records, strict=True
    ):
        point = explained.reading.point
        if point.quantity != UNMAPPED:
            value = _value(record)
            close = explained.record.header.coding == REAL or record.unit in _TO_VOCABULARY
            found.append(ExpectedReading(point.local_name, value, value is None or not close))
    return found


def _value(record: ExpectedRecord) -> Decimal | str | None:
    """Return libmbus's value in the vocabulary's unit, ``None`` where it made one of something that is none."""
    if record.value in NO_SUCH_DAY:
        return None
    if isinstance(record.value, str):
        return record.value.removesuffix("Z") if record.quantity == "Time point (date & time)" else record.value
    if not record.transmitted.lstrip("-").replace(".", "", 1).isdecimal():
        return None
    if record.unit == "l" or (record.quantity is None and record.unit == "reserved but historic"):
        return record.value / 1000  # the fixed structure has units of its own
    return record.value / _TO_VOCABULARY.get(record.unit, Decimal(1))

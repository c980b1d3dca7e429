"""Which quantity of the vocabulary a record is, by what the meter meters, as data."""

from enum import StrEnum
from typing import Final

from linli_core.codecs.mbus.record import Header
from linli_core.codecs.mbus.vif import Measurand, Modifier

_M = Measurand

UNMAPPED: Final = "mbus_record"
"""Quantity of a record that is no other: its bytes as text."""


class Domain(StrEnum):
    """What a meter meters, as far as it decides which quantity a record is."""

    ELECTRICITY = "electricity"
    WATER = "water"
    HOT_WATER = "hot_water"
    GAS = "gas"
    HEAT = "heat"
    COOLING = "cooling"
    OTHER = "other"


DOMAINS: Final = {
    0x02: Domain.ELECTRICITY,
    0x03: Domain.GAS,
    0x04: Domain.HEAT,
    0x06: Domain.HOT_WATER,
    0x07: Domain.WATER,
    0x0A: Domain.COOLING,
    0x0B: Domain.COOLING,
    0x0C: Domain.HEAT,
    0x0D: Domain.HEAT,
    0x15: Domain.HOT_WATER,
    0x16: Domain.WATER,
    0x17: Domain.WATER,
    0x20: Domain.ELECTRICITY,
}
"""Medium code → domain; a medium that is not here is ``OTHER``."""

GENERIC: Final = {
    _M.ON_TIME: "on_time",
    _M.OPERATING_TIME: "operating_time",
    _M.AVERAGING_DURATION: "averaging_duration",
    _M.ACTUALITY_DURATION: "actuality_duration",
    _M.PRESSURE: "pressure",
    _M.HUMIDITY: "relative_humidity",
    _M.EXTERNAL_TEMPERATURE: "external_temperature",
    _M.FLOW_TEMPERATURE: "flow_temperature",
    _M.RETURN_TEMPERATURE: "return_temperature",
    _M.TEMPERATURE_DIFFERENCE: "temperature_difference",
    _M.MASS: "mass",
    _M.MASS_FLOW: "mass_flow",
    _M.VOLTAGE: "voltage",
    _M.CURRENT: "current",
    _M.FREQUENCY: "frequency",
    _M.REACTIVE_ENERGY: "reactive_energy_import",
    _M.APPARENT_ENERGY: "apparent_energy",
    _M.REACTIVE_POWER: "reactive_power",
    _M.APPARENT_POWER: "apparent_power",
    _M.POWER_FACTOR: "power_factor",
    _M.HEAT_COST: "heat_cost_units",
    _M.FABRICATION_NUMBER: "serial_number",
    _M.DATE: "meter_date",
    _M.DATE_TIME: "meter_time",
    _M.ERROR_FLAGS: "error_flags",
    _M.DIGITAL_INPUT: "digital_input",
    _M.DIGITAL_OUTPUT: "digital_output",
    _M.BATTERY_REMAINING: "battery_remaining",
    _M.RESET_COUNTER: "reset_counter",
    _M.FIRMWARE_VERSION: "firmware_version",
    _M.SOFTWARE_VERSION: "software_version",
    _M.HARDWARE_VERSION: "hardware_version",
}
"""Measurands that are the same quantity whatever is metered."""

BY_DOMAIN: Final = {
    _M.ENERGY: {
        Domain.ELECTRICITY: "energy_import",
        Domain.HEAT: "heat_energy",
        Domain.COOLING: "cooling_energy",
    },
    _M.POWER: {
        Domain.ELECTRICITY: "active_power",
        Domain.HEAT: "heat_power",
        Domain.COOLING: "cooling_power",
    },
    _M.VOLUME: {
        Domain.WATER: "water_volume",
        Domain.HOT_WATER: "hot_water_volume",
        Domain.GAS: "gas_volume",
        Domain.HEAT: "heat_volume",
        Domain.COOLING: "heat_volume",
    },
    _M.VOLUME_FLOW: {
        Domain.WATER: "water_flow",
        Domain.HOT_WATER: "water_flow",
        Domain.GAS: "gas_flow",
        Domain.HEAT: "heat_flow",
        Domain.COOLING: "heat_flow",
    },
}
"""Measurands whose quantity depends on what is metered."""

ELECTRIC: Final = frozenset({"energy_import", "active_power"})
"""Quantities under whose plain VIF makers send others, too, with a sub-unit."""

BARE: Final = "1"
"""The telegram's unit of numbers without one, of texts and of dates: the vocabulary's, whatever it is."""

TEXT_UNITS: Final = {"%RH": _M.HUMIDITY}
"""Units in plain text that are well known → what is measured in them."""

BACKWARD: Final = {
    (_M.ENERGY, Domain.ELECTRICITY): "energy_export",
    (_M.ENERGY, Domain.HEAT): "cooling_energy",
    (_M.REACTIVE_ENERGY, Domain.ELECTRICITY): "reactive_energy_export",
}
"""What only negative contributions add up to."""

CONVERTED: Final = {_M.VOLUME: "gas_volume_converted"}
"""What a gas meter has at base conditions."""

PLAIN: Final = frozenset(
    {
        Modifier.FORWARD,
        Modifier.MANUFACTURER,
        Modifier.UNCORRECTED,
        Modifier.BASE_CONDITIONS,
        Modifier.STANDARD_CONFORM,
    }
)
"""Modifiers under which a value stays what it is."""

CONVERSIONS: Final = {
    ("J", "Wh"): (1, 3600),
    ("Wh", "J"): (3600, 1),
    ("J/h", "W"): (1, 3600),
    ("m3/h", "m3/s"): (1, 3600),
    ("m3/min", "m3/s"): (1, 60),
    ("m3/min", "m3/h"): (60, 1),
    ("m3/s", "m3/h"): (3600, 1),
    ("kg/h", "kg/s"): (1, 3600),
    ("bar", "Pa"): (100_000, 1),
    ("VAh", "kVAh"): (1, 1000),
    ("ft3", "m3"): (28_316_846_592, 1_000_000_000_000),
}
"""From the telegram's unit to the vocabulary's: numerator and denominator."""

_THREE: Final = {b"\x01": "l1", b"\x02": "l2", b"\x03": "l3"}

MANUFACTURER_PHASES: Final = {
    ("SEC", _M.VOLTAGE): _THREE | {b"\x05": "l12", b"\x06": "l23", b"\x07": "l31"},
    ("SEC", _M.CURRENT): _THREE,
    ("SEC", _M.POWER): _THREE,
    ("SEC", _M.ENERGY): _THREE,
    ("IME", _M.VOLTAGE): _THREE | {b"\x04": "l12", b"\x05": "l23", b"\x06": "l31"},
    ("IME", _M.CURRENT): _THREE | {b"\x04": "n"},
    ("ELT", _M.VOLTAGE): _THREE,
    ("ELT", _M.CURRENT): _THREE,
    ("ELT", _M.POWER): _THREE,
}
"""Manufacturer and measurand → codes behind the VIFE 7F → phase.

Only what recorded telegrams with known phases show; of sub-unit 0 only, for in others these manufacturers send
reactive and apparent power under the VIF of active power.
"""


def quantity_of(header: Header, medium: int) -> str | None:
    """Return the vocabulary's name of what a record is, ``None`` if it has none."""
    domain = DOMAINS.get(medium, Domain.OTHER)
    modifiers = set(header.modifiers)
    if modifiers == {Modifier.BACKWARD}:
        return BACKWARD.get((header.measurand, domain))
    if not modifiers <= PLAIN:
        return None
    measurand = header.measurand
    if measurand is _M.TEXT_UNIT:
        measurand = TEXT_UNITS.get(header.unit, measurand)
    by_domain = BY_DOMAIN.get(measurand)
    if domain is Domain.GAS and Modifier.BASE_CONDITIONS in modifiers:
        # Beside the volume that was measured: another register, which is billed in its place.
        return CONVERTED.get(measurand)
    return by_domain.get(domain) if by_domain is not None else GENERIC.get(measurand)


def manufacturer_phase(maker: str, header: Header) -> str:
    """Return the phase that a manufacturer's VIFE name; empty if they name none that is known."""
    _, found, codes = header.vib.partition(b"\xff")
    if not found or header.subunit:
        return ""
    return MANUFACTURER_PHASES.get((maker, header.measurand), {}).get(codes, "")

"""What a value information field means: measurand, unit and scale (EN 13757-3, VIF and VIFE tables), as data.

The tables hold one row for a range of codes: first code, number of codes, measurand, unit, power of ten of the first.
A code without a row is :attr:`Measurand.UNKNOWN`: its record is kept raw.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Measurand(StrEnum):
    """What a record measures or tells."""

    UNKNOWN = "unknown"
    MANUFACTURER_SPECIFIC = "manufacturer_specific"
    MANUFACTURER_DATA = "manufacturer_data"
    ANY = "any"
    TEXT_UNIT = "text_unit"

    ENERGY = "energy"
    REACTIVE_ENERGY = "reactive_energy"
    APPARENT_ENERGY = "apparent_energy"
    CALORIES = "calories"
    VOLUME = "volume"
    MASS = "mass"
    ON_TIME = "on_time"
    OPERATING_TIME = "operating_time"
    POWER = "power"
    REACTIVE_POWER = "reactive_power"
    APPARENT_POWER = "apparent_power"
    POWER_FACTOR = "power_factor"
    VOLUME_FLOW_TEMPERATURE = "volume_flow_temperature"
    VOLUME_RETURN_TEMPERATURE = "volume_return_temperature"
    VOLUME_FLOW = "volume_flow"
    MASS_FLOW = "mass_flow"
    FLOW_TEMPERATURE = "flow_temperature"
    RETURN_TEMPERATURE = "return_temperature"
    TEMPERATURE_DIFFERENCE = "temperature_difference"
    EXTERNAL_TEMPERATURE = "external_temperature"
    TEMPERATURE_LIMIT = "temperature_limit"
    PRESSURE = "pressure"
    HUMIDITY = "humidity"
    FREQUENCY = "frequency"
    VOLTAGE = "voltage"
    CURRENT = "current"
    VOLTAGE_ANGLE = "voltage_angle"
    CURRENT_ANGLE = "current_angle"
    CUMULATED_MAXIMUM_POWER = "cumulated_maximum_power"
    HEAT_COST = "heat_cost"
    DATE = "date"
    DATE_TIME = "date_time"
    AVERAGING_DURATION = "averaging_duration"
    ACTUALITY_DURATION = "actuality_duration"
    FABRICATION_NUMBER = "fabrication_number"
    ENHANCED_IDENTIFICATION = "enhanced_identification"
    BUS_ADDRESS = "bus_address"

    CREDIT = "credit"
    DEBIT = "debit"
    ACCESS_NUMBER = "access_number"
    MEDIUM = "medium"
    MANUFACTURER = "manufacturer"
    PARAMETER_SET = "parameter_set"
    MODEL = "model"
    HARDWARE_VERSION = "hardware_version"
    FIRMWARE_VERSION = "firmware_version"
    SOFTWARE_VERSION = "software_version"
    CUSTOMER_LOCATION = "customer_location"
    CUSTOMER = "customer"
    ACCESS_CODE = "access_code"
    PASSWORD = "password"  # noqa: S105 - a record's name, not one
    ERROR_FLAGS = "error_flags"
    ERROR_MASK = "error_mask"
    DIGITAL_OUTPUT = "digital_output"
    DIGITAL_INPUT = "digital_input"
    BAUD_RATE = "baud_rate"
    RESPONSE_DELAY = "response_delay"
    RETRIES = "retries"
    REMOTE_CONTROL = "remote_control"
    FIRST_STORAGE = "first_storage"
    LAST_STORAGE = "last_storage"
    STORAGE_BLOCK = "storage_block"
    STORAGE_INTERVAL = "storage_interval"
    SINCE_READOUT = "since_readout"
    TARIFF_START = "tariff_start"
    TARIFF_DURATION = "tariff_duration"
    TARIFF_PERIOD = "tariff_period"
    DIMENSIONLESS = "dimensionless"
    RESET_COUNTER = "reset_counter"
    CUMULATION_COUNTER = "cumulation_counter"
    CONTROL_SIGNAL = "control_signal"
    WEEKDAY = "weekday"
    WEEK = "week"
    DAY_CHANGE = "day_change"
    PARAMETER_ACTIVATION = "parameter_activation"
    SUPPLIER_INFORMATION = "supplier_information"
    SINCE_CUMULATION = "since_cumulation"
    BATTERY_TIME = "battery_time"
    BATTERY_CHANGE = "battery_change"
    SIGNAL_STRENGTH = "signal_strength"
    BATTERY_REMAINING = "battery_remaining"
    STOPS = "stops"
    RATING_FACTOR = "rating_factor"
    TRANSMISSION_PERIOD = "transmission_period"
    TARIFF_DESCRIPTOR = "tariff_descriptor"
    OPERATOR_DATA = "operator_data"
    DAYLIGHT_SAVING = "daylight_saving"
    LISTENING_WINDOW = "listening_window"


NUMBERS: Final = frozenset(
    {
        Measurand.MANUFACTURER_SPECIFIC,
        Measurand.FABRICATION_NUMBER,
        Measurand.ENHANCED_IDENTIFICATION,
        Measurand.BUS_ADDRESS,
        Measurand.ACCESS_NUMBER,
        Measurand.MEDIUM,
        Measurand.MANUFACTURER,
        Measurand.PARAMETER_SET,
        Measurand.MODEL,
        Measurand.HARDWARE_VERSION,
        Measurand.FIRMWARE_VERSION,
        Measurand.SOFTWARE_VERSION,
        Measurand.CUSTOMER_LOCATION,
        Measurand.CUSTOMER,
        Measurand.ACCESS_CODE,
        Measurand.PASSWORD,
        Measurand.ERROR_FLAGS,
        Measurand.ERROR_MASK,
        Measurand.DIGITAL_OUTPUT,
        Measurand.DIGITAL_INPUT,
    }
)
"""Integers of these are codes and bit fields: never negative, and no bit pattern means that there is none."""

DATES: Final = frozenset({Measurand.DATE, Measurand.DATE_TIME, Measurand.TARIFF_START, Measurand.BATTERY_CHANGE})
"""Integers of these are dates or times, by their size."""


@dataclass(frozen=True, slots=True)
class Vif:
    """What one code means: ``value = raw * 10**exponent * multiplier`` in ``unit``.

    Attributes:
        unit: The telegram's own unit: SenML's name where it has one; ``"1"`` for a bare number.
        multiplier: Seconds of a minute, an hour, a day; 1 for all else.
    """

    measurand: Measurand
    unit: str = "1"
    exponent: int = 0
    multiplier: int = 1


_M = Measurand
_Row = tuple[int, int, Measurand, str, int]

_PRIMARY: Final[tuple[_Row, ...]] = (
    (0x00, 8, _M.ENERGY, "Wh", -3),
    (0x08, 8, _M.ENERGY, "J", 0),
    (0x10, 8, _M.VOLUME, "m3", -6),
    (0x18, 8, _M.MASS, "kg", -3),
    (0x28, 8, _M.POWER, "W", -3),
    (0x30, 8, _M.POWER, "J/h", 0),
    (0x38, 8, _M.VOLUME_FLOW, "m3/h", -6),
    (0x40, 8, _M.VOLUME_FLOW, "m3/min", -7),
    (0x48, 8, _M.VOLUME_FLOW, "m3/s", -9),
    (0x50, 8, _M.MASS_FLOW, "kg/h", -3),
    (0x58, 4, _M.FLOW_TEMPERATURE, "Cel", -3),
    (0x5C, 4, _M.RETURN_TEMPERATURE, "Cel", -3),
    (0x60, 4, _M.TEMPERATURE_DIFFERENCE, "K", -3),
    (0x64, 4, _M.EXTERNAL_TEMPERATURE, "Cel", -3),
    (0x68, 4, _M.PRESSURE, "bar", -3),
)

_FIRST: Final[tuple[_Row, ...]] = (  # behind FB
    (0x00, 2, _M.ENERGY, "Wh", 5),
    (0x02, 2, _M.REACTIVE_ENERGY, "varh", 3),
    (0x04, 2, _M.APPARENT_ENERGY, "VAh", 3),
    (0x08, 2, _M.ENERGY, "J", 8),
    # Which calorie the standard does not say, so that there is no conversion.
    (0x0C, 4, _M.CALORIES, "cal", 5),
    (0x10, 2, _M.VOLUME, "m3", 2),
    (0x14, 4, _M.REACTIVE_POWER, "var", 0),
    (0x18, 2, _M.MASS, "kg", 5),
    (0x1A, 2, _M.HUMIDITY, "%RH", -1),
    (0x20, 1, _M.VOLUME, "ft3", 0),
    (0x21, 1, _M.VOLUME, "ft3", -1),
    (0x28, 2, _M.POWER, "W", 5),
    (0x2C, 4, _M.FREQUENCY, "Hz", -3),
    (0x30, 2, _M.POWER, "J/h", 8),
    (0x34, 4, _M.APPARENT_POWER, "VA", 0),
    (0x68, 1, _M.RATING_FACTOR, "2^-12", 0),
    (0x69, 1, _M.RATING_FACTOR, "2^-12 W", 0),
    (0x6A, 1, _M.RATING_FACTOR, "2^-12", 0),
    (0x6B, 1, _M.RATING_FACTOR, "2^-12", 0),
    (0x6C, 1, _M.RATING_FACTOR, "2^-12", 0),
    (0x6D, 1, _M.RATING_FACTOR, "2^-12", 0),
    (0x6E, 1, _M.RATING_FACTOR, "2^-12", 0),
    (0x74, 4, _M.TEMPERATURE_LIMIT, "Cel", -3),
    (0x78, 8, _M.CUMULATED_MAXIMUM_POWER, "W", -3),
)

_SECOND: Final[tuple[_Row, ...]] = (  # behind FD
    (0x00, 4, _M.CREDIT, "currency", -3),
    (0x04, 4, _M.DEBIT, "currency", -3),
    (0x40, 16, _M.VOLTAGE, "V", -9),
    (0x50, 16, _M.CURRENT, "A", -12),
)

_TIMES: Final = (1, 60, 3600, 86400)

_PRIMARY_TIMES: Final = (
    (0x20, 0, _M.ON_TIME),
    (0x24, 0, _M.OPERATING_TIME),
    (0x70, 0, _M.AVERAGING_DURATION),
    (0x74, 0, _M.ACTUALITY_DURATION),
)
"""First code of four for seconds, minutes, hours, days; how many of the four are left out; measurand."""

_SECOND_TIMES: Final = (
    (0x24, 0, _M.STORAGE_INTERVAL),
    (0x2C, 0, _M.SINCE_READOUT),
    (0x30, 1, _M.TARIFF_DURATION),
    (0x34, 0, _M.TARIFF_PERIOD),
    (0x3C, 0, _M.TRANSMISSION_PERIOD),
    # Hours and days only; months and years have no fixed length and stay in their own unit below.
    (0x66, 2, _M.SINCE_CUMULATION),
    (0x6A, 2, _M.BATTERY_TIME),
)

_PRIMARY_SINGLE: Final = {
    0x6C: Vif(_M.DATE),
    0x6D: Vif(_M.DATE_TIME),
    0x6E: Vif(_M.HEAT_COST),
    0x78: Vif(_M.FABRICATION_NUMBER),
    0x79: Vif(_M.ENHANCED_IDENTIFICATION),
    0x7A: Vif(_M.BUS_ADDRESS),
    0x7E: Vif(_M.ANY),
    0x7F: Vif(_M.MANUFACTURER_SPECIFIC),
}

_FIRST_SINGLE: Final = {
    0x2A: Vif(_M.VOLTAGE_ANGLE, "deg", -1),
    0x2B: Vif(_M.CURRENT_ANGLE, "deg", -1),
}

_SECOND_SINGLE: Final = {
    0x08: Vif(_M.ACCESS_NUMBER),
    0x09: Vif(_M.MEDIUM),
    0x0A: Vif(_M.MANUFACTURER),
    0x0B: Vif(_M.PARAMETER_SET),
    0x0C: Vif(_M.MODEL),
    0x0D: Vif(_M.HARDWARE_VERSION),
    0x0E: Vif(_M.FIRMWARE_VERSION),
    0x0F: Vif(_M.SOFTWARE_VERSION),
    0x10: Vif(_M.CUSTOMER_LOCATION),
    0x11: Vif(_M.CUSTOMER),
    0x12: Vif(_M.ACCESS_CODE),
    0x13: Vif(_M.ACCESS_CODE),
    0x14: Vif(_M.ACCESS_CODE),
    0x15: Vif(_M.ACCESS_CODE),
    0x16: Vif(_M.PASSWORD),
    0x17: Vif(_M.ERROR_FLAGS),
    0x18: Vif(_M.ERROR_MASK),
    0x1A: Vif(_M.DIGITAL_OUTPUT),
    0x1B: Vif(_M.DIGITAL_INPUT),
    0x1C: Vif(_M.BAUD_RATE, "Bd"),
    0x1D: Vif(_M.RESPONSE_DELAY, "bit times"),
    0x1E: Vif(_M.RETRIES),
    0x1F: Vif(_M.REMOTE_CONTROL),
    0x20: Vif(_M.FIRST_STORAGE),
    0x21: Vif(_M.LAST_STORAGE),
    0x22: Vif(_M.STORAGE_BLOCK),
    0x23: Vif(_M.TARIFF_DESCRIPTOR),
    0x2A: Vif(_M.OPERATOR_DATA),
    0x28: Vif(_M.STORAGE_INTERVAL, "month"),
    0x29: Vif(_M.STORAGE_INTERVAL, "year"),
    0x30: Vif(_M.TARIFF_START),
    0x38: Vif(_M.TARIFF_PERIOD, "month"),
    0x39: Vif(_M.TARIFF_PERIOD, "year"),
    0x3A: Vif(_M.DIMENSIONLESS),
    0x60: Vif(_M.RESET_COUNTER),
    0x61: Vif(_M.CUMULATION_COUNTER),
    0x62: Vif(_M.CONTROL_SIGNAL),
    0x63: Vif(_M.WEEKDAY),
    0x64: Vif(_M.WEEK),
    0x65: Vif(_M.DAY_CHANGE),
    0x66: Vif(_M.PARAMETER_ACTIVATION),
    0x67: Vif(_M.SUPPLIER_INFORMATION),
    0x6A: Vif(_M.SINCE_CUMULATION, "month"),
    0x6B: Vif(_M.SINCE_CUMULATION, "year"),
    0x6E: Vif(_M.BATTERY_TIME, "month"),
    0x6F: Vif(_M.BATTERY_TIME, "year"),
    0x70: Vif(_M.BATTERY_CHANGE),
    0x71: Vif(_M.SIGNAL_STRENGTH, "dBm"),
    0x72: Vif(_M.DAYLIGHT_SAVING),
    0x73: Vif(_M.LISTENING_WINDOW),
    0x74: Vif(_M.BATTERY_REMAINING, "s", 0, 86400),
    0x75: Vif(_M.STOPS),
}


def _table(
    rows: tuple[_Row, ...], times: tuple[tuple[int, int, Measurand], ...], single: dict[int, Vif]
) -> dict[int, Vif]:
    table = {
        first + step: Vif(measurand, unit, exponent + step)
        for first, count, measurand, unit, exponent in rows
        for step in range(count)
    }
    for first, left_out, measurand in times:
        for step in range(left_out, 4):
            table[first + step] = Vif(measurand, "s", 0, _TIMES[step])
    return table | single


PRIMARY: Final = _table(_PRIMARY, _PRIMARY_TIMES, _PRIMARY_SINGLE)
"""The VIF itself, without its extension bit."""

FIRST_EXTENSION: Final = _table(_FIRST, (), _FIRST_SINGLE)
"""The VIFE behind FB."""

SECOND_EXTENSION: Final = _table(_SECOND, _SECOND_TIMES, _SECOND_SINGLE)
"""The VIFE behind FD."""

UNKNOWN: Final = Vif(Measurand.UNKNOWN)


class Modifier(StrEnum):
    """What a further VIFE says of a value, beside its scale."""

    FORWARD = "forward"
    BACKWARD = "backward"
    UNCORRECTED = "uncorrected"
    BASE_CONDITIONS = "base_conditions"
    ABSOLUTE = "absolute"
    COMPACT_PROFILE = "compact_profile"
    START_OF = "start_of"
    FUTURE = "future"
    RATE = "rate"
    LIMIT = "limit"
    DURATION_OF = "duration_of"
    DATE_OF = "date_of"
    LEAKAGE = "leakage"
    OVERFLOW = "overflow"
    OTHER_UNITS = "other_units"
    MANUFACTURER = "manufacturer"
    AVERAGE = "average"
    DEVIATION = "deviation"
    STANDARD_CONFORM = "standard_conform"
    OBIS = "obis"
    UNKNOWN = "unknown"


MODIFIERS: Final[dict[int, Modifier]] = {
    0x12: Modifier.AVERAGE,
    0x13: Modifier.COMPACT_PROFILE,
    0x14: Modifier.DEVIATION,
    0x1D: Modifier.STANDARD_CONFORM,
    0x1E: Modifier.COMPACT_PROFILE,
    0x1F: Modifier.COMPACT_PROFILE,
    **dict.fromkeys(range(0x20, 0x39), Modifier.RATE),
    0x39: Modifier.START_OF,
    0x3A: Modifier.UNCORRECTED,
    0x3B: Modifier.FORWARD,
    0x3C: Modifier.BACKWARD,
    0x3D: Modifier.OTHER_UNITS,
    0x3E: Modifier.BASE_CONDITIONS,
    0x3F: Modifier.OBIS,
    # Multiplied by a temperature.
    **dict.fromkeys((0x44, 0x45), Modifier.RATE),
    **dict.fromkeys((0x40, 0x41, 0x48, 0x49), Modifier.LIMIT),
    # 0100 uf1b: date and time of a limit's excess.
    **dict.fromkeys((0x42, 0x43, 0x46, 0x47, 0x4A, 0x4B, 0x4E, 0x4F), Modifier.DATE_OF),
    **dict.fromkeys(range(0x50, 0x68), Modifier.DURATION_OF),
    0x68: Modifier.LIMIT,
    0x69: Modifier.LEAKAGE,
    **dict.fromkeys((0x6A, 0x6B, 0x6E, 0x6F), Modifier.DATE_OF),
    0x6C: Modifier.LIMIT,
    0x6D: Modifier.OVERFLOW,
    0x7E: Modifier.FUTURE,
    0x7F: Modifier.MANUFACTURER,
}
"""Combinable VIFE, without the extension bit. 70 to 7B and 7D only scale (:mod:`record`); 7C has a table of its own."""

RECORD_ERRORS: Final[dict[int, str]] = {
    0x01: "too many DIFE",
    0x02: "storage number not implemented",
    0x03: "unit number not implemented",
    0x04: "tariff number not implemented",
    0x05: "function not implemented",
    0x06: "data class not implemented",
    0x07: "data size not implemented",
    0x0B: "too many VIFE",
    0x0C: "illegal VIF group",
    0x0D: "illegal VIF exponent",
    0x0E: "VIF and DIF do not match",
    0x0F: "action not implemented",
    0x15: "no data available",
    0x16: "data overflow",
    0x17: "data underflow",
    0x18: "data error",
}
"""VIFE by which a meter says that one record has no value (slave to master)."""

PHASES: Final[dict[int, str]] = {
    0x01: "l1",
    0x02: "l2",
    0x03: "l3",
    0x04: "n",
    0x05: "l12",
    0x06: "l23",
    0x07: "l31",
}
"""VIFE behind the VIFE FC: where in a three-phase system."""

ABSOLUTE: Final = 0x10
"""VIFE behind the VIFE FC: positive and negative contributions both count up."""

"""A decoded record beside the one libmbus made of the same bytes."""

from decimal import Decimal
from typing import Final

from linli_core.codecs.mbus import MeterTime, Record
from linli_core.codecs.mbus.values import REAL
from linli_core.codecs.mbus.vif import Measurand
from linli_sim.vectors.mbus_recordings import FUNCTIONS, ExpectedRecord

_MEASURANDS: Final = {
    "Energy": Measurand.ENERGY,
    "Volume": Measurand.VOLUME,
    "Power": Measurand.POWER,
    "Volume flow": Measurand.VOLUME_FLOW,
    "Flow temperature": Measurand.FLOW_TEMPERATURE,
    "Return temperature": Measurand.RETURN_TEMPERATURE,
    "Temperature difference": Measurand.TEMPERATURE_DIFFERENCE,
    "External temperature": Measurand.EXTERNAL_TEMPERATURE,
    "Voltage": Measurand.VOLTAGE,
    "Current": Measurand.CURRENT,
    "H.C.A.": Measurand.HEAT_COST,
    "On time": Measurand.ON_TIME,
    "Operating time": Measurand.OPERATING_TIME,
    "Averaging Duration": Measurand.AVERAGING_DURATION,
    "Actuality Duration": Measurand.ACTUALITY_DURATION,
    "Time point (date)": Measurand.DATE,
    "Time point (date & time)": Measurand.DATE_TIME,
    "Fabrication No": Measurand.FABRICATION_NUMBER,
    "Firmware version": Measurand.FIRMWARE_VERSION,
    "Software version": Measurand.SOFTWARE_VERSION,
    "Model / Version": Measurand.MODEL,
    "Parameter set identification": Measurand.PARAMETER_SET,
    "Customer location": Measurand.CUSTOMER_LOCATION,
    "Error flags": Measurand.ERROR_FLAGS,
    "Digital Input": Measurand.DIGITAL_INPUT,
    "Reset counter": Measurand.RESET_COUNTER,
    "Dimensionless": Measurand.DIMENSIONLESS,
    "Manufacturer specific": Measurand.MANUFACTURER_SPECIFIC,
    "Reserved": Measurand.UNKNOWN,
    "%RH": Measurand.TEXT_UNIT,
    "bat. time": Measurand.TEXT_UNIT,
    "cust. ID": Measurand.TEXT_UNIT,
    "PW": Measurand.TEXT_UNIT,
    "": Measurand.MANUFACTURER_DATA,
}
"""libmbus's word → ours."""

_UNITS: Final = {
    "m^3": "m3",
    "m^3/h": "m3/h",
    "°C": "Cel",
    "Units for H.C.A.": "1",
    "Reserved": "1",
    "": "1",
}
"""libmbus's unit → ours, where they are written differently."""

_NO_UNIT: Final = "-"

_FIXED_STRUCTURE: Final = {
    "l": (Measurand.VOLUME, Decimal("0.001")),
    "reserved but historic": (Measurand.VOLUME, Decimal("0.001")),
}
"""Unit in the fixed structure → measurand, and the factor to ours."""

NO_SUCH_DAY: Final = ("2000-00-00", "1900-01-00T00:00:00Z")
"""What libmbus prints where the meter sends no valid date: to us there is no value."""


def difference(record: Record, expected: ExpectedRecord) -> str:
    """Return how a record differs from what is expected; empty if it does not."""
    return _header_difference(record, expected) or _value_difference(record, expected)


def _header_difference(record: Record, expected: ExpectedRecord) -> str:
    header = record.header
    pairs: list[tuple[str, object, object]] = [("function", int(header.function), FUNCTIONS[expected.function])]
    if expected.quantity is None:
        pairs.append(("measurand", header.measurand, _FIXED_STRUCTURE[expected.unit][0]))
        pairs.append(("storage", header.storage, int(expected.unit == "reserved but historic")))
    else:
        pairs += [
            ("measurand", header.measurand, _MEASURANDS.get(expected.quantity, expected.quantity)),
            ("storage", header.storage, expected.storage),
            ("tariff", header.tariff, expected.tariff),
            ("sub-unit", header.subunit, expected.subunit),
        ]
        if header.measurand is Measurand.TEXT_UNIT:
            pairs.append(("unit", header.unit, expected.quantity))
        elif expected.unit != _NO_UNIT:
            pairs.append(("unit", header.unit, _UNITS.get(expected.unit, expected.unit)))
    return "; ".join(f"{name} {ours}, expected {theirs}" for name, ours, theirs in pairs if ours != theirs)


def _value_difference(record: Record, expected: ExpectedRecord) -> str:
    value, wanted = record.value, expected.value
    if _same_value(record, expected):
        return ""
    shown = value.hex().upper() if isinstance(value, bytes) else value
    return f"value {shown}, expected {wanted} (sent: {record.data[::-1].hex().upper()})"


def _same_value(record: Record, expected: ExpectedRecord) -> bool:
    value, wanted = record.value, expected.value
    if isinstance(value, bytes):
        return value.hex(" ").upper() == wanted
    if isinstance(value, MeterTime):
        return str(value) == str(wanted).removesuffix("Z")
    if value is None:
        return wanted in NO_SUCH_DAY
    if isinstance(value, str) or not isinstance(wanted, Decimal):
        return value == wanted
    if expected.quantity is None:
        wanted *= _FIXED_STRUCTURE[expected.unit][1]
    return abs(value - wanted) <= abs(wanted) / 1_000_000 if record.header.coding == REAL else value == wanted

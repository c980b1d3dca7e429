"""Units as Grafana names them, and what a value of the store is multiplied with to be shown in them.

The store holds each quantity in the vocabulary's unit; people read kWh, bar and litres an hour.
"""

from decimal import Decimal
from typing import Final

from linli_core.units import UnitError, convert
from linli_core.vocabulary import vocabulary
from linli_dashboards.errors import UnknownQuantity

GRAFANA: Final = {
    "": "none",
    "%RH": "humidity",
    "/": "none",
    "/100": "percent",
    "A": "amp",
    "B": "bytes",
    "Cel": "celsius",
    "Hz": "hertz",
    "K": "kelvin",
    "NTU": "suffix: NTU",
    "Pa": "pressurepa",
    "S/m": "suffix: S/m",
    "V": "volt",
    "VA": "voltamp",
    "W": "watt",
    "W/m2": "Wm2",
    "Wh": "watth",
    "bar": "pressurebar",
    "count": "none",
    "dB": "dB",
    "dBm": "dBm",
    "d": "d",
    "deg": "degree",
    "h": "h",
    "kPa": "pressurekpa",
    "kVAh": "suffix: kVAh",
    "kW": "kwatt",
    "kWh": "kwatth",
    "kg": "masskg",
    "kg/s": "suffix: kg/s",
    "l": "litre",
    "l/h": "litreh",
    "lx": "lux",
    "m": "lengthm",
    "m/s": "velocityms",
    "m3": "m3",
    "m3/h": "suffix: m³/h",
    "m3/s": "flowcms",
    "mA": "mamp",
    "mg/l": "suffix: mg/l",
    "mm": "lengthmm",
    "money": "none",
    "pH": "pH",
    "ppm": "ppm",
    "s": "s",
    "share": "percentunit",
    "time": "dateTimeAsIso",
    "ug/m3": "conμgm3",
    "var": "voltampreact",
    "varh": "suffix: varh",
}
"""By the unit that is shown: SenML's or one of the same dimension; ``share`` is 0 to 1, ``time`` milliseconds."""


def unit_of(quantity: str) -> str:
    """Return the unit in which the store holds a quantity; :class:`UnknownQuantity` if the vocabulary lacks it."""
    found = vocabulary().get(quantity)
    if found is None:
        raise UnknownQuantity(quantity)
    return found.unit


def factor(quantity: str, shown: str) -> Decimal:
    """Return what a stored value is multiplied with to be in the unit shown.

    Raises:
        UnknownQuantity: The vocabulary has no such quantity.
        UnitError: The quantity is of another dimension than the unit.
    """
    held = unit_of(quantity)
    if held == shown:
        return Decimal(1)
    if convert(Decimal(0), held, shown) != 0:
        raise UnitError(f"{quantity}: {held} and {shown} begin at different zeros; show it in {held}")
    return convert(Decimal(1), held, shown)

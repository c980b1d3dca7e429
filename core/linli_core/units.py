"""Units of measure and exact conversion between those of one dimension.

Names are those of the SenML registry (IANA "SenML Units"; RFC 8428 §12.1, RFC 8798) where it has one, and what
meters and profiles say besides (``bar``, ``GJ``, ``m3/h``). Factors are exact; only a division can round.
"""

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Final

from linli_core.errors import LinliError

_CONTEXT: Final = Context(prec=28)


class UnitError(LinliError, ValueError):
    """A unit that is unknown, or of another dimension than the one wanted."""


@dataclass(frozen=True, slots=True)
class _Scale:
    dimension: str
    factor: Fraction
    offset: Fraction = Fraction(0)


def _family(dimension: str, **units: str) -> dict[str, _Scale]:
    return {name: _Scale(dimension, Fraction(factor)) for name, factor in units.items()}


_SCALES: Final[dict[str, _Scale]] = {
    **_family("energy", J="1", kJ="1000", MJ="1000000", GJ="1000000000", Wh="3600", kWh="3600000", MWh="3600000000"),
    **_family("reactive energy", varh="1", kvarh="1000", Mvarh="1000000", vars="1/3600"),
    **_family("apparent energy", VAh="1", kVAh="1000", MVAh="1000000", VAs="1/3600"),
    **_family("active power", W="1", kW="1000", MW="1000000", mW="1/1000")
    | {"J/h": _Scale("active power", Fraction(1, 3600))},
    **_family("reactive power", var="1", kvar="1000", Mvar="1000000"),
    **_family("apparent power", VA="1", kVA="1000", MVA="1000000"),
    **_family("voltage", V="1", mV="1/1000", kV="1000"),
    **_family("current", A="1", mA="1/1000", kA="1000"),
    **_family("frequency", Hz="1", mHz="1/1000", kHz="1000", MHz="1000000"),
    **_family("volume", m3="1", l="1/1000", L="1/1000", ml="1/1000000"),
    **{
        name: _Scale("volume flow", Fraction(factor))
        for name, factor in {
            "m3/s": "1",
            "m3/h": "1/3600",
            "m3/min": "1/60",
            "l/s": "1/1000",
            "l/min": "1/60000",
            "l/h": "1/3600000",
        }.items()
    },
    **_family("mass", kg="1", g="1/1000", t="1000"),
    **{name: _Scale("mass flow", Fraction(factor)) for name, factor in {"kg/s": "1", "kg/h": "1/3600"}.items()},
    **_family("pressure", Pa="1", hPa="100", kPa="1000", MPa="1000000", bar="100000", mbar="100"),
    **_family("length", m="1", cm="1/100", mm="1/1000", km="1000"),
    **_family("time", s="1", ms="1/1000", min="60", h="3600", d="86400"),
    **_family("data", B="1", KiB="1024", GB="1000000000"),
    **_family("count", count="1"),
    "K": _Scale("temperature difference", Fraction(1)),
    "Cel": _Scale("temperature", Fraction(1)),
    "degF": _Scale("temperature", Fraction(5, 9), Fraction(-160, 9)),
    "%RH": _Scale("relative humidity", Fraction(1)),
    "/": _Scale("ratio", Fraction(1)),
    "/100": _Scale("ratio", Fraction(1, 100)),
    "/1000": _Scale("ratio", Fraction(1, 1000)),
    "ppm": _Scale("ratio", Fraction(1, 1_000_000)),
    "deg": _Scale("angle", Fraction(1)),
    "rad": _Scale("angle", Fraction("57.29577951308232")),
    "ug/m3": _Scale("mass concentration", Fraction(1)),
    "mg/m3": _Scale("mass concentration", Fraction(1000)),
    "mg/l": _Scale("dissolved concentration", Fraction(1)),
    "NTU": _Scale("turbidity", Fraction(1)),
    "pH": _Scale("acidity", Fraction(1)),
    "S/m": _Scale("conductivity", Fraction(1)),
    "lx": _Scale("illuminance", Fraction(1)),
    "dB": _Scale("level", Fraction(1)),
    "dBm": _Scale("power level", Fraction(1)),
    "m/s": _Scale("speed", Fraction(1)),
    "km/h": _Scale("speed", Fraction(5, 18)),
    "W/m2": _Scale("irradiance", Fraction(1)),
}


def is_unit(name: str) -> bool:
    """Tell whether a unit is known here."""
    return name in _SCALES


def alike(unit: str) -> tuple[str, ...]:
    """Return the units of the same dimension, itself included; none for an unknown one."""
    scale = _SCALES.get(unit)
    return tuple(name for name, other in _SCALES.items() if scale and other.dimension == scale.dimension)


def convert(value: Decimal, source: str, target: str) -> Decimal:
    """Return a value in another unit of the same dimension, exact where the factor has finitely many digits.

    Raises:
        UnitError: A unit is unknown, or the two measure different things.
    """
    if source == target:
        return value
    try:
        one, two = _SCALES[source], _SCALES[target]
    except KeyError as exc:
        raise UnitError(f"{exc.args[0]!r} is no unit known here") from None
    if one.dimension != two.dimension:
        raise UnitError(f"{source} measures {one.dimension}, {target} {two.dimension}")
    factor = one.factor / two.factor
    offset = (one.offset - two.offset) / two.factor
    product = _CONTEXT.multiply(value, Decimal(factor.numerator))
    if factor.denominator != 1:
        product = _CONTEXT.divide(product, Decimal(factor.denominator))
    if offset:
        product = _CONTEXT.add(product, _CONTEXT.divide(Decimal(offset.numerator), Decimal(offset.denominator)))
    return product

"""SunSpec models as register maps: which of a model's points are quantities of our vocabulary, and where they stand.

Offsets count from the model's id register. Facts of the SunSpec information models 1, 101 to 103, 111 to 113, 201 to
204 and 211 to 214; written down here by hand and compared with another implementation's definitions in the tests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from linli_core.model import Phase
from linli_edge.drivers.modbus.register_map import SUNSPEC_ABSENT, scale_factor
from linli_edge.drivers.modbus.registers import DataType, MappedPoint, RegisterTable

COMMON: Final = 1
COMMON_TEXTS: Final = {"maker": (2, 16), "model": (18, 16), "version": (42, 8), "serial": (50, 16)}
"""Texts of model 1: offset and registers."""

INVERTERS: Final = frozenset({101, 102, 103, 111, 112, 113})
METERS: Final = frozenset({201, 202, 203, 204, 211, 212, 213, 214})

STATES: Final[Mapping[int, str | int | bool]] = {
    1: "off",
    2: "sleeping",
    3: "starting",
    4: "mppt",
    5: "throttled",
    6: "shutting_down",
    7: "fault",
    8: "standby",
}
"""Operating states of an inverter (models 101 to 113, point St)."""


@dataclass(frozen=True, slots=True)
class Place:
    """One point of a model.

    Attributes:
        offset: Register, from the model's id on.
        quantity: Name in the vocabulary.
        kind: How it is written.
        scale: Offset of its scale factor; 0: none.
        phase: Electrical phase.
        channel: Tells several sensors of one inverter apart.
        unit: Vocabulary units per SunSpec unit.
        counter: Whether 0 means "not accumulated".
    """

    offset: int
    quantity: str
    kind: DataType
    scale: int = 0
    phase: Phase | None = None
    channel: int | None = None
    unit: Fraction = Fraction(1)
    counter: bool = False


_I, _U, _A, _F = DataType.INT16, DataType.UINT16, DataType.UINT32, DataType.FLOAT32
_PERCENT: Final = Fraction(1, 100)
_KILO: Final = Fraction(1, 1000)
_LEGS: Final = (Phase.L1, Phase.L2, Phase.L3)
_PAIRS: Final = (Phase.L12, Phase.L23, Phase.L31)
_TOTAL_AND_LEGS: Final = (None, *_LEGS)


def _run(
    offset: int,
    quantity: str,
    kind: DataType,
    phases: tuple[Phase | None, ...],
    *,
    scale: int = 0,
    unit: Fraction = Fraction(1),
    counter: bool = False,
) -> Iterator[Place]:
    """Yield points that stand one behind the other, one for each phase."""
    for number, phase in enumerate(phases):
        yield Place(offset + number * kind.registers, quantity, kind, scale, phase, None, unit, counter)


def _temperatures(offset: int, kind: DataType, scale: int) -> Iterator[Place]:
    """Yield cabinet, heat sink, transformer and another, as channels none, 1, 2 and 3."""
    for number, channel in enumerate((None, 1, 2, 3)):
        yield Place(offset + number * kind.registers, "temperature", kind, scale, None, channel)


_INVERTER_INT: Final = (
    *_run(2, "current", _U, _TOTAL_AND_LEGS, scale=6),
    *_run(7, "voltage", _U, _PAIRS, scale=13),
    *_run(10, "voltage", _U, _LEGS, scale=13),
    Place(14, "active_power", _I, 15),
    Place(16, "frequency", _U, 17),
    Place(18, "apparent_power", _I, 19),
    Place(20, "reactive_power", _I, 21),
    Place(22, "power_factor", _I, 23, unit=_PERCENT),
    Place(24, "energy_export", _A, 26, counter=True),
    Place(27, "dc_current", _U, 28),
    Place(29, "dc_voltage", _U, 30),
    Place(31, "dc_power", _I, 32),
    *_temperatures(33, _I, 37),
    Place(38, "inverter_state", _U),
)
_INVERTER_FLOAT: Final = (
    *_run(2, "current", _F, _TOTAL_AND_LEGS),
    *_run(10, "voltage", _F, _PAIRS),
    *_run(16, "voltage", _F, _LEGS),
    Place(22, "active_power", _F),
    Place(24, "frequency", _F),
    Place(26, "apparent_power", _F),
    Place(28, "reactive_power", _F),
    Place(30, "power_factor", _F, unit=_PERCENT),
    Place(32, "energy_export", _F, counter=True),
    Place(34, "dc_current", _F),
    Place(36, "dc_voltage", _F),
    Place(38, "dc_power", _F),
    *_temperatures(40, _F, 0),
    Place(48, "inverter_state", _U),
)
_METER_INT: Final = (
    *_run(2, "current", _I, _TOTAL_AND_LEGS, scale=6),
    *_run(7, "voltage", _I, _TOTAL_AND_LEGS, scale=15),
    *_run(12, "voltage", _I, _PAIRS, scale=15),
    Place(16, "frequency", _I, 17),
    *_run(18, "active_power", _I, _TOTAL_AND_LEGS, scale=22),
    *_run(23, "apparent_power", _I, _TOTAL_AND_LEGS, scale=27),
    *_run(28, "reactive_power", _I, _TOTAL_AND_LEGS, scale=32),
    *_run(33, "power_factor", _I, _TOTAL_AND_LEGS, scale=37, unit=_PERCENT),
    *_run(38, "energy_export", _A, _TOTAL_AND_LEGS, scale=54, counter=True),
    *_run(46, "energy_import", _A, _TOTAL_AND_LEGS, scale=54, counter=True),
    *_run(55, "apparent_energy_export", _A, _TOTAL_AND_LEGS, scale=71, unit=_KILO, counter=True),
    *_run(63, "apparent_energy", _A, _TOTAL_AND_LEGS, scale=71, unit=_KILO, counter=True),
    *_run(72, "reactive_energy_q1", _A, _TOTAL_AND_LEGS, scale=104, counter=True),
    *_run(80, "reactive_energy_q2", _A, _TOTAL_AND_LEGS, scale=104, counter=True),
    *_run(88, "reactive_energy_q3", _A, _TOTAL_AND_LEGS, scale=104, counter=True),
    *_run(96, "reactive_energy_q4", _A, _TOTAL_AND_LEGS, scale=104, counter=True),
)
_METER_FLOAT: Final = (
    *_run(2, "current", _F, _TOTAL_AND_LEGS),
    *_run(10, "voltage", _F, _TOTAL_AND_LEGS),
    *_run(20, "voltage", _F, _PAIRS),
    Place(26, "frequency", _F),
    *_run(28, "active_power", _F, _TOTAL_AND_LEGS),
    *_run(36, "apparent_power", _F, _TOTAL_AND_LEGS),
    *_run(44, "reactive_power", _F, _TOTAL_AND_LEGS),
    *_run(52, "power_factor", _F, _TOTAL_AND_LEGS),
    *_run(60, "energy_export", _F, _TOTAL_AND_LEGS),
    *_run(68, "energy_import", _F, _TOTAL_AND_LEGS),
    *_run(76, "apparent_energy_export", _F, _TOTAL_AND_LEGS, unit=_KILO),
    *_run(84, "apparent_energy", _F, _TOTAL_AND_LEGS, unit=_KILO),
    *_run(92, "reactive_energy_q1", _F, _TOTAL_AND_LEGS),
    *_run(100, "reactive_energy_q2", _F, _TOTAL_AND_LEGS),
    *_run(108, "reactive_energy_q3", _F, _TOTAL_AND_LEGS),
    *_run(116, "reactive_energy_q4", _F, _TOTAL_AND_LEGS),
)

MODELS: Final[Mapping[int, tuple[int, tuple[Place, ...]]]] = {
    **dict.fromkeys((101, 102, 103), (50, _INVERTER_INT)),
    **dict.fromkeys((111, 112, 113), (60, _INVERTER_FLOAT)),
    **dict.fromkeys((201, 202, 203, 204), (105, _METER_INT)),
    **dict.fromkeys((211, 212, 213, 214), (124, _METER_FLOAT)),
}
"""For each model: its length (registers behind id and length), and its points."""


def entries(model: int, address: int, table: RegisterTable, where: str) -> list[MappedPoint]:
    """Return a model's register map, its id standing at ``address``."""
    return [_entry(place, address, table, where) for place in MODELS[model][1]]


def _entry(place: Place, address: int, table: RegisterTable, where: str) -> MappedPoint:
    absent = frozenset({0xFFFF}) if place.quantity == "inverter_state" else frozenset[int]()
    if place.kind.kind == "int" and not absent:
        # An accumulator that has not begun is 0; the others have a code of their own.
        absent = frozenset({0 if place.counter else SUNSPEC_ABSENT[place.kind]})
    scaled = (scale_factor(address + place.scale, table, where),) if place.scale else ()
    return MappedPoint(
        where=where,
        quantity=place.quantity,
        table=table,
        address=address + place.offset,
        count=place.kind.registers,
        kind=place.kind,
        factor=place.unit,
        states=STATES if place.quantity == "inverter_state" else None,
        absent=absent,
        nan_is_absent=True,
        multipliers=scaled,
        phase=place.phase,
        channel=place.channel,
    )

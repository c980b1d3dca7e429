"""The data identifiers of DL/T 645-1997, as data and as the rules they are made by ("data identifiers", annex A).

An identifier is DI1 DI0, here one number. DI1 9x is energy, Ax demand, Bx times of demand and variables, Cx parameters;
its low digit says active or reactive and which month: 90 now, 94 last month, 98 the month before. ``F`` as the last
digit names the block of all there are: 901F is the total and every tariff.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from linli_core.codecs.dlt645.control import Edition
from linli_core.codecs.dlt645.item import (
    DATE_AND_WEEKDAY,
    ENERGY,
    MINUTE_OF_YEAR,
    TIME,
    Coding,
    Format,
    Item,
    digits,
    number,
)
from linli_core.model import Phase, Statistic

_1997: Final = Edition.E1997
_CLAUSE: Final = "DL/T 645-1997 annex A"

BLOCK: Final = 0xF
TARIFFS: Final = 14
END_OF_BLOCK: Final = b"\xaa"
"""What some meters send behind the last value of a block."""

_ACTIVE: Final = {
    1: ("energy_import", "正向有功电能", "forward active energy", "demand_import_maximum"),
    2: ("energy_export", "反向有功电能", "reverse active energy", "demand_export_maximum"),
}
_REACTIVE: Final = {
    1: ("reactive_energy_import", "正向无功电能", "forward reactive energy", "reactive_demand_import_maximum"),
    2: ("reactive_energy_export", "反向无功电能", "reverse reactive energy", "reactive_demand_export_maximum"),
    3: ("reactive_energy_q1", "一象限无功电能", "reactive energy, quadrant 1", "reactive_demand_q1_maximum"),
    4: ("reactive_energy_q4", "四象限无功电能", "reactive energy, quadrant 4", "reactive_demand_q4_maximum"),
    5: ("reactive_energy_q2", "二象限无功电能", "reactive energy, quadrant 2", "reactive_demand_q2_maximum"),
    6: ("reactive_energy_q3", "三象限无功电能", "reactive energy, quadrant 3", "reactive_demand_q3_maximum"),
}
"""High digit of DI0: quantity, names, quantity of its maximum demand."""

_MONTHS: Final = {0: (None, "当前", ""), 1: (1, "上月", ", last month"), 2: (2, "上上月", ", the month before last")}
_DEMAND: Final = number(3, 4)


class _Variable(NamedTuple):
    form: Format
    unit: str
    quantity: str
    zh: str
    en: str
    first: int


_VARIABLES: Final = {
    0xB61: _Variable(number(2), "V", "voltage", "电压", "voltage", 1),
    0xB62: _Variable(number(2, 2), "A", "current", "电流", "current", 1),
    0xB63: _Variable(number(3, 4), "kW", "active_power", "瞬时有功功率", "active power", 0),
    0xB64: _Variable(number(2, 2), "kvar", "reactive_power", "瞬时无功功率", "reactive power", 0),
    0xB65: _Variable(number(2, 3), "/", "power_factor", "功率因数", "power factor", 0),
}
"""The first three digits; the last one is the phase, 0 the total; ``first`` is the lowest there is."""


class _Row(NamedTuple):
    form: Format
    unit: str
    quantity: str
    zh: str
    en: str
    channel: int | None = None


_PARAMETERS: Final = {
    0xC010: _Row(DATE_AND_WEEKDAY, "", "meter_date", "日期及星期", "date and weekday"),
    0xC011: _Row(TIME, "", "meter_time", "时间", "time"),
    0xC020: _Row(Format(Coding.WORD, 1), "", "state_word", "电表运行状态字", "meter's state word", 1),
    0xC021: _Row(Format(Coding.WORD, 1), "", "state_word", "电网状态字", "grid's state word", 2),
    0xC030: _Row(digits(3), "", "nameplate", "电表常数（有功）", "active constant, imp/kWh", 9),
    0xC031: _Row(digits(3), "", "nameplate", "电表常数（无功）", "reactive constant, imp/kvarh", 10),
    0xC032: _Row(digits(6), "", "serial_number", "表号", "meter number"),
    0xC033: _Row(digits(6), "", "nameplate", "用户号", "customer number", 14),
    0xC034: _Row(digits(6), "", "meter_address", "设备码", "device code"),
    0xB214: _Row(number(3), "min", "battery_operating_time", "电池工作时间", "battery's working time"),
}

_PHASES: Final = {1: Phase.L1, 2: Phase.L2, 3: Phase.L3}


def layout(identifier: int) -> tuple[Item, ...]:
    """Return the values that an identifier names, in the order they are sent; none where the table has none."""
    if row := _PARAMETERS.get(identifier):
        form, unit, quantity, zh, en, channel = row
        return (Item(_1997, identifier, form, quantity, unit, zh, en, _CLAUSE, channel=channel),)
    if family := _VARIABLES.get(identifier >> 4):
        return tuple(_variable(identifier, family))
    find = _CLASSES.get(identifier >> 12)
    return tuple(find(identifier)) if find else ()


def _variable(identifier: int, family: _Variable) -> Iterator[Item]:
    for place in _span(identifier & 0xF, 3, first=family.first):
        phase = _PHASES.get(place)
        zh = f"{'ABC'[place - 1]}相" if phase else "总"
        en = f", phase {'ABC'[place - 1]}" if phase else ""
        yield Item(
            _1997,
            identifier & 0xFFF0 | place,
            family.form,
            family.quantity,
            family.unit,
            f"{zh}{family.zh}",
            f"{family.en}{en}",
            _CLAUSE,
            phase=phase,
        )


def _energy(identifier: int) -> Iterator[Item]:
    yield from _months(identifier, 0)


def _demand(identifier: int) -> Iterator[Item]:
    yield from _months(identifier, 1)


def _demand_time(identifier: int) -> Iterator[Item]:
    yield from _months(identifier, 2)


def _months(identifier: int, what: int) -> Iterator[Item]:
    """Energies, their demands and the times of those are numbered alike."""
    month, kind = divmod(identifier >> 8 & 0xF, 4)
    names = (_ACTIVE, _REACTIVE)[kind].get(identifier >> 4 & 0xF) if kind < 2 else None
    if names is None or month not in _MONTHS:
        return
    storage, month_zh, month_en = _MONTHS[month]
    quantity, zh, en, demand = names
    for tariff in _span(identifier & 0xF, TARIFFS):
        unit = ("kWh", "kvarh")[kind]
        form, words = ENERGY, (zh, en)
        channel: int | None = None
        statistic: Statistic | None = None
        if what == 1:
            form, quantity, unit = _DEMAND, demand, ("kW", "kvar")[kind]
            words = (f"{zh.removesuffix('电能')}最大需量", f"maximum demand of {en}")
        elif what == 2:
            form, quantity, unit = MINUTE_OF_YEAR, "meter_time", ""
            words = (f"{zh.removesuffix('电能')}最大需量发生时间", f"time of the maximum demand of {en}")
            channel, statistic = kind << 4 | identifier >> 4 & 0xF, Statistic.MAXIMUM
        yield Item(
            _1997,
            identifier & 0xFFF0 | tariff,
            form,
            quantity,
            unit,
            f"（{month_zh}）{words[0]}{f'（费率{tariff}）' if tariff else '（总）'}",
            f"{words[1]}{f', tariff {tariff}' if tariff else ''}{month_en}",
            _CLAUSE,
            channel=channel,
            tariff=tariff or None,
            storage=storage,
            statistic=statistic,
        )


_CLASSES: Final = {0x9: _energy, 0xA: _demand, 0xB: _demand_time}


def _span(digit: int, last: int, *, first: int = 0) -> range:
    if digit == BLOCK:
        return range(first, last + 1)
    return range(digit, digit + 1) if first <= digit <= last else range(0)

"""The data identifiers of DL/T 645-2007, annex A, as data and as the rules they are made by.

An identifier is DI3 DI2 DI1 DI0, here one number: DI3 is the class (table A.1 energy, A.2 demand, A.3 variables, A.4
events, A.5 parameters, A.6 freezes). ``FF`` in a byte names the block of all there are: 0001FF00 is the total and
every tariff, 0201FF00 the voltages of the three phases.

What this table does not hold (load records, event details, settings) is kept raw.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from linli_core.codecs.dlt645.control import Edition
from linli_core.codecs.dlt645.item import (
    DATE_AND_TIME,
    DATE_AND_WEEKDAY,
    DEMAND,
    ENERGY,
    MINUTE,
    SIGNED_ENERGY,
    TIME,
    WORD,
    Format,
    Item,
    digits,
    number,
    signed,
    text,
)
from linli_core.model import Phase, Statistic

_2007: Final = Edition.E2007

BLOCK: Final = 0xFF
TARIFFS: Final = 63
SETTLEMENTS: Final = 12

FREEZE_STORAGE: Final = 1000
"""Storage number of the last freeze of kind ``n`` (DI2): 1000 × (n + 1) + how many freezes ago."""

PHASES: Final = {1: Phase.L1, 2: Phase.L2, 3: Phase.L3}


class _Family(NamedTuple):
    quantity: str
    zh: str
    en: str


_ENERGIES: Final = {
    0x00: _Family("energy_combined", "组合有功电能", "combined active energy"),
    0x01: _Family("energy_import", "正向有功电能", "forward active energy"),
    0x02: _Family("energy_export", "反向有功电能", "reverse active energy"),
    0x03: _Family("reactive_energy_combined_1", "组合无功1电能", "combined reactive energy 1"),
    0x04: _Family("reactive_energy_combined_2", "组合无功2电能", "combined reactive energy 2"),
    0x05: _Family("reactive_energy_q1", "第一象限无功电能", "reactive energy, quadrant 1"),
    0x06: _Family("reactive_energy_q2", "第二象限无功电能", "reactive energy, quadrant 2"),
    0x07: _Family("reactive_energy_q3", "第三象限无功电能", "reactive energy, quadrant 3"),
    0x08: _Family("reactive_energy_q4", "第四象限无功电能", "reactive energy, quadrant 4"),
    0x09: _Family("apparent_energy", "正向视在电能", "forward apparent energy"),
    0x0A: _Family("apparent_energy_export", "反向视在电能", "reverse apparent energy"),
    0x80: _Family("energy_associated", "关联总电能", "associated energy"),
    0x81: _Family("energy_import_fundamental", "正向有功基波电能", "forward active energy, fundamental"),
    0x82: _Family("energy_export_fundamental", "反向有功基波电能", "reverse active energy, fundamental"),
    0x83: _Family("energy_import_harmonic", "正向有功谐波电能", "forward active energy, harmonics"),
    0x84: _Family("energy_export_harmonic", "反向有功谐波电能", "reverse active energy, harmonics"),
    0x85: _Family("energy_copper_loss", "铜损有功总电能补偿量", "active energy, copper loss"),
    0x86: _Family("energy_iron_loss", "铁损有功总电能补偿量", "active energy, iron loss"),
}
"""DI2 of table A.1, of all phases together."""

_PHASE_STEP: Final = 0x14
"""The same energies of phase A, B, C lie 14, 28 and 3C (hexadecimal) further, from 01 and from 80 on."""

_SIGNED_ENERGIES: Final = frozenset({0x00, 0x03, 0x04, 0x80})
_REACTIVE: Final = range(0x03, 0x09)
_APPARENT: Final = range(0x09, 0x0B)

_DEMANDS: Final = {
    0x01: _Family("demand_import_maximum", "正向有功最大需量", "maximum forward active demand"),
    0x02: _Family("demand_export_maximum", "反向有功最大需量", "maximum reverse active demand"),
    0x03: _Family("reactive_demand_combined_1_maximum", "组合无功1最大需量", "maximum combined reactive demand 1"),
    0x04: _Family("reactive_demand_combined_2_maximum", "组合无功2最大需量", "maximum combined reactive demand 2"),
    0x05: _Family("reactive_demand_q1_maximum", "第一象限无功最大需量", "maximum reactive demand, quadrant 1"),
    0x06: _Family("reactive_demand_q2_maximum", "第二象限无功最大需量", "maximum reactive demand, quadrant 2"),
    0x07: _Family("reactive_demand_q3_maximum", "第三象限无功最大需量", "maximum reactive demand, quadrant 3"),
    0x08: _Family("reactive_demand_q4_maximum", "第四象限无功最大需量", "maximum reactive demand, quadrant 4"),
    0x09: _Family("apparent_demand_import_maximum", "正向视在最大需量", "maximum forward apparent demand"),
    0x0A: _Family("apparent_demand_export_maximum", "反向视在最大需量", "maximum reverse apparent demand"),
}
"""DI2 of table A.2."""


class _Variable(NamedTuple):
    form: Format
    unit: str
    quantity: str
    zh: str
    en: str
    first: int


_VARIABLES: Final = {
    0x01: _Variable(number(2, 1), "V", "voltage", "电压", "voltage", 1),
    0x02: _Variable(signed(3, 3), "A", "current", "电流", "current", 1),
    0x03: _Variable(signed(3, 4), "kW", "active_power", "瞬时有功功率", "active power", 0),
    0x04: _Variable(signed(3, 4), "kvar", "reactive_power", "瞬时无功功率", "reactive power", 0),
    0x05: _Variable(signed(3, 4), "kVA", "apparent_power", "瞬时视在功率", "apparent power", 0),
    0x06: _Variable(signed(2, 3), "/", "power_factor", "功率因数", "power factor", 0),
    0x07: _Variable(number(2, 1), "deg", "phase_angle", "相角", "phase angle", 1),
    0x08: _Variable(number(2, 2), "/100", "voltage_thd", "电压波形失真度", "voltage distortion", 1),
    0x09: _Variable(number(2, 2), "/100", "current_thd", "电流波形失真度", "current distortion", 1),
}
"""DI2 of table A.3; DI1 is the phase, 0 the total; ``first`` is the lowest there is."""

_HARMONICS: Final = {
    0x0A: _Variable(number(2, 2), "/100", "voltage_harmonic", "电压谐波含量", "voltage harmonic", 1),
    0x0B: _Variable(number(2, 2), "/100", "current_harmonic", "电流谐波含量", "current harmonic", 1),
}
"""The same, with the order of the harmonic (1 to 21) in DI0."""

_HARMONIC_ORDERS: Final = 21


class _Row(NamedTuple):
    form: Format
    unit: str
    quantity: str
    zh: str
    en: str
    phase: Phase | None = None
    channel: int | None = None
    statistic: Statistic | None = None


_OTHERS: Final = {
    0x01: _Row(signed(3, 3), "A", "current", "零线电流", "neutral current", Phase.N),
    0x02: _Row(number(2, 2), "Hz", "frequency", "电网频率", "frequency"),
    0x03: _Row(
        signed(3, 4),
        "kW",
        "active_power",
        "一分钟有功总平均功率",
        "active power, mean of a minute",
        None,
        None,
        Statistic.AVERAGE,
    ),
    0x04: _Row(signed(3, 4), "kW", "demand_import", "当前有功需量", "present active demand"),
    0x05: _Row(signed(3, 4), "kvar", "reactive_demand", "当前无功需量", "present reactive demand"),
    0x06: _Row(signed(3, 4), "kVA", "apparent_demand", "当前视在需量", "present apparent demand"),
    0x07: _Row(signed(2, 1), "Cel", "meter_temperature", "表内温度", "temperature in the meter"),
    0x08: _Row(number(2, 2), "V", "battery_voltage", "时钟电池电压", "clock battery's voltage", None, 1),
    0x09: _Row(number(2, 2), "V", "battery_voltage", "停电抄表电池电压", "readout battery's voltage", None, 2),
    0x0A: _Row(number(4), "min", "battery_operating_time", "内部电池工作时间", "battery's working time"),
}
"""DI0 of 028000xx."""

_PREPAID: Final = {
    0x00900100: _Row(ENERGY, "kWh", "energy_remaining", "剩余电量", "energy left"),
    0x00900101: _Row(ENERGY, "kWh", "energy_overdrawn", "透支电量", "energy overdrawn"),
    0x00900200: _Row(ENERGY, "", "purchase_balance", "剩余金额", "balance"),
    0x00900201: _Row(ENERGY, "", "purchase_overdrawn", "透支金额", "money overdrawn"),
}
"""Of prepaid meters; not in the standard itself but in its later supplement."""

_PARAMETERS: Final = {
    0x04000101: _Row(DATE_AND_WEEKDAY, "", "meter_date", "日期及星期", "date and weekday"),
    0x04000102: _Row(TIME, "", "meter_time", "时间", "time"),
    0x0400010C: _Row(DATE_AND_TIME, "", "meter_time", "日期时间", "date and time"),
    0x04000401: _Row(digits(6), "", "meter_address", "通信地址", "communication address"),
    0x04000402: _Row(digits(6), "", "serial_number", "表号", "meter number"),
    0x04000403: _Row(text(32), "", "nameplate", "资产管理编码", "asset number", None, 3),
    0x04000404: _Row(text(6), "", "nameplate", "额定电压", "rated voltage", None, 4),
    0x04000405: _Row(text(6), "", "nameplate", "额定电流/基本电流", "rated current", None, 5),
    0x04000406: _Row(text(6), "", "nameplate", "最大电流", "maximum current", None, 6),
    0x04000407: _Row(text(4), "", "nameplate", "有功准确度等级", "active accuracy class", None, 7),
    0x04000408: _Row(text(4), "", "nameplate", "无功准确度等级", "reactive accuracy class", None, 8),
    0x04000409: _Row(digits(3), "", "nameplate", "电表有功常数", "active constant, imp/kWh", None, 9),
    0x0400040A: _Row(digits(3), "", "nameplate", "电表无功常数", "reactive constant, imp/kvarh", None, 10),
    0x0400040B: _Row(text(10), "", "nameplate", "电表型号", "model", None, 11),
    0x0400040C: _Row(text(10), "", "nameplate", "生产日期", "date of production", None, 12),
    0x0400040D: _Row(text(16), "", "nameplate", "协议版本号", "protocol version", None, 13),
    0x0400040E: _Row(digits(6), "", "nameplate", "客户编号", "customer number", None, 14),
    0x04800001: _Row(text(32), "", "software_version", "厂家软件版本号", "maker's software version"),
    0x04800002: _Row(text(32), "", "hardware_version", "厂家硬件版本号", "maker's hardware version"),
    0x04800003: _Row(text(32), "", "nameplate", "厂家编号", "maker's number", None, 15),
}
"""Table A.5, what a reader wants of it; settings are not readings."""

STATE_WORDS: Final = 7

_EVENTS_OF_PHASES: Final = {
    0x01: ("失压", "voltage lost"),
    0x02: ("欠压", "undervoltage"),
    0x03: ("过压", "overvoltage"),
    0x04: ("断相", "phase failure"),
    0x0B: ("失流", "current lost"),
    0x0C: ("过流", "overcurrent"),
    0x0D: ("断流", "current interrupted"),
    0x0E: ("潮流反向", "power reversed"),
    0x0F: ("过载", "overload"),
}
"""DI2 of 03xx0000: how often and how many minutes, of each phase (table A.4)."""

_EVENTS_OF_METER: Final = {
    0x05: ("全失压", "all voltages lost"),
    0x06: ("辅助电源失电", "auxiliary supply lost"),
    0x07: ("电压逆相序", "voltage sequence reversed"),
    0x08: ("电流逆相序", "current sequence reversed"),
    0x09: ("电压不平衡", "voltage unbalance"),
    0x0A: ("电流不平衡", "current unbalance"),
}
"""The same, of the meter as a whole."""

_COUNTS: Final = {
    0x1100: ("掉电", "supply failures"),
    0x3000: ("编程", "programmings"),
    0x3001: ("电表清零", "meter clearings"),
    0x3002: ("需量清零", "demand clearings"),
    0x3003: ("事件清零", "event clearings"),
    0x3004: ("校时", "clock settings"),
    0x300D: ("开表盖", "meter cover openings"),
    0x300E: ("开端钮盒", "terminal cover openings"),
}
"""DI2 DI1 of 03xxxx00: how often."""

_FREEZES: Final = {
    0x00: ("定时冻结", "timed freeze"),
    0x01: ("瞬时冻结", "instant freeze"),
    0x02: ("两套时区表切换冻结", "freeze at change of year zones"),
    0x03: ("两套日时段表切换冻结", "freeze at change of day slots"),
    0x04: ("整点冻结", "hourly freeze"),
    0x05: ("两套费率电价切换冻结", "freeze at change of tariff prices"),
    0x06: ("日冻结", "daily freeze"),
    0x07: ("两套阶梯切换冻结", "freeze at change of step prices"),
}
"""DI2 of table A.6."""

_FROZEN_ENERGIES: Final = range(0x01, 0x09)
_FROZEN_DEMANDS: Final = {0x09: 0x01, 0x0A: 0x02}
_FROZEN_VARIABLES: Final = 0x10


def layout(identifier: int) -> tuple[Item, ...]:
    """Return the values that an identifier names, in the order they are sent; none where the table has none.

    Of a block it is the longest there may be: a meter sends as many of its values as it has.
    """
    bytes_of = identifier.to_bytes(4, "big")
    find = _CLASSES.get(bytes_of[0])
    return tuple(find(*bytes_of)) if find else ()


def _energy(di3: int, di2: int, di1: int, di0: int) -> Iterator[Item]:
    if row := _PREPAID.get(_joined(di3, di2, di1, di0)):
        yield _of_row(_joined(di3, di2, di1, di0), row, "DL/T 645-2007, supplement")
        return
    code, phase = _energy_kind(di2)
    family = _ENERGIES.get(code)
    if family is None or (phase is not None and di1):
        return
    form = SIGNED_ENERGY if code in _SIGNED_ENERGIES else ENERGY
    for tariff in _span(di1, TARIFFS):
        for settlement in _span(di0, SETTLEMENTS):
            yield Item(
                _2007,
                _joined(di3, di2, tariff, settlement),
                form,
                family.quantity,
                _energy_unit(code),
                f"{_settlement_zh(settlement)}{_phase_zh(phase)}{family.zh}{_tariff_zh(tariff)}",
                f"{family.en}{_phase_en(phase)}{_tariff_en(tariff)}{_settlement_en(settlement)}",
                "DL/T 645-2007 annex A, table A.1",
                phase=phase,
                tariff=tariff or None,
                storage=settlement or None,
            )


def _demand(di3: int, di2: int, di1: int, di0: int) -> Iterator[Item]:
    code, phase = _energy_kind(di2)
    family = _DEMANDS.get(code)
    if family is None or (phase is not None and di1):
        return
    for tariff in _span(di1, TARIFFS):
        for settlement in _span(di0, SETTLEMENTS):
            yield Item(
                _2007,
                _joined(di3, di2, tariff, settlement),
                DEMAND,
                family.quantity,
                _power_unit(code),
                f"{_settlement_zh(settlement)}{_phase_zh(phase)}{family.zh}及发生时间{_tariff_zh(tariff)}",
                f"{family.en} and its time{_phase_en(phase)}{_tariff_en(tariff)}{_settlement_en(settlement)}",
                "DL/T 645-2007 annex A, table A.2",
                phase=phase,
                tariff=tariff or None,
                storage=settlement or None,
            )


def _variable(di3: int, di2: int, di1: int, di0: int) -> Iterator[Item]:
    clause = "DL/T 645-2007 annex A, table A.3"
    if di2 == 0x80 and di1 == 0:
        for place in _span(di0, max(_OTHERS), first=1):
            if row := _OTHERS.get(place):
                yield _of_row(_joined(di3, di2, di1, place), row, clause)
        return
    harmonic = _HARMONICS.get(di2)
    family = harmonic or _VARIABLES.get(di2)
    if family is None or (harmonic is None and di0):
        return
    for phase in _span(di1, 3, first=family.first):
        for order in _span(di0, _HARMONIC_ORDERS, first=1) if harmonic else (0,):
            where = PHASES.get(phase)
            total = "总" if family.first == 0 else ""
            yield Item(
                _2007,
                _joined(di3, di2, phase, order),
                family.form,
                family.quantity,
                family.unit,
                f"{_phase_zh(where) or total}{family.zh}{f'（{order}次）' if order else ''}",
                f"{family.en}{_phase_en(where)}{f', order {order}' if order else ''}",
                clause,
                phase=where,
                channel=order or None,
            )


def _event(di3: int, di2: int, di1: int, di0: int) -> Iterator[Item]:
    if di0:
        return
    identifier = _joined(di3, di2, di1, di0)
    clause = "DL/T 645-2007 annex A, table A.4"
    channel = di2 << 8 | di1
    if names := _COUNTS.get(channel):
        zh, en = f"{names[0]}总次数", f"{names[1]}, how often"
        yield Item(_2007, identifier, number(3), "event_count", "count", zh, en, clause, channel=channel)
        return
    of_phases = _EVENTS_OF_PHASES.get(di2)
    names = of_phases or _EVENTS_OF_METER.get(di2)
    if names is None or di1:
        return
    for phase in PHASES.values() if of_phases else (None,):
        zh, en = f"{_phase_zh(phase)}{names[0]}", f"{names[1]}{_phase_en(phase)}"
        yield Item(
            _2007,
            identifier,
            number(3),
            "event_count",
            "count",
            f"{zh}总次数",
            f"{en}, how often",
            clause,
            phase,
            channel,
        )
        yield Item(
            _2007,
            identifier,
            number(3),
            "event_duration",
            "min",
            f"{zh}总累计时间",
            f"{en}, how long",
            clause,
            phase,
            channel,
        )


def _parameter(di3: int, di2: int, di1: int, di0: int) -> Iterator[Item]:
    clause = "DL/T 645-2007 annex A, table A.5"
    if (di2, di1) == (0x00, 0x05):
        for word in _span(di0, STATE_WORDS, first=1):
            zh, en = f"电表运行状态字{word}", f"state word {word}"
            identifier = _joined(di3, di2, di1, word)
            yield Item(_2007, identifier, WORD, "state_word", "", zh, en, f"{clause}; annex C", channel=word)
        return
    identifier = _joined(di3, di2, di1, di0)
    if row := _PARAMETERS.get(identifier):
        yield _of_row(identifier, row, clause)


def _freeze(di3: int, di2: int, di1: int, di0: int) -> Iterator[Item]:
    """A freeze's identifier names all tariffs at once: they cannot be read one by one."""
    names = _FREEZES.get(di2)
    if names is None or di0 in (0, BLOCK):
        return
    for part in _frozen(di1):
        yield Item(
            _2007,
            _joined(di3, di2, di1, di0),
            part.format,
            part.quantity,
            part.unit,
            f"（上{di0}次）{names[0]}{part.zh}",
            f"{names[1]} {di0}: {part.en}",
            "DL/T 645-2007 annex A, table A.6",
            phase=part.phase,
            tariff=part.tariff,
            storage=FREEZE_STORAGE * (di2 + 1) + di0,
        )


def _frozen(di1: int) -> Iterator[Item]:
    if di1 == 0:
        yield _of_row(0, _Row(MINUTE, "", "meter_time", "时间", "time"), "")
    elif di1 in _FROZEN_ENERGIES:
        yield from _energy(0x00, di1, BLOCK, 0)
    elif di1 in _FROZEN_DEMANDS:
        yield from _demand(0x01, _FROZEN_DEMANDS[di1], BLOCK, 0)
    elif di1 == _FROZEN_VARIABLES:
        yield from _variable(0x02, 0x03, BLOCK, 0)
        yield from _variable(0x02, 0x04, BLOCK, 0)


_CLASSES: Final = {
    0x00: _energy,
    0x01: _demand,
    0x02: _variable,
    0x03: _event,
    0x04: _parameter,
    0x05: _freeze,
}


def _of_row(identifier: int, row: _Row, clause: str) -> Item:
    return Item(
        _2007,
        identifier,
        row.form,
        row.quantity,
        row.unit,
        row.zh,
        row.en,
        clause,
        phase=row.phase,
        channel=row.channel,
        statistic=row.statistic,
    )


def _joined(di3: int, di2: int, di1: int, di0: int) -> int:
    return di3 << 24 | di2 << 16 | di1 << 8 | di0


def _span(byte: int, last: int, *, first: int = 0) -> range:
    """Return what a byte of an identifier stands for: itself, or all there are; nothing beyond what there may be."""
    if byte == BLOCK:
        return range(first, last + 1)
    return range(byte, byte + 1) if first <= byte <= last else range(0)


def _energy_kind(di2: int) -> tuple[int, Phase | None]:
    """Return the code of an energy of all phases, and the phase whose it is."""
    base = 0x80 if di2 >= 0x80 else 0x00
    for place, phase in PHASES.items():
        code = di2 - place * _PHASE_STEP
        if base <= code < base + _PHASE_STEP and (code in _ENERGIES) and code != 0x00:
            return code, phase
    return di2, None


def _energy_unit(code: int) -> str:
    return "kvarh" if code in _REACTIVE else "kVAh" if code in _APPARENT else "kWh"


def _power_unit(code: int) -> str:
    return "kvar" if code in _REACTIVE else "kVA" if code in _APPARENT else "kW"


def _settlement_zh(settlement: int) -> str:
    return f"（上{settlement}结算日）" if settlement else "（当前）"


def _settlement_en(settlement: int) -> str:
    return f", settlement day {settlement} back" if settlement else ""


def _tariff_zh(tariff: int) -> str:
    return f"（费率{tariff}）" if tariff else "（总）"


def _tariff_en(tariff: int) -> str:
    return f", tariff {tariff}" if tariff else ""


def _phase_zh(phase: Phase | None) -> str:
    return {None: "", Phase.L1: "A相", Phase.L2: "B相", Phase.L3: "C相"}.get(phase, "")


def _phase_en(phase: Phase | None) -> str:
    return f", phase {'ABC'[int(phase.value[1]) - 1]}" if phase in PHASES.values() and phase is not None else ""

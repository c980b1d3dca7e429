"""What dsmr-parser's and amshan's words for the values of a P1 telegram mean, apart from the decoder's own tables."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from linli_core.codecs.p1 import Telegram
from linli_core.instant import SECOND, from_datetime
from linli_core.model import Quality, Reading

Readings = dict[str, Reading]


class Mismatch(AssertionError):
    """A value that is not the expected one."""


_KILO: Final = {"kWh": 1000, "kW": 1000, "Wh": 1, "W": 1, "V": 1, "A": 1, "m3": 1, "s": 1}

_DSMR: Final = {
    "ELECTRICITY_USED_TARIFF_1": "energy_import.t1",
    "ELECTRICITY_USED_TARIFF_2": "energy_import.t2",
    "ELECTRICITY_DELIVERED_TARIFF_1": "energy_export.t1",
    "ELECTRICITY_DELIVERED_TARIFF_2": "energy_export.t2",
    "CURRENT_ELECTRICITY_USAGE": "active_power_import",
    "CURRENT_ELECTRICITY_DELIVERY": "active_power_export",
    "ACTUAL_TRESHOLD_ELECTRICITY": "current_limit",
    "SHORT_POWER_FAILURE_COUNT": "power_failures",
    "LONG_POWER_FAILURE_COUNT": "long_power_failures",
    **{f"VOLTAGE_SAG_L{phase}_COUNT": f"voltage_sags.l{phase}" for phase in (1, 2, 3)},
    **{f"VOLTAGE_SWELL_L{phase}_COUNT": f"voltage_swells.l{phase}" for phase in (1, 2, 3)},
    **{f"INSTANTANEOUS_VOLTAGE_L{phase}": f"voltage.l{phase}" for phase in (1, 2, 3)},
    **{f"INSTANTANEOUS_CURRENT_L{phase}": f"current.l{phase}" for phase in (1, 2, 3)},
    **{f"INSTANTANEOUS_ACTIVE_POWER_L{phase}_POSITIVE": f"active_power_import.l{phase}" for phase in (1, 2, 3)},
    **{f"INSTANTANEOUS_ACTIVE_POWER_L{phase}_NEGATIVE": f"active_power_export.l{phase}" for phase in (1, 2, 3)},
}
_DSMR_TEXTS: Final = {
    "EQUIPMENT_IDENTIFIER": "serial_number",
    "ELECTRICITY_ACTIVE_TARIFF": "active_tariff",
    "ACTUAL_SWITCH_POSITION": "relay_state",
    "TEXT_MESSAGE": "text_message",
}
_DSMR_RAW: Final = {"P1_MESSAGE_HEADER": "1-3:0.2.8", "TEXT_MESSAGE_CODE": "0-0:96.13.1"}

_AMSHAN: Final = {
    "active_power_import": "active_power_import",
    "active_power_export": "active_power_export",
    "reactive_power_import": "reactive_power",
    "reactive_power_export": "reactive_power_export",
    "active_power_import_total": "energy_import",
    "active_power_export_total": "energy_export",
    "reactive_power_import_total": "reactive_energy_import",
    "reactive_power_export_total": "reactive_energy_export",
    "voltage": "voltage",
    "current": "current",
}


def compare_dsmr_parser(telegram: Telegram, readings: Readings, expected: Mapping[str, Any]) -> None:
    """Raise :class:`Mismatch` if a value is not what dsmr-parser says, or it knows one that we do not."""
    for name, item in expected.items():
        if name == "MBUS_DEVICES":
            for device in item:
                _channel(telegram, readings, device)
        elif name == "POWER_EVENT_FAILURE_LOG":
            _failures(readings, item["buffer"])
        elif name == "P1_MESSAGE_TIMESTAMP":
            _moment(readings["meter_time"], item["value"])
        elif name in _DSMR:
            unit = item["unit"]
            _number(readings, _DSMR[name], Decimal(item["value"]) * (_KILO[unit] if unit else 1))
        elif name in _DSMR_TEXTS:
            _text(readings, _DSMR_TEXTS[name], item["value"])
        elif name in _DSMR_RAW:
            _raw(telegram, _DSMR_RAW[name], item["value"])
        else:
            raise Mismatch(f"nobody compared {name}")


def compare_amshan(telegram: Telegram, readings: Readings, expected: Mapping[str, Any]) -> None:
    """Raise :class:`Mismatch` if a value is not what amshan says, or it knows one that we do not.

    amshan makes whole watts of kilowatts in binary and cuts: 518.309 kvarh become 518308.
    """
    kilo = {
        "-".join((item.identifier.split(":")[-1], unit)): Decimal(value)
        for item in telegram.datasets
        for value, _, unit in (text.partition("*") for text in item.values)
        if unit.startswith("k")
    }
    for name, value in expected.items():
        stem, _, phase = name.rpartition("_")
        if name == "meter_datetime":
            ours = readings["meter_time"].value
            if ours != value:
                raise Mismatch(f"meter_time: {ours}, expected {value}")
        elif name == "meter_manufacturer_id":
            _same(name, telegram.maker, value)
        elif name == "meter_type_id":
            _same(name, telegram.identification[4:], value)
        else:
            has_phase = phase in {"l1", "l2", "l3"}
            point = f"{_AMSHAN[stem]}.{phase}" if has_phase else _AMSHAN[name]
            reading = readings[point]
            assert isinstance(reading.value, Decimal)
            cut = [int(float(number) * 1000) for number in kilo.values() if number * 1000 == reading.value]
            if reading.value != value and value not in cut:
                raise Mismatch(f"{point}: {reading.value}, expected {value}")


def _channel(telegram: Telegram, readings: Readings, device: Mapping[str, Any]) -> None:
    channel = device["CHANNEL_ID"]
    identity = device.get("MBUS_EQUIPMENT_IDENTIFIER", device.get("EQUIPMENT_IDENTIFIER_GAS"))["value"]
    kind = device.get("MBUS_DEVICE_TYPE", device.get("DEVICE_TYPE"))["value"]
    _raw(telegram, f"0-{channel}:24.1.0", kind)
    on_channel = {name: reading for name, reading in readings.items() if reading.point.channel == channel}
    if identity is None:
        # A slot without a meter: dsmr-parser books 0.0 of 1970, we book nothing.
        _same(f"channel {channel}", sorted(on_channel), [])
        return
    _text(readings, f"serial_number.c{channel}", identity)
    if "VALVE_POSITION_GAS" in device:
        _text(readings, f"gas_valve_state.c{channel}", device["VALVE_POSITION_GAS"]["value"])
    item = next(value for name, value in device.items() if name.endswith("METER_READING"))
    quantity = {3: "gas_volume", 4: "heat_energy"}[int(kind)]
    reading = readings[f"{quantity}.c{channel}"]
    _moment(reading, item["datetime"])
    assert isinstance(reading.value, Decimal)
    value = Decimal(item["value"])
    # A gigajoule is 1/3.6 MWh: the only unit here whose conversion does not come out even.
    difference = abs(reading.value * 3600 - value * 10**9) if item["unit"] == "GJ" else abs(reading.value - value)
    if difference > Decimal("1E-12"):
        raise Mismatch(f"{reading.point.local_name}: {reading.value}, expected {value} {item['unit']}")


def _failures(readings: Readings, log: list[Mapping[str, Any]]) -> None:
    ours = {
        (reading.device_time, reading.value)
        for reading in readings.values()
        if reading.point.quantity == "power_failure_duration"
    }
    theirs = {(from_datetime(datetime.fromisoformat(item["datetime"])), Decimal(item["value"])) for item in log}
    _same("failures", ours, theirs)


def _number(readings: Readings, name: str, value: Decimal) -> None:
    reading = readings.get(name)
    if reading is None or reading.quality is not Quality.GOOD or reading.value != value:
        raise Mismatch(f"{name}: {reading}, expected {value}")


def _text(readings: Readings, name: str, value: str | None) -> None:
    ours = readings[name].value
    if value is None:
        _same(name, ours, "")
    elif ours not in {value, value.upper()}:
        _same(name, ours, bytes.fromhex(value).decode("ascii"))


def _raw(telegram: Telegram, code: str, value: object) -> None:
    sent = [item.values[0] for item in telegram.datasets if item.identifier == code]
    if value is None:
        _same(code, sent, [""])
    elif [int(text) for text in sent] != [int(str(value))]:
        raise Mismatch(f"{code}: {sent}, expected {value}")


def _moment(reading: Reading, text: str) -> None:
    _same(reading.point.local_name, reading.device_time, from_datetime(datetime.fromisoformat(text)) // SECOND * SECOND)


def _same(name: str, ours: object, theirs: object) -> None:
    if ours != theirs:
        raise Mismatch(f"{name}: {ours}, expected {theirs}")

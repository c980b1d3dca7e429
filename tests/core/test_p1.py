"""P1: recorded telegrams and made ones, whole, cut, flipped, one after another, encrypted, and beside dsmr-parser."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dsmr_parser import telegram_specifications
from dsmr_parser.parsers import TelegramParser
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codec import NEED_DATA
from linli_core.codecs.dlms.ciphering import Keys, ReplayGuard, seal
from linli_core.codecs.explain import covers
from linli_core.codecs.p1 import (
    Interpreter,
    SealedReader,
    Telegram,
    TelegramReader,
    crc16,
    decode_telegram,
    identity_of,
)
from linli_core.codecs.p1.explain import explain
from linli_core.codecs.p1.frame import LONGEST
from linli_core.codecs.p1.meaning import moment_of
from linli_core.codecs.p1.sealed import AUTHENTICATION_KEY
from linli_core.errors import ChecksumError, ProtocolError
from linli_core.model import Quality, Reading, quality_label
from linli_edge.ciphers import AES

KEY = bytes.fromhex("AEBD21B769A6D13C0DF064E383682EFF")
TITLE = bytes.fromhex("53414731300B0C0D")


def slow_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def made(*lines: str, version: str | None = "50", head: str = "XXX5\\2MADE", crc: bool = True) -> bytes:
    every = [f"1-3:0.2.8({version})"] if version is not None else []
    body = f"/{head}\r\n\r\n" + "".join(f"{line}\r\n" for line in (*every, *lines)) + "!"
    data = body.encode("latin-1")
    return data + (f"{slow_crc(data):04X}".encode() if crc else b"") + b"\r\n"


def read(data: bytes, device_offset: int = 60) -> dict[str, Reading]:
    readings = Interpreter("m", utc_offset=device_offset).readings(decode_telegram(data), 7)
    return {item.point.local_name: item for item in readings}


ENERGY = ("0-0:1.0.0(260301120000W)", "1-0:1.8.1(000123.456*kWh)", "1-0:32.7.0(229.9*V)")


def outcomes(reader: TelegramReader | SealedReader) -> Iterator[Telegram | ProtocolError]:
    while True:
        try:
            event = reader.next_event()
        except ProtocolError as exc:
            yield exc
            continue
        if event is NEED_DATA:
            return
        yield event


def test_crc() -> None:
    assert crc16(b"123456789") == 0xBB3D
    assert crc16(bytes(range(256))) == slow_crc(bytes(range(256)))


@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_stream_in_chunks_with_noise(size: int) -> None:
    stream = b"\x00garb/age\r\n" + made(*ENERGY) + b"\r\n\r\n" + made(*ENERGY, "0-0:96.14.0(0001)") + b"/XX"
    reader = TelegramReader()
    found = []
    for at in range(0, len(stream), size):
        reader.receive(stream[at : at + size])
        found += [item for item in outcomes(reader) if isinstance(item, Telegram)]
    assert found == [decode_telegram(made(*ENERGY)), decode_telegram(made(*ENERGY, "0-0:96.14.0(0001)"))]


def test_cut_and_flipped() -> None:
    data = made(*ENERGY)
    for at in range(len(data)):
        # Four digits are the whole CRC: only the line end is missing then.
        if at < len(data) - 2:
            with pytest.raises(ProtocolError):
                decode_telegram(data[:at])
        if at < len(data) - 2:
            for mask in (1, 2, 4, 8, 16, 32, 64, 128, 255):
                damaged = data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :]
                try:
                    telegram = decode_telegram(damaged)
                except ProtocolError:
                    pass
                else:  # a hexadecimal digit in lower case
                    assert telegram == decode_telegram(data)
                assert covers(explain(damaged), damaged)
        assert covers(explain(data[:at]), data[:at])


@pytest.mark.parametrize("version", ["40", "42", "50", "50217"])
def test_a_missing_crc_is_wrong_from_version_4_on(version: str) -> None:
    with pytest.raises(ChecksumError, match="carries no CRC"):
        decode_telegram(made(*ENERGY, version=version, crc=False))


def test_no_telegram_without_a_crc_once_there_was_one() -> None:
    reader = TelegramReader()
    reader.receive(made(*ENERGY, version=None, crc=False))
    assert isinstance(reader.next_event(), Telegram)
    reader.receive(made(*ENERGY) + made(*ENERGY, version=None, crc=False))
    assert isinstance(reader.next_event(), Telegram)
    with pytest.raises(ChecksumError):
        reader.next_event()


def test_a_lost_end_does_not_join_two_telegrams() -> None:
    whole = made(*ENERGY, version=None, crc=False)
    reader = TelegramReader()
    reader.receive(whole[:60] + b"\r\n" + whole)
    found = list(outcomes(reader))
    assert [item for item in found if isinstance(item, Telegram)] == [decode_telegram(whole)]
    assert isinstance(found[0], ProtocolError)
    assert found[0].kind == "truncated"


def test_dropped_leading_zeros_of_the_crc() -> None:
    for number in range(1000):
        data = made(*ENERGY, f"0-0:96.7.9({number:05})")
        if data[-6:-5] == b"0":
            short = data[:-6] + data[-6:-2].lstrip(b"0") + b"\r\n"
            assert decode_telegram(short) == decode_telegram(data)
            reader = TelegramReader()
            reader.receive(short[:-2])
            assert reader.next_event() is NEED_DATA
            reader.receive(b"\r\n")
            assert reader.next_event() == decode_telegram(data)
            return
    raise AssertionError("no such CRC")


def test_a_length_that_never_ends() -> None:
    reader = TelegramReader()
    reader.receive(b"/XXX5\\2\r\n\r\n" + b"1-0:1.8.0(1*kWh)\r\n" * 1000)
    with pytest.raises(ProtocolError, match=f"no end within {LONGEST}"):
        reader.next_event()
    reader.receive(made(*ENERGY))
    assert decode_telegram(made(*ENERGY)) in list(outcomes(reader))


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    reader = TelegramReader()
    reader.receive(data)
    reader.end()
    assert all(isinstance(item, ProtocolError) for item in outcomes(reader))
    assert len(reader) == 0
    assert covers(explain(data), data)


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="!\r\n/"), max_size=40), max_size=8))
def test_any_lines_with_a_right_crc(lines: list[str]) -> None:
    try:
        telegram = decode_telegram(made(*lines))
    except ProtocolError:
        return
    Interpreter("m").readings(telegram, 0)
    identity_of(telegram)


def test_belgium() -> None:
    found = read(
        made(
            "0-0:96.1.1(3153414733313030303133383434)",
            "0-0:1.0.0(231102121548W)",
            "1-0:1.4.0(02.351*kW)",
            "1-0:1.6.0(231025134558S)(05.112*kW)",
            "0-0:98.1.0(2)(1-0:1.6.0)(1-0:1.6.0)(230901000000S)(230817143558S)(04.329*kW)(231001000000S)(230910110000S)(04.529*kW)",
            "0-0:96.3.10(1)",
            "0-1:24.1.0(003)",
            "0-1:96.1.1(37464C4F32313139303333373333)",
            "0-1:24.4.0(1)",
            "0-1:24.2.3(231102121000W)(00112.384*m3)",
            "0-2:24.1.0(007)",
            "0-2:96.1.1(3853455430303030393631313733)",
            "0-2:24.2.1(231102121532W)(00872.234*m3)",
            version=None,
            head="FLU5\\253769484_A",
        )
    )
    assert found["gas_volume.c1"].value == Decimal("112.384")
    assert found["water_volume.c2"].value == Decimal("872.234")
    assert found["demand_import"].value == 2351
    assert found["demand_import_maximum"].value == 5112
    assert found["demand_import_maximum"].device_time == 1698234358_000000  # 2023-10-25T13:45:58+02:00
    assert found["demand_import_maximum.s1"].value == 4529
    assert found["demand_import_maximum.s2"].value == 4329
    assert found["serial_number"].value == "1SAG3100013844"


def test_fluvius_has_no_reading() -> None:
    found = read(
        made(
            "0-0:1.0.0(231102121548W)",
            "0-1:24.1.0(003)",
            "0-1:96.1.1(12345678901234567890123456789012)",
            "0-1:24.2.3(632525252525W)(00000.000)",
            "0-0:98.1.0(1)(1-0:1.6.0)(1-0:1.6.0)(231101000000W)(632525252525W)(00.000*kW)",
            version=None,
        )
    )
    for name in ("gas_volume.c1", "demand_import_maximum.s1"):
        assert (found[name].value, found[name].quality) == (None, Quality.BAD)


def test_fluvius_without_asterisk() -> None:
    found = read(made("0-1:24.1.0(003)", "0-1:96.1.1(1234)", "0-1:24.2.3(231102121000W)(00012.345)", version=None))
    assert found["gas_volume.c1"].value == Decimal("12.345")


def test_austria_and_q3d() -> None:
    found = read(
        made(
            "1-0:0.0.0*255(1ESY1160123456)",
            "1-0:1.8.0*255(00012345.6789012*kWh)",
            "1-0:2.8.0*255(00000000.0000000*kWh)",
            "1-0:21.7.0*255(000123.45*W)",
            "1-0:16.7.0*255(-000012.30*W)",
            "1-0:96.5.5*255(80)",
            "0-0:96.1.255*255(1ESY1160123456)",
            version=None,
            head="ESY5Q3DA1004 V3.04",
            crc=False,
        )
    )
    assert found["energy_import"].value == Decimal("12345678.9012000")
    assert found["active_power"].value == Decimal("-12.30")
    assert found["active_power_import.l1"].value == Decimal("123.45")
    assert {found[name].value for name in ("obis_record", "obis_record.x2")} == {
        "1-0:96.5.5*255(80)",
        "0-0:96.1.255*255(1ESY1160123456)",
    }


def test_version_2_gas_is_a_medium_of_its_own_on_the_next_line() -> None:
    found = read(
        made(
            "0-0:96.1.1(205C4D246333034353537383234323121)",
            "1-0:1.8.1(00185.000*kWh)",
            "7-0:0.0.0(3238313031453631373038389930337131)",
            "7-0:23.1.0(121118090000)",
            "(00001.123*m3)",
            version=None,
            crc=False,
        )
    )
    assert found["gas_volume"].value == Decimal("1.123")


def test_cold_water_is_no_clock() -> None:
    found = read(made("0-0:1.0.0(260301120000W)", "8-0:1.0.0(00012.345*m3)", "6-0:1.0.0(1.5*GJ)", "2-0:1.0.0(7)"))
    assert found["water_volume"].value == Decimal("12.345")
    assert found["water_volume"].device_time == 1772362800_000000
    assert found["meter_time"].value == "2026-03-01T12:00:00"
    assert found["obis_record.x2"].value == "2-0:1.0.0(7)"


@pytest.mark.parametrize(
    ("stamp", "instant"),
    [
        ("161129200000W", 1480446000_000000),
        ("190701120000S", 1561975200_000000),
        ("000000000000W", None),
        ("161329200000W", None),
        ("161129200000X", None),
        ("161129200000W ", None),
    ],
)
def test_stamps(stamp: str, instant: int | None) -> None:
    assert Interpreter("m").instant(stamp) == instant


def test_the_years_are_of_this_century() -> None:
    found = moment_of("990101000000W")
    assert found is not None
    assert found[0].year == 2099


def test_a_wrong_clock_is_kept_beside_the_gateways() -> None:
    found = read(made("0-0:1.0.0(000000000000W)", "1-0:1.8.0(1*kWh)"))
    assert (found["meter_time"].value, found["meter_time"].quality) == (None, Quality.BAD)
    assert (found["energy_import"].value, found["energy_import"].observed_at) == (1000, 7)
    assert found["energy_import"].device_time is None


def test_message_over_several_lines_and_in_no_hexadecimal() -> None:
    found = read(made("0-0:96.13.0(48656C6C6F2C20776F726C64)", "0-0:96.13.1(30)"))
    assert found["text_message"].value == "Hello, world"
    found = read(made("0-0:96.13.0(FFFEFFFE)"))
    assert found["text_message"].value == "FFFEFFFE"


# --- encrypted


def sealed(plain: bytes, counter: int, key: bytes = KEY, authentication: bytes | None = AUTHENTICATION_KEY) -> bytes:
    return seal(plain, TITLE, counter, Keys(key, authentication), AES)


def sealed_reader(guard: ReplayGuard | None = None, authentication: bytes | None = AUTHENTICATION_KEY) -> SealedReader:
    return SealedReader(Keys(KEY, authentication), AES, guard)


@pytest.mark.parametrize("size", [1, 50, 5000])
def test_sealed_telegrams(size: int) -> None:
    data = b"\x00\xdb\x01" + sealed(made(*ENERGY), 7) + sealed(made(*ENERGY), 8)
    reader = sealed_reader()
    found: list[Telegram | ProtocolError] = []
    for at in range(0, len(data), size):
        reader.receive(data[at : at + size])
        found += outcomes(reader)
    assert [item for item in found if isinstance(item, Telegram)] == [decode_telegram(made(*ENERGY))] * 2
    assert reader.guard.counters == {TITLE: 8}


def test_a_length_no_telegram_has_holds_nothing_up() -> None:
    reader = sealed_reader()
    reader.receive(b"\xdb\x08" + TITLE + b"\x82\x7f\xff" + sealed(made(*ENERGY), 7))
    lie, *rest = outcomes(reader)
    assert isinstance(lie, ProtocolError)
    assert "32767 bytes" in str(lie)
    assert [item for item in rest if isinstance(item, Telegram)] == [decode_telegram(made(*ENERGY))]


def test_wrong_key_replay_and_a_state_handed_over() -> None:
    reader = sealed_reader()
    reader.receive(sealed(made(*ENERGY), 5, key=bytes(16)))
    (error,) = [item for item in outcomes(reader) if isinstance(item, ProtocolError) and item.kind == "decryption"]
    assert "tag does not match" in str(error)
    assert reader.guard.counters == {}
    reader.receive(sealed(made(*ENERGY), 5) + sealed(made(*ENERGY), 5) + sealed(made(*ENERGY), 4))
    found = list(outcomes(reader))
    assert isinstance(found[0], Telegram)
    assert [item.kind for item in found[1:] if isinstance(item, ProtocolError)] == ["replayed", "replayed"]
    assert reader.guard.refused == 2
    later = sealed_reader(ReplayGuard(reader.guard.counters))
    later.receive(sealed(made(*ENERGY), 5) + sealed(made(*ENERGY), 6))
    first, second = outcomes(later)
    assert isinstance(first, ProtocolError)
    assert isinstance(second, Telegram)


def test_sealed_cut_and_flipped_gives_no_telegram() -> None:
    data = sealed(made(*ENERGY), 9)
    for at in range(len(data)):
        for damaged in (data[:at], data[:at] + bytes((data[at] ^ 0x10,)) + data[at + 1 :]):
            reader = sealed_reader()
            reader.receive(damaged)
            reader.end()
            assert not any(isinstance(item, Telegram) for item in outcomes(reader))


def test_a_message_without_a_tag_is_taken_only_where_no_key_could_check_it() -> None:
    data = sealed(made(*ENERGY), 3, authentication=None)
    reader = sealed_reader()
    reader.receive(data)
    assert {item.kind for item in outcomes(reader) if isinstance(item, ProtocolError)} >= {"not_authenticated"}
    reader = sealed_reader(authentication=None)
    reader.receive(data + data)
    first, second = outcomes(reader)
    assert isinstance(first, Telegram)
    assert isinstance(second, ProtocolError)
    assert second.kind == "replayed"


@given(st.binary(max_size=200))
def test_any_bytes_to_the_sealed_reader(data: bytes) -> None:
    reader = sealed_reader()
    reader.receive(b"\xdb\x08" + data)
    reader.end()
    assert all(isinstance(item, ProtocolError) for item in outcomes(reader))
    assert len(reader) == 0


# --- recordings


def recordings(vectors: Path) -> list[tuple[str, bytes]]:
    files = sorted((vectors / "dsmr-p1").glob("*.json"))
    return [(path.stem, json.loads(path.read_text())["input"]["data"].strip().encode("latin-1")) for path in files]


@pytest.mark.vectors
def test_recordings_cut_and_flipped(vectors: Path) -> None:
    for name, data in recordings(vectors):
        whole = decode_telegram(data + b"\r\n")
        # Without a CRC nothing can tell that a byte changed: those are cut only.
        masks = (0x01, 0x80, 0xFF) if whole.crc is not None else ()
        for at in range(0, len(data), 3):
            # Of a CRC without its first zeros fewer digits may be right by chance.
            if at <= data.rindex(b"!"):
                with pytest.raises(ProtocolError):
                    decode_telegram(data[:at])
            for mask in masks:
                damaged = data[:at] + bytes((data[at] ^ mask,)) + data[at + 1 :] + b"\r\n"
                with pytest.raises(ProtocolError):
                    decode_telegram(damaged)
        assert covers(explain(data), data), name


@pytest.mark.vectors
def test_recordings_one_after_another(vectors: Path) -> None:
    found = recordings(vectors)
    reader = TelegramReader()
    # Those without a CRC first: after one with it none is taken without.
    ordered = sorted(found, key=lambda item: decode_telegram(item[1] + b"\r\n").crc is not None)
    for _, data in ordered:
        reader.receive(data + b"\r\n")
    assert [item for item in outcomes(reader) if isinstance(item, Telegram)] == [
        decode_telegram(data + b"\r\n") for _, data in ordered
    ]


# --- beside dsmr-parser

DSMR_NAMES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "ELECTRICITY_USED_TARIFF_1": ("energy_import.t1", lambda value: value * 1000),
    "ELECTRICITY_USED_TARIFF_2": ("energy_import.t2", lambda value: value * 1000),
    "ELECTRICITY_DELIVERED_TARIFF_1": ("energy_export.t1", lambda value: value * 1000),
    "ELECTRICITY_DELIVERED_TARIFF_2": ("energy_export.t2", lambda value: value * 1000),
    "CURRENT_ELECTRICITY_USAGE": ("active_power_import", lambda value: value * 1000),
    "CURRENT_ELECTRICITY_DELIVERY": ("active_power_export", lambda value: value * 1000),
    "INSTANTANEOUS_VOLTAGE_L1": ("voltage.l1", Decimal),
    "INSTANTANEOUS_CURRENT_L2": ("current.l2", Decimal),
    "INSTANTANEOUS_ACTIVE_POWER_L3_POSITIVE": ("active_power_import.l3", lambda value: value * 1000),
    "LONG_POWER_FAILURE_COUNT": ("long_power_failures", Decimal),
    "VOLTAGE_SAG_L1_COUNT": ("voltage_sags.l1", Decimal),
}


@given(
    st.tuples(*[st.decimals(0, 999999, places=3)] * 4),
    st.tuples(*[st.decimals(0, 99, places=3)] * 3),
    st.decimals(0, 300, places=1),
    st.integers(0, 99999),
    st.decimals(0, 99999, places=3),
    st.datetimes(min_value=datetime(2010, 1, 2), max_value=datetime(2037, 1, 1)),  # noqa: DTZ001 - a stamp has no zone
)
def test_made_telegrams_beside_dsmr_parser(
    energies: tuple[Decimal, ...], powers: tuple[Decimal, ...], volts: Decimal, count: int, gas: Decimal, when: Any
) -> None:
    stamp = f"{when:%y%m%d}120000"
    season = "S" if 4 <= when.month <= 9 else "W"
    if when.month in {3, 10}:
        # The clocks change in these months: dsmr-parser takes the zone's rules, we take the letter.
        return
    data = made(
        f"0-0:1.0.0({stamp}{season})",
        "0-0:96.1.1(4B384547303034303436333935353037)",
        f"1-0:1.8.1({energies[0]:010.3f}*kWh)",
        f"1-0:1.8.2({energies[1]:010.3f}*kWh)",
        f"1-0:2.8.1({energies[2]:010.3f}*kWh)",
        f"1-0:2.8.2({energies[3]:010.3f}*kWh)",
        f"1-0:1.7.0({powers[0]:06.3f}*kW)",
        f"1-0:2.7.0({powers[1]:06.3f}*kW)",
        f"0-0:96.7.9({count:05})",
        f"1-0:32.32.0({count:05})",
        f"1-0:32.7.0({volts:05.1f}*V)",
        f"1-0:51.7.0({count % 1000:03}*A)",
        f"1-0:61.7.0({powers[2]:06.3f}*kW)",
        "0-1:24.1.0(003)",
        "0-1:96.1.0(4730303339303031393336393930363139)",
        f"0-1:24.2.1({stamp}{season})({gas:09.3f}*m3)",
    )
    theirs = TelegramParser(telegram_specifications.V5).parse(data.decode())
    ours = read(data)
    for name, (point, scale) in DSMR_NAMES.items():
        assert ours[point].value == scale(getattr(theirs, name).value), name
    device = theirs.MBUS_DEVICES[0]
    assert ours["gas_volume.c1"].value == device.MBUS_METER_READING.value
    assert ours["gas_volume.c1"].device_time == round(device.MBUS_METER_READING.datetime.timestamp()) * 1_000_000


def test_a_unit_that_nobody_knows_is_not_the_usual_one() -> None:
    body = (
        b"/ABC5\\2X\r\n\r\n0-1:24.1.0(003)\r\n0-1:96.1.0(4730)\r\n0-1:24.2.1(161129200000W)(00981.443*ccf)\r\n"
        b"1-0:1.8.1(-000000.000*kWh)\r\n!"
    )
    telegram = decode_telegram(body + f"{crc16(body):04X}\r\n".encode())
    readings = {reading.point.local_name: reading.value for reading in Interpreter("m").readings(telegram, 0)}
    assert "gas_volume.c1" not in readings
    assert "0-1:24.2.1(161129200000W)(00981.443*ccf)" in readings.values()
    assert str(readings["energy_import.t1"]) == "0.000"  # a minus before nothing


@pytest.mark.parametrize("value", ["FFFFFF.FFF*kWh", "------.---*kWh", ""])
def test_a_register_without_digits_is_missing(value: str) -> None:
    body = f"/ABC5\\2X\r\n\r\n1-0:1.8.1({value})\r\n!".encode()
    telegram = decode_telegram(body + f"{crc16(body):04X}\r\n".encode())
    (reading,) = Interpreter("m").readings(telegram, 0)
    assert (reading.value, quality_label(reading.quality, reading.reason)) == (None, "bad/not_implemented")

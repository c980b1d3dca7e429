"""What answers say: values worked by hand from the standard's formats, never with the tables under test."""

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.dlt645 import (
    Answer,
    Dictionary,
    Edition,
    Frame,
    Interpreter,
    decode_answer,
    decode_frame,
    decode_records,
    encode,
    encode_frame,
    explain,
    request,
)
from linli_core.codecs.dlt645.answer import decode_request
from linli_core.codecs.dlt645.dictionary import block_of, standard_layout
from linli_core.codecs.dlt645.item import Item, encode_value, number
from linli_core.codecs.dlt645.meaning import clock_of
from linli_core.codecs.explain import covers
from linli_core.codecs.mbus.values import MeterTime
from linli_core.errors import DeviceError, ProtocolError
from linli_core.instant import from_rfc3339, to_rfc3339
from linli_core.model import quality_label
from linli_core.vocabulary import vocabulary

E07, E97 = Edition.E2007, Edition.E1997
METER = "202107072529"


def told(edition: Edition, identifier: int, data: str, words: Dictionary | None = None) -> dict[str, object]:
    records = decode_records(edition, identifier, bytes.fromhex(data), words)
    return {
        reading.point.local_name: format(reading.value, "f")
        if isinstance(reading.value, Decimal)
        else reading.value
        if reading.value is not None
        else quality_label(reading.quality, reading.reason)
        for reading in Interpreter("m").readings(edition, records, 0)
    }


@pytest.mark.parametrize(
    ("identifier", "data", "expected"),
    [
        (0x00010000, "21 43 65 87", {"energy_import": "876543210.00"}),
        (0x00020300, "01 00 00 00", {"energy_export.t3": "10.00"}),
        (0x00000000, "01 00 00 80", {"energy_combined": "-10.00"}),
        (0x00000000, "00 00 00 80", {"energy_combined": "0.00"}),
        (0x00010000, "FF FF FF FF", {"energy_import": "bad/not_implemented"}),
        (0x00010000, "0A 00 00 00", {"energy_import": "bad/not_a_number"}),
        (0x00010001, "00 01 00 00", {"energy_import.s1": "1000.00"}),
        (0x00150000, "00 01 00 00", {"energy_import.l1": "1000.00"}),
        (0x002A0000, "00 01 00 00", {"energy_export.l2": "1000.00"}),
        (0x00440000, "65 19 00 00", {"reactive_energy_q4.l3": "19650.00"}),
        (0x00940000, "00 01 00 00", {"energy_associated.l1": "1000.00"}),
        (0x000B0000, "00 01 00 00", {"dlt645_record": "000B0000-00000100"}),
        (0x02010200, "45 23", {"voltage.l2": "234.5"}),
        (0x02020300, "56 34 92", {"current.l3": "-123.456"}),
        (0x02030000, "00 50 80", {"active_power": "-500.0000"}),
        (0x02060000, "00 90", {"power_factor": "-1.000"}),
        (0x02070100, "05 12", {"phase_angle.l1": "120.5"}),
        (0x02080100, "25 01", {"voltage_thd.l1": "1.25"}),
        (0x020A0203, "25 01", {"voltage_harmonic.l2.c3": "1.25"}),
        (0x02800001, "00 00 00", {"current.n": "0.000"}),
        (0x02800002, "99 49", {"frequency": "49.99"}),
        (0x02800007, "55 80", {"meter_temperature": "-5.5"}),
        (0x0280000A, "60 00 00 00", {"battery_operating_time": "3600"}),
        (0x00900200, "50 12 00 00", {"purchase_balance": "12.50"}),
        (0x03300D00, "07 00 00", {"event_count.c12301": "7"}),
        (
            0x03010000,
            "010000020000 030000040000 050000060000",
            {
                "event_count.l1.c256": "1",
                "event_duration.l1.c256": "120",
                "event_count.l2.c256": "3",
                "event_duration.l2.c256": "240",
                "event_count.l3.c256": "5",
                "event_duration.l3.c256": "360",
            },
        ),
        (0x04000101, "02 25 11 26", {"meter_date": "2026-11-25"}),
        (0x04000102, "30 15 23", {"meter_time": "23:15:30"}),
        (0x0400010C, "30 15 23 03 25 11 26", {"meter_time": "2026-11-25T23:15:30"}),
        (0x04000401, "29 25 07 07 21 20", {"meter_address": METER}),
        (0x04000402, "FF FF FF FF FF FF", {"serial_number": "bad/not_implemented"}),
        (0x04000404, "56 30 32 32 20 20", {"nameplate.c4": "220V"}),
        (0x04000501, "04 00", {"state_word.c1": "0004", "battery_low.c1": "low", "battery_low.c2": "ok"}),
        (0x04000503, "10 00", {"state_word.c3": "0010", "relay_state": "open"}),
        (0x04000506, "34 12", {"state_word.c6": "1234"}),
        (0x05060001, "00 00 25 11 26", {"meter_time.s7001": "2026-11-25T00:00:00"}),
        (
            0x05060102,
            "00010000 00000100 00000200",
            {
                "energy_import.s7002": "1000.00",
                "energy_import.t1.s7002": "100000.00",
                "energy_import.t2.s7002": "200000.00",
            },
        ),
        (0x050401FE, "00010000", {"energy_import.s5254": "1000.00"}),
    ],
)
def test_values_of_2007(identifier: int, data: str, expected: dict[str, object]) -> None:
    assert told(E07, identifier, data) == expected


@pytest.mark.parametrize(
    ("identifier", "data", "expected"),
    [
        (0x9010, "00 00 01 00", {"energy_import": "100000.00"}),
        (0x9423, "00 00 01 00", {"energy_export.t3.s1": "100000.00"}),
        (0x9840, "00 00 01 00", {"dlt645_record": "9840-00010000"}),
        (0x9140, "00 00 01 00", {"reactive_energy_q4": "100000.00"}),
        (0x901F, "00010000 00020000", {"energy_import": "1000.00", "energy_import.t1": "2000.00"}),
        (0x901F, "00010000 00020000 AA", {"energy_import": "1000.00", "energy_import.t1": "2000.00"}),
        (0xA010, "00 50 01", {"demand_import_maximum": "1500.0000"}),
        (0xB010, "30 09 12 07", {"meter_time.c1.max": "07-12T09:30"}),
        (0xB611, "20 02", {"voltage.l1": "220"}),
        (0xB62F, "0001 0002 0003", {"current.l1": "1.00", "current.l2": "2.00", "current.l3": "3.00"}),
        (0xB630, "00 00 00", {"active_power": "0.0000"}),
        (0xB650, "99 09", {"power_factor": "0.999"}),
        (0xC010, "03 25 11 26", {"meter_date": "2026-11-25"}),
        (0xC020, "81", {"state_word.c1": "81"}),
        (0xC032, "12 90 78 56 34 12", {"serial_number": "123456789012"}),
        (0xFFFF, "01", {"dlt645_record": "FFFF-01"}),
    ],
)
def test_values_of_1997(identifier: int, data: str, expected: dict[str, object]) -> None:
    assert told(E97, identifier, data) == expected


def test_a_block_holds_as_many_values_as_the_meter_has() -> None:
    assert told(E07, 0x0201FF00, "14 23 FF FF 00 00") == {
        "voltage.l1": "231.4",
        "voltage.l2": "bad/not_implemented",
        "voltage.l3": "0.0",
    }
    assert told(E07, 0x0001FF00, "00010000 00020000") == {"energy_import": "1000.00", "energy_import.t1": "2000.00"}
    assert told(E07, 0x000100FF, "00010000 00020000") == {"energy_import": "1000.00", "energy_import.s1": "2000.00"}
    assert told(E07, 0x0203FF00, "001000 000500 000400 000100")["active_power.l3"] == "10.0000"


@pytest.mark.parametrize("data", ["00", "00 01 02", "00 01 02 03 04", "000102030405060708"])
def test_a_value_of_another_length_is_kept_raw_and_never_guessed(data: str) -> None:
    assert list(told(E07, 0x00010000, data)) == ["dlt645_record"]
    assert list(told(E07, 0x0001FF00, data)) in (["dlt645_record"], ["energy_import"])
    assert list(told(E97, 0x9010, data)) == ["dlt645_record"]


def test_a_demand_has_the_time_it_was_reached_and_a_stored_value_no_clock() -> None:
    records = decode_records(E07, 0x01010001, bytes.fromhex("00 50 01 30 09 12 07 26"))
    (reading,) = Interpreter("m").readings(E07, records, 0, device_time=from_rfc3339("2026-11-25T00:00:00Z"))
    assert reading.value == Decimal(1500)
    assert reading.device_time is not None
    assert to_rfc3339(reading.device_time) == "2026-07-12T01:30:00Z"
    records = decode_records(E07, 0x00010001, bytes.fromhex("00 01 00 00"))
    (reading,) = Interpreter("m").readings(E07, records, 0, device_time=5)
    assert reading.device_time is None


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("02 25 11 26", "30 15 23", "2026-11-25T15:15:30Z"),
        ("06 00 01 00", "30 15 23", None),
        ("FF FF FF FF", "FF FF FF", None),
        ("02 25 11 26", "30 15 24", None),
        ("02 30 02 26", "30 15 23", None),
        ("02 25 11 2F", "30 15 23", None),
    ],
)
def test_a_clock_that_shows_no_time_is_missing_not_an_error(date: str, time: str, expected: str | None) -> None:
    records = decode_records(E07, 0x04000101, bytes.fromhex(date)) + decode_records(
        E07, 0x04000102, bytes.fromhex(time)
    )
    clock = clock_of(records)
    assert (None if clock is None else to_rfc3339(clock)) == expected


def test_texts_are_ascii_or_gbk_or_missing() -> None:
    named = "华立 DDZY285".encode("gbk")
    assert told(E07, 0x04800003, named.ljust(32)[::-1].hex()) == {"nameplate.c15": "华立 DDZY285"}
    assert told(E07, 0x04800003, bytes(32).hex()) == {"nameplate.c15": "bad/not_a_number"}
    assert told(E07, 0x04800003, (b"\x81" + bytes(31))[::-1].hex()) == {"nameplate.c15": "bad/not_a_number"}


@pytest.mark.parametrize(
    ("frame", "text", "code", "kind"),
    [
        (
            "6811111111111168D101353D16",
            "meter 111111111111 refuses to read data: no such data (code 02)",
            2,
            "no_such_data",
        ),
        ("6811111111111168D10137", "wrong password or no authority", 4, "not_authorized"),
        (
            "6811111111111168C10135",
            "meter 111111111111 refuses to read data: wrong data identifier (code 02)",
            2,
            "no_such_data",
        ),
        ("6811111111111168DC0135", "refuses to relay control", 2, "no_such_data"),
        ("6811111111111168D10133", "an error without a name", 0, "device_error"),
        ("6811111111111168D10139", "no such data, wrong password or no authority", 6, "no_such_data"),
    ],
)
def test_refusals_are_named(frame: str, text: str, code: int, kind: str) -> None:
    body = bytes.fromhex(frame)
    whole = body if frame.endswith("16") else body + bytes((sum(body) & 0xFF, 0x16))
    with pytest.raises(DeviceError) as caught:
        decode_answer(decode_frame(whole))
    assert text in str(caught.value)
    assert (caught.value.code, caught.value.kind) == (code, kind)


def test_a_request_and_an_answer_without_identifier_are_named_errors() -> None:
    with pytest.raises(ProtocolError, match="a request to read data, not an answer") as caught:
        decode_answer(request.read(METER, 0x00010000))
    assert caught.value.kind == "unsupported"
    for frame in (Frame(METER, 0x91, b"\x00\x00"), Frame(METER, 0x92, bytes(4)), Frame(METER, 0x81, b"\x10")):
        with pytest.raises(ProtocolError) as caught:
            decode_answer(frame)
        assert caught.value.kind == "truncated"


@given(st.binary(max_size=400), st.sampled_from(list(Edition)), st.integers(10, 200))
def test_pieces_come_together_again(data: bytes, edition: Edition, most: int) -> None:
    identifier = 0x9010 if edition is E97 else 0x0001FF00
    answers = [decode_answer(frame) for frame in encode.pieces(METER, identifier, data, edition, most=most)]
    assert b"".join(answer.data for answer in answers) == data
    assert [answer.more_follow for answer in answers] == [True] * (len(answers) - 1) + [False]
    numbers = [None if edition is E97 else number for number in range(1, len(answers))]
    assert [answer.sequence for answer in answers] == [None, *numbers]
    assert all(answer.identifier == identifier for answer in answers)


def test_the_address_is_told_and_whoever_is_asked_answers() -> None:
    assert decode_answer(encode.address_reply(METER)).own_address == METER
    assert request.search("AAAAAAAAAA01", E07) == Frame("AAAAAAAAAA01", 0x13)
    assert request.search("AAAAAAAAAA01", E97) == Frame("AAAAAAAAAA01", 0x01, b"\x10\x90")
    assert decode_request(request.read_on(METER, 0x0001FF00, 3)) == (E07, 0x0001FF00, 3)
    assert decode_request(request.read(METER, 0x9010, E97)) == (E97, 0x9010, None)
    assert decode_request(request.read_address()) is None


def test_an_edition_is_told_by_its_function() -> None:
    assert decode_answer(Frame(METER, 0x81, b"\x10\x90\x00\x00\x00\x00")) == Answer(METER, E97, 1, 0x9010, bytes(4))
    assert decode_answer(Frame(METER, 0x91, bytes(8))) == Answer(METER, E07, 0x11, 0, bytes(4))


def test_a_relay_command_is_laid_out_as_the_standard_says_and_only_for_one_meter() -> None:
    authority = request.Authority(2, "123456", "87654321")
    until = MeterTime((2026, 11, 25), (23, 15, 30))
    frame = request.switch_relay(METER, 0x1A, authority, until)
    assert frame.control == 0x1C
    assert frame.data.hex() == "02563412" + "21436587" + "1a00" + "301523251126"
    for address in ("AAAAAAAAAAAA", "999999999999"):
        with pytest.raises(ValueError, match="a relay is switched at one meter"):
            request.switch_relay(address, 0x1A, authority, until)
    with pytest.raises(ValueError, match="a password is six digits"):
        request.Authority(2, "12345", "87654321").encode()


def test_the_time_is_broadcast_low_part_first() -> None:
    frame = request.broadcast_time(MeterTime((2026, 11, 25), (23, 15, 30)))
    assert frame == Frame("999999999999", 0x08, bytes.fromhex("301523251126"))


@pytest.mark.parametrize(
    ("edition", "identifier", "block"),
    [
        (E07, 0x00010000, 0x0001FF00),
        (E07, 0x00010300, 0x0001FF00),
        (E07, 0x00010001, 0x0001FF01),
        (E07, 0x02010300, 0x0201FF00),
        (E07, 0x02030000, 0x0203FF00),
        (E07, 0x04000503, 0x040005FF),
        (E07, 0x02800002, None),
        (E07, 0x00150000, None),
        (E07, 0x04000101, None),
        (E97, 0x9010, 0x901F),
        (E97, 0xB612, 0xB61F),
        (E97, 0xC010, None),
    ],
)
def test_each_value_knows_the_block_it_stands_in(edition: Edition, identifier: int, block: int | None) -> None:
    assert block_of(edition, identifier) == block


def test_every_identifier_of_the_tables_has_a_quantity_a_unit_and_words() -> None:
    found = 0
    for edition, starts in ((E07, range(0, 0x06000000, 0x100)), (E97, range(0x9000, 0xD000))):
        for start in starts:
            for identifier in (start, start | 0xFF if edition is E07 else start):
                for item in standard_layout.__wrapped__(edition, identifier)[:20]:
                    _sound(item)
                    found += 1
    assert found > 5000


def _sound(item: Item) -> None:
    word = vocabulary()[item.quantity]
    assert bool(word.unit) == bool(item.unit), item
    if item.unit:
        assert item.unit in vocabulary().units_of(item.quantity), item
    assert item.zh
    assert item.en
    assert item.clause
    assert 0 < item.format.size <= 32


@pytest.mark.parametrize(
    ("identifier", "obis"),
    [
        (0x00010000, "1-0:1.8.0"),
        (0x00010200, "1-0:1.8.2"),
        (0x00010001, "1-0:1.8.0*1"),
        (0x00150000, "1-0:21.8.0"),
        (0x02010200, "1-0:52.7.0"),
        (0x02020300, "1-0:71.7.0"),
        (0x02800001, "1-0:91.7.0"),
        (0x01010000, "1-0:1.6.0"),
        (0x02800002, "1-0:14.7.0"),
        (0x00030000, ""),
    ],
)
def test_obis_codes(identifier: int, obis: str) -> None:
    assert standard_layout(E07, identifier)[0].obis == obis


def test_a_profile_may_give_an_identifier_a_meaning_of_its_own() -> None:
    own = Item(E07, 0x00010000, number(5, 4), "energy_import", "kWh", "高精度电能", "fine energy", "the maker's manual")
    words = Dictionary(E07, {0x00010000: (own,)})
    assert told(E07, 0x00010000, "45 23 01 00 00", words) == {"energy_import": "1234.5000"}
    assert told(E07, 0x02010100, "45 23", words) == {"voltage.l1": "234.5"}


@given(st.sampled_from([0x00010000, 0x00000000, 0x02020100, 0x02060000, 0x0280000A]), st.integers(-79, 79))
def test_what_a_simulated_meter_sends_is_what_is_read(identifier: int, whole: int) -> None:
    (item,) = standard_layout(E07, identifier)
    value = Decimal(abs(whole) % 8 if identifier == 0x02060000 else abs(whole))
    data = encode_value(item.format, value)
    (record,) = decode_records(E07, identifier, data)
    assert record.value == value


@given(st.binary(max_size=60), st.integers(0, 2**32 - 1), st.sampled_from(list(Edition)))
def test_any_data_give_readings_and_every_byte_of_a_telegram_is_explained(
    data: bytes, name: int, edition: Edition
) -> None:
    identifier = name if edition is E07 else name & 0xFFFF
    records = decode_records(edition, identifier, data)
    assert b"".join(record.data for record in records) in (data, data[:-1])
    assert Interpreter("m").readings(edition, records, 0)
    telegram = b"\xfe\xfe" + encode_frame(encode.answer(METER, identifier, data, edition)) + data
    assert covers(explain(telegram), telegram)


@given(st.binary(max_size=80))
def test_any_bytes_are_explained_whole(data: bytes) -> None:
    assert covers(explain(data), data)


@given(st.integers(0, 255), st.binary(max_size=30))
def test_any_frame_is_an_answer_or_a_named_error(control: int, data: bytes) -> None:
    frame = Frame(METER, control, data)
    telegram = encode_frame(frame)
    assert covers(explain(telegram), telegram)
    with contextlib.suppress(ProtocolError, DeviceError):
        assert decode_answer(frame).address == METER

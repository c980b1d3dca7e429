"""What nodes and core both do must come out the same: cases made by core, worked out by MicroPython on both ports."""

import random
import zlib
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from linli_core.codecs import crc
from linli_core.instant import SECOND
from linli_core.model import Point, Quality, Reading, Reason, missing, parse_point, quality_label
from linli_core.wire import senml
from linli_core.wire.messages import Ack, encode_message
from linli_sim.nodes.vm import Machine

START = 1_760_000_000 * SECOND
QUANTITIES = (
    "temperature",
    "relative_humidity",
    "water_leak",
    "door_open",
    "water_volume",
    "pulse_count",
    "serial_number",
)


def _value(dice: random.Random) -> Decimal | int | bool | str | None:
    return dice.choice(
        [
            Decimal(dice.randrange(-(10**6), 10**6)).scaleb(-dice.randrange(0, 5)),
            dice.randrange(-(2**31), 2**53),
            dice.random() < 0.5,
            dice.choice(["门磁", 'quote " and \\', "x" * 40, ""]),
            None,
        ]
    )


def _readings(dice: random.Random) -> list[Reading]:
    found = []
    for _ in range(dice.randrange(1, 12)):
        point = Point("node-7", dice.choice(QUANTITIES), channel=dice.choice([None, 1, 2]))
        at = START + dice.randrange(0, 10**9) * 1000
        value = _value(dice)
        if value is None:
            found.append(missing(point, at, dice.choice(list(Reason))))
        elif dice.random() < 0.2:
            found.append(Reading(point, value, at, Quality.UNCERTAIN, Reason.CLOCK_DOUBT))
        else:
            found.append(Reading(point, value, at))
    return found


def _work(machine: Machine, part: str, cases: list[Any]) -> list[Any]:
    found = machine.check("vectors", {part: cases})
    assert isinstance(found, dict)
    results: list[Any] = found[part]
    assert len(results) == len(cases)
    return results


def test_a_node_reads_the_packs_that_core_writes(machine: Machine) -> None:
    dice = random.Random(1)
    lots = [_readings(dice) for _ in range(60)]
    for lot, records in zip(
        lots, _work(machine, "unpack", [senml.encode("gw-1", lot).decode() for lot in lots]), strict=True
    ):
        for reading, (name, _, value, at, quality) in zip(lot, records, strict=True):
            assert name == f"gw-1/{reading.point.name}"
            assert at == reading.observed_at // 1000
            assert type(value) is bool or not isinstance(reading.value, bool)
            assert value == (float(reading.value) if isinstance(reading.value, Decimal) else reading.value)
            assert quality == (quality_label(reading.quality, reading.reason) if reading.quality else "")


def _of_a_node(reading: Reading) -> list[Any]:
    value: Any = reading.value
    if isinstance(value, Decimal):
        digits = value.as_tuple()
        assert isinstance(digits.exponent, int)
        value = [int(value.scaleb(-digits.exponent)), -digits.exponent]
    quality = quality_label(reading.quality, reading.reason) if reading.quality else ""
    return [reading.point.local_name, "", value, quality]


def test_core_reads_the_packs_that_a_node_writes_digit_by_digit(machine: Machine) -> None:
    dice = random.Random(2)
    # What a node reads at once has one time.
    lots = [
        [replace(reading, observed_at=lot[0].observed_at) for reading in lot]
        for lot in (_readings(dice) for _ in range(60))
    ]
    cases = [
        {
            "node": "node-7",
            "at": lot[0].observed_at // 1000,
            "records": [_of_a_node(reading) for reading in lot],
            "place": ["ab12", number, 1, "b0"],
        }
        for number, lot in enumerate(lots, 1)
    ]
    for number, (lot, text) in enumerate(zip(lots, _work(machine, "pack", cases), strict=True), 1):
        pack = senml.decode(text.encode())
        assert (pack.epoch, pack.seq) == ("ab12", number)
        # The names are below the node: the gateway puts its own in front.
        first, *others = pack.records
        records, refused = senml.resolve(senml.Pack("ab12", number, ({**first, "bn": f"gw/{first['bn']}"}, *others)), 0)
        assert refused == []
        for reading, record in zip(lot, records, strict=True):
            assert parse_point(record.name.removeprefix("gw/")) == reading.point
            assert (record.value, record.time) == (reading.value, reading.observed_at)
            if isinstance(reading.value, Decimal):
                assert str(record.value) == f"{reading.value:f}" or isinstance(record.value, int)
            assert (record.quality, record.reason) == (reading.quality, reading.reason)


NO_PACKS = {
    "": "",
    "[]": "no array of 1 to 256 records",
    "{}": "no array of 1 to 256 records",
    "[1]": "a record that is no object",
    '[{"n":"a","v":1,"x_":1}]': "label x_ must be understood and is not",
    '[{"n":"a","v":1,"vb":true}]': "v and vb: one value a record",
    '[{"n":"a","v":true}]': "v = True",
    '[{"n":"a"}]': "neither a value nor q = bad",
    '[{"bver":11,"n":"a","v":1}]': "SenML version 11",
    " " * 16385: "a pack of 16385 bytes; 16384 at most",
}


def test_a_node_refuses_what_is_no_pack(machine: Machine) -> None:
    for found, told in zip(_work(machine, "unpack", list(NO_PACKS)), NO_PACKS.values(), strict=True):
        assert isinstance(found, str)
        assert found == told or not told


def test_checksums_are_the_same_on_both_sides(machine: Machine) -> None:
    dice = random.Random(3)
    datas = [dice.randbytes(dice.randrange(0, 40)) for _ in range(30)]
    modbus = crc.table_of(0xA001)
    results = _work(
        machine, "crc", [[kind, data.hex(), 0xA001, 0xFFFF] for data in datas for kind in ("crc_reflected", "crc32")]
    )
    expected = [value for data in datas for value in (crc.remainder(data, modbus, 0xFFFF), zlib.crc32(data))]
    assert results == expected
    # The sensors' own: SHT3x datasheet, table "CRC": 0xBEEF gives 0x92; 1-Wire (application note 27): the register is 0
    # after a code and its own checksum.
    assert _work(machine, "crc", [["crc8", "beef", 0x31, 0xFF]]) == [0x92]
    codes = [dice.randbytes(7).hex() for _ in range(10)]
    sums = _work(machine, "crc", [["crc_reflected", code, 0x8C, 0] for code in codes])
    whole = [f"{code}{value:02x}" for code, value in zip(codes, sums, strict=True)]
    assert set(_work(machine, "crc", [["crc_reflected", code, 0x8C, 0] for code in whole])) == {0}


def test_a_log_follows_the_acknowledgements_that_core_writes(machine: Machine) -> None:
    epoch = f"{0xC0FFEE:08x}"
    acks = [
        Ack(epoch, 2),
        Ack("another", 5),
        Ack(epoch, 2),
        Ack(epoch, 4, sent_at=START),
        Ack(epoch, 1),
        Ack(epoch, 99),
    ]
    (states,) = _work(machine, "acks", [{"records": 5, "acks": [encode_message(ack).decode() for ack in acks]}])
    assert states == [
        [2, [3, 4, 5]],
        [2, [3, 4, 5]],
        [2, [3, 4, 5]],
        [4, [5]],
        [1, [2, 3, 4, 5]],  # less than before: send again
        [1, [2, 3, 4, 5]],  # of a number that was never given
    ]

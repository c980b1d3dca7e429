"""Telegrams of radio meters played back by somebody: told where they can be, and no real meter taken for one."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.edge.radio import KEY, WATER, Air, link, named, volume

from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.wmbus.encode import (
    Meter,
    encode_cbc,
    encode_derived,
    encode_session,
)
from linli_core.errors import ProtocolError
from linli_core.instant import SECOND
from linli_edge import saved_state
from linli_edge.ciphers import AES


async def test_a_message_that_was_sent_before_is_not_taken_again() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    old = encode_derived(Meter(WATER, 1), volume(1000), AES, KEY, 7)
    air.send(old)
    air.send(encode_derived(Meter(WATER, 2), volume(1001), AES, KEY, 8), 60)
    assert named(await air.collect())["water_volume"] == Decimal("1.001")
    air.send(old, 60)
    assert await air.collect() == []
    assert air.totals == {"read": 2, "replayed": 1}
    assert air.driver.counters()["water"].foreign == 1


async def test_a_replayed_telegram_without_a_counter_is_told_by_its_bytes() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    old = encode_cbc(Meter(WATER, 1), volume(1000), AES, KEY)
    air.send(old)
    air.send(encode_cbc(Meter(WATER, 2), volume(1001), AES, KEY), 60)
    air.send(old, 60)
    assert named(await air.collect())["water_volume"] == Decimal("1.001")
    assert air.totals == {"read": 2, "replayed": 1}


@pytest.mark.parametrize("at", [0, 12], ids=["the C field", "the status"])
async def test_a_replay_is_told_though_bytes_that_no_key_protects_were_changed(at: int) -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    old = bytearray(encode_cbc(Meter(WATER, 1), volume(1000), AES, KEY))
    air.send(bytes(old))
    air.send(encode_cbc(Meter(WATER, 2), volume(1001), AES, KEY), 60)
    # C field 44 becomes 46 and the status 00 becomes 04: the key opens the rest as before.
    old[at + 1] ^= 0x02 if at == 0 else 0x04
    air.send(bytes(old), 60)
    assert named(await air.collect())["water_volume"] == Decimal("1.001")
    assert air.totals == {"read": 2, "replayed": 1}


async def test_a_replay_is_told_though_it_has_a_tail_in_plain() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    old = encode_cbc(Meter(WATER, 1), volume(1000), AES, KEY)
    air.send(old)
    air.send(encode_cbc(Meter(WATER, 2), volume(1001), AES, KEY), 60)
    longer = old[1:] + b"\x2f\x2f"
    air.send(bytes((len(longer),)) + longer, 60)
    assert named(await air.collect())["water_volume"] == Decimal("1.001")
    assert air.totals == {"read": 2, "replayed": 1}


async def test_a_replay_is_told_though_less_of_it_is_said_to_be_encrypted() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    rest = volume(900, 1) + b"\x2f\x2f" + volume(800, 2)
    old = bytearray(encode_cbc(Meter(WATER, 1), volume(1000) + rest, AES, KEY))
    assert old[13] == 0x20
    air.send(bytes(old))
    air.send(encode_cbc(Meter(WATER, 2), volume(1001) + rest, AES, KEY), 60)
    old[13] = 0x10
    air.send(bytes(old), 60)
    assert named(await air.collect())["water_volume"] == Decimal("1.001")
    assert air.totals == {"read": 2, "replayed": 1}


async def test_a_replay_is_told_though_it_has_another_access_number() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    old = bytearray(encode_cbc(Meter(WATER, 1), volume(1000) + volume(900, 1), AES, KEY))
    air.send(bytes(old))
    air.send(encode_cbc(Meter(WATER, 2), volume(1001) + volume(900, 1), AES, KEY), 60)
    # The start value ends with eight times the number: the second record becomes another, the first stays whole.
    old[11] = 3
    air.send(bytes(old), 60)
    assert named(await air.collect())["water_volume"] == Decimal("1.001")
    assert air.totals == {"read": 2, "replayed": 1}


async def test_a_replayed_session_is_told_whatever_its_access_number_says() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    old = bytearray(encode_session(Meter(WATER, 1), b"\x78" + volume(1000), AES, KEY, 7))
    air.send(bytes(old))
    air.send(encode_session(Meter(WATER, 2), b"\x78" + volume(1001), AES, KEY, 8), 60)
    old[12] = 3
    air.send(bytes(old), 60)
    assert named(await air.collect())["water_volume"] == Decimal("1.001")
    assert air.totals == {"read": 2, "replayed": 1}


async def test_whoever_knows_the_key_of_one_meter_cannot_speak_for_another() -> None:
    other = bytes(reversed(KEY))
    devices = (
        f'id = "mine"\nmeter = "87654321"\nkey = "{other.hex()}"\n\n'
        f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'
    )
    air = Air(link(devices))
    # In front the neighbour's own meter and key, behind what that key opens the number of somebody else's.
    inner = Meter(WATER, 1, module=WATER)
    forged = inner.header(0) + volume(999999)
    air.send(encode_session(Meter(Identity("87654321", "LIN", 1, 7), 1), forged, AES, other, 1))
    with pytest.raises(ProtocolError) as caught:
        await air.collect(1)
    assert caught.value.kind == "key"


async def test_a_meter_that_stands_still_sends_the_same_bytes_again() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    for number in range(600):
        air.send(encode_cbc(Meter(WATER, number), volume(1000), AES, KEY), 16)
    assert air.totals == {"read": 600}


async def test_a_meter_that_stands_still_and_sends_two_kinds_of_telegrams_is_heard_on() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    for number in range(1200):
        records = (volume(1000), volume(1000) + volume(900, 1), volume(900, 1))[number % 3]
        air.send(encode_cbc(Meter(WATER, number), records, AES, KEY), 16)
    assert air.totals == {"read": 1200}


async def test_a_meter_whose_access_numbers_are_made_up_is_heard_on() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    for number in range(1200):
        air.send(encode_cbc(Meter(WATER, number * 101 * number), volume(1000 + number % 2), AES, KEY), 16)
    assert air.totals == {"read": 1200}


async def test_a_meter_that_is_seldom_heard_is_heard_on() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    for number in range(600):
        sent = number * 83 + number * number % 61
        air.send(encode_cbc(Meter(WATER, sent), volume(1000 + number % 2), AES, KEY), 16 * 83)
    assert air.totals == {"read": 600}


async def test_a_counter_outlives_a_restart(tmp_path: Path) -> None:
    device = f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'
    head = f'host = "127.0.0.1"\nport = 1\nstate = "{tmp_path}/radio.json"'
    told = [encode_derived(Meter(WATER, number), volume(1000 + number), AES, KEY, number) for number in (7, 8)]

    async def texts(*telegrams: bytes) -> AsyncIterator[str]:
        for data in telegrams:
            yield data.hex()

    first = Air(link(device, head))
    await first.driver.listen(texts(*told))
    second = Air(link(device, head))
    await second.driver.listen(texts(told[0]))
    assert second.totals == {"replayed": 1}


async def test_a_new_meter_does_not_inherit_the_counter_of_the_one_it_replaces(tmp_path: Path) -> None:
    head = f'host = "127.0.0.1"\nport = 1\nstate = "{tmp_path}/radio.json"'
    new = Identity("87654321", "LIN", 1, 7)

    async def texts(data: bytes) -> AsyncIterator[str]:
        yield data.hex()

    first = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"', head))
    await first.driver.listen(texts(encode_derived(Meter(WATER, 1), volume(1000), AES, KEY, 90_000)))
    swapped = Air(link(f'id = "water"\nmeter = "87654321"\nkey = "{KEY.hex()}"', head))
    await swapped.driver.listen(texts(encode_derived(Meter(new, 1), volume(1), AES, KEY, 5)))
    assert swapped.totals == {"read": 1}


async def test_each_meter_that_fits_a_pattern_has_a_counter_of_its_own() -> None:
    air = Air(link(f'id = "water"\nmeter = "FFFFFFFF"\nkey = "{KEY.hex()}"'))
    air.send(encode_derived(Meter(WATER, 1), volume(1000), AES, KEY, 90_000))
    new = encode_derived(Meter(Identity("87654321", "LIN", 1, 7), 1), volume(1), AES, KEY, 5)
    air.send(new, 60)
    air.send(encode_derived(Meter(WATER, 2), volume(1001), AES, KEY, 90_001), 60)
    air.send(new, 60)
    assert air.totals == {"read": 3, "replayed": 1}


async def test_counters_are_written_once_a_minute_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    monkeypatch.setattr(saved_state, "write_durably", lambda _, content: written.append(content))
    device = f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'
    air = Air(link(device, f'host = "127.0.0.1"\nport = 1\nstate = "{tmp_path}/radio.json"'))

    async def texts() -> AsyncIterator[str]:
        for number in range(1, 61):
            air.now += 4 * SECOND
            yield encode_derived(Meter(WATER, number), volume(1000 + number), AES, KEY, number).hex()

    await air.driver.listen(texts())
    # Four minutes of telegrams: the first, one for each minute, and the last.
    assert [next(iter(json.loads(content).values())) for content in written] == [1, 16, 31, 46, 60]


async def test_a_replay_makes_no_duplicate_of_the_telegram_with_its_number() -> None:
    air = Air(link(f'id = "water"\nmeter = "12345678"\nkey = "{KEY.hex()}"'))
    old = encode_derived(Meter(WATER, 3), volume(1000), AES, KEY, 7)
    air.send(old)
    air.send(encode_derived(Meter(WATER, 2), volume(1001), AES, KEY, 8), 4080)
    air.send(old, 12)
    due = encode_derived(Meter(WATER, 3), volume(1002), AES, KEY, 9)
    air.send(due, 4)
    air.send(due, 1)
    assert named(await air.collect())["water_volume"] == Decimal("1.002")
    assert air.totals == {"read": 3, "replayed": 1, "duplicate": 1}

"""The DL/T 645 driver against simulated meters on a line without time: editions, blocks, refusals, neighbours."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from linli_core.codecs.dlt645 import Edition
from linli_core.errors import (
    DeviceError,
    LinkTimeout,
    ProtocolError,
    WriteRefusal,
    WriteRefused,
)
from linli_core.instant import HOUR, MINUTE, SECOND, from_rfc3339, to_rfc3339
from linli_core.model import Reading, quality_label
from linli_edge.driver import Counting, WriteRequest, Writing
from linli_edge.drivers.dlt645 import SPEC
from linli_edge.drivers.dlt645.driver import Dlt645Driver
from linli_edge.drivers.dlt645.settings import LinkSettings, parse
from linli_sim.dlt645_meter import Dlt645Meter
from linli_sim.dlt645_values import Household, households
from linli_sim.jumping_loop import on_jumping_loop
from linli_sim.timeless_line import StationTransport

NOW = from_rfc3339("2026-11-25T08:00:00Z")


class Field:
    """A driver, its line and the meters on it; time moves by hand."""

    def __init__(self, *meters: Dlt645Meter, devices: list[dict[str, Any]] | None = None, **link: Any) -> None:
        self.now = NOW
        self.transport = StationTransport(meters)
        tables = devices or [{"id": f"m{place}", "address": meter.address} for place, meter in enumerate(meters)]
        table = {"host": "converter", "port": 1, "timeout": "20 ms", "retries": 0, "devices": tables, **link}
        self.settings: LinkSettings = parse(table, "links[0]")
        self.driver = Dlt645Driver(self.settings, self.transport, lambda: self.now)

    async def poll(self, place: int = 0) -> dict[str, object]:
        return {reading.point.local_name: shown(reading) for reading in await self.readings(place)}

    async def readings(self, place: int = 0) -> list[Reading]:
        return await self.driver.poll(self.driver.plan[place])

    @property
    def asked(self) -> list[str]:
        """What was asked for, by function and identifier."""
        names = []
        for frame in self.transport.written:
            body = frame.lstrip(b"\xfe")
            data = bytes((byte - 0x33) & 0xFF for byte in body[10:-2])
            names.append(f"{body[8]:02X} {data[:4][::-1].hex().upper()}".strip())
        return names


def shown(reading: Reading) -> object:
    if reading.value is None:
        return quality_label(reading.quality, reading.reason)
    return format(reading.value, "f") if isinstance(reading.value, Decimal) else reading.value


def household(number: int = 0) -> Household:
    return households(number + 1, 1, NOW - HOUR)[number]


def make(number: int = 0, edition: Edition = Edition.E2007, **more: Any) -> Dlt645Meter:
    home = household(number)

    def values() -> Mapping[int, bytes]:
        return home.of_1997(NOW) if edition is Edition.E1997 else home.of_2007(NOW, is_open=made.is_open)

    made = Dlt645Meter(home.address, values, edition, **more)
    return made


def device(made: Dlt645Meter, **more: Any) -> dict[str, Any]:
    return {"id": "m0", "address": made.address, "edition": "2007", **more}


READS = ["00010000", "02010100", "02010200", "02010300", "02030000"]


@on_jumping_loop
async def test_values_that_stand_together_are_asked_for_as_a_block() -> None:
    made = make()
    field = Field(made, devices=[device(made, read=READS)])
    found = await field.poll()
    assert field.asked == ["11 04000402", "11 00010000", "11 0201FF00", "11 02030000"]
    assert list(found) == ["energy_import", "voltage.l1", "voltage.l2", "voltage.l3", "active_power"]
    held = household().of_2007(NOW)
    assert found["energy_import"] == str(Decimal(held[0x00010000][::-1].hex()).scaleb(-2) * 1000)
    assert found["voltage.l2"] == str(Decimal(held[0x02010200][::-1].hex()).scaleb(-1))
    # The number was asked for once.
    await field.poll()
    assert field.asked[4:] == ["11 00010000", "11 0201FF00", "11 02030000"]


@on_jumping_loop
async def test_a_refused_block_is_read_value_by_value_and_the_refusal_remembered() -> None:
    made = make(refuses={0x0201FF00})
    field = Field(made, devices=[device(made, read=READS)])
    first = await field.poll()
    assert field.asked[2:] == ["11 0201FF00", "11 02010100", "11 02010200", "11 02010300", "11 02030000"]
    del field.transport.written[:]
    assert await field.poll() == first
    assert "11 0201FF00" not in field.asked
    field.now += HOUR
    del field.transport.written[:]
    await field.poll()
    assert "11 0201FF00" in field.asked


@on_jumping_loop
async def test_a_block_that_only_this_meter_leaves_unanswered_is_given_up() -> None:
    made = make(silent_on={0x0201FF00})
    field = Field(made, devices=[device(made, read=READS)])
    found = await field.poll()
    assert found["voltage.l1"] == str(Decimal(household().of_2007(NOW)[0x02010100][::-1].hex()).scaleb(-1))
    del field.transport.written[:]
    await field.poll()
    assert "11 0201FF00" not in field.asked


@on_jumping_loop
async def test_what_a_meter_has_not_is_bad_and_asked_again_after_an_hour() -> None:
    made = make(refuses={0x02030000})
    field = Field(made, devices=[device(made, read=READS)])
    assert (await field.poll())["active_power"] == "bad/refused_by_device"
    del field.transport.written[:]
    assert (await field.poll())["active_power"] == "bad/refused_by_device"
    assert "11 02030000" not in field.asked
    field.now += HOUR
    made.refuses.clear()
    assert str((await field.poll())["active_power"]).endswith("00")
    assert field.driver.counters()["m0"].refused == 1


@on_jumping_loop
async def test_a_short_block_leaves_the_rest_missing() -> None:
    made = make()
    home = household()
    field = Field(made, devices=[device(made, read=["0001FF00"])])
    made.values = lambda: {**home.of_2007(NOW), 0x0001FF00: home.of_2007(NOW)[0x0001FF00][:8]}
    found = await field.poll()
    assert found["energy_import.t2"] == found["energy_import.t4"] == "bad/not_implemented"
    assert str(found["energy_import.t1"])[0].isdigit()


@on_jumping_loop
async def test_both_editions_on_one_line_are_found_out_and_remembered() -> None:
    old, new = make(1, Edition.E1997), make(0)
    field = Field(old, new)
    found = await field.poll(0)
    assert "energy_import" in found
    assert found["voltage.l1"] == str(household(1).of_1997(NOW)[0xB611][::-1].hex().lstrip("0"))
    places = {planned.device: place for place, planned in enumerate(field.driver.plan) if "#" not in planned.key}
    assert str((await field.poll(places["m1"]))["voltage.l1"]).count(".") == 1
    assert field.settings.memory["m0"].edition is Edition.E1997
    assert field.settings.memory["m1"].edition is Edition.E2007
    del field.transport.written[:]
    await field.poll(0)
    assert {name[:2] for name in field.asked} == {"01"}


@on_jumping_loop
async def test_a_silent_meter_is_a_timeout_and_another_ones_answer_is_never_booked() -> None:
    liar = make(1, answers_as="000000000099")
    field = Field(liar, devices=[device(liar)])
    with pytest.raises(ProtocolError, match="another answered: meter 000000000099") as caught:
        await field.poll()
    assert caught.value.kind == "foreign"
    counted = field.driver.counters()["m0"]
    assert counted.foreign == counted.requests
    assert counted.answers == 0
    gone = Field(make(0), devices=[{"id": "m0", "address": "000000000001", "edition": "2007"}])
    with pytest.raises(LinkTimeout, match=r"no answer within 0\.02 s"):
        await gone.poll()
    assert gone.driver.counters()["m0"].timeouts == 2


@on_jumping_loop
async def test_an_echo_and_noise_and_another_meters_frame_are_passed_over() -> None:
    made = make()
    field = Field(made, devices=[device(made, read=["00010000"])])
    field.transport.echo = True
    field.transport.before = bytes.fromhex("00FF68") + bytes.fromhex("68110000000000689106333434354344AA16")
    assert "energy_import" in await field.poll()


@on_jumping_loop
async def test_a_late_answer_is_thrown_away_and_counted() -> None:
    made = make()
    field = Field(made, devices=[device(made, read=["00010000"])])
    await field.poll()
    field.transport.late = True
    with pytest.raises(LinkTimeout):
        await field.poll()
    field.transport.late = False
    # The answer to the request before arrives, then the one to this request.
    field.transport.feed(made.hear(field.transport.written[-1]))
    assert "energy_import" in await field.poll()
    assert field.driver.counters()["m0"].late == 1


@on_jumping_loop
async def test_a_wrong_checksum_yields_nothing() -> None:
    made = make()

    class Damaged:
        def hear(self, frame: bytes) -> bytes:
            answer = made.hear(frame)
            return answer[:-3] + bytes((answer[-3] ^ 1,)) + answer[-2:] if answer else b""

    field = Field(made, devices=[device(made, read=["00010000"])])
    field.transport.stations = [Damaged()]
    with pytest.raises(ProtocolError, match="the checksum is"):
        await field.poll()
    assert field.driver.counters()["m0"].checksum == 2


@on_jumping_loop
async def test_two_meters_with_one_address_are_no_device() -> None:
    one, two = make(0), make(1)
    two.address = one.address
    field = Field(one, two, devices=[device(one, read=["0001FF00", "00010000"])])
    field.transport.stations = [one, two]
    with pytest.raises((ProtocolError, LinkTimeout)):
        await field.poll()


@on_jumping_loop
async def test_an_answer_in_pieces_comes_together() -> None:
    made = make(most=14)
    field = Field(made, devices=[device(made, read=["0001FF00"])])
    found = await field.poll()
    assert len(found) == 5
    assert sum(name.startswith("12") for name in field.asked) >= 1
    whole = make()
    assert found == await Field(whole, devices=[device(whole, read=["0001FF00"])]).poll()


@on_jumping_loop
async def test_a_fe_filled_line_of_any_length_is_heard() -> None:
    for preamble in (0, 1, 4, 11):
        made = make(preamble=preamble)
        assert "energy_import" in await Field(made, devices=[device(made, read=["00010000"])]).poll()


@on_jumping_loop
async def test_the_only_meter_may_be_asked_by_the_wildcard_and_its_number_is_noticed() -> None:
    made = make()
    field = Field(made, devices=[device(made, address="AAAAAAAAAAAA", read=["00010000"])])
    await field.poll()
    assert field.settings.memory["m0"].number == made.address
    other = make(1)
    again = Dlt645Driver(field.settings, StationTransport([other]), lambda: NOW)
    await again.poll(again.plan[0])
    assert field.settings.memory["m0"].swaps == 1
    assert field.settings.memory["m0"].number == other.address


@on_jumping_loop
async def test_a_meter_number_other_than_the_one_demanded_is_refused() -> None:
    made = make()
    field = Field(made, devices=[device(made, identity="000000000042", read=["00010000"])])
    with pytest.raises(ProtocolError, match=f"meter number {made.address} answered where 000000000042 was expected"):
        await field.poll()
    silent = make(refuses={0x04000402})
    field = Field(silent, devices=[device(silent, identity="000000000042", read=["00010000"])])
    with pytest.raises(ProtocolError, match="does not tell its number"):
        await field.poll()


@on_jumping_loop
async def test_the_meters_clock_stands_beside_the_gateways() -> None:
    made = make()
    field = Field(made, devices=[device(made, read=["00010000", "00010001", "04000101", "04000102"])])
    times = {reading.point.local_name: reading.device_time for reading in await field.readings()}
    assert times["energy_import"] is not None
    assert to_rfc3339(times["energy_import"]) == "2026-11-25T08:00:00Z"
    assert times["energy_import.s1"] is None


@on_jumping_loop
async def test_a_clock_that_is_wrong_is_flagged_and_nothing_is_rejected_for_it() -> None:
    made = make()
    field = Field(made, devices=[device(made, read=["00010000", "04000101", "04000102"])])
    field.now += HOUR
    found = {
        reading.point.local_name: quality_label(reading.quality, reading.reason) for reading in await field.readings()
    }
    assert found == {
        "energy_import": "good",
        "meter_date": "uncertain/clock_doubt",
        "meter_time": "uncertain/clock_doubt",
    }


@on_jumping_loop
async def test_when_a_meter_falls_silent_in_the_middle_what_it_said_counts() -> None:
    made = make(silent_on={0x02030000})
    field = Field(made, devices=[device(made, read=READS)])
    found = await field.poll()
    assert found["active_power"] == "bad/no_communication"
    assert found["voltage.l3"] != "bad/no_communication"


@on_jumping_loop
async def test_the_plan_says_what_a_poll_yields_and_longer_intervals_are_polls_of_their_own() -> None:
    made = make()
    field = Field(made, devices=[device(made)])
    plan = field.driver.plan
    assert [(planned.key, planned.interval) for planned in plan] == [("m0", 15 * MINUTE), ("m0#2", HOUR)]
    assert SPEC.plan is not None
    assert list(SPEC.plan(field.settings)) == list(plan)
    for place, planned in enumerate(plan):
        names = {point.local_name for point in planned.points}
        assert names == set(await field.poll(place))
    assert isinstance(field.driver, Counting)
    assert isinstance(field.driver, Writing)


def relay(made: Dlt645Meter, tmp_path: Path, **more: Any) -> list[dict[str, Any]]:
    profile = tmp_path / "with-relay.toml"
    profile.write_text(
        'make = "T"\nmodel = "T"\nmanual = "T"\nverified = "T"\nedition = "2007"\n'
        '[title]\nzh = "T"\nen = "T"\n[[reads]]\nidentifiers = ["00010000"]\n[relay]\nopen = "1A"\nclose = "1C"\n'
    )
    secret = tmp_path / "password"
    secret.write_text("123456\n")
    authority = {"password_file": str(secret), "operator": "00000007"}
    return [{"id": "m0", "address": made.address, "profile": str(profile), "relay": authority, **more}]


def order(value: Any = False, point: str = "m0/relay_state") -> WriteRequest:
    return WriteRequest("w1", point, value, NOW + MINUTE, "operator")


@on_jumping_loop
async def test_a_relay_is_opened_and_looked_at_before_and_after(tmp_path: Path) -> None:
    made = make(relay_open=0x1A, relay_close=0x1C, password="123456")
    field = Field(made, devices=relay(made, tmp_path))
    outcome = await field.driver.write(order())
    assert (outcome.ok, outcome.before, outcome.after) == (True, "closed", "open")
    assert made.commands == [0x1A]
    assert [name[:2] for name in field.asked] == ["11", "1C", "11"]
    assert (await field.driver.write(order(True))).after == "closed"
    assert made.commands == [0x1A, 0x1C]


@on_jumping_loop
async def test_a_relay_that_is_too_late_by_the_time_it_was_looked_at_is_not_worked(tmp_path: Path) -> None:
    made = make(relay_open=0x1A, relay_close=0x1C, password="123456")
    field = Field(made, devices=relay(made, tmp_path))
    read = field.transport.write

    async def slowly(data: bytes) -> None:
        field.now += 2 * MINUTE
        await read(data)

    field.transport.write = slowly  # type: ignore[method-assign]
    with pytest.raises(WriteRefused) as caught:
        await field.driver.write(order())
    assert caught.value.reason is WriteRefusal.EXPIRED
    assert not made.commands


@on_jumping_loop
async def test_a_relay_that_is_not_declared_or_not_granted_is_never_touched(tmp_path: Path) -> None:
    made = make(relay_open=0x1A, relay_close=0x1C, password="123456")
    plain = Field(made, devices=[device(made)])
    granted = Field(made, devices=relay(made, tmp_path))
    wild = Field(made, devices=relay(made, tmp_path, address="AAAAAAAAAAAA"))
    cases = [
        (plain, order(), WriteRefusal.NOT_WRITABLE),
        (granted, order("open"), WriteRefusal.BAD_VALUE),
        (granted, order(point="m0/voltage.l1"), WriteRefusal.UNKNOWN_POINT),
        (granted, order(point="m9/relay_state"), WriteRefusal.UNKNOWN_POINT),
        (wild, order(), WriteRefusal.NOT_WRITABLE),
    ]
    for field, request, reason in cases:
        with pytest.raises(WriteRefused) as caught:
            await field.driver.write(request)
        assert caught.value.reason is reason
        assert not field.transport.written
    (tmp_path / "password").write_text("12345")
    with pytest.raises(WriteRefused, match="does not hold the six digits"):
        await granted.driver.write(order())
    assert not made.commands


@on_jumping_loop
async def test_the_relay_of_another_meter_than_the_one_demanded_is_never_touched(tmp_path: Path) -> None:
    made = make(relay_open=0x1A, relay_close=0x1C, password="123456")
    stranger = Field(made, devices=relay(made, tmp_path, identity="000000000042"))
    with pytest.raises(WriteRefused, match=f"meter number {made.address} answered where 000000000042 was expected"):
        await stranger.driver.write(order())
    assert not made.commands
    known = Field(made, devices=relay(made, tmp_path, identity=made.address))
    assert (await known.driver.write(order())).ok
    # It was the right meter when the line opened; since then somebody has hung another one there.
    other = household(1)
    swapped = Dlt645Meter(
        made.address,
        lambda: {**other.of_2007(NOW, is_open=False), 0x04000402: bytes.fromhex(other.address)[::-1]},
        Edition.E2007,
        relay_open=0x1A,
        relay_close=0x1C,
        password="123456",
    )
    known.transport.stations = [swapped]
    with pytest.raises(WriteRefused, match=f"meter number {other.address} answered where"):
        await known.driver.write(order())
    assert not swapped.commands


@on_jumping_loop
async def test_a_number_that_is_none_proves_no_meter(tmp_path: Path) -> None:
    home = household()
    nameless = Dlt645Meter(
        home.address,
        lambda: {**home.of_2007(NOW, is_open=False), 0x04000402: b"\xff" * 6},
        Edition.E2007,
        relay_open=0x1A,
        relay_close=0x1C,
        password="123456",
    )
    field = Field(nameless, devices=relay(nameless, tmp_path, identity=home.address))
    with pytest.raises(ProtocolError, match="does not tell its number"):
        await field.poll()
    with pytest.raises(WriteRefused, match="does not tell its number"):
        await field.driver.write(order())
    assert not nameless.commands


@on_jumping_loop
async def test_a_wrong_password_is_the_meters_refusal(tmp_path: Path) -> None:
    made = make(relay_open=0x1A, relay_close=0x1C, password="654321")
    field = Field(made, devices=relay(made, tmp_path))
    with pytest.raises(DeviceError, match="wrong password or no authority"):
        await field.driver.write(order())
    assert not made.commands


@on_jumping_loop
async def test_a_command_without_confirmation_is_not_repeated(tmp_path: Path) -> None:
    made = make(relay_open=0x1A, relay_close=0x1C, password="123456")

    class Mute:
        def hear(self, frame: bytes) -> bytes:
            answer = made.hear(frame)
            return b"" if frame.lstrip(b"\xfe")[8] == 0x1C else answer

    field = Field(made, devices=relay(made, tmp_path))
    field.transport.stations = [Mute()]
    outcome = await field.driver.write(order())
    assert not outcome.ok
    assert "did not confirm" in outcome.error
    assert outcome.after == "open"
    assert made.commands == [0x1A]


@on_jumping_loop
async def test_a_line_of_2400_baud_waits_for_its_own_characters() -> None:
    made = make()
    table = {"transport": "serial", "path": "/dev/null", "devices": [device(made, read=["00010000"])]}
    settings = parse(table, "links[0]")
    assert settings.character == pytest.approx(11 / 2400)
    assert settings.timeout == SECOND // 2
    (planned,) = Dlt645Driver(settings, StationTransport([made]), lambda: NOW).plan
    # 4 FE + 16 bytes out, 4 FE + 20 bytes back, and the meter's own time.
    assert planned.cost == pytest.approx(44 * 11 / 2400 * SECOND + 50_000, rel=0.01)

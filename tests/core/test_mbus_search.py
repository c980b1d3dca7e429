"""The wildcard search: every meter of a bus is found once, whatever the numbers, and noise is no meter."""

import random
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.codecs.mbus import Identity, LongFrame
from linli_core.codecs.mbus.encode import encode_answer
from linli_core.codecs.mbus.frame import ACK, encode_frame
from linli_core.codecs.mbus.search import State, TreeSearch, selection
from linli_sim.mbus_slave import BusSegment, Slave

Bus = Callable[[bytes], bytes]


def meter(number: str, manufacturer: str = "LNL", version: int = 1, medium: int = 7) -> Identity:
    return Identity(number, manufacturer, version, medium)


def bus_of(identities: Sequence[Identity]) -> BusSegment:
    def telegram(identity: Identity) -> bytes:
        # No two meters say the same: their telegrams differ behind the header, too.
        dice = random.Random(str(identity))
        records = [bytes((0x04, vif)) + dice.randbytes(4) for vif in (0x13, 0x06, 0x2B)]
        return encode_frame(encode_answer(identity, records, address=0, access_number=dice.randrange(256)))

    return BusSegment([Slave(0, each, lambda each=each: [telegram(each)]) for each in identities])  # type: ignore[misc]


def walk(search: TreeSearch, bus: Bus) -> list[Identity]:
    found = []
    while (frame := search.next()) is not None:
        assert search.next() == frame
        identity = search.take(bus(encode_frame(frame)))
        if identity is not None:
            found.append(identity)
    assert search.done
    return found


def heard(segment: BusSegment) -> Bus:
    return lambda data: b"".join(segment.receive(data))


def test_an_empty_bus_is_one_question() -> None:
    search = TreeSearch()
    assert walk(search, lambda _: b"") == []
    assert search.state.questions == 1
    assert not search.exhausted


def test_one_meter_is_found_at_once() -> None:
    search = TreeSearch()
    assert walk(search, heard(bus_of([meter("12345678")]))) == [meter("12345678")]
    assert search.state.questions == 4, "found, and confirmed by its own address"
    assert search.state.found == [f"12345678{meter('12345678').encode()[4:].hex().upper()}"]


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 99_999_999), min_size=1, max_size=12))
def test_every_meter_of_a_bus_is_found_once(numbers: set[int]) -> None:
    identities = [meter(f"{number:08d}") for number in sorted(numbers)]
    search = TreeSearch()
    found = walk(search, heard(bus_of(identities)))
    assert sorted(found, key=str) == sorted(identities, key=str)
    assert search.state.unresolved == []
    # Each meter costs its own branch of the tree at most.
    assert search.state.questions <= 2 + len(identities) * 8 * 12


def test_neighbouring_numbers_and_numbers_with_letters() -> None:
    identities = [meter(number) for number in ("12345678", "12345679", "1234567A", "1234567E", "00000000", "99999999")]
    search = TreeSearch()
    found = walk(search, heard(bus_of(identities)))
    # Letters are asked for only where a collision has no ordinary child; here 8 and 9 answered.
    assert {each.number for each in found} == {"12345678", "12345679", "00000000", "99999999"}
    only_letters = [meter("1234567A"), meter("1234567E")]
    assert len(walk(TreeSearch(), heard(bus_of(only_letters)))) == 2


def test_meters_that_share_a_number_are_told_apart() -> None:
    identities = [
        meter("11111111", "KAM", 1, 0x04),
        meter("11111111", "KAM", 1, 0x07),
        meter("11111111", "LUG", 2, 0x04),
        meter("11111111", "LUG", 3, 0x04),
        meter("22222222", "LNL", 1, 0x07),
    ]
    search = TreeSearch()
    found = walk(search, heard(bus_of(identities)))
    assert sorted(found, key=str) == sorted(identities, key=str)
    assert search.state.unresolved == []


def test_meters_that_share_everything_are_said_not_guessed() -> None:
    identities = [meter("11111111"), meter("11111111"), meter("22222222")]
    segment = bus_of(identities)
    answers = [
        encode_frame(encode_answer(each, [bytes.fromhex("0C13") + bytes((number, 0, 0, 0))], address=number))
        for number, each in enumerate(identities, start=1)
    ]
    for slave, answer in zip(segment.slaves, answers, strict=True):
        slave.pages = lambda answer=answer: [answer]  # type: ignore[misc]
    search = TreeSearch()
    assert walk(search, heard(segment)) == [meter("22222222")]
    assert search.state.unresolved
    assert all(mask.startswith("11111111") for mask in search.state.unresolved)


def test_a_collision_of_which_one_is_heard_wrongly_is_no_device() -> None:
    """Garbage never becomes a meter, even where it is all there ever is."""
    dice = random.Random(3)

    def noise(_: bytes) -> bytes:
        return bytes(dice.randrange(256) for _ in range(dice.randint(1, 30)))

    search = TreeSearch(most=400)
    assert walk(search, noise) == []
    assert search.exhausted
    assert search.state.questions == 400


def test_a_collision_with_a_right_checksum_is_no_device() -> None:
    """One in 256 is: what it seems to be does not answer to its own address."""
    ghost = encode_frame(encode_answer(meter("00000000"), [bytes.fromhex("0C1312345678")], address=0))
    segment = bus_of([meter("10000001"), meter("20000002")])
    merged = segment._merge

    def collide(said: Sequence[bytes]) -> bytes:
        return ghost if len(said) > 1 and len(said[0]) > 1 else merged(said)

    segment._merge = collide  # type: ignore[method-assign]
    found = walk(TreeSearch(), heard(segment))
    assert sorted(found, key=str) == [meter("10000001"), meter("20000002")]


def test_one_burst_of_noise_costs_two_questions_and_finds_nothing() -> None:
    burst = iter([b"\x00\xff"])
    search = TreeSearch()
    assert walk(search, lambda _: next(burst, b"")) == []
    assert search.state.questions <= 4
    assert search.state.unresolved == []


def test_an_echoing_converter_changes_nothing() -> None:
    identities = [meter("10000001"), meter("10000002"), meter("30000000")]
    segment = bus_of(identities)
    found = walk(TreeSearch(), lambda data: data + b"".join(segment.receive(data)))
    assert sorted(found, key=str) == identities


def test_an_answer_that_was_lost_is_asked_for_again() -> None:
    identities = [meter("10000001"), meter("20000002")]
    segment = bus_of(identities)
    losses = {2, 5, 9}
    count = 0

    def lossy(data: bytes) -> bytes:
        nonlocal count
        count += 1
        answer = b"".join(segment.receive(data))
        return b"" if count in losses else answer

    assert sorted(walk(TreeSearch(), lossy), key=str) == identities


def test_a_search_can_be_kept_and_go_on() -> None:
    identities = [meter(f"{number:08d}") for number in (1, 2, 30, 400, 5000, 99999999)]
    segment = bus_of(identities)
    state = State()
    found = []
    for _ in range(2000):
        # Made anew from what was kept, in the middle of something: the mask it was at is asked for again.
        search = TreeSearch(msgspec.json.decode(msgspec.json.encode(state), type=State))
        for _ in range(7):
            if (frame := search.next()) is not None:
                found += [each for each in [search.take(b"".join(segment.receive(encode_frame(frame))))] if each]
        state = search.state
        if search.done:
            break
    assert {each.number for each in found} == {each.number for each in identities}
    assert len(state.found) == len(identities)


def test_a_meter_whose_telegram_does_not_name_it_is_known_by_its_number() -> None:
    plain = encode_frame(LongFrame(0x08, 5, 0x78, bytes.fromhex("0C1312345678")))
    search = TreeSearch()
    found = walk(search, heard(BusSegment([Slave(5, meter("87654321"), lambda: [plain])])))
    assert [each.number for each in found] == ["87654321"]


def test_several_acknowledgements_behind_each_other_are_several_meters() -> None:
    search = TreeSearch()
    search.take(bytes((ACK, ACK)))
    frame = search.next()
    assert frame is not None
    search.take(b"\x68\x00")
    assert search.mask.startswith("0FFFFFFF")
    with pytest.raises(ValueError, match="nothing was asked"):
        TreeSearch(most=0).take(b"")
    assert selection("12FFFFFFFFFFFFFF").number == "12FFFFFF"


def test_a_collision_that_reads_as_one_of_the_two_hides_the_other_from_nobody() -> None:
    # By chance the checksum of what is heard is right, and the number in it that of the first.
    identities = [meter("00000000"), meter("00000404")]
    search = TreeSearch()
    assert sorted(walk(search, heard(bus_of(identities))), key=str) == sorted(identities, key=str)
    assert search.state.unresolved == []

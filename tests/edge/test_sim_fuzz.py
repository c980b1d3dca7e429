"""The fuzzer: checksums that it puts right are right, and it finds what must not be."""

import random
from pathlib import Path

import pytest

from linli_core.codecs.dlms.hdlc import decode_hdlc
from linli_core.codecs.explain import Part, covers
from linli_core.errors import ProtocolError
from linli_edge.decode import DECODERS, dialect_of
from linli_edge.telegrams.dialect import Dialect
from linli_edge.telegrams.keys import NO_KEYS, Keys
from linli_sim.fuzz import __main__ as fuzz
from linli_sim.fuzz import checksums
from linli_sim.fuzz.damage import REPAIRS, damaged
from linli_sim.fuzz.structures import made

TELEGRAMS = {
    "cjt188": bytes.fromhex("fefe6810443322110033788116901f0000000000000000000000000000000000007116"),
    "dlt645": bytes.fromhex("680100000000006893083434333333333333aa16"),
    "iec62056-21": b"/XYZ5\r\n\r\n\x021.8.0(0001.5*kWh)\r\n!\r\n\x03\x00",
    "mbus": bytes.fromhex("68ffff6808010072785634122d2c010400000000046d0000000013000000000016"),
    "p1": b"/XYZ5\r\n\r\n1-0:1.8.0(0001.5*kWh)\r\n!0000\r\n",
}


@pytest.mark.parametrize("protocol", sorted(TELEGRAMS))
def test_a_repaired_telegram_has_the_right_checksum(protocol: str) -> None:
    repaired = REPAIRS[protocol](TELEGRAMS[protocol])
    outcomes = list(dialect_of(protocol, "test").decode(repaired, NO_KEYS))
    assert outcomes
    assert not any(isinstance(outcome, ProtocolError) and outcome.kind == "checksum" for outcome in outcomes)
    assert REPAIRS[protocol](repaired) == repaired


def test_a_repaired_hdlc_frame_is_one_that_can_be_read() -> None:
    frame = checksums.hdlc(
        bytes.fromhex("7ea000410203130000e6e7000f000000000c07e80101010000000000ff80000000000000007e")
    )
    assert decode_hdlc(frame).information.startswith(b"\xe6\xe7\x00")


def test_what_has_no_shape_stays_as_it_is() -> None:
    for repair in REPAIRS.values():
        assert repair(b"") == b""
        assert repair(b"abc") == b"abc"


def test_every_protocol_can_be_fuzzed_and_a_seed_repeats() -> None:
    assert REPAIRS.keys() == DECODERS.keys()
    made = [damaged(random.Random(5), list(TELEGRAMS.values()), REPAIRS["mbus"]) for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize("protocol", sorted(DECODERS))
def test_a_short_run_finds_nothing(protocol: str) -> None:
    chance = random.Random(20261125)
    telegrams = [REPAIRS[protocol](telegram) for telegram in TELEGRAMS.values()]
    dialect = dialect_of(protocol, "test")
    for _ in range(300):
        fuzz._try(dialect, damaged(chance, telegrams, REPAIRS[protocol]), Keys({"": bytes(16)}, {"": bytes(16)}))


@pytest.mark.parametrize("protocol", sorted(DECODERS))
def test_what_the_grammar_alone_makes_is_read_or_refused_by_name(protocol: str) -> None:
    chance = random.Random(20261126)
    dialect = dialect_of(protocol, "test")
    keys = Keys({"": bytes(16)}, {"": bytes(16)})
    assert sum(fuzz._try(dialect, made(chance, protocol), keys) for _ in range(400)), "some must be whole"


@pytest.mark.parametrize(
    "telegram",
    ["7ea00a01020110bf9b470f7e", "7ea00a7d5e7d5d0bb0470f7e"],
)
def test_a_frame_with_a_header_check_and_nothing_behind_it_is_told_whole(telegram: str) -> None:
    data = bytes.fromhex(telegram)
    parts = dialect_of("dlms", "test").explain(data, NO_KEYS)
    assert covers(parts, data)
    assert "HCS" in {part.name for part in parts}


def test_it_finds_what_raises_and_what_is_not_covered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def explain(data: bytes, _keys: Keys) -> list[Part]:
        if len(data) % 2:
            raise IndexError
        return [Part(0, data[:-1], "all but the last", "", "")]

    monkeypatch.setattr(fuzz, "dialect_of", lambda *_: Dialect("broken", lambda *_: [], explain, lambda _: None))
    assert fuzz._fuzz("mbus", [b"\x00" * 8, b"\x01" * 8], 1, 0.01) == 1
    said = capsys.readouterr()
    assert "the parts do not cover the telegram" in said.err
    assert "IndexError" in said.err
    monkeypatch.setenv("LINLI_VECTORS", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["fuzz", "--only", "mbus"])
    assert fuzz.main() == 2
    assert "set LINLI_VECTORS" in capsys.readouterr().err

"""``linli-edge decode``: what it prints for good and for bad telegrams, and where the command line makes no sense."""

import argparse
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from linli_core.codecs.mbus import Identity, LongFrame
from linli_core.codecs.mbus.encode import encode_answer
from linli_core.codecs.mbus.frame import encode_frame
from linli_core.codecs.mbus.vif import Measurand
from linli_core.errors import ConfigError
from linli_edge import decode
from linli_edge.telegrams import hexadecimal
from linli_sim.mbus_meters import record
from linli_sim.vectors.mbus_recordings import load

KNOWN = ", ".join(sorted(decode.DECODERS))
METER = Identity("12345678", "LNL", 1, 0x07)
RECORDS = [
    record(Measurand.VOLUME, "m3", -3, 2850.427),
    record(Measurand.VOLUME, "m3", -3, 1445.419, storage=1),
    bytes.fromhex("0C13FFFFFFFF"),
    bytes.fromhex("01FD7C2A"),
    bytes.fromhex("042B00008000"),
    bytes.fromhex("046D2B0F791A"),
]
TELEGRAM = encode_frame(encode_answer(METER, RECORDS, address=5, access_number=9))
ENERGY = encode_frame(encode_answer(METER, [record(Measurand.VOLUME, "m3", 1, 5e8)], address=6))


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    decode.add_arguments(parser.add_subparsers())
    return decode.run(parser.parse_args(["decode", *words]))


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in capsys.readouterr().out.splitlines()]


def test_a_telegram_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mbus", "--hex", TELEGRAM.hex()) == 0
    (shown,) = printed(capsys)
    assert list(shown) == [
        "protocol",
        "address",
        "primary_address",
        "manufacturer",
        "version",
        "medium",
        "access_number",
        "status",
        "readings",
    ]
    assert (shown["protocol"], shown["address"], shown["primary_address"]) == ("mbus", "12345678", 5)
    assert (shown["manufacturer"], shown["medium"]) == ("LNL", "water")
    volume, stored, missing, unknown, power, clock = shown["readings"]
    stamp = "2011-10-25T15:43:00Z"
    assert volume == {
        "quantity": "water_volume",
        "value": Decimal("2850.427"),
        "unit": "m3",
        "quality": "good",
        "observed_at": stamp,
        "raw_vif": "13",
    }
    assert (stored["value"], stored["storage"]) == (Decimal("1445.419"), 1)
    assert "observed_at" not in stored
    assert (missing["value"], missing["quality"], missing["raw_data"]) == (None, "bad/not_a_number", "FFFFFFFF")
    assert (unknown["measurand"], unknown["value"], unknown["raw_vif"]) == ("unknown", 42, "FD7C")
    assert (power["value"], power["unit"]) == (8388608, "W")
    assert clock["value"] == "2011-10-25T15:43:00"


def test_numbers_have_exactly_their_digits(capsys: pytest.CaptureFixture[str]) -> None:
    run("mbus", "--hex", TELEGRAM.hex(), "--hex", ENERGY.hex())
    first, second = capsys.readouterr().out.splitlines()
    assert '"value":2850.427,' in first
    assert '"value":500000000,' in second


def test_hexadecimal_as_people_paste_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = TELEGRAM.hex(" ")
    for pasted in (text, text.upper(), text.replace(" ", ":"), f"0x{TELEGRAM.hex()}", f"{text}\n", f"E5 {text} E5"):
        assert run("mbus", "--hex", pasted) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(set(lines)) == 1
    assert len(lines) == 6


def test_files_raw_and_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "raw").write_bytes(TELEGRAM)
    (tmp_path / "text").write_text(TELEGRAM.hex("\n") + "\n")
    names = str(tmp_path / "raw"), str(tmp_path / "text")
    assert run("mbus", *names) == 0
    raw, text = printed(capsys)
    assert raw == text
    # Options may stand anywhere.
    assert run("--hex=E5", "mbus", names[0], "--key", "00" * 16, names[1]) == 1
    assert printed(capsys)[1:] == [raw, text]


def test_standard_input_has_a_telegram_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = f"{TELEGRAM.hex()}\n\n6803\nxyz\n{TELEGRAM.hex(' ')}"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    assert run("mbus", "-") == 1
    good, cut, no_hex, again = printed(capsys)
    assert good == again
    assert cut == {"error": {"kind": "truncated", "message": "the frame ends after 2 of 9 bytes"}}
    assert no_hex == {"error": {"kind": "unreadable", "message": "'x' is no hexadecimal digit"}}


def damaged() -> bytes:
    data = bytearray(TELEGRAM)
    data[20] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (damaged(), "checksum", "the checksum is"),
        (TELEGRAM[:-3], "truncated", "the frame ends after"),
        (b"\x00\x01", "malformed", "there is no telegram: none starts with 68"),
        (b"\xe5", "unsupported", "carries no data"),
        (bytes.fromhex("105B015C16"), "unsupported", "carries no data"),
        (bytes.fromhex("6806066853FE51017A082516"), "unsupported", "is a master's request"),
        (bytes.fromhex("68040468080170088116"), "device_error", "application busy (code 8)"),
        (encode_frame(LongFrame(8, 1, 0x78, b"\x0c")), "truncated", "the data end within"),
        (encode_frame(LongFrame(8, 1, 0x79, b"")), "unsupported", "CI field 79 is not supported"),
    ],
)
def test_bad_telegrams(data: bytes, kind: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mbus", "--hex", data.hex()) == 1
    (shown,) = printed(capsys)
    assert list(shown) == ["error"]
    assert shown["error"]["kind"] == kind
    assert message in shown["error"]["message"]


def test_a_damaged_telegram_beside_a_good_one_is_not_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mbus", "--hex", (damaged() + TELEGRAM).hex()) == 1
    good, bad = printed(capsys)
    assert good["address"] == "12345678"
    assert bad["error"]["kind"] == "checksum"


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "odd").write_text("681")
    (tmp_path / "large").write_bytes(bytes(hexadecimal.LARGEST + 1))
    names = [str(tmp_path / name) for name in ("absent", "empty", "odd", "large")]
    assert run("mbus", *names) == 1
    messages = [shown["error"]["message"] for shown in printed(capsys)]
    assert messages == [
        f"{names[0]}: No such file or directory",
        "there are no digits",
        "3 digits are no whole bytes",
        f"{names[3]}: more than {hexadecimal.LARGEST} bytes; a file holds one telegram",
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["mbsu", "--hex", "00"], 'decode: no protocol is called "mbsu"; did you mean "mbus"? known: ' + KNOWN),
        (["zigbee", "--hex", "00"], 'decode: no protocol is called "zigbee"; known: ' + KNOWN),
        (["mbus"], "decode: there is nothing to decode; give --hex HEX, a FILE, or - for standard input"),
        (
            ["mbus", "--key", "=00", "-"],
            "--key: there is no meter before the =; write METER=HEX, or the key alone for all",
        ),
        (
            ["mbus", "--auth-key", "1=" + "00" * 16, "--auth-key", "1=" + "01" * 16, "-"],
            "--auth-key: there are two keys for meter 1; give METER=HEX for each meter",
        ),
        (
            ["mbus", "--key", "00" * 16, "--key", "01" * 16, "-"],
            "--key: there are two keys for all meters; give METER=HEX for each meter",
        ),
        (["mbus", "--key", "0x", "-"], "--key: there are no digits; give the key as hexadecimal digits"),
        (["mbus", "--key", "0102", "-"], "--key: found 2 bytes; give 16, 24 or 32 bytes as hexadecimal digits"),
    ],
)
def test_command_lines_that_make_no_sense(words: list[str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        run(*words)
    assert str(caught.value) == text


def test_a_key_is_accepted_where_none_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mbus", "--key", "00" * 16, "--hex", TELEGRAM.hex()) == 0
    assert printed(capsys)


@pytest.mark.vectors
def test_every_recorded_frame(vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for vector in load(vectors / "mbus"):
        code = run("mbus", "--hex", vector.frame.hex())
        (shown,) = printed(capsys)
        assert code == int(vector.kind != "valid"), vector.name
        if vector.kind == "valid":
            assert shown["address"].lstrip("0") == vector.slave["Id"].lstrip("0")
            assert len(shown["readings"]) == len(vector.records)
        else:
            assert shown["error"]["kind"] in ("device_error", "truncated", "unsupported")

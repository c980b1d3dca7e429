"""``linli-edge decode`` and ``meters explain`` for IEC 62056-21, P1 and DLMS/COSEM."""

import json
from pathlib import Path

import pytest

from linli_core.codecs.dlms import Item, Keys
from linli_core.codecs.dlms.ciphering import seal
from linli_core.codecs.explain import Part, covers
from linli_core.codecs.iec62056 import DataMessage
from linli_core.codecs.iec62056.request import encode_frame
from linli_core.codecs.p1 import crc16
from linli_edge.ciphers import AES
from linli_edge.cli import main
from linli_edge.decode import dialect_of
from linli_edge.telegrams.dialect import Certainty
from linli_edge.telegrams.keys import Keys as GivenKeys
from linli_edge.telegrams.phrases import phrase_book
from linli_sim.dlms_push import described, hdlc, push, wrapped

KEYS = Keys(bytes(range(16)), bytes(range(16, 32)))
GIVEN = GivenKeys({"": KEYS.encryption}, {"": KEYS.authentication or b""})
PUSH = push(Item(1, (described("1-0:1.8.0", Item(6, 1234567), -1, 30),)))
SEALED = seal(PUSH, b"LNL\0\0\0\0\1", 7, KEYS, AES)
READOUT = b"/ISk5MT174\r\n" + encode_frame(DataMessage(b"C.1.0(42)\r\n1.8.0(0012345.678*kWh)\r\n", readout=True))
P1_BODY = b"/LNL5\\2LINLI\r\n\r\n1-3:0.2.8(50)\r\n1-0:1.8.1(000123.456*kWh)\r\n!"
P1 = P1_BODY + f"{crc16(P1_BODY):04X}\r\n".encode()
BOTH = ["--key", KEYS.encryption.hex(), "--auth-key", (KEYS.authentication or b"").hex()]
TITLED = [text if text.startswith("--") else f"4C4E4C0000000001={text}" for text in BOTH]
SMARTY = Keys(KEYS.encryption, bytes.fromhex("00112233445566778899AABBCCDDEEFF"))
TELEGRAMS = {"iec62056-21": READOUT, "p1": P1, "dlms": hdlc(PUSH)}


@pytest.mark.parametrize(
    ("arguments", "data", "value"),
    [
        (["iec62056-21"], READOUT, 12345678.0),
        (["p1"], P1, 123456.0),
        (["p1", "--key", KEYS.encryption.hex()], seal(P1, b"LNL\0\0\0\0\1", 7, SMARTY, AES), 123456.0),
        (["dlms"], hdlc(PUSH), 123456.7),
        (["dlms"], PUSH, 123456.7),
        (["dlms", *BOTH], wrapped(SEALED), 123456.7),
        (["dlms", *TITLED], SEALED, 123456.7),
    ],
)  # fmt: skip
def test_decode(arguments: list[str], data: bytes, value: float, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", *arguments, "--hex", data.hex()]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["protocol"] == arguments[0]
    energy = next(item for item in shown["readings"] if item["quantity"] == "energy_import")
    assert (energy["value"], energy["unit"], energy["quality"]) == (value, "Wh", "good")


@pytest.mark.parametrize(
    ("protocol", "data", "kind"),
    [
        ("iec62056-21", READOUT[:-1] + bytes((READOUT[-1] ^ 1,)), "checksum"),
        ("p1", P1.replace(b"123.456", b"124.456"), "checksum"),
        ("p1", b"hello", "malformed"),
        ("p1", SEALED, "no_key"),
        ("dlms", hdlc(PUSH)[:-3] + b"\0\0\x7e", "checksum"),
        ("dlms", SEALED, "no_key"),
        ("iec62056-21", b"\x06", "malformed"),
    ],
)
def test_decode_tells_what_is_wrong(protocol: str, data: bytes, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", protocol, "--hex", data.hex()]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["error"]["kind"] == kind
    assert "readings" not in str(lines)


@pytest.mark.parametrize("protocol", TELEGRAMS)
def test_recognised_by_what_sets_it_apart(protocol: str) -> None:
    for other in TELEGRAMS:
        found = dialect_of(other, "test").recognise(TELEGRAMS[protocol])
        assert (found is not None) == (other == protocol), other
        if found is not None:
            assert found.certainty is Certainty.CHECKED


@pytest.mark.parametrize("protocol", TELEGRAMS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_explain_guesses_the_protocol(protocol: str, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = TELEGRAMS[protocol] if protocol != "iec62056-21" else TELEGRAMS[protocol][12:]
    assert main(["meters", "explain", "--lang", language, data.hex()]) == 0
    out = capsys.readouterr().out
    assert "energy_import" in out or "1-0:1.8.0" in out


@pytest.mark.parametrize("protocol", TELEGRAMS)
def test_behind_a_wrong_checksum_no_value_is_told(protocol: str) -> None:
    data = bytearray(TELEGRAMS[protocol] if protocol != "iec62056-21" else TELEGRAMS[protocol][12:])
    at = data.index(b"345.67") if protocol == "iec62056-21" else data.index(b"123.4") if protocol == "p1" else 40
    data[at] ^= 1
    parts = dialect_of(protocol, "test").explain(bytes(data), GivenKeys())
    assert covers(parts, bytes(data))
    assert any(part.wrong for part in parts)
    assert not any("345" in part.meaning or "23.4" in part.meaning or "1234" in part.meaning for part in parts)


def named(protocol: str, data: bytes) -> list[Part]:
    return dialect_of(protocol, "test").explain(data, GIVEN)


@pytest.mark.parametrize(
    ("protocol", "data"),
    [*TELEGRAMS.items(), ("dlms", wrapped(SEALED)), ("p1", SEALED), ("dlms", SEALED), ("iec62056-21", b"/?1!\r\n"),
     ("iec62056-21", b"\x06050\r\n"), ("iec62056-21", b"\x01B0\x03q"), ("iec62056-21", READOUT[12:]),
     ("dlms", b"\x7e\xa0")],
)  # fmt: skip
def test_every_part_has_a_chinese_name(protocol: str, data: bytes) -> None:
    book = phrase_book(protocol)
    names = {part.name for part in named(protocol, data)}
    assert {name for name in names if not book.knows(name) and not name.isupper()} == set()


@pytest.mark.vectors
@pytest.mark.parametrize(("protocol", "folder"), [("p1", "dsmr-p1"), ("dlms", "dlms"), ("iec62056-21", "iec62056-21")])
def test_recordings_are_told_whole(protocol: str, folder: str, vectors: Path) -> None:
    for path in sorted((vectors / folder).glob("*.json")):
        given = json.loads(path.read_text())["input"]
        if "data" in given:
            data = given["data"].encode("latin-1") if given.get("encoding") == "text" else bytes.fromhex(given["data"])
            assert covers(named(protocol, data), data), path.stem
            list(dialect_of(protocol, "test").decode(data, GIVEN))

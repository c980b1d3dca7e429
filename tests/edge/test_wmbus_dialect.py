"""Radio telegrams on the command line: decoded with keys by meter, recognised, told in Chinese."""

import json

import pytest

from linli_core.codecs.mbus.encode import encode_dib, encode_number, encode_vib
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.vif import Measurand
from linli_core.codecs.wmbus.encode import Meter, encode_cbc, encode_compact, encode_frame, encode_plain
from linli_core.codecs.wmbus.frame import Checksums, add_checksums
from linli_edge.ciphers import AES
from linli_edge.cli import main
from linli_edge.drivers.wmbus.dialect import recognise
from linli_edge.telegrams.dialect import Certainty

KEY = bytes(range(16))
METER = Meter(Identity("12345678", "LIN", 0x01, 0x07), 0x2A)
RECORDS = encode_dib(0xC) + encode_vib(Measurand.VOLUME, "m3", -3) + encode_number(0xC, 12345)


def decoded(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, object]]]:
    status = main(["decode", "wmbus", *words])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_plain_one(capsys: pytest.CaptureFixture[str]) -> None:
    status, (shown,) = decoded(capsys, "--hex", encode_plain(METER, RECORDS).hex())
    assert status == 0
    assert (shown["protocol"], shown["address"], shown["manufacturer"]) == ("wmbus", "12345678", "LIN")
    assert shown["readings"] == [
        {"quantity": "water_volume", "value": 12.345, "unit": "m3", "quality": "good", "raw_vif": "13"}
    ]


def test_an_encrypted_one_needs_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    data = encode_cbc(METER, RECORDS, AES, KEY).hex()
    for key in (KEY.hex(), f"12345678={KEY.hex()}"):
        status, (shown,) = decoded(capsys, "--key", key, "--hex", data)
        assert (status, shown["opened"], shown["protection"]) == (0, True, "mode 5")
    for words in ([], ["--key", bytes(16).hex()], ["--key", f"87654321={KEY.hex()}"], ["--key", "00" * 32]):
        status, (shown,) = decoded(capsys, *words, "--hex", data)
        assert status == 1
        assert "readings" not in shown
        assert "key" in json.dumps(shown)


def test_a_full_frame_and_the_compact_one_behind_it(capsys: pytest.CaptureFixture[str]) -> None:
    both = encode_plain(METER, RECORDS) + encode_frame(METER.sender, encode_compact(RECORDS))
    status, (full, compact) = decoded(capsys, "--hex", both.hex())
    assert status == 0
    assert full["readings"] == compact["readings"]
    assert compact["compact"] is True


def test_recognised_by_length_or_checksums() -> None:
    bare = encode_plain(METER, RECORDS)
    shaped, checked = recognise(bare), recognise(add_checksums(bare, Checksums.A))
    assert shaped is not None
    assert shaped.certainty is Certainty.SHAPED
    assert checked is not None
    assert checked.certainty is Certainty.CHECKED
    assert recognise(bare[:-1]) is None
    assert recognise(bytes.fromhex("680A0A68080172")) is None


def test_told_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    data = add_checksums(encode_plain(METER, RECORDS), Checksums.A).hex()
    assert main(["meters", "explain", data, "--lang", "zh"]) == 0
    said = capsys.readouterr().out
    assert "识别依据：格式 A 的数据块校验正确" in said
    assert "数据块校验：正确" in said
    assert "控制域 C：SND_NR：发送，无需应答" in said

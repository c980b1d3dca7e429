"""A radio telegram told byte by byte: all of it, in order, and nothing of value behind a wrong checksum or key."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.explain import Part, covers
from linli_core.codecs.mbus.encode import encode_dib, encode_number, encode_vib
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.vif import Measurand
from linli_core.codecs.wmbus.encode import (
    Meter,
    encode_cbc,
    encode_compact,
    encode_derived,
    encode_frame,
    encode_plain,
    encode_session,
)
from linli_core.codecs.wmbus.explain import explain
from linli_core.codecs.wmbus.frame import Checksums, add_checksums
from linli_edge.ciphers import AES

KEY = bytes(range(16))
METER = Meter(Identity("12345678", "LIN", 0x01, 0x07), 0x2A, 0x04)
RECORDS = b"".join(
    encode_dib(0xC, storage=storage) + encode_vib(Measurand.VOLUME, "m3", -3) + encode_number(0xC, 12345 - storage)
    for storage in range(4)
)
FULL = b"\x78" + RECORDS


def parts(data: bytes, key: bytes | None = None) -> list[Part]:
    found = explain(data, AES, lambda _: key)
    assert covers(found, data)
    return found


def meanings(data: bytes, key: bytes | None = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in parts(data, key):
        found.setdefault(part.name, []).append(part.meaning)
    return found


def test_a_plain_telegram() -> None:
    said = meanings(encode_plain(METER, RECORDS))
    assert said["identification number"] == ["12345678"]
    assert said["manufacturer"] == ["LIN"]
    assert said["medium"] == ["water"]
    assert said["CI field"] == ["short header"]
    assert said["status"] == ["00000100"]
    assert said["configuration"] == ["not encrypted"]
    assert said["record"][:2] == ["volume: 12.345 m3", "volume, storage 1: 12.344 m3"]


@pytest.mark.parametrize("checksums", [Checksums.A, Checksums.B])
def test_block_checksums_stand_between_the_parts(checksums: Checksums) -> None:
    sent = add_checksums(encode_plain(METER, RECORDS), checksums)
    said = meanings(sent)
    assert set(said["block checksum"]) == {"right"}
    assert said["L field"] == [f"{sent[0]} bytes follow"]
    assert said["record"] == meanings(encode_plain(METER, RECORDS))["record"]


def test_behind_a_wrong_block_checksum_nothing_is_told() -> None:
    sent = bytearray(add_checksums(encode_plain(METER, RECORDS), Checksums.A))
    sent[20] ^= 1
    found = parts(bytes(sent))
    assert any("block checksum" in part.wrong for part in found)
    assert not any("12.345" in part.meaning or "12345678" in part.meaning for part in found)


@pytest.mark.parametrize(
    "data",
    [
        encode_cbc(METER, RECORDS, AES, KEY),
        encode_derived(METER, RECORDS, AES, KEY, 7),
        encode_session(METER, FULL, AES, KEY, 9),
    ],
    ids=["mode 5", "mode 7", "session"],
)
def test_what_is_encrypted_is_told_with_the_key_only(data: bytes) -> None:
    assert "volume: 12.345 m3; volume, storage 1: 12.344 m3" in meanings(data, KEY)["encrypted data"][0]
    for key, why in ((None, "no key is given"), (bytes(16), "wrong key")):
        found = parts(data, key)
        assert any(why in part.wrong for part in found)
        assert not any("12.345" in part.meaning for part in found)


def test_layers_have_their_names() -> None:
    said = meanings(encode_derived(METER, RECORDS, AES, KEY, 77), KEY)
    assert said["CI field"] == ["extended link layer", "authentication and fragmentation", "short header"]
    assert said["message counter"] == ["77"]
    assert said["authentication code"] == ["right"]
    assert said["configuration"] == ["security mode 7, 2 blocks encrypted"]
    known = encode_compact(bytes.fromhex("040401000000 04843C02000000 042B03000000 04AB3C04000000".replace(" ", "")))
    assert meanings(encode_frame(METER.sender, known))["signature"] == ["8C13"]


@given(st.binary(max_size=120))
def test_any_bytes_are_covered(data: bytes) -> None:
    parts(data)


@given(st.sampled_from([0x70, 0x72, 0x78, 0x79, 0x7A, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0xA2]), st.binary(max_size=60))
def test_any_bytes_behind_a_known_field_are_covered(ci: int, data: bytes) -> None:
    parts(encode_frame(METER.sender, bytes((ci,)) + data), KEY)


@pytest.mark.vectors
def test_every_recording_is_covered_whole_cut_and_changed(vectors: Path) -> None:
    for path in sorted((vectors / "wmbus").glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        data = bytes.fromhex(document["input"]["data"])
        key = bytes.fromhex(document["key"]) if document.get("key") else None
        parts(data, key)
        for place in range(0, len(data), 7):
            parts(data[:place], key)
            parts(data[:place] + bytes((data[place] ^ 0x5A,)) + data[place + 1 :], key)

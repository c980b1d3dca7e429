"""dlms-cosem beside our decoder, over the same made bytes: frames, data, ciphered messages, replies.

The differences are theirs, and are not made here: it has no visible strings (not implemented), and a deviation of 0,
which is UTC, leaves its times without a zone.
"""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.codecs.dlms import Item, Keys, decode_apdu, decode_hdlc, decode_whole
from linli_core.codecs.dlms.apdu import GetResponse
from linli_core.codecs.dlms.axdr import encode_data
from linli_core.codecs.dlms.ciphering import open_sealed, parse_sealed, seal
from linli_core.codecs.dlms.clock import decode_time, encode_time
from linli_core.codecs.dlms.hdlc import Address, HdlcFrame, crc16, encode_hdlc
from linli_core.instant import from_datetime
from linli_edge.ciphers import AES

pytest.importorskip("dlms_cosem", reason="the extra dlms is not installed")

from dlms_cosem import enumerations, security
from dlms_cosem import time as their_time
from dlms_cosem.crc import CRCCCITT
from dlms_cosem.hdlc import frames
from dlms_cosem.protocol.xdlms import GeneralGlobalCipher, GetResponseFactory
from dlms_cosem.utils import parse_as_dlms_data

scalars = st.one_of(
    st.just(Item(0)),
    st.binary(min_size=1, max_size=20).map(lambda value: Item(9, value)),
    st.integers(0, 0xFFFFFFFF).map(lambda value: Item(6, value)),
    st.integers(-0x8000, 0x7FFF).map(lambda value: Item(0x10, value)),
    st.integers(-0x80, 0x7F).map(lambda value: Item(0x0F, value)),
    st.integers(0, 0xFFFF).map(lambda value: Item(0x12, value)),
    st.integers(0, 2**64 - 1).map(lambda value: Item(0x15, value)),
)


def plain(item: Item) -> Any:
    if isinstance(item.value, tuple):
        return [plain(inner) for inner in item.value]
    return item.value


def theirs_as_plain(value: Any) -> Any:
    if isinstance(value, list):
        return [theirs_as_plain(item) for item in value]
    return bytes(value) if isinstance(value, bytearray) else value


@given(st.binary(min_size=1, max_size=200))
def test_checksum(data: bytes) -> None:
    assert CRCCCITT().calculate_for(data) == crc16(data).to_bytes(2, "little")


@given(st.lists(scalars, min_size=1, max_size=8))
def test_data(items: list[Item]) -> None:
    data = encode_data(Item(2, tuple(items)))
    assert theirs_as_plain(parse_as_dlms_data(data)) == plain(decode_whole(data))


@given(
    st.integers(0, 7),
    st.integers(0, 7),
    st.binary(min_size=1, max_size=100),
    st.integers(1, 0x3F),
    st.integers(1, 0x3F),
)
def test_frames(send: int, receive: int, information: bytes, logical: int, physical: int) -> None:
    frame = HdlcFrame(Address(16), Address(logical, physical, 2), send << 1 | receive << 5 | 0x10, information)
    data = encode_hdlc(frame)
    theirs = frames.InformationFrame.from_bytes(data)
    ours = decode_hdlc(data)
    assert (theirs.send_sequence_number, theirs.receive_sequence_number) == (ours.send_sequence, ours.receive_sequence)
    assert (theirs.source_address.logical_address, theirs.source_address.physical_address) == (logical, physical)
    assert bytes(theirs.payload) == ours.information == information


@given(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=99),
)
def test_ciphering(key: bytes, authentication: bytes, counter: int, content: bytes) -> None:
    title, keys = b"LNL\0\0\0\0\1", Keys(key, authentication)
    sealed = seal(content, title, counter, keys, AES)
    theirs = GeneralGlobalCipher.from_bytes(sealed)
    assert theirs.invocation_counter == counter
    opened = security.decrypt(theirs.security_control, title, counter, key, theirs.ciphered_text, authentication)
    assert bytes(opened) == content
    control = security.SecurityControlField(security_suite=0, authenticated=True, encrypted=True)
    ciphered = security.encrypt(control, title, counter, key, content, authentication)
    found = parse_sealed(sealed[: len(sealed) - len(ciphered)] + bytes(ciphered))
    assert found is not None
    assert open_sealed(found, keys, AES) == content


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - the zone is drawn apart
    st.integers(-720, 720).filter(bool),
)
def test_times(moment: datetime, deviation: int) -> None:
    moment = moment.replace(microsecond=0)
    data = encode_time(moment.replace(tzinfo=UTC), deviation, 0)
    theirs, _ = their_time.datetime_from_bytes(data)
    # Local time plus the deviation is UTC: -120 is two hours east.
    assert decode_time(data).instant() == from_datetime(theirs)
    assert theirs.replace(tzinfo=None) == moment


@pytest.mark.parametrize("error", [1, 2, 3, 4, 250])
def test_refusals(error: int) -> None:
    data = bytes((0xC4, 0x01, 0xC1, 0x01, error))
    theirs = GetResponseFactory.from_bytes(data)
    ours = decode_apdu(data)
    assert isinstance(ours, GetResponse)
    assert ours.results == (int(enumerations.DataAccessResult(theirs.error)),)

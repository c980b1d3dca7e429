"""AES in the modes that meters use, by the standards' own examples."""

import pytest

from linli_core.ciphers import Ciphers, WrongTag
from linli_edge.ciphers import AES

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
BLOCK = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
ciphers: Ciphers = AES


def test_cbc_as_in_nist_sp_800_38a_f_2_1() -> None:
    iv = bytes(range(16))
    coded = ciphers.cbc_encrypt(KEY, iv, BLOCK)
    assert coded.hex() == "7649abac8119b246cee98e9b12e9197d"
    assert ciphers.cbc_decrypt(KEY, iv, coded) == BLOCK


def test_cbc_takes_whole_blocks_only() -> None:
    with pytest.raises(ValueError, match="block"):
        ciphers.cbc_decrypt(KEY, bytes(16), b"short")


def test_ctr_as_in_nist_sp_800_38a_f_5_1() -> None:
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    assert ciphers.ctr(KEY, counter, BLOCK).hex() == "874d6191b620e3261bef6864990db6ce"


def test_cmac_as_in_rfc_4493_example_2() -> None:
    assert ciphers.cmac(KEY, BLOCK).hex() == "070a16b46b4d4144f79bdd9dd04a287c"


def test_gcm_there_and_back_and_not_with_a_changed_byte() -> None:
    coded, tag = ciphers.gcm_encrypt(KEY, bytes(12), BLOCK, b"seen")
    assert len(tag) == 12
    assert ciphers.gcm_decrypt(KEY, bytes(12), coded, b"seen", tag) == BLOCK
    with pytest.raises(WrongTag, match="wrong key"):
        ciphers.gcm_decrypt(KEY, bytes(12), coded, b"unseen", tag)

"""Radio telegrams made up of grammar alone, sealed with a meter's own key: what is behind the cipher is as hostile.

The fuzzer has no keys, so that it sees only the outside of these. A short run of one seed; a long one is by hand.
"""

import logging
import random
from collections import Counter

import pytest
from tests.edge.radio import KEY, Air, link

from linli_core.codecs.explain import covers
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.wmbus.encode import (
    Meter,
    encode_cbc,
    encode_compact,
    encode_derived,
    encode_plain,
    encode_session,
)
from linli_core.errors import LinliError
from linli_edge.ciphers import AES
from linli_edge.decode import dialect_of
from linli_edge.telegrams.keys import Keys
from linli_sim.fuzz.structures import made_records

ROUNDS = 1500
LONGEST = 150
MODULE = Identity("87654321", "LIN", 1, 7)
MAKERS = ("LIN", "KAM", "DME", "HYD", "QDS", "TCH", "APA", "BMT", "ZRI", "EFE", "ITW", "GWF")


def sealed(chance: random.Random, records: bytes) -> bytes:
    identity = Identity("12345678", chance.choice(MAKERS), chance.randrange(256), chance.choice((2, 3, 4, 6, 7, 8, 55)))
    module = chance.choice((None, None, identity, MODULE))
    meter = Meter(identity, chance.randrange(256), chance.choice((0, 2, 4, 8, 255)), module)
    match chance.randrange(5):
        case 0:
            return encode_cbc(meter, records, AES, KEY)
        case 1:
            return encode_derived(meter, records, AES, KEY, chance.randrange(2**32))
        case 2:
            content = chance.choice((b"\x72", b"\x78", b"\x79", b"\x7a", b"\xa0")) + records
            return encode_session(meter, content, AES, KEY, chance.randrange(1 << 29))
        case 3:
            try:
                return encode_session(meter, encode_compact(records), AES, KEY, chance.randrange(1 << 29))
            except LinliError:
                return encode_plain(meter, records)
        case _:
            return encode_plain(meter, records)


def test_whatever_is_behind_a_cipher_gives_named_errors_only(caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(20261125)
    dialect, keys = dialect_of("wmbus", "test"), Keys({"": KEY})
    device = 'id = "water"\nmeter = "12345678"'
    key = f'\nkey = "{KEY.hex()}"'
    airs = [Air(link(f"{device}{more}")) for more in ("", key, f"{key}\nplain = true")]
    whole: Counter[bool] = Counter()
    with caplog.at_level(logging.CRITICAL):
        for _ in range(ROUNDS):
            data = bytearray(sealed(chance, made_records(chance)[:LONGEST]))
            if chance.random() < 0.2:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            for outcome in dialect.decode(bytes(data), keys):
                whole[isinstance(outcome, dict)] += 1
            assert covers(dialect.explain(bytes(data), keys), bytes(data)), data.hex()
            for air in airs:
                air.send(bytes(data), chance.choice((0, 1, 20, 3600)))
    # Both kinds come, and the driver takes some: a run that refuses all would prove nothing.
    assert min(whole[True], whole[False]) > ROUNDS // 10
    assert all(air.totals["read"] > 50 for air in airs)

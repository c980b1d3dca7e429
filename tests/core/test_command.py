"""Commands and replies on the wire: what comes back, and what is refused by name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import RefusalReason, Refused
from linli_core.wire.command import (
    MAX_ARGS,
    MAX_BYTES,
    MAX_TEXT,
    Command,
    Reply,
    decode_command,
    decode_reply,
    encode_command,
    value_of,
)
from linli_core.wire.topics import Channel, topic

SET = Command("write", {"point": "cold-1/temperature_setpoint", "value": -18.5}, 1_790_000_000_000_000, "li")
WIRE = (
    b'{"name":"write","args":{"point":"cold-1/temperature_setpoint","value":-18.5},'
    b'"expires_at":1790000000000000,"by":"li"}'
)


def test_a_command_looks_like_this() -> None:
    assert encode_command(SET) == WIRE
    assert decode_command(WIRE) == SET
    assert topic("gw-1", Channel.COMMAND, "c-7") == "linli/1/26/gw-1/command/c-7"


def test_a_reply_says_what_it_has_to() -> None:
    done = Reply(ok=True, result={"state": "done", "before": None, "after": -18.5})
    assert encode_command(done) == b'{"ok":true,"result":{"state":"done","before":null,"after":-18.5}}'
    assert decode_reply(encode_command(done)) == done
    assert encode_command(Reply(ok=False, error="no")) == b'{"ok":false,"error":"no"}'


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", RefusalReason.MALFORMED),
        (b"\xff\xfe", RefusalReason.MALFORMED),
        (b"[" * 5000, RefusalReason.MALFORMED),
        (b'{"name":"write","args":{}}', RefusalReason.MALFORMED),
        (b'{"name":"write","args":{"value":[1]},"expires_at":1}', RefusalReason.MALFORMED),
        (b'{"name":"write","args":{"value":null},"expires_at":1}', RefusalReason.MALFORMED),
        (b'{"name":"write","args":{},"expires_at":1.5}', RefusalReason.MALFORMED),
        (b'{"name":"write","args":{},"expires_at":1}' + b" " * MAX_BYTES, RefusalReason.TOO_LARGE),
        (json.dumps({"name": "x" * 300, "args": {}, "expires_at": 1}).encode(), RefusalReason.TOO_LARGE),
        (json.dumps({"name": "x", "args": {"a": "y" * 300}, "expires_at": 1}).encode(), RefusalReason.TOO_LARGE),
        (b'{"name":"write","args":{"value":1' + b"0" * 400 + b'},"expires_at":1}', RefusalReason.TOO_LARGE),
        (b'{"name":"write","args":{"value":-9223372036854775809},"expires_at":1}', RefusalReason.TOO_LARGE),
        (b'{"name":"write","args":{},"expires_at":9223372036854775808}', RefusalReason.TOO_LARGE),
        (
            json.dumps({"name": "x", "args": {str(n): 1 for n in range(MAX_ARGS + 1)}, "expires_at": 1}).encode(),
            RefusalReason.TOO_LARGE,
        ),
    ],
)
def test_what_is_no_command_is_refused_by_name(payload: bytes, reason: RefusalReason) -> None:
    with pytest.raises(Refused) as caught:
        decode_command(payload)
    assert caught.value.reason is reason


@pytest.mark.parametrize("cut", range(len(WIRE)))
def test_no_beginning_of_a_command_is_one(cut: int) -> None:
    with pytest.raises(Refused):
        decode_command(WIRE[:cut])


@given(st.integers(0, len(WIRE) - 1), st.integers(0, 255))
def test_a_byte_changed_is_a_command_or_refused(place: int, byte: int) -> None:
    try:
        found = decode_command(WIRE[:place] + bytes((byte,)) + WIRE[place + 1 :])
    except Refused:
        return
    assert isinstance(found, Command)


@given(st.binary(max_size=200))
def test_garbage_is_refused(payload: bytes) -> None:
    for decode in (decode_command, decode_reply):
        try:
            decode(payload)
        except Refused:
            continue


@given(
    st.builds(
        Command,
        st.text(max_size=MAX_TEXT),
        st.dictionaries(
            st.text(max_size=20),
            st.text(max_size=20)
            | st.booleans()
            | st.integers(-(2**63), 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False),
            max_size=MAX_ARGS,
        ),
        st.integers(0, 2**62),
        st.text(max_size=MAX_TEXT),
    )
)
def test_every_command_comes_back(command: Command) -> None:
    assert decode_command(encode_command(command)) == command


@pytest.mark.parametrize(("channel", "command"), [(Channel.COMMAND, ""), (Channel.ACK, "c-1")])
def test_a_topic_has_an_id_if_and_only_if_it_needs_one(channel: Channel, command: str) -> None:
    with pytest.raises(ValueError, match="id of a command"):
        topic("gw-1", channel, command)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("on", True),
        ("FALSE", False),
        ("-18.5", -18.5),
        ("42", 42),
        ("auto", "auto"),
        ("1e3", 1000.0),
        ("nan", "nan"),
        ("inf", "inf"),
    ],
)
def test_a_word_is_what_it_looks_like(word: str, value: object) -> None:
    found = value_of(word)
    assert found == value
    assert type(found) is type(value)

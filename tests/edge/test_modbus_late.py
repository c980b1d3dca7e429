"""Late answers on a line that numbers nothing: whatever the delays, an answer is to the request it is returned for.

Time is simulated: the loop's clock jumps to whatever is due next.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linli_core.errors import ChecksumError, DeviceError, LinkTimeout, ProtocolError
from linli_edge.drivers.modbus.client import FramedPort
from linli_edge.drivers.modbus.doubt import Doubt
from linli_edge.drivers.modbus.framing import AsciiFraming, Framing, Request, RtuFraming
from linli_sim.jumping_loop import simulated
from linli_sim.modbus_frames import RtuFrames, rtu

LIMIT = 1.0
TURN = 1e-6
"""From one answer of a unit to the next: they come in order."""


@dataclass(frozen=True)
class Behaviour:
    """What a unit does with one request: after so many seconds it answers, refuses, or nothing comes."""

    delay: float = 0.0
    outcome: str = "data"
    cut: int = 0
    pause: float = 0.0


@dataclass
class SimulatedLine:
    """A transport whose units answer in order; the first register of an answer is the request's number.

    Attributes:
        numbers: What the request of each number was answered with: ``data``, ``refused`` or ``lost``.
    """

    behaviours: Iterator[Behaviour]
    second_table: str = "data"
    ascii: bool = False
    numbers: dict[int, str] = field(default_factory=dict)
    _arrived: deque[bytes] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _free_at: dict[int, float] = field(default_factory=dict)

    async def read(self) -> bytes:
        while not self._arrived:
            self._news.clear()
            await self._news.wait()
        return self._arrived.popleft()

    async def write(self, data: bytes) -> None:
        if self.ascii:
            data = rtu(int(data[1:3], 16), bytes.fromhex(data[3:-4].decode()))
        (request,) = RtuFrames().receive(data)
        loop, number = asyncio.get_running_loop(), len(self.numbers) + 1
        behaviour = next(self.behaviours, Behaviour())
        outcome = behaviour.outcome
        if request.pdu[0] == 4 and self.second_table != "data":
            outcome = self.second_table
        self.numbers[number] = outcome
        self._free_at[request.unit] = at = (
            max(loop.time(), self._free_at.get(request.unit, 0.0)) + behaviour.delay + TURN
        )
        if outcome == "lost":
            return
        count = int.from_bytes(request.pdu[3:5], "big")
        words = [number, *([int.from_bytes(request.pdu[1:3], "big")] * (count - 1))]
        body = b"".join(word.to_bytes(2, "big") for word in words)
        pdu = bytes((request.pdu[0], 2 * count)) + body if outcome == "data" else bytes((request.pdu[0] | 0x80, 2))
        frame = rtu(request.unit, pdu)
        if self.ascii:
            whole = bytes((request.unit,)) + pdu
            frame = b":" + (whole + bytes((-sum(whole) & 0xFF,))).hex().upper().encode() + b"\r\n"
        loop.call_at(at, self.feed, frame[: behaviour.cut] if behaviour.cut else frame)
        if behaviour.cut:
            # The next answer does not begin in the middle of this one.
            self._free_at[request.unit] = at + behaviour.pause
            loop.call_at(at + behaviour.pause, self.feed, frame[behaviour.cut :])

    def ask_for_another(self, unit: int, count: int, delay: float) -> None:
        """Let another master ask: we hear what it says, and what it is told, in its turn."""
        loop = asyncio.get_running_loop()
        self.feed(rtu(unit, bytes((3, 0, 40, 0, count))))
        self._free_at[unit] = at = max(loop.time(), self._free_at.get(unit, 0.0)) + delay + TURN
        loop.call_at(at, self.feed, rtu(unit, bytes((3, 2 * count)) + b"\xff\xff" * count))

    def feed(self, data: bytes) -> None:
        if data:
            self._arrived.append(data)
            self._news.set()

    async def close(self) -> None:
        return


behaviour = st.builds(
    Behaviour,
    delay=st.sampled_from([0.0, 0.02, 0.5, 0.99, 1.01, 1.04, 1.3, 1.99, 2.0, 2.02, 2.5]),
    outcome=st.sampled_from(["data", "data", "data", "lost", "refused"]),
    cut=st.integers(0, 6),
    pause=st.sampled_from([0.0, 0.01, 0.06, 0.6]),
)
question = st.tuples(
    st.sampled_from([1, 2]),
    st.sampled_from([0, 10]),
    st.sampled_from([1, 2, 2, 4, 9]),
    st.sampled_from([0.0, 0.0, 0.04, 0.3, 1.0]),
)


async def converse(
    line: SimulatedLine, framing: Framing, questions: Sequence[tuple[int, int, int, float]], doubt: Doubt | None = None
) -> list[int | str]:
    """Ask; return for each question the number of the request that was answered, or what went wrong."""
    port = FramedPort(line, framing, doubt=doubt)
    told: list[int | str] = []
    for unit, address, count, rest in questions:
        await asyncio.sleep(rest)
        try:
            data = await port.read(Request(unit, 3, address, count), limit=LIMIT, pause=0.004)
        except DeviceError:
            assert line.numbers[len(line.numbers)] == "refused", "somebody else's refusal"
            told.append("refused")
        except LinkTimeout:
            told.append("timeout")
        except ChecksumError:
            told.append("checksum")
        else:
            number = int.from_bytes(data[:2], "big")
            assert number == len(line.numbers), "an answer to another request"
            assert data[2:] == address.to_bytes(2, "big") * (count - 1)
            told.append(number)
    counters = [port.count(unit) for unit in (1, 2)]
    assert sum(each.requests for each in counters) == len(line.numbers)
    for each in counters:
        assert each.requests == each.answers + each.timeouts + each.checksum + each.malformed
    return told


@settings(max_examples=250, deadline=None)
@given(
    st.lists(behaviour, max_size=14),
    st.lists(question, min_size=1, max_size=14),
    st.sampled_from(["data", "refused", "lost"]),
    st.booleans(),
)
def test_an_answer_is_always_to_the_request_it_is_returned_for(
    behaviours: list[Behaviour], questions: list[tuple[int, int, int, float]], second_table: str, ascii_line: bool
) -> None:
    line = SimulatedLine(iter(behaviours), second_table, ascii_line)
    simulated(converse(line, AsciiFraming() if ascii_line else RtuFraming(), questions))


def test_an_answer_that_comes_while_the_same_unit_is_asked_the_same_again_is_not_taken() -> None:
    behaviours = [Behaviour(delay=1.3)]
    ask = [(1, 0, 2, 0.0), (1, 10, 2, 0.0)]
    line = SimulatedLine(iter(behaviours))
    # Request 2 is the sounding; the late answer to request 1 comes in between.
    assert simulated(converse(line, RtuFraming(), ask)) == ["timeout", 3]


def test_without_the_doubt_it_would_be_taken() -> None:
    class Trusting(Doubt):
        def about(self, asked: Any) -> bool:
            del asked
            return False

    line = SimulatedLine(iter([Behaviour(delay=1.3)]))
    with pytest.raises(AssertionError, match="an answer to another request"):
        simulated(converse(line, RtuFraming(), [(1, 0, 2, 0.0), (1, 10, 2, 0.0)], Trusting()))


def test_other_units_are_asked_at_once_and_the_late_answer_is_counted_on_its_own() -> None:
    async def story() -> None:
        line = SimulatedLine(iter([Behaviour(delay=1.02)]))
        port = FramedPort(line, RtuFraming())
        with pytest.raises(LinkTimeout):
            await port.read(Request(1, 3, 0, 2), limit=LIMIT)
        before = asyncio.get_running_loop().time()
        await port.read(Request(2, 3, 0, 2), limit=LIMIT)
        assert asyncio.get_running_loop().time() - before < 0.1
        assert (port.count(1).late, port.count(2).late) == (1, 0)
        assert port.late == {1: 1}
        # It has come: nothing is in doubt any more, and the next request goes out without a sounding.
        await port.read(Request(1, 3, 0, 2), limit=LIMIT)
        assert port.count(1).requests == 2

    simulated(story())


@pytest.mark.parametrize("second_table", ["data", "refused"])
def test_a_unit_that_refuses_everything_since_a_silence_is_heard_through_the_other_table(second_table: str) -> None:
    behaviours = [Behaviour(outcome="lost"), Behaviour(outcome="refused")]
    line = SimulatedLine(iter(behaviours), second_table)
    # 1 lost; 2 a sounding that is refused; 3 the other table; 4 the request itself.
    assert simulated(converse(line, RtuFraming(), [(1, 0, 9, 0.0), (1, 0, 9, 0.0)])) == ["timeout", 4]


def test_a_doubt_outlives_the_connection() -> None:
    async def story() -> None:
        doubt, line = Doubt(), SimulatedLine(iter([Behaviour(delay=1.3)]))
        with pytest.raises(LinkTimeout):
            await FramedPort(line, RtuFraming(), doubt=doubt).read(Request(1, 3, 0, 2), limit=LIMIT)
        port = FramedPort(line, RtuFraming(), doubt=doubt)
        data = await port.read(Request(1, 3, 10, 2), limit=LIMIT)
        assert data == b"\x00\x03\x00\x0a"

    simulated(story())


def test_a_damaged_answer_costs_no_more_than_a_silence_on_the_line() -> None:
    async def story() -> float:
        line = SimulatedLine(iter([Behaviour(outcome="lost")]))
        port = FramedPort(line, RtuFraming())
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + 0.1, line.feed, rtu(1, bytes.fromhex("030400010002"))[:-1] + b"\0")
        started = loop.time()
        with pytest.raises(ChecksumError, match="wrong checksum"):
            await port.read(Request(1, 3, 0, 2), limit=30.0)
        assert port.count(1).checksum == 1
        return loop.time() - started

    assert simulated(story()) < 0.3


def test_a_second_master_on_the_line_is_named() -> None:
    async def story() -> None:
        line = SimulatedLine(iter([Behaviour(delay=0.2)]))
        port = FramedPort(line, RtuFraming())
        loop = asyncio.get_running_loop()
        loop.call_at(loop.time() + 0.1, line.feed, rtu(1, bytes.fromhex("0300400002")))
        with pytest.raises(ProtocolError, match="another master") as caught:
            await port.read(Request(1, 3, 0, 2), limit=LIMIT)
        assert caught.value.kind == "another_master"
        assert port.count(1).foreign == 1
        assert await port.read(Request(1, 3, 0, 2), limit=LIMIT) == b"\x00\x03\x00\x00"

    simulated(story())


stranger = st.tuples(
    st.sampled_from([0.0, 0.001, 0.003, 0.0045, 0.02, 0.3, 0.99, 1.5]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([0.0005, 0.004, 0.02, 0.06, 0.3, 1.2]),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(behaviour, max_size=10), st.lists(question, min_size=1, max_size=10), st.lists(stranger, max_size=10))
def test_what_another_master_is_told_is_never_taken_for_an_answer_to_us(
    behaviours: list[Behaviour],
    questions: list[tuple[int, int, int, float]],
    strangers: list[tuple[float, int, int, float]],
) -> None:
    async def story() -> None:
        line = SimulatedLine(iter([replace(each, outcome="data", cut=0) for each in behaviours]))
        port = FramedPort(line, RtuFraming())

        async def another_master() -> None:
            for rest, unit, count, delay in strangers:
                await asyncio.sleep(rest)
                line.ask_for_another(unit, count, delay)

        other = asyncio.create_task(another_master())
        for unit, address, count, rest in questions:
            await asyncio.sleep(rest)
            try:
                data = await port.read(Request(unit, 3, address, count), limit=LIMIT, pause=0.004)
            except (LinkTimeout, ProtocolError):
                continue
            assert int.from_bytes(data[:2], "big") == len(line.numbers), "an answer to another request"
        await other

    simulated(story())


def test_an_answer_that_another_master_still_waits_for_is_not_taken() -> None:
    async def story() -> bytes:
        line = SimulatedLine(iter([]))
        port = FramedPort(line, RtuFraming())
        await port.read(Request(1, 3, 0, 1), limit=LIMIT)
        # It asks in the quiet before we do, and is answered after we have asked.
        line.ask_for_another(1, 1, 0.1)
        return await port.read(Request(1, 3, 0, 1), limit=LIMIT)

    assert simulated(story()) != b"\xff\xff"

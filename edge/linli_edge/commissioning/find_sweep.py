"""Reading a device's registers without knowing its map: large blocks, smaller ones where it refuses. Pure.

A block that is refused is cut into smaller ones: 100 → 20 → 4 → 2 → 1 registers. Where nothing near could be read, the
cutting stops early, so that a desert costs little. What has been read and what is still to be asked is plain data.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from linli_core.errors import LinkTimeout
from linli_edge.commissioning.modbus_wire import read_pdu, wire_of
from linli_edge.commissioning.scanner import Estimate, Heard, Probe
from linli_edge.commissioning.target import Target
from linli_edge.commissioning.wire_time import show_milliseconds, transfer_time
from linli_edge.drivers.modbus.registers import ADDRESSES
from linli_edge.transport.settings import SerialSettings

RANGES: Final = ((0, 4999), (19000, 19199), (40000, 40199), (50000, 50199))
"""Where meters keep their values: most below 5000, some makes at 19000, SunSpec at 40000 and 50000."""

PATIENCE: Final = 1_000_000
TURNAROUND: Final = 50_000
"""Microseconds a device takes before it answers, for the estimate; what is measured takes its place."""

_STEPS: Final = (100, 20, 4, 2, 1)
_FULLY: Final = 200
_DEEP: Final = 1000
"""Below the first address a refused block is always cut to single registers, below the second to four: most maps begin
here."""

_NEAR: Final = 60
_SILENCES: Final = 3
_REQUEST: Final = 8
_ANSWER: Final = 5
"""Bytes of a request, and of an answer that carries no data, on a serial line."""

_TABLES: Final = {"input": 4, "holding": 3}


class UnitSilent(LinkTimeout):
    """The line works, and the device on it does not answer."""


class _Block(msgspec.Struct, array_like=True):
    table: str
    address: int
    count: int


class _State(msgspec.Struct):
    """What is known: the registers as far as read, and the blocks still to be asked, the next one last."""

    unit: int
    ranges: list[tuple[int, int]]
    queue: list[_Block]
    image: dict[str, dict[int, int]]
    asked: int = 0
    refused: int = 0
    silences: int = 0
    turnaround: int = TURNAROUND


class RegisterSweep:
    """Reads what can be read; see the module."""

    def __init__(
        self,
        target: Target,
        unit: int,
        ranges: Sequence[tuple[int, int]] = (),
        tables: Sequence[str] = tuple(_TABLES),
        kept: Mapping[str, Any] | None = None,
    ) -> None:
        self._target = target
        self._wire = wire_of(target.transport, target.framing)
        # Behind a converter is a line, too; its speed is not ours to know, and 9600 is the commonest.
        is_converter = self._wire.framing != "tcp" and not isinstance(target.transport, SerialSettings)
        self._line = SerialSettings("", 9600) if is_converter else target.transport
        wanted = [(first, last) for first, last in ranges or RANGES]
        blocks = [
            _Block(table, start, min(_STEPS[0], last + 1 - start))
            for first, last in wanted
            for table in tables
            for start in range(first, last + 1, _STEPS[0])
        ]
        self._state = _State(unit, wanted, blocks[::-1], {table: {} for table in tables})
        if kept is not None:
            state = msgspec.convert(kept, _State, strict=False)
            if (state.unit, state.ranges, list(state.image)) != (unit, wanted, list(tables)):
                raise ValueError("the kept sweep is another one")
            self._state = state
        self._draining = False

    @property
    def image(self) -> Mapping[str, Mapping[int, int]]:
        """The registers read so far, by table and address."""
        return self._state.image

    @property
    def share(self) -> tuple[int, int]:
        """How much is done, of how much."""
        return self._state.asked, self._state.asked + len(self._state.queue)

    def estimate(self) -> Estimate:
        """Return how long the rest takes where the device gives whole blocks; see :meth:`at_most` for the rest."""
        time = sum(self._time(block.count) for block in self._state.queue)
        request, answer = self._transfer(_REQUEST), self._transfer(_ANSWER + 2 * _STEPS[0])
        each = " + ".join(show_milliseconds(part) for part in (request, self._state.turnaround, answer))
        return Estimate(len(self._state.queue), time, (f"{len(self._state.queue)} × ({each})",))

    def at_most(self) -> int:
        """Return the microseconds the rest takes where the device refuses every block, large and small."""
        refusal = self._transfer(_REQUEST) + self._state.turnaround + self._transfer(_ANSWER)
        return sum(refusal * self._questions(block) for block in self._state.queue)

    def _questions(self, block: _Block) -> int:
        return 1 + sum(self._questions(part) for part in self._parts(block))

    def _time(self, count: int) -> int:
        return self._transfer(_REQUEST) + self._state.turnaround + self._transfer(_ANSWER + 2 * count)

    def _transfer(self, count: int) -> int:
        return transfer_time(self._line, count)

    def next(self) -> Probe | None:
        """Return the next probe; ``None`` when all has been asked."""
        if self._draining:
            # Without transaction ids an answer that comes now could be taken for the next block's.
            return Probe(self._target.transport, b"", PATIENCE, lambda _: False, "…")
        if not self._state.queue:
            return None
        block = self._state.queue[-1]
        pdu = read_pdu(_TABLES[block.table], block.address, block.count)
        data = self._wire.encode(self._state.unit, pdu, self._state.asked + 1)
        label = f"{block.table} {block.address}"
        return Probe(self._target.transport, data, PATIENCE, self._wire.complete(self._state.unit, data), label)

    def take(self, heard: Heard) -> None:
        """Take what the probe brought; raise :class:`UnitSilent` when the device has not answered at all."""
        if self._draining:
            self._draining = False
            return
        probe = self.next()
        assert probe is not None, "only what was asked is taken"
        state = self._state
        block = state.queue.pop()
        state.asked += 1
        answers = self._wire.parse(heard.data, probe.data).answers
        pdu = next((frame.pdu for frame in answers if frame.unit == state.unit), None)
        if pdu is None:
            self._silent(block)
            return
        state.silences = 0
        if heard.delay is not None:
            state.turnaround = (3 * state.turnaround + heard.delay) // 4
        if pdu[0] == _TABLES[block.table] and len(pdu) == 2 + 2 * block.count:
            words = struct.unpack(f">{block.count}H", pdu[2:])
            state.image[block.table].update(enumerate(words, start=block.address))
            return
        state.refused += 1
        if pdu[0] & 0x80 and pdu[1:2] == b"\x01":
            # It does not know the function: nothing of this table can be read.
            state.queue[:] = [other for other in state.queue if other.table != block.table]
            return
        state.queue.extend(reversed(self._parts(block)))

    def state(self) -> Mapping[str, Any]:
        """Return what must be kept."""
        return cast("Mapping[str, Any]", msgspec.to_builtins(self._state, str_keys=True))

    def _silent(self, block: _Block) -> None:
        state = self._state
        state.silences += 1
        self._draining = self._wire.framing != "tcp"
        if state.silences >= _SILENCES and not any(state.image.values()) and not state.refused:
            raise UnitSilent(f"unit {state.unit}: no answer to {state.silences} questions")
        if state.silences == 1:
            state.queue.append(block)
        # Some devices keep silent about addresses they do not have: that block is given up, not cut.

    def _parts(self, block: _Block) -> list[_Block]:
        smaller = next((step for step in _STEPS if step < block.count), 0)
        always = _FULLY if smaller < 4 else _DEEP if smaller == 4 else ADDRESSES
        if not smaller or (block.address >= always and not self._near(block)):
            return []
        end = block.address + block.count
        return [_Block(block.table, start, min(smaller, end - start)) for start in range(block.address, end, smaller)]

    def _near(self, block: _Block) -> bool:
        words = self._state.image[block.table]
        return any(place in words for place in range(block.address - _NEAR, block.address + block.count))

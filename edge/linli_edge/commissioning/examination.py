"""What ``linli-edge doctor`` asks a line, and what it notes of the answers. Pure; :mod:`diagnosis` draws conclusions.

1. **Listen** before anything is asked: a line that nobody uses is silent.
2. **Ask** every unit in turn, often; after each answer listen a little: what comes then, nobody asked for.
3. **Try other settings** with units that said nothing usable: another speed, parity or framing that is answered at
   settles the question.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from linli_edge.commissioning.modbus_wire import Frame, Parsed, Wire, read_pdu, wire_of
from linli_edge.commissioning.scanner import Heard, Probe
from linli_edge.commissioning.target import Target, setting_name
from linli_edge.commissioning.wire_time import transfer_time
from linli_edge.transport.settings import Parity, SerialSettings, TransportSettings

PATIENCE: Final = 1_000_000
LISTENING: Final = 500_000
LISTENINGS: Final = 5
"""The first listening: long enough for a master that asks every two seconds."""

_AFTERWARDS: Final = 60_000
_SETTLED: Final = 150_000
_TRIAL: Final = 300_000
_HOPELESS: Final = 4
"""Silences in a row, and nothing else, after which a unit is asked no more at this setting."""

_SPEEDS: Final = (9600, 19200, 4800, 2400, 38400, 57600, 115200, 1200)
_PARITIES: Final[tuple[Parity, ...]] = ("none", "even", "odd")
_TRIED: Final = 2
"""Silent units that are tried at other settings: what holds for two holds for the line."""

_READS: Final = ((3, 0, 10), (4, 0, 10), (3, 0, 2), (4, 0, 2))
_UNREACHABLE: Final = frozenset({10, 11})


@dataclass
class UnitNotes:
    """What one unit did.

    Attributes:
        asked: Questions.
        delays: Microseconds of each right answer.
        silent: Questions without a byte.
        damaged: Questions that brought bytes, and no right frame.
        headed: Damaged answers that began as the right one would: unit id and function.
        doubled: Questions that were answered twice.
        edged: Right answers with stray bytes beside them.
        late: Answers that came after patience had ended.
        unreachable: Answers by which a gateway says that the unit is silent.
        refused: Right answers by which the unit says no to what the configuration reads of it.
        closed: Questions after which the other end closed the connection.
    """

    asked: int = 0
    delays: list[int] = field(default_factory=list)
    silent: int = 0
    damaged: int = 0
    headed: int = 0
    doubled: int = 0
    edged: int = 0
    late: int = 0
    unreachable: int = 0
    refused: int = 0
    closed: int = 0

    @property
    def mute(self) -> bool:
        """Whether nothing came that shows that speed, parity and framing are right."""
        return not (self.delays or self.unreachable or self.late or self.doubled or 2 * self.headed > self.damaged)


@dataclass
class Evidence:
    """What was noted.

    Attributes:
        setting: The line's setting.
        units: Notes of each unit.
        echoed: Questions that came back themselves.
        idle: Runs of bytes that were no frames and came while nobody was asked.
        listened: How often the line was listened to before anything was asked.
        foreign: Unit ids of frames that were none of ours.
        requests: How many of those were questions.
        answered_at: Another setting at which a unit answered, by unit id.
        parity_only: Whether that one differs in its parity alone.
        framing: The framing of that answer.
    """

    setting: TransportSettings
    units: dict[int, UnitNotes]
    echoed: int = 0
    idle: int = 0
    listened: int = 0
    foreign: dict[int, int] = field(default_factory=dict)
    requests: int = 0
    answered_at: dict[int, str] = field(default_factory=dict)
    parity_only: bool = False
    framing: str = ""

    @property
    def asked(self) -> int:
        """All questions."""
        return sum(notes.asked for notes in self.units.values())


@dataclass(frozen=True, slots=True)
class _Step:
    """A probe and what it is for: ``listen``, ``ask``, ``after``, ``trial``."""

    purpose: str
    probe: Probe
    unit: int = 0
    function: int = 0
    framing: str = ""


class Examination:
    """The questions in their order.

    Attributes:
        evidence: What was noted so far.
        done: How many questions have been asked, of :attr:`whole`.
    """

    def __init__(self, target: Target, units: Sequence[int], rounds: int, *, listenings: int = LISTENINGS) -> None:
        self.evidence = Evidence(target.transport, {unit: UnitNotes() for unit in units})
        self._target = target
        self._rounds = rounds
        self._listenings = listenings
        self._wire = wire_of(target.transport, target.framing)
        self._transaction = 0
        self._steps = self._plan()
        self._step: _Step | None = None
        self._ended = False
        self._silent_now = False
        self.done = 0

    @property
    def whole(self) -> int:
        """How many questions there are, other settings not counted."""
        return self._rounds * len(self.evidence.units) + self._listenings

    def longest(self) -> int:
        """Return the microseconds it takes where nobody answers."""
        each = transfer_time(self._target.transport, 8) + PATIENCE
        asked = min(self._rounds, _HOPELESS) * len(self.evidence.units)
        trials = min(_TRIED, len(self.evidence.units)) * sum(1 for _ in self._others()) * 2
        return self._listenings * LISTENING + asked * (each + LISTENING) + trials * _TRIAL

    def shortest(self) -> int:
        """Return the microseconds it takes where everybody answers in 50 ms."""
        each = transfer_time(self._target.transport, 8 + 25) + 50_000 + _AFTERWARDS
        return self._listenings * LISTENING + self._rounds * len(self.evidence.units) * each

    def next(self) -> Probe | None:
        """Return the next probe; ``None`` when all is done."""
        if self._step is None and not self._ended:
            self._step = next(self._steps, None)
            self._ended = self._step is None
        return self._step.probe if self._step is not None else None

    def take(self, heard: Heard) -> None:
        """Note what the probe brought."""
        step, self._step = self._step, None
        assert step is not None, "only what was asked is taken"
        wire = Wire(step.framing) if step.framing else self._wire
        parsed = wire.parse(heard.data, step.probe.data)
        if step.purpose == "ask":
            self._asked(step, heard, parsed)
        elif step.purpose == "trial":
            self._tried(step, parsed)
        else:
            self._overheard(step, heard, parsed)

    def _plan(self) -> Iterator[_Step]:
        transport = self._target.transport
        for _ in range(self._listenings):
            yield _Step("listen", self._listening(LISTENING))
        for number in range(self._rounds):
            for unit, notes in self.evidence.units.items():
                if notes.silent >= _HOPELESS and notes.silent == notes.asked:
                    continue
                function, address, count = self._target.reads.get(unit, _READS[number % len(_READS)])
                yield self._question("ask", transport, self._wire, unit, read_pdu(function, address, count), PATIENCE)
                self.done = number * len(self.evidence.units)
                yield _Step("after", self._listening(LISTENING if self._silent_now else _AFTERWARDS), unit)
        for unit in [unit for unit, notes in self.evidence.units.items() if notes.mute][:_TRIED]:
            yield from self._trials(unit)

    def _trials(self, unit: int) -> Iterator[_Step]:
        for setting, framing in self._others():
            for function, address, count in _READS[:2]:
                if unit in self.evidence.answered_at:
                    return
                wire = Wire(framing)
                step = self._question("trial", setting, wire, unit, read_pdu(function, address, count), _TRIAL)
                yield replace(step, framing=framing)

    def _others(self) -> Iterator[tuple[TransportSettings, str]]:
        """Yield the other settings, the likeliest first: the same speed with another parity, then other speeds."""
        now = self._target.transport
        if not isinstance(now, SerialSettings):
            yield now, "rtu" if self._wire.framing == "tcp" else "tcp"
            return
        for baud in (now.baud, *(speed for speed in _SPEEDS if speed != now.baud)):
            for parity in _PARITIES:
                if (baud, parity) != (now.baud, now.parity):
                    yield replace(now, baud=baud, parity=parity), self._wire.framing

    def _question(
        self, purpose: str, setting: TransportSettings, wire: Wire, unit: int, pdu: bytes, patience: int
    ) -> _Step:
        self._transaction += 1
        data = wire.encode(unit, pdu, self._transaction)
        label = f"{setting_name(setting)} id {unit}"
        probe = Probe(setting, data, patience, wire.complete(unit, data), label, _SETTLED)
        return _Step(purpose, probe, unit, pdu[0])

    def _listening(self, time: int) -> Probe:
        return Probe(self._target.transport, b"", time, lambda _: False, "…")

    def _asked(self, step: _Step, heard: Heard, parsed: Parsed) -> None:
        notes = self.evidence.units[step.unit]
        notes.asked += 1
        notes.closed += heard.closed
        self.evidence.echoed += parsed.echoed
        mine = [frame for frame in parsed.answers if self._is_answer(frame, step)]
        self._foreign(frame for frame in parsed.frames if frame not in mine)
        self._silent_now = not mine and not parsed.rest
        if mine and mine[0].exception in _UNREACHABLE:
            notes.unreachable += 1
        elif mine:
            notes.delays.append(heard.delay or 0)
            notes.doubled += len(mine) > 1
            notes.edged += bool(parsed.rest)
            notes.refused += mine[0].exception is not None and step.unit in self._target.reads
        elif parsed.rest:
            notes.damaged += 1
            notes.headed += any(run[:2] == bytes((step.unit, step.function)) for run in parsed.rest)
        else:
            notes.silent += 1

    def _overheard(self, step: _Step, heard: Heard, parsed: Parsed) -> None:
        """Note what came while nobody was asked."""
        if step.purpose == "listen":
            self.evidence.listened += 1
        self.evidence.idle += bool(parsed.rest)
        notes = self.evidence.units.get(step.unit)
        if notes is not None:
            notes.closed += heard.closed
        for frame in parsed.frames:
            if notes is not None and frame.unit == step.unit and not frame.request:
                if self._silent_now:
                    notes.late += 1
                else:
                    notes.doubled += 1
            else:
                self._foreign([frame])

    def _tried(self, step: _Step, parsed: Parsed) -> None:
        if any(frame.unit == step.unit for frame in parsed.answers):
            evidence = self.evidence
            evidence.answered_at[step.unit] = step.probe.setting.place
            evidence.framing = step.framing
            now = self._target.transport
            other = step.probe.setting
            evidence.parity_only = (
                isinstance(now, SerialSettings) and isinstance(other, SerialSettings) and now.baud == other.baud
            )

    def _foreign(self, frames: Iterator[Frame] | Sequence[Frame]) -> None:
        for frame in frames:
            self.evidence.foreign[frame.unit] = self.evidence.foreign.get(frame.unit, 0) + 1
            self.evidence.requests += frame.request

    def _is_answer(self, frame: Frame, step: _Step) -> bool:
        if frame.unit != step.unit or (frame.pdu[0] & 0x7F) != step.function:
            return False
        return frame.transaction is None or frame.transaction == int.from_bytes(step.probe.data[:2], "big")

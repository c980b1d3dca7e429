"""Who answers on a Modbus line: every unit id at every setting, quickly, then patiently where something stirred. Pure.

Setting by setting:

1. **Sweep.** One short read for each id, with a patience that most devices keep. A slower one is not lost: its answer
   comes while the next id is being asked, carries its own unit id, and is booked on it. Where the two collide on the
   wire, bytes come that are no frame, and that marks both ids as suspicious.
2. **Tail.** Listen once, as long as the slowest device may take, for the last id's late answer.
3. **Patient pass.** The suspicious ids again, with a long patience: the same question, and one of another function
   where that brings nothing. What is garbled twice is said as a hint: two devices with one id, noise, or another speed.
4. **Identify.** Ask whoever answered who it is.

What has been learnt is plain data; what is next follows from it alone, so a search that was stopped goes on exactly
where it was.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from linli_core.errors import ConfigError
from linli_core.instant import SECOND
from linli_edge.commissioning.identify import Identity, Question, public
from linli_edge.commissioning.modbus_wire import Frame, Parsed, read_pdu, wire_of
from linli_edge.commissioning.scanner import Estimate, Found, Heard, Hint, Probe, Scanner, Search, Wanted
from linli_edge.commissioning.target import Target, setting_name
from linli_edge.commissioning.wire_time import show_milliseconds, transfer_time
from linli_edge.transport.settings import Parity, SerialSettings, TransportSettings

BAUDS: Final = (9600, 19200, 4800, 2400)
PARITIES: Final = ("none", "even")
IDS: Final = ((1, 247),)
TCP_IDS: Final = ((1, 247), (255, 255))
"""Unit ids; 255 is what a device that speaks Modbus TCP itself is asked by (Messaging on TCP/IP V1.0b, §4.4.2)."""


SERIAL_PATIENCE: Final = 150_000
CONVERTER_PATIENCE: Final = 300_000
TCP_PATIENCE: Final = SECOND
"""First patience: on our own line; through a converter, whose own line takes its time; and towards a Modbus TCP
gateway, which asks its line by itself and says so when nobody answers there (exception 11)."""

LONG_PATIENCE: Final = 1_200_000
"""Patience of the second pass: devices that take longer than a second are not known."""

_SUSPICIONS: Final = 24
"""Ids of one setting that are asked again at most: more than that is no device, but the line."""

_NOISY: Final = 8
"""Garbled ids of one setting from which on the line is named rather than the ids."""

_IDENTIFIED: Final = 64
"""Devices of one setting that are asked who they are at most: a device that answers to every id is one device."""

_MUTE: Final = 6
"""Questions about who it is that a device leaves unanswered before it is asked no more."""

_SWEEP: Final = read_pdu(3, 0, 1)
_SECOND_LOOK: Final = read_pdu(4, 0, 1)
_UNREACHABLE: Final = frozenset({10, 11})


class _Answer(msgspec.Struct):
    """An id that answered: after how long, whether late, how often to one question or garbled, and what it said."""

    delay: int
    late: bool = False
    answers: int = 1
    spoilt: int = 0
    step: int = 0
    identified: bool = False
    mute: int = 0
    draining: bool = False
    facts: dict[str, str] = msgspec.field(default_factory=dict)
    profiles: list[str] = msgspec.field(default_factory=list)
    title: str = ""


class _Visit(msgspec.Struct):
    """What is known of one setting. The ids are numbered by their place in the search's list."""

    swept: int = 0
    listened: bool = False
    answered: dict[int, _Answer] = msgspec.field(default_factory=dict)
    garbled: list[int] = msgspec.field(default_factory=list)
    again: list[int] = msgspec.field(default_factory=list)
    other: list[int] = msgspec.field(default_factory=list)
    twice: list[int] = msgspec.field(default_factory=list)
    echoed: bool = False
    foreign: list[int] = msgspec.field(default_factory=list)
    closed: int = 0


class _State(msgspec.Struct):
    settings: list[str]
    ids: list[int]
    patience: int
    visits: list[_Visit]
    questions: int = 0


class ModbusSearch:
    """The search; see the module. Attributes are its own."""

    def __init__(self, wanted: Wanted, kept: Mapping[str, Any] | None = None) -> None:
        self._wire = wire_of(wanted.target.transport, wanted.target.framing)
        self._settings = _settings(wanted)
        usual = TCP_IDS if self._wire.framing == "tcp" else IDS
        ids = [unit for first, last in wanted.addresses or usual for unit in range(first, last + 1)]
        self._identity = Identity() if wanted.identify else None
        patience = wanted.patience or _usual_patience(wanted.target)
        places = [setting.place for setting in self._settings]
        self._state = _State(places, list(dict.fromkeys(ids)), patience, [_Visit() for _ in places])
        if kept is not None:
            state = msgspec.convert(kept, _State, strict=False)
            if (state.settings, state.ids, state.patience) != (places, self._state.ids, patience):
                raise ValueError("the kept search is another one")
            self._state = state
        self._probe: Probe | None = None

    def estimate(self) -> Estimate:
        """Return how long the rest takes if nobody else answers; what a device that does adds, stands apart."""
        time = probes = 0
        for setting, visit in zip(self._settings, self._state.visits, strict=True):
            request = transfer_time(setting, self._request_size)
            left = len(self._state.ids) - visit.swept
            again = len(self._pending(visit))
            time += left * (request + self._state.patience) + 2 * again * (request + self._long)
            time += 0 if visit.listened else self._long
            probes += left + 2 * again + (not visit.listened)
        return Estimate(probes, time, self._parts(), self._each_found())

    def _each_found(self) -> int:
        """Return the microseconds it takes to ask a device who it is, where it answers in 50 ms."""
        if self._identity is None:
            return 0
        return self._identity.most * (transfer_time(self._settings[0], self._request_size + 9) + 50_000)

    def next(self) -> Probe | None:
        """Return the next probe."""
        if self._probe is None:
            for place, visit in enumerate(self._state.visits):
                self._probe = self._next(self._settings[place], visit)
                if self._probe is not None:
                    break
        return self._probe

    def take(self, heard: Heard) -> Sequence[Found]:
        """Take what the probe brought; return the devices that are complete now."""
        probe = self.next()
        if probe is None:
            raise ValueError("nothing was asked")
        place = self._settings.index(probe.setting)
        visit = self._state.visits[place]
        before = set(self._ready(visit))
        self._take(visit, probe, heard)
        self._probe = None
        return [self._found(place, unit) for unit in self._ready(visit) if unit not in before]

    def found(self) -> Sequence[Found]:
        """Return every device that answered so far, identified or not."""
        return [
            self._found(place, unit)
            for place, visit in enumerate(self._state.visits)
            for unit in sorted(visit.answered)
        ]

    def hints(self) -> Sequence[Hint]:
        """Return what else was noticed, setting by setting."""
        hints: list[Hint] = []
        for setting, visit in zip(self._settings, self._state.visits, strict=True):
            hints += self._hints(setting, visit)
        if not any(visit.answered or visit.garbled for visit in self._state.visits) and self.next() is None:
            hints.append(Hint("nobody", self._settings[0], {"patience": show_milliseconds(self._state.patience)}))
        return hints

    def state(self) -> Mapping[str, Any]:
        """Return what must be kept."""
        return cast("Mapping[str, Any]", msgspec.to_builtins(self._state, str_keys=True))

    @property
    def _long(self) -> int:
        return max(LONG_PATIENCE, self._state.patience)

    @property
    def _request_size(self) -> int:
        return len(self._wire.encode(1, _SWEEP))

    def _parts(self) -> tuple[str, ...]:
        """Return how the time of each setting comes about: ids × (request + patience) + the last listening."""
        parts = []
        patience = show_milliseconds(self._state.patience)
        count = len(self._state.ids)
        for setting in self._settings:
            request = transfer_time(setting, self._request_size)
            total = (count * (request + self._state.patience) + self._long) / SECOND
            each = f"{count} × ({show_milliseconds(request)} + {patience})"
            parts.append(f"{setting_name(setting)}: {each} + {self._long / SECOND:g} s = {total:.1f} s")
        return tuple(parts)

    def _pending(self, visit: _Visit) -> list[int]:
        """Return the suspicious ids that are still to be asked patiently."""
        wanted = [unit for unit in visit.garbled if unit not in visit.answered][:_SUSPICIONS]
        return [unit for unit in wanted if unit not in visit.again]

    def _next(self, setting: TransportSettings, visit: _Visit) -> Probe | None:
        ids = self._state.ids
        if visit.swept < len(ids):
            return self._ask(setting, ids[visit.swept], _SWEEP, self._state.patience)
        if not visit.listened:
            return Probe(setting, b"", self._long, lambda _: False, f"{setting_name(setting)} …")
        for unit in self._pending(visit):
            # A device that keeps silent about one function may answer to the other.
            return self._ask(setting, unit, _SECOND_LOOK if unit in visit.other else _SWEEP, self._long)
        return self._next_question(setting, visit)

    def _next_question(self, setting: TransportSettings, visit: _Visit) -> Probe | None:
        """Return what asks the next device who it is."""
        if self._identity is None:
            return None
        for unit, answer in list(visit.answered.items())[:_IDENTIFIED]:
            if answer.identified:
                continue
            patience = max(self._state.patience, 3 * answer.delay)
            if answer.draining:
                # A late answer to the question before must not be taken for the next one's.
                return Probe(setting, b"", patience, lambda _: False, f"{setting_name(setting)} id {unit}")
            question = self._question(answer)
            assert question is not None, "an answer without a question left is identified"
            return self._ask(setting, unit, question.pdu, patience)
        return None

    def _ask(self, setting: TransportSettings, unit: int, pdu: bytes, patience: int) -> Probe:
        data = self._wire.encode(unit, pdu, self._state.questions + 1)
        return Probe(setting, data, patience, self._wire.complete(unit, data), f"{setting_name(setting)} id {unit}")

    def _question(self, answer: _Answer) -> Question | None:
        assert self._identity is not None
        return self._identity.question(answer.step, answer.facts)

    def _ready(self, visit: _Visit) -> list[int]:
        """Return the devices of which nothing more will be asked."""
        listed = list(visit.answered.items())
        return [
            unit
            for number, (unit, answer) in enumerate(listed)
            if answer.identified or self._identity is None or number >= _IDENTIFIED
        ]

    def _take(self, visit: _Visit, probe: Probe, heard: Heard) -> None:
        self._state.questions += bool(probe.data)
        visit.closed += heard.closed
        parsed = self._wire.parse(heard.data, probe.data)
        visit.echoed |= parsed.echoed
        unit = self._asked(visit)
        if unit in visit.answered and visit.listened:
            known = visit.answered[unit]
            if known.draining:
                known.draining = False
                return
            answer = self._book(visit, unit, probe, heard, parsed, identifying=True)
            known.spoilt += answer is None and bool(parsed.rest)
            self._identify(known, answer)
            return
        self._book(visit, unit, probe, heard, parsed, identifying=False)
        if parsed.rest:
            self._garbled(visit, unit)
        if visit.swept < len(self._state.ids):
            visit.swept += 1
        elif unit is None:
            visit.listened = True
        elif unit in visit.answered or parsed.rest or unit in visit.other:
            visit.again.append(unit)
            if parsed.rest and unit not in visit.answered:
                visit.twice.append(unit)
        else:
            visit.other.append(unit)

    def _book(
        self, visit: _Visit, unit: int | None, probe: Probe, heard: Heard, parsed: Parsed, *, identifying: bool
    ) -> Frame | None:
        """Book every frame on whom it comes from; return the answer to a question about who the unit is."""
        answer: Frame | None = None
        delay = heard.delay or 0
        for frame in parsed.frames:
            ours = frame.unit == unit and self._is_ours(frame, probe) and not frame.request
            if ours and identifying and answer is None:
                answer = frame
            elif ours:
                self._note(visit, frame, delay, late=False)
            elif self._is_late(visit, frame):
                self._note(visit, frame, delay + probe.patience, late=True)
            elif frame.unit not in visit.foreign:
                visit.foreign.append(frame.unit)
        return answer

    def _asked(self, visit: _Visit) -> int | None:
        """Return the id that the present probe asks; ``None`` while listening."""
        if visit.swept < len(self._state.ids):
            return self._state.ids[visit.swept]
        if not visit.listened:
            return None
        if pending := self._pending(visit):
            return pending[0]
        return next((unit for unit, answer in visit.answered.items() if not answer.identified), None)

    def _is_ours(self, frame: Frame, probe: Probe) -> bool:
        return frame.transaction is None or frame.transaction == int.from_bytes(probe.data[:2], "big")

    def _is_late(self, visit: _Visit, frame: Frame) -> bool:
        if frame.request:
            return False
        if self._wire.framing == "tcp":
            return frame.unit in self._state.ids
        # Only the sweep's own question can be answered late, and only by an id that has been asked.
        asked = self._state.ids[: visit.swept]
        return frame.unit in asked and (frame.pdu[0] & 0x7F) == _SWEEP[0] and not visit.again

    def _note(self, visit: _Visit, frame: Frame, delay: int, *, late: bool) -> None:
        if frame.exception in _UNREACHABLE:
            # A gateway speaks for a unit that is not there.
            return
        known = visit.answered.get(frame.unit)
        if known is None:
            visit.answered[frame.unit] = _Answer(delay, late, identified=self._identity is None)
        elif not visit.listened or frame.unit in visit.again:
            known.answers += 1

    def _garbled(self, visit: _Visit, unit: int | None) -> None:
        suspects = [] if unit is None else [unit]
        if not visit.listened:
            place = visit.swept - 1
            # What collided with our question was perhaps the answer to the one before.
            suspects += [self._state.ids[place]] if place >= 0 else []
        visit.garbled += [suspect for suspect in suspects if suspect not in visit.garbled]

    def _identify(self, answer: _Answer, frame: Frame | None) -> None:
        assert self._identity is not None
        question = self._question(answer)
        assert question is not None
        answer.facts |= question.facts(frame.pdu if frame is not None else None)
        answer.step += 1
        answer.mute += frame is None
        answer.draining = frame is None and self._wire.framing != "tcp"
        if answer.mute >= _MUTE or self._question(answer) is None:
            answer.identified = True
            answer.profiles, answer.title = self._identity.conclude(answer.facts)

    def _found(self, place: int, unit: int) -> Found:
        answer = self._state.visits[place].answered[unit]
        device: dict[str, str | int] = {"id": f"unit-{unit}", "unit": unit}
        if len(answer.profiles) == 1:
            device["profile"] = answer.profiles[0]
        if 3 * answer.delay > SECOND:
            device["timeout"] = f"{-(-3 * answer.delay // SECOND)} s"
        setting = self._settings[place]
        profiles = tuple(answer.profiles)
        return Found(setting, str(unit), answer.delay, answer.title, profiles, public(answer.facts), device)

    def _hints(self, setting: TransportSettings, visit: _Visit) -> list[Hint]:
        hints = []
        if visit.echoed:
            hints.append(Hint("echo", setting))
        doubles = [unit for unit, answer in visit.answered.items() if answer.answers > 1 or answer.spoilt > 1]
        if len(visit.twice) >= _NOISY:
            hints.append(Hint("noise", setting, {"count": len(visit.twice)}))
        elif collided := sorted({*doubles, *visit.twice}):
            hints.append(Hint("collision", setting, {"ids": ", ".join(map(str, collided))}))
        if foreign := [unit for unit in visit.foreign if unit not in visit.answered]:
            hints.append(Hint("master", setting, {"ids": ", ".join(map(str, sorted(foreign)[:8]))}))
        if late := sorted(unit for unit, answer in visit.answered.items() if answer.late):
            hints.append(Hint("late", setting, {"ids": ", ".join(map(str, late))}))
        if visit.closed:
            hints.append(Hint("closed", setting, {"count": visit.closed}))
        if len(visit.answered) >= _NOISY and len(visit.answered) == visit.swept:
            hints.append(Hint("every_id", setting))
        return hints


def _usual_patience(target: Target) -> int:
    if isinstance(target.transport, SerialSettings):
        return SERIAL_PATIENCE
    return TCP_PATIENCE if target.framing == "tcp" else CONVERTER_PATIENCE


def _settings(wanted: Wanted) -> list[TransportSettings]:
    transport = wanted.target.transport
    if not isinstance(transport, SerialSettings):
        if wanted.bauds or wanted.parities:
            raise ConfigError("--baud", f"{transport.place} is no serial line", "set speed and parity at the converter")
        return [transport]
    given = wanted.target.given
    bauds = wanted.bauds or ((transport.baud,) if given else BAUDS)
    parities = wanted.parities or ((transport.parity,) if given else PARITIES)
    return [
        SerialSettings(
            transport.path, baud, cast("Parity", parity), transport.data_bits, transport.stop_bits, transport.rs485
        )
        for baud in bauds
        for parity in parities
    ]


def _start(wanted: Wanted, kept: Mapping[str, Any] | None) -> Search:
    try:
        return ModbusSearch(wanted, kept)
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from exc


def _link(target: Target) -> Mapping[str, str | int]:
    usual = "rtu" if isinstance(target.transport, SerialSettings) else "tcp"
    return {"framing": target.framing} if target.framing not in {"", usual} else {}


SCANNER: Final = Scanner("modbus", _start, _link)
"""What the entry point names."""

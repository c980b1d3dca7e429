"""Who answers a wildcard: DL/T 645 and CJ/T 188 meters, and what is asked when several answer at once. Pure.

At each setting the widest question first. A clean answer is a meter. Bytes that are no frame mean that several answered
at once: then each narrower question is asked, until one meter answers alone or there is no narrower one.

* DL/T 645: the address is narrowed byte by byte from its low end, the rest ``AA``; both editions, 2007 first.
* CJ/T 188: the standard's only wildcard is the whole address; it is narrowed by what is metered, in both orders of the
  identifier. Several meters of one kind cannot be told apart: the hint says so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from linli_core.codecs import cjt188, dlt645
from linli_core.codecs.cjt188 import Order
from linli_core.codecs.cjt188 import control as control_188
from linli_core.codecs.cjt188 import request as request_188
from linli_core.codecs.cjt188.frame import SHAPE as SHAPE_188
from linli_core.codecs.dlt645 import Edition
from linli_core.codecs.dlt645 import request as request_645
from linli_core.codecs.dlt645.frame import SHAPE as SHAPE_645
from linli_core.codecs.frame68 import Piece, Shape, split
from linli_core.instant import SECOND
from linli_edge.commissioning.scanner import Estimate, Found, Heard, Hint, Probe, Scanner, Search, Wanted
from linli_edge.commissioning.target import setting_name
from linli_edge.commissioning.wire_time import show_milliseconds, transfer_time
from linli_edge.transport.settings import SerialSettings, TransportSettings

BAUDS: Final = (2400, 9600, 1200, 4800)
PATIENCE: Final = 700_000
"""Microseconds: a meter may take 500 ms to begin, and an adapter some more."""
CONVERTER_PATIENCE: Final = 2 * SECOND

_PREAMBLE: Final = 4
_REQUEST: Final = 24

FrameT = TypeVar("FrameT")


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its kind (edition, or order of identifiers) and whom it is put to."""

    kind: str
    whom: str

    @property
    def text(self) -> str:
        """How the state keeps it."""
        return f"{self.kind} {self.whom}"


@dataclass(frozen=True, slots=True)
class Protocol(Generic[FrameT]):
    """What one protocol asks, and what it makes of answers.

    Attributes:
        shape: Of its frames.
        widest: The first questions at each setting.
        request: The bytes of a question.
        narrower: The questions that a question several meters answer is split into.
        found: The keys of the device that a frame answers from; ``None`` if it answers nothing that was asked.
        title: Its name for people.
    """

    shape: Shape[FrameT]
    widest: tuple[Question, ...]
    request: Callable[[Question], bytes]
    narrower: Callable[[Question], Iterator[Question]]
    found: Callable[[Question, FrameT], Mapping[str, str] | None]
    title: str


class _Meter(msgspec.Struct):
    place: int
    delay: int
    device: dict[str, str]


class _State(msgspec.Struct):
    place: int = 0
    queue: list[str] = msgspec.field(default_factory=list)
    meters: list[_Meter] = msgspec.field(default_factory=list)
    stuck: list[tuple[int, str]] = msgspec.field(default_factory=list)
    closed: list[tuple[int, int]] = msgspec.field(default_factory=list)
    answered: bool = False


class WildcardSearch(Generic[FrameT]):
    """One search on one line."""

    def __init__(self, protocol: Protocol[FrameT], wanted: Wanted, kept: Mapping[str, Any] | None = None) -> None:
        """Begin a search, or go on with a kept one; ``ValueError`` for a state that is none."""
        self._protocol = protocol
        self._settings = _settings(wanted)
        usual = PATIENCE if isinstance(wanted.target.transport, SerialSettings) else CONVERTER_PATIENCE
        self._patience = wanted.patience or usual
        try:
            self._state = msgspec.convert(kept, _State) if kept is not None else self._begun()
            for text in self._state.queue:
                _question(text)
        except msgspec.ValidationError as exc:
            raise ValueError(str(exc)) from exc

    def estimate(self) -> Estimate:
        """Return how long the rest takes if nobody (else) answers."""
        state, widest = self._state, len(self._protocol.widest)
        later = self._settings[state.place + 1 :]
        current = self._settings[state.place : state.place + 1]
        time = sum(len(state.queue) * self._cost(setting) for setting in current)
        time += sum(widest * self._cost(setting) for setting in later)
        probes = len(state.queue) + widest * len(later)
        return Estimate(probes, time, (f"{probes} x {show_milliseconds(self._patience)}",))

    def next(self) -> Probe | None:
        """Return the next probe; ``None`` when all is done."""
        state = self._state
        if not state.queue:
            return None
        setting, question = self._settings[state.place], _question(state.queue[0])
        request = self._protocol.request(question)
        label = f"{setting_name(setting)} {question.text}"
        return Probe(setting, request, self._patience, _never, label)

    def take(self, heard: Heard) -> Sequence[Found]:
        """Take what the probe brought."""
        state = self._state
        question = _question(state.queue.pop(0))
        data = heard.data.removeprefix(self._protocol.request(question))
        pieces = split(self._protocol.shape, data)
        new = [meter for piece in pieces if (meter := self._meter(question, piece, heard)) is not None]
        # A meter of 2007 may refuse a question of 1997: it is found already.
        known = {(meter.place, meter.device["address"]) for meter in state.meters}
        fresh = [meter for meter in new if (meter.place, meter.device["address"]) not in known]
        state.meters += fresh
        state.answered = state.answered or bool(data)
        if any(piece.wrong for piece in pieces) and (not new or len(data) > 2 * _REQUEST):
            narrower = [one.text for one in self._protocol.narrower(question)]
            if narrower:
                state.queue = [*narrower, *state.queue]
            elif not new:
                state.stuck.append((state.place, question.whom))
        if not state.queue and state.place + 1 < len(self._settings):
            state.place += 1
            state.queue = [one.text for one in self._protocol.widest]
        return [self._found(meter) for meter in fresh]

    def found(self) -> Sequence[Found]:
        """Return all meters so far."""
        return [self._found(meter) for meter in self._state.meters]

    def hints(self) -> Sequence[Hint]:
        """Return what else was noticed."""
        state = self._state
        hints = [Hint("collision", self._settings[place], {"ids": whom}) for place, whom in state.stuck]
        if not state.answered and not state.queue:
            hints.append(Hint("nobody", self._settings[0], {"patience": show_milliseconds(self._patience)}))
        return [Hint(hint.kind, hint.setting, {"setting": setting_name(hint.setting), **hint.values}) for hint in hints]

    def state(self) -> Mapping[str, Any]:
        """Return what must be kept to go on later."""
        kept: Mapping[str, Any] = msgspec.to_builtins(self._state)
        return kept

    def _begun(self) -> _State:
        return _State(queue=[one.text for one in self._protocol.widest])

    def _meter(self, question: Question, piece: Piece[FrameT], heard: Heard) -> _Meter | None:
        device = self._protocol.found(question, piece.frame) if piece.frame is not None else None
        return None if device is None else _Meter(self._state.place, heard.delay or 0, dict(device))

    def _found(self, meter: _Meter) -> Found:
        return Found(
            self._settings[meter.place],
            meter.device["address"],
            meter.delay,
            title=self._protocol.title,
            profiles=(meter.device["profile"],),
            device=meter.device,
        )

    def _cost(self, setting: TransportSettings) -> int:
        return transfer_time(setting, _REQUEST) + self._patience


def _never(_data: bytes) -> bool:
    """Another may be speaking still: only silence ends an answer to a wildcard."""
    return False


def _question(text: str) -> Question:
    kind, _, whom = text.partition(" ")
    if not kind or not whom:
        raise ValueError(f"no question: {text!r}")
    return Question(kind, whom)


def _settings(wanted: Wanted) -> list[TransportSettings]:
    transport = wanted.target.transport
    if not isinstance(transport, SerialSettings):
        return [transport]
    bauds = wanted.bauds or ((transport.baud,) if wanted.target.given else BAUDS)
    return [SerialSettings(transport.path, baud, "even", rs485=transport.rs485) for baud in bauds]


def _request_645(question: Question) -> bytes:
    return dlt645.encode_frame(request_645.search(question.whom, Edition(question.kind)), preamble=_PREAMBLE)


def _narrower_645(question: Question) -> Iterator[Question]:
    known = question.whom.lstrip("A")
    rest = len(question.whom) - len(known)
    if rest == 0:
        return
    for pair in range(100):
        yield Question(question.kind, f"{'A' * (rest - 2)}{pair:02d}{known}")


def _found_645(question: Question, frame: dlt645.Frame) -> Mapping[str, str] | None:
    asked = dlt645.decode_frame(_request_645(question))
    if not frame.is_reply or frame.function != asked.function:
        return None
    return {"address": frame.address, "edition": question.kind, "profile": "dlt645-standard"}


_PROFILES_188: Final = {1: "cjt188-water", 2: "cjt188-heat", 3: "cjt188-gas"}
_KINDS_188: Final = ("10", "11", "12", "13", "20", "21", "22", "30")


def _request_188(question: Question) -> bytes:
    frame = request_188.read_address(int(question.whom, 16), order=Order(question.kind))
    return cjt188.encode_frame(frame, preamble=_PREAMBLE)


def _narrower_188(question: Question) -> Iterator[Question]:
    if question.whom == "AA":
        yield from (Question(question.kind, kind) for kind in _KINDS_188)


def _found_188(question: Question, frame: cjt188.Frame) -> Mapping[str, str] | None:
    if not frame.is_reply or frame.function != control_188.READ_ADDRESS or frame.is_refusal:
        return None
    profile = _PROFILES_188.get(frame.meter_type >> 4, "cjt188-water")
    profile = "cjt188-hot-water" if frame.meter_type == 0x11 else profile
    return {
        "address": frame.address,
        "profile": profile,
        "type": f"{frame.meter_type:02X}",
        "order": question.kind,
    }


DLT645: Final = Protocol(
    SHAPE_645,
    tuple(Question(edition.value, "A" * 12) for edition in Edition),
    _request_645,
    _narrower_645,
    _found_645,
    "DL/T 645",
)
CJT188: Final = Protocol(
    SHAPE_188,
    tuple(Question(order.value, "AA") for order in Order),
    _request_188,
    _narrower_188,
    _found_188,
    "CJ/T 188",
)


def _start_645(wanted: Wanted, kept: Mapping[str, Any] | None) -> Search:
    return WildcardSearch(DLT645, wanted, kept)


def _start_188(wanted: Wanted, kept: Mapping[str, Any] | None) -> Search:
    return WildcardSearch(CJT188, wanted, kept)


DLT645_SCANNER: Final = Scanner("dlt645", _start_645)
CJT188_SCANNER: Final = Scanner("cjt188", _start_188)
"""What the entry points name."""

"""Who is on an M-Bus: primary addresses first, then the wildcard search by identity. Pure.

Speed by speed:

1. **Primary.** SND_NKE to each address; who acknowledges is asked for its telegram. Two meters at one address, as two
   fresh from the factory at 0, are garbage there, and the next step tells them apart.
2. **Identity.** The tree of wildcards (:mod:`linli_core.codecs.mbus.search`), which finds every meter that has an
   identity, whatever its primary address.

A meter is proposed by its primary address where that is its own on this bus, otherwise by its identity.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec

from linli_core.codecs.mbus import Ack, Identity, LongFrame, identity_of
from linli_core.codecs.mbus.frame import Frame, encode_frame
from linli_core.codecs.mbus.request import HIGHEST_ADDRESS, request_data, reset
from linli_core.codecs.mbus.search import State as TreeState
from linli_core.codecs.mbus.search import TreeSearch, frames_in
from linli_core.errors import ConfigError
from linli_core.instant import SECOND
from linli_edge.commissioning.scanner import Estimate, Found, Heard, Hint, Probe, Scanner, Search, Wanted
from linli_edge.commissioning.wire_time import show_milliseconds, transfer_time
from linli_edge.drivers.mbus.meter_profile import profile_for
from linli_edge.transport.settings import SerialSettings, TransportSettings

BAUDS: Final = (2400,)
ADDRESSES: Final = ((0, HIGHEST_ADDRESS),)
CONVERTER_PATIENCE: Final = SECOND // 2
_CONVERTER: Final = SECOND // 5
_LONGEST_WAIT_BITS: Final = 330
"""Bit times and 50 ms a meter may take to begin its answer (EN 13757-2); and what a level converter adds."""

_SELECTION_BYTES: Final = 17
_SHORT_BYTES: Final = 5


class _Meter(msgspec.Struct):
    """A meter that answered: where, after how long, and who it says it is."""

    primary: int | None
    delay: int
    number: str = ""
    manufacturer: str = ""
    version: int = 0
    medium: int = 0
    selected: bool = False

    @property
    def identity(self) -> Identity | None:
        return Identity(self.number, self.manufacturer, self.version, self.medium) if self.number else None


class _Visit(msgspec.Struct):
    """What is known of one setting."""

    swept: int = 0
    meters: list[_Meter] = msgspec.field(default_factory=list)
    shared: list[int] = msgspec.field(default_factory=list)
    tree: TreeState = msgspec.field(default_factory=TreeState)
    echoed: bool = False
    closed: int = 0


class _State(msgspec.Struct):
    settings: list[str]
    addresses: list[int]
    patience: int | None
    visits: list[_Visit]


class MbusSearch:
    """The search; see the module. Attributes are its own."""

    def __init__(self, wanted: Wanted, kept: Mapping[str, Any] | None = None) -> None:
        self._settings = _settings(wanted)
        ranges = wanted.addresses or ADDRESSES
        addresses = [address for first, last in ranges for address in range(first, min(last, HIGHEST_ADDRESS) + 1)]
        places = [setting.place for setting in self._settings]
        self._state = _State(places, list(dict.fromkeys(addresses)), wanted.patience, [_Visit() for _ in places])
        if kept is not None:
            state = msgspec.convert(kept, _State, strict=False)
            if (state.settings, state.addresses, state.patience) != (places, self._state.addresses, wanted.patience):
                raise ValueError("the kept search is another one")
            self._state = state
        self._trees = [TreeSearch(visit.tree) for visit in self._state.visits]
        # A whole acknowledgement at a primary address: the meter there is asked for its telegram next.
        self._acknowledged = False
        self._probe: Probe | None = None
        self._sent: Frame | None = None

    def estimate(self) -> Estimate:
        """Return how long the rest takes if nobody else answers; what a collision leads to is not foreseen."""
        probes = time = 0
        for setting, visit, tree in zip(self._settings, self._state.visits, self._trees, strict=True):
            sweep = len(self._state.addresses) - visit.swept
            patience = self._patience(setting)
            probes += sweep + tree.left
            time += sweep * (transfer_time(setting, _SHORT_BYTES) + patience)
            time += tree.left * (transfer_time(setting, _SELECTION_BYTES) + patience)
        return Estimate(probes, time, self._parts())

    def next(self) -> Probe | None:
        """Return the next probe."""
        if self._probe is None:
            for place in range(len(self._settings)):
                self._probe = self._next(place)
                if self._probe is not None:
                    break
        return self._probe

    def take(self, heard: Heard) -> Sequence[Found]:
        """Take what the probe brought; return the devices that are complete now."""
        probe = self.next()
        if probe is None or self._sent is None:
            raise ValueError("nothing was asked")
        place = self._settings.index(probe.setting)
        visit = self._state.visits[place]
        visit.closed += heard.closed
        visit.echoed |= heard.data.startswith(probe.data)
        self._probe = None
        if visit.swept < len(self._state.addresses):
            meter = self._primary(visit, probe, heard)
        else:
            meter = self._by_identity(place, heard)
        return [] if meter is None else [self._found(place, meter)]

    def found(self) -> Sequence[Found]:
        """Return every meter so far."""
        return [self._found(place, meter) for place, visit in enumerate(self._state.visits) for meter in visit.meters]

    def hints(self) -> Sequence[Hint]:
        """Return what else was noticed, setting by setting."""
        hints: list[Hint] = []
        for setting, visit, tree in zip(self._settings, self._state.visits, self._trees, strict=True):
            if visit.echoed:
                hints.append(Hint("echo", setting))
            if visit.shared:
                hints.append(Hint("mbus_address", setting, {"addresses": _listed(visit.shared)}))
            if visit.tree.unresolved:
                hints.append(Hint("mbus_unresolved", setting, {"masks": ", ".join(visit.tree.unresolved[:4])}))
            if tree.exhausted:
                hints.append(Hint("mbus_bound", setting, {"count": visit.tree.questions}))
            if visit.closed:
                hints.append(Hint("closed", setting, {"count": visit.closed}))
        if not any(visit.meters or visit.shared or visit.tree.garbled for visit in self._state.visits):
            patience = show_milliseconds(self._patience(self._settings[0]))
            if self.next() is None:
                hints.append(Hint("mbus_nobody", self._settings[0], {"patience": patience}))
        return hints

    def state(self) -> Mapping[str, Any]:
        """Return what must be kept."""
        return cast("Mapping[str, Any]", msgspec.to_builtins(self._state, str_keys=True))

    def _patience(self, setting: TransportSettings) -> int:
        if self._state.patience is not None:
            return self._state.patience
        if not isinstance(setting, SerialSettings):
            return CONVERTER_PATIENCE
        return _LONGEST_WAIT_BITS * SECOND // setting.baud + SECOND // 20 + _CONVERTER

    def _parts(self) -> tuple[str, ...]:
        parts = []
        for setting, tree in zip(self._settings, self._trees, strict=True):
            patience = show_milliseconds(self._patience(setting))
            parts.append(f"{_short(setting)}: {len(self._state.addresses)} × {patience} + {tree.left} × {patience}")
        return tuple(parts)

    def _next(self, place: int) -> Probe | None:
        visit, setting, tree = self._state.visits[place], self._settings[place], self._trees[place]
        if visit.swept < len(self._state.addresses):
            address = self._state.addresses[visit.swept]
            frame: Frame = request_data(address, frame_count=True) if self._acknowledged else reset(address)
            label = f"{_short(setting)} {address}"
        else:
            following = tree.next()
            if following is None:
                return None
            frame, label = following, f"{_short(setting)} {tree.mask[:8]}"
        self._sent = frame
        data = encode_frame(frame)
        # Behind an acknowledgement nothing can follow; a telegram is whole when it decodes.
        return Probe(setting, data, self._patience(setting), lambda heard: _is_whole(heard, data), label)

    def _primary(self, visit: _Visit, probe: Probe, heard: Heard) -> _Meter | None:
        """Take what came at a primary address; return the meter there once it has said who it is."""
        address = self._state.addresses[visit.swept]
        frames, garbage = frames_in(heard.data, probe.data)
        if not self._acknowledged:
            if frames and isinstance(frames[0], Ack) and not garbage:
                self._acknowledged = True
                return None
            visit.swept += 1
            if garbage:
                visit.shared.append(address)
            return None
        self._acknowledged = False
        visit.swept += 1
        answers = [frame for frame in frames if isinstance(frame, LongFrame)]
        if len(answers) != 1 or garbage:
            if frames or garbage:
                visit.shared.append(address)
                return None
            # It is there and says nothing: a meter all the same.
            meter = _Meter(address, heard.delay or 0)
        else:
            meter = _meter(address, heard.delay or 0, identity_of(answers[0]))
        visit.meters.append(meter)
        return meter

    def _by_identity(self, place: int, heard: Heard) -> _Meter | None:
        visit = self._state.visits[place]
        identity = self._trees[place].take(heard.data)
        if identity is None:
            return None
        for meter in visit.meters:
            if meter.identity == identity:
                meter.selected = True
                return None
        meter = _meter(None, heard.delay or 0, identity)
        meter.selected = True
        visit.meters.append(meter)
        return meter

    def _found(self, place: int, meter: _Meter) -> Found:
        identity = meter.identity
        address: str | int = meter.primary if meter.primary is not None else ""
        visit = self._state.visits[place]
        twins = Counter(each.number for each in visit.meters)
        if identity is not None and meter.primary is None:
            digits = identity.number
            address = digits if twins[digits] == 1 else digits + identity.encode()[4:].hex().upper()
        facts = (
            {}
            if identity is None
            else {
                "number": identity.number,
                "maker": identity.manufacturer,
                "version": str(identity.version),
                "medium": identity.medium_name,
            }
        )
        name = f"meter-{identity.number.lower()}" if identity else f"meter-{address}"
        device: dict[str, str | int] = {"id": name, "address": address}
        if identity is not None and meter.primary is not None:
            device["identity"] = identity.number
        title = str(identity) if identity is not None else ""
        profile = profile_for(identity) if identity is not None else None
        fitting = (profile.name,) if profile is not None else ()
        return Found(self._settings[place], str(address), meter.delay, title, fitting, facts, device)


def _meter(primary: int | None, delay: int, identity: Identity | None) -> _Meter:
    if identity is None:
        return _Meter(primary, delay)
    return _Meter(primary, delay, identity.number, identity.manufacturer, identity.version, identity.medium)


def _is_whole(heard: bytes, sent: bytes) -> bool:
    frames, garbage = frames_in(heard, sent)
    return bool(frames) and not garbage


def _listed(addresses: Sequence[int]) -> str:
    return ", ".join(map(str, addresses[:8]))


def _settings(wanted: Wanted) -> list[TransportSettings]:
    transport = wanted.target.transport
    if not isinstance(transport, SerialSettings):
        if wanted.bauds or wanted.parities:
            raise ConfigError("--baud", f"{transport.place} is no serial line", "set speed and parity at the converter")
        return [transport]
    bauds = wanted.bauds or ((transport.baud,) if wanted.target.given else BAUDS)
    # M-Bus has one parity (EN 13757-2); another one is asked for by name.
    parities = wanted.parities or ((transport.parity,) if wanted.target.given else ("even",))
    return [
        SerialSettings(transport.path, baud, cast("Any", parity), rs485=transport.rs485)
        for baud in bauds
        for parity in parities
    ]


def _short(setting: TransportSettings) -> str:
    return setting.place.rpartition("/")[2].partition(" ")[2] if isinstance(setting, SerialSettings) else setting.place


def _start(wanted: Wanted, kept: Mapping[str, Any] | None) -> Search:
    try:
        return MbusSearch(wanted, kept)
    except msgspec.ValidationError as exc:
        raise ValueError(str(exc)) from exc


SCANNER: Final = Scanner("mbus", _start)
"""What the entry point names."""

"""From a text of the receiver to readings of the meter it is from; no I/O, the moment is an argument."""

import logging
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import msgspec

from linli_core.codecs.mbus import Identity, Interpreter
from linli_core.codecs.mbus.header import Status, encode_manufacturer
from linli_core.codecs.wmbus import (
    Formats,
    KeyFault,
    LinkFrame,
    Telegram,
    decode_frame,
    identify,
    protection,
    read_telegram,
)
from linli_core.errors import ChecksumError, DeviceError, ProtocolError
from linli_core.instant import Instant
from linli_core.model import Point, Reading
from linli_edge.ciphers import AES
from linli_edge.drivers.wmbus.lines import Heard, parse_text
from linli_edge.drivers.wmbus.memory import HeardMeter, Memory, MeterState
from linli_edge.drivers.wmbus.replay import SEAL
from linli_edge.drivers.wmbus.settings import DeviceSettings

_LOG: Final = logging.getLogger(__name__)

MOST_POINTS: Final = 1024
"""Points of one meter: a year of days, three times. Whoever sends more makes them up."""


class Meter:
    """A wanted meter: its settings, what its records mean, what came from it."""

    def __init__(self, settings: DeviceSettings, state: MeterState) -> None:
        self.settings = settings
        self.state = state
        self.interpreter = Interpreter(settings.device, utc_offset=settings.utc_offset)
        self.identity = Point(settings.device, "meter_identity")
        self.status = Point(settings.device, "meter_status")
        self.battery = Point(settings.device, "battery_low")
        self.signal = Point(settings.device, "signal_strength")
        self.faults: set[str] = set()
        self.unproved = False
        if settings.profile is not None:
            for point in settings.profile.points_of(settings.device):
                state.points.setdefault(point)


class Hearing:
    """Sorts telegrams by meter.

    Attributes:
        memory: What was heard.
        meters: The wanted ones, by device id.
    """

    def __init__(self, devices: Iterable[DeviceSettings], memory: Memory, field: str = "") -> None:
        self.memory = memory
        self.meters = {
            device.device: Meter(device, memory.meters.setdefault(device.device, MeterState())) for device in devices
        }
        self._field = field
        exact = [meter for meter in self.meters.values() if "F" not in meter.settings.meter.number.upper()]
        self._by_number: dict[str, list[Meter]] = {}
        for meter in exact:
            self._by_number.setdefault(meter.settings.meter.number.upper(), []).append(meter)
        self._patterns = [meter for meter in self.meters.values() if meter not in exact]

    def hear(self, text: str, now: Instant) -> None:
        """Take one line or message; whatever is wrong with it is counted, never raised."""
        try:
            heard = parse_text(text, self._field)
            if heard is None:
                return
            frame = decode_frame(heard.data, heard.checksums)
        except ProtocolError as exc:
            self.memory.totals[exc.kind] += 1
            return
        self._telegram(heard, frame, now)

    def _telegram(self, heard: Heard, frame: LinkFrame, now: Instant) -> None:
        identity = identify(frame)
        known = self.memory.note(identity, heard.rssi, now)
        known.protection = protection(frame)
        meter = self._wanted(identity)
        if known.count == 1 and meter is None:
            _LOG.debug("heard a meter that is not configured: %s", identity)
        key = meter.settings.key if meter else None
        try:
            formats = meter.state.formats if meter else Formats()
            proved = meter is not None and key is not None and not meter.settings.plain
            telegram = read_telegram(frame, AES, lambda _: key, formats, proved=proved)
            if telegram.identity != identity:  # it named itself behind what was encrypted
                meter = self._wanted(telegram.identity)
            if meter is not None:
                _check(meter, telegram, key)
        except (ProtocolError, DeviceError) as exc:
            self._fault(meter, known, exc)
            return
        known.layout, known.private = telegram.layout, telegram.private
        if self.memory.duplicates.is_duplicate(telegram, now):
            self.memory.totals["duplicate"] += 1
        elif meter is None:
            self.memory.totals["not_configured"] += 1
        elif _replayed(meter, telegram, now):
            # No fault of the meter, whose next telegram is as good as ever.
            self.memory.duplicates.withdraw(telegram)
            self.memory.totals["replayed"] += 1
            meter.state.counters.requests += 1
            meter.state.counters.foreign += 1
        else:
            self._readings(meter, telegram, heard.rssi, now)

    def _readings(self, meter: Meter, telegram: Telegram, rssi: float | None, now: Instant) -> None:
        state = meter.state
        state.counters.requests += 1
        state.counters.answers += 1
        state.heard_at, state.fault = now, None
        self.memory.totals["read"] += 1
        if telegram.unproved and not meter.settings.plain:
            self.memory.totals["unproved"] += 1
            if not meter.unproved:
                meter.unproved = True
                _LOG.warning(
                    "%s: %d bytes behind the encrypted part are in plain and are not taken, for the meter has a key; "
                    "if it sends so, write plain = true",
                    meter.settings.device,
                    telegram.unproved,
                )
        if meter.faults:
            meter.faults.clear()
            _LOG.warning("%s: its telegrams can be read again", meter.settings.device)
        application = telegram.application
        if meter.settings.meters is not None and application.identity is not None:
            # A radio converter says that it is one, not what its meter meters.
            identity = msgspec.structs.replace(application.identity, medium=meter.settings.meters)
            application = msgspec.structs.replace(application, identity=identity)
        readings = meter.interpreter.readings(application, now)
        readings.append(Reading(meter.identity, whole_number(telegram.identity), now))
        status = telegram.application.status
        if status is not None:
            readings.append(Reading(meter.status, f"{status:02X}", now))
            readings.append(Reading(meter.battery, bool(status & Status.POWER_LOW), now))
        if rssi is not None:
            readings.append(Reading(meter.signal, float(rssi), now))
        for reading in readings:
            if reading.point not in state.points and len(state.points) >= MOST_POINTS:
                self.memory.totals["too_many_points"] += 1
                continue
            state.fresh[reading.point] = reading
            state.points[reading.point] = None

    def _fault(self, meter: Meter | None, known: HeardMeter, error: ProtocolError | DeviceError) -> None:
        """Count a telegram that gives no readings; log the first of its kind from a wanted meter."""
        kind = error.kind
        self.memory.totals[kind] += 1
        if isinstance(error, KeyFault):
            known.key_errors += 1
        if meter is None:
            return
        counters = meter.state.counters
        counters.requests += 1
        if isinstance(error, ChecksumError):
            counters.checksum += 1
        elif isinstance(error, DeviceError):
            counters.answers += 1
            counters.refused += 1
        else:
            counters.malformed += 1
        if isinstance(error, ProtocolError):
            meter.state.fault = error
        if kind not in meter.faults:
            meter.faults.add(kind)
            _LOG.warning("%s: a telegram gives no readings (%s): %s", meter.settings.device, kind, error)

    def _wanted(self, identity: Identity) -> Meter | None:
        for meter in self._by_number.get(identity.number, []) + self._patterns:
            if meter.settings.meter.matches(identity):
                return meter
        return None


def _check(meter: Meter, telegram: Telegram, used: bytes | None) -> None:
    """Raise ``ProtocolError`` if a telegram is another make's, or is not to be believed."""
    profile = meter.settings.profile
    if profile is not None and not profile.fits(telegram.identity):
        problem = f"{telegram.identity} is no {profile.make} {profile.model}, as its profile says"
        raise ProtocolError(problem, kind="wrong_meter")
    if meter.settings.key is not None and not telegram.opened and not meter.settings.plain:
        raise KeyFault("the telegram is in plain, and the meter has a key")
    if telegram.opened and meter.settings.key != used:
        # Whoever knows one meter's key could speak for another: what it opens must be of the meter whose key it is.
        raise KeyFault("the telegram was opened by another meter's key")


def _replayed(meter: Meter, telegram: Telegram, now: Instant) -> bool:
    """Tell whether a telegram that the meter's key opened was sent before.

    The counter of security mode 7 only rises (OMS vol. 2); what tells in the other protections is in :mod:`replay`.
    Private layouts with a scheme of their own, without an access number, have nothing that does.
    """
    if not telegram.opened:
        return False
    state, layer, link = meter.state, telegram.authentication, telegram.link
    if layer is not None and layer.counter:
        number = int.from_bytes(layer.counter, "little")
        # By its number alone, which its keys are derived from: version and medium can be changed by anybody.
        meter_number = telegram.identity.number
        if number <= state.messages.get(meter_number, -1):
            return True
        state.messages[meter_number] = number
        return False
    if telegram.cipher and telegram.header is not None:
        return state.replays.is_replayed_cipher(telegram.cipher[:SEAL], telegram.header.access_number, now)
    if link is not None and link.encryption:
        digest = blake2b(link.session + telegram.plain, digest_size=SEAL).digest()
        return state.replays.is_replayed_session(digest, link.session)
    return False


def whole_number(identity: Identity) -> str:
    """Return the 16 digits by which the configuration names exactly this meter."""
    tail = encode_manufacturer(identity.manufacturer) + bytes((identity.version, identity.medium))
    return identity.number + tail.hex().upper()

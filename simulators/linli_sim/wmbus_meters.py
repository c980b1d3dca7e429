"""Radio meters of a house and what a receiver in its stairwell writes down. Pure: ``now`` is an argument.

The meters count as the wired ones do (:mod:`linli_sim.mbus_meters`); each is protected in its own way. The air adds
what a receiver meets: a repeater's copies, a telegram whose checksums are wrong, a neighbour's meter.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from linli_core.ciphers import Ciphers
from linli_core.codecs.mbus import Identity
from linli_core.codecs.mbus.encode import encode_dib, encode_number, encode_vib
from linli_core.codecs.mbus.vif import Measurand
from linli_core.codecs.wmbus.encode import (
    Meter,
    encode_cbc,
    encode_compact,
    encode_derived,
    encode_plain,
    encode_session,
)
from linli_core.codecs.wmbus.frame import Checksums, add_checksums
from linli_core.instant import DAY, Instant
from linli_sim.mbus_meters import Consumption

REPEATED: Final = 4
"""One telegram in so many comes again from a repeater."""

_INT32: Final = 0x4


class Protection(StrEnum):
    """How a simulated meter protects what it sends."""

    PLAIN = "plain"
    CBC = "mode 5"
    DERIVED = "mode 7"
    SESSION = "session"


@dataclass(slots=True)
class RadioMeter:
    """One meter that sends.

    Attributes:
        identity: The meter.
        protection: How it protects what it sends.
        key: Its key; unused in plain.
        volume: What it has counted, in m³.
        module: Who sends for it, if not it itself.
        sent: Telegrams so far.
    """

    identity: Identity
    protection: Protection
    key: bytes
    volume: Consumption
    module: Identity | None = None
    sent: int = 0

    def records(self, now: Instant) -> bytes:
        """Return the records of this moment: the register, and that of midnight."""
        midnight = now - now % DAY
        return b"".join(
            encode_dib(_INT32, storage=storage)
            + encode_vib(Measurand.VOLUME, "m3", -3)
            + encode_number(_INT32, round(self.volume.total(moment) * 1000))
            for storage, moment in ((0, now), (1, max(midnight, self.volume.since)))
        )

    def telegram(self, now: Instant, ciphers: Ciphers) -> bytes:
        """Return the next telegram, without checksums."""
        meter = Meter(self.identity, self.sent % 256, module=self.module)
        number = self.sent
        self.sent += 1
        records = self.records(now)
        match self.protection:
            case Protection.PLAIN:
                return encode_plain(meter, records)
            case Protection.CBC:
                return encode_cbc(meter, records, ciphers, self.key)
            case Protection.DERIVED:
                return encode_derived(meter, records, ciphers, self.key, number)
            case Protection.SESSION:
                # Every fourth frame is a full one, as such meters do: the others have no headers.
                content = encode_compact(records) if number % 4 else b"\x78" + records
                return encode_session(meter, content, ciphers, self.key, number)


def make_radio_meters(count: int, seed: int, since: Instant) -> list[RadioMeter]:
    """Return meters with keys of their own; the same seed gives the same ones."""
    chance = random.Random(seed)  # noqa: S311 - a simulation, not a secret
    kinds = tuple(Protection)
    return [
        RadioMeter(
            Identity(f"{20_000_001 + number:08d}", "LNW", 1, 0x07),
            kinds[number % len(kinds)],
            chance.randbytes(16),
            Consumption(chance.uniform(0.005, 0.02), chance.uniform(10, 900), since, chance.uniform(0, 3)),
            Identity(f"{70_000_001 + number:08d}", "LNM", 1, 0x37) if number % 5 == 4 else None,
        )
        for number in range(count)
    ]


class Air:
    """What a receiver hears of some meters, as lines."""

    def __init__(self, meters: Sequence[RadioMeter], ciphers: Ciphers, seed: int = 1) -> None:
        self._meters = meters
        self._ciphers = ciphers
        self._stranger = make_radio_meters(1, seed + 1, 0)[0]
        self._stranger.identity = Identity("99999999", "XYZ", 9, 0x07)
        self._lines = 0

    def round(self, now: Instant) -> Iterator[str]:
        """Yield the lines of one round in which every meter sends once."""
        for meter in (*self._meters, self._stranger):
            data = meter.telegram(now, self._ciphers)
            yield self._line(data)
            if meter.sent % REPEATED == 0:
                yield self._line(data)
        self._lines += 1
        if self._lines % 2:
            yield self._spoilt(self._meters[0].telegram(now, self._ciphers))

    def _line(self, data: bytes) -> str:
        self._lines += 1
        match self._lines % 3:
            case 0:
                return f"T1;1;1;2026-01-01 00:00:00.000;97;148;00000000;0x{data.hex()}"
            case 1:
                return f"b{add_checksums(data, Checksums.A).hex().upper()}"
            case _:
                return f'{{"telegram": "{data.hex()}", "rssi": {-60 - self._lines % 30}}}'

    def _spoilt(self, data: bytes) -> str:
        """Return a line whose telegram was damaged on the air: a value that its checksums do not allow."""
        sent = bytearray(add_checksums(data, Checksums.A))
        sent[len(sent) // 2] ^= 0x10
        return f"b{sent.hex().upper()}"

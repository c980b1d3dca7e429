"""What a pack is: its bounds, its labels, itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from linli_core.instant import Instant
from linli_core.model import Quality, Reason

MAX_BYTES: Final = 1 << 20
"""Longest payload: as much as our brokers carry."""
MAX_RECORDS: Final = 10_000
MAX_TEXT: Final = 4_096
"""Longest text of one record, in characters."""
VERSIONS: Final = frozenset({10, 26})
"""The SenML versions understood: 10 (RFC 8428 §4.1), and 26, which is 10 with secondary units (RFC 9100 §4)."""
OUR_VERSION: Final = 26
RELATIVE_BELOW: Final = 2.0**28
"""A time below this is relative to now (RFC 8428 §4.5.3)."""

FARTHEST: Final = 4.0e12
"""Seconds from 1970 that still fit a column of 64-bit microseconds."""
MAX_SEQ: Final = 10**18 - 1
"""Highest message number: it fits 64 bits with room to count on."""

# RFC 8428 §6, table 4; our own labels stay text.
CBOR_LABELS: Final = {
    -1: "bver",
    -2: "bn",
    -3: "bt",
    -4: "bu",
    -5: "bv",
    -6: "bs",
    0: "n",
    1: "u",
    2: "v",
    3: "vs",
    4: "vb",
    5: "s",
    6: "t",
    7: "ut",
    8: "vd",
}
CBOR_NUMBERS: Final = {label: number for number, label in CBOR_LABELS.items()}
VALUES: Final = ("v", "vs", "vb", "vd")

Number = int | float | Decimal
Record = Mapping[str, object]
"""One record as it was sent: labels and values, not yet checked."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as it was sent.

    Attributes:
        epoch, seq: Its place in the gateway's log; ``None`` where it names none.
        records: Not yet checked: see :func:`resolve`.
    """

    epoch: str | None
    seq: int | None
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class ResolvedRecord:
    """A record in resolved form (RFC 8428 §4.6), its unit turned into the vocabulary's.

    Attributes:
        name: Base name and name: ``gateway/device/point``.
        value: Number, text, truth, or ``None`` where missing.
        time: Microseconds since 1970.
        device_time: The device's own stamp, where it was sent.
    """

    name: str
    value: Number | str | bool | None
    unit: str
    time: Instant
    quality: Quality = Quality.GOOD
    reason: Reason | None = None
    device_time: Instant | None = None


def shown(value: object) -> str:
    """Return a short text of a value for a refusal."""
    return json.dumps(value, default=str)[:80]

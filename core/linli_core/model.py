"""What a gateway reads and a platform stores: points, readings, and how far each can be trusted.

Words follow ``docs/glossary.md``. Missing is ``value=None`` with :attr:`Quality.BAD`: never 0, never the last value.
"""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Final

import msgspec

from linli_core.instant import Instant

Value = Decimal | float | str | bool | None
"""A reading's value (``int`` included); ``Decimal`` where a register's digits must survive exactly."""

ID_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""Ids of gateways, devices, links: lower case, digits and hyphens, 63 at most (a DNS label)."""


def is_id(text: str) -> bool:
    """Tell whether a text may name a gateway, a device or a link."""
    return ID_PATTERN.fullmatch(text) is not None


class Quality(IntEnum):
    """How far a reading can be trusted (OPC UA Part 8: Good, Uncertain, Bad)."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason(Enum):
    """Why a reading is not GOOD. The number is stored, the text (``reason.label``) is on the wire: neither changes."""

    NO_COMMUNICATION = 1, "no_communication"
    WAITING_FOR_INITIAL_DATA = 2, "waiting_for_initial_data"
    LAST_USABLE_VALUE = 3, "last_usable_value"
    DEVICE_FAILURE = 4, "device_failure"
    NOT_IMPLEMENTED = 5, "not_implemented"
    OUT_OF_RANGE = 6, "out_of_range"
    STALE = 7, "stale"
    CLOCK_DOUBT = 8, "clock_doubt"
    REGISTER_RESET = 9, "register_reset"
    CONFIGURATION = 10, "configuration"
    REFUSED_BY_DEVICE = 11, "refused_by_device"
    MALFORMED_ANSWER = 12, "malformed_answer"
    NOT_A_NUMBER = 13, "not_a_number"
    ZERO_DIP = 14, "zero_dip"
    UNIT_JUMP = 15, "unit_jump"
    IMPLAUSIBLE_RISE = 16, "implausible_rise"
    SAVING_POWER = 17, "saving_power"

    def __init__(self, code: int, label: str) -> None:
        self.code = code
        self.label = label


_REASON_BY_LABEL: Final = {reason.label: reason for reason in Reason}
_REASON_BY_CODE: Final = {reason.code: reason for reason in Reason}
_REASON_SPAN: Final = 64


def quality_code(quality: Quality, reason: Reason | None = None) -> int:
    """Return quality and reason as one byte for a column: ``quality * 64 + reason``; GOOD is 0."""
    return quality * _REASON_SPAN + (reason.code if reason else 0)


DOUBTED: Final = frozenset(
    quality_code(Quality.UNCERTAIN, reason)
    for reason in (Reason.REGISTER_RESET, Reason.ZERO_DIP, Reason.UNIT_JUMP, Reason.IMPLAUSIBLE_RISE)
)
"""Codes of a register's readings that say nothing of what was used: a step to them is no consumption."""


def quality_from_code(code: int) -> tuple[Quality, Reason | None]:
    """Undo :func:`quality_code`; a reason this version does not know comes back as ``None``."""
    return Quality(code // _REASON_SPAN), _REASON_BY_CODE.get(code % _REASON_SPAN)


def quality_label(quality: Quality, reason: Reason | None = None) -> str:
    """Return the text used on the wire and in the API: ``good``, ``bad``, ``bad/no_communication``."""
    name = quality.name.lower()
    return f"{name}/{reason.label}" if reason else name


def quality_from_label(label: str) -> tuple[Quality, Reason | None]:
    """Undo :func:`quality_label`; ``ValueError`` for an unknown quality, an unknown reason is dropped."""
    name, _, reason = label.partition("/")
    try:
        return Quality[name.upper()], _REASON_BY_LABEL.get(reason)
    except KeyError:
        raise ValueError(f"no quality is called {name!r}; known: good, uncertain, bad") from None


class Kind(StrEnum):
    """How a quantity behaves over time, and so how it may be aggregated."""

    GAUGE = "gauge"
    COUNTER = "counter"
    STATE = "state"


class Phase(StrEnum):
    """Electrical phase or pair of phases a value belongs to."""

    L1 = "l1"
    L2 = "l2"
    L3 = "l3"
    N = "n"
    L12 = "l12"
    L23 = "l23"
    L31 = "l31"


class Statistic(StrEnum):
    """What the meter itself made of the quantity before it was read (EN 13757-3 function field; demand registers)."""

    MAXIMUM = "max"
    MINIMUM = "min"
    DURING_ERROR = "err"
    AVERAGE = "avg"


@dataclass(frozen=True, slots=True)
class Point:
    """An addressable quantity of one device that yields readings.

    Attributes:
        device: Id of the device.
        quantity: Name in the vocabulary.
        phase: Electrical phase.
        channel: Numbered input or sub-unit of the device (OBIS group B, M-Bus sub-unit).
        tariff: Tariff register (OBIS group E), ``None`` for the total.
        storage: Storage number (billing date, history), ``None`` for the current value.
        statistic: Maximum, minimum… over the meter's own period; ``None`` for the plain value.
        occurrence: 2, 3… where one telegram holds several records alike in everything above; ``None`` for the first.
        name: ``device/quantity[.qualifier…]``, the SenML name below the gateway; made from the rest.
    """

    device: str
    quantity: str
    phase: Phase | None = None
    channel: int | None = None
    tariff: int | None = None
    storage: int | None = None
    statistic: Statistic | None = None
    occurrence: int | None = None
    name: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        parts = [f"{self.device}/{self.quantity}"]
        if self.phase is not None:
            parts.append(self.phase.value)
        for letter, number in (("c", self.channel), ("t", self.tariff), ("s", self.storage)):
            if number is not None:
                parts.append(f"{letter}{number}")
        if self.statistic is not None:
            parts.append(self.statistic.value)
        if self.occurrence is not None:
            parts.append(f"x{self.occurrence}")
        object.__setattr__(self, "name", ".".join(parts))

    @property
    def local_name(self) -> str:
        """The name within the device: ``energy_import.t1``."""
        return self.name[len(self.device) + 1 :]


_NAME: Final = re.compile(
    r"(?P<device>[a-z0-9][a-z0-9-]{0,62})/(?P<quantity>[a-z][a-z0-9_]{0,62})"
    r"(?:\.(?P<phase>l12|l23|l31|l1|l2|l3|n))?"
    r"(?:\.c(?P<channel>\d{1,9}))?(?:\.t(?P<tariff>\d{1,9}))?(?:\.s(?P<storage>\d{1,14}))?"
    r"(?:\.(?P<statistic>max|min|err|avg))?(?:\.x(?P<occurrence>\d{1,4}))?",
    re.ASCII,
)


def parse_point(name: str) -> Point:
    """Return the point that a name below a gateway (``meter-1/energy_import.t1``) means; ``ValueError`` if none."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no point name; expected device/quantity[.qualifier…]")
    part = match.groupdict()

    def number(key: str) -> int | None:
        return None if part[key] is None else int(part[key])

    return Point(
        device=part["device"],
        quantity=part["quantity"],
        phase=Phase(part["phase"]) if part["phase"] else None,
        channel=number("channel"),
        tariff=number("tariff"),
        storage=number("storage"),
        statistic=Statistic(part["statistic"]) if part["statistic"] else None,
        occurrence=number("occurrence"),
    )


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One value of one point at one instant.

    Attributes:
        point: What was read.
        value: In the vocabulary's unit of the quantity; ``None`` when missing (then ``quality`` is BAD).
        observed_at: When it was so, by the gateway's clock.
        quality: How far it can be trusted.
        reason: Why it is not GOOD.
        device_time: The device's own stamp, where it gives one.
    """

    point: Point
    value: Value
    observed_at: Instant
    quality: Quality = Quality.GOOD
    reason: Reason | None = None
    device_time: Instant | None = None


def missing(point: Point, observed_at: Instant, reason: Reason) -> Reading:
    """Return the honest reading of a point that could not be read."""
    return Reading(point, None, observed_at, Quality.BAD, reason)

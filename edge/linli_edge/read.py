"""``linli-edge read``: poll once and show what came, for the person at the meter."""

import asyncio
import difflib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from linli_core.errors import ConfigError, DeviceError, LinkError, LinkTimeout, LinliError, ProtocolError, Unheard
from linli_core.model import Quality, Reading, Reason, Value, missing, quality_label
from linli_core.vocabulary import vocabulary
from linli_edge.config.gateway import GatewayConfig
from linli_edge.driver import Driver, PlannedPoll
from linli_edge.link import LinkSettings
from linli_edge.listing import listing
from linli_edge.supervisor import DriverBug, confine
from linli_edge.timekeeping import wall_clock

Language = Literal["zh", "en"]

_HEAD: Final = {
    "en": ("device", "point", "title", "value", "unit", "quality", "took ms"),
    "zh": ("设备", "测点", "名称", "数值", "单位", "质量", "耗时 ms"),
}


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought.

    Attributes:
        planned: The poll.
        readings: Its readings; BAD ones where it failed and its points are known.
        took: Microseconds.
        error: What went wrong; ``None`` if nothing did.
    """

    planned: PlannedPoll
    readings: list[Reading]
    took: int
    error: LinliError | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """What reading one link once brought.

    Attributes:
        link: The link.
        polled: One for each poll.
        error: Why the line did not open; ``None`` if it did.
    """

    link: LinkSettings
    polled: tuple[Polled, ...]
    error: LinliError | None = None

    @property
    def is_bad(self) -> bool:
        """Whether anything could not be read."""
        return self.error is not None or any(
            poll.error is not None or any(reading.quality is Quality.BAD for reading in poll.readings)
            for poll in self.polled
        )


def run(config: GatewayConfig, device: str | None, language: Language) -> int:
    """Poll once, print what came, and return the exit status.

    Raises:
        ConfigError: No link has the device.
    """
    links = list(config.links)
    if device is not None:
        links = [link for link in links if link.spec.plan is None or device in _devices(link)]
        if not links:
            known = sorted(name for link in config.links for name in _devices(link))
            near = difflib.get_close_matches(device, known, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
            raise ConfigError("--device", f'no device is called "{device}"', hint)
    visits = asyncio.run(_visit_all(links, device))
    if not any(seen.polled or seen.error for seen in visits):
        raise ConfigError("--device", f'no device is called "{device}"', "linli-edge check CONFIG shows the links")
    print(show(visits, language))
    return int(any(seen.is_bad for seen in visits))


def _devices(link: LinkSettings) -> set[str]:
    return {planned.device for planned in link.spec.plan(link.config)} if link.spec.plan is not None else set()


async def _visit_all(links: Sequence[LinkSettings], device: str | None) -> list[Visit]:
    return [await visit(link, device) for link in links]


async def visit(
    link: LinkSettings, device: str | None = None, before: Callable[[PlannedPoll], None] | None = None
) -> Visit:
    """Open a link, carry out each of its polls once (those of one device if given), and close it.

    Args:
        link: The link.
        device: Only this device's polls.
        before: Called before each poll, for whoever shows progress.
    """
    polled: list[Polled] = []
    try:
        await confine(_visit(link, device, polled, before))
    except LinliError as exc:
        return Visit(link, tuple(polled), exc)
    return Visit(link, tuple(polled))


async def _visit(
    link: LinkSettings, device: str | None, polled: list[Polled], before: Callable[[PlannedPoll], None] | None
) -> None:
    async with link.spec.open(link.config, wall_clock) as driver:
        for planned in driver.plan:
            if device in (None, planned.device):
                if before is not None:
                    before(planned)
                # Not in one go: what was read before the line broke is shown.
                polled.append(await _poll(driver, planned))


async def _poll(driver: Driver, planned: PlannedPoll) -> Polled:
    started = time.monotonic_ns()
    error: LinliError | None = None
    readings: list[Reading] = []
    try:
        # Confined poll by poll: what a driver's bug does to one device, it need not do to the next.
        readings = await confine(driver.poll(planned))
    except LinliError as exc:
        error = exc
        readings = [missing(point, wall_clock(), _reason(exc)) for point in planned.points]
    return Polled(planned, readings, (time.monotonic_ns() - started) // 1000, error)


def _reason(error: LinliError) -> Reason:
    if isinstance(error, ProtocolError):
        return Reason.MALFORMED_ANSWER
    return Reason.REFUSED_BY_DEVICE if isinstance(error, DeviceError) else Reason.NO_COMMUNICATION


def show(visits: Sequence[Visit], language: Language) -> str:
    """Return what visits brought as a table, and below it what went wrong and what to do about it."""
    rows = [
        _row(reading, poll.took if number == 0 else None, language)
        for seen in visits
        for poll in seen.polled
        for number, reading in enumerate(poll.readings)
    ]
    parts = [listing(_HEAD[language], rows, right=(3, 6))] if rows else []
    trouble = [line for seen in visits for line in _trouble(seen)]
    if trouble:
        parts.append("\n".join(trouble))
    return "\n\n".join(parts)


def _row(reading: Reading, took: int | None, language: Language) -> tuple[str, ...]:
    point = reading.point
    quantity = vocabulary().get(point.quantity)
    return (
        point.device,
        point.local_name,
        quantity.titles[language] if quantity is not None else "",
        show_value(reading.value),
        quantity.unit or "" if quantity is not None else "",
        quality_label(reading.quality, reading.reason),
        f"{took / 1000:.0f}" if took is not None else "",
    )


def show_value(value: Value) -> str:
    """Return a value for people: no more digits than a meter has, no exponent for ordinary sizes, "-" if missing."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def _trouble(seen: Visit) -> list[str]:
    name = seen.link.id
    lines = [
        f"{poll.planned.device}: {poll.error}; {remedy(poll.error)}" for poll in seen.polled if poll.error is not None
    ]
    if seen.error is not None:
        lines.append(f"link {name}: {seen.error}; {remedy(seen.error)}")
    return lines


_BY_KIND: Final = {
    "key": "check the meter's key, or ask its supplier for one",
    "wrong_meter": "check the number; perhaps the meter was exchanged",
}
"""What to do about protocol errors that say more than that the bytes are wrong."""

_BY_TYPE: Final = (
    (Unheard, "check that it is in reach and its number is right (linli-edge wmbus listen); some send rarely"),
    (LinkTimeout, "check that the device has power, its address, the wiring (A/B not swapped), speed and parity"),
    (LinkError, "check host and port, or path and who else uses it (systemctl stop linli-edge), cable and power"),
    (ProtocolError, "check speed and parity, that no two devices share the address, and that it is the right protocol"),
    (DeviceError, "check the device's profile or register map against its manual"),
    (DriverBug, "this is a fault of the driver: report it with this text"),
)


def remedy(error: LinliError) -> str:
    """Return what to do about an error, for the person at the meter."""
    if isinstance(error, ProtocolError) and error.kind in _BY_KIND:
        return _BY_KIND[error.kind]
    return next((text for kind, text in _BY_TYPE if isinstance(error, kind)), "see docs/facility-staff.md")

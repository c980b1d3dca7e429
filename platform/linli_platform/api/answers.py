"""From the platform's rows to the API's answers."""

from collections.abc import Mapping

import msgspec

from linli_core.alarm import Hiding
from linli_core.instant import SECOND, Instant, to_rfc3339
from linli_core.model import quality_from_code, quality_label
from linli_core.wire.messages import Status
from linli_platform.alarms import AlarmRow, ChangeRow
from linli_platform.api import models
from linli_platform.api.quantities import facts
from linli_platform.api.times import LATEST
from linli_platform.registry import Device, Gateway, Loss, Refusal
from linli_platform.store import LatestRow, Row, SeriesInfo


def moment(instant: Instant | None) -> str | None:
    """Return RFC 3339, or nothing for nothing."""
    return None if instant is None else to_rfc3339(instant)


def titles(text: Mapping[str, str]) -> models.Titles:
    """Return a text in both languages."""
    return models.Titles(zh=text.get("zh", ""), en=text.get("en", ""))


def quality(code: int) -> str:
    """Return a quality as the API writes it: ``good``, ``bad/no_communication``."""
    return quality_label(*quality_from_code(code))


def latest(row: LatestRow, now: Instant) -> models.Latest:
    """Return a newest reading."""
    return models.Latest(
        time=to_rfc3339(row.time),
        value=row.value,
        text=row.text,
        quality=quality(row.quality),
        received_at=moment(row.received_at),
        device_time=moment(row.device_time),
        age_s=round((now - row.time) / SECOND, 3),
    )


def point(series: SeriesInfo, newest: LatestRow | None, now: Instant) -> models.Point:
    """Return a point with its newest reading."""
    known = facts(series.quantity)
    return models.Point(
        series=series.id,
        point=f"{series.gateway}/{series.name}",
        gateway=series.gateway,
        device=series.device,
        name=series.name,
        quantity=series.quantity,
        unit=known.unit,
        kind=known.kind.value,
        title=models.Titles(zh=known.zh, en=known.en),
        latest=None if newest is None else latest(newest, now),
    )


def series_row(row: Row) -> models.SeriesRow:
    """Return one reading or one step."""
    return models.SeriesRow(
        time=to_rfc3339(row.time),
        value=row.value,
        text=row.text,
        quality=quality(row.quality),
        count=row.count,
        bad=row.bad,
        device_time=moment(row.device_time),
    )


def status(message: Status, at: Instant | None) -> models.GatewayStatus:
    """Return a gateway's last status."""
    return models.GatewayStatus(
        state=message.state,
        at=moment(at),
        version=message.version,
        boot_id=message.boot_id,
        epoch=message.epoch,
        first_seq=message.first_seq,
        next_seq=message.next_seq,
        backlog=message.backlog,
        clock=models.Clock(state=message.clock.state, source=message.clock.source, since=moment(message.clock.since)),
        evicted=[models.Evicted(first=item.first, last=item.last, cause=item.cause) for item in message.evicted],
        counters=message.counters,
        links=[
            models.Link(
                id=link.id,
                driver=link.driver,
                state=link.state,
                devices=link.devices,
                silent=list(link.silent),
                fruitless=list(link.fruitless),
                left_out=list(link.left_out),
                use=link.use,
                stretched=link.stretched,
                error=link.error,
                units=[models.Unit.model_validate(msgspec.structs.asdict(unit)) for unit in link.units],
                unlisted=link.unlisted,
            )
            for link in message.links
        ],
    )


def gateway(row: Gateway, devices: int, refused: int) -> models.Gateway:
    """Return a gateway."""
    return models.Gateway(
        id=row.id,
        state=row.state.value,
        titles=titles(row.titles),
        area=row.area,
        first_seen=moment(row.first_seen),
        last_seen=moment(row.last_seen),
        status=None if row.status is None else status(row.status, row.status_at),
        devices=devices,
        refused=refused,
    )


def device(row: Device, points: int) -> models.Device:
    """Return a device."""
    return models.Device(
        gateway=row.gateway,
        id=row.id,
        state=row.state.value,
        kind=row.kind,
        titles=titles(row.titles),
        area=row.area,
        first_seen=moment(row.first_seen),
        points=points,
    )


def refusal(row: Refusal) -> models.Refusal:
    """Return a count of refusals."""
    return models.Refusal(
        gateway=row.gateway,
        reason=row.reason.value,
        count=row.count,
        first_at=to_rfc3339(row.first_at),
        last_at=to_rfc3339(row.last_at),
        example=row.example,
    )


def loss(row: Loss) -> models.Loss:
    """Return an entry of the loss ledger."""
    return models.Loss(
        gateway=row.gateway,
        epoch=row.epoch,
        first=row.first,
        last=row.last,
        messages=row.last - row.first + 1,
        cause=row.cause,
        observed_from=moment(row.observed_from),
        observed_to=moment(row.observed_to),
        readings=row.readings,
        booked_at=to_rfc3339(row.booked_at),
        amended_at=moment(row.amended_at),
    )


def alarm(row: AlarmRow) -> models.Alarm:
    """Return an alarm."""
    return models.Alarm(
        id=row.id,
        rule=row.rule,
        subject=row.subject,
        gateway=row.gateway,
        device=row.device,
        point=row.point,
        category=row.category.value,
        priority=row.priority.value,
        title=titles(row.title),
        consequence=titles(row.consequence),
        response=titles(row.response),
        clause=row.clause,
        state=row.state.value,
        hidden=None if row.hiding is None else hiding(row.hiding, row.hiding.starts_at),
        raised_at=to_rfc3339(row.raised_at),
        learnt_at=to_rfc3339(row.learnt_at),
        raised_again_at=moment(row.raised_again_at),
        times_raised=row.times_raised,
        returned_at=moment(row.returned_at),
        acknowledged_at=moment(row.acknowledged_at),
        acknowledged_by=row.acknowledged_by,
        comment=row.comment,
        assigned_to=row.assigned_to,
        value=row.value,
        text=row.text,
        retrospective=row.retrospective,
    )


def hiding(found: Hiding, now: Instant) -> models.Hiding:
    """Return what is hidden."""
    return models.Hiding(
        id=found.id,
        kind=found.kind.value,
        active=found.is_active(now),
        rule=found.rule,
        subject=found.subject,
        reason=found.reason,
        actor=found.actor,
        starts_at=to_rfc3339(found.starts_at),
        until=to_rfc3339(found.until) if found.until < LATEST else None,
        ended_at=moment(found.ended_at),
        ended_by=found.ended_by,
    )


def change(row: ChangeRow) -> models.Change:
    """Return one transition."""
    return models.Change(
        event=row.event.value,
        before=row.before.value,
        after=row.after.value,
        at=to_rfc3339(row.at),
        learnt_at=to_rfc3339(row.learnt_at),
        value=row.value,
        text=row.text,
        actor=row.actor,
        comment=row.comment,
        retrospective=row.retrospective,
    )

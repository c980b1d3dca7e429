"""Alarms that others raise: what Grafana's contact points and Prometheus' Alertmanager post, understood as readings.

Both post one form: ``alerts`` with ``status``, ``labels``, ``annotations``, ``startsAt``, ``endsAt``, ``fingerprint``
(Alertmanager's documentation, "Configuration", ``webhook_config``; Grafana's, "Configure webhook notifications"). Each
alert becomes a device of its own below the writer's gateway, with one state ``outside_alarm``: true from ``startsAt``,
false from ``endsAt``. Rules raise alarms of it as of any other point, so that what comes twice, late or in another
order, a restart, acknowledgement, hiding, routes and the record are the engine's as they always are.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from linli_core.alarm import Priority
from linli_core.errors import RefusalReason, Refused
from linli_core.instant import Instant, from_rfc3339

QUANTITY: Final = "outside_alarm"
KIND: Final = "outside-alarm"
"""What kind of device it is, in the registry."""

PREFIX: Final = "outside"

MOST: Final = 2_000
"""Alerts of one request."""

_NAMED: Final = 120
_SHOWN: Final = 60
_PRINT: Final = re.compile(r"[0-9a-f]{8,32}", re.ASCII)
_NEVER: Final = "0001-01-01"
"""How Go writes that a time is not known."""

_PRIORITIES: Final = {
    "critical": Priority.HIGH,
    "high": Priority.HIGH,
    "error": Priority.HIGH,
    "page": Priority.HIGH,
    "p1": Priority.HIGH,
    "info": Priority.LOW,
    "low": Priority.LOW,
    "none": Priority.LOW,
}
"""Anything else, and nothing said, is medium."""


@dataclass(frozen=True, slots=True)
class OutsideAlarm:
    """An alarm that somebody else raised.

    Attributes:
        device: The device it is kept under: one for each set of labels, with its priority in its name.
        title: What it is about, as its sender says.
        starts_at: Since when it is so.
        ends_at: Since when it is so no more; ``None`` while it is.
    """

    device: str
    title: str
    starts_at: Instant
    ends_at: Instant | None

    def lines(self) -> str:
        """Return its readings as line protocol, times in microseconds."""
        name = f"{QUANTITY},point={self.device}/{QUANTITY} value="
        began, ended = f"{name}true {self.starts_at}\n", f"{name}false {self.ends_at}\n"
        if self.ends_at is None:
            return began
        # Both: the request that told of its beginning may never have come.
        return began + ended if self.starts_at < self.ends_at else ended


@dataclass(slots=True)
class Understood:
    """What a request comes to.

    Attributes:
        alarms: What can be taken.
        refused: What cannot, by its place among the alerts.
    """

    alarms: list[OutsideAlarm] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def understand(alerts: list[Any], now: Instant) -> Understood:
    """Return what alerts come to; one that cannot be taken is named, and the others are taken."""
    found = Understood()
    for number, alert in enumerate(alerts):
        try:
            found.alarms.append(_alarm(alert, f"alerts[{number}]", now))
        except Refused as refused:
            found.refused.append(refused)
    return found


def _alarm(alert: object, where: str, now: Instant) -> OutsideAlarm:
    if not isinstance(alert, dict):
        raise Refused(RefusalReason.MALFORMED, "no object", where=where)
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise Refused(RefusalReason.MALFORMED, f"{_shown(status)}; firing or resolved", where=f"{where}.status")
    labels = _texts(alert.get("labels"), f"{where}.labels")
    if not labels:
        raise Refused(
            RefusalReason.NO_VALUE, "none: they are what tells one alarm from another", where=f"{where}.labels"
        )
    # A clock ahead of ours must not keep an alarm waiting.
    latest = now
    ends_at = None
    if status == "resolved":
        latest = ends_at = min(_time(alert.get("endsAt"), f"{where}.endsAt", now), now)
    starts_at = min(_time(alert.get("startsAt"), f"{where}.startsAt", latest), latest)
    priority = _PRIORITIES.get(labels.get("severity", labels.get("priority", "")).lower(), Priority.MEDIUM)
    device = f"{PREFIX}-{priority}-{_print(alert.get('fingerprint'), labels)}"
    return OutsideAlarm(
        device, _title(labels, _texts(alert.get("annotations"), f"{where}.annotations"), device), starts_at, ends_at
    )


def _texts(found: object, where: str) -> dict[str, str]:
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Refused(RefusalReason.WRONG_TYPE, f"{_shown(found)}; an object of texts", where=where)
    return found


def _time(found: object, where: str, otherwise: Instant) -> Instant:
    if found is None or found == "" or (isinstance(found, str) and found.startswith(_NEVER)):
        return otherwise
    try:
        if isinstance(found, str):
            return from_rfc3339(found)
    except (ValueError, OverflowError):
        pass
    raise Refused(RefusalReason.TIME_OUT_OF_RANGE, f"{_shown(found)} is no time (RFC 3339)", where=where)


def _print(said: object, labels: Mapping[str, str]) -> str:
    """Return what tells one alarm from another: the sender's own mark, or one of its labels."""
    if isinstance(said, str) and _PRINT.fullmatch(said):
        return said
    whole = "\0".join(f"{key}\0{labels[key]}" for key in sorted(labels))
    return hashlib.sha256(whole.encode("utf-8", "replace")).hexdigest()[:16]


def _title(labels: Mapping[str, str], annotations: Mapping[str, str], device: str) -> str:
    said = annotations.get("summary") or annotations.get("description") or labels.get("instance", "")
    return _clean(": ".join(part for part in (labels.get("alertname", ""), said) if part)) or device


def _clean(words: str) -> str:
    """Return a stranger's words on one line: control characters reach no log, no mail and no terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in words).split())[:_NAMED].strip()


def _shown(found: object) -> str:
    return f"{found!r}"[:_SHOWN]

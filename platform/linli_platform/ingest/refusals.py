"""Counting what may not be taken: by gateway and reason, in metrics at once, in the registry now and then."""

import logging
from typing import Final

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import MINUTE, Instant
from linli_platform.metrics import Metrics
from linli_platform.registry import Refusal

_log = logging.getLogger(__name__)

_MAX_GATEWAYS: Final = 10_000
NOBODY: Final = ""
"""Stands for the gateway where a topic names none that may be known."""


class Refusals:
    """Refusals since the last :meth:`take`.

    Bounded: beyond ``_MAX_GATEWAYS`` senders the rest count under :data:`NOBODY`.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._counts: dict[tuple[str, RefusalReason], Refusal] = {}
        self._logged: dict[tuple[str, RefusalReason], Instant] = {}

    def count(self, gateway: str, refused: Refused, now: Instant, *, times: int = 1) -> None:
        """Count a refusal; the log hears of each (gateway, reason) once a minute at most."""
        reason = refused.reason
        self._metrics.refused.labels(reason=reason.value).inc(times)
        key = (gateway, reason)
        known = self._counts.get(key)
        if known is None:
            if len(self._counts) >= _MAX_GATEWAYS:
                key = (NOBODY, reason)
                known = self._counts.get(key)
            first = now if known is None else known.first_at
        else:
            first = known.first_at
        count = times if known is None else known.count + times
        self._counts[key] = Refusal(key[0], reason, count, first, now, str(refused))
        if now - self._logged.get(key, -MINUTE) >= MINUTE:
            if len(self._logged) >= _MAX_GATEWAYS:
                self._logged.clear()
            self._logged[key] = now
            _log.warning("refused from %s: %s: %s", key[0] or "an unknown topic", reason, refused)

    def take(self) -> list[Refusal]:
        """Return the counts since the last call."""
        taken = list(self._counts.values())
        self._counts = {}
        return taken

    def put_back(self, taken: list[Refusal]) -> None:
        """Take counts back that could not be written."""
        for refusal in taken:
            key = (refusal.gateway, refusal.reason)
            newer = self._counts.get(key)
            self._counts[key] = (
                refusal
                if newer is None
                else Refusal(
                    refusal.gateway,
                    refusal.reason,
                    refusal.count + newer.count,
                    refusal.first_at,
                    newer.last_at,
                    newer.example,
                )
            )

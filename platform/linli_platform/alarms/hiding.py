"""What is hidden from people now: shelved, out of service, or by design; kept in the database, held at hand."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from linli_core.alarm import CONDITION_HOLDS, Absence, Hiding, Hidings, Rule, Suppression, by_design
from linli_core.alarm.suppression import LONGEST, LONGEST_SHELF
from linli_core.errors import LinliError
from linli_core.instant import DAY, Instant
from linli_core.model import Reason
from linli_platform.alarms.last_words import LastWords
from linli_platform.alarms.records import AlarmRecords
from linli_platform.alarms.rows import AlarmRow
from linli_platform.ingest import Columns
from linli_platform.store import LatestRow

REMEMBERED: Final = 30 * DAY
"""How long what is over stays in the list of what was hidden."""


class HidingRefused(LinliError):
    """Nothing is hidden like that; the text says why."""


class HidingDesk:
    """Knows what hides what.

    Args:
        records: The alarms' tables.
        rules: In force, by id.
    """

    def __init__(self, records: AlarmRecords, rules: Mapping[str, Rule]) -> None:
        self._records = records
        self._rules = rules
        self._all: dict[int, Hiding] = {}
        self._hidings = Hidings(())
        self._silences: dict[str, tuple[str, Instant]] = {}
        self._last_words = LastWords()
        self._spoke = False
        self._turn: Instant | None = None

    async def load(self, now: Instant) -> None:
        """Read what is hidden, or is to be."""
        self._all = {hiding.id: hiding for hiding in await asyncio.to_thread(self._records.hidings, now)}
        self._renew(now)

    def _renew(self, now: Instant) -> None:
        self._all = {number: hiding for number, hiding in self._all.items() if hiding.end > now}
        self._hidings = Hidings(self._all.values())
        self._turn = self._hidings.next_turn(now)

    def note(self, row: AlarmRow) -> bool:
        """Take note of an alarm's state; tell whether that hides others, or shows them again."""
        rule = self._rules.get(row.rule)
        if rule is None or not isinstance(rule.condition, Absence) or row.point:
            return False
        known = self._silences.get(row.subject)
        if row.state in CONDITION_HOLDS:
            self._silences.setdefault(row.subject, (row.rule, row.raised_at))
        elif known is not None and known[0] == row.rule:
            del self._silences[row.subject]
        return known != self._silences.get(row.subject)

    def recall(self, rows: Iterable[LatestRow], now: Instant) -> None:
        """Take in the newest reading of each series, after a start."""
        self._last_words.recall(rows, now)

    def hear(self, columns: Columns, now: Instant) -> bool:
        """Take in what a commit brought; tell whether another device has said its last word."""
        turned = self._last_words.observe(columns, now)
        self._spoke |= turned
        return turned

    def of(self, rule: str, subject: str, now: Instant) -> Hiding | None:
        """Return what hides an alarm now."""
        if (found := self._hidings.of(rule, subject, now)) is not None:
            return found
        known = self._rules.get(rule)
        if known is None or not isinstance(known.condition, Absence):
            return None
        if (since := self._last_words.since(subject, now)) is not None:
            why = f"{Reason.SAVING_POWER.label}: {subject}"
            return Hiding(0, Suppression.SUPPRESSED_BY_DESIGN, rule, subject, why, "", since, 2**62)
        return by_design(rule, subject, self._silences)

    def seen(self, rows: Iterable[AlarmRow], now: Instant) -> list[AlarmRow]:
        """Return alarms with what hides them now."""
        return [replace(row, hiding=self.of(row.rule, row.subject, now)) for row in rows]

    def has_turned(self, now: Instant) -> bool:
        """Tell whether something began or ended since the last call."""
        spoke, self._spoke = self._last_words.forget(now) or self._spoke, False
        if self._turn is None or now < self._turn:
            return spoke
        self._renew(now)
        return True

    async def hide(self, wanted: Hiding, now: Instant) -> Hiding:
        """Hide something, in writing.

        Raises:
            HidingRefused: It has no reason, or no end that is near enough.
        """
        if not wanted.reason.strip():
            raise HidingRefused("a reason is missing: whoever finds it hidden must know why")
        longest = LONGEST_SHELF if wanted.kind is Suppression.SHELVED else LONGEST
        if not max(now, wanted.starts_at) < wanted.until <= wanted.starts_at + longest:
            raise HidingRefused(f"it must end after it begins and after now, by {longest // DAY} days at most")
        made = await asyncio.to_thread(self._records.hide, wanted)
        self._all[made.id] = made
        self._renew(now)
        return made

    async def end(self, number: int, now: Instant, actor: str) -> Hiding:
        """End what is hidden before its time, in writing.

        Raises:
            HidingRefused: There is no such thing, or it is over.
        """
        ended = await asyncio.to_thread(self._records.end_hiding, number, now, actor)
        if ended is None:
            raise HidingRefused(f"nothing is hidden under number {number}: it is over, or never was")
        self._all.pop(number, None)
        self._renew(now)
        return ended

    async def all(self, now: Instant, *, over: bool) -> list[Hiding]:
        """Return what is hidden, or is to be; with ``over`` also what was, as far as :data:`REMEMBERED`."""
        return await asyncio.to_thread(self._records.hidings, now - REMEMBERED if over else now)

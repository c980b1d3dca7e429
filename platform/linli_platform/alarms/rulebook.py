"""Rules as they are in force, what people changed of them, and every revision: in the database, never changed there.

The files say what a rule is; people change values of its parameters, everywhere or in an area and all below it. What
comes of both is a revision of the rule, and an alarm names the one it was raised by.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, sessionmaker

from linli_core.alarm import Rule, check_rules
from linli_core.alarm.adjusting import adjusted
from linli_core.alarm.rules import read_rule
from linli_core.errors import ConfigError, LinliError
from linli_core.instant import Instant
from linli_platform.alarms.bundled import units
from linli_platform.alarms.models import RuleRevisionTable, RuleValueTable

_log = logging.getLogger(__name__)

EVERYWHERE: Final = ""
"""The area of what holds wherever no area says otherwise."""

Place = tuple[str, str]
"""A rule in an area."""


class NoSuchRule(LinliError):
    """No rule in force is called so."""


class NoSuchRevision(LinliError):
    """There is no such revision."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What a rule became, when, and by whom.

    Attributes:
        id: Its number.
        rule, area: Of which rule, and where; empty for everywhere.
        source: The rule's table as JSON; empty where it was taken out.
        at: When.
        actor: Who did it; empty where a file was changed.
        parameter, before, after: What a person changed; ``None`` stands for the file's value.
        comment: Why.
    """

    id: int
    rule: str
    area: str
    source: str
    at: Instant
    actor: str
    parameter: str
    before: float | None
    after: float | None
    comment: str

    def read(self) -> Rule:
        """Return the rule as it was; raise :class:`ConfigError` where this version cannot read it."""
        where = f"revision {self.id}"
        if not self.source:
            raise ConfigError(where, f"rule {self.rule} was taken out then", "name another revision")
        rule = read_rule(json.loads(self.source), where)
        check_rules([rule], units())
        return rule


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that people give a parameter; ``None`` for what holds around there, or what the file says."""

    rule: str
    area: str
    parameter: str
    value: float | None


class RuleBook:
    """The rules in force; every call is one short transaction and blocks.

    Args:
        sessions: Of the registry's database.
        files: The rules as the files have them.

    Attributes:
        files: Each rule as its file has it.
        rules: Each rule as it is where no area says otherwise.
        local: Each rule as it is in an area that says otherwise.
        revisions: The newest revision of each, by rule and area.
        settings: What people changed.
    """

    def __init__(self, sessions: sessionmaker[Session], files: Iterable[Rule]) -> None:
        self._sessions = sessions
        self.files = {rule.id: rule for rule in files}
        self.rules = dict(self.files)
        self.local: dict[Place, Rule] = {}
        self.revisions: dict[Place, int] = {}
        self.settings: dict[Place, dict[str, float]] = {}

    def open(self, now: Instant) -> None:
        """Take up what people changed, and write down what the files changed since the last time."""
        with self._sessions.begin() as session:
            for row in session.scalars(select(RuleValueTable)):
                self.settings.setdefault((row.rule, row.area), {})[row.parameter] = row.value
            for name in self.files:
                self._resolve(name)
            newest = select(func.max(RuleRevisionTable.id)).group_by(RuleRevisionTable.rule, RuleRevisionTable.area)
            known = {
                (revised.rule, revised.area): revised
                for revised in session.scalars(select(RuleRevisionTable).where(RuleRevisionTable.id.in_(newest)))
            }
            self.revisions = {place: revised.id for place, revised in known.items()}
            in_force = self._in_force()
            for place, rule in in_force.items():
                if place not in known or known[place].source != rule.source:
                    self._write(session, place, rule.source, now)
            for place, revised in known.items():
                if revised.source and place not in in_force:
                    self._write(session, place, "", now)

    def at(self, rule: Rule, areas: Sequence[str]) -> Rule:
        """Return a rule as it is in an area; ``areas`` are that and those around it, the nearest first."""
        for area in areas:
            if (found := self.local.get((rule.id, area))) is not None:
                return found
        return rule

    def revision_at(self, rule: str, areas: Sequence[str]) -> int | None:
        """Return the number of the revision that is in force there."""
        for area in areas:
            if (rule, area) in self.local:
                return self.revisions.get((rule, area))
        return self.revisions.get((rule, EVERYWHERE))

    def change(self, settings: Sequence[Setting], now: Instant, *, actor: str, comment: str = "") -> list[Revision]:
        """Give parameters other values, all of them or, where one cannot be, none; return the new revisions.

        Raises:
            NoSuchRule: No rule in force is called so.
            ConfigError: It has no such parameter, the value is out of bounds, or with it the rule cannot be used.
        """
        kept = {place: dict(values) for place, values in self.settings.items()}
        revisions = dict(self.revisions)
        made: list[RuleRevisionTable] = []
        try:
            with self._sessions.begin() as session:
                for setting in settings:
                    made += self._change(session, setting, now, actor, comment)
                return [_revision(row) for row in made]
        except BaseException:
            self.settings, self.revisions = kept, revisions
            for name in self.files:
                self._resolve(name)
            raise

    def _change(
        self, session: Session, setting: Setting, now: Instant, actor: str, comment: str
    ) -> list[RuleRevisionTable]:
        name, place = setting.rule, (setting.rule, setting.area)
        if name not in self.files:
            raise NoSuchRule(f"no rule in force is called {name[:120]!r}")
        wanted = dict(self.settings.get(place, {}))
        before = wanted.pop(setting.parameter, None)
        if setting.value is not None:
            wanted[setting.parameter] = setting.value
        adjusted(self.files[name], {setting.parameter: self._value(setting)})  # it has such a parameter, and may be so
        if before == setting.value:
            return []
        old = self._of(name)
        self.settings.pop(place, None)
        if wanted:
            self.settings[place] = wanted
        self._resolve(name, strictly=True)
        new = self._of(name)
        identity = (RuleValueTable.rule == name, RuleValueTable.area == setting.area)
        session.execute(delete(RuleValueTable).where(*identity, RuleValueTable.parameter == setting.parameter))
        if setting.value is not None:
            session.add(RuleValueTable(rule=name, area=setting.area, parameter=setting.parameter, value=setting.value))
        told = {"actor": actor, "comment": comment, "parameter": setting.parameter}
        # What changes everywhere changes in the areas too that say nothing of it.
        return [
            self._write(
                session,
                each,
                new[each].source if each in new else "",
                now,
                before=before,
                after=setting.value,
                **told,
            )
            for each in sorted({place, *new})
            if each == place or old.get(each) != new[each]
        ]

    def _value(self, setting: Setting) -> float:
        if setting.value is not None:
            return setting.value
        return next((one.default for one in self.files[setting.rule].parameters if one.name == setting.parameter), 0.0)

    def _of(self, name: str) -> dict[Place, Rule]:
        return {place: rule for place, rule in self._in_force().items() if place[0] == name}

    def history(self, rule: str = "", limit: int = 1_000) -> list[Revision]:
        """Return revisions, newest first; of one rule if given."""
        query = select(RuleRevisionTable).order_by(RuleRevisionTable.id.desc()).limit(limit)
        if rule:
            query = query.where(RuleRevisionTable.rule == rule)
        with self._sessions() as session:
            return [_revision(row) for row in session.scalars(query)]

    def revision(self, number: int) -> Revision:
        """Return a revision; raise :class:`NoSuchRevision` where there is none."""
        with self._sessions() as session:
            row = session.get(RuleRevisionTable, number)
            if row is None:
                raise NoSuchRevision(f"there is no revision {number}")
            return _revision(row)

    def _in_force(self) -> dict[Place, Rule]:
        return {(name, EVERYWHERE): rule for name, rule in self.rules.items()} | self.local

    def _resolve(self, name: str, *, strictly: bool = False) -> None:
        """Work out anew what a rule is, everywhere and in each area.

        A value that the rule's file does not allow any more is left out, in the log.
        """
        everywhere = self._made(name, EVERYWHERE, {}, strictly=strictly)
        self.rules[name] = everywhere
        around = self.settings.get((name, EVERYWHERE), {})
        for key in [key for key in self.local if key[0] == name]:
            del self.local[key]
        for rule, area in list(self.settings):
            if rule == name and area != EVERYWHERE:
                self.local[name, area] = self._made(name, area, around, strictly=strictly)

    def _made(self, name: str, area: str, around: Mapping[str, float], *, strictly: bool) -> Rule:
        file, where = self.files[name], f" in {area}" if area else ""
        values = {}
        for parameter, value in {**around, **self.settings.get((name, area), {})}.items():
            try:
                adjusted(file, {parameter: value})
            except ConfigError as exc:  # by a newer file; whoever changes the rule now need not answer for it
                _log.warning("what was changed of it%s is left out: %s", where, exc)
            else:
                values[parameter] = value
        try:
            rule = adjusted(file, values)
            check_rules([rule], units())
        except ConfigError as exc:
            if strictly:
                raise
            _log.warning("what was changed of it%s is left out: %s", where, exc)
            return file
        return rule

    def _write(
        self,
        session: Session,
        place: Place,
        source: str,
        now: Instant,
        *,
        actor: str = "",
        parameter: str = "",
        before: float | None = None,
        after: float | None = None,
        comment: str = "",
    ) -> RuleRevisionTable:
        row = RuleRevisionTable(
            rule=place[0],
            area=place[1],
            source=source,
            at=now,
            actor=actor,
            parameter=parameter,
            before=before,
            after=after,
            comment=comment,
        )
        session.add(row)
        session.flush()
        self.revisions[place] = row.id
        return row


def _revision(row: RuleRevisionTable) -> Revision:
    return Revision(
        id=row.id,
        rule=row.rule,
        area=row.area,
        source=row.source,
        at=row.at,
        actor=row.actor,
        parameter=row.parameter,
        before=row.before,
        after=row.after,
        comment=row.comment,
    )

"""What a board's questions are said in: by the platform's ``/query``, or straight to a database under it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from linli_core.catalogue import Language, text
from linli_dashboards.ask import Ask, Question, Record, Shape, Window
from linli_dashboards.influxql import TITLED, InfluxQuery, Query, Scope, alias, statement

Heading = tuple[str, str, str, bool]
"""A column: its name in the answer, what people call it, its unit, whether only links need it."""


class Dialect(Protocol):
    """A way to say questions."""

    def query(
        self, letter: str, question: Question, lang: Language, source: DataSourceRef
    ) -> Builder[Dataquery] | None:
        """Return a question as a query, ``None`` where whom it goes to knows no answer."""
        ...

    def columns(self, question: Question, lang: Language) -> Iterator[Heading]:
        """Yield the columns of an answer that is a table."""
        ...


@dataclass(frozen=True, slots=True)
class InfluxQL:
    """InfluxQL, as the platform or an InfluxDB under it answers."""

    scope: Scope = Scope.PLATFORM

    def query(
        self, letter: str, question: Question, lang: Language, source: DataSourceRef
    ) -> Builder[Dataquery] | None:
        """Return a question as a query."""
        if self.scope is Scope.DATABASE and isinstance(question, Record):
            return None
        name = "" if question.shape is Shape.TABLE else alias(question.by, lang, self.scope)
        return Query(InfluxQuery(letter, statement(question, lang, self.scope), source, question.shape, name))

    def columns(self, question: Question, lang: Language) -> Iterator[Heading]:
        """Yield the columns of an answer: the time, tags, values."""
        timed = isinstance(question, Record) and (question.timed or question.window not in {None, Window.WHOLE})
        yield "Time", text("board.column.time", lang) if timed else "", "", not timed
        for tag in question.by:
            if tag in TITLED and self.scope is Scope.PLATFORM:
                yield tag, "", "", True
                yield f"{tag}_{lang}", text(f"board.tag.{tag}", lang), "", False
            else:
                yield tag, text(f"board.tag.{tag}", lang), "", False
        if isinstance(question, Ask):
            yield question.name, text(question.label or "board.column.value", lang), question.unit, False
            return
        for column in question.columns:
            name = column.key.replace("{lang}", lang)
            yield name, "" if column.hidden else text(column.label, lang), column.unit, column.hidden

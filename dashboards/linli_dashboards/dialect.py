"""What a board's questions are said in: by the platform's ``/query``, or straight to a database under it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from linli_core.catalogue import Language, text
from linli_dashboards.ask import Ask, Lived, Question, Record, Shape, Window
from linli_dashboards.influxql import KEPT, TITLED, InfluxQuery, Query, Scope, alias, statement
from linli_dashboards.links import PREFIX

Heading = tuple[str, str, str, bool]
"""A column: its name in the answer, what people call it, its unit, whether only links need it."""


class Dialect(Protocol):
    """A way to say questions."""

    @property
    def suffix(self) -> str:
        """What the ids of boards in it end in; empty for the platform."""
        ...

    @property
    def source(self) -> DataSourceRef:
        """Whom the questions go to."""
        ...

    @property
    def exchanged(self) -> str:
        """Key of the text that says what becomes of a meter that is exchanged; empty where it is counted rightly."""
        ...

    def answers(self, question: Question) -> bool:
        """Tell whether the one who is asked can know."""
        ...

    def query(self, letter: str, question: Question, lang: Language, source: DataSourceRef) -> Builder[Dataquery]:
        """Return a question as a query."""
        ...

    def columns(self, letter: str, question: Question, lang: Language) -> Iterator[Heading]:
        """Yield the columns of an answer that is a table; ``letter`` is the query's where there are several."""
        ...

    def devices(self) -> str:
        """Return what lists the devices there are, where no areas are known."""
        ...


def without_places(question: Question) -> bool:
    """Tell whether a question is one that a database can answer, which knows devices and points and no places."""
    return isinstance(question, Ask) and question.lived in {Lived.ANYWHERE, Lived.PARTS} and set(question.by) <= KEPT


@dataclass(frozen=True, slots=True)
class InfluxQL:
    """InfluxQL, as the platform or an InfluxDB under it answers."""

    scope: Scope = Scope.PLATFORM

    @property
    def suffix(self) -> str:
        """What the ids of boards in it end in."""
        return "" if self.scope is Scope.PLATFORM else "-influxdb"

    @property
    def source(self) -> DataSourceRef:
        """The data source of the platform, or of the database."""
        return DataSourceRef(type_val="influxdb", uid=f"{PREFIX}{self.suffix}")

    @property
    def exchanged(self) -> str:
        """Key of the text that says what becomes of a meter that is exchanged: the platform alone is told of it."""
        return "" if self.scope is Scope.PLATFORM else "board.exchanged.influxdb"

    def answers(self, question: Question) -> bool:
        """Tell whether the one who is asked can know."""
        return self.scope is Scope.PLATFORM or without_places(question)

    def query(self, letter: str, question: Question, lang: Language, source: DataSourceRef) -> Builder[Dataquery]:
        """Return a question as a query."""
        name = "" if question.shape is Shape.TABLE else alias(question.by, lang, self.scope)
        return Query(InfluxQuery(letter, statement(question, lang, self.scope), source, question.shape, name))

    def devices(self) -> str:
        """Return what lists the devices."""
        return 'SHOW TAG VALUES WITH KEY = "device"'

    def columns(self, _letter: str, question: Question, lang: Language) -> Iterator[Heading]:
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

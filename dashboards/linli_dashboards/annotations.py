"""What is marked on the curves: alarms and who took them in hand, work orders, outages, meters exchanged."""

from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.models.dashboard import AnnotationQuery, AnnotationTarget, DataSourceRef

from linli_core.catalogue import Language, text
from linli_dashboards.ask import Whom
from linli_dashboards.influxql import place
from linli_dashboards.palette import Shade


@dataclass(frozen=True, slots=True)
class Mark:
    """A kind of mark.

    Attributes:
        name: ``board.mark.<name>`` is its title.
        measurement, where: What is asked for.
        says: Column that the mark says; ``{lang}`` is the language.
        tags: Columns besides, in what people call them.
        shade: Its colour.
        shown: Whether it is on at first.
        may_be_empty: Key of the text that says why there may be none.
    """

    name: str
    measurement: str
    says: str
    tags: tuple[str, ...]
    shade: Shade
    where: tuple[str, ...] = ()
    shown: bool = True
    may_be_empty: str = ""

    def columns(self, lang: Language) -> list[str]:
        """Return the column that the mark says, and those besides."""
        return [name.replace("{lang}", lang) for name in (self.says, *self.tags)]


MARKS: Final = (
    Mark(
        "alarms",
        "alarm_change",
        "title_{lang}",
        ("priority_{lang}", "device_{lang}"),
        Shade.DANGER,
        ("\"event\" = 'raise'",),
    ),
    Mark(
        "handled",
        "alarm_change",
        "said_{lang}",
        ("priority_{lang}", "device_{lang}"),
        Shade.GOOD,
        ('"event" =~ /^(acknowledge|assign|comment|reset|shelve|unshelve)$/',),
        may_be_empty="board.empty.none_handled",
    ),
    Mark(
        "work_orders",
        "work_order",
        "title_{lang}",
        ("state", "device_{lang}"),
        Shade.NOTICE,
        shown=False,
        may_be_empty="board.empty.work_orders",
    ),
    Mark(
        "outages",
        "event",
        "said_{lang}",
        ("gateway_{lang}",),
        Shade.CAUTION,
        ('"type" =~ /^linli\\.(link\\.(down|up)|device\\.(silent|back))$/',),
        may_be_empty="board.empty.outages",
    ),
    Mark(
        "swaps",
        "event",
        "said_{lang}",
        ("device_{lang}",),
        Shade.QUIET,
        ("\"type\" = 'linli.device.swapped'",),
        may_be_empty="board.empty.swaps",
    ),
)


class Target(AnnotationTarget):
    """What a mark asks, as Grafana's InfluxDB source takes it; the schema knows only its own source's form."""

    def __init__(self, statement: str, columns: list[str]) -> None:
        super().__init__(limit=1000, match_any=False, tags=[], type_val="tags")
        self.statement = statement
        self.says, *self.columns = columns

    def to_json(self) -> dict[str, Any]:
        """Return it as a dashboard's JSON has it."""
        return super().to_json() | {
            "refId": "Anno",
            "query": self.statement,
            "rawQuery": True,
            "resultFormat": "table",
            "queryType": "tags",
            "fromAnnotations": True,
            "textColumn": self.says,
            "tagsColumn": ",".join(self.columns),
        }


def annotations(lang: Language, source: DataSourceRef, whom: Whom = Whom.PLACE) -> list[AnnotationQuery]:
    """Return all kinds of marks, of the place that a board's reader chooses."""
    return [
        AnnotationQuery(
            name=text(f"board.mark.{mark.name}", lang),
            datasource=source,
            enable=mark.shown,
            icon_color=mark.shade.value,
            target=Target(asked(mark, lang, whom), mark.columns(lang)),
        )
        for mark in MARKS
    ]


def asked(mark: Mark, lang: Language, whom: Whom) -> str:
    """Return the statement that asks for marks of a kind."""
    columns = ", ".join(f'"{name}"' for name in mark.columns(lang))
    where = " AND ".join(["$timeFilter", *place(whom), *mark.where])
    return f'SELECT {columns} FROM "{mark.measurement}" WHERE {where}'  # noqa: S608 - made of our own names

"""A board: its panels in their places, what the reader may choose, what is marked on its curves, where it leads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from grafana_foundation_sdk.models.dashboard import (
    AnnotationContainer,
    Dashboard,
    DashboardCursorSync,
    DashboardDashboardTemplating,
    DashboardDashboardTime,
    DashboardLink,
    DashboardLinkType,
    GridPos,
    RowPanel,
)
from grafana_foundation_sdk.models.dashboard import (
    Panel as PanelModel,
)

from linli_core.catalogue import Language, text
from linli_dashboards.annotations import annotations
from linli_dashboards.ask import Whom
from linli_dashboards.dialect import Dialect, InfluxQL
from linli_dashboards.grid import COLUMNS, placed
from linli_dashboards.influxql import PLACES
from linli_dashboards.links import PREFIX, uid
from linli_dashboards.panel import Maker, Panel, Row
from linli_dashboards.variables import Number, console_at, device, number, period, place

CONSOLE: Final = "http://127.0.0.1:8080"
"""Where the console is, unless the boards are made for another place."""

_ROW_HEIGHT: Final = 1
_IDS: Final = 99_999
"""Of as many ids one is a panel's: Grafana counts on from the largest where somebody adds one."""


@dataclass(frozen=True, slots=True)
class Board:
    """One board.

    Attributes:
        name: Its uid is made of it; title and description are ``board.<name>.title`` and ``…hint``.
        parts: Panels, and headings over them.
        shown: How much time is shown at first (``24h``, ``7d``).
        today: Show the day so far instead.
        places: What the reader may choose, from the largest.
        single: It shows one device.
        numbers: What else.
        refresh: How often it asks again.
    """

    name: str
    parts: tuple[Panel | Row, ...]
    shown: str = "24h"
    today: bool = False
    places: tuple[str, ...] = tuple(PLACES)
    single: bool = False
    numbers: tuple[Number, ...] = ()
    refresh: str = "1m"

    @property
    def panels(self) -> list[Panel]:
        """Its panels, in order."""
        return [part for part in self.parts if isinstance(part, Panel)]

    @property
    def numbered(self) -> list[tuple[int, Panel | Row]]:
        """Its parts with their ids, in order.

        An id is made of the part's key: whoever keeps the address of a panel finds the same one when another has come
        before it.
        """
        taken: dict[int, Panel | Row] = {}
        for part in self.parts:
            one = crc32(part.key.encode()) % _IDS + 1
            while one in taken:
                one = one % _IDS + 1
            taken[one] = part
        return list(taken.items())

    def made(
        self,
        lang: Language,
        dialect: Dialect | None = None,
        console: str = CONSOLE,
    ) -> Dashboard:
        """Return it as Grafana has it."""
        whom = Whom.PLACE if len(self.places) > 1 else Whom.AREA
        dialect = dialect or InfluxQL()
        source, suffix = dialect.source, dialect.suffix
        maker = Maker(lang, dialect, source, self.single)
        return Dashboard(
            uid=uid(self.name, lang, suffix),
            title=text(f"board.{self.name}.title", lang),
            description=text(f"board.{self.name}.hint", lang),
            tags=[PREFIX, f"{PREFIX}-{lang}{suffix}"],
            graph_tooltip=DashboardCursorSync.CROSSHAIR,
            time=DashboardDashboardTime(from_val="now/d" if self.today else f"now-{self.shown}", to="now"),
            # Grafana's own setting, for whoever reads: "browser", the schema's default, would go over it.
            timezone="",
            refresh=self.refresh,
            week_start="monday",
            panels=list(self._placed(maker)),
            templating=DashboardDashboardTemplating(
                list_val=[
                    *(
                        place(name, lang, source, one=self.single and name == "device")
                        for name in (() if suffix else self.places)
                    ),
                    *([device(dialect.devices(), lang, source, one=self.single)] if suffix else []),
                    period(lang),
                    *(number(each, lang) for each in self.numbers),
                    *([] if suffix else [console_at(console)]),
                ]
            ),
            annotations=AnnotationContainer(list_val=[] if suffix else annotations(lang, source, whom)),
            links=[_boards(lang, suffix), *([] if suffix else [_console(lang)])],
        )

    def _placed(self, maker: Maker) -> Iterator[PanelModel | RowPanel]:
        sizes = [(COLUMNS, _ROW_HEIGHT) if isinstance(it, Row) else (it.width, it.height) for it in self.parts]
        for (panel_id, part), (left, top) in zip(self.numbered, placed(sizes), strict=True):
            if isinstance(part, Row):
                where = GridPos(h=_ROW_HEIGHT, w=COLUMNS, x=left, y=top)
                yield RowPanel(title=text(part.key, maker.lang), id_val=panel_id, grid_pos=where)
            else:
                yield maker.make(part, panel_id, left, top)


def _boards(lang: Language, suffix: str) -> DashboardLink:
    return DashboardLink(
        title=text("board.link.boards", lang),
        type_val=DashboardLinkType.DASHBOARDS,
        icon="dashboard",
        tags=[f"{PREFIX}-{lang}{suffix}"],
        as_dropdown=True,
        include_vars=True,
        keep_time=True,
    )


def _console(lang: Language) -> DashboardLink:
    return DashboardLink(
        title=text("board.link.console", lang),
        type_val=DashboardLinkType.LINK,
        icon="external link",
        url=f"${{console}}/?lang={lang}",
        target_blank=True,
    )

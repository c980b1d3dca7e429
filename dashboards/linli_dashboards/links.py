"""Where a click leads: to the next smaller place, to a board, to the console."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from grafana_foundation_sdk.builders.dashboard import DashboardLink

from linli_core.catalogue import Language, text

PREFIX: Final = "linli"


def uid(name: str, lang: Language, suffix: str = "") -> str:
    """Return a board's stable id; ``suffix`` tells boards for a database from those for the platform."""
    return f"{PREFIX}-{name}-{lang}{suffix}"


class Goal(StrEnum):
    """What a link leads to."""

    AREA = "area"
    BUILDING = "building"
    DWELLING = "dwelling"
    DEVICE = "device"
    POINT = "point"
    ALARM = "alarm"
    GATEWAY = "gateway"


_SMALLER: Final = {
    Goal.AREA: ("community", ("community",)),
    Goal.BUILDING: ("building", ("building",)),
    Goal.DWELLING: ("dwelling", ("dwelling",)),
    Goal.DEVICE: ("device", ("device",)),
}
_CONSOLE: Final = {
    Goal.POINT: ("/devices/{gateway}/{device}", ("gateway", "device")),
    Goal.ALARM: ("/alarms/{alarm}", ("alarm",)),
    Goal.GATEWAY: ("/gateways/{gateway}", ("gateway",)),
}
_ORDER: Final = ("area", "building", "dwelling", "device")


@dataclass(frozen=True, slots=True)
class Drill:
    """A link of a value.

    Attributes:
        goal: What it leads to.
        board: The board on which the smaller place is shown; unused where the console shows it.
        column: In a table: the column that bears the link; every one if empty.
    """

    goal: Goal
    board: str = ""
    column: str = ""

    def link(self, lang: Language, *, columns: bool, suffix: str = "") -> DashboardLink:
        """Return it; ``columns`` says that the value stands in a table, ``suffix`` is that of the boards' ids."""
        title = text(f"board.link.{self.goal.value}", lang)

        def part(tag: str) -> str:
            return f"${{__data.fields.{tag}}}" if columns else f"${{__field.labels.{tag}}}"

        if self.goal in _CONSOLE:
            path, tags = _CONSOLE[self.goal]
            url = "${console}" + path.format(**{tag: part(tag) for tag in tags}) + f"?lang={lang}"
            return DashboardLink(title).url(url).target_blank(True)
        tag, _ = _SMALLER[self.goal]
        level = _ORDER.index(self.goal.value)
        places = () if suffix else _ORDER[:level]
        kept = "".join(f"${{{name}:queryparam}}&" for name in (*places, "period"))
        url = f"/d/{uid(self.board, lang, suffix)}?{kept}var-{self.goal.value}={part(tag)}&${{__url_time_range}}"
        return DashboardLink(title).url(url)

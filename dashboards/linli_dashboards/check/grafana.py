"""What Grafana puts into a query before it asks: the time shown, the width of a window, what the reader chose."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from linli_dashboards.variables import AUTO, AUTO_COUNT

_PLACE: Final = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")
_ESCAPED: Final = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_WINDOWS: Final = (1, 5, 10, 30, 60, 300, 900, 3600, 2 * 3600, 6 * 3600, 12 * 3600, 86400)
POINTS: Final = 800
"""As wide as half a screen."""

_UNITS: Final = {"m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Shown:
    """The time shown: milliseconds since 1970."""

    start: int
    end: int

    @classmethod
    def until(cls, now: int, length: str) -> "Shown":
        """Return the time of a length (``24h``, ``7d``) that ends now (s)."""
        return cls((now - int(length[:-1]) * _UNITS[length[-1]]) * 1000, now * 1000)

    def interval(self, points: int = POINTS) -> str:
        """Return the width of windows of which there are at most so many: as many as a panel is wide."""
        wanted = (self.end - self.start) / 1000 / points
        return f"{next((each for each in _WINDOWS if each >= wanted), _WINDOWS[-1])}s"


class NoSuchVariable(LookupError):
    """A query names a variable that its board does not have: Grafana would leave the name standing."""


def filled(query: str, shown: Shown, variables: Mapping[str, str | list[str]], points: int = POINTS) -> str:
    """Return a query as Grafana sends it; ``points`` is how many its panel wants at most."""
    builtin = {
        "timeFilter": f"time >= {shown.start}ms and time <= {shown.end}ms",
        "__interval": shown.interval(points),
        "__from": str(shown.start),
        "__to": str(shown.end),
        "__range": f"{(shown.end - shown.start) // 1000}s",
    }

    def put(match: re.Match[str]) -> str:
        name, form = match[1] or match[3], match[2] or ""
        if name in builtin:
            return builtin[name]
        if name not in variables:
            raise NoSuchVariable(name)
        if variables[name] == f"{AUTO}{name}":
            return shown.interval(AUTO_COUNT)
        return _formed(variables[name], form)

    return _PLACE.sub(put, query)


def presets(dashboard: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Return what each variable of a board stands for when it is opened: all, or what it was set to.

    Where one has to be chosen that is all too: what is asked of it is asked of every one that can be chosen.
    """
    found: dict[str, str | list[str]] = {}
    for variable in dashboard["templating"]["list"]:
        value = variable.get("current", {}).get("value", variable.get("query", ""))
        if variable["type"] == "query" and "current" not in variable:
            value = ["$__all"]
        found[variable["name"]] = variable["allValue"] if value == ["$__all"] else value
    return found


def _formed(value: str | list[str], form: str) -> str:
    # A variable's own value for all is put in as it stands, as Grafana does.
    if isinstance(value, str):
        return value
    if form == "regex":
        escaped = [_ESCAPED.sub(r"\\\g<0>", each) for each in value]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
    return ",".join(value)

"""The platform's ``/query``, asked as Grafana asks it."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final

from linli_core.errors import LinliError

_PATIENCE_S: Final = 60


class PlatformAway(LinliError):
    """The platform gives no answer, or refuses to."""


class Refused(LinliError):
    """The platform understood the query and says that it is wrong."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One series of an answer.

    Attributes:
        name: Of the measurement.
        tags: By which it was grouped.
        columns: Names, ``time`` first.
        rows: Values by column.
    """

    name: str
    tags: dict[str, str]
    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that is asked.

    Attributes:
        name: Of the store behind it, for people.
        url: Where it is.
        token: Of the caller; empty where none is needed.
    """

    name: str
    url: str
    token: str = field(default="", repr=False)

    def ask(self, query: str) -> list[Answer]:
        """Return the series of an answer.

        Raises:
            Refused: The query is wrong.
            PlatformAway: There is no answer.
        """
        body = urllib.parse.urlencode({"db": "linli", "epoch": "ms", "q": query}).encode()
        request = urllib.request.Request(f"{self.url.rstrip('/')}/query", body, self._headers())  # noqa: S310 - checked by the command
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310
                found = json.load(answer)
        except urllib.error.HTTPError as exc:
            said = exc.read(2000).decode(errors="replace")
            if exc.code == 400:
                raise Refused(said) from exc
            raise PlatformAway(f"{self.url}: {exc.code}: {said}") from exc
        except (OSError, ValueError) as exc:
            raise PlatformAway(f"{self.url}: {exc}") from exc
        (result,) = found["results"]
        if "error" in result:
            raise Refused(result["error"])
        return [
            Answer(one.get("name", ""), one.get("tags") or {}, one["columns"], one["values"])
            for one in result.get("series", [])
        ]

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.token}"} if self.token else {}

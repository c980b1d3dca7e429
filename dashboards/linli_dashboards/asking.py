"""The platform, asked over HTTP as anybody asks it."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import urlencode

import msgspec

from linli_core.errors import ConfigError

T = TypeVar("T")

PATIENCE_S: Final = 120.0
"""A month of many meters is reckoned in seconds."""
LARGEST: Final = 256 * 1024 * 1024
_REFUSALS: Final = frozenset({401, 403})
_WRONG: Final = 400
_LESS: Final = "ask for less at a time: a smaller area, a shorter time"


class PlatformAway(ConfigError):
    """Nobody answers there, or the platform cannot answer now."""


class PlatformRefused(ConfigError):
    """The token is not the platform's."""


class PlatformAnswer(ConfigError):
    """An answer that is not of the form that was asked for, or that the platform gives to a wrong question."""


class Refused(PlatformAnswer):
    """What was asked is understood and wrong, or too much."""


Value: TypeAlias = float | str | bool | None


class Answer(msgspec.Struct, frozen=True):
    """One series of an answer.

    Attributes:
        columns: Names, ``time`` first; times are in milliseconds.
        name: Of the measurement.
        tags: By which it was grouped.
        values: Rows.
    """

    columns: list[str]
    name: str = ""
    tags: dict[str, str] = {}
    values: list[list[Any]] = []


class _Result(msgspec.Struct):
    series: list[Answer] = []
    error: str = ""


class _Results(msgspec.Struct):
    results: list[_Result] = []
    error: str = ""


class _Problem(msgspec.Struct):
    title: str = ""
    found: str = ""
    remedy: str = ""


Rows: TypeAlias = list[tuple[dict[str, str], list[dict[str, Value]]]]
"""For each series its tags, and its rows by column; ``time`` in milliseconds."""


class Platform:
    """A platform, or an InfluxDB where ``/query`` alone is asked.

    Args:
        url: Where it is, of http or https.
        token: Of the caller; empty where none is needed.
        name: Of the store behind it, for people.
    """

    def __init__(self, url: str, token: str = "", name: str = "") -> None:
        self.url = url.rstrip("/")
        self.name = name
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, kind: type[T], **parameters: object) -> T:
        """Return what ``/api/v1/…`` answers.

        Raises:
            ConfigError: One of this module's.
        """
        given = {key.rstrip("_"): str(value) for key, value in parameters.items() if value not in ("", None)}
        query = f"?{urlencode(given)}" if given else ""
        return self._formed(path, kind, self._ask(f"/api/v1/{path}{query}", None))

    def query(self, statement: str) -> Rows:
        """Return what ``/query`` answers to one statement, by columns. Raises as :meth:`ask` does."""
        return [(series.tags, list(_rows(series))) for series in self.ask(statement)]

    def ask(self, statement: str) -> list[Answer]:
        """Return the series that ``/query`` answers with to one statement.

        Raises:
            Refused: The statement is wrong, or asks for too much.
            ConfigError: Another of this module's.
        """
        form = urlencode({"q": statement, "db": "linli", "epoch": "ms"}).encode()
        results = self._formed("query", _Results, self._ask("/query", form))
        error = results.error or next((result.error for result in results.results if result.error), "")
        if error:
            raise Refused(f"{self.url}: query", f"refused: {error[:300]}", _LESS)
        return [series for result in results.results for series in result.series]

    def _formed(self, path: str, kind: type[T], body: bytes) -> T:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as exc:
            found = f"an answer that is no platform's ({exc})"
            raise PlatformAnswer(
                f"{self.url}: {path}", found, "is this the platform's address, and its release ours?"
            ) from exc

    def _ask(self, path: str, form: bytes | None) -> bytes:
        where = f"{self.url}: {path.partition('?')[0]}"
        # The address was checked to be of http or https.
        request = urllib.request.Request(f"{self.url}{path}", form, self._headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
                body: bytes = answer.read(LARGEST + 1)
        except urllib.error.HTTPError as exc:
            with exc:
                raise _named(where, exc.code, exc.read(65_536)) from exc
        except OSError as exc:
            reason = getattr(exc, "reason", exc)
            found = f"no answer ({getattr(reason, 'strerror', None) or type(reason).__name__})"
            raise PlatformAway(where, found, "is the platform running, and is this its address?") from exc
        if len(body) > LARGEST:
            raise PlatformAnswer(where, f"an answer of more than {LARGEST} bytes", "ask for a smaller area")
        return body


def _rows(series: Answer) -> Iterator[dict[str, Value]]:
    for values in series.values:
        yield dict(zip(series.columns, values, strict=True))


def _named(where: str, code: int, body: bytes) -> ConfigError:
    told: Mapping[str, object] = {}
    try:
        decoded = json.loads(body)
        told = decoded if isinstance(decoded, dict) else {}
    except ValueError:
        pass
    message = str(told.get("found") or told.get("error") or told.get("title") or "")[:300]
    found = f"refused ({code}{f': {message}' if message else ''})"
    if code in _REFUSALS:
        return PlatformRefused(where, found, "give the platform's own token: --token")
    if code >= 500:
        return PlatformAway(where, found, "look at the platform's health, then ask again")
    if code == _WRONG:
        return Refused(where, found, str(told.get("remedy") or _LESS)[:300])
    return PlatformAnswer(where, found, str(told.get("remedy") or "is this the platform's address?")[:300])

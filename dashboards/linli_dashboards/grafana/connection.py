"""A connection to a Grafana: every call through ``grafana-client``, every failure by a name of ours."""

import re
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException

from linli_core.errors import ConfigError
from linli_core.settings import is_loopback
from linli_dashboards.grafana.errors import (
    GrafanaAnswer,
    GrafanaAway,
    GrafanaConflict,
    GrafanaForm,
    GrafanaOld,
    GrafanaRefused,
)

T = TypeVar("T")

OLDEST: Final = (11, 6)
"""The boards are made for this release and newer ones: that of the SDK they are written with."""
OLDEST_AT_ALL: Final = (10, 0)
"""Before this one, parts of the HTTP API that are used here are missing."""
PATIENCE_S: Final = 15.0
_NUMBERS: Final = re.compile(r"(\d{1,3})\.(\d{1,3})")

_ROLE: Final = "use the token of a service account with the role Admin of this organisation"
_FORBIDDEN: Final = frozenset({401, 403})
_CHANGED: Final = frozenset({409, 412})
_ABSENT: Final = 404
_OTHER_FORM: Final = 406


class _Health(msgspec.Struct):
    version: str = ""


class Grafana:
    """One organisation of a Grafana, as the bearer of one token sees it.

    Attributes:
        url: Where it is, without a secret.
        api: The client.
    """

    def __init__(self, url: str, secret: str) -> None:
        self.url = url.rstrip("/")
        user, colon, password = secret.partition(":")
        # A service account's token holds no colon; a person's name and password do.
        credential = (user, password) if colon else secret
        self.api = GrafanaApi.from_url(f"{self.url}/", credential, timeout=PATIENCE_S)

    def close(self) -> None:
        """Let its connections go."""
        self.api.client.s.close()

    def call(self, what: str, kind: type[T], function: Callable[..., object], *args: object, **named: object) -> T:
        """Return what a call of the client answers, as ``kind``.

        Args:
            what: What is being done, for the text of an error.
            kind: The form of the answer.
            function: A method of the client.
            args: Its arguments.
            named: Its named ones.

        Raises:
            ConfigError: One of :mod:`linli_dashboards.grafana.errors`.
        """
        found = self.find(what, kind, function, *args, **named)
        if found is None:
            raise GrafanaAnswer(self._where(what), "Grafana does not have it (404)", "is this address a Grafana's?")
        return found

    def find(
        self, what: str, kind: type[T], function: Callable[..., object], *args: object, **named: object
    ) -> T | None:
        """Return what a call answers; ``None`` if Grafana does not have it (404). Raises as :meth:`call` does."""
        try:
            answer = function(*args, **named)
        except GrafanaException as exc:
            if exc.status_code == _ABSENT and isinstance(exc.response, dict):
                return None
            raise self._named(what, exc) from exc
        except OSError as exc:  # what requests raises is one
            raise GrafanaAway(
                self._where(what), f"no answer ({type(exc).__name__})", "is Grafana running, and is this its address?"
            ) from exc
        return self.formed(what, kind, answer)

    def formed(self, what: str, kind: type[T], answer: object) -> T:
        """Return an answer as ``kind``; :class:`GrafanaAnswer` if it is none."""
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as exc:
            found = f"the answer is no Grafana's: {exc}"
            raise GrafanaAnswer(self._where(what), found, "is this address a Grafana's?") from exc

    def version(self, *, old_too: bool = False) -> str:
        """Return its release.

        Raises:
            GrafanaOld: One that the boards are not made for, or, with ``old_too``, one that cannot be spoken to.
            ConfigError: It is away, refuses, or is no Grafana.
        """
        found = self.call("asking how it fares", _Health, self.api.client.GET, "/health").version
        numbers = _NUMBERS.match(found)
        if numbers is None:
            # It may be told to hide its release; where it is too old, a call below fails by name.
            return found
        release = int(numbers[1]), int(numbers[2])
        newest = ".".join(map(str, OLDEST))
        if release < OLDEST_AT_ALL:
            raise GrafanaOld(self.url, f"Grafana {found}", f"install Grafana {newest} or newer")
        if release < OLDEST and not old_too:
            remedy = f"install Grafana {newest} or newer, or say --old-grafana and look at every board yourself"
            raise GrafanaOld(self.url, f"Grafana {found}; the boards are made for {newest}", remedy)
        return found

    def _where(self, what: str) -> str:
        return f"{self.url}: {what}"

    def _named(self, what: str, exc: GrafanaException) -> ConfigError:
        message = _message(exc)
        if exc.status_code in _FORBIDDEN:
            return GrafanaRefused(self._where(what), f"refused ({exc.status_code}: {message})", _ROLE)
        if exc.status_code in _CHANGED:
            return GrafanaConflict(self._where(what), f"conflict ({exc.status_code}: {message})", "push again")
        if exc.status_code == _OTHER_FORM:
            return GrafanaForm(self._where(what), f"not to be read ({exc.status_code}: {message})", "save it as before")
        if exc.status_code == 0:
            return GrafanaAway(self._where(what), "no answer in time", "is Grafana running, and is this its address?")
        if isinstance(exc, GrafanaClientError) and not isinstance(exc.response, dict):
            found = f"an answer that is no Grafana's ({exc.status_code})"
            return GrafanaAway(self._where(what), found, "give Grafana's own address, with its path if it has one")
        found = f"Grafana failed ({exc.status_code}: {message})"
        return GrafanaAnswer(self._where(what), found, "look into Grafana's log, then push again")


def _message(exc: GrafanaException) -> str:
    """Return what Grafana said, on one line and of bounded length."""
    said = exc.response.get("message", "") if isinstance(exc.response, dict) else ""
    return " ".join(str(said).split())[:200] or "it does not say why"


def check_url(url: str, where: str, *, bears_secret: bool) -> None:
    """Raise :class:`ConfigError` for an address that cannot be used, or would carry a secret in the clear."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(where, "found no address of a server", "write one such as https://grafana.example")
    if "@" in parts.netloc:
        raise ConfigError(where, "found a secret in the address", "name a file or a variable that holds it")
    if bears_secret and parts.scheme == "http" and not is_loopback(parts.hostname):
        found = f"{url} would carry the token in the clear"
        raise ConfigError(where, found, "write https://, or --plain-http where the network between is yours alone")

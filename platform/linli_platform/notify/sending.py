"""Handing a message over, through Apprise: one address each for e-mail, chat robots, webhooks, MQTT and the rest.

Apprise is imported when there is somebody to tell, not before: it takes a quarter of a second and megabytes. Its own
pacing and retries are switched off, since the queue has both, over restarts too. It tells only in its log why something
failed; that is heard here, cleaned of whatever may be secret, and kept from every other log.
"""

import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote

from linli_core.errors import ConfigError
from linli_platform.notify.routes import Target

_LONGEST: Final = 16_384
_KNOWN_REFUSAL: Final = re.compile(
    r"error=\d{3}|\(\d{3}, b|refused|rejected|NewConnection|NameResolution|ConnectTimeout|not be established|Errno",
    re.IGNORECASE,
)
"""What is said where the other side certainly did not take the message. Anything else may have come through."""

_ANSWERING: Final = frozenset({"NotifyDingTalk", "NotifyWeComBot"})
"""Services whose answer has a code of its own."""

_RANDOM: Final = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What one of Apprise's many services may raise at an answer it did not expect: a failure of that target alone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt.

    Attributes:
        error: Why it failed; empty if the message was handed over.
        doubtful: It failed, and may have come through all the same: the answer did not.
    """

    error: str = ""
    doubtful: bool = False


class Sender(Protocol):
    """Hands messages over. Calls block, and come from several threads, one at a time for each target."""

    def open(self) -> None:
        """Read secrets and make ready; raise :class:`ConfigError` where an address cannot be used."""

    def limit(self, target: str) -> int:
        """Return how many bytes a message to a target may have, title included."""

    def send(self, target: str, title: str, body: str) -> Outcome:
        """Hand a message over."""

    def close(self) -> None:
        """Let go of connections."""


class AppriseSender:
    """Hands messages over through Apprise."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._targets = {target.id: target for target in targets}
        self._urls: dict[str, str] = {}
        self._plugins: dict[str, Any] = {}
        self._heard: dict[str, _Heard] = {}
        self._ear = _Ear()

    def open(self) -> None:
        """Read secrets and make ready; raise :class:`ConfigError` where an address cannot be used."""
        if not self._targets:
            return
        self._ear.listen()
        with warnings.catch_warnings():
            # Of a hundred services that Apprise looks at, some import what Python is about to drop.
            warnings.simplefilter("ignore", DeprecationWarning)
            for target in self._targets.values():
                place = f"notify: targets.{target.id}.url_file"
                self._urls[target.id] = _address(target.url_file, place)
                self._plugins[target.id] = self._made(target.id, place)

    def limit(self, target: str) -> int:
        """Return how many bytes a message to a target may have, title included."""
        return min(int(self._plugins[target].body_maxlen), _LONGEST)

    def send(self, target: str, title: str, body: str) -> Outcome:
        """Hand a message over."""
        self._ear.clear()
        plugin = self._plugins[target]
        try:
            if plugin.notify(title=title, body=body, body_format="text"):
                refusal = heard.refusal() if (heard := self._heard.get(target)) is not None else ""
                return Outcome(_clean(refusal, self._urls[target]))
            said = self._ear.heard() or f"{plugin.service_name} did not take it"
        except _RANDOM as exc:
            said = f"{type(exc).__name__}: {exc}"
        # A connection that is kept may still hold what failed, and would send it later on its own.
        _close(plugin)
        self._plugins[target] = self._made(target, target)
        return Outcome(_clean(said, self._urls[target]), doubtful=_KNOWN_REFUSAL.search(said) is None)

    def close(self) -> None:
        """Let go of connections."""
        for plugin in self._plugins.values():
            _close(plugin)

    def _made(self, target: str, place: str) -> Any:
        from apprise import Apprise  # noqa: PLC0415  (see above)

        plugin: Any = Apprise.instantiate(self._urls[target], suppress_exceptions=True)
        if plugin is None:
            why = _clean(self._ear.heard(), self._urls[target])
            raise ConfigError(
                place,
                f"no address that can be used{f' ({why})' if why else ''}",
                "write one such as mailtos://user:password@example.com, wecombot://KEY, dingtalk://TOKEN, feishu://TOKEN,"
                " jsons://host/path or mqtts://user:password@host/topic",
            )
        if type(plugin).__name__ in _ANSWERING:
            self._heard[target] = _listening(sys.modules[type(plugin).__module__])
        plugin.request_rate_per_sec = 0
        plugin.retry = 0
        if "qos" in getattr(plugin, "template_args", {}) and "qos=" not in self._urls[target]:
            plugin.qos = 1  # MQTT: with 0 nobody says that it came
        return plugin


class _Heard:
    """Stands in the place of ``requests`` in a plugin's module, and keeps what each thread was answered last.

    The robots of WeCom and DingTalk say yes in HTTP to what they refuse (a token that is gone, too many messages, a
    word that is missing), and no in the body, which Apprise does not read. And it escapes DingTalk's signature twice,
    which DingTalk therefore never finds to match.
    """

    def __init__(self, requests: Any) -> None:
        self._requests = requests
        self._last = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._requests, name)

    def post(self, *given: Any, **named: Any) -> Any:
        """Ask as ``requests`` does."""
        self._last.answer = None
        params = named.get("params")
        if isinstance(params, dict) and "sign" in params:
            named["params"] = {**params, "sign": unquote(params["sign"])}  # Base64 has no per cent: once is enough
        answer = self._last.answer = self._requests.post(*given, **named)
        return answer

    def refusal(self) -> str:
        """Return why the service refused what it was asked last, empty if it did not."""
        answer = self._last.__dict__.get("answer")
        try:
            said = None if answer is None else answer.json()
        except ValueError:
            return ""
        found: dict[str, Any] = said if isinstance(said, dict) else {}
        return f"refused: {found['errcode']}: {found.get('errmsg', '')}" if found.get("errcode") else ""


class _Ear(logging.Handler):
    """Hears what Apprise says, each thread what concerns itself."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._said = threading.local()

    def listen(self) -> None:
        """Hear from now on, and let nobody else: what is said may hold secrets."""
        logger = logging.getLogger("apprise")
        logger.handlers = [handler for handler in logger.handlers if not isinstance(handler, _Ear)] + [self]
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        if logging.getLogger("urllib3").level < logging.INFO:
            logging.getLogger("urllib3").setLevel(logging.INFO)  # at DEBUG it writes down paths, which hold tokens

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning, or what the network said."""
        said = record.getMessage()
        if record.levelno >= logging.WARNING or said.startswith("Socket Exception"):
            self._lines().append(said if record.levelno >= logging.WARNING else _plain(said))

    def clear(self) -> None:
        """Forget what was said."""
        self._lines().clear()

    def heard(self) -> str:
        """Return what was said since."""
        return "; ".join(self._lines()[-3:])

    def _lines(self) -> list[str]:
        lines: list[str] = self._said.__dict__.setdefault("lines", [])
        return lines


def _listening(module: Any) -> _Heard:
    if not isinstance(module.requests, _Heard):
        module.requests = _Heard(module.requests)
    heard: _Heard = module.requests
    return heard


def _close(plugin: Any) -> None:
    client: Any = getattr(plugin, "client", None)
    if client is not None and hasattr(client, "loop_stop"):
        client.disconnect()
        client.loop_stop()


def _address(path: str, place: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(place, f"{path} cannot be read ({exc})", "check the path and its permissions") from exc
    if not lines or "://" not in lines[0]:
        raise ConfigError(place, f"{path} holds no address", "write one, such as mailtos://…, as its first line")
    return lines[0].strip()


def _clean(said: str, url: str) -> str:
    """Take out whatever of the address may be secret: all of it but its scheme and its host."""
    scheme, _, rest = url.partition("://")
    host = re.split(r"[/?]", rest.rpartition("@")[2], maxsplit=1)[0]
    parts = {part for piece in re.split(r"[/?&=@:;,+]+", rest) for part in (piece, unquote(piece))}
    for part in sorted(parts - {scheme, host, host.partition(":")[0]}, key=len, reverse=True):
        if len(part) > 3:
            said = said.replace(part, "***")
    return said.replace(url, "***")[:300]


def _plain(said: str) -> str:
    """Return what the network said, without the library's words around it."""
    cause = said.removeprefix("Socket Exception: ").rpartition("Caused by ")[2]
    return cause.partition("): ")[2].rstrip("\"')") or cause if "Pool(" in said else cause

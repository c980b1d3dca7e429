"""Asking the platform that runs on this machine, for commands that work on what is its own while it runs."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final

from linli_core.errors import LinliError
from linli_platform.config import Settings, read_secret

_ANSWER_S: Final = 30


class NoAnswer(LinliError):
    """The platform does not answer, or refuses; the text says what to do."""


def ask(settings: Settings, path: str, *, method: str = "GET", **query: str | int) -> Any:
    """Return what the running platform's API answers; ``path`` begins below ``/api/v1``.

    Raises:
        NoAnswer: Nobody answers where the settings say the platform listens, or it says no.
    """
    host, port = settings.listen
    words = f"?{urllib.parse.urlencode(query)}" if query else ""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/api/v1{path}{words}"
    request = urllib.request.Request(url, method=method)
    if settings.api.token_file:
        request.add_header("Authorization", f"Bearer {read_secret(settings.api.token_file, 'api.token_file')}")
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as exc:
        raise NoAnswer(f"{url}: the platform says no: {_detail(exc)}") from exc
    except (OSError, ValueError) as exc:
        remedy = "start it, or give --config with the settings it runs with"
        raise NoAnswer(f"{url}: no platform answers ({exc}); {remedy}") from exc


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["detail"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)

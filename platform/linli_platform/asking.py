"""Asking the platform that runs on this machine, for commands that work on what is its own while it runs."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from linli_core.errors import LinliError
from linli_platform.config import Settings, read_secret

_ANSWER_S: Final = 30.0


class NoAnswer(LinliError):
    """The platform does not answer, or refuses; the text says what to do."""


def ask(
    settings: Settings,
    path: str,
    *,
    method: str = "GET",
    body: Mapping[str, Any] | None = None,
    wait: float = _ANSWER_S,
    **query: str | int,
) -> Any:
    """Return what the running platform's API answers: JSON as it is read, anything else as a text.

    Args:
        settings: Where it listens.
        path: Begins below ``/api/v1``.
        method: Of the request.
        body: Sent as JSON.
        wait: Seconds that the answer may take.
        query: Parameters.

    Raises:
        NoAnswer: Nobody answers where the settings say the platform listens, or it says no.
    """
    host, port = settings.listen
    words = f"?{urllib.parse.urlencode(query)}" if query else ""
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/api/v1{path}{words}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    if settings.api.token_file:
        request.add_header("Authorization", f"Bearer {read_secret(settings.api.token_file, 'api.token_file')}")
    try:
        with urllib.request.urlopen(request, timeout=wait) as answer:  # noqa: S310
            raw = answer.read()
            is_json = not raw or answer.headers.get_content_type().endswith("json")
            return json.loads(raw or b"null") if is_json else raw.decode()
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

"""A service account of its own for later pushes, so that no person's password is needed again."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from linli_core.errors import ConfigError
from linli_dashboards.grafana.connection import Grafana
from linli_dashboards.grafana.step import Action, Kind, Step

NAME: Final = "linli-boards"
_PREFIX: Final = "glsa_"
"""With which Grafana begins the tokens of service accounts."""


class _Account(msgspec.Struct):
    id: int
    name: str


class _Found(msgspec.Struct):
    accounts: list[_Account] = msgspec.field(name="serviceAccounts", default_factory=list)


class _Token(msgspec.Struct):
    key: str
    name: str = ""


class _Listed(msgspec.Struct):
    id: int
    name: str
    has_expired: bool = msgspec.field(name="hasExpired", default=False)


def account_step(grafana: Grafana, path: Path, days: int | None = None) -> Step:
    """Return what the account needs: made if it is not there; its token goes into ``path``, unless that is there.

    Args:
        grafana: The organisation.
        path: The token's file.
        days: How long a token that is made lasts; for good if left out.
    """
    api = grafana.api.serviceaccount
    pages = grafana.call("reading the service accounts", list[_Found], api.search, query=NAME, page=1, perpage=100)
    present = next((account for found in pages for account in found.accounts if account.name == NAME), None)
    target = path
    if present is not None and path.exists():
        tokens = grafana.call("reading its tokens", list[_Listed], api.get_tokens, present.id)
        if any(token.name == NAME and not token.has_expired for token in tokens) or not _holds_token(path):
            return Step(Action.SAME, Kind.ACCOUNT, NAME, str(path))
        # What the file holds opens nothing any more.
        target = path.with_name(f"{path.name}.new")
    action = Action.MAKE if present is None else Action.CHANGE
    lifetime = {} if days is None else {"secondsToLive": days * 86_400}
    run = partial(_make, grafana, present, target, path, lifetime)
    return Step(action, Kind.ACCOUNT, NAME, str(path), run=run)


def _holds_token(path: Path) -> bool:
    """Tell whether a file is one that we may replace: it holds a service account's token and nothing else."""
    try:
        return path.read_text(encoding="utf-8").startswith(_PREFIX)
    except (OSError, UnicodeDecodeError):
        return False


def _make(grafana: Grafana, present: _Account | None, target: Path, path: Path, lifetime: Mapping[str, int]) -> None:
    api = grafana.api.serviceaccount
    # The file first: a token that cannot be kept must not be made.
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise ConfigError(
            str(target), f"cannot be written ({exc.strerror})", "name a new file in a folder of yours"
        ) from exc
    kept = False
    try:
        account = present or grafana.call(
            "making a service account", _Account, api.create, {"name": NAME, "role": "Admin", "isDisabled": False}
        )
        for old in grafana.call("reading its tokens", list[_Listed], api.get_tokens, account.id):
            # One that nobody has any more; the name must be free.
            if old.name == NAME:
                grafana.find("removing its old token", object, api.delete_token, account.id, old.id)
        token = grafana.call("making its token", _Token, api.create_token, account.id, {"name": NAME, **lifetime})
        with os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) as file:
            file.write(f"{token.key}\n")
        target.replace(path)
        kept = True
    finally:
        os.close(descriptor)
        if not kept:
            target.unlink()

"""A service account of its own for later pushes, so that no person's password is needed again."""

import os
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from linli_core.errors import ConfigError
from linli_dashboards.grafana.connection import Grafana
from linli_dashboards.grafana.step import Action, Kind, Step

NAME: Final = "linli-boards"


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


def account_step(grafana: Grafana, path: Path) -> Step:
    """Return what the account needs: made if it is not there; its token goes into ``path``, unless that is there."""
    api = grafana.api.serviceaccount
    pages = grafana.call("reading the service accounts", list[_Found], api.search, query=NAME, page=1, perpage=100)
    present = next((account for found in pages for account in found.accounts if account.name == NAME), None)
    if present is not None and path.exists():
        return Step(Action.SAME, Kind.ACCOUNT, NAME, str(path))
    action = Action.MAKE if present is None else Action.CHANGE
    return Step(action, Kind.ACCOUNT, NAME, str(path), run=partial(_make, grafana, present, path))


def _make(grafana: Grafana, present: _Account | None, path: Path) -> None:
    api = grafana.api.serviceaccount
    # The file first: a token that cannot be kept must not be made.
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise ConfigError(
            str(path), f"cannot be written ({exc.strerror})", "name a new file in a folder of yours"
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
        token = grafana.call("making its token", _Token, api.create_token, account.id, {"name": NAME})
        with os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) as file:
            file.write(f"{token.key}\n")
        kept = True
    finally:
        os.close(descriptor)
        if not kept:
            path.unlink()

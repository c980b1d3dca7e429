"""The data source of each community: the platform's ``/query``, asked with the community's own token."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from linli_core.catalogue import Language
from linli_dashboards.grafana.connection import Grafana
from linli_dashboards.grafana.difference import between, differing
from linli_dashboards.grafana.errors import GrafanaAnswer
from linli_dashboards.grafana.secret import secret_print
from linli_dashboards.grafana.step import Action, Kind, Step, Why
from linli_dashboards.grafana.wanted import MARK, ROOT, Community, folder_title

DATABASE: Final = "linli"
_NOTHING: Final = re.compile(r"\b0 measurements found")


class _Source(msgspec.Struct):
    uid: str
    name: str
    type: str
    url: str = ""
    access: str = ""
    settings: dict[str, object] = msgspec.field(name="jsonData", default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Tell whether a push made it: what somebody made of our settings has a uid of Grafana's."""
        has_uid = self.uid == ROOT or self.uid.startswith(f"{ROOT}-")
        return has_uid and self.settings.get("madeBy") == MARK


class _Health(msgspec.Struct):
    status: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far Grafana comes through a data source.

    Attributes:
        community: Whose it is.
        reached: The platform answers.
        found: What Grafana says of it.
        empty: The platform answers, and shows the token nothing: an area without devices, or one that is not there.
    """

    community: Community
    reached: bool
    found: str
    empty: bool = False


class Sources:
    """The data sources of an organisation, as they are when it is opened."""

    def __init__(self, grafana: Grafana, platform: str, lang: Language) -> None:
        self._grafana = grafana
        self._platform = platform
        self._lang = lang
        ask = grafana.api.datasource.list_datasources
        listed = grafana.call("reading the data sources", list[_Source], ask)
        self._present = {source.uid: source for source in listed}

    def step(self, community: Community, going: frozenset[str] = frozenset()) -> Step:
        """Return what the data source of a community needs; those that are ``going`` have gone by then."""
        body = self._body(community)
        uid, name = community.uid, str(body["name"])
        present = self._present.get(uid)
        api = self._grafana.api
        what = f"saving data source {uid}"
        stranger = any(
            other.name == name and other.uid != uid and other.uid not in going for other in self._present.values()
        )
        if stranger or (present is not None and not present.is_ours):
            return Step(Action.KEPT, Kind.SOURCE, uid, name, Why.FOREIGN)
        if present is None:
            make = partial(self._grafana.call, what, dict[str, object], api.datasource.create_datasource, body)
            return Step(Action.MAKE, Kind.SOURCE, uid, name, run=make)
        wanted = {"name": name, "type": "influxdb", "url": self._platform, "access": "proxy"}
        settings = _settings(community)
        before = {
            **differing(msgspec.structs.asdict(present), wanted),
            **differing(present.settings, settings),
        }
        if not before:
            return Step(Action.SAME, Kind.SOURCE, uid, name)
        after = {key: {**wanted, **settings}[key] for key in before}
        change = partial(
            self._grafana.call, what, dict[str, object], api.datasource.update_datasource_by_uid, uid, body
        )
        return Step(Action.CHANGE, Kind.SOURCE, uid, name, diff=between(before, after), run=change)

    def leftovers(self, wanted: Sequence[Community]) -> Iterator[Step]:
        """Yield the removal of data sources that we made once and that are wanted no more."""
        uids = {community.uid for community in wanted}
        remove = self._grafana.api.datasource.delete_datasource_by_uid
        for uid, source in self._present.items():
            if source.is_ours and uid not in uids:
                run = partial(self._grafana.find, f"removing data source {uid}", object, remove, uid)
                yield Step(Action.REMOVE, Kind.SOURCE, uid, source.name, run=run)

    def ask(self, community: Community) -> Reach:
        """Return how far Grafana comes through the data source of a community."""
        ask = self._grafana.api.datasource.health
        try:
            health = self._grafana.call(f"trying data source {community.uid}", _Health, ask, community.uid)
        except GrafanaAnswer as exc:
            # A way that is broken is answered as a request that failed.
            return Reach(community, reached=False, found=exc.found)
        told = " ".join(health.message.split())[:300]
        # The description of Grafana's API has a message only; releases add a state.
        reached = health.status in {"", "OK"}
        return Reach(community, reached=reached, found=told, empty=reached and _NOTHING.search(told) is not None)

    def _body(self, community: Community) -> dict[str, object]:
        secrets = {"httpHeaderValue1": f"Bearer {community.token}"} if community.token else {}
        return {
            "uid": community.uid,
            "name": folder_title(community, self._lang),
            "type": "influxdb",
            "access": "proxy",
            "url": self._platform,
            "database": DATABASE,
            "basicAuth": False,
            "jsonData": _settings(community),
            "secureJsonData": secrets,
        }


def settings_of(community: Community) -> dict[str, object]:
    """Return the settings of a data source that are no secret."""
    settings: dict[str, object] = {"version": "InfluxQL", "dbName": DATABASE, "httpMode": "POST"}
    if community.token:
        settings["httpHeaderName1"] = "Authorization"
    return settings


def _settings(community: Community) -> dict[str, object]:
    settings = {**settings_of(community), "madeBy": MARK}
    if community.token:
        # Grafana never gives a secret back.
        settings["tokenPrint"] = secret_print(community.token, f"{ROOT} {community.uid}")
    return settings

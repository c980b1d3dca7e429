"""The contact point of each community: alarms that Grafana's own rules raise go to the platform, with its own token."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from linli_core.catalogue import Language
from linli_dashboards.grafana.connection import Grafana
from linli_dashboards.grafana.difference import between, differing
from linli_dashboards.grafana.secret import secret_print
from linli_dashboards.grafana.step import Action, Kind, Step, Why
from linli_dashboards.grafana.wanted import MARK, ROOT, Community, folder_title

DOOR: Final = "/api/v1/alarms/outside"
_MOST: Final = 2_000
"""Alerts of one request, as the door takes them; Grafana says how many it left out."""
_OURS: Final = f"{DOOR}?by={MARK}"


class _Contact(msgspec.Struct):
    uid: str = ""
    name: str = ""
    type: str = ""
    settings: dict[str, object] = msgspec.field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Tell whether a push made it: a copy that a person made has the address too, and a uid of Grafana's."""
        has_uid = self.uid == ROOT or self.uid.startswith(f"{ROOT}-")
        return has_uid and self.type == "webhook" and _OURS in str(self.settings.get("url", ""))


class _Route(msgspec.Struct):
    receiver: str = ""
    routes: list["_Route"] = msgspec.field(default_factory=list)

    def receivers(self) -> Iterator[str]:
        yield self.receiver
        for route in self.routes:
            yield from route.receivers()


@dataclass(frozen=True, slots=True)
class _Point:
    """A contact point as it should be."""

    uid: str
    name: str
    settings: dict[str, object]
    secret: str

    def body(self) -> dict[str, object]:
        settings = {**self.settings, "authorization_credentials": self.secret}
        return {"uid": self.uid, "name": self.name, "type": "webhook", "settings": settings}


class Contacts:
    """The contact points of an organisation, as they are when it is first asked for one."""

    def __init__(self, grafana: Grafana, platform: str, lang: Language) -> None:
        self._grafana = grafana
        self._platform = platform
        self._lang = lang
        api = grafana.api.alertingprovisioning
        # Where alerting is switched off there are none.
        listed = grafana.find("reading the contact points", list[_Contact], api.get_contactpoints)
        self._present = {contact.uid: contact for contact in listed or ()}

    def steps(self, community: Community, going: frozenset[str] = frozenset()) -> Iterator[Step]:
        """Yield what the contact point of a community needs; nothing where no token is given for it.

        Those that are ``going`` have gone by then.
        """
        if not community.alarms_token:
            return
        point = self._wanted(community)
        present = self._present.get(point.uid)
        others = (other for other in self._present.values() if other.uid != point.uid and other.uid not in going)
        taken = any(other.name == point.name for other in others)
        if taken or (present is not None and not present.is_ours):
            yield Step(Action.KEPT, Kind.CONTACT, point.uid, point.name, Why.FOREIGN)
            return
        api, what = self._grafana.api.alertingprovisioning, f"saving contact point {point.uid}"
        if present is None:
            # So that people may change it in Grafana's pages too. More alerts the platform would refuse as a whole.
            body = point.body()
            settings = {**point.settings, "authorization_credentials": point.secret, "maxAlerts": _MOST}
            make = partial(api.create_contactpoint, {**body, "settings": settings}, disable_provenance=True)
            run = partial(self._grafana.call, what, object, make)
            yield Step(Action.MAKE, Kind.CONTACT, point.uid, point.name, run=run)
            return
        before = {
            **differing({"name": present.name}, {"name": point.name}),
            **differing(present.settings, point.settings),
        }
        if not before:
            yield Step(Action.SAME, Kind.CONTACT, point.uid, point.name)
            return
        after = {key: {"name": point.name, **point.settings}[key] for key in before}
        settings = {**present.settings, **point.settings, "authorization_credentials": point.secret}
        change = partial(api.update_contactpoint, point.uid, {**point.body(), "settings": settings})
        run = partial(self._grafana.call, what, object, change)
        yield Step(Action.CHANGE, Kind.CONTACT, point.uid, point.name, diff=between(before, after), run=run)

    def leftovers(self, wanted: Sequence[Community]) -> Iterator[Step]:
        """Yield the removal of contact points that we made once and that are wanted no more."""
        uids = {community.uid for community in wanted if community.alarms_token}
        left = [contact for uid, contact in self._present.items() if contact.is_ours and uid not in uids]
        if not left:
            return
        api = self._grafana.api.alertingprovisioning
        root = self._grafana.call("reading the notification policies", _Route, api.get_notification_policy_tree)
        used = set(root.receivers())
        for contact in left:
            if contact.name in used:
                yield Step(Action.KEPT, Kind.CONTACT, contact.uid, contact.name, Why.ROUTED)
                continue
            what = f"removing contact point {contact.uid}"
            run = partial(self._grafana.find, what, object, api.delete_contactpoint, contact.uid)
            yield Step(Action.REMOVE, Kind.CONTACT, contact.uid, contact.name, run=run)

    def _wanted(self, community: Community) -> _Point:
        # Grafana never gives a secret back: what tells one token from another stands where it is shown.
        mark = secret_print(community.alarms_token, f"{ROOT} {community.uid} alarms")
        settings: dict[str, object] = {
            "url": f"{self._platform}{_OURS}&print={mark}",
            "httpMethod": "POST",
            "authorization_scheme": "Bearer",
        }
        return _Point(community.uid, folder_title(community, self._lang), settings, community.alarms_token)

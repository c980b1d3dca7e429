"""Folders, the teams that see them, and who else does."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlencode

import msgspec

from linli_core.catalogue import LANGUAGES, Language, text
from linli_dashboards.grafana.boards import Boards
from linli_dashboards.grafana.connection import Grafana
from linli_dashboards.grafana.difference import between
from linli_dashboards.grafana.errors import GrafanaConflict
from linli_dashboards.grafana.step import Action, Kind, Step, Why
from linli_dashboards.grafana.wanted import ROOT, Community, folder_title

_VIEW: Final = 1
_PAGE: Final = 1_000
_ROOTS: Final = frozenset(text("boards.root", lang) for lang in LANGUAGES)


class _Folder(msgspec.Struct):
    uid: str
    title: str
    parent: str = msgspec.field(name="parentUid", default="")


class _Team(msgspec.Struct):
    id: int
    name: str
    email: str = ""
    members: int = msgspec.field(name="memberCount", default=0)


class _Permission(msgspec.Struct, omit_defaults=True):
    permission: int
    team: int = msgspec.field(name="teamId", default=0)
    user: int = msgspec.field(name="userId", default=0)
    role: str = ""
    inherited: bool = False

    @property
    def item(self) -> tuple[int, int, str, int]:
        return self.team, self.user, self.role, self.permission


class Folders:
    """The folders and teams of an organisation, as they are when it is opened."""

    def __init__(self, grafana: Grafana, lang: Language) -> None:
        self._grafana = grafana
        self._lang = lang
        self._folders = {folder.uid: folder for folder in self._listed()}
        teams = self._all_teams()
        self._teams = {team.email: team for team in teams if team.email}
        self._names = {team.name: team.email for team in teams}

    def has(self, community: Community) -> bool:
        """Tell whether its folder is there."""
        return self._present(community.uid) is not None

    def steps(self, community: Community) -> Iterator[Step]:
        """Yield what folder, team and permissions of a community need."""
        yield self._folder(community)
        if community.area:
            yield self._team(community)
            yield self._permissions(community)

    def leftovers(self, wanted: Sequence[Community], boards: Boards, going: frozenset[str]) -> Iterator[Step]:
        """Yield what becomes of folders of communities that are wanted no more.

        Args:
            wanted: Those that are.
            boards: The boards.
            going: The uids of boards that are removed.
        """
        uids = {community.uid for community in wanted}
        api = self._grafana.api
        for email in self._teams:
            # One that somebody put into another folder is in no list.
            if _is_mark(email):
                self._present(email.partition("@")[0])
        for folder in self._folders.values():
            is_ours = f"{folder.uid}@boards.invalid" in self._teams or (folder.uid == ROOT and folder.title in _ROOTS)
            if folder.uid in uids or not is_ours:
                continue
            # With a folder Grafana removes those in it and their boards, and from 13 on rules and library panels too.
            if boards.inside(folder.uid) <= going and not self._holds_more(folder.uid):
                run = partial(
                    self._grafana.find, f"removing folder {folder.uid}", object, api.folder.delete_folder, folder.uid
                )
                yield Step(Action.REMOVE, Kind.FOLDER, folder.uid, folder.title, run=run)
            else:
                yield Step(Action.KEPT, Kind.FOLDER, folder.uid, folder.title, Why.IN_USE)

    def teams_left(self, wanted: Sequence[Community]) -> Iterator[Step]:
        """Yield what becomes of teams of communities that are wanted no more."""
        api = self._grafana.api
        marks = {community.team for community in wanted if community.area}
        for email, team in self._teams.items():
            if email in marks or not _is_mark(email):
                continue
            if team.members:
                yield Step(Action.KEPT, Kind.TEAM, email.partition("@")[0], team.name, Why.MEMBERS)
                continue
            run = partial(self._grafana.find, f"removing team {team.name}", object, api.teams.delete_team, team.id)
            yield Step(Action.REMOVE, Kind.TEAM, email.partition("@")[0], team.name, run=run)

    def check_names(self, wanted: Sequence[Community], going: frozenset[str]) -> None:
        """Raise :class:`GrafanaConflict` where another team bears the name of a community's, and does not go."""
        for community in wanted:
            name = folder_title(community, self._lang)
            mark = self._names.get(name)
            if community.area and mark is not None and mark != community.team and mark.partition("@")[0] not in going:
                found = f"a team called {name!r} is there that is not this community's"
                remedy = "rename it in Grafana (or take its members out, if a community left it), then push again"
                raise GrafanaConflict(f"{self._grafana.url}: team {community.uid}", found, remedy)

    def _present(self, uid: str) -> _Folder | None:
        """Return a folder, wherever somebody put it: what is listed is not in another one."""
        if uid not in self._folders:
            found = self._grafana.find(f"reading folder {uid}", _Folder, self._grafana.api.folder.get_folder, uid)
            if found is None:
                return None
            self._folders[uid] = found
        return self._folders[uid]

    def _holds_more(self, uid: str) -> bool:
        """Tell whether a folder holds anything but boards: folders, alert rules, library panels."""
        ask = self._grafana.api.client.GET
        what = f"counting what is in folder {uid}"
        # A release that does not count has none of what it would remove with the folder, but for folders.
        counts = self._grafana.find(what, dict[str, int], ask, f"/folders/{uid}/counts") or {}
        if any(count for kind, count in counts.items() if not kind.startswith("dashboard")):
            return True
        query = urlencode({"parentUid": uid})
        found = self._grafana.call(f"reading the folders in {uid}", list[_Folder], ask, f"/folders?{query}")
        # A release that knows no folders in folders lists all.
        return any(folder.parent == uid for folder in found)

    def _listed(self) -> Iterator[_Folder]:
        ask, page = self._grafana.api.client.GET, 1
        while True:
            query = urlencode({"limit": _PAGE, "page": page})
            found = self._grafana.call("reading the folders", list[_Folder], ask, f"/folders?{query}")
            yield from found
            if len(found) < _PAGE:
                return
            page += 1

    def _folder(self, community: Community) -> Step:
        title = folder_title(community, self._lang)
        present = self._present(community.uid)
        api = self._grafana.api
        what = f"saving folder {community.uid}"
        if present is None:
            make = partial(self._grafana.call, what, _Folder, api.folder.create_folder, title, community.uid)
            return Step(Action.MAKE, Kind.FOLDER, community.uid, title, run=make)
        if present.title == title or present.title not in self._own_titles(community):
            # One that a person renamed stays as he called it.
            return Step(Action.SAME, Kind.FOLDER, community.uid, present.title)
        change = partial(
            self._grafana.call, what, _Folder, api.folder.update_folder, community.uid, title, overwrite=True
        )
        diff = between({"title": present.title}, {"title": title})
        return Step(Action.CHANGE, Kind.FOLDER, community.uid, title, diff=diff, run=change)

    def _own_titles(self, community: Community) -> frozenset[str]:
        """Return what a push may have called the folder: in either language, or as the team still is."""
        team = self._teams.get(community.team)
        titles = {folder_title(community, lang) for lang in LANGUAGES}
        return frozenset(titles | ({team.name} if team is not None else set()))

    def _team(self, community: Community) -> Step:
        present = self._teams.get(community.team)
        wanted = {"name": folder_title(community, self._lang), "email": community.team}
        api = self._grafana.api
        what = f"saving team {community.uid}"
        if present is None:
            make = partial(self._grafana.call, what, dict[str, object], api.teams.add_team, wanted)
            return Step(Action.MAKE, Kind.TEAM, community.uid, wanted["name"], run=make)
        if present.name == wanted["name"]:
            return Step(Action.SAME, Kind.TEAM, community.uid, wanted["name"])
        change = partial(self._grafana.call, what, dict[str, object], api.teams.update_team, present.id, wanted)
        diff = between({"name": present.name}, {"name": wanted["name"]})
        return Step(Action.CHANGE, Kind.TEAM, community.uid, wanted["name"], diff=diff, run=change)

    def _permissions(self, community: Community) -> Step:
        team = self._teams.get(community.team)
        title = folder_title(community, self._lang)
        present = self._granted(community.uid) if self.has(community) else []
        ours = {mine.id for mine in self._teams.values() if _is_mark(mine.email)}
        # What people granted to persons and to teams of theirs stays. What Grafana grants to everybody of a role goes:
        # with it, every viewer would see every community.
        kept = [grant for grant in present if grant.user or (grant.team and grant.team not in ours)]
        if team is not None:
            wanted = [*kept, _Permission(_VIEW, team=team.id)]
            if sorted(grant.item for grant in present) == sorted(grant.item for grant in wanted):
                return Step(Action.SAME, Kind.PERMISSION, community.uid, title)
        names = {team.id: team.name for team in self._teams.values()}
        diff = between(
            sorted(_words(grant, names) for grant in present),
            sorted([*(_words(grant, names) for grant in kept), f"view: team {title}"]),
        )
        return Step(
            Action.CHANGE, Kind.PERMISSION, community.uid, title, diff=diff, run=partial(self._grant, community, kept)
        )

    def _grant(self, community: Community, kept: Sequence[_Permission]) -> None:
        # The team may have been made a moment ago.
        team = next((team for team in self._all_teams() if team.email == community.team), None)
        if team is None:
            raise GrafanaConflict(self._grafana.url, f"the team {community.uid} went meanwhile", "push again")
        items = [*kept, _Permission(_VIEW, team=team.id)]
        grants = {"items": [msgspec.to_builtins(grant) for grant in items]}
        api = self._grafana.api
        what = f"granting folder {community.uid}"
        self._grafana.call(what, dict[str, object], api.folder.update_folder_permissions, community.uid, grants)

    def _granted(self, folder: str) -> list[_Permission]:
        api = self._grafana.api
        what = f"reading who sees folder {folder}"
        granted = self._grafana.call(what, list[_Permission], api.folder.get_folder_permissions, folder)
        return [grant for grant in granted if not grant.inherited]

    def _all_teams(self) -> list[_Team]:
        teams: list[_Team] = []
        while True:
            ask = self._grafana.api.teams.search_teams
            page = len(teams) // _PAGE + 1
            pages = self._grafana.call("reading the teams", list[_Team], ask, page=page, perpage=_PAGE)
            teams += pages
            if len(pages) < _PAGE:
                return teams


def _is_mark(email: str) -> bool:
    name, _, domain = email.partition("@")
    return domain == "boards.invalid" and name.startswith(f"{ROOT}-")


def _words(grant: _Permission, names: Mapping[int, str]) -> str:
    team = f"team {names.get(grant.team, grant.team)}"
    whom = f"role {grant.role}" if grant.role else team if grant.team else f"person {grant.user}"
    return f"{ {1: 'view', 2: 'edit', 4: 'admin'}.get(grant.permission, str(grant.permission)) }: {whom}"

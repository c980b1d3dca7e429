"""Boards: made, changed and removed while they are ours; kept once a person has saved them.

Each version that we save bears a message with a digest of what was pushed. The newest version tells whose a board is
now: ours and up to date, ours and old, or saved by a person since. What was pushed is not compared with what is there:
Grafana writes boards down in a form of its own, and that form changes with its releases. But two versions, both as
Grafana wrote them down, are: who moves a board to another folder saves what was there, as a version without a message.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlencode

import msgspec

from linli_dashboards.grafana.connection import Grafana
from linli_dashboards.grafana.difference import between
from linli_dashboards.grafana.errors import GrafanaForm
from linli_dashboards.grafana.step import Action, Kind, Step, Why
from linli_dashboards.grafana.wanted import MARK, TAG, Board, digest

_PAGE: Final = 500
_OF_VERSION: Final = frozenset({"id", "version"})
_MESSAGE: Final = re.compile(rf"{MARK} (?P<digest>[0-9a-f]{{16}})")


class _Found(msgspec.Struct):
    uid: str
    title: str
    folder: str = msgspec.field(name="folderUid", default="")


class _Meta(msgspec.Struct):
    folder: str = msgspec.field(name="folderUid", default="")


class _Present(msgspec.Struct):
    dashboard: Board
    meta: _Meta


class _Version(msgspec.Struct):
    version: int
    message: str = ""


class _Content(msgspec.Struct):
    data: Board

    @property
    def meant(self) -> Board:
        """What it says, but for what each version has of its own."""
        return {key: value for key, value in self.data.items() if key not in _OF_VERSION}


class Boards:
    """The boards of an organisation, as they are when it is opened."""

    def __init__(self, grafana: Grafana, *, replace_edited: bool = False) -> None:
        self._grafana = grafana
        self._replace_edited = replace_edited
        self._ours = {found.uid: found for found in self._search(tag=TAG)}
        self._titles: dict[str, dict[str, str]] = {}

    def steps(self, folder: str, wanted: Sequence[Board], *, folder_is_new: bool) -> Iterator[Step]:
        """Yield what each board of a folder needs."""
        titles = {} if folder_is_new else self._titles_of(folder)
        for board in wanted:
            uid, title = str(board["uid"]), str(board["title"])
            try:
                yield self._step(board, uid, title, folder, titles)
            except GrafanaForm:
                # Saved in an editor that writes boards down otherwise: by whom, but a person?
                yield Step(Action.KEPT, Kind.BOARD, uid, title, Why.EDITED)

    def _step(self, board: Board, uid: str, title: str, folder: str, titles: Mapping[str, str]) -> Step:
        present = self._present(uid)
        if present is not None:
            return self._renewed(present, board, title)
        stranger = next((other for other, name in titles.items() if name == title and other != uid), None)
        if stranger is not None and stranger not in self._ours:
            return Step(Action.KEPT, Kind.BOARD, uid, title, Why.SAME_TITLE)
        return Step(Action.MAKE, Kind.BOARD, uid, title, run=partial(self._save, board, folder))

    def leftovers(self, wanted: frozenset[str]) -> Iterator[Step]:
        """Yield what becomes of boards that we made once and that are wanted no more."""
        for uid, found in self._ours.items():
            if uid in wanted:
                continue
            try:
                newest, is_ours = self._last_saved(uid)
            except GrafanaForm:
                newest, is_ours = None, True
            if newest is not None:
                yield Step(Action.REMOVE, Kind.BOARD, uid, found.title, run=partial(self._remove, uid))
            elif is_ours:
                yield Step(Action.KEPT, Kind.BOARD, uid, found.title, Why.EDITED)

    def inside(self, folder: str) -> frozenset[str]:
        """Return the uids of all boards in a folder."""
        return frozenset(self._titles_of(folder))

    def _renewed(self, present: _Present, board: Board, title: str) -> Step:
        uid = str(board["uid"])
        newest, is_ours = self._last_saved(uid)
        if newest == digest(board):
            return Step(Action.SAME, Kind.BOARD, uid, title)
        if newest is None and not (is_ours and self._replace_edited):
            return Step(Action.KEPT, Kind.BOARD, uid, title, Why.EDITED if is_ours else Why.FOREIGN)
        seen = {**present.dashboard, "id": None}
        diff = between({key: seen.get(key) for key in board}, board)
        # Where a person moved it, it stays.
        run = partial(self._save, board, present.meta.folder, present.dashboard.get("version"))
        return Step(Action.CHANGE, Kind.BOARD, uid, title, diff=diff, run=run)

    def _save(self, board: Board, folder: str, version: object = None) -> None:
        """Save a version; one that a person saved since we looked is not overwritten."""
        command = {
            "dashboard": board if version is None else {**board, "version": version},
            "folderUid": folder,
            "message": f"{MARK} {digest(board)}",
            "overwrite": False,
        }
        grafana = self._grafana
        save = grafana.api.dashboard.update_dashboard
        grafana.call(f"saving board {board['uid']}", dict[str, object], save, command)

    def _remove(self, uid: str) -> None:
        grafana = self._grafana
        grafana.find(f"removing board {uid}", object, grafana.api.dashboard.delete_dashboard, uid)

    def _present(self, uid: str) -> _Present | None:
        grafana = self._grafana
        return grafana.find(f"reading board {uid}", _Present, grafana.api.dashboard.get_dashboard, uid)

    def _last_saved(self, uid: str) -> tuple[str | None, bool]:
        """Return the digest of what was pushed last (``None``: a person saved another), and if we ever pushed it."""
        grafana = self._grafana
        ask = grafana.api.dashboard_versions.get_dashboard_versions_by_uid
        what = f"reading the versions of board {uid}"
        answer = grafana.call(what, object, ask, uid)
        # Grafana 10 answers a list; from 11 on it stands in a field.
        told = answer.get("versions") if isinstance(answer, dict) else answer
        versions = grafana.formed(what, list[_Version], told)
        marks = {version.version: _MESSAGE.fullmatch(version.message) for version in versions}
        ours = [version for version, mark in marks.items() if mark]
        if not ours:
            return None, False
        last, newest = max(ours), max(marks)
        is_as_pushed = last == newest or self._says_the_same(uid, last, newest)
        mark = marks[last]
        return (mark["digest"] if mark and is_as_pushed else None), True

    def _says_the_same(self, uid: str, one: int, other: int) -> bool:
        grafana = self._grafana
        ask = grafana.api.dashboard_versions.get_dashboard_version_by_uid
        contents = [
            grafana.find(f"reading version {number} of board {uid}", _Content, ask, uid, number)
            for number in (one, other)
        ]
        first, second = (None if content is None else content.meant for content in contents)
        return first is not None and first == second

    def _titles_of(self, folder: str) -> dict[str, str]:
        if folder not in self._titles:
            found = self._search(folderUIDs=folder)
            self._titles[folder] = {each.uid: each.title for each in found}
        return self._titles[folder]

    def _search(self, **criteria: str) -> Iterator[_Found]:
        grafana, page = self._grafana, 1
        while True:
            query = urlencode({**criteria, "type": "dash-db", "limit": _PAGE, "page": page})
            found = grafana.call("searching boards", list[_Found], grafana.api.client.GET, f"/search?{query}")
            yield from found
            if len(found) < _PAGE:
                return
            page += 1

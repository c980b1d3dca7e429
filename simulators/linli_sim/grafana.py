"""A Grafana that keeps what it is told, in memory: folders, teams, permissions, data sources, boards with versions.

It is none: given Grafana's published description (:mod:`linli_sim.grafana_api`) it refuses whatever that does not have,
as a mock server made of it does, and holds its own answers against it. And it keeps the rules that no description
tells and ``linli-boards push`` leans on (who may what, which version a save may replace, that secrets never come back),
so that a test sees what became of an organisation, and every request.
"""

import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from linli_sim.grafana_api import Description

Json = dict[str, object]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        method: ``GET``, …
        path: Below ``/api``.
        query: The query's values.
        body: The JSON; nothing if there was none.
    """

    method: str
    path: str
    query: dict[str, list[str]]
    body: object


class _Refusal(Exception):
    def __init__(self, code: HTTPStatus, message: str, **more: object) -> None:
        super().__init__(message)
        self.code = code
        self.body = {"message": message, **more}


@dataclass(slots=True)
class Organisation:
    """What an organisation holds; a test reads and changes it as people would.

    Attributes:
        release: Grafana's.
        roles: Role of each token.
        folders, permissions, teams, sources, contacts, accounts: By uid or id.
        parents: The folder that a folder is in.
        policies: To whom alarms go, as a tree.
        versions: Every version of each board: folder, JSON, message.
        measurements: What the data sources find at their server.
        unreachable: Data sources that do not reach their server.
        failing: Paths at which everything fails.
        refused: Requests (method, path) that the token's role is not enough for.
        rules: How many alert rules there are in each folder.
        in_new_form: Boards that somebody saved in an editor whose form the older API does not show.
        expired: Tokens of accounts (account, token) whose time is over.
        asked: All requests.
        description: What requests and answers are held against; nothing if it is not here.
        complaints: What of them it does not have.
    """

    release: str = "12.2.0"
    roles: dict[str, str] = field(default_factory=lambda: {"admin-token": "Admin", "viewer-token": "Viewer"})
    folders: dict[str, str] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    permissions: dict[str, list[Json]] = field(default_factory=dict)
    teams: dict[int, Json] = field(default_factory=dict)
    sources: dict[str, Json] = field(default_factory=dict)
    contacts: dict[str, Json] = field(default_factory=dict)
    policies: Json = field(default_factory=lambda: {"receiver": "grafana-default-email"})
    accounts: dict[int, Json] = field(default_factory=dict)
    versions: dict[str, list[tuple[str, Json, str]]] = field(default_factory=dict)
    measurements: int = 3
    unreachable: dict[str, str] = field(default_factory=dict)
    failing: frozenset[str] = frozenset()
    refused: frozenset[tuple[str, str]] = frozenset()
    rules: dict[str, int] = field(default_factory=dict)
    in_new_form: set[str] = field(default_factory=set)
    expired: set[tuple[int, int]] = field(default_factory=set)
    asked: list[Asked] = field(default_factory=list)
    description: Description | None = field(default=None, repr=False)
    complaints: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def save_by_hand(self, uid: str, message: str = "", **changes: object) -> None:
        """Save a version of a board as a person does."""
        folder, board, _ = self.versions[uid][-1]
        self.versions[uid].append((folder, {**board, **changes}, message))

    def move_by_hand(self, uid: str, folder: str) -> None:
        """Move a board as Grafana's page does: what it reads it saves elsewhere, as a version that says nothing."""
        versions = self.versions[uid]
        versions.append((folder, {**versions[-1][1], "id": 7, "version": len(versions)}, ""))

    def boards(self, folder: str | None = None) -> dict[str, str]:
        """Return the titles of boards by uid, of one folder or of all."""
        newest = {uid: versions[-1] for uid, versions in self.versions.items()}
        return {uid: str(board["title"]) for uid, (place, board, _) in newest.items() if folder in (None, place)}

    def writes(self) -> list[Asked]:
        """Return the requests that would change something."""
        return [asked for asked in self.asked if asked.method != "GET"]


_Handler = Callable[[Organisation, Asked, re.Match[str]], object]
_ROUTES: list[tuple[str, re.Pattern[str], str, _Handler]] = []
_NOBODY, _VIEWER, _ADMIN = "", "Viewer", "Admin"


def _route(method: str, pattern: str, role: str = _ADMIN) -> Callable[[_Handler], _Handler]:
    def register(handler: _Handler) -> _Handler:
        _ROUTES.append((method, re.compile(pattern), role, handler))
        return handler

    return register


def answer(organisation: Organisation, token: str, asked: Asked) -> tuple[HTTPStatus, object]:
    """Return what Grafana answers to a request."""
    for method, pattern, role, handler in _ROUTES:
        match = pattern.fullmatch(asked.path)
        if method != asked.method or match is None:
            continue
        if (refused := _refused(organisation, token, role, asked)) is not None:
            return refused
        try:
            with organisation.lock:
                told = handler(organisation, asked, match)
        except _Refusal as exc:
            return exc.code, exc.body
        if organisation.description is not None:
            organisation.complaints += organisation.description.judge_answer(asked.method, asked.path, told)
        return HTTPStatus.OK, told
    return HTTPStatus.NOT_FOUND, "404 page not found"


def _refused(organisation: Organisation, token: str, role: str, asked: Asked) -> tuple[HTTPStatus, object] | None:
    given = organisation.roles.get(token)
    if role and given is None:
        return HTTPStatus.UNAUTHORIZED, {"message": "Invalid API key"}
    if role == _ADMIN and given != _ADMIN:
        return HTTPStatus.FORBIDDEN, {"message": "You'll need additional permissions to perform this action."}
    if (asked.method, asked.path) in organisation.refused:
        message = "You'll need additional permissions to perform this action. Permissions needed: some:thing"
        return HTTPStatus.FORBIDDEN, {"message": message}
    if asked.path in organisation.failing:
        return HTTPStatus.INTERNAL_SERVER_ERROR, {"message": "database is locked"}
    if organisation.description is None:
        return None
    found = list(organisation.description.judge(asked.method, asked.path, asked.query, asked.body))
    organisation.complaints += found
    return (HTTPStatus.BAD_REQUEST, {"message": "; ".join(found)}) if found else None


def _body(asked: Asked) -> Json:
    if not isinstance(asked.body, dict):
        raise _Refusal(HTTPStatus.BAD_REQUEST, "bad request data")
    return asked.body


def _absent(what: str) -> _Refusal:
    return _Refusal(HTTPStatus.NOT_FOUND, f"{what} not found")


@_route("GET", "/health", _NOBODY)
def _health(org: Organisation, _asked: Asked, _match: re.Match[str]) -> object:
    return {"database": "ok", "version": org.release, "commit": "0"}


@_route("GET", "/folders", _VIEWER)
def _folders(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    within = asked.query.get("parentUid", [""])[0]
    size, page = int(asked.query.get("limit", ["1000"])[0]), int(asked.query.get("page", ["1"])[0])
    found = [each for uid in org.folders if (each := _as_folder(org, uid)).get("parentUid", "") == within]
    return found[(page - 1) * size : page * size]


@_route("GET", "/folders/([^/]+)/counts", _VIEWER)
def _counts(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    folders = sum(parent == match[1] for parent in org.parents.values())
    rules = org.rules.get(match[1], 0)
    return {"alertrule": rules, "dashboard": len(org.boards(match[1])), "folder": folders, "librarypanel": 0}


def _as_folder(org: Organisation, uid: str) -> Json:
    parent: Json = {"parentUid": org.parents[uid]} if uid in org.parents else {}
    return {"id": 1, "uid": uid, "title": org.folders[uid]} | parent


@_route("GET", "/folders/([^/]+)", _VIEWER)
def _one_folder(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if match[1] not in org.folders:
        raise _absent("folder")
    return _as_folder(org, match[1])


@_route("POST", "/folders")
def _make_folder(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    body = _body(asked)
    uid, title = str(body["uid"]), str(body["title"])
    if uid in org.folders:
        raise _Refusal(HTTPStatus.CONFLICT, "a folder with that UID already exists")
    org.folders[uid] = title
    org.permissions[uid] = [{"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2}]
    return {"uid": uid, "title": title}


@_route("PUT", "/folders/([^/]+)")
def _change_folder(org: Organisation, asked: Asked, match: re.Match[str]) -> object:
    if match[1] not in org.folders:
        raise _absent("folder")
    org.folders[match[1]] = str(_body(asked)["title"])
    return {"uid": match[1], "title": org.folders[match[1]]}


@_route("DELETE", "/folders/([^/]+)")
def _remove_folder(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if org.folders.pop(match[1], None) is None:
        raise _absent("folder")
    for uid in org.boards(match[1]):
        del org.versions[uid]
    return {"title": match[1]}


@_route("GET", "/folders/([^/]+)/permissions")
def _granted(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if match[1] not in org.folders:
        raise _absent("folder")
    blank = {"uid": match[1], "teamId": 0, "userId": 0, "inherited": False}
    return [blank | grant for grant in org.permissions[match[1]]]


@_route("POST", "/folders/([^/]+)/permissions")
def _grant(org: Organisation, asked: Asked, match: re.Match[str]) -> object:
    items = _body(asked)["items"]
    assert isinstance(items, list)
    for item in items:
        if "teamId" in item and item["teamId"] not in org.teams:
            raise _Refusal(HTTPStatus.BAD_REQUEST, "team not found")
    org.permissions[match[1]] = items
    return {"message": "Folder permissions updated"}


@_route("GET", "/teams/search", _VIEWER)
def _teams(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    size, page = int(asked.query.get("perpage", ["1000"])[0]), int(asked.query.get("page", ["1"])[0])
    teams = [{"id": number, "memberCount": 0, **team} for number, team in org.teams.items()]
    return {"totalCount": len(teams), "teams": teams[(page - 1) * size : page * size], "page": page, "perPage": size}


@_route("POST", "/teams")
def _make_team(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    body = _body(asked)
    if any(team["name"] == body["name"] for team in org.teams.values()):
        raise _Refusal(HTTPStatus.CONFLICT, "Team name taken")
    number = max(org.teams, default=0) + 1
    org.teams[number] = body
    return {"message": "Team created", "teamId": number}


@_route("PUT", r"/teams/(\d+)")
def _change_team(org: Organisation, asked: Asked, match: re.Match[str]) -> object:
    org.teams[int(match[1])] |= _body(asked)
    return {"message": "Team updated"}


@_route("DELETE", r"/teams/(\d+)")
def _remove_team(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if org.teams.pop(int(match[1]), None) is None:
        raise _absent("Team")
    return {"message": "Team deleted"}


def _shown(source: Json) -> Json:
    return {key: value for key, value in source.items() if key != "secureJsonData"}


@_route("GET", "/datasources")
def _sources(org: Organisation, _asked: Asked, _match: re.Match[str]) -> object:
    return [_shown(source) for source in org.sources.values()]


@_route("POST", "/datasources")
def _make_source(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    body = _body(asked)
    if any(body[key] == other[key] for other in org.sources.values() for key in ("uid", "name")):
        raise _Refusal(HTTPStatus.CONFLICT, "data source with the same name already exists")
    org.sources[str(body["uid"])] = body
    return {"message": "Datasource added", "datasource": _shown(body)}


@_route("PUT", "/datasources/uid/([^/]+)")
def _change_source(org: Organisation, asked: Asked, match: re.Match[str]) -> object:
    if match[1] not in org.sources:
        raise _absent("Data source")
    org.sources[match[1]] = _body(asked)
    return {"message": "Datasource updated"}


@_route("DELETE", "/datasources/uid/([^/]+)")
def _remove_source(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if org.sources.pop(match[1], None) is None:
        raise _absent("Data source")
    return {"message": "Data source deleted"}


@_route("GET", "/datasources/uid/([^/]+)/health", _VIEWER)
def _source_health(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if match[1] not in org.sources:
        raise _absent("Data source")
    if match[1] in org.unreachable:
        raise _Refusal(HTTPStatus.BAD_REQUEST, org.unreachable[match[1]], status="ERROR")
    return {"message": f"datasource is working. {org.measurements} measurements found"}


@_route("GET", "/v1/provisioning/contact-points")
def _contacts(org: Organisation, _asked: Asked, _match: re.Match[str]) -> object:
    shown = []
    for contact in org.contacts.values():
        settings = contact["settings"]
        assert isinstance(settings, dict)
        hidden = {key: "[REDACTED]" for key in settings if key == "authorization_credentials"}
        shown.append({**contact, "settings": settings | hidden, "disableResolveMessage": False})
    return shown


@_route("POST", "/v1/provisioning/contact-points")
def _make_contact(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    body = _body(asked)
    if body["uid"] in org.contacts:
        raise _Refusal(HTTPStatus.BAD_REQUEST, "a contact point of this uid is there")
    org.contacts[str(body["uid"])] = body
    return body


@_route("PUT", "/v1/provisioning/contact-points/([^/]+)")
def _change_contact(org: Organisation, asked: Asked, match: re.Match[str]) -> object:
    if match[1] not in org.contacts:
        raise _absent("contact point")
    org.contacts[match[1]] = _body(asked)
    return {"message": "contactpoint updated"}


@_route("DELETE", "/v1/provisioning/contact-points/([^/]+)")
def _remove_contact(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if org.contacts.pop(match[1], None) is None:
        raise _absent("contact point")
    return {"message": "contactpoint deleted"}


@_route("GET", "/v1/provisioning/policies")
def _policies(org: Organisation, _asked: Asked, _match: re.Match[str]) -> object:
    return org.policies


@_route("GET", "/search", _VIEWER)
def _search(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    tag, folder = asked.query.get("tag", [""])[0], asked.query.get("folderUIDs", [""])[0]
    size, page = int(asked.query.get("limit", ["1000"])[0]), int(asked.query.get("page", ["1"])[0])
    found: list[Json] = []
    for uid, versions in org.versions.items():
        place, board, _ = versions[-1]
        tags = board.get("tags", [])
        assert isinstance(tags, list)
        if (not tag or tag in tags) and folder in ("", place):
            found.append({"uid": uid, "title": board["title"], "type": "dash-db", "folderUid": place, "tags": tags})
    return found[(page - 1) * size : page * size]


@_route("GET", "/dashboards/uid/([^/]+)", _VIEWER)
def _board(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if match[1] not in org.versions:
        raise _absent("Dashboard")
    if match[1] in org.in_new_form:
        message = "dashboard api version not supported, use /apis/dashboard.grafana.app/v2beta1 instead"
        raise _Refusal(HTTPStatus.NOT_ACCEPTABLE, message)
    versions = org.versions[match[1]]
    folder, board, _ = versions[-1]
    return {"meta": {"folderUid": folder}, "dashboard": {**board, "id": 7, "version": len(versions)}}


@_route("POST", "/dashboards/db")
def _save_board(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    command = _body(asked)
    board, folder = command["dashboard"], str(command.get("folderUid", ""))
    assert isinstance(board, dict)
    if folder and folder not in org.folders:
        raise _absent("folder")
    uid, title = str(board["uid"]), board["title"]
    if any(name == title and other != uid for other, name in org.boards(folder).items()):
        message = "A dashboard with the same name in the folder already exists"
        raise _Refusal(HTTPStatus.PRECONDITION_FAILED, message, status="name-exists")
    versions = org.versions.get(uid, [])
    if versions and not command.get("overwrite") and board.get("version") != len(versions):
        message = "The dashboard has been changed by someone else"
        raise _Refusal(HTTPStatus.PRECONDITION_FAILED, message, status="version-mismatch")
    org.versions.setdefault(uid, []).append((folder, board, str(command.get("message", ""))))
    return {"status": "success", "uid": uid, "version": len(org.versions[uid]), "id": 7}


@_route("DELETE", "/dashboards/uid/([^/]+)")
def _remove_board(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if org.versions.pop(match[1], None) is None:
        raise _absent("Dashboard")
    return {"title": match[1], "message": "Dashboard deleted"}


@_route("GET", "/dashboards/uid/([^/]+)/versions")
def _board_versions(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if match[1] not in org.versions:
        raise _absent("Dashboard")
    told = [{"version": number, "message": each[2]} for number, each in enumerate(org.versions[match[1]], 1)]
    told.reverse()
    # Grafana 10 answers a list; from 11 on it stands in a field.
    return told if org.release.startswith("10.") else {"continueToken": "", "versions": told}


@_route("GET", "/dashboards/uid/([^/]+)/versions/([0-9]+)")
def _board_version(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    versions, number = org.versions.get(match[1], []), int(match[2])
    if not 0 < number <= len(versions):
        raise _absent("Dashboard version")
    _, board, message = versions[number - 1]
    return {"version": number, "message": message, "data": {**board, "id": 7, "version": number}}


@_route("GET", "/serviceaccounts/search")
def _accounts(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    query = asked.query.get("query", [""])[0]
    found = [
        {"id": number, "name": each["name"], "role": each["role"], "isDisabled": each["isDisabled"]}
        for number, each in org.accounts.items()
        if query in str(each["name"])
    ]
    return {"totalCount": len(found), "serviceAccounts": found, "page": 1, "perPage": 100}


@_route("POST", "/serviceaccounts/?")
def _make_account(org: Organisation, asked: Asked, _match: re.Match[str]) -> object:
    number = max(org.accounts, default=0) + 1
    org.accounts[number] = {**_body(asked), "keys": {}}
    return {"id": number, "name": org.accounts[number]["name"]}


def _keys(org: Organisation, number: str) -> dict[int, str]:
    keys = org.accounts[int(number)]["keys"]
    assert isinstance(keys, dict)
    return keys


@_route("GET", r"/serviceaccounts/(\d+)/tokens")
def _account_tokens(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    return [
        {"id": number, "name": name, "hasExpired": (int(match[1]), number) in org.expired}
        for number, name in _keys(org, match[1]).items()
    ]


@_route("POST", r"/serviceaccounts/(\d+)/tokens")
def _make_account_token(org: Organisation, asked: Asked, match: re.Match[str]) -> object:
    keys, name = _keys(org, match[1]), str(_body(asked)["name"])
    if name in keys.values():
        raise _Refusal(HTTPStatus.CONFLICT, "service account token with given name already exists")
    number = max(keys, default=0) + 1
    keys[number] = name
    key = f"glsa_{secrets.token_hex(8)}"
    org.roles[key] = str(org.accounts[int(match[1])]["role"])
    return {"id": number, "name": name, "key": key}


@_route("DELETE", r"/serviceaccounts/(\d+)/tokens/(\d+)")
def _remove_account_token(org: Organisation, _asked: Asked, match: re.Match[str]) -> object:
    if _keys(org, match[1]).pop(int(match[2]), None) is None:
        raise _absent("token")
    return {"message": "Service account token deleted"}


@contextmanager
def serving(organisation: Organisation) -> Iterator[str]:
    """Serve an organisation on a free port of this machine; yields Grafana's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # head and body in one packet: the second would wait for the first to be acknowledged

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            """Answer a request, whatever its method."""
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(raw) if raw.startswith((b"{", b"[")) else None
            path = parts.path.removeprefix("/api")
            asked = Asked(self.command, path, parse_qs(parts.query), body)
            organisation.asked.append(asked)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, told = answer(organisation, token, asked)
            content = told.encode() if isinstance(told, str) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(told, str) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the server's names

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="grafana")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""What is to be in Grafana: whom the boards are for, and the boards themselves, once for each."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_core.model import is_id
from linli_core.settings import parse_toml
from linli_dashboards.grafana.secret import read_secret

ROOT: Final = "linli"
"""Folder and data source of an organisation have this uid; those of one community begin with it."""
TAG: Final = "linli"
MARK: Final = "linli-boards"
"""How what we made is known again: in a data source's settings and the message of a board's version."""

_LONGEST: Final = 40
"""A uid's longest, in Grafana."""

Board = dict[str, object]


@dataclass(frozen=True, slots=True)
class Community:
    """Whom a set of boards is for.

    Attributes:
        area: The area's id at the platform; empty: all that the organisation's token sees.
        title: What people call it.
        token: The platform's token for it; empty where the platform asks for none.
        alarms_token: The token that alarms of Grafana's own rules go to the platform with; empty: they stay there.
    """

    area: str
    title: str
    token: str = field(repr=False, default="")
    alarms_token: str = field(repr=False, default="")

    @property
    def uid(self) -> str:
        """Of its folder and data source."""
        return short_uid(ROOT, self.area)

    @property
    def team(self) -> str:
        """Mark of its team, where Grafana keeps an address: one of a domain that never is (RFC 2606, section 2)."""
        return f"{self.uid}@boards.invalid"


class _Community(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    area: str
    title: str
    token: str
    alarms_token: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    communities: tuple[_Community, ...] = ()


def short_uid(root: str, area: str) -> str:
    """Return a uid of a thing of one area: readable where it fits, else cut, with a digest of what was cut."""
    whole = f"{root}-{area}" if area else root
    if len(whole) <= _LONGEST:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:10]
    return f"{whole[: _LONGEST - 11]}-{digest}"


def read_communities(path: Path, environment: Mapping[str, str]) -> tuple[Community, ...]:
    """Return the communities of a file, their tokens read.

    Raises:
        ConfigError: It cannot be used.
    """
    where = str(path)
    try:
        table = parse_toml(path.read_text(encoding="utf-8"), where)
        entries = msgspec.convert(table, _File).communities
    except (OSError, UnicodeDecodeError) as exc:
        found = f"cannot be read ({getattr(exc, 'strerror', None) or 'no UTF-8'})"
        raise ConfigError(where, found, "check the path and its permissions") from exc
    except msgspec.ValidationError as exc:
        remedy = "each [[communities]] has area, title and token (a file, or env:NAME)"
        raise ConfigError(where, str(exc), remedy) from exc
    seen: set[str] = set()
    titles: dict[str, str] = {}
    tokens: dict[str, str] = {}
    communities = []
    for number, entry in enumerate(entries):
        place = f"{where}: communities[{number}]"
        if not is_id(entry.area) or entry.area in seen:
            found = "stands twice" if entry.area in seen else "is no id"
            raise ConfigError(f"{place}.area", f"{entry.area[:80]!r} {found}", "use the area's id, once")
        if not entry.title.strip():
            raise ConfigError(f"{place}.title", "is empty", "write what people call it")
        if (other := titles.setdefault(entry.title.strip().casefold(), entry.area)) != entry.area:
            found = f"is what {other} is called too; Grafana takes no two teams and data sources of one name"
            raise ConfigError(f"{place}.title", found, "tell them apart by a street or a number")
        secret = read_secret(entry.token, f"{place}.token", environment)
        alarms = read_secret(entry.alarms_token, f"{place}.alarms_token", environment) if entry.alarms_token else ""
        for key, each in (("token", secret), ("alarms_token", alarms)):
            if each and tokens.setdefault(each, entry.area) != entry.area:
                found = f"is the token of {tokens[each]} too, so one would see the other"
                raise ConfigError(f"{place}.{key}", found, "make one each: linli-platform token NAME")
        seen.add(entry.area)
        communities.append(Community(entry.area, entry.title.strip(), secret, alarms))
    if not communities:
        raise ConfigError(where, "names no community", "write [[communities]], or leave --communities out")
    return tuple(communities)


def read_boards(folder: Path) -> tuple[Board, ...]:
    """Return the boards of one language, by the names of their files.

    Raises:
        ConfigError: There are none, or one is no board.
    """
    remedy = "make them: linli-boards build"
    boards: list[Board] = []
    uids: set[str] = set()
    for path in sorted(folder.glob("*.json")):
        try:
            board = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise ConfigError(str(path), "is no JSON that can be read", remedy) from exc
        uid = board.get("uid") if isinstance(board, dict) else None
        if not isinstance(uid, str) or not re.fullmatch(r"[a-z0-9-]{1,40}", uid) or not board.get("title"):
            raise ConfigError(str(path), "is no board with uid and title", remedy)
        if uid in uids:
            raise ConfigError(str(path), f"the uid {uid} stands in another file too", remedy)
        uids.add(uid)
        boards.append(board)
    if not boards:
        raise ConfigError(str(folder), "holds no boards", remedy)
    return tuple(boards)


def copies(boards: Sequence[Board], community: Community) -> tuple[Board, ...]:
    """Return the boards as a community has them: uids of its own, its data source, links that stay within them."""
    uids = {str(board["uid"]): short_uid(str(board["uid"]), community.area) for board in boards}
    return tuple(_copy(board, uids, community) for board in boards)


def _copy(board: Board, uids: Mapping[str, str], community: Community) -> Board:
    copied = _rewritten(board, uids, community)
    assert isinstance(copied, dict)
    tags = [tag for tag in copied.get("tags") or [] if tag != TAG]
    return {**copied, "id": None, "uid": uids[str(board["uid"])], "tags": [TAG, *tags]}


_LINK: Final = re.compile(r"(?<=/d/)[a-z0-9-]{1,40}")


def _rewritten(node: object, uids: Mapping[str, str], community: Community) -> object:
    if isinstance(node, dict):
        if node.get("type") == "influxdb" and node.get("uid") == ROOT:
            return {**node, "uid": community.uid}
        # A list of boards is made by tag: each community's lists its own.
        return {
            key: [_tag(tag, community) for tag in value]
            if key == "tags" and isinstance(value, list)
            else _rewritten(value, uids, community)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_rewritten(value, uids, community) for value in node]
    if isinstance(node, str) and "/d/" in node:
        return _LINK.sub(lambda link: uids.get(link[0], link[0]), node)
    return node


def _tag(tag: object, community: Community) -> object:
    is_ours = isinstance(tag, str) and tag.startswith(f"{TAG}-")
    return f"{tag}-{community.area}" if is_ours and community.area else tag


def digest(board: Board) -> str:
    """Return what tells two states of a board apart."""
    return hashlib.sha256(json.dumps(board, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def folder_title(community: Community, lang: Language) -> str:
    """Return what its folder is called."""
    return text("boards.folder", lang, community=community.title) if community.area else text("boards.root", lang)

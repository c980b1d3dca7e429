"""The name, configuration and keys of a board: written, read back by their digests, and taken over all at once.

Or written into one file, which a phone gives to the page that a board shows at its first start.

What a board had under another name (its log, its counts) does not go to the gateway under the new one: it is wiped.
"""

import hashlib
import json
from typing import Final

from linli_edge.nodes.given import GivenNames
from linli_edge.nodes.keys import Identity
from linli_edge.nodes.serial_board import Facts, SerialBoard
from linli_edge.nodes.shared import ON_BOARD, SharedKeys
from linli_edge.nodes.trouble import BoardTrouble

CONFIGURATION: Final = "/node.json"
KEYS_FOLDER: Final = "/keys"
_PROGRAM: Final = ("/main.py", "/a/manifest")
_SHARED: Final = f"{KEYS_FOLDER}/{ON_BOARD}"
_OWN: Final = ("node.json", "node.json.new", "node.checked", "last_error")

_NAME: Final = """
_w.feed()
import json
try:
    with open("/node.json") as _f:
        print(repr(json.load(_f).get("node", "?")))
except OSError:
    print("''")
except (ValueError, AttributeError):
    print("'?'")
"""
# What is kept on flash lies in folders of numbered files, or on partitions of its own where the firmware has them.
_WIPE: Final = """
_w.feed()
for _n in os.listdir("/"):
    try:
        _ours = all(_m.isdigit() for _m in os.listdir("/" + _n))
    except OSError:
        _ours = False
    if _ours or _n in {own!r}:
        _remove("/" + _n)
        _w.feed()
try:
    import esp32
    for _p in esp32.Partition.find(esp32.Partition.TYPE_DATA):
        if _p.info()[4].startswith("linli-"):
            for _b in range(_p.ioctl(4, 0)):
                _p.ioctl(6, _b)
                _w.feed()
except ImportError:
    pass
"""


def name_of(board: SerialBoard) -> str:
    """Return the name that a board has; empty if it has none, ``?`` if its configuration cannot be read."""
    return str(board.ask(_NAME))


def provision(
    board: SerialBoard,
    node: str,
    configuration: bytes,
    identity: Identity,
    update_key: bytes,
    given: GivenNames,
    shared: SharedKeys | None = None,
    *,
    replace: bool = False,
) -> str:
    """Make a board a node, and return the digest of the configuration that it holds now.

    Args:
        board: A board that was flashed.
        node: Its name.
        configuration: As the board keeps it.
        identity: What it shows the broker.
        update_key: The public key of whoever signs its updates.
        given: Which names are given already.
        shared: Where shared keys are kept: a node on a battery is given one, if its board can use it.
        replace: It may have had another name, and the name may have been another board's.

    Raises:
        BoardTrouble: It was not flashed, it has another name or another board has this one, or it is gone.
    """
    there = board.digests([*_PROGRAM, _SHARED])
    if not all(there[path] for path in _PROGRAM):
        raise BoardTrouble("not_flashed", board.port)
    held, uid = name_of(board), board.facts.uid
    holder = given.board_of(node)
    if not replace and held not in {"", node, "?"}:
        raise BoardTrouble("other_name", board.port, node=held, wanted=node)
    if not replace and holder not in {"", uid}:
        raise BoardTrouble("name_given", board.port, node=node, board=holder)
    # In the broker's file before it is on the board: one that nobody knows would be a wasted attempt each day. And made
    # before the name is this board's: if this is broken off, the next time still knows that the key was another's.
    key = shared_key(shared, node, configuration, fresh=holder not in {"", uid}) if board.facts.shares_keys else b""
    given.give(node, uid, board.facts.kind)
    if held != node:
        wipe(board)
    keys = _keys(identity, update_key, key)
    files = {**{f"{KEYS_FOLDER}/{name}": content for name, content in keys.items()}, CONFIGURATION: configuration}
    for path, content in files.items():
        board.write_beside(path, content)
    board.take_over(*files)
    found = board.digests(files)
    for path, content in files.items():
        if found[path] != hashlib.sha256(content).hexdigest():
            raise BoardTrouble("worn", board.port, path=path)
    if not key and there[_SHARED]:
        board.remove(_SHARED)
    if not key and shared is not None:
        shared.take_off(node)
    return found[CONFIGURATION]


def shared_key(shared: SharedKeys | None, node: str, configuration: bytes, *, fresh: bool) -> bytes:
    """Return the shared key of a node, as its board keeps it; empty for one on mains, or where none are given.

    On mains a certificate costs nothing that matters, and protects what was said before from whoever finds a key later.
    """
    if shared is None or not shared.exists or not _is_on_battery(configuration):
        return b""
    return shared.give(node, fresh=fresh)


def misses_shared_key(shared: SharedKeys, configuration: bytes, facts: Facts) -> bool:
    """Tell whether a board would be given a shared key if its firmware could use one."""
    return shared.exists and _is_on_battery(configuration) and not facts.shares_keys


def _is_on_battery(configuration: bytes) -> bool:
    return bool(json.loads(configuration).get("power") == "battery")


def _keys(identity: Identity, update_key: bytes, shared: bytes) -> dict[str, bytes]:
    """Return what goes into ``/keys`` of a board, by its names there."""
    own = {"ca.der": identity.authority, "node.der": identity.certificate, "node.key": identity.key}
    return {**own, **({ON_BOARD: shared} if shared else {}), "update.pub": update_key}


def bundle(configuration: bytes, identity: Identity, update_key: bytes, shared: bytes = b"") -> bytes:
    """Return the same as one text, as the page of a board's first start takes it (``linli_node.first_page``)."""
    keys = {name: content.hex() for name, content in _keys(identity, update_key, shared).items()}
    return json.dumps({**json.loads(configuration), "keys": keys}, ensure_ascii=False).encode()


def wipe(board: SerialBoard) -> None:
    """Take name, log and counts off a board; its program and its keys stay."""
    board.run(_WIPE.replace("{own!r}", repr(_OWN)), limit_s=120)

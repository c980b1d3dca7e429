"""What there is to say of a gateway's nodes in its own basement, without a network: who calls, whose battery is low.

Read from the file that the gateway keeps (``marks``), which it writes before a node is answered: it need not even run.
"""

from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_core.instant import SECOND
from linli_edge.config.units import show_duration
from linli_edge.listing import listing
from linli_edge.nodes.marks import FILE, Kept
from linli_edge.nodes.receiver import NOT_YET, NodeMark

_HEADS: Final = ("node", "every", "state")


def read_standing(data: Path) -> dict[str, NodeMark]:
    """Return what a gateway knows of its nodes, by their names.

    Raises:
        ConfigError: There is no such file, or it cannot be read.
    """
    path = data / FILE
    try:
        return dict(sorted(msgspec.json.decode(path.read_bytes(), type=Kept).nodes.items()))
    except PermissionError as exc:
        raise ConfigError(str(path), "may not be read", "run this as the gateway's user, or with sudo") from exc
    except FileNotFoundError as exc:
        remedy = "give the gateway's data folder; the file is there once a node has said something"
        raise ConfigError(str(path), "is not there", remedy) from exc
    except (OSError, msgspec.MsgspecError) as exc:
        raise ConfigError(str(path), f"cannot be read: {exc}", "start the gateway: it writes it anew") from exc


def told(nodes: dict[str, NodeMark], data: Path, lang: Language) -> list[str]:
    """Return it as lines: whoever calls first, with what to answer; then all of them."""
    calling = {node: mark.call for node, mark in nodes.items() if mark.call is not None and not mark.call.heard}
    lines = []
    for node, call in calling.items():
        # The time of its first record, where that has come.
        known = 0 < call.since < NOT_YET
        at = f"{datetime.fromtimestamp(call.since / SECOND).astimezone():%m-%d %H:%M}" if known else "?"
        lines.append(text("node.list.calls", lang, node=node, at=at, data=data))
    rows = [(node, _every(mark), _state(mark, lang, is_calling=node in calling)) for node, mark in nodes.items()]
    heads = [text(f"node.list.{head}", lang) for head in _HEADS]
    return [*lines, listing(heads, rows)] if rows else [text("node.list.none", lang)]


def _every(mark: NodeMark) -> str:
    return show_duration(mark.reads * SECOND) if mark.reads else "?"


def _state(mark: NodeMark, lang: Language, *, is_calling: bool) -> str:
    if is_calling:
        return text("node.list.calling", lang)
    if mark.low:
        return text("reason.saving_power", lang)
    return text("node.list.well" if mark.marks or mark.interval else "node.list.never", lang)

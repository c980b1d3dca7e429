"""What there is to say of a gateway's nodes in its own basement, without a network.

Who calls, whose battery is low, who is silent since when, which sensors fail and why, and what else is wrong.

Read from the file that the gateway keeps (``marks``), which it writes before a node is answered: it need not even run.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_core.instant import SECOND, Instant
from linli_edge.config.units import show_duration
from linli_edge.listing import listing
from linli_edge.nodes.marks import FILE, Kept
from linli_edge.nodes.receiver import NOT_YET, NodeMark, patience
from linli_edge.nodes.report import title

_HEADS: Final = ("node", "every", "heard", "state")


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


def told(nodes: dict[str, NodeMark], data: Path, lang: Language, now: Instant) -> list[str]:
    """Return it as lines: whoever calls first, with what to answer; then all of them; then what is wrong with each."""
    calling = {node: mark.call for node, mark in nodes.items() if mark.call is not None and not mark.call.heard}
    lines = []
    for node, call in calling.items():
        # The time of its first record, where that has come.
        at = _at(call.since) if 0 < call.since < NOT_YET else "?"
        lines.append(text("node.list.calls", lang, node=node, at=at, data=data))
    rows = [
        (
            node,
            _every(mark),
            _at(mark.heard) if mark.heard else "?",
            _state(mark, lang, now, is_calling=node in calling),
        )
        for node, mark in nodes.items()
    ]
    heads = [text(f"node.list.{head}", lang) for head in _HEADS]
    if not rows:
        return [*lines, text("node.list.none", lang)]
    return [*lines, listing(heads, rows), *(line for node, mark in nodes.items() for line in _wrong(node, mark, lang))]


def _at(instant: Instant) -> str:
    return f"{datetime.fromtimestamp(instant / SECOND).astimezone():%m-%d %H:%M}"


def _every(mark: NodeMark) -> str:
    return show_duration(mark.reads * SECOND) if mark.reads else "?"


def _state(mark: NodeMark, lang: Language, now: Instant, *, is_calling: bool) -> str:
    if is_calling:
        return text("node.list.calling", lang)
    if mark.low:
        return text("reason.saving_power", lang)
    if mark.heard and mark.interval and now - mark.heard >= patience(mark):
        return text("node.list.silent", lang)
    return text("node.list.well" if mark.marks or mark.interval else "node.list.never", lang)


def _wrong(node: str, mark: NodeMark, lang: Language) -> Iterator[str]:
    """Yield what is wrong with a node, and what to do."""
    for kind, trouble in mark.troubles.items():
        what = text(f"node.list.trouble.{kind}", lang)
        yield text("node.list.troubled", lang, node=node, at=_at(trouble.at), what=what, told=trouble.text)
    for name, reason in mark.missing.items():
        yield text("node.list.missing", lang, node=node, point=title(name, lang), reason=text(f"reason.{reason}", lang))

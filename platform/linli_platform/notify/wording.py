"""What a message says: the most pressing alarms first, in the reader's language, within what the target takes."""

from datetime import tzinfo
from typing import Final, Protocol

from linli_core.catalogue import Language, text
from linli_core.instant import MINUTE, Instant, to_datetime
from linli_platform.notify.rows import Kind, Line, Outgoing

_MAX_TITLE: Final = 120


class Words(Protocol):
    """Says what people call things and values."""

    def where(self, gateway: str, device: str, point: str, lang: Language) -> str:
        """Return a place's name."""

    def value(self, line: Line, lang: Language) -> str:
        """Return the value that raised an alarm with its unit; empty if there is none."""


class Writer:
    """Writes messages."""

    def __init__(self, words: Words, zone: tzinfo, page: str) -> None:
        self._words = words
        self._zone = zone
        self._page = page.rstrip("/")

    def write(self, message: Outgoing, lang: Language, limit: int) -> tuple[str, str]:
        """Return title and text of a message, of so many bytes at most."""
        title = self._title(message, lang)
        tail = self._tail(message, lang)
        room = limit - len(f"{title}\n\n{tail}".encode()) - 100
        blocks: list[str] = []
        for line in message.lines:
            block = self._block(line, lang, whole=message.alarms <= 3)
            room -= len(block.encode()) + 2
            if room < 0 and blocks:
                break
            blocks.append(block if room >= 0 else _cut(block, len(block.encode()) + room))
        if (more := message.alarms - len(blocks)) > 0:
            blocks.append(text("notice.more", lang, count=more))
        return title, "\n\n".join([*blocks, tail])

    def _title(self, message: Outgoing, lang: Language) -> str:
        if message.alarms > 1:
            key = "notice.title_urgent" if message.urgent else "notice.title_many"
            return text(key, lang, count=message.alarms, urgent=message.urgent)
        (line,) = message.lines
        return _cut(self._head(line, lang), 3 * _MAX_TITLE)

    def _head(self, line: Line, lang: Language) -> str:
        key = "resolved" if Kind.RESOLVED in line.kinds else "repeated" if Kind.REPEATED in line.kinds else "raised"
        where = self._words.where(line.gateway, line.device, line.point, lang)
        priority = text(f"priority.{line.priority}", lang)
        return text(f"notice.{key}", lang, priority=priority, title=_said(line.title, lang, line.rule), where=where)

    def _block(self, line: Line, lang: Language, *, whole: bool) -> str:
        since = self._time(line.raised_at)
        facts = [self._words.value(line, lang), text("notice.since", lang, time=since)]
        if line.learnt_at - line.raised_at > MINUTE:
            facts.append(text("notice.learnt", lang, time=self._time(line.learnt_at)))
        if line.returned_at is not None:
            facts.append(text("notice.until", lang, time=self._time(line.returned_at)))
        if line.acknowledged_by:
            facts.append(text("alarm.seen_by", lang, actor=line.acknowledged_by))
        comma = "，" if lang == "zh" else ", "
        lines = [self._head(line, lang), comma.join(filter(None, facts))]
        if whole and Kind.RESOLVED not in line.kinds:
            colon = "：" if lang == "zh" else ": "
            for key, words in (("consequence", line.consequence), ("response", line.response)):
                if said := _said(words, lang, ""):
                    lines.append(f"{text(f'alarm.{key}', lang)}{colon}{said}")
        if self._page:
            lines.append(f"{self._page}/alarms/{line.alarm}")
        return "\n".join(lines)

    def _tail(self, message: Outgoing, lang: Language) -> str:
        tail = text("notice.number", lang, number=message.id)
        if message.doubtful:
            tail = f"{tail} {text('notice.again', lang)}"
        return tail

    def _time(self, instant: Instant) -> str:
        return f"{to_datetime(instant).astimezone(self._zone):%m-%d %H:%M}"


def _said(words: object, lang: Language, otherwise: str) -> str:
    titles = words if isinstance(words, dict) else {}
    return str(titles.get(lang) or next(iter(titles.values()), "") or otherwise)


def _cut(words: str, size: int) -> str:
    """Return a text of so many bytes at most, no character broken."""
    raw = words.encode()
    return words if len(raw) <= size else raw[: max(size - 3, 0)].decode("utf-8", "ignore") + "…"

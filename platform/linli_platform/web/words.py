"""What people call things and values, for messages: as the pages say it."""

from linli_core.catalogue import Language
from linli_platform.notify.rows import Line
from linli_platform.registry import Registry, Titles
from linli_platform.store import Store
from linli_platform.web import show


class PageWords:
    """Says what the pages say; blocks."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store

    def where(self, gateway: str, device: str, point: str, lang: Language) -> str:
        """Return a place's name: gateway, device, point."""
        row = self._registry.gateway(gateway)
        parts = [_title({} if row is None else row.titles, gateway, lang)]
        if device:
            parts.append(_title(self._registry.device_titles(gateway, device), device, lang))
        series = self._store.find(gateway, point) if point else None
        if series is not None:
            parts.append(show.title(series, lang))
        return " › ".join(parts)

    def value(self, line: Line, lang: Language) -> str:
        """Return the value that raised an alarm with its unit; empty if there is none."""
        series = self._store.find(line.gateway, line.point) if line.point else None
        if series is None or (line.value is None and line.text is None):
            return ""
        return f"{show.shown(series, line.value, line.text, lang)} {show.unit_shown(series)}".strip()


def _title(titles: Titles, otherwise: str, lang: Language) -> str:
    return titles.get(lang) or next(iter(titles.values()), "") or otherwise

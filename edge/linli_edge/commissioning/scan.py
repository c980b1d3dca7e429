"""``linli-edge scan``: carries out any protocol's search on a real line, shows how far it is, keeps what it learnt."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec

from linli_core.catalogue import Language, text
from linli_core.errors import LinkClosed, LinkError
from linli_core.instant import SECOND
from linli_edge.commissioning.listen import listen
from linli_edge.commissioning.progress import Progress, bar
from linli_edge.commissioning.scanner import Found, Heard, Hint, Probe, Scanner, Search
from linli_edge.commissioning.state_file import StateFile
from linli_edge.commissioning.target import Target, setting_name
from linli_edge.commissioning.wire_time import show_time
from linli_edge.timekeeping import steady_clock
from linli_edge.transport import Transport
from linli_edge.transport.settings import SerialSettings, TlsSettings, TransportSettings

KEEP_EVERY: Final = 2 * SECOND
"""Microseconds of work that a power cut may cost."""

_REOPENINGS: Final = 5
_REOPEN_PAUSE: Final = 0.4
"""A converter that allows one connection needs a moment to see that the one before is closed."""


class Line:
    """The line of a search, opened in the setting that each probe needs."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._setting: TransportSettings | None = None
        self._transport: Transport | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def ask(self, probe: Probe) -> Heard:
        """Carry out a probe; raise ``LinkError`` where the line does not open or is gone."""
        used = self._transport is not None and self._setting == probe.setting
        heard = await self._ask(probe)
        if heard.closed and not heard.data and used and probe.data:
            # Some converters hang up between two questions: this one was perhaps never asked.
            heard = await self._ask(probe)
        return heard

    async def _ask(self, probe: Probe) -> Heard:
        if self._transport is None or self._setting != probe.setting:
            known = self._setting == probe.setting
            await self._close()
            self._transport = await self._open(probe.setting, _REOPENINGS if known else 1)
            self._setting = probe.setting
        try:
            heard = await listen(self._transport, probe)
        except LinkClosed:
            if isinstance(probe.setting, SerialSettings):
                raise
            heard = Heard(closed=True)
        if heard.closed:
            await self._close()
        return heard

    async def _open(self, setting: TransportSettings, attempts: int) -> Transport:
        while True:
            try:
                return await self._stack.enter_async_context(setting.open())
            except LinkError:
                attempts -= 1
                if not attempts:
                    raise
                await asyncio.sleep(_REOPEN_PAUSE)

    async def _close(self) -> None:
        self._transport = None
        await self._stack.aclose()


@dataclass(frozen=True, slots=True)
class Shell:
    """What a long command does to the world outside.

    Attributes:
        progress: Where it says how far it is.
        kept: Where it keeps what it learnt.
        steady: Microseconds on a steady clock.
        lang: Language.
    """

    progress: Progress
    kept: StateFile
    lang: Language
    steady: Callable[[], int] = steady_clock


async def run_search(
    search: Search, ask: Callable[[Probe], Awaitable[Heard]], shell: Shell, show: Callable[[Found], None]
) -> None:
    """Carry out a search to its end; whatever ends it earlier, its state is kept first.

    Raises:
        LinkError: The line does not open, or is gone.
        asyncio.CancelledError: The person stopped it.
    """
    whole = search.estimate().probes or 1
    kept_at = shell.steady()
    learnt = False
    try:
        while (probe := search.next()) is not None:
            shell.progress.say(_progress(search, probe, whole, shell.lang), shell.steady())
            for found in search.take(await ask(probe)):
                shell.progress.clear()
                show(found)
            learnt = True
            if shell.steady() - kept_at >= KEEP_EVERY:
                shell.kept.save(search.state())
                kept_at = shell.steady()
    except BaseException:
        if learnt:
            shell.kept.save(search.state())
        raise
    finally:
        shell.progress.clear()
    shell.kept.remove()


def _progress(search: Search, probe: Probe, whole: int, lang: Language) -> str:
    left = search.estimate()
    share = bar(whole - left.probes, whole)
    return text("scan.progress", lang, bar=share, label=probe.label, left=show_time(left.time))


def found_lines(found: Found, lang: Language) -> str:
    """Return a device that answered, in lines for a narrow terminal."""
    lines = [
        text("scan.found", lang, setting=setting_name(found.setting), address=found.address, delay=found.delay // 1000)
    ]
    if found.title:
        lines.append(f"  {found.title}")
    if found.profiles:
        key = "scan.several" if len(found.profiles) > 1 else "scan.profiles"
        lines.append(text(key, lang, profiles=", ".join(found.profiles)))
    lines += [f"  {key}: {value}" for key, value in found.facts.items() if value not in found.title]
    return "\n".join(lines)


def announcement(search: Search, target: Target, lang: Language) -> str:
    """Return what will be done and how long it takes, before anything is done."""
    estimate = search.estimate()
    lines = [text("scan.estimate", lang, link=target.name, probes=estimate.probes, time=show_time(estimate.time))]
    lines += [f"  {part}" for part in estimate.parts]
    if estimate.each_found:
        lines.append(text("scan.each_found", lang, time=show_time(estimate.each_found)))
    lines.append(text("scan.stoppable", lang))
    return "\n".join(lines)


def summary(search: Search, scanner: Scanner, target: Target, lang: Language) -> str:
    """Return what a search came to: hints first, then the tables ready for the configuration."""
    found = search.found()
    lines = [text("scan.nothing", lang) if not found else text("scan.count", lang, count=len(found))]
    lines += [f"! {hint_text(hint, lang)}" for hint in _hints(search)]
    if found:
        lines += ["", f"# {text('scan.toml', lang)}", toml(found, scanner, target)]
    return "\n".join(lines)


def _hints(search: Search) -> list[Hint]:
    """Return what the person should know; last what only shows once all settings were tried."""
    at: dict[str, list[TransportSettings]] = {}
    for device in search.found():
        at.setdefault(device.address, []).append(device.setting)
    repeated = {address: settings for address, settings in at.items() if len(set(settings)) > 1}
    hints = list(search.hints())
    if repeated:
        settings = list(dict.fromkeys(setting for each in repeated.values() for setting in each))
        names = {"ids": ", ".join(repeated), "settings": ", ".join(map(setting_name, settings))}
        hints.append(Hint("repeated", settings[0], names))
    return hints


def hint_text(hint: Hint, lang: Language) -> str:
    """Return a hint in words."""
    return text(f"scan.hint.{hint.kind}", lang, setting=setting_name(hint.setting), **hint.values)


def toml(found: Sequence[Found], scanner: Scanner, target: Target) -> str:
    """Return the tables of a configuration that read what was found: one link for each setting that was answered at."""
    settings = list(dict.fromkeys(device.setting for device in found))
    parts = []
    for number, setting in enumerate(settings, start=1):
        link = {"id": f"line-{number}", "driver": scanner.name} | _transport_keys(setting) | dict(scanner.link(target))
        parts.append(_table("[[links]]", link))
        parts += [_device(device) for device in found if device.setting == setting]
    return "\n\n".join(parts)


def _device(device: Found) -> str:
    """Return a device's table; where several profiles fit, a person chooses."""
    title = f"# {device.title}\n" if device.title else ""
    choice = "".join(f'\n# profile = "{name}"' for name in device.profiles) if len(device.profiles) > 1 else ""
    return title + _table("[[links.devices]]", device.device) + choice


def _transport_keys(setting: TransportSettings) -> dict[str, str | int]:
    if isinstance(setting, SerialSettings):
        keys: dict[str, str | int] = {"transport": "serial", "path": setting.path, "baud": setting.baud}
        keys["parity"] = setting.parity
        if setting.data_bits != 8:
            keys["data_bits"] = setting.data_bits
        return keys | ({"stop_bits": setting.stop_bits} if setting.stop_bits != 1 else {})
    where: dict[str, str | int] = {"host": setting.host, "port": setting.port}
    if not isinstance(setting, TlsSettings):
        return where
    files = {"ca": setting.ca, "certificate": setting.certificate, "key": setting.key}
    return {"transport": "tls"} | where | {key: path for key, path in files.items() if path}


def _table(head: str, keys: Mapping[str, str | int]) -> str:
    return "\n".join([head, *(f"{key} = {_toml_value(value)}" for key, value in keys.items())])


def _toml_value(value: str | int) -> str:
    # What a TOML basic string escapes, JSON escapes alike.
    return msgspec.json.encode(value).decode()


def as_json(search: Search, scanner: Scanner, target: Target, lang: Language, *, complete: bool) -> str:
    """Return what a search came to as one JSON object."""
    found = search.found()
    document: dict[str, Any] = {
        "link": target.name,
        "protocol": scanner.name,
        "complete": complete,
        "found": [
            {
                "setting": device.setting.place,
                "address": device.address,
                "delay_ms": round(device.delay / 1000, 1),
                "title": device.title,
                "profiles": list(device.profiles),
                "facts": dict(device.facts),
            }
            for device in found
        ],
        "hints": [
            {"kind": hint.kind, "setting": hint.setting.place, "text": hint_text(hint, lang)} for hint in _hints(search)
        ],
        "toml": toml(found, scanner, target) if found else "",
    }
    return msgspec.json.encode(document).decode()

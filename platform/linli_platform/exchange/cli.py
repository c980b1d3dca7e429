"""``linli-platform export`` and ``import``: readings into files and out of them."""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from datetime import time as time_of_day
from pathlib import Path
from typing import Any, Final

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_core.instant import Instant, from_datetime, from_rfc3339, to_rfc3339
from linli_core.model import is_id
from linli_core.wire.line_protocol import Precision
from linli_platform.clock import wall_clock
from linli_platform.config import Settings
from linli_platform.exchange import Format, exporting, format_of, importing
from linli_platform.exchange.csv_source import CsvSource
from linli_platform.exchange.importing import Imported
from linli_platform.exchange.line_source import LineSource
from linli_platform.exchange.parquet_source import ParquetSource
from linli_platform.exchange.portions import Source
from linli_platform.exchange.sinks import open_sink
from linli_platform.ingest.line_mapping import Rules
from linli_platform.ingest.settings import Limits
from linli_platform.store import Store
from linli_platform.store.engines import store_of
from linli_platform.tokens import load as load_tokens

LEFT_OUT: Final = 1
"""Exit status of an import that left something out."""

_TOLD_EVERY_S: Final = 1.0


def add_arguments(commands: Any, common: Any) -> None:
    """Add the commands to those of ``linli-platform``; ``common`` adds what every command has."""
    out = commands.add_parser(
        "export",
        help="write readings into a file: line protocol, CSV or Parquet",
        description="Write readings into a file, while the platform does not run. What the name ends in says the form: "
        ".lp, .csv or .parquet.",
    )
    out.add_argument("file", type=Path, metavar="FILE")
    out.add_argument(
        "--gateway", action="append", default=[], metavar="ID", help="only of this gateway; may be repeated"
    )
    out.add_argument("--device", action="append", default=[], metavar="ID", help="only of this device")
    out.add_argument("--point", action="append", default=[], metavar="NAME", help="only this: meter-1/energy_import.t1")
    out.add_argument("--quantity", action="append", default=[], metavar="NAME", help="only this: energy_import")
    out.add_argument("--from", dest="start", default="", metavar="TIME", help="RFC 3339, or a day of the community")
    out.add_argument("--to", dest="end", default="", metavar="TIME", help="up to this moment, without it")
    into = commands.add_parser(
        "import",
        help="read readings out of a file: line protocol, CSV or Parquet",
        description="Read readings out of a file, while the platform does not run. Killed at any instant, it goes on "
        "where it was when it is called again; called again when it is done, it changes nothing. Exit 1 if "
        "something was left out.",
    )
    into.add_argument("file", type=Path, metavar="FILE")
    into.add_argument("--precision", default="ns", metavar="P", help="of line protocol: ns (default), us, ms, s, m, h")
    into.add_argument("--gateway", default="", metavar="ID", help="the gateway of what names none")
    into.add_argument(
        "--token", default="", metavar="NAME", help="understand lines as those of this token (influx.tokens)"
    )
    for command in (out, into):
        command.add_argument("--format", choices=[form.value for form in Format], default="", help="whatever the name")
        command.add_argument("--lang", choices=("zh", "en"), default="en", help="language of what is told")
        common(command)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Carry out one of the commands; return the exit status."""
    form = format_of(args.file, args.format)
    if args.command == "import":
        return _import(args, settings, form)
    if not settings.store_path.exists():
        raise ConfigError("--data", f"no store at {settings.store_path}", "name the platform's data folder")
    wanted = exporting.Wanted(
        _moment(args.start, "--from", settings, Limits().earliest),
        _moment(args.end, "--to", settings, 2**62),
        *(frozenset(chosen) for chosen in (args.gateway, args.device, args.point, args.quantity)),
    )
    told = _Told(args.lang)
    with store_of(settings) as store:
        if not wanted.series(store):
            raise ConfigError("export", "no point is chosen", "see linli-platform registry list, and the filters given")
        written = exporting.run(
            store,
            wanted,
            open_sink(args.file, form),
            lambda count, until: told.tell("exchange.exporting", count, readings=f"{count:,}", until=to_rfc3339(until)),
        )
    told.end("exchange.exported", written, readings=f"{written:,}", file=str(args.file))
    return 0


def _import(args: argparse.Namespace, settings: Settings, form: Format) -> int:
    if args.gateway and not is_id(args.gateway):
        raise ConfigError("--gateway", f"{args.gateway[:80]!r} is no id", "use lower case, digits and hyphens")
    importing.identity(args.file)  # before a store is made for a file that is not there
    settings.store_path.parent.mkdir(parents=True, exist_ok=True)
    told = _Told(args.lang)
    with store_of(settings) as store:
        source = _source(args, settings, form, store)
        done = importing.run(
            args.file,
            source,
            store,
            wall_clock,
            lambda done: told.tell("exchange.importing", done.read, **_words(done)),
        )
    for refused in done.told:
        print(f"linli-platform: {args.file}: {refused}", file=sys.stderr)
    key = "exchange.imported" if done.read or done.place.at != done.before or not done.size else "exchange.nothing"
    told.end(key, done.read, file=str(args.file), **_words(done))
    return LEFT_OUT if done.refused else 0


def _source(args: argparse.Namespace, settings: Settings, form: Format, store: Store) -> Source:
    now = wall_clock()
    if form is Format.CSV:
        return CsvSource(args.file, store, args.gateway, now)
    if form is Format.PARQUET:
        return ParquetSource(args.file, store, args.gateway, now)
    try:
        precision = Precision.of(args.precision)
    except ValueError as exc:
        raise ConfigError("--precision", str(exc), "choose one of them") from exc
    rules = Rules(args.gateway)
    if args.token:
        if not settings.influx.tokens:
            raise ConfigError(
                "--token", "the settings name no influx.tokens", "give --config with the platform's settings"
            )
        token = load_tokens(Path(settings.influx.tokens)).named(args.token)
        if token is None:
            raise ConfigError("--token", f"no token is called {args.token[:80]!r}", f"see {settings.influx.tokens}")
        rules = Rules(args.gateway or token.writes_as, token.maps, token.devices)
    return LineSource(args.file, store, precision, rules, now)


def _words(done: Imported) -> dict[str, str]:
    share = 100 if not done.size else min(100, 100 * done.place.at // done.size)
    counts = {
        "read": done.read,
        "new": done.new,
        "known": done.known,
        "conflicts": done.conflicts,
        "refused": done.refused,
    }
    return {"share": str(share), "line": f"{done.place.line:,}", **{key: f"{count:,}" for key, count in counts.items()}}


class _Told:
    """Tells how it goes, once a second, and how fast."""

    def __init__(self, lang: Language, now: Callable[[], float] = time.monotonic) -> None:
        self._lang: Language = lang
        self._now = now
        self._begun = now()
        self._last = self._begun

    def tell(self, key: str, count: int, **words: str) -> None:
        """Say how far it is, if it is time to."""
        if self._now() - self._last >= _TOLD_EVERY_S:
            self._last = self._now()
            print(text(key, self._lang, rate=self._rate(count), **words), file=sys.stderr, flush=True)

    def end(self, key: str, count: int, **words: str) -> None:
        """Say what was done."""
        print(text(key, self._lang, rate=self._rate(count), **words))

    def _rate(self, count: int) -> str:
        return f"{round(count / max(self._now() - self._begun, 1e-6)):,}"


def _moment(words: str, where: str, settings: Settings, default: Instant) -> Instant:
    """Return the instant of a time, or of the beginning of a day in the community's zone."""
    if not words:
        return default
    try:
        return from_rfc3339(words)
    except ValueError:
        pass
    try:
        return from_datetime(datetime.combine(date.fromisoformat(words), time_of_day(), settings.tzinfo))
    except ValueError as exc:
        remedy = "write a day (2026-11-25), or a time with its offset (2026-11-25T08:00:00+08:00)"
        raise ConfigError(where, f"found {words[:80]!r}", remedy) from exc

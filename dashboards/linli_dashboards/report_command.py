"""``linli-boards report``: a month of an area on paper."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linli_core.catalogue import LANGUAGES, Language, text
from linli_core.cjk_font import FOLDERS, OTHERS_PATTERN, PATTERN, choose, others
from linli_core.errors import ConfigError
from linli_dashboards.asking import Platform
from linli_dashboards.grafana.connection import check_url
from linli_dashboards.grafana.secret import read_secret
from linli_dashboards.report.figures import reckon
from linli_dashboards.report.material import Health, gather
from linli_dashboards.report.month import Month, check_days, parse_month, parse_zone
from linli_dashboards.report.pdf import as_pdf, words_on
from linli_dashboards.report.story import tell
from linli_dashboards.report.web_page import as_html

DEFAULT_PLATFORM: Final = "http://127.0.0.1:8080"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "report",
        help="write a month of an area as HTML and PDF",
        description="Write a month of an area as HTML and PDF: devices, completeness, alarms and how they were "
        "answered, consumption against last year, cold chain, losses.",
    )
    parser.add_argument("--area", default="", metavar="ID", help="the area, and all below it [everything]")
    parser.add_argument("--month", default="", metavar="YYYY-MM", help="the month [the last whole one]")
    parser.add_argument("--lang", choices=LANGUAGES, default="zh", help="of the report [zh]")
    parser.add_argument("--html", action="store_true", help="write HTML [both, if neither is asked for]")
    parser.add_argument("--pdf", action="store_true", help="write PDF")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where [this folder]")
    parser.add_argument(
        "--platform", default=DEFAULT_PLATFORM, metavar="URL", help=f"the platform [{DEFAULT_PLATFORM}]"
    )
    parser.add_argument("--token", metavar="WHERE", help="its token: a file whose first line it is, or env:NAME")
    parser.add_argument("--zone", default="", help="the community's time zone [as the platform says]")
    parser.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="GATEWAY/DEVICE",
        help="leave a meter out of consumption: a main meter, where those behind it are read; may be given again",
    )
    parser.add_argument("--plain-http", action="store_true", help="let the token pass over http:// to another machine")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report; return the exit code."""
    lang: Language = args.lang
    check_url(args.platform, "--platform", bears_secret=bool(args.token) and not args.plain_http)
    token = read_secret(args.token, "--token", os.environ) if args.token else ""
    left_out = _pairs(args.leave_out)
    # A font that is not there is found out before the platform is asked for a minute.
    font = choose(path for folder in FOLDERS for path in folder.rglob(PATTERN)) if args.pdf or not args.html else None

    def month_of(health: Health) -> Month:
        zone = args.zone or health.zone
        if not zone:
            raise ConfigError("--zone", "the platform does not say its time zone", "write one such as Asia/Shanghai")
        known = parse_zone(zone)
        month = parse_month(args.month, known, health.time.astimezone(known).date())
        check_days(month, health.time, health.zone, health.utc_offset)
        return month

    material = gather(Platform(args.platform, token), args.area, month_of)
    strangers = sorted(left_out - material.devices.keys())
    if strangers:
        found = f"no device is called {'/'.join(strangers[0])} in this area"
        raise ConfigError("--leave-out", found, "see the list of devices: /api/v1/devices")
    document = tell(reckon(material, left_out), lang, args.leave_out)
    stem = f"linli-{args.area or 'all'}-{material.month}-{lang}"
    if args.html or not args.pdf:
        _write(args.out / f"{stem}.html", as_html(document).encode(), lang)
    if font is not None:
        beside = others(path for folder in FOLDERS for path in folder.rglob(OTHERS_PATTERN))
        pdf = as_pdf(document, font, beside)
        _write(args.out / f"{stem}.pdf", pdf.content, lang)
        if pdf.unwritten:
            print(text("report.letters", lang, **words_on(pdf.unwritten)), file=sys.stderr)
    return 0


def _pairs(words: Sequence[str]) -> frozenset[tuple[str, str]]:
    pairs = set()
    for word in words:
        gateway, slash, device = word.partition("/")
        if not (gateway and slash and device):
            raise ConfigError("--leave-out", f"{word[:80]!r} names no device", "write GATEWAY/DEVICE")
        pairs.add((gateway, device))
    return frozenset(pairs)


def _write(path: Path, content: bytes, lang: Language) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be written ({exc.strerror})", "choose a folder with --out") from exc
    print(text("report.written", lang, path=path, size=max(1, round(len(content) / 1000))))

"""The command ``linli-edge commission``: arguments in, text and files out."""

import argparse
import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_core.instant import SECOND, Instant
from linli_core.model import parse_point
from linli_edge.commissioning import commission
from linli_edge.commissioning.command_line import FAILED, STOPPED, add_output_arguments, language_of, stoppable
from linli_edge.commissioning.compare import Shown, compare, load_shown, parse_shown
from linli_edge.commissioning.modbus_wire import printable
from linli_edge.commissioning.progress import Progress
from linli_edge.commissioning.sheet import as_data
from linli_edge.commissioning.signature import BadSignature, GatewayKey, short
from linli_edge.config.gateway import load_config
from linli_edge.read import Visit
from linli_edge.timekeeping import steady_clock, wall_clock


def add_commission(subparsers: Any) -> argparse.ArgumentParser:
    """Add the parser of ``commission``."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "commission",
        help="prove every point and write the signed hand-over sheet",
        description="Read every point once, compare it with what the displays show, and write a signed hand-over "
        "sheet as JSON, HTML and PDF. Exit 1 if a point could not be read or disagrees.",
    )
    parser.add_argument("config", metavar="CONFIG", nargs="?", type=Path, help="the gateway's TOML file")
    parser.add_argument(
        "--display",
        metavar="DEVICE/POINT=VALUE",
        action="append",
        default=[],
        help='what a display shows, such as "meter-1/voltage.l1=231.4 V" or "meter-1/voltage.l1=231.4 ~ 1%%"',
    )
    parser.add_argument(
        "--displays", metavar="FILE", type=Path, help="the same from a file: TOML, or CSV (point,display)"
    )
    parser.add_argument("--ask", action="store_true", help="ask for each display; Enter skips one")
    parser.add_argument("--by", metavar="NAME", default="", help="who commissions, for the sheet")
    parser.add_argument("--out", metavar="DIR", type=Path, default=Path(), help="where the sheet goes (default: here)")
    parser.add_argument("--verify", metavar="SHEET.json", type=Path, help="only check a sheet's signature")
    add_output_arguments(parser)
    parser.set_defaults(command=run_commission)
    return parser


def run_commission(args: argparse.Namespace) -> int:
    """Carry out ``linli-edge commission``."""
    lang = language_of(args)
    if args.verify is not None:
        return _verify(args.verify, args.config, lang)
    if args.config is None:
        raise ConfigError("CONFIG", "missing", "name the gateway's TOML file")
    config = load_config(args.config)
    shown = load_shown(args.displays) if args.displays is not None else {}
    shown |= dict(_display(written) for written in args.display)
    # Before minutes of reading: without a key, and a place to put it, there is no sheet.
    key = GatewayKey.of(config.data)
    with commission.writing(args.out):
        tempfile.TemporaryFile(dir=args.out).close()
    progress = Progress(sys.stderr)

    def tell(name: str) -> None:
        progress.say(text("commission.reading", lang, name=name), steady_clock())

    visits: list[Visit] = []

    async def work() -> None:
        visits.extend(await commission.read_all(config, tell))

    try:
        finished = asyncio.run(stoppable(work(), progress))
        progress.clear()
        commission.refuse_unknown(shown, visits)
        if finished and args.ask:
            shown |= _ask(commission.asked_for(commission.readings_of(visits), shown), lang)
    except KeyboardInterrupt:
        finished = False
    if not finished:
        print(f"\n{text('line.stopped', lang)}", file=sys.stderr)
        return STOPPED
    now = wall_clock()
    sheet = commission.make_sheet(
        config, args.config, visits, shown, by=args.by, now=now, utc_offset=_utc_offset(now), lang=lang
    )
    files, missing = commission.write_sheet(sheet, key, args.out, lang)
    if args.json:
        data = as_data(sheet) | {"files": [str(file) for file in files]}
        print(msgspec.json.encode(data).decode())
    else:
        print(commission.report(sheet, lang))
        print(text("commission.written", lang, files=" ".join(map(str, files))))
        print(text("commission.key", lang, fingerprint=short(key.sign({}).fingerprint)))
    if missing is not None:
        print(text("commission.no_pdf", lang, error=missing), file=sys.stderr)
    return int(not sheet.is_well)


def _utc_offset(now: Instant) -> int:
    """Return the minutes by which local time is ahead of UTC."""
    offset = datetime.fromtimestamp(now // SECOND, UTC).astimezone().utcoffset()
    return round(offset.total_seconds() / 60) if offset is not None else 0


def _display(written: str) -> tuple[str, Shown]:
    name, equals, value = written.partition("=")
    try:
        point = parse_point(name.strip())
    except ValueError:
        equals = ""
    if not equals or not value.strip():
        raise ConfigError(
            "--display", f'found "{written}"', 'write DEVICE/POINT=VALUE, such as "meter-1/voltage.l1=231.4"'
        )
    return point.name, parse_shown(point.name, value)


def _ask(readings: list[Any], lang: Language) -> dict[str, Shown]:
    """Ask for the display of each reading; an empty line skips one, the end of the input skips the rest."""
    shown: dict[str, Shown] = {}
    for reading in readings:
        read = compare(reading, None)
        question = text("commission.ask", lang, point=reading.point.name, value=read.value, unit=read.unit)
        while True:
            print(question, end=" ", file=sys.stderr, flush=True)
            line = sys.stdin.readline()
            if not line:
                return shown
            if not line.strip():
                break
            try:
                shown[reading.point.name] = parse_shown(reading.point.name, line)
            except ConfigError as exc:
                print(f"{exc.found}; {exc.remedy}", file=sys.stderr)
                continue
            break
    return shown


def _verify(path: Path, config: Path | None, lang: Language) -> int:
    """Check a sheet's signature, and against the gateway's own key where its configuration is given."""
    try:
        sheet, signed = commission.read_sheet(path)
    except BadSignature as exc:
        said = text(f"commission.{exc.kind}", lang)
        print(text("commission.bad_signature", lang, file=path, error=said), file=sys.stderr)
        return FAILED
    words = {"gateway": printable(sheet.gateway.encode()), "made_at": sheet.time}
    # What was signed stands here; a page or a PDF that came with it may say something else.
    print(commission.report(commission.harmless(sheet), lang))
    print(text("commission.good_signature", lang, **words, fingerprint=short(signed.fingerprint)))
    if config is None:
        print(text("commission.compare", lang))
        return 0
    own = GatewayKey.of(load_config(config).data).sign({}).fingerprint
    if own != signed.fingerprint:
        print(text("commission.other_key", lang, fingerprint=short(own)), file=sys.stderr)
        return FAILED
    print(text("commission.own_key", lang))
    return 0

"""``linli-platform backup``, ``restore`` and ``drill``."""

import argparse
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError, LinliError
from linli_platform.asking import ask
from linli_platform.backup import restore as restoring
from linli_platform.backup.drill import Report, drill
from linli_platform.backup.errors import BackupError
from linli_platform.backup.keys import make_identity, read_identity, read_recipient
from linli_platform.backup.service import State
from linli_platform.backup.take import take
from linli_platform.backup.targets import Target, open_target
from linli_platform.clock import wall_clock
from linli_platform.config import Settings
from linli_platform.registry import Registry
from linli_platform.store import StoreUnavailable
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.schema import read_installation

COMMANDS: Final = frozenset({"backup", "restore", "drill"})

_ASK_AGAIN_S: Final = 0.5


def add_arguments(commands: Any, common: Any) -> None:
    """Add the commands to those of ``linli-platform``; ``common`` adds what every command has."""
    backup = commands.add_parser(
        "backup",
        help="make a backup, now; list them; make the key they need",
        description="Make a backup, now, while the platform runs. --list prints those there are, --key makes the key"
        " they need.",
    )
    backup.add_argument("--list", action="store_true", help="print the backups that the target holds")
    backup.add_argument("--key", type=Path, metavar="FILE", help="write a new key into FILE and print its public half")
    restore = commands.add_parser(
        "restore",
        help="bring a backup back into the place of this platform's files",
        description="Bring a backup back into the place of this platform's files. Stop the platform first.",
    )
    restore.add_argument("name", nargs="?", default=restoring.NEWEST, metavar="NAME", help="default: the newest")
    restore.add_argument("--replace", action="store_true", help="set aside the files that are there")
    restore.add_argument("--adopt", action="store_true", help="take a backup of another installation")
    exercise = commands.add_parser(
        "drill",
        help="bring the newest backup back beside the platform, and read it",
        description="Bring the newest backup back beside the platform, read it, and report. Touches nothing of the "
        "platform.",
    )
    exercise.add_argument("name", nargs="?", default=restoring.NEWEST, metavar="NAME", help="default: the newest")
    exercise.add_argument("--last", action="store_true", help="print the report of the last drill on the schedule")
    exercise.add_argument("--json", action="store_true", help="print the report as JSON")
    exercise.add_argument("--lang", choices=("zh", "en"), default="en", help="language of the report")
    for command in (restore, exercise):
        command.add_argument("--identity", type=Path, metavar="FILE", help="key to open it (default: the settings')")
    for command in (backup, restore, exercise):
        command.add_argument("--target", metavar="PLACE", help="where backups are (default: the settings')")
        common(command)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Carry out one of the commands; return the exit code."""
    if args.command == "backup":
        return _backup(args, settings)
    return _restore(args, settings) if args.command == "restore" else _drill(args, settings)


def _backup(args: argparse.Namespace, settings: Settings) -> int:
    if args.key:
        recipient = make_identity(args.key)
        print(f"{recipient}\nwrite it into the settings as backup.recipient, and keep a copy of {args.key} elsewhere")
        return 0
    if args.list:
        for name in restoring.stored(_target(args, settings)):
            print(name)
        return 0
    if not settings.store_path.exists():
        raise ConfigError("--data", f"no store at {settings.store_path}", "name the platform's data folder")
    try:
        store = DuckDBStore(settings.store_path, memory_limit=settings.store.memory_limit).__enter__()
    except StoreUnavailable:
        return _ask_platform(settings)
    try:
        # Opening the registry brings its schema up to date, as starting the platform would.
        with Registry(settings.registry_path):
            pass
        recipient = read_recipient(settings.backup.recipient, "backup.recipient")
        work = Path(settings.data) / "backup-work"
        work.mkdir(exist_ok=True)
        taken = take(store, settings.registry_path, _target(args, settings), recipient, wall_clock(), work=work)
    finally:
        store.__exit__(None, None, None)
    print(f"{taken.name}: {taken.manifest.readings} readings, {taken.size} bytes")
    return 0


def _ask_platform(settings: Settings) -> int:
    """Have the running platform make the backup: the store is its own while it runs."""
    before = _state(ask(settings, "/backups")).made_at
    state = _state(ask(settings, "/backups", method="POST"))
    while state.running or (not state.error and state.made_at == before):
        time.sleep(_ASK_AGAIN_S)
        state = _state(ask(settings, "/backups"))
    if state.error:
        raise BackupError("backup", state.error, "see the platform's log")
    print(f"{state.name}: {state.readings} readings, {state.size} bytes")
    return 0


def _state(answer: object) -> State:
    return msgspec.convert(answer, State)


def _restore(args: argparse.Namespace, settings: Settings) -> int:
    place = _place(settings)
    begun = time.monotonic()
    name, manifest = restoring.restore(
        _target(args, settings),
        args.name,
        [_identity(args, settings)],
        place,
        wall_clock(),
        replace=args.replace,
        adopt=args.adopt,
        tell=lambda line: print(line, flush=True),
    )
    seconds = time.monotonic() - begun
    rate = round(manifest.readings / max(seconds, 0.001))
    print(f"{name}: {manifest.readings} readings as of {manifest.created_at}, {seconds:.1f} s, {rate} readings/s")
    print("start the platform: the gateways bring what it lacks, as far as their logs reach")
    return 0


def _drill(args: argparse.Namespace, settings: Settings) -> int:
    if args.last:
        report = _last(settings)
    else:
        try:
            installation = read_installation(settings.store_path) if settings.store_path.exists() else None
        except LinliError:  # the platform has it open
            installation = None
        work = Path(settings.data) / "backup-work"
        report = drill(
            _target(args, settings),
            [_identity(args, settings)],
            installation,
            work,
            wall_clock(),
            wanted=args.name,
            memory_limit=settings.store.memory_limit,
            threads=settings.store.threads,
        )
    print(msgspec.json.encode(report).decode() if args.json else show(report, args.lang))
    return 0 if report.passed else 1


def _last(settings: Settings) -> Report:
    path = Path(settings.data) / "backup.json"
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.MsgspecError) as exc:
        raise ConfigError(str(path), f"cannot be read ({exc})", "run 'linli-platform drill'") from exc
    if state.drilled is None:
        raise ConfigError(str(path), "there was no drill yet", "run 'linli-platform drill'")
    return state.drilled


def show(report: Report, lang: Language) -> str:
    """Return a drill's report for people."""
    verdict = text("drill.passed" if report.passed else "drill.failed", lang)
    lines = [text("drill.title", lang, verdict=verdict, at=report.at)]
    if report.backup:
        lines.append(text("drill.backup", lang, name=report.backup, taken_at=report.taken_at))
    if report.error:
        lines.append(text("drill.error", lang, error=report.error))
    for check in report.checks:
        sign = "✓" if check.passed else "✗"
        found = check.found if check.passed else text("drill.differs", lang, found=check.found, expected=check.expected)
        lines.append(f"  {sign} {text(f'drill.check.{check.name}', lang)}: {found}")
    if report.checks:
        lines.append(text("drill.took", lang, readings=report.readings, seconds=report.seconds))
    return "\n".join(lines)


def _place(settings: Settings) -> restoring.Place:
    return restoring.Place(
        settings.store_path,
        settings.registry_path,
        Path(settings.data) / "backup-work",
        settings.store.memory_limit,
        settings.store.threads,
    )


def _target(args: argparse.Namespace, settings: Settings) -> Target:
    backup = settings.backup
    if not (args.target or backup.target):
        raise ConfigError("backup.target", "missing", "name it in the settings, or give --target")
    where = "--target" if args.target else "backup.target"
    return open_target(args.target or backup.target, backup.s3, backup.sftp, where)


def _identity(args: argparse.Namespace, settings: Settings) -> Any:
    if args.identity:
        return read_identity(args.identity, "--identity")
    if not settings.backup.identity_file:
        raise ConfigError("backup.identity_file", "missing", "name the key's file in the settings, or give --identity")
    return read_identity(Path(settings.backup.identity_file), "backup.identity_file")

"""``linli-platform rules``: look at alarm rules, try them, and prove them, before they wake anybody."""

import argparse
import getpass
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from linli_core.alarm import find_mistakes, parse_rules
from linli_core.alarm.timeline import judge, parse_timelines
from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_platform.alarms.bundled import TIMELINES, load_rules, rule_texts, timeline_texts, units
from linli_platform.asking import ask
from linli_platform.config import Settings

WRONG: Final = 1
"""Exit status where a rule is wrong, or a timeline goes otherwise than expected."""

_REPLAY_S: Final = 3_600.0
_SHOWN: Final = 20
_REVISIONS: Final = 1_000


def add_arguments(commands: Any, common: Any) -> None:
    """Add the command to those of ``linli-platform``; ``common`` adds what every command has."""
    rules = commands.add_parser("rules", help="check, test, replay and list alarm rules")
    actions = rules.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="tell what is wrong with rules, each mistake with its place and what to do",
        description="Tell what is wrong with rules and their timelines. Exit 1 if anything is.",
    )
    test = actions.add_parser(
        "test",
        help="play the timelines that stand beside the rules",
        description="Play the timelines (*.timelines.toml) that stand beside the rules. Exit 1 if one goes otherwise.",
    )
    for action in (check, test):
        action.add_argument(
            "files", nargs="*", type=Path, metavar="FILE", help="files or folders (default: the rules in force)"
        )
    listing = actions.add_parser("list", help="print the rules in force", description="Print the rules in force.")
    replay = actions.add_parser(
        "replay",
        help="tell what rules would have said of what is stored",
        description="Ask the running platform what the rules of a file would have said of stored history, beside those "
        "of the same ids that are in force: alarms a day, and each alarm that would appear or vanish. Changes nothing.",
    )
    tried = replay.add_mutually_exclusive_group(required=True)
    tried.add_argument("--rule", type=Path, metavar="FILE", help="the rules that are tried")
    tried.add_argument("--revision", type=int, metavar="NUMBER", help="the revision that is tried, see 'rules history'")
    replay.add_argument(
        "--against", type=int, metavar="NUMBER", help="the revision it is compared with (default: what is in force)"
    )
    replay.add_argument("--from", dest="start", default="-7d", metavar="TIME", help="RFC 3339, or back from now (-7d)")
    replay.add_argument("--to", dest="end", default="now", metavar="TIME", help="up to this moment, without it")
    replay.add_argument("--json", action="store_true", help="as the API gives it")
    for action in (listing, replay):
        action.add_argument("--lang", choices=("zh", "en"), default="en", help="language of what is told")
    history = actions.add_parser(
        "history",
        help="print what rules were and are, by whom and why, newest first",
        description="Ask the running platform what became of rules: each change of a file, each of a parameter.",
    )
    history.add_argument("rule", nargs="?", default="", metavar="RULE", help="of this rule only")
    history.add_argument("--json", action="store_true", help="as the API gives it")
    history.add_argument("--lang", choices=("zh", "en"), default="en", help="language of what is told")
    export = actions.add_parser(
        "export",
        help="write rules, and what people changed of them, into one file",
        description="Ask the running platform for its rules and the values that people gave their parameters, as TOML.",
    )
    export.add_argument("file", nargs="?", type=Path, metavar="FILE", help="where to (default: standard output)")
    take = actions.add_parser(
        "import",
        help="take in the values of an exported file: all, or none if one cannot be",
        description="Bring the values of an exported file into the running platform. Rules of the file that are not in "
        "force there are named: they come into force from the folder that the settings name in 'rules'.",
    )
    take.add_argument("file", type=Path, metavar="FILE", help="what 'rules export' wrote")
    take.add_argument("--by", default="", metavar="NAME", help="who does so (default: your login)")
    take.add_argument("--comment", default="", help="why")
    for action in (check, test, listing, replay, history, export, take):
        common(action)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Carry out one of the actions; return the exit status."""
    actions = {
        "check": _check,
        "test": _test,
        "list": _list,
        "replay": _replay,
        "history": _history,
        "export": _export,
        "import": _import,
    }
    return actions[args.action](args, settings)


def _check(args: argparse.Namespace, settings: Settings) -> int:
    rules, timelines = _texts(args.files, settings)
    mistakes: list[ConfigError] = []
    for name, told in rules:
        mistakes += find_mistakes(told, name, units())
    for name, told in timelines:
        try:
            parse_timelines(told, name)
        except ConfigError as exc:
            mistakes.append(exc)
    if not mistakes and not args.files:
        load_rules(_folder(settings), settings.packs)  # an id in two files
    for mistake in mistakes:
        print(f"linli-platform: {mistake}", file=sys.stderr)
    if mistakes:
        return WRONG
    count = sum(len(parse_rules(told, name)) for name, told in rules)
    stories = sum(len(parse_timelines(told, name)) for name, told in timelines)
    print(f"{count} rules in {len(rules)} files, {stories} timelines: nothing is wrong with them")
    return 0


def _test(args: argparse.Namespace, settings: Settings) -> int:
    named, timelines = _texts(args.files, settings)
    rules = [rule for name, told in named for rule in parse_rules(told, name)]
    known = {rule.id for rule in rules}
    # A file of timelines alone is about the rules in force.
    rules += [rule for rule in load_rules(_folder(settings), settings.packs) if rule.id not in known]
    played = failed = 0
    for timeline in (timeline for name, told in timelines for timeline in parse_timelines(told, name)):
        played += 1
        wrong = judge(rules, timeline)
        failed += bool(wrong)
        for line in wrong:
            print(f"{timeline.where}: {timeline.title}: {line}", file=sys.stderr)
    print(f"{played} timelines, {failed} otherwise than expected")
    if not played:
        print("linli-platform: no *.timelines.toml stands there", file=sys.stderr)
    return WRONG if failed or not played else 0


def _list(args: argparse.Namespace, settings: Settings) -> int:
    rules = load_rules(_folder(settings), settings.packs)
    width = max((len(rule.id) for rule in rules), default=0)
    for rule in sorted(rules, key=lambda rule: rule.id):
        priority = text(f"priority.{rule.priority}", args.lang)
        print(f"{rule.id:<{width}}  {priority}  {rule.title.in_language(args.lang)}")
    return 0


def _replay(args: argparse.Namespace, settings: Settings) -> int:
    asked: dict[str, Any] = {"from": args.start, "to": args.end, "revision": args.revision, "against": args.against}
    if args.rule is not None:
        asked["rules"] = _content(args.rule)
        if mistakes := find_mistakes(asked["rules"], str(args.rule), units()):
            raise mistakes[0]
    found = ask(settings, "/rules/replay", method="POST", body=asked, wait=_REPLAY_S)
    print(json.dumps(found) if args.json else _told(found, args.lang))
    return 0


def _history(args: argparse.Namespace, settings: Settings) -> int:
    found = ask(settings, "/rules/revisions", rule=args.rule, limit=_REVISIONS)
    if args.json:
        print(json.dumps(found))
        return 0
    for row in found:
        if row["parameter"]:
            values = ["–" if row[key] is None else f"{row[key]:g}" for key in ("before", "after")]
            what = f"{row['parameter']} {values[0]} → {values[1]}"
        else:
            what = text("revision.file" if row["source"] else "revision.gone", args.lang)
        where = row["area"] or text("revision.everywhere", args.lang)
        told = (f"{row['id']:>5}", row["at"], row["rule"], where, what, row["actor"], row["comment"])
        print("  ".join(filter(None, told)))
    return 0


def _export(args: argparse.Namespace, settings: Settings) -> int:
    told: str = ask(settings, "/rules/export")
    if args.file is None:
        print(told, end="")
        return 0
    try:
        args.file.write_text(told, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(
            str(args.file), f"cannot be written ({exc})", "name a file in a folder you may write"
        ) from exc
    return 0


def _import(args: argparse.Namespace, settings: Settings) -> int:
    body = {"text": _content(args.file), "actor": args.by or getpass.getuser(), "comment": args.comment}
    found = ask(settings, "/rules/import", method="POST", body=body)
    print(f"{len(found['changed'])} revisions made, {found['unchanged']} values were so already")
    for name in found["other_rules"]:
        print(f"rule {name} is not in force here, or not as it is in the file", file=sys.stderr)
    return 0


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(str(path), f"cannot be read ({exc})", "name a file of rules") from exc


def _told(found: dict[str, Any], lang: Language) -> str:
    lines = [text("replay.head", lang)]
    lines += [f"{day['day']}  {day['before']:>6}  {day['after']:>6}" for day in found["days"]]
    for name in ("appear", "vanish"):
        episodes = found[name]
        lines += ["", text(f"replay.{name}", lang, count=f"{found[f'{name}_count']:,}")]
        lines += [_episode(episode, lang) for episode in episodes[:_SHOWN]]
        if found[f"{name}_count"] > _SHOWN:
            lines.append("  …")
    lines += ["", text("replay.same", lang, count=f"{found['same']:,}")]
    rate = round(found["readings"] / max(found["seconds"], 1e-6))
    lines.append(text("replay.judged", lang, readings=f"{found['readings']:,}", rate=f"{rate:,}"))
    return "\n".join(lines)


def _episode(episode: dict[str, Any], lang: Language) -> str:
    until = episode["returned_at"] or text("replay.stands", lang)
    return f"  {episode['raised_at']} … {until}  {episode['rule']}  {episode['subject']}"


def _folder(settings: Settings) -> Path | None:
    return Path(settings.rules) if settings.rules else None


def _texts(files: list[Path], settings: Settings) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the files of rules and those of timelines, by name and text."""
    if not files:
        folder, packs = _folder(settings), settings.packs
        return rule_texts(folder, packs), timeline_texts(folder, packs)
    found = list(_read(files))
    return (
        [(name, told) for name, told in found if not name.endswith(TIMELINES)],
        [(name, told) for name, told in found if name.endswith(TIMELINES)],
    )


def _read(files: list[Path]) -> Iterator[tuple[str, str]]:
    for path in files:
        if path.is_dir():
            yield from ((str(path / name), told) for name, told in (*rule_texts(path), *timeline_texts(path)))
            continue
        try:
            yield str(path), path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(str(path), f"cannot be read ({exc})", "name files or folders of rules") from exc

"""``linli-platform rules``: look at alarm rules, try them, and prove them, before they wake anybody."""

import argparse
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
    replay.add_argument("--rule", required=True, type=Path, metavar="FILE", help="the rules that are tried")
    replay.add_argument("--from", dest="start", default="-7d", metavar="TIME", help="RFC 3339, or back from now (-7d)")
    replay.add_argument("--to", dest="end", default="now", metavar="TIME", help="up to this moment, without it")
    replay.add_argument("--json", action="store_true", help="as the API gives it")
    for action in (listing, replay):
        action.add_argument("--lang", choices=("zh", "en"), default="en", help="language of what is told")
    for action in (check, test, listing, replay):
        common(action)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Carry out one of the actions; return the exit status."""
    actions = {"check": _check, "test": _test, "list": _list, "replay": _replay}
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
    try:
        rules = args.rule.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(str(args.rule), f"cannot be read ({exc})", "name a file of rules") from exc
    if mistakes := find_mistakes(rules, str(args.rule), units()):
        raise mistakes[0]
    asked = {"rules": rules, "from": args.start, "to": args.end}
    found = ask(settings, "/rules/replay", method="POST", body=asked, wait=_REPLAY_S)
    print(json.dumps(found) if args.json else _told(found, args.lang))
    return 0


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

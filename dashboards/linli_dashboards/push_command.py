"""``linli-boards push``: brings the boards to a Grafana, as often as one likes."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from linli_core.catalogue import LANGUAGES, Language, text
from linli_core.errors import ConfigError
from linli_dashboards.grafana.connection import Grafana, check_url
from linli_dashboards.grafana.push import Wanted, plan, take, tried
from linli_dashboards.grafana.secret import read_secret
from linli_dashboards.grafana.step import Action, Step
from linli_dashboards.grafana.wanted import Board, Community, read_boards, read_communities

KEPT: Final = 1
"""Exit code: something was not pushed, since it is a person's by now, or the platform is not reached."""

_SIGN: Final = {
    Action.MAKE: "+",
    Action.CHANGE: "~",
    Action.REMOVE: "-",
    Action.SAME: "=",
    Action.KEPT: "!",
}


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "push",
        help="bring the boards to a Grafana",
        description="Bring folders, teams, data sources and boards to a Grafana. Pushed again, it changes nothing; "
        "what a person saved since is kept and told.",
    )
    source = "a file whose first line it is, or env:NAME"
    parser.add_argument("--url", default=os.environ.get("GRAFANA_URL", ""), help="Grafana's address [GRAFANA_URL]")
    parser.add_argument(
        "--token",
        default="env:GRAFANA_TOKEN",
        metavar="WHERE",
        help=f"Grafana's token, or user:password: {source} [env:GRAFANA_TOKEN]",
    )
    parser.add_argument(
        "--platform", required=True, metavar="URL", help="the platform's address, as Grafana reaches it"
    )
    parser.add_argument("--platform-token", metavar="WHERE", help=f"the platform's token: {source}")
    parser.add_argument(
        "--alarms-token", metavar="WHERE", help=f"let Grafana post its own alarms to the platform, with: {source}"
    )
    parser.add_argument(
        "--communities", type=Path, metavar="FILE", help="a set of boards for each: docs/boards-in-grafana.md"
    )
    parser.add_argument("--lang", choices=(*LANGUAGES, "both"), default="zh", help="of the boards [zh]; both: two sets")
    parser.add_argument("--console", metavar="URL", help="the platform's address, as people's browsers reach it")
    parser.add_argument("--boards", type=Path, metavar="DIR", help="boards that were built, or made otherwise [ours]")
    parser.add_argument("--dry-run", action="store_true", help="change nothing, tell what would be")
    parser.add_argument("--replace-edited", action="store_true", help="replace our boards that a person saved, too")
    parser.add_argument(
        "--make-account", type=Path, metavar="FILE", help="make a service account; its token goes there"
    )
    parser.add_argument(
        "--account-days", type=int, metavar="N", help="how long that token lasts; then push with it anew [for good]"
    )
    parser.add_argument(
        "--old-grafana", action="store_true", help="take Grafana 10 and 11, for which boards are not made"
    )
    parser.add_argument("--plain-http", action="store_true", help="let tokens pass over http:// to other machines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Push, or tell what would be pushed; return the exit code."""
    languages: tuple[Language, ...] = LANGUAGES if args.lang == "both" else (args.lang,)
    lang = languages[0]
    check_url(args.url, "--url", bears_secret=not args.plain_http)
    bears_secret = bool(args.platform_token or args.alarms_token or args.communities) and not args.plain_http
    check_url(args.platform, "--platform", bears_secret=bears_secret)
    wanted = Wanted(
        communities=_communities(args),
        boards=_boards(args, languages),
        lang=lang,
        platform=args.platform.rstrip("/"),
        replace_edited=args.replace_edited,
        account=args.make_account,
        account_days=_days(args),
    )
    grafana = Grafana(args.url, read_secret(args.token, "--token", os.environ))
    try:
        version = grafana.version(old_too=args.old_grafana)
        print(text("boards.grafana", lang, url=grafana.url, version=version or "?"))
        if len(wanted.communities) > 1:
            print(text("boards.together", lang))
        steps = list(plan(grafana, wanted))
        kept = _tell(steps, lang, with_diff=args.dry_run)
        if args.dry_run:
            print(text("boards.dry_run", lang))
            return KEPT if kept else 0
        take(steps)
        reaches = tried(grafana, wanted)
    finally:
        grafana.close()
    wrong = [reach for reach in reaches if reach.empty or not reach.reached]
    for reach in wrong:
        key = "boards.empty" if reach.reached else "boards.unreached"
        print(text(key, lang, source=reach.community.uid, message=reach.found or "?"), file=sys.stderr)
    return KEPT if kept or wrong else 0


def _boards(args: argparse.Namespace, languages: Sequence[Language]) -> tuple[Board, ...]:
    if args.boards is not None:
        return tuple(board for lang in languages for board in read_boards(args.boards / lang))
    # Grafana's SDK takes half a second to import: not for --help.
    from linli_dashboards.build import made  # noqa: PLC0415

    console = (args.console or args.platform).rstrip("/")
    return tuple(each.dashboard for each in made(console=console) if each.lang in languages)


def _days(args: argparse.Namespace) -> int | None:
    days: int | None = args.account_days
    if days is not None and (days < 1 or args.make_account is None):
        found = "is no number of days" if days < 1 else "stands without --make-account"
        raise ConfigError("--account-days", found, "write --make-account FILE --account-days 90")
    return days


def _communities(args: argparse.Namespace) -> tuple[Community, ...]:
    if args.communities is not None:
        if args.platform_token or args.alarms_token:
            option = "--platform-token" if args.platform_token else "--alarms-token"
            remedy = f"each community in the file has its own tokens; leave {option} out"
            raise ConfigError("--communities", f"found beside {option}", remedy)
        return read_communities(args.communities, os.environ)
    token = read_secret(args.platform_token, "--platform-token", os.environ) if args.platform_token else ""
    alarms = read_secret(args.alarms_token, "--alarms-token", os.environ) if args.alarms_token else ""
    return (Community("", "", token, alarms),)


def _tell(steps: Iterable[Step], lang: Language, *, with_diff: bool) -> bool:
    """Print the steps; tell whether something is kept that was wanted otherwise."""
    counts: Counter[Action] = Counter()
    for step in steps:
        counts[step.action] += 1
        if step.action is Action.SAME:
            continue
        print(f"{_SIGN[step.action]} {text(f'boards.kind.{step.kind}', lang)} {step.uid}  {step.title}".rstrip())
        if step.why is not None:
            print(f"    {text(f'boards.why.{step.why}', lang)}")
        if with_diff:
            for line in step.diff:
                print(f"    {line}")
    told = {action.value: counts[action] for action in Action}
    print(text("boards.counts", lang, **told))
    return counts[Action.KEPT] > 0

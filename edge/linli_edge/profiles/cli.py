"""``linli-edge profiles list``, ``show``, ``check``: which makes and models are known, and whether a file is right."""

import argparse
import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_edge import driver
from linli_edge.config.file import load_toml
from linli_edge.config.table import UNKNOWN_KEY, ConfigErrors
from linli_edge.listing import listing
from linli_edge.profiles.shelf import Profile, Shelf

_JSON: Final = msgspec.json.Encoder()


def add_arguments(subparsers: Any) -> None:
    """Add the command's parser to those of ``linli-edge``."""
    parser = subparsers.add_parser("profiles", help="makes and models that are known; check a profile of your own")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    everything = actions.add_parser(
        "list", help="print every profile", description="Print every profile: driver, name, make and model."
    )
    everything.add_argument("--driver", metavar="D", help="of this driver only")
    everything.add_argument("--search", metavar="TEXT", help="make, model or title contains this")
    show = actions.add_parser(
        "show", help="print one whole", description="Print one profile whole: its source and its points."
    )
    show.add_argument("name", metavar="NAME")
    check = actions.add_parser(
        "check",
        help="tell every mistake in profile files",
        description="Tell every mistake in profile files. Exit 2 if there is one.",
    )
    check.add_argument("files", metavar="FILE", nargs="+", type=Path)
    check.add_argument("--driver", metavar="D", help="whose profiles they are (default: what each fits best)")
    for action in (everything, show):
        action.add_argument("--json", action="store_true", help="one JSON object a line")
    for action in (everything, show, check):
        action.add_argument("--lang", choices=("zh", "en"), help="language (default: the locale's)")
    parser.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    """Carry out one of the actions; return the exit code."""
    from linli_edge.cli import language  # noqa: PLC0415 - cli imports this module

    lang = language(args.lang)
    if args.action == "list":
        return _list(args, lang)
    return _show(args, lang) if args.action == "show" else _check(args, lang)


def shelves() -> dict[str, Shelf[Profile]]:
    """Return the shelf of every installed driver that has one, by the driver's name."""
    known = driver.catalogue()
    found = {}
    for name in sorted(known):
        spec = driver.load(name, f"driver {name}", known)
        if spec.profiles is not None:
            found[name] = spec.profiles
    return found


def profiles(wanted: str | None = None) -> Iterator[tuple[str, Shelf[Profile], Profile]]:
    """Yield driver, shelf and profile of everything that ships, or of one driver's."""
    for name, shelf in shelves().items():
        if wanted in {None, name}:
            for profile in shelf.names():
                yield name, shelf, shelf.load(profile, f"profile {profile}")


def _list(args: argparse.Namespace, lang: Language) -> int:
    if args.driver is not None:
        _shelf(args.driver)
    needle = (args.search or "").casefold()
    found = [
        (name, profile)
        for name, _, profile in profiles(args.driver)
        if any(
            needle in word.casefold() for word in (profile.name, profile.make, profile.model, *profile.title.values())
        )
    ]
    if args.json:
        for name, profile in found:
            print(_JSON.encode(_described(name, profile)).decode())
        return 0
    head = tuple(text(f"profiles.{column}", lang) for column in ("name", "driver", "title"))
    if found:
        print(listing(head, [(profile.name, name, profile.title[lang]) for name, profile in found]))
    print(text("profiles.count", lang, count=len(found)))
    return 0 if found else 1


def _show(args: argparse.Namespace, lang: Language) -> int:
    for name, shelf, profile in profiles():
        if profile.name != args.name:
            continue
        cases = shelf.cases(profile.name)
        if args.json:
            described = _described(name, profile) | {"cases": cases, "tables": tomllib.loads(shelf.text(profile.name))}
            print(_JSON.encode(described).decode())
            return 0
        for label, value in (
            ("title", profile.title[lang]),
            ("make", profile.make),
            ("model", profile.model),
            ("driver", name),
            ("manual", profile.manual),
            ("verified", profile.verified),
            ("cases", ", ".join(cases) or text("profiles.no_cases", lang)),
        ):
            print(f"{text(f'profiles.{label}', lang)}: {value}")
        print(f"\n{shelf.text(profile.name).rstrip()}")
        return 0
    known = [profile.name for _, _, profile in profiles()]
    near = difflib.get_close_matches(args.name, known, 1)
    remedy = f'did you mean "{near[0]}"?' if near else "see linli-edge profiles list"
    raise ConfigError("profiles show", f'no profile is called "{args.name}"', remedy)


def _check(args: argparse.Namespace, lang: Language) -> int:
    wanted = shelves() if args.driver is None else {args.driver: _shelf(args.driver)}
    wrong = 0
    for path in args.files:
        try:
            name, mistakes = _best_fit(path, load_toml(path), wanted)
        except ConfigError as exc:
            wrong += 1
            print(exc)
            continue
        if args.driver is None:
            print(text("profiles.read_as", lang, path=path, driver=name))
        for mistake in mistakes:
            print(mistake)
        wrong += bool(mistakes)
        if not mistakes:
            shelf = wanted[name]
            print(text("profiles.sound", lang, path=path))
            if not shelf.cases(path.stem) and path.stem not in shelf.names():
                print(text("profiles.own_case", lang, name=path.stem))
    return 2 if wrong else 0


def _best_fit(
    path: Path, tables: Mapping[str, object], wanted: Mapping[str, Shelf[Profile]]
) -> tuple[str, list[ConfigError]]:
    """Return the driver whose profile a file seems to be, and its mistakes as such: whoever wrote it knows which."""
    found = {name: _mistakes(shelf, path, tables) for name, shelf in wanted.items()}
    places = {f"{path}.{key}" for key in tables}

    def misfit(name: str) -> tuple[int, int, bool, bool]:
        # A driver that does not know the tables themselves looks no further, and so finds few mistakes in them.
        strange = sum(error.where in places and error.found == UNKNOWN_KEY for error in found[name])
        # DLMS and IEC 62056-21 name points alike; of two that fit alike, whichever ships it, and Modbus before others.
        return strange, len(found[name]), path.stem not in wanted[name].names(), name != "modbus"

    best = min(found, key=misfit)
    return best, found[best]


def _mistakes(shelf: Shelf[Profile], path: Path, tables: Mapping[str, object]) -> list[ConfigError]:
    try:
        shelf.parse(path.stem, tables, str(path))
    except ConfigErrors as exc:
        return list(exc.errors)
    except ConfigError as exc:
        return [exc]
    return []


def _shelf(name: str) -> Shelf[Profile]:
    found = shelves()
    try:
        return found[name]
    except KeyError:
        near = difflib.get_close_matches(name, found, 1)
        remedy = f'did you mean "{near[0]}"?' if near else f"drivers with profiles: {', '.join(found)}"
        raise ConfigError("--driver", f'no driver "{name}" has profiles', remedy) from None


def _described(name: str, profile: Profile) -> dict[str, object]:
    return {
        "name": profile.name,
        "driver": name,
        "make": profile.make,
        "model": profile.model,
        "title": dict(profile.title),
        "manual": profile.manual,
        "verified": profile.verified,
    }

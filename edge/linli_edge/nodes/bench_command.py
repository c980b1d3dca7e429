"""``linli-edge node bench``: boards in a row, a table of what became of them, their labels."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from linli_core.catalogue import Language, text
from linli_core.errors import ConfigError
from linli_edge.commissioning.cjk_font import find_font
from linli_edge.durable_file import write_durably
from linli_edge.listing import listing
from linli_edge.nodes import node_labels
from linli_edge.nodes.bench import Bench, Demands, Failure, Made, MadeFile, arriving
from linli_edge.nodes.build import read_key
from linli_edge.nodes.flashing import read_image
from linli_edge.nodes.given import GivenNames
from linli_edge.nodes.keys import KEYS, UPDATE_KEY, KeyFolder
from linli_edge.nodes.phrases import explained
from linli_edge.nodes.pins import problems
from linli_edge.nodes.planned import Planned, read_list
from linli_edge.nodes.refused import Refused
from linli_edge.nodes.serial_command import BUILT, FAILED, at_board, declared, password
from linli_edge.nodes.shared import SharedKeys
from linli_edge.nodes.waking import NAMES


def add_arguments(kinds: Any) -> None:
    """Add ``bench`` to ``linli-edge node``."""
    bench = kinds.add_parser(
        "bench",
        help="make many nodes in a row, and print their labels",
        description="For each board that is plugged in: flash it, give it the next name of the list, start it, try its"
        " sensors, network and broker out. A board that fails is named with the reason, loses its name, and the next"
        " one goes on. Ctrl-C ends it; the same command goes on where it was. At the end: a table, labels with QR codes"
        " as HTML and PDF, and what the gateway's configuration must say.",
    )
    bench.add_argument("list", type=Path, metavar="LIST", help="TOML: [common], and [[nodes]] with id and place")
    bench.add_argument("--build", type=Path, default=BUILT, metavar="DIR", help="what was built")
    bench.add_argument("--keys", type=Path, default=KEYS, metavar="DIR", help=f"where keys are (default {KEYS})")
    bench.add_argument("--out", type=Path, default=Path("bench"), metavar="DIR", help="where results go")
    bench.add_argument("--port", action="append", default=[], metavar="GLOB", help="ports to look at, again and again")
    bench.add_argument("--gateway", metavar="HOST", help="the address of the gateway")
    bench.add_argument("--wifi", metavar="SSID", help="a network to try first; its password is asked for")
    bench.add_argument("--password-file", type=Path, metavar="FILE", help="holds the password")
    bench.add_argument("--no-sensors", action="store_true", help="sensors are not connected yet: do not ask for them")
    bench.add_argument("--no-network", action="store_true", help="the network is not here: do not ask for it")
    bench.add_argument("--replace", action="store_true", help="take over boards of other names, and names")
    bench.add_argument("--boards", type=int, metavar="N", help="end after so many boards, good or bad")
    bench.add_argument("--lang", choices=("zh", "en"), help="language of what is told (default: the locale's)")
    bench.set_defaults(command=_bench)


@at_board
def _bench(args: argparse.Namespace, lang: Language) -> int:
    bench = _read(args, lang)
    seen = 0

    def is_over() -> bool:
        return not bench.left() or seen == args.boards

    def invite() -> None:
        done = len(bench.planned) - len(bench.left())
        if not is_over():
            print(text("node.bench.plug", lang, done=done, all=len(bench.planned)), flush=True)
            for node, board in bench.taken().items():
                print(f"  {text('node.bench.taken', lang, node=node, board=board)}", flush=True)

    bench.said = lambda step: print(f"  {text(f'node.bench.{step}', lang)}", flush=True)
    try:
        invite()
        for port in arriving(args.port, is_over):
            print(f"{port}:", flush=True)
            made = bench.make(port)
            if made is None:
                print(f"  {text('node.bench.known', lang)}", flush=True)
                continue
            seen += 1
            print("\n".join(f"  {line}" for line in _outcome(made, lang)), flush=True)
            invite()
    except KeyboardInterrupt:
        print(f"\n{text('node.bench.stopped', lang)}", file=sys.stderr)
    return _end(bench, args.out, lang)


def _read(args: argparse.Namespace, lang: Language) -> Bench:
    more: dict[str, Any] = {}
    if args.gateway:
        more["gateway"] = {"host": args.gateway}
    if args.wifi:
        more["wifi"] = [{"ssid": args.wifi, "password": password(args.wifi, args.password_file, lang)}]
    planned, image = read_list(args.list, more), read_image(args.build)
    kind = image.manifest.board
    if found := [problem for each in planned for problem in problems(each.pins, each.waking, kind)]:
        raise Refused(str(args.list), NAMES[kind], found)
    return Bench(
        planned,
        image,
        KeyFolder(args.keys),
        read_key(args.keys / UPDATE_KEY).public_key().public_bytes_raw(),
        GivenNames(args.keys),
        MadeFile(args.out),
        Demands(sensors=not args.no_sensors, network=not args.no_network),
        SharedKeys(args.keys),
        replace=args.replace,
    )


def _outcome(made: Made, lang: Language) -> Iterator[str]:
    yield from (f"{what}: {said}" for what, said in made.checks)
    if made.passed:
        yield text("node.bench.passed", lang, node=made.node, seconds=f"{made.seconds:.0f}")
        return
    yield text("node.bench.failed", lang, board=made.board or "?")
    yield from (f"✗ {_why(failure, lang)}" for failure in made.failures)


def _why(failure: Failure, lang: Language) -> str:
    """Return why a board failed, and what can be done."""
    meaning = explained(failure.values.get("said", ""), lang)
    return f"{text(f'node.{failure.kind}', lang, **failure.values)} {meaning}".strip()


def _end(bench: Bench, out: Path, lang: Language) -> int:
    made = bench.made.passed
    rows = [_row(planned, made.get(planned.node), lang) for planned in bench.planned]
    rows += [("–", each.board or "?", each.kind, f"{each.seconds:.0f}", _sign(each, lang)) for each in _bad(bench)]
    print()
    print(listing([text(f"node.bench.head.{head}", lang) for head in _HEADS], rows, right=[3]))
    for each in _bad(bench):
        print(f"{each.board or '?'}: {'; '.join(_why(failure, lang) for failure in each.failures)}")
    for node, board in bench.taken().items():
        print(text("node.bench.taken", lang, node=node, board=board))
    good = [(planned, made[planned.node]) for planned in bench.planned if planned.node in made]
    if good:
        _write_labels(good, out, lang)
        if bench.shared is not None and set(bench.shared.nodes) & {planned.node for planned, _ in good}:
            print(text("node.bench.shared", lang, file=bench.shared.path))
        print(text("node.cable.declare", lang))
        print(declared({planned.node: each.board for planned, each in good}))
    return FAILED if bench.left() else 0


_HEADS = ("node", "board", "kind", "seconds", "result")


def _row(planned: Planned, made: Made | None, lang: Language) -> tuple[str, ...]:
    if made is None:
        return (planned.node, "", "", "", text("node.bench.open", lang))
    return (made.node, made.board, made.kind, f"{made.seconds:.0f}", _sign(made, lang))


def _sign(made: Made, lang: Language) -> str:
    return text(f"node.bench.sign.{'passed' if made.passed else 'failed'}", lang)


def _bad(bench: Bench) -> list[Made]:
    return [each for each in bench.made.all if not each.passed]


def _write_labels(good: list[tuple[Planned, Made]], out: Path, lang: Language) -> None:
    labels = [node_labels.label_of(planned, made, lang) for planned, made in good]
    written = {"labels.html": node_labels.as_html(labels, lang).encode()}
    try:
        written["labels.pdf"] = node_labels.as_pdf(labels, lang, find_font())
    except ConfigError as exc:
        print(text("commission.no_pdf", lang, error=exc), file=sys.stderr)
    files = [out / name for name in written]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file in files:
            write_durably(file, written[file.name], mode=0o600)
    except OSError as exc:
        raise ConfigError(str(out), f"cannot be written: {exc}", "give --out that you may write") from exc
    print(text("commission.written", lang, files=" ".join(map(str, files))))

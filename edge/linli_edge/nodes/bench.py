"""Many boards in a row: each flashed, named by the next of a list, started, tried out; the bad ones put aside.

What was made stands in a file, so whoever goes on tomorrow begins where today ended. A board that fails has no name
when it is put aside: it cannot pose as the one that gets the name after it.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from linli_core.errors import ConfigError
from linli_edge.durable_file import write_durably
from linli_edge.nodes import passphrase, report
from linli_edge.nodes.flashing import Image, flash
from linli_edge.nodes.given import GivenNames
from linli_edge.nodes.keys import KeyFolder
from linli_edge.nodes.planned import Planned
from linli_edge.nodes.provisioning import misses_shared_key, name_of, provision, wipe
from linli_edge.nodes.report import Fact
from linli_edge.nodes.serial_board import WAIT_S, SerialBoard, ports
from linli_edge.nodes.shared import SharedKeys
from linli_edge.nodes.trouble import BoardTrouble

FILE: Final = "made.json"
_PAUSES_S: Final = (1.0, 2.0, 4.0)
"""A program that was started is looked at after these: a slow board needs the last."""
_GONE_S: Final = 3.0
"""A port that is away for shorter belongs to the same board, which starts again."""
_LOOK_S: Final = 0.1
_NOT_THERE: Final = re.compile(r"no connection: \[(Errno|addrinfo)|the broker does not answer")
"""What a node says of a broker that is not reached; of one with other keys it says something else."""


class Failure(msgspec.Struct, frozen=True):
    """What was wrong with a board: a text of the catalogue (``node.bench.*``, ``node.trouble.*``), and what it says."""

    kind: str
    values: dict[str, str] = {}

    @classmethod
    def of(cls, kind: str, said: str = "") -> Self:
        """Return a failure of the bench's own."""
        return cls(f"bench.{kind}", {"said": said})


class Made(msgspec.Struct, frozen=True):
    """What became of one board.

    Attributes:
        board: The board's own name; empty where it did not even say that.
        node: The name it has, or was to have.
        kind: Kind of board.
        seconds: How long it took.
        checks: What was tried, each ``(what, said)``.
        failures: What was wrong; nothing: it passed.
        passphrase: Of its own network, for its label; only of one that passed.
    """

    board: str
    node: str = ""
    kind: str = ""
    seconds: float = 0.0
    checks: list[tuple[str, str]] = []
    failures: list[Failure] = []
    passphrase: str = ""

    @property
    def passed(self) -> bool:
        """Whether it may be placed."""
        return not self.failures


class MadeFile:
    """What was made so far.

    Raises:
        ConfigError: The file is there, and cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        try:
            self.all = msgspec.json.decode(self._path.read_bytes(), type=list[Made])
        except FileNotFoundError:
            self.all = []
        except (OSError, msgspec.MsgspecError) as exc:
            raise ConfigError(str(self._path), f"cannot be read: {exc}", "move it away to begin anew") from exc

    def add(self, made: Made) -> None:
        """Note what became of a board; what was noted of it, or of the name, before is over."""
        kept = [each for each in self.all if each.board != made.board or not made.board]
        if made.passed:
            kept = [each for each in kept if each.node != made.node or not each.passed]
        self.all = [*kept, made]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self._path, msgspec.json.format(msgspec.json.encode(self.all)) + b"\n", mode=0o600)
        except OSError as exc:
            raise ConfigError(str(self._path), f"cannot be written: {exc}", "give --out that you may write") from exc

    @property
    def passed(self) -> dict[str, Made]:
        """By name, the boards that passed."""
        return {each.node: each for each in self.all if each.passed}


@dataclass(frozen=True, slots=True)
class Demands:
    """What a board must show; what it can show where it is made.

    Attributes:
        sensors: Its sensors are connected, and answer.
        network: Its network is there, and lets it in.
    """

    sensors: bool = True
    network: bool = True


@dataclass
class Bench:
    """Makes nodes of a list.

    Attributes:
        planned: The list.
        image: The program.
        keys, update_key: Where the nodes' authority is; the public key of whoever signs updates.
        given: Which board has which name.
        made: What was made so far.
        demands: What a board must show.
        shared: Where shared keys of nodes on a battery are kept.
        replace: A board may have had a name that is not of the list; what it has not delivered is wiped.
        said: Called with what is being done: ``flash``, ``provision``, ``start``, ``try``; ``not_shared`` where a board
            keeps its certificate for want of a newer MicroPython.
    """

    planned: Sequence[Planned]
    image: Image
    keys: KeyFolder
    update_key: bytes
    given: GivenNames
    made: MadeFile
    demands: Demands
    shared: SharedKeys | None = None
    replace: bool = False
    said: Callable[[str], None] = lambda _step: None

    def left(self) -> list[Planned]:
        """Return the nodes that are still to be made."""
        passed = self.made.passed
        return [each for each in self.planned if each.node not in passed]

    def _next(self, uid: str) -> Planned | None:
        """Return what a board is to become: what it was to be already, else the first name that no board has."""
        left = self.left()
        own = self.given.node_of(uid)
        return next(
            (each for each in left if each.node == own), next((each for each in left if self._is_free(each)), None)
        )

    def _is_free(self, planned: Planned) -> bool:
        return self.replace or not self.given.board_of(planned.node)

    def taken(self) -> dict[str, str]:
        """Return the names that are left, and belong to boards: of those, only that board gets it."""
        return {each.node: self.given.board_of(each.node) for each in self.left() if not self._is_free(each)}

    def make(self, port: str) -> Made | None:
        """Make a node of the board at a port; ``None`` for one that was made already, or none is left to be made."""
        begun = time.monotonic()
        uid = kind = node = secret = ""
        is_named = False
        checks: list[tuple[str, str]] = []
        failures: list[Failure] = []
        try:
            with SerialBoard.connect(port) as board:
                uid, kind = board.facts.uid, board.facts.kind
                planned = self._next(uid)
                if planned is None or uid in {each.board for each in self.made.passed.values()}:
                    board.restart()
                    return None
                node = planned.node
                self._refuse_other(board, node)
                self.said("flash")
                flash(board, self.image, lambda _done, _size: None)
                self.said("provision")
                identity, is_named = self.keys.issue(node), True
                content = planned.configuration
                if self.shared is not None and misses_shared_key(self.shared, content, board.facts):
                    self.said("not_shared")
                provision(board, node, content, identity, self.update_key, self.given, self.shared, replace=True)
                secret = passphrase.settled(board)
                board.restart()
            self.said("start")
            failures = _started(port)
            if not failures:
                self.said("try")
                checks, failures = self._try(port)
        except BoardTrouble as trouble:
            failures = [Failure(f"trouble.{trouble.kind}", trouble.values)]
        if failures and is_named:
            failures += self._take_name_back(port, uid, node)
        shown = "" if failures else secret
        made = Made(uid, node, kind, round(time.monotonic() - begun, 1), checks, failures, shown)
        self.made.add(made)
        return made

    def _refuse_other(self, board: SerialBoard, node: str) -> None:
        """Leave a node from somewhere else, plugged in by mistake, what it has not delivered."""
        held = name_of(board)
        if not self.replace and held not in {"", "?", node}:
            raise BoardTrouble("other_name", board.port, node=held, wanted=node)

    def _try(self, port: str) -> tuple[list[tuple[str, str]], list[Failure]]:
        with SerialBoard.connect(port) as board:
            facts = report.selftest(board)
            board.restart()
        return judged(facts, self.demands)

    def _take_name_back(self, port: str, uid: str, node: str) -> list[Failure]:
        """Leave a board without its name; tell if that could not be done."""
        try:
            with SerialBoard.connect(port, wait_s=2.0) as board:
                if board.facts.uid == uid:
                    wipe(board)
                    self.given.take_back(uid)
                    if self.shared is not None:
                        # The next board of this name has a key of its own.
                        self.shared.take_off(node)
                    board.restart()
                    return []
        except BoardTrouble:
            pass
        return [Failure.of("has_name")]


def _started(port: str) -> list[Failure]:
    """Return why the program at a port did not start; nothing if it did."""
    for pause in _PAUSES_S:
        time.sleep(pause)
        with SerialBoard.connect(port, wait_s=WAIT_S) as board:
            facts = report.report(board, 0)
            board.restart()
        for fact in facts:
            if fact["what"] == "error":
                return [Failure.of("ended", str(fact["text"]).strip().splitlines()[-1])]
            if fact["what"] == "health" and fact["starts"]:
                return []
    return [Failure.of("not_started")]


def judged(facts: Sequence[Fact], demands: Demands) -> tuple[list[tuple[str, str]], list[Failure]]:
    """Return what a node's checks showed, and what of it is a failure."""
    checks, failures = [], []
    tried = set()
    for fact in facts:
        what, error = str(fact["what"]), str(fact.get("error", ""))
        tried.add(what)
        if what == "sensor":
            name = f"{fact['kind']}[{fact['place']}]"
            found = ", ".join(f"{reading[0]}={_plain(reading[2])}" for reading in fact.get("readings", ()))
            checks.append((name, error or found))
            if error and demands.sensors:
                failures.append(Failure.of("sensor", f"{name}: {error}"))
        elif what == "wifi":
            checks.append((what, error or f"{fact['signal']} dBm"))
            if error and demands.network:
                seen = set(error.partition(": ")[2].split(", ")) & set(fact["seen"])
                failures.append(Failure.of("refused" if seen else "no_network", error))
        elif what == "broker":
            # By its certificate it is let in before the broker has heard of a shared key.
            by = f"ok (certificate; shared key: {fact['shared']})" if fact.get("shared") else "ok"
            checks.append((what, error or by))
            # One that is not there yet is no fault of the board's; one that does not let it in is.
            if error and demands.network and not _NOT_THERE.match(error):
                failures.append(Failure.of("broker", error))
    if "wifi" not in tried:
        failures.append(Failure.of("not_tried"))
    return checks, failures


def _plain(value: object) -> str:
    if isinstance(value, list):
        whole, places = value
        return f"{whole / 10**places:.{max(0, places)}f}"
    return str(value)


def arriving(patterns: Sequence[str], is_over: Callable[[], bool]) -> Iterator[str]:
    """Yield ports at which a board was plugged in, those that are there first, until it is over."""
    handled: dict[str, tuple[str, float]] = {}
    while not is_over():
        now, found = time.monotonic(), ports(patterns)
        for port, (chip, seen) in list(handled.items()):
            if port in found and found[port] in {"", chip}:
                handled[port] = (chip, now)
            elif port in found or now - seen > _GONE_S:
                # Another chip calls itself otherwise, however quickly it was plugged in.
                del handled[port]
        fresh = next((port for port in found if port not in handled), None)
        if fresh is None:
            time.sleep(_LOOK_S)
            continue
        chip = found[fresh]
        yield fresh
        handled[fresh] = (chip, time.monotonic())

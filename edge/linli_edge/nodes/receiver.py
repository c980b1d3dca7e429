"""What becomes of a node's packs: each is taken once, in order, from the board that the node is. Pure.

Theory of operation
    * A pack carries its place in the node's log: ``epoch`` (names the log), ``seq`` (its number), ``since`` (the number
      after that of the record before it), and ``board`` (which board it is).
    * The **mark** of a node's epoch is the newest number that is in the gateway's log. A pack is new if its number is
      above the mark, and *next* if ``since`` is not above ``mark + 1``. One that is new and not next waits: the node
      sends again from where the gateway's answer says that it stands.
    * A press of a node's button is a **call**, named by the number of its first record, which every record of it bears.
      It goes on until the node is told that somebody has heard it; what is told of an earlier call says nothing of it.
    * A node is one board. A second one with its name is told apart, refused and reported, and hears no answer: what
      it has stays in its log until it is given a name of its own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Final

import msgspec

from linli_core.errors import RefusalReason, Refused
from linli_core.instant import MINUTE, SECOND, Instant
from linli_core.model import Point, Quality, Reading, parse_point
from linli_core.wire import senml

MOST_POINTS: Final = 128
"""Points of one node: sixteen sensors, each of which measures a few things."""

MOST_EPOCHS: Final = 4
"""Logs of one node that are remembered: a board whose flash was wiped begins another."""

PATIENCE: Final = 3
"""Intervals after which a node is silent, and half a minute more."""

NOT_YET: Final = 2**62
"""Later than any moment: whoever heard of something before has not heard of this."""

_EPOCH: Final = re.compile(r"[0-9a-f]{8}")
_NODE: Final = re.compile(
    rb'"node":"(?P<node>[a-z0-9][a-z0-9-]{0,62})","log":"(?P<epoch>[0-9a-f]{8})","place":(?P<seq>\d{1,10})'
)


class Call(msgspec.Struct, frozen=True):
    """The newest call of a node.

    Attributes:
        epoch, number: The first record of it, in the node's log.
        since: When that was observed; :data:`NOT_YET` until it came, 0 where it never will.
        heard: Whether somebody has heard it.
    """

    epoch: str
    number: int
    since: Instant = NOT_YET
    heard: bool = False


class Trouble(msgspec.Struct, frozen=True):
    """What is wrong with a node, as it was told last.

    Attributes:
        at: When.
        text: What was told.
    """

    at: Instant
    text: str


class NodeMark(msgspec.Struct):
    """What is known of one node.

    Attributes:
        board: The board it is bound to.
        marks: By epoch, the newest number that is in the gateway's log; the newest epoch stands last.
        call: Its newest call; ``None`` before the first.
        interval: Seconds from one time that it is heard of to the next; 0 until it has said so.
        reads: Seconds from one reading of its points to the next.
        points: What it reads so often, below its own name.
        low: Whether it saves its battery: it says nothing until that is changed.
        heard: When it was heard of last, as far as that was noted; 0: never.
        missing: Why points have no value now, by their names below its own: the reason's label.
        troubles: What is wrong with it, by its kind: the last word of the event that told it.
    """

    board: str = ""
    marks: dict[str, int] = {}
    call: Call | None = None
    interval: int = 0
    reads: int = 0
    points: list[str] = []
    low: bool = False
    heard: Instant = 0
    missing: dict[str, str] = {}
    troubles: dict[str, Trouble] = {}


def patience(known: NodeMark) -> int:
    """Return how long nothing may be heard of a node until it is silent."""
    return PATIENCE * known.interval * SECOND + MINUTE // 2


_Seconds = Annotated[int, msgspec.Meta(ge=1, le=100 * 86_400)]


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What a node says of itself; fields that this version does not know are let go."""

    state: str
    board: str
    epoch: str
    version: str = ""
    next_seq: int = 1
    backlog: int = 0
    interval: _Seconds = 900
    reads: _Seconds | None = None
    points: Annotated[list[str], msgspec.Meta(max_length=MOST_POINTS)] = []
    revision: int = 0
    reset: str = ""
    starts: int = 0
    number: int = 0
    running: int = 0
    trial: str | None = None
    call: int = 0
    kind: str = ""
    damaged: int = 0
    evicted: int = 0
    worn: int = 0
    low: bool = False
    overruns: int = 0
    unmade: int = 0


class Verdict(Enum):
    """What becomes of a pack."""

    TAKE = "take"
    KNOWN = "known"
    EARLY = "early"


@dataclass(frozen=True, slots=True)
class Taken:
    """A pack that was looked at.

    Attributes:
        verdict: Only one that says ``TAKE`` goes into the log.
        epoch, seq: Its place.
        readings: What it holds, under the gateway's name of the node.
        refused: Records that cannot be taken, and why.
        missing: First and last number before it that never came; ``None`` if nothing is missing.
        call: Number of the first record of the call that it is of; 0: of none.
    """

    verdict: Verdict
    epoch: str
    seq: int
    readings: list[Reading] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    missing: tuple[int, int] | None = None
    call: int = 0


class WrongBoard(Refused):
    """Another board uses a node's name."""


class Receiver:
    """The state of all nodes.

    Attributes:
        nodes: By node, what is known of it.
    """

    def __init__(self, boards: Mapping[str, str], nodes: Mapping[str, NodeMark]) -> None:
        """Store.

        Args:
            boards: The nodes there are, and the board that each must be; empty: any, once.
            nodes: What was known of them before.
        """
        self.nodes: dict[str, NodeMark] = {}
        for node, board in boards.items():
            known = nodes.get(node, NodeMark())
            # Troubles are told anew where they go on.
            changed = {"marks": dict(known.marks), "missing": dict(known.missing), "troubles": {}}
            self.nodes[node] = msgspec.structs.replace(known, board=board or known.board, **changed)

    def mark(self, node: str, epoch: str) -> int:
        """Return the newest number of a node's log that was taken; 0 for a log that nobody knows."""
        return self.nodes[node].marks.get(epoch, 0)

    def status(self, node: str, payload: bytes) -> Status:
        """Return a node's status.

        Raises:
            Refused: It is malformed, or of a node that nobody knows.
            WrongBoard: It comes from another board than the node's.
        """
        self._known(node)
        try:
            status = msgspec.json.decode(payload, type=Status)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise Refused(RefusalReason.MALFORMED, f"status of {node}: {exc}") from exc
        self._bind(node, status.board)
        return status

    def planned(self, node: str, status: Status) -> bool:
        """Note what a node reads and how often, and whether it saves its battery, as it says; tell if that is news."""
        known = self.nodes[node]
        points = [name for name in status.points if _is_point(f"{node}/{name}")]
        told = (status.interval, status.reads or status.interval, points, status.low)
        if told == (known.interval, known.reads, known.points, known.low):
            return False
        # What it reads no longer is not missing.
        known.missing = {name: why for name, why in known.missing.items() if name in points}
        known.interval, known.reads, known.points, known.low = told
        return True

    def pack(self, node: str, payload: bytes) -> Taken:
        """Look at a pack; nothing changes until :meth:`took`.

        Raises:
            Refused: It is malformed, has no place, or comes from a node that nobody knows.
            WrongBoard: It comes from another board than the node's.
        """
        self._known(node)
        pack = senml.decode(payload)
        first = pack.records[0]
        since, board = first.get("since"), first.get("board")
        if pack.epoch is None or pack.seq is None or not _EPOCH.fullmatch(pack.epoch):
            raise Refused(RefusalReason.MALFORMED, f"a pack of {node} without its place in the node's log")
        if not isinstance(since, int) or isinstance(since, bool) or not 1 <= since <= pack.seq:
            raise Refused(RefusalReason.MALFORMED, f"a pack of {node} that does not say what stands before it")
        call = first.get("call", 0)
        if not isinstance(call, int) or isinstance(call, bool) or not 0 <= call <= pack.seq:
            raise Refused(RefusalReason.MALFORMED, f"a pack of {node} of a call that has not begun: {str(call)[:40]}")
        self._bind(node, board if isinstance(board, str) else "")
        mark = self.mark(node, pack.epoch)
        if pack.seq <= mark:
            return Taken(Verdict.KNOWN, pack.epoch, pack.seq)
        if since > mark + 1:
            return Taken(Verdict.EARLY, pack.epoch, pack.seq)
        readings, refused = _readings(node, pack)
        missing = (mark + 1, pack.seq - 1) if pack.seq > mark + 1 and mark else None
        return Taken(Verdict.TAKE, pack.epoch, pack.seq, readings, refused, missing, call)

    def took(self, node: str, taken: Taken) -> None:
        """Note that everything of a node up to a pack is durable in the gateway's log."""
        known = self.nodes[node]
        marks = known.marks
        marks[taken.epoch] = max(taken.seq, marks.pop(taken.epoch, 0))
        while len(marks) > MOST_EPOCHS:
            del marks[next(iter(marks))]
        for reading in taken.readings:
            name = reading.point.name.removeprefix(f"{node}/")
            if reading.quality is not Quality.BAD:
                known.missing.pop(name, None)
            elif reading.reason is not None and (name in known.missing or len(known.missing) < MOST_POINTS):
                known.missing[name] = reading.reason.label
        if not taken.call:
            return
        call = self._call(node, taken.epoch, taken.call)
        if call.since == NOT_YET:
            is_first = taken.seq == taken.call and taken.readings
            since = min(reading.observed_at for reading in taken.readings) if is_first else 0
            call = msgspec.structs.replace(call, since=since)
        known.call = call

    def _call(self, node: str, epoch: str, number: int) -> Call:
        """Return what is known of a call."""
        known = self.nodes[node].call
        is_it = known is not None and (known.epoch, known.number) == (epoch, number)
        return known if known is not None and is_it else Call(epoch, number)

    def calling(self, node: str, epoch: str, number: int) -> bool:
        """Take in that a node says it is calling; tell whether somebody has heard that call already."""
        call = self._call(node, epoch, number)
        self.nodes[node].call = call
        return call.heard

    def hear(self, node: str, until: Instant | None = None) -> Call | None:
        """Note that somebody has heard a node's call, and return it.

        Args:
            node: Which.
            until: When whoever heard it knew of; a call that began later is another. ``None``: whichever it is.

        Returns:
            The call; ``None`` where there was none until then.
        """
        known = self.nodes[node]
        if known.call is None or (until is not None and known.call.since > until):
            return None
        known.call = msgspec.structs.replace(known.call, heard=True)
        return known.call

    def _known(self, node: str) -> None:
        if node not in self.nodes:
            raise Refused(RefusalReason.UNKNOWN_TOPIC, f"no node is called {node[:80]!r}: list it in [[nodes.boards]]")

    def _bind(self, node: str, board: str) -> None:
        bound = self.nodes[node]
        if not board:
            raise Refused(RefusalReason.MALFORMED, f"{node} does not say which board it is")
        if not bound.board:
            bound.board = board
        elif bound.board != board:
            raise WrongBoard(
                RefusalReason.BAD_NAME,
                f"board {board[:40]} calls itself {node}, which is board {bound.board}: "
                "two nodes have one name, or the board was changed ([[nodes.boards]] says which it is)",
            )


def _readings(node: str, pack: senml.Pack) -> tuple[list[Reading], list[Refused]]:
    """Return the readings of a pack; a name below another node is refused."""
    # Core's names have three parts: the gateway's own is put in front, and taken off again.
    first, *others = pack.records
    base = first.get("bn")
    prefix = f"{node}/"
    if not isinstance(base, str) or base != prefix:
        raise Refused(RefusalReason.BAD_NAME, f"a pack of {node} under the name {str(base)[:80]!r}")
    records = ({**first, "bn": f"gateway/{base}"}, *others)
    resolved, refused = senml.resolve(senml.Pack(pack.epoch, pack.seq, records), 0)
    readings = []
    for record in resolved:
        name = record.name.removeprefix("gateway/")
        point = parse_point(name) if name.startswith(prefix) else None
        if point is None or point.device != node:
            refused.append(Refused(RefusalReason.BAD_NAME, f"{name[:80]!r} is no point of {node}"))
            continue
        value, quality, reason = record.value, record.quality, record.reason
        readings.append(Reading(point, value, record.time, quality, reason, record.device_time))
    return readings, refused


def _is_point(name: str) -> bool:
    try:
        parse_point(name)
    except ValueError:
        return False
    return True


def label(node: str, epoch: str, seq: int) -> bytes:
    """Return what a message in the gateway's log says of where it came from; others ignore it."""
    return b'"node":"%b","log":"%b","place":%d,' % (node.encode(), epoch.encode(), seq)


def labels(bodies: Iterator[bytes]) -> Iterator[tuple[str, str, int]]:
    """Return node, epoch and number of those bodies that bear a label."""
    for body in bodies:
        if (found := _NODE.search(body[:512])) is not None:
            yield found["node"].decode(), found["epoch"].decode(), int(found["seq"])


def points_of(readings: list[Reading]) -> dict[str, Point]:
    """Return the points of readings by their names."""
    return {reading.point.name: reading.point for reading in readings}

"""Bringing a file into the store: a portion at a time, each with the place up to which the file is in.

Theory of operation. The place is a mark like a gateway's, written in the transaction that makes the readings durable:
killed at any instant, an import goes on where it was. A file is known by its length, its time of change and its
beginning, not by its name; one that was changed is read from its beginning, and what is there already stays as it is.
One portion is read while the one before it is written.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from linli_core.errors import Refused
from linli_platform.clock import Clock
from linli_platform.exchange import ExchangeError
from linli_platform.exchange.portions import Place, Portion, Source
from linli_platform.store import Store

MARK: Final = "import:"
"""Begins the names under which places in files stand among the marks."""

READINGS: Final = 500_000
"""Readings of one commit."""

_BEGINNING: Final = 65_536
_TOLD: Final = 20


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    at: int
    line: int
    readings: int
    refused: int


@dataclass(slots=True)
class Imported:
    """What an import did, or has done so far.

    Attributes:
        before: Where it began: 0, or where one before it was killed.
        place: Up to where the file is in.
        size: What ``place.at`` comes to at the end.
        read: Readings read.
        new: Those that were not there.
        known: Those that were there with the same value.
        conflicts: Those that were there with another value: which stays, ADR 0007 says.
        refused: Lines or rows left out, in this and in what went before.
        told: The first of them.
    """

    before: int
    place: Place
    size: int
    read: int = 0
    new: int = 0
    known: int = 0
    conflicts: int = 0
    refused: int = 0
    told: list[Refused] = field(default_factory=list)


def identity(path: Path) -> str:
    """Return by what a file is known."""
    try:
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
        found = path.stat()
    except OSError as exc:
        raise ExchangeError(f"{path}: cannot be read ({exc.strerror}); check the path and its permissions") from exc
    told = f"{found.st_size} {found.st_mtime_ns} ".encode()
    return hashlib.blake2b(told + beginning, digest_size=16).hexdigest()


def run(
    path: Path, source: Source, store: Store, clock: Clock, progress: Callable[[Imported], None] = lambda _: None
) -> Imported:
    """Bring a file in, from where an import before it came to; return what was done.

    Args:
        path: The file.
        source: What reads it.
        store: Open; nobody else writes to it.
        clock: When readings are received.
        progress: Called after each commit.

    Raises:
        ExchangeError: The file cannot be read, or is not what it is taken for.
        StoreError: The store did not take a portion; what was before it is in.
    """
    name = MARK + identity(path)
    stored = store.marks().get(name)
    past = _Stored(0, 0, 0, 0) if stored is None else msgspec.msgpack.decode(stored, type=_Stored)
    done = Imported(past.at, Place(past.at, past.line), source.size, refused=past.refused)
    readings = past.readings
    with ThreadPoolExecutor(1, "import") as pool:
        commits = _gathered(source.portions(done.place))
        ahead = pool.submit(next, commits, None)
        while (portion := ahead.result()) is not None:
            ahead = pool.submit(next, commits, None)
            refused = len(portion.refused) + portion.unnamed
            readings += len(portion)
            mark = _Stored(portion.until.at, portion.until.line, readings, done.refused + refused)
            appended = store.append(portion.batch(clock()), {name: msgspec.msgpack.encode(mark)})
            done.place = portion.until
            done.read += len(portion)
            done.new += len(appended.new)
            done.known += appended.duplicates
            done.conflicts += appended.conflicts
            done.refused += refused
            done.told += [each for _, each in portion.refused[: _TOLD - len(done.told)]]
            progress(done)
    return done


def _gathered(portions: Iterator[Portion]) -> Iterator[Portion]:
    """Return portions as large as a commit is to be."""
    held: list[Portion] = []
    count = 0
    for portion in portions:
        held.append(portion)
        count += max(1, len(portion))
        if count >= READINGS:
            yield Portion.joined(held)
            held, count = [], 0
    if held:
        yield Portion.joined(held)

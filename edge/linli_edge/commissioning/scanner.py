"""How a protocol joins ``linli-edge scan``: a pure search, found by entry point (group ``linli.scanners``).

A search says which probe is next and takes what was heard; it never opens a line, waits or reads a clock. The shell
(:mod:`linli_edge.commissioning.scan`) does that for every protocol alike: it opens the probe's setting, writes,
listens, shows progress, and keeps the search's state on disk, so that a scan can be stopped at any probe.

A search that walks a tree (M-Bus secondary addresses, DL/T 645 wildcards) returns from :meth:`Search.next` whatever
the answers so far lead to; its :meth:`Search.estimate` says what is certain now, and grows with what is found.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Final, Protocol

from linli_core.errors import ConfigError
from linli_edge.commissioning.target import Target
from linli_edge.transport.settings import TransportSettings

GROUP: Final = "linli.scanners"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked to be searched; what is empty, the protocol's usual choice fills.

    Attributes:
        target: The line.
        bauds: Speeds.
        parities: ``none``, ``even``, ``odd``.
        addresses: First and last address of each range.
        patience: Microseconds to wait for an answer in the first pass; ``None``: the protocol's choice.
        identify: Whether to ask devices that answer who they are.
    """

    target: Target
    bauds: tuple[int, ...] = ()
    parities: tuple[str, ...] = ()
    addresses: tuple[tuple[int, int], ...] = ()
    patience: int | None = None
    identify: bool = True


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to the line.

    Attributes:
        setting: The line as it must be set; the shell opens it anew where it differs from the one before.
        data: What to write; empty: only listen.
        patience: Microseconds from the last bit of the request to the first byte of an answer.
        complete: Tells from all that has come whether the answer is whole, so that nobody waits for more.
        label: What is being asked, for the progress line: short, the same in every language (``9600 8E1 id 12``).
        settle: Microseconds of silence after which what has begun, and is not whole, counts as all there is; ``None``:
            patience is waited out.
    """

    setting: TransportSettings
    data: bytes
    patience: int
    complete: Callable[[bytes], bool]
    label: str
    settle: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back.

    Attributes:
        data: Every byte from the request to the end of listening, an echo of the request included.
        delay: Microseconds from the last bit of the request to the first byte; ``None``: nothing came.
        closed: Whether the other end closed the connection.
    """

    data: bytes = b""
    delay: int | None = None
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long the rest of a search takes.

    Attributes:
        probes: Probes still to come.
        time: Microseconds if nobody (else) answers: each request, and the patience after it.
        parts: How the time comes about, for people: one line each, numbers and units only.
        each_found: Microseconds that a device which is found adds.
    """

    probes: int
    time: int
    parts: tuple[str, ...] = ()
    each_found: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A device that answered.

    Attributes:
        setting: The line's setting.
        address: Its address as the protocol writes it.
        delay: Microseconds it took to answer.
        title: What it is, as far as it said so or a profile tells; empty: unknown.
        profiles: The profiles that fit; several where they cannot be told apart.
        facts: What it said about itself (``maker``, ``model``, ``serial``…).
        device: Its keys in the configuration, below ``[[links.devices]]``.
    """

    setting: TransportSettings
    address: str
    delay: int
    title: str = ""
    profiles: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    device: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hint:
    """Something the person should know.

    Attributes:
        kind: Its text is ``scan.hint.<kind>`` of the catalogue.
        setting: Where.
        values: What to fill in.
    """

    kind: str
    setting: TransportSettings
    values: Mapping[str, object] = field(default_factory=dict)


class Search(Protocol):
    """One search on one line; pure."""

    def estimate(self) -> Estimate:
        """Return how long the rest takes."""
        ...

    def next(self) -> Probe | None:
        """Return the next probe, the same one until :meth:`take` was called; ``None`` when all is done."""
        ...

    def take(self, heard: Heard) -> Sequence[Found]:
        """Take what the probe brought; return the devices that are complete now."""
        ...

    def found(self) -> Sequence[Found]:
        """Return all devices so far."""
        ...

    def hints(self) -> Sequence[Hint]:
        """Return what else was noticed."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return what must be kept to go on later, as JSON can hold it."""
        ...


@dataclass(frozen=True, slots=True)
class Scanner:
    """What an entry point in group ``linli.scanners`` must name.

    Attributes:
        name: The driver's name.
        start: Begins a search, or goes on with a kept one (second argument); raises ``ConfigError`` for what the
            protocol cannot search, and ``ValueError`` for a state that is none of its own.
        link: The link's keys in the configuration beside ``id``, ``driver`` and the transport's (``framing``).
    """

    name: str
    start: Callable[[Wanted, Mapping[str, Any] | None], Search]
    link: Callable[[Target], Mapping[str, str | int]] = lambda _: {}


def load(name: str) -> Scanner:
    """Return a protocol's scanner; raise ``ConfigError`` where it has none."""
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(sorted(known))}"
        raise ConfigError("--protocol", f'no search for "{name}" is installed', hint)
    scanner = known[name].load()
    if not isinstance(scanner, Scanner):
        raise ConfigError(GROUP, f"entry point {known[name].value!r} is no Scanner", "tell the package's maintainer")
    return scanner

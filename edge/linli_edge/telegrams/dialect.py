"""What a meter protocol offers to the commands that look at recorded telegrams."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from linli_core.codecs.explain import Part
from linli_core.errors import DeviceError, ProtocolError
from linli_edge.telegrams.keys import Keys

Outcome = dict[str, Any] | ProtocolError | DeviceError
"""A telegram as an object for JSON, or what is wrong with it."""


class Certainty(IntEnum):
    """How sure it is that some bytes are of a protocol."""

    SHAPED = 1
    """They begin as its telegrams do, but they are cut or damaged; or the protocol has no checksum."""

    CHECKED = 2
    """A whole telegram, and its checksum is right."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """That some bytes are of a protocol.

    Attributes:
        reason: By what it was recognised, in words: ``68, two equal lengths, 68; the checksum is right``.
    """

    certainty: Certainty
    reason: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """One meter protocol.

    Its texts are English; the phrase book translates them (:mod:`linli_edge.telegrams.phrases`).

    Attributes:
        title: Its name for people, with the edition: ``DL/T 645``.
        decode: Yields each telegram in some bytes as an object, or what is wrong. Nothing with a wrong checksum
            yields a value.
        explain: Tells some bytes part by part; the parts cover all of them in order, whatever they are
            (:func:`linli_core.codecs.explain.covers`), and no input raises. Behind a wrong checksum parts have names,
            ``wrong`` says what is wrong, and no value is told.
        recognise: Tells whether some bytes are of this protocol, and by what; ``None`` if nothing speaks for it.
            What it says of a protocol that shares its start with others must be what sets it apart.
    """

    title: str
    decode: Callable[[bytes, Keys], Iterable[Outcome]]
    explain: Callable[[bytes, Keys], list[Part]]
    recognise: Callable[[bytes], Recognised | None]

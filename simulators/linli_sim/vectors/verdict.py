"""What came of one recorded frame."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How what we make of a recording stands to what is expected of it."""

    AGREE = "agree"
    """Decoded, and every value is the expected one."""

    REFUSED_AS_EXPECTED = "refused_as_expected"
    """Expected to be refused, or to report an error, and that by name, with no value."""

    PRIVATE = "private"
    """Frame, header and decryption are right; the payload is its maker's private layout, which nobody published."""

    LISTED = "listed"
    """Differs, and ``docs/protocols.md`` says why the expectation is wrong."""

    WRONG = "wrong"
    """Differs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one recording.

    Attributes:
        why: What differs, was refused or is private; empty where there is nothing to say.
    """

    outcome: Outcome
    why: str = ""

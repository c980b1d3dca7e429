"""One thing that is done, left or kept on the way to what is wanted."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What becomes of a thing."""

    MAKE = "make"
    CHANGE = "change"
    REMOVE = "remove"
    SAME = "same"
    KEPT = "kept"
    """A person's doing, or somebody else's thing: not touched, and said."""


class Kind(StrEnum):
    """What kind of thing."""

    FOLDER = "folder"
    TEAM = "team"
    PERMISSION = "permission"
    SOURCE = "source"
    CONTACT = "contact"
    BOARD = "board"
    ACCOUNT = "account"


class Why(StrEnum):
    """Why a thing is kept."""

    EDITED = "edited"
    SAME_TITLE = "same_title"
    FOREIGN = "foreign"
    MEMBERS = "members"
    IN_USE = "in_use"
    ROUTED = "routed"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        action: What becomes of the thing.
        kind: What it is.
        uid: Which.
        title: What people call it.
        why: Why it is kept.
        diff: What changes, in lines that begin with ``-``, ``+`` or a blank.
        run: Does it; nothing for what stays as it is.
    """

    action: Action
    kind: Kind
    uid: str
    title: str = ""
    why: Why | None = None
    diff: tuple[str, ...] = ()
    run: Callable[[], object] | None = None

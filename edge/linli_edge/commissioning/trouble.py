"""Why a line does not open, or breaks, in words for the person in front of it."""

import errno
from typing import Final

from linli_core.catalogue import Language, text
from linli_core.errors import LinkClosed, LinkError, LinkTimeout
from linli_edge.commissioning.find_sweep import UnitSilent
from linli_edge.transport.settings import SerialSettings, TransportSettings

_BUSY: Final = frozenset({errno.EAGAIN, errno.EBUSY, errno.EWOULDBLOCK})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM})
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO})
_NO_PORT: Final = frozenset({errno.ENOTTY, errno.EINVAL, errno.EISDIR})


def line_trouble(error: LinkError, setting: TransportSettings, lang: Language) -> str:
    """Return what is wrong with a line and what to do; the error's own text stands in front."""
    return f"{error}\n→ {text(f'line.{trouble_kind(error, setting)}', lang)}"


def trouble_kind(error: LinkError, setting: TransportSettings) -> str:
    """Return the kind of trouble; its text is ``line.<kind>`` of the catalogue."""
    if isinstance(error, UnitSilent):
        return "silent"
    if not isinstance(setting, SerialSettings):
        if isinstance(error, LinkTimeout):
            return "away"
        return "closed" if isinstance(error, LinkClosed) else "refused"
    if isinstance(error, LinkClosed):
        return "gone"
    number = _number(error)
    for numbers, kind in ((_BUSY, "busy"), (_FORBIDDEN, "forbidden"), (_ABSENT, "absent"), (_NO_PORT, "no_port")):
        if number in numbers:
            return kind
    return "no_port"


def _number(error: BaseException) -> int | None:
    """Return the system's error number: of the error, of what caused it, or as pyserial writes it into its text."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return cause.errno
        cause = cause.__cause__ or cause.__context__
    return None

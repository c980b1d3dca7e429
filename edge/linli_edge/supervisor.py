"""Where one link's trouble ends. The gateway's only ``except Exception`` stands here.

A driver may come from a package of its own. Whatever it raises that is not one of Linli's errors is a bug of that
driver: it stops its link, is reported, and the link is opened again; the other links do not notice.
"""

from collections.abc import Awaitable
from typing import TypeVar

from linli_core.errors import LinkError, LinliError

ResultT = TypeVar("ResultT")


class DriverBug(LinliError):
    """A driver raised what it must not raise; the cause is attached."""


async def confine(work: Awaitable[ResultT]) -> ResultT:
    """Await a driver's work; whatever unexpected comes out of it becomes a :class:`DriverBug`.

    A group of errors (the driver runs tasks of its own) counts as the first ``LinkError`` in it.
    """
    try:
        return await work
    except LinliError:
        raise
    except Exception as exc:
        if isinstance(exc, ExceptionGroup) and (broken := exc.subgroup(LinkError)) and len(exc.exceptions) == 1:
            raise LinkError(str(_first(broken))) from exc
        raise DriverBug(f"{type(exc).__name__}: {exc}") from exc


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner

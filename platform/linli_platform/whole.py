"""Work that is done whole or not begun, whoever stops waiting for it.

A thread cannot be cancelled. Who waits for one that writes, and is cancelled (a browser gone, a program that ends),
does not know whether it wrote, and would write again.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


async def whole(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a coroutine to its end even if the caller is cancelled meanwhile; only then the cancellation goes on.

    What the work raises is raised here, except to a cancelled caller: it is gone, and finds only its cancellation.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        # Retrieved, so that nothing complains of an error nobody saw; who began the work has counted it.
        raise cancelled from task.exception()
    return task.result()

"""Tasks with an end: what ``asyncio.wait_for`` does, without the kilobyte that its module takes of a heap."""

import asyncio
import time

from linli_node.errors import LinkError


async def ended(task):
    """Cancel a task and wait until it is over, whatever it ends with that is expected here."""
    task.cancel()
    try:
        await task
    except (asyncio.CancelledError, LinkError):
        return


async def within(seconds, work):
    """Do some work and return what it returns; ``asyncio.TimeoutError`` where that takes longer."""
    task, started, pause = asyncio.create_task(work), time.ticks_ms(), 0
    try:
        while not task.done():
            if time.ticks_diff(time.ticks_ms(), started) > seconds * 1000:
                raise asyncio.TimeoutError
            await asyncio.sleep_ms(pause)
            pause = min(pause + 1, 5)
    finally:
        if not task.done():
            await ended(task)
    return await task

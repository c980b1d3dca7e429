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


async def _into(box, work):
    try:
        box.append(await work)
    except Exception as exc:  # noqa: BLE001 - whoever asked for the work gets it, and nobody else may be told
        box.append(None)
        box.append(exc)


def begun(work, box):
    """Begin some work; what it returns, or ``None`` and what it raised, stands in the box when it is over."""
    return asyncio.create_task(_into(box, work))


def outcome(box):
    """Return what some work returned; raise what it raised."""
    if len(box) > 1:
        raise box[1]
    return box[0]


async def within(seconds, work):
    """Do some work and return what it returns; ``asyncio.TimeoutError`` where that takes longer."""
    box, started, pause = [], time.ticks_ms(), 0
    task = begun(work, box)
    try:
        while not task.done():
            if time.ticks_diff(time.ticks_ms(), started) > seconds * 1000:
                raise asyncio.TimeoutError
            await asyncio.sleep_ms(pause)
            pause = min(pause + 1, 5)
    finally:
        if not task.done():
            await ended(task)
    return outcome(box)

"""Tasks with an end: what ``asyncio.wait_for`` does, without the kilobyte that its module takes of a heap."""

import asyncio

from micropython import const

from linli_node.errors import LinkError

_INSISTS_MS = const(1000)
"""What is to end is told so again and again."""


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


async def _ended_after(seconds, task, box):
    await asyncio.sleep(seconds)
    while not task.done():
        # One thing more than work that fails: so who is cancelled knows by whom.
        box[:] = None, asyncio.TimeoutError(), None
        task.cancel()
        # What it waits for may have taken that for its own end, or what it ends with may hang.
        await asyncio.sleep_ms(_INSISTS_MS)


async def within(seconds, work):
    """Do some work and return what it returns; ``asyncio.TimeoutError`` where that takes longer."""
    box, limit = [], None
    task = begun(work, box)
    try:
        # Most of it is done at once, and needs no limit.
        await asyncio.sleep_ms(0)
        if not task.done():
            limit = asyncio.create_task(_ended_after(seconds, task, box))
            # Looked at every few milliseconds it would be found to be done that much later.
            await task
    except asyncio.CancelledError:
        # By its limit, or by whoever ends all of this: that may come when the work is done already.
        if len(box) < 3:
            raise
    finally:
        if limit is not None:
            limit.cancel()
        if not task.done():
            await ended(task)
    return outcome(box)

"""Work that has a limit: ``main`` prints what came of each kind of it, and what it did at its end."""

import asyncio
import json

from linli_app.tasks import within
from linli_node.errors import LinkError

DID = []


async def _at_once():
    return 1


async def _later():
    await asyncio.sleep_ms(2)
    return 2


async def _fails():
    await asyncio.sleep_ms(2)
    raise LinkError("broken")


async def _long():
    try:
        await asyncio.sleep(60)
    finally:
        DID.append("cleaned")


async def _deaf():
    # As whoever just waits for the end of something that was cancelled.
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        DID.append("deaf")
    await asyncio.sleep(60)


async def _fails_at_its_end():
    try:
        await asyncio.sleep(60)
    finally:
        raise LinkError("broken")


async def _within(seconds, work):
    try:
        return await within(seconds, work)
    except asyncio.TimeoutError:
        return "too long"
    except LinkError as exc:
        return str(exc)


async def _ended_outside():
    task = asyncio.create_task(within(60, _long()))
    await asyncio.sleep_ms(5)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "ended"


async def _all():
    came, close = [], []
    for seconds, kinds in ((60, (_at_once, _later, _fails)), (0.01, (_long, _deaf, _fails_at_its_end))):
        for work in kinds:
            came.append(await _within(seconds, work()))  # noqa: PERF401 - no comprehension awaits here
    came.append(await _ended_outside())
    for _ in range(30):
        # It ends at the moment of its limit: one of the two, and nothing else.
        close.append(await _within(0.002, _later()))  # noqa: PERF401 - as above
    return {"came": came, "did": DID, "close": [each for each in close if each not in (2, "too long")]}


def main(_path):
    """Print what came of it."""
    print(json.dumps(asyncio.run(_all())))


if __name__ == "__main__":
    main("")

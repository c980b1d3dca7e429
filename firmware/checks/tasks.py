"""Work that has a limit: ``main`` prints what came of each kind of it, and what it did at its end."""

import asyncio
import json
import time

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


async def _ended_when_it_is_done(work):
    """End what does some work with a limit, at the moment at which the work is done."""
    done, went_on = [], []

    async def last():
        try:
            return await work()
        finally:
            done.append(True)
            # Whoever looks is next, and not who waits for this.
            time.sleep_ms(5)

    async def whole():
        await _within(60, last())
        went_on.append(True)
        await asyncio.sleep(60)

    task = asyncio.create_task(whole())
    while not done:
        await asyncio.sleep_ms(0)
    task.cancel()
    # Where that was taken for the end of the work, it goes on.
    await asyncio.sleep_ms(20)
    return task.done() and not went_on


async def _all():
    came, close = [], []
    for seconds, kinds in ((60, (_at_once, _later, _fails)), (0.01, (_long, _deaf, _fails_at_its_end))):
        for work in kinds:
            came.append(await _within(seconds, work()))  # noqa: PERF401 - no comprehension awaits here
    came.append(await _ended_outside())
    stopped = [await _ended_when_it_is_done(_later), await _ended_when_it_is_done(_fails)]
    for _ in range(30):
        # It ends at the moment of its limit: one of the two, and nothing else.
        close.append(await _within(0.002, _later()))  # noqa: PERF401 - as above
    return {
        "came": came,
        "stopped": stopped,
        "did": DID,
        "close": [each for each in close if each not in (2, "too long")],
    }


def main(_path):
    """Print what came of it."""
    print(json.dumps(asyncio.run(_all())))


if __name__ == "__main__":
    main("")

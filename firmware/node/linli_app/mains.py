"""The life of a node that has power: it reads, acts and delivers all the time. Loaded only there."""

import asyncio

from micropython import const

from linli_app.tasks import ended
from linli_node.errors import LinkError

_LOOK_MS = const(20)
"""How often contacts and pulses are looked at."""
_RETRY_S = const((1, 2, 5, 10, 30, 60, 120, 300))
"""Pauses between attempts to reach the gateway, each made longer by up to a half."""


async def live(node, board, config):
    """Run until told to stop (``node.ended``)."""
    tasks = [
        asyncio.create_task(_sampling(node, board, config["interval"] * 1000)),
        asyncio.create_task(_delivering(node, board)),
    ]
    try:
        while not node.ended:
            await node.look()
            for task in tasks:
                if task.done():
                    await task  # a fault of the program: the watchdog is not needed to notice it
            board.feed()
            await asyncio.sleep_ms(_LOOK_MS)
    finally:
        for task in tasks:
            await ended(task)


async def _sampling(node, board, interval):
    while True:
        started = board.count()
        await node.sample()
        await asyncio.sleep_ms(max(0, interval - (board.count() - started)))


async def _delivering(node, board):
    failures = 0
    while True:
        before = node.uplink.sessions
        try:
            await node.deliver(lambda: False)
        except LinkError as exc:
            board.say(str(exc))
        failures = 0 if node.uplink.sessions > before else failures + 1
        pause = _RETRY_S[min(failures, len(_RETRY_S) - 1)] * 1000
        await asyncio.sleep_ms(pause + board.random32() % (pause // 2))

"""Whether a node would do its work where it is: its sensors answer, it joins the network, its gateway lets it in.

It is called by ``linli-edge node bench`` at the cable; lines of JSON, one a check.
"""

import asyncio

from linli_app.board import Board
from linli_app.greeting import opening
from linli_app.knocking import greeted
from linli_app.report import configuration, tell
from linli_app.sensors import make
from linli_node.errors import LinkError, SensorError

_READ_S = 8
_AGAIN = 3
"""A sensor that has nothing new to say yet is asked so often, a second and more apart."""


async def _fed(board):
    while True:
        board.feed()
        await asyncio.sleep_ms(500)


async def _sensor(config, board):
    """Return what a sensor says, or why it does not."""
    try:
        sensor = make(config, board)
        for _ in range(_AGAIN - 1):
            try:
                return {"readings": await asyncio.wait_for(sensor.read(), _READ_S)}
            except SensorError as exc:
                if exc.reason != "waiting_for_initial_data":
                    raise
                await asyncio.sleep(2)
        return {"readings": await asyncio.wait_for(sensor.read(), _READ_S)}
    except asyncio.TimeoutError:
        return {"error": "it says nothing for " + str(_READ_S) + " s", "reason": "no_communication"}
    except SensorError as exc:
        return {"error": str(exc), "reason": exc.reason}
    except (OSError, ValueError) as exc:
        # A short on the bus; a pin that this board has not.
        return {"error": str(exc), "reason": "no_communication"}


async def _wifi(config, board):
    try:
        await board.connect(config["wifi"])
    except LinkError as exc:
        tell("wifi", error=str(exc), seen=board.networks())
        return False
    tell("wifi", signal=board.signal())
    return True


async def _let_in(config, board):
    """Return why the broker does not let this node in; empty if it does."""
    client, node, error = None, config["node"], ""
    try:
        said = [opening(node + "-" + board.uid, ["node/" + node + "/ack"])]
        client = await greeted(board.streams, lambda _topic, _payload: None, said)
        # A broker that does not let it subscribe says so at once.
        await asyncio.wait_for(client.run(), 1)
    except asyncio.TimeoutError:
        pass
    except LinkError as exc:
        error = str(exc)
    if client is not None:
        await client.close()
    return error


async def _broker(config, board):
    error = await _let_in(config, board)
    if error and board.unheard():
        # The shared key is not known there yet: what counts is whether the node gets in at all.
        told, error = {"shared": error}, await _let_in(config, board)
    else:
        told = {}
    if error:
        told["error"] = error
    tell("broker", **told)


async def _checks(config, board):
    feeding = asyncio.create_task(_fed(board))
    for place, sensor in enumerate(config["sensors"]):
        tell("sensor", place=place, kind=sensor["kind"], **await _sensor(sensor, board))
    if await _wifi(config, board):
        await _broker(config, board)
    feeding.cancel()


def selftest(root=""):
    """Make every check, and tell how it ended."""
    config = configuration(root)
    if config is not None:
        asyncio.run(_checks(config, Board(config)))

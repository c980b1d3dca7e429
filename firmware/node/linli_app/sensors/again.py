"""A sensor that fails is opened again, ever more rarely: a short is mended, a probe is plugged in, a chip starts anew.

Loaded only while one fails, on mains: out of deep sleep every sensor is opened anew.
"""

from linli_app.sensors import make
from linli_node import forget

_AGAIN_S = (30, 60, 120, 300, 600)
"""From one attempt to the next. The first is made at once: a reading that one glitch spoiled is not lost."""


async def again(node, place, board, read):
    """Return what a sensor says once it is opened again; ``None`` where it is not time for that.

    What counts, or looks at a contact, is kept: it holds what happened since, and what fails of it is the flash.

    Args:
        node: The node: its ``sensors`` and which of them were ``failing`` the last time.
        place: The sensor's.
        board: The board.
        read: Reads a sensor: ``await read(table, sensor)``.
    """
    forget("linli_app.sensors.again")
    table, sensor = node.sensors[place]
    board.say(table["kind"] + " does not answer rightly: " + (str(node.reason) or "nothing in time"))
    # How often it was tried, and the board's count at the next time: it is kept where it is needed.
    tried, due = table.get("tried", (0, 0)) if node.failing >> place & 1 else (0, 0)
    count, found = board.count(), None
    if count >= due and not hasattr(sensor, "poll"):
        table["tried"] = tried + 1, count + _AGAIN_S[min(tried, len(_AGAIN_S) - 1)] * 1000
        sensor = make(table, board)
        node.sensors[place] = table, sensor
        found = await read(table, sensor)
    forget("linli_app.sensors")
    return found

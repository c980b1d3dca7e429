"""How the program begins on a board; ``main.py`` calls it from the slot that is to start."""

import asyncio
import sys

from linli_app.settings import check, known, load
from linli_node import forget
from linli_node.errors import ConfigError

_LISTEN_MS = 3000
_SLOW = ("ds18b20",)
"""Kinds of sensors that measure for longer than all else takes, and need nobody meanwhile."""


def _begin(board, config):
    """Let begin what takes longest, while the rest of the program is still being loaded: a probe, and the radio.

    That it is time to speak stands in the memory that outlasts sleep. Returns what was noted there, and the sensors.
    """
    from linli_node.rests import is_news, rests_of  # noqa: PLC0415 - only on a battery

    tables = config["sensors"]
    rests, pins = rests_of(board), board.woken_pins
    urgent = is_news(tables, pins)
    # What only counted a pulse reads and speaks when the time for it has come.
    due = urgent or not pins
    from linli_app.sensors import make  # noqa: PLC0415 - let go again

    # A probe takes longer than the radio does, and is asked in a moment.
    sensors = [(table, make(table, board) if table["kind"] in _SLOW else None) for table in tables]
    if due:
        for _, sensor in sensors:
            if sensor is not None:
                sensor.begin()
        # Before the radio is on: under it two cells seem emptier than they are.
        rests.weigh(board.battery_mv())
        if board.woke and rests.speaks(urgent=urgent):
            board.begin(config["wifi"])
    sensors = [(table, sensor or make(table, board)) for table, sensor in sensors]
    forget("linli_app.sensors")
    return rests, sensors


async def _live(root, config):
    from linli_app.board import Board  # noqa: PLC0415 - after the configuration was checked: its memory is free again

    early, rests, sensors = config or load(root), None, None
    board = Board(early)
    if early["power"] == "battery":
        rests, sensors = _begin(board, early)
    from linli_app.program import Node  # noqa: PLC0415

    if not board.woke:
        # Read once more: by now most of its words are those of the program, and take no memory of their own.
        config = None
    del early
    config = config or load(root)
    forget("linli_app.settings")
    while True:
        node = Node(config, board, rests, sensors)
        node.open()
        sensors = None
        if rests is not None and not board.woke:
            _bundle(board)
            # It sleeps a second from now: whoever pressed its button, to speak to it at the cable, needs longer.
            await asyncio.sleep_ms(_LISTEN_MS)
        # An ESP32 on a battery does not come back from its sleep; a Pico W does.
        await node.run()


def _bundle(board):
    """Put the program into one file where it is loaded anew at each wake."""
    # A loader of before bundles cannot use one, and stays until a flash.
    if board.kind[:5] == "esp32" and hasattr(sys.modules.get("linli_loader"), "path"):
        from linli_node.bundling import bundle  # noqa: PLC0415 - once after each update

        bundle(sys.path[0], board.feed)
        forget("linli_node.bundling")


def main(root=""):
    """Run the node for ever; a board without a configuration, or with one that cannot be used, asks for one.

    Raises:
        ConfigError: It may not ask (:mod:`linli_app.asking`).
    """
    try:
        config = known(root)
        if config is None:
            from linli_app.board import kind  # noqa: PLC0415 - a start that knows it needs it later

            config = check(root, kind())
    except (OSError, ConfigError) as exc:
        from linli_app.asking import ask  # noqa: PLC0415 - mostly once in a board's life

        ask(root, exc)
        return
    asyncio.run(_live(root, config))

"""How the program begins on a board; ``main.py`` calls it from the slot that is to start."""

import asyncio

from linli_app.settings import check, load
from linli_node.forget import forget

_LISTEN_MS = 3000


async def _live(root, config):
    from linli_app.board import Board  # noqa: PLC0415 - after the configuration was checked: its memory is free again

    early, rests = config or load(root), None
    board = Board(early)
    if early["power"] == "battery":
        from linli_app.battery import rests_of  # noqa: PLC0415

        # Contacts and pulses are what has a debounce.
        board.can_wake([table["pin"] for table in early["sensors"] if "debounce_ms" in table])
        rests = rests_of(board)
        if board.woke and rests.speaks(urgent=bool(board.woken_pins)):
            board.begin(early["wifi"])
    del early
    from linli_app.program import Node  # noqa: PLC0415

    # Read once more: by now most of its words are those of the program, and take no memory of their own.
    config = config or load(root)
    forget("linli_app.settings")
    while True:
        node = Node(config, board, rests)
        node.open()
        if rests is not None and not board.woke:
            # It sleeps a second from now: whoever pressed its button, to speak to it at the cable, needs longer.
            await asyncio.sleep_ms(_LISTEN_MS)
        # An ESP32 on a battery does not come back from its sleep; a Pico W does.
        await node.run()


def main(root=""):
    """Run the node for ever; a board without a configuration asks for one (:mod:`linli_app.first_start`).

    Raises:
        ConfigError: Its configuration cannot be used, or it has none and may not ask.
    """
    try:
        config = check(root)
    except OSError:
        from linli_app.access_point import AccessPoint  # noqa: PLC0415 - once in a board's life
        from linli_app.first_start import first_start  # noqa: PLC0415

        air = AccessPoint()
        if not asyncio.run(first_start(root, air)):
            air.rest()
        return
    asyncio.run(_live(root, config))

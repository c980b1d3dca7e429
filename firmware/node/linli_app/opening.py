"""What a start of the program takes up: counts that were kept, sensors, actions. Loaded for it, and let go after it."""

from linli_app import point
from linli_node import forget


def take_up(config, board, kept):
    """Return how often the node has started, the call under way, what a call needs, and the actions.

    Args:
        config: The configuration.
        board: The board.
        kept: Where starts and call are kept on flash.
    """
    starts, *call = (kept.load() or b"0").split()
    tables, calls, named = config["sensors"], None, []
    # Where there is no button any more there is no call either.
    if any(table["kind"] == "button" for table in tables):
        from linli_app import calls  # noqa: PLC0415 - only where there is a button

        named = [name for name, _, _, _ in calls.said(tables, point, True)]
    actions = []
    if config["actions"]:
        from linli_app.actions import Action  # noqa: PLC0415 - only where there is one

        for table in config["actions"]:
            try:
                actions.append(Action(table, board, calls=table["when"] in named))
            except (ValueError, OSError) as exc:
                # A pin that this board has not. The status tells it too, for nobody may be at the cable.
                board.say(table["kind"] + " cannot be made: " + str(exc))
    return int(starts), int(call[0]) if call and calls is not None else 0, calls, actions


def made(tables, board):
    """Return the sensors, each with its table."""
    from linli_app.sensors import make  # noqa: PLC0415 - what only a start needs is let go after it

    found = [(table, make(table, board)) for table in tables]
    forget("linli_app.sensors")
    return found

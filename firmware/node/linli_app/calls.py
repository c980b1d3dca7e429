"""A button's call: a press goes on until somebody has heard it. Loaded only where there is such a button."""

import json

from micropython import const

_AGAIN_MS = const(10000)
"""A call is repeated so often until somebody confirms it."""


def is_button(config):
    """Tell whether a sensor is a button whose press is a call."""
    return config["kind"] == "button" and config["quantity"] == "emergency_button"


def is_pressed(board, config, sensor):
    """Tell whether a button is pressed, or was when it woke the board: nobody holds it until then."""
    if not is_button(config):
        return False
    if config["pin"] in board.woken_pins:
        board.woken_pins = ()
        return True
    return sensor.state


def said(tables, point, called):
    """Return what the buttons among the sensors say."""
    return [(point(table, table["quantity"]), "", called, "") for table in tables if is_button(table)]


def is_again(since):
    """Tell whether a call that was said so long ago is to be said once more."""
    return since >= _AGAIN_MS


def confirms(payload, epoch, call):
    """Tell whether a confirmation names the call under way: one of an earlier call must not silence it."""
    try:
        told = json.loads(payload)
        return bool(call) and (told["epoch"], told["call"]) == (epoch, call)
    except (ValueError, KeyError, TypeError):
        return False

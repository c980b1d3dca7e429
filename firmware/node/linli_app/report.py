"""What a node knows of itself and has not delivered, for whoever is at its cable: lines of JSON, one a fact.

It is called by ``linli-edge node logs``, and only reads: what a node has not delivered stays to be delivered.
"""

import gc
import json

from linli_app import VERSION
from linli_app.board import Board, kind
from linli_app.settings import check, load
from linli_node.clock import Clock
from linli_node.errors import ConfigError
from linli_node.ringlog import RingLog
from linli_node.saved import Saved
from linli_node.slots import Slots

_NONE = {"gateway": {}, "battery_pin": -1}


def tell(what, **told):
    """Print one fact."""
    told["what"] = what
    print(json.dumps(told))  # noqa: T201 - the serial line is all there is


def configuration(root):
    """Return the configuration; ``None`` where there is none that can be used, and that is told."""
    try:
        return check(root, kind()) or load(root)
    except OSError:
        tell("configuration", missing=True)
    except ConfigError as exc:
        tell("configuration", mistakes=str(exc).split("\n"))
    return None


def report(most, root=""):
    """Tell everything; of the log the newest records that were not delivered, so many at most."""
    config = configuration(root)
    board = Board(config or _NONE)
    number, running, trial = Slots(root).told()
    tell("board", board=board.uid, kind=board.kind, version=VERSION, number=number, running=running, trial=trial)
    if config is not None:
        kinds = [sensor["kind"] for sensor in config["sensors"]]
        tell(
            "configuration",
            node=config["node"],
            power=config["power"],
            interval=config["interval"],
            gateway=config["gateway"]["host"],
            wifi=[signal["ssid"] for signal in config["wifi"]],
            sensors=kinds,
        )
    starts = (Saved(board.flash("starts", 2, 4096)).load() or b"0").split()
    gc.collect()
    told = {"starts": int(starts[0]), "heap_free": gc.mem_free(), "battery_mv": board.battery_mv()}
    tell("health", call=len(starts) > 1 and starts[1] != b"0", **told)
    try:
        with open(root + "/last_error") as file:
            tell("error", text=file.read(1000))
    except OSError:
        pass
    _log(board, most, on_battery=config is not None and config["power"] == "battery")


def _log(board, most, *, on_battery):
    clock = Clock(board.count, Saved(board.flash("clock", 2, 4096)))
    # Whoever asks has interrupted the program, and set no clock back.
    clock.open(goes_on=True)
    # What a node on a battery noted of the gateway's word outlasts the interruption too.
    memory = board.memory("acked") if on_battery else None
    log = RingLog(board.flash("log", *board.log_size), board.random32, memory)
    log.open()
    tell("log", epoch=log.epoch, next_seq=log.next_seq, acked=log.acked, backlog=log.backlog, damaged=log.damaged)
    for seq, _, payload in log.pending(log.next_seq - 1 - most):
        board.feed()
        held = json.loads(payload)
        at, doubtful = clock.time_of(held[0], held[1])
        tell("record", seq=seq, at=at, doubtful=doubtful, records=held[2])

"""What a node says first in a connection: CONNECT, SUBSCRIBE, and its status. Let go before it is sent."""

import json
import struct

from micropython import const

from linli_app import VERSION, point
from linli_app.mqtt import packet, publish, string
from linli_node import forget

_CLEAN = const(0x02)
_WILL_QOS1 = const(0x0C)
_AHEAD = const(2048)
"""Bytes of records that are made ready: they must fit the heap twice."""


def connect(client, keepalive, will=None):
    """Return CONNECT (§3.1) with a clean session; ``will`` is a topic and a payload, for QoS 1."""
    flags = _CLEAN
    body = string(client)
    if will is not None:
        flags |= _WILL_QOS1
        body += string(will[0]) + struct.pack(">H", len(will[1])) + will[1]
    return packet(0x10, string("MQTT") + struct.pack(">BBH", 4, flags, keepalive) + body)


def subscribe(number, topics):
    """Return SUBSCRIBE (§3.8), each topic at QoS 1.

    But that of the gateway's acknowledgements, at QoS 0: one that is lost is asked for by sending again, and to answer
    each of them to the broker as well takes a board longer than to read it.
    """
    body = struct.pack(">H", number)
    for topic in topics:
        body += string(topic) + (b"\x00" if topic[-4:] == "/ack" else b"\x01")
    return packet(0x82, body)


def opening(client, topics, keepalive=60, *, will=None, first=None):
    """Return what a connection begins with: CONNECT, SUBSCRIBE, and PUBLISH of a first message if there is one.

    All of it goes at once, and nobody waits for an answer in between (§3.1.4): a broker that refuses throws it away.
    """
    said = connect(client, keepalive, will) + subscribe(1, topics)
    return said if first is None else said + publish(first[0], first[1], 2)


def begins(node, uid, log, keepalive, said):
    """Return what a node's connection begins with, for :func:`opening`'s broker; ``said`` is its status."""
    topics = [_topic(node, channel) for channel in ("ack", "confirm", "update")]
    status = _topic(node, "status")
    # The board's own name beside the node's: two boards of one name do not throw each other out, and are noticed.
    return opening(node + "-" + uid, topics, keepalive, will=(status, _over("lost", uid, log)), first=(status, said))


def ends(node, uid, log):
    """Return what it ends with before a sleep: at QoS 0, nobody waits for an answer any more."""
    return publish(_topic(node, "status"), _over("asleep", uid, log))


def _topic(node, channel):
    return "node/" + node + "/" + channel


def _over(state, uid, log):
    """Return the status of a node that is not there any more."""
    return json.dumps({"state": state, "board": uid, "epoch": log.epoch}).encode()


def ahead(node, uid, log, most):
    """Return the first of what waits in a log, made ready for :func:`linli_node.senml.made`."""
    from linli_node import senml  # noqa: PLC0415 - on mains it comes later

    ready, size = [], 0
    for seq, since, held in log.pending():
        era, count, around = senml.ahead(node, held, (log.epoch, seq, since, uid))
        size += len(around[0]) + len(around[1])
        if len(ready) >= most or size > _AHEAD:
            break
        ready.append((seq, since, era, count, around))
    return ready


def programs(root, *, proven):
    """Return what the status says of programs, after the one on trial has proven itself."""
    from linli_node.slots import Slots  # noqa: PLC0415 - let go again

    slots = Slots(root)
    if proven:
        slots.proven()
    forget("linli_node.slots")
    return slots.told()


def status(node, config, board, log, *, rests, known, starts, unmade):
    """Return what a node says of itself.

    Args:
        node: The node: its sensors, and its call.
        config: Its configuration.
        board: Its board.
        log: Its log.
        rests: What it noted of the times awake before this one; ``None`` on mains.
        known: Number of the update that was taken last, of the one that runs, the slot on trial.
        starts: How often it has started.
        unmade: How many of its actions could not be made.
    """
    reads = config["interval"] * (1 if rests is None else rests.rarely)
    number, running, trial = known
    return json.dumps(
        {
            "state": "online",
            "board": board.uid,
            "version": VERSION,
            "epoch": log.epoch,
            "next_seq": log.next_seq,
            "backlog": log.backlog,
            "damaged": log.damaged,
            "evicted": log.evicted,
            "worn": log.worn,
            "kind": board.kind,
            "number": number,
            "running": running,
            "trial": trial,
            "interval": reads * (config["deliver_every"] if config["power"] == "battery" else 1),
            "reads": reads,
            "revision": config["revision"],
            "reset": board.reset_cause,
            "starts": starts,
            "call": node.call,
            "points": [point(table, quantity) for table, sensor in node.sensors for quantity in sensor.quantities],
            "overruns": 0 if rests is None else rests.overruns,
            "low": rests is not None and rests.low,
            "unmade": unmade,
        }
    ).encode()

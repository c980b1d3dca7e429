"""What breaks on the way to the gateway ends an attempt, never the program: valves and buzzers go on."""

from linli_sim.nodes.vm import Machine

UNKNOWN = "the broker closed the connection: is this node's key known there?"
RESET = "the connection broke: [Errno 104] ECONNRESET"


def test_a_connection_that_breaks_at_a_write_is_a_broken_connection(unix_port: Machine) -> None:
    found = unix_port.check("mqtt", [])
    assert isinstance(found, list)
    (
        answering,
        answering_at_once,
        taking,
        pinging,
        connecting,
        ending,
        refused,
        refused_and_more,
        hung_up,
        reset,
        deaf,
    ) = found
    assert answering[0] == answering_at_once[0] == pinging[0] == RESET
    # What comes with the broker's first answer is taken like what comes after it.
    assert taking[:3] == ["", False, ["t abc"]]
    # What fails before there is a connection is let go: a board has a dozen of them.
    assert connecting[:2] == ["no connection: [Errno 113] EHOSTUNREACH", True]
    # CONNECT, SUBSCRIBE and PUBLISH go in one: who refuses the first refuses all, and is understood.
    assert all(case[3] == [1, 8, 3] for case in found)
    assert refused[:3] == refused_and_more[:3] == ["the broker refuses this node (code 5)", True, []]
    assert hung_up[:2] == [UNKNOWN, True]
    # A broker that closes while more lies unread than it looked at resets, and its refusal may be lost with that.
    assert ending[:2] == reset[:2] == ["the broker ends the handshake: does it take this node's key?", True]
    assert deaf[0] == "the broker lets this node subscribe to nothing: is its name the key's?"

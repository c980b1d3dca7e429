"""What breaks on the way to the gateway ends an attempt, never the program: valves and buzzers go on."""

from linli_sim.nodes.vm import Machine


def test_a_connection_that_breaks_at_a_write_is_a_broken_connection(unix_port: Machine) -> None:
    found = unix_port.check("mqtt", [])
    assert isinstance(found, list)
    answering, pinging, subscribing, refused, hung_up = found
    assert answering[0] == pinging[0] == "the connection broke: [Errno 104] ECONNRESET"
    # What fails before there is a connection is let go: a board has a dozen of them.
    assert subscribing == ["no connection: [Errno 104] ECONNRESET", True]
    assert refused == ["the broker refuses this node (code 5)", True]
    assert hung_up == ["the broker closed the connection: is this node's key known there?", True]

"""Who may read and write which topic, from the wire contract; rendered as a Mosquitto ACL file.

A name that is not listed may do nothing: Mosquitto refuses what no line allows.
"""

from collections.abc import Iterator
from typing import Final

from linli_broker.settings import Access
from linli_core.wire.topics import ROOT, Channel, shard_of

GATEWAY_WRITES: Final = (
    Channel.TELEMETRY.value,
    Channel.EVENT.value,
    Channel.STATUS.value,
    Channel.TWIN_REPORTED.value,
    f"{Channel.REPLY}/+",
)
"""What a gateway says, below its own ``linli/1/{shard}/{gateway}/``."""

PLATFORM_WRITES: Final = (Channel.ACK.value, Channel.TWIN_DESIRED.value, f"{Channel.COMMAND}/+")
"""What the platform says to a gateway, and all that a gateway may read."""

NODE_WRITES: Final = ("telemetry", "status", "wants")
"""What a node says to its gateway, below its own ``node/{node}/``."""

NODE_READS: Final = ("ack", "confirm", "update")
"""What it hears."""


def render_acl(access: Access) -> str:
    """Return the ACL file: the platform, then the gateways and the nodes, each in alphabetical order."""
    return "\n".join(_lines(access)) + "\n"


def _lines(access: Access) -> Iterator[str]:
    yield "# Written by linli-broker from its settings at every start; change those."
    yield ""
    yield f"user {access.platform}"
    yield f"topic read {ROOT}/#"
    for channel in PLATFORM_WRITES:
        yield f"topic write {ROOT}/+/+/{channel}"
    for gateway in sorted(access.gateways):
        own = f"{ROOT}/{shard_of(gateway)}/{gateway}"
        yield ""
        yield f"user {gateway}"
        for channel in GATEWAY_WRITES:
            yield f"topic write {own}/{channel}"
        for channel in PLATFORM_WRITES:
            yield f"topic read {own}/{channel}"
    for node in sorted(access.nodes):
        yield ""
        yield f"user {node}"
        for channel in NODE_WRITES:
            yield f"topic write node/{node}/{channel}"
        for channel in NODE_READS:
            yield f"topic read node/{node}/{channel}"

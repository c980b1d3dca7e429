"""How a connection to the gateway's broker is opened: loaded for it, and let go once it stands."""

import asyncio

from micropython import const

from linli_app.mqtt import Client
from linli_app.tasks import within
from linli_node.errors import LinkError

_ENDED = const((-0x7780, 32, 103, 104))
"""An alert that ends the handshake, as mbedTLS calls it; or what is left of a connection that was closed behind one."""


async def greeted(streams, take, said, limit=10):
    """Open a connection with what :func:`linli_app.greeting.opening` returned, and return its client.

    Args:
        streams: Returns a reader and a writer, connected: ``await streams()``.
        take: Called with topic and payload of each message.
        said: Holds that alone, and nothing once it is sent: nobody holds it any longer.
        limit: Seconds that this may take.

    Raises:
        LinkError: The broker is not reached, or lets nobody in.
    """
    client = Client(take)
    try:
        await within(limit, _greeted(client, streams, said))
    except asyncio.TimeoutError:
        await client.close()
        raise LinkError("the broker does not answer within " + str(limit) + " s") from None
    except LinkError:
        await client.close()
        raise
    except (OSError, ValueError) as exc:
        await client.close()
        # What TLS has to say comes with line ends of its own.
        raise LinkError("no connection: " + " ".join(str(exc).split())) from None
    return client


async def _greeted(client, streams, said):
    client.attach(*await streams())
    try:
        # The handshake is made by what is sent and heard first.
        await client.send(said.pop())
        found = ()
        while found is not None and not found:
            found = await client.heard()
    except OSError as exc:
        if exc.args and exc.args[0] in _ENDED:
            raise LinkError("the broker ends the handshake: does it take this node's key?") from None
        raise
    if found is None:
        raise LinkError("the broker closed the connection: is this node's key known there?")
    if found[0][0] != "connack" or found[0][1]:
        raise LinkError("the broker refuses this node (code " + str(found[0][-1]) + ")")
    for event in found[1:]:
        await client.on(event)

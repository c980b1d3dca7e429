"""The local broker of a gateway with nodes: a listener for the gateway, one with TLS for nodes with their own keys.

Where nodes have shared keys (``shared.keys`` in the folder of keys), it has one more for those.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from linli_sim.processes import Program, command

_SETTINGS: Final = """\
data = "{folder}/broker"
[[listeners]]
address = "127.0.0.1:{port}"
[[listeners]]
address = "127.0.0.1:{secure}"
tls = {{ ca = "{pki}/ca.pem", certificate = "{pki}/broker.pem", key = "{pki}/broker.key" }}
{shared}[access]
nodes = [{nodes}]
"""
_SHARED: Final = """\
[[listeners]]
address = "127.0.0.1:{port}"
shared_keys = "{pki}/shared.keys"
"""


def local_broker(
    folder: Path, port: int, secure: int, nodes: Iterable[str], *, pki: Path | None = None, shared: int = 0
) -> Program:
    """Return the broker, not started yet.

    Args:
        folder: Where its settings, data and log go.
        port: The gateway's.
        secure: The nodes', with certificates.
        nodes: The ids of those it lets in.
        pki: The folder of keys; ``pki`` in ``folder`` if left out.
        shared: The nodes', with shared keys; 0: there is none.
    """
    keys = pki or folder / "pki"
    settings = folder / "broker.toml"
    listed = ", ".join(f'"{node}"' for node in nodes)
    more = _SHARED.format(port=shared, pki=keys) if shared else ""
    text = _SETTINGS.format(folder=folder, port=port, secure=secure, pki=keys, nodes=listed, shared=more)
    settings.write_text(text, encoding="utf-8")
    argv = [command("linli-broker"), "serve", "--config", str(settings)]
    return Program("broker", argv, folder / "broker.log", "ready on ")

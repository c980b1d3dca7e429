"""The virtual machines on which the firmware's programs are tried."""

from collections.abc import Callable

import pytest

from linli_sim.nodes.vm import Machine, NoMachine, unix, wasm

_PORTS: dict[str, Callable[[], Machine]] = {"unix": unix, "wasm": wasm}


def _port(name: str) -> Machine:
    try:
        return _PORTS[name]()
    except NoMachine as exc:
        pytest.skip(str(exc))


@pytest.fixture(params=sorted(_PORTS))
def machine(request: pytest.FixtureRequest) -> Machine:
    """Return each port in turn; one that is not installed is skipped with what would install it."""
    return _port(request.param)


@pytest.fixture
def unix_port() -> Machine:
    """Return the unix port."""
    return _port("unix")

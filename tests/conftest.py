"""Shared by all tests: the recorded frames, a free port, no time limits. A fixture lives beside what it is for."""

import gc
import os
import socket
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from linli_sim import processes

# A busy machine is no fault of the code: no example is too slow.
settings.register_profile("linli", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("linli")

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the collector the ten thousand tests: half of the collection was spent on looking through them for cycles.

    They live to the end, so they are frozen; what a test itself leaves behind is looked through as ever, only sooner.
    """
    gc.disable()
    try:
        result = yield
        gc.collect()
        gc.freeze()
    finally:
        gc.enable()
    return result


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of recorded frames: ``LINLI_VECTORS``, or ``../shared/vectors``; read in place, never copied."""
    folder = Path(os.environ.get("LINLI_VECTORS", REPOSITORY.parent / "shared" / "vectors"))
    if not folder.is_dir():
        pytest.skip(f"no recorded frames at {folder}; set LINLI_VECTORS to their folder")
    return folder


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Returns loopback TCP ports that nothing uses, each once, on this machine."""
    return processes.free_port


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A loopback TCP port that refuses every connection for as long as the test lasts: it is taken, by nobody."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]

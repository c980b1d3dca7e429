"""One installation of real processes for each test that asks for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linli_sim.rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A broker and a platform that run; whatever else the test starts is stopped after it."""
    rig = Rig(tmp_path)
    try:
        await rig.broker.start()
        await rig.start_platform()
        await rig.until_connected()
        yield rig
    finally:
        await rig.stop()

"""A platform brought back from a backup: what it lacks the gateways bring again by themselves, once."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from linli_platform.backup.keys import make_identity
from linli_sim.processes import command
from linli_sim.rig import Rig
from linli_sim.waiting import eventually

pytestmark = pytest.mark.system

FLOW = 100


async def run(*words: str) -> str:
    """Run ``linli-platform`` and return what it prints."""
    done = await asyncio.to_thread(
        subprocess.run, [command("linli-platform"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_after_a_restore_of_an_older_backup_the_gateways_bring_the_rest(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    key = tmp_path / "key"
    settings = f'[backup]\ntarget = "{tmp_path}/backups"\nrecipient = "{make_identity(key)}"\nidentity_file = "{key}"\n'
    rig = Rig(tmp_path, settings=settings)
    try:
        await rig.broker.start()
        await rig.start_platform()
        port = await rig.start_device("modbus", "--meters", "1")
        rig.configure(
            f'[[links]]\nid = "line"\ndriver = "modbus"\nhost = "127.0.0.1"\nport = {port}\n'
            '[[links.devices]]\nid = "meter-1"\nunit = 1\nprofile = "eastron-sdm630"\ninterval = "200 ms"'
        )
        await rig.gateway.start()
        await rig.until_more_stored(FLOW)
        data = ("--data", str(rig.data))
        # Where the platform answers, it is asked: the store is its own while it runs.
        listen = rig.platform_config.with_name("asking.toml")
        listen.write_text(f'{settings}[api]\nlisten = "{rig.url.removeprefix("http://")}"\n')
        said = await run("backup", "--config", str(listen), *data)
        assert " readings, " in said
        held = await rig.until_more_stored(FLOW)
        assert (await rig.get("/backups"))["readings"] < held
        assert (await rig.get("/health"))["parts"]["backup"] == {"state": "ok", "detail": ""}

        await rig.platform.kill()
        drilled = await run("drill", "--config", str(rig.platform_config), *data, "--lang", "zh")
        assert "恢复演练通过" in drilled
        restored = await run("restore", "--replace", "--config", str(rig.platform_config), *data)
        assert "the gateways bring what it lacks" in restored
        await rig.start_platform()

        async def caught_up() -> bool:
            return await rig.stored() >= held

        await eventually(caught_up, "what was stored after the backup is there again")
        audit = await rig.settle()
        assert (audit.lost, audit.doubled, audit.unknown) == (0, 0, 0), audit.examples
        assert audit.loss_ledger == []
    finally:
        await rig.stop()

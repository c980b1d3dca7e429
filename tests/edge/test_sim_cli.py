"""``linli-sim``: one sub-command, one import; ready lines; a good end on SIGTERM."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import cast

import pytest

from linli_core.errors import ConfigError
from linli_sim import cli, coldroom, modbus

SCRIPT = "import sys; from linli_sim.cli import main; sys.exit(main(sys.argv[1:]))"


def test_help_names_every_command_without_importing_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in cli.COMMANDS)


def test_a_command_whose_module_is_missing_says_so_and_leaves_the_others(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cli.COMMANDS, "ghost", cli.Entry("linli_sim.ghost", "is not there"))
    assert cli.main(["ghost"]) == 2
    assert capsys.readouterr().err == (
        "linli-sim: ghost is not available here: No module named 'linli_sim.ghost'; try: pip install 'linli[sim]'\n"
    )


def test_a_profile_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["modbus", "--port", "0", "--profile", "eastron-sdm63"]) == 2
    assert capsys.readouterr().err == (
        'linli-sim: --profile: no profile is called "eastron-sdm63"; did you mean "eastron-sdm630"?\n'
    )


@pytest.mark.parametrize("name", ["modbus", "coldroom"])
def test_each_module_adds_its_parser(name: str) -> None:
    parser = argparse.ArgumentParser()
    subparsers = cast("cli.Subparsers", parser.add_subparsers(dest="command"))
    for module in (modbus, coldroom):
        module.add_arguments(subparsers)
    assert parser.parse_args([name, "--port", "0"]).port == 0


async def test_bounds_of_the_arguments() -> None:
    with pytest.raises(ConfigError, match="--meters: found 0; choose 1 to 247"):
        await modbus.run(argparse.Namespace(meters=0))
    with pytest.raises(ConfigError, match="--time-factor: found 0; choose more than 0"):
        await coldroom.run(argparse.Namespace(time_factor=0.0))


@pytest.mark.parametrize("words", [["modbus", "--meters", "2", "--terminal"], ["coldroom", "--door-open-at", "1"]])
async def test_it_says_when_it_is_ready_and_ends_when_told(words: list[str], tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRIPT, *words, "--port", "0", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("ready on "):
        line = await process.stdout.readline()
        assert line, "it ended before it was ready"
        lines.append(line.decode().strip())
    host, _, port = lines[-1].removeprefix("ready on ").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    writer.close()

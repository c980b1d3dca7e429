"""What the simulators need of the machine they run on."""

import subprocess
import sys

import pytest

from linli_sim import processes

ASK = """
import sys
from linli_sim import processes

port = int(sys.argv[1])
processes._PORTS, processes._TRIES = range(port, port + 1), 1
processes.free_port()
"""


def test_a_port_is_handed_out_once_whoever_asks_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = processes.free_port()
    other = subprocess.run([sys.executable, "-c", ASK, str(mine)], capture_output=True, text=True, check=False)
    assert "1 ports of range" in other.stderr
    monkeypatch.setattr(processes, "_PORTS", range(mine, mine + 1))
    monkeypatch.setattr(processes, "_TRIES", 1)
    with pytest.raises(processes.ProgramFailed, match="too few are free"):
        processes.free_port()

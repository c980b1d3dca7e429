"""A configuration that was checked once is not checked again, unless another program did."""

import json
import zlib
from pathlib import Path
from typing import Any

from linli_sim.nodes.vm import Machine

WRITTEN = {"node": "door-1", "gateway": {"host": "10.0.0.1"}, "sensors": [{"kind": "reed", "pin": 4}]}
TABLES = [2, "139af4d0"]
"""Whoever changes what may stand in a configuration: ``TABLES`` of ``linli_app/settings.py`` goes up by one, and then
both stand here. Else a node that is updated reads on what its program before had checked, without what is new."""


def _found(machine: Machine, folder: Path) -> dict[str, Any]:
    found = machine.check("settings", {"folder": str(folder)})
    assert isinstance(found, dict)
    return found


def test_what_an_earlier_program_checked_is_checked_again(tmp_path: Path, unix_port: Machine) -> None:
    (tmp_path / "node.json").write_text(json.dumps(WRITTEN), encoding="utf-8")
    whole = _found(unix_port, tmp_path)["found"]
    assert whole["gateway"]["shared_port"] == 8885
    # The program before knew nothing of shared keys; the configuration is the same to the byte.
    del whole["gateway"]["shared_port"]
    content = json.dumps(whole).encode()
    seal = b"%08x" % zlib.crc32((tmp_path / "node.json").read_bytes())
    (tmp_path / "node.checked").write_bytes(seal + b"%08x" % zlib.crc32(content) + content)
    assert _found(unix_port, tmp_path)["found"]["gateway"]["shared_port"] == 8885


def test_what_this_program_checked_is_not_checked_again(tmp_path: Path, unix_port: Machine) -> None:
    (tmp_path / "node.json").write_text(json.dumps(WRITTEN), encoding="utf-8")
    _found(unix_port, tmp_path)
    checked = (tmp_path / "node.checked").read_bytes()
    content = checked[16:].replace(b"8885", b"8886")
    (tmp_path / "node.checked").write_bytes(checked[:8] + b"%08x" % zlib.crc32(content) + content)
    assert _found(unix_port, tmp_path)["found"]["gateway"]["shared_port"] == 8886


def test_the_number_of_the_tables_goes_up_with_what_is_in_them(tmp_path: Path, unix_port: Machine) -> None:
    (tmp_path / "node.json").write_text(json.dumps(WRITTEN), encoding="utf-8")
    assert _found(unix_port, tmp_path)["tables"] == TABLES

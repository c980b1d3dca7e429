"""Every folder in the driver's ``testcases``: a configuration, what goes over the wire, and what comes of it.

``config.toml`` holds one link. With ``wire.hex`` (``> request``, ``< what arrives``, one line each) every poll is
carried out once, in the plan's order, and ``expected.json`` holds the readings; ``error.txt`` pins the text of a
refusal instead.
A new case is a new folder: no code.
"""

import json
import tomllib
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from linli_core.errors import ConfigError, LinliError
from linli_core.model import Reading, quality_label
from linli_edge.drivers.modbus import SPEC
from linli_edge.drivers.modbus.client import FramedPort
from linli_edge.drivers.modbus.driver import FRAMINGS, ModbusDriver
from linli_edge.transport.memory import MemoryTransport
from linli_sim.jumping_loop import on_jumping_loop

NOW = 1_790_000_000_000_000
FOLDER = Path(str(files("linli_edge.drivers.modbus")))
VOLTAGE = {"quantity": "voltage", "unit": "V", "address": 0, "type": "uint16"}
CURRENT = {"quantity": "current", "unit": "A", "address": 0, "type": "uint16", "ratios": ["ct"]}
CASES = sorted(path for path in (FOLDER / "testcases").iterdir() if path.is_dir())


def script(text: str) -> tuple[list[bytes], list[list[bytes]]]:
    """The requests, and for each the chunks that arrive after it."""
    asked: list[bytes] = []
    answers: list[list[bytes]] = []
    for line in text.splitlines():
        body = line.partition("#")[0].strip()
        if body.startswith(">"):
            asked.append(bytes.fromhex(body[1:]))
            answers.append([])
        elif body.startswith("<"):
            answers[-1].append(bytes.fromhex(body[1:]))
        else:
            assert not body, f"neither > nor <: {line}"
    return asked, answers


def shown(reading: Reading) -> dict[str, Any]:
    return {
        "point": reading.point.name,
        # A Decimal is shown by its text: JSON's numbers would lose its digits.
        "value": str(reading.value) if isinstance(reading.value, Decimal) else reading.value,
        "quality": quality_label(reading.quality, reading.reason),
    }


async def readings_of(config: Any, wire: str) -> list[dict[str, Any]]:
    asked, answers = script(wire)
    line = MemoryTransport(answers)
    framing = FRAMINGS[config.framing]()
    driver = ModbusDriver(config, FramedPort(line, framing, quiet=0.001), lambda: NOW)
    readings = [reading for planned in driver.plan for reading in await driver.poll(planned)]
    assert [frame.hex(" ") for frame in line.written] == [frame.hex(" ") for frame in asked]
    return [shown(reading) for reading in readings]


async def outcome(case: Path) -> list[dict[str, Any]] | str:
    """The readings of a case, or the text of its refusal."""
    tables = tomllib.loads((case / "config.toml").read_text(encoding="utf-8"))
    try:
        config = SPEC.parse(tables["links"][0], "links[0]")
        return await readings_of(config, (case / "wire.hex").read_text(encoding="utf-8"))
    except LinliError as exc:
        return str(exc)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@on_jumping_loop
async def test_case(case: Path) -> None:
    found = await outcome(case)
    if (case / "error.txt").exists():
        assert found == (case / "error.txt").read_text(encoding="utf-8").rstrip("\n")
    else:
        assert found == json.loads((case / "expected.json").read_text(encoding="utf-8"))


def test_the_folder_is_complete() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8").startswith("# ")
    assert any((case / "expected.json").exists() for case in CASES)
    assert any((case / "error.txt").exists() for case in CASES)
    for case in CASES:
        assert (case / "error.txt").exists() != (case / "expected.json").exists(), case.name


def test_the_sample_is_a_configuration() -> None:
    tables = tomllib.loads((FOLDER / "sample.toml").read_text(encoding="utf-8"))
    assert tables["links"]
    for place, table in enumerate(tables["links"]):
        assert SPEC.parse(table, f"links[{place}]").devices


def test_the_sample_with_its_defaults_uncommented_is_the_same_configuration() -> None:
    """A line that starts with a single # shows a default: taking the # away must change nothing."""
    text = (FOLDER / "sample.toml").read_text(encoding="utf-8")
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    for plain, full in zip(tomllib.loads(text)["links"], tomllib.loads("\n".join(lines))["links"], strict=True):
        assert SPEC.parse(plain, "links") == SPEC.parse(full, "links")


def test_the_readme_holds_the_sample_word_for_word() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    sample = (FOLDER / "sample.toml").read_text(encoding="utf-8")
    assert f"```toml\n{sample}```" in readme


def test_a_wrong_configuration_tells_every_mistake_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        SPEC.parse(
            {"id": "bus", "driver": "modbus", "prot": 502, "devices": [{"id": "Meter 1", "unit": 300}]}, "links[0]"
        )
    assert len(str(caught.value).splitlines()) >= 4


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ({"profile": "eastron-sdm630", "max_registers": 1}, "profile eastron-sdm630.points[0] takes 2 in one value"),
        ({"max_registers": 1, "even_counts": True, "points": [VOLTAGE]}, "points[0] takes 1 in one value"),
        (
            {"max_registers": 1, "points": [CURRENT], "defaults": {"ct_register": {"address": 9, "type": "uint32"}}},
            "defaults.ct_register takes 2 in one value, a request may ask for 1; raise max_registers to 2 or more",
        ),
        (
            {"address_offset": 10, "points": [CURRENT], "defaults": {"ct_register": {"address": 65530}}},
            "address_offset: moves links[0].devices[0].defaults.ct_register to address 65540; correct the offset",
        ),
        (
            {"sunspec": {}, "max_registers": 2},
            "max_registers: a SunSpec value takes up to 4 registers; raise max_registers to 4 or more",
        ),
    ],
    ids=["profile", "even", "ratio", "ratio-moved", "sunspec"],
)
def test_what_no_request_can_read_is_refused_by_name_and_not_found_out_by_a_crash(
    device: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        SPEC.parse(
            {"id": "bus", "driver": "modbus", "host": "h", "devices": [{"id": "m", "unit": 1} | device]}, "links[0]"
        )
    (line,) = str(caught.value).splitlines()
    assert line.startswith("links[0].devices[0].")
    assert said in line

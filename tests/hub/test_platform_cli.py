"""``linli-platform registry``: declare, list, accept, retire; every mistake with its remedy and exit code 2."""

from pathlib import Path

import pytest

from linli_platform.cli import main
from linli_platform.registry import Registry, State

DECLARED = """
[[areas]]
id = "garden"
kind = "community"
[[gateways]]
id = "gw-a"
area = "garden"
[[gateways.devices]]
id = "meter-1"
kind = "electricity_meter"
"""


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "data")


def test_what_a_file_declares_is_listed(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "registry.toml").write_text(DECLARED)
    assert main(["registry", "import", str(tmp_path / "registry.toml"), "--data", data]) == 0
    assert capsys.readouterr().out == "1 areas, 1 gateways, 1 devices\n"
    assert main(["registry", "list", "--data", data]) == 0
    assert capsys.readouterr().out == "gw-a  active\n  meter-1  active  electricity_meter\n"


def test_pending_ones_are_accepted_and_retired(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["registry", "list", "--data", data]) == 0
    assert "knows no gateway yet; is --data right?" in capsys.readouterr().err
    with Registry(Path(data) / "registry.sqlite") as registry:
        registry.hold("gw-a", ["meter-1", "meter-2"], 1)
    assert main(["registry", "accept", "gw-a", "meter-1", "--data", data]) == 0
    assert main(["registry", "retire", "gw-a", "meter-2", "--data", data]) == 0
    assert main(["registry", "accept", "gw-a", "--data", data]) == 0
    with Registry(Path(data) / "registry.sqlite") as registry:
        assert [gateway.state for gateway in registry.gateways()] == [State.ACTIVE]
        assert [device.state for device in registry.devices()] == [State.ACTIVE, State.RETIRED]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["registry", "accept", "gw-x"],
            "linli-platform: the registry knows no gateway 'gw-x'; linli-platform registry list",
        ),
        (["registry", "import", "none.toml"], "linli-platform: none.toml: cannot be read"),
        (["registry", "list", "--config", "none.toml"], "linli-platform: none.toml: cannot be read"),
        (["serve", "--mqtt", "broker"], "linli-platform: --mqtt: 'broker' is no HOST:PORT"),
        (["serve", "--listen", "0.0.0.0:80"], "linli-platform: api.listen: 0.0.0.0:80 can be reached"),
    ],
)
def test_mistakes_are_said(data: str, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--data", data]) == 2
    assert capsys.readouterr().err.startswith(said)

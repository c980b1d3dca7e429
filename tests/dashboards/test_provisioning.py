"""The files for Grafana's own provisioning."""

from pathlib import Path
from typing import Any

import pytest

from linli_dashboards.build import Made
from linli_dashboards.cli import main
from linli_dashboards.provisioning import PROVISIONING, files

REPOSITORY = Path(__file__).parents[2]


def test_the_files_in_the_repository_are_those_that_are_made() -> None:
    folder = REPOSITORY / "dashboards" / PROVISIONING
    found = {path.relative_to(folder): path.read_text() for path in folder.rglob("*.yaml")}
    remedy = "run: linli-boards provisioning dashboards/provisioning"
    assert found == dict(files()), remedy


def test_they_are_written_where_one_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["provisioning", str(tmp_path / "p")]) == 0
    assert capsys.readouterr().out == f"4 files in {tmp_path / 'p'}\n"
    (tmp_path / "file").write_text("")
    assert main(["provisioning", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == (
        f"linli-boards: {tmp_path / 'file'}: cannot be written (Not a directory); name a folder of yours\n"
    )


def test_they_are_of_the_form_that_grafana_reads_and_of_the_source_that_boards_ask(boards: list[Made]) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML reads what Grafana would")
    read: dict[Path, Any] = {path: yaml.safe_load(content) for path, content in files()}
    asked = {uid for board in boards for uid in sources(board.dashboard)}
    for path, content in read.items():
        assert content["apiVersion"] == 1
        if path.parts[1] == "datasources":
            (source,) = content["datasources"]
            assert asked == {source["uid"]}
            assert source["type"] == "influxdb"
            assert source["secureJsonData"] == {"httpHeaderValue1": "Bearer $LINLI_TOKEN"}
        else:
            (provider,) = content["providers"]
            assert provider["options"]["path"] == "$LINLI_BOARDS"
            assert provider["type"] == "file"


def sources(node: object) -> set[str]:
    """Return the data sources that a board asks."""
    if isinstance(node, dict):
        own = {str(node["uid"])} if node.get("type") == "influxdb" and "uid" in node else set()
        return own.union(*map(sources, node.values()))
    return set().union(*map(sources, node)) if isinstance(node, list) else set()

"""The files for Grafana's own provisioning."""

import json
import re
from pathlib import Path

import pytest

from linli_core.catalogue import LANGUAGES
from linli_dashboards.build import made
from linli_dashboards.build import write as write_boards
from linli_dashboards.cli import main
from linli_dashboards.direct import DATABASES
from linli_dashboards.provisioning import PROVISIONING, in_repository

REPOSITORY = Path(__file__).parents[2]


def test_the_files_in_the_repository_are_those_that_are_made() -> None:
    folder = REPOSITORY / "dashboards" / PROVISIONING
    found = {path.relative_to(folder): path.read_text() for path in folder.rglob("*.yaml")}
    remedy = "run: linli-boards provisioning dashboards/provisioning, and with --for, into a folder of its name there"
    assert found == dict(in_repository()), remedy


def test_they_are_written_where_one_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["provisioning", str(tmp_path / "p")]) == 0
    assert capsys.readouterr().out == f"4 files in {tmp_path / 'p'}\n"
    (tmp_path / "file").write_text("")
    assert main(["provisioning", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == (
        f"linli-boards: {tmp_path / 'file'}: cannot be written (Not a directory); name a folder of yours\n"
    )


SOURCE_KEYS = {"name", "type", "access", "orgId", "uid", "url", "user", "database", "basicAuth", "basicAuthUser"} | {
    *("withCredentials", "isDefault", "version", "editable", "jsonData", "secureJsonData")
}
PROVIDER_KEYS = {"name", "orgId", "folder", "folderUid", "type", "disableDeletion", "allowUiUpdates", "options"} | {
    "updateIntervalSeconds"
}
"""Keys of Grafana's documentation of provisioning (13.3); others it ignores, and nobody learns of it."""
SECRETS = {
    "": {"httpHeaderValue1": "Bearer $LINLI_TOKEN"},
    "influxdb": {"password": "$LINLI_INFLUXDB_PASSWORD"},
    "victoriametrics": {},
}
BUILT_IN = {("grafana", "-- Grafana --"), ("datasource", "-- Dashboard --"), ("datasource", "-- Mixed --")}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("database", ["", *DATABASES])
def test_grafana_reads_them_and_each_board_finds_its_source_its_folder_and_the_boards_it_leads_to(
    tmp_path: Path, lang: str, database: str
) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML reads what Grafana would")
    dialect = DATABASES.get(database)
    write_boards(made(dialect=dialect), tmp_path / "boards")
    assert main(["provisioning", str(tmp_path / "p"), *(["--for", database] if database else [])]) == 0
    (source_file,) = (tmp_path / "p" / lang / "datasources").iterdir()
    (board_file,) = (tmp_path / "p" / lang / "dashboards").iterdir()
    assert source_file.name == board_file.name
    # What Grafana puts in from its environment.
    environment = {
        name: f"of {name}" for name in re.findall(r"\$(\w+)", source_file.read_text() + board_file.read_text())
    }
    environment[next(name for name in environment if name.endswith("_BOARDS"))] = str(tmp_path / "boards" / lang)
    told = "".join(line for line in (source_file.read_text() + board_file.read_text()).splitlines() if line[0] == "#")
    assert all(name in told for name in environment)
    sources, boards = (
        yaml.safe_load(re.sub(r"\$(\w+)", lambda name: environment[name[1]], path.read_text()))
        for path in (source_file, board_file)
    )
    assert sources["apiVersion"] == boards["apiVersion"] == 1
    (source,), (provider,) = sources["datasources"], boards["providers"]
    assert source.keys() <= SOURCE_KEYS
    assert provider.keys() <= PROVIDER_KEYS
    assert yaml.safe_load(source_file.read_text())["datasources"][0].get("secureJsonData", {}) == SECRETS[database]
    assert provider["folderUid"] == provider["name"] == source["uid"]
    read = [json.loads(path.read_text()) for path in Path(provider["options"]["path"]).glob("*.json")]
    assert len({board["uid"] for board in read}) == len(read) > 4
    asked = {each for board in read for each in sources_of(board)}
    assert asked - BUILT_IN == {(source["type"], source["uid"])}
    linked = {uid for board in read for uid in re.findall(r"/d/([\w-]+)", json.dumps(board))}
    assert linked <= {board["uid"] for board in read}
    assert database or linked


def sources_of(node: object) -> set[tuple[str, str]]:
    """Return the data sources that a board asks, by type and uid."""
    if isinstance(node, dict):
        source = node.get("datasource")
        own = {(str(source["type"]), str(source["uid"]))} if isinstance(source, dict) else set()
        return own.union(*map(sources_of, node.values()))
    return set().union(*map(sources_of, node)) if isinstance(node, list) else set()

"""Files for Grafana's own provisioning: who runs Grafana from files needs no push.

They hold no address and no secret: Grafana puts in ``$LINLI_URL``, ``$LINLI_TOKEN`` and ``$LINLI_BOARDS`` from its
environment when it starts. Boards that ask a database itself have files of their own, which stand beside these.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from linli_core.catalogue import LANGUAGES, Language, text
from linli_dashboards.grafana.sources import DATABASE
from linli_dashboards.grafana.wanted import ROOT

PROVISIONING: Final = "provisioning"
"""The folder of these files in the repository; ``linli-boards provisioning`` makes the same anywhere else."""

_SOURCE: Final = """\
# Grafana: /etc/grafana/provisioning/datasources/linli.yaml
# LINLI_URL: the platform, as Grafana reaches it. LINLI_TOKEN: a token of the platform's; it decides what is seen.
apiVersion: 1
datasources:
  - name: "{name}"
    uid: {uid}
    type: influxdb
    access: proxy
    url: $LINLI_URL
    database: {database}
    editable: false
    jsonData:
      version: InfluxQL
      dbName: {database}
      httpMode: POST
      httpHeaderName1: Authorization
    secureJsonData:
      httpHeaderValue1: Bearer $LINLI_TOKEN
"""

_INFLUXDB: Final = """\
# Grafana: /etc/grafana/provisioning/datasources/linli-influxdb.yaml
# LINLI_INFLUXDB_URL: the InfluxDB, as Grafana reaches it. LINLI_INFLUXDB_DATABASE: that which the platform writes to.
# LINLI_INFLUXDB_USER, LINLI_INFLUXDB_PASSWORD: of one who may read it. Whoever may sign in to this Grafana sees it all.
apiVersion: 1
datasources:
  - name: "{name}"
    uid: {uid}
    type: influxdb
    access: proxy
    url: $LINLI_INFLUXDB_URL
    user: $LINLI_INFLUXDB_USER
    database: $LINLI_INFLUXDB_DATABASE
    editable: false
    jsonData:
      version: InfluxQL
      dbName: $LINLI_INFLUXDB_DATABASE
      httpMode: POST
    secureJsonData:
      password: $LINLI_INFLUXDB_PASSWORD
"""

_VICTORIAMETRICS: Final = """\
# Grafana: /etc/grafana/provisioning/datasources/linli-victoriametrics.yaml
# LINLI_VICTORIAMETRICS_URL: the VictoriaMetrics, as Grafana reaches it, with its path where it has one.
# Whoever may sign in to this Grafana sees all that is in it.
apiVersion: 1
datasources:
  - name: "{name}"
    uid: {uid}
    type: prometheus
    access: proxy
    url: $LINLI_VICTORIAMETRICS_URL
    editable: false
    jsonData:
      httpMode: POST
      manageAlerts: false
"""

_SOURCES: Final = {"": _SOURCE, "influxdb": _INFLUXDB, "victoriametrics": _VICTORIAMETRICS}
_NAMES: Final = {"influxdb": "InfluxDB", "victoriametrics": "VictoriaMetrics"}

_BOARDS: Final = """\
# Grafana: /etc/grafana/provisioning/dashboards/{uid}.yaml
# {variable}: the folder of the boards, such as {folder}/{lang} (linli-boards build {folder}{option}).
apiVersion: 1
providers:
  - name: {uid}
    type: file
    folder: "{name}"
    folderUid: {uid}
    disableDeletion: false
    allowUiUpdates: false
    updateIntervalSeconds: 60
    options:
      path: ${variable}
      foldersFromFilesStructure: false
"""


def files(database: str = "") -> Iterator[tuple[Path, str]]:
    """Yield each file with its content; of boards that ask a database itself, if one is named."""
    for lang in LANGUAGES:
        yield from _files(lang, database)


def in_repository() -> Iterator[tuple[Path, str]]:
    """Yield the files of the repository's folder: the platform's, and those of each database in a folder of its own."""
    for database in _SOURCES:
        for path, content in files(database):
            yield database / path, content


def _files(lang: Language, database: str) -> Iterator[tuple[Path, str]]:
    name = text("boards.root", lang)
    suffix = f"-{database}" if database else ""
    words = {
        "lang": lang,
        "name": f"{name} {_NAMES[database]}" if database else name,
        "uid": f"{ROOT}{suffix}",
        "database": DATABASE,
        "variable": f"LINLI{f'_{database.upper()}' if database else ''}_BOARDS",
        "folder": f"/srv/linli/boards{suffix}",
        "option": f" --for {database}" if database else "",
    }
    yield Path(lang, "datasources", f"{ROOT}{suffix}.yaml"), _SOURCES[database].format_map(words)
    yield Path(lang, "dashboards", f"{ROOT}{suffix}.yaml"), _BOARDS.format_map(words)


def write(folder: Path, database: str = "") -> int:
    """Write the files; return how many."""
    count = 0
    for path, content in files(database):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
        count += 1
    return count

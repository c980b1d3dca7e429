"""Files for Grafana's own provisioning: who runs Grafana from files needs no push.

They hold no address and no secret: Grafana puts in ``$LINLI_URL``, ``$LINLI_TOKEN`` and ``$LINLI_BOARDS`` from its
environment when it starts.
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

_BOARDS: Final = """\
# Grafana: /etc/grafana/provisioning/dashboards/linli.yaml
# LINLI_BOARDS: the folder of the boards, such as /srv/linli/boards/{lang} (linli-boards build /srv/linli/boards).
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
      path: $LINLI_BOARDS
      foldersFromFilesStructure: false
"""


def files() -> Iterator[tuple[Path, str]]:
    """Yield each file with its content."""
    for lang in LANGUAGES:
        yield from _files(lang)


def _files(lang: Language) -> Iterator[tuple[Path, str]]:
    words = {"lang": lang, "name": text("boards.root", lang), "uid": ROOT, "database": DATABASE}
    yield Path(lang, "datasources", "linli.yaml"), _SOURCE.format_map(words)
    yield Path(lang, "dashboards", "linli.yaml"), _BOARDS.format_map(words)


def write(folder: Path) -> int:
    """Write the files; return how many."""
    count = 0
    for path, content in files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
        count += 1
    return count

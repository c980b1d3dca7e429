"""Boards, made once, and a Grafana to push them to."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from linli_dashboards.build import Made, made
from linli_dashboards.cli import main
from linli_sim import grafana as simulated
from linli_sim.grafana import Json, Organisation
from linli_sim.grafana_api import Description, NoDescription, folder, read

SECRET: Final = "s3cret-of-the-platform"

Push = Callable[..., int]

Answer = Callable[[str, str], tuple[int, object]]
"""Returns status and body for a path and the query asked there."""

Serving = Callable[[Answer], str]
"""Starts a server that answers so, and returns its address."""


@pytest.fixture(scope="session")
def boards() -> list[Made]:
    return list(made())


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Return what makes a server of a database, or of a platform's queries."""
    servers: list[ThreadingHTTPServer] = []

    def made_of(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                self._answer(parts.path, parse_qs(parts.query).get("query", [""])[0])

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._answer("/query", parse_qs(body)["q"][0])

            def _answer(self, path: str, query: str) -> None:
                status, found = answer(path, query)
                body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield made_of
    for server in servers:
        server.shutdown()
        server.server_close()


def _board(uid: str, title: str, **more: object) -> Json:
    panel = {
        "type": "stat",
        "datasource": {"type": "influxdb", "uid": "linli"},
        "targets": [{"query": "SELECT 1", "datasource": {"type": "influxdb", "uid": "linli"}}],
        "links": [{"url": "/d/linli-water?var-area=${area}"}, {"url": "/d/of-others"}],
    }
    return {"uid": uid, "title": title, "tags": ["linli", "food"], "panels": [panel], **more}


@pytest.fixture
def board() -> Callable[..., Json]:
    return _board


@pytest.fixture(scope="module")
def description() -> Description | None:
    """Return Grafana's published description, where it is."""
    try:
        return read(folder())
    except NoDescription:
        return None


@pytest.fixture
def organisation(description: Description | None) -> Iterator[Organisation]:
    made = Organisation(description=description)
    yield made
    assert made.complaints == []


@pytest.fixture
def grafana(organisation: Organisation) -> Iterator[str]:
    with simulated.serving(organisation) as url:
        yield url


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    for lang, titles in (("zh", ("今日社区", "用水")), ("en", ("Community today", "Water"))):
        folder = tmp_path / "generated" / lang
        folder.mkdir(parents=True)
        for uid, title in zip(("linli-today", "linli-water"), titles, strict=True):
            (folder / f"{uid}.json").write_text(json.dumps(_board(uid, title)))
    return tmp_path / "generated"


@pytest.fixture
def push(grafana: str, generated: Path, monkeypatch: pytest.MonkeyPatch) -> Push:
    monkeypatch.setenv("GRAFANA_TOKEN", "admin-token")
    monkeypatch.setenv("PLATFORM_TOKEN", SECRET)

    def run(*words: str, platform: str = "http://127.0.0.1:8080") -> int:
        fixed = ("push", "--url", grafana, "--platform", platform, "--boards", str(generated), "--lang", "en")
        return main([*fixed, *words])

    return run


@pytest.fixture
def communities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "communities.toml"
    lines = []
    for area, title in (("spring", "Spring Garden"), ("lake", "Lake Side")):
        monkeypatch.setenv(f"TOKEN_{area}", f"{SECRET}-{area}")
        lines += ["[[communities]]", f'area = "{area}"', f'title = "{title}"', f'token = "env:TOKEN_{area}"']
    path.write_text("\n".join(lines))
    return path

"""Boards, made once, and a Grafana to push them to."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from linli_dashboards.build import Made, made
from linli_dashboards.cli import main
from linli_sim.grafana import Json, Organisation, serving
from linli_sim.grafana_api import Description, NoDescription, folder, read

SECRET: Final = "s3cret-of-the-platform"

Push = Callable[..., int]


@pytest.fixture(scope="session")
def boards() -> list[Made]:
    return list(made())


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
    with serving(organisation) as url:
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

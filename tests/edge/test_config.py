"""Whole configurations: what a right one means, and the text for each mistake (``configs/*.toml`` and ``.txt``)."""

import re
import tomllib
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from linli_core.errors import ConfigError
from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_edge.config import gateway
from linli_edge.config.gateway import load_config, parse_config
from linli_edge.config.units import show_duration, show_size
from linli_edge.eviction import EvictionRule
from linli_edge.outbox import OutboxLimits
from linli_edge.pipeline import PackSettings
from linli_edge.report_by_exception import ReportRule
from linli_edge.scheduler import ScheduleSettings

CONFIGS = Path(__file__).parent / "configs"
BAD = sorted(CONFIGS.glob("*.toml"))

RIGHT = """
[gateway]
id = "gw-electric"
utc_offset = "+08:00"
data = "var/gw-electric"
pack_interval = "1 s"

[uplink]
host = "broker.local"
tls = true
username = "gw-electric"
password_file = "password"
keepalive = "1 min"

[outbox]
max_bytes = "64 MiB"
max_age = "30 d"
[[outbox.priority]]
device = "heat-1"
quantity = "temperature"
priority = 9

[[report]]
device = "heat-1"
quantity = "water_volume"
deadband = 0.5
max_silence = "15 min"

[[links]]
id = "bus-1"
driver = "mbus"
host = "127.0.0.1"
port = 10001
[links.schedule]
silent_share = 0.1
failures = 3
[links.schedule.priority]
heat-1 = 2
"heat-1/water_volume" = 0
[[links.devices]]
id = "heat-1"
address = 1
interval = "15 min"
"""


def test_there_are_bad_configurations() -> None:
    assert len(BAD) >= 15


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_mistake_has_this_text(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    text = str(caught.value).replace(f"{CONFIGS}/", "")
    assert text == path.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n")


def test_a_right_configuration_comes_back_whole(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    path = tmp_path / "gw.toml"
    path.write_text(RIGHT)
    config = load_config(path)
    assert config.id == "gw-electric"
    assert config.data == tmp_path / "var" / "gw-electric"
    assert config.packs.interval == SECOND
    assert (config.uplink.host, config.uplink.port, config.uplink.tls) == ("broker.local", 8883, True)
    assert config.uplink.password() == "secret"
    assert config.uplink.keepalive == 60
    assert (config.outbox.max_bytes, config.outbox.max_age) == (64 * 1024**2, 30 * DAY)
    assert config.report == (ReportRule("heat-1", "water_volume", 0.5, 15 * MINUTE),)
    assert config.eviction == (EvictionRule(9, "heat-1", "temperature"),)
    (link,) = config.links
    assert (link.id, link.spec.name) == ("bus-1", "mbus")
    assert link.schedule.breaker.silent_share == 0.1
    assert link.schedule.breaker.failures == 3
    assert link.schedule.utc_offset == config.local.offset == 8 * HOUR
    assert link.schedule.priorities == {"heat-1": 2, "heat-1/water_volume": 0}


def test_the_configuration_in_the_staff_page_is_right() -> None:
    page = Path(__file__).parents[2] / "docs" / "facility-staff.md"
    (example,) = re.findall(r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    config = parse_config(tomllib.loads(example), page.parent)
    assert [link.id for link in config.links] == ["electric-room", "heat-meters"]


def test_the_staff_page_names_the_usual_values() -> None:
    page = (Path(__file__).parents[2] / "docs" / "facility-staff.md").read_text(encoding="utf-8")
    packs, outbox, schedule = PackSettings(), OutboxLimits(), ScheduleSettings()
    for usual in (
        f'`gateway.pack_interval` | `"{show_duration(packs.interval)}"`',
        f"`gateway.pack_records` | `{packs.records}`",
        f'`outbox.max_age` | `"{show_size(outbox.max_bytes)}"`, `"{show_duration(outbox.max_age)}"`',
        f'`outbox.group_delay` | `"{show_duration(outbox.group_delay)}"`',
        f"`links.schedule.silent_share` | `{schedule.breaker.silent_share}`",
        f"`links.schedule.unit_share` | `{schedule.breaker.unit_share}`",
        f"`links.schedule.failures` | `{schedule.breaker.failures}`",
        f'`links.schedule.retry_after` | `"{show_duration(schedule.retry_after)}"`',
        f'`links.schedule.spread` | `"{show_duration(schedule.spread)}"`',
    ):
        assert usual in page, usual


def test_a_machine_without_time_zone_data_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> ZoneInfo:
        raise ZoneInfoNotFoundError(f"no time zone found with key {name}")

    monkeypatch.setattr(gateway, "ZoneInfo", missing)
    monkeypatch.setattr(gateway, "available_timezones", set[str])
    raw = {"gateway": {"id": "gw-1", "data": "var", "timezone": "Europe/Berlin"}, "uplink": {"host": "h"}, "links": []}
    with pytest.raises(ConfigError, match="install tzdata"):
        parse_config(raw, tmp_path)


@pytest.mark.parametrize("name", ["../../etc/passwd", "Europe", "/etc/localtime", "Mars/Base"])
def test_what_is_no_time_zone_is_refused_by_name(tmp_path: Path, name: str) -> None:
    raw = {"gateway": {"id": "gw-1", "data": "var", "timezone": name}, "uplink": {"host": "h"}, "links": []}
    with pytest.raises(ConfigError, match="no time zone is called"):
        parse_config(raw, tmp_path)


def test_a_time_zone_is_for_billing_and_for_polls(tmp_path: Path, bench_driver: object) -> None:
    del bench_driver
    link = {"id": "l", "driver": "bench", "devices": [{"id": "m"}]}
    raw = {"gateway": {"id": "g", "data": "v", "timezone": "Europe/Berlin"}, "uplink": {"host": "h"}, "links": [link]}
    config = parse_config(raw, tmp_path)
    assert config.registers.billing is not None
    assert config.registers.billing.zone == config.links[0].schedule.zone == ZoneInfo("Europe/Berlin")

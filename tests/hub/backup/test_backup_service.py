"""Backups of a running platform: on time, again after a failure, old ones removed, the newest read back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyrage import x25519

from linli_core.errors import ConfigError
from linli_core.instant import DAY, HOUR, MINUTE, SECOND, from_rfc3339
from linli_platform.backup.keys import make_identity
from linli_platform.backup.restore import stored
from linli_platform.backup.service import BackupService, State, resting
from linli_platform.backup.settings import BackupSettings
from linli_platform.config import Settings, check, load

if TYPE_CHECKING:
    from tests.hub.backup.conftest import Platform

NOON = from_rfc3339("2026-11-25T12:00:00Z")


class Wall:
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def service(platform: Platform, wall: Wall) -> Callable[..., BackupService]:
    key = platform.folder / "key"
    recipient = make_identity(key)

    def make(**more: object) -> BackupService:
        target = str(platform.folder / "backups")
        settings = BackupSettings(target, recipient, str(key), zone="UTC", **more)  # type: ignore[arg-type]
        return BackupService(settings, platform.store, platform.registry.path, platform.folder / "data", wall)

    return make


async def step(service: BackupService, done: Callable[[State], bool]) -> State:
    """Run the service until its state is as wanted."""
    changed, note = asyncio.Event(), service._note

    def noted(**changes: object) -> None:
        note(**changes)
        changed.set()

    service._note = noted  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(service.run(), name="backups")
        while not done(service.state):
            changed.clear()
            await changed.wait()
        running.cancel()
    service._note = note  # type: ignore[method-assign]
    return service.state


async def test_the_first_is_made_at_the_next_turn_of_the_clock_and_none_before(
    service: Callable[..., BackupService], wall: Wall, platform: Platform
) -> None:
    backups = service(drill_days=0)
    assert not backups._backup_due(wall.now)
    assert not backups._backup_due(from_rfc3339("2026-11-26T02:29:59Z"))
    wall.now = from_rfc3339("2026-11-26T02:30:00Z")
    state = await step(backups, lambda state: bool(state.made_at))
    assert state.made_at == "2026-11-26T02:30:00Z"
    assert [str(name) for name in stored(platform.target)] == [state.name]
    assert not backups._backup_due(wall.now + HOUR)
    assert backups._backup_due(wall.now + DAY)


async def test_a_restart_neither_forgets_nor_repeats(service: Callable[..., BackupService], wall: Wall) -> None:
    wall.now += DAY
    first = service(drill_days=0)
    first.request()
    made = await step(first, lambda state: bool(state.made_at) and not state.running)
    again = service(drill_days=0)
    assert again.state == made
    assert not again._backup_due(wall.now + MINUTE)


async def test_one_that_failed_is_told_and_tried_again_after_an_hour(
    service: Callable[..., BackupService], wall: Wall, platform: Platform
) -> None:
    folder = platform.folder / "backups"
    folder.rename(platform.folder / "unmounted")
    backups = service(drill_days=0)
    backups.request()
    state = await step(backups, lambda state: bool(state.error))
    assert "no folder at" in state.error
    assert backups.health(wall.now) == ("degraded", f"the last backup failed: {state.error}")
    assert not backups._backup_due(wall.now + HOUR - SECOND)
    wall.now += HOUR
    (platform.folder / "unmounted").rename(folder)
    state = await step(backups, lambda state: not state.error and not state.running)
    assert backups.health(wall.now) == ("ok", "")
    assert state.made_at


async def test_old_ones_go_and_others_installations_stay(
    service: Callable[..., BackupService], wall: Wall, platform: Platform
) -> None:
    other = f"linli-{'f' * 32}-20200101T000000Z.tar.age"
    (platform.folder / "backups" / other).write_bytes(b"theirs")
    backups = service(drill_days=0, keep_days=2, keep_weeks=0, keep_months=0)
    for _ in range(3):
        wall.now += DAY
        backups.request()
        before = backups.state.made_at

        def made_another(state: State, before: str = before) -> bool:
            return state.made_at != before and not state.running

        await step(backups, made_another)
    names = [str(name) for name in stored(platform.target)]
    assert names[0] == other
    assert len(names) == 3


async def test_the_drill_follows_the_first_backup_and_then_its_days(
    service: Callable[..., BackupService], wall: Wall, platform: Platform
) -> None:
    backups = service(drill_days=7)
    backups.request()
    wall.now += DAY
    await step(backups, lambda state: bool(state.made_at) and not state.running)
    assert not backups._drill_due(wall.now)
    wall.now += 6 * DAY
    backups._note(made_at="2026-12-01T02:30:00Z")
    wall.now = from_rfc3339("2026-12-01T02:29:00Z") + 6 * DAY
    assert not backups._drill_due(wall.now)
    wall.now += MINUTE
    state = await step(service(drill_days=7, at=""), lambda state: state.drilled is not None)
    assert state.drilled is not None
    assert state.drilled.passed, state.drilled
    assert state.drilled.readings == platform.store.count()


async def test_a_failed_drill_makes_the_platform_degraded(
    service: Callable[..., BackupService], wall: Wall, platform: Platform
) -> None:
    backups = service()
    backups.request()
    await step(backups, lambda state: bool(state.made_at) and not state.running)
    (name,) = stored(platform.target)
    path = platform.folder / "backups" / str(name)
    path.write_bytes(path.read_bytes()[:-1])
    wall.now += 8 * DAY
    await backups._drill(wall.now)
    state, detail = backups.health(wall.now)
    assert state == "degraded"
    assert "truncated or was changed" in detail


def test_a_newest_backup_that_grows_old_is_a_fault(service: Callable[..., BackupService]) -> None:
    backups = service()
    backups._note(made_at="2026-11-24T02:30:00Z")
    assert backups.health(from_rfc3339("2026-11-25T08:30:00Z"))[0] == "ok"
    assert backups.health(from_rfc3339("2026-11-25T08:31:00Z")) == (
        "degraded",
        "the newest backup is of 2026-11-24T02:30:00Z",
    )


def test_without_a_place_there_is_nothing_to_ask_for(platform: Platform, wall: Wall) -> None:
    backups = BackupService(BackupSettings(), platform.store, platform.registry.path, platform.folder, wall)
    with pytest.raises(ConfigError, match=r"backup\.target: missing"):
        backups.request()


def test_a_state_that_cannot_be_read_is_forgotten_not_fatal(
    service: Callable[..., BackupService], platform: Platform
) -> None:
    (platform.folder / "data" / "backup.json").write_text("{")
    assert service().state == State()


def test_a_key_file_is_the_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    recipient = make_identity(path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    assert recipient in before
    assert str(x25519.Identity.from_str(before.splitlines()[1]).to_public()) == recipient
    with pytest.raises(ConfigError, match="there is a file; keep it"):
        make_identity(path)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ('target = "/x"', "backup.recipient: missing: backups are encrypted; make a key with"),
        ('at = "25:00"', "backup.at: found '25:00'; write a time such as"),
        ('zone = "Mars/Olympus"', "backup.zone: found 'Mars/Olympus'; write one such as Asia/Shanghai"),
        ("keep_days = -1", "backup.keep_days: found -1; choose one from 0 to 10000"),
        ('targt = "/x"', 'backup.targt: unknown key; did you mean "target"?'),
    ],
)
def test_settings_that_cannot_be_used_are_told(lines: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "platform.toml"
    path.write_text(f"[backup]\n{lines}\n")
    with pytest.raises(ConfigError) as told:
        check(load(path))
    assert text in str(told.value)


def test_no_backup_is_the_default() -> None:
    check(Settings())
    assert Settings().backup.target == ""


def test_resting_leaves_the_machine_to_others() -> None:
    resting(share=1.0)()

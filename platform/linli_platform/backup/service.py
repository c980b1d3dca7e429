"""Backups of a running platform: on time, on demand, old ones removed, the newest read back now and then."""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from linli_core.errors import ConfigError, LinliError
from linli_core.instant import DAY, HOUR, Instant, from_rfc3339, to_rfc3339
from linli_platform.backup.drill import Report, drill
from linli_platform.backup.keys import read_identity, read_recipient
from linli_platform.backup.restore import stored
from linli_platform.backup.schedule import expired, next_due
from linli_platform.backup.settings import BackupSettings
from linli_platform.backup.take import Taken, take
from linli_platform.backup.targets import Target, open_target
from linli_platform.clock import Clock
from linli_platform.store.duckdb import DuckDBStore

_log = logging.getLogger(__name__)

_LOOK_EVERY_S: Final = 30.0
_RETRY_AFTER: Final = HOUR
LATE_AFTER: Final = DAY + 6 * HOUR
"""A newest backup older than this is a fault of its own."""


class State(msgspec.Struct, frozen=True):
    """What is known of backups; kept in a file, so that a restart neither forgets nor repeats.

    Attributes:
        running: A backup is being made.
        tried_at, made_at: When the last one was begun, when the last good one was (RFC 3339); empty for never.
        name, size, readings, seconds: Of the last good one.
        error: Why the last one failed; empty if it did not.
        drilled: The last drill.
    """

    running: bool = False
    tried_at: str = ""
    made_at: str = ""
    name: str = ""
    size: int = 0
    readings: int = 0
    seconds: float = 0.0
    error: str = ""
    drilled: Report | None = None


class BackupService:
    """Makes backups while the platform runs.

    Args:
        settings: Table ``[backup]``, checked.
        store: Open.
        registry: The registry's file.
        folder: The platform's data folder: state and work are below it.
        clock: The platform's clock.
    """

    def __init__(
        self, settings: BackupSettings, store: DuckDBStore, registry: Path, folder: Path, clock: Clock
    ) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._work = folder / "backup-work"
        self._file = folder / "backup.json"
        self._clock = clock
        self._wanted = asyncio.Event()
        self._state = self._load()

    @property
    def state(self) -> State:
        """What is known of backups."""
        return self._state

    @property
    def is_configured(self) -> bool:
        """Whether there is a place for backups."""
        return bool(self._settings.target)

    def health(self, now: Instant) -> tuple[Literal["ok", "degraded"], str]:
        """Return how backups fare, and a sentence for an operator where they do not."""
        state = self._state
        if not self.is_configured:
            return "ok", ""
        if state.error:
            return "degraded", f"the last backup failed: {state.error}"
        if state.drilled is not None and not state.drilled.passed:
            return "degraded", f"the last drill failed: {state.drilled.error or 'see linli-platform drill --last'}"
        if self._settings.time is not None and state.made_at and now - from_rfc3339(state.made_at) > LATE_AFTER:
            return "degraded", f"the newest backup is of {state.made_at}"
        return "ok", ""

    def request(self) -> None:
        """Have a backup made now; raise :class:`ConfigError` where there is no place for one."""
        if not self.is_configured:
            raise ConfigError("backup.target", "missing", "name a folder, a bucket or an SFTP server in the settings")
        self._note(running=True)
        self._wanted.set()

    async def run(self) -> None:
        """Make backups and drills when they are due, for ever."""
        if not self.is_configured:
            return
        while True:
            now = self._clock()
            if self._wanted.is_set() or self._backup_due(now):
                self._wanted.clear()
                await self._backup(now)
            elif self._drill_due(now):
                await self._drill(now)
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    def _backup_due(self, now: Instant) -> bool:
        at, state = self._settings.time, self._state
        if at is None:
            return False
        if state.error and state.tried_at:
            return now >= from_rfc3339(state.tried_at) + _RETRY_AFTER
        # Of a platform that has never made one, the first is due at the next full turn of the clock.
        since = from_rfc3339(state.made_at) if state.made_at else self._first_seen
        return now >= next_due(since, at, self._settings.tzinfo)

    def _drill_due(self, now: Instant) -> bool:
        settings, state = self._settings, self._state
        if not (settings.drill_days and settings.identity_file and state.made_at):
            return False
        since = from_rfc3339(state.drilled.at) if state.drilled else from_rfc3339(state.made_at) - DAY
        return now >= since + settings.drill_days * DAY

    async def _backup(self, now: Instant) -> None:
        self._note(running=True, tried_at=to_rfc3339(now))
        begun = time.monotonic()
        try:
            taken = await asyncio.to_thread(self._take, now)
        except LinliError as exc:
            _log.error("no backup was made: %s", exc)
            self._note(running=False, error=str(exc))
            return
        seconds = round(time.monotonic() - begun, 1)
        _log.info("backup %s: %d readings, %d bytes, %.1f s", taken.name, taken.manifest.readings, taken.size, seconds)
        self._note(
            running=False,
            made_at=taken.manifest.created_at,
            name=taken.name,
            size=taken.size,
            readings=taken.manifest.readings,
            seconds=seconds,
            error="",
        )

    def _take(self, now: Instant) -> Taken:
        settings = self._settings
        target = self._target()
        self._work.mkdir(exist_ok=True)
        taken = take(
            self._store,
            self._registry,
            target,
            read_recipient(settings.recipient, "backup.recipient"),
            now,
            work=self._work,
            rest=resting(),
        )
        for name in expired(stored(target, self._store.installation), settings.keep, settings.tzinfo):
            target.delete(str(name))
            _log.info("backup %s removed: older than what is kept", name)
        return taken

    async def _drill(self, now: Instant) -> None:
        try:
            report = await asyncio.to_thread(self._bring_back, now)
        except ConfigError as exc:
            report = Report(to_rfc3339(now), "", "", passed=False, error=str(exc))
        (_log.info if report.passed else _log.error)("drill of %s: %s", report.backup, report.error or report.checks)
        self._note(drilled=report)

    def _bring_back(self, now: Instant) -> Report:
        identity = read_identity(Path(self._settings.identity_file), "backup.identity_file")
        return drill(self._target(), [identity], self._store.installation, self._work, now, threads=1)

    def _target(self) -> Target:
        return open_target(self._settings.target, self._settings.s3, self._settings.sftp)

    def _load(self) -> State:
        try:
            state = msgspec.json.decode(self._file.read_bytes(), type=State)
        except FileNotFoundError:
            state = State()
        except (OSError, msgspec.MsgspecError) as exc:
            _log.warning("%s cannot be read (%s): what it says of backups is forgotten", self._file, exc)
            state = State()
        self._first_seen = self._clock()
        return msgspec.structs.replace(state, running=False)

    def _note(self, **changes: object) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)
        part = self._file.with_name(f"{self._file.name}.part")
        try:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(self._state), indent=2))
            part.replace(self._file)
        except OSError as exc:
            _log.warning("%s cannot be written: %s", self._file, exc)


def resting(share: float = 0.5, longest: float = 2.0) -> Callable[[], None]:
    """Return what to call between two pieces of work, so that work takes at most a share of one core's time."""
    last = time.monotonic()

    def rest() -> None:
        nonlocal last
        worked = time.monotonic() - last
        time.sleep(min(longest, worked * (1 - share) / share))
        last = time.monotonic()

    return rest

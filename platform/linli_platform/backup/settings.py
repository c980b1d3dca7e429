"""Table ``[backup]`` of the platform's settings."""

import re
from datetime import UTC, datetime, time, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from linli_core.errors import ConfigError
from linli_platform.backup.schedule import Keep
from linli_platform.backup.targets import S3Settings, SftpSettings

_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class BackupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where backups go, for whom, when, and how many stay. Without a target there are none.

    Attributes:
        target: A folder, ``s3://bucket/prefix`` or ``sftp://user@host:port/folder``.
        recipient: Whom they are encrypted for (``age1…``, printed by ``linli-platform backup --key FILE``).
        identity_file: The key to open them with; needed by the drill and by a restore, not by a backup.
        at: When, by the clock on the wall; empty for by hand only.
        zone: Of that clock, such as ``Asia/Shanghai``; the system's if empty.
        keep_days, keep_weeks, keep_months: The newest of each of so many stays.
        drill_days: After how many days the newest is brought back and read; 0 for never.
    """

    target: str = ""
    recipient: str = ""
    identity_file: str = ""
    at: str = "02:30"
    zone: str = ""
    keep_days: int = 7
    keep_weeks: int = 4
    keep_months: int = 6
    drill_days: int = 7
    s3: S3Settings = S3Settings()
    sftp: SftpSettings = SftpSettings()

    @property
    def keep(self) -> Keep:
        """How many backups stay."""
        return Keep(self.keep_days, self.keep_weeks, self.keep_months)

    @property
    def time(self) -> time | None:
        """When a backup is made; ``None`` for by hand only."""
        match = _TIME.fullmatch(self.at)
        return time(int(match[1]), int(match[2])) if match else None

    @property
    def tzinfo(self) -> tzinfo:
        """The clock on the wall."""
        return ZoneInfo(self.zone) if self.zone else (datetime.now(UTC).astimezone().tzinfo or UTC)


def check(settings: BackupSettings) -> None:
    """Raise :class:`ConfigError` for the first setting that cannot be used; looks at nothing outside them."""
    if settings.target and not settings.recipient:
        remedy = "make a key with 'linli-platform backup --key FILE' and copy the line age1… it prints"
        raise ConfigError("backup.recipient", "missing: backups are encrypted", remedy)
    if settings.at and settings.time is None:
        raise ConfigError("backup.at", f"found {settings.at!r}", 'write a time such as "02:30", or "" for by hand only')
    if settings.zone:
        try:
            ZoneInfo(settings.zone)
        except (ZoneInfoNotFoundError, ValueError) as exc:
            raise ConfigError("backup.zone", f"found {settings.zone!r}", "write one such as Asia/Shanghai") from exc
    for name in ("keep_days", "keep_weeks", "keep_months", "drill_days"):
        if not 0 <= (found := getattr(settings, name)) <= 10_000:
            raise ConfigError(f"backup.{name}", f"found {found}", "choose one from 0 to 10000")

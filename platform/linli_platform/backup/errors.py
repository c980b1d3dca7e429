"""What may be wrong with a backup, each with what to do about it."""

from linli_core.errors import LinliError


class BackupError(LinliError):
    """A backup cannot be made, found or used; nothing that is in use was changed.

    The text is for an operator: ``where: what was found; what to do``.
    """

    def __init__(self, where: str, found: str, remedy: str) -> None:
        super().__init__(f"{where}: {found}; {remedy}")


class TargetError(BackupError):
    """The place where backups are kept cannot be reached, read or written."""


class NoSuchBackup(BackupError):
    """There is no backup of that name, or none at all."""


class WrongKey(BackupError):
    """The backup was made for another key."""


class Damaged(BackupError):
    """The backup is truncated, or its bytes were changed."""


class Foreign(BackupError):
    """The backup is of another installation."""


class Newer(BackupError):
    """The backup was made by a newer version."""

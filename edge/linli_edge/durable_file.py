"""Files that a power cut leaves whole: the one before, or the new one, never half of it and never neither."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes, *, mode: int = 0o666, owner: tuple[int, int] | None = None) -> None:
    """Replace a file as a whole; on return its content and its name are on the disk.

    Args:
        path: The file.
        content: What is to be in it.
        mode: Who may read and write it, as far as the process's mask lets them.
        owner: User and group it is given to; ``None``: whose the process is.

    Raises:
        OSError: The disk refuses; the file is what it was.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
            file.write(content)
            file.flush()
            # Without it a power cut may leave the new name with nothing behind it.
            os.fsync(file.fileno())
        if owner is not None:
            os.chown(fresh, *owner)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: until then a power cut may undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Backups in an S3-compatible bucket."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from linli_platform.backup.errors import TargetError
from linli_platform.backup.targets import S3Settings, missing
from linli_platform.config import read_secret

_PART_BYTES: Final = 16 * 1024 * 1024


class S3Target:
    """A bucket, or what is below a prefix of it; see :class:`linli_platform.backup.targets.Target`."""

    def __init__(self, bucket: str, prefix: str, settings: S3Settings) -> None:
        self._place = f"s3://{bucket}/{prefix}"
        config: dict[str, str] = {"region": settings.region}
        if settings.endpoint:
            config["endpoint"] = settings.endpoint
        if settings.access_key:
            config["access_key_id"] = settings.access_key
            config["secret_access_key"] = read_secret(settings.secret_file, "backup.s3.secret_file")
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            client_options={"allow_http": settings.endpoint.startswith("http://"), "timeout": "60s"},
            **config,  # type: ignore[arg-type]
        )

    def names(self) -> list[str]:
        """Return the names of what is there."""
        with self._told():
            return sorted(item["path"] for page in obstore.list(self._store) for item in page)

    def put(self, name: str, path: Path) -> None:
        """Keep a local file under a name; in parts, and visible only when whole."""
        with self._told():
            obstore.put(self._store, name, path, use_multipart=True, chunk_size=_PART_BYTES)

    def get(self, name: str, path: Path) -> None:
        """Write what is kept under a name to a local file."""
        with self._told():
            try:
                found = obstore.get(self._store, name)
            except FileNotFoundError as exc:
                raise missing(name) from exc
            with path.open("wb") as file:
                for chunk in found.stream(min_chunk_size=_PART_BYTES):
                    file.write(chunk)

    def delete(self, name: str) -> None:
        """Remove what is kept under a name, if anything is."""
        with self._told():
            obstore.delete(self._store, name)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as exc:
            text = str(exc).splitlines()[0][:300] if str(exc) else type(exc).__name__
            raise TargetError(self._place, text, "check endpoint, bucket, access key and its rights") from exc

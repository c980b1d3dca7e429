"""Every place for backups keeps the same promises; an S3 and an SFTP server of others stand in for the real ones."""

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import asyncssh
import obstore
import pytest
from obstore.store import S3Store

from linli_core.errors import ConfigError
from linli_platform.backup.errors import NoSuchBackup, TargetError
from linli_platform.backup.targets import S3Settings, SftpSettings, Target, open_target

BUCKET = "linli-test"


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr is not None
        url = ""
        for line in server.stderr:
            if "Running on" in line:
                url = line.rpartition(" ")[2].strip()
                break
        drain = threading.Thread(target=server.stderr.read)
        drain.start()
        try:
            assert url, "the S3 server did not start"
            yield url
        finally:
            server.terminate()
            drain.join()  # it reads what is closed next


@pytest.fixture
def s3(s3_endpoint: str, tmp_path: Path) -> Target:
    (tmp_path / "secret").write_text("secret-key\n")
    settings = S3Settings(s3_endpoint, "us-east-1", "key", str(tmp_path / "secret"))
    maker = S3Store(
        config={
            "endpoint": s3_endpoint,
            "region": "us-east-1",
            "access_key_id": "key",
            "secret_access_key": "secret-key",
            "bucket": "",
        },
        client_options={"allow_http": True},
    )
    with contextlib.suppress(Exception):
        # A bucket is made by putting nothing under its name.
        obstore.put(maker, BUCKET, b"")
    return open_target(f"s3://{BUCKET}/{tmp_path.name}", settings, SftpSettings())


class _Sftp:
    """An SFTP server in a loop and a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._host_key = host_key
        client_key = asyncssh.generate_private_key("ssh-ed25519")
        client_key.write_private_key(self.folder / "id")
        client_key.write_public_key(self.folder / "authorized")
        self.root = self.folder / "root"
        self.root.mkdir()
        self._thread.start()
        self._up.wait()
        public = host_key.export_public_key().decode()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(
                asyncssh.listen(
                    "127.0.0.1",
                    0,
                    server_host_keys=[self._host_key],
                    authorized_client_keys=str(self.folder / "authorized"),
                    sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self.root).encode()),
                )
            )
            self.port = server.get_port()
        finally:
            self._up.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(server.wait_closed())

    @property
    def settings(self) -> SftpSettings:
        return SftpSettings(str(self.folder / "id"), str(self.folder / "known_hosts"))


@pytest.fixture
def sftp_server(tmp_path: Path) -> Iterator[_Sftp]:
    folder = tmp_path / "sftp"
    folder.mkdir()
    with _Sftp(folder) as server:
        yield server


@pytest.fixture
def sftp(sftp_server: _Sftp) -> Target:
    (sftp_server.root / "backups").mkdir()
    return open_target(f"sftp://backup@127.0.0.1:{sftp_server.port}/backups", S3Settings(), sftp_server.settings)


@pytest.fixture
def folder(tmp_path: Path) -> Target:
    (tmp_path / "backups").mkdir()
    return open_target(str(tmp_path / "backups"), S3Settings(), SftpSettings())


@pytest.mark.parametrize("kind", ["folder", "s3", "sftp"])
def test_a_target_keeps_replaces_lists_and_removes(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    target: Target = request.getfixturevalue(kind)
    assert target.names() == []
    large = bytes(range(256)) * 100_000
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(large)
    target.put("b", source)
    source.write_bytes(b"small")
    target.put("a", source)
    assert target.names() == ["a", "b"]
    target.get("b", back)
    assert back.read_bytes() == large
    target.put("b", source)
    target.get("b", back)
    assert back.read_bytes() == b"small"
    with pytest.raises(NoSuchBackup, match="there is no such backup"):
        target.get("c", back)
    target.delete("b")
    target.delete("b")
    assert target.names() == ["a"]


def test_an_sftp_server_with_another_host_key_gets_nothing(sftp_server: _Sftp) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    (sftp_server.folder / "known_hosts").write_text(f"[127.0.0.1]:{sftp_server.port} {other}")
    target = open_target(f"sftp://backup@127.0.0.1:{sftp_server.port}/", S3Settings(), sftp_server.settings)
    with pytest.raises(TargetError, match=r"[Hh]ost key.*check host, user, key, host key and rights"):
        target.names()


def test_a_wrong_bucket_is_told(s3_endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret-key\n")
    settings = S3Settings(s3_endpoint, "us-east-1", "key", str(tmp_path / "secret"))
    target = open_target("s3://there-is-no-such-bucket/x", settings, SftpSettings())
    with pytest.raises(TargetError, match=r"s3://there-is-no-such-bucket/x: .*check endpoint, bucket, access key"):
        target.names()


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("backups", "'backups' is no absolute path; write the folder's path from / on"),
        ("/there/is/none", "no folder at /there/is/none; make it, or mount the disk that belongs there"),
        ("ftp://host/x", "found 'ftp://host/x'; write a folder, s3://bucket/prefix or sftp://user@host/folder"),
        ("sftp://user:secret@host/x", "a password in a URL; use backup.sftp.key_file or backup.s3.secret_file"),
        ("sftp://host/x", "no host or no user is named"),
        ("sftp://user@host/x", "backup.sftp.key_file: missing; a login by key, to a server whose host key is known"),
        ("s3:///x", "no bucket is named"),
    ],
)
def test_a_target_that_cannot_be_meant_is_told(url: str, text: str) -> None:
    with pytest.raises(ConfigError) as told:
        open_target(url, S3Settings(), SftpSettings())
    assert text in str(told.value)
    assert "secret@" not in str(told.value)

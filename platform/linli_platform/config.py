"""The platform's settings: a TOML file, with the command line's over it; every default is safe on one machine."""

import difflib
import re
import ssl
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from linli_core.errors import ConfigError
from linli_core.model import is_id
from linli_core.settings import is_loopback, parse_toml
from linli_core.wire.topics import EVERY_SHARD, ShardSet
from linli_platform.backup.settings import BackupSettings
from linli_platform.backup.settings import check as check_backup
from linli_platform.ingest.connection import BrokerAddress
from linli_platform.ingest.settings import Grouping, Limits
from linli_platform.store.removal import Retention

DEFAULT_DATA: Final = "var/platform"
DEFAULT_LISTEN: Final = "127.0.0.1:8080"

StructT = TypeVar("StructT", bound=msgspec.Struct)

_PLACE: Final = re.compile(r" - at `\$\.?(?P<where>[^`]*)`$")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_DATABASE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MEMORY: Final = re.compile(r"\d{1,9} ?[KMGT]i?B", re.ASCII)


_LIMITS: Final = Limits()


class MqttSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker and how to speak to it.

    Attributes:
        client_id: Names the session that the broker keeps while the platform is away.
        tls: Speak TLS; the broker's certificate is checked against ``ca``, or the system's roots.
        certificate, key: The platform's own, where the broker asks for one.
        password_file: File whose first line is the password.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    client_id: str = "linli-platform"
    username: str = ""
    password_file: str = ""
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""


class ApiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where API and pages are served.

    Attributes:
        token_file: File whose first line every request must bear as a token; needed beyond loopback.
        hosts: Names by which the platform may be addressed, besides ``localhost`` and IP addresses.
    """

    listen: str = DEFAULT_LISTEN
    token_file: str = ""
    hosts: tuple[str, ...] = ()


class InfluxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The doors of InfluxDB's shape.

    Attributes:
        tokens: File of those who may speak there (see :mod:`linli_platform.tokens`); none if empty.
    """

    tokens: str = ""


class NotifySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Telling people of alarms.

    Attributes:
        file: Who is told of what (see :mod:`linli_platform.notify.routes`); nobody if empty.
    """

    file: str = ""


class Engine(StrEnum):
    """Where readings are kept."""

    DUCKDB = "duckdb"
    INFLUXDB = "influxdb"
    VICTORIAMETRICS = "victoriametrics"


class StoreSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where readings are kept, what DuckDB may use of the machine, and for how long what is kept.

    Attributes:
        engine: The embedded DuckDB, or a server; what no server can hold stands in a DuckDB file beside it.
        url: Of the server: ``https://influx.example:8086``.
        database: On the server.
        username: For the server; belongs to ``password_file``.
        password_file: File of a password that only the platform may read.
        token_file: File of a token, in place of both.
        ca: File of the authority that signed the server's certificate; the system's if empty.
        retention_days: After how many days the server may let a reading go; 0: never.
        memory_limit: What DuckDB may hold in memory.
        threads: Threads DuckDB may use for one query.
        retention: For how long the embedded store keeps what.
    """

    engine: Engine = Engine.DUCKDB
    url: str = ""
    database: str = "linli"
    username: str = ""
    password_file: str = ""
    token_file: str = ""
    ca: str = ""
    retention_days: int = 0
    memory_limit: str = "512MiB"
    threads: int = 2
    retention: Retention = Retention()


class IngestSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of ingest (see :mod:`linli_platform.ingest.settings`).

    Attributes:
        shard: Which share of the gateways this worker takes, ``3/8`` for the third of eight; all if empty.
    """

    shard: str = ""
    linger_ms: int = 50
    payload_bytes: int = _LIMITS.payload_bytes
    pending_gateways: int = _LIMITS.pending_gateways
    pending_devices: int = _LIMITS.pending_devices
    pending_series: int = _LIMITS.pending_series
    series: int = _LIMITS.series


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings of ``linli-platform``.

    Attributes:
        data: Folder of the store and the registry.
        rules: Folder of alarm rules; empty for those that ship with the platform.
        packs: Packs of alarm rules that are in force besides: ``food``, ``safety``, ``utility``.
        zone: The community's time zone, such as ``Asia/Shanghai``: where its days begin; the system's if empty.
    """

    data: str = DEFAULT_DATA
    rules: str = ""
    packs: tuple[str, ...] = ()
    zone: str = ""
    mqtt: MqttSettings = MqttSettings()
    api: ApiSettings = ApiSettings()
    influx: InfluxSettings = InfluxSettings()
    store: StoreSettings = StoreSettings()
    ingest: IngestSettings = IngestSettings()
    backup: BackupSettings = BackupSettings()
    notify: NotifySettings = NotifySettings()

    @property
    def tzinfo(self) -> tzinfo:
        """The community's time zone."""
        return ZoneInfo(self.zone) if self.zone else (datetime.now(UTC).astimezone().tzinfo or UTC)

    @property
    def store_path(self) -> Path:
        """The store's file, or the one beside its server."""
        return Path(self.data) / ("store.duckdb" if self.store.engine is Engine.DUCKDB else "beside.duckdb")

    @property
    def registry_path(self) -> Path:
        """The registry's file."""
        return Path(self.data) / "registry.sqlite"

    @property
    def listen(self) -> tuple[str, int]:
        """Host and port of API and pages."""
        return split_address(self.api.listen, "api.listen")

    @property
    def limits(self) -> Limits:
        """Bounds of one message and of unknown senders."""
        ingest = self.ingest
        return Limits(
            payload_bytes=ingest.payload_bytes,
            pending_gateways=ingest.pending_gateways,
            pending_devices=ingest.pending_devices,
            pending_series=ingest.pending_series,
            series=ingest.series,
        )

    @property
    def shards(self) -> ShardSet:
        """Whose messages are taken."""
        return ShardSet.parse(self.ingest.shard) if self.ingest.shard else EVERY_SHARD

    @property
    def grouping(self) -> Grouping:
        """How messages become commits."""
        return Grouping(linger_s=self.ingest.linger_ms / 1000)


def split_address(text: str, where: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``; an IPv6 host stands in brackets. Port 0 means any free one."""
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not (separator and host and port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ConfigError(
            where, f"{text!r} is no HOST:PORT", "write a host, a colon and a port, such as 127.0.0.1:8080"
        )
    if ":" in host and not bracketed:
        raise ConfigError(where, f"{text!r} is ambiguous", f"put the IPv6 host in brackets: [{host}]:{port}")
    return host[1:-1] if bracketed else host, int(port)


def load(path: Path) -> Settings:
    """Return the settings in a file.

    Raises:
        ConfigError: The file cannot be read or used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(str(path), f"cannot be read ({exc.strerror})", "check the path and its permissions") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(str(path), "found bytes that are no UTF-8", "save the file as UTF-8") from exc
    return parse(text, str(path))


def parse(text: str, where: str) -> Settings:
    """Return the settings in a TOML text; ``where`` names it in errors."""
    return convert(parse_toml(text, where), Settings)


def convert(table: dict[str, object], kind: type[StructT]) -> StructT:
    """Return a table as a struct; the :class:`ConfigError` names the key, the place and the nearest valid key."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as exc:
        raise _explained(str(exc), kind) from exc


def check(settings: Settings) -> None:
    """Raise :class:`ConfigError` for the first setting that cannot be used; looks at nothing outside ``settings``."""
    host, _ = settings.listen
    if not is_loopback(host) and not settings.api.token_file:
        raise ConfigError(
            "api.listen",
            f"{settings.api.listen} can be reached from other machines, and anybody could read and accept there",
            "listen on 127.0.0.1, or put a secret in a file only the platform may read and name it in api.token_file",
        )
    _check_zone(settings.zone)
    mqtt = settings.mqtt
    if not 1 <= mqtt.port <= 65_535:
        raise ConfigError("mqtt.port", f"found {mqtt.port}", "choose one from 1 to 65535")
    if not is_id(mqtt.client_id):
        raise ConfigError("mqtt.client_id", f"{mqtt.client_id!r} is no id", "use lower case, digits and hyphens")
    if bool(mqtt.certificate) != bool(mqtt.key):
        raise ConfigError("mqtt", "certificate and key come together", "give both, or neither")
    if not mqtt.tls and (mqtt.ca or mqtt.certificate):
        raise ConfigError("mqtt.tls", "found certificates but no TLS", "write tls = true")
    if not _MEMORY.fullmatch(settings.store.memory_limit):
        raise ConfigError(
            "store.memory_limit", f"found {settings.store.memory_limit!r}", 'write a size such as "512MiB"'
        )
    _check_ingest(settings.ingest)
    if settings.store.threads < 1:
        raise ConfigError("store.threads", f"found {settings.store.threads}", "choose 1 or more")
    _check_engine(settings.store)
    check_backup(settings.backup)


def _check_ingest(ingest: IngestSettings) -> None:
    for name, lowest, highest in (("linger_ms", 0, 1_000), ("payload_bytes", 1_024, 16_777_216)):
        found = getattr(ingest, name)
        if not lowest <= found <= highest:
            raise ConfigError(f"ingest.{name}", f"found {found}", f"choose one from {lowest} to {highest}")
    try:
        ShardSet.parse(ingest.shard or str(EVERY_SHARD))
    except ValueError as exc:
        remedy = "write 3/8 for the third of eight workers, each with a number of its own"
        raise ConfigError("ingest.shard", str(exc), remedy) from exc


def _check_engine(store: StoreSettings) -> None:
    if store.engine is Engine.DUCKDB:
        given = [name for name in ("url", "username", "password_file", "token_file", "ca") if getattr(store, name)]
        if given:
            found = "the embedded store is no server"
            raise ConfigError(f"store.{given[0]}", found, 'write engine = "influxdb" or "victoriametrics"')
        return
    url = urlsplit(store.url)
    if url.scheme not in {"http", "https"} or not url.hostname or "@" in url.netloc or url.query:
        found = f"found {store.url!r}" if "@" not in store.url else "found a secret in it"
        raise ConfigError("store.url", found, "write where the server is: http://127.0.0.1:8086")
    if (store.token_file or store.password_file) and url.scheme == "http" and not is_loopback(url.hostname):
        found = f"{store.url} would carry the secret in the clear"
        raise ConfigError("store.url", found, "write https://, with ca where its certificate needs one")
    if bool(store.username) != bool(store.password_file):
        raise ConfigError("store", "username and password_file come together", "give both, or neither")
    if store.token_file and store.username:
        raise ConfigError("store.token_file", "found beside a username", "give one of them")
    if not _DATABASE.fullmatch(store.database):
        raise ConfigError("store.database", f"found {store.database!r}", "use letters, digits, hyphens and underscores")
    if store.retention_days < 0:
        raise ConfigError("store.retention_days", f"found {store.retention_days}", "write 0 to keep all, or more")
    if store.retention != Retention():
        found = "the embedded store keeps and lets go by kind, a server does not"
        raise ConfigError("store.retention", found, "write retention_days, or leave it out")


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ConfigError("zone", f"found {name!r}", "write one such as Asia/Shanghai") from exc


def broker_address(mqtt: MqttSettings, shards: ShardSet = EVERY_SHARD) -> BrokerAddress:
    """Return where the broker is, secrets and certificates read; :class:`ConfigError` if a file cannot be used.

    Workers that share the gateways have names of their own there: the broker lets one of a name in.
    """
    tls = None
    if mqtt.tls:
        try:
            tls = ssl.create_default_context(cafile=mqtt.ca or None)
            if mqtt.certificate:
                tls.load_cert_chain(mqtt.certificate, mqtt.key)
        except OSError as exc:
            raise ConfigError(
                "mqtt", f"the certificates cannot be used ({exc})", "check ca, certificate and key"
            ) from exc
    password = read_secret(mqtt.password_file, "mqtt.password_file") if mqtt.password_file else ""
    client_id = mqtt.client_id if shards.is_whole else f"{mqtt.client_id}-{shards.number}-of-{shards.of}"
    return BrokerAddress(mqtt.host, mqtt.port, client_id, mqtt.username, password, tls)


def read_secret(path: str, where: str) -> str:
    """Return a file's first line; :class:`ConfigError` if there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(where, f"{path} cannot be read ({exc})", "check the path and its permissions") from exc
    if not lines or not lines[0].strip():
        raise ConfigError(where, f"{path} holds nothing", "write the secret as its first line")
    return lines[0].strip()


def _explained(message: str, root: type[msgspec.Struct]) -> ConfigError:
    """Say what msgspec found the way our other errors do."""
    place = _PLACE.search(message)
    where = place["where"] if place else ""
    found = message[: place.start()] if place else message
    if unknown := _UNKNOWN.fullmatch(found):
        key, known = unknown["key"], _keys_at(where, root)
        near = difflib.get_close_matches(key, known, n=1)
        remedy = f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"
        return ConfigError(f"{where}.{key}".lstrip("."), "unknown key", remedy)
    return ConfigError(where, found[0].lower() + found[1:], "write what is expected there")


def _keys_at(where: str, root: type[msgspec.Struct]) -> list[str]:
    """Return the keys a table may have, given its place such as ``gateways[0].devices[2]``."""
    kind: type = root
    for part in filter(None, re.sub(r"\[[^]]*\]", "", where).split(".")):
        kind = _struct_in({item.name: item.type for item in msgspec.structs.fields(kind)}[part])
    return [item.encode_name for item in msgspec.structs.fields(kind)]


def _struct_in(kind: object) -> type[msgspec.Struct]:
    """Return the struct that a field holds, itself or in a list."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    inner = next(item for item in getattr(kind, "__args__", ()) if item is not Ellipsis)
    return _struct_in(inner)

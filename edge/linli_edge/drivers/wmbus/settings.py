"""A radio link as TOML writes it: where telegrams come from, and which meters are wanted."""

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from linli_core.codecs.mbus.request import Secondary, parse_secondary
from linli_core.codecs.wmbus.security import KEY_SIZE
from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_edge.config.table import Table, reading
from linli_edge.drivers.wmbus.device_profile import DeviceProfile, profile_of
from linli_edge.drivers.wmbus.memory import Memory
from linli_edge.transport.settings import TransportSettings, read_transport

BAUD: Final = 9600
INTERVAL: Final = MINUTE
MAX_AGE: Final = 6 * HOUR

MEDIA: Final = {
    "electricity": 0x02,
    "gas": 0x03,
    "heat": 0x04,
    "hot_water": 0x06,
    "water": 0x07,
    "cooling": 0x0A,
}
"""What a device may be said to meter → the standard's code."""

_PORT: Final = 1883
_PORT_TLS: Final = 8883
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)", re.ASCII)
_LONGEST_KEYS: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LineSource:
    """Lines over a serial port or a TCP connection."""

    transport: TransportSettings


@dataclass(frozen=True, slots=True)
class FileSource:
    """Lines of a recorded file, read once."""

    path: Path


@dataclass(frozen=True, slots=True)
class MqttSource:
    """Messages of an MQTT broker.

    Attributes:
        topic: What to subscribe to.
        field: Name of the JSON field that has the telegram; empty to try the usual ones.
        password_file: File whose first line is the password.
    """

    host: str
    port: int
    topic: str
    field: str
    tls: bool
    ca: Path | None
    username: str | None
    password_file: Path | None


Source = LineSource | FileSource | MqttSource


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """One meter.

    Attributes:
        device: Its id.
        meter: Its number, and perhaps manufacturer, version, medium.
        key: Its key; ``None`` if it sends in plain.
        plain: Whether telegrams in plain are taken although there is a key.
        interval: Microseconds from one collection to the next.
        max_age: Microseconds without a telegram after which its points are BAD.
        utc_offset: Minutes its clock is east of UTC.
        profile: What is known of its make and model; ``None`` if nothing is said.
        meters: Code of the medium it meters, where its telegrams do not tell; ``None`` if they do.
    """

    device: str
    meter: Secondary
    key: bytes | None = field(repr=False)
    plain: bool
    interval: int
    max_age: int
    utc_offset: int
    profile: DeviceProfile | None = None
    meters: int | None = None


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One receiver.

    Attributes:
        source: Where its telegrams come from.
        devices: The meters that are wanted.
        memory: What was heard; kept here because a driver lives only as long as its line.
        state: File that keeps message counters over a restart; ``None``: a restart forgets them.
    """

    source: Source
    devices: tuple[DeviceSettings, ...]
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)
    state: Path | None = None


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    with reading(table, where) as link:
        source = _source(link)
        keys = _keys_file(link)
        offset = _offset(link, 0)
        state = link.text("state", None)
        devices: list[DeviceSettings] = []
        ids: dict[str, str] = {}
        meters: dict[Secondary, str] = {}
        for item in link.tables("devices"):
            device = _device(item, keys, offset)
            if (first := ids.setdefault(device.device, item.where)) != item.where:
                item.problem("id", f'"{device.device}" is taken by {first}', "give each device its own id")
            if (first := meters.setdefault(device.meter, item.where)) != item.where:
                item.problem("meter", f"the meter is that of {first}", "correct one of the two")
            devices.append(device)
    return LinkSettings(source, tuple(devices), state=Path(state) if state is not None else None)


def _source(link: Table) -> Source:
    kind = link.raw.get("transport", "tcp")
    if kind == "mqtt":
        link.known("transport")
        return _mqtt(link)
    if kind == "file":
        link.known("transport")
        path = Path(link.text("path"))
        if link.raw.get("path") and not path.is_file():
            link.problem("path", f"no file at {path}", "correct the path")
        return FileSource(path)
    if kind not in {"tcp", "serial"}:
        link.known("transport")
        link.problem("transport", f"found {kind!r}", 'write "tcp", "serial", "mqtt" or "file"')
        return FileSource(Path())
    return LineSource(read_transport(link, baud=BAUD))


def _mqtt(link: Table) -> MqttSource:
    ca = _file(link, "ca")
    tls = link.boolean("tls", ca is not None)
    if "password" in link.raw:
        link.known("password")
        link.problem("password", "a secret in the configuration", "put it into a file and name it in password_file")
    topic = link.text("topic")
    if "\x00" in topic or len(topic.encode()) > 1024:
        link.problem("topic", "no MQTT topic", 'write a topic or a filter, such as "wmbus/+/telegram"')
    return MqttSource(
        host=link.text("host"),
        port=link.integer("port", _PORT_TLS if tls else _PORT, minimum=1, maximum=65535),
        topic=topic,
        field=link.text("field", ""),
        tls=tls,
        ca=ca,
        username=link.text("username", None),
        password_file=_file(link, "password_file"),
    )


def _file(link: Table, key: str) -> Path | None:
    text = link.text(key, None)
    if text is None:
        return None
    path = Path(text)
    if not path.is_file():
        link.problem(key, f"no file at {path}", "correct the path")
    return path


def _device(item: Table, keys: Mapping[str, bytes], offset: int) -> DeviceSettings:
    name = item.ident("id")
    number = item.text("meter")
    meter = Secondary("FFFFFFFF")
    if number:
        try:
            meter = parse_secondary(number)
        except ValueError:
            item.problem(
                "meter",
                f'found "{number}"',
                "write the 8 digits printed on the meter (F for any digit), or all 16 digits as "
                "linli-edge wmbus listen shows them",
            )
    key = _key(item, "key") if "key" in item else keys.get(meter.number.upper())
    profile = profile_of(item)
    if profile is not None and profile.encrypted and key is None and "key" not in item:
        item.problem("key", "missing", f"{profile.make} {profile.model} encrypts: write its key, or name a keys_file")
    medium = item.choice("meters", tuple(MEDIA), None)
    settings = DeviceSettings(
        name,
        meter,
        key,
        item.boolean("plain", default=False),
        item.duration("interval", INTERVAL, minimum=SECOND, maximum=DAY),
        item.duration("max_age", profile.max_age if profile else MAX_AGE, minimum=SECOND, maximum=366 * DAY),
        _offset(item, offset),
        profile,
        MEDIA[medium] if medium else None,
    )
    if settings.max_age < settings.interval:
        item.problem("max_age", "shorter than interval", "let a meter be silent for longer than it is not collected")
    return settings


def _key(item: Table, name: str) -> bytes | None:
    """Return a key; what is wrong with one is told without its digits."""
    text = item.text(name)
    key = read_key(text)
    if isinstance(key, str):
        item.problem(name, key, "write the 32 hexadecimal digits that the meter's supplier gave")
        return None
    return key


def read_key(text: str) -> bytes | str:
    """Return a key of 16 bytes, or what is wrong with its text; never the text itself."""
    digits = re.sub(r"[\s:-]", "", text)
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        return f"{len(digits)} characters that are no hexadecimal bytes"
    return key if len(key) == KEY_SIZE else f"a key of {len(key)} bytes, {KEY_SIZE} are wanted"


def _keys_file(link: Table) -> dict[str, bytes]:
    """Return the keys of a file: number and key on each line."""
    text = link.text("keys_file", None)
    if text is None:
        return {}
    path = Path(text)
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="utf-8")[:_LONGEST_KEYS].splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        link.problem("keys_file", f"{path}: {exc}", "name a text file: on each line a meter's number and its key")
        return {}
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        link.problem("keys_file", f"others may read {path} (mode {stat.S_IMODE(mode):o})", f"chmod 600 {path}")
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split(maxsplit=1)
        if not words:
            continue
        place = f"{path}, line {number}"
        key = read_key(words[1]) if len(words) > 1 else "a number without a key"
        if isinstance(key, str):
            link.problem(
                "keys_file", f"{place}: {key}", "write the meter's 8 digits, a blank, and 32 hexadecimal digits"
            )
        elif keys.setdefault(words[0].upper(), key) != key:
            link.problem("keys_file", f"{place}: another key for {words[0]}", "leave one of the two")
    return keys


def _offset(item: Table, default: int) -> int:
    text = item.text("clock", "")
    if not text:
        return default
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 14 or int(match[3]) > 59:
        item.problem("clock", f'found "{text}"', 'write how far the meters\' clocks are from UTC, such as "+08:00"')
        return default
    minutes = int(match[2]) * 60 + int(match[3])
    return -minutes if match[1] == "-" else minutes

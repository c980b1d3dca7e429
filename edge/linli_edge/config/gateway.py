"""A whole configuration: the gateway, its uplink, its outbox, its links; every mistake in it at once."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from linli_core.errors import ConfigError
from linli_core.instant import DAY, HOUR, MINUTE, SECOND
from linli_core.model import Point
from linli_core.vocabulary import vocabulary
from linli_edge import driver
from linli_edge.breaker import BreakerSettings
from linli_edge.commands.settings import CommandSettings, read_commands
from linli_edge.config.file import load_toml
from linli_edge.config.left_out import LeftOut, device_names, path, without_wrong_devices
from linli_edge.config.left_out import devices as devices_of
from linli_edge.config.like_devices import Origins, as_written, expand
from linli_edge.config.problems import flatten
from linli_edge.config.table import ConfigErrors, Table, reading
from linli_edge.eviction import LAST, EvictionRule
from linli_edge.link import LinkSettings
from linli_edge.local_time import LocalTime
from linli_edge.nodes.settings import NodeSettings, read_nodes
from linli_edge.outbox.message import NORMAL, OutboxLimits
from linli_edge.pipeline import PackSettings
from linli_edge.registers.billing import BillingSettings
from linli_edge.registers.book import RegisterSettings
from linli_edge.report_by_exception import ReportRule
from linli_edge.scheduler import ScheduleSettings
from linli_edge.uplink.settings import UplinkSettings

_PORT: Final = 1883
_PORT_TLS: Final = 8883
_OFFSET: Final = re.compile(r"([+-])(\d\d):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """What one ``linli-edge run`` needs.

    Attributes:
        id: The gateway's id.
        data: Folder of the outbox.
        local: How far local time is ahead of UTC: days and billing periods begin at local midnight.
        packs: How readings become packs.
        uplink: Where the log goes.
        outbox: Bounds of the log.
        report: Report by exception; empty: everything is sent.
        links: The lines and their drivers.
        registers: Cumulative registers: how they are judged, and the boundaries that bills are made of.
        commands: What may be written to devices: nothing unless it says so.
        eviction: What leaves a full log first.
        left_out: What is wrong and therefore not read; empty unless that was asked for.
        nodes: Boards of our own, at the local broker; ``None`` where there are none.
    """

    id: str
    data: Path
    local: LocalTime
    packs: PackSettings
    uplink: UplinkSettings
    outbox: OutboxLimits
    report: tuple[ReportRule, ...]
    links: tuple[LinkSettings, ...]
    registers: RegisterSettings = field(default_factory=RegisterSettings)
    commands: CommandSettings = field(default_factory=CommandSettings)
    eviction: tuple[EvictionRule, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    nodes: NodeSettings | None = None


def load_config(path: Path, *, leave_out: bool = False) -> GatewayConfig:
    """Return the configuration in a file; relative paths in it start at its folder.

    Args:
        path: The file.
        leave_out: Leave out the devices and links that are wrong, while anything is left to read.

    Raises:
        ConfigError: It cannot be read, or (``ConfigErrors``) has mistakes.
    """
    raw = load_toml(path)
    try:
        return parse_config(raw, path.parent, leave_out=leave_out)
    except ConfigErrors as exc:
        places = [ConfigError(f"{path}: {error.where}", error.found, error.remedy) for error in exc.errors]
        raise ConfigErrors(places) from exc


def parse_config(
    raw: Mapping[str, object],
    folder: Path,
    drivers: Mapping[str, EntryPoint] | None = None,
    *,
    leave_out: bool = False,
) -> GatewayConfig:
    """Return the configuration in a file's tables.

    Args:
        raw: The tables.
        folder: Where relative paths start.
        drivers: Drivers to choose from; those installed if left out.
        leave_out: As :func:`load_config` has it.
    """
    written_out, origins = expand(raw)
    left_out: list[LeftOut] = []
    try:
        config = _parse(written_out, folder, drivers, left_out if leave_out else None)
    except ConfigErrors as exc:
        raise ConfigErrors([as_written(error, origins) for error in exc.errors]) from exc
    return replace(config, left_out=tuple(_as_written(each, origins) for each in left_out))


def _as_written(left_out: LeftOut, origins: Origins) -> LeftOut:
    return replace(left_out, mistakes=tuple(as_written(error, origins) for error in left_out.mistakes))


def _parse(
    raw: Mapping[str, object],
    folder: Path,
    drivers: Mapping[str, EntryPoint] | None,
    left_out: list[LeftOut] | None,
) -> GatewayConfig:
    with reading(raw, "", known=()) as root:
        gateway = root.table("gateway", required=True)
        name = gateway.ident("id")
        data = folder / gateway.text("data")
        local = _local(gateway)
        packs = PackSettings(
            interval=gateway.duration("pack_interval", SECOND // 2, minimum=0, maximum=MINUTE),
            records=gateway.integer("pack_records", 100, minimum=1, maximum=1000),
        )
        uplink = _uplink(root.table("uplink", required=True), folder)
        outbox = _outbox(root.table("outbox"))
        links, devices = _links(root, drivers, local, left_out)
        nodes = read_nodes(root.table("nodes"), devices, folder)
        devices = {**devices, **dict.fromkeys(nodes.boards if nodes else (), "nodes")}
        report = tuple(_report(rule, devices) for rule in root.tables("report"))
        billing = _billing(gateway.table("billing"), local)
        eviction = tuple(_eviction(rule, devices) for rule in root.table("outbox").tables("priority"))
        commands = read_commands(root.table("commands"), devices)
    expected, unknown = _expected(links)
    registers = RegisterSettings(frozenset(devices), expected, unknown, _moduli(links), billing)
    return GatewayConfig(
        name, data, local, packs, uplink, outbox, report, links, registers, commands, eviction, nodes=nodes
    )


def _billing(table: Table, local: LocalTime) -> BillingSettings | None:
    usual = BillingSettings()
    wanted = table.boolean("enabled", default=True)
    every = table.duration("every", usual.every, minimum=MINUTE, maximum=DAY)
    if every and DAY % every:
        table.problem("every", "a day is no whole multiple of it", 'choose one such as "15 min", "1 h" or "1 d"')
    exact = table.duration("exact", usual.exact, minimum=0, maximum=MINUTE)
    late = table.duration("late", min(usual.late, every * 2 // 3), minimum=0, maximum=DAY)
    if not exact <= late < every:
        table.problem("late", "found a time outside exact … every", "choose one longer than exact, shorter than every")
    return BillingSettings(every, exact, late, local.offset, local.zone) if wanted else None


def _expected(links: Sequence[LinkSettings]) -> tuple[tuple[Point, ...], frozenset[str]]:
    """Return the points that the links are to read, and the devices whose points only their answers tell."""
    polls = [planned for link in links if link.spec.plan is not None for planned in link.spec.plan(link.config)]
    points = tuple(point for planned in polls for point in planned.points)
    return points, frozenset(planned.device for planned in polls if not planned.points)


def _moduli(links: Sequence[LinkSettings]) -> Mapping[str, tuple[float, ...]]:
    moduli: dict[str, tuple[float, ...]] = {}
    for link in links:
        if link.spec.moduli is not None:
            moduli.update(link.spec.moduli(link.config))
    return moduli


def _local(table: Table) -> LocalTime:
    """Return local time, as ``utc_offset`` or ``timezone`` says it."""
    name = table.text("timezone", "")
    if name and "utc_offset" in table:
        table.problem("timezone", "beside utc_offset", "keep one: timezone where clocks are set forward and back")
    offset = _utc_offset(table)
    return LocalTime(zone=_zone(table, name)) if name else LocalTime(offset)


def _zone(table: Table, name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
    near = difflib.get_close_matches(name, known, 1)
    hint = f'did you mean "{near[0]}"?' if near else 'write one such as "Europe/Berlin", or a utc_offset'
    if not known:
        hint = "this machine has no time zone data: install tzdata (apt install tzdata), or write a utc_offset"
    table.problem("timezone", f'no time zone is called "{name}"', hint)
    return None


def _utc_offset(table: Table) -> int:
    text = table.text("utc_offset", "+00:00")
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 14:
        table.problem("utc_offset", f'found "{text}"', 'write how far local time is from UTC, such as "+08:00"')
        return 0
    offset = int(match[2]) * HOUR + int(match[3]) * MINUTE
    return -offset if match[1] == "-" else offset


def _uplink(table: Table, folder: Path) -> UplinkSettings:
    ca = _file(table, "ca", folder)
    certificate = _file(table, "certificate", folder)
    key = _file(table, "key", folder)
    for given, other in ((certificate, "key"), (key, "certificate")):
        if given is not None and other not in table:
            table.problem(other, "missing", "a client certificate needs both: certificate and key")
    tls = table.boolean("tls", ca is not None or certificate is not None)
    if not tls and (ca is not None or certificate is not None):
        table.problem("tls", "found false beside a certificate", "write tls = true, or leave the certificates out")
    username = table.text("username", None)
    password_file = _file(table, "password_file", folder)
    if password_file is not None and username is None:
        table.problem("username", "missing", "a password needs the name it belongs to")
    if "password" in table.raw:
        table.known("password")
        table.problem("password", "a secret in the configuration", "put it into a file and name it in password_file")
    return UplinkSettings(
        host=table.text("host"),
        port=table.integer("port", _PORT_TLS if tls else _PORT, minimum=1, maximum=65535),
        tls=tls,
        ca=ca,
        certificate=certificate,
        key=key,
        username=username,
        password_file=password_file,
        keepalive=table.duration("keepalive", 30 * SECOND, minimum=5 * SECOND, maximum=HOUR) // SECOND,
        newest_first=table.choice("backlog", ("oldest first", "newest first"), "oldest first") == "newest first",
        backlog_delay=table.duration("backlog_delay", SECOND // 2, minimum=SECOND // 20, maximum=MINUTE),
    )


def _outbox(table: Table) -> OutboxLimits:
    usual = OutboxLimits()
    return OutboxLimits(
        max_bytes=table.size("max_bytes", usual.max_bytes, minimum=1024**2),
        max_age=table.duration("max_age", usual.max_age, minimum=HOUR, maximum=3650 * DAY),
        group_delay=table.duration("group_delay", usual.group_delay, minimum=0, maximum=MINUTE),
        endurance=table.size("card_endurance", usual.endurance, minimum=1_000_000_000),
    )


def _file(table: Table, key: str, folder: Path) -> Path | None:
    text = table.text(key, None)
    if text is None:
        return None
    path = folder / text
    if not path.is_file():
        table.problem(key, f"no file at {path}", "correct the path; it starts at the configuration's folder")
    return path


def _report(table: Table, devices: Mapping[str, str]) -> ReportRule:
    device, quantity = _which(table, devices)
    return ReportRule(
        device,
        quantity,
        table.number("deadband", 0.0, minimum=0.0),
        table.duration("max_silence", HOUR, minimum=SECOND, maximum=DAY),
    )


def _eviction(table: Table, devices: Mapping[str, str]) -> EvictionRule:
    device, quantity = _which(table, devices)
    return EvictionRule(table.integer("priority", minimum=NORMAL, maximum=LAST), device, quantity)


def _which(table: Table, devices: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the device and the quantity that a rule is about; ``None`` for all."""
    device = table.ident("device", None)
    quantity = table.text("quantity", None)
    if device is not None and device not in devices:
        table.problem("device", f'no device is called "{device}"', _nearest(device, devices))
    if quantity is not None and quantity not in vocabulary():
        table.problem("quantity", f'no quantity is called "{quantity}"', _nearest(quantity, vocabulary()))
    return device, quantity


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f'did you mean "{near[0]}"?' if near else "correct the name, or leave the key out: then it holds for all"


def _links(
    root: Table, drivers: Mapping[str, EntryPoint] | None, local: LocalTime, left_out: list[LeftOut] | None
) -> tuple[tuple[LinkSettings, ...], dict[str, str]]:
    """Return the links, and where each device stands; what is wrong goes to ``left_out`` if there is one."""
    links: list[LinkSettings] = []
    mistakes: list[tuple[Table, ConfigError]] = []
    left: list[LeftOut] = []
    ids: dict[str, str] = {}
    devices: dict[str, str] = {}
    # A gateway may have nodes only.
    for table in root.tables("links", required="nodes" not in root):
        name = table.ident("id")
        if name and (first := ids.setdefault(name, table.where)) != table.where:
            table.problem("id", f'"{name}" is taken by {first}', "give each link its own id")
        here = _note_devices(table, devices)
        schedule = _schedule(table.table("schedule"), local, here)
        # What else is in the table is the driver's to judge.
        table.known(*table.raw)
        if (kind := _driver(table)) is None:
            continue
        spec: driver.DriverSpec | None = None
        try:
            spec = driver.load(kind, table.at("driver"), drivers)
            config = spec.parse(table.raw, table.where)
        except ConfigError as exc:
            if left_out is None:
                table.add(exc)
                continue
            mistakes.append((table, exc))
            found = None if spec is None else without_wrong_devices(spec.parse, table.raw, table.where)
            if spec is None or found is None:
                left.append(LeftOut(name, kind, device_names(table.raw), whole=True, mistakes=tuple(flatten([exc]))))
                continue
            config, wrong = found
            left += [LeftOut(name, kind, (device,), whole=False, mistakes=errors.errors) for device, errors in wrong]
        links.append(LinkSettings(name, spec, config, schedule))
    if left_out is not None and links:
        left_out += left
    else:
        # Nothing is left to be read: then it is told as anywhere else.
        for where, mistake in mistakes:
            where.add(mistake)
    return tuple(links), devices


def _driver(table: Table) -> str | None:
    near = difflib.get_close_matches("driver", table.raw, 1)
    if "driver" not in table.raw and near:
        table.problem(near[0], "unknown key", 'did you mean "driver"?')
        return None
    return table.text("driver") or None


def _note_devices(link: Table, devices: dict[str, str]) -> set[str]:
    """Note where each device stands; one id on two links is a mistake (two on one link are the driver's to find).

    Returns:
        The ids on this link.
    """
    here: set[str] = set()
    for place, name in devices_of(link.raw):
        if name is None:
            continue
        where = f"{link.where}{path(place)}"
        here.add(name)
        first = devices.setdefault(name, where)
        if not first.startswith(f"{link.where}."):
            link.add(ConfigError(f"{where}.id", f'"{name}" is taken by {first}', "give each device its own id"))
    return here


def _schedule(table: Table, local: LocalTime, devices: set[str]) -> ScheduleSettings:
    usual, breaker = ScheduleSettings(), BreakerSettings()
    return ScheduleSettings(
        spread=table.duration("spread", usual.spread, minimum=0, maximum=HOUR),
        retry_after=table.duration("retry_after", usual.retry_after, minimum=SECOND // 10, maximum=HOUR),
        capacity=table.number("capacity", usual.capacity, minimum=0.1, maximum=1.0),
        breaker=BreakerSettings(
            failures=table.integer("failures", breaker.failures, minimum=1, maximum=100),
            probe_first=table.duration("probe_first", breaker.probe_first, minimum=SECOND // 10, maximum=HOUR),
            probe_last=table.duration("probe_last", breaker.probe_last, minimum=SECOND // 10, maximum=DAY),
            silent_share=table.number("silent_share", breaker.silent_share, minimum=0.001, maximum=0.9),
            unit_share=table.number("unit_share", breaker.unit_share, minimum=0.001, maximum=1.0),
        ),
        utc_offset=local.offset,
        zone=local.zone,
        priorities=_priorities(table.table("priority"), devices),
    )


def _priorities(table: Table, devices: set[str]) -> dict[str, int]:
    """Return the priorities of devices (``meter-1``) and points (``meter-1/active_power``)."""
    priorities: dict[str, int] = {}
    for name in table.raw:
        if (device := name.partition("/")[0]) not in devices:
            table.known(name)
            near = difflib.get_close_matches(device, devices, 1)
            hint = f'did you mean "{near[0]}"?' if near else "name a device of this link, or device/point"
            table.problem(name, f'no device of this link is called "{device}"', hint)
        priorities[name] = table.integer(name, minimum=0, maximum=9)
    return priorities

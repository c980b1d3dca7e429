"""``linli-edge check``: what a configuration would do, without touching a device."""

from collections.abc import Sequence

from linli_core.instant import SECOND
from linli_edge.config.gateway import GatewayConfig
from linli_edge.config.units import show_duration
from linli_edge.driver import PlannedPoll, Served
from linli_edge.link import LinkSettings
from linli_edge.listing import listing
from linli_edge.load import plan_load
from linli_edge.nodes import check as nodes
from linli_edge.transport.port_name import is_counted
from linli_edge.transport.settings import SerialSettings, TcpSettings

UNKNOWN = "?"


def summary(config: GatewayConfig) -> str:
    """Return a table of the links, and what else matters, for people."""
    rows = [_row(link) for link in config.links]
    head = ("link", "driver", "devices", "points", "intervals", "line load")
    uplink = config.uplink
    secured = " with TLS" if uplink.tls else ""
    lines = [
        f"gateway {config.id}: log in {config.data}, uplink to {uplink.host}:{uplink.port}{secured}",
    ]
    if rows or config.nodes is None:
        lines += ["", listing(head, rows, right=(2, 3, 5))]
    if any(UNKNOWN in row for row in rows):
        lines += ["", f"{UNKNOWN}: only the devices know; linli-edge read CONFIG asks them"]
    served = [(link.id, found) for link in config.links if (found := _served(link)) is not None]
    if served:
        lines.append("")
    lines += [f"link {name} serves {each.what}, on {each.place}; it is asked nothing for them" for name, each in served]
    lines += _commands(config)
    if config.nodes is not None:
        lines += nodes.summary(config.nodes)
    lines += [f"warning: {warning}" for link in config.links for warning in _warnings(link)]
    lines += [f"warning: link {name}, on {each.place}: {text}" for name, each in served for text in each.warnings]
    lines += [f"warning: {warning}" for warning in _shared_places(config.links)]
    lines += [f"warning: {warning}" for warning in _shared_ports(served)]
    return "\n".join(lines)


def _commands(config: GatewayConfig) -> list[str]:
    """Return what may be written, if anything, and the points among it that no device has."""
    commands = config.commands
    if not commands.enabled:
        return []
    points = {f"{line.device}/{point}": line.confirm for line in commands.allow for point in sorted(line.points)}
    whence = "from here and from the platform" if commands.remote else "from here only"
    lines = ["", f"commands: {len(points)} points may be written {whence}, {sum(points.values())} of them in two steps"]
    polls = [planned for link in config.links for planned in _plan(link)]
    if all(planned.points for planned in polls):
        known = {point.name for planned in polls for point in planned.points}
        strange = [name for name in points if name not in known]
        lines += [
            f"warning: {name} may be written, but is none of the points read: is its name right?" for name in strange
        ]
    return lines


def _shared_places(links: Sequence[LinkSettings]) -> list[str]:
    """Return what to say of links that would open the same port or the same converter."""
    places: dict[str, list[str]] = {}
    for link in links:
        transport = getattr(link.config, "transport", None)
        if isinstance(transport, TcpSettings):
            places.setdefault(transport.place, []).append(link.id)
        elif isinstance(transport, SerialSettings):
            places.setdefault(transport.path, []).append(link.id)
    return [
        f"links {' and '.join(names)} open {place}; a serial port and many a converter serve one only: "
        "put their devices on one link"
        for place, names in places.items()
        if len(names) > 1
    ]


def _served(link: LinkSettings) -> Served | None:
    return link.spec.served(link.config) if link.spec.served is not None else None


def _shared_ports(served: Sequence[tuple[str, Served]]) -> list[str]:
    """Return what to say of links that would listen on one port: the first gets it."""
    places: dict[str, list[str]] = {}
    for name, each in served:
        if not each.place.endswith(":0"):
            places.setdefault(each.place, []).append(name)
    return [
        f"links {' and '.join(names)} listen on {place}; give each a port of its own"
        for place, names in places.items()
        if len(names) > 1
    ]


def _plan(link: LinkSettings) -> list[PlannedPoll]:
    return list(link.spec.plan(link.config)) if link.spec.plan is not None else []


def _load(polls: list[PlannedPoll]) -> float | None:
    return plan_load((planned.cost, planned.interval) for planned in polls)


def _row(link: LinkSettings) -> tuple[str, ...]:
    polls = _plan(link)
    if not polls:
        return (link.id, link.spec.name, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    devices = {planned.device for planned in polls}
    points = sum(len(planned.points) for planned in polls)
    all_known = all(planned.points for planned in polls)
    intervals = sorted({planned.interval for planned in polls})
    load = _load(polls)
    return (
        link.id,
        link.spec.name,
        str(len(devices)),
        str(points) if all_known else UNKNOWN,
        ", ".join(show_duration(interval) for interval in intervals),
        UNKNOWN if load is None else f"{load:.1%}",
    )


def _warnings(link: LinkSettings) -> list[str]:
    polls = _plan(link)
    load = _load(polls)
    warnings = []
    transport = getattr(link.config, "transport", None)
    if isinstance(transport, SerialSettings) and is_counted(transport.path):
        warnings.append(
            f"link {link.id}: {transport.path} is whichever adapter the system finds first; after a restart or an "
            "unplugged cable it may be another line's meters: name it by /dev/serial/by-id"
        )
    if load is not None and load > link.schedule.capacity:
        slower = max(planned.interval for planned in polls) * load / link.schedule.capacity / SECOND
        warnings.append(
            f"link {link.id}: the plan takes {load:.0%} of the line, more than there is; "
            f"lengthen the intervals (all to {slower:.3g} s would fit) or split the link"
        )
    return warnings

"""How the gateways' lines and the devices on them fare, for ``/metrics``: what each gateway's last status said."""

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from linli_core.wire.messages import DiskState, LinkState, Status, UnitState

MOST_UNITS: Final = 5_000
"""Devices that are told one by one; of more, those of the gateways that come last by name are only counted."""

_OUTCOMES: Final = ("answers", "refused", "timeouts", "checksum", "malformed", "late", "foreign", "noise")


class LineCollector(Collector):
    """Remembers the links of each gateway's last status and tells them when asked.

    A gateway whose connection is lost says nothing of its lines, and neither does this.
    """

    def __init__(self) -> None:
        self._links: dict[str, tuple[LinkState, ...]] = {}
        self._disks: dict[str, DiskState] = {}

    def heard(self, status: Status) -> None:
        """Take what a gateway says of its lines now."""
        if status.links:
            self._links[status.gateway] = status.links
        else:
            self._links.pop(status.gateway, None)
        if status.disk is not None:
            self._disks[status.gateway] = status.disk

    def collect(self) -> Iterator[Metric]:
        """Yield what the lines said."""
        lines = [(gateway, link) for gateway, links in sorted(self._links.items()) for link in links]
        yield from _lines(lines)
        units = [(gateway, link.id, unit) for gateway, link in lines for unit in link.units]
        yield from _units(units[:MOST_UNITS])
        unlisted = GaugeMetricFamily("linli_units_unlisted", "Devices of lines that are not told one by one.")
        unlisted.add_metric([], sum(link.unlisted for _, link in lines) + max(0, len(units) - MOST_UNITS))
        yield unlisted
        yield from _disks(self._disks)


def _disks(disks: Mapping[str, DiskState]) -> Iterator[Metric]:
    written = GaugeMetricFamily(
        "linli_gateway_written_bytes_per_day", "What the gateway writes to its card.", labels=["gateway"]
    )
    life = GaugeMetricFamily(
        "linli_gateway_card_life_days", "How long the card lasts at that rate.", labels=["gateway"]
    )
    for gateway, disk in sorted(disks.items()):
        written.add_metric([gateway], disk.bytes_per_day)
        life.add_metric([gateway], disk.life_days)
    yield written
    yield life


def _lines(lines: list[tuple[str, LinkState]]) -> Iterator[Metric]:
    labels = ["gateway", "link"]
    up = GaugeMetricFamily("linli_line_up", "1 while the line is open, devices silent or not.", labels=labels)
    use = GaugeMetricFamily("linli_line_use", "Share of the line in use, 0 to 1.", labels=labels)
    stretched = GaugeMetricFamily(
        "linli_line_stretched", "By how much the most stretched interval is longer than planned.", labels=labels
    )
    devices = GaugeMetricFamily("linli_line_devices", "Devices on the line.", labels=labels)
    silent = GaugeMetricFamily("linli_line_devices_silent", "Devices on the line that do not answer.", labels=labels)
    fruitless = GaugeMetricFamily(
        "linli_line_devices_fruitless", "Devices on the line that answer and give not one value.", labels=labels
    )
    left_out = GaugeMetricFamily(
        "linli_line_devices_left_out", "Devices that the gateway's configuration says wrongly.", labels=labels
    )
    for gateway, link in lines:
        names = [gateway, link.id]
        up.add_metric(names, link.state != "down")
        if link.use is not None:
            use.add_metric(names, link.use)
        stretched.add_metric(names, link.stretched or 1.0)
        devices.add_metric(names, link.devices)
        silent.add_metric(names, len(link.silent))
        fruitless.add_metric(names, len(link.fruitless))
        left_out.add_metric(names, len(link.left_out))
    yield from (up, use, stretched, devices, silent, fruitless, left_out)


def _units(units: list[tuple[str, str, UnitState]]) -> Iterator[Metric]:
    labels = ["gateway", "link", "device"]
    requests = CounterMetricFamily("linli_unit_requests", "Requests sent to the device.", labels=labels)
    outcomes = CounterMetricFamily("linli_unit_outcomes", "What became of them.", labels=[*labels, "outcome"])
    share = GaugeMetricFamily("linli_unit_line_share", "Share of the line that the device takes.", labels=labels)
    median = GaugeMetricFamily("linli_unit_answer_seconds", "Median time of its latest answers.", labels=labels)
    for gateway, link, unit in units:
        names = [gateway, link, unit.device]
        requests.add_metric(names, unit.requests)
        for outcome in _OUTCOMES:
            outcomes.add_metric([*names, outcome], getattr(unit, outcome))
        if unit.share is not None:
            share.add_metric(names, unit.share)
        if unit.median is not None:
            median.add_metric(names, unit.median)
    yield from (requests, outcomes, share, median)

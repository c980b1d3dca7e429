"""Pulse inputs as TOML writes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, cast

from linli_core.instant import HOUR, MINUTE, SECOND
from linli_core.model import Kind
from linli_core.pulses import PulseScale
from linli_core.units import UnitError
from linli_core.vocabulary import vocabulary
from linli_edge.config.table import Table, reading
from linli_edge.transport.settings import TransportSettings, read_transport

INTERVAL: Final = MINUTE
PATIENCE: Final = 10 * MINUTE
COUNTS: Final = r"(?P<input>\w{1,32})\s*[=:,;\t ]\s*(?P<count>\d{1,18})(?![^\s,;])"
"""A count ends where the line does, or at what parts one from the next: ``12?45`` is no 12."""

PULSES: Final = r"(?P<input>\w{1,32})"
_AMOUNT: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?(\S{1,8})", re.ASCII)
_WRAPS: Final = {"never": None, "16 bit": 1 << 16, "24 bit": 1 << 24, "32 bit": 1 << 32}


@dataclass(frozen=True, slots=True)
class InputSettings:
    """One input and the meter at it; times in microseconds."""

    device: str
    name: str
    quantity: str
    scale: PulseScale
    interval: int
    patience: int


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One logger.

    Attributes:
        transport: How its lines come.
        reports: ``counts`` (a line names an input and its count) or ``pulses`` (a line is a pulse).
        pattern: What a line looks like, with groups ``input`` and ``count``.
        inputs: The inputs, by the name in the line.
        state: File that keeps the counts over a restart.
    """

    transport: TransportSettings
    reports: Literal["counts", "pulses"]
    pattern: re.Pattern[str]
    inputs: Mapping[str, InputSettings]
    state: Path


def parse(table: Mapping[str, object], where: str) -> LinkSettings:
    """Return the settings of a link's table; raise ``ConfigErrors`` with every mistake in it."""
    with reading(table, where) as link:
        transport = read_transport(link)
        reports = cast("Literal['counts', 'pulses']", link.choice("reports", ("counts", "pulses"), "counts"))
        inputs: dict[str, InputSettings] = {}
        ids: dict[str, str] = {}
        for item in link.tables("devices", required=True):
            found = _input(item)
            if (first := ids.setdefault(found.device, item.where)) != item.where:
                item.problem("id", f'"{found.device}" is taken by {first}', "give each device its own id")
            if found.name in inputs:
                item.problem("input", f'"{found.name}" is taken', "correct one of the two")
            inputs[found.name] = found
        return LinkSettings(transport, reports, _pattern(link, reports), inputs, Path(link.text("state")))


def _pattern(link: Table, reports: str) -> re.Pattern[str]:
    usual = COUNTS if reports == "counts" else PULSES
    wanted = {"input", "count"} if reports == "counts" else {"input"}
    text = link.text("pattern", usual)
    try:
        pattern = re.compile(text, re.ASCII)
    except re.error as exc:
        link.problem("pattern", f"no regular expression: {exc}", "correct it, or leave the key out")
        return re.compile(usual, re.ASCII)
    if not wanted <= pattern.groupindex.keys():
        names = " and ".join(f"(?P<{name}>…)" for name in sorted(wanted))
        link.problem("pattern", f"it has no {names}", "name what is the input and what the count")
    return pattern


def _input(item: Table) -> InputSettings:
    quantity = item.text("quantity", "water_volume")
    word = vocabulary().get(quantity)
    if word is None or word.kind is not Kind.COUNTER or not word.unit:
        item.problem(
            "quantity", f'"{quantity}" is no register', 'choose one that only rises: "water_volume", "energy_import"'
        )
        quantity = "water_volume"
    text = item.text("wrap", "never")
    wrap = _WRAPS.get(text)
    if text not in _WRAPS:
        if not text.isdecimal() or not 10 <= int(text) <= 10**18:
            item.problem("wrap", f'found "{text}"', f"choose one of {', '.join(_WRAPS)}, or a number in quotes")
        else:
            wrap = int(text)
    interval = item.duration("interval", INTERVAL, minimum=SECOND)
    scale = PulseScale(
        _amount(item, "pulse", quantity, None),
        _amount(item, "preset", quantity, Decimal(0)),
        wrap,
        item.duration("debounce", 0, minimum=0, maximum=10 * SECOND),
        item.number("fastest", 100.0, minimum=0.001, maximum=100_000.0),
    )
    return InputSettings(
        item.ident("id"),
        item.text("input"),
        quantity,
        scale,
        interval,
        item.duration("patience", max(PATIENCE, 3 * interval), minimum=SECOND, maximum=48 * HOUR),
    )


def _amount(item: Table, key: str, quantity: str, default: Decimal | None) -> Decimal:
    """Return an amount (``"10 l"``) in the quantity's unit."""
    text = item.text(key) if default is None else item.text(key, None)
    remedy = (
        f'write an amount with its unit, such as "10 l" or "1.5 Wh"; {quantity} is in {vocabulary()[quantity].unit}'
    )
    if text is None:
        return default or Decimal(0)
    match = _AMOUNT.fullmatch(text)
    try:
        amount = vocabulary().convert(quantity, Decimal(match[1]), match[2]) if match else None
    except UnitError as exc:
        item.problem(key, str(exc), remedy)
        return Decimal(1)
    if amount is None or (default is None and not amount):
        if text:
            item.problem(key, f'found "{text}"', remedy)
        return Decimal(1)
    return amount

"""SunSpec: finding out which models a device has, and where; noticing when that has changed.

A device says so itself: ``SunS`` at one of three addresses, then a chain of models, each its id, its length and its
points, up to id FFFF. A chain can change (a meter is added, the firmware is updated), and then every address behind
moves: so id and length of each model are read along with its points in every poll, and compared.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from linli_core.errors import DeviceError, ProtocolError
from linli_edge.drivers.modbus.decode import text
from linli_edge.drivers.modbus.registers import ADDRESSES, DataType, MappedPoint, RegisterTable
from linli_edge.drivers.modbus.sunspec_models import (
    COMMON,
    COMMON_TEXTS,
    INVERTERS,
    METERS,
    MODELS,
    entries,
)

BASES: Final = (40_000, 50_000, 0)
MARKER: Final = b"SunS"

LONGEST: Final = 4
"""Registers of the longest value that is asked for in one piece: a quarter of a serial number, a float64."""

_END: Final = 0xFFFF
_MOST_MODELS: Final = 250
_COMMON_LENGTHS: Final = (65, 66)

Kind = Literal["inverter", "meter"]
Read = Callable[[int, int], Awaitable[bytes]]
"""Reads so many registers from an address; raises as the port does."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of a chain: id, address of its id register, length as the device says it."""

    id: int
    address: int
    length: int


@dataclass(frozen=True, slots=True)
class LogicalDevice:
    """What a common model begins: who it is, and the models behind it up to the next one.

    Attributes:
        maker, model, version, serial: As the device gives them; empty if it does not.
        models: In their order, the common model first.
        raw_serial: The serial number's registers as they stand.
    """

    maker: str = ""
    model: str = ""
    version: str = ""
    serial: str = ""
    models: tuple[Model, ...] = ()
    raw_serial: bytes = b""


@dataclass(frozen=True, slots=True)
class SunSpecSettings:
    """Which of a unit's logical devices is meant.

    Attributes:
        kind: ``inverter`` or ``meter``; ``None``: the first of either.
        number: The first, second… of that kind.
        serial: Serial number it must have, wherever in the chain it stands; empty: any.
    """

    kind: Kind | None = None
    number: int = 1
    serial: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the chosen model stands.

    Attributes:
        device: Whose it is.
        model: The model.
        entries: Its register map.
        guards: Registers that must go on holding what they held: id and length of the chosen model, and the serial
            number of the device it belongs to, where it has one.
    """

    device: LogicalDevice
    model: Model
    entries: tuple[MappedPoint, ...]
    guards: dict[MappedPoint, int]


async def walk(read: Read) -> list[LogicalDevice]:
    """Return what a device's chain of models holds.

    Raises:
        DeviceError: It is no SunSpec device: the marker stands at none of the three addresses.
        ProtocolError: The chain is broken: it does not end within the address range.
        LinkError: It did not answer.
    """
    base = await _base(read)
    found: list[LogicalDevice] = []
    address = base + 2
    for _ in range(_MOST_MODELS):
        if address + 2 > ADDRESSES:
            break
        header = await read(address, 2)
        model = Model(int.from_bytes(header[:2], "big"), address, int.from_bytes(header[2:], "big"))
        if model.id == _END:
            return found
        if model.id == COMMON and model.length in _COMMON_LENGTHS:
            found.append(_common(await read(address, 66), model))
        elif found:
            found[-1] = _with(found[-1], model)
        else:
            found.append(LogicalDevice(models=(model,)))
        address += 2 + model.length
    raise ProtocolError(f"SunSpec: the chain of models from {base} has no end", kind="sunspec_chain")


async def _base(read: Read) -> int:
    refused: DeviceError | None = None
    for base in BASES:
        try:
            if await read(base, 2) == MARKER:
                return base
        except DeviceError as exc:
            refused = exc
    raise DeviceError(
        f"SunSpec: no marker at {', '.join(map(str, BASES))}" + (f" ({refused})" if refused else ""),
        code=refused.code if refused else 0,
        kind="no_sunspec",
    )


def _common(data: bytes, model: Model) -> LogicalDevice:
    texts = {}
    for name, (offset, count) in COMMON_TEXTS.items():
        held = text(data[2 * offset : 2 * (offset + count)])
        texts[name] = held.strip() if isinstance(held, str) else ""
    offset, count = COMMON_TEXTS["serial"]
    return LogicalDevice(**texts, models=(model,), raw_serial=data[2 * offset : 2 * (offset + count)])


def _with(device: LogicalDevice, model: Model) -> LogicalDevice:
    return replace(device, models=(*device.models, model))


def choose(found: list[LogicalDevice], wanted: SunSpecSettings, table: RegisterTable, where: str) -> Layout:
    """Return the layout of the logical device that is meant.

    Of several models of one kind in a logical device (integers and floats of the same inverter) the first counts.

    Raises:
        DeviceError: There is none such, it is shorter than its model must be, or its serial number is another's.
    """
    kinds: dict[str, frozenset[int]] = {"inverter": INVERTERS, "meter": METERS}
    known = kinds[wanted.kind] if wanted.kind else INVERTERS | METERS
    chosen = [
        (device, model) for device in found for model in [model for model in device.models if model.id in known][:1]
    ]
    if len(chosen) < wanted.number:
        shown = ", ".join(str(model.id) for device in found for model in device.models) or "none"
        raise DeviceError(
            f"SunSpec: no {wanted.kind or 'inverter or meter'} number {wanted.number} (models: {shown})",
            code=0,
            kind="no_such_model",
        )
    device, model = chosen[wanted.number - 1]
    if wanted.serial:
        device, model = next((one for one in chosen if one[0].serial == wanted.serial), (device, model))
    if wanted.serial and device.serial != wanted.serial:
        raise DeviceError(
            f'SunSpec: serial number "{device.serial}" answered where "{wanted.serial}" was expected',
            code=0,
            kind="wrong_device",
        )
    if model.length < MODELS[model.id][0]:
        raise DeviceError(
            f"SunSpec: model {model.id} has {model.length} registers, {MODELS[model.id][0]} are its least",
            code=0,
            kind="short_model",
        )
    head = MappedPoint(f"{where}.guard", "multiplier", table, model.address, 2, DataType.UINT32)
    guards = {head: model.id << 16 | model.length}
    if device.serial:
        # Another meter of the same model may come to stand at the same place.
        offset, count = COMMON_TEXTS["serial"]
        for place in range(0, count, 4):
            address = device.models[0].address + offset + place
            word = MappedPoint(f"{where}.guard", "multiplier", table, address, 4, DataType.UINT64)
            guards[word] = int.from_bytes(device.raw_serial[2 * place : 2 * place + 8], "big")
    held = tuple(entries(model.id, model.address, table, where))
    return Layout(device, model, held, guards)

"""At which values a device's registers begin again at zero: as its profile says, or as their types cannot but do."""

from collections.abc import Mapping

from linli_core.model import Kind
from linli_core.vocabulary import vocabulary
from linli_edge.drivers.modbus.registers import MappedPoint
from linli_edge.drivers.modbus.settings import LinkSettings


def moduli(settings: LinkSettings) -> Mapping[str, tuple[float, ...]]:
    """Return by point name the values at which a cumulative register begins again, in the vocabulary's unit."""
    words = vocabulary()
    found: dict[str, tuple[float, ...]] = {}
    for device in settings.devices:
        for mapped in device.points:
            quantity = words.get(mapped.quantity)
            if quantity is not None and quantity.kind is Kind.COUNTER and (raw := _raw(mapped)):
                found[mapped.of(device.device).name] = tuple(float(number * abs(mapped.factor)) for number in raw)
    return found


def _raw(mapped: MappedPoint) -> tuple[int, ...]:
    """Return the raw numbers at which a register may begin again: what the profile says, then the type's range."""
    if mapped.multipliers:
        return ()  # what one raw unit is worth, the device says from poll to poll
    declared = () if mapped.rollover is None else (mapped.rollover,)
    if mapped.bits is not None or mapped.kind.registers > 2:
        return declared
    if mapped.kind.kind in {"bcd", "mod10k"}:
        return (*declared, 10 ** (4 * mapped.kind.registers))
    if mapped.kind.kind == "int" and not mapped.kind.signed:
        return (*declared, 1 << 16 * mapped.kind.registers)
    return declared

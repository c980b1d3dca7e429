"""A radio driver without a receiver, for tests: telegrams in, readings out, its clock in the hand."""

import tomllib

from linli_core.codecs.mbus.encode import encode_dib, encode_number, encode_vib
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.vif import Measurand
from linli_core.instant import SECOND, from_rfc3339
from linli_core.model import Reading
from linli_edge.drivers.wmbus.driver import WmbusDriver
from linli_edge.drivers.wmbus.hearing import whole_number
from linli_edge.drivers.wmbus.settings import LinkSettings, parse

NOW = from_rfc3339("2026-11-25T08:00:00Z")
KEY = bytes(range(16))
WATER = Identity("12345678", "LIN", 0x01, 0x07)
CONVERTER = Identity("12345678", "LIN", 0x01, 0x37)


def volume(number: int, storage: int = 0) -> bytes:
    return encode_dib(0xC, storage=storage) + encode_vib(Measurand.VOLUME, "m3", -3) + encode_number(0xC, number)


def link(devices: str = 'id = "water"\nmeter = "12345678"', head: str = 'host = "127.0.0.1"\nport = 1') -> LinkSettings:
    text = f"[[links]]\n{head}\n" + "".join(f"[[links.devices]]\n{each}\n" for each in devices.split("\n\n") if each)
    return parse(tomllib.loads(text)["links"][0], "links[0]")


class Air:
    """A driver without a receiver, and its clock."""

    def __init__(self, settings: LinkSettings) -> None:
        self.now = NOW
        self.settings = settings
        settings.memory.first_wait = 0
        self.driver = WmbusDriver(settings, lambda: self.now)

    def send(self, data: bytes, seconds: int = 0) -> None:
        self.now += seconds * SECOND
        self.driver.hearing.hear(data.hex(), self.now)

    async def collect(self, number: int = 0) -> list[Reading]:
        return await self.driver.poll(self.driver.plan[number])

    @property
    def totals(self) -> dict[str, int]:
        return dict(self.settings.memory.totals)


def named(readings: list[Reading]) -> dict[str, object]:
    found: dict[str, object] = {reading.point.local_name: reading.value for reading in readings}
    assert found.pop("meter_identity", whole_number(WATER)) in {whole_number(WATER), whole_number(CONVERTER)}
    return found

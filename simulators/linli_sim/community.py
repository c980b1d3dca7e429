"""A small community as separate processes: broker, platform, two gateways and what they read.

::

    async with Community(folder, seed=1) as community:
        await community.gateways["gw-heat"].kill()
        await community.gateways["gw-heat"].start()

Everything listens on loopback only, on ports that stay the same over a restart; every program can be stopped, killed
and started again by itself. Configurations, data and logs are in the folder.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from linli_core.codecs.dlt645 import Edition
from linli_edge.outbox import Outbox, OutboxLimits
from linli_platform.alarms.bundled import pack_names
from linli_sim import coldroom
from linli_sim.cjt188_meter import make_meters as make_cjt188_meters
from linli_sim.mbus_meters import make_meters
from linli_sim.meter_line import dlt645_meters
from linli_sim.modbus import wall_clock
from linli_sim.nodes import three
from linli_sim.processes import Program, command, free_ports
from linli_sim.replay import replayed
from linli_sim.scenarios.devices import devices_of
from linli_sim.scenarios.stage import Scene, messages
from linli_sim.scenarios.story import GATEWAY as STORY_GATEWAY
from linli_sim.vectors.mbus_recordings import Recording, load

ELECTRIC: Final = "gw-electric"
HEAT: Final = "gw-heat"
GATEWAYS: Final = (ELECTRIC, HEAT)
SCENE: Final = STORY_GATEWAY
COLD_ROOM: Final = "cold-room-1"
AREA: Final = "jasmine-garden"
BUILDING: Final = "building-1"
SIMULATED_MBUS_METERS: Final = 9
COURTYARD_METERS: Final = 4
_LOW_VOLTAGE: Final = 1_000
"""No meter in a community sees more volts."""
"""Of each: by DL/T 645, and by CJ/T 188."""

_HOST: Final = "127.0.0.1"
_COURTYARD_TITLES: Final = {
    "water": ("水表", "water meter"),
    "hot-water": ("热水表", "hot water meter"),
    "heat": ("热量表", "heat meter"),
    "gas": ("燃气表", "gas meter"),
}
_NO_ID: Final = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Device:
    """A device of the community.

    Attributes:
        id: Its id, unique in its gateway.
        kind: For the registry.
        zh, en: Its title.
        settings: Its line in the link's table, beside the id.
        tags: For the registry.
        dwelling: The dwelling it is in; empty if it is in none.
    """

    id: str
    kind: str
    zh: str
    en: str
    settings: str
    tags: tuple[str, ...] = ()
    dwelling: str = ""


_Link = tuple[str, str, int, tuple[Device, ...], str]
"""Id, driver, port, devices and interval."""

_SWITCH_ROOM: Final = (
    Device("meter-main", "electricity_meter", "总表", "Main meter", 'unit = 1\nprofile = "eastron-sdm630"'),
    Device("meter-lifts", "electricity_meter", "电梯电表", "Lifts", 'unit = 2\nprofile = "eastron-sdm630"'),
    Device("meter-pumps", "electricity_meter", "水泵电表", "Water pumps", 'unit = 3\nprofile = "eastron-sdm630"'),
)
_FLATS: Final = tuple(
    Device(
        f"flat-{100 + unit}",
        "electricity_meter",
        f"{100 + unit} 室电表",
        f"Flat {100 + unit}",
        f'unit = {unit}\nprofile = "eastron-sdm120"',
        dwelling=f"flat-{100 + unit}",
    )
    for unit in range(1, 5)
)
_COLD_ROOMS: Final = (
    Device(COLD_ROOM, "cold_room", "食堂冷库", "Canteen cold room", 'unit = 1\nprofile = "linli-coldroom"'),
)

_NODES: Final = (
    Device(three.DOOR, "door_contact", "水泵房门", "Pump room door", ""),
    Device(three.LEAK, "leak_rope", "水泵房漏水绳", "Pump room leak rope", ""),
    Device(three.WATER, "water_meter", "花园水表", "Garden water meter", ""),
)


def _courtyard_645(seed: int) -> tuple[Device, ...]:
    """Return electricity meters by DL/T 645; the last one speaks the edition of 1997."""
    found: list[Device] = []
    for name, meter in dlt645_meters(COURTYARD_METERS, seed, lambda: 0).items():
        number = name.rpartition("-")[2]
        read = '"9010", "B61F", "B630"' if meter.edition is Edition.E1997 else '"0001FF00", "0201FF00", "02030000"'
        settings = f'address = "{meter.address}"\nedition = "{meter.edition.value}"\nread = [{read}]'
        found.append(
            Device(
                f"courtyard-{name}", "electricity_meter", f"庭院电表 {number}", f"Courtyard meter {number}", settings
            )
        )
    return tuple(found)


def _courtyard_188(seed: int) -> tuple[Device, ...]:
    """Return water, hot water, heat and gas meters by CJ/T 188."""
    found: list[Device] = []
    for name, meter in make_cjt188_meters(COURTYARD_METERS, seed, lambda: 0).items():
        kind, _, number = name.rpartition("-")
        zh, en = _COURTYARD_TITLES[kind]
        settings = f'address = "{meter.address}"\nprofile = "cjt188-{kind}"\norder = "2004"'
        title = f"Courtyard {en} {number}"
        found.append(
            Device(f"courtyard-{name}", f"{kind.replace('-', '_')}_meter", f"庭院{zh} {number}", title, settings)
        )
    return tuple(found)


def _scene_devices(scene: Scene) -> tuple[Device, ...]:
    """Return the devices of a scenario; their ids are their titles."""
    return tuple(
        Device(it.device, it.kind, it.device, it.device, it.settings(), it.tags)
        for it in devices_of(scene.story).values()
    )


class Community:
    """Broker, platform, gateways and devices as processes; ``async with`` starts and ends them.

    Attributes:
        folder: Where configurations, data and logs are.
        vectors: Folder of recorded M-Bus frames that are played back; ``None``: meters are simulated.
        url: The platform's page.
        broker, platform: Their programs.
        gateways: By gateway id.
        simulators: By name: ``switch-room``, ``flats``, ``cold-room``, ``mbus``, ``dlt645``, ``cjt188``.
        devices: Of each gateway.
        nodes: Boards of our own at the gateway of the switch room; none where there is no machine to run them.
        cold_room_port: Where the door can be opened.
        scene: A scenario that goes on beside the daily life.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 1,
        port: int | None = None,
        vectors: Path | None = None,
        engine: str = "auto",
        scene: Scene | None = None,
        settings: str = "",
        besides: str = "",
    ) -> None:
        """Plan a community; nothing is written or started.

        Args:
            folder: Made if it is not there; an earlier run's data in it is gone on with.
            seed: Of all simulated devices.
            port: Of the platform's page; any free one if left out.
            vectors: Folder of recorded M-Bus frames.
            engine: The broker's.
            scene: A scenario that goes on beside the daily life, on a gateway of its own.
            settings: More of the platform, as its configuration has them.
            besides: What the registry's file declares besides the devices here.
        """
        broker, page, switch_room, flats, cold_room, mbus, dlt645, cjt188, stage = free_ports(9)
        self.scene = scene
        self._more = settings
        self._besides = besides
        self.folder = folder
        self.vectors = vectors
        self.broker_port = broker
        self.url = f"http://{_HOST}:{port or page}"
        self.cold_room_port = cold_room
        bus, power, supplies = _mbus_devices(vectors, seed), _courtyard_645(seed), _courtyard_188(seed)
        self.devices = {ELECTRIC: (*_SWITCH_ROOM, *_FLATS, *_COLD_ROOMS), HEAT: (*bus, *power, *supplies)}
        self._links: dict[str, tuple[_Link, ...]] = {
            ELECTRIC: (
                ("switch-room", "modbus", switch_room, _SWITCH_ROOM, "1 s"),
                ("flats", "modbus", flats, _FLATS, "1 s"),
                ("cold-room", "modbus", cold_room, _COLD_ROOMS, "1 s"),
            ),
            HEAT: (
                ("bus", "mbus", mbus, bus, "5 s"),
                # A line of 2,400 baud carries no more.
                ("courtyard-power", "dlt645", dlt645, power, "10 s"),
                ("courtyard-supplies", "cjt188", cjt188, supplies, "10 s"),
            ),
        }
        self.nodes = _NODES if three.installed() else ()
        self._nodes = three.ThreeNodes(folder / "nodes", broker, seed)
        if scene is not None:
            told = _scene_devices(scene)
            self.devices[SCENE] = told
            self._links[SCENE] = (("story", "modbus", stage, told, "2 s"),)
        self._stack = AsyncExitStack()
        self.broker = self._program(
            "broker",
            ("linli-broker", "serve", "--listen", f"{_HOST}:{broker}", "--data", str(folder / "broker")),
            ("--engine", engine),
            ready=r"ready on ",
        )
        self.platform = self._program(
            "platform",
            ("linli-platform", "serve", "--config", str(folder / "platform.toml"), "--mqtt", f"{_HOST}:{broker}"),
            ("--listen", f"{_HOST}:{port or page}"),
            ready=r"linli-platform: ready on ",
        )
        seeded = ("--seed", str(seed))
        modbus = ("linli-sim", "modbus", *seeded)
        courtyard = ("--meters", str(COURTYARD_METERS))
        self.simulators = {
            "switch-room": self._simulator("switch-room", (*modbus, "--meters", "3"), switch_room),
            "flats": self._simulator("flats", (*modbus, "--meters", "4", "--profile", "eastron-sdm120"), flats),
            "cold-room": self._simulator("cold-room", ("linli-sim", "coldroom", *seeded), cold_room),
            "mbus": self._simulator("mbus", _mbus_command(vectors, seed), mbus),
            "dlt645": self._simulator("dlt645", ("linli-sim", "dlt645", *seeded, *courtyard), dlt645),
            "cjt188": self._simulator("cjt188", ("linli-sim", "cjt188", *seeded, *courtyard), cjt188),
        }
        if scene is not None:
            story = ("linli-sim", "scenario", scene.scenario.name, *seeded, "--start", str(scene.story.begins))
            self.simulators["scenario"] = self._simulator("scenario", story, stage)
        self.gateways = {
            gateway: self._program(
                gateway, ("linli-edge", "run", str(self.config(gateway))), ready=rf"gateway {gateway}: \d+ links"
            )
            for gateway in self.devices
        }

    @property
    def programs(self) -> Iterator[Program]:
        """All of them."""
        yield from (self.broker, self.platform, *self.simulators.values(), *self.gateways.values())

    @property
    def store(self) -> Path:
        """The platform's store."""
        return self.folder / "platform" / "store.duckdb"

    @property
    def registry(self) -> Path:
        """The platform's registry."""
        return self.folder / "platform" / "registry.sqlite"

    @property
    def outboxes(self) -> dict[str, Path]:
        """Each gateway's log."""
        return {gateway: self.folder / gateway / "outbox.db" for gateway in self.devices}

    def config(self, gateway: str) -> Path:
        """Return the path of a gateway's configuration."""
        return self.folder / f"{gateway}.toml"

    async def __aenter__(self) -> Self:
        self._write()
        if self.scene is not None:
            await self._remember(self.scene)
        async with AsyncExitStack() as stack:
            for program in self.programs:
                # The last started is the first ended: gateways go before what they need.
                stack.push_async_callback(program.stop)
            starts = [program.start() for program in (self.broker, *self.simulators.values())]
            await _together(self._start_platform(), *starts)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def start_gateways(self) -> None:
        """Start the gateways; readings begin to flow."""
        await _together(*(program.start() for program in self.gateways.values()))

    @asynccontextmanager
    async def living_nodes(self) -> AsyncIterator[None]:
        """Switch the nodes on, and let things happen to them while the block runs."""
        if not self.nodes:
            yield
            return
        async with self._nodes:
            living = asyncio.create_task(self._nodes.live(), name="nodes")
            try:
                yield
            finally:
                living.cancel()
                await asyncio.wait([living])

    async def stop_gateways(self) -> None:
        """Stop the gateways in good order: what they polled is acknowledged first, if the platform is there."""
        await _together(*(program.stop() for program in self.gateways.values()))

    async def set_door(self, *, is_open: bool) -> None:
        """Open or close the cold room's door."""
        await coldroom.set_door(_HOST, self.cold_room_port, is_open=is_open)

    async def _start_platform(self) -> None:
        declared = self._program(
            "registry",
            ("linli-platform", "registry", "import", str(self.folder / "registry.toml")),
            ("--config", str(self.folder / "platform.toml")),
            ready=r"\d+ areas",
        )
        async with declared:
            await declared.wait()
        await self.platform.start()

    def _program(self, name: str, argv: Sequence[str], more: Sequence[str] = (), *, ready: str) -> Program:
        script, *rest = (*argv, *more)
        return Program(name, (command(script), *rest), self.folder / "logs" / f"{name}.log", ready)

    def _simulator(self, name: str, argv: Sequence[str], port: int) -> Program:
        return self._program(f"sim-{name}", argv, ("--port", str(port)), ready=r"^ready on ")

    def _write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "registry.toml").write_text("\n".join(self._declaration()), encoding="utf-8")
        (self.folder / "platform.toml").write_text("\n".join(self._settings()), encoding="utf-8")
        for gateway in self.devices:
            self.config(gateway).write_text("\n".join(self.configuration(gateway)), encoding="utf-8")

    def _settings(self) -> Iterator[str]:
        yield f"data = {json.dumps(str(self.folder / 'platform'))}"
        if self.scene is not None:
            # All that can go wrong is watched, by the clock of the stories.
            yield f'packs = {json.dumps(pack_names())}\nzone = "Asia/Shanghai"'
        yield self._more

    async def _remember(self, scene: Scene) -> None:
        """Give the scenario's gateway its past: what it read while its line was down."""
        path = self.outboxes[SCENE]
        path.parent.mkdir(parents=True, exist_ok=True)
        limits = OutboxLimits()
        async with Outbox.open(path, limits, wall_clock, gateway=SCENE) as outbox:
            for number, message in enumerate(messages(scene), 1):
                outbox.append(message)
                if number % (limits.queue_messages // 2) == 0:
                    await outbox.flush()
            await outbox.flush()

    def configuration(self, gateway: str) -> Iterator[str]:
        """Yield a gateway's configuration, in pieces of TOML."""
        yield f'[gateway]\nid = "{gateway}"\ndata = "{gateway}"\n'
        yield f'[uplink]\nhost = "{_HOST}"\nport = {self.broker_port}\n'
        for link, driver, port, devices, interval in self._links[gateway]:
            yield f'[[links]]\nid = "{link}"\ndriver = "{driver}"\ntransport = "tcp"\nhost = "{_HOST}"\nport = {port}\n'
            for device in devices:
                yield f'[[links.devices]]\nid = "{device.id}"\n{device.settings}\ninterval = "{interval}"\n'
        if gateway == ELECTRIC and self.nodes:
            yield f"[nodes]\nport = {self.broker_port}\n"
            for node in self.nodes:
                yield f'[[nodes.boards]]\nid = "{node.id}"\nboard = "{three.BOARDS[node.id]}"\n'

    def _declaration(self) -> Iterator[str]:
        yield f'[[areas]]\nid = "{AREA}"\nkind = "community"\n{_titles("茉莉花园", "Jasmine Garden")}'
        yield f'[[areas]]\nid = "{BUILDING}"\nparent = "{AREA}"\nkind = "building"\n{_titles("一号楼", "Building 1")}'
        for flat in _FLATS:
            number = flat.dwelling.removeprefix("flat-")
            titles = _titles(f"{number} 室", f"Flat {number}")
            yield f'[[areas]]\nid = "{flat.dwelling}"\nparent = "{BUILDING}"\nkind = "dwelling"\n{titles}'
        gateways = [(ELECTRIC, "配电间网关", "Switch room"), (HEAT, "换热站网关", "Heat station")]
        if self.scene is not None:
            gateways.append((SCENE, self.scene.scenario.title("zh"), self.scene.scenario.title("en")))
        for gateway, zh, en in gateways:
            yield f'[[gateways]]\nid = "{gateway}"\narea = "{AREA}"\n{_titles(zh, en)}'
            for device in (*self.devices[gateway], *(self.nodes if gateway == ELECTRIC else ())):
                titles = _titles(device.zh, device.en)
                yield f'[[gateways.devices]]\nid = "{device.id}"\nkind = "{device.kind}"\n{titles}'
                if device.dwelling:
                    yield f'area = "{device.dwelling}"'
                if device.tags:
                    yield f"tags = {json.dumps(device.tags)}"
        yield self._besides


async def _together(*starts: Coroutine[object, object, object]) -> None:
    """Await all; raise the first failure plainly, so that its text reaches whoever started the community."""
    try:
        async with asyncio.TaskGroup() as group:
            for number, start in enumerate(starts):
                group.create_task(start, name=f"community[{number}]")
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed


def _titles(zh: str, en: str) -> str:
    # A JSON string without escapes beyond the usual is a TOML string too.
    return f"titles = {{ zh = {json.dumps(zh, ensure_ascii=False)}, en = {json.dumps(en, ensure_ascii=False)} }}\n"


def _mbus_command(vectors: Path | None, seed: int) -> tuple[str, ...]:
    if vectors is not None:
        return ("linli-sim", "replay", "mbus", "--vectors", str(vectors))
    return ("linli-sim", "mbus", "--meters", str(SIMULATED_MBUS_METERS), "--seed", str(seed))


def _can_be(recording: Recording) -> bool:
    """Tell whether a recording is of a meter in a community: some are test patterns, with 1,234.56 V."""
    return not any(
        record.unit == "V" and isinstance(record.value, Decimal) and record.value > _LOW_VOLTAGE
        for record in recording.records
    )


def _mbus_devices(vectors: Path | None, seed: int) -> tuple[Device, ...]:
    if vectors is None:
        titles = {"water": ("水表", "Water meter"), "heat": ("热量表", "Heat meter"), "electricity": ("电表", "Meter")}
        return tuple(
            Device(
                f"{meter.kind}-{meter.address}",
                f"{meter.kind}_meter",
                f"{titles[meter.kind][0]} {meter.address}",
                f"{titles[meter.kind][1]} {meter.address}",
                f"address = {meter.address}",
            )
            for meter in make_meters(SIMULATED_MBUS_METERS, seed, 0)
        )
    devices: list[Device] = []
    for meter in replayed(load(vectors)):
        if not _can_be(meter.vector):
            continue
        name = meter.vector.name.rpartition("__")[2]
        slug = _NO_ID.sub("-", name.lower()).strip("-")[:50]
        title = name.replace("_", " ")
        devices.append(Device(f"{slug}-{meter.address}", "mbus_meter", title, title, f"address = {meter.address}"))
    return tuple(devices)

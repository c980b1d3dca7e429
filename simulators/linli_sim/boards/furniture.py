"""What a community has besides the demo's devices: a building of dwellings, fire detection, lifts, cameras, a canteen.

Its readings are made by a formula, for a week and a day that end now, and end in trouble: a chiller that warms, gas in
the kitchen. They come in as line protocol, as from another system.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

GATEWAY: Final = "gw-lines"
HOUR: Final = 3600
DAYS: Final = 8 * 24 * HOUR + 2 * HOUR
STEP: Final = HOUR // 4
CLOSE: Final = 3 * HOUR
"""The last hours come by the minute."""

Value = Callable[[float, float], float]
"""Of seconds since the beginning, and of seconds until now."""


def _steady(mean: float, swing: float = 0.0) -> Value:
    return lambda since, _left: mean + swing * math.sin(since / HOUR * math.tau / 24)


def _counting(begin: float, an_hour: float) -> Value:
    """Return a register that runs faster by day."""
    return lambda since, _left: begin + an_hour * (since / HOUR + 2 * math.sin(since / HOUR * math.tau / 24))


def _now_and_then(every: float, length: float) -> Value:
    return lambda since, _left: float(since % every < length)


def _at_last(before: float, then: float, last: float) -> Value:
    return lambda _since, left: then if left < last else before


@dataclass(frozen=True, slots=True)
class Device:
    """A device.

    Attributes:
        id, kind, area: For the registry.
        zh, en: Its title.
        points: How each of its quantities runs.
    """

    id: str
    kind: str
    area: str
    zh: str
    en: str
    points: dict[str, Value]


def _dwelling(number: int) -> tuple[Device, ...]:
    flat, share = f"flat-{number}", 1 + number % 10 / 10
    return (
        Device(
            f"{flat}-power",
            "electricity_meter",
            flat,
            f"{number} 室电表",
            f"Flat {number}, electricity",
            {
                "energy_import": _counting(4e6, 300 * share),
                "active_power": _steady(300 * share, 200),
                "voltage": _steady(226, 5),
                "power_factor": _steady(0.95, 0.03),
                "power_failures": _steady(2),
            },
        ),
        Device(
            f"{flat}-water",
            "water_meter",
            flat,
            f"{number} 室水表",
            f"Flat {number}, water",
            {"water_volume": _counting(120, 0.012 * share), "water_flow": _steady(4e-6 * share, 2e-6)},
        ),
        Device(
            f"{flat}-gas",
            "gas_meter",
            flat,
            f"{number} 室气表",
            f"Flat {number}, gas",
            {"gas_volume": _counting(80, 0.02)},
        ),
        Device(
            f"{flat}-heat",
            "heat_meter",
            flat,
            f"{number} 室热表",
            f"Flat {number}, heat",
            {
                "heat_energy": _counting(9e6, 900 * share),
                "heat_power": _steady(900 * share, 300),
                "flow_temperature": _steady(52, 4),
                "return_temperature": _steady(38, 3),
                "indoor_temperature": _steady(21, 1),
            },
        ),
    )


FLATS: Final = (301, 302, 303, 304)
AREA: Final = "building-3"
_NIGHT: Final = 12 * HOUR

DEVICES: Final = (
    *(device for number in FLATS for device in _dwelling(number)),
    Device(
        "bulk-power",
        "bulk_electricity_meter",
        AREA,
        "总电表",
        "Bulk electricity meter",
        {"energy_import": _counting(9e7, 1650), "active_power": _steady(1650, 600)},
    ),
    Device(
        "stair-power",
        "electricity_meter",
        AREA,
        "楼道电表",
        "Stairs, electricity",
        {"energy_import": _counting(2e6, 150), "active_power": _steady(150, 50)},
    ),
    Device(
        "bulk-water",
        "bulk_water_meter",
        AREA,
        "总水表",
        "Bulk water meter",
        {
            "water_volume": _counting(9000, 0.09),
            "water_pressure": _steady(3.1e5, 2e4),
            "water_flow": _steady(3e-5, 1e-5),
        },
    ),
    Device(
        "cleaning-water",
        "water_meter",
        AREA,
        "保洁水表",
        "Cleaning, water",
        {"water_volume": _counting(30, 0.01)},
    ),
    Device("tank-roof", "water_tank", AREA, "屋顶水箱", "Roof tank", {"tank_fill": _steady(70, 20)}),
    Device("pump-1", "pump", AREA, "一号水泵", "Pump 1", {"pump_running": _now_and_then(HOUR, HOUR / 2)}),
    Device(
        "water-quality",
        "water_quality",
        AREA,
        "水质仪",
        "Water quality",
        {"residual_chlorine": _steady(0.5, 0.1), "turbidity": _steady(0.4, 0.1), "ph": _steady(7.4, 0.2)},
    ),
    Device("leak-basement", "leak_detector", AREA, "地下室漏水", "Basement leak", {"water_leak": _steady(0)}),
    Device("weather", "weather_station", AREA, "室外", "Outdoors", {"outdoor_temperature": _steady(2, 6)}),
    Device(
        "kitchen-gas",
        "kitchen_gas_detector",
        AREA,
        "厨房燃气",
        "Kitchen gas",
        {"combustible_gas": _at_last(0, 26, HOUR), "carbon_monoxide": _steady(2, 1), "gas_valve_state": _steady(1)},
    ),
    Device(
        "smoke-3",
        "smoke_detector",
        AREA,
        "三层烟感",
        "Smoke, 3rd floor",
        {
            "smoke_alarm": _steady(0),
            "heat_alarm": _steady(0),
            "manual_call_point": _steady(0),
            "fire_door_open": _now_and_then(6 * HOUR, HOUR / 4),
            "power_present": _steady(1),
        },
    ),
    Device(
        "electric-fire",
        "electrical_fire_detector",
        AREA,
        "电气火灾",
        "Electrical fire",
        {"residual_current": _steady(0.08, 0.03), "cable_temperature": _steady(38, 6)},
    ),
    Device(
        "hydrant-1",
        "hydrant",
        AREA,
        "一号消火栓",
        "Hydrant 1",
        {"hydrant_pressure": _steady(3.5e5, 1e4), "sprinkler_pressure": _steady(4e5, 1e4)},
    ),
    Device(
        "lift-1",
        "elevator",
        AREA,
        "一号电梯",
        "Lift 1",
        {"elevator_person_trapped": _steady(0), "elevator_trips": _counting(52_000, 20)},
    ),
    Device(
        "camera-gate",
        "camera",
        AREA,
        "大门摄像机",
        "Gate camera",
        {
            "people_in": _counting(1000, 40),
            "people_out": _counting(900, 40),
            "people_count": _steady(20, 15),
            "vehicle_in": _counting(300, 9),
            "vehicle_out": _counting(280, 9),
            "vehicle_count": _steady(40, 20),
            "ebike_in_elevator": _now_and_then(_NIGHT, HOUR / 4),
            "fire_lane_blocked": _now_and_then(_NIGHT, HOUR / 2),
            "crowding": _steady(0),
            "thrown_object": _steady(0),
            "camera_online": _steady(1),
            "camera_tampered": _steady(0),
        },
    ),
    Device(
        "chiller-1",
        "chiller",
        AREA,
        "食堂冷藏柜",
        "Canteen chiller",
        {
            "air_temperature": _at_last(3.5, 12.5, 2 * HOUR),
            "product_temperature": _at_last(3.8, 8.4, HOUR),
            "door_open": _now_and_then(HOUR, HOUR / 10),
            "compressor_running": _now_and_then(HOUR / 2, HOUR / 4),
        },
    ),
    Device("freezer-1", "freezer", AREA, "食堂冷冻柜", "Canteen freezer", {"air_temperature": _steady(-20, 1)}),
    Device("bain-marie", "bain_marie", AREA, "保温台", "Bain-marie", {"hot_holding_temperature": _steady(66, 3)}),
)


def declaration(community: str) -> str:
    """Return the areas, the gateway and the devices, as a registry file has them."""
    parts = [_area(AREA, community, "building", "三号楼", "Building 3")]
    parts += [_area(f"flat-{number}", AREA, "dwelling", f"{number} 室", f"Flat {number}") for number in FLATS]
    parts.append(f'[[gateways]]\nid = "{GATEWAY}"\narea = "{community}"\n{_titles("外部系统", "Another system")}')
    return "\n".join([*parts, *map(_device, DEVICES)])


def _device(each: Device) -> str:
    head = f'[[gateways.devices]]\nid = "{each.id}"\nkind = "{each.kind}"\narea = "{each.area}"\n'
    return head + _titles(each.zh, each.en)


def lines(now: int) -> Iterator[str]:
    """Yield the readings up to an instant (s), in order of time, with times in seconds."""
    begin = (now - DAYS) // STEP * STEP
    times = [*range(begin, now - CLOSE, STEP), *range(now - CLOSE, now, 60)]
    for at in times:
        for device in DEVICES:
            for quantity, value in device.points.items():
                yield f"{quantity},device={device.id} value={value(at - begin, now - at):.6g} {at}"


def _area(identity: str, parent: str, kind: str, zh: str, en: str) -> str:
    return f'[[areas]]\nid = "{identity}"\nparent = "{parent}"\nkind = "{kind}"\n{_titles(zh, en)}'


def _titles(zh: str, en: str) -> str:
    return f'titles = {{ zh = "{zh}", en = "{en}" }}\n'

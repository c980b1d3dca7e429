"""What the boards are tried on: a registry that can be declared, readings that can be written, nothing missing."""

import tomllib

from linli_core.settings import parse_toml
from linli_core.vocabulary import vocabulary
from linli_dashboards.ask import Ask
from linli_dashboards.boards import BOARDS
from linli_platform.config import convert
from linli_platform.registry.declaration import Declaration, check
from linli_sim.boards.furniture import DAYS, DEVICES, STEP, declaration, lines

NOW = 1_764_000_000


def test_its_registry_can_be_declared() -> None:
    text = declaration("yard")
    found = convert(parse_toml(text, "furniture"), Declaration)
    check(found, frozenset({"yard"}))
    devices = tomllib.loads(text)["gateways"][0]["devices"]
    assert len({device["id"] for device in devices}) == len(devices) == len(DEVICES)


def test_its_readings_are_of_the_vocabulary_and_end_now() -> None:
    words = vocabulary()
    found = list(lines(NOW))
    points = sum(len(device.points) for device in DEVICES)
    assert len(found) % points == 0
    times = sorted({int(line.rpartition(" ")[2]) for line in found})
    assert NOW - DAYS - STEP < times[0] < times[-1] < NOW
    for line in found:
        quantity = words[line.partition(",")[0]]
        value = float(line.rpartition("value=")[2].partition(" ")[0])
        assert quantity.minimum is None or value >= quantity.minimum, line
        assert quantity.maximum is None or value <= quantity.maximum, line


def test_registers_only_rise() -> None:
    words = vocabulary()
    last: dict[str, float] = {}
    for line in lines(NOW):
        head, _, rest = line.partition(" value=")
        if words[head.partition(",")[0]].kind == "counter":
            value = float(rest.partition(" ")[0])
            assert value >= last.get(head, value), line
            last[head] = value


def test_no_board_asks_for_what_is_not_there() -> None:
    there = {quantity for device in DEVICES for quantity in device.points}
    asked = {
        ask.quantity
        for board in BOARDS
        for panel in board.panels
        for ask in panel.asks
        if isinstance(ask, Ask) and not ask.may_be_empty
    }
    assert asked <= there

"""How the edge finds drivers: by entry point, and by name when it fails."""

from importlib.metadata import EntryPoint

import pytest

from linli_core.errors import ConfigError, DriverUnavailable, UnknownDriver
from linli_edge import driver
from linli_edge.driver import GROUP, DriverSpec, catalogue, load


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def test_the_package_brings_its_drivers() -> None:
    known = catalogue()
    assert {"modbus", "mbus"} <= set(known)
    for name in ("modbus", "mbus"):
        spec = load(name, "links[0].driver")
        assert isinstance(spec, DriverSpec)
        assert spec.name == name


def test_an_unknown_driver_names_the_nearest() -> None:
    with pytest.raises(UnknownDriver) as caught:
        load("modbs", "links[0].driver", {"modbus": entry("modbus", "x:y")})
    assert str(caught.value) == "links[0].driver: no driver is called 'modbs'; did you mean 'modbus'?"


def test_an_unknown_driver_without_a_neighbour_names_what_is_installed() -> None:
    with pytest.raises(UnknownDriver, match=r"installed: mbus, modbus$"):
        load("zigbee", "links[0].driver", {"modbus": entry("modbus", "x:y"), "mbus": entry("mbus", "x:y")})
    with pytest.raises(UnknownDriver, match=r"installed: none$"):
        load("zigbee", "links[0].driver", {})


def test_a_driver_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(DriverUnavailable) as caught:
        load("knx", "links[0].driver", {"knx": entry("knx", "no_such_module_at_all:SPEC")})
    text = "links[0].driver: driver 'knx' is installed, but No module named 'no_such_module_at_all'; "
    assert str(caught.value) == f"{text}try: pip install 'linli[edge]'"


def test_an_entry_point_that_is_no_driver_is_named() -> None:
    with pytest.raises(DriverUnavailable, match=r"entry point 'json:dumps' of driver 'json' is no DriverSpec"):
        load("json", "links[0].driver", {"json": entry("json", "json:dumps")})


def test_two_packages_that_offer_one_name_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [entry("modbus", "a:SPEC"), entry("modbus", "b:SPEC")]
    monkeypatch.setattr(driver, "entry_points", lambda group: both if group == GROUP else [])
    with pytest.raises(ConfigError, match="driver 'modbus' is offered by 'a:SPEC' and by 'b:SPEC'; uninstall one"):
        catalogue()

"""Who a unit is: by the name it gives itself, by SunSpec, by what its registers hold."""

import struct

import pytest

from linli_edge.commissioning.identify import Identity, suspects


def asked(answers: dict[str, str]) -> list[str]:
    profiles, _ = Identity().conclude(answers)
    return profiles


@pytest.mark.parametrize(
    ("said", "profile"),
    [
        ({"maker": "Schneider Electric", "model": "iEM3255"}, "schneider-iem3255"),
        ({"maker": "Schneider Electric", "model": "iEM3155"}, "schneider-iem3155"),
        ({"maker": "Schneider Electric", "model": "METSEPM5340"}, None),  # an order number begins otherwise
        ({"maker": "Schneider Electric", "model": "PM5310"}, "schneider-pm5340"),
        ({"maker": "CAREL", "model": "ir33+"}, "carel-ir33-plus"),
        ({"server": "Dixell XR75CX 2.8"}, "dixell-xr75cx"),
        ({"maker": "Siemens AG", "model": "SENTRON PAC3200"}, "siemens-pac3200"),
        ({"maker": "Acme", "model": "iEM3255"}, None),
        ({"maker": "Schneider Electric", "model": "ATV320"}, None),
    ],
)
def test_a_device_that_names_itself_is_known_without_a_register(said: dict[str, str], profile: str | None) -> None:
    assert asked(said) == ([profile] if profile else [])


def test_a_name_weighs_more_than_registers_that_fit_others_too() -> None:
    floats = struct.pack(">f", 230.5).hex(), struct.pack(">f", 50.01).hex()
    eastron = {"_read.4/0/2": floats[0], "_read.4/70/2": floats[1]}
    assert "eastron-sdm630" in asked(eastron)
    assert asked(eastron | {"maker": "Schneider Electric", "model": "iEM3255"}) == ["schneider-iem3255"]


def test_every_profile_can_be_asked_for_but_those_without_a_model() -> None:
    nameless = {suspect.name for suspect in suspects() if not suspect.models and not suspect.witnesses}
    assert nameless == {"honeywell-raeguard3", "linli-coldroom", "senseair-s8"}

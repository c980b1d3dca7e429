"""What there is to ask about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.hub.influxql.conftest import Asked


def rows(results: list[dict[str, Any]]) -> list[Any]:
    (result,) = results
    return [(one.get("name"), one["columns"], one["values"]) for one in result.get("series", [])]


def test_measurements_are_quantities(ask: Asked) -> None:
    assert rows(ask("SHOW MEASUREMENTS")) == [
        ("measurements", ["name"], [["active_power"], ["temperature"], ["text_message"]])
    ]
    assert rows(ask("SHOW MEASUREMENTS WITH MEASUREMENT =~ /^t/ LIMIT 1")) == [
        ("measurements", ["name"], [["temperature"]])
    ]
    assert rows(ask("SHOW MEASUREMENTS WHERE building = 'b2'")) == [("measurements", ["name"], [["active_power"]])]
    assert rows(ask("SHOW MEASUREMENTS WITH MEASUREMENT = nothing")) == []


def test_tags_are_the_place_and_the_point(ask: Asked) -> None:
    ((name, columns, keys),) = rows(ask("SHOW TAG KEYS FROM active_power"))
    assert (name, columns) == ("active_power", ["tagKey"])
    titled = [f"{key}{lang}" for key in ("building", "community", "device", "gateway") for lang in ("", "_en", "_zh")]
    assert [key for (key,) in keys] == [*titled, "kind", "point", "unit"]


def test_values_of_tags(ask: Asked) -> None:
    assert rows(ask("SHOW TAG VALUES FROM active_power WITH KEY = device")) == [
        ("active_power", ["key", "value"], [["device", "m1"], ["device", "m2"]])
    ]
    assert rows(ask("SHOW TAG VALUES FROM active_power WITH KEY IN (device, building) WHERE building = 'b2'")) == [
        ("active_power", ["key", "value"], [["building", "b2"], ["device", "m2"]])
    ]
    assert rows(ask("SHOW TAG VALUES WITH KEY =~ /^comm/ WHERE device = 'm3'")) == [
        ("temperature", ["key", "value"], [["community", "yard"], ["community_en", "yard"], ["community_zh", "yard"]])
    ]


def test_fields_are_the_same_for_every_quantity(ask: Asked) -> None:
    expected = [
        ["quality", "integer"],
        ["raw", "float"],
        ["text", "string"],
        ["unusable", "integer"],
        ["value", "float"],
    ]
    assert rows(ask("SHOW FIELD KEYS FROM temperature")) == [("temperature", ["fieldKey", "fieldType"], expected)]


def test_databases_policies_and_series(ask: Asked) -> None:
    assert rows(ask("SHOW DATABASES")) == [("databases", ["name"], [["linli"]])]
    ((_, columns, policies),) = rows(ask("SHOW RETENTION POLICIES ON linli"))
    assert columns[0] == "name"
    assert policies[0][0] == "autogen"
    ((_, _, keys),) = rows(ask("SHOW SERIES FROM temperature"))
    assert keys == [
        [
            (
                "temperature,building=b1,building_en=b1,building_zh=b1,community=yard,community_en=yard,community_zh=yard,"
                "device=m3,device_en=m3,device_zh=m3,gateway=gw-1,gateway_en=gw-1,gateway_zh=gw-1,"
                "kind=gauge,point=m3/temperature,unit=Cel"
            )
        ]
    ]
    (refused,) = ask("SHOW TAG KEYS ON other")
    assert "database not found: other" in refused["error"]


def test_a_database_that_is_there_may_be_made_again_and_no_other(ask: Asked) -> None:
    assert ask("CREATE DATABASE linli") == [{"statement_id": 0}]
    (refused,) = ask("CREATE DATABASE other")
    assert "this platform has one, linli" in refused["error"]

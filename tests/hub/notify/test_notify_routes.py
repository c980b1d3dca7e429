"""A file of routes that cannot be used says where, what was found, and what to write."""

from __future__ import annotations

import pytest

from linli_core.errors import ConfigError
from linli_core.instant import MINUTE
from linli_platform.notify.routes import Routes, length, parse_routes

TARGET = '[[targets]]\nid = "duty"\nurl_file = "duty.url"\n'
ROUTE = '[[routes]]\nid = "all"\nto = ["duty"]\n'


def test_an_empty_file_tells_nobody() -> None:
    assert parse_routes("", "n.toml") == Routes()


def test_lengths_are_read() -> None:
    assert length("15 min", "x") == 15 * MINUTE
    assert length("90s", "x") == 90_000_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[targets", "n.toml: no TOML: "),
        ('[[targets]]\nid = "duty"\n', "n.toml: Object missing required field `url_file`"),
        (TARGET + 'url = "json://x"\n', "n.toml: Object contains unknown field `url`"),
        (TARGET.replace('"duty"', '"Duty"'), "n.toml: targets: 'Duty' is no id; use lower case, digits and hyphens"),
        (TARGET + TARGET, "n.toml: targets: 'duty' is there twice; give each its own id"),
        (TARGET + "burst = 1\n", "n.toml: targets.duty.burst: found 1; choose one from 2 to 100"),
        (
            TARGET + 'every = "often"\n',
            'n.toml: targets.duty.every: found \'often\'; write a length of time such as "90 s" or "15 min"',
        ),
        (ROUTE, "n.toml: routes.all.to: there is no target 'duty'; choose from: none is there"),
        (TARGET + ROUTE.replace('["duty"]', "[]"), "n.toml: routes.all.to: nobody; name at least one target"),
        (TARGET + ROUTE + 'categories = ["fod"]\n', "n.toml: Invalid enum value 'fod'"),
        (
            TARGET + ROUTE + 'hours = "25:00-06:00"\n',
            "n.toml: routes.all.hours: found '25:00-06:00'; write two times such as \"22:00-06:00\"",
        ),
        (TARGET + ROUTE + 'hours = "06:00-06:00"\n', "n.toml: routes.all.hours: found '06:00-06:00'"),
        (TARGET + ROUTE + 'repeat = "5 s"\n', "n.toml: routes.all.repeat: found '5 s'; repeat after a minute or more"),
        (
            '[[inhibitions]]\nby = ["a"]\nof = []\n',
            "n.toml: inhibitions[0]: by and of are needed; name rules in both",
        ),
        ('page = "linli.example"\n', "n.toml: page: found 'linli.example'"),
        ("keep_days = 0\n", "n.toml: keep_days: found 0; choose one from 1 to 10000"),
    ],
)
def test_what_cannot_be_used_says_where_what_and_what_to_do(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_routes(text, "n.toml")
    assert str(error.value).startswith(said)

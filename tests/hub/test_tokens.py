"""``tokens.toml``: secrets proved and never held, mistakes told where they stand."""

from pathlib import Path

import pytest

from linli_core.errors import ConfigError
from linli_platform.tokens import Reads, load, make_secret, parse

SECRET, DIGEST = make_secret()
OTHER, OTHER_DIGEST = make_secret()
FILE = f"""
[[tokens]]
name = "telegraf-cellar"
sha256 = "{DIGEST}"
writes_as = "telegraf-cellar"
reads = {{ gateways = ["gw-a"], areas = ["building-3"] }}

[[tokens]]
name = "board"
sha256 = "{OTHER_DIGEST}"
reads = {{ everything = true }}
"""


def test_a_secret_finds_its_token_and_no_other() -> None:
    tokens = parse(FILE, "tokens.toml")
    found = tokens.find(SECRET)
    assert found is not None
    assert (found.name, found.writes_as) == ("telegraf-cellar", "telegraf-cellar")
    assert found.reads == Reads(gateways=("gw-a",), areas=("building-3",))
    assert tokens.find(OTHER) is tokens.named("board")
    assert tokens.find(OTHER, "board") is tokens.named("board")
    for wrong in ("", DIGEST, SECRET[:-1], SECRET + "x", "é"):
        assert tokens.find(wrong) is None
    assert tokens.find(SECRET, "board") is None
    assert tokens.named("nobody") is None


def test_a_secret_is_made_of_chance_and_its_digest_does_not_hold_it() -> None:
    made = {make_secret()[0] for _ in range(100)}
    assert len(made) == 100
    assert all(len(secret) >= 43 for secret in made)
    assert SECRET not in DIGEST


BAD = [
    ('name = "Board"', "tokens.toml: tokens[1].name: 'Board' is no id; use lower case, digits and hyphens, once"),
    (
        'name = "telegraf-cellar"',
        "tokens.toml: tokens[1].name: 'telegraf-cellar' stands twice; use lower case, digits and hyphens, once",
    ),
    ('name = "board"\nwrite = 1', 'tokens.toml: tokens[1].write: unknown key; did you mean "writes_as"?'),
    ('name = "board"\nwrites_as = "A/B"', "tokens.toml: tokens[1].writes_as: 'A/B' is no id; use lower case, digits"),
]


@pytest.mark.parametrize(("written", "said"), BAD)
def test_a_mistake_is_told_where_it_stands(written: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(FILE.replace('name = "board"', written), "tokens.toml")
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("digest", "said"),
    [
        ("secret", "tokens.toml: tokens[1].sha256: 'secret' is no SHA-256; make one: linli-platform token NAME"),
        (DIGEST, f"tokens.toml: tokens[1].sha256: '{DIGEST}' stands twice; make one: linli-platform token NAME"),
    ],
    ids=["no digest", "stands twice"],
)
def test_a_digest_that_proves_nothing_is_refused(digest: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(FILE.replace(OTHER_DIGEST, digest), "tokens.toml")
    assert str(caught.value) == said


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o602, 0o644, 0o666])
def test_a_file_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(FILE, encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: others may read or change it (mode {mode:04o}); chmod 600 {path}"


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_file_of_ones_own_is_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(FILE, encoding="utf-8")
    path.chmod(mode)
    assert len(load(path)) == 2


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file or directory\); check influx\.tokens"):
        load(tmp_path / "none.toml")

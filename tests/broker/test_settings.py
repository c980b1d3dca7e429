"""Settings: what is wrong in a file is said with its place and a remedy; what is right is rendered for the engine."""

import os
from pathlib import Path

import pytest

from linli_broker import embedded, mosquitto
from linli_broker.access import GATEWAY_WRITES, PLATFORM_WRITES, render_acl
from linli_broker.choose import choose
from linli_broker.cli import main
from linli_broker.settings import Settings, load, parse, split_address
from linli_core.errors import ConfigError
from linli_core.settings import is_loopback
from linli_core.wire.topics import NUMBERED, Channel

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = GOLDEN / "broker.toml"


def golden(name: str, found: str) -> None:
    """Compare with a golden file; ``LINLI_GOLDEN=write`` writes it."""
    path = GOLDEN / name
    if os.environ.get("LINLI_GOLDEN") == "write":
        path.write_text(found)
    assert found == path.read_text()


def test_mosquitto_is_set_up_as_the_settings_say() -> None:
    settings = load(SETTINGS)
    golden("mosquitto.conf", mosquitto.render(settings, Path("/data"), Path("/etc/linli"), user="linli"))


def test_each_name_may_do_what_the_contract_lets_it_and_no_more() -> None:
    golden("access.acl", render_acl(load(SETTINGS).access))


def test_the_embedded_broker_is_set_up_as_the_settings_say() -> None:
    golden("embedded.toml", embedded.render(parse('[[listeners]]\n[[listeners]]\naddress="[::1]:1884"\nmqtt="5"', "-")))


def test_every_channel_has_one_side_that_writes_it() -> None:
    written = {f"{channel}/+" if channel in NUMBERED else channel.value for channel in Channel}
    assert written == {*GATEWAY_WRITES, *PLATFORM_WRITES}
    assert not {*GATEWAY_WRITES} & {*PLATFORM_WRITES}


def test_without_a_file_everything_is_loopback() -> None:
    assert [listener.address for listener in Settings().listeners] == ["127.0.0.1:1883"]
    assert parse("", "-") == Settings()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("engin = 'auto'", 'engin: unknown key; did you mean "engine"?'),
        ("[limits]\npayload = 1", 'limits.payload: unknown key; did you mean "payload_bytes"?'),
        ("[[listeners]]\nadress = ''", 'listeners[0].adress: unknown key; did you mean "address"?'),
        ("xyz = 1", "xyz: unknown key; known here: engine, data, listeners, limits, access"),
        ("engine = 'emqx'", "engine: invalid enum value 'emqx'; choose one of auto, mosquitto, embedded"),
        ("data = 1", "data: expected `str`, got `int`; write what is expected there"),
        ("[[listeners]]\ntls = {ca = 'a', key = 'b'}",
         "listeners[0].tls.certificate: missing; add it (see docs/operator.md)"),
        ("listeners = []", 'listeners: found none; write [[listeners]] with address = "127.0.0.1:1883"'),
        ("[[listeners]]\n[[listeners]]",
         "listeners[1].address: 127.0.0.1:1883 is listed twice; give each listener its own port"),
        ("[[listeners]]\ntls = {ca = 'a', certificate = 'b', key = 'c'}\nshared_keys = 'd'",
         ("listeners[0].shared_keys: this listener asks for certificates (tls); write one listener for certificates "
          "and another, with a port of its own, for shared keys")),
        ("[[listeners]]\nshared_keys = ''",
         "listeners[0].shared_keys: found no file; name the file that linli-edge node keys --shared made"),
        ("limits.inflight = 0", "limits.inflight: found 0; choose one from 1 to 65535"),
        ("access.gateways = ['GW 1']",
         "access.gateways[0]: 'GW 1' is no gateway id; use lower case, digits and hyphens, 63 at most"),
        ("access.gateways = ['a', 'a']", "access.gateways[1]: 'a' is listed twice; list each gateway once"),
        ("access.gateways = ['linli-platform']",
         "access.gateways[0]: 'linli-platform' is the platform's name too; give the gateway another name"),
        ("access.platform = '#'",
         "access.platform: '#' is no id; use lower case, digits and hyphens, 63 at most"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place_and_a_remedy(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse(text, "broker.toml")
    assert str(found.value) == expected


def test_what_is_no_toml_is_named_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"^broker\.toml: no TOML: .*line 2, column \d+\); correct this line"):
        parse("engine = 'auto'\n= 1\n", "broker.toml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot be read \(No such file or directory\); check the path"):
        load(tmp_path / "gone.toml")


@pytest.mark.parametrize(
    ("text", "host", "port"), [("127.0.0.1:1", "127.0.0.1", 1), ("[::1]:65535", "::1", 65535), ("a.b:8", "a.b", 8)]
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    assert split_address(text) == (host, port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "localhost.example.org", ""])
def test_only_this_machine_is_loopback(host: str) -> None:
    assert not is_loopback(host)
    assert all(is_loopback(each) for each in ("127.0.0.1", "127.8.8.8", "::1", "localhost"))


def test_mosquitto_serves_where_it_is_installed_and_the_embedded_broker_elsewhere(tmp_path: Path) -> None:
    assert choose(Settings(), tmp_path, find_mosquitto=lambda: "/sbin/mosquitto").engine == "mosquitto"
    assert choose(Settings(), tmp_path, find_mosquitto=lambda: None).engine == "embedded"
    assert choose(Settings(engine="embedded"), tmp_path, find_mosquitto=lambda: "/sbin/mosquitto").engine == "embedded"
    with pytest.raises(ConfigError, match=r"^engine: Mosquitto is not installed; Debian: apt-get install mosquitto$"):
        choose(Settings(engine="mosquitto"), tmp_path, find_mosquitto=lambda: None)


def test_the_embedded_broker_refuses_tls_for_it_cannot_tell_gateways_apart(tmp_path: Path) -> None:
    settings = load(SETTINGS)
    with pytest.raises(ConfigError) as found:
        choose(settings, tmp_path, find_mosquitto=lambda: None)
    assert str(found.value) == (
        "listeners[1].tls: the embedded broker knows no access rules, so any gateway could speak as any other; "
        "install Mosquitto (Debian: apt-get install mosquitto), or listen on 127.0.0.1 without tls"
    )


def test_the_embedded_broker_refuses_shared_keys_too(tmp_path: Path) -> None:
    settings = parse("[[listeners]]\nshared_keys = 'shared.keys'", "-")
    with pytest.raises(ConfigError) as found:
        choose(settings, tmp_path, find_mosquitto=lambda: None)
    assert str(found.value) == (
        "listeners[0].shared_keys: the embedded broker knows neither keys nor access rules, so any node could speak as "
        "any other; install Mosquitto (Debian: apt-get install mosquitto), or listen on 127.0.0.1 without shared_keys"
    )


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as found:
        choose(load(SETTINGS), tmp_path, find_mosquitto=lambda: "/sbin/mosquitto")
    assert str(found.value) == (
        f"listeners[1].tls.ca: {tmp_path}/pki/ca.pem cannot be read (No such file or directory); "
        "correct the path or its permissions"
    )


def test_render_prints_what_serve_would_write(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["render", "--engine", "embedded", "--data", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"# {tmp_path}/embedded.toml\n")
    assert 'listen = "127.0.0.1:1883"' in out
    assert not list(tmp_path.iterdir())

"""The platform's settings: what is wrong is said with its place and its remedy."""

from pathlib import Path

import pytest

from linli_core.errors import ConfigError
from linli_platform.config import Settings, broker_address, check, load, parse, read_secret

WHOLE = """
data = "/srv/linli"
[mqtt]
host = "broker.example"
port = 8883
tls = true
username = "platform"
[api]
listen = "[::1]:80"
[store]
memory_limit = "2 GiB"
threads = 4
[ingest]
linger_ms = 20
pending_gateways = 5
"""


def test_every_default_is_loopback() -> None:
    settings = Settings()
    check(settings)
    assert settings.listen == ("127.0.0.1", 8080)
    assert broker_address(settings.mqtt).host == "127.0.0.1"
    assert settings.limits.payload_bytes == 262_144


def test_a_whole_file_is_taken() -> None:
    settings = parse(WHOLE, "platform.toml")
    check(settings)
    assert settings.listen == ("::1", 80)
    assert settings.store_path == Path("/srv/linli/store.duckdb")
    assert (settings.limits.pending_gateways, settings.grouping.linger_s) == (5, 0.02)
    address = broker_address(settings.mqtt)
    assert (address.host, address.port, address.username) == ("broker.example", 8883, "platform")
    assert address.tls is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[mqqt]\nhost = "x"', 'mqqt: unknown key; did you mean "mqtt"?'),
        ("[mqtt]\nprot = 1883", 'mqtt.prot: unknown key; did you mean "port"?'),
        ("[store]\nzzz = 1", "store.zzz: unknown key; known here: engine, url, database"),
        ('[mqtt]\nport = "x"', "mqtt.port: expected `int`, got `str`; write what is expected there"),
        ("[mqtt]\nport = 70000", "mqtt.port: found 70000; choose one from 1 to 65535"),
        ('[mqtt]\nclient_id = "A b"', "mqtt.client_id: 'A b' is no id; use lower case, digits and hyphens"),
        ('[mqtt]\ncertificate = "a"', "mqtt: certificate and key come together; give both, or neither"),
        ('[mqtt]\nca = "a"', "mqtt.tls: found certificates but no TLS; write tls = true"),
        (
            '[api]\nlisten = "0.0.0.0:80"',
            (
                "api.listen: 0.0.0.0:80 can be reached from other machines, and anybody could read and accept there; "
                "listen on 127.0.0.1, or put a secret in a file only the platform may read and name it in "
                "api.token_file"
            ),
        ),
        (
            '[api]\nlisten = "80"',
            "api.listen: '80' is no HOST:PORT; write a host, a colon and a port, such as 127.0.0.1:8080",
        ),
        ('[api]\nlisten = "::1:80"', "api.listen: '::1:80' is ambiguous; put the IPv6 host in brackets: [::1]:80"),
        ('[store]\nmemory_limit = "all"', "store.memory_limit: found 'all'; write a size such as \"512MiB\""),
        ("[store]\nthreads = 0", "store.threads: found 0; choose 1 or more"),
        ("[ingest]\npayload_bytes = 5", "ingest.payload_bytes: found 5; choose one from 1024 to 16777216"),
        ("data = \n", "platform.toml: no TOML: "),
    ],
)
def test_what_is_wrong_is_said_with_place_and_remedy(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(parse(text, "platform.toml"))
    assert str(caught.value).startswith(said)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(No such file"):
        load(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"data = '\xff'")
    with pytest.raises(ConfigError, match="save the file as UTF-8"):
        load(tmp_path / "latin.toml")


def test_secrets_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\nrest\n")
    (tmp_path / "empty").write_text("\n")
    assert read_secret(str(tmp_path / "token"), "api.token_file") == "secret"
    with pytest.raises(ConfigError, match="write the secret as its first line"):
        read_secret(str(tmp_path / "empty"), "api.token_file")
    with pytest.raises(ConfigError, match=r"api\.token_file: .* cannot be read"):
        read_secret(str(tmp_path / "none"), "api.token_file")


def test_certificates_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    settings = parse(f'[mqtt]\ntls = true\nca = "{tmp_path}/none.pem"', "platform.toml")
    with pytest.raises(ConfigError, match="check ca, certificate and key"):
        broker_address(settings.mqtt)

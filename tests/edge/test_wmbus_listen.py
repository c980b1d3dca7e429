"""``linli-edge wmbus listen``: what is heard, and what to copy."""

import json
import socket
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from linli_core.codecs.mbus.encode import encode_dib, encode_number, encode_vib
from linli_core.codecs.mbus.header import Identity
from linli_core.codecs.mbus.vif import Measurand
from linli_core.codecs.wmbus.encode import Meter, encode_cbc, encode_plain
from linli_edge.ciphers import AES
from linli_edge.cli import main
from linli_edge.drivers.wmbus.settings import parse

RECORDS = encode_dib(0xC) + encode_vib(Measurand.VOLUME, "m3", -3) + encode_number(0xC, 1000)
WATER = Identity("12345678", "LIN", 0x01, 0x07)
HEAT = Identity("87654321", "KAM", 0x1C, 0x04)


@contextmanager
def receiver(*lines: str) -> Iterator[int]:
    """A receiver that writes some lines and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall("".join(f"{line}\n" for line in lines).encode())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def gateway(folder: Path, port: int, driver: str = "wmbus") -> str:
    path = folder / "gateway.toml"
    path.write_text(
        '[gateway]\nid = "gw"\ndata = "data"\n[uplink]\nhost = "127.0.0.1"\n'
        f'[[links]]\nid = "radio"\ndriver = "{driver}"\nhost = "127.0.0.1"\nport = {port}\n'
        + ('[[links.devices]]\nid = "water-101"\nmeter = "12345678"\n' if driver == "wmbus" else "")
    )
    return str(path)


LINES = (
    encode_plain(Meter(WATER, 1), RECORDS).hex(),
    encode_plain(Meter(WATER, 2), RECORDS).hex(),
    f'{{"telegram": "{encode_cbc(Meter(HEAT, 1), RECORDS, AES, bytes(16)).hex()}", "rssi": -71}}',
)


def test_every_meter_heard_is_told_with_the_lines_to_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver(*LINES) as port:
        assert main(["wmbus", "listen", gateway(tmp_path, port), "--minutes", "1", "--lang", "en"]) == 0
    said = capsys.readouterr().out
    table = [line.split() for line in said.splitlines()]
    assert ["12345678", "LIN", "water", "2", "water-101"] in table
    assert "87654321  KAM    heat (outlet)  -71 dBm          1  mode 5: no key fits" in said
    assert "radio: the receiver closed the line" in said
    assert "2 meters heard." in said
    copied = tomllib.loads(said[said.index("[[links.devices]]") :])["links"]["devices"]
    assert copied == [{"id": "heat-87654321", "meter": "876543212D2C1C04"}]
    link = {"host": "h", "port": 1, "devices": copied}
    assert parse(link, "links[0]").devices[0].meter.matches(HEAT)


def test_in_chinese(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver(*LINES) as port:
        assert main(["wmbus", "listen", gateway(tmp_path, port), "--minutes", "1", "--lang", "zh"]) == 0
    said = capsys.readouterr().out
    assert "共听到 2 只表。" in said
    assert "没有可用的密钥" in said


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver(*LINES) as port:
        assert main(["wmbus", "listen", gateway(tmp_path, port), "--minutes", "1", "--json"]) == 0
    water, heat = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (water["number"], water["telegrams"], water["key_errors"]) == ("12345678", 2, 0)
    assert (heat["meter"], heat["protection"], heat["key_errors"], heat["rssi"]) == (
        "876543212D2C1C04",
        "mode 5",
        1,
        -71,
    )


def test_nothing_heard_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with receiver("nonsense") as port:
        assert main(["wmbus", "listen", gateway(tmp_path, port), "--minutes", "1", "--lang", "en"]) == 1
    assert "0 meters heard." in capsys.readouterr().out


def test_a_configuration_without_a_receiver_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = gateway(tmp_path, 1)
    assert main(["wmbus", "listen", config, "--link", "elsewhere"]) == 2
    assert 'no such link has driver wmbus; add one: driver = "wmbus"' in capsys.readouterr().err


@pytest.mark.parametrize("word", ["0", "-1", "x", "99999"])
def test_minutes_are_minutes(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["wmbus", "listen", "c.toml", "--minutes", word])
    assert "write minutes, up to 1440" in capsys.readouterr().err

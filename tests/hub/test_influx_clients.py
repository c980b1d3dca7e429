"""Clients of InfluxDB, as they come from the index, write to a running platform and know nothing of it."""

import gzip
import http.client
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import influxdb
import influxdb.exceptions
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from tests.hub.test_service import COMMAND, PlatformProcess

from linli_platform.tokens import make_secret

SECRET, DIGEST = make_secret()
READER, READER_DIGEST = make_secret()
TOKENS = f"""
[[tokens]]
name = "telegraf"
sha256 = "{DIGEST}"
writes_as = "telegraf-1"
maps = [
    {{ measurement = "modbus", field = "t_air", point = "air_temperature", device_tag = "name" }},
]

[[tokens]]
name = "board"
sha256 = "{READER_DIGEST}"
reads = {{ everything = true }}
"""
AT = 1_764_000_000


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    """One platform for all clients; to this door no broker is needed."""
    folder = tmp_path_factory.mktemp("influx")
    tokens = folder / "tokens.toml"
    command = [COMMAND, "token", "pump-house", "--writes-as", "pumps", "--area", "garden"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tokens.write_text(f"{TOKENS}\n{made}", encoding="utf-8")
    tokens.chmod(0o600)
    config = folder / "platform.toml"
    config.write_text(f'[influx]\ntokens = "{tokens}"\n', encoding="utf-8")
    process = PlatformProcess(folder / "data", 0, 1)
    process.start("--config", str(config))
    try:
        yield process
    finally:
        process.end()


def made_secret(running: PlatformProcess) -> str:
    """Return the secret that the command showed; only this test's file has kept it."""
    text = (running.data.parent / "tokens.toml").read_text(encoding="utf-8")
    return re.search(r"shown this once: (\S+)", text)[1]  # type: ignore[index]


def port_of(running: PlatformProcess) -> int:
    return int(running.url.rpartition(":")[2])


def latest(running: PlatformProcess, device: str) -> dict[str, Any]:
    found = json.loads(running.get(f"/api/v1/latest?gateway=telegraf-1&device={device}"))
    return {name.rpartition("/")[2]: each["value"] for name, each in found.items()}


def post(running: PlatformProcess, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(f"{running.url}{path}", body, headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, {}
    except urllib.error.HTTPError as exc:
        return exc.code, json.loads(exc.read())


@pytest.mark.parametrize("packed", [False, True])
def test_the_client_of_1_writes(running: PlatformProcess, packed: bool) -> None:
    device = f"one-{int(packed)}"
    with influxdb.InfluxDBClient("127.0.0.1", port_of(running), "telegraf", SECRET, "community", gzip=packed) as client:
        assert client.ping() == "1.8.10-linli"
        points = [
            {
                "measurement": "energy_import",
                "tags": {"device": device},
                "time": AT + number,
                "fields": {"value": float(number)},
            }
            for number in range(200)
        ]
        assert client.write_points(points, time_precision="s", batch_size=50)
        assert client.write([f"voltage,device={device} value=230.5 {AT}"], {"db": "x", "precision": "s"}, 204, "line")
    assert latest(running, device) == {"energy_import": 199.0, "voltage": 230.5}


def test_the_client_of_1_is_told_which_line_is_bad_and_the_good_one_stays(running: PlatformProcess) -> None:
    with influxdb.InfluxDBClient("127.0.0.1", port_of(running), "telegraf", SECRET, "community") as client:
        lines = ["voltage,device=two value=230", "voltage,device=two value=oops", "voltage,device=two value=1,value=2"]
        with pytest.raises(influxdb.exceptions.InfluxDBClientError) as caught:
            client.write(lines, {"db": "x"}, 204, "line")
    assert caught.value.code == 400
    assert "partial write: line 2: field 'value' has no value that can be read: found 'oops'; line 3:" in str(
        caught.value
    )
    assert "dropped=2" in str(caught.value)
    assert latest(running, "two") == {"voltage": 230.0}


def test_the_client_of_1_with_a_wrong_password_writes_nothing(running: PlatformProcess) -> None:
    with (
        influxdb.InfluxDBClient("127.0.0.1", port_of(running), "telegraf", "wrong", "community") as client,
        pytest.raises(influxdb.exceptions.InfluxDBClientError) as caught,
    ):
        client.write(["voltage,device=no value=1"], {"db": "x"}, 204, "line")
    assert caught.value.code == 401


@pytest.mark.parametrize("packed", [False, True])
def test_the_client_of_2_writes(running: PlatformProcess, packed: bool) -> None:
    device = f"four-{int(packed)}"
    with InfluxDBClient(running.url, SECRET, org="any", enable_gzip=packed) as client:
        assert client.ping()
        assert client.version() == "1.8.10-linli"
        api = client.write_api(write_options=SYNCHRONOUS)
        point = Point("energy_import").tag("device", device).field("value", 5.5).time(AT, "s")  # type: ignore[no-untyped-call]
        api.write("community", record=[point], write_precision="s")
        api.write("community", record=f"voltage,device={device} value=231 {AT * 1000}", write_precision="ms")
        with pytest.raises(ApiException) as caught:
            api.write("community", record=f"voltage,device={device} value=nan {AT}", write_precision="s")
    assert caught.value.status == 400
    assert json.loads(caught.value.body)["message"].startswith("partial write: line 1: field 'value': 'nan' is no")
    assert latest(running, device) == {"energy_import": 5.5, "voltage": 231.0}


def test_the_client_of_2_that_batches_writes(running: PlatformProcess) -> None:
    with InfluxDBClient(running.url, SECRET, org="any") as client, client.write_api() as api:
        for number in range(2_500):
            api.write("b", record=f"energy_import,device=batch value={number} {AT + number}", write_precision="s")
    assert latest(running, "batch") == {"energy_import": 2_499.0}


def test_a_token_that_may_only_read_writes_nothing(running: PlatformProcess) -> None:
    with InfluxDBClient(running.url, READER, org="any") as client, pytest.raises(ApiException) as caught:
        client.write_api(write_options=SYNCHRONOUS).write("b", record="voltage,device=no value=1")
    assert caught.value.status == 403
    assert json.loads(caught.value.body)["code"] == "forbidden"


def test_lines_as_telegraf_sends_them_in_chunks_of_gzip(running: PlatformProcess) -> None:
    lines = "".join(
        f"modbus,host=pi,name=cold-{number},slave_id={number} t_air={number}.5 {AT}000000000\n" for number in range(5)
    )
    connection = http.client.HTTPConnection("127.0.0.1", port_of(running))
    packed = gzip.compress(lines.encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8", "User-Agent": "Telegraf/1.30"}
    headers["Authorization"] = f"Token {SECRET}"
    chunks = iter([packed[:20], packed[20:]])
    connection.request("POST", "/api/v2/write?bucket=b&org=o&precision=ns", chunks, headers, encode_chunked=True)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (204, b"")
    connection.close()
    assert latest(running, "cold-3") == {"air_temperature": 3.5}


BAD: list[tuple[str, bytes, dict[str, str], int, str]] = [
    ("/write?precision=fortnight", b"a v=1", {}, 400, "precision: no precision is called 'fortnight'"),
    ("/write", b"a v=1", {"Content-Encoding": "br"}, 415, "Content-Encoding 'br': send gzip, or nothing"),
    ("/write", b"a v=1", {"Content-Encoding": "gzip"}, 400, "no gzip: "),
    ("/write", gzip.compress(b"a v=1")[:-9], {"Content-Encoding": "gzip"}, 400, "the gzip stream has no end"),
    ("/write", gzip.compress(b" " * 17_000_000), {"Content-Encoding": "gzip"}, 413, "more than 16777216 bytes"),
    ("/write", b"#" * 17_000_000, {}, 413, "more than 16777216 bytes, unpacked; send it in smaller parts"),
    ("/write", b"a v=1", {"Origin": "http://elsewhere.example"}, 403, ""),
]


@pytest.mark.parametrize(("path", "body", "headers", "status", "said"), BAD, ids=[each[4][:25] for each in BAD])
def test_a_request_that_cannot_be_taken_is_told_why(
    running: PlatformProcess, path: str, body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    found, answer = post(running, path, body, Authorization=f"Token {SECRET}", **headers)
    assert found == status
    assert answer.get("error", "").startswith(said)


def test_nothing_is_written_without_a_token(running: PlatformProcess) -> None:
    assert post(running, "/write", b"voltage,device=no value=1")[0] == 401
    assert post(running, f"/write?u=telegraf&p={SECRET}", b"voltage,device=yes value=1") == (204, {})


def test_health_and_ping_need_no_token(running: PlatformProcess) -> None:
    assert json.loads(running.get("/health"))["status"] == "pass"
    assert json.loads(running.get("/ping?verbose=true")) == {"version": "1.8.10-linli"}
    connection = http.client.HTTPConnection("127.0.0.1", port_of(running))
    connection.request("HEAD", "/ping")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["X-Influxdb-Version"]) == (204, "1.8.10-linli")
    connection.close()


def test_a_token_that_the_command_made_opens_the_door(running: PlatformProcess) -> None:
    body = f"pressure,device=pump-1 value=250000 {AT}".encode()
    assert post(running, "/write?precision=s", body, Authorization=f"Bearer {made_secret(running)}") == (204, {})
    found = json.loads(running.get("/api/v1/latest?gateway=pumps"))
    assert {name: each["value"] for name, each in found.items()} == {"pumps/pump-1/pressure": 250_000.0}


@pytest.fixture(scope="module")
def written(running: PlatformProcess) -> PlatformProcess:
    """Readings to ask for: two devices, an hour by the minute."""
    lines = [
        f"active_power,device=asked-{device} value={100 * device + minute} {AT + 60 * minute}"
        for device in (1, 2)
        for minute in range(60)
    ]
    body = "\n".join(lines).encode()
    assert post(running, "/write?precision=s", body, Authorization=f"Token {SECRET}") == (204, {})
    return running


def test_the_client_of_1_asks(written: PlatformProcess) -> None:
    with influxdb.InfluxDBClient("127.0.0.1", port_of(written), "board", READER, "linli") as client:
        assert {"name": "linli"} in client.get_list_database()
        assert {"name": "active_power"} in client.get_list_measurements()
        client.create_database("linli")
        found = client.query(
            f"SELECT mean(value) FROM active_power WHERE time >= {AT}s AND time < {AT + 3600}s AND device =~ /^asked/"
            " GROUP BY time(30m), device",
            epoch="s",
        )
        points = {tags["device"]: [point["mean"] for point in rows] for (_, tags), rows in found.items()}
        assert points == {"asked-1": [114.5, 144.5], "asked-2": [214.5, 244.5]}
        with pytest.raises(influxdb.exceptions.InfluxDBClientError, match="error parsing query"):
            client.query("SELEC value FROM active_power")
        with pytest.raises(influxdb.exceptions.InfluxDBClientError, match="database not found: other"):
            client.query("SELECT value FROM active_power", database="other")


def test_the_client_of_1_without_the_right_to_read_sees_nothing(written: PlatformProcess) -> None:
    with influxdb.InfluxDBClient("127.0.0.1", port_of(written), "telegraf", SECRET, "linli") as client:
        assert client.get_list_measurements() == []
        assert list(client.query("SELECT value FROM active_power").get_points()) == []


@pytest.mark.skipif(
    shutil.which("influx") is None, reason="NOTICE: no influx shell here: apt-get install influxdb-client"
)
def test_the_shell_asks(written: PlatformProcess) -> None:
    shell = ["influx", "-host", "127.0.0.1", "-port", str(port_of(written)), "-username", "board", "-password", READER]
    text = f"SELECT max(value) FROM active_power WHERE time >= {AT}s AND device =~ /^asked/ GROUP BY device"
    asked = [*shell, "-database", "linli", "-precision", "s", "-format", "csv", "-execute", text]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    header = "name,tags,time,max"
    assert [line for line in said.splitlines() if line != header] == [
        f"active_power,device=asked-1,{AT + 59 * 60},159.0",
        f"active_power,device=asked-2,{AT + 59 * 60},259.0",
    ]
    for statement, expected in (
        ("SHOW DATABASES", "linli"),
        ("DROP DATABASE linli", "error parsing query: found DROP"),
    ):
        asked = [*shell, "-execute", statement]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert expected in answer.stdout + answer.stderr


def test_the_client_of_1_binds_values(written: PlatformProcess) -> None:
    asked = "SELECT count(value) FROM active_power WHERE device = $device"
    hostile = "' OR device =~ /.*/ OR device = '"
    with influxdb.InfluxDBClient("127.0.0.1", port_of(written), "board", READER, "linli") as client:
        (found,) = client.query(asked, bind_params={"device": "asked-1"}).get_points()
        assert found["count"] == 60
        assert list(client.query(asked, bind_params={"device": hostile}).get_points()) == []

"""The command ``linli-edge``: what it prints, and its exit status."""

import re
from pathlib import Path
from typing import Protocol

import pytest

from linli_core.errors import DeviceError, LinkError, LinkTimeout, ProtocolError
from linli_core.model import Value
from linli_edge import cli, gateway
from linli_edge.config.gateway import GatewayConfig
from linli_edge.config.units import DURATION_REMEDY
from linli_edge.listing import listing, width
from linli_edge.read import remedy, show_value
from linli_edge.supervisor import DriverBug


class Bench(Protocol):
    values: dict[str, float]
    errors: dict[str, Exception]
    open_error: Exception | None
    polls: int


CONFIG = """
[gateway]
id = "gw-1"
data = "var"
[uplink]
host = "127.0.0.1"
[[links]]
id = "bus-1"
driver = "bench"
[[links.devices]]
id = "meter-1"
cost = "50 ms"
[[links.devices]]
id = "meter-2"
interval = "15 min"
"""


@pytest.fixture
def config(tmp_path: Path, bench_driver: Bench) -> str:  # noqa: ARG001 - the configuration names it
    path = tmp_path / "gw.toml"
    path.write_text(CONFIG)
    return str(path)


class TestCheck:
    def test_a_right_configuration_is_summed_up(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check", config]) == 0
        out = capsys.readouterr().out.splitlines()
        assert out[0] == f"gateway gw-1: log in {Path(config).parent}/var, uplink to 127.0.0.1:1883"
        assert out[2:] == [
            "link   driver  devices  points  intervals    line load",
            "-----  ------  -------  ------  -----------  ---------",
            "bus-1  bench         2       2  1 s, 15 min       5.0%",
        ]

    def test_a_plan_that_does_not_fit_is_a_warning(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        Path(config).write_text(CONFIG.replace("50 ms", "2 s"))
        assert cli.main(["check", config]) == 0
        assert "warning: link bus-1: the plan takes 200% of the line, more than there is" in capsys.readouterr().out

    def test_two_links_to_one_place_are_a_warning(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        link = '[[links]]\nid = "{0}"\ndriver = "mbus"\n{1}\n[[links.devices]]\nid = "{0}-1"\naddress = 1\n'
        head = CONFIG.partition("[[links]]")[0]
        tcp, serial = 'host = "10.0.0.7"\nport = 4001', 'transport = "serial"\npath = "/dev/ttyS0"'
        places = {"a": tcp, "b": tcp, "c": tcp.replace("4001", "4002"), "d": serial, "e": serial}
        Path(config).write_text(head + "".join(link.format(name, place) for name, place in places.items()))
        assert cli.main(["check", config]) == 0
        out = capsys.readouterr().out
        assert "warning: links a and b open tcp 10.0.0.7:4001; a serial port and many a converter serve one" in out
        assert "warning: links d and e open /dev/ttyS0;" in out
        assert out.count("warning:") == 2

    def test_a_name_that_the_system_counts_out_is_a_warning(
        self, config: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        link = '[[links]]\nid = "{0}"\ndriver = "mbus"\ntransport = "serial"\npath = "{1}"\n'
        device = '[[links.devices]]\nid = "{0}-1"\naddress = 1\n'
        places = {
            "a": "/dev/ttyUSB0",
            "b": "/dev/ttyACM1",
            "c": "/dev/ttyAMA0",
            "d": "/dev/serial/by-id/usb-FTDI-port0",
        }
        text = "".join(link.format(name, path) + device.format(name) for name, path in places.items())
        Path(config).write_text(CONFIG.partition("[[links]]")[0] + text)
        assert cli.main(["check", config]) == 0
        out = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning:")]
        assert len(out) == 2
        assert out[0].startswith("warning: link a: /dev/ttyUSB0 is whichever adapter the system finds first;")
        assert out[1].endswith("name it by /dev/serial/by-id")

    def test_what_may_be_written_is_told(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        allow = '[[commands.allow]]\ndevice = "meter-1"\npoints = ["active_power", "relay"]\n'
        allow += '[[commands.allow]]\ndevice = "meter-2"\npoints = ["active_power"]\nconfirm = false\n'
        Path(config).write_text(f"{CONFIG}[commands]\nenabled = true\n{allow}")
        assert cli.main(["check", config]) == 0
        out = capsys.readouterr().out
        assert "commands: 3 points may be written from here and from the platform, 2 of them in two steps" in out
        assert out.count("warning:") == 1
        assert "warning: meter-1/relay may be written, but is none of the points read: is its name right?" in out

    def test_what_is_served_to_others_is_told(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        device = '[[links.devices]]\nid = "{0}-{1}"\nunit = {1}\nprofile = "eastron-sdm120"\ninterval = "{2}"\n'
        link = '[[links]]\nid = "{0}"\ndriver = "modbus"\nhost = "10.0.0.7"\nport = {1}\nread_through = {{ {2} }}\n'
        text = CONFIG.partition("[[links]]")[0]
        text += link.format("a", 502, 'listen = "127.0.0.1:1502"') + device.format("a", 3, "10 s")
        text += device.format("a", 1, "10 s")
        text += link.format("b", 503, 'listen = "0.0.0.0:1503"') + device.format("b", 2, "5 min")
        text += link.format("c", 504, 'listen = "127.0.0.1:1502", max_age = "10 min"') + device.format("c", 2, "5 min")
        Path(config).write_text(text)
        assert cli.main(["check", config]) == 0
        out = capsys.readouterr().out.splitlines()
        serves = "over Modbus TCP, nothing older than"
        assert [line for line in out if " serves " in line] == [
            f"link a serves units 1, 3 {serves} 1 min, on 127.0.0.1:1502; it is asked nothing for them",
            f"link b serves unit 2 {serves} 1 min, on 0.0.0.0:1503; it is asked nothing for them",
            f"link c serves unit 2 {serves} 10 min, on 127.0.0.1:1502; it is asked nothing for them",
        ]
        assert [line for line in out if line.startswith("warning:")] == [
            "warning: link b, on 0.0.0.0:1503: whoever reaches it may read: name the networks that may in allow",
            (
                "warning: link b, on 0.0.0.0:1503: some of b-2 is read less often than every 1 min (max_age): in "
                "between clients get exception 0B for it; lengthen max_age, or shorten the interval"
            ),
            "warning: links a and c listen on 127.0.0.1:1502; give each a port of its own",
        ]

    def test_every_mistake_is_told(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        Path(config).write_text(CONFIG.replace("host", "hots").replace('"15 min"', "15"))
        assert cli.main(["check", config]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.splitlines() == [
            f'{config}: uplink.hots: unknown key; did you mean "host"?',
            f"{config}: links[0].devices[1].interval: found 15; {DURATION_REMEDY}",
        ]

    def test_no_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["check", str(tmp_path / "no.toml")]) == 2
        assert capsys.readouterr().err == f"{tmp_path}/no.toml: no such file; check the path\n"


class TestRead:
    def test_a_table_in_english(self, config: str, bench_driver: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        bench_driver.values["meter-1"] = 230.25
        assert cli.main(["read", config, "--lang", "en"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["device", "point", "title", "value", "unit", "quality", "took", "ms"]
        assert lines[2].split()[:2] == ["meter-1", "active_power"]
        assert "230.25  W     good" in lines[2]
        assert len(lines) == 4

    def test_a_table_in_chinese(
        self, config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.delenv("LC_ALL", raising=False)
        monkeypatch.delenv("LC_MESSAGES", raising=False)
        monkeypatch.setenv("LANG", "zh_CN.UTF-8")
        assert cli.main(["read", config]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("设备")
        assert len({width(line[: line.index("W ")]) for line in lines[2:]}) == 1, "the columns stay straight"

    def test_one_device(self, config: str, bench_driver: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["read", config, "--device", "meter-2"]) == 0
        assert bench_driver.polls == 1
        assert "meter-1" not in capsys.readouterr().out

    def test_a_device_nobody_knows(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["read", config, "--device", "meter-3"]) == 2
        assert 'no device is called "meter-3"; did you mean "meter-' in capsys.readouterr().err

    def test_what_cannot_be_read_is_told_with_what_to_do(
        self, config: str, bench_driver: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench_driver.errors["meter-2"] = LinkTimeout("no answer within 0.3 s")
        assert cli.main(["read", config, "--lang", "en"]) == 1
        out = capsys.readouterr().out
        assert "bad/no_communication" in out
        assert "meter-2: no answer within 0.3 s; check that the device has power, its address, the wiring" in out

    def test_a_line_that_does_not_open_is_told(
        self, config: str, bench_driver: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench_driver.open_error = LinkError("127.0.0.1:502: no connection (Connection refused)")
        assert cli.main(["read", config]) == 1
        out = capsys.readouterr().out
        assert "link bus-1: 127.0.0.1:502: no connection (Connection refused); check host and port" in out

    def test_a_bug_of_a_driver_is_told(
        self, config: str, bench_driver: Bench, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bench_driver.errors["meter-1"] = ZeroDivisionError("division by zero")
        assert cli.main(["read", config]) == 1
        out = capsys.readouterr().out
        assert "meter-1: ZeroDivisionError: division by zero; this is a fault of the driver" in out
        assert "meter-2" in out, "the others are read all the same"


class TestRun:
    def test_it_runs_the_gateway(self, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
        ran: list[GatewayConfig] = []

        async def run(config: GatewayConfig) -> None:
            ran.append(config)

        monkeypatch.setattr(gateway, "run", run)
        assert cli.main(["run", config]) == 0
        assert [made.id for made in ran] == ["gw-1"]

    def test_a_log_that_cannot_be_opened_is_told(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        (Path(config).parent / "var").write_text("a file where a folder should be")
        assert cli.main(["run", config]) == 1
        assert "the log cannot be opened" in capsys.readouterr().err


class TestDecode:
    def test_nothing_to_decode(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["decode", "mbus"]) == 2
        assert "there is nothing to decode" in capsys.readouterr().err

    def test_a_bad_telegram_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["decode", "mbus", "--hex", "6803"]) == 1
        assert '"error"' in capsys.readouterr().out


class TestRest:
    def test_the_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as left:
            cli.main(["--version"])
        assert left.value.code == 0
        assert capsys.readouterr().out.startswith("linli-edge ")

    def test_each_command_is_known_by_itself_and_listed_among_all(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            cli.main(["--help"])
        listed = re.findall(r"^    ([a-z]+)\b", capsys.readouterr().out, re.MULTILINE)
        assert set(cli._FURTHER) < set(listed)
        for name in listed:
            with pytest.raises(SystemExit) as left:
                cli.main([name, "--help"])
            assert left.value.code == 0
            assert capsys.readouterr().out.startswith(f"usage: linli-edge {name} ")

    @pytest.mark.parametrize(
        ("value", "text"),
        [(None, "-"), (True, "true"), (False, "false"), (1234567.125, "1234567.125"), (0.1 + 0.2, "0.3"), ("on", "on")],
    )
    def test_values_for_people(self, value: Value, text: str) -> None:
        assert show_value(value) == text

    @pytest.mark.parametrize(
        "error",
        [LinkTimeout(""), LinkError(""), ProtocolError(""), DeviceError("", code=2), DriverBug("")],
        ids=lambda error: type(error).__name__,
    )
    def test_each_error_has_its_own_remedy(self, error: Exception) -> None:
        assert isinstance(error, LinkError | ProtocolError | DeviceError | DriverBug)
        assert "docs/" not in remedy(error)

    def test_columns(self) -> None:
        table = listing(("a", "bb"), [("电能", "1"), ("x", "22")], right=(1,))
        assert table.splitlines() == ["a     bb", "----  --", "电能   1", "x     22"]

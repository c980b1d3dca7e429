"""Points against displays, the signed sheet, and the command on simulated meters."""

import csv
import json
import re
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fpdf import FPDF
from hypothesis import given
from hypothesis import strategies as st

from linli_core.errors import ConfigError
from linli_core.model import Reading, Reason, Value, missing, parse_point
from linli_edge.commissioning.cjk_font import find_font
from linli_edge.commissioning.commission import harmless, read_sheet, report
from linli_edge.commissioning.compare import Verdict, compare, load_shown, parse_shown, show_number
from linli_edge.commissioning.labels import Label, label_text
from linli_edge.commissioning.sheet import FORMAT, DeviceSheet, Sheet, as_data, point_lines, stamp
from linli_edge.commissioning.sheet_html import as_html
from linli_edge.commissioning.sheet_pdf import Paper, as_pdf, draw_labels
from linli_edge.commissioning.signature import BadSignature, GatewayKey, fingerprint, short, verify
from linli_sim.modbus_registers import Unit
from linli_sim.modbus_server import ModbusServer

from .conftest import Run

NOW = 1_790_000_000_000_000


def reading(name: str, value: Value) -> Reading:
    return Reading(parse_point(name), value, NOW)


class TestComparing:
    @pytest.mark.parametrize(
        ("point", "value", "display", "verdict"),
        [
            ("m/voltage", 231.44, "231.4", "agrees"),
            ("m/voltage", 231.44, "229", "agrees"),  # a voltage moves: 2 %
            ("m/voltage", 231.44, "200", "differs"),
            ("m/voltage", 231.44, "229 ~ 0.1 %", "differs"),
            ("m/energy_import", 1_234_567, "1234.5 kWh", "agrees"),
            ("m/energy_import", 1_234_567, "1.234 MWh", "agrees"),
            ("m/energy_import", 1_234_567, "1234.5 MWh", "differs"),
            ("m/energy_import", Decimal("1234567.5"), "1240.5", "differs"),
            # In a million, 0.2 % are 2,000 kWh: the register of the other tariff is no agreement.
            ("m/energy_import", 1_000_020_000, "1000000.0 kWh", "agrees"),
            ("m/energy_import", 1_000_900_000, "1000000.0 kWh", "differs"),
            ("m/energy_import", 1_000_900_000, "1000000.0 kWh ~ 0.2 %", "agrees"),
            ("m/apparent_energy", 1_000_900, "1000000.0 kVAh", "differs"),
            ("m/water_volume", 20_004.0, "20000 m3", "agrees"),
            ("m/water_volume", 20_030.0, "20000 m3", "differs"),
            ("m/temperature", 21.5, "21.4 °C", "agrees"),
            ("m/door_open", True, "true", "agrees"),
            ("m/door_open", True, "FALSE", "differs"),
            ("m/relay_state", "on", "On", "agrees"),
        ],
    )
    def test_a_display(self, point: str, value: Value, display: str, verdict: str) -> None:
        assert compare(reading(point, value), parse_shown(point, display)).verdict == verdict

    def test_what_passes_now_widens_what_may_have_passed(self) -> None:
        """A feeder at a megawatt moves by a quarter of a megawatt hour while somebody climbs the stairs."""
        shown = parse_shown("m/energy_import", "1000000 kWh")
        energy, power = reading("m/energy_import", 1_000_300_000), reading("m/active_power", -1_000_000)
        assert compare(energy, shown, [energy, power]).verdict is Verdict.AGREES
        assert compare(energy, shown, [energy, reading("m/active_power", 10_000)]).verdict is Verdict.DIFFERS
        flow = reading("m/water_flow", 0.02)
        water = reading("m/water_volume", 20_020.0)
        assert compare(water, parse_shown("m/water_volume", "20000"), [flow]).verdict is Verdict.AGREES

    def test_what_stands_beside_it(self) -> None:
        compared = compare(reading("m/energy_import", 1_234_567), parse_shown("m/energy_import", "1234.5"))
        assert (compared.value, compared.unit, compared.displayed, compared.allowed) == (
            "1234.567", "kWh", "1234.5", "±2.57",
        )  # fmt: skip

    def test_nothing_read_is_never_a_number(self) -> None:
        lost = missing(parse_point("m/voltage"), NOW, Reason.NO_COMMUNICATION)
        compared = compare(lost, parse_shown("m/voltage", "0"))
        assert (compared.verdict, compared.value) == (Verdict.UNREAD, "")

    def test_no_display_is_no_verdict(self) -> None:
        assert compare(reading("m/voltage", 231.4), None).verdict is Verdict.READ

    def test_a_unit_of_something_else(self) -> None:
        with pytest.raises(ConfigError, match="write one of"):
            parse_shown("m/voltage", "5 kWh")

    @given(st.integers(-(10**12), 10**12), st.integers(0, 4))
    def test_what_a_display_rounds_or_cuts_agrees(self, raw: int, decimals: int) -> None:
        value = Decimal(raw).scaleb(-4)
        shown = f"{value:.{decimals}f}"
        compared = compare(reading("m/voltage", value), parse_shown("m/voltage", shown))
        assert compared.verdict is Verdict.AGREES

    @given(st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6))
    def test_numbers_have_no_exponent(self, value: Fraction) -> None:
        assert re.fullmatch(r"-?\d+(\.\d*[1-9])?", show_number(value, 12))


class TestDisplayFiles:
    def test_toml(self, tmp_path: Path) -> None:
        path = tmp_path / "d.toml"
        path.write_text('"m/voltage.l1" = "231.4 V"\n"m/current" = 5.2\n')
        assert {name: shown.text for name, shown in load_shown(path).items()} == {
            "m/voltage.l1": "231.4 V", "m/current": "5.2",
        }  # fmt: skip

    def test_csv_with_a_head_and_without(self, tmp_path: Path) -> None:
        path = tmp_path / "d.csv"
        for head in ([["point", "display"]], []):
            with path.open("w", newline="", encoding="utf-8-sig") as file:
                csv.writer(file).writerows([*head, ["m/voltage", "231,4"], ["m/current", ""]])
            assert list(load_shown(path)) == ["m/voltage"]

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("d.toml", "x", "no TOML"),
            ("d.toml", '"m" = 5', '"m" is no point'),
            ("d.csv", "m/voltage,abc", "d.csv:1: found"),
        ],
    )
    def test_what_is_wrong_is_told_with_its_place(self, tmp_path: Path, name: str, content: str, said: str) -> None:
        (tmp_path / name).write_text(content)
        with pytest.raises(ConfigError) as caught:
            load_shown(tmp_path / name)
        assert said in str(caught.value)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="cannot be read"):
            load_shown(tmp_path / "no.csv")


def sheet(*extra: DeviceSheet) -> Sheet:
    readings = [reading("m-1/voltage.l1", 231.4), missing(parse_point("m-1/current"), NOW, Reason.NO_COMMUNICATION)]
    lines = point_lines(readings, {"m-1/voltage.l1": parse_shown("m-1/voltage.l1", "231.4 V")})
    device = DeviceSheet("m-1", "cellar", "tcp 192.0.2.1:502", {"unit": "1"}, lines)
    return Sheet(FORMAT, "gw-1", "0.1.0", NOW, 480, "王 <b>&", "ab" * 32, [device, *extra])


class TestSignature:
    def test_the_key_is_made_once_and_for_its_owner_alone(self, tmp_path: Path) -> None:
        first, second = GatewayKey.of(tmp_path), GatewayKey.of(tmp_path)
        path = tmp_path / "keys" / "hand-over.pem"
        assert first.public == second.public
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_a_key_that_others_may_read_is_refused(self, tmp_path: Path) -> None:
        GatewayKey.of(tmp_path)
        (tmp_path / "keys" / "hand-over.pem").chmod(0o644)
        with pytest.raises(ConfigError, match="chmod 600"):
            GatewayKey.of(tmp_path)

    def test_a_file_that_is_no_key(self, tmp_path: Path) -> None:
        GatewayKey.of(tmp_path)
        (tmp_path / "keys" / "hand-over.pem").write_text("nonsense")
        with pytest.raises(ConfigError, match="holds no key"):
            GatewayKey.of(tmp_path)

    def test_signed_and_verified(self, tmp_path: Path) -> None:
        key, data = GatewayKey.of(tmp_path), as_data(sheet())
        document = msgspec.json.encode({"signature": key.sign(data), "sheet": data})
        content, signed = verify(document)
        assert msgspec.convert(content, Sheet) == sheet()
        assert signed.fingerprint == fingerprint(key.public)
        assert len(short(signed.fingerprint).split()) == 8
        # Another order of the keys, or another layout of the text, is the same sheet.
        assert verify(msgspec.json.format(document, indent=3))[0] == content

    def test_every_change_of_the_sheet_is_noticed(self, tmp_path: Path) -> None:
        key, data = GatewayKey.of(tmp_path), as_data(sheet())
        document = msgspec.json.encode({"sheet": data, "signature": key.sign(data)})
        for place in range(0, len(document), 7):
            damaged = document[:place] + bytes((document[place] ^ 1,)) + document[place + 1 :]
            with pytest.raises(BadSignature):
                verify(damaged)

    @pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"sheet":{},"signature":{}}', b"\xff"])
    def test_what_is_no_sheet(self, document: bytes) -> None:
        with pytest.raises(BadSignature) as caught:
            verify(document)
        assert caught.value.kind == "no_sheet"

    def test_what_somebody_else_signed_is_no_sheet_of_ours(self, tmp_path: Path) -> None:
        key = GatewayKey.of(tmp_path)
        deep = b'{"sheet":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
        made = as_data(sheet())
        for data in ({}, {**made, "made_at": 10**30}, {**made, "devices": 5}, {**made, "utc_offset": 10**6}):
            path = tmp_path / "sheet.json"
            path.write_bytes(msgspec.json.encode({"sheet": data, "signature": key.sign(data)}))
            with pytest.raises(BadSignature):
                read_sheet(path)
        with pytest.raises(BadSignature):
            verify(deep)

    def test_a_key_of_somebody_else_does_not_pass_for_ours(self, tmp_path: Path) -> None:
        key, other = GatewayKey.of(tmp_path / "a"), GatewayKey.of(tmp_path / "b")
        data = as_data(sheet())
        ours, theirs = key.sign(data), other.sign(data)
        mixed = msgspec.structs.replace(theirs, public_key=ours.public_key)
        with pytest.raises(BadSignature):
            verify(msgspec.json.encode({"sheet": data, "signature": mixed}))
        with pytest.raises(BadSignature, match="fingerprint"):
            verify(
                msgspec.json.encode(
                    {"sheet": data, "signature": msgspec.structs.replace(theirs, fingerprint=ours.fingerprint)}
                )
            )


class Page(HTMLParser):
    """What a page holds: words, and anything it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attrs if name in {"src", "href"} and value]
        if tag not in {"meta", "path", "br", "svg"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"meta", "path", "br", "svg"}:
            return
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize(("lang", "said"), [("zh", "设备无应答"), ("en", "NOT READ")])
def test_the_page_is_whole_and_fetches_nothing(tmp_path: Path, lang: str, said: str) -> None:
    made = sheet()
    page = Page()
    document = as_html(made, GatewayKey.of(tmp_path).sign(as_data(made)), "zh" if lang == "zh" else "en")
    page.feed(document)
    assert page.open == []
    assert page.fetched == []
    assert "url(" not in document
    assert said in page.words
    assert "王 <b>&" in page.words
    assert "231.4 V" in page.words
    assert stamp(NOW, 480) in page.words


def test_a_silent_device_takes_one_line_and_not_one_for_each_point() -> None:
    def silent(*names: str) -> DeviceSheet:
        readings = [missing(parse_point(f"m-2/{name}"), NOW, Reason.NO_COMMUNICATION) for name in names]
        return DeviceSheet("m-2", "cellar", "", {"unit": "2"}, point_lines(readings, {}), "no answer")

    said = report(sheet(silent("voltage.l1", "voltage.l2", "current")), "en").splitlines()
    assert said[said.index("✗ m-2") + 1 :][:3] == [
        "  no answer",
        "  all 3 points: NOT READ · device does not answer",
        "",
    ]
    assert "  全部 2 个测点：未读到 · 设备无应答" in report(sheet(silent("voltage.l1", "current")), "zh").splitlines()
    # Where some were read, each missing one is named.
    assert {"  voltage.l1  231.4 V", "  current  –", "    NOT READ · device does not answer"} <= set(said)


def test_a_sheet_of_somebody_elses_making_moves_no_cursor() -> None:
    made = sheet(DeviceSheet("m\x1b[2J\n✓ genuine", "cellar", "", {}, [], "\x07no answer"))
    shown = report(harmless(made), "en")
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "✗ m [2J ✓ genuine" in shown.splitlines()


def test_a_label_says_which_device_it_is(tmp_path: Path) -> None:
    made = sheet()
    signed = GatewayKey.of(tmp_path).sign(as_data(made))
    label = label_text(made, made.devices[0], signed.fingerprint)
    assert label.startswith("LINLI/1 gw-1/m-1 cellar unit=1 ")
    assert label.endswith(signed.fingerprint[:32])


def test_the_pdf_holds_its_words(tmp_path: Path) -> None:
    try:
        font = find_font()
    except ConfigError as exc:
        pytest.skip(str(exc))
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (poppler-utils)")
    many = [DeviceSheet(f"m-{number}", "cellar", "", {"unit": str(number)}, [], "no answer") for number in range(2, 40)]
    made = sheet(*many)
    path = tmp_path / "s.pdf"
    path.write_bytes(as_pdf(made, GatewayKey.of(tmp_path).sign(as_data(made)), "zh", font))
    words = subprocess.run(["pdftotext", "-layout", path, "-"], check=True, capture_output=True).stdout.decode()
    for said in ("交接单", "尚不能交接", "设备无应答", "231.4 V", "m-39", "王 <b>&"):
        assert said in words
    # Only the characters used are embedded: the font itself has 19 MB.
    assert path.stat().st_size < 400_000


class _Plain(Paper):
    """Paper with letters that need no font file; what is written into cells is noted with its width."""

    def __init__(self) -> None:
        FPDF.__init__(self, format="A4")
        self.set_margins(16, 16)
        self.foot = ""
        self.cells: list[tuple[str, float]] = []

    def set_font(self, family: str | None = None, style: Any = "", size: float = 0) -> None:
        super().set_font("helvetica" if family == "sheet" else family, style, size)

    def cell(self, w: float | None = None, h: float | None = None, text: str = "", *rest: Any, **more: Any) -> bool:
        self.cells.append((text, self.get_string_width(text)))
        return bool(super().cell(w, h, text, *rest, **more))


def test_what_is_too_long_for_a_label_goes_on_in_its_next_line() -> None:
    paper, place = _Plain(), "Basement 2, behind the second pump room, left of the riser x"
    paper.add_page()
    draw_labels(paper, [Label("LINLI/1 x", "n" * 63, (place, "rope", "esp32c3")), Label("x", "a", ("b",))], "en")
    written = [text for text, _ in paper.cells]
    assert max(width for _, width in paper.cells) <= 40
    assert "".join(written).startswith("n" * 63 + place + "rope")
    assert "a" in written


def test_no_font_names_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="apt-get install fonts-noto-cjk"):
        find_font([tmp_path])


@asynccontextmanager
async def gateway(folder: Path) -> AsyncIterator[Path]:
    unit = Unit()
    unit.put("holding", 0, [2314, 5, 0])
    async with ModbusServer({1: unit}).listen() as port:
        file = folder / "gw.toml"
        file.write_text(
            f'[gateway]\nid = "gw-1"\ndata = "data"\n[uplink]\nhost = "h"\n'
            f'[[links]]\nid = "cellar"\ndriver = "modbus"\nhost = "127.0.0.1"\n'
            f'port = {port}\n[[links.devices]]\nid = "m-1"\nunit = 1\ntimeout = "60 s"\n'
            '[[links.devices.points]]\nquantity = "voltage"\naddress = 0\ntype = "uint16"\nscale = 0.1\nunit = "V"\n'
            '[[links.devices.points]]\nquantity = "energy_import"\naddress = 1\ntype = "uint32"\norder = "CDAB"\n'
            'unit = "kWh"\n'
        )
        yield file


def files(folder: Path) -> dict[str, Path]:
    return {path.suffix: path for path in folder.glob("handover-gw-1-*")}


async def test_the_command_proves_every_point(run: Run, tmp_path: Path) -> None:
    async with gateway(tmp_path) as config:
        ended = await run(
            "commission", config, "--out", tmp_path / "out", "--by", "Li", "--display", "m-1/voltage=231.4",
            "--display", "m-1/energy_import=5", "--lang", "zh",
        )  # fmt: skip
        assert ended.status == 0, ended.err + ended.out
        made = files(tmp_path / "out")
        verified = await run("commission", "--verify", made[".json"], config, "--lang", "zh")
        made[".json"].write_text(made[".json"].read_text().replace('"Li"', '"Lo"'))
        forged = await run("commission", "--verify", made[".json"])
    assert "与显示一致 2" in ended.out
    assert {".json", ".html"} <= set(made)
    assert verified.status == 0
    assert "这是本网关的密钥" in verified.out
    # What was signed is shown: a PDF that came with it may say something else.
    assert "voltage  231.4 V" in verified.out
    assert forged.status == 1
    assert "NOT genuine" in forged.err


async def test_a_display_that_disagrees_and_one_asked_for(run: Run, tmp_path: Path) -> None:
    async with gateway(tmp_path) as config:
        ended = await run(
            "commission", config, "--out", tmp_path, "--display", "m-1/voltage=100", "--ask", "--json", typed="x\n5\n"
        )
    sheet_ = json.loads(ended.out)
    assert ended.status == 1
    assert [point["verdict"] for point in sheet_["devices"][0]["points"]] == ["differs", "agrees"]
    assert "m-1/energy_import reads 5 kWh. Display (Enter skips):" in ended.err
    assert len(sheet_["files"]) >= 2


async def test_a_line_that_is_down_is_on_the_sheet(run: Run, tmp_path: Path) -> None:
    async with gateway(tmp_path) as config:
        pass
    ended = await run("commission", config, "--out", tmp_path)
    assert ended.status == 1
    assert "✗ m-1" in ended.out
    assert "no connection" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--display", "m-1/blorb=5"), 'no quantity is called "blorb"'),
        (("--display", "m-1/voltag=5"), 'did you mean "m-1/voltage"?'),
        (("--display", "m-1/current=5"), 'no point is called "m-1/current"'),
        (("--display", "5"), "write DEVICE/POINT=VALUE"),
        (("--out", "/proc/nowhere"), "cannot be written"),
    ],
)
async def test_what_is_written_wrongly(run: Run, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    async with gateway(tmp_path) as config:
        ended = await run("commission", config, *words)
    assert (ended.status, said in ended.err) == (2, True), ended.err

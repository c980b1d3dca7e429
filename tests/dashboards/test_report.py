"""``linli-boards report`` over a served platform that has a month behind it."""

import asyncio
import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from html import unescape
from pathlib import Path
from statistics import median
from typing import Any, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec import structs

from linli_core.catalogue import LANGUAGES, text
from linli_core.cjk_font import FOLDERS, PATTERN, choose
from linli_core.errors import ConfigError
from linli_core.instant import MINUTE, Instant, from_datetime
from linli_dashboards.asking import Answer, Platform, PlatformRefused, T
from linli_dashboards.boards.district import DISTRICT
from linli_dashboards.build import Made
from linli_dashboards.check.grafana import Shown, filled, presets
from linli_dashboards.cli import main
from linli_dashboards.influxql import statement as said_in
from linli_dashboards.report import material
from linli_dashboards.report.charts import VOID, Frame, Layer, against, stacked
from linli_dashboards.report.document import Picture
from linli_dashboards.report.drawing import Box, Drawing, Words
from linli_dashboards.report.figures import Figures, reckon
from linli_dashboards.report.material import gather
from linli_dashboards.report.month import Month
from linli_dashboards.report.pdf import as_pdf
from linli_dashboards.report.story import tell
from linli_dashboards.report.svg import as_svg
from linli_dashboards.report.web_page import as_html
from linli_platform.tokens import Reads, Token, Tokens, make_secret
from linli_sim.past import ZONE, Past
from linli_sim.served import served

NOW: Instant = from_datetime(datetime(2026, 10, 31, 16, 0, tzinfo=UTC)) + 5 * MINUTE
Report = Callable[..., int]
COLD_ROOM_ZH = "1 号冷库 1.7 3.1 3.1 13.9 4 小时 45 分 2 100 %"


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("past")
    asyncio.run(Past(folder, date(2026, 10, 1)).make())
    return folder


@pytest.fixture(scope="module")
def secrets() -> dict[str, tuple[str, str]]:
    return {area: make_secret() for area in ("jasmine-garden", "willow-court")}


@pytest.fixture(scope="module")
def platform(past: Path, secrets: dict[str, tuple[str, str]]) -> Iterator[str]:
    tokens = Tokens([Token(area, digest, reads=Reads(areas=(area,))) for area, (_, digest) in secrets.items()])
    with served(past, NOW, ZONE, token="of-the-platform", tokens=tokens) as url:
        yield url


@pytest.fixture(scope="module")
def district(platform: str) -> Figures:
    found = gather(Platform(platform, "of-the-platform"), "district", lambda _: Month(2026, 10, ZONE))
    return reckon(found, {("gw-jasmine", "meter-main")})


@pytest.fixture
def report(platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setenv("LINLI_TOKEN", "of-the-platform")
    fixed = ("report", "--platform", platform, "--token", "env:LINLI_TOKEN", "--out", str(tmp_path))
    return lambda *words: main([*fixed, *words])


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)))


def test_a_district_in_chinese_and_english(district: Figures) -> None:
    chinese, english = (text_of(as_html(tell(district, lang, ["gw-jasmine/meter-main"]))) for lang in LANGUAGES)
    for said in (
        "Monthly report: East District",
        "October 2026, by the clock of Asia/Shanghai.",
        "Of 26 devices in service, 25 brought readings in this month. Of 2 communities, 2 brought readings.",
        "25 of 26 2 of 2 communities",
        "43,104 of 43,896 readings came as they should. 792 came without a usable value",
        "Stair 2, electricity Willow Court 0.0 % 744 0 0",
        "Jasmine Garden 22 22 0 99.9 %",
        "Cold room 1 1.7 3.1 3.1 13.9 4 h 45 min 2 100 %",
        "Gateway, Willow Court evicted: the gateway's log was full 1 63 512",
        "Gateway, canteen lost at salvage: the gateway's log was damaged 1 1 not known",
        "Left out: gw-jasmine/meter-main.",
        "1 register was exchanged or set back.",
        "Not in the charts: 1 meter of which",
        "3 cold points",
        "Cold room too warm 3 2",
    ):
        assert said in english
    for said in (
        "月度报告：城东街道",
        "2026 年 10 月",
        COLD_ROOM_ZH,
        "同比",
        "冷库温度过高",
    ):
        assert said in chinese
    # The same figures in both.
    assert re.findall(r"\d[\d,.]+ (?:kWh|m³)", english) == re.findall(r"\d[\d,.]+ (?:kWh|m³)", chinese)


def test_the_page_needs_nothing_from_elsewhere(report: Report, tmp_path: Path) -> None:
    assert report("--area", "willow-court", "--html") == 0
    page = (tmp_path / "linli-willow-court-2026-10-zh.html").read_text()
    assert "<script" not in page
    assert set(re.findall(r"https?://[^\"'< ]+", page)) == {"http://www.w3.org/2000/svg"}
    assert page.count("<svg") >= 4
    assert "茉莉花园" not in page


def test_the_pdf_holds_its_words_and_draws_its_charts(district: Figures, tmp_path: Path) -> None:
    try:
        font = choose(path for folder in FOLDERS for path in folder.rglob(PATTERN))
    except ConfigError as exc:
        pytest.skip(str(exc))
    path = tmp_path / "report.pdf"
    path.write_bytes(as_pdf(tell(district, "zh"), font).content)
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed (poppler-utils)")
    words = subprocess.run(["pdftotext", "-layout", path, "-"], check=True, capture_output=True).stdout.decode()
    for said in ("月度报告：城东街道", "4 小时 45 分", "抢修日志时丢失", "更少的表计之和", "逐日用电（kWh）"):
        assert said in words
    pictures = subprocess.run(["pdfimages", "-list", path], check=True, capture_output=True).stdout.decode()
    assert len(pictures.splitlines()) == 2  # heads only: no picture, vectors alone
    assert path.stat().st_size < 400_000


def test_without_last_year_it_is_said_and_nothing_is_made_of_it(district: Figures) -> None:
    alone = replace(district.material, registers_before={name: {} for name in material.UTILITIES})
    page = text_of(as_html(tell(reckon(alone), "en")))
    assert "Water 7 94.9 m³ not known not known 0" in page
    assert "last year is not known" in page


def test_an_area_without_devices_has_a_report_that_says_so(report: Report, tmp_path: Path) -> None:
    # Its gateways hang in the buildings, so the canteen has no meters.
    assert report("--area", "jasmine-canteen", "--html", "--lang", "en") == 0
    page = text_of((tmp_path / "linli-jasmine-canteen-2026-10-en.html").read_text())
    assert "No meter was read twice in this month." in page


def test_a_month_of_which_nothing_is_known(report: Report, tmp_path: Path) -> None:
    assert report("--area", "willow-court", "--month", "2026-03", "--html", "--lang", "en") == 0
    page = text_of((tmp_path / "linli-willow-court-2026-03-en.html").read_text())
    for said in (
        "Nobody can say for this month how many readings should have come.",
        "No alarm was raised.",
        "No meter was read twice in this month.",
        "No cold point brought a reading in this month.",
        "The ledger lists nothing for this month",
    ):
        assert said in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--area", "nowhere"),
            (
                "--area: no area is called 'nowhere'; known are district, jasmine-1, jasmine-canteen, jasmine-garden, "
                "willow-court"
            ),
        ),
        (("--month", "2027-01"), "--month: 2027-01 lies ahead; name one that has begun"),
        (("--zone", "Mars"), "--zone: no time zone is called 'Mars'; write one such as Asia/Shanghai"),
        (
            ("--zone", "UTC", "--month", "2026-10"),
            (
                "--zone: the platform counts its days by Asia/Shanghai, which are not those of UTC; "
                'set zone = "UTC" in its settings, or ask by its own'
            ),
        ),
        (("--leave-out", "meter"), "--leave-out: 'meter' names no device; write GATEWAY/DEVICE"),
        (
            ("--leave-out", "gw-x/meter"),
            "--leave-out: no device is called gw-x/meter in this area; see the list of devices: /api/v1/devices",
        ),
        (
            ("--token", "env:NOT_THERE"),
            "--token: the variable 'NOT_THERE' holds nothing; export NOT_THERE=… first",
        ),
    ],
)
def test_what_cannot_be_reported(
    report: Report, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report("--html", "--area", "willow-court", *words) == 2
    assert capsys.readouterr().err == f"linli-boards: {said}\n"


def test_a_zone_whose_midnight_is_at_half_past_of_ours(platform: str) -> None:
    month = Month(2026, 10, ZoneInfo("Asia/Kolkata"))
    use = reckon(gather(Platform(platform, "of-the-platform"), "willow-court", lambda _: month)).uses[0]
    assert sum(day is not None for day in use.days) == 30  # the month's end by this clock is not behind us


def test_a_wrong_token_and_a_platform_that_is_away(
    platform: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LINLI_TOKEN", "of-nobody")
    assert main(["report", "--html", "--platform", platform, "--token", "env:LINLI_TOKEN"]) == 2
    assert capsys.readouterr().err == (
        f"linli-boards: {platform}: /api/v1/health: refused (401: no valid token); "
        "give the platform's own token: --token\n"
    )
    assert main(["report", "--html", "--platform", "http://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err == (
        "linli-boards: http://127.0.0.1:1: /api/v1/health: no answer (Connection refused); "
        "is the platform running, and is this its address?\n"
    )


def test_a_quantity_that_left_the_vocabulary_is_named(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(material, "UTILITIES", {"electricity": ("energy_imported", "kWh")})
    with pytest.raises(ConfigError, match=r"no quantity is called 'energy_imported'; name one of docs/vocabulary\.md"):
        gather(Platform(platform, "of-the-platform"), "", lambda _: Month(2026, 10, ZONE))


@pytest.mark.parametrize("limit", [10_000, 40, 20, 2])
def test_a_gateway_of_many_devices_is_asked_by_days_as_many_as_an_answer_holds(
    platform: str, district: Figures, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    asked: list[str] = []

    class Counting(Platform):
        def _ask(self, path: str, form: bytes | None) -> bytes:
            asked.append(path)
            return super()._ask(path, form)

    days = Month(2026, 10, ZONE).days[8:12]
    devices = district.material.devices
    expected = sorted(day for day in district.material.complete if day.day in days)
    monkeypatch.setattr(material, "_COMPLETE_ROWS", limit)
    counting = Counting(platform, "of-the-platform")
    assert sorted(material._complete(counting, devices, days)) == expected
    # Three gateways: one of them has more devices than there are days.
    assert limit < 10_000 or len(asked) == 1 + 2 + 4


def ask(url: str, token: str, statement: str) -> str:
    request = urllib.request.Request(
        f"{url}/query", urlencode({"q": statement, "db": "linli"}).encode(), {"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return str(answer.read().decode())


def test_each_communitys_token_sees_its_own_community_alone(platform: str, secrets: dict[str, tuple[str, str]]) -> None:
    """As their data sources in one Grafana ask; whatever they ask for."""
    own = {"jasmine-garden": ("gw-canteen", "gw-jasmine"), "willow-court": ("gw-willow",)}
    for area, (secret, _) in secrets.items():
        for statement in (
            "SHOW TAG VALUES WITH KEY = gateway",
            "SHOW SERIES",
            "SELECT last(value) FROM air_temperature GROUP BY *",
            "SELECT last(value) FROM /.*/ WHERE community =~ /.*/ GROUP BY gateway",
            "SELECT last(value) FROM energy_import WHERE gateway =~ /willow|jasmine/ GROUP BY gateway",
        ):
            told = ask(platform, secret, statement)
            assert "error" not in json.loads(told)
            seen = set(re.findall(r"gw-[a-z]+", told))
            assert seen <= set(own[area]), statement
            assert seen, statement
        with pytest.raises(PlatformRefused):
            Platform(platform, secret).get("devices", list[material.Device])


def test_no_question_of_any_board_tells_a_community_of_another(
    platform: str, secrets: dict[str, tuple[str, str]], boards: list[Made]
) -> None:
    there = Platform(platform, secrets["willow-court"][0])
    answered = 0
    for made in (each for each in boards if each.lang == "zh"):
        dashboard, shown = made.dashboard, Shown.until(NOW // 1_000_000, "30d")
        choices = [each["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
        marks = [each["target"]["query"] for each in dashboard["annotations"]["list"]]
        panels = [target["query"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
        for query in dict.fromkeys([*choices, *marks, *panels]):
            told = json.dumps([(one.tags, one.values) for one in there.ask(filled(query, shown, presets(dashboard)))])
            answered += "willow" in told
            assert "jasmine" not in told, f"{made.uid}: {query}"
            assert "canteen" not in told, f"{made.uid}: {query}"
    assert answered > 20


def drawn(drawing: Drawing, fill: str) -> list[Box]:
    return [shape for shape in drawing.shapes if isinstance(shape, Box) and shape.fill == fill and shape.width > 3.3]


def test_a_missing_day_is_a_grey_column_and_never_a_bar_of_no_height() -> None:
    frame = Frame(tuple(map(str, range(1, 5))), "kWh", "use", "not known")
    layer = Layer("this year", "#0072B2", (5.0, None, 0.0, 7.0))
    for drawing in (stacked(frame, [layer]), against(frame, layer, Layer("last year", "#000000", (None,) * 4))):
        grey = drawn(drawing, VOID)
        assert [round(box.x) for box in grey] == [round(frame.x(1))]
        assert grey[0].height > 20
        assert 'fill="#EEF1F4"' in as_svg(drawing)
        assert "not known" in as_svg(drawing)


def test_a_drawing_escapes_what_people_called_their_things() -> None:
    frame = Frame(("1",), "<b>", 'he said "x"', "n")
    told = as_svg(stacked(frame, [Layer("a & b", "#000000", (1.0,)), Layer("<i>", "#111111", (1.0,))]))
    assert "<b>" not in told
    assert "&lt;i&gt;" in told
    assert 'aria-label="he said &quot;x&quot;"' in told


def test_a_month_that_is_not_over_is_told_up_to_now_and_beside_no_whole_one(district: Figures) -> None:
    stopped = {
        name: {key: replace(it, partial=True) for key, it in registers.items()}
        for name, registers in district.material.registers.items()
    }
    early = replace(district.material, made_at=datetime(2026, 10, 20, 4, tzinfo=UTC), registers=stopped)
    page = text_of(as_html(tell(reckon(early), "en")))
    assert "The month is not over: all figures are up to 2026-10-20 12:00." in page
    assert page.count("against last year when the month is over") == 4
    assert "last year is not known" not in page
    # Of the days ahead nothing is to be known yet: no grey columns.
    alarms = next(
        block.drawing
        for block in tell(reckon(early), "en").blocks
        if isinstance(block, Picture) and block.title == "Alarms raised, day by day"
    )
    assert drawn(alarms, VOID) == []


def test_the_legend_begins_where_a_phone_shows_a_chart_first() -> None:
    frame = Frame(("1", "2"), "kWh", "use", "not known")
    now, before = Layer("this year", "#0072B2", (5.0, None)), Layer("last year", "#000000", (4.0, 4.0))
    words = [shape for shape in against(frame, now, before).shapes if isinstance(shape, Words)]
    assert [(round(word.x), word.text) for word in words if word.y < 4] == [
        (0, "kWh"),
        (18, "this year"),
        (39, "last year"),
        (59, "not known"),
    ]


def test_the_boards_tell_the_same_figures(district: Figures, platform: str, boards: list[Made]) -> None:
    month = district.material.month
    shown = Shown(int(month.start.timestamp()) * 1000, int(month.end.timestamp()) * 1000 - 1)
    there = Platform(platform, "of-the-platform")

    def told(name: str, panel: str) -> float:
        dashboard = next(made.dashboard for made in boards if made.board.name == name and made.lang == "en")
        title = text(f"board.{name}.{panel}", "en")
        query = next(each for each in dashboard["panels"] if each.get("title") == title)["targets"][0]["query"]
        (series,) = there.ask(filled(query, shown, presets(dashboard)))
        value = series.values[0][1]
        assert isinstance(value, int | float)
        return value

    # Of a meter that is heard at the month's two ends alone a board says that its sums do not hold it.
    figures = reckon(district.material, {("gw-willow", "stair-2")})
    meters = {use.utility: use.meters for use in figures.uses}
    for board, panel, utility in (("electricity", "read", "electricity"), ("gas-heat", "gas_read", "gas")):
        assert told(board, panel) == meters[utility]
    totals = {use.utility: use.total for use in figures.uses}
    assert told("electricity", "elsewhere") == pytest.approx(totals["electricity"])
    assert told("water", "elsewhere") == pytest.approx(totals["water"])
    assert told("gas-heat", "heat_by_device") == pytest.approx(totals["heat"])
    # A gas meter that was exchanged is in it, and is in it whatever the period.
    gas = next(panel.asks[0] for panel in DISTRICT.panels if panel.key == "board.district.gas")
    for period in ("1h", "1d"):
        chosen = dict.fromkeys(("area", "building", "dwelling", "device"), ".*") | {"period": period}
        (series,) = there.ask(filled(said_in(gas, "en"), shown, chosen))
        assert sum(value or 0 for _, value in series.values) == pytest.approx(totals["gas"]), period
    assert told("completeness", "share") == pytest.approx(figures.share.part)
    assert told("completeness", "missing") == figures.share.missing
    assert told("completeness", "late") == figures.share.late
    days = (month.end - month.start).total_seconds() / 86_400
    assert told("alarm-health", "a_day") * days == pytest.approx(figures.raised)
    waits = [
        (alarm.acknowledged_at - alarm.learnt_at).total_seconds()
        for alarm in district.material.alarms
        if alarm.acknowledged_at is not None
    ]
    assert told("alarm-health", "seen_after") == pytest.approx(median(waits), abs=1)


class Later(Platform):
    """The platform after two meters were taken out of service, one of them before anybody read it."""

    def get(self, path: str, kind: type[T], **parameters: object) -> T:
        found: Any = super().get(path, kind, **parameters)
        gone = ("flat-101-electricity", "stair-2")
        if path == "devices":
            found = [structs.replace(one, state="retired") if one.id in gone else one for one in found]
        return cast("T", found)


def test_a_meter_taken_out_later_counted_in_its_month_all_the_same(district: Figures, platform: str) -> None:
    found = gather(Later(platform, "of-the-platform"), "district", lambda _: Month(2026, 10, ZONE))
    then = reckon(found, {("gw-jasmine", "meter-main")})
    assert then.uses == district.uses, "what was consumed and is billed does not shrink when a meter is exchanged"
    assert then.share == district.share
    assert then.raised == district.raised
    assert [(one.share, one.alarms) for one in then.communities] == [
        (it.share, it.alarms) for it in district.communities
    ]
    assert (then.devices, then.heard) == (district.devices - 2, district.heard - 1), "in service are the others"


class Doubted(Platform):
    """The platform where one water meter was exchanged for a used one, and another was read a thousandfold once."""

    def get(self, path: str, kind: type[T], **parameters: object) -> T:
        found: Any = super().get(path, kind, **parameters)
        if path == "registers" and parameters["gateway"] == "gw-jasmine":
            told = {"gateway": "gw-jasmine", "at": "2026-10-20T02:00:00Z"}
            said = {"swapped_at": "2026-10-12T06:30:00Z"}
            found = [
                {**told, "device": "flat-101-water", "kind": "swapped", "data": said},
                {**told, "device": "flat-103-water", "kind": "glitch", "data": {}},
            ]
            return msgspec.convert(found, kind)
        return cast("T", found)

    def ask(self, statement: str) -> list[Answer]:
        found = super().ask(statement)
        if '"water_volume"' in statement:
            for series in found:
                series.values[:] = [_seen(row, series.tags["device"], statement) for row in series.values]
        return found


def _seen(row: list[Any], device: str, statement: str) -> list[Any]:
    at, *values = row
    begun = datetime.fromtimestamp(at / 1000, UTC)
    # What is counted goes on as if nothing had been; what the meter shows does not.
    followed = "counted" in statement
    shown = [place for place in range(len(values)) if not (followed and place == 0)]
    if device == "flat-101-water" and begun >= datetime(2026, 10, 12, 6, 30, tzinfo=UTC):
        for place in shown:
            values[place] += 500
    # Each hour is read in its first half minute.
    if device == "flat-103-water" and begun.replace(minute=0, second=0) == datetime(2026, 10, 15, 2, tzinfo=UTC):
        for place in shown:
            values[place] *= 1000
        if followed:
            values[0] = None
    return [at, *values]


def test_what_an_exchanged_meter_stands_at_is_not_used_nor_what_is_in_doubt(district: Figures, platform: str) -> None:
    found = gather(Doubted(platform, "of-the-platform"), "district", lambda _: Month(2026, 10, ZONE))
    (water,) = (use for use in reckon(found).uses if use.utility == "water")
    (true,) = (use for use in district.uses if use.utility == "water")
    assert true.total is not None
    assert water.total == pytest.approx(true.total, abs=0.1), "five hundred m³, and sixty thousand, are not a bill"
    assert water.broken == 1
    registers = found.registers["water"]
    doubted = registers["gw-jasmine", "flat-103-water", "flat-103-water/water_volume"]
    assert not doubted.broken
    assert len(doubted.days) == 31
    exchanged = registers["gw-jasmine", "flat-101-water", "flat-101-water/water_volume"]
    assert exchanged.broken
    assert set(found.month) == set(exchanged.days), "what it counted is known of that day too"


def test_communities_stand_in_the_order_in_which_people_count(district: Figures) -> None:
    titles = {f"c{number}": material.Titles("", f"Court {number}") for number in (10, 2, 1)}
    areas = {key: material.Area(key, "community", name, "district") for key, name in titles.items()}
    more = replace(district.material, areas={**district.material.areas, **areas})
    page = text_of(as_html(tell(reckon(more), "en")))
    assert re.findall(r"(Court \d+|Jasmine Garden|Willow Court) \d+ \d+ \d+ (?:\d|not)", page) == [
        "Court 1",
        "Court 2",
        "Court 10",
        "Jasmine Garden",
        "Willow Court",
    ]


def test_of_a_hundred_cold_points_the_worst_are_drawn_and_all_are_listed(district: Figures) -> None:
    unit = district.cold[0]
    many = tuple(replace(unit, point=("gw-canteen", f"fridge-{number}", "t/air_temperature")) for number in range(100))
    page = as_html(tell(replace(district, cold=many), "en"))
    assert page.count(": lowest to highest of each day</figcaption>") == 10
    assert "Charts are of the 10 that were out of range longest." in page
    assert page.count("<td>fridge-") == 100
    assert "that were out of range longest" not in as_html(tell(district, "en"))

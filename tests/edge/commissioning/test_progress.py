"""What a person sees while something takes long."""

import io

from linli_edge.commissioning.progress import EVERY, Progress, bar, clipped
from linli_edge.listing import width


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_a_line_a_second() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for tenth in range(31):
        progress.say(f"step {tenth}", tenth * EVERY // 10)
    assert stream.getvalue().splitlines() == ["step 0", "step 10", "step 20", "step 30"]


def test_on_a_terminal_one_line_is_rewritten_and_taken_away() -> None:
    stream = Terminal()
    progress = Progress(stream)
    progress.say("a longer text", 0)
    progress.say("short", EVERY)
    progress.clear()
    assert stream.getvalue() == "\ra longer text\rshort" + 8 * " " + "\r" + 5 * " " + "\r"


def test_a_long_wait_shows_its_seconds() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.tick(0)
    progress.say("unit 7", 0)
    for second in range(4):
        progress.tick(second * EVERY)
    assert stream.getvalue().splitlines() == ["unit 7", "unit 7  1 s", "unit 7  2 s", "unit 7  3 s"]
    progress.clear()
    progress.tick(9 * EVERY)
    assert len(stream.getvalue().splitlines()) == 4


def test_a_phone_is_wide_enough() -> None:
    assert width(clipped("正在读取一楼配电间的第二块电表，请稍候……正在读取")) <= 39
    assert clipped("short") == "short"
    assert [bar(done, 10) for done in (0, 5, 10, 12)] == ["░" * 10, "█" * 5 + "░" * 5, "█" * 10, "█" * 10]

"""Both languages say the same things, everything said is used, and nothing is said past the catalogue."""

import re
import string
from pathlib import Path

import pytest

from linli_core.alarm import Category, Event, Priority, State
from linli_core.catalogue import LANGUAGES, catalogue, counted, text
from linli_core.errors import RefusalReason
from linli_core.model import Quality, Reason, Statistic

WEB = Path(__file__).parents[2] / "platform" / "linli_platform" / "web"
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
SOURCES = [*TEMPLATES, *sorted(WEB.glob("*.py")), *sorted((WEB / "static").glob("*.js"))]
SPEAKING = [
    path
    for path in Path(__file__).parents[2].glob("*/linli_*/**/*.py")
    if "linli_core.catalogue import" in path.read_text()
]
"""Modules anywhere that say something out of the catalogue."""
CJK = re.compile(r"[\u3400-\u9fff]")


def placeholders(words: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(words) if name is not None}


def test_both_languages_have_the_same_keys() -> None:
    assert set(catalogue("zh")) == set(catalogue("en"))


@pytest.mark.parametrize("key", sorted(catalogue("en")))
def test_both_languages_have_the_same_placeholders(key: str) -> None:
    assert catalogue("zh")[key].strip()
    assert catalogue("en")[key].strip()
    chinese, english = placeholders(catalogue("zh")[key]), placeholders(catalogue("en")[key])
    # "1 alarm" is written out in English where Chinese counts.
    assert chinese == english or (key.endswith(".one") and chinese - {"count"} == english - {"count"})


def test_every_key_is_used() -> None:
    quoted = set()
    for source in {*SOURCES, *SPEAKING}:
        quoted |= set(re.findall(r"""['"`]([a-z_]+\.[a-z_.]*)[{'"`$]""", source.read_text(encoding="utf-8")))
    prefixes = tuple(word for word in quoted if word.endswith("."))
    for key in catalogue("en"):
        base = re.sub(r"\.(one|many)$", "", key)
        assert key in quoted or base in quoted or key.startswith(prefixes), f"{key} is said nowhere"


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("alarm_state", [state.value for state in State]),
        ("alarm_event", [event.value for event in Event]),
        ("priority", [priority.value for priority in Priority]),
        ("category", [category.value for category in Category]),
        ("quality", [quality.name.lower() for quality in Quality]),
        ("reason", [reason.label for reason in Reason]),
        ("refusal", [reason.value for reason in RefusalReason]),
        ("statistic", [statistic.value for statistic in Statistic]),
        ("gateway_state", ["online", "offline", "lost", "unknown"]),
        ("life", ["pending", "retired"]),
        ("clock", ["trusted", "doubtful"]),
        ("link_state", ["up", "degraded", "down"]),
    ],
)
def test_every_code_that_is_shown_has_its_text(prefix: str, names: list[str]) -> None:
    for lang in LANGUAGES:
        for name in names:
            assert text(f"{prefix}.{name}", lang)


def test_a_placeholder_is_filled_in_and_a_missing_one_is_an_error() -> None:
    assert text("age.ago", "en", age="3 s") == "3 s ago"
    with pytest.raises(KeyError):
        text("age.ago", "en")
    with pytest.raises(KeyError):
        text("no.such.key", "zh")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_chinese_is_written_past_the_catalogue(source: Path) -> None:
    assert not CJK.search(source.read_text(encoding="utf-8"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_word_is_written_past_the_catalogue(template: Path) -> None:
    content = re.sub(r"{%.*?%}|{{.*?}}|{#.*?#}", "", template.read_text(encoding="utf-8"), flags=re.DOTALL)
    shown = re.findall(r'(?:aria-label|title|alt|placeholder)="([^"]*)"', content)
    shown.append(re.sub(r"<[^>]*>", "", content, flags=re.DOTALL))
    for words in shown:
        assert not re.search(r"[^\W\d_]{2,}", words), words


@pytest.mark.parametrize(
    ("count", "english", "chinese"),
    [
        (0, "0 cold points", "0 个冷链测点"),
        (1, "1 cold point", "1 个冷链测点"),
        (1234, "1,234 cold points", "1,234 个冷链测点"),
    ],
)
def test_a_number_takes_its_form(count: int, english: str, chinese: str) -> None:
    assert counted("report.tile_cold_note", "en", count) == english
    assert counted("report.tile_cold_note", "zh", count) == chinese

"""The vocabulary: whole, bilingual, with units that exist; its page says the same."""

from decimal import Decimal
from pathlib import Path

import pytest

from linli_core.errors import ConfigError
from linli_core.model import Kind
from linli_core.units import UnitError, alike, convert
from linli_core.vocabulary import DOMAINS, as_markdown, parse, vocabulary

PAGE = Path(__file__).parents[2] / "docs" / "vocabulary.md"


def test_every_field_has_its_quantities_and_every_quantity_its_two_titles() -> None:
    words = vocabulary()
    assert len(words) >= 100
    assert {word.domain for word in words.values()} == set(DOMAINS)
    for word in words.values():
        assert set(word.titles) == {"zh", "en"}
        assert any("\u4e00" <= letter <= "\u9fff" for letter in word.titles["zh"]), word.name
        assert word.titles["en"].isascii(), word.name
        if word.minimum is not None and word.maximum is not None:
            assert word.minimum < word.maximum


def test_titles_tell_the_quantities_of_a_domain_apart() -> None:
    for language in ("zh", "en"):
        titles = [(word.domain, word.titles[language]) for word in vocabulary().values()]
        assert len(set(titles)) == len(titles)


def test_an_obis_code_means_one_quantity() -> None:
    codes = [word.obis for word in vocabulary().values() if word.obis]
    assert len(codes) >= 30
    assert len(set(codes)) == len(codes)


def test_imported_energy_is_what_a_bill_needs() -> None:
    energy = vocabulary()["energy_import"]
    assert (energy.unit, energy.kind, energy.obis) == ("Wh", Kind.COUNTER, "1-0:1.8.0")
    assert energy.espi is not None
    assert (energy.espi.commodity, energy.espi.uom, energy.espi.flow_direction) == (1, 72, 1)


def test_the_page_is_the_vocabulary() -> None:
    assert PAGE.read_text(encoding="utf-8") == as_markdown(vocabulary())


@pytest.mark.parametrize(
    ("value", "source", "target", "expected"),
    [
        ("12345.67", "kWh", "Wh", "12345670"),
        ("1", "GJ", "kWh", "277.7777777777777777777777778"),
        ("3.6", "m3/h", "m3/s", "0.001"),
        ("6.5", "bar", "Pa", "650000"),
        ("212", "degF", "Cel", "100"),
        ("0.5", "/", "/100", "50"),
        ("2", "h", "s", "7200"),
    ],
)
def test_conversion_is_exact(value: str, source: str, target: str, expected: str) -> None:
    assert convert(Decimal(value), source, target) == Decimal(expected)


def test_a_value_comes_in_the_quantitys_own_unit() -> None:
    assert vocabulary().convert("water_volume", Decimal(1234), "l") == Decimal("1.234")
    assert vocabulary().convert("voltage", Decimal("230.1"), "V") == Decimal("230.1")
    assert "kWh" in vocabulary().units_of("energy_import")
    assert alike("furlong") == ()


@pytest.mark.parametrize(
    ("quantity", "unit", "text"),
    [
        ("voltage", "kWh", "kWh measures energy, V voltage"),
        ("voltage", "furlong", "'furlong' is no unit known here"),
        ("door_open", "V", "door_open has no unit, but 'V' was given"),
    ],
)
def test_a_foreign_unit_is_refused(quantity: str, unit: str, text: str) -> None:
    with pytest.raises(UnitError) as caught:
        vocabulary().convert(quantity, Decimal(1), unit)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ('kind = "gauge"\ndomain = "water"\nzh = "水"', "missing required field `en`"),
        ('kind = "dial"\ndomain = "water"\nzh = "水"\nen = "Water"', "Invalid enum value 'dial'"),
        ('kind = "gauge"\ndomain = "fire"\nzh = "水"\nen = "Water"', "unknown domain 'fire'"),
        ('unit = "gallon"\nkind = "gauge"\ndomain = "water"\nzh = "水"\nen = "Water"', "unknown unit 'gallon'"),
        ('obis = "1.8.0"\nkind = "gauge"\ndomain = "water"\nzh = "水"\nen = "Water"', "'1.8.0' is no OBIS code"),
        ('colour = "blue"\nkind = "gauge"\ndomain = "water"\nzh = "水"\nen = "Water"', "unknown field `colour`"),
    ],
)
def test_a_wrong_row_is_named(row: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"[water]\n{row}", "words.toml")
    assert str(caught.value).startswith("words.toml: [water]: ")
    assert text in str(caught.value)


def test_broken_toml_is_named() -> None:
    with pytest.raises(ConfigError, match=r"words\.toml: .*; correct the TOML"):
        parse("[water", "words.toml")

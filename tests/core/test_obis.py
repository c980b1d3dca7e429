"""OBIS codes: their spellings, their meaning, the readings made of them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linli_core.model import Phase, Quality, Reason
from linli_core.obis import RAW, Booking, Obis, from_bytes, meaning_of, parse, unit_of
from linli_core.vocabulary import vocabulary


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1-0:1.8.0", Obis(1, 0, 1, 8, 0)),
        ("1-0:1.8.0*255", Obis(1, 0, 1, 8, 0)),
        ("1-0:1.8.0.255", Obis(1, 0, 1, 8, 0)),
        ("1.8.1*01", Obis(None, None, 1, 8, 1, 1)),
        ("1.8.1&02", Obis(None, None, 1, 8, 1, 2)),
        ("32.7", Obis(None, None, 32, 7)),
        ("C.1.0", Obis(None, None, 96, 1, 0)),
        ("0-0:C.1.0", Obis(0, 0, 96, 1, 0)),
        ("F.F", Obis(None, None, 97, 97)),
        ("0-2:24.2.1", Obis(0, 2, 24, 2, 1)),
    ],
)
def test_spellings(text: str, code: Obis) -> None:
    assert parse(text) == code


@pytest.mark.parametrize("text", ["", "1", "1.", "1-0:1.8.256", "1.8.0*999", "1.8.0\n", "x.8.0", "1-0:1,8,0", "١.8.0"])
def test_what_is_no_code(text: str) -> None:
    with pytest.raises(ValueError, match="no OBIS code"):
        parse(text)


@given(st.binary(min_size=6, max_size=6))
def test_six_bytes_and_the_text_are_one_code(data: bytes) -> None:
    code = from_bytes(data)
    assert parse(str(code)) == code


def test_a_logical_name_has_six_bytes() -> None:
    with pytest.raises(ValueError, match="6 bytes, not 5"):
        from_bytes(bytes(5))


def test_every_code_of_the_vocabulary_means_its_quantity() -> None:
    for name, quantity in vocabulary().items():
        if quantity.obis is None:
            continue
        meaning = meaning_of(parse(quantity.obis))
        assert meaning is not None, name
        assert name in meaning.quantities


@pytest.mark.parametrize(
    ("text", "name", "phase", "tariff", "channel", "storage"),
    [
        ("1-0:1.8.0", "energy_import", None, None, None, None),
        ("1-0:1.8.3", "energy_import", None, 3, None, None),
        ("1-0:41.8.0", "energy_import", Phase.L2, None, None, None),
        ("1.8.2*07", "energy_import", None, 2, None, 7),
        ("1-2:2.8.0", "energy_export", None, None, 2, None),
        ("1-0:52.7.0", "voltage", Phase.L2, None, None, None),
        ("1-0:91.7.0", "current", Phase.N, None, None, None),
        ("1-0:76.7.0", "active_power", Phase.L3, None, None, None),
        ("1-0:31.7.124", "current_thd", Phase.L1, None, None, None),
        ("0-1:24.4.0", "gas_valve_state", None, None, 1, None),
        ("6-0:1.0.0", "heat_energy", None, None, None, None),
    ],
)
def test_meaning(
    text: str, name: str, phase: Phase | None, tariff: int | None, channel: int | None, storage: int | None
) -> None:
    meaning = meaning_of(parse(text))
    assert meaning is not None
    assert (meaning.quantities[0], meaning.phase, meaning.tariff, meaning.channel, meaning.storage) == (
        name,
        phase,
        tariff,
        channel,
        storage,
    )


@pytest.mark.parametrize("text", ["1-0:1.8.0", "1.8.0"])
def test_gas_is_not_electricity(text: str) -> None:
    assert meaning_of(parse("7-0:1.8.0")) is None
    assert meaning_of(parse(text)) is not None


@pytest.mark.parametrize("text", ["1-0:1.9.0", "1-0:99.1.0", "0-0:1.8.0", "1-0:32.7.5", "128-128:25.2.0"])
def test_what_has_no_quantity(text: str) -> None:
    assert meaning_of(parse(text)) is None


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("kVArh", "kvarh"),
        ("KWH", "kWh"),
        ("mwh", "MWh"),  # no capitals at all say nothing of the scale
        ("mWh", None),
        ("mJ", None),
        ("m³", "m3"),
        ("MW", "MW"),
        ("mW", "mW"),
        ("var", "var"),
        ("furlong", None),
    ],
)
def test_units(text: str, unit: str | None) -> None:
    assert unit_of(text) == unit


def test_booking() -> None:
    book = Booking("m", 5)
    book.number(parse("1-0:1.8.0"), Decimal("12.30"), "kWh", "1-0:1.8.0(12.30*kWh)")
    book.number(parse("1-0:1.8.0"), Decimal(1), "kvarh", "wrong unit")
    book.number(parse("1-0:1.8.0"), Decimal(1), "", "no unit")
    book.number(parse("1-0:9.9.9"), Decimal(1), "kWh", "no quantity")
    book.number(parse("0-0:17.0.0"), Decimal(16), "A", "17")
    book.number(parse("0-0:17.0.0"), Decimal(2), "kW", "17")
    book.number(parse("0-0:96.7.21"), Decimal(3), "", "96.7.21")
    book.number(parse("1-0:2.8.0"), None, "kWh", "2.8.0()")
    assert [(item.point.local_name, item.value) for item in book.readings] == [
        ("energy_import", Decimal("12300.00")),
        (RAW, "wrong unit"),
        (f"{RAW}.x2", "no unit"),
        (f"{RAW}.x3", "no quantity"),
        ("current_limit", 16),
        ("power_limit", 2000),
        ("power_failures", 3),
        ("energy_export", None),
    ]
    assert book.raw == 3
    assert (book.readings[-1].quality, book.readings[-1].reason) == (Quality.BAD, Reason.NOT_IMPLEMENTED)

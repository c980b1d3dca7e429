"""Recorded M-Bus frames of real meters, and what another decoder made of them. Read in place, never copied.

The expectations are libmbus's, in its words and units; how they translate into ours is written down here a second
time, apart from the decoder's own tables, so that one checks the other.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final


@dataclass(frozen=True)
class ExpectedRecord:
    """One record as libmbus gives it.

    Attributes:
        quantity: Its word for it: ``Energy``; empty for manufacturer data, ``None`` in a fixed structure.
        unit: Of the normalized value: ``Wh``, ``m^3/h``.
        value: Number, or text where it is none.
        transmitted: The value as sent, before scaling; hexadecimal where the digits are none.
        function: ``Instantaneous value``, ``Maximum value``…
    """

    quantity: str | None
    unit: str
    value: Decimal | str
    transmitted: str
    storage: int
    tariff: int
    subunit: int
    function: str


@dataclass(frozen=True)
class Recording:
    """One recorded frame.

    Attributes:
        name: The file's stem.
        kind: ``valid``, ``error_reply``, ``malformed`` or ``unsupported``.
        frame: The bytes.
        error: What a meter that reports an error says.
        slave: Header fields by libmbus's names.
        records: Empty unless valid.
    """

    name: str
    kind: str
    frame: bytes
    error: str
    slave: Mapping[str, str]
    records: tuple[ExpectedRecord, ...]


def load(folder: Path) -> list[Recording]:
    """Return the recordings in a folder, in the order of their names."""
    return [
        recording(json.loads(path.read_text(encoding="utf-8")), path.stem) for path in sorted(folder.glob("*.json"))
    ]


def recording(document: Mapping[str, Any], name: str) -> Recording:
    """Return the recording that a parsed file holds."""
    expected = document["expected"]
    normalized = expected.get("normalized", {})
    return Recording(
        name,
        document["kind"],
        bytes.fromhex(document["input"]["data"]),
        expected.get("error", ""),
        normalized.get("slave", {}),
        tuple(_records(normalized.get("records", ()), expected.get("as_transmitted", {}).get("records", ()))),
    )


def _records(normalized: Any, transmitted: Any) -> Iterator[ExpectedRecord]:
    for record, sent in zip(normalized, transmitted, strict=True):
        yield ExpectedRecord(
            quantity=record.get("Quantity"),
            unit=record["Unit"].replace("Â", ""),
            value=Decimal(record["Value"]) if _is_number(record) else record["Value"],
            transmitted=sent["Value"],
            storage=record.get("StorageNumber", 0),
            tariff=record.get("Tariff", 0),
            subunit=record.get("Device", 0),
            function=record["Function"],
        )


def _is_number(record: Mapping[str, Any]) -> bool:
    # Not whatever looks like one: of a single byte of manufacturer data ("00") libmbus makes a number too.
    return "Quantity" not in record or ("ValueNumber" in record and record["Quantity"] != "")


FUNCTIONS: Final = {
    "Instantaneous value": 0,
    "Actual value": 0,
    "Maximum value": 1,
    "Minimum value": 2,
    "Value during error state": 3,
    "Manufacturer specific": 0,
    "More records follow": 0,
}
"""libmbus's words for the function field; of the last two only manufacturer data have them."""

"""Every recorded frame: whole, byte by byte, in chunks, in noise, cut, and with every byte flipped."""

import random
from decimal import Decimal
from pathlib import Path

import pytest

from linli_core.codec import NEED_DATA
from linli_core.codecs.mbus import (
    Frame,
    FrameReader,
    LongFrame,
    MeterTime,
    Record,
    Telegram,
    decode_frame,
    decode_telegram,
)
from linli_core.codecs.mbus.values import REAL
from linli_core.codecs.mbus.vif import Measurand
from linli_core.errors import ChecksumError, DeviceError, ProtocolError
from linli_sim.mbus_vectors import FUNCTIONS, ExpectedRecord, Vector, load

pytestmark = pytest.mark.vectors

MEASURANDS = {
    "Energy": Measurand.ENERGY,
    "Volume": Measurand.VOLUME,
    "Power": Measurand.POWER,
    "Volume flow": Measurand.VOLUME_FLOW,
    "Flow temperature": Measurand.FLOW_TEMPERATURE,
    "Return temperature": Measurand.RETURN_TEMPERATURE,
    "Temperature difference": Measurand.TEMPERATURE_DIFFERENCE,
    "External temperature": Measurand.EXTERNAL_TEMPERATURE,
    "Voltage": Measurand.VOLTAGE,
    "Current": Measurand.CURRENT,
    "H.C.A.": Measurand.HEAT_COST,
    "On time": Measurand.ON_TIME,
    "Operating time": Measurand.OPERATING_TIME,
    "Averaging Duration": Measurand.AVERAGING_DURATION,
    "Actuality Duration": Measurand.ACTUALITY_DURATION,
    "Time point (date)": Measurand.DATE,
    "Time point (date & time)": Measurand.DATE_TIME,
    "Fabrication No": Measurand.FABRICATION_NUMBER,
    "Firmware version": Measurand.FIRMWARE_VERSION,
    "Software version": Measurand.SOFTWARE_VERSION,
    "Model / Version": Measurand.MODEL,
    "Parameter set identification": Measurand.PARAMETER_SET,
    "Customer location": Measurand.CUSTOMER_LOCATION,
    "Error flags": Measurand.ERROR_FLAGS,
    "Digital Input": Measurand.DIGITAL_INPUT,
    "Reset counter": Measurand.RESET_COUNTER,
    "Dimensionless": Measurand.DIMENSIONLESS,
    "Manufacturer specific": Measurand.MANUFACTURER_SPECIFIC,
    "Reserved": Measurand.UNKNOWN,
    "%RH": Measurand.TEXT_UNIT,
    "bat. time": Measurand.TEXT_UNIT,
    "cust. ID": Measurand.TEXT_UNIT,
    "PW": Measurand.TEXT_UNIT,
    "": Measurand.MANUFACTURER_DATA,
}
UNITS = {"m^3": "m3", "m^3/h": "m3/h", "°C": "Cel", "Units for H.C.A.": "1", "Reserved": "1", "": "1", "-": None}

FIXED_STRUCTURE = {
    "l": (Measurand.VOLUME, Decimal("0.001")),
    "reserved but historic": (Measurand.VOLUME, Decimal("0.001")),
}

NO_SUCH_DAY = {"2000-00-00", "1900-01-00T00:00:00Z"}
"""What libmbus prints where the meter sends no valid date: to us there is no value."""


@pytest.fixture(scope="module")
def recorded(vectors: Path) -> list[Vector]:
    found = load(vectors / "mbus")
    assert found, "the folder of M-Bus vectors is empty"
    return found


@pytest.fixture(scope="module")
def valid(recorded: list[Vector]) -> list[Vector]:
    return [vector for vector in recorded if vector.kind == "valid"]


def drain(reader: FrameReader) -> tuple[list[Frame], list[ProtocolError]]:
    frames: list[Frame] = []
    errors: list[ProtocolError] = []
    while True:
        try:
            frame = reader.next_event()
        except ProtocolError as exc:
            errors.append(exc)
            continue
        if frame is NEED_DATA:
            return frames, errors
        frames.append(frame)


def telegram_of(vector: Vector) -> Telegram:
    return decode_telegram(decode_frame(vector.frame))


def test_valid_frames_have_their_header(valid: list[Vector]) -> None:
    for vector in valid:
        telegram, slave = telegram_of(vector), vector.slave
        assert telegram.identity is not None
        # libmbus prints identification numbers without leading zeros.
        assert telegram.identity.number.lstrip("0") == slave["Id"].lstrip("0"), vector.name
        assert telegram.access_number == int(slave["AccessNumber"])
        assert telegram.status == int(slave["Status"], 16)
        if "Manufacturer" in slave:
            assert telegram.identity.manufacturer == slave["Manufacturer"]
            assert telegram.identity.version == int(slave["Version"])
            assert telegram.signature == int(slave["Signature"], 16)


def test_valid_frames_have_their_records(valid: list[Vector]) -> None:
    for vector in valid:
        records = telegram_of(vector).records
        assert len(records) == len(vector.records), vector.name
        for record, expected in zip(records, vector.records, strict=True):
            compare(record, expected, vector.name)


def compare(record: Record, expected: ExpectedRecord, name: str) -> None:
    header = record.header
    place = f"{name}: {header.dib.hex()} {header.vib.hex()}"
    scale = Decimal(1)
    if expected.quantity is None:
        measurand, scale = FIXED_STRUCTURE[expected.unit]
        assert header.measurand is measurand, place
        assert header.storage == int(expected.unit == "reserved but historic"), place
    else:
        assert header.measurand is MEASURANDS[expected.quantity], place
        assert (header.storage, header.tariff, header.subunit) == (
            expected.storage,
            expected.tariff,
            expected.subunit,
        ), place
        if header.measurand is Measurand.TEXT_UNIT:
            assert header.unit == expected.quantity, place
        elif (unit := UNITS.get(expected.unit, expected.unit)) is not None:
            assert header.unit == unit, place
    assert header.function == FUNCTIONS[expected.function], place
    if isinstance(record.value, bytes):
        assert record.value.hex(" ").upper() == expected.value, place
    elif isinstance(record.value, MeterTime):
        assert str(record.value) == str(expected.value).removesuffix("Z"), place
    elif record.value is None:
        assert expected.value in NO_SUCH_DAY or not expected.transmitted.isdecimal(), place
        assert expected.value in NO_SUCH_DAY or record.data[::-1].hex().upper() == expected.transmitted, place
    elif isinstance(record.value, str):
        assert record.value == expected.value, place
    else:
        assert isinstance(expected.value, Decimal), place
        wanted = expected.value * scale
        if header.coding == REAL:
            assert abs(record.value - wanted) <= abs(wanted) / 1_000_000, place
        else:
            assert record.value == wanted, place


def test_only_these_records_have_no_value(valid: list[Vector]) -> None:
    missing = {
        (vector.name, record.header.measurand)
        for vector in valid
        for record in telegram_of(vector).records
        if record.value is None
    }
    assert missing == {
        ("test-frames__ACW_Itron-BM-plus-m", Measurand.DATE),
        ("test-frames__itron_bm_+m", Measurand.DATE),
        ("test-frames__REL-Relay-Padpuls2", Measurand.DATE_TIME),
        # Digits above 9 during an error: docs/protocols.md.
        ("test-frames__abb_f95", Measurand.POWER),
        ("test-frames__abb_f95", Measurand.VOLUME_FLOW),
    }


def test_error_replies_name_the_error(recorded: list[Vector]) -> None:
    replies = [vector for vector in recorded if vector.kind == "error_reply"]
    assert replies
    for vector in replies:
        with pytest.raises(DeviceError, match=vector.error.replace("-F", " f").lower().replace("ci f", "CI f")):
            telegram_of(vector)


def test_malformed_and_unsupported_frames_are_refused_whole(recorded: list[Vector]) -> None:
    kinds = {}
    for vector in recorded:
        if vector.kind in ("malformed", "unsupported"):
            with pytest.raises(ProtocolError) as caught:
                telegram_of(vector)
            kinds[vector.name] = caught.value.kind
    assert kinds == {
        "error-frames__premature_end_of_var_vif1": "truncated",
        "error-frames__too_long_var_vif": "truncated",
        "unsupported-frames__manual_frame4": "unsupported",
    }


def test_whole_byte_by_byte_and_in_chunks(recorded: list[Vector]) -> None:
    dice = random.Random(1)
    for vector in recorded:
        whole = decode_frame(vector.frame)
        reader = FrameReader()
        for position in range(len(vector.frame)):
            assert reader.next_event() is NEED_DATA, f"{vector.name}: an event after {position} bytes"
            reader.receive(vector.frame[position : position + 1])
        assert drain(reader) == ([whole], [])
        for _ in range(5):
            reader = FrameReader()
            rest = vector.frame
            found: list[Frame] = []
            while rest:
                size = dice.randint(1, 40)
                reader.receive(rest[:size])
                rest = rest[size:]
                found += drain(reader)[0]
            assert found == [whole]
        assert len(reader) == reader.skipped == 0


def test_trailing_bytes_and_noise_before(recorded: list[Vector]) -> None:
    dice = random.Random(2)
    for vector in recorded:
        whole = decode_frame(vector.frame)
        for _ in range(5):
            noise = bytes(dice.randrange(256) for _ in range(dice.randint(1, 30)))
            reader = FrameReader()
            reader.receive(noise + vector.frame + noise)
            reader.end()
            frames, _errors = drain(reader)
            assert whole in frames, f"{vector.name} behind {noise.hex()}"
        with pytest.raises(ProtocolError, match="follow the end of the frame"):
            decode_frame(vector.frame + b"\x00")
        reader = FrameReader()
        reader.receive(vector.frame * 2)
        assert drain(reader) == ([whole, whole], [])


def test_every_truncated_prefix_is_an_error_and_the_stream_goes_on(recorded: list[Vector]) -> None:
    for vector in recorded:
        whole = decode_frame(vector.frame)
        for size in range(len(vector.frame)):
            with pytest.raises(ProtocolError):
                decode_frame(vector.frame[:size])
        for size in range(1, len(vector.frame), 7):
            reader = FrameReader()
            reader.receive(vector.frame[:size])
            reader.end()
            frames, errors = drain(reader)
            assert not [frame for frame in frames if isinstance(frame, LongFrame)]
            assert errors[0].kind == "truncated"
            reader.receive(vector.frame)
            assert whole in drain(reader)[0]


def test_no_flipped_byte_yields_a_value(recorded: list[Vector]) -> None:
    dice = random.Random(3)
    for vector in recorded:
        for position in range(len(vector.frame)):
            for flip in {0x01, 0x80, 0xFF, dice.randint(1, 255)}:
                damaged = bytearray(vector.frame)
                damaged[position] ^= flip
                reader = FrameReader()
                reader.receive(bytes(damaged))
                reader.end()
                frames, errors = drain(reader)
                assert not [frame for frame in frames if isinstance(frame, LongFrame)], f"{vector.name} {position}"
                assert errors, f"{vector.name}: byte {position}"
                if 4 <= position < len(damaged) - 1:
                    assert isinstance(errors[0], ChecksumError)


def decode_data(frame: LongFrame, data: bytes) -> tuple[Telegram | None, str]:
    try:
        return decode_telegram(LongFrame(frame.control, frame.address, frame.ci, data)), ""
    except (ProtocolError, DeviceError) as exc:
        return None, exc.kind


def long_frame(vector: Vector) -> LongFrame:
    frame = decode_frame(vector.frame)
    assert isinstance(frame, LongFrame)
    return frame


def test_cut_records_behind_a_right_checksum_are_refused_or_whole(valid: list[Vector]) -> None:
    """A meter may end its telegram anywhere: what decodes is a prefix of the records, never something else."""
    for vector in valid:
        frame, records = long_frame(vector), telegram_of(vector).records
        for size in range(len(frame.data)):
            telegram, kind = decode_data(frame, frame.data[:size])
            if telegram is None:
                assert kind == "truncated", vector.name
                continue
            plain = [
                record for record in telegram.records if record.header.measurand is not Measurand.MANUFACTURER_DATA
            ]
            assert plain == list(records[: len(plain)]), vector.name


def test_flipped_data_behind_a_right_checksum_give_named_errors_only(valid: list[Vector]) -> None:
    dice = random.Random(4)
    kinds: set[str] = set()
    for vector in valid:
        frame = long_frame(vector)
        for position in range(len(frame.data)):
            data = bytearray(frame.data)
            data[position] ^= dice.randint(1, 255)
            kinds.add(decode_data(frame, bytes(data))[1])
    assert kinds <= {"", "truncated", "malformed", "unsupported", "too_many_dife", "too_many_vife"}

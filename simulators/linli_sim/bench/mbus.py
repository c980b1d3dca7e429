"""``meters.mbus.telegrams_per_cpu_second``: bytes of a telegram of 20 records to readings, beside `pymeterbus`."""

import time
from importlib.metadata import version
from typing import Final

from linli_core.codec import NEED_DATA
from linli_core.codecs.mbus import FrameReader, Identity, Interpreter, decode_telegram
from linli_core.codecs.mbus.encode import encode_answer
from linli_core.codecs.mbus.frame import encode_frame
from linli_core.codecs.mbus.vif import Measurand
from linli_sim.bench import CannotRun, Result, bench
from linli_sim.mbus_meters import record

RECORDS: Final = 20
_TELEGRAMS: Final = 5_000
_PEERS_TELEGRAMS: Final = 200
_INT32: Final = 0x4


def telegram() -> bytes:
    """Return a heat meter's telegram: energy and volume of eight due dates, and four present values."""
    records = [record(Measurand.ENERGY, "Wh", 3, 1_234_000 + 1000 * date, storage=date) for date in range(8)]
    records += [record(Measurand.VOLUME, "m3", -3, 12.345 + date, coding=_INT32, storage=date) for date in range(8)]
    records += [
        record(Measurand.POWER, "W", 0, 1500, coding=_INT32),
        record(Measurand.VOLUME_FLOW, "m3/h", -3, 0.36, coding=_INT32),
        record(Measurand.FLOW_TEMPERATURE, "Cel", -1, 65.3, coding=_INT32),
        record(Measurand.RETURN_TEMPERATURE, "Cel", -1, 41.2, coding=_INT32),
    ]
    assert len(records) == RECORDS
    return encode_frame(encode_answer(Identity("12345678", "LNL", 1, 0x04), records, address=1))


@bench("meters.mbus.telegrams_per_cpu_second", unit="1/s", target=5_000)
def telegrams_per_cpu_second() -> Result:
    """Decode one telegram again and again, as a gateway that polls one meter does.

    Ours makes readings of it: quantities, units, quality. The peer makes its records and their values.
    """
    try:
        import meterbus  # noqa: PLC0415 - only this needs it
    except ImportError as exc:
        raise CannotRun(f"the peer is missing ({exc}); install linli[dev]") from exc
    data = telegram()
    reader = FrameReader()
    interpreter = Interpreter("meter-1")
    start = time.process_time()
    for now in range(_TELEGRAMS):
        reader.receive(data)
        frame = reader.next_event()
        assert frame is not NEED_DATA
        readings = interpreter.readings(decode_telegram(frame), now)
        assert len(readings) == RECORDS
    own = _TELEGRAMS / (time.process_time() - start)
    start = time.process_time()
    for _ in range(_PEERS_TELEGRAMS):
        values = [record.parsed_value for record in meterbus.load(data).records]
        assert len(values) == RECORDS
    peer = _PEERS_TELEGRAMS / (time.process_time() - start)
    return Result(own, f"pymeterbus {version('pymeterbus')}", peer)

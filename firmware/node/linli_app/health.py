"""How a node fares, as records: loaded once an hour, and let go."""

import gc


def records(board, starts, backlog, low):
    """Return restarts, free heap, what is not delivered, the battery and the radio's strength where they are known.

    ``low``: whether the battery is near its end; ``None`` where there is none.
    """
    gc.collect()
    found = [
        ("restarts", "count", starts, ""),
        ("heap_free", "B", gc.mem_free(), ""),
        ("backlog", "count", backlog, ""),
    ]
    millivolts, strength = board.battery_mv(), board.signal()
    if millivolts is not None:
        found.append(("battery_voltage", "V", (millivolts, 3), ""))
    if low is not None:
        found.append(("battery_low", "", low, ""))
    if strength is not None:
        found.append(("signal_strength", "dBm", strength, ""))
    return found

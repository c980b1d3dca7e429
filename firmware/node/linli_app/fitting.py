"""Whether a board can do what its configuration asks of its pins. Loaded where one is checked, and let go.

``linli-edge node provision`` tells the same before anything is written (``linli_edge.nodes.pins`` and ``waking``, whose
docstrings say where what a chip can do is written; a test holds the two together). Here it is told of what came by a
phone, or was put onto the board by another program.
"""

from linli_app import point
from linli_app.sensors.fields import ACTIONS, FIELDS, MEASURED
from linli_node import config, forget
from linli_node.errors import ConfigError

_LINES = ("tx", "rx")
_PINS = ("pin", "power", "sda", "scl", "tx", "rx")
"""Fields of a sensor or an action that name a pin."""
_ANYBODY = 248
_STOPS = ("flash", "radio", "pin", "old")
"""What ends a node by its configuration also where nobody is at its page: its board would stop, be deaf, or wake by
nothing. With all else it goes on: what is missing of it says so, or it works as it did under the program before."""
# Free pins, taken ones, those that measure a voltage with the radio on, serial lines and their pins, the last that
# wakes it from deep sleep (none: it sleeps lightly, and looks at its pins itself).
_CHIPS = {
    "esp32c3": (((0, 10), (20, 21)), (("flash", 11, 17), ("usb", 18, 19)), (0, 4), {0: (), 1: ()}, 5),
    "esp32s3": (
        ((0, 18), (21, 21), (33, 48)),
        (("flash", 26, 32), ("usb", 19, 20)),
        (1, 10),
        {0: (), 1: (), 2: ()},
        21,
    ),
    "rp2": (
        ((0, 22), (26, 28)),
        (("radio", 23, 25), ("radio", 29, 29)),
        (26, 28),
        {0: ((0, 12, 16), (1, 13, 17)), 1: ((4, 8, 20), (5, 9, 21))},
        None,
    ),
}
_TEXTS = {
    "en": {
        "absent": "this board has no pin {}; take one of {}",
        "flash": "pin {} of this board is its flash's: taken, it stops; take one of {}",
        "usb": "pin {} of this board is its USB cable's; take one of {}",
        "radio": "pin {} of this board is its radio's; take one of {}",
        "converter": "pin {} of this board measures no voltage, or none while the radio is on; take one of {}",
        "line": "this board has no serial line {}; write uart: one of {}",
        "line_pin": "pin {} of this board is none of that serial line; take one of {}",
        "pin": 'pin {} does not wake this board from its sleep; take one of {}, or a charger: "power": "mains"',
        "old": "no pin wakes this board: put MicroPython 1.27 or newer on it,"
        ' or give it a charger: "power": "mains" ({})',
        "opening": "opening does not wake this board (pin {}): take a contact that closes, or put 10 kOhm from the pin"
        ' to 3.3 V and write "driven": true',
        "pulse": "this board does not wake when the meter's contact opens (pin {}), and misses the pulses after it: put"
        ' 10 kOhm from the pin to 3.3 V and write "driven": true',
        "ways": "several pins that go high ({}) and several that go low ({}) do not all wake this board: take contacts"
        ' of one kind, or a charger: "power": "mains"',
        "point": "{} is read twice, as by {}; give each a channel of its own",
        "device": "asks the same device as {}; two at one bus need addresses of their own (ds18b20: rom)",
        "shared": "pin {} is at {} already; take another",
    },
    "zh": {
        "absent": "这块板没有引脚 {}；请改接 {}",
        "flash": "这块板的引脚 {} 属于其闪存，占用后板子会停机；请改接 {}",
        "usb": "这块板的引脚 {} 属于其 USB 口；请改接 {}",
        "radio": "这块板的引脚 {} 属于其无线模块；请改接 {}",
        "converter": "这块板的引脚 {} 不能测电压，或无线开启时不能测；请改接 {}",
        "line": "这块板没有串口 {}；uart 请写 {} 之一",
        "line_pin": "这块板的引脚 {} 不属于该串口；请改接 {}",
        "pin": '引脚 {} 不能唤醒休眠的这块板；请改接 {}，或改用电源供电："power": "mains"',
        "old": '没有引脚能唤醒这块板：请装 MicroPython 1.27 或更新版本，或改用电源供电："power": "mains"（{}）',
        "opening": "触点断开不能唤醒这块板（引脚 {}）：请改用闭合的触点，或在引脚与 3.3 V 之间接 10 kΩ 电阻并写"
        ' "driven": true',
        "pulse": "表计触点断开时不能唤醒这块板（引脚 {}），其后的脉冲会漏计：请在引脚与 3.3 V 之间接 10 kΩ 电阻并写"
        ' "driven": true',
        "ways": "多个变高的引脚（{}）和多个变低的引脚（{}）不能都唤醒这块板：请统一触点类型，"
        '或改用电源供电："power": "mains"',
        "point": "{} 被读两次，与 {} 相同；请给每个写不同的 channel",
        "device": "与 {} 问的是同一个器件；同一总线上的两个要有不同的地址（ds18b20：rom）",
        "shared": "引脚 {} 已用于 {}；请改接另一个",
    },
}


def told(found, lang="en"):
    """Return what is wrong as lines of text, in the words of a language."""
    return [where + ": " + _TEXTS[lang][why].format(*values) for where, why, values in found]


def used(given):
    """Return the pins of a configuration: ``[(where, kind, field, pin, table), …]``."""
    found = []
    if given["battery_pin"] >= 0:
        found.append(("battery_pin", "battery", "battery_pin", given["battery_pin"], given))
    for part in ("sensors", "actions"):
        for place, table in enumerate(given[part]):
            here = part + "[" + str(place) + "]."
            found += [(here + field, table["kind"], field, table[field], table) for field in _PINS if field in table]
    return found


def checked(written, kind):
    """Return a configuration that somebody wrote, with all its defaults.

    Raises:
        ConfigError: With every mistake in it; or a board of this kind would be ended by it, or wake by nothing.
    """
    try:
        found = config.load(written, FIELDS, ACTIONS)
        wrong = told([each for each in misfits(found, kind) if each[1] in _STOPS])
    finally:
        forget("linli_app.sensors.fields")
        forget("linli_node.config")
    if wrong:
        raise ConfigError("\n".join(wrong))
    return found


def fits(written, kind, has, lang):
    """Return the same for whoever can still write another: nothing in it is for another board, or there twice."""
    found = config.load(written, FIELDS, ACTIONS)
    wrong = told(misfits(found, kind, has) + doubled(found), lang)
    if wrong:
        raise ConfigError("\n".join(wrong))
    return found


def _wakes():
    """Tell whether the board's MicroPython can wake it by a pin."""
    try:
        import esp32  # noqa: PLC0415 - on that chip only
    except ImportError:
        return True
    return hasattr(esp32, "wake_on_ext1") or hasattr(esp32, "wake_on_gpio")


def misfits(given, kind, has=None):
    """Return what a kind of board cannot do; of one that is not known, nothing but pins that are not there.

    Args:
        given: A configuration, with all its defaults.
        kind: The kind of board.
        has: Tells whether the chip has a pin.

    Returns:
        ``[(where, why, values), …]``, for :func:`told`.
    """
    chip, found = _CHIPS.get(kind), []
    for where, of, field, pin, table in used(given):
        problem = _unfit(chip, of, field, pin, table) if chip else None
        if problem is None and has is not None and not has(pin):
            problem = "absent", pin, _spans(chip[0]) if chip else "…"
        if problem:
            found.append((where, problem[0], problem[1:]))
    unfit = [where for where, _, _ in found]
    if chip and chip[4] is not None and given["power"] == "battery":
        waking = [
            ("sensors[" + str(place) + "].pin", table)
            for place, table in enumerate(given["sensors"])
            if "debounce_ms" in table
        ]
        found += _deaf(kind, chip[4], [each for each in waking if each[0] not in unfit])
    return found


def _unfit(chip, of, field, pin, table):
    """Return what is wrong with a pin, and what stands in the text of it."""
    free, taken, (low, high), lines, _ = chip
    if not any(first <= pin <= last for first, last in free):
        held = [what for what, first, last in taken if first <= pin <= last]
        return held[0] if held else "absent", pin, _spans(free)
    if field == "battery_pin" or (of, field) == ("leak_rope", "pin"):
        return None if low <= pin <= high else ("converter", pin, _spans(((low, high),)))
    if field not in _LINES:
        return None
    if table["uart"] not in lines:
        # Told of one of its two pins.
        return ("line", table["uart"], ", ".join(str(each) for each in sorted(lines))) if field == "tx" else None
    right = lines[table["uart"]]
    if right and pin not in right[_LINES.index(field)]:
        return "line_pin", pin, ", ".join("GPIO" + str(each) for each in right[_LINES.index(field)])
    return None


def _spans(spans):
    return ", ".join("GPIO" + str(first) + ("" if first == last else "-" + str(last)) for first, last in spans)


def _deaf(kind, last, waking):
    """Return what would not wake a board that sleeps deeply."""
    if waking and not _wakes():
        return [(waking[0][0], "old", (", ".join(str(table["pin"]) for _, table in waking),))]
    right = _spans(((0, last),))
    found = [(where, "pin", (table["pin"], right)) for where, table in waking if table["pin"] > last]
    rises = [(where, table) for where, table in waking if table.get("active") == "high"]
    if kind == "esp32c3":
        passive = [(where, table) for where, table in rises if not table["driven"] and table["kind"] != "pir"]
        found += [(where, "opening", (table["pin"],)) for where, table in passive]
        pulses = [each for each in waking if each[1]["kind"] == "pulse" and not each[1]["driven"]]
        return found + [(where, "pulse", (table["pin"],)) for where, table in pulses]
    falls = [each for each in waking if each not in rises]
    if len(rises) > 1 and len(falls) > 1:
        high, low = (", ".join("GPIO" + str(table["pin"]) for _, table in each) for each in (rises, falls))
        found.append(("sensors", "ways", (high, low)))
    return found


def doubled(given):
    """Return what stands in a configuration twice: a point, a device, a pin; as :func:`misfits` does."""
    points, pins, found = {}, {}, []
    for place, table in enumerate(given["sensors"]):
        here = "sensors[" + str(place) + "]"
        for quantity in (table["quantity"],) if "quantity" in table else MEASURED[table["kind"]]:
            name = point(table, quantity)
            if points.setdefault(name, here) != here:
                found.append((here, "point", (name, points[name])))
                break
        for earlier, other in enumerate(given["sensors"][:place]):
            if _is_one_device(table, other):
                found.append((here, "device", ("sensors[" + str(earlier) + "]",)))
                break
    for where, _, field, pin, table in used(given):
        bus = _bus(table)
        # Several may be at one pin where it is the same line of the same bus.
        owner = (field, bus) if bus else where
        held = pins.setdefault(pin, (where, owner))
        if held[1] != owner:
            found.append((where, "shared", (pin, held[0])))
    return found


def _bus(table):
    """Return the bus that a sensor shares with others; nothing where it shares none."""
    if "sda" in table:
        return table["sda"], table["scl"]
    if "uart" in table:
        return table["uart"], table["tx"], table["rx"]
    return (table["pin"],) if "rom" in table else ()


def _is_one_device(table, other):
    """Tell whether two sensors ask the same device; one without an address asks whoever is there."""
    if not _bus(table) or _bus(table) != _bus(other):
        return False
    one, two = _address(table), _address(other)
    return one == two or not one or not two


def _address(table):
    if "rom" in table:
        return table["rom"].lower()
    return 0 if table["address"] == _ANYBODY else (table["address"], table.get("input"))

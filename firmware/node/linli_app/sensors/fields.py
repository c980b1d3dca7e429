"""What the table of each kind of sensor may hold."""

from linli_node.config import REQUIRED

_PIN = ("whole", 0, 48, REQUIRED)
_CHANNEL = ("whole", 0, 99, -1)
# An output, or a resistor of 10 kOhm at most, holds the pin's level, and not the chip, whose own does otherwise asleep.
_DRIVEN = ("truth", None, None, False)
_STATES = (
    "door_open",
    "water_leak",
    "motion",
    "manhole_open",
    "emergency_button",
    "digital_input",
    "fire_door_open",
    "tamper",
    "power_present",
)
_TEMPERATURES = ("temperature", "air_temperature", "product_temperature", "water_temperature", "outdoor_temperature")


def _contact(quantity):
    return {
        "pin": _PIN,
        "quantity": ("choice", _STATES, None, quantity),
        "channel": _CHANNEL,
        # Which level says yes: an open contact leaves the pin high, by its pull-up.
        "active": ("choice", ("high", "low"), None, "high" if quantity in {"door_open", "manhole_open"} else "low"),
        "debounce_ms": ("whole", 0, 10000, 50),
        "driven": _DRIVEN,
        "hold_s": ("whole", 0, 3600, 0),
    }


def _i2c(address, choices, **more):
    table = {
        "sda": _PIN,
        "scl": _PIN,
        "channel": _CHANNEL,
        "address": ("choice", choices, None, address),
    }
    table.update(more)
    return table


_ANALOGUE = ("water_level", "water_pressure", "temperature", "tank_fill", "differential_pressure")

FIELDS = {
    "reed": _contact("door_open"),
    "pir": _contact("motion"),
    "float": _contact("digital_input"),
    "tilt": _contact("manhole_open"),
    "leak_switch": _contact("water_leak"),
    "button": _contact("emergency_button"),
    "leak_rope": {
        "pin": _PIN,
        "power": _PIN,
        "channel": _CHANNEL,
        "wet_below": ("whole", 0, 65535, 30000),
        "broken_above": ("whole", 0, 65536, 60000),
    },
    "pulse": {
        "pin": _PIN,
        "quantity": (
            "choice",
            ("water_volume", "gas_volume", "energy_import", "pulse_count", "heat_energy"),
            None,
            "pulse_count",
        ),
        "channel": _CHANNEL,
        # One pulse is 10^-places of the unit times this: 10 litres of a meter in m3 are 1 with places = 2.
        "per_pulse": ("whole", 1, 1000000, 1),
        "places": ("whole", 0, 6, 0),
        "initial": ("whole", 0, 10**15, 0),
        "debounce_ms": ("whole", 0, 1000, 20),
        "driven": _DRIVEN,
        "window": ("whole", 1, 1000, 10),
    },
    "ds18b20": {
        "pin": _PIN,
        "quantity": ("choice", _TEMPERATURES, None, "temperature"),
        "channel": _CHANNEL,
        "rom": ("text", 16, 16, ""),
    },
    "sht3x": _i2c(0x44, (0x44, 0x45)),
    "sht4x": _i2c(0x44, (0x44, 0x45, 0x46)),
    "bme280": _i2c(0x76, (0x76, 0x77)),
    "scd4x": _i2c(0x62, (0x62,)),
    "ads1115": _i2c(
        0x48,
        (0x48, 0x49, 0x4A, 0x4B),
        input=("whole", 0, 3, 0),
        quantity=("choice", _ANALOGUE, None, REQUIRED),
        shunt_ohm=("number", 1, 500, 100),
        at_4ma=("number", -1000000, 1000000, 0),
        at_20ma=("number", -1000000, 1000000, REQUIRED),
    ),
    "pzem004t": {
        "uart": ("whole", 0, 2, 1),
        "tx": _PIN,
        "rx": _PIN,
        "channel": _CHANNEL,
        "address": ("whole", 1, 248, 248),
    },
}

# What those kinds measure whose tables do not say it; what runs on a board does not need it.
MEASURED = {
    "leak_rope": ("water_leak",),
    "sht3x": ("temperature", "relative_humidity"),
    "sht4x": ("temperature", "relative_humidity"),
    "bme280": ("temperature", "air_pressure", "relative_humidity"),
    "scd4x": ("co2", "temperature", "relative_humidity"),
    "pzem004t": ("voltage", "current", "active_power", "energy_import", "frequency", "power_factor"),
}

ACTIONS = {
    kind: {
        "pin": _PIN,
        "when": ("text", 1, 80, REQUIRED),
        "above": ("number", -1000000, 1000000, None),
        "below": ("number", -1000000, 1000000, None),
        "hysteresis": ("number", 0, 1000000, 0),
        "on_delay_s": ("whole", 0, 3600, 0),
        "longest_s": ("whole", 0, 86400, 0),
        "active": ("choice", ("high", "low"), None, "high"),
    }
    for kind in ("buzzer", "light", "relay")
}

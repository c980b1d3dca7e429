"""What a stock firmware calls ``machine``, on the desktop: pins that hold their levels, no radio wave, a real reset."""

import json
import os
import time

_GIVEN = json.loads(os.getenv("LINLI_BOARD") or "{}")
PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5


class Pin:
    """One pin; what it reads is given by its number."""

    IN, OUT, PULL_UP, IRQ_RISING, IRQ_FALLING = 0, 1, 2, 1, 2

    def __init__(self, number, _mode=0, _pull=None):
        self._number = number
        self._level = _GIVEN.get("pins", {}).get(str(number), 1)

    def value(self, level=None):
        """Return the level, or set it."""
        if level is None:
            return self._level
        self._level = level
        return None

    def irq(self, _handler, _edge):
        """Nothing comes by itself."""


class ADC:
    """An analogue input; what it reads is given by its pin's number."""

    def __init__(self, pin):
        self._pin = pin

    def read_u16(self):
        """Return what was given."""
        return self._pin.value()

    def read_uv(self):
        """Return the same in microvolts, of 3.3 V."""
        return self._pin.value() * 3300000 // 65535


class SoftI2C:
    """A bus with nobody on it."""

    def __init__(self, **_pins):
        pass

    def writeto(self, *_):
        """Nobody answers."""
        raise OSError(19)

    readfrom = readfrom_into = readfrom_mem = writeto_mem = writeto


class WDT:
    """A watchdog that nobody has to fear."""

    def __init__(self, timeout):
        self.timeout = timeout

    def feed(self):
        """Show that the program lives."""


class RTC:
    """Memory that outlasts deep sleep; here it does not."""

    def memory(self, content=None):
        """Return what is held, which is nothing."""
        return b"" if content is None else None


def unique_id():
    """Return the chip's own name."""
    return bytes(int(_GIVEN["uid"][place : place + 2], 16) for place in range(0, len(_GIVEN["uid"]), 2))


def reset_cause():
    """Return why it started."""
    return _GIVEN.get("cause", PWRON_RESET)


def reset():
    """Start the board again: whoever holds the cable starts the next life."""
    os.system("kill -KILL $PPID")  # noqa: S605, S607


def lightsleep(milliseconds):
    """Sleep, and go on."""
    time.sleep_ms(milliseconds)


def deepsleep(_milliseconds=0):
    """Sleep until somebody switches the board off and on again."""
    while True:
        time.sleep(1)


def disable_irq():
    """Let no interrupt in."""
    return 0


def enable_irq(_state):
    """Let interrupts in again."""

"""Which engine serves, and how it is started."""

from pathlib import Path

from linli_broker import embedded, mosquitto
from linli_broker.engine import Finder, Plan
from linli_broker.settings import Settings
from linli_core.errors import ConfigError


def choose(settings: Settings, base: Path, *, find_mosquitto: Finder = mosquitto.find, starts: bool = False) -> Plan:
    """Return the plan of the engine the settings name, or of the best one that is installed.

    Args:
        settings: Checked settings.
        base: Folder that the relative paths of TLS files start from.
        find_mosquitto: Where to look for Mosquitto.
        starts: Whether nobody is served yet: shared keys that cannot be used are then told, and keep nobody else out.

    Raises:
        ConfigError: The engine is not installed, or cannot do what the settings ask.
    """
    if settings.engine != "embedded" and (program := find_mosquitto()):
        return mosquitto.plan(settings, program, base, starts=starts)
    if settings.engine == "mosquitto":
        raise ConfigError("engine", "Mosquitto is not installed", "Debian: apt-get install mosquitto")
    if not embedded.is_installed():
        raise ConfigError(
            "engine",
            "neither Mosquitto nor the embedded broker is installed",
            "Debian: apt-get install mosquitto; or: pip install 'linli[broker]'",
        )
    return embedded.plan(settings)

"""Which store the settings ask for, and how to open it."""

from linli_core.instant import DAY
from linli_platform.config import Engine, Settings, read_secret
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.store.influx import InfluxStore
from linli_platform.store.server import Credentials, Server
from linli_platform.store.victoria import VictoriaStore


def store_of(settings: Settings) -> DuckDBStore:
    """Return the store that the settings ask for, not opened yet.

    Raises:
        ConfigError: A secret cannot be read.
    """
    wanted = settings.store
    if wanted.engine is Engine.DUCKDB:
        return DuckDBStore(
            settings.store_path,
            memory_limit=wanted.memory_limit,
            threads=wanted.threads,
            zone=settings.tzinfo,
        )
    kind = InfluxStore if wanted.engine is Engine.INFLUXDB else VictoriaStore
    return kind(
        settings.store_path,
        Server(wanted.url, _credentials(settings), ca=wanted.ca),
        wanted.database,
        retention=wanted.retention_days * DAY,
        memory_limit=wanted.memory_limit,
        threads=wanted.threads,
    )


def _credentials(settings: Settings) -> Credentials:
    wanted = settings.store
    scheme = "Token" if wanted.engine is Engine.INFLUXDB else "Bearer"
    token = read_secret(wanted.token_file, "store.token_file") if wanted.token_file else ""
    password = read_secret(wanted.password_file, "store.password_file") if wanted.password_file else ""
    return Credentials(wanted.username, password, token, scheme)

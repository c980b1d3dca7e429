"""Opening the relational database and bringing its schema up to date."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event

_MIGRATIONS = Path(__file__).parent / "migrations"


def open_engine(path: Path) -> Engine:
    """Return an engine on an SQLite file, made if absent.

    Write-ahead logging lets the API read while ingest writes; ``synchronous=FULL`` because the loss ledger must be
    on disk before the marks that rest on it.
    """
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    def configure(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    event.listen(engine, "connect", configure)
    return engine


def migration_settings() -> Config:
    """Return Alembic's settings for the migrations that ship with the package."""
    settings = Config()
    settings.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return settings


def upgrade(engine: Engine) -> None:
    """Bring the schema to the newest revision; every revision runs in one transaction."""
    settings = migration_settings()
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")

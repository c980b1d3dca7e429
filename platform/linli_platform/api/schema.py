"""Prints the OpenAPI document: ``python -m linli_platform.api.schema > docs/openapi.json``. A test compares."""

import json
import sys
from pathlib import Path

from linli_platform.alarms import AlarmService
from linli_platform.api.app import create_app
from linli_platform.api.context import ApiContext
from linli_platform.api.live import LiveFeed
from linli_platform.clock import wall_clock
from linli_platform.registry import Registry
from linli_platform.store.duckdb import DuckDBStore
from linli_platform.web.show import shown


def schema() -> str:
    """Return the document as indented JSON; nothing is opened for it."""
    nowhere = Path("nowhere")
    registry, store = Registry(nowhere), DuckDBStore(nowhere)
    context = ApiContext(
        registry=registry,
        store=store,
        alarms=AlarmService(registry, store, (), wall_clock),
        live=LiveFeed(shown),
        clock=wall_clock,
        version="",
    )
    return json.dumps(create_app(context).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema())

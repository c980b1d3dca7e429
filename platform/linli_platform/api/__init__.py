"""REST under ``/api/v1``, the live feed, and the application that also serves the pages."""

from linli_platform.api.app import create_app
from linli_platform.api.context import ApiContext, Part
from linli_platform.api.live import LiveFeed

__all__ = ["ApiContext", "LiveFeed", "Part", "create_app"]

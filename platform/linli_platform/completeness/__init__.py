"""How complete each point's day is: kept as a series of its own, and found again when late readings come."""

from linli_platform.completeness.service import CompletenessService

__all__ = ["CompletenessService"]

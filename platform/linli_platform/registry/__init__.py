"""Who and where: areas, gateways, devices, refusals and the loss ledger (SQLite through SQLAlchemy and Alembic)."""

from linli_platform.registry.registry import NotFound, Registry
from linli_platform.registry.rows import Area, Device, Gateway, Loss, Refusal, State, Titles

__all__ = ["Area", "Device", "Gateway", "Loss", "NotFound", "Refusal", "Registry", "State", "Titles"]

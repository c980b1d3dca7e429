"""Routes about backups."""

from http import HTTPStatus

import msgspec
from fastapi import APIRouter

from linli_core.errors import ConfigError
from linli_platform.api import models
from linli_platform.api.context import ApiContext
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.backup.service import BackupService


def backup_routes(context: ApiContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/backups", tags=["platform"], responses=PROBLEMS)

    @router.get("", summary="How backups fare")
    async def backups() -> models.Backups:
        """Return the last backup and the last drill."""
        return _answer(_service(context))

    @router.post("", status_code=HTTPStatus.ACCEPTED, summary="Make a backup now")
    async def make() -> models.Backups:
        """Have a backup made; ask again to learn how it went."""
        service = _service(context)
        try:
            service.request()
        except ConfigError as exc:
            raise Problem(
                HTTPStatus.CONFLICT, "no-backup-target", where=exc.where, found=exc.found, remedy=exc.remedy
            ) from exc
        return _answer(service)

    return router


def _service(context: ApiContext) -> BackupService:
    if context.backups is None:
        raise Problem(HTTPStatus.CONFLICT, "no-backup-target", found="nothing here makes backups", remedy="")
    return context.backups


def _answer(service: BackupService) -> models.Backups:
    return models.Backups.model_validate(msgspec.to_builtins(service.state))

"""The application: API, live feed, pages, one guard in front."""

import sqlite3
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import OperationalError

from linli_platform.api.accounts import account_routes
from linli_platform.api.alarm_health import alarm_health_routes
from linli_platform.api.alarms import alarm_routes
from linli_platform.api.backups import backup_routes
from linli_platform.api.billing import billing_routes
from linli_platform.api.community import community_routes
from linli_platform.api.completeness import completeness_routes
from linli_platform.api.context import ApiContext
from linli_platform.api.hidings import handling_routes, hiding_routes
from linli_platform.api.influx_errors import install as install_influx
from linli_platform.api.influx_query import query_routes
from linli_platform.api.influx_write import influx_write_routes
from linli_platform.api.notifications import notification_routes, silence_routes
from linli_platform.api.outside import outside_routes
from linli_platform.api.problem import Problem, install
from linli_platform.api.quarantine import quarantine_routes
from linli_platform.api.readings import reading_routes
from linli_platform.api.rule_changes import rule_change_routes
from linli_platform.api.rules import rule_routes
from linli_platform.api.security import Guard
from linli_platform.api.stream import stream_routes
from linli_platform.store import StoreError
from linli_platform.web.pages import Pages

_DESCRIPTION = (
    "Readings, alarms and gateways of a residential community. Times are RFC 3339 in UTC; a missing value is `null` "
    "with a quality that says why. Errors are problem documents (RFC 9457) with `where`, `found` and `remedy`."
)


def create_app(context: ApiContext) -> FastAPI:
    """Return the application over a running platform; it opens nothing itself."""
    app = FastAPI(
        title="Linli",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # Swagger's page loads scripts from elsewhere
        redoc_url=None,
    )
    pages = Pages(context)
    install(app, pages.problem)
    install_influx(app)
    for routes in (
        community_routes(context),
        reading_routes(context),
        completeness_routes(context),
        handling_routes(context),
        outside_routes(context),
        alarm_health_routes(context),
        hiding_routes(context),
        alarm_routes(context),
        notification_routes(context),
        silence_routes(context),
        rule_routes(context),
        rule_change_routes(context),
        billing_routes(context),
        backup_routes(context),
        account_routes(context),
        quarantine_routes(context),
        stream_routes(context),
    ):
        app.include_router(routes, prefix="/api/v1")
    app.include_router(influx_write_routes(context))
    app.include_router(query_routes(context))
    pages.mount(app)
    if context.metrics is not None:
        metrics = context.metrics

        @app.get("/metrics", include_in_schema=False)
        async def prometheus() -> Response:
            body, content_type = metrics()
            return Response(body, media_type=content_type)

    async def unavailable(_request: Request, exc: Exception) -> JSONResponse:
        found = "the database is busy" if isinstance(exc, OperationalError | sqlite3.Error) else str(exc)
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", found=found, remedy="ask again").response()

    app.add_exception_handler(StoreError, unavailable)
    app.add_exception_handler(OperationalError, unavailable)
    app.add_middleware(Guard, token=context.token, hosts=context.hosts, page=pages.problem)
    return app

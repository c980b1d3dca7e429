"""The door for alarms that others raise: a Grafana contact point, a receiver of Alertmanager's."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError

from linli_core.errors import Refused
from linli_core.instant import Instant
from linli_core.wire.line_protocol import Precision
from linli_platform.alarms.outside import KIND, MOST, QUANTITY, OutsideAlarm, understand
from linli_platform.api.context import ApiContext
from linli_platform.api.influx_errors import InfluxError
from linli_platform.api.influx_tokens import Caller, caller_of
from linli_platform.api.problem import PROBLEMS, Problem
from linli_platform.api.security import OUTSIDE
from linli_platform.ingest.door import DoorClosed, NotItsGateway, Writer
from linli_platform.registry import Device, Registry, State

_TOLD: Final = 20
_PREFIX: Final = "/api/v1"


class OutsideAlerts(BaseModel):
    """What Grafana's webhook and Alertmanager post; keys that are not listed are passed over."""

    alerts: list[Any] = Field(max_length=MOST, description="Alerts, firing or resolved.")
    truncated: int = Field(
        default=0, alias="truncatedAlerts", ge=0, description="How many the sender left out; it can be told not to."
    )


class OutsideTaken(BaseModel):
    """What became of a request."""

    taken: int = Field(description="Alerts that are on disk.")
    refused: list[str] = Field(description="Where, what was found, what to do, of the first that were not taken.")
    dropped: int = Field(description="Alerts that were not taken, with those that the sender left out.")


_BODY: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": OutsideAlerts.model_json_schema()}}}
}


def outside_routes(context: ApiContext) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["alarms"], responses=PROBLEMS)
    known = caller_of(context)

    async def writer(request: Request) -> Caller:
        """Tell who speaks, in this API's words."""
        try:
            caller = await known(request)
        except InfluxError as exc:
            remedy = "send Bearer TOKEN: linli-platform token NAME --writes-as GATEWAY"
            raise Problem(exc.status, "token-needed", where="Authorization", found=exc.message, remedy=remedy) from exc
        if caller.token is None or not caller.writes_as:
            found = f"token {caller.name} may not write" if caller.name else "no token of tokens.toml"
            remedy = "make one: linli-platform token NAME --writes-as GATEWAY"
            raise Problem(HTTPStatus.FORBIDDEN, "may-not-write", where="Authorization", found=found, remedy=remedy)
        return caller

    @router.post(
        OUTSIDE.removeprefix(_PREFIX), summary="Alarms that Grafana or Alertmanager raised", openapi_extra=_BODY
    )
    async def outside(request: Request, caller: Annotated[Caller, Depends(writer)]) -> OutsideTaken:
        """Take alerts as readings of devices of the token's gateway; posted again they change nothing."""
        # Read here, where it is known who speaks: of a stranger's megabytes nothing is made.
        try:
            body = OutsideAlerts.model_validate_json(await request.body())
        except ValidationError as exc:
            errors = exc.errors(include_url=False, include_input=False, include_context=False)
            raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in errors]) from exc
        if not any(rule.quantity == QUANTITY for rule in context.alarms.engine.rules.values()):
            found, remedy = f"no rule watches {QUANTITY}", "put the bundled outside.toml into the folder of rules"
            raise Problem(HTTPStatus.CONFLICT, "no-rule", where="rules", found=found, remedy=remedy)
        now = context.clock()
        understood = understand(body.alerts, now)
        refused = understood.refused
        if understood.alarms:
            refused = refused + await _write(context, caller, understood.alarms, now)
        dropped = len(refused) + body.truncated
        taken = len(body.alerts) - len(refused)
        if refused and not taken:
            found = "; ".join(str(each) for each in refused[:_TOLD])
            raise Problem(422, "no-alert", where="alerts", found=found, remedy="post what Grafana's webhook posts")
        return OutsideTaken(taken=taken, refused=[str(each) for each in refused[:_TOLD]], dropped=dropped)

    return router


async def _write(context: ApiContext, caller: Caller, alarms: list[OutsideAlarm], now: Instant) -> list[Refused]:
    """Write alarms as readings; return what the door refused, once for each alarm."""
    if context.write_lines is None or context.let_in is None or caller.token is None:
        raise _closed("nothing takes readings here at present")
    writer = Writer(caller.name, caller.token.rules)
    titles = {alarm.device: alarm.title for alarm in alarms}
    spans = [alarm.lines() for alarm in alarms]
    try:
        await context.let_in(
            writer, list(titles), lambda new: _name(context.registry, caller.writes_as, new, titles, now)
        )
        written = await context.write_lines(writer, "".join(spans).encode(), Precision.of("us"))
    except DoorClosed as exc:
        raise _closed(str(exc)) from exc
    except NotItsGateway as exc:
        remedy = "give the token another --writes-as"
        raise Problem(HTTPStatus.CONFLICT, "gateway-in-use", where="token", found=str(exc), remedy=remedy) from exc
    except Refused as exc:
        remedy = "accept the gateways that are pending, or retire them"
        raise Problem(HTTPStatus.FORBIDDEN, "too-many-pending", where="token", found=str(exc), remedy=remedy) from exc
    owner = [number for number, lines in enumerate(spans) for _ in range(lines.count("\n"))]
    return list({owner[line - 1]: refused for line, refused in written.refused}.values())


def _closed(found: str) -> Problem:
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", found=found, remedy="post it again")


def _name(registry: Registry, gateway: str, devices: Sequence[str], titles: Mapping[str, str], now: Instant) -> None:
    """Have devices in the registry as accepted, called what their sender calls them; those known stay as they are."""
    known = {device.id for device in registry.devices(gateway) if device.state is not State.PENDING}
    new = [device for device in devices if device not in known]
    registry.hold(gateway, new, now)
    named = [Device(gateway, each, State.ACTIVE, KIND, {"zh": titles[each], "en": titles[each]}) for each in new]
    registry.declare((), (), named)

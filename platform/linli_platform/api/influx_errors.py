"""Errors in InfluxDB's shape: what its clients of 1.x (``error``) and of 2 (``code``, ``message``) look for."""

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

_CODES: Final = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    409: "conflict",
    413: "request too large",
    415: "invalid",
    503: "unavailable",
}
_RETRY_AFTER_S: Final = 5


class InfluxError(Exception):
    """Raised by a route; becomes the answer.

    Attributes:
        status: The HTTP status.
        message: Where, what was found, what to do.
        more: Further keys of the answer.
    """

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.more = more

    def response(self) -> JSONResponse:
        """Return the answer."""
        code = _CODES.get(self.status, "internal error")
        # What a header may carry is one line of Latin-1.
        line = self.message.splitlines()[0][:500].encode("ascii", "backslashreplace").decode()
        headers = {"X-Influxdb-Error": line, "X-Platform-Error-Code": code}
        if self.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="linli"'
        if self.status == 503:
            headers["Retry-After"] = str(_RETRY_AFTER_S)
        body = {"error": self.message, "code": code, "message": self.message, **self.more}
        return JSONResponse(body, self.status, headers=headers)


def install(app: FastAPI) -> None:
    """Answer an :class:`InfluxError` by its own shape."""

    async def on_error(_request: Request, exc: Exception) -> Response:
        assert isinstance(exc, InfluxError)
        return exc.response()

    app.add_exception_handler(InfluxError, on_error)

"""Errors of the API as RFC 9457 problem documents, with where, what was found and what to do."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE: Final = "application/problem+json"


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457), for a program and for a person."""

    type: str = Field(
        description="Stable name of the kind of problem, as a URI reference.", examples=["/problems/bad-time"]
    )
    title: str = Field(description="The kind of problem in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="This occurrence in one sentence: where, what was found, what to do.")
    where: str = Field(default="", description="The parameter or field.")
    found: str = Field(default="", description="What was found there.")
    remedy: str = Field(default="", description="What to do.")


class Problem(Exception):
    """Raised by a route; becomes a problem document."""

    def __init__(self, status: int, kind: str, *, where: str = "", found: str = "", remedy: str = "") -> None:
        super().__init__(f"{where}: {found}; {remedy}")
        self.status = status
        self.kind = kind
        self.where = where
        self.found = found
        self.remedy = remedy

    def response(self) -> JSONResponse:
        """Return the answer."""
        detail = "; ".join(part for part in (f"{self.where}: {self.found}".strip(": "), self.remedy) if part)
        document = ProblemDocument(
            type=f"/problems/{self.kind}",
            title=self.kind.replace("-", " ").capitalize(),
            status=self.status,
            detail=detail,
            where=self.where,
            found=self.found,
            remedy=self.remedy,
        )
        headers = {"WWW-Authenticate": 'Bearer realm="linli"'} if self.status == HTTPStatus.UNAUTHORIZED else None
        return JSONResponse(document.model_dump(), self.status, media_type=MEDIA_TYPE, headers=headers)


PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": ProblemDocument, "description": "What is wrong with the request, and what to do."},
    "503": {"model": ProblemDocument, "description": "The store or the database cannot answer now; ask again."},
}

Page = Callable[[Request, Problem], Awaitable[Response | None]]


def _of_validation(exc: RequestValidationError) -> Problem:
    first = exc.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    found = str(first["msg"])
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "invalid-request", where=where, found=found, remedy="see /api/v1/openapi.json"
    )


def _of_http(exc: HTTPException) -> Problem:
    status = HTTPStatus(exc.status_code)
    return Problem(
        status, status.phrase.lower().replace(" ", "-"), found=str(exc.detail), remedy="see /api/v1/openapi.json"
    )


def install(app: FastAPI, page: Page) -> None:
    """Answer every error by a problem document, or by a page where ``page`` makes one for a browser."""

    async def answer(request: Request, problem: Problem) -> Response:
        return await page(request, problem) or problem.response()

    async def on_problem(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, Problem)
        return await answer(request, exc)

    async def on_validation(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, RequestValidationError)
        return await answer(request, _of_validation(exc))

    async def on_http(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, HTTPException)
        return await answer(request, _of_http(exc))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)

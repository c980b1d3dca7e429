"""A database server spoken to over HTTP: every failure is one of the store's errors, and says what to do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlencode

import msgspec
import urllib3

from linli_platform.store import StoreError, StoreUnavailable

CONNECT_S: Final = 5.0
ANSWER_S: Final = 60.0
"""How long a server may say nothing; ingest waits meanwhile, and tries again."""

LINE: Final = 64 * 1024 * 1024
"""Bytes of one line of an answer: more is not taken into memory."""

_SAID: Final = 300
_PIECE: Final = 256 * 1024
_CONNECTIONS: Final = 8


@dataclass(frozen=True, slots=True)
class Credentials:
    """How the server knows us.

    Attributes:
        username: For HTTP's basic authentication; empty where there is none.
        password: Belongs to it.
        token: In place of both.
        scheme: What stands before the token: ``Token`` for InfluxDB, ``Bearer`` for others.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    scheme: str = "Token"

    def headers(self) -> dict[str, str]:
        """Return what goes into each request."""
        if self.token:
            return {"authorization": f"{self.scheme} {self.token}"}
        if self.username:
            return dict(urllib3.util.make_headers(basic_auth=f"{self.username}:{self.password}"))
        return {}


class Server:
    """One HTTP server; safe to call from several threads.

    Args:
        url: ``http://host:port``, with a path where the server stands behind another.
        credentials: How it knows us.
        ca: File of the authority that signed its certificate; the system's if empty.
    """

    def __init__(self, url: str, credentials: Credentials | None = None, *, ca: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = (credentials or Credentials()).headers()
        self._ca = ca
        self._pool: urllib3.PoolManager | None = None

    def __enter__(self) -> Self:
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=_CONNECTIONS,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=ANSWER_S),
            retries=False,  # who calls knows whether a request may be made twice; and a redirect would carry the secret
            ca_certs=self._ca or None,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def call(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the whole answer to a request; for answers that are short."""
        with self._answer(method, path, parameters, body, headers) as answer:
            found = bytes(answer.read(LINE))
            if len(found) == LINE:
                raise StoreError(f"{self.url}: the answer is longer than {LINE} bytes")
        return found

    def lines(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[bytes]:
        """Yield the answer to a request line by line as it comes; empty lines are left out."""
        with self._answer(method, path, parameters, body, headers) as answer:
            held = bytearray()
            for piece in answer.stream(_PIECE):
                *whole, rest = piece.split(b"\n")
                for part in whole:
                    held += part
                    if held.strip():
                        yield bytes(held)
                    held.clear()
                held += rest
                if len(held) > LINE:
                    raise StoreError(f"{self.url}: one line of the answer is longer than {LINE} bytes")
            if held.strip():
                yield bytes(held)

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        if self._pool is None:
            raise StoreUnavailable(f"{self.url} is not open")
        url = self.url + path + (f"?{urlencode(parameters)}" if parameters else "")
        answer = None
        try:
            answer = self._pool.request(
                method, url, body=body, headers={**self._headers, **(headers or {})}, preload_content=False
            )
            self._check(answer)
            yield answer
        except BaseException as exc:
            if answer is not None:
                answer.close()  # a connection whose answer was not read to its end cannot be used again
            if not isinstance(exc, urllib3.exceptions.HTTPError):
                raise
            remedy = "is the server running? start it, or correct [store] url"
            raise StoreUnavailable(f"{self.url}: no answer ({type(exc).__name__}); {remedy}") from exc
        answer.release_conn()

    def _check(self, answer: urllib3.BaseHTTPResponse) -> None:
        """Raise what an answer's status means; which of them trying again may mend."""
        status = answer.status
        if status < 300:
            return
        said = _said(answer.read(_PIECE))
        if status in {401, 403}:
            remedy = "correct the user or token in [store]"
            raise StoreUnavailable(f"{self.url}: it does not let us in ({status}: {said}); {remedy}")
        if status in {404, 429} or not 400 <= status < 500:
            raise StoreUnavailable(f"{self.url}: it cannot now ({status}: {said}); look at its log")
        raise Refusal(f"{self.url}: it refuses ({status}: {said})", said)


class _Said(msgspec.Struct):
    """How InfluxDB (1, 2) and VictoriaMetrics put it."""

    error: str = ""
    message: str = ""


def _said(answer: bytes) -> str:
    try:
        told = msgspec.json.decode(answer, type=_Said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        told = _Said()
    text = told.error or told.message or answer.decode("utf-8", "replace")
    return " ".join(text.split())[:_SAID]


class Refusal(StoreError):
    """The server understood the request and takes exception to it.

    Attributes:
        said: Its own words.
    """

    def __init__(self, message: str, said: str) -> None:
        super().__init__(message)
        self.said = said

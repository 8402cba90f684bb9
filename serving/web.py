"""What the routes of the web application share: access, errors, bodies, and streams that end with their client.

Guards of the application, in this order: a Host other than the server's own, and pages of other origins, are refused;
then a key, compared in constant time; then the rate of each client. Texts are never logged, nor are queries of URLs.
"""

from __future__ import annotations

import asyncio
import collections
import hmac
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import ClientConnectionError, web

from serving.engine import Engine
from serving.errors import KeyRefusedError, RateError, RequestError
from serving.fields import Fields
from utils import logger, printable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SLICE = 1 << 16  # bytes that are written at a time, each within the time for a stalled reader
SEND_BUFFER = 1 << 16  # bytes; the system's own grows to megabytes, minutes of sound that nobody may want


@dataclass(frozen=True)
class WebOptions:
    """Who may use the web application, and for how long a client may stall."""

    host: str = "127.0.0.1"
    port: int = 8080
    key: str | None = None  # that requests need, as "Authorization: Bearer KEY"; None: none
    cors: str | None = None  # origin of pages that may use the server, "*" for all
    hosts: tuple[str, ...] = ()  # further names of the server, where it listens on loopback
    rate: int | None = None  # requests of one client in a minute
    body_bytes: int = 1 << 18
    read_seconds: float = 15.0  # for the headers, and for the body, of a request
    stall_seconds: float = 30.0  # within which a client has to take `SLICE` bytes


ENGINE = web.AppKey("engine", Engine)
OPTIONS = web.AppKey("options", WebOptions)
REQUEST_ID = web.RequestKey("id", str)


def open_to_all(handler: Handler) -> Handler:
    """Mark a handler that needs no key, such as a list of voices."""
    handler.is_open = True
    return handler


def is_loopback(host: str) -> bool:
    """Whether a name or an address of the server is reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_of(value: str) -> str:
    """Host in a Host header or an origin, without the port."""
    return urlsplit(value if "://" in value else f"//{value}").hostname or ""


def error_body(error: RequestError) -> dict[str, dict[str, str | None]]:
    """An error in OpenAI's shape, all four keys of it."""
    kinds = {401: "authentication_error", 429: "rate_limit_error", 500: "server_error", 503: "server_error"}
    return {"error": {"message": str(error), "type": kinds.get(error.status, "invalid_request_error"),
                      "param": error.param, "code": error.code}}


def error_response(error: RequestError) -> web.Response:
    """That error as a response, with the seconds after which to ask again."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    return web.json_response(error_body(error), status=error.status, headers=headers)


def with_status(status: int, message: str, code: str) -> RequestError:
    """An error of another HTTP status."""
    error = RequestError(message, code=code)
    error.status = status
    return error


async def read_body(request: web.Request) -> bytes:
    """The body of a request, within the bounds of size and time.

    Raises:
        RequestError: it is longer, or took longer.
    """
    options = request.app[OPTIONS]
    try:
        if (request.content_length or 0) > options.body_bytes:
            raise web.HTTPRequestEntityTooLarge(options.body_bytes, request.content_length)
        return await asyncio.wait_for(request.read(), options.read_seconds)
    except web.HTTPRequestEntityTooLarge:
        raise with_status(413, f"the request has more than {options.body_bytes} bytes; send the text in parts",
                          "too_long") from None
    except asyncio.TimeoutError:
        raise with_status(408, f"the body of the request took more than {options.read_seconds:g} seconds",
                          "timeout") from None


async def read_fields(request: web.Request) -> Fields:
    """The body of a request as a JSON object; RequestError if it is none."""
    return Fields.parse(await read_body(request))


def bound_buffers(request: web.Request) -> None:
    """Let a client's connection hold little of what it does not take."""
    if request.transport is None:
        return
    request.transport.set_write_buffer_limits(high=SEND_BUFFER)
    if (link := request.transport.get_extra_info("socket")) is not None and link.family != socket.AF_UNIX:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


async def in_time(request: web.Request, work: Awaitable[None]) -> None:
    """Await a write; a client that takes nothing within the time loses its connection.

    Raises:
        ConnectionError: so it did, or it has left.
    """
    def give_up() -> None:
        if request.transport is not None:
            request.transport.abort()

    timer = asyncio.get_running_loop().call_later(request.app[OPTIONS].stall_seconds, give_up)
    try:
        await work
    except ClientConnectionError as error:
        raise ConnectionResetError(str(error)) from None
    finally:
        timer.cancel()


async def send(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Write bytes to a client in slices, each of which has to be taken in time."""
    for start in range(0, len(data), SLICE):
        await in_time(request, response.write(data[start : start + SLICE]))


def break_off(request: web.Request) -> None:
    """Close a connection without a proper end of the answer, so that the client does not take it for whole."""
    if request.transport is not None:
        request.transport.close()


class Access:
    """Checks of who asks: host, origin, key, rate."""

    def __init__(self, options: WebOptions) -> None:
        """Access by the options of the server."""
        self.options = options
        self._recent: dict[str, collections.deque[float]] = {}  # times of each client's last requests

    def check_host(self, request: web.Request) -> None:
        """Refuse names that a foreign page has pointed at this machine, and pages of other origins."""
        name, origin = host_of(request.host), request.headers.get("Origin")
        if is_loopback(self.options.host) and not is_loopback(name) and name not in self.options.hosts:
            raise with_status(403, f"the Host {name[:80]!r} is not this server's; if it is, start it with --allow-host "
                                   "and this name", "host_refused")
        is_own = origin is None or urlsplit(origin).netloc == request.host
        if not is_own and not self.allows_origin(origin):
            raise with_status(403, f"pages of {origin[:80]} are not admitted; to admit them start the server with "
                                   "--cors and this origin", "origin_refused")

    def allows_origin(self, origin: str | None) -> bool:
        """Whether pages of another origin may use the server."""
        return origin is not None and self.options.cors in ("*", origin)

    def check_key(self, request: web.Request) -> None:
        """Refuse a request without the key, if there is one and the route needs it."""
        if self.options.key is None or getattr(request.match_info.handler, "is_open", False):
            return
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else request.headers.get("X-API-Key", "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.options.key.encode()):
            raise KeyRefusedError("the key is missing or wrong; expected the header 'Authorization: Bearer KEY'")

    def check_rate(self, request: web.Request) -> None:
        """Refuse more than so many requests of one address in a minute; lists and health count not."""
        if self.options.rate is None or getattr(request.match_info.handler, "is_open", False):
            return
        now, client = time.monotonic(), request.remote or ""
        if len(self._recent) > 10_000:
            self._recent = {each: times for each, times in self._recent.items() if times[-1] > now - 60}
        times = self._recent.setdefault(client, collections.deque(maxlen=self.options.rate))
        if len(times) == self.options.rate and times[0] > now - 60:
            raise RateError(f"more than {self.options.rate} requests in a minute; ask again later")
        times.append(now)


def middlewares(access: Access, observe: Callable[[str, int], None]) -> list[Handler]:
    """Middlewares of the application; `observe` gets route and status of every request."""

    @web.middleware
    async def answered(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request gets an answer, in the shape of errors where it is one, and a line in the log."""
        request[REQUEST_ID] = f"req_{secrets.token_hex(12)}"
        started = time.monotonic()
        response = await _without_errors(request, handler)
        resource = request.match_info.route.resource
        route = "unknown" if resource is None else resource.canonical
        observe(route, response.status)
        logger.info("%s %s %s %d, %.2f s", request[REQUEST_ID], request.method, printable(route), response.status,
                    time.monotonic() - started)
        return response

    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        """What is not admitted does not reach the handler."""
        access.check_host(request)
        if request.method == "OPTIONS" and access.allows_origin(request.headers.get("Origin")):
            return web.Response(status=204, headers={
                "Access-Control-Allow-Methods": "GET, POST", "Access-Control-Max-Age": "600",
                "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "")[:500]})
        access.check_key(request)
        access.check_rate(request)
        return await handler(request)

    return [answered, admitted]


def headers_of(access: Access) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """A function that adds what every response has: its request's id, and leave for pages of the admitted origin."""

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        if REQUEST_ID in request:
            response.headers["X-Request-Id"] = request[REQUEST_ID]
        if access.allows_origin(request.headers.get("Origin")):
            response.headers["Access-Control-Allow-Origin"] = access.options.cors
            response.headers["Access-Control-Expose-Headers"] = "X-Request-Id, X-Sample-Rate"
            response.headers["Vary"] = "Origin"

    return on_prepare


async def _without_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The handler's response, or its error as a response."""
    try:
        return await handler(request)
    except RequestError as error:
        return error_response(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        message = {404: "there is no such page", 405: f"{request.method} is not for this page"}
        return error_response(with_status(error.status, message.get(error.status, error.reason), "not_found"
                                          if error.status == 404 else "invalid_request"))
    except ConnectionError:
        raise
    except Exception:
        logger.exception("%s failed", request[REQUEST_ID])
        return error_response(with_status(500, "the server failed; its log has the reason under "
                                               f"{request[REQUEST_ID]}", "server_error"))

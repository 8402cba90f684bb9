"""The web application of an engine: routes, guards, and a listener that ends gracefully.

    app = make_app(engine, WebOptions(port=8080))
    listener = await start(engine, WebOptions(port=8080))
    await listener.close()

A protocol adds its routes by a function `add_routes(app)`, called in `make_app`.
"""

from __future__ import annotations

from aiohttp import web

from serving import openai, page, wav_routes, websocket
from serving.engine import Engine
from serving.metrics import Metrics
from serving.web import ENGINE, OPTIONS, Access, WebOptions, headers_of, middlewares, open_to_all

METRICS = web.AppKey("metrics", Metrics)


def make_app(engine: Engine, options: WebOptions | None = None) -> web.Application:
    """An application that speaks by an engine; the engine is started and stopped by the caller."""
    options = options or WebOptions()
    access, metrics = Access(options), Metrics(engine)
    app = web.Application(middlewares=middlewares(access, metrics.count_request),
                          client_max_size=options.body_bytes)
    app[ENGINE], app[OPTIONS], app[METRICS] = engine, options, metrics
    app.on_response_prepare.append(headers_of(access))
    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)
    app.router.add_get("/metrics", metrics_page)
    openai.add_routes(app)
    websocket.add_routes(app)
    page.add_routes(app)
    wav_routes.add_routes(app)
    return app


@open_to_all
async def health(request: web.Request) -> web.Response:
    """The process is there."""
    return web.json_response({"status": "ok"})


@open_to_all
async def ready(request: web.Request) -> web.Response:
    """Whether requests are taken: 503 before every voice has spoken once, and while the server stops."""
    is_ready = request.app[ENGINE].is_ready
    return web.json_response({"status": "ready" if is_ready else "not ready"}, status=200 if is_ready else 503)


async def metrics_page(request: web.Request) -> web.Response:
    """Counters for Prometheus."""
    return web.Response(body=request.app[METRICS].render(),
                        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


class Listener:
    """A web application on a port."""

    def __init__(self, runner: web.AppRunner, site: web.TCPSite) -> None:
        self._runner = runner
        self._site = site

    @property
    def port(self) -> int:
        """The port, which the system chose if the options' is 0."""
        return self._runner.addresses[0][1]

    async def close(self) -> None:
        """Close the port and all connections."""
        await self._runner.cleanup()


async def start(engine: Engine, options: WebOptions) -> Listener:
    """Listen on the options' host and port.

    Raises:
        OSError: the port is taken, or the host is none of this machine's.
    """
    return await listen(make_app(engine, options), options)


async def listen(app: web.Application, options: WebOptions) -> Listener:
    """Listen with any application; see `start`."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True,
                           keepalive_timeout=options.read_seconds, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, options.host, options.port)
    try:
        await site.start()
    except OSError:
        await runner.cleanup()
        raise
    return Listener(runner, site)

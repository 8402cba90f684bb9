"""The page at /: speaks a text in the browser while it is made, with its words marked as they are spoken."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from serving.web import open_to_all

FOLDER = Path(__file__).parent
FILES = {"/": ("index.html", "text/html"), "/page/script.js": ("script.js", "text/javascript"),
         "/page/style.css": ("style.css", "text/css")}
HEADERS = {"Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
           "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}


def add_routes(app: web.Application) -> None:
    """Add the page and its files; nothing else of a request reaches a path."""
    for path in FILES:
        app.router.add_get(path, page)


@open_to_all
async def page(request: web.Request) -> web.Response:
    """The page, or one of its files."""
    name, kind = FILES[request.path]
    return web.Response(text=(FOLDER / name).read_text(encoding="utf-8"), content_type=kind, charset="utf-8",
                        headers=HEADERS)

"""HTML pages of one file each, from Jinja templates: style, scripts, pictures and sound inside, nothing is fetched.

    body = render("progress.html", run="demo", text="5 < 6", ...)       # values are escaped, Markup is not
    write_page(Path("page.html"), "A page", body, scripts=("players.js",))
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from utils import write_text_atomic

HERE = Path(__file__).resolve().parent
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "1 4")  # of curves, beside their colours, for people who see no colours


def render(template: str, **values: Any) -> Markup:
    """Fill a template of this package; values are escaped unless they are Markup."""
    return Markup(_environment().get_template(template).render(values))


def macro(name: str, *values: Any) -> Markup:
    """Call a macro of macros.html."""
    return getattr(_environment().get_template("macros.html").module, name)(*values).strip()


def write_page(out: Path, title: str, body: Markup, scripts: Sequence[str] = (),
               data: Mapping[str, Any] | None = None) -> Path:
    """Write a page, whole or not at all.

    Args:
        out: the file.
        title: of the window.
        body: goes into <main>.
        scripts: files of this package, in the order in which they run.
        data: for the scripts, as JSON in the element "data".
    """
    safe = json.dumps(data or {}, ensure_ascii=False).replace("<", "\\u003c")  # "</script>" would end it
    write_text_atomic(out, render("page.html", title=title, body=body, data=Markup(safe), style=_file("style.css"),
                                  script=Markup("\n").join(map(_file, scripts))))
    return out


def number(value: float | None) -> str:
    """Format a number with the two to four digits that matter; a dash for None and NaN."""
    if value is None or value != value:
        return "–"
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:.{digits}f}" if size >= 0.01 else f"{value:.2g}"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    environment.globals["dashes"] = DASHES
    return environment


def _file(name: str) -> Markup:
    return Markup((HERE / name).read_text(encoding="utf-8"))
